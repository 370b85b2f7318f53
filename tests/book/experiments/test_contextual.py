"""The experiment `contextual`: a small run and the stored ones say the same."""

from companion.results import load_result


def test_contextual(load_script):
    """The untrained encoder tells most places already, training adds to it, and a causal mask takes it away."""
    small = load_script("contextual").run(seed=1, steps=200, sentences=1000)
    stored = load_result("contextual")["runs"]
    assert len(stored) == 5
    for run in (small, *stored):
        first = run["probe"]["trained"]["embedding + position"]
        score = {name: by_layer["layer 2"] for name, by_layer in run["probe"].items()}
        assert score["trained"] > score["not trained"] > first + 0.1
        assert max(score["trained, causal mask"], score["not trained, causal mask"]) < 0.8
        assert run["cosine"]["trained"]["embedding"] == 1
        assert run["cosine"]["trained"]["layer 2"] < 0.9 < 0.95 < run["cosine"]["not trained"]["layer 2"]

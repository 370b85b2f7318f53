"""The experiment `crossing`: a small run and the stored ones say the same."""

from companion.results import load_result


def best(shares):
    """The best head of the last layer."""
    return max(shares[1])


def test_crossing(load_script):
    """Trained for a third of the time, the last layer crosses over, in longer numbers too; untrained it does not."""
    small = load_script("crossing").run(seed=0, steps=300)
    stored = load_result("crossing")["runs"]
    assert len(stored) == 10
    for run in (small, *stored):
        for digits in ("two digits", "six digits"):
            assert best(run["trained"][digits]) > best(run["not trained"][digits])
        assert best(run["not trained"]["six digits"]) < 0.15


def test_numbers_that_cross_end_alike_and_have_their_places(load_script):
    script = load_script("crossing")
    sets = script.numbers_that_cross()
    assert {len(numbers) for numbers in sets.values()} == {72}
    for numbers in sets.values():
        assert [number % 100 for number in numbers] == sets["two digits"]
    tokens = script.NumberWords(num_train=2000).source_tokenizer
    cut = tokens.tokens(tokens.encode("forty-three thousand and twenty-one"))
    assert [cut[place] for place in script.places(cut)] == ["▁twenty", "one"]

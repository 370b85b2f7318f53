"""The experiment `recurrence_time`: a small run and the stored ones say the same."""

import torch

from companion.results import load_result


def test_recurrence_time(load_script):
    """Alone, a GRU takes longer than attention; what takes the time is the many small calls, not the waiting."""
    small = load_script("recurrence_time").run(seed=0, lengths=(256,), batch_sizes=(1,), seconds=0.1)
    times = {name: values[0] for name, values in small["arms"][0]["milliseconds"].items()}
    assert times["gru"] > times["attention"]
    assert times["lstm, many calls"] > 2 * times["lstm"]
    assert min(times["chain"], times["loop"]) > 3 * times["at once"]
    stored = load_result("recurrence_time")["runs"]
    assert len(stored) == 5
    for run in stored:  # each round by itself
        alone, batch = (arm["milliseconds"] for arm in run["arms"])
        assert min(g / a for g, a in zip(alone["gru"], alone["attention"], strict=True)) > 3
        assert alone["lstm"][-1] < 0.6 * alone["attention"][-1]
        assert batch["gru"][-1] < 0.6 * batch["attention"][-1]
        for times in (alone, batch):
            assert 0.8 < times["loop"][-1] / times["chain"][-1] < 1.25
            assert times["loop"][-1] > 2 * times["at once"][-1]
            assert times["lstm, many calls"][-1] > 1.3 * times["lstm"][-1]


def test_the_lstm_of_many_calls_is_the_same_lstm(load_script):
    script = load_script("recurrence_time")
    layers, x = script.make_layers(), torch.randn(2, 5, script.WIDTH)
    layers["lstm, many calls"].load_state_dict(layers["lstm"].state_dict())
    torch.testing.assert_close(layers["lstm, many calls"](x)[0], layers["lstm"](x)[0])


def test_loop_and_at_once_are_the_same_products(load_script):
    script = load_script("recurrence_time")
    layers, x = script.make_layers(), torch.randn(2, 5, script.WIDTH)
    layers["loop"].load_state_dict(layers["at once"].state_dict())
    torch.testing.assert_close(layers["loop"](x), layers["at once"](x))

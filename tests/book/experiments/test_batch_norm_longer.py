"""The experiment `batch_norm_longer`: the stored runs, beside those that were shorter."""

import math

from companion.results import load_result


def test_four_sequences_are_enough_to_see_the_future_in_more_steps(load_script):
    short = [run["digits"]["batch norm"]["4"]["training mode"] for run in load_result("batch_norm")["runs"]]
    runs = load_result("batch_norm_longer")["runs"]
    assert len(runs) == 5
    assert min(short) > math.log(10) - 0.02
    for run in runs:
        assert run["training mode"] < math.log(10) - 0.15
        assert run["inference mode"] > math.log(10) + 0.15
    assert load_script("batch_norm_longer").run(0, steps=2)["steps"] == 2

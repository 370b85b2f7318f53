"""The experiment `batch_norm`: a small run and the stored ones say the same, and so do their controls."""

import math

from companion.results import load_result

CHANCE = math.log(10)


def test_no_causal_model_guesses_random_digits_and_batch_norm_does(load_script):
    script = load_script("batch_norm")
    small = {norm: {"1": script.guess_digits(norm, 1, 1, steps=500)} for norm in ("layer norm", "batch norm")}
    stored = load_result("batch_norm")["runs"]
    assert len(stored) == 5
    for digits in (small, *(run["digits"] for run in stored)):
        assert digits["layer norm"]["1"]["training mode"] > CHANCE - 0.01
        assert digits["batch norm"]["1"]["training mode"] < CHANCE - 0.3
        assert digits["batch norm"]["1"]["inference mode"] > CHANCE + 0.3


def test_the_decoder_alone_feels_the_future(load_script):
    script = load_script("batch_norm")
    small = {where: {"1": script.translate_numbers(where, 1, 1, steps=500)} for where in ("encoder", "decoder")}
    for translation in (small, *(run["translation"] for run in load_result("batch_norm")["runs"])):
        encoder, decoder = (translation[where]["1"]["training mode"] for where in ("encoder", "decoder"))
        assert abs(encoder["wrong future"] - encoder["right future"]) < 0.002
        assert decoder["wrong future"] > decoder["right future"] + 0.1


def test_translations():
    for run in load_result("batch_norm")["runs"]:
        right = {
            where: {size: of["exact_match"] for size, of in by.items()} for where, by in run["translation"].items()
        }
        assert right["decoder"]["1"] == 0 < right["nowhere"]["1"]
        assert min(right["decoder"]["32"], right["encoder"]["32"]) > 0.85
        futures = run["translation"]["decoder"]["32"]["training mode"]
        assert abs(futures["wrong future"] - futures["right future"]) < 0.02

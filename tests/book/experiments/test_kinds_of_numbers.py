"""The experiment `kinds_of_numbers`: a small run and the stored ones say the same."""

from companion.results import load_result


def shares(arm, kind):
    """What the stored runs of an arm got right of a kind of number, one share for each seed."""
    return [
        run["share"][kind] for run in load_result("kinds_of_numbers")["runs"] if run["arm"].rsplit(" ", 1)[0] == arm
    ]


def test_every_arm_has_its_seeds(load_script):
    script = load_script("kinds_of_numbers")
    assert {arm: len(shares(arm, "5 digits")) for arm in script.SEEDS} == script.SEEDS
    assert min(script.SEEDS.values()) >= 5


def test_as_taught_every_kind_is_translated(load_script):
    """With every seed, but for one number of one seed: a kind of nine numbers shows it."""
    runs = [run for run in load_result("kinds_of_numbers")["runs"] if run["arm"].startswith("as taught")]
    kinds = [kind for kind in runs[0]["share"] if kind not in ("0 to 100", "2 digits")]
    assert len(kinds) > 12
    assert min(run["share"][kind] for run in runs for kind in kinds) >= 0.995
    assert sum(not run["mistakes"] for run in runs) >= 9
    assert {source for run in runs for source, _ in run["mistakes"]} <= {"eighteen"}


def test_an_ordinary_test_tells_nothing_apart_and_round_numbers_do():
    arms = ("as taught", "small pieces", "large pieces", "drawn evenly", "large pieces, drawn evenly")
    assert min(min(shares(arm, "drawn by digits")) for arm in arms) >= 0.995
    both, sample = ("large pieces, drawn evenly", "drawn evenly")
    assert max(shares(both, "multiples of 1,000")) < 0.9
    assert max(shares(both, "multiples of 10,000")) < 0.7
    rounds = [shares(sample, kind) for kind in ("multiples of 10,000", "x00,00y", "100,001 to 100,099")]
    assert max(map(min, zip(*rounds, strict=True))) < 0.95  # the sample alone makes every seed fail
    assert min(shares("large pieces", "multiples of 1,000")) > 0.98  # and the pieces alone do not
    assert min(shares("small pieces", "multiples of 1,000")) >= 0.995


def test_longer_numbers_are_never_translated():
    assert max(shares("up to five digits", "6 digits")) < 0.01
    assert min(shares("up to five digits", "5 digits")) > 0.99


def test_a_small_run_separates_the_arms(load_script):
    """Trained for less than half of the time, what is taught is already ahead on round numbers."""
    script = load_script("kinds_of_numbers")
    taught, both = (script.run(f"{arm} 0", steps=400)["share"] for arm in ("as taught", "large pieces, drawn evenly"))
    assert taught["multiples of 1,000"] > both["multiples of 1,000"] + 0.2


def test_what_an_arm_does_not_see(load_script):
    script = load_script("kinds_of_numbers")
    task = script.NumberWords()
    without = {source for source, _ in script.training_pairs("words withheld", task)}
    gone = {source for source, _ in task.train} - without
    assert len(gone) > 100
    assert {source.partition(" thousand")[0] for source in gone} == {"seven", "eleven", "sixteen", "twenty", "ninety"}
    assert not [
        source for source, _ in script.training_pairs("up to five digits", task) if "hundred thousand" in source
    ]
    pieces = script.make_task("large pieces", task).target_tokenizer
    assert "undzwanzig" in pieces.tokens(range(len(pieces)))

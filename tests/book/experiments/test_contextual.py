"""The experiment `contextual`: a small run and the stored ones say the same, and so do their controls."""

from companion.results import load_result


def layer2(run, name, kind="probe"):
    return run[kind][name]["layer 2"]


def test_contextual(load_script):
    small = load_script("contextual").run(seed=1, steps=200, sentences=1000, most=20)
    stored = load_result("contextual")["runs"]
    assert len(stored) == 5
    for run in (small, *stored):
        fresh, learned, back = (layer2(run, name) for name in ("not trained", "trained", "trained, looking back"))
        no_context = run["tables"]["word and position"]
        # Pooled, the untrained encoder seems to know nearly as much; of the units it knows less than the table.
        assert learned["all"] > fresh["all"] > no_context["all"] + 0.1
        assert fresh["units"] < no_context["units"] + 0.1 < learned["units"] - 0.1
        # The balanced probe finds the units before training as well, at the cost of the hundreds.
        before, after = (layer2(run, name, "balanced probe") for name in ("not trained", "trained"))
        assert before["units"] > 0.8
        assert before["hundreds"] < 0.85 < after["hundreds"]
        # Hundred thousands are there before training, and never behind a mask that hides what follows.
        assert min(fresh["hundred thousands"], learned["hundred thousands"]) > 0.75
        assert back["hundred thousands"] < 0.5
        assert back["first word"] < 0.6 < learned["first word"]
        assert back["later word"] > 0.9


def test_vectors_come_to_differ_by_place(load_script):
    for run in load_result("contextual")["runs"]:
        gap = {}
        for name in ("not trained", "trained"):
            cosine = run["cosine"][name]["layer 2"]
            gap[name] = cosine["same word, same place"] - cosine["same word, other place"]
        assert gap["not trained"] < 0.05
        assert gap["trained"] > 0.2


def test_looking_back_costs_no_translations():
    for run in load_result("contextual")["runs"]:
        assert min(run["exact_match"].values()) > 0.95
        assert run["exact_match"]["looking back"] > run["exact_match"]["both ways"] - 0.02


def test_a_table_cannot_know_what_its_key_does_not_say(load_script):
    """The baseline is the best there is without context: within a key, it always says the most frequent place."""
    script = load_script("contextual")
    keys = [(1,), (1,), (1,), (2,)]
    places = script.torch.tensor([0, 0, 3, 1])
    assert script.table(keys, places, [(1,), (2,), (9,)]).tolist() == [0, 1, 0]

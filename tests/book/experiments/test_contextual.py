"""The experiment `contextual`: a small run and the stored ones say the same, and so do their controls."""

from companion.results import load_result


def layer2(run, name, kind="probe"):
    return run[kind][name]["layer 2"]


def test_contextual(load_script):
    # A seed that is not stored; the steps are as stored, since fewer teach an encoder that looks both ways too little.
    small = load_script("contextual").run(seed=5, most=20)
    stored = load_result("contextual")["runs"]
    assert len(stored) == 5
    for run in (small, *stored):
        fresh, learned = (layer2(run, name) for name in ("not trained", "trained"))
        no_context = run["tables"]["word and position"]
        assert learned["all"] > fresh["all"] > no_context["all"] + 0.03
        # Without context each first word is called "hundred thousands", so that thousands are what context must tell.
        assert no_context["hundred thousands"] == 1 > 0.1 > no_context["thousands"]
        assert no_context["thousands"] + 0.2 < fresh["thousands"] < learned["thousands"] - 0.1
        assert min(fresh["hundred thousands"], learned["hundred thousands"]) > 0.85
        # Units are learned in part, by the plain probe; hundreds are not.
        assert no_context["units"] + 0.1 < fresh["units"] < learned["units"] - 0.1
        assert abs(learned["hundreds"] - fresh["hundreds"]) < 0.1
        # The balanced probe finds the units before training as well, at the cost of the hundreds.
        before, after = (layer2(run, name, "balanced probe") for name in ("not trained", "trained"))
        assert before["units"] > 0.8
        assert before["hundreds"] + 0.05 < after["hundreds"] < 0.95
        # Behind a mask that hides what follows, trained or not, a first word says what the table says.
        for name in ("not trained, looking back", "trained, looking back"):
            assert layer2(run, name)["thousands"] < 0.1
            assert layer2(run, name)["first word"] == no_context["first word"] < 0.5
        assert no_context["first word"] + 0.1 < fresh["first word"] < learned["first word"]
        assert layer2(run, "trained, looking back")["later word"] > 0.9
        # Later words are read better off vectors that look back.
        assert layer2(run, "trained, looking back")["later word"] > learned["later word"]


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
        assert run["exact_match"]["looking back"] == 1


def test_a_table_cannot_know_what_its_key_does_not_say(load_script):
    """The baseline is the best there is without context: within a key, it always says the most frequent place."""
    script = load_script("contextual")
    keys = [(1,), (1,), (1,), (2,)]
    places = script.torch.tensor([0, 0, 3, 1])
    assert script.table(keys, places, [(1,), (2,), (9,)]).tolist() == [0, 1, 0]

"""The experiment `recurrence_time`: a small run and the stored ones say the same."""

from companion.results import load_result


def test_recurrence_time(load_script):
    """Alone, a sequence takes a recurrence longer than attention; a batch takes much of that lead away."""
    small = load_script("recurrence_time").run(seed=0, lengths=(256,), batch_sizes=(1,), threads=(1,), seconds=0.1)
    (arm,) = small["arms"]
    assert arm["milliseconds"]["gru"][0] > arm["milliseconds"]["attention"][0]
    stored = load_result("recurrence_time")["runs"]
    assert len(stored) == 3

    def ratio(batch_size, length):
        arms = [arm["milliseconds"] for run in stored for arm in run["arms"] if arm["batch_size"] == batch_size]
        index = stored[0]["lengths"].index(length)
        return min(arm["gru"][index] for arm in arms) / min(arm["attention"][index] for arm in arms)

    assert ratio(1, 256) > 3
    assert ratio(16, 1024) < ratio(1, 1024) / 2

"""What came of training with each bug: the experiment `bugs_in_training`, in words and in a table."""

from collections import Counter
from collections.abc import Callable
from functools import cache
from typing import Any

from companion.results import load_result

# What is right makes these models; the bugs of all other checks stand in the Transformer.
RIGHT_MODELS = {
    "rotary": "rotary",
    "additive_attention": "gru_cell",
    "gru_cell": "gru_cell",
    "rnn_cell": "rnn_cell",
}
# How training can end, worst first: the head of a column, and what an entry says.
ENDS = {
    "error": ("raises an error", ""),
    "nan": ("NaN or infinity", ""),
    "little": ("learns little", "it learns little"),
    "behind": ("falls behind", "it learns, and falls behind"),
    "noise": ("good loss, wrong output", "its loss looks right, and what it writes is wrong"),
    "alike": ("nothing to see", "hardly to be told from the right one"),
}


def checks() -> set[str]:
    """Name the checks whose bugs were trained with."""
    return {*_runs()}


def measured(check: str, bug: str) -> tuple[str, str] | None:
    """Return how the training with a bug ended, a key of `ENDS`, and a sentence; None if it was not trained with."""
    runs = _runs()
    if bug not in runs.get(check, {}):
        return None
    (found,), right = runs[check][bug], runs[RIGHT_MODELS.get(check, "transformer")]["right"]
    if "error" in found:
        where = "the first batch" if found["at"] == "at step 1" else f"the model, {found['at']},"
        return "error", f"Measured: {where} raises a `{found['error']}`."
    if "not_finite_at_step" in found:
        return "nan", f"Measured: the loss of step {found['not_finite_at_step']} is NaN or infinite."
    if found["loss"] is None:
        return "nan", "Measured: it trains, and its loss on new numbers is NaN or infinite."
    end = _end(found, right)
    return end, (
        f"Measured: {ENDS[end][1]}. Held-out loss {found['loss']:.2f} (right: {_span(right, 'loss', _plain)}); "
        f"{_percent(found['exact_match'])} % of new numbers without a mistake "
        f"(right: {_span(right, 'exact_match', _percent)} %)."
    )


def _end(found: dict[str, Any], right: list[dict[str, Any]]) -> str:
    """Sort by the loss, which everybody watches, and then by the translations."""
    loss, share = found["loss"], found["exact_match"]
    good = loss <= 1.5 * max(run["loss"] for run in right)
    if good and share >= min(run["exact_match"] for run in right) - 0.05:
        return "alike"
    if good or (loss < 0.5 and share < 0.5):
        return "noise"
    return "little" if share < 0.01 else "behind"


def table() -> str:
    """Count the ends of each check's bugs, as a Markdown table."""
    rows = {
        name: Counter(found[0] for bug in bugs if bug != "right" and (found := measured(name, bug)))
        for name, bugs in _runs().items()
    }
    rows["all"] = sum(rows.values(), Counter())
    head = ["check", "bugs", *(head for head, _ in ENDS.values())]
    lines = [head, ["---"] + ["---:"] * (len(head) - 1)]
    for name, ends in rows.items():
        said = f"[{name.replace('_', ' ')}](#guide-{name.replace('_', '-')})" if name != "all" else "all"
        lines.append([said, str(ends.total()), *(str(ends[end]) for end in ENDS)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


@cache
def _runs() -> dict[str, dict[str, list[dict[str, Any]]]]:
    """Return what is stored, by check and bug; of what is right there are several."""
    runs: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for run in load_result("bugs_in_training")["runs"]:
        check, bug, _ = run["arm"].split()
        runs.setdefault(check, {}).setdefault(bug, []).append(run)
    return runs


def _plain(value: float) -> str:
    return f"{value:.2f}"


def _percent(value: float) -> str:
    return f"{100 * value:.0f}"


def _span(runs: list[dict[str, Any]], name: str, write: Callable[[float], str]) -> str:
    values = sorted(run[name] for run in runs)
    low, high = write(values[0]), write(values[-1])
    return low if low == high else f"{low} to {high}"

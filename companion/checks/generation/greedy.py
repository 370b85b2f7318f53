"""Wrong ways of greedy decoding."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor

from companion.checks.engine.bank import Bank, section

GREEDY = section("transformer", "One token at a time")

NEVER_TRAINED = "Derived: not at all, since decoding is no part of training. It shows in what is written."

GREEDY_BUGS = Bank(section=GREEDY, derived=NEVER_TRAINED)

NextLogits = Callable[[Sequence[int]], Tensor]


def right_greedy(next_logits: NextLogits, bos_id: int, eos_id: int, max_len: int) -> list[int]:
    """Append the most likely token until it is eos, or max_len tokens are there. The bos is not returned."""
    ids = [bos_id]
    for _ in range(max_len):
        ids.append(int(next_logits(ids).argmax()))
        if ids[-1] == eos_id:
            break
    return ids[1:]


@GREEDY_BUGS.bug("How does your loop learn that the sentence is over?")
def goes_on_after_eos(next_logits: NextLogits, bos_id: int, eos_id: int, max_len: int) -> list[int]:
    """Your decoding goes on after the end token: stop as soon as eos_id is produced."""
    ids = [bos_id]
    for _ in range(max_len):
        ids.append(int(next_logits(ids).argmax()))
    return ids[1:]


@GREEDY_BUGS.bug("Do you look at the new id before or after you append it?")
def eos_dropped(next_logits: NextLogits, bos_id: int, eos_id: int, max_len: int) -> list[int]:
    """Your list lacks the end token: eos_id, when it is produced, is the last id of the result."""
    return [token for token in right_greedy(next_logits, bos_id, eos_id, max_len) if token != eos_id]


@GREEDY_BUGS.bug("The bos is given to the model, not made by it.")
def bos_returned(next_logits: NextLogits, bos_id: int, eos_id: int, max_len: int) -> list[int]:
    """Your list begins with bos_id: return only the new ids."""
    return [bos_id, *right_greedy(next_logits, bos_id, eos_id, max_len)]


@GREEDY_BUGS.bug("The bos is given to the model, not made by it; the eos is made by it.")
def bos_returned_and_eos_dropped(next_logits: NextLogits, bos_id: int, eos_id: int, max_len: int) -> list[int]:
    """Your list begins with bos_id and ends before eos_id: return the new ids only, and the end token with them."""
    return [bos_id, *eos_dropped.wrong(next_logits, bos_id, eos_id, max_len)]


@GREEDY_BUGS.bug("Which token has the highest probability: the one with the largest or the smallest logit?")
def argmin_for_argmax(next_logits: NextLogits, bos_id: int, eos_id: int, max_len: int) -> list[int]:
    """Your decoding takes the least likely token: argmin, where argmax is meant."""
    return right_greedy(lambda ids: -next_logits(ids), bos_id, eos_id, max_len)


@GREEDY_BUGS.bug("What was the first thing the decoder saw in training?")
def bos_not_given(next_logits: NextLogits, bos_id: int, eos_id: int, max_len: int) -> list[int]:
    """The model never sees the bos: what it gets should begin with bos_id."""
    return right_greedy(lambda ids: next_logits(ids[1:]), bos_id, eos_id, max_len)


@GREEDY_BUGS.bug("What was the first thing the decoder saw in training?")
def eos_given_first(next_logits: NextLogits, bos_id: int, eos_id: int, max_len: int) -> list[int]:
    """Decoding begins with eos_id; it should begin with bos_id."""
    return right_greedy(next_logits, eos_id, eos_id, max_len)


@GREEDY_BUGS.bug("What does next_logits need to know in order to continue a sentence?")
def only_newest_id_given(next_logits: NextLogits, bos_id: int, eos_id: int, max_len: int) -> list[int]:
    """The model sees only the newest id; it should see all ids so far."""
    return right_greedy(lambda ids: next_logits(ids[-1:]), bos_id, eos_id, max_len)


@GREEDY_BUGS.bug("What changes between two calls of next_logits?")
def prefix_never_grows(next_logits: NextLogits, bos_id: int, eos_id: int, max_len: int) -> list[int]:
    """The model sees the bos again and again: the ids it has made are never given back to it."""
    return right_greedy(lambda ids: next_logits([bos_id]), bos_id, eos_id, max_len)


@GREEDY_BUGS.bug("With max_len 1, how often should next_logits be called?")
def one_id_too_many(next_logits: NextLogits, bos_id: int, eos_id: int, max_len: int) -> list[int]:
    """Your decoding makes one id too many: at most max_len new ids, the bos not counted."""
    return right_greedy(next_logits, bos_id, eos_id, max_len + 1)


@GREEDY_BUGS.bug("With max_len 1, how many ids should come back?")
def one_id_too_few(next_logits: NextLogits, bos_id: int, eos_id: int, max_len: int) -> list[int]:
    """Your decoding stops one id early: max_len counts the new ids, without the bos."""
    return right_greedy(next_logits, bos_id, eos_id, max_len - 1)


@GREEDY_BUGS.bug("Does max_len appear in your code?")
def max_len_ignored(next_logits: NextLogits, bos_id: int, eos_id: int, max_len: int) -> list[int]:
    """Your decoding does not stop at max_len: without an end token it could go on for ever."""
    return right_greedy(next_logits, bos_id, eos_id, 1000)


@GREEDY_BUGS.bug(
    "One sentence needs no padding. Where does your list go on after the end?",
    also=(lambda next_logits, bos_id, eos_id, max_len: _filled(next_logits, bos_id, eos_id, max_len, 0),),
)
def filled_up_after_eos(next_logits: NextLogits, bos_id: int, eos_id: int, max_len: int) -> list[int]:
    """Your list is filled up to max_len after the end token; it should end with eos_id."""
    return _filled(next_logits, bos_id, eos_id, max_len, eos_id)


def _filled(next_logits: NextLogits, bos_id: int, eos_id: int, max_len: int, fill: int) -> list[int]:
    ids = right_greedy(next_logits, bos_id, eos_id, max_len)
    return ids + [fill] * (max_len - len(ids))


@GREEDY_BUGS.bug("The bos is given to the model, not made by it. With max_len 1, how many new ids should come back?")
def bos_returned_and_counted(next_logits: NextLogits, bos_id: int, eos_id: int, max_len: int) -> list[int]:
    """Your list begins with bos_id, which is counted in max_len, too: return the new ids only, at most max_len of
    them.
    """
    return [bos_id, *right_greedy(next_logits, bos_id, eos_id, max_len - 1)]


@GREEDY_BUGS.bug(
    "What should come back when max_len cuts the sentence off?",
    also=(
        lambda next_logits, bos_id, eos_id, max_len: _with_eos(
            right_greedy(next_logits, bos_id, eos_id, max_len), eos_id, in_place_of_the_last=True
        ),
    ),
)
def eos_added(next_logits: NextLogits, bos_id: int, eos_id: int, max_len: int) -> list[int]:
    """Your list always ends with eos_id, though it was not produced within max_len: the end token belongs there only
    if the model made it.
    """
    return _with_eos(right_greedy(next_logits, bos_id, eos_id, max_len), eos_id, in_place_of_the_last=False)


def _with_eos(ids: list[int], eos_id: int, in_place_of_the_last: bool) -> list[int]:
    if ids[-1] == eos_id:
        return ids
    return [*(ids[:-1] if in_place_of_the_last else ids), eos_id]


@GREEDY_BUGS.bug(
    "Which ids does your loop compare the new one with?",
    also=(lambda next_logits, bos_id, eos_id, max_len: _until_bos(next_logits, bos_id, eos_id, max_len, keep=False),),
)
def stops_at_bos(next_logits: NextLogits, bos_id: int, eos_id: int, max_len: int) -> list[int]:
    """Your decoding stops when bos_id is produced; only eos_id ends a sentence."""
    return _until_bos(next_logits, bos_id, eos_id, max_len)


def _until_bos(next_logits: NextLogits, bos_id: int, eos_id: int, max_len: int, keep: bool = True) -> list[int]:
    ids = right_greedy(next_logits, bos_id, eos_id, max_len)
    return ids[: ids.index(bos_id) + keep] if bos_id in ids else ids


@GREEDY_BUGS.bug("Does your code change the logits before it takes the largest?")
def bos_never_chosen(next_logits: NextLogits, bos_id: int, eos_id: int, max_len: int) -> list[int]:
    """Your decoding never chooses bos_id; greedy decoding takes the likeliest token, whichever it is."""

    def without_bos(ids: Sequence[int]) -> Tensor:
        logits = next_logits(ids).clone()
        logits[bos_id] = float("-inf")
        return logits

    return right_greedy(without_bos, bos_id, eos_id, max_len)

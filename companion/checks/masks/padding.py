"""Wrong padding masks, and wrong ways of combining masks. True means may attend."""

from __future__ import annotations

import torch
from torch import Tensor

from companion.checks.engine.bank import Bank, section

POLARITY = section("masks", "What a mask is")
PADDING = section("masks", "Padding")
COMBINING = section("masks", "Both together")
SHAPES = section("masks", "Padding")

PADDING_BUGS = Bank(section=PADDING)
COMBINE_BUGS = Bank(section=COMBINING)


# --- padding_mask(token_ids, pad_id): bool (B, 1, 1, K)


def right_padding_mask(token_ids: Tensor, pad_id: int) -> Tensor:
    """Let everybody see the real tokens only."""
    return (token_ids != pad_id)[:, None, None, :]


@PADDING_BUGS.bug("May a query attend to padding? What does your mask say there?", section=POLARITY)
def padding_inverted(token_ids: Tensor, pad_id: int) -> Tensor:
    """Your mask is inverted: it is True on the padding. True should mean 'may attend', so it belongs on real tokens."""
    return (token_ids == pad_id)[:, None, None, :]


@PADDING_BUGS.bug(
    "Does pad_id appear in your code?",
    also=(lambda token_ids, pad_id: (token_ids > 0)[:, None, None, :],),
    derived="Derived: not at all while pad_id is 0.",
)
def pad_id_taken_for_zero(token_ids: Tensor, pad_id: int) -> Tensor:
    """Your mask hides id 0, whatever pad_id is."""
    return (token_ids != 0)[:, None, None, :]


@PADDING_BUGS.bug(
    "A token is padding if its id is pad_id, and only then.",
    derived="Derived: not at all while pad_id is 0 and no id is negative.",
)
def greater_than_pad_id(token_ids: Tensor, pad_id: int) -> Tensor:
    """Your mask hides every id up to pad_id: you compare with >, which is right only if no token has a smaller id."""
    return (token_ids > pad_id)[:, None, None, :]


@PADDING_BUGS.bug(
    "Which positions of token_ids hold pad_id?",
    derived="Beside a much longer sentence many more translations are wrong, as chapter *masks* measures.",
)
def padding_not_hidden(token_ids: Tensor, pad_id: int) -> Tensor:
    """Your mask lets everybody attend to everything: the padding is not hidden."""
    return torch.ones_like(token_ids, dtype=torch.bool)[:, None, None, :]


@PADDING_BUGS.bug("Scores are (batch, heads, queries, keys). Where do the new dimensions of size 1 go?", section=SHAPES)
def padding_without_heads_and_queries(token_ids: Tensor, pad_id: int) -> Tensor:
    """Your mask has shape (batch, keys): it leaves no room for heads and queries, and would broadcast its batch onto
    the queries. It should be (batch, 1, 1, keys).
    """
    return token_ids != pad_id


@PADDING_BUGS.bug("Broadcasting lines shapes up from the right. What stands above your batch?", section=SHAPES)
def padding_without_heads(token_ids: Tensor, pad_id: int) -> Tensor:
    """Your mask has shape (batch, 1, keys): beside scores (batch, heads, queries, keys) its batch would land on the
    heads. It should be (batch, 1, 1, keys).
    """
    return (token_ids != pad_id)[:, None, :]


@PADDING_BUGS.bug("Is it the one who looks or the one looked at that has to be hidden?", section=SHAPES)
def padding_on_queries(token_ids: Tensor, pad_id: int) -> Tensor:
    """Your mask has shape (batch, 1, queries, 1): it hides padded queries, and lets real ones attend to padding. The
    keys are the last dimension: (batch, 1, 1, keys).
    """
    return (token_ids != pad_id)[:, None, :, None]


@PADDING_BUGS.bug("Nobody reads the output of a padded query. Does it need hiding?", section=SHAPES)
def padding_on_queries_and_keys(token_ids: Tensor, pad_id: int) -> Tensor:
    """Your mask hides padded queries too: these rows are then hidden from end to end. Hide the keys only, in shape
    (batch, 1, 1, keys).
    """
    real = token_ids != pad_id
    return real[:, None, None, :] & real[:, None, :, None]


@PADDING_BUGS.bug("Two sentences of different lengths: does each have a row of its own in your mask?", section=SHAPES)
def padding_of_the_first_item(token_ids: Tensor, pad_id: int) -> Tensor:
    """Your mask is that of the first item of the batch, for all items: each has padding of its own."""
    return (token_ids[:1] != pad_id)[:, None, None, :].expand(token_ids.size(0), -1, -1, -1)


@PADDING_BUGS.bug(
    "Make the answer to 'may this key be attended to?', not a number to add.",
    section=POLARITY,
    also=(lambda token_ids, pad_id: -1e9 * ~right_padding_mask(token_ids, pad_id),),
)
def additive_padding_mask(token_ids: Tensor, pad_id: int) -> Tensor:
    """Your mask holds 0 and -inf, to be added to the scores; masks here are bool, and True means 'may attend'."""
    real = right_padding_mask(token_ids, pad_id)
    return torch.zeros(real.shape).masked_fill(~real, float("-inf"))


@PADDING_BUGS.bug(
    "A batch for generation is padded at the front. What does your mask say there?",
    also=(
        lambda token_ids, pad_id: right_padding_mask(token_ids, pad_id).long().cumprod(dim=-1).bool(),
        lambda token_ids, pad_id: right_padding_mask(token_ids, pad_id).flip(-1).long().cummax(-1)[0].flip(-1).bool(),
    ),
)
def padding_only_at_the_end(token_ids: Tensor, pad_id: int) -> Tensor:
    """Your mask is right only where the padding stands at the end: you count the real tokens, or look for where the
    padding begins or ends. Compare each id with pad_id.
    """
    lengths = (token_ids != pad_id).sum(dim=1)
    return (torch.arange(token_ids.size(1)) < lengths[:, None])[:, None, None, :]


@PADDING_BUGS.bug("What does your mask say of id 0 when pad_id is 9?")
def zero_hidden_as_well(token_ids: Tensor, pad_id: int) -> Tensor:
    """Your mask hides id 0 as well as pad_id; where pad_id is another number, 0 is a token like any other."""
    return ((token_ids != pad_id) & (token_ids != 0))[:, None, None, :]


# --- combine_masks(padding, causal): bool, by AND


def right_combined(padding: Tensor, causal: Tensor) -> Tensor:
    """Let a query attend where both masks allow it."""
    return padding & causal


@COMBINE_BUGS.bug(
    "A padded key that lies in the past: may it be attended to?",
    also=(lambda padding, causal: torch.maximum(padding.int(), causal.int()),),
)
def combined_by_or(padding: Tensor, causal: Tensor) -> Tensor:
    """Your masks are combined by OR: a key is seen if either mask allows it. It should be seen only if both do: AND."""
    return padding | causal


@COMBINE_BUGS.bug("What is True + False, and may that query attend?")
def combined_by_sum(padding: Tensor, causal: Tensor) -> Tensor:
    """Your masks are added: where both allow a key the sum is 2, and it is not 0 where only one of them does.
    Combine them by AND.
    """
    return padding.int() + causal.int()


@COMBINE_BUGS.bug("What should come out where both masks are True?", also=(lambda padding, causal: padding != causal,))
def combined_by_xor(padding: Tensor, causal: Tensor) -> Tensor:
    """Your masks are combined by XOR: a key that both allow is hidden. Combine them by AND."""
    return padding ^ causal


@COMBINE_BUGS.bug("What should come out where both masks are True?", section=POLARITY)
def combined_and_inverted(padding: Tensor, causal: Tensor) -> Tensor:
    """Your result is inverted: True should mean that both masks allow it."""
    return ~(padding & causal)


@COMBINE_BUGS.bug("What should come out where both masks are False?")
def combined_by_equality(padding: Tensor, causal: Tensor) -> Tensor:
    """Your result is True where both masks are False, too: you ask whether they agree. Ask whether both allow it:
    AND.
    """
    return padding == causal


@COMBINE_BUGS.bug(
    "Does causal appear in your code?",
    also=(lambda padding, causal: padding.expand(padding.size(0), 1, *causal.shape),),
)
def only_padding(padding: Tensor, causal: Tensor) -> Tensor:
    """Your result is the padding mask alone: the causal mask is lost."""
    return padding


@COMBINE_BUGS.bug(
    "Does padding appear in your code?",
    also=(lambda padding, causal: causal.expand(padding.size(0), 1, *causal.shape),),
)
def only_causal(padding: Tensor, causal: Tensor) -> Tensor:
    """Your result is the causal mask alone: the padding mask is lost."""
    return causal


@COMBINE_BUGS.bug("The first dimension of padding is the batch. Keep it.")
def batch_lost(padding: Tensor, causal: Tensor) -> Tensor:
    """Your result is the same for the whole batch: the padding of all items is combined too. Each item has a mask of
    its own.
    """
    return (padding.all(dim=0, keepdim=True) & causal).expand(padding.size(0), 1, *causal.shape)


@COMBINE_BUGS.bug("A real token in the past: which of the two masks is True there?", section=POLARITY)
def padding_inverted_first(padding: Tensor, causal: Tensor) -> Tensor:
    """You invert the padding mask before you combine: both masks say True for 'may attend', so take both as they
    are.
    """
    return ~padding & causal


@COMBINE_BUGS.bug("A real token in the past: which of the two masks is True there?", section=POLARITY)
def causal_inverted_first(padding: Tensor, causal: Tensor) -> Tensor:
    """You invert the causal mask before you combine: both masks say True for 'may attend', so take both as they are."""
    return padding & ~causal


@COMBINE_BUGS.bug("Does your code add a diagonal?")
def diagonal_added(padding: Tensor, causal: Tensor) -> Tensor:
    """Each query may also attend to itself in your result, padding or not; padding stays hidden from everybody."""
    return (padding & causal) | torch.eye(*causal.shape, dtype=torch.bool)

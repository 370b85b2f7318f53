"""Wrong padding masks, and wrong ways of combining masks. True means may attend."""

# ruff: noqa: D103 - the sentence in a decorator is the docstring of the wrong function under it.

from __future__ import annotations

import torch
from torch import Tensor

from companion.checks._spec import Bug, bug, section

POLARITY = section("masks", "What a mask is")
PADDING = section("masks", "Padding")
COMBINING = section("masks", "Both together")
SHAPES = section("masks", "Padding")

PADDING_BUGS: list[Bug] = []
COMBINE_BUGS: list[Bug] = []


# --- padding_mask(token_ids, pad_id): bool (B, 1, 1, K)


def right_padding_mask(token_ids: Tensor, pad_id: int) -> Tensor:
    """Let everybody see the real tokens only."""
    return (token_ids != pad_id)[:, None, None, :]


@bug(
    PADDING_BUGS,
    "Your mask is inverted: it is True on the padding. True should mean 'may attend', so it belongs on real tokens.",
    hint="May a query attend to padding? What does your mask say there?",
    section=POLARITY,
)
def padding_inverted(token_ids: Tensor, pad_id: int) -> Tensor:
    return (token_ids == pad_id)[:, None, None, :]


@bug(
    PADDING_BUGS,
    "Your mask hides id 0, whatever pad_id is.",
    hint="Does pad_id appear in your code?",
    section=PADDING,
    also=(lambda token_ids, pad_id: (token_ids > 0)[:, None, None, :],),
)
def pad_id_taken_for_zero(token_ids: Tensor, pad_id: int) -> Tensor:
    return (token_ids != 0)[:, None, None, :]


@bug(
    PADDING_BUGS,
    "Your mask hides every id up to pad_id: you compare with >, which is right only if no token has a smaller id.",
    hint="A token is padding if its id is pad_id, and only then.",
    section=PADDING,
)
def greater_than_pad_id(token_ids: Tensor, pad_id: int) -> Tensor:
    return (token_ids > pad_id)[:, None, None, :]


@bug(
    PADDING_BUGS,
    "Your mask lets everybody attend to everything: the padding is not hidden.",
    hint="Which positions of token_ids hold pad_id?",
    section=PADDING,
)
def padding_not_hidden(token_ids: Tensor, pad_id: int) -> Tensor:
    return torch.ones_like(token_ids, dtype=torch.bool)[:, None, None, :]


@bug(
    PADDING_BUGS,
    "Your mask has shape (batch, keys): it leaves no room for heads and queries, and would broadcast its batch onto "
    "the queries. It should be (batch, 1, 1, keys).",
    hint="Scores are (batch, heads, queries, keys). Where do the new dimensions of size 1 go?",
    section=SHAPES,
)
def padding_without_heads_and_queries(token_ids: Tensor, pad_id: int) -> Tensor:
    return token_ids != pad_id


@bug(
    PADDING_BUGS,
    "Your mask has shape (batch, 1, keys): beside scores (batch, heads, queries, keys) its batch would land on the "
    "heads. It should be (batch, 1, 1, keys).",
    hint="Broadcasting lines shapes up from the right. What stands above your batch?",
    section=SHAPES,
)
def padding_without_heads(token_ids: Tensor, pad_id: int) -> Tensor:
    return (token_ids != pad_id)[:, None, :]


@bug(
    PADDING_BUGS,
    "Your mask has shape (batch, 1, queries, 1): it hides padded queries, and lets real ones attend to padding. The "
    "keys are the last dimension: (batch, 1, 1, keys).",
    hint="Is it the one who looks or the one looked at that has to be hidden?",
    section=SHAPES,
)
def padding_on_queries(token_ids: Tensor, pad_id: int) -> Tensor:
    return (token_ids != pad_id)[:, None, :, None]


@bug(
    PADDING_BUGS,
    "Your mask hides padded queries too: these rows are then hidden from end to end. Hide the keys only, in shape "
    "(batch, 1, 1, keys).",
    hint="Nobody reads the output of a padded query. Does it need hiding?",
    section=SHAPES,
)
def padding_on_queries_and_keys(token_ids: Tensor, pad_id: int) -> Tensor:
    real = token_ids != pad_id
    return real[:, None, None, :] & real[:, None, :, None]


@bug(
    PADDING_BUGS,
    "Your mask holds 0 and -inf, to be added to the scores; masks here are bool, and True means 'may attend'.",
    hint="Make the answer to 'may this key be attended to?', not a number to add.",
    section=POLARITY,
    also=(lambda token_ids, pad_id: -1e9 * ~right_padding_mask(token_ids, pad_id),),
)
def additive_padding_mask(token_ids: Tensor, pad_id: int) -> Tensor:
    real = right_padding_mask(token_ids, pad_id)
    return torch.zeros(real.shape).masked_fill(~real, float("-inf"))


@bug(
    PADDING_BUGS,
    "Your mask is right only where the padding stands at the end: you count the real tokens, or look for where the "
    "padding begins or ends. Compare each id with pad_id.",
    hint="A batch for generation is padded at the front. What does your mask say there?",
    section=PADDING,
    also=(
        lambda token_ids, pad_id: right_padding_mask(token_ids, pad_id).long().cumprod(dim=-1).bool(),
        lambda token_ids, pad_id: right_padding_mask(token_ids, pad_id).flip(-1).long().cummax(-1)[0].flip(-1).bool(),
    ),
)
def padding_only_at_the_end(token_ids: Tensor, pad_id: int) -> Tensor:
    lengths = (token_ids != pad_id).sum(dim=1)
    return (torch.arange(token_ids.size(1)) < lengths[:, None])[:, None, None, :]


@bug(
    PADDING_BUGS,
    "Your mask hides id 0 as well as pad_id; where pad_id is another number, 0 is a token like any other.",
    hint="What does your mask say of id 0 when pad_id is 9?",
    section=PADDING,
)
def zero_hidden_as_well(token_ids: Tensor, pad_id: int) -> Tensor:
    return ((token_ids != pad_id) & (token_ids != 0))[:, None, None, :]


# --- combine_masks(padding, causal): bool, by AND


def right_combined(padding: Tensor, causal: Tensor) -> Tensor:
    """Let a query attend where both masks allow it."""
    return padding & causal


@bug(
    COMBINE_BUGS,
    "Your masks are combined by OR: a key is seen if either mask allows it. It should be seen only if both do: AND.",
    hint="A padded key that lies in the past: may it be attended to?",
    section=COMBINING,
    also=(lambda padding, causal: torch.maximum(padding.int(), causal.int()),),
)
def combined_by_or(padding: Tensor, causal: Tensor) -> Tensor:
    return padding | causal


@bug(
    COMBINE_BUGS,
    "Your masks are added: where both allow a key the sum is 2, and it is not 0 where only one of them does. Combine "
    "them by AND.",
    hint="What is True + False, and may that query attend?",
    section=COMBINING,
)
def combined_by_sum(padding: Tensor, causal: Tensor) -> Tensor:
    return padding.int() + causal.int()


@bug(
    COMBINE_BUGS,
    "Your masks are combined by XOR: a key that both allow is hidden. Combine them by AND.",
    hint="What should come out where both masks are True?",
    section=COMBINING,
    also=(lambda padding, causal: padding != causal,),
)
def combined_by_xor(padding: Tensor, causal: Tensor) -> Tensor:
    return padding ^ causal


@bug(
    COMBINE_BUGS,
    "Your result is inverted: True should mean that both masks allow it.",
    hint="What should come out where both masks are True?",
    section=POLARITY,
)
def combined_and_inverted(padding: Tensor, causal: Tensor) -> Tensor:
    return ~(padding & causal)


@bug(
    COMBINE_BUGS,
    "Your result is True where both masks are False, too: you ask whether they agree. Ask whether both allow it: AND.",
    hint="What should come out where both masks are False?",
    section=COMBINING,
)
def combined_by_equality(padding: Tensor, causal: Tensor) -> Tensor:
    return padding == causal


@bug(
    COMBINE_BUGS,
    "Your result is the padding mask alone: the causal mask is lost.",
    hint="Does causal appear in your code?",
    section=COMBINING,
    also=(lambda padding, causal: padding.expand(padding.size(0), 1, *causal.shape),),
)
def only_padding(padding: Tensor, causal: Tensor) -> Tensor:
    return padding


@bug(
    COMBINE_BUGS,
    "Your result is the causal mask alone: the padding mask is lost.",
    hint="Does padding appear in your code?",
    section=COMBINING,
    also=(lambda padding, causal: causal.expand(padding.size(0), 1, *causal.shape),),
)
def only_causal(padding: Tensor, causal: Tensor) -> Tensor:
    return causal


@bug(
    COMBINE_BUGS,
    "Your result is the same for the whole batch: the padding of all items is combined too. Each item has a mask of "
    "its own.",
    hint="The first dimension of padding is the batch. Keep it.",
    section=COMBINING,
)
def batch_lost(padding: Tensor, causal: Tensor) -> Tensor:
    return (padding.all(dim=0, keepdim=True) & causal).expand(padding.size(0), 1, *causal.shape)


@bug(
    COMBINE_BUGS,
    "You invert the padding mask before you combine: both masks say True for 'may attend', so take both as they are.",
    hint="A real token in the past: which of the two masks is True there?",
    section=POLARITY,
)
def padding_inverted_first(padding: Tensor, causal: Tensor) -> Tensor:
    return ~padding & causal


@bug(
    COMBINE_BUGS,
    "You invert the causal mask before you combine: both masks say True for 'may attend', so take both as they are.",
    hint="A real token in the past: which of the two masks is True there?",
    section=POLARITY,
)
def causal_inverted_first(padding: Tensor, causal: Tensor) -> Tensor:
    return padding & ~causal


@bug(
    COMBINE_BUGS,
    "Each query may also attend to itself in your result, padding or not; padding stays hidden from everybody.",
    hint="Does your code add a diagonal?",
    section=COMBINING,
)
def diagonal_added(padding: Tensor, causal: Tensor) -> Tensor:
    return (padding & causal) | torch.eye(*causal.shape, dtype=torch.bool)

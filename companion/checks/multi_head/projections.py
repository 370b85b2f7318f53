"""Wrong multi-head layers: what is projected, by which weights."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from companion.checks import in_training
from companion.checks.engine.bank import Bank
from companion.checks.multi_head.right import LOOPS, PROJECTS, WRONG

Three = tuple[Tensor, Tensor, Tensor]

PROJECT_BUGS = Bank(part="project", section=PROJECTS)


@PROJECT_BUGS.bug(
    "Which of your four Linear layers does forward never call?",
    also=(
        lambda self, query, memory: (self.k_proj(query), self.k_proj(memory), self.k_proj(memory)),
        lambda self, query, memory: (self.v_proj(query), self.v_proj(memory), self.v_proj(memory)),
    ),
)
def one_projection_for_all(self: Any, query: Tensor, memory: Tensor) -> Three:
    """One projection makes queries, keys and values; each has weights of its own: q_proj, k_proj and v_proj."""
    return self.q_proj(query), self.q_proj(memory), self.q_proj(memory)


@PROJECT_BUGS.bug(
    "Which of the three goes into the scores, and which is averaged with the weights?", derived=in_training.RENAMED
)
def keys_and_values_swapped(self: Any, query: Tensor, memory: Tensor) -> Three:
    """Keys and values are swapped: k_proj makes what is averaged, v_proj what is compared with the queries."""
    return self.q_proj(query), self.v_proj(memory), self.k_proj(memory)


@PROJECT_BUGS.bug("Follow q_proj through your forward: what does its output become?", derived=in_training.RENAMED)
def queries_and_keys_swapped(self: Any, query: Tensor, memory: Tensor) -> Three:
    """q_proj and k_proj are swapped: q_proj belongs to the queries, k_proj to the keys."""
    return self.k_proj(query), self.q_proj(memory), self.v_proj(memory)


@PROJECT_BUGS.bug("Follow q_proj through your forward: what does its output become?", derived=in_training.RENAMED)
def queries_and_values_swapped(self: Any, query: Tensor, memory: Tensor) -> Three:
    """q_proj and v_proj are swapped: q_proj belongs to the queries, v_proj to the values."""
    return self.v_proj(query), self.k_proj(memory), self.q_proj(memory)


@PROJECT_BUGS.bug("Where does your forward use v_proj?")
def keys_averaged(self: Any, query: Tensor, memory: Tensor) -> Three:
    """What you average are the keys; it should be the values, which v_proj makes."""
    return self.q_proj(query), self.k_proj(memory), self.k_proj(memory)


@PROJECT_BUGS.bug("Where does your forward use k_proj?")
def keys_from_q_proj(self: Any, query: Tensor, memory: Tensor) -> Three:
    """Your keys are made with the weights of the queries: k_proj is not used."""
    return self.q_proj(query), self.q_proj(memory), self.v_proj(memory)


@PROJECT_BUGS.bug("Where in forward does memory appear?", section=WRONG)
def memory_ignored(self: Any, query: Tensor, memory: Tensor) -> Three:
    """memory is ignored: keys and values are made of the query's sequence. Where a memory is given, they come from
    it.
    """
    return self.q_proj(query), self.k_proj(query), self.v_proj(query)


@PROJECT_BUGS.bug("For how many tokens should the layer return something?", section=WRONG)
def query_and_memory_swapped(self: Any, query: Tensor, memory: Tensor) -> Three:
    """Query and memory are swapped: your output has as many tokens as the memory. Queries come from query, keys and
    values from memory.
    """
    return self.q_proj(memory), self.k_proj(query), self.v_proj(query)


@PROJECT_BUGS.bug("A weight belongs to a key. Whose value does it weigh?", section=WRONG)
def values_from_the_query(self: Any, query: Tensor, memory: Tensor) -> Three:
    """Only the queries' source is right: your values come from the query's sequence. Keys and values both come from
    memory.
    """
    return self.q_proj(query), self.k_proj(memory), self.v_proj(query)


@PROJECT_BUGS.bug(
    "How many keys should there be when the memory has 7 tokens?",
    section=WRONG,
    also=(lambda self, query, memory: _both(self, query, torch.cat([memory, query], dim=1), memory is query),),
)
def query_joins_the_memory(self: Any, query: Tensor, memory: Tensor) -> Three:
    """Keys and values come from the query's sequence and the memory together; where a memory is given, they come
    from it alone.
    """
    return _both(self, query, torch.cat([query, memory], dim=1), memory is query)


def _both(self: Any, query: Tensor, joined: Tensor, alone: bool) -> Three:
    source = query if alone else joined
    return self.q_proj(query), self.k_proj(source), self.v_proj(source)


@PROJECT_BUGS.bug("Which of your four Linear layers does forward never call?")
def nothing_projected(self: Any, query: Tensor, memory: Tensor) -> Three:
    """Queries, keys and values are not projected: you attend with the inputs themselves."""
    return query, memory, memory


@PROJECT_BUGS.bug("Where does your forward use v_proj?")
def values_not_projected(self: Any, query: Tensor, memory: Tensor) -> Three:
    """The values are not projected: you average the inputs themselves."""
    return self.q_proj(query), self.k_proj(memory), memory


@PROJECT_BUGS.bug("Change one feature of the input. How many heads should notice?")
def slices_of_the_embedding(self: Any, query: Tensor, memory: Tensor) -> Three:
    """Each head projects only its slice of the embedding. Every head projects the whole input; it is what comes out
    that is reshaped into heads.
    """
    width = query.size(-1) // self.num_heads

    def sliced(linear: nn.Linear, x: Tensor) -> Tensor:
        parts = [slice(h * width, (h + 1) * width) for h in range(self.num_heads)]
        return torch.cat([F.linear(x[..., p], linear.weight[p, p], linear.bias[p]) for p in parts], dim=-1)

    return sliced(self.q_proj, query), sliced(self.k_proj, memory), sliced(self.v_proj, memory)


@PROJECT_BUGS.bug("Which rows of the weight matrix does your head h use?", section=LOOPS)
def first_head_for_all(self: Any, query: Tensor, memory: Tensor) -> Three:
    """All heads use the weights of the first: every head has rows of its own in q_proj, k_proj and v_proj."""
    width = query.size(-1) // self.num_heads
    every = (self.q_proj(query), self.k_proj(memory), self.v_proj(memory))
    query, key, value = (x[..., :width].repeat(1, 1, self.num_heads) for x in every)
    return query, key, value


@PROJECT_BUGS.bug("A Linear layer computes x W^T + b. Do you call it, or use its weight?", section=WRONG)
def biases_dropped(self: Any, query: Tensor, memory: Tensor) -> Three:
    """The biases of q_proj, k_proj and v_proj are dropped. Fresh layers of torch may have small ones, and a trained
    one has not.
    """
    weights = self.q_proj.weight, self.k_proj.weight, self.v_proj.weight
    return F.linear(query, weights[0]), F.linear(memory, weights[1]), F.linear(memory, weights[2])


@PROJECT_BUGS.bug(
    "W is square, so both ways fit. Which index of W belongs to the output?",
    section=WRONG,
    also=(lambda self, query, memory: tuple(x - b for x, b in _untransposed(self, query, memory)),),
    derived=in_training.RENAMED,
)
def weights_not_transposed(self: Any, query: Tensor, memory: Tensor) -> Three:
    """You multiply by W where it should be its transpose: torch keeps a row for each feature of the output, so a
    projection is x W^T + b.
    """
    query, key, value = (x for x, _ in _untransposed(self, query, memory))
    return query, key, value


def _untransposed(self: Any, query: Tensor, memory: Tensor) -> list[tuple[Tensor, Tensor]]:
    pairs = ((self.q_proj, query), (self.k_proj, memory), (self.v_proj, memory))
    return [(x @ linear.weight + linear.bias, linear.bias) for linear, x in pairs]

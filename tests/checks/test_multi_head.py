"""`check.split_heads`, `check.merge_heads` and `check.multi_head`."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import companion
from companion import check

INF = float("inf")

SPLITS = [
    companion.split_heads,
    lambda x, num_heads: x.view(*x.shape[:2], num_heads, -1).transpose(1, 2),
    lambda x, num_heads: x.reshape(*x.shape[:-1], num_heads, x.size(-1) // num_heads).permute(0, 2, 1, 3),
    lambda x, num_heads: torch.stack(x.chunk(num_heads, dim=-1), dim=1),
    lambda x, num_heads: torch.stack(x.split(x.size(-1) // num_heads, dim=-1), dim=1).contiguous(),
    lambda x, num_heads: torch.einsum("blhe->bhle", x.unflatten(-1, (num_heads, -1))),
    lambda x, num_heads: x.mT.unflatten(1, (num_heads, -1)).mT,
]

MERGES = [
    companion.merge_heads,
    lambda x: x.transpose(1, 2).reshape(x.size(0), x.size(2), -1),
    lambda x: x.permute(0, 2, 1, 3).contiguous().view(x.size(0), x.size(2), -1),
    lambda x: torch.cat(x.unbind(1), dim=-1),
    lambda x: torch.cat([x[:, h] for h in range(x.size(1))], dim=2),
    lambda x: torch.einsum("bhle->blhe", x).flatten(-2),
    lambda x: x.mT.flatten(1, 2).mT,
]


@pytest.mark.parametrize("function", SPLITS)
def test_right_splits_pass(function):
    assert repr(check.split_heads(function)) == "split_heads: passed."


@pytest.mark.parametrize("function", MERGES)
def test_right_merges_pass(function):
    assert repr(check.merge_heads(function)) == "merge_heads: passed."


# --- right layers, written in different ways


class Base(nn.Module):
    """The four projections; what follows only says how they are used."""

    def __init__(self, d_model, num_heads):
        super().__init__()
        self.num_heads = num_heads
        self.head_dim = d_model // num_heads
        self.q_proj = nn.Linear(d_model, d_model)
        self.k_proj = nn.Linear(d_model, d_model)
        self.v_proj = nn.Linear(d_model, d_model)
        self.out_proj = nn.Linear(d_model, d_model)

    def split(self, x):
        return x.view(*x.shape[:2], self.num_heads, self.head_dim).transpose(1, 2)

    def attend(self, q, k, v, mask):
        scores = q @ k.transpose(-2, -1) / self.head_dim**0.5
        if mask is not None:
            scores = scores.masked_fill(~mask, -INF)
        return scores.softmax(dim=-1).nan_to_num(0.0) @ v


class Textbook(Base):
    def forward(self, query, memory=None, mask=None):
        memory = query if memory is None else memory
        q, k, v = self.split(self.q_proj(query)), self.split(self.k_proj(memory)), self.split(self.v_proj(memory))
        return self.out_proj(self.attend(q, k, v, mask).transpose(1, 2).flatten(2))


class LoopOverHeads(Base):
    def forward(self, query, memory=None, mask=None):
        memory = query if memory is None else memory
        q, k, v = self.q_proj(query), self.k_proj(memory), self.v_proj(memory)
        heads = []
        for h in range(self.num_heads):
            own = slice(h * self.head_dim, (h + 1) * self.head_dim)
            of_head = mask[:, h] if mask is not None and mask.dim() == 4 and mask.size(1) > 1 else mask
            of_head = of_head[:, 0] if of_head is not None and of_head.dim() == 4 else of_head
            heads.append(self.attend(q[..., own], k[..., own], v[..., own], of_head))
        return self.out_proj(torch.cat(heads, dim=-1))


class LoopOverRowsOfTheWeights(Base):
    def forward(self, query, memory=None, mask=None):
        memory = query if memory is None else memory
        total = self.out_proj.bias
        for h in range(self.num_heads):
            rows = slice(h * self.head_dim, (h + 1) * self.head_dim)
            q, k, v = (
                F.linear(x, proj.weight[rows], proj.bias[rows])[:, None]
                for x, proj in ((query, self.q_proj), (memory, self.k_proj), (memory, self.v_proj))
            )
            own = mask[:, h : h + 1] if mask is not None and mask.dim() == 4 and mask.size(1) > 1 else mask
            total = total + self.attend(q, k, v, own)[:, 0] @ self.out_proj.weight[:, rows].T
        return total


class Einsum(Base):
    def forward(self, query, memory=None, mask=None):
        memory = query if memory is None else memory
        q, k, v = (
            proj(x).unflatten(-1, (self.num_heads, -1))
            for x, proj in ((query, self.q_proj), (memory, self.k_proj), (memory, self.v_proj))
        )
        scores = torch.einsum("bqhe,bkhe->bhqk", q, k) / self.head_dim**0.5
        if mask is not None:
            scores = scores.masked_fill(~mask, -INF)
        weights = scores.softmax(-1).nan_to_num()
        return self.out_proj(torch.einsum("bhqk,bkhe->bqhe", weights, v).flatten(2))


class FusedProjection(Base):
    def forward(self, query, memory=None, mask=None):
        projections = (self.q_proj, self.k_proj, self.v_proj)
        weight, bias = torch.cat([p.weight for p in projections]), torch.cat([p.bias for p in projections])
        d_model = query.size(-1)
        if memory is None:
            q, k, v = F.linear(query, weight, bias).chunk(3, dim=-1)
        else:
            q = F.linear(query, weight[:d_model], bias[:d_model])
            k, v = F.linear(memory, weight[d_model:], bias[d_model:]).chunk(2, dim=-1)
        return self.out_proj(self.attend(self.split(q), self.split(k), self.split(v), mask).transpose(1, 2).flatten(2))


class TorchKernel(Base):
    def forward(self, query, memory=None, mask=None):
        memory = query if memory is None else memory
        q, k, v = self.split(self.q_proj(query)), self.split(self.k_proj(memory)), self.split(self.v_proj(memory))
        found = F.scaled_dot_product_attention(q, k, v, mask)
        if mask is not None:
            found = found.masked_fill(~mask.any(dim=-1, keepdim=True), 0.0)
        return self.out_proj(found.transpose(1, 2).flatten(2))


class TorchFunction(Base):
    def forward(self, query, memory=None, mask=None):
        memory = query if memory is None else memory
        if mask is not None:
            full = mask.expand(query.size(0), self.num_heads, query.size(1), memory.size(1))
            mask = ~full.reshape(-1, *full.shape[2:])
        output, _ = F.multi_head_attention_forward(
            query.transpose(0, 1), memory.transpose(0, 1), memory.transpose(0, 1), query.size(-1), self.num_heads,
            None, torch.cat([self.q_proj.bias, self.k_proj.bias, self.v_proj.bias]), None, None, False, 0.0,
            self.out_proj.weight, self.out_proj.bias, training=False, need_weights=False, attn_mask=mask,
            use_separate_proj_weight=True, q_proj_weight=self.q_proj.weight, k_proj_weight=self.k_proj.weight,
            v_proj_weight=self.v_proj.weight,
        )  # fmt: skip
        return output.transpose(0, 1)


class WithWeights(Base):
    def forward(self, query, memory=None, mask=None):
        memory = query if memory is None else memory
        q, k = self.split(self.q_proj(query)), self.split(self.k_proj(memory))
        weights = companion.attention_weights(q, k, mask)
        return self.out_proj((weights @ self.split(self.v_proj(memory))).transpose(1, 2).flatten(2)), weights


class FoldedIntoTheBatch(Base):
    def fold(self, x):
        return self.split(x).flatten(0, 1)

    def forward(self, query, memory=None, mask=None):
        memory = query if memory is None else memory
        q, k, v = self.fold(self.q_proj(query)), self.fold(self.k_proj(memory)), self.fold(self.v_proj(memory))
        if mask is not None:
            mask = mask.expand(query.size(0), self.num_heads, query.size(1), memory.size(1)).flatten(0, 1)
        found = self.attend(q, k, v, mask).unflatten(0, (-1, self.num_heads))
        return self.out_proj(found.transpose(1, 2).flatten(2))


class WithDropout(Textbook):
    def attend(self, q, k, v, mask):
        return F.dropout(super().attend(q, k, v, mask), 0.1, self.training)


class Projection(nn.Module):
    """A linear layer of one's own, with torch's names."""

    def __init__(self, d_model):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(d_model, d_model))
        self.bias = nn.Parameter(torch.zeros(d_model))

    def forward(self, x):
        return x @ self.weight.T + self.bias


class OwnParameters(Textbook):
    def __init__(self, d_model, num_heads):
        super().__init__(d_model, num_heads)
        self.q_proj, self.k_proj, self.v_proj, self.out_proj = (Projection(d_model) for _ in range(4))


class InFloat32(Textbook):
    def attend(self, q, k, v, mask):
        return super().attend(q.float(), k.float(), v.float(), mask).to(q.dtype)


class WithAnotherChild(Textbook):
    """A submodule beside the four does no harm, as long as it has no parameters."""

    def __init__(self, d_model, num_heads):
        super().__init__(d_model, num_heads)
        self.dropout = nn.Dropout(0.2)

    def attend(self, q, k, v, mask):
        return self.dropout(super().attend(q, k, v, mask))


LAYERS = [
    companion.MultiHeadAttention,
    Textbook,
    LoopOverHeads,
    LoopOverRowsOfTheWeights,
    Einsum,
    FusedProjection,
    TorchKernel,
    TorchFunction,
    WithWeights,
    FoldedIntoTheBatch,
    WithDropout,
    OwnParameters,
    InFloat32,
    WithAnotherChild,
]


@pytest.mark.parametrize("cls", LAYERS)
def test_right_layers_pass(cls):
    assert repr(check.multi_head(cls)) == "multi_head: passed."


def test_nan_for_a_query_that_may_attend_to_nothing_is_a_warning():
    class NotANumber(Textbook):
        def attend(self, q, k, v, mask):
            scores = q @ k.mT / self.head_dim**0.5
            return (scores if mask is None else scores.masked_fill(~mask, -INF)).softmax(dim=-1) @ v

    report = check.multi_head(NotANumber)
    assert report.passed
    assert report.warnings[0].startswith("A query that may attend to nothing gets NaN")


def test_a_layer_that_only_knows_float32_passes_with_a_warning():
    class Float32(Textbook):
        def attend(self, q, k, v, mask):
            scores = torch.zeros(*q.shape[:-1], k.size(-2)) + q @ k.mT / self.head_dim**0.5
            scores = scores.float() if mask is None else scores.float().masked_fill(~mask, -INF)
            return scores.softmax(-1).nan_to_num() @ v  # fails on float64 values

    report = check.multi_head(Float32)
    assert report.passed
    assert report.warnings[0].startswith("Your function works with float32 inputs only")


# --- wrong


def both(*names):
    one = check.CHECKS["multi_head"]
    entries = [entry for name in names for entry in one.bank if entry.name == name]
    return one.assemble({entry.part: entry.wrong for entry in entries})


@pytest.mark.parametrize(
    "names",
    [
        ("split_without_transpose", "merged_without_transpose"),
        ("scaled_by_d_model", "mask_read_inverted"),
        ("scores_not_scaled", "no_output_projection"),
        ("one_projection_for_all", "scaled_by_num_heads"),
        ("biases_dropped", "mask_not_used"),
        ("memory_ignored", "output_bias_dropped"),
        ("keys_and_values_swapped", "order_of_heads_reversed"),
        ("weights_not_transposed", "softmax_over_the_heads"),
        ("split_without_transpose", "residual_added"),
        ("mask_lands_on_the_heads", "scores_not_scaled"),
    ],
)
def test_two_bugs_at_once_are_both_named(names):
    report = check.multi_head(both(*names), raises=False)
    assert set(report.bugs) == set(names)
    assert report.message.startswith("Two things at once. ")


class NoMask(Textbook):
    def attend(self, q, k, v, mask):
        return super().attend(q, k, v, None)


class Shifted(Textbook):
    """The keys and values are those of the token after, so something leaks, in a way that has no name."""

    def attend(self, q, k, v, mask):
        return super().attend(q, k, v.roll(-1, dims=-2), mask)


class MixedBatch(Textbook):
    def forward(self, query, memory=None, mask=None):
        return super().forward(query, memory, mask) + 0.1 * query.mean(dim=(0, 1))


class IdleOutput(Textbook):
    def forward(self, query, memory=None, mask=None):
        return 2.0 * self.v_proj(super().forward(query, memory, mask)) * 0 + self.q_proj(query)


class Ordered(Textbook):
    def forward(self, query, memory=None, mask=None):
        return super().forward(query, memory, mask) + torch.arange(query.size(1)).to(query)[:, None]


class SelfOnly(Textbook):
    """A token sees itself alone."""

    def attend(self, q, k, v, mask):
        return v if q.shape == v.shape else v[..., : q.size(-2), :]


@pytest.mark.parametrize(
    ("cls", "start"),
    [
        (
            Shifted,
            "Under a causal mask, changing token 1 moves the output of token 0, which may not attend to it; there",
        ),
        (MixedBatch, "Changing the second item of the batch moves the first."),
        (IdleOutput, "With a memory, changing memory, k_proj.weight, "),
        (Ordered, "Without a mask, the same tokens in reversed order should give the same outputs in reversed order"),
        (
            SelfOnly,
            "Under a causal mask, changing token 0 does not move the output of token 1, which may attend to it.",
        ),
    ],
)
def test_unknown_layers_are_rejected_with_facts_and_without_a_name(cls, start):
    report = check.multi_head(cls, raises=False)
    assert not report.passed
    assert report.bugs == ()
    assert any(fact.startswith(start) for fact in report.facts), report.facts


def test_the_picture_of_influences_shows_the_leaks_of_a_forgotten_transpose():
    report = check.multi_head(both("split_without_transpose"), raises=False)
    assert report.facts[0].startswith("Under a causal mask, changing token ")
    (table,) = report.tables
    assert table.caption.startswith("Under a causal mask: 1 where changing a token")
    assert any(wrong for row, line in enumerate(table.wrong) for wrong in line[row + 1 :])


def test_a_mask_without_effect_is_told_with_its_leaks():
    report = check.multi_head(NoMask, raises=False)
    assert report.bugs == ("mask_not_used",)
    assert "there are 21 such leaks" in report.facts[0]


def test_dropout_in_eval_mode_is_told():
    class Dropped(Textbook):
        def attend(self, q, k, v, mask):
            return F.dropout(super().attend(q, k, v, mask), 0.1)

    report = check.multi_head(Dropped, raises=False)
    assert report.message.startswith("Two calls with the same inputs give different outputs: something random, such as")


class WithoutBiases(Textbook):
    def __init__(self, d_model, num_heads):
        super().__init__(d_model, num_heads)
        self.q_proj = nn.Linear(d_model, d_model, bias=False)


class OneInputProjection(nn.Module):
    def __init__(self, d_model, num_heads):
        super().__init__()
        self.in_proj = nn.Linear(d_model, 3 * d_model)
        self.out_proj = nn.Linear(d_model, d_model)

    def forward(self, query, memory=None, mask=None):
        return self.out_proj(self.in_proj(query).chunk(3, dim=-1)[0])


class NarrowHead(Textbook):
    def __init__(self, d_model, num_heads):
        super().__init__(d_model, num_heads)
        self.q_proj = nn.Linear(d_model // num_heads, d_model)


@pytest.mark.parametrize(
    ("cls", "message"),
    [
        (WithoutBiases, "Your class has no parameter q_proj.bias: is bias=False said somewhere?"),
        (OneInputProjection, "Your class has no parameter q_proj.weight, q_proj.bias, k_proj.weight, k_proj.bias and"),
        (NarrowHead, "Your parameter q_proj.weight has shape (15, 5); it should be (15, 15)."),
        (
            Textbook(6, 2),
            "The check needs the class itself, cls(d_model, num_heads), with forward(query, memory, mask)",
        ),
    ],
)
def test_a_class_of_another_form_is_told_what_is_missing(cls, message):
    assert check.multi_head(cls, raises=False).message.startswith(message)


def test_a_memory_without_a_default_is_told():
    class Needy(Textbook):
        def forward(self, query, memory, mask=None):
            return super().forward(query, memory, mask)

    report = check.multi_head(Needy, raises=False)
    assert "missing 1 required positional argument: 'memory'" in report.message


def test_interleaved_heads_pass_every_test_but_foreign_weights():
    # On its own such a layer is consistent: the check finds it, because it brings weights.
    one = check.CHECKS["multi_head"]
    (entry,) = [entry for entry in one.bank if entry.name == "heads_interleaved"]
    assert check.multi_head(entry.wrong, raises=False).bugs == ("heads_interleaved",)


@pytest.mark.parametrize("shape", [(2, 3, 4), (2, 6, 3, 2)])
def test_unknown_splits_and_merges_are_rejected_without_a_name(shape):
    report = check.split_heads(lambda x, num_heads: x.new_zeros(shape) + x.sum(), raises=False)
    assert report.bugs == ()
    assert "should be (2, 3, 6, 5)" in report.message
    report = check.merge_heads(lambda x: x.new_zeros(shape) + x.sum(), raises=False)
    assert report.bugs == ()


def test_a_layer_that_does_not_use_num_heads_gets_that_as_a_fact():
    class One(Textbook):
        def forward(self, query, memory=None, mask=None):
            memory = query if memory is None else memory
            scores = self.q_proj(query) @ self.k_proj(memory).mT / query.size(-1) ** 0.5
            return self.out_proj(scores.softmax(dim=-1) @ self.v_proj(memory)).tanh()

    facts = check.multi_head(One, raises=False).facts
    assert "With 3 heads and with 15 your output is the same." in facts


def test_the_parameters_that_get_no_gradient_are_named():
    class Cut(Textbook):
        def forward(self, query, memory=None, mask=None):
            memory = query if memory is None else memory
            heads = companion.split_heads(self.v_proj(memory).detach(), self.num_heads)
            queries, keys = self.q_proj(query), self.k_proj(memory)
            queries, keys = (companion.split_heads(x, self.num_heads) for x in (queries, keys))
            found = companion.scaled_dot_product_attention(queries, keys, heads, mask)
            return self.out_proj(companion.merge_heads(found))

    message = check.multi_head(Cut, raises=False).message
    assert "no gradient reaches v_proj.weight, v_proj.bias: part of the computation is detached." in message


RIGHT_ANSWERS = {"split_heads": SPLITS, "merge_heads": MERGES, "multi_head": LAYERS}

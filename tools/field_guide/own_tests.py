"""Tests that a reader runs on a model of their own. The guide shows them from here, and asks each bug for them.

Each returns True where all is well. They stand on torch alone, but for `how_far`, which the page shows as well, so
that a reader can copy them; and on short lines, so that a page shows them whole.

Shapes: B batch, H heads, L length, D features, Q queries, K keys.
"""

import torch
from torch.nn.functional import one_hot

from companion.checks import how_far


def rows_sum_to_one(weights):
    """Attention weights (..., Q, K): none negative, each row sums to 1.

    In eval mode: dropout takes weights out, and makes the others larger.
    """
    sums = weights.sum(dim=-1)
    right = torch.allclose(sums, torch.ones_like(sums))
    return right and bool((weights >= 0).all())


def alike(layer):
    """The layer, in which every call draws the same dropout.

    Else two calls differ in train mode, whatever the layer does. The
    random numbers that you draw afterwards stay what they were.
    """

    def call(x):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return layer(x)

    return call


def each_token(x):
    """Copies of x (B, L, D), one for each token, which is another in it."""
    copies = []
    for s in range(x.size(1)):
        copy = x.clone()
        copy[:, s] = copy[:, s].flip(-1) + 1.0
        copies.append(copy)
    return copies


def hides(layer, x, mask):
    """Whether what a mask (B, L, L) hides moves nothing.

    layer takes x (B, L, D) and returns as many tokens, in train mode or
    in eval mode.
    """
    far = how_far(alike(layer), x, each_token(x))  # (S, B, T)
    moved = (far > 1e-6).permute(1, 2, 0)  # (B, T, S)
    itself = torch.eye(x.size(1), dtype=torch.bool)  # it may well do that
    return not (moved & ~mask & ~itself).any()


def shows(layer, x, mask):
    """Whether all that a mask (B, L, L) allows moves the output.

    In eval mode: what dropout drops moves nothing.
    """
    far = how_far(layer, x, each_token(x))  # (S, B, T)
    moved = (far != 0).permute(1, 2, 0)  # (B, T, S)
    itself = torch.eye(x.size(1), dtype=torch.bool)
    return not (~moved & mask & ~itself).any()


def items_do_not_meet(layer, x):
    """Whether item 0 of a batch (B, ...) stays when item 1 changes."""
    changed = x.clone()
    changed[1] = changed[1].flip(-1) + 1.0
    layer = alike(layer)
    return torch.allclose(layer(changed)[0], layer(x)[0])


def tokens_do_not_meet(layer, x):
    """Whether token 0 of x (B, L, D) stays when the others change."""
    changed = x.clone()
    changed[:, 1:] = changed[:, 1:].flip(-1) + 1.0
    layer = alike(layer)
    return torch.allclose(layer(changed)[:, 0], layer(x)[:, 0])


def order_does_not_matter(layer, x):
    """Whether reversed tokens (B, L, D) give reversed outputs.

    In eval mode: dropout goes by places, and does not turn with them.
    """
    return torch.allclose(layer(x.flip(1)).flip(1), layer(x))


def without_gradient(output, parameters):
    """Names of the parameters that an output does not depend on.

    parameters is a dict, such as dict(model.named_parameters()).
    """
    wanted, total = list(parameters.values()), output.square().sum()
    if not total.requires_grad:
        return list(parameters)
    found = torch.autograd.grad(total, wanted, allow_unused=True)
    named = zip(parameters, found, strict=True)
    return [name for name, g in named if g is None or not g.any()]


def tokens_are_normalised(output):
    """Whether the tokens (B, L, D) that leave a norm are normalised.

    Its gain is 1 and its shift 0.
    """
    means = output.mean(dim=-1).abs()
    deviations = output.std(dim=-1, correction=0)
    off = (deviations - 1).abs()
    return bool(means.max() < 0.01 and off.max() < 0.01)


def is_a_table_of_sinusoids(table):
    """Whether a table (L, D) has three properties of sinusoids.

    Row 0 is 0, 1, 0, 1, ...; no value exceeds 1; and products depend on
    the distance alone.
    """
    row = torch.tensor([0.0, 1.0]).repeat(table.size(1) // 2)
    starts = torch.allclose(table[0], row.to(table))
    products = (table[:-3] * table[3:]).sum(dim=-1)
    alike = products.max() - products.min() < 1e-3
    return starts and bool(alike and table.abs().max() <= 1.001)


def turns(rotate, x):
    """Whether rotate(x, start) of x (B, H, L, E) is a turn.

    It keeps lengths, and scores depend on the distance alone.
    """
    same = x[:, :, :1].repeat(1, 1, x.size(2), 1)
    here, there = rotate(same, 0), rotate(same, 5)
    kept = torch.allclose(here.norm(dim=-1), same.norm(dim=-1))
    scores = here @ here.transpose(-2, -1)
    shifted = torch.allclose(scores[..., 1:, 1:], scores[..., :-1, :-1])
    later = torch.allclose(there @ there.transpose(-2, -1), scores)
    return kept and shifted and later


def loss_is_as_expected(loss, vocabulary, pad_id):
    """Whether loss(logits, targets, pad_id) has three known values.

    It is log(vocabulary) for one who knows nothing, 0 for one who is sure
    and right, and padding does not count.
    """
    targets = torch.tensor([[1, 2, pad_id], [2, pad_id, pad_id]])
    nothing = torch.zeros(2, 3, vocabulary)
    sure = one_hot(targets, vocabulary) * 50.0
    padded = nothing.clone()
    padded[1, 2, 1] = 3.0
    logarithm = float(torch.tensor(float(vocabulary)).log())
    asked = (nothing, sure, padded)
    losses = [float(loss(logits, targets, pad_id)) for logits in asked]
    right = torch.tensor([logarithm, 0.0, logarithm])
    return torch.allclose(torch.tensor(losses), right, atol=1e-5)


def rate_is_as_expected(rate, d_model=64, warmup=10):
    """Whether rate(step, d_model, warmup) has the paper's shape.

    It doubles from step 1 to 2, peaks at the end of the warm-up, and is
    half as large at four times that.
    """
    steps = range(1, 4 * warmup + 1)
    rates = {step: rate(step, d_model, warmup) for step in steps}
    doubles = abs(rates[2] / rates[1] - 2) < 1e-6
    halves = abs(rates[4 * warmup] / rates[warmup] - 0.5) < 1e-6
    return doubles and halves and max(rates, key=rates.get) == warmup


def ids_are_well_formed(ids, bos_id, eos_id, max_len):
    """Whether decoded ids lack bos, and end at eos or at max_len."""
    ends = ids[-1:] == [eos_id] or len(ids) == max_len
    return ends and bos_id not in ids and eos_id not in ids[:-1]

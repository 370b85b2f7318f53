"""What is kept from one call to the next is told, whatever keeps it, and nothing else is called that."""

import pytest
import torch
from torch import nn

from companion import MultiHeadAttention, check, scaled_dot_product_attention

RIGHT_FOR_SOME = (
    "It is right on the check's questions, and wrong where their numbers are turned about: either something is kept "
    "from one call to the next, or it is right for some numbers only."
)


class ByShape:
    """Keeps some inputs while their shapes are the same."""

    def __init__(self, function, *names):
        self.function, self.names, self.kept = function, names, {}

    def __call__(self, query, key, value, mask):
        inputs = {"query": query, "key": key, "value": value, "mask": mask}
        for name in self.names:
            inputs[name] = self.kept.setdefault((name, inputs[name].shape), inputs[name].clone())
        return self.function(**inputs)


class OneSlot(ByShape):
    """Keeps the newest inputs only, and replaces them when the shape is another."""

    def __call__(self, query, key, value, mask):
        inputs = {"query": query, "key": key, "value": value, "mask": mask}
        for name in self.names:
            if name not in self.kept or self.kept[name].shape != inputs[name].shape:
                self.kept[name] = inputs[name].clone()
            inputs[name] = self.kept[name]
        return self.function(**inputs)


@pytest.mark.parametrize("memory", [OneSlot, ByShape])
@pytest.mark.parametrize("name", ["query", "key", "value", "mask"])
def test_an_input_that_is_kept_while_its_shape_is_the_same_is_named(memory, name):
    report = check.attention(memory(scaled_dot_product_attention, name), raises=False)
    assert not report.passed
    assert report.bugs == ()
    assert report.message.startswith(f"Your function keeps {name} from one call to the next")


def test_an_output_that_is_kept_is_told():
    kept = {}

    def attention(query, key, value, mask):
        place = (query.shape, key.shape, value.shape, mask.shape)
        if place not in kept:
            kept[place] = scaled_dot_product_attention(query, key, value, mask)
        return kept[place].clone()

    report = check.attention(attention, raises=False)
    assert report.message.startswith("Your function keeps its output")


def test_a_mask_of_ids_that_is_kept_is_told():
    kept = {}

    def mask(token_ids, pad_id):
        return kept.setdefault(token_ids.shape, (token_ids != pad_id)[:, None, None])

    assert check.padding_mask(mask, raises=False).message.startswith("Your function keeps token_ids")


def test_a_module_that_keeps_its_mask_while_the_shape_is_the_same_is_told():
    class Kept(MultiHeadAttention):
        def forward(self, query, memory=None, mask=None):
            if mask is not None:
                mask = self.__dict__.setdefault("kept", {}).setdefault(mask.shape, mask)
            return super().forward(query, memory, mask)

    report = check.multi_head(Kept, raises=False)
    assert report.message == (
        "Your output depends on what the module was called with before: something is kept on self from one call to the "
        "next."
    )


class OnTheObject:
    """Keeps keys on itself, and forgets them only when another sequence cannot be joined to them."""

    def __init__(self):
        self.keys = self.values = None

    def __call__(self, query, key, value, cache):
        if self.keys is None or self.keys.size(-1) != key.size(-1) or self.keys.shape[:2] != key.shape[:2]:
            self.keys, self.values = key[:, :, :0], value[:, :, :0]
        self.keys, self.values = torch.cat([self.keys, key], 2), torch.cat([self.values, value], 2)
        return scaled_dot_product_attention(query, self.keys, self.values, causal=True), "on the object"


class EmptiedByNone(OnTheObject):
    """Begins anew when there is no cache, as it should; two sequences still share what is on it."""

    def __call__(self, query, key, value, cache):
        if cache is None:
            self.keys = None
        return super().__call__(query, key, value, cache)


def test_a_cache_beside_the_cache_is_told():
    report = check.kv_cache(EmptiedByNone(), raises=False)
    assert report.message.startswith("Two sequences that take turns, each with its own cache, disturb one another")
    assert not check.kv_cache(OnTheObject(), raises=False).passed


def test_what_is_wrong_for_other_numbers_is_not_called_kept():
    """It is right on every probe, where no mask is an upper triangle; that nothing is kept is not known."""

    def attention(query, key, value, mask):
        if mask.dim() == 2 and mask.size(0) == mask.size(1) and not mask[-1].all():
            mask = torch.ones_like(mask)
        return scaled_dot_product_attention(query, key, value, mask)

    report = check.attention(attention, raises=False)
    assert report.message == RIGHT_FOR_SOME


def test_a_softmax_that_underflows_for_some_masks_is_not_called_kept():
    """The largest score of a row may be a hidden one; then the others are lost."""

    def softmax(scores, mask):
        weights = (scores - scores.amax(dim=-1, keepdim=True)).exp() * mask
        return weights / weights.sum(dim=-1, keepdim=True).clamp(min=1e-30)

    assert check.masked_softmax(softmax, raises=False).message == RIGHT_FOR_SOME


# --- gradients at an edge


def plus_infinity(scores, mask):
    return scores + torch.zeros(mask.shape, dtype=scores.dtype).masked_fill(~mask, -torch.inf)


def test_zeros_with_gradients_that_are_not_finite_are_told():
    def attention(query, key, value, mask):
        scores = plus_infinity(query @ key.mT / query.size(-1) ** 0.5, mask)
        return scores.softmax(dim=-1).nan_to_num() @ value

    def weights(query, key, mask):
        return plus_infinity(query @ key.mT / query.size(-1) ** 0.5, mask).softmax(dim=-1).nan_to_num()

    def softmax(scores, mask):
        return plus_infinity(scores, mask).softmax(dim=-1).nan_to_num()

    def additive(query, key, value, w_q, w_k, v, mask):
        scores = torch.tanh((query @ w_q.T)[:, :, None] + (key @ w_k.T)[:, None]) @ v
        return plus_infinity(scores, mask).softmax(dim=-1).nan_to_num() @ value

    class Layer(nn.Module):
        def __init__(self, d_model, num_heads):
            super().__init__()
            self.num_heads = num_heads
            self.q_proj, self.k_proj = nn.Linear(d_model, d_model), nn.Linear(d_model, d_model)
            self.v_proj, self.out_proj = nn.Linear(d_model, d_model), nn.Linear(d_model, d_model)

        def forward(self, query, memory=None, mask=None):
            memory = query if memory is None else memory
            mask = torch.ones(query.size(1), memory.size(1), dtype=torch.bool) if mask is None else mask
            q, k, v = (
                x.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
                for x in (self.q_proj(query), self.k_proj(memory), self.v_proj(memory))
            )
            return self.out_proj(attention(q, k, v, mask).transpose(1, 2).flatten(2))

    for name, handed_in in (
        ("attention", attention),
        ("attention_weights", weights),
        ("masked_softmax", softmax),
        ("additive_attention", additive),
        ("multi_head", Layer),
    ):
        report = getattr(check, name)(handed_in)
        (warning,) = report.warnings
        assert warning.startswith("On a query that may attend to nothing your output is right, but its gradient"), name


# --- names


@pytest.mark.parametrize("names", ["k, q, v, mask=None", "values, keys, query, mask=None", "q, v, k, m"])
def test_another_order_is_seen_in_initials_and_plurals(names):
    scope = {"attend": scaled_dot_product_attention}
    exec(f"def attention({names}):\n    raise AssertionError", scope)
    report = check.attention(scope["attention"], raises=False)
    assert "the check gives them in another order" in report.message


@pytest.mark.parametrize("names", ["q, k, v, m=None", "queries, keys, values, mask=None", "a, b, c, d", "x, q, k, v"])
def test_the_same_order_under_other_names_is_none(names):
    first = names.replace("=None", "").split(", ")
    scope = {"attend": scaled_dot_product_attention}
    exec(f"def attention({names}):\n    return attend({', '.join(first)})", scope)
    assert check.attention(scope["attention"]).passed


def test_a_loss_that_is_only_made_is_told():
    report = check.loss(lambda logits, targets, pad_id: nn.CrossEntropyLoss(logits[0], targets[0]), raises=False)
    assert "what it makes is then called with tensors: CrossEntropyLoss()(...)" in report.message
    assert "if, and, or" not in report.message


def test_torchs_own_lower_right_mask_is_no_tensor_of_numbers():
    from torch.nn.attention.bias import causal_lower_right

    report = check.causal_mask(causal_lower_right, raises=False)
    assert report.message.startswith("Your function returned a CausalBias, which stands for a mask")

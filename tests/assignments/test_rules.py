import functools
from types import SimpleNamespace

import pytest
import torch

import companion
from companion import causal_mask, check
from companion import scaled_dot_product_attention as attend
from companion.assignments import own_work, without_warning

bare = companion.attention_weights
ready_layer = companion.LayerNorm(6)


def by_name(query, key, mask):
    return companion.attention_weights(query, key, mask)


def by_alias(query, key, value, mask):
    return attend(query, key, value, mask)


def helped(query, key, mask):
    return by_name(query, key, mask)


def imported_inside(query, key, mask):
    from companion import attention_weights

    return attention_weights(query, key, mask)


def module_inside(query, key, mask):
    import companion as c

    return c.attention_weights(query, key, mask)


def submodule_inside(query, key, mask):
    from companion.attention import attention_weights

    return attention_weights(query, key, mask)


def imported_with_another(query, key, mask):
    from companion import check, attention_weights  # noqa: F401, I001

    return attention_weights(query, key, mask)


class OnCall:
    def __call__(self, query, key, mask):
        return companion.attention_weights(query, key, mask)


on_call = OnCall()


def own_object(query, key, mask):
    return on_call(query, key, mask)


@functools.cache
def remembered():
    return companion.attention_weights


def wrapped(query, key, mask):
    return remembered()(query, key, mask)


ways = {"one": [companion.attention_weights]}


def out_of_a_dict(query, key, mask):
    return ways["one"][0](query, key, mask)


def out_of_the_checks(query, key, mask):
    return check.CHECKS["attention_weights"].right(query, key, mask)


class Property:
    @functools.cached_property
    def way(self):
        return companion.attention_weights


def in_a_lambda(query, key, mask):
    return (lambda: companion.attention_weights(query, key, mask))()


def default_argument(query, key, mask, way=companion.attention_weights):
    return way(query, key, mask)


def closure():
    inner = companion.attention_weights
    return lambda query, key, mask: inner(query, key, mask)


def an_instance(x):
    return ready_layer(x)


class Inherits(companion.MultiHeadAttention):
    pass


class Calls(torch.nn.Module):
    def __init__(self, d_model, num_heads):
        super().__init__()
        self.inner = companion.MultiHeadAttention(d_model, num_heads)

    def forward(self, query, memory=None, mask=None):
        return self.inner(query, memory, mask)


@pytest.mark.parametrize(
    ("borrowed", "name"),
    [
        (bare, "attention_weights"),
        (by_name, "attention_weights"),
        (by_alias, "scaled_dot_product_attention"),
        (helped, "attention_weights"),
        (imported_inside, "attention_weights"),
        (module_inside, "attention_weights"),
        (submodule_inside, "attention"),
        (imported_with_another, "attention_weights"),
        (own_object, "attention_weights"),
        (wrapped, "attention_weights"),
        (out_of_a_dict, "attention_weights"),
        (out_of_the_checks, "Check"),
        (Property, "attention_weights"),
        (in_a_lambda, "attention_weights"),
        (default_argument, "attention_weights"),
        (closure(), "attention_weights"),
        (functools.partial(by_name), "attention_weights"),
        (an_instance, "LayerNorm"),
        (Inherits, "MultiHeadAttention"),
        (Calls, "MultiHeadAttention"),
    ],
)
def test_what_is_borrowed_is_named(borrowed, name):
    with pytest.raises(check.CheckFailed) as caught:
        own_work(borrowed)
    assert f"It uses {name} of companion. This exercise may use nothing of it." in str(caught.value)
    assert caught.value.report.score(3) == 0


def own(query, key, mask):
    """Mentions companion.attention_weights, and has it as a word: "companion"."""
    scores = query @ key.transpose(-2, -1) / query.size(-1) ** 0.5
    if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf"))
    return torch.nn.functional.softmax(scores, dim=-1)


class Own(torch.nn.Module):
    @property
    def width(self):
        return 3

    @staticmethod
    def double(x):
        return 2 * x

    def forward(self, x):
        attention_weights = torch.relu(self.double(x))
        return attention_weights


def looks_at_itself(query, key, mask):
    """Imports the checks, and uses nothing of what they check."""
    from companion import check, viz  # noqa: F401

    size = query.size(-1)
    return own(query, key, mask) * size / size


class Annotated(torch.nn.Module):
    inner: companion.MultiHeadAttention


def with_mask(length):
    return causal_mask(length)


@pytest.mark.parametrize(
    "work", [own, Own, looks_at_itself, Annotated, functools.partial(own), 3, len, torch.nn.Linear]
)
def test_own_work_passes(work):
    own_work(work)


def test_two_steps_in_one_are_taken_apart(monkeypatch):
    # Python 3.13 joins "store c" and "load c" of `import companion as c; c.attention_weights`.
    steps = [("EXTENDED_ARG", 1), ("IMPORT_NAME", "companion"), ("STORE_FAST_LOAD_FAST", ("c", "c"))]
    steps += [("LOAD_ATTR", "attention_weights"), ("LOAD_FAST_BORROW_LOAD_FAST_BORROW", ("query", "key"))]
    steps = [SimpleNamespace(opname=name, argval=value) for name, value in steps]
    monkeypatch.setattr("companion.assignments.rules.dis.get_instructions", lambda code: steps)
    with pytest.raises(check.CheckFailed, match="It uses attention_weights of companion"):
        own_work(own)


def test_what_is_allowed_passes():
    own_work(with_mask, allowed=["causal_mask"])
    with pytest.raises(check.CheckFailed, match="It uses causal_mask of companion. This exercise may use only split"):
        own_work(with_mask, allowed=["split_heads"])


def test_what_is_not_there_is_said():
    with pytest.raises(check.CheckFailed, match="the code that defines it did not run, or gives it another name"):
        own_work(None)


def test_a_warning_raises_where_there_may_be_none():
    report = check.attention_weights(own, raises=False)
    assert report.passed
    assert report.warnings
    with pytest.raises(check.CheckFailed, match="but with a warning, and this exercise asks for none"):
        without_warning(report)
    without_warning(check.CHECKS["causal_mask"] and check.causal_mask(causal_mask))

import functools

import pytest
import torch

import companion
from companion import causal_mask, check
from companion import scaled_dot_product_attention as attend
from companion.assignments import own_work, without_warning
from tests.assignments.submissions import run_cell

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


def imported_under_another_name(query, key, mask):
    from companion import attention_weights as weights

    return weights(query, key, mask)


def checks_under_another_name(query, key, mask):
    from companion import check as c

    return c.CHECKS["attention_weights"].right(query, key, mask)


@torch.no_grad()
def decorated(query, key, mask):
    return companion.attention_weights(query, key, mask)


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


def own(query, key, mask):
    """Mentions companion.attention_weights, and has it as a word: "companion"."""
    scores = query @ key.transpose(-2, -1) / query.size(-1) ** 0.5
    if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf"))
    return torch.nn.functional.softmax(scores, dim=-1)


pair_of_lambdas = [lambda x: companion.attention_weights(x, x), lambda x: x]


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
        (imported_under_another_name, "attention_weights"),
        (checks_under_another_name, "CHECKS"),
        (decorated, "attention_weights"),
        (pair_of_lambdas[0], "attention_weights"),
        (functools.partial(own, mask=companion.causal_mask), "causal_mask"),
        (own_object, "attention_weights"),
        (wrapped, "attention_weights"),
        (out_of_a_dict, "attention_weights"),
        (out_of_the_checks, "CHECKS"),
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
    "work", [own, Own, looks_at_itself, Annotated, functools.partial(own), pair_of_lambdas[1], 3, len, torch.nn.Linear]
)
def test_own_work_passes(work):
    own_work(work)


def defined_by(source, run, **scope):
    """What a piece of code defines as `work`, as a notebook's cell or `exec` defines it."""
    scope = {"__name__": "__main__", "companion": companion, "torch": torch, **scope}
    run(source, scope)
    return scope["work"]


BORROWS = "def work(query, key, mask):\n    return companion.attention_weights(query, key, mask)"
BORROWS_UNDER_A_NAME = "def work(x):\n    import companion as c\n\n    return c.split_heads(x, 3)"
OWN = "def work(query, key, mask):\n    return torch.softmax(query @ key.mT, dim=-1)"
# A companion's layer that lies about in the notebook has the name of the learner's own attribute, or local variable.
NAMESAKE = """
class work(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = torch.nn.Linear(3, 3)

    def forward(self, x):
        return self.norm(x)
"""
LOCAL_NAMESAKE = "def work(x):\n    norm = torch.relu\n    return norm(x)"


@pytest.mark.parametrize("run", [run_cell, exec])
def test_a_cell_is_read_from_its_source_and_code_without_source_by_its_names(run):
    for source, name in ((BORROWS, "attention_weights"), (BORROWS_UNDER_A_NAME, "split_heads")):
        with pytest.raises(check.CheckFailed, match=f"It uses {name} of companion"):
            own_work(defined_by(source, run))
    own_work(defined_by(OWN, run))
    own_work(defined_by(LOCAL_NAMESAKE, run, norm=ready_layer))


def test_an_attribute_with_the_name_of_a_global_is_no_loan_where_there_is_a_source():
    own_work(defined_by(NAMESAKE, run_cell, norm=ready_layer))
    with pytest.raises(check.CheckFailed, match="It uses LayerNorm of companion"):
        own_work(defined_by(NAMESAKE, exec, norm=ready_layer))


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

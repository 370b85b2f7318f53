"""`check.kv_cache` lets every way of caching pass, and says what is wrong where no known bug matches."""

import math

import pytest
import torch
import torch.nn.functional as F

import companion
from companion import check


def see(queries, keys):
    return torch.ones(queries, keys, dtype=torch.bool).tril(keys - queries)


def attend(query, keys, values):
    return F.scaled_dot_product_attention(query, keys, values, see(query.size(-2), keys.size(-2)))


# --- right, written in different ways


def tuples(query, key, value, cache):
    if cache is not None:
        key, value = torch.cat([cache[0], key], dim=2), torch.cat([cache[1], value], dim=2)
    return attend(query, key, value), (key, value)


def dictionary(query, key, value, cache=None):
    cache = cache or {"keys": [], "values": []}
    cache["keys"].append(key)
    cache["values"].append(value)
    return attend(query, torch.cat(cache["keys"], -2), torch.cat(cache["values"], -2)), cache


def one_tensor(query, key, value, cache):
    both = torch.cat([key, value], dim=-1)
    both = both if cache is None else torch.cat([cache, both], dim=-2)
    keys, values = both.split([key.size(-1), value.size(-1)], dim=-1)
    return attend(query, keys, values), both


def buffers(query, key, value, cache):
    if cache is None:
        cache = {"keys": key.new_zeros(*key.shape[:2], 64, key.size(-1)), "length": 0}
        cache["values"] = value.new_zeros(*value.shape[:2], 64, value.size(-1))
    end = cache["length"] + key.size(2)
    cache["keys"][:, :, cache["length"] : end] = key
    cache["values"][:, :, cache["length"] : end] = value
    cache["length"] = end
    return attend(query, cache["keys"][:, :, :end], cache["values"][:, :, :end]), cache


def buffers_and_a_mask_over_all_of_them(query, key, value, cache):
    _, cache = buffers(query, key, value, cache)
    places = torch.arange(64)
    queries = torch.arange(cache["length"] - query.size(2), cache["length"])
    mask = places <= queries[:, None]
    return F.scaled_dot_product_attention(query, cache["keys"], cache["values"], mask), cache


class CompanionCache:
    """Two caches, since the companion's holds keys and values of one size."""

    def __init__(self, key, value):
        self.caches = [companion.KVCache(*x.shape[:2], 64, x.size(-1), dtype=x.dtype) for x in (key, value)]

    def append(self, key, value):
        return self.caches[0].append(key, key)[0], self.caches[1].append(value, value)[0]


def companions(query, key, value, cache):
    cache = cache or CompanionCache(key, value)
    keys, values = cache.append(key, value)
    return companion.scaled_dot_product_attention(query, keys, values, causal=True), cache


def loops(query, key, value, cache):
    keys, values = cache or ([], [])
    outputs = []
    for token in range(query.size(2)):
        keys, values = [*keys, key[:, :, token]], [*values, value[:, :, token]]
        scores = [(query[:, :, token] * k).sum(-1) / math.sqrt(query.size(-1)) for k in keys]
        weights = torch.stack(scores, dim=-1).softmax(dim=-1)
        outputs.append(sum(weights[..., [j]] * v for j, v in enumerate(values)))
    return torch.stack(outputs, dim=2), (keys, values)


def einsum(query, key, value, cache):
    keys, values = (key, value) if cache is None else (torch.cat(pair, -2) for pair in zip(cache, (key, value)))  # noqa: B905
    scores = torch.einsum("bhqe,bhke->bhqk", query, keys) * query.size(-1) ** -0.5
    weights = scores.masked_fill(~see(*scores.shape[-2:]), -math.inf).softmax(-1)
    return torch.einsum("bhqk,bhkv->bhqv", weights, values), (keys, values)


def everything_again(query, key, value, cache):
    """Keep all inputs, compute all outputs, and return the newest: slow, and right."""
    whole = (query, key, value) if cache is None else [torch.cat(pair, -2) for pair in zip(cache, (query, key, value))]  # noqa: B905
    return F.scaled_dot_product_attention(*whole, is_causal=True)[:, :, -query.size(2) :], whole


def without_gradients(query, key, value, cache):
    with torch.no_grad():
        return tuples(query, key, value, cache)


def in_float32(query, key, value, cache):
    output, cache = tuples(query.float(), key.float(), value.float(), cache)
    return output.to(query.dtype), cache


class Notebook:
    """A cache that is an object, and is written into."""

    def __init__(self):
        self.tokens = []

    def step(self, query, key, value):
        outputs = []
        for token in range(query.size(2)):
            self.tokens.append((key[:, :, token], value[:, :, token]))
            keys, values = (torch.stack(each, dim=2) for each in zip(*self.tokens, strict=True))
            weights = (query[:, :, token : token + 1] @ keys.mT / math.sqrt(query.size(-1))).softmax(-1)
            outputs.append(weights @ values)
        return torch.cat(outputs, dim=2)


def objects(query, key, value, cache=None):
    cache = cache or Notebook()
    return [cache.step(query, key, value), cache]


RIGHT = [
    objects,
    tuples,
    dictionary,
    one_tensor,
    buffers,
    buffers_and_a_mask_over_all_of_them,
    companions,
    loops,
    einsum,
    everything_again,
    without_gradients,
    in_float32,
]


@pytest.mark.parametrize("step", RIGHT)
def test_right_steps_pass_without_a_warning(step):
    report = check.kv_cache(step)
    assert report.passed
    assert report.warnings == ()


def test_the_expected_output_is_attention_over_the_whole_sequence():
    one = check.CHECKS["kv_cache"]
    for probe in one.probes:
        query, key, value = (probe.inputs[name] for name in ("query", "key", "value"))
        torch.testing.assert_close(
            one.expected(probe), F.scaled_dot_product_attention(query, key, value, is_causal=True), rtol=0, atol=1e-12
        )


# --- wrong in a way of its own


def message_of(step):
    report = check.kv_cache(step, raises=False)
    assert not report.passed
    assert report.bugs == ()
    return report.message


def test_something_else_than_two_things_returned():
    assert message_of(lambda q, k, v, c: v) == (
        "Your function returned a tensor of shape (2, 3, 3, 7); it should return two things, output, cache."
    )
    assert message_of(lambda q, k, v, c: None).startswith("Your function returned None; it should return two things")
    assert message_of(lambda q, k, v, c: (v, c, 1)).startswith("Your function returned a tuple of 3; it should")
    assert (
        message_of(lambda q, k, v, c: (3, c)) == "The output that your function returned is an int, not a torch tensor."
    )


def test_outputs_that_do_not_fit_together():
    assert message_of(lambda q, k, v, c: (v.sum(dim=(0, 1, 3)), c)).startswith(
        "For chunks of 3, 1, 2 tokens your outputs have shapes (3,), (1,), (2,); they should be (B, H, N, V)"
    )


def test_parameters_and_crashes():
    assert message_of(lambda q, k, v: (v, None)) == (
        "Your function takes (q, k, v): it needs one more parameter, cache, as in fn(query, key, value, cache)."
    )
    assert message_of(3) == "The check needs the function itself, fn(query, key, value, cache), and got an int."

    def broken(query, key, value, cache):
        return query @ key, cache

    assert "RuntimeError in line 2 of broken: " in message_of(broken)


def test_an_input_changed_in_place():
    def spoils(query, key, value, cache):
        output, cache = tuples(query, key, value, cache)
        query *= 0
        return output, cache

    assert message_of(spoils).startswith("Your function changes query in place")


def test_a_cache_that_is_kept_from_one_sequence_to_the_next():
    kept = {"keys": [], "values": []}

    def remembers(query, key, value, cache):
        if kept["keys"] and kept["keys"][0].shape[:2] != key.shape[:2]:
            kept["keys"].clear(), kept["values"].clear()
        return dictionary(query, key, value, kept)

    report = check.kv_cache(remembers, raises=False)
    assert not report.passed
    assert report.bugs == ()


def test_an_unknown_bug_gets_facts():
    def blind_to_the_oldest(query, key, value, cache):
        output, cache = tuples(query, key, value, cache)
        keys, values = cache
        if keys.size(2) > 4:
            mask = see(query.size(2), keys.size(2))
            mask[:, 0] = False
            output = F.scaled_dot_product_attention(query, keys, values, mask)
        return output, cache

    report = check.kv_cache(blind_to_the_oldest, raises=False)
    assert report.bugs == ()
    assert "Token 4 gives no weight to token 0, which came before it or with it." in report.facts
    assert "in chunks of 3, 1 and 2" in report._repr_html_()


def test_output_and_cache_may_come_as_a_list():
    assert check.kv_cache(lambda q, k, v, c: list(tuples(q, k, v, c))).passed


def test_the_cache_first_is_told():
    def step(query, key, value, cache):
        joined = torch.cat([key, value], dim=-1)
        return (query, key), joined if cache is None else torch.cat([cache, joined], dim=2)

    assert message_of(step) == "Your function returns the cache first; it should return output, cache, in this order."


RIGHT_ANSWERS = {"kv_cache": RIGHT}

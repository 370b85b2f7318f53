"""Everything that can go wrong before values are compared gets its own sentence; nothing goes to stderr."""

import contextlib
import dataclasses
import functools
import sys
import threading
import time
import warnings

import pytest
import torch
import torch.nn.functional as F
from IPython.core.interactiveshell import InteractiveShell
from torch import nn

from companion import check
from companion.checks.engine.judge import run_check

SHAPES = "query (2, 3, 5, 11), key (2, 3, 7, 11), value (2, 3, 7, 13), mask (5, 7)"


def right(query, key, value, mask):
    return F.scaled_dot_product_attention(query, key, value, mask)


def message_of(function, **options):
    report = check.attention(function, raises=False, **options)
    assert not report.passed
    assert report.bugs == ()
    return report.message


def test_not_written_yet():
    def starter(query, key, value, mask):
        raise NotImplementedError("your turn")

    assert message_of(starter) == "It is not written yet."
    assert check.attention(starter, raises=False).hint(1).startswith("Replace the line that raises NotImplementedError")


def test_an_exception_is_named_with_its_line_and_the_shapes():
    def broken(query, key, value, mask):
        scores = query @ key
        return scores @ value

    message = message_of(broken)
    assert message.startswith("Your function raised RuntimeError in line 2 of broken: ")
    assert message.endswith(f"(called with {SHAPES})")


def test_an_exception_without_a_message_and_one_with_an_address():
    def silent(query, key, value, mask):
        raise ValueError

    def address(query, key, value, mask):
        raise ValueError("object at 0x7f32ab90")

    assert "ValueError in line 2 of silent: no message" in message_of(silent)
    assert "ValueError in line 2 of address: object at 0x..." in message_of(address)


def test_leaving_python_is_only_an_exception():
    assert message_of(lambda q, k, v, m: exit(3)).startswith("Your function raised SystemExit in line 1 of <lambda>: 3")


def test_an_endless_loop_is_stopped():
    def endless(query, key, value, mask):
        while True:
            pass

    before = threading.active_count()
    start = time.monotonic()
    message = message_of(endless, time_limit=0.2)
    assert message == (
        "Your function was still running after 0.2 seconds and was stopped. Is there a loop that never ends?"
    )
    assert time.monotonic() - start < 5
    assert threading.active_count() == before


@pytest.mark.parametrize(
    ("returned", "named"),
    [
        (3.0, "a float"),
        ([1.0], "a list"),
        ("text", "a str"),
        (torch.zeros(2).numpy(), "a NumPy array"),
        ((), "a tuple"),
    ],
)
def test_something_that_is_no_tensor(returned, named):
    message = message_of(lambda q, k, v, m: returned)
    assert message.startswith(f"Your function returned {named}; a torch tensor is expected (.item(), .tolist() and")


def test_none():
    assert message_of(lambda q, k, v, m: None) == "Your function returned None: does it end with a return?"


def test_wrong_shape():
    message = message_of(lambda q, k, v, m: right(q, k, v, m).mT)
    assert message == f"Your output has shape (2, 3, 13, 5); it should be (2, 3, 5, 13) for {SHAPES}."


def test_squeezed_dimensions():
    report = check.attention(lambda q, k, v, m: right(q, k, v, m).squeeze(), raises=False)
    assert report.message.startswith("Your output has shape (3,); it should be (1, 1, 1, 3) for query (1, 1, 1, 7)")
    assert report.facts[0].endswith("Wrong on: one item, one head, one query.")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.int64])
def test_wrong_dtype(dtype):
    name = str(dtype).removeprefix("torch.")
    message = message_of(lambda q, k, v, m: right(q, k, v, m).to(dtype))
    assert message == f"Your output is {name}; it should keep the dtype of the inputs."


def test_wrong_device():
    message = message_of(lambda q, k, v, m: right(q, k, v, m).to("meta"))
    assert message.startswith("Your output is on meta, the inputs were on cpu: make new tensors on the device of the")


def test_nan():
    def divided(query, key, value, mask):
        return right(query, key, value, mask) * (torch.zeros(()) / 0)

    assert message_of(divided) == "390 of the 390 numbers in your output are NaN."
    assert message_of(lambda q, k, v, m: right(q, k, v, m) / 0).endswith("numbers in your output are infinite.")


def test_inputs_changed_in_place():
    def spoils(query, key, value, mask):
        query /= query.size(-1) ** 0.5
        return right(query * query.size(-1) ** 0.5, key, value, mask)

    assert message_of(spoils).startswith("Your function changes query in place: the caller's tensor is spoiled.")


def test_a_mask_changed_in_place():
    def spoils(query, key, value, mask):
        output = right(query, key, value, mask)
        mask.logical_not_()
        return output

    assert message_of(spoils).startswith("Your function changes mask in place")


def test_inputs_changed_in_place_beside_a_known_bug():
    def spoils(query, key, value, mask):
        query *= query.size(-1) ** 0.5
        return right(query, key, value, mask)

    report = check.attention(spoils, raises=False)
    assert report.bugs == ("no_scaling",)
    assert report.facts[-1].startswith("Your function changes query in place")


def test_a_detached_output():
    message = message_of(lambda q, k, v, m: right(q, k, v, m).detach())
    assert message.startswith("Your output is right, but it is detached: no gradient can flow back from it. Do not use")


@pytest.mark.parametrize("name", ["query", "key", "value"])
def test_one_detached_input(name):
    def detached(query, key, value, mask):
        inputs = {"query": query, "key": key, "value": value}
        inputs[name] = inputs[name].detach()
        return right(**inputs, mask=mask)

    assert message_of(detached) == (
        f"Your output is right, but no gradient reaches {name}: part of the computation is detached."
    )


def test_a_wrong_gradient():
    def half_detached(query, key, value, mask):
        return right((query + query.detach()) / 2, key, value, mask)

    assert message_of(half_detached).startswith("Your output is right, but its gradient with respect to query is not:")


def test_an_output_that_cannot_be_differentiated():
    def in_place(query, key, value, mask):
        if query.requires_grad:
            query += 0.0
        return right(query, key, value, mask)

    assert message_of(in_place).startswith(
        "Your output is right, but it cannot be differentiated: RuntimeError in line 3"
    )


def test_random_results():
    assert message_of(lambda q, k, v, m: F.dropout(right(q, k, v, m))).startswith(
        "Two calls with the same inputs give different outputs: something random, such as dropout, is still active"
    )


def test_something_that_is_no_function():
    assert message_of(3) == "The check needs the function itself, fn(query, key, value, mask), and got an int."
    assert "and got a tensor of shape (2,)." in message_of(torch.zeros(2))


def test_other_parameters():
    assert message_of(lambda x: x) == "Your function takes (x); the check calls fn(query, key, value, mask)."
    assert message_of(lambda q, k, v: v) == (
        "Your function takes (q, k, v): it needs one more parameter, mask, as in fn(query, key, value, mask)."
    )


def test_nothing_goes_to_stderr_and_no_warning_comes_through(capfd):
    def warns(query, key, value, mask):
        warnings.warn("careful", stacklevel=1)
        return right(query, key, value, mask)

    def endless(query, key, value, mask):
        while True:
            pass

    assert check.attention(warns).passed
    check.attention(lambda q, k, v, m: 1 / 0, raises=False)
    check.attention(endless, raises=False, time_limit=0.1)
    assert capfd.readouterr() == ("", "")


def test_the_callers_random_numbers_and_inputs_are_left_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    check.attention(lambda q, k, v, m: F.dropout(right(q, k, v, m)), raises=False)
    assert torch.equal(torch.rand(3), expected)


# --- what is handed in


def plus(query, key, value, mask, extra):
    return right(query, key, value, mask) + extra


class Holder:
    def method(self, query, key, value, mask):
        return right(query, key, value, mask)

    def __call__(self, query, key, value, mask):
        return right(query, key, value, mask)


class AsModule(nn.Module):
    def forward(self, query, key, value, mask=None):
        return right(query, key, value, mask)


@pytest.mark.parametrize(
    "function",
    [
        lambda q, k, v, m: right(q, k, v, m),
        functools.partial(plus, extra=0.0),
        functools.lru_cache(lambda q, k, v, m: right(q, k, v, m)),
        Holder().method,
        Holder(),
        AsModule(),
    ],
    ids=["lambda", "partial", "cached", "method", "object", "module"],
)
def test_whatever_can_be_called_is_taken(function):
    assert check.attention(function).passed


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_scripted_function_is_taken():
    def scripted(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return F.scaled_dot_product_attention(query, key, value, mask)

    traced = torch.jit.trace(scripted, tuple(check.CHECKS["attention"].core[0].inputs.values()))
    assert check.attention(traced).passed


def test_a_module_is_called_as_its_forward_is():
    class TooFew(nn.Module):
        def forward(self, query, key, value):
            return value

    class Wrong(nn.Module):
        def forward(self, query, key, value, mask=None):
            return right(query, key, value, mask) if mask is not None else value @ 0

    assert "it needs one more parameter, mask, as in" in message_of(TooFew())
    message = message_of(Wrong())
    assert message.startswith("It is right, except when it is called with no mask. Your function raised ")
    assert " in line 2 of forward: " in message


def test_a_line_is_found_behind_a_partial_and_in_an_object():
    class Broken:
        def __call__(self, query, key, value, mask):
            return query @ key

    def broken(query, key, value, mask, extra):
        return query @ key

    assert "RuntimeError in line 2 of __call__: " in message_of(Broken())
    assert "RuntimeError in line 2 of broken: " in message_of(functools.partial(broken, extra=1))


def test_an_async_function_and_a_generator():
    async def waits(query, key, value, mask):
        return value

    def yields(query, key, value, mask):
        yield value

    assert message_of(waits) == "Your function is async, so that calling it computes nothing: write def, not async def."
    assert message_of(yields) == (
        "Your function is a generator, so that calling it computes nothing: write return, not yield."
    )


def test_a_sparse_output():
    message = message_of(lambda q, k, v, m: right(q, k, v, m).detach().to_sparse())
    assert message == "Your output is a sparse tensor; an ordinary, dense one is expected."


def test_an_output_that_shares_memory_with_an_input_is_fine():
    def split(x, num_heads):
        return x.view(*x.shape[:2], num_heads, -1).transpose(1, 2)

    assert check.split_heads(split).passed


# --- how it ends


def test_recursion_without_end():
    def recursive(query, key, value, mask):
        return recursive(query, key, value, mask)

    message = message_of(recursive)
    assert message.startswith("Your function raised RecursionError in line 2 of recursive: it calls itself without end")


def test_an_interrupt_in_the_learners_code_is_only_an_exception():
    def interrupted(query, key, value, mask):
        raise KeyboardInterrupt

    assert message_of(interrupted).startswith("Your function raised KeyboardInterrupt in line 2 of interrupted")


def test_a_call_that_does_not_come_back_from_c_is_left_behind():
    def sleeps(query, key, value, mask):
        time.sleep(4)

    start = time.monotonic()
    assert message_of(sleeps, time_limit=0.2).startswith("Your function was still running after 0.2 seconds")
    assert time.monotonic() - start < 3


def test_a_loop_that_catches_everything_is_stopped_too():
    def stubborn(query, key, value, mask):
        while True:
            with contextlib.suppress(Exception):
                time.sleep(0.001)

    before = threading.active_count()
    assert message_of(stubborn, time_limit=0.2).startswith("Your function was still running after 0.2 seconds")
    assert threading.active_count() == before


def test_what_the_learner_prints_comes_through_and_nothing_else(capfd):
    def prints(query, key, value, mask):
        print("out")
        print("err", file=sys.stderr)
        return right(query, key, value, mask)

    assert check.attention(prints).passed
    out, err = capfd.readouterr()
    assert set(out.split()) == {"out"}
    assert set(err.split()) == {"err"}


# --- wherever it is called


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode, functools.partial(torch.device, "meta")])
def test_the_callers_modes_change_nothing(context):
    with context():
        fresh = dataclasses.replace(check.CHECKS["attention"])  # its probes are made inside
        assert run_check(fresh, right, True, 10.0).passed
        assert run_check(fresh, lambda q, k, v, m: q @ k.mT @ v, False, 10.0).bugs == ()
    assert run_check(fresh, right, True, 10.0).passed


def test_the_default_dtype_is_put_back():
    def doubles(query, key, value, mask):
        torch.set_default_dtype(torch.float64)
        return right(query, key, value, mask)

    assert check.attention(doubles).passed
    assert torch.get_default_dtype() == torch.float32


# --- what is shown


def test_pytest_shows_the_report_and_no_frame_of_ours():
    with pytest.raises(check.CheckFailed) as caught:
        check.attention(lambda q, k, v, m: v * 0)
    shown = str(caught.getrepr(style="long", tbfilter=True))
    assert "CheckFailed: attention: not yet." in shown
    assert "check.attention(lambda q, k, v, m: v * 0)" in shown
    assert "engine/judge.py" not in shown
    assert "engine/public.py" not in shown


def test_ipython_shows_the_report_and_no_traceback(capfd, tmp_path, monkeypatch):
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    shell = InteractiveShell(history_load_length=0)
    shell.history_manager.enabled = False
    try:
        shell.run_cell("from companion import check; check.attention(lambda q, k, v, m: v * 0)", store_history=False)
    finally:
        shell.restore_sys_module_state()
    out, err = capfd.readouterr()
    assert "CheckFailed: attention: not yet." in out
    assert "Traceback" not in out
    assert ".py" not in out
    assert err == ""


def test_a_class_in_the_place_of_a_function():
    class Attention(nn.Module):
        def forward(self, query, key, value, mask):
            return right(query, key, value, mask)

    assert message_of(Attention) == (
        "You handed in the class Attention; the check needs a function, fn(query, key, value, mask), or an object of "
        "it, Attention()."
    )
    assert check.attention(Attention()).passed


def test_a_method_that_is_no_method():
    def attention(self, query, key, value, mask=None):
        return right(query, key, value, mask)

    assert message_of(attention).startswith("Your function takes self as well: it is no method here, so leave self out")


def test_parameters_in_another_order():
    assert message_of(lambda value, key, query, mask: value) == (
        "Your function takes (value, key, query, mask); the check gives them in another order, "
        "fn(query, key, value, mask)."
    )

    def by_name(*, mask, value, key, query):
        return right(query, key, value, mask)

    assert check.attention(by_name).passed
    assert check.attention(lambda q, k, v, query: right(q, k, v, query)).passed


def test_a_tuple_of_one():
    assert message_of(lambda q, k, v, m: (right(q, k, v, m),)) == (
        "Your function returned a tuple that holds one tensor: is there a comma after what it returns?"
    )


def test_a_truth_value_of_a_tensor():
    def attention(query, key, value, mask=None):
        if mask:
            return right(query, key, value, mask)

    assert "use &, |, ~ on tensors, and ask for None by `is None`" in message_of(attention)


def keys_turned(query, key, value, mask):
    return (query @ key.transpose(1, 2)).softmax(dim=-1) @ value


def keys_turned_before(query, key, value, mask):
    key = torch.swapaxes(key, 2, 1)
    return torch.matmul(query, key).softmax(dim=-1) @ value


def sizes_of_three(query, key, value, mask):
    batch, queries, features = query.shape
    return value


@pytest.mark.parametrize(
    "function",
    [
        lambda query, key, value, mask: torch.bmm(query, key.mT),
        lambda query, key, value, mask: query.flatten(0, 1).bmm(key.mT),
        lambda query, key, value, mask: torch.mm(query, key.mT),
        lambda query, key, value, mask: query @ key.permute(0, 2, 1),
        lambda query, key, value, mask: query @ key.t(),
        lambda query, key, value, mask: torch.einsum("bqd,bkd->bqk", query, key),
        keys_turned,
        keys_turned_before,
        sizes_of_three,
    ],
)
def test_code_for_three_axes_is_told_what_to_do_with_four(function):
    assert " (your inputs have four axes, (batch, heads, tokens, features): use @ and .transpose(-2, -1)) (called" in (
        message_of(function)
    )


def heads_turned_and_a_mask_that_does_not_fit(query, key, value, mask):
    output = (query @ key.mT).softmax(dim=-1) @ value
    return output.transpose(1, 2) + mask


@pytest.mark.parametrize(
    "function", [heads_turned_and_a_mask_that_does_not_fit, lambda query, key, value, mask: query @ key]
)
def test_another_error_is_not_told_of_axes(function):
    assert "four axes" not in message_of(function)


@pytest.mark.parametrize(
    ("digits", "unit"), [(0, "whole numbers"), (1, "multiples of 0.1"), (2, "multiples of 0.01"), (3, "0.001")]
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_rounded_numbers_are_told(digits, unit, dtype):
    def rounded(query, key, value, mask):
        return right(query.to(dtype), key.to(dtype), value.to(dtype), mask).round(decimals=digits)

    message = message_of(rounded)
    assert unit in message
    assert message.endswith("as if they were rounded; the right ones are not round.")

"""Everything that can go wrong before values are compared gets its own sentence; nothing goes to stderr."""

import threading
import time
import warnings

import pytest
import torch
import torch.nn.functional as F

from companion import check

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

"""Calling a learner's function so that nothing it does can hurt: a time limit, fresh inputs, no warnings."""

from __future__ import annotations

import ctypes
import functools
import inspect
import linecache
import re
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, is_dataclass
from types import FrameType
from typing import Any

import torch
from torch import Tensor

_WRITTEN_FOR_FEWER_AXES = re.compile(
    r"must be a 3D tensor|must be a matrix|^t\(\) expects a tensor|^permute.*input\.dim\(\) = 4|"
    r"^einsum.*number of dimensions \(4\)|^too many values to unpack \(expected [23]"
)
_MIDDLE_AXES = re.compile(r"(transpose|swapaxes|swapdims)\((\w+, ?)?(1, ?2|2, ?1)\)")  # the last two, without heads


class _Stop(SystemExit):
    """Thrown into a thread that ran out of time; a `SystemExit`, because threads end on it in silence."""


class Problem(Exception):
    """What is wrong with the learner's code, as a whole sentence, found before the code could run."""


@dataclass(frozen=True)
class Result:
    """How a call ended: with a value, with an error, or not in time."""

    value: Any = None
    error: BaseException | None = None
    timed_out: bool = False


def call_with_limit(call: Callable[[], Any], limit: float) -> Result:
    """Call something in a thread of its own and wait for at most `limit` seconds.

    A thread works in notebooks and on Windows, where signals and forks do not. Python code that runs too long is
    stopped; a call that does not come back from C (a sleep, a huge matrix product) stays behind in a daemon thread,
    which ends with it or with the process. What holds the interpreter's lock in C (``sum(range(10**12))``) nothing in
    this process can stop: a grader that must not hang runs in a process of its own, with a time limit of its own.
    """
    results: list[Result] = []

    def work() -> None:
        try:
            results.append(Result(value=call()))
        except BaseException as error:  # what a learner raises is for the report, whatever it is
            results.append(Result(error=error))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(limit)
    if thread.is_alive():
        if hasattr(ctypes, "pythonapi"):
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(_Stop))
            thread.join(1.0)
        return Result(timed_out=True)
    return results[0]


def fresh(value: Any, dtype: torch.dtype | None = None) -> Any:
    """Return a copy of an input that the learner may spoil; floating tensors in `dtype` if one is given."""
    if not isinstance(value, Tensor):
        return value
    copy = value.detach().clone()
    return copy.to(dtype) if dtype is not None and copy.is_floating_point() else copy


def describe(inputs: Mapping[str, Any]) -> str:
    """Name the inputs with their shapes, for a sentence."""
    words = []
    for name, value in inputs.items():
        if isinstance(value, Tensor):
            words.append(f"{name} {tuple(value.shape)}")
        elif not callable(value) and not is_dataclass(value):
            words.append(f"{name} {value}")
    return ", ".join(words)


def describe_error(error: BaseException, codes: Sequence[Any]) -> str:
    """Name an exception, its first line, and the line that it came from, of the learner's code objects."""
    lines = str(error).strip().splitlines()
    if isinstance(error, RecursionError):  # its words are not the same each time
        lines = ["it calls itself without end"]
    text = re.sub(r"0x[0-9a-fA-F]+", "0x...", lines[0])[:200] if lines else "no message"
    where = made = axes = ""
    for frame, line in traceback.walk_tb(error.__traceback__):
        if frame.f_code in codes:  # the innermost is said
            where = f" in line {line - frame.f_code.co_firstlineno + 1} of {frame.f_code.co_name}"
            axes = _fourth_axis(frame, line, text)
        made = made or _made_of_a_tensor(frame)
    if made:
        text += f" ({made}(...) makes a layer or a loss; what it makes is then called with tensors: {made}()(...))"
    elif text.startswith("Boolean value of Tensor with more than one value"):
        text += " (if, and, or, not want one truth value: use &, |, ~ on tensors, and ask for None by `is None`)"
    if layer := re.search(r"must be Tensor, not (ReLU|GELU|Dropout|Softmax|LayerNorm|Linear)$", text):
        text += f" (nn.{layer[1]}(...) makes a layer; the layer is then called with a tensor)"
    if re.search(r"operand type.*'Tensor' and '(function|method)'$", text):
        text += " (a function has to be called to give a tensor)"
    if text == "'Tensor' object is not callable":
        text += " (is a function called where it should be handed over?)"
    return f"{type(error).__name__}{where}: {text}{axes}"


def _fourth_axis(frame: FrameType, line: int, text: str) -> str:
    """Say what to do with four axes, if a function that is given them fails as one that was written for fewer does."""
    code = frame.f_code
    given = [frame.f_locals.get(name) for name in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]]
    if not any(isinstance(value, Tensor) and value.dim() == 4 for value in given):
        return ""
    lines = linecache.getlines(code.co_filename)[code.co_firstlineno - 1 : line]  # none, where they are not at hand
    turned = lines and "@" in lines[-1].replace("matmul", "@") and _MIDDLE_AXES.search("".join(lines))
    if not turned and not _WRITTEN_FOR_FEWER_AXES.search(text):
        return ""
    return " (your inputs have four axes, (batch, heads, tokens, features): use @ and .transpose(-2, -1))"


def _made_of_a_tensor(frame: FrameType) -> str:
    """Name the class of torch's that is being built in a frame, if it is given a tensor; else nothing."""
    built, given = frame.f_locals.get("self"), frame.f_locals.values()
    is_init = frame.f_code.co_name == "__init__" and type(built).__module__.startswith("torch.nn.modules")
    return type(built).__name__ if is_init and any(isinstance(value, Tensor) for value in given) else ""


def codes_of(function: Any) -> list[Any]:
    """Return the code objects in which a line of the learner's may stand."""
    while isinstance(function, functools.partial):
        function = function.func
    if callable(function):
        function = inspect.unwrap(function)
    if not inspect.isroutine(function):  # an object that can be called, such as a module
        members = vars(type(function)).values() if callable(function) else ()
        return [member.__code__ for member in members if inspect.isfunction(member)]
    return [getattr(function, "__code__", None)]


def unfinished(value: Any) -> str:
    """Say in a sentence that a returned value is a computation that has not begun; empty if it is not."""
    if inspect.iscoroutine(value):
        value.close()  # else Python would warn that it was never awaited
        return "Your function is async, so that calling it computes nothing: write def, not async def."
    if inspect.isgenerator(value):
        return "Your function is a generator, so that calling it computes nothing: write return, not yield."
    return ""


def type_name(value: Any) -> str:
    """Name what a value is, with its article, for a sentence."""
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)}"
    name = type(value).__name__
    if name == "ndarray":
        return "a NumPy array"
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"

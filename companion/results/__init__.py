"""Stored results of experiments too long for a notebook, each with what it takes to believe and repeat it.

The scripts stand in ``book/experiments/``. Their results stand here, so that a notebook finds them wherever the
package is installed.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import platform
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

FOLDER = Path(__file__).parent


def load_result(name: str) -> dict[str, Any]:
    """Read a stored result.

    Args:
        name: of the script that made it, without ``.py``.

    Returns:
        a dict with "question", "runs" (one dict for each seed), and the versions, the machine, the seconds it took
        and the hash of the script.

    Raises:
        ValueError: if there is no such result; the message lists those that there are.
    """
    path = FOLDER / f"{name}.json"
    if not path.is_file():
        known = ", ".join(sorted(path.stem for path in FOLDER.glob("*.json")))
        raise ValueError(f"there is no stored result {name!r}; there are: {known}")
    return json.loads(path.read_text(encoding="utf-8"))


def store_runs(
    script: str,
    question: str,
    run: Callable[[Any], dict[str, Any]],
    seeds: Iterable[Any],
    *,
    key: str = "seed",
    processes: int = 1,
) -> None:
    """Call ``run(seed)`` for every seed and store what it returns, after each one; seeds that are stored are skipped.

    Args:
        script: the script's ``__file__``; its hash is stored, and a changed script starts afresh.
        question: what the experiment asks.
        run: returns numbers, lists and strings only.
        seeds: decides the runs; what is stored of others is dropped.
        key: what to call a seed, where it is not one.
        processes: how many runs at a time.
    """
    path = FOLDER / f"{Path(script).stem}.json"
    result: dict[str, Any] = {
        "question": question,
        "script_sha256": script_hash(script),
        "python": platform.python_version(),
        "torch": torch.__version__.split("+")[0],
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads used",
        "seconds": 0.0,
        "runs": [],
    }
    if path.is_file() and load_result(path.stem)["script_sha256"] == result["script_sha256"]:
        result = load_result(path.stem)
    seeds = list(seeds)
    result["runs"] = [stored for stored in result["runs"] if stored[key] in seeds]
    done = [stored[key] for stored in result["runs"]]
    missing = [seed for seed in seeds if seed not in done]
    with _mapping(processes) as mapping:
        started = time.perf_counter()
        for seed, found in zip(missing, mapping(run, missing), strict=True):
            result["runs"].append({key: seed, **found})
            result["seconds"] = round(result["seconds"] + time.perf_counter() - started, 1)
            started = time.perf_counter()
            result["runs"].sort(key=lambda stored: seeds.index(stored[key]))
            path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
            print(f"{key} {seed}: {found}", flush=True)


@contextmanager
def _mapping(processes: int) -> Iterator[Callable[..., Iterable[Any]]]:
    """Give a `map` that yields each result as it comes, from so many processes."""
    if processes == 1:
        yield map
        return
    with multiprocessing.Pool(processes) as pool:
        yield pool.imap


def script_hash(script: str | os.PathLike[str]) -> str:
    """Hash a script, whatever its line ends."""
    return hashlib.sha256(Path(script).read_bytes().replace(b"\r\n", b"\n")).hexdigest()

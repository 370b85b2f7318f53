"""Pairs of sentences: a task to learn, and files of one's own to learn from."""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from companion.data.tokenizer import Tokenizer, normalise

Pair = tuple[str, str]

BYTE_ORDER_MARK = "\ufeff"
NOT_UTF_8 = {  # how a file begins that is something else, and what to do with it
    b"\xff\xfe": "UTF-16: save it as UTF-8",
    b"\xfe\xff": "UTF-16: save it as UTF-8",
    b"\x1f\x8b": "compressed (gzip): unpack it first",
    b"BZh9": "compressed (bzip2): unpack it first",
    b"\xfd7zXZ": "compressed (xz): unpack it first",
    b"PK\x03\x04": "a zip archive or a spreadsheet: unpack it, or save it as tab-separated text in UTF-8",
}


@dataclass
class TranslationTask:
    """Pairs to learn from, pairs to check with, and a tokenizer for each side.

    Args:
        train: pairs (source, target) to learn from.
        validation: pairs to look at while learning.
        test: pairs to look at in the end; no pair stands in two of the three.
        source_tokenizer: cuts the source; learned from `train` if not given.
        target_tokenizer: cuts the target; learned from `train` if not given.
        vocab_size: of a tokenizer that is learned here.
    """

    train: list[Pair]
    validation: list[Pair]
    test: list[Pair]
    source_tokenizer: Tokenizer = field(default=None)  # type: ignore[assignment]
    target_tokenizer: Tokenizer = field(default=None)  # type: ignore[assignment]
    vocab_size: int = 150

    def __post_init__(self) -> None:
        if self.source_tokenizer is None:
            self.source_tokenizer = Tokenizer.train((source for source, _ in self.train), self.vocab_size)
        if self.target_tokenizer is None:
            self.target_tokenizer = Tokenizer.train((target for _, target in self.train), self.vocab_size)

    @classmethod
    def from_pairs(cls, pairs: Sequence[Pair], *, seed: int = 0, vocab_size: int = 8000) -> TranslationTask:
        """Split `pairs` into 90 % to train, 5 % to validate and 5 % to test; repeated pairs count once.

        All translations of one source stand in the same part, so that what is tested was never seen. Texts are
        compared, and kept, as tokenizers see them: differences in blanks or in how an accent is written are none.

        Raises:
            ValueError: if there are fewer than 20 different sources.
        """
        by_source: dict[str, list[Pair]] = {}
        for source, target in dict.fromkeys((normalise(source), normalise(target)) for source, target in pairs):
            by_source.setdefault(source, []).append((source, target))
        groups = list(by_source.values())
        if len(groups) < 20:
            raise ValueError(f"{len(groups)} different sources are too few to split: at least 20 are needed")
        random.Random(seed).shuffle(groups)
        share = len(groups) // 20
        parts = groups[2 * share :], groups[:share], groups[share : 2 * share]
        train, validation, test = ([pair for group in part for pair in group] for part in parts)
        return cls(train, validation, test, vocab_size=vocab_size)

    def fitting(self, max_len: int) -> TranslationTask:
        """Return this task without the pairs of which a side is longer than `max_len` tokens, eos included."""
        train, validation, test = (
            self.pairs_fitting(part, max_len) for part in (self.train, self.validation, self.test)
        )
        return TranslationTask(train, validation, test, self.source_tokenizer, self.target_tokenizer)

    def pairs_fitting(self, pairs: Sequence[Pair], max_len: int) -> list[Pair]:
        """Return the pairs of which no side is longer than `max_len` tokens, eos included."""
        sources = self.source_tokenizer.encode_batch([source for source, _ in pairs])
        targets = self.target_tokenizer.encode_batch([target for _, target in pairs])
        lengths = [max(len(source), len(target)) for source, target in zip(sources, targets, strict=True)]
        return [pair for pair, length in zip(pairs, lengths, strict=True) if length <= max_len]


@dataclass
class Pairs:
    """What `read_pairs` found.

    Args:
        pairs: (source, target) of each good line.
        attributions: the third column of each good line, "" where there was none.
        problems: a sentence for each line that was left out, with its number.
    """

    pairs: list[Pair]
    attributions: list[str]
    problems: list[str]


def read_pairs(path: str | os.PathLike[str]) -> Pairs:
    """Read tab-separated pairs: source, target and, if there is one, an attribution that is kept.

    UTF-8, with or without byte order marks. A line that is blank or broken is left out and reported.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if no line holds a pair, or the file is UTF-16 or compressed.
    """
    found = Pairs([], [], [])
    content = Path(path).read_bytes()
    for start, what in NOT_UTF_8.items():
        if content.startswith(start):
            raise ValueError(f"{os.fspath(path)} is {what}")
    for number, raw in enumerate(content.splitlines(), start=1):
        try:
            line = raw.decode("utf-8").removeprefix(BYTE_ORDER_MARK)
        except UnicodeDecodeError as error:
            found.problems.append(f"line {number}: not UTF-8 (byte {error.start + 1})")
            continue
        columns = [column.strip() for column in line.split("\t")]
        if "\0" in line:
            found.problems.append(f"line {number}: a NUL, as in UTF-16: save the file as UTF-8")
        elif BYTE_ORDER_MARK in line:
            found.problems.append(f"line {number}: a byte order mark inside it, as where two files were joined")
        elif columns == [""]:
            found.problems.append(f"line {number}: blank")
        elif len(columns) < 2:
            found.problems.append(f"line {number}: one column, expected source and target with a tab between them")
        elif not columns[0] or not columns[1]:
            found.problems.append(f"line {number}: the {'source' if not columns[0] else 'target'} is empty")
        else:
            found.pairs.append((columns[0], columns[1]))
            found.attributions.append(columns[2] if len(columns) > 2 else "")
    if not found.pairs:
        first = f" ({found.problems[0]})" if found.problems else ""
        raise ValueError(f"{os.fspath(path)} holds no pair: each line must be a source, a tab and a target{first}")
    return found

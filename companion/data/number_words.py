"""The running example: numbers in words, from one language to another.

"two hundred and thirty-four" → "zweihundertvierunddreißig": a real translation task that needs no download. Its
order crosses over (twenty-one, einundzwanzig), its words have parts, and every answer can be checked.
"""

from __future__ import annotations

import random

from companion.data.pairs import Pair, TranslationTask


class NumberWords(TranslationTask):
    """Numbers in words, by `num2words`, split so that no number stands in two parts.

    Numbers are drawn so that every count of digits is about as frequent, as far as there are enough of them.

    Args:
        source: language to translate from, as num2words names it.
        target: language to translate to.
        max_digits: numbers have up to this many digits.
        seed: which numbers stand where.
        num_train: how many numbers to train on; fewer if there are not enough.
        num_held_out: how many numbers each of validation and test get.

    Raises:
        ValueError: if num2words does not know a language, or max_digits is less than 1.
    """

    def __init__(
        self,
        source: str = "en",
        target: str = "de",
        max_digits: int = 6,
        seed: int = 0,
        *,
        num_train: int = 10_000,
        num_held_out: int = 1_000,
    ) -> None:
        if max_digits < 1:
            raise ValueError(f"max_digits must be at least 1, got {max_digits}")
        for language in (source, target):
            number_in_words(1, language)
        self.source, self.target, self.max_digits, self.seed = source, target, max_digits, seed
        held_out = min(num_held_out, 10**max_digits // 10)
        numbers = _draw_numbers(num_train + 2 * held_out, max_digits, random.Random(seed))
        # By source, since num2words writes some numbers alike: 100,001 and 101,001 in Turkish.
        by_source = {number_in_words(n, source): number_in_words(n, target) for n in numbers}
        pairs = list(by_source.items())
        super().__init__(pairs[2 * held_out :], pairs[:held_out], pairs[held_out : 2 * held_out])

    def pair(self, number: int) -> Pair:
        """Return `number` in words, in both languages."""
        return number_in_words(number, self.source), number_in_words(number, self.target)

    def __repr__(self) -> str:
        """Say which task this is."""
        return f"NumberWords({self.source!r}, {self.target!r}, max_digits={self.max_digits}, seed={self.seed})"


def number_in_words(number: int, language: str) -> str:
    """Write `number` in words, by num2words.

    Raises:
        ValueError: if num2words does not know the language, or this number in it.
    """
    from num2words import CONVERTER_CLASSES, num2words

    if language not in CONVERTER_CLASSES:
        raise ValueError(f"num2words does not know the language {language!r}; it knows {', '.join(CONVERTER_CLASSES)}")
    try:
        return num2words(number, lang=language)
    except Exception as error:  # some languages of the library stop with a TypeError, some with an IndexError
        raise ValueError(f"num2words cannot write {number} in the language {language!r}: {error}") from error


def _draw_numbers(count: int, max_digits: int, rng: random.Random) -> list[int]:
    # Go round the digit counts, shortest first, taking an equal share of what is still wanted from each.
    chosen: list[int] = []
    for digits in range(1, max_digits + 1):
        first = 0 if digits == 1 else 10 ** (digits - 1)
        available = range(first, 10**digits)
        share = (count - len(chosen)) // (max_digits + 1 - digits)
        chosen += rng.sample(available, min(share, len(available)))
    rng.shuffle(chosen)
    return chosen

"""The running example: numbers in words, from one language to another.

"two hundred and thirty-four" → "zweihundertvierunddreißig": a real translation task that needs no download. Its
order crosses over (twenty-one, einundzwanzig), its words have parts, and every answer can be checked.

What is tested is held out by structure, and not by chance: every eleventh number, and every number whose thousands
are among 80 that no number to learn from has. A test set drawn like the training set would only show that the model
fits it: numbers such as 100,001 hardly come up in either.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Sequence

from companion.data.pairs import Pair, TranslationTask
from companion.data.tokenizer import Tokenizer

ZEROS = 0.3
# What never becomes a part of a longer subword: the joints of a number.
ALONE = {"de": ("-", "hundert", "tausend", "und")}
# Thousands of several words each, "one hundred" among them: every word is seen in every place, but not together.
HELD_OUT_THOUSANDS = {100, 300, 500}
HELD_OUT_THOUSANDS |= set(random.Random(0).sample([number for number in range(21, 1000) if number % 10], 77))


class NumberWords(TranslationTask):
    """Numbers in words, by `num2words`, split so that no number stands in two parts.

    Training draws numbers as they come, small ones and round ones again and again. Validation and test hold
    different numbers, each count of digits about as often as the others, as far as there are enough of them;
    `by_kind` has more that are held out, sorted by what is hard about them.

    Args:
        source: language to translate from, as num2words names it.
        target: language to translate to.
        max_digits: numbers have up to this many digits.
        seed: which numbers stand where; what is held out is the same for every seed.
        num_train: how many numbers to draw to train on.
        num_held_out: how many numbers each of validation and test get; fewer if there are not enough.

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
        rng = random.Random(seed)
        train = [self.pair(number) for number in draw_numbers(num_train, max_digits, rng)]
        # By source, since num2words writes some numbers alike: 100,001 and 101,001 in Turkish.
        self._taken = {text for text, _ in train}
        validation = self._spread("validation", num_held_out, rng)
        self._taken |= {text for text, _ in validation}
        test = self._spread("test", num_held_out, rng)
        source_tokenizer = Tokenizer.train((text for text, _ in train), alone=ALONE.get(source, ("-",)))
        target_tokenizer = Tokenizer.train((text for _, text in train), alone=ALONE.get(target, ("-",)))
        super().__init__(train, validation, test, source_tokenizer, target_tokenizer)

    def pair(self, number: int) -> Pair:
        """Return `number` in words, in both languages."""
        return number_in_words(number, self.source), number_in_words(number, self.target)

    def by_kind(self, most: int = 200) -> dict[str, list[Pair]]:
        """Return up to `most` pairs of each kind of number, all of them held out from training and validation.

        Kinds: so many digits; all up to 100; round ones; zeros inside, as in 340,005. Kinds of which nothing is held
        out, or nothing has so few digits, are left out.
        """
        top, rng = 10**self.max_digits, random.Random(1)
        kinds: dict[str, Sequence[int]] = {"0 to 100": range(min(101, top))}
        kinds |= {f"{count} digits": _of_digits(count) for count in range(2, self.max_digits + 1)}
        kinds |= {f"multiples of {step:,}": range(step, top, step) for step in (100, 1_000, 10_000)}
        kinds["x,00y"] = [1000 * x + y for x in range(1, min(top // 1000, 1000)) for y in range(1, 10)]
        kinds["x00,00y"] = [number for number in kinds["x,00y"] if number >= 100_000 and number // 1000 % 100 == 0]
        kinds["100,001 to 100,099"] = range(100_001, min(top, 100_100))
        return {kind: pairs for kind, numbers in kinds.items() if (pairs := self._held_out("test", numbers, most, rng))}

    def _spread(self, part: str, count: int, rng: random.Random) -> list[Pair]:
        # Go round the digit counts, shortest first, taking an equal share of what is still wanted from each.
        pairs: list[Pair] = []
        for digits in range(1, self.max_digits + 1):
            share = (count - len(pairs)) // (self.max_digits + 1 - digits)
            pairs += self._held_out(part, _of_digits(digits), share, rng)
        rng.shuffle(pairs)
        return pairs

    def _held_out(self, part: str, numbers: Sequence[int], most: int, rng: random.Random) -> list[Pair]:
        # Nearly a tenth is validation and more is test, so that this many are enough to look at.
        some = (number for number in rng.sample(numbers, min(len(numbers), 20 * most)) if part_of(number) == part)
        pairs: dict[str, str] = {}
        for source, target in map(self.pair, some):
            if len(pairs) == most:
                break
            if source not in self._taken:
                pairs[source] = target
        return list(pairs.items())

    def __repr__(self) -> str:
        """Say which task this is."""
        return f"NumberWords({self.source!r}, {self.target!r}, max_digits={self.max_digits}, seed={self.seed})"


def part_of(number: int) -> str:
    """Say where `number` may stand: in "train", "validation" or "test"."""
    if number % 11 == 7 or number // 1000 % 1000 in HELD_OUT_THOUSANDS:
        return "test"
    return "validation" if number % 11 == 3 else "train"


def draw_numbers(count: int, max_digits: int, rng: random.Random) -> list[int]:
    """Draw numbers to train on, some of them more than once.

    A number has two digits twice as often as one, three digits three times as often, and so on. Each digit but the
    first is 0 with probability `ZEROS` at least: left to chance, round numbers would be too rare to be learned.
    """
    numbers: list[int] = []
    while len(numbers) < count:
        (digits,) = rng.choices(range(1, max_digits + 1), weights=range(1, max_digits + 1))
        number = rng.randrange(1 if digits > 1 else 0, 10)
        for _ in range(digits - 1):
            number = 10 * number + (0 if rng.random() < ZEROS else rng.randrange(10))
        if part_of(number) == "train":
            numbers.append(number)
    return numbers


@functools.cache
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


def _of_digits(count: int) -> range:
    return range(0 if count == 1 else 10 ** (count - 1), 10**count)

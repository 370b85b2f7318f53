"""Subwords: text cut into pieces that a small vocabulary can hold.

Byte-pair encoding (arXiv 1508.07909) by the `tokenizers` library. It joins whatever often stands side by side, and
what has become one piece cannot be taken apart by the model: some strings can be told to stand alone. The hyphen
always does; otherwise "twenty-one" would become one token, and no attention could be seen to cross inside it.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tokenizers

SPECIAL_TOKENS = ("<pad>", "<bos>", "<eos>", "<unk>")


def normalise(text: str) -> str:
    """Return `text` as a tokenizer sees it: composed characters, single blanks, none of them at an end."""
    return _normaliser().normalize_str(text)


@functools.cache
def _normaliser() -> tokenizers.normalizers.Normalizer:
    from tokenizers import Regex, normalizers

    blanks = Regex(r"[\s▁]+")  # "▁" is the mark for a blank inside a tokenizer
    return normalizers.Sequence([normalizers.NFC(), normalizers.Replace(blanks, " "), normalizers.Strip()])


def _strings(texts: Iterable[str]) -> list[str]:
    if isinstance(texts, str):
        raise TypeError("texts must be a list of strings, got one string: put it into a list")
    texts = list(texts)
    for text in texts:
        if not isinstance(text, str):
            raise TypeError(f"texts must be strings, got {type(text).__name__}: {text!r}")
    return texts


class Tokenizer:
    """Text to token ids and back. The ids of pad, bos, eos and unknown are 0, 1, 2 and 3.

    Make one with `Tokenizer.train` or `Tokenizer.from_json`.
    """

    pad_id, bos_id, eos_id, unk_id = range(4)

    def __init__(self, subwords: tokenizers.Tokenizer) -> None:
        self._subwords = subwords
        subwords.encode_special_tokens = True  # "<eos>" in a text is text, not the end of it
        if tuple(self.tokens(range(4))) != SPECIAL_TOKENS:
            raise ValueError(f"a tokenizer must begin with {', '.join(SPECIAL_TOKENS)}, got {self.tokens(range(4))}")

    @classmethod
    def train(cls, texts: Iterable[str], vocab_size: int = 150, alone: Sequence[str] = ("-",)) -> Tokenizer:
        """Learn subwords from `texts`, at most `vocab_size` of them, special tokens included.

        Every character of `texts` gets a token, even where there are more characters than that. Where a word begins
        is marked, unless each of the texts is a single word.

        Args:
            texts: what to learn from.
            vocab_size: how many subwords, at most.
            alone: strings that are never part of a longer subword.

        Raises:
            TypeError: if `texts` is a single string, or holds something else than strings.
        """
        from tokenizers import Regex, decoders, models, pre_tokenizers, trainers
        from tokenizers import Tokenizer as Subwords

        texts = _strings(texts)
        subwords = Subwords(models.BPE(unk_token="<unk>"))
        subwords.normalizer = _normaliser()
        # In a single word the mark would only make two pieces of one: "▁ein" at the beginning and "ein" after it.
        scheme = "always" if any(" " in normalise(text) for text in texts) else "never"
        cuts = Regex("|".join(map(re.escape, alone)))
        subwords.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Metaspace(prepend_scheme=scheme), pre_tokenizers.Split(cuts, "isolated")]
        )
        subwords.decoder = decoders.Metaspace(prepend_scheme=scheme)
        trainer = trainers.BpeTrainer(vocab_size=vocab_size, special_tokens=list(SPECIAL_TOKENS), show_progress=False)
        subwords.train_from_iterator(texts, trainer)
        return cls(subwords)

    @classmethod
    def from_json(cls, text: str) -> Tokenizer:
        """Read a tokenizer that `to_json` wrote.

        Raises:
            ValueError: if the text is not such a tokenizer.
        """
        from tokenizers import Tokenizer as Subwords

        try:
            subwords = Subwords.from_str(text)
        except Exception as error:  # the library raises bare Exception
            raise ValueError(f"not a tokenizer file: {error}") from error
        return cls(subwords)

    def to_json(self) -> str:
        """Return the whole tokenizer as JSON."""
        return self._subwords.to_str()

    def __len__(self) -> int:
        """Return the size of the vocabulary."""
        return self._subwords.get_vocab_size()

    def normalise(self, text: str) -> str:
        """Return `text` as this tokenizer sees it: composed characters, single blanks, none of them at an end."""
        return self._subwords.normalizer.normalize_str(text)

    def encode(self, text: str) -> list[int]:
        """Cut `text` into ids, without bos and with eos at the end."""
        return self.encode_batch([text])[0]

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Encode many texts at once.

        Raises:
            TypeError: if `texts` is a single string, or holds something else than strings.
        """
        encoded = self._subwords.encode_batch(_strings(texts), add_special_tokens=False)
        return [[*one.ids, self.eos_id] for one in encoded]

    def decode(self, ids: Iterable[int]) -> str:
        """Join ids back into text; special tokens leave no trace."""
        return self._subwords.decode([int(i) for i in ids], skip_special_tokens=True)

    def tokens(self, ids: Iterable[int]) -> list[str]:
        """Return the subword of each id, for the axes of a picture; "▁" marks where a word begins."""
        return [self._subwords.id_to_token(int(i)) or "<none>" for i in ids]

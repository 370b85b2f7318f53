"""Subwords: text cut into pieces that a small vocabulary can hold.

Byte-pair encoding (arXiv 1508.07909) by the `tokenizers` library. The hyphen always stands alone: otherwise
"twenty-one" would become one token, and no attention could be seen to cross inside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tokenizers

SPECIAL_TOKENS = ("<pad>", "<bos>", "<eos>", "<unk>")


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
    def train(cls, texts: Iterable[str], vocab_size: int = 150) -> Tokenizer:
        """Learn subwords from `texts`, at most `vocab_size` of them, special tokens included.

        Every character of `texts` gets a token, even where there are more characters than that.
        """
        from tokenizers import Regex, decoders, models, normalizers, pre_tokenizers, trainers
        from tokenizers import Tokenizer as Subwords

        subwords = Subwords(models.BPE(unk_token="<unk>"))
        subwords.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " ")])
        subwords.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Metaspace(), pre_tokenizers.Split("-", "isolated")]
        )
        subwords.decoder = decoders.Metaspace()
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
        """Return `text` as the tokenizer sees it: composed characters, single spaces."""
        return self._subwords.normalizer.normalize_str(text).strip()

    def encode(self, text: str) -> list[int]:
        """Cut `text` into ids, without bos and with eos at the end."""
        return [*self._subwords.encode(text, add_special_tokens=False).ids, self.eos_id]

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Encode many texts at once."""
        encoded = self._subwords.encode_batch(list(texts), add_special_tokens=False)
        return [[*one.ids, self.eos_id] for one in encoded]

    def decode(self, ids: Iterable[int]) -> str:
        """Join ids back into text; special tokens leave no trace."""
        return self._subwords.decode([int(i) for i in ids], skip_special_tokens=True)

    def tokens(self, ids: Iterable[int]) -> list[str]:
        """Return the subword of each id, for the axes of a picture; "▁" marks where a word begins."""
        return [self._subwords.id_to_token(int(i)) or "<none>" for i in ids]

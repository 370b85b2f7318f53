import bz2
import gzip
import io
import itertools
import lzma
import random
import unicodedata
import zipfile
from collections import Counter

import pytest
import torch

from companion import NumberWords, Tokenizer, TranslationTask, length_bucketed_batches, pad_batch, read_pairs
from companion.data import number_words
from companion.data.number_words import HELD_OUT_THOUSANDS, draw_numbers, number_in_words, part_of
from companion.data.tokenizer import normalise
from tests.helpers import small_task

PAIRS = [(f"source {i}", f"Ziel {i}") for i in range(40)]


# The running example


def test_parts_are_disjoint_and_reproducible():
    task, again = small_task(), NumberWords(max_digits=3, num_train=100, num_held_out=20)
    parts = [task.train, task.validation, task.test]
    assert [len(part) for part in parts] == [100, 20, 20]
    train, validation, test = map(set, parts)
    assert len(validation | test) == 40  # each of them once, and none of them to train on
    assert not train & (validation | test)
    assert (again.train, again.validation, again.test) == tuple(parts)
    assert again.target_tokenizer.to_json() == task.target_tokenizer.to_json()
    assert NumberWords(max_digits=3, num_train=100, num_held_out=20, seed=1).test != task.test


def test_pairs_are_numbers_in_words():
    task = small_task()
    assert task.pair(21) == ("twenty-one", "einundzwanzig")
    words = {task.pair(number) for number in range(1000)}
    assert words.issuperset(task.train + task.validation + task.test)
    assert repr(task) == "NumberWords('en', 'de', max_digits=3, seed=0)"


def test_held_out_counts_of_digits_are_roughly_even():
    task = NumberWords()
    digits = {task.pair(number)[0]: len(str(number)) for number in range(1000)}
    counts = Counter(digits.get(source, 4) for source, _ in task.test)
    assert (counts[1], counts[2], counts[3]) == (1, 8, 82)  # all there are
    assert counts.total() == 1000


def test_what_is_held_out_is_held_out_by_structure():
    parts = {number: part_of(number) for number in (7, 18, 8, 14, 21, 100_001, 1_100_001, 99_021, 100_000_021)}
    assert [number for number, part in parts.items() if part == "test"] == [7, 18, 100_001, 1_100_001]
    assert [number for number, part in parts.items() if part == "validation"] == [14]
    assert len(HELD_OUT_THOUSANDS) == 80


def test_draws_have_many_zeros_and_more_numbers_of_more_digits(monkeypatch):
    numbers = draw_numbers(12_000, 6, random.Random(0))
    assert {part_of(number) for number in numbers} == {"train"}
    digits = Counter(len(str(number)) for number in numbers)
    for count in range(1, 7):
        assert digits[count] / 12_000 == pytest.approx(count / 21, abs=0.03)
    last = Counter(number % 10 for number in numbers if number > 9)
    assert last[0] / last.total() == pytest.approx(0.3 + 0.7 / 10, abs=0.02)
    monkeypatch.setattr(number_words, "ZEROS", 0.0)
    few = Counter(number % 10 for number in draw_numbers(12_000, 6, random.Random(0)) if number > 9)
    assert few[0] / few.total() == pytest.approx(0.1, abs=0.02)


def test_kinds_are_held_out_and_what_they_are_called():
    task = NumberWords()
    numbers = {task.pair(number): number for number in (7, 62, 821, 70_000, 100_077, 300_005)}
    kinds = task.by_kind(most=100)
    found = {kind: {numbers[pair] for pair in pairs if pair in numbers} for kind, pairs in kinds.items()}
    assert {7, 62} <= found["0 to 100"]
    assert 70_000 in found["multiples of 10,000"]
    assert found["100,001 to 100,099"] == {100_077}
    assert 300_005 in found["x00,00y"]
    assert max(map(len, kinds.values())) == len(kinds["6 digits"]) == 100
    assert not set(itertools.chain(*kinds.values())) & {*task.train, *task.validation}
    assert "multiples of 1,000" not in NumberWords(max_digits=3, num_train=100).by_kind()


def test_few_numbers_are_shared_out():
    task = NumberWords(max_digits=1)
    assert (len(set(task.train)), len(task.validation), len(task.test)) == (8, 1, 1)


def test_languages_and_digits_that_there_are_not():
    with pytest.raises(ValueError, match="num2words does not know the language 'xx'; it knows .*de"):
        NumberWords(target="xx")
    with pytest.raises(ValueError, match="max_digits must be at least 1, got 0"):
        NumberWords(max_digits=0)
    with pytest.raises(ValueError, match=f"num2words cannot write {10**400} in the language 'en'"):
        number_in_words(10**400, "en")


def test_numbers_that_are_written_alike_stand_in_one_part(monkeypatch):
    assert number_in_words(100_001, "tr") == number_in_words(101_001, "tr")
    monkeypatch.setattr(number_words, "number_in_words", lambda number, language: f"{language} {number // 2}")
    task = NumberWords(max_digits=3, num_train=500, num_held_out=20)
    parts = [{source for source, _ in part} for part in (task.train, task.validation, task.test)]
    assert sum(map(len, parts)) == len(set.union(*parts))
    assert len(task.validation) == len(task.test) == 20


@pytest.mark.parametrize("target", ["fr", "es", "ru", "ja"])
def test_other_languages(target):
    task = NumberWords("de", target, max_digits=2, num_train=30)
    assert all(task.target_tokenizer.decode(task.target_tokenizer.encode(text)) == text for _, text in task.train)


# Tokenizers


def test_text_comes_back_from_ids():
    task = small_task()
    for source, target in task.train + task.validation + task.test:
        assert task.source_tokenizer.decode(task.source_tokenizer.encode(source)) == source
        assert task.target_tokenizer.decode(task.target_tokenizer.encode(target)) == target


def test_ids_end_with_eos_and_batches_are_as_single_texts():
    tokenizer, texts = small_task().source_tokenizer, [source for source, _ in small_task().train[:7]]
    encoded = tokenizer.encode_batch(texts)
    assert encoded == [tokenizer.encode(text) for text in texts]
    assert all(ids[-1] == tokenizer.eos_id and min(ids[:-1]) > tokenizer.unk_id for ids in encoded)


def test_the_hyphen_stands_alone():
    tokenizer = small_task().source_tokenizer
    vocabulary = tokenizer.tokens(range(len(tokenizer)))
    assert "-" in vocabulary
    assert not [token for token in vocabulary if "-" in token and token != "-"]
    assert tokenizer.tokens(tokenizer.encode("twenty-one")).count("-") == 1


def test_what_stands_alone_is_never_part_of_a_longer_piece():
    texts = ["hundertundeins", "tausendundeins", "undund"] * 9
    joined, cut = Tokenizer.train(texts, 60), Tokenizer.train(texts, 60, alone=("und", "hundert", "t.u"))
    assert joined.tokens(joined.encode("hundertundeins")) == ["hundertundeins", "<eos>"]
    assert cut.tokens(cut.encode("hundertundeins")) == ["hundert", "und", "eins", "<eos>"]
    assert cut.decode(cut.encode("hundertundeins")) == "hundertundeins"


def test_the_beginning_of_a_word_is_marked_where_there_are_several():
    one, several = Tokenizer.train(["eins", "zwei"], 60), Tokenizer.train(["eins", "zwei drei"], 60)
    assert one.tokens(one.encode("eins")) == ["eins", "<eos>"]
    assert several.tokens(several.encode("zwei drei")) == ["▁zwei", "▁drei", "<eos>"]
    for tokenizer, text in ((one, "eins"), (several, "zwei drei")):
        assert tokenizer.decode(tokenizer.encode(text)) == text
        assert Tokenizer.from_json(tokenizer.to_json()).decode(tokenizer.encode(text)) == text


def test_special_tokens():
    tokenizer = small_task().source_tokenizer
    assert (tokenizer.pad_id, tokenizer.bos_id, tokenizer.eos_id, tokenizer.unk_id) == (0, 1, 2, 3)
    assert tokenizer.tokens(range(4)) == ["<pad>", "<bos>", "<eos>", "<unk>"]
    assert tokenizer.tokens([999]) == ["<none>"]
    ids = tokenizer.encode("one")
    assert tokenizer.decode([1, *ids, 0, 0]) == "one"
    assert tokenizer.encode("Ω")[-2:] == [3, 2]
    assert tokenizer.decode([]) == ""
    assert tokenizer.encode("") == [2]


def test_a_special_token_in_a_text_is_text():
    tokenizer = Tokenizer.train(["<pad> a <eos> b <bos> c <unk>"], 60)
    for same in (tokenizer, Tokenizer.from_json(tokenizer.to_json())):
        ids = same.encode("a <pad> <eos> b")
        assert min(ids[:-1]) > 3
        assert same.decode(ids) == "a <pad> <eos> b"


def test_texts_are_normalised():
    tokenizer = Tokenizer.train(["größer  als\teins"], 60)
    assert tokenizer.encode(unicodedata.normalize("NFD", "größer als")) == tokenizer.encode("größer \n als")


@pytest.mark.parametrize("text", ["a b", " a  b\u00a0", "a\u3000b", "a\t\u2028 b", "▁a▁b"])
def test_kinds_of_blanks_are_one(text):
    tokenizer = Tokenizer.train(["a b"], 60)
    assert tokenizer.normalise(text) == normalise(text) == "a b"
    assert tokenizer.encode(text) == tokenizer.encode("a b")
    assert tokenizer.decode(tokenizer.encode(text)) == "a b"
    assert tokenizer.encode("  ") == tokenizer.encode("") == [tokenizer.eos_id]


def test_one_string_is_not_a_list_of_strings():
    tokenizer = small_task().source_tokenizer
    for call in (Tokenizer.train, tokenizer.encode_batch):
        with pytest.raises(TypeError, match="texts must be a list of strings, got one string: put it into a list"):
            call("one two three")
    for call in (Tokenizer.train, tokenizer.encode_batch, lambda texts: tokenizer.encode(texts[1])):
        with pytest.raises(TypeError, match="texts must be strings, got int: 5"):
            call(["one", 5])
        with pytest.raises(TypeError, match=r"texts must be strings, got tuple: \('one', 'eins'\)"):
            call(["one", ("one", "eins")])
    assert Tokenizer.train(iter(["one"])).encode("one") == Tokenizer.train(["one"]).encode("one")


def test_vocab_size_is_kept_where_the_characters_allow_it():
    texts = [source for source, _ in small_task().train]
    assert len(Tokenizer.train(texts, 40)) == 40
    assert len(Tokenizer.train(["abc defg"], 5)) == 4 + 8  # the characters and the mark of a word's beginning


def test_json_keeps_everything():
    tokenizer = small_task().target_tokenizer
    again = Tokenizer.from_json(tokenizer.to_json())
    assert len(again) == len(tokenizer)
    assert again.encode("einundzwanzig") == tokenizer.encode("einundzwanzig")


def test_a_tokenizer_without_our_special_tokens_is_refused():
    text = small_task().source_tokenizer.to_json().replace("<bos>", "<s>")
    with pytest.raises(ValueError, match="must begin with <pad>, <bos>, <eos>, <unk>, got"):
        Tokenizer.from_json(text)


# Files of pairs


def read(tmp_path, content):
    path = tmp_path / "pairs.tsv"
    path.write_bytes(content)
    return read_pairs(path)


def test_read_pairs_by_hand(tmp_path):
    lines = [
        "\ufeffone\teins\tAda, CC BY".encode(),
        b"two\tzwei",
        b"",
        b"three",
        b"\tvier",
        b"five\t ",
        b"six\tsechs\xff",
        b" seven \t sieben \tBo\tmore",
        b"   ",
    ]
    found = read(tmp_path, b"\r\n".join(lines) + b"\r\n")
    assert found.pairs == [("one", "eins"), ("two", "zwei"), ("seven", "sieben")]
    assert found.attributions == ["Ada, CC BY", "", "Bo"]
    assert found.problems == [
        "line 3: blank",
        "line 4: one column, expected source and target with a tab between them",
        "line 5: the source is empty",
        "line 6: the target is empty",
        "line 7: not UTF-8 (byte 10)",
        "line 9: blank",
    ]


@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf"], ids=["plain", "byte order mark"])
@pytest.mark.parametrize("last", [True, False])
def test_line_endings(tmp_path, ending, start, last):
    found = read(tmp_path, start + "a\tä".encode() + ending + b"b\tc" + (ending if last else b""))
    assert (found.pairs, found.problems) == ([("a", "ä"), ("b", "c")], [])


def test_a_line_separator_inside_a_text_ends_no_line(tmp_path):
    assert read(tmp_path, "a\u2028b\x0bc\td\x85e".encode()).pairs == [("a\u2028b\x0bc", "d\x85e")]


@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbf", b"\n\n", b"one column\n"])
def test_a_file_without_pairs(tmp_path, content):
    with pytest.raises(ValueError, match=r"pairs.tsv holds no pair: each line must be a source, a tab and a target"):
        read(tmp_path, content)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be"])
def test_utf_16_is_said(tmp_path, encoding):
    mark = b"\xfe\xff" if encoding.endswith("be") else b""
    with pytest.raises(ValueError, match="pairs.tsv is UTF-16: save it as UTF-8"):
        read(tmp_path, mark + "a\tb\nc\td\n".encode(encoding))


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("text", ["a\tb\nc\td\n", "你好\t您好\n再见\t再會\n"], ids=["Latin", "Chinese"])
def test_utf_16_without_a_mark_is_said(tmp_path, encoding, text):
    with pytest.raises(ValueError, match=r"pairs.tsv holds no pair: .* \(line 1: (a NUL, as in UTF-16|not UTF-8)"):
        read(tmp_path, text.encode(encoding))


def test_a_byte_order_mark_where_files_were_joined(tmp_path):
    mark = b"\xef\xbb\xbf"
    found = read(tmp_path, mark + b"a\tb\n" + mark + b"c\td\n" + b"e\tf" + mark + b"g\th\ni\tj\n")
    assert found.pairs == [("a", "b"), ("c", "d"), ("i", "j")]
    assert found.problems == ["line 3: a byte order mark inside it, as where two files were joined"]


def test_a_nul_spoils_its_line_alone(tmp_path):
    found = read(tmp_path, b"a\tb\nc\0\td\n")
    assert (found.pairs, found.problems) == ([("a", "b")], ["line 2: a NUL, as in UTF-16: save the file as UTF-8"])


def zipped(content):
    with zipfile.ZipFile(buffer := io.BytesIO(), "w") as archive:
        archive.writestr("pairs.tsv", content)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("pack", "what"),
    [
        (gzip.compress, r"compressed \(gzip\): unpack it first"),
        (bz2.compress, r"compressed \(bzip2\): unpack it first"),
        (lzma.compress, r"compressed \(xz\): unpack it first"),
        (zipped, "a zip archive or a spreadsheet: unpack it, or save it as tab-separated text in UTF-8"),
    ],
)
def test_a_compressed_file_is_said(tmp_path, pack, what):
    with pytest.raises(ValueError, match=f"pairs.tsv is {what}"):
        read(tmp_path, pack(b"a\tb\n" * 30))


def test_a_file_of_broken_lines_says_what_is_wrong_with_the_first(tmp_path):
    with pytest.raises(ValueError, match=r"holds no pair: .* \(line 1: not UTF-8 \(byte 2\)\)"):
        read(tmp_path, b"f\xfcnf\tcinq\n")


def test_no_such_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        read_pairs(tmp_path / "nowhere")


def test_pairs_are_split_once_each():
    task = TranslationTask.from_pairs(PAIRS + PAIRS[:5], seed=3)
    parts = [task.train, task.validation, task.test]
    assert [len(part) for part in parts] == [36, 2, 2]
    assert sorted(itertools.chain(*parts)) == sorted(PAIRS)
    assert TranslationTask.from_pairs(PAIRS, seed=3).test == task.test
    assert TranslationTask.from_pairs(PAIRS, seed=4).test != task.test
    with pytest.raises(ValueError, match="19 different sources are too few to split: at least 20"):
        TranslationTask.from_pairs(PAIRS[:19] * 2)


def test_all_translations_of_a_source_stand_in_one_part():
    task = TranslationTask.from_pairs([(source, f"{target}{i}") for source, target in PAIRS for i in range(3)])
    sources = [{source for source, _ in part} for part in (task.train, task.validation, task.test)]
    assert sum(map(len, sources)) == len(set.union(*sources)) == len(PAIRS)
    assert [len(part) for part in (task.train, task.validation, task.test)] == [108, 6, 6]


def test_texts_that_a_tokenizer_cannot_tell_apart_stand_in_one_part():
    forms = [
        lambda text: text,
        lambda text: unicodedata.normalize("NFD", text),
        lambda text: text.replace(" ", "\u00a0"),
        lambda text: f" {text}  ".replace(" ", " \t"),
        lambda text: text.replace(" ", "▁"),
    ]
    sources = [f"café número {number}" for number in range(40)]
    task = TranslationTask.from_pairs([(form(source), f"{i}") for source in sources for i, form in enumerate(forms)])
    parts = [
        {tuple(ids) for ids in task.source_tokenizer.encode_batch([source for source, _ in part])}
        for part in (task.train, task.validation, task.test)
    ]
    assert [len(part) for part in parts] == [36, 2, 2]
    assert len(set.union(*parts)) == 40
    assert len(task.train) == 36 * len(forms)
    again = TranslationTask.from_pairs([(form(source), form("à la")) for source in sources for form in forms])
    assert len(again.train) == 36  # repeated pairs count once, however they are written


def test_the_pairs_that_fit_by_hand():
    tokenizer = Tokenizer.train(["a"], 6)
    pairs = [("a" * source, "a" * target) for source, target in [(1, 1), (3, 1), (1, 3), (4, 1), (1, 4)]]
    length = len(tokenizer.encode("aaa"))
    fitting = TranslationTask(pairs, pairs[3:], pairs[:4], tokenizer, tokenizer).fitting(length)
    assert fitting.train == pairs[:3]
    assert fitting.validation == []
    assert fitting.test == pairs[:3]
    assert fitting.source_tokenizer is fitting.target_tokenizer is tokenizer
    assert isinstance(small_task().fitting(64), TranslationTask)


# Batches


def test_padding_by_hand():
    padded = pad_batch([[5, 7, 2], [2]], pad_id=0)
    assert padded.tolist() == [[5, 7, 2], [2, 0, 0]]
    assert padded.dtype == torch.long
    with pytest.raises(ValueError, match="at least one sequence"):
        pad_batch([], 0)


def encoded(count):
    rng = random.Random(0)
    return [([number] * rng.randrange(1, 30), [1, number] * rng.randrange(1, 20)) for number in range(3, count + 3)]


@pytest.mark.parametrize("count", [1, 16, 17, 340, 341, 1000])
def test_every_pair_exactly_once(count):
    pairs = encoded(count)
    batches = list(length_bucketed_batches(pairs, 17, 0, seed=0))
    assert len(batches) == -(-count // 17)
    rows = [row for batch in batches for row in zip(*(ids.tolist() for ids in batch), strict=True)]
    found = [tuple([token for token in ids if token] for ids in row) for row in rows]
    assert sorted(found) == sorted(pairs)


def test_the_seed_decides_the_order():
    pairs = encoded(100)
    first, again, other = (
        [batch.target_ids.tolist() for batch in length_bucketed_batches(pairs, 17, 0, seed)] for seed in (1, 1, 2)
    )
    assert first == again != other


def test_batches_are_filled_with_the_pad_id_they_are_given():
    (batch,) = length_bucketed_batches([([5, 6], [1]), ([5], [1, 7, 8])], 2, 99, 0)
    assert sorted(batch.source_ids.tolist()) == [[5, 6], [5, 99]]
    assert sorted(batch.target_ids.tolist()) == [[1, 7, 8], [1, 99, 99]]


def test_little_padding():
    pairs = encoded(2000)

    def share(batches):
        return sum((ids == 0).sum().item() for ids in batches) / sum(ids.numel() for ids in batches)

    bucketed = share([batch.target_ids for batch in length_bucketed_batches(pairs, 20, 0, 0)])
    plain = share([pad_batch([target for _, target in pairs[i : i + 20]], 0) for i in range(0, 2000, 20)])
    assert bucketed < 0.05
    assert plain > 0.4


def test_batches_move():
    batch = next(length_bucketed_batches(encoded(3), 3, 0, 0)).to("meta")
    assert batch.source_ids.is_meta
    assert batch.target_ids.is_meta

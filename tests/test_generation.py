import pytest
import torch

from companion import (
    RecurrentConfig,
    RecurrentEncoderDecoder,
    Trainer,
    Transformer,
    exact_match,
    greedy_decode,
    translate,
)
from companion.generation import evaluating
from tests.helpers import assert_close, config, ids, randomised, small_model, small_task

PAD, BOS, EOS = 0, 1, 2


def stopping_model(**changes):
    """A model that looks at what it wrote and at the source, so that its sequences stop at different times."""
    model = small_model(tie_embeddings=False, **changes)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.zero_()
            elif "norm" in name:
                parameter.fill_(1)
            elif "cross_attention" in name:
                parameter.mul_(2)
        model.output.weight[EOS] *= 1.6
    return model


def lengths(decoded):
    return (decoded != PAD).sum(dim=1).tolist()


@pytest.mark.parametrize("seed", range(5))
def test_cached_and_uncached_give_the_same_ids(implementation, norm_first, seed):
    torch.manual_seed(seed)
    model = stopping_model(implementation=implementation, norm_first=norm_first)
    source = ids(7, 3, 5, 2, 11, 1, 13)
    cached, uncached = (greedy_decode(model, source, use_cache=choice) for choice in (True, False))
    assert torch.equal(cached, uncached)
    assert cached.size(1) <= 23


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_cache_is_in_the_dtype_of_the_projections_under_autocast(implementation, norm_first, dtype):
    model = stopping_model(implementation=implementation, norm_first=norm_first).float()
    source = ids(7, 3, 5)
    with torch.autocast("cpu", dtype=dtype):
        with torch.no_grad():
            memory = model.encode(source)
            kept = {cache.keys.dtype for layer in model.make_cache(memory, 3) for cache in layer}
        assert memory.dtype == torch.float32
        assert kept == {dtype}
        cached, uncached = (greedy_decode(model, source, 5, use_cache=choice) for choice in (True, False))
    assert torch.equal(cached, uncached)


@pytest.mark.parametrize("attention", ["none", "additive", "dot"])
@pytest.mark.parametrize("cell", ["rnn", "gru"])  # not every CPU has torch's LSTM in bfloat16
def test_a_recurrent_model_decodes_under_autocast(cell, attention):
    sizes = RecurrentConfig(17, 19, hidden_size=14, max_len=23, cell=cell, attention=attention)
    model = randomised(RecurrentEncoderDecoder(sizes)).float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cached, uncached = (greedy_decode(model, ids(7, 7).fill_(5), 5, use_cache=choice) for choice in (True, False))
    assert torch.equal(cached, uncached)


def test_sequences_stop_at_different_times():
    decoded = greedy_decode(stopping_model(norm_first=True), ids(*[7, 3, 5, 2, 11, 1, 13] * 5))
    assert len(set(lengths(decoded))) > 4
    for row in decoded.tolist():
        after = row[row.index(EOS) + 1 :] if EOS in row else []
        assert set(after) <= {PAD}


@pytest.mark.parametrize("seed", range(3))
def test_cached_logits_equal_the_full_forward(implementation, norm_first, seed):
    torch.manual_seed(seed)
    model = stopping_model(implementation=implementation, norm_first=norm_first)
    source, target = ids(7, 3, 5), torch.cat([torch.full((3, 1), BOS), torch.randint(3, 19, (3, 12))], dim=1)
    with evaluating(model):
        memory, mask = model.encode(source), model.source_mask(source)
        cache = model.make_cache(memory, 13)
        steps = [model.decode(target[:, t : t + 1], memory, mask, cache) for t in range(13)]
        assert_close(torch.cat(steps, dim=1), model(source, target), 1e-10)


def test_the_ids_are_the_likeliest_by_the_full_forward():
    model, source = stopping_model(), ids(7, 3, 5)
    decoded = greedy_decode(model, source, max_len=11)
    target = torch.cat([torch.full((3, 1), BOS), decoded], dim=1)
    best = model(source, target[:, :-1]).argmax(dim=-1)
    real = decoded != PAD
    assert torch.equal(best[real], decoded[real])


def test_a_sentence_gives_the_same_alone_and_in_a_batch():
    model, source = stopping_model(), ids(7, 3, 5)
    together = greedy_decode(model, source)
    for row, length in enumerate((7, 3, 5)):
        alone = greedy_decode(model, source[row : row + 1, :length])[0]
        assert torch.equal(together[row, : len(alone)], alone)
        assert together[row, len(alone) :].eq(PAD).all()


@pytest.mark.parametrize("use_cache", [True, False])
def test_max_len_is_kept(use_cache):
    model = small_model(tie_embeddings=False)
    with torch.no_grad():  # every token has logit 0 and the first, pad, is taken: it never stops
        model.output.weight.zero_()
    for max_len in (1, 2, 23):
        assert greedy_decode(model, ids(3, 5), max_len, use_cache=use_cache).shape == (2, max_len)
    assert greedy_decode(model, ids(3, 5), use_cache=use_cache).shape == (2, 23)
    with pytest.raises(ValueError, match="max_len must be at least 1, got 0"):
        greedy_decode(model, ids(3), 0, use_cache=use_cache)
    with pytest.raises(ValueError, match=r"24 tokens does not fit max_len \(23\)"):
        greedy_decode(model, ids(3), 24, use_cache=use_cache)


@pytest.mark.parametrize("training", [True, False])
def test_the_model_is_left_in_its_mode_and_keeps_no_gradients(training):
    model = small_model(dropout=0.5).train(training)
    first, second = (greedy_decode(model, ids(3, 5).fill_(7)) for _ in range(2))
    assert torch.equal(first, second)
    assert model.training is training
    assert torch.is_grad_enabled()
    with pytest.raises(ValueError, match="fit max_len"):
        greedy_decode(model, torch.ones(1, 24, dtype=torch.long))
    assert model.training is training


def model_and_task():
    """A model whose translations are nonsense, but differ from one another."""
    task = small_task()
    sizes = {f"{side}_vocab_size": len(getattr(task, f"{side}_tokenizer")) for side in ("source", "target")}
    return stopping_model(norm_first=True, **sizes), task


def test_translate_keeps_the_order():
    model, task = model_and_task()
    texts = [source for source, _ in task.train[:7]]
    one_by_one = [translate(model, task, [text])[0] for text in texts]
    assert len(set(one_by_one)) > 3
    assert translate(model, task, texts) == one_by_one
    assert translate(model, task, texts, batch_size=3) == one_by_one
    assert translate(model, task, []) == []


def test_an_empty_text_becomes_an_empty_text():
    model, task = model_and_task()
    text, one = next((text, one) for text, _ in task.train if (one := translate(model, task, [text])[0]))
    assert translate(model, task, ["", text, " \n\u2581 ", text], batch_size=1) == ["", one, "", one]
    assert translate(model, task, ["", ""]) == ["", ""]
    assert exact_match(model, task, [("", ""), (" ", "one")]) == 0.5
    assert greedy_decode(model, torch.empty(0, 3, dtype=torch.long)).shape[0] == 0


OTHER_TOKENIZERS = {
    "source_vocab_size": (
        10,
        r"source_vocab_size \(10\) does not fit the source tokenizer, which needs {source}: make",
    ),
    "target_vocab_size": (
        10,
        r"target_vocab_size \(10\) does not fit .* make the model with target_vocab_size={target},",
    ),
    "pad_id": (5, r"the model's pad_id \(5\) does not fit the source tokenizer, which needs 0: .* with pad_id=0, or"),
    "bos_id": (6, r"the model's bos_id \(6\) does not fit the source tokenizer, which needs 1: .* with bos_id=1, or"),
    "eos_id": (7, r"the model's eos_id \(7\) does not fit the source tokenizer, which needs 2: .* with eos_id=2, or"),
}


@pytest.mark.parametrize(("name", "value", "message"), [(name, *rest) for name, rest in OTHER_TOKENIZERS.items()])
@pytest.mark.parametrize(("kind", "make"), [(Transformer, config), (RecurrentEncoderDecoder, RecurrentConfig)])
def test_a_model_made_for_other_tokenizers_is_refused(kind, make, name, value, message):
    task = small_task()
    sizes = {side: len(getattr(task, f"{side}_tokenizer")) for side in ("source", "target")}
    vocabularies = {f"{side}_vocab_size": size for side, size in sizes.items()}
    model = kind(make(**{**vocabularies, name: value}))
    calls = [
        lambda: translate(model, task, ["one"]),
        lambda: exact_match(model, task, task.test),
        lambda: Trainer(model, task),
    ]
    for call in calls:
        with pytest.raises(ValueError, match=message.format(**sizes)):
            call()
    Trainer(kind(make(**{side: size + 3 for side, size in vocabularies.items()})), task)  # room to spare is no fault


def test_exact_match_is_the_share_of_right_translations():
    model, task = model_and_task()
    sources = [source for source, _ in task.test[:4]]
    right = list(zip(sources, translate(model, task, sources), strict=True))
    assert exact_match(model, task, right) == 1
    assert exact_match(model, task, [right[0], *((source, "wrong") for source in sources[1:])]) == 0.25
    with pytest.raises(ValueError, match="at least one pair"):
        exact_match(model, task, [])


def test_translate_refuses_what_it_cannot_do():
    model, task = model_and_task()
    with pytest.raises(TypeError, match=r"texts must be a list of strings, got one string: pass \['one'\]"):
        translate(model, task, "one")
    with pytest.raises(ValueError, match=r"does not fit max_len \(23\)"):
        translate(model, task, ["one " * 100])
    with pytest.raises(ValueError, match="batch_size must be at least 1, got -1"):
        translate(model, task, ["one"], batch_size=-1)

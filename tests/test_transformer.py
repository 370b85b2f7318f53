import math
from dataclasses import FrozenInstanceError, asdict

import pytest
import torch
import torch.nn.functional as F

from companion import (
    RecurrentConfig,
    RecurrentEncoderDecoder,
    Transformer,
    TransformerConfig,
    greedy_decode,
    sinusoidal_encoding,
)
from tests.helpers import assert_close, config, ids, small_model, target_ids

SOURCE_LENGTHS, TARGET_LENGTHS = (5, 3), (7, 4)


def batch():
    return ids(*SOURCE_LENGTHS), target_ids(*TARGET_LENGTHS)


def test_logits_have_the_shape_the_caller_expects(implementation):
    logits = small_model(implementation=implementation)(*batch())
    assert logits.shape == (2, 7, 19)
    assert logits.dtype == torch.float64


def test_both_implementations_agree(norm_first):
    fused, reference = (small_model(implementation=name, norm_first=norm_first) for name in ("fused", "reference"))
    reference.load_state_dict(fused.state_dict())
    source, target = batch()
    assert_close(reference(source, target), fused(source, target))


def test_forward_is_embedding_encoder_decoder_output():
    model, (source, target) = small_model(), batch()

    def embedded(table, tokens):
        return table.weight[tokens] * math.sqrt(10) + sinusoidal_encoding(tokens.size(1), 10).double()

    mask = (source != 0)[:, None, None, :]
    memory = model.encoder(embedded(model.source_embedding, source), mask)
    hidden = model.decoder(embedded(model.target_embedding, target), memory, None, mask)
    assert_close(model(source, target), hidden @ model.target_embedding.weight.T)


def test_decode_goes_on_from_encode():
    model, (source, target) = small_model(), batch()
    assert torch.equal(model.decode(target, model.encode(source), model.source_mask(source)), model(source, target))


@pytest.mark.parametrize("training", [False, True])
def test_a_forbidden_token_moves_nothing(implementation, norm_first, training):
    model, (source, target) = small_model(implementation=implementation, norm_first=norm_first), batch()
    model.train(training)
    before = model(source, target)
    for position in range(1, 7):
        later = target.clone()
        later[:, position] = 3 + (later[:, position] + 1) % 16
        after = model(source, later)
        assert torch.equal(before[:, :position], after[:, :position])
        assert (before[:, position:] != after[:, position:]).any(dim=-1).all()


def test_one_sentence_gives_the_same_alone_and_in_a_padded_batch(implementation, norm_first):
    model, (source, target) = small_model(implementation=implementation, norm_first=norm_first), batch()
    together = model(source, target)
    assert_close(together[1:, :4], model(source[1:, :3], target[1:, :4]))
    order = torch.tensor([1, 0])
    assert_close(model(source[order], target[order]), together[order])


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_loss_is_the_cross_entropy_of_the_logits_at_real_targets(smoothing, implementation):
    model, (source, target) = small_model(implementation=implementation), batch()
    logits, labels = model(source, target[:, :-1]), target[:, 1:]
    flat = logits.flatten(0, 1), labels.flatten()
    expected = F.cross_entropy(*flat, ignore_index=0, label_smoothing=smoothing)
    assert_close(model.loss(source, target, label_smoothing=smoothing), expected)
    log_probabilities = logits.log_softmax(dim=-1)[labels != 0]
    wanted = F.one_hot(labels[labels != 0], 19).double() * (1 - smoothing) + smoothing / 19
    assert_close(-(wanted * log_probabilities).sum(dim=-1).mean(), expected)


def test_gradients_of_loss_and_of_logits_agree():
    model, (source, target) = small_model(), batch()
    parameters = list(model.parameters())
    ours = torch.autograd.grad(model.loss(source, target), parameters)
    logits = model(source, target[:, :-1]).flatten(0, 1)
    theirs = torch.autograd.grad(F.cross_entropy(logits, target[:, 1:].flatten(), ignore_index=0), parameters)
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other)


def test_padding_adds_nothing_to_the_loss():
    model, (source, target) = small_model(), batch()
    wider = F.pad(source, (0, 3)), F.pad(target, (0, 2))
    assert_close(model.loss(*wider), model.loss(source, target))


def test_loss_without_a_token_to_predict():
    with pytest.raises(ValueError, match="no target token to predict: target_ids must be bos"):
        small_model().loss(ids(3), torch.tensor([[1, 0, 0]]))


def test_a_source_of_nothing_but_padding_stays_finite(implementation, norm_first):
    model = small_model(implementation=implementation, norm_first=norm_first)
    source, target = batch()
    source[1] = 0
    model.loss(source, target).backward()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


def test_dropout_is_on_the_embeddings_and_the_sublayers_and_only_in_training():
    model, (source, target) = small_model(dropout=0.3), batch()
    assert torch.equal(model(source, target), model(source, target))
    model.train()
    assert not torch.equal(model(source, target), model(source, target))
    rates = {name: module.p for name, module in model.named_modules() if isinstance(module, torch.nn.Dropout)}
    sublayers = {f"encoder.layers.{i}.add_norm{n}.dropout" for i in range(2) for n in (1, 2)}
    sublayers |= {f"decoder.layers.{i}.add_norm{n}.dropout" for i in range(3) for n in (1, 2, 3)}
    assert rates == dict.fromkeys({"dropout", *sublayers}, 0.3)
    zero = (model.dropout(torch.ones(10_000)) == 0).double().mean()
    assert zero.item() == pytest.approx(0.3, abs=0.03)


def test_number_of_parameters_of_the_papers_models():
    attention, feed_forward, norm = 4 * 512**2 + 4 * 512, 2 * 512 * 2048 + 2048 + 512, 2 * 512
    encoder, decoder = attention + feed_forward + 2 * norm, 2 * attention + feed_forward + 3 * norm
    with torch.device("meta"):
        base, big = Transformer(TransformerConfig.base()), Transformer(TransformerConfig.big())
    assert sum(p.numel() for p in base.parameters()) == 37_000 * 512 + 6 * (encoder + decoder) == 63_082_496
    assert sum(p.numel() for p in big.parameters()) == pytest.approx(213e6, rel=0.03)


def test_tied_and_shared_embeddings():
    model = Transformer(config())
    assert model.output.weight is model.target_embedding.weight
    assert model.source_embedding is not model.target_embedding
    free = Transformer(config(tie_embeddings=False))
    assert free.output.weight is not free.target_embedding.weight
    shared = Transformer(TransformerConfig(19, 19, d_model=10, num_heads=5, share_embeddings=True))
    assert shared.source_embedding is shared.target_embedding
    count = {name: sum(p.numel() for p in m.parameters()) for name, m in (("tied", model), ("free", free))}
    assert count["free"] - count["tied"] == 19 * 10


def test_names_of_the_weights_and_no_tables_among_them():
    names = set(Transformer(config(norm_first=True)).state_dict())
    some = {
        "source_embedding.weight",
        "target_embedding.weight",
        "output.weight",
        "encoder.layers.0.self_attention.q_proj.weight",
        "encoder.layers.1.feed_forward.linear1.bias",
        "decoder.layers.1.cross_attention.out_proj.bias",
        "decoder.layers.2.add_norm3.norm.weight",
        "decoder.norm.bias",
    }
    assert some <= names
    assert not any("position" in name or "mask" in name or "encoding" in name for name in names)


def test_initialisation():
    model = Transformer(
        TransformerConfig(400, 300, d_model=100, num_heads=5, d_ff=300, max_len=7, num_encoder_layers=1)
    )
    for name, weight in model.named_parameters():
        if "embedding" in name:
            assert weight.std().item() == pytest.approx(0.1, rel=0.03)
        elif "norm.weight" in name:
            assert weight.eq(1).all()
        elif "bias" in name:
            assert weight.eq(0).all()
        else:
            bound = math.sqrt(6 / sum(weight.shape))
            assert weight.abs().max() <= bound
            assert weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.03)
    assert not torch.equal(*(layer.self_attention.q_proj.weight for layer in model.decoder.layers[:2]))


def test_a_seed_decides_the_weights():
    first, second = (torch.manual_seed(7) and Transformer(config()).state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_device_and_dtype_follow_the_model():
    model = Transformer(config()).to("meta")
    source, target = (tokens.to("meta") for tokens in batch())
    assert model(source, target).is_meta
    for dtype in (torch.float16, torch.bfloat16, torch.float32):
        assert Transformer(config()).to(dtype)(*batch()).dtype == dtype


def test_the_paper_and_the_running_example():
    base = TransformerConfig.base()
    assert (base.d_model, base.num_heads, base.d_ff, base.dropout) == (512, 8, 2048, 0.1)
    assert (base.num_encoder_layers, base.num_decoder_layers) == (6, 6)
    assert (base.share_embeddings, base.tie_embeddings, base.norm_first) == (True, True, False)
    big = TransformerConfig.big(norm_first=True)
    assert (big.d_model, big.num_heads, big.d_ff, big.dropout, big.norm_first) == (1024, 16, 4096, 0.3, True)
    tiny = TransformerConfig.tiny(17, 19, d_ff=13)
    assert (tiny.source_vocab_size, tiny.target_vocab_size, tiny.d_ff) == (17, 19, 13)
    assert TransformerConfig(**asdict(tiny)) == tiny


def test_a_config_does_not_change():
    with pytest.raises(FrozenInstanceError):
        config().d_model = 20


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_heads": 3}, r"d_model \(10\) must be divisible by num_heads \(3\)"),
        ({"d_model": 7, "num_heads": 7}, r"d_model \(7\) must be divisible by 2: positions are pairs"),
        ({"d_model": 10.0}, r"d_model must be a whole number \(int\), got 10\.0 \(float\)"),
        ({"d_ff": True}, r"d_ff must be a whole number \(int\), got True \(bool\)"),
        ({"pad_id": -1}, r"pad_id \(-1\), bos_id \(1\) and eos_id \(2\) must differ and lie in both vocabularies"),
        ({"pad_id": 0.0}, r"pad_id must be a whole number \(int\), got 0\.0 \(float\)"),
        ({"max_len": 0}, "max_len must be at least 1, got 0"),
        ({"d_model": -10}, "d_model must be at least 1, got -10"),
        ({"num_encoder_layers": 0}, "num_encoder_layers must be at least 1, got 0"),
        ({"norm_first": 1}, r"norm_first must be True or False \(bool\), got 1 \(int\)"),
        ({"dropout": 1.0}, r"dropout must be at least 0 and less than 1, got 1\.0"),
        ({"dropout": math.nan}, "dropout must be at least 0 and less than 1, got nan"),
        ({"dropout": "none"}, r"dropout must be a number \(float\), got 'none' \(str\)"),
        ({"dropout": False}, r"dropout must be a number \(float\), got False \(bool\)"),
        ({"implementation": None}, r"implementation must be a string \(str\), got None \(NoneType\)"),
        ({"implementation": "fast"}, "implementation must be one of 'fused', 'reference', got 'fast'"),
        ({"eos_id": 1}, r"bos_id \(1\) and eos_id \(1\) must differ"),
        ({"eos_id": 17}, r"eos_id \(17\) must differ and lie in both vocabularies \(17 and 19 tokens\)"),
        ({"share_embeddings": True}, "one joint vocabulary, got source_vocab_size 17 and target_vocab_size 19"),
    ],
    ids=str,
)
def test_values_that_make_no_model_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        config(**changes)


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        (torch.ones(1, 24, dtype=torch.long), r"24 tokens does not fit max_len \(23\)"),
        (torch.ones(3, dtype=torch.long), r"integers of shape \(batch, length\), got torch.int64 \(3,\)"),
        (torch.ones(1, 3), r"integers of shape \(batch, length\), got torch.float32 \(1, 3\)"),
    ],
)
def test_ids_that_do_not_fit_are_refused(tokens, message):
    with pytest.raises(ValueError, match=message):
        small_model()(tokens, target_ids(3))


def recurrent_model():
    return RecurrentEncoderDecoder(RecurrentConfig(17, 19, hidden_size=14, max_len=23, attention="additive"))


both_models = pytest.mark.parametrize("make", [small_model, recurrent_model])


@both_models
def test_an_id_that_is_not_in_the_vocabulary_is_named_with_its_place(make):
    model = make()
    source, target = batch()
    big, negative, last = source.clone(), target.clone(), target.clone()
    big[1, 2], negative[0, 1], last[0, -1] = 17, -100, 19
    found = (
        r"source_ids\[1, 2\] is 17, which is not in the source vocabulary of 17 tokens, 0 to 16: make the model with a"
    )
    for call in (lambda: model(big, target), lambda: model.loss(big, target), lambda: greedy_decode(model, big)):
        with pytest.raises(ValueError, match=found):
            call()
    found = r"target_ids\[0, 1\] is -100, which is not in the target vocabulary of 19 .* or fill what is to be left out"
    for call in (lambda: model(source, negative), lambda: model.loss(source, negative)):
        with pytest.raises(ValueError, match=found):
            call()
    with pytest.raises(ValueError, match=rf"target_ids\[0, {last.size(1) - 1}\] is 19, which is not in the target"):
        model.loss(source, last)  # the last is a label and nothing else
    last[0, -1] = -100  # which torch's cross-entropy leaves out in silence
    with pytest.raises(ValueError, match=rf"target_ids\[0, {last.size(1) - 1}\] is -100, which is not in the target"):
        model.loss(source, last)


@both_models
def test_what_are_no_ids_are_refused(make):
    model = make()
    source, target = batch()
    for wrong, got in (
        (source.bool(), "torch.bool"),
        (source.to(torch.uint8), "torch.uint8"),
        (source[0], "torch.int64"),
    ):
        with pytest.raises(ValueError, match=rf"source_ids must be int64 or int32 integers of shape .* got {got}"):
            model(wrong, target)
    for wrong, got in ((source.tolist(), "list"), (source.numpy(), "ndarray")):
        with pytest.raises(
            TypeError, match=f"source_ids must be a tensor of integers, got {got}: pass torch.as_tensor"
        ):
            model(wrong, target)
        with pytest.raises(TypeError, match="target_ids must be a tensor of integers"):
            model.loss(source, target.tolist())
    assert torch.equal(model(source.int(), target.int()), model(source, target))


@both_models
@pytest.mark.parametrize("sizes", [(2, 1), (1, 2), (2, 3)], ids=str)
def test_batches_of_two_sizes_are_refused(make, sizes):
    model = make()
    source, target = ids(*[5] * sizes[0]), target_ids(*[7] * sizes[1])
    message = (
        "target_ids and the memory of the sources must have the same batch size, got {1} and {0} .* expand the one"
    )
    for call in (model, model.loss):
        with pytest.raises(ValueError, match=message.format(*sizes)):
            call(source, target)
    memory = model.encode(ids(*[5] * sizes[1]))
    with pytest.raises(ValueError, match=r"a mask of shape \(5, 1, 1, 5\) does not broadcast"):
        model.decode(target, memory, torch.ones(5, 1, 1, 5, dtype=torch.bool))

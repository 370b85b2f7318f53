import pytest
import torch
import torch.nn.functional as F
from torch import nn

from companion import (
    RecurrentConfig,
    RecurrentEncoderDecoder,
    Trainer,
    TrainingConfig,
    exact_match,
    greedy_decode,
    translate,
)
from tests.helpers import assert_close, ids, randomised, small_task, target_ids

HIDDEN = 14
every_cell = pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
every_attention = pytest.mark.parametrize("attention", ["none", "additive", "dot"])
every_direction = pytest.mark.parametrize("bidirectional", [False, True], ids=["one-way", "two-way"])


def model(**changes):
    return randomised(RecurrentEncoderDecoder(RecurrentConfig(17, 19, hidden_size=HIDDEN, max_len=23, **changes)))


def step(cell, network, x, state, suffix=""):
    """One step of torch's network by hand; `state` is (h,) or (h, c)."""
    weights = (getattr(network, f"{name}_l0{suffix}") for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
    w_x, w_h, b_x, b_h = weights
    from_x, from_h = x @ w_x.T + b_x, state[0] @ w_h.T + b_h
    if cell == "rnn":
        return (torch.tanh(from_x + from_h),)
    if cell == "gru":
        (x_r, x_z, x_n), (h_r, h_z, h_n) = from_x.chunk(3, -1), from_h.chunk(3, -1)
        update = torch.sigmoid(x_z + h_z)
        return ((1 - update) * torch.tanh(x_n + torch.sigmoid(x_r + h_r) * h_n) + update * state[0],)
    i, f, g, o = (from_x + from_h).chunk(4, -1)
    kept = torch.sigmoid(f) * state[1] + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(kept), kept


def read(cell, network, x, state, suffix=""):
    """All states of one direction, (1, L, D)."""
    states = []
    for t in range(x.size(1)):
        state = step(cell, network, x[:, t], state, suffix)
        states.append(state[0])
    return torch.stack(states, dim=1)


@every_cell
@every_direction
def test_encode_equals_the_cells_by_hand(cell, bidirectional):
    reader, source = model(cell=cell, bidirectional=bidirectional), ids(5, 3)
    memory = reader.encode(source)
    half = HIDDEN // 2 if bidirectional else HIDDEN
    zeros = torch.zeros(1, half, dtype=torch.float64)
    for row, length in enumerate((5, 3)):
        x = reader.source_embedding(source[row : row + 1, :length])
        states = read(cell, reader.encoder, x, (zeros, zeros))
        if bidirectional:
            back = read(cell, reader.encoder, x.flip(1), (zeros, zeros), "_reverse").flip(1)
            states = torch.cat([states, back], dim=-1)
        assert_close(memory[row : row + 1, :length], states)
        assert not memory[row, length:].any()


@every_cell
def test_decode_equals_the_cells_by_hand(cell):
    writer, source, target = model(cell=cell), ids(5, 3), target_ids(4, 4)
    memory, mask = writer.encode(source), writer.source_mask(source)
    start = writer.summarise(memory, mask)
    states = read(cell, writer.decoder, writer.target_embedding(target), (start, start))
    assert_close(writer.decode(target, memory, mask), F.linear(states, writer.output.weight, writer.output.bias))


@every_direction
def test_the_summary_is_torchs_last_state(bidirectional):
    reader, source = model(cell="gru", bidirectional=bidirectional), ids(5, 3)
    memory = reader.encode(source)
    summary = reader.summarise(memory, reader.source_mask(source))
    for row, length in enumerate((5, 3)):
        _, last = reader.encoder(reader.source_embedding(source[row : row + 1, :length]))  # (directions, 1, half)
        assert_close(summary[row], last[:, 0].flatten())


def test_context_equals_attention_by_hand():
    writer, source, target = model(attention="dot"), ids(5, 3), target_ids(4, 4)
    memory, mask = writer.encode(source), writer.source_mask(source)
    weights = writer.alignment(source, target)
    for row, length in enumerate((5, 3)):
        start = writer.summarise(memory, mask)[row : row + 1]
        states = read("gru", writer.decoder, writer.target_embedding(target[row : row + 1]), (start,))[0]
        scores = states @ memory[row, :length].T / HIDDEN**0.5
        assert_close(weights[row, :, :length], scores.softmax(-1))
        assert not weights[row, :, length:].any()


@every_cell
@every_attention
@every_direction
def test_padding_does_not_matter(cell, attention, bidirectional):
    one = model(cell=cell, attention=attention, bidirectional=bidirectional)
    source, target = ids(5, 3), target_ids(4, 4)
    together = one(source, target)
    assert_close(together[1:], one(source[1:, :3], target[1:]))
    assert_close(together, one(F.pad(source, (0, 4)), target))


@every_attention
def test_what_stands_at_the_padding_moves_nothing(attention):
    one, source, target = model(attention=attention, bidirectional=True), ids(5, 3), target_ids(4, 4)
    before, memory = one(source, target), one.encode(source)
    with torch.no_grad():
        one.source_embedding.weight[one.config.pad_id] += 7
        spoiled = memory.clone()
        spoiled[1, 3:] += 7
    assert torch.equal(one(source, target), before)
    assert_close(one.decode(target, spoiled, one.source_mask(source)), before)


@every_attention
def test_a_later_target_token_moves_no_earlier_logit(attention):
    one, source, target = model(attention=attention), ids(5, 3), target_ids(7, 7)
    later = target.clone()
    later[:, 4:] = later[:, 4:] % 15 + 3
    assert torch.equal(one(source, target)[:, :4], one(source, later)[:, :4])
    assert not torch.equal(one(source, target)[:, 4:], one(source, later)[:, 4:])


@every_cell
@every_attention
@torch.no_grad()
def test_cached_decoding_equals_the_whole(cell, attention):
    one, source, target = model(cell=cell, attention=attention), ids(5, 3), target_ids(7, 7)
    memory, mask = one.encode(source), one.source_mask(source)
    whole = one.decode(target, memory, mask)
    for chunks in ([1] * 7, [3, 1, 3], [7]):
        cache = one.make_cache(memory, 7)
        parts = [one.decode(part, memory, mask, cache) for part in target.split(chunks, dim=1)]
        assert_close(torch.cat(parts, dim=1), whole)


@every_attention
def test_greedy_decoding_is_the_same_with_and_without_a_cache(attention):
    one, source = model(attention=attention), ids(5, 3, 2)
    written = greedy_decode(one, source, max_len=11)
    target = torch.full((3, 1), one.config.bos_id)
    with torch.no_grad():
        for position in range(written.size(1)):
            following = one(source, target)[:, -1].argmax(-1)
            going_on = ~(target[:, 1:] == one.config.eos_id).any(-1)
            assert torch.equal(written[going_on, position], following[going_on])
            target = torch.cat([target, following[:, None]], dim=1)


def test_the_loss_is_the_cross_entropy_over_real_targets():
    one, source, target = model(attention="additive"), ids(5, 3), target_ids(6, 4)
    logits = one(source, target[:, :-1])
    expected = F.cross_entropy(logits.flatten(0, 1), target[:, 1:].flatten(), ignore_index=0)
    assert_close(one.loss(source, target), expected)


@every_attention
def test_gradients_reach_every_parameter(attention):
    one = model(attention=attention, bidirectional=True)
    one.loss(ids(5, 3), target_ids(6, 4)).backward()
    assert all(parameter.grad.any() for parameter in one.parameters())


@every_attention
def test_trains_and_translates(attention):
    task = small_task()
    torch.manual_seed(0)
    sizes = len(task.source_tokenizer), len(task.target_tokenizer)
    one = RecurrentEncoderDecoder(RecurrentConfig(*sizes, hidden_size=16, attention=attention))
    trainer = Trainer(one, task, TrainingConfig(steps=40, warmup_steps=10, batch_size=16, peak_rate=1e-2))
    losses = trainer.run(progress=False)
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])
    assert len(translate(one, task, ["twenty-one", "one"])) == 2
    assert 0 <= exact_match(trainer.averaged_model(), task, task.test[:5]) <= 1


def test_an_encoder_in_two_directions_has_the_state_size_of_one():
    for bidirectional in (False, True):
        assert model(bidirectional=bidirectional).encode(ids(5, 3)).shape == (2, 5, HIDDEN)
    assert isinstance(model(cell="lstm").encoder, nn.LSTM)


def test_errors_say_what_to_do():
    with pytest.raises(ValueError, match="cell must be one of 'rnn', 'gru', 'lstm', got 'elman'"):
        RecurrentConfig(17, 19, cell="elman")
    with pytest.raises(ValueError, match="attention must be one of 'none', 'additive', 'dot', got 'soft'"):
        RecurrentConfig(17, 19, attention="soft")
    with pytest.raises(ValueError, match=r"hidden_size \(13\) must be divisible by the number of directions \(2\)"):
        RecurrentConfig(17, 19, hidden_size=13, bidirectional=True)
    with pytest.raises(ValueError, match=r"hidden_size must be a whole number \(int\), got 12\.0 \(float\)"):
        RecurrentConfig(17, 19, hidden_size=12.0)
    with pytest.raises(ValueError, match="max_len must be at least 1, got 0"):
        RecurrentConfig(17, 19, max_len=0)
    with pytest.raises(ValueError, match=r"eos_id \(17\) must differ and lie in both vocabularies \(17 and 19 tokens"):
        RecurrentConfig(17, 19, eos_id=17)
    one, source = model(), ids(5, 3)
    with pytest.raises(ValueError, match="this model has no attention: its config says attention='none'"):
        one.alignment(source, target_ids(4, 4))
    with pytest.raises(ValueError, match=r"a sequence of 24 tokens does not fit max_len \(23\)"):
        one.encode(ids(24))
    with pytest.raises(ValueError, match=r"a sequence of 24 tokens does not fit max_len \(23\)"):
        one(source, target_ids(24, 24))
    padding = source.clone()
    padding[1] = 0
    with pytest.raises(ValueError, match=r"source_ids\[1\] holds nothing but padding: a source has at least its eos"):
        one(padding, target_ids(4, 4))
    with pytest.raises(ValueError, match="no target token to predict: target_ids must be bos, the tokens, eos"):
        one.loss(source, target_ids(1, 1))

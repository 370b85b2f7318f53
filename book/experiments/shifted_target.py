"""What does a decoder learn when its target is not shifted, or not masked?

Run ``python book/experiments/shifted_target.py``. It goes on where it was
stopped.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

import companion
from companion.results import store_runs

QUESTION = (
    "A very small Transformer learns the numbers below 100 by heart. What are "
    "its loss and the share that it writes rightly: with the target shifted by "
    "one place, by none, by two, and with one but without the causal mask?"
)
ARMS = {  # by how many places the answer stands after what is given
    "right": 1,
    "not shifted": 0,
    "shifted twice": 2,
    "no causal mask": 1,
}


class NoCausalMask(companion.ScaledDotProductAttention):
    """Attention that is asked for a causal mask, and does without."""

    def forward(self, query, key, value, mask=None, causal=False):
        """Attend to all keys that `mask` allows."""
        return super().forward(query, key, value, mask)


def encode(task: companion.NumberWords, pairs: list) -> tuple[Tensor, Tensor]:
    """Return source ids (B, S), and target ids: bos, tokens, eos, padding."""
    english, german = task.source_tokenizer, task.target_tokenizer
    sources = [english.encode(source) for source, _ in pairs]
    targets = [[german.bos_id, *german.encode(target)] for _, target in pairs]
    return companion.pad_batch(sources, 0), companion.pad_batch(targets, 0)


def train_arm(task, pairs: list, arm: str, seed: int, steps: int) -> dict:
    """Train on all pairs at once; measure the last loss, and what is written."""
    sources, targets = encode(task, pairs)
    shift = ARMS[arm]
    last = targets.size(1) - shift
    given, answers = targets[:, :last], targets[:, shift:]
    torch.manual_seed(seed)
    config = companion.TransformerConfig.tiny(
        len(task.source_tokenizer),
        len(task.target_tokenizer),
        d_model=8,
        num_heads=2,
        d_ff=16,
        num_encoder_layers=1,
        num_decoder_layers=1,
    )
    model = companion.Transformer(config).double()
    if arm == "no causal mask":
        for layer in model.decoder.layers:
            layer.self_attention.attention = NoCausalMask()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(steps):
        logits = model(sources, given).flatten(0, 1)
        loss = F.cross_entropy(logits, answers.flatten(), ignore_index=0)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    bos = task.target_tokenizer.bos_id
    written = companion.greedy_decode(model, sources, targets.size(1))
    right = (targets[:, 1:]).tolist()
    second = [row[1] for row in right]  # eos where the target is one token
    return {
        "loss": round(loss.item(), 4),
        "exact_match": share(
            without_padding(written.tolist()), without_padding(right)
        ),
        "begins_with_the_second": share(written[:, 0].tolist(), second),
        "only_bos": (written == bos).all(dim=1).double().mean().item(),
    }


def without_padding(rows: list) -> list:
    """Return the ids of each row that are not padding, id 0."""
    return [[i for i in row if i] for row in rows]


def share(ours: list, right: list) -> float:
    """Return the share that are equal."""
    pairs = zip(ours, right, strict=True)
    return sum(one == other for one, other in pairs) / len(right)


def run(
    seed: int, steps: int = 200, arms: tuple = tuple(ARMS), numbers: int = 100
) -> dict:
    """Train every arm from the same weights."""
    task = companion.NumberWords()
    pairs = [task.pair(number) for number in range(numbers)]
    return {arm: train_arm(task, pairs, arm, seed, steps) for arm in arms}


if __name__ == "__main__":
    torch.set_num_threads(1)
    store_runs(__file__, QUESTION, run, seeds=range(8))

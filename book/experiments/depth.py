"""What makes tokens alike with depth, and where do post-norm's gradients vanish?

Run ``python book/experiments/depth.py``. It goes on where it was stopped.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from companion import DecoderLayer, EncoderLayer, LayerNorm, use_implementation
from companion.results import store_runs

QUESTION = (
    "Stacks of fresh layers: how alike have the tokens of a sequence become "
    "after 12 layers, with attention alone, with the feed-forward network alone "
    "and with both? How large is the gradient at the input of a decoder of 12 "
    "layers, against that at its output, by what its cross-attention reads? And "
    "how large is the gradient of the first feed-forward matrix of 48 pre-norm "
    "layers, against that of the last one, with a larger input?"
)
WIDTH = 64
WAYS = {
    "neither": lambda x, f, norm: f(x),
    "norm only": lambda x, f, norm: norm(f(x)),
    "post-norm": lambda x, f, norm: norm(x + f(x)),
    "pre-norm": lambda x, f, norm: x + f(norm(x)),
}
PARTS = {
    "both": lambda layer: [layer.self_attention, layer.feed_forward],
    "attention alone": lambda layer: [layer.self_attention],
    "feed-forward alone": lambda layer: [layer.feed_forward],
}
READS = ("random vectors", "an encoder's output", "one vector, 16 times")


def make_layers(
    kind: type[nn.Module], depth: int, seed: int, xavier: bool = True
) -> list[nn.Module]:
    """Make layers with the Transformer's initial weights, or with torch's."""
    torch.manual_seed(seed)
    layers = [kind(WIDTH, 4, 256).double() for _ in range(depth)]
    for layer in layers:
        use_implementation(layer, "reference")
        for module in layer.modules():
            if xavier and isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
    return layers


def draw(seed: int, count: int) -> Tensor:
    """Draw `count` batches of two sequences of 16 random tokens."""
    generator = torch.Generator().manual_seed(1000 + seed)
    return torch.randn(count, 2, 16, WIDTH, generator=generator).double()


def send(
    way: str, layers: list, x: Tensor, sublayers: Callable
) -> tuple[Tensor, Tensor]:
    """Send `x` through the layers; return the last sum, and what comes out."""
    norm = LayerNorm(WIDTH).double()
    for layer in layers:
        for sublayer in sublayers(layer):
            x = WAYS[way](x, sublayer, norm)
    return x, norm(x) if way == "pre-norm" else x


@torch.no_grad()
def alike(way: str, part: str, seed: int, depth: int, xavier: bool) -> float:
    """Return the mean cosine of two tokens of a sequence after all layers."""
    layers = make_layers(EncoderLayer, depth, seed, xavier)
    x, _ = send(way, layers, draw(seed, 2)[0], PARTS[part])
    units = nn.functional.normalize(x, dim=-1)
    products = (units @ units.mT).sum() - 2 * 16  # without the diagonal
    return round((products / (2 * 16 * 15)).item(), 4)


def reading(memory: Tensor) -> Callable:
    """Return what gives a decoder layer's sublayers, which read `memory`."""
    return lambda layer: [
        lambda x: layer.self_attention(x, causal=True),
        lambda x: layer.cross_attention(x, memory),
        layer.feed_forward,
    ]


def bottom_to_top(way: str, reads: str, seed: int, depth: int) -> float:
    """Return the gradient at a decoder's input, divided by that at its output."""
    x, weighting, memory = draw(seed, 3)
    if reads == "an encoder's output":
        encoder = make_layers(EncoderLayer, depth, 500 + seed)
        memory = send(way, encoder, memory, PARTS["both"])[1].detach()
    elif reads == "one vector, 16 times":
        memory = memory[:, :1].expand(-1, 16, -1)
    decoder = make_layers(DecoderLayer, depth, seed)
    last, output = send(way, decoder, x.requires_grad_(), reading(memory))
    bottom, top = torch.autograd.grad((output * weighting).sum(), [x, last])
    return round((bottom.norm() / top.norm()).item(), 5)


def first_to_last(scale: float, xavier: bool, seed: int, depth: int) -> float:
    """Return the first feed-forward matrix's gradient, divided by the last's."""
    x, weighting = draw(seed, 2)
    layers = make_layers(EncoderLayer, depth, seed, xavier)
    _, output = send("pre-norm", layers, scale * x, PARTS["both"])
    ends = [layers[i].feed_forward.linear2.weight for i in (0, -1)]
    first, last = torch.autograd.grad((output * weighting).sum(), ends)
    return round((first.norm() / last.norm()).item(), 3)


def run(seed: int, depth: int = 12, deep: int = 48) -> dict:
    """Measure the three for one seed."""
    result: dict = {"alike": {}, "decoder": {}, "first to last": {}}
    for part in PARTS:
        result["alike"][part] = {
            way: alike(way, part, seed, depth, xavier=True) for way in WAYS
        }
    result["alike"]["both, smaller weights"] = {
        way: alike(way, "both", seed, depth, xavier=False) for way in WAYS
    }
    for way in ("post-norm", "pre-norm"):
        result["decoder"][way] = {
            reads: bottom_to_top(way, reads, seed, depth) for reads in READS
        }
    for name, xavier in (("Xavier", True), ("smaller", False)):
        result["first to last"][name] = {
            str(scale): first_to_last(scale, xavier, seed, deep)
            for scale in (1, 10)
        }
    return result


if __name__ == "__main__":
    torch.set_num_threads(1)
    store_runs(__file__, QUESTION, run, seeds=range(8))

"""The drawing of the architecture: encoder on the left, decoder on the right, twenty numbered boxes, read downwards."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

WIDE, HIGH, PITCH = 136, 30, 44  # of a box, in pixels; from one box to the next
TOP, LEFT, RIGHT = 32, 18, 190  # where the first boxes stand
GAP = PITCH - HIGH
MIDDLE = (LEFT + WIDE + RIGHT) // 2 - 5  # where the memory goes up, with its name beside it
SIZE = (RIGHT + WIDE + LEFT, TOP + 10 * PITCH + HIGH + 4)
ENCODER = 9  # the steps on the left
# From which box to which a residual connection goes: it branches off above the first and ends in the second.
RESIDUALS = [(4, 7), (8, 9), (12, 14), (15, 16), (17, 18)]
LAYERS = [(4, 9), (12, 18)]
MEMORY, CROSS = 9, 15


def draw_architecture(labels: Sequence[str], layers: tuple[int, int]) -> str:
    """Return the SVG. Each box is a group of the class "box", in order, which the script makes into a button.

    Args:
        labels: what stands in the boxes.
        layers: how many layers the encoder and the decoder have.
    """
    ink = [
        f'<text class="side" x="{LEFT + WIDE // 2}" y="14" text-anchor="middle">Encoder</text>',
        f'<text class="side" x="{RIGHT + WIDE // 2}" y="14" text-anchor="middle">Decoder</text>',
    ]
    for (first, last), count in zip(LAYERS, layers, strict=True):
        x, y = _corner(first)
        height = _corner(last)[1] - y + HIGH + 16
        left = x - 14 if first <= ENCODER else x - 5  # wider where the residual connections go
        ink.append(f'<rect class="layer" x="{left}" y="{y - 11}" width="{WIDE + 19}" height="{height}" rx="8"/>')
        if count > 1:
            ink.append(f'<text class="count" x="{x + WIDE}" y="{y - 13}" text-anchor="end">the last of {count}</text>')
    for step in range(1, len(labels)):
        if step != ENCODER:
            x, y = _corner(step)
            ink.append(_arrow(f"M{x + WIDE // 2} {y + HIGH}v{GAP - 1}", "down"))
    for first, last in RESIDUALS:
        x, y = _corner(first)
        _, end = _corner(last)
        out, edge, way = (x - 8, x, "right") if first <= ENCODER else (x + WIDE + 8, x + WIDE, "left")
        tip = edge - 1 if way == "right" else edge + 1
        ink.append(_arrow(f"M{x + WIDE // 2} {y - 8}H{out}V{end + HIGH // 2}H{tip}", way))
    (x, y), (to, end) = _corner(MEMORY), _corner(CROSS)
    ink.append(_arrow(f"M{x + WIDE} {y + HIGH // 2}H{MIDDLE}V{end + HIGH // 2}H{to - 1}", "right"))
    ink.append(
        f'<text transform="translate({MIDDLE + 8} {(y + end + HIGH) // 2}) rotate(-90)" text-anchor="middle" '
        'dominant-baseline="central">memory</text>'
    )
    boxes = "\n".join(_box(step, label) for step, label in enumerate(labels, start=1))
    what = (
        "The architecture, read downwards. Encoder on the left, steps 1 to 9; decoder on the right, steps 10 to 20. "
        "An arrow takes the memory, step 9, to the cross-attention, step 15. "
        "Residual connections pass by steps 4 to 6, 8, 12 and 13, 15, and 17. The steps are listed below."
    )
    width, height = SIZE
    return (
        f'<svg viewBox="0 0 {width} {height}" style="width:{width}px" role="img" aria-label="{escape(what)}">'
        f'<g class="lines" aria-hidden="true">{"".join(ink)}</g>\n{boxes}</svg>'
    )


def _corner(step: int) -> tuple[int, int]:
    """Return where a step's box stands."""
    return (LEFT, TOP + (step - 1) * PITCH) if step <= ENCODER else (RIGHT, TOP + (step - ENCODER - 1) * PITCH)


def _box(step: int, label: str) -> str:
    x, y = _corner(step)
    return (
        f'<g class="box" transform="translate({x} {y})"><rect width="{WIDE}" height="{HIGH}" rx="6"/>'
        f'<text class="number" x="19" y="{HIGH // 2}" text-anchor="end" dominant-baseline="central">{step}</text>'
        f'<text x="25" y="{HIGH // 2}" dominant-baseline="central">{escape(label)}</text></g>'
    )


def _arrow(path: str, way: str) -> str:
    """Return a line with a head at its end."""
    head = {"down": "l-3 -5m3 5l3 -5", "right": "l-5 -3m5 3l-5 3", "left": "l5 -3m-5 3l5 3"}[way]
    return f'<path d="{path}{head}"/>'

"""A figure to play with: sliders for those who run the notebook, a plain figure for those who read the page."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from typing import Any

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"

Control = tuple[float, float, float, float] | list[Any]


def play(draw: Callable[..., Any], **controls: Control) -> Player:
    """Redraw a figure whenever the reader moves a slider or picks an option.

    Leave the call at the end of a cell. In a page without a kernel the figure at the starting values is shown.

    Args:
        draw: called with one keyword for each control; makes one matplotlib figure and need not return it. It does
            not call ``plt.show()``; what it prints stands under the figure.
        **controls: a tuple (smallest, largest, step, start) for a slider, such as
            ``temperature=(0.1, 5.0, 0.1, 1.0)``; a list of options for a menu, the first of which is the start.

    Returns:
        what the notebook displays.

    Raises:
        ValueError: if there are no controls, or one of them is neither a tuple of four numbers nor a list of options.
        RuntimeError: if `draw` makes no figure.
    """
    return Player(draw, controls)


class Player:
    """What `play` returns; the notebook asks it for its pictures.

    Args:
        draw: as in `play`.
        controls: as in `play`, by name.
    """

    def __init__(self, draw: Callable[..., Any], controls: dict[str, Control]) -> None:
        if not controls:
            raise ValueError("there is nothing to play with: pass a control, such as temperature=(0.1, 5.0, 0.1, 1.0)")
        self.draw = draw
        self.controls = controls
        self.start = {name: _start(name, control) for name, control in controls.items()}
        # Drawn at once and not on display, where IPython would print an error without failing the cell.
        self.png, self.printed = _draw_png(draw, self.start)

    def __repr__(self) -> str:
        return f"Run this cell to play with {_listed(list(self.controls))}."

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        # The richest form wins: a live notebook shows the widget, a rendered page the figure.
        view = {"version_major": 2, "version_minor": 0, "model_id": self._widget().model_id}
        return {WIDGET_VIEW: view, "image/png": self.png, "text/plain": repr(self)}

    def _widget(self) -> Any:
        """Build the sliders and menus, with the picture under them."""
        import ipywidgets

        # An Image, and not an Output: it needs nothing captured, so nothing can leak into the cell.
        image = ipywidgets.Image(value=self.png, format="png", layout={"max_width": "100%", "object_fit": "contain"})
        said = ipywidgets.Label(self.printed)
        knobs = {name: _knob(name, control) for name, control in self.controls.items()}

        def redraw(_change: Any) -> None:
            try:
                values = {name: knob.value for name, knob in knobs.items()}
                image.value, said.value = _draw_png(self.draw, values)
            except Exception as error:  # a callback's traceback would go where nobody sees it
                said.value = f"{type(error).__name__}: {error}"

        for knob in knobs.values():
            knob.observe(redraw, names="value")
        return ipywidgets.VBox([*knobs.values(), image, said])


def _start(name: str, control: Control) -> Any:
    """Give the value a control starts at, or say what is wrong with it."""
    if isinstance(control, list) and control:
        return control[0]
    if isinstance(control, tuple) and len(control) == 4:
        smallest, largest, step, start = control
        if smallest <= start <= largest and step > 0:
            return start
        raise ValueError(f"{name} must start between {smallest} and {largest} and have a positive step, got {control}")
    raise ValueError(f"{name} must be (smallest, largest, step, start) or a list of options, got {control!r}")


def _knob(name: str, control: Control) -> Any:
    import ipywidgets

    label = {"description": name.replace("_", " "), "style": {"description_width": "initial"}}
    if isinstance(control, list):
        return ipywidgets.Dropdown(options=control, value=control[0], **label)
    smallest, largest, step, start = control
    whole = all(isinstance(number, int) for number in control)
    slider = ipywidgets.IntSlider if whole else ipywidgets.FloatSlider
    return slider(min=smallest, max=largest, step=step, value=start, **label)


def _draw_png(draw: Callable[..., Any], values: dict[str, Any]) -> tuple[bytes, str]:
    """Draw once, into a PNG and the text that was printed.

    No figure stays open and nothing is printed: the notebook would show it beside the widget.
    """
    import matplotlib.pyplot as plt

    before, printed = set(plt.get_fignums()), io.StringIO()
    try:
        with redirect_stdout(printed):
            draw(**values)
        made = [number for number in plt.get_fignums() if number not in before]
        if not made:
            raise RuntimeError("draw made no new figure: start it with plt.subplots(), and leave plt.show() out")
        png = io.BytesIO()
        plt.figure(made[-1]).savefig(png, format="png", bbox_inches="tight")
        return png.getvalue(), printed.getvalue().strip()
    finally:
        for number in set(plt.get_fignums()) - before:
            plt.close(number)


def _listed(names: Sequence[str]) -> str:
    """Join names as a sentence does: a, b and c."""
    names = [name.replace("_", " ") for name in names]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"

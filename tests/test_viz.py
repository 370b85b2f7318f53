"""The pictures: what they draw, what they say in words, and that a re-run gives the same bytes."""

import re
import shutil
import subprocess
import sys

import matplotlib as mpl
import numpy as np
import pytest
import torch

from companion import viz
from companion.masks import causal_mask, padding_mask
from companion.viz._weights import as_heads, hundredths
from tests.helpers import Page

mpl.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

QUERIES, KEYS = ["ein", "und", "zwanzig"], ["twenty", "-", "one", "<eos>", "a"]


@pytest.fixture(autouse=True)
def _clean_figures():
    with mpl.rc_context():
        yield
    plt.close("all")


@pytest.fixture
def weights():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, 3, 5, generator=generator).softmax(dim=-1)


def cell_texts(fig):
    return [[text.get_text() for text in ax.texts] for ax in fig.axes]


# The style


def test_matplotlib_is_imported_on_use_only():
    code = "import sys, companion.viz; print([m for m in ('matplotlib', 'ipywidgets', 'IPython') if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"


def test_colours_read_as_text_on_white():
    def contrast(color):
        channels = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in mpl.colors.to_rgb(color)]
        return 1.05 / (np.dot([0.2126, 0.7152, 0.0722], channels) + 0.05)

    assert list(viz.COLORS) == ["query", "key", "value", "mask", "weights"]
    assert min(map(contrast, viz.COLORS.values())) > 4.5


def test_weights_go_from_white_to_the_fixed_violet():
    cmap = viz.weights_colormap()
    assert mpl.colors.to_hex(cmap(0.0)) == "#ffffff"
    assert mpl.colors.to_hex(cmap(1.0)) == viz.COLORS["weights"]


def test_style_sets_a_white_card_and_the_colours():
    viz.use_style()
    assert plt.rcParams["figure.facecolor"] == "white"
    assert plt.rcParams["axes.prop_cycle"].by_key()["color"][0] == viz.COLORS["query"]


# Weights


def test_hundredths_do_not_hang_on_the_last_digit():
    halves = np.array([0.125, 0.125 - 1e-8, 0.125 + 1e-8, 0.005 - 1e-8, 0.0, 1.0])
    assert hundredths(halves).tolist() == [13, 13, 13, 1, 0, 100]


def test_steps_of_a_cached_decoding_are_joined():
    steps = [torch.ones(1, 1, 1, 2) / 2, torch.ones(1, 1, 1, 3) / 4]
    assert as_heads(steps).tolist() == [[[0.5, 0.5, 0.0], [0.25, 0.25, 0.25]]]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            torch.zeros(2, 1, 3, 5),
            r"weights of shape \(2, 1, 3, 5\) hold 2 sequences: pass one of them, such as w",
        ),
        (torch.zeros(5), r"weights must have shape \(Q, K\), \(H, Q, K\) or \(1, H, Q, K\), got \(5,\)"),
        (torch.zeros(0, 5), r"weights of shape \(0, 5\) hold no numbers"),
        (torch.full((3, 5), float("nan")), r"weights hold NaN or infinity: look for a query whose keys are all masked"),
        (
            torch.full((3, 5), -2.5),
            r"weights must lie between 0 and 1, got -2.5 to -2.5: pass the weights after the",
        ),
        (torch.zeros(5, 5), r"weights have 5 rows but 3 query tokens were given"),
        (torch.zeros(3, 1), r"weights have 1 columns but 5 key tokens were given"),
    ],
)
def test_wrong_weights_are_refused_in_words(wrong, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        viz.plot_attention(wrong, QUERIES, KEYS)
    with pytest.raises(ValueError, match=f"^{message}"):
        viz.AttentionExplorer(wrong, QUERIES, KEYS)


def test_a_string_is_not_a_list_of_tokens():
    with pytest.raises(
        TypeError, match=r"^query tokens must be a list of strings, got the string 'abc': split it first$"
    ):
        viz.plot_attention(torch.zeros(3, 3), "abc")


NO_TOKENS = {
    "ids": ([1, 2, 3], r"must be strings, got 1 \(int\): tokenizer.tokens\(ids\) turns ids into strings$"),
    "mixed": (["a", None, "c"], r"must be strings, got None \(NoneType\): "),
    "range": (range(3), r"must be strings, got 0 \(int\): "),
    "array": (
        np.array(["a", "b", "c"]),
        r"must be a list of strings, got ndarray: pass list\(tokens\), or tokens.tolist",
    ),
    "array of ids": (np.arange(3), "must be a list of strings, got ndarray: "),
    "tensor": (torch.arange(3), "must be a list of strings, got Tensor: "),
    "generator": ((letter for letter in "abc"), "must be a list of strings, got generator: "),
}


@pytest.mark.parametrize(("tokens", "message"), NO_TOKENS.values(), ids=NO_TOKENS)
def test_tokens_are_strings(tokens, message):
    for draw in (viz.plot_attention, viz.AttentionExplorer, viz.HeadsSideBySide, viz.MaskLab):
        with pytest.raises(TypeError, match=f"^query tokens {message}"):
            draw(torch.zeros(3, 3), tokens)
        with pytest.raises(TypeError, match=f"^key tokens {message}"):
            draw(torch.zeros(3, 3), ["a", "b", "c"], tokens)
    with pytest.raises(TypeError, match=f"^query tokens {message}"):
        viz.plot_mask(causal_mask(3), tokens)


# Attention maps


def test_one_head_with_its_tokens_and_numbers():
    fig = viz.plot_attention(torch.tensor([[1.0, 0.0], [0.125, 0.875]]), ["a", "$5"], title="By hand")
    (ax,) = fig.axes
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", r"\$5"]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["a", r"\$5"]
    assert cell_texts(fig) == [["1.00", "0.00", "0.13", "0.88"]]
    assert (ax.get_ylabel(), ax.get_xlabel()) == ("asks (query)", "attended to (key)")
    assert ax.get_title(loc="left") == "By hand"


def test_heads_stand_side_by_side(weights):
    fig = viz.plot_attention(weights[None], QUERIES, KEYS, title="Layer 1")
    assert [ax.get_title(loc="left") for ax in fig.axes] == ["head 1", "head 2"]
    assert fig.get_suptitle() == "Layer 1"
    assert all(ax.images[0].get_clim() == (0, 1) for ax in fig.axes)


def test_five_heads_fill_two_lines():
    fig = viz.plot_attention(torch.eye(3).expand(5, 3, 3), QUERIES)
    assert [ax.get_visible() for ax in fig.axes] == [True] * 5 + [False]


def test_large_maps_have_no_numbers_unless_asked():
    large = torch.eye(11)
    tokens = [str(position) for position in range(11)]
    assert cell_texts(viz.plot_attention(large, tokens)) == [[]]
    assert len(cell_texts(viz.plot_attention(large, tokens, show_values=True))[0]) == 121


def test_into_the_callers_axes(weights):
    fig, ax = plt.subplots()
    assert viz.plot_attention(weights[0], QUERIES, KEYS, ax=ax, title="here") is fig
    assert ax.get_title() + ax.get_title(loc="left") == "here"
    with pytest.raises(ValueError, match=r"^one ax cannot hold 2 heads: pass one of them, or leave ax out$"):
        viz.plot_attention(weights, QUERIES, KEYS, ax=ax)


# Masks


def test_mask_reads_without_colour():
    (ax,) = viz.plot_mask(causal_mask(2, 3), title="Causal").axes
    dots = [(line.get_xdata()[0], line.get_ydata()[0]) for line in ax.lines]
    assert dots == [(0, 0), (1, 0), (0, 1), (1, 1), (2, 1)]
    assert [(patch.get_x(), patch.get_y(), patch.get_hatch()) for patch in ax.patches] == [(1.5, -0.5, "////")]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["may attend", "may not"]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["0", "1", "2"]


def test_mask_of_one_sequence_with_tokens():
    (ax,) = viz.plot_mask(padding_mask(torch.tensor([[7, 0]]), 0), ["any"], ["a", "<pad>"]).axes
    assert [label.get_text() for label in ax.get_yticklabels()] == ["any"]
    assert (len(ax.lines), len(ax.patches)) == (1, 1)


def test_wrong_masks_are_refused_in_words():
    with pytest.raises(TypeError, match=r"^a mask must be a bool tensor"):
        viz.plot_mask(torch.ones(2, 2))
    with pytest.raises(ValueError, match=r"^a mask of shape \(2, 1, 1, 3\) is not one matrix \(Q, K\): pick one seq"):
        viz.plot_mask(torch.ones(2, 1, 1, 3, dtype=torch.bool))
    with pytest.raises(ValueError, match=r"^the cells of the mask have 2 rows but 1 query token was given$"):
        viz.plot_mask(causal_mask(2, 3), ["a"])


# The explorer


def test_explorer_draws_and_tells_the_first_head(weights):
    maps = {"decoder.layers.0.cross_attention": weights[None], "decoder.layers.1.cross_attention": weights[None]}
    explorer = viz.AttentionExplorer(maps, QUERIES, KEYS, title="Crossing")
    assert repr(explorer) == "AttentionExplorer(layers=2, heads=4, query_tokens=3, key_tokens=5)"
    page = Page(explorer._repr_html_())
    (svg,) = page.of("svg")
    assert svg["role"] == "img"
    assert svg["aria-label"] == (
        "Heat map of attention weights, decoder.layers.0.cross_attention, head 1 of 2. Rows: ein, und, zwanzig. "
        "Columns: twenty, -, one, <eos>, a. The numbers are in the table below."
    )
    shown = [f"{number / 100:.2f}" for number in hundredths(weights[0].double().numpy()).flatten()]
    assert page.texts["td"] == shown
    assert [f"{float(rect['fill-opacity']):.2f}" for rect in page.of("rect") if "fill-opacity" in rect] == shown
    assert page.texts["summary"] == ["The numbers of decoder.layers.0.cross_attention, head 1 of 2"]
    assert {"aria-live": "polite", "class": "sentence"} in page.of("p")


def test_explorer_bytes_do_not_hang_on_the_last_digit():
    eighths = torch.full((8, 8), 1 / 8, dtype=torch.float64)
    tokens = list("abcdefgh")
    html = [viz.AttentionExplorer(eighths + shift, tokens)._repr_html_() for shift in (-1e-7, 0.0, 1e-7)]
    assert len(set(html)) == 1


def test_explorer_escapes_tokens():
    html = viz.AttentionExplorer(torch.eye(2), ["<script>alert(1)</script>", "\"'&"], title="<b>")._repr_html_()
    assert "alert(1)</script>" not in html
    assert "<b>" not in html
    assert [attrs for attrs in Page(html).of("div") if "data-picture" in attrs][0]["data-picture"] == (
        '{"queries":["<script>alert(1)</script>","\\"\'&"],"keys":["<script>alert(1)</script>","\\"\'&"],'
        '"layers":[["attention",[[100,0,0,100]]]]}'
    )


def test_explorer_fetches_nothing_has_no_ids_and_is_small(weights):
    explorer = viz.AttentionExplorer(torch.eye(20).expand(8, 20, 20), [f"token{n}" for n in range(20)])
    html = explorer._repr_html_()
    assert not {"src", "href", "id"} & {name for _, attrs in Page(html).tags for name in attrs}
    assert "url(" not in html
    assert "http" not in html
    assert len(html) < 70_000


def test_explorer_names_the_layer_that_does_not_fit(weights):
    maps = {"cross": weights, "self": torch.eye(4)}
    message = (
        r"^weights of layer 'self' have 4 rows but 3 query tokens were given: "
        r"pass only the layers that attend from these query tokens to these key tokens$"
    )
    with pytest.raises(ValueError, match=message):
        viz.AttentionExplorer(maps, QUERIES, KEYS)
    with pytest.raises(ValueError, match=r"^there are no layers to show: the dict of attention weights is empty$"):
        viz.AttentionExplorer({}, QUERIES, KEYS)


@pytest.mark.slow
def test_explorer_answers_the_keyboard_in_a_browser(weights, tmp_path):
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("there is no Chromium to open the page in")
    explorer = viz.AttentionExplorer(torch.stack([torch.eye(3), torch.eye(3).flip(0)]), QUERIES)._repr_html_()
    keys = """<script>
      const said = [], say = (root) => said.push(root.querySelector(".sentence").textContent);
      onerror = (message) => said.push(message);
      const [first, second] = document.querySelectorAll(".explorer");
      say(first);
      for (const key of ["ArrowDown", "End", "ArrowDown", "Home", "ArrowRight"]) {
        first.querySelector("[role=option][tabindex='0']").focus();
        document.activeElement.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
        say(first);
      }
      first.querySelector("[aria-label='Head 2']").click();
      first.querySelectorAll("[role=option]")[0].dispatchEvent(new PointerEvent("pointerover", { bubbles: true }));
      say(first);
      said.push(first.querySelector("summary").textContent);
      say(second);
      document.body.textContent = said.join("\\n");
    </script>"""
    page = tmp_path / "page.html"
    page.write_text(f'<!doctype html><meta charset="utf-8"><body>{explorer}{explorer}{keys}', encoding="utf-8")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", f"--user-data-dir={tmp_path / 'profile'}"]
    run = subprocess.run(
        [chromium, *flags, "--dump-dom", page.as_uri()], capture_output=True, text=True, check=True, timeout=60
    )
    assert run.stdout.partition("<body>")[2].partition("</body>")[0].splitlines() == [
        "'ein' attends most to 'ein' 1.00.",
        "'und' attends most to 'und' 1.00.",
        "'zwanzig' attends most to 'zwanzig' 1.00.",
        "'zwanzig' attends most to 'zwanzig' 1.00.",
        "'ein' attends most to 'ein' 1.00.",
        "'und' attends most to 'und' 1.00.",
        "'ein' attends most to 'zwanzig' 1.00.",
        "The numbers of attention, head 2 of 2",
        "'ein' attends most to 'ein' 1.00.",
    ]


def test_every_picture_carries_the_shared_script_once_and_no_comments(weights):
    for picture in (viz.AttentionExplorer(weights, QUERIES, KEYS), viz.PositionClock()):
        html = picture._repr_html_()
        assert html.count("function start(") == 1
        assert not re.search(r"^\s*(//|/\*|\*)", html, flags=re.MULTILINE)


# Figures to play with


def draw_line(slope=1.0, **_others):
    _, ax = plt.subplots()
    ax.plot([0, 1], [0, slope])


def test_play_shows_widget_figure_and_words():
    player = viz.play(draw_line, slope=(0.0, 2.0, 0.5, 1.0), kind=["a", "b"], top_k=(1, 9, 1, 3))
    bundle = player._repr_mimebundle_()
    assert list(bundle) == ["application/vnd.jupyter.widget-view+json", "image/png", "text/plain"]
    assert bundle["image/png"].startswith(b"\x89PNG")
    assert bundle["text/plain"] == repr(player) == "Run this cell to play with slope, kind and top k."
    assert plt.get_fignums() == []


def test_play_redraws_and_tells_errors():
    def draw(slope):
        print("slope is", slope)
        if slope == 0:
            raise ValueError("flat")
        draw_line(slope)

    slider, image, said = viz.play(draw, slope=(0.0, 2.0, 0.5, 1.0))._widget().children
    before = image.value
    assert said.value == "slope is 1.0"
    slider.value = 2.0
    assert image.value != before
    assert said.value == "slope is 2.0"
    slider.value = 0.0
    assert said.value == "ValueError: flat"
    assert plt.get_fignums() == []


def test_play_leaves_other_figures_alone():
    other = plt.figure()
    viz.play(draw_line, slope=[1.0, 2.0])
    assert plt.get_fignums() == [other.number]


@pytest.mark.parametrize(
    ("controls", "message"),
    [
        ({}, r"there is nothing to play with: pass a control, such as temperature=\(0.1, 5.0, 0.1, 1.0\)"),
        ({"slope": (0, 1)}, r"slope must be \(smallest, largest, step, start\) or a list of options, got \(0, 1\)"),
        ({"slope": []}, r"slope must be \(smallest, largest, step, start\) or a list of options, got \[\]"),
        ({"slope": (0, 1, 1, 2)}, r"slope must start between 0 and 1 and have a positive step, got \(0, 1, 1, 2\)"),
    ],
)
def test_play_refuses_what_is_no_control(controls, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        viz.play(draw_line, **controls)


def test_play_refuses_a_draw_that_draws_nothing():
    with pytest.raises(RuntimeError, match=r"^draw made no new figure: start it with plt.subplots\(\), and leave plt"):
        viz.play(lambda slope: None, slope=[1.0])


def test_play_in_a_notebook_leaves_one_output():
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    source = (
        "import matplotlib.pyplot as plt\nfrom companion import viz\n"
        "def draw(slope):\n    print('drawn')\n    fig, ax = plt.subplots()\n    ax.plot([0, slope])\n"
        "viz.play(draw, slope=(0.0, 2.0, 0.5, 1.0))"
    )
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    (output,) = notebook.cells[0].outputs
    assert output.output_type == "execute_result"
    assert sorted(output.data) == ["application/vnd.jupyter.widget-view+json", "image/png", "text/plain"]
    assert output.data["text/plain"] == "Run this cell to play with slope."


def test_show_source_leaves_out_the_docstring(capsys):
    def documented(x):
        """Say what it does.

        At length.
        """
        # a comment stays
        return x

    viz.show_source(documented)
    assert capsys.readouterr().out == "def documented(x):\n    # a comment stays\n    return x\n"


def test_show_source_without_a_docstring(capsys):
    def bare(x):
        return x

    viz.show_source(bare)
    assert capsys.readouterr().out == "def bare(x):\n    return x\n"

"""The pictures to play with, played by keyboard on a narrow page: what they show is what the companion computes."""

import math
import re

import pytest
import torch

from companion import viz
from companion.attention import attention_weights
from companion.masks import causal_mask
from companion.positional import sinusoidal_encoding
from companion.transformer import Transformer, TransformerConfig
from companion.viz._weights import hundredths
from tools.first_cell import ROOT

pytestmark = pytest.mark.pages


@pytest.fixture
def open_picture(browser):
    """Open a picture alone on a page 390 pixels wide; in the end nothing may have gone wrong or be too wide."""
    errors, opened = [], []

    def open_page(picture):
        page = browser.new_page(viewport={"width": 390, "height": 900})
        opened.append(page)
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.set_content(f'<!doctype html><meta charset="utf-8"><body>{picture._repr_html_()}</body>')
        return page

    yield open_page
    for page in opened:
        too_wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        page.close()
        assert too_wide <= 0, f"{too_wide} pixels too wide"
    assert errors == []


def press(page, name):
    """Reach the button of that name by Tab, and press it by Space."""
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.getAttribute('aria-label')") == name:
            return page.keyboard.press("Space")
    raise AssertionError(f"Tab never reached {name!r}")


def test_mask_lab(open_picture):
    """After every step, the weights are the companion's under the mask that the cells then show."""
    tokens = ["twenty", "-", "one", "thousand", "<eos>"]
    scores = torch.randn(5, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64).mul(3).round(decimals=2)
    keys = torch.eye(5, dtype=torch.float64)  # with these, query · key / √5 is the score
    page = open_picture(viz.MaskLab(scores, tokens))
    real = torch.arange(5) < 4

    def see(expected):
        cells = page.eval_on_selector_all(".cell", "all => all.map((cell) => !cell.classList.contains('no'))")
        assert torch.equal(torch.tensor(cells).view(5, 5), expected)
        right = hundredths(attention_weights(scores * math.sqrt(5), keys, expected).numpy())
        digits = [f"{number / 100:.2f}" for number in right.flatten()]
        assert page.locator("table.weights tbody td").all_text_contents() == digits
        in_cells = page.locator(".cell text").all_text_contents()
        assert in_cells == [digit if may else "" for digit, may in zip(digits, expected.flatten(), strict=True)]

    sentence, state = page.locator(".sentence"), page.locator(".state")
    see(real & causal_mask(5))
    assert sentence.text_content() == "'twenty' (row 1) may attend to 'twenty'."
    assert state.text_content() == ""

    press(page, "combine by OR")
    see(real | causal_mask(5))
    assert state.text_content() == "OR opens 7 cells that one of the masks forbids: dashed."
    assert page.locator(".cell.leak").count() == 7
    press(page, "combine by AND")

    press(page, "look-ahead mask off")
    see(real.expand(5, 5))
    press(page, "3 padding tokens")
    see((torch.arange(5) < 2).expand(5, 5))
    assert page.locator(".names text").all_text_contents() == ["twenty", "-", "<pad>", "<pad>", "<pad>"]
    press(page, "5 padding tokens")
    see(torch.zeros(5, 5, dtype=torch.bool))
    assert "Nothing is left for '<pad>', '<pad>'" in state.text_content()
    press(page, "0 padding tokens")
    press(page, "look-ahead mask on")
    see(causal_mask(5))

    # Single cells: the first query's only key away, and one of the third's.
    page.locator(".cell[tabindex='0']").focus()
    page.keyboard.press("Space")
    for key in ("ArrowDown", "ArrowDown", "ArrowRight", "Enter"):
        page.keyboard.press(key)
    changed = causal_mask(5)
    changed[0, 0] = changed[2, 1] = False
    see(changed)
    assert sentence.text_content() == "'one' (row 3) may attend to 'twenty', 'one'."
    assert state.text_content() == "Nothing is left for 'twenty': weights and output are zeros."
    page.locator(".cell").nth(0).click()  # by pointer, and the same cell back
    changed[0, 0] = True
    see(changed)
    page.get_by_role("button", name="Undo single cells").click()
    see(causal_mask(5))


# Where the fills of bars begin and how wide they are, in percent of their track.
FILLS = """all => all.map((fill) => {
  fill.getAnimations().forEach((transition) => transition.finish());
  const [inner, outer] = [fill, fill.parentElement].map((element) => element.getBoundingClientRect());
  return [inner.left - outer.left, inner.width].map((length) => (100 * length) / outer.width);
})"""


def test_heads_side_by_side(open_picture):
    """Whoever asks, every head's bars and the mean's are the weights given, and the sentence names the largest."""
    queries, keys = ["ein", "und", "zwanzig"], ["twenty", "-", "one", "<eos>"]
    scores = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    heads = scores.softmax(dim=-1)
    page = open_picture(viz.HeadsSideBySide(heads, queries, keys))
    rows = hundredths(torch.cat([heads, heads.mean(dim=0, keepdim=True)]).numpy())  # (heads and mean, 3, 4)

    def see(query):
        digits = [f"{number / 100:.2f}" for number in rows[:, query].flatten()]
        assert page.locator(".bar span:last-child").all_text_contents() == digits
        fills = [[0, number] for number in rows[:, query].flatten()]
        assert sum(page.eval_on_selector_all(".fill", FILLS), []) == pytest.approx(sum(fills, []), abs=0.1)
        pressed = page.locator("button[aria-pressed=true]")
        assert pressed.all_text_contents() == [queries[query]]
        most = [f"'{keys[row[query].argmax()]}' {row[query].max() / 100:.2f}" for row in rows]
        said = f"head 1 {most[0]}, head 2 {most[1]}, mean of the heads {most[2]}."
        assert page.locator(".sentence").text_content() == f"'{queries[query]}' asks. Most attended to: {said}"

    see(0)
    page.keyboard.press("Tab")
    for key, query in (("ArrowRight", 1), ("ArrowLeft", 0), ("ArrowUp", 0), ("End", 2), ("ArrowDown", 2), ("Home", 0)):
        page.keyboard.press(key)
        see(query)
    page.get_by_role("button", name="und", exact=True).click()
    see(1)


def test_norm_axes(open_picture):
    """For every norm and mode, the marked numbers, their mean and variance and the result are the companion's."""
    x = torch.randn(3, 4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64).round(decimals=1)
    x[1, 2:] = x[2, 3:] = 0
    running = (torch.full((4,), 0.25), torch.full((4,), 2.0))
    picture = viz.NormAxes(x, [4, 2, 3], running=running)
    choices = {choice.name: choice for choice in picture._choices()}
    page = open_picture(picture)
    cells, sentence = page.locator(".batch tbody td"), page.locator(".sentence")

    def see(name, cell):
        choice = choices[name]
        group = torch.zeros_like(x) if choice.group is None else choice.group == choice.group.flatten()[cell]
        marked = page.eval_on_selector_all(".batch tbody td", "all => all.map((td) => td.classList.contains('shares'))")
        assert marked == (group.bool() & choice.counted).flatten().tolist()
        said = sentence.text_content()
        for tensor, words in ((choice.mean, "Mean {}, "), (choice.output, "Normalised: {}.")):
            if tensor is not None:
                number = hundredths(tensor.expand_as(x).flatten().numpy())[cell] / 100
                assert words.format(f"{number:.2f}") in said
        return said

    digits = [f"{number / 100:.2f}" for number in hundredths(x.flatten().numpy())]
    assert cells.all_text_contents() == digits
    assert "4 numbers share its statistics: the features of this token" in see("layer norm", 0)
    page.locator(".batch td[tabindex='0']").focus()
    for key in ("ArrowDown", "ArrowRight", "ArrowRight"):
        page.keyboard.press(key)
    see("layer norm", 6)
    press(page, "Norm: RMS norm")
    assert "no mean is subtracted" in see("RMS norm", 6)
    press(page, "Norm: batch norm")
    assert "12 numbers share its statistics" in see("batch norm, training", 6)
    press(page, "Norm: batch norm without padding")
    assert "9 numbers share its statistics" in see("batch norm without padding, training", 6)
    cells.nth(30).click()  # padding: normalised, but not counted
    assert "does not count" in see("batch norm without padding, training", 30)
    press(page, "Mode: inference")
    assert "running averages" in see("batch norm, inference", 30)
    press(page, "Numbers: after the norm")
    out = hundredths(choices["batch norm, inference"].output.flatten().numpy())
    assert cells.all_text_contents() == [f"{number / 100:.2f}" for number in out]
    press(page, "Norm: none")
    assert cells.all_text_contents() == digits
    assert sentence.text_content().endswith("Nothing is normalised.")


# Where the lines end in their clock's square, in pixels.
TIPS = """all => all.map((line) => {
  const { x, y } = new DOMPoint(line.x2.baseVal.value, line.y2.baseVal.value).matrixTransform(line.getCTM());
  return [x, y];
})"""


def test_position_clock(open_picture):
    """Wherever the sliders stand, the numbers are the encoding's, and the hands point to them."""
    page = open_picture(viz.PositionClock(d_model=16))
    encoding = sinusoidal_encoding(81, 16).double()

    def see(position, offset):
        shown = [float(number) for number in page.locator(".face b").all_text_contents()]
        assert shown == pytest.approx(encoding[position].tolist(), abs=5.1e-4)
        cells = [float(cell) for cell in page.locator("tbody td").all_text_contents()]
        assert cells[0::3] == shown[0::2]
        assert cells[1::3] == shown[1::2]
        assert cells[2] == pytest.approx(math.degrees(offset) % 360, abs=0.051)
        for name, place in (("now", position), ("later", position + offset)):
            ends = page.eval_on_selector_all(f".{name}", TIPS)
            tips = [[42 + 34 * sine, 42 - 34 * cosine] for sine, cosine in encoding[place].view(-1, 2).tolist()]
            assert sum(ends, []) == pytest.approx(sum(tips, []), abs=0.1)
        product = float(encoding[position] @ encoding[position + offset])
        sentence = page.locator(".sentence").text_content()
        assert sentence.startswith(f"Position {position}, and position {position + offset}: {offset} further on.")
        assert f"encodings: {product:.2f}, as" in sentence

    see(3, 2)
    page.keyboard.press("Tab")
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    see(7, 2)
    page.keyboard.press("End")
    see(60, 2)
    page.keyboard.press("Tab")
    page.keyboard.press("End")
    see(60, 20)
    page.keyboard.press("Home")
    see(60, 0)
    assert page.locator("summary").text_content() == "The numbers of position 60"


def architecture(**changes):
    """Return a map of a small model, with a padding token in its source."""
    torch.manual_seed(0)
    sizes = {"d_model": 8, "num_heads": 2, "d_ff": 16, "num_encoder_layers": 1, "num_decoder_layers": 1, "max_len": 32}
    model = Transformer(TransformerConfig(19, 23, **{**sizes, **changes}))
    source, target = torch.tensor([[5, 9, 7, 2, 0]]), torch.tensor([[1, 13, 8]])
    return viz.ArchitectureMap(model, source, target, ["five", "-", "one", "<eos>", "<pad>"], ["<bos>", "ein", "und"])


@pytest.mark.parametrize("width", [390, 1280])
def test_architecture_is_walked_by_keyboard(open_picture, width):
    """Arrow keys go through the twenty steps, Enter to the numbers, arrows from one to the next, Escape back."""
    picture = architecture()
    page = open_picture(picture)
    page.set_viewport_size({"width": width, "height": 900})
    sentence, code = page.locator(".sentence"), page.locator(".panel .code")
    assert code.inner_text() == "Code: Tokenizer.encode in companion/data/tokenizer.py"
    page.keyboard.press("Tab")
    for number, step in enumerate(picture.steps, start=1):
        assert sentence.text_content().startswith(f"Step {number} of 20: {step.name}. ")
        assert page.locator(".box[aria-pressed=true] .number").text_content() == str(number)
        too_wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert too_wide <= 0
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Home")
    for _ in range(11):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")  # the masked weights of head 1: the first of the second row
    weights = picture.tensors["dec.self_attention.weights"][0]
    picked = page.locator(".picked")
    assert picked.text_content() == f"weights, 'ein', '<bos>': {weights[0, 1, 0]:.2f}"
    for key in ("ArrowDown", "ArrowRight"):
        page.keyboard.press(key)
    assert picked.text_content() == f"weights, 'und', 'ein': {weights[0, 2, 1]:.2f}"
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')").startswith("Step 12: Masked")
    press(page, "Head 2")
    assert picked.text_content() == f"weights, 'und', 'ein': {weights[1, 2, 1]:.2f}"
    press(page, "Table scores")
    page.locator(".panel tbody td").nth(2).click()
    assert page.locator(".arithmetic").inner_text().endswith("Masked: 'und' comes after '<bos>'.")
    page.get_by_role("button", name="Next step").click()
    assert sentence.text_content().startswith("Step 13 of 20")


EVERY_NUMBER = """() => {
  const root = document.querySelector(".architecture"), found = [];
  const each = (label, act) => {
    const count = root.querySelectorAll(`.choices [aria-label="${label}"] button`).length;
    for (let index = 0; index < Math.max(count, 1); index++) {
      root.querySelectorAll(`.choices [aria-label="${label}"] button`)[index]?.click();
      act();
    }
  };
  root.querySelectorAll(".box").forEach((box, step) => {
    box.dispatchEvent(new MouseEvent("click"));
    each("Table", () => each("Head", () => {
      for (const cell of root.querySelectorAll(".panel td[role=gridcell]")) {
        cell.click();
        const lines = [...root.querySelectorAll(".line")].map((line) =>
          [...line.querySelectorAll(".expression, .result")].map((part) => part.textContent));
        found.push([step + 1, cell.textContent, root.querySelector(".picked").textContent, lines,
          root.querySelector(".arithmetic").textContent]);
      }
    }));
  });
  return found;
}"""


def work_out(expression):
    """Compute what is spelled out: the signs of the page are Python's, and the words in brackets go."""
    text = re.sub(r"\[.*?\]", "", expression)
    for sign, python in [("−", "-"), ("∞", "inf"), ("·", "*"), ("²", "**2"), ("√(", "sqrt(")]:
        text = text.replace(sign, python)
    text = re.sub(r"√(\d+)", r"sqrt(\1)", text)
    return eval(text, {"sqrt": math.sqrt, "exp": math.exp, "max": max, "inf": math.inf})  # of this test's own making


@pytest.mark.parametrize(("changes", "tolerance"), [({}, 0.004), ({"d_model": 20, "num_encoder_layers": 2}, 0.006)])
def test_architecture_spells_out_every_number(open_picture, changes, tolerance):
    """What is spelled out comes to the number in the table, at every cell of every table of every head."""
    page = open_picture(architecture(**changes))
    found = page.evaluate(EVERY_NUMBER)
    assert {step for step, *_ in found} == set(range(1, 21))
    assert len(found) > 1000
    masked = 0
    for step, cell, picked, lines, said in found:
        assert picked.endswith(f": {cell}")
        if step in (1, 10):
            assert "No arithmetic" in said
        elif cell == "−∞":
            assert "is padding" in said or "comes after" in said
            masked += 1
        else:
            for expression, result in lines:
                assert work_out(expression) == pytest.approx(work_out(result), abs=tolerance), (step, picked)
            assert work_out(lines[-1][1]) == pytest.approx(work_out(cell), abs=0.0052), (step, picked)
    assert masked == 2 * (5 + 3 + 3)  # padding in the encoder, later tokens, padding in the cross-attention; two heads


@pytest.mark.parametrize("width", [390, 1280])
def test_architecture_links_to_its_code(browser, width):
    """Beside the book's pages each step's code is a link, and leads to a name in the list of names."""
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.goto((ROOT / "_build" / "html" / "book" / "api.html").as_uri())
    html, _, script = architecture()._repr_html_().partition("<script>")
    page.evaluate("(html) => document.querySelector('article').insertAdjacentHTML('afterbegin', html)", f"{html}</div>")
    page.add_script_tag(content=script.partition("</script>")[0])
    for step in range(20):
        page.locator(".box").nth(step).click()
        links = page.eval_on_selector_all(".panel .code a", "all => all.map((a) => [a.pathname, a.hash.slice(1)])")
        assert links
        for path, anchor in links:
            assert path.endswith("/book/api.html")
            assert page.evaluate("(id) => document.getElementById(id) !== null", anchor), anchor
    too_wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    page.close()
    assert too_wide <= 0


def test_word_by_layer(open_picture):
    """For every token and layer, the bars, the table and the sentence are the cosines of the vectors."""
    generator = torch.Generator().manual_seed(0)
    sentences = [["▁two", "▁hundred", "▁and", "▁two", "<eos>"], ["▁twenty", "-", "six", "<eos>"]]
    states = {name: torch.randn(9, 4, generator=generator).double() for name in ("embedding", "layer 1", "layer 2")}
    tokens = [token for sentence in sentences for token in sentence]
    right = {name: torch.cosine_similarity(x[:, None], x[None], dim=-1) for name, x in states.items()}
    page = open_picture(viz.WordByLayer(states, sentences))
    slider, table = page.locator("input"), page.locator("tbody td")

    def see(token, layer):
        row = right[layer][token]
        digits = [f"{number / 100:.2f}" for number in hundredths(row.numpy())]
        assert page.locator(".bar span:last-child").all_text_contents() == digits
        at = list(states).index(layer)
        assert table.all_text_contents()[at::3] == digits
        nearest = int(row.index_fill(0, torch.tensor([token]), -2).argmax())
        said = page.locator(".sentence").text_content()
        assert said.startswith(f"'{tokens[token]}' (token {token % 5 + 1} of sentence {token // 5 + 1}), {layer}.")
        assert f"Most like it: '{tokens[nearest]}'" in said
        assert said.endswith(f"cosine {digits[nearest]}.")

    see(0, "embedding")
    page.keyboard.press("Tab")
    for key, token in (("ArrowRight", 1), ("End", 8), ("ArrowUp", 7), ("Home", 0), ("ArrowLeft", 0), ("ArrowDown", 1)):
        page.keyboard.press(key)
        see(token, "embedding")
    page.keyboard.press("Tab")
    for key, layer in (("ArrowRight", "layer 1"), ("End", "layer 2"), ("Home", "embedding"), ("ArrowUp", "layer 1")):
        page.keyboard.press(key)
        see(1, layer)
        assert slider.get_attribute("aria-valuetext") == layer
    page.get_by_role("button", name="six").click()
    see(7, "layer 1")
    halves = [50 * cosine for cosine in right["layer 1"][7].tolist()]
    fills = [[50 + min(half, 0), abs(half)] for half in halves]
    assert min(halves) < 0, "a bar goes to the left"
    assert sum(page.eval_on_selector_all(".fill", FILLS), []) == pytest.approx(sum(fills, []), abs=0.3)


# The place of every element in its picture.
PLACES = """all => all.map((root) => {
  const { left, top } = root.getBoundingClientRect();
  return [...root.querySelectorAll("*:not(style, script)")].flatMap((element) => {
    const box = element.getBoundingClientRect();
    return [box.left - left, box.top - top, box.width, box.height];
  });
})"""


def test_pictures_share_a_page(browser):
    """Each is started once, looks as it does alone, and none leaves a name behind."""
    x = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    tokens = ["twenty", "-", "one"]
    pictures = [
        architecture(),
        viz.WordByLayer({"embedding": x[0], "layer 1": x[1]}, [tokens]),
        viz.PositionClock(),
        viz.AttentionExplorer(x.softmax(-1), tokens, [*tokens, "<eos>"]),
        viz.HeadsSideBySide(x.softmax(-1), tokens, [*tokens, "<eos>"]),
        viz.MaskLab(x[0], tokens, [*tokens, "<eos>"]),
        viz.NormAxes(x),
    ]
    page = browser.new_page(viewport={"width": 1280, "height": 900})

    def show(*pictures):
        html = "".join(picture._repr_html_() for picture in pictures)
        page.set_content(f'<!doctype html><meta charset="utf-8"><body>{html}</body>')
        return page.eval_on_selector_all(".course-picture", PLACES)

    names = page.evaluate("Object.keys(window)")
    alone = [show(picture)[0] for picture in pictures]
    for beside, places in zip(show(*pictures, *pictures), alone * 2, strict=True):
        assert beside == pytest.approx(places, abs=0.1)
    assert page.locator(".how").all_text_contents()[:7] == page.locator(".how").all_text_contents()[7:]
    assert page.evaluate("Object.keys(window)") == names
    page.close()

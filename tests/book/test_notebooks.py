"""Every notebook keeps the form that CONTRIBUTING.md describes."""

import re
import socket
from pathlib import Path

import pytest

from tools.exercises import FOLDED, pairs, starter
from tools.first_cell import TAG, first_cell, read_address
from tools.normalise import normalise, notebooks, read
from tools.outputs import stated_seconds

SECTIONS = ["Objectives", "Exercises", "Quiz", "What to take away", "Sources"]
MYST = {
    "a directive": re.compile(r"^\s*(```+|~~~+|:::+)\s*\{", re.MULTILINE),
    "a role": re.compile(r"\{[a-z][\w:.+-]*\}`"),
    "a target": re.compile(r"^\([\w-]+\)=\s*$", re.MULTILINE),
    "a fence of colons": re.compile(r"^:::", re.MULTILINE),
}
MACHINE_PATH = re.compile(r"(?<![\w.:/])/(home|root|tmp|Users|work|opt|var)/\w|[A-Z]:\\\w|site-packages")
SHORTEST_ALT = 20

each_notebook = pytest.mark.parametrize("path", notebooks(), ids=lambda path: path.stem)


def markdown(path):
    return [cell.source for cell in read(path).cells if cell.cell_type == "markdown"]


def code_cells(path):
    return [cell for cell in read(path).cells if cell.cell_type == "code"]


def tags(cell):
    return cell.metadata.get("tags", [])


def shown(cell):
    """The texts of a cell's outputs, by media type."""
    for output in cell.outputs:
        if output.output_type == "stream":
            yield "text/plain", output.text
        yield from output.get("data", {}).items()


def test_there_are_notebooks():
    assert notebooks()


@each_notebook
def test_is_normalised(path):
    assert path.read_text(encoding="utf8") == normalise(read(path)), "run `make outputs`"


@each_notebook
def test_was_run_in_order_from_the_first_cell_to_the_last(path):
    cells = [cell for cell in code_cells(path) if cell.source]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))


@each_notebook
def test_markdown_is_plain(path):
    found = [(what, text) for text in markdown(path) for what, pattern in MYST.items() if pattern.search(text)]
    assert not found, "Colab, GitHub and VS Code show this raw"


@each_notebook
def test_summaries_hold_no_mathematics(path):
    summaries = [line for text in markdown(path) for line in text.splitlines() if "<summary" in line]
    assert not [line for line in summaries if "$" in line], "the page shows it raw: put it below, after a blank line"


@each_notebook
def test_has_the_sections_of_a_chapter_in_order(path):
    headings = re.findall(r"^## (.+)$", "\n\n".join(markdown(path)), re.MULTILINE)
    assert [name for name in headings if name in SECTIONS] == SECTIONS


@each_notebook
def test_has_one_title(path):
    text = "\n\n".join(markdown(path))
    assert len(re.findall(r"^# .+$", text, re.MULTILINE)) == 1
    assert text.startswith("# ")


@each_notebook
def test_states_how_long_it_takes(path):
    """Prose at 200 words a minute, code at 20 lines; `make outputs` measures the running."""
    words = sum(len(text.split()) for text in markdown(path))
    lines = sum(cell.source.count("\n") + 1 for cell in code_cells(path))
    stated = re.search(r"^Reading: about (\d+) minutes\. ", markdown(path)[0], re.MULTILINE)
    assert abs(int(stated[1]) - (words / 200 + lines / 20)) <= 3, f"{words} words and {lines} lines of code"
    assert stated_seconds(read(path))
    row = re.search(rf"^\|.*\({path.name}\).*$", (path.parent / "index.md").read_text(encoding="utf8"), re.MULTILINE)
    assert row[0].endswith(f"| {stated[1]} minutes |"), "book/index.md says another time"


@each_notebook
def test_first_code_cell_is_the_template(path):
    first, *others = code_cells(path)
    assert TAG in tags(first)
    assert first.source == first_cell(read_address()), "run `make outputs`"
    assert not [cell.source for cell in others if TAG in tags(cell)]


@each_notebook
def test_exercises_have_starters_made_from_their_solutions(path):
    exercises = pairs(read(path).cells)
    assert len(exercises) >= 3
    for begin, solution in exercises:
        assert begin.source == starter(solution.source), "run `make outputs`"


@each_notebook
def test_solutions_are_folded_everywhere(path):
    for cell in code_cells(path):
        if "solution" in tags(cell):
            assert cell.metadata == FOLDED, "run `make outputs`"


@each_notebook
def test_exercises_say_how_hard_and_how_long(path):
    statements = re.findall(r"^### (Exercise .+)\n+(.+)", "\n\n".join(markdown(path)), re.MULTILINE)
    assert len(statements) >= len(pairs(read(path).cells))  # one may have no check
    for number, (title, first_line) in enumerate(statements, start=1):
        assert re.match(rf"Exercise {number} · \S", title)
        assert re.search(r"\d+ minutes", first_line), f"{title}: its first line says difficulty and minutes"


@each_notebook
def test_pictures_say_what_they_show(path):
    for cell in code_cells(path):
        for kind, text in shown(cell):
            alt = cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")
            if kind.startswith("image/"):
                assert len(alt) >= SHORTEST_ALT, f"no alt text for:\n{cell.source}"
            elif kind == "text/html" and "<svg" in text:
                assert re.search(r'aria-label(ledby)?="[^"]+|<title', text), f"no text alternative for:\n{cell.source}"
    for text in markdown(path):
        for alt in re.findall(r"!\[(.*?)\]\(", text, re.DOTALL) + re.findall(r'<img[^>]*alt="([^"]*)"', text):
            assert len(alt) >= SHORTEST_ALT
        assert text.count("<img") == len(re.findall(r'<img[^>]*alt="', text))


@each_notebook
def test_outputs_show_no_machine(path):
    host = socket.gethostname()
    for cell in code_cells(path):
        for kind, text in shown(cell):
            if not kind.startswith("image/"):
                assert not MACHINE_PATH.search(str(text)), cell.source
                assert not (len(host) > 5 and host in str(text)), cell.source


@each_notebook
def test_outputs_show_an_error_only_where_one_is_meant(path):
    for cell in code_cells(path):
        if "raises-exception" not in tags(cell):
            assert not [output for output in cell.outputs if output.output_type == "error"], cell.source
            assert not [text for _, text in shown(cell) if "Traceback (most recent" in str(text)], cell.source
            assert not [o.text for o in cell.outputs if o.get("name") == "stderr"], cell.source


@each_notebook
def test_says_nothing_about_time_in_an_output_that_is_compared(path):
    for cell in code_cells(path):
        if not {"nbval-ignore-output", "nbval-skip"} & set(tags(cell)):
            for kind, text in shown(cell):
                if kind == "text/plain":
                    assert not re.search(r"\b\d+(\.\d+)? ?(ms|µs|seconds?)\b", str(text)), cell.source


def headings(page: Path) -> set[str]:
    """The link targets of a page: its headings, as GitHub and the book name them."""
    text = "\n\n".join(markdown(page)) if page.suffix == ".ipynb" else page.read_text(encoding="utf8")
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize(
    "path", [*notebooks(), *sorted(Path(__file__).parents[2].glob("book/*.md"))], ids=lambda path: path.name
)
def test_links_lead_somewhere(path):
    texts = markdown(path) if path.suffix == ".ipynb" else [path.read_text(encoding="utf8")]
    for target in re.findall(r"\]\(([^)\s]+)\)", "\n\n".join(texts)):
        if "://" in target:
            assert target.startswith("https://"), target
            continue
        name, _, anchor = target.partition("#")
        page = path.parent / name if name else path
        assert page.is_file(), f"{target}: there is no such file"
        assert not anchor or anchor in headings(page), f"{target}: there is no such heading"

"""Writing the guide: what stands where a page of the book has one of the lines that `MARK` matches."""

import re
from collections.abc import Callable, Iterator
from functools import cache

from companion.checks import CHECKS, Bug, Check

from . import ends, evidence, pictures, symptoms, training

MARK = re.compile(r"^% field guide: (.+)$", re.MULTILINE)
Link = Callable[[str, str], str]
FACTS = 2
CHAPTERS = {"multi_head": "multi-head", "add_norm": "add & norm"}  # where a stem is not the word
CODE = "d_k|d_v|d_model|[wb]_[hx]|max_len|key_len|pad_id|[qv]_proj"


def write(text: str, link: Link) -> str:
    """Put the guide into a page.

    Args:
        text: the page. ``% field guide: symptoms`` stands for the symptoms, ``% field guide: training`` for what came
            of training with the bugs, ``% field guide: NAME`` for a check.
        link: given a chapter's stem and a heading, returns where that is, or nothing if the book does not have it.
    """

    def part(found: re.Match[str]) -> str:
        name = found[1]
        return {"symptoms": _symptoms, "training": _training}.get(name, lambda: _check(CHECKS[name], link))()

    return MARK.sub(part, text)


@cache
def shown(name: str, bug: str) -> evidence.Shown:
    """Return what a bug shows; it is asked once."""
    check = CHECKS[name]
    return evidence.show(check, next(entry for entry in check.bank if entry.name == bug))


def home(check: Check, entry: Bug) -> str:
    """Return the check on whose page a bug stands: `attention` first, for those that several checks know."""
    names = [name for name, other in CHECKS.items() if any(entry is known for known in other.bank)]
    return "attention" if "attention" in names else names[0]


def _label(check: str, bug: str) -> str:
    return f"guide-{check}-{bug}".replace("_", "-")


def _test(name: str) -> str:
    return f"test-{name}".replace("_", "-")


def _refer(check: str, bug: str) -> str:
    return f"[{_words(bug)}](#{_label(check, bug)})"


def _words(name: str) -> str:
    """Write a name in words, but for the names that code has."""
    return re.sub(rf"(?<![a-z])({CODE})(?![a-z])|_", lambda found: found[1] or " ", name)


def escape(text: str) -> str:
    """Keep Markdown from reading what is meant as it stands."""
    return re.sub(r"([\\`*_\[\]<>$#|{}])", r"\\\1", text)


def _check(check: Check, link: Link) -> str:
    own = [entry for entry in check.bank if home(check, entry) == check.name]
    elsewhere = [entry for entry in check.bank if home(check, entry) != check.name]
    asked = ", ".join(f"“{escape(probe.name)}”" for probe in check.probes if not probe.omit)
    parts = [
        f"(guide-{check.name})=".replace("_", "-"),
        f"## {_words(check.name)}",
        f"`check.{check.name}` takes `{check.form.call}`. It asks: {asked}.",
    ]
    if elsewhere:
        known = ", ".join(_refer(home(check, entry), entry.name) for entry in elsewhere)
        parts.append(f"It looks for these bugs as well, which stand elsewhere: {known}.")
    parts += [_entry(check, entry, link) for entry in own]
    return "\n\n".join(parts)


def _entry(check: Check, entry: Bug, link: Link) -> str:
    found = shown(check.name, entry.name)
    facts = [fact for fact in found.facts if "your loss is" not in fact]  # that is in the picture
    numbers = escape(" ".join([evidence.in_numbers(found), *facts[:FACTS]]))
    seen = ", ".join(f"[`{name}`](#{_test(name)})" for name in found.failed) or f"[none of them](#{_test('none')})"
    drawn = pictures.picture(check, entry, found)
    lines = [
        f"({_label(check.name, entry.name)})=",
        f"### {_words(entry.name)}",
        "",
        f"> {escape(entry.sentence)}",
        "",
        f"- **In numbers.** {numbers}",
        f"- **Tests that see it.** {seen}.",
        f"- **In training.** {training.in_training(check, entry, found)}",
        f"- **In your own model.** {escape(entry.hint)} {_where(entry.section, link)}",
    ]
    return "\n".join(lines) + (f"\n\n{drawn}" if drawn else "")


def _where(section: str, link: Link) -> str:
    found = re.fullmatch("chapter ([a-z_]+), section '(.+)'", section)
    assert found, f"a bug's section is {section!r}; companion.checks.section writes them"
    stem, heading = found.groups()
    target = link(stem, heading)
    said = f"chapter *{CHAPTERS.get(stem, stem)}*, “{escape(heading)}”"
    return f"See [{said}]({target})." if target else f"See {said}."


def _training() -> str:
    """Draw what came of training, and name the bugs that were not trained with."""
    without = [
        _refer(check.name, entry.name)
        for check, entry in _every()
        if check.name in ends.checks() and not ends.measured(check.name, entry.name)
    ]
    return ends.table() + (f"\n\nNot trained with yet: {', '.join(without)}." if without else "")


def _every() -> Iterator[tuple[Check, Bug]]:
    """Yield each check with each bug that stands on its page."""
    yield from ((check, entry) for check in CHECKS.values() for entry in check.bank if home(check, entry) == check.name)


def _symptoms() -> str:
    unseen, every = sum(map(len, _seen_by("none").values())), sum(map(len, _seen_by("").values()))
    parts = [f"Of the {every} bugs of this guide, {every - unseen} are seen by at least one of these tests."]
    for name, (title, advice) in symptoms.SYMPTOMS.items():
        parts += [f"({_test(name)})=", f"### {title}", advice]
        if source := symptoms.code(name):
            parts.append(f"```python\n{source}\n```")
        bugs = _seen_by(name)
        count = sum(map(len, bugs.values()))
        listed = [
            f"- *{_words(check)}*: {', '.join(_refer(check, bug) for bug in some)}" for check, some in bugs.items()
        ]
        summary = f"<details><summary>{count} bug{'s' if count > 1 else ''}</summary>"
        parts += [summary, "\n".join(listed), "</details>"]
    return "\n\n".join(parts)


def _seen_by(name: str) -> dict[str, list[str]]:
    """Return the bugs that a test sees, by check; all bugs, for no name."""
    found: dict[str, list[str]] = {}
    for check, entry in _every():
        failed = shown(check.name, entry.name).failed or ["none"]
        if not name or name in failed:
            found.setdefault(check.name, []).append(entry.name)
    return found

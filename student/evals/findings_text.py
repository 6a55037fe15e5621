"""Is the text itself whole: nothing empty, nothing that was decoded wrongly on its way into the file?

UTF-8 that was read as Windows-1252 becomes `Ã©` for `é`. Such pairs are undone here to make sure: only what turns into proper
text counts, so that a lone `Ã` of a Portuguese word does not.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

from student.evals.findings import Finding, Suite
from student.evals.words import brief, plural, some
from student.records import Seed

_LOST = re.compile("\ufffd")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]|[\ud800-\udfff]")
_SUSPECT = re.compile("[\u00c2-\u00f4][\u0080-\u00bf\u0152-\u2122]{1,3}")
_ENTITY = re.compile(r"&(?:amp|lt|gt|quot|apos|nbsp|#\d{2,6}|#x[0-9a-fA-F]{2,5});")
_WORD = re.compile(r"\w")


def texts(suite: Suite) -> Iterator[Finding]:
    """Empty questions and answers, mojibake, lost characters, controls, HTML."""
    yield from _empties(suite)
    found: dict[str, list[tuple[Seed, str]]] = {"lost": [], "mojibake": [], "controls": [], "html": []}
    fixed = bool(suite.loaded.spec.labels)
    for item in suite.items:
        text = item.prompt if fixed else "\n".join((item.prompt, item.answer, *item.choices))
        if text.isascii() and text.isprintable() and "&" not in text:
            continue
        for kind, seen in _damage(text):
            found[kind].append((item, seen))
    for kind, items in found.items():
        if items:
            yield _finding(suite, kind, items)


def _empties(suite: Suite) -> Iterator[Finding]:
    """What the loader lets through: cells that hold something, but no letter and no digit."""
    questions = [item for item in suite.items if not _WORD.search(item.prompt)]
    answers = [item for item in suite.items if not _WORD.search(item.answer)]
    for what, items in (("question", questions), ("answer", answers)):
        if items:
            yield Finding(
                level="warning", code=f"empty-{what}", where="", count=len(items),
                text=f"{plural(len(items), what)} without a letter or a digit. Fill in what is missing, or delete the rows.",
                examples=some(f"{item.id}: {brief(item.prompt, 60)!r} -> {brief(item.answer, 20)!r}" for item in items),
            )  # fmt: skip


def _damage(text: str) -> Iterator[tuple[str, str]]:
    """What is wrong with a text, and the piece that shows it."""
    if lost := _LOST.search(text):
        yield "lost", _around(text, lost)
    if repaired := _misread(text):
        yield "mojibake", f"{_around(text, repaired)}   ({repaired.group()} was {_meant(repaired.group())})"
    if control := _CONTROL.search(text):
        yield "controls", f"U+{ord(control.group()):04X} in: {_around(text, control)}"
    if entity := _ENTITY.search(text):
        yield "html", f"{_around(text, entity)}   ({entity.group()} is {html.unescape(entity.group())})"


def _misread(text: str) -> re.Match[str] | None:
    """A pair that is UTF-8 read as Windows-1252: one that is next to never meant, or two of any kind."""
    found = [match for match in _SUSPECT.finditer(text) if _meant(match.group())]
    sure = [match for match in found if match.group()[0] in "ÂÃâ" or _CONTROL.search(match.group())]
    return sure[0] if sure else found[0] if len(found) > 1 else None


def _meant(piece: str) -> str:
    """What Windows-1252 read as `piece` is in UTF-8; empty when it is none."""
    for size in range(len(piece), 1, -1):
        for encoding in ("cp1252", "latin-1"):
            try:
                meant = piece[:size].encode(encoding).decode("utf-8")
            except UnicodeError:
                continue
            return meant if meant.isprintable() else ""
    return ""


def _around(text: str, match: re.Match[str]) -> str:
    line = text.rfind("\n", 0, match.start()) + 1
    return brief(text[max(line, match.start() - 25) : match.end() + 25].partition("\n")[0], 60)


def _finding(suite: Suite, kind: str, items: list[tuple[Seed, str]]) -> Finding:
    many = plural(len(items), suite.noun)
    text = {
        "lost": f"{many} with the replacement character U+FFFD: text was lost when the file was read and saved as UTF-8. Save "
        "it again from its source, with the right encoding.",
        "mojibake": f"{many} with wrongly decoded text: UTF-8 was read as Windows-1252. Convert the file again from its source.",
        "controls": f"{many} with control characters, which no tokenizer expects. Delete them; from U+0080 to U+009F they are "
        "usually Windows-1252 quotes and dashes read as Latin-1.",
        "html": f"{many} with HTML written out. If users do not see it so, replace it by the characters it stands for.",
    }[kind]
    return Finding(
        level="note" if kind == "html" else "warning", code=f"encoding-{kind}" if kind != "html" else "html", where="",
        text=text, count=len(items), examples=some(f"{item.id}: {seen}" for item, seen in items[:50]),
    )  # fmt: skip

"""The page of a report loads and runs nothing, can be read by everyone, says what the Markdown says, and takes no text for markup."""

from __future__ import annotations

import io
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt
from report_runs import SECTIONS, made_run, report
from rich.console import Console

from agent.report.about_data import the_data
from agent.report.document import Table
from agent.report.gather import facts_of
from agent.report.markdown import code
from agent.report.spending import strategies_of
from agent.report.words import NOTHING
from agent.shown import shown
from agent.tables import UNKNOWN
from agent.trail import read_trail
from loops.run_folder import RunFolder
from teacher.book import Totals

HIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_run(tmp_path_factory.mktemp("made"))


def read_markdown(text: str) -> list[Any]:
    return MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text)


def flat(tokens: list[Any]) -> list[Any]:
    return [one for token in tokens for one in (token, *flat(token.children or []))]


def test_the_page_has_every_chapter_in_order_and_the_verdict_first(run: Path) -> None:
    page, _, markdown = report(run)
    headings = [(name, at) for at, (name, _) in enumerate(page.found) if re.fullmatch("h[1-6]", name)]
    levels = [int(name[1]) for name, _ in headings]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(new <= old + 1 for old, new in pairwise(levels)), "a level of headings is skipped"
    assert page.each("h2") == SECTIONS
    assert re.findall("^## (.*)$", markdown, re.MULTILINE) == SECTIONS
    assert page.text("section").startswith("Verdict Shown Shown on test: the student of round 2 is better")


def test_the_page_loads_nothing_and_runs_nothing(run: Path) -> None:
    page, text, _ = report(run)
    (policy,) = [each["content"] for each in page.all("meta") if each.get("http-equiv") == "Content-Security-Policy"]
    assert policy == "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    names = {name for name, _ in page.found}
    assert not names & {
        "script",
        "link",
        "iframe",
        "object",
        "embed",
        "img",
        "image",
        "use",
        "form",
        "base",
        "foreignobject",
        "a:",
    }
    targets = [each["href"] or "" for each in page.all("a")]
    assert targets and all(target.startswith("#") for target in targets)
    ids = [attributes["id"] for _, attributes in page.found if "id" in attributes]
    assert len(ids) == len(set(ids)) and {target[1:] for target in targets} <= set(ids)
    for name, attributes in page.found:
        assert not [key for key in attributes if key.startswith("on") or key in ("src", "srcset", "style")], (
            name,
            attributes,
        )
    assert "@import" not in text and not re.search(r"url\((?!#)", text)


def test_charts_have_titles_and_descriptions_and_tables_have_captions_and_scopes(run: Path) -> None:
    page, _, _ = report(run)
    drawn = page.all("svg")
    ids = {attributes.get("id") for _, attributes in page.found}
    assert len(drawn) >= 8
    for one in drawn:
        assert one["role"] == "img" and set((one["aria-labelledby"] or "").split()) <= ids
    assert len(page.all("caption")) == len(page.all("table")) >= len(drawn)
    assert all(each.get("scope") in ("row", "col") for each in page.all("th"))
    described = page.each("desc")
    assert "round 2" in " ".join(described) and all(described)


def test_tables_of_the_page_and_of_the_markdown_say_the_same(run: Path) -> None:
    page, _, markdown = report(run)
    tables, inside = list[list[list[str]]](), False
    for token in read_markdown(markdown):
        inside = (inside or token.type == "table_open") and token.type != "table_close"
        if token.type == "table_open":
            tables.append([])
        elif token.type == "tr_open":
            tables[-1].append([])
        elif token.type == "inline" and inside:
            tables[-1][-1].append("".join(one.content for one in token.children))
    figures = tables.pop(0)  # the few numbers under the verdict are no table on the page
    assert next(row[:2] for row in figures if row[0].startswith("gain")) == ["gain on test, points", "+10.0"]
    assert len(tables) > 15 and tidy(page.tables) == tidy(tables)


def tidy(tables: list[list[list[str]]]) -> list[list[list[str]]]:
    return [[["" if cell == "–" else " ".join(cell.split()) for cell in row] for row in table] for table in tables]


def contrast(one: str, other: str) -> float:
    """WCAG 2's ratio of two colours such as #1a5b9e."""

    def light(colour: str) -> float:
        full = colour[1:] if len(colour) == 7 else "".join(2 * each for each in colour[1:])
        parts = [int(full[at : at + 2], 16) / 255 for at in (0, 2, 4)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    bright, dark = sorted((light(one), light(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def test_letters_and_drawings_stand_out_in_light_in_dark_and_on_paper(run: Path) -> None:
    _, text, _ = report(run)
    schemes = [dict(re.findall(r"--(\w+): (#\w+)", block)) for block in re.findall(r":root \{([^}]*)\}", text)]
    assert len(schemes) == 3
    for colours in schemes:
        for name in ("ink", "soft", "accent", "good", "open", "bad"):
            assert min(contrast(colours[name], colours[ground]) for ground in ("ground", "panel")) >= 4.5, name
        for name in ("accent", "second", "third"):
            assert contrast(colours[name], colours["ground"]) >= 3, name
    assert "@media (prefers-color-scheme: dark)" in text and "@media print" in text


# Text of data.


def test_hostile_text_shows_as_text_on_the_page(tmp_path: Path) -> None:
    page, text, _ = report(made_run(tmp_path, hostile=True))
    plain, _, _ = report(made_run(tmp_path / "plain"))
    assert {name for name, _ in page.found} == {name for name, _ in plain.found}
    assert len(page.all("a")) == len(plain.all("a")) and len(page.all("svg")) == len(plain.all("svg"))
    shown = page.text("main")
    for part in (
        "<script>alert(1)</script><img src=x onerror=alert(2)>",
        "{{ 7*7 }} {% raw %} &lt;b&gt;",
        "</svg></td></table>",
    ):
        assert part in shown
    assert not HIDDEN.search(text)


def test_hostile_text_shows_as_text_in_the_markdown(tmp_path: Path) -> None:
    _, _, text = report(made_run(tmp_path, hostile=True))
    tokens, plain = flat(read_markdown(text)), flat(read_markdown(report(made_run(tmp_path / "plain"))[2]))
    kinds = {one.type for one in tokens}
    assert kinds == {one.type for one in plain}
    assert not kinds & {"html_block", "html_inline", "link_open", "image", "fence", "code_block", "s_open"}
    count = lambda found, kind: sum(one.type == kind for one in found)  # noqa: E731
    assert count(tokens, "heading_open") == count(plain, "heading_open")
    assert count(tokens, "table_open") == count(plain, "table_open")
    bare = "".join(one.content for one in tokens if one.type == "text")
    assert "evil" not in bare and "alert" not in bare and "@team" not in bare
    assert not HIDDEN.search(text)


@pytest.mark.parametrize(
    "text", ["`", "``", "a`b``c", " spaced ", "`edge", "edge`", "back\\slash\\", "a|b", "\\|", "[x](y)", "<b>"]
)
def test_any_text_survives_a_code_span(text: str) -> None:
    (paragraph,) = [one for one in read_markdown(f"before {code(text)} after") if one.type == "inline"]
    assert [one.content for one in paragraph.children] == ["before ", text, " after"]
    table = f"| one | two |\n|---|---|\n| {code(text, in_cell=True)} | other |\n"
    cells = [one for one in read_markdown(table) if one.type == "inline"][2:]
    assert [[each.content for each in cell.children] for cell in cells] == [[text], ["other"]]


def test_text_without_anything_visible_leaves_a_dash() -> None:
    assert code(" \u200b\x07") == "–"


def test_each_strategy_says_what_an_accepted_lesson_cost(run: Path) -> None:
    facts = facts_of(RunFolder(run))
    nothing = dict.fromkeys(Totals.model_fields, 0)
    spent = {"contrast": Totals.model_validate({**nothing, "tokens": 12_000, "seconds": 60.0, "money": None})}
    told = strategies_of(read_trail(RunFolder(run)).rounds, spent)
    assert [(one.name, one.written, one.accepted) for one in told] == [
        (one.name, one.written, one.accepted) for one in facts.cost.strategies
    ]
    known = facts.model_copy(
        update={"cost": facts.cost.model_copy(update={"strategies": told, "by_purpose": {"write": spent["contrast"]}})}
    )
    (table,) = [one for one in the_data(known).blocks if isinstance(one, Table) and one.title == "By strategy"]
    accepted = sum(one.teaching.strategies["contrast"][1] for one in facts.rounds if one.teaching)
    rows = {"".join(map(str, line[0])): ["".join(map(str, cell)) for cell in line] for line in table.rows}
    (contrast,) = [cells for name, cells in rows.items() if "contrast" in name]
    assert contrast[4:6] == [f"{12_000 / accepted:,.0f}", UNKNOWN]
    (errors,) = [cells for name, cells in rows.items() if "errors" in name]
    assert errors[4:] == [NOTHING] * 3, "nobody was asked"

    terminal = Console(file=io.StringIO(), width=80)
    with terminal.capture() as shot:
        terminal.print(shown(known))
    lines = [" ".join(line.split()) for line in shot.get().splitlines()]
    at = next(at for at, line in enumerate(lines) if line.startswith("contrast "))
    assert lines[at].endswith("12,000 unknown 1:00"), "in all"
    assert lines[at + 1] == " ".join(["for each accepted", *contrast[4:]]), "what the page says"
    assert [line.split()[-3:] for line in lines if line.startswith("errors ")] == [["-", "-", "-"]]

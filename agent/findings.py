"""How the report of `evals check` is shown: what the set is, its classes, every finding, and how small a gain it can show.

Texts of items pass through `safe` and enter as `Text`, never as markup. Everything fits 80 columns and survives a pipe.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from agent.safe import clip, safe
from agent.tables import plural
from loops.power import CORRELATION, Power, what_shows
from student.evals.findings import Finding, Level, Report
from student.evals.spec import ROLES
from student.evals.words import plural_of
from student.records import Split

STYLES: dict[Level, str] = {"error": "bold red", "warning": "yellow", "note": "dim"}
MOST_CLASSES = 24
"""Rows of the table of classes."""
TYPICAL = 0.7
"""How often a fine-tuned student is taken to be right where nothing is known."""


@dataclass(frozen=True)
class Hanging:
    """A text folded to what is left of the width, without spaces at the ends of lines."""

    text: Text
    """What is shown."""
    first: str = ""
    """Before the first line."""
    rest: str = ""
    """Before the others."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for at, line in enumerate(
            self.text.wrap(console, max(10, options.max_width - len(self.rest)), overflow="fold")
        ):
            line.rstrip()
            yield Text.assemble((self.rest if at else self.first, self.text.style), line)


def shown(report: Report) -> RenderableType:
    """The whole report."""
    parts: list[RenderableType] = [_heading(report)]
    if report.splits:
        parts += [Text(), _sizes(report)]
    parts += [Text(), _findings(report)]
    if power := power_of(report):
        parts += [
            Hanging(Text(power_sentence(power, report.noun), style="bold")),
            Hanging(Text(assumptions(power), style="dim")),
            Text(),
        ]
    return Group(*parts, _ending(report))


def power_of(report: Report) -> Power | None:
    """What the test split can show; a student that is worse than always the same answer is not assumed."""
    n = report.splits.get("test", 0)
    return what_shows(n, round(max(TYPICAL, report.majority or 0.0), 2)) if n and (report.majority or 0) < 1 else None


def power_sentence(power: Power, noun: str) -> str:
    """`With 80 test questions you can show gains of about 13 points; 460 more would show 5.`"""
    items = f"{power.n:,} test {safe(plural_of(noun) if power.n != 1 else noun)}"
    more = f"; {power.more:,} more would show {_points(power.goal)}" if power.more and power.goal else ""
    if power.gain is None:
        points = " points" if more else ""
        return f"{items} are too few to show any gain reliably, even a perfect student's{more}{points}."
    return f"With {items} you can show gains of about {_points(power.gain)} points{more}."


def assumptions(power: Power) -> str:
    """What has to be assumed to say so."""
    return (
        f"Assumed: the old student is right on {100 * power.baseline:.0f} %; both are asked the same items, right and wrong correlate by "
        f"{CORRELATION}; the gain is found by the exact McNemar test (5 %, two-sided) in 80 of 100 draws of the items. Luck in training "
        "comes on top."
    )


def _points(gain: float | None) -> str:
    points = 100 * (gain or 0.0)
    return f"{points:.0f}" if points >= 9.5 or abs(points - round(points)) < 0.05 else f"{points:.1f}"


def _heading(report: Report) -> Text:
    text = Text(safe(report.name), style="bold")
    facts = f"{report.kind}, scored by {report.scorer}" if report.kind else "nothing in it can be used"
    text.append(f"  {facts}", style="default not bold")
    return text.append(f"\n{safe(report.where)}", style="dim")


def _sizes(report: Report) -> Table:
    """Items by role, and by class where labels are fixed."""
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("", no_wrap=True, overflow="ellipsis", max_width=40)
    roles: list[Split] = [role for role in ROLES if role in report.splits]
    for role in roles:
        table.add_column(role, justify="right", no_wrap=True)
    table.add_row(Text(safe(plural_of(report.noun))), *(f"{report.splits[role]:,}" for role in roles))
    for label, counts in [*report.classes.items()][:MOST_CLASSES]:
        table.add_row(
            Text(f"  {safe(label)}", style="dim"), *(f"{counts.get(role, 0):,}" for role in roles), style="dim"
        )
    if len(report.classes) > MOST_CLASSES:
        table.add_row(
            Text(f"  and {len(report.classes) - MOST_CLASSES:,} more labels", style="dim"), *("" for _ in roles)
        )
    return table


def _findings(report: Report) -> RenderableType:
    return Group(*(_finding(one) for one in report.findings)) if report.findings else Text("Nothing was found.")


def _finding(one: Finding) -> RenderableType:
    head = Text(one.level, style=STYLES[one.level])
    head.append(f"  {safe(one.code)}", style="bold not dim").append(
        f"  {safe(one.where)}" if one.where else "", style="not bold dim"
    )
    examples = (Hanging(Text(clip(safe(example), 400), style="dim"), "  - ", "    ") for example in one.examples)
    return Group(head, Hanging(Text(safe(one.text)), "  ", "  "), *examples, Text())


def _ending(report: Report) -> Hanging:
    counts = report.counts()
    words = ", ".join(plural(count, level) for level, count in counts.items())
    text = Text(f"{words}.", style="bold red" if counts["error"] else "bold")
    for line in report.looked_at:
        text.append(f"\n{safe(line[:1].upper() + line[1:])}.", style="not bold dim")
    return Hanging(text)


def as_json(report: Report) -> str:
    """The report, with what the test split can show, as one JSON object."""
    power = power_of(report)
    more = {"power": power.model_dump() | {"assumptions": assumptions(power)} if power else None}
    return json.dumps(report.model_dump() | {"counts": report.counts()} | more, ensure_ascii=False, indent=1)

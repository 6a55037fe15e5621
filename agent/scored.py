"""How the result of `evals score` is shown: accuracy with its interval, skills, confusions, and some failures.

No accuracy appears without its n and its interval. Texts of items and models pass through `safe` and enter as `Text`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from agent.findings import Hanging
from agent.safe import clip, safe
from agent.scoring import Examined
from agent.tables import duration, percent
from loops.stats import Score
from student.evals.words import plural_of

MOST_SKILLS = 30
CORNER = "right \\ answered"


def shown(found: Examined) -> RenderableType:
    """The whole result."""
    parts: list[RenderableType] = [_heading(found), Text(), _accuracy(found)]
    if found.by_skill:
        parts += [Text(), _skills(found)]
    if found.confusion:
        parts += [Text(), Confusion(found)]
    if found.failures:
        parts += [Text(), *_failures(found)]
    return Group(*parts, Text(), Hanging(Text(_facts(found), style="dim")))


def _heading(found: Examined) -> Text:
    text = Text(safe(found.model), style="bold")
    return text.append(f"\non {safe(found.evals)}, {found.split}", style="not bold dim")


def _accuracy(found: Examined) -> Text:
    one = found.score
    text = Text(f"{percent(one.accuracy)} right", style="bold")
    sample = f" (a sample of the {found.total:,} in {found.split})" if one.n != found.total else ""
    facts = f"  95 % interval {100 * one.low:.1f} to {100 * one.high:.1f}\n{one.right:,} of {one.n:,} {safe(plural_of(found.noun))}{sample}"
    text.append(facts, style="not bold")
    if one.truncated or one.malformed:
        cut = f", not right because truncated {one.truncated:,}, malformed {one.malformed:,}"
        text.append(cut, style="not bold yellow")
    return text


def _interval(one: Score) -> str:
    return f"{percent(one.accuracy):>7} ({100 * one.low:.0f} to {100 * one.high:.0f})"


def _table() -> Table:
    return Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))


def _skills(found: Examined) -> Table:
    table = _table()
    table.add_column("by skill", no_wrap=True, overflow="ellipsis", max_width=36)
    for name in ("n", "right"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("accuracy, 95 % interval", no_wrap=True)
    for skill, one in [*found.by_skill.items()][:MOST_SKILLS]:
        table.add_row(Text(safe(skill) or "(none)"), f"{one.n:,}", f"{one.right:,}", _interval(one))
    if len(found.by_skill) > MOST_SKILLS:
        table.add_row(
            Text(f"and {len(found.by_skill) - MOST_SKILLS:,} more with better scores", style="dim"), "", "", ""
        )
    return table


@dataclass(frozen=True)
class Confusion:
    """Right labels down, answers across: by name, or by number where the names are too long; of very many the worst pairs."""

    found: Examined
    """Whose confusions."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        labels = [*self.found.confusion]
        said = [*labels, *([""] if any("" in row for row in self.found.confusion.values()) else [])]
        heads = [safe(label) or "no label" for label in said]
        first = min(26, max(cell_len(name) for name in (CORNER, *heads)) + 4)
        if first + sum(max(3, cell_len(head)) + 2 for head in heads) <= options.max_width:
            yield _confusion(self.found, said, heads, heads)
        elif first + 6 * len(said) + 6 <= options.max_width:
            numbers = [f"{at}" if label else "none" for at, label in enumerate(said, 1)]
            yield _confusion(
                self.found, said, numbers, [f"{at} {head}" for at, head in zip(numbers, heads, strict=True)]
            )
        else:
            yield _confusions(self.found)


def _confusion(found: Examined, said: Sequence[str], heads: Sequence[str], rows: Sequence[str]) -> Table:
    table = _table()
    table.add_column(CORNER, no_wrap=True, overflow="ellipsis", max_width=26)
    for head in heads:
        table.add_column(Text(head), justify="right", no_wrap=True)
    for (label, row), name in zip(found.confusion.items(), rows, strict=False):  # the last head may be that of no label
        styles = {one: "bold" if one == label else "" if one in row else "dim" for one in said}
        cells = [Text(f"{row[one]:,}" if one in row else ".", style=styles[one]) for one in said]
        table.add_row(Text(name), *cells)
    return table


def _confusions(found: Examined) -> Table:
    """With many labels: what is most often taken for what."""
    table = _table()
    table.add_column("most often confused", no_wrap=True, overflow="ellipsis", max_width=30)
    table.add_column("answered", no_wrap=True, overflow="ellipsis", max_width=30)
    table.add_column("times", justify="right", no_wrap=True)
    pairs = [
        (count, label, said) for label, row in found.confusion.items() for said, count in row.items() if said != label
    ]
    for count, label, said in sorted(pairs, key=lambda one: -one[0])[:12]:
        table.add_row(Text(safe(label)), Text(safe(said) or "no label"), f"{count:,}")
    return table


def _failures(found: Examined) -> list[RenderableType]:
    lines: list[RenderableType] = [Text("some that were not right", style="dim")]
    for one in found.failures:
        lines.append(Hanging(Text(clip(safe(one.prompt), 300)), "- ", "  "))
        right = Text("right: ", style="dim").append(clip(safe(one.expected), 200), style="default not dim")
        said = Text(f"{one.outcome}: ", style="dim").append(
            clip(safe(one.output), 200) or "(nothing)", style="default not dim"
        )
        short = len(one.expected) + len(one.output) < 50
        pair = [right.append("   ").append_text(said)] if short else [right, said]
        lines += [Hanging(line, "  ", "    ") for line in pair]
    return lines


def _facts(found: Examined) -> str:
    how = {
        "likelihood": "Answers are the likeliest choice.",
        "generation": "Answers are what the model wrote"
        + (
            ", held to the choices by a JSON schema, not their likelihood: not to be compared with a score by likelihood."
            if found.confusion
            else "."
        ),
    }[found.how]
    lead = (
        "The question was asked bare."
        if found.bare
        else "The task was told before every question (--bare leaves it out)."
    )
    speed = f"{duration(found.seconds)} for {found.score.n:,} {safe(plural_of(found.noun))}"
    speed += f", {found.score.n / found.seconds:,.1f} a second" if found.seconds else ""
    speed += f", {found.tokens_per_second:,.0f} tokens a second" if found.tokens_per_second else ""
    lost = ", ".join(f"{safe(reason)} {count:,}" for reason, count in found.lost.items())
    lines = [f"{how} {lead}", f"{speed}."]
    if lost:
        lines.append(f"Questions that brought no answer (counted as malformed): {lost}.")
    lines += [safe(note) for note in found.notes]
    if found.split == "test":
        seen = f" It was opened before by: {safe(', '.join(found.opened_before[:5]))}." if found.opened_before else ""
        lines.append(
            f"This opening of test is recorded: a later claim on it is weaker for it. --split select leaves test locked.{seen}"
        )
    return "\n".join(lines)


def as_json(found: Examined) -> str:
    """The result as one JSON object."""
    return json.dumps({"accuracy": round(found.score.accuracy, 6)} | found.model_dump(), ensure_ascii=False, indent=1)

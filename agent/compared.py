"""How the results of `compare` are shown: two plain tables, what is shown and what is not, and what is to be known.

No accuracy appears without its n and its interval. Names of runs and models pass through `safe` and enter as `Text`.
"""

from __future__ import annotations

import json

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from agent.compare import Compared, Comparisons
from agent.findings import Hanging
from agent.safe import safe
from agent.tables import amount, duration, percent
from loops.stats import Score


def shown(found: Comparisons) -> RenderableType:
    """The whole result."""
    parts: list[RenderableType] = [_results(found), Text(), _costs(found), Text()]
    parts += [*sentences(found), Text()]
    return Group(*parts, *(Hanging(Text(safe(note), style="dim")) for note in found.notes))


def sentences(found: Comparisons) -> list[RenderableType]:
    """What is shown, and what is not."""
    return [Hanging(Text(safe(pair.sentence), style="bold")) for pair in found.pairs]


def as_json(found: Comparisons) -> str:
    """The whole result as one JSON object."""
    return json.dumps(found.model_dump(mode="json"), indent=1, ensure_ascii=True)


def interval(one: Score) -> str:
    """`72.7 % (65 to 79)`, right-aligned so that a column of them lines up."""
    return f"{percent(one.accuracy):>7} ({100 * one.low:.0f} to {100 * one.high:.0f})"


def plain_table(*columns: str, numbers: tuple[str, ...] = ()) -> Table:
    """Columns without boxes; those in `numbers` stand at the right, the others fold."""
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
    for name in columns:
        right = name in numbers
        table.add_column(name, justify="right" if right else "left", no_wrap=right, overflow="fold")
    return table


def _results(found: Comparisons) -> Table:
    table = plain_table("run", "best", "n", "seed-only, 95 %", "best student, 95 %", numbers=("n",))
    for run in found.runs:
        best = f"round {run.best}" if run.best else "seed-only"
        cells = (run.run, best, f"{run.kept.n:,}", interval(run.seed_only), interval(run.kept))
        table.add_row(*(Text(safe(cell)) for cell in cells))
    return table


def _costs(found: Comparisons) -> Table:
    numbers = ("lessons", "tokens", "money", "time")
    table = plain_table("run", "student", "lessons by", *numbers, numbers=numbers)
    for run in found.runs:
        cells = (
            run.run,
            run.student,
            _author(run),
            amount(run.lessons),
            amount(run.tokens),
            amount(run.money),
            duration(run.seconds),
        )
        table.add_row(*(Text(safe(cell)) for cell in cells))
    return table


def _author(run: Compared) -> str:
    return f"{run.teacher}, in {run.lessons_from}" if run.lessons_from else run.teacher

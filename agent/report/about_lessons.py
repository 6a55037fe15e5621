"""The chapter on failures: which of them flipped, which lessons had been written for them, and what came of each weakness."""

from __future__ import annotations

from collections.abc import Iterator

from agent.report.charts import bars
from agent.report.document import (
    Block,
    Data,
    Example,
    Fold,
    Heading,
    Line,
    Paragraph,
    Section,
    Table,
    data,
    named,
    row,
    says,
)
from agent.report.facts import Case, Facts, Flips
from agent.report.words import NOTHING, more, share
from agent.tables import percent, plural

LISTED = 24
"""Weaknesses in the table, those with the most failures first."""


def failures(facts: Facts) -> Section:
    """Which failures flipped, and what had been written for them."""
    nothing = "No failure was mined a second time, so it is not known which of them turned right."
    blocks: list[Block] = (
        [*_flipped(facts.flips, facts.rounds[-1].number)] if facts.flips else [Paragraph(says(nothing))]
    )
    if facts.weaknesses:
        blocks += [Heading("Weaknesses"), _weaknesses(facts)]
    return Section("failures", "Failures and lessons", tuple(blocks))


def _flipped(flips: Flips, taught: int) -> Iterator[Block]:
    """`taught`: the last round that taught."""
    yield Paragraph(says(
        "A failure counts as flipped when it is right the last time it was mined. What turned it cannot be told from that: "
        "failures without a lesson of their own are the ones to compare with."
    ))  # fmt: skip
    rows = [
        ("with lessons of their own", flips.taught, flips.taught_flipped),
        ("without", flips.untaught, flips.untaught_flipped),
    ]
    drawn = [(name, k / n if n else 0.0, share(k, n)) for name, n, k in rows]
    yield Table(
        "Failures mined again", ("failures", "mined again", "flipped", "share"),
        tuple(row(name, f"{n:,}", f"{k:,}", percent(k / n) if n else NOTHING) for name, n, k in rows),
        chart=bars("flips", "Share of failures that flipped", drawn, whole=1),
        more=f"{plural(flips.not_again, 'failure')} not mined again." if flips.not_again else "",
    )  # fmt: skip
    if flips.flipped:
        title = f"Flipped failures and their lessons ({len(flips.flipped):,} of {flips.taught_flipped:,})"
        yield Fold(title, tuple(_case(one, taught) for one in flips.flipped))
    if flips.never:
        yield Fold(
            f"Never learned ({len(flips.never):,} of {flips.never_count:,})",
            tuple(_case(one, taught) for one in flips.never),
        )


def _case(one: Case, taught: int) -> Example:
    told: list[tuple[str, Line]] = [
        ("question", data(one.prompt)),
        ("right answer", data(one.answer)),
        ("student said", data(one.said)),
    ]
    told += [
        ("lesson", (Data(each.prompt), " → ", Data(each.answer), f" (round {each.round})")) for each in one.lessons
    ]
    left = one.lesson_count - len(one.lessons)
    told += [("lessons", says(f"{left:,} more not shown"))] if left else []
    last = f"in round {one.last_in}" if one.last_in <= taught else f"after round {taught}"
    seen = f", failed in round {one.failed_in}, last mined {last}, {plural(one.lesson_count, 'lesson')} of its own"
    return Example((Data(one.id), seen), tuple(told))


def _weaknesses(facts: Facts) -> Table:
    ranked = sorted(facts.weaknesses, key=lambda one: (-one.failures, one.id))
    rows: list[tuple[Line, ...]] = []
    for one in ranked[:LISTED]:
        numbers = (str(one.round), f"{one.failures:,}", f"{one.asked:,}", f"{one.accepted:,}")
        rows.append(row(named(one.name), *numbers, share(one.flipped, one.mined_again)))
    columns = ("weakness", "round", "failures", "lessons asked for", "accepted", "flipped of mined again")
    left = more("weakness", "weaknesses", len(ranked), LISTED)
    return Table("What was weak and what came of it", columns, tuple(rows), more=left)

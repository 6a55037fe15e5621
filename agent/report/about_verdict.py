"""The first chapter: the verdict, the few numbers behind it, what it shows and what it does not, and what the run lacks."""

from __future__ import annotations

from agent.report.charts import Mark, dots
from agent.report.document import (
    Block,
    Bullets,
    Figures,
    Heading,
    Line,
    Paragraph,
    Section,
    Table,
    Tone,
    Verdict,
    named,
    row,
    says,
)
from agent.report.doubts import not_shown, recorded, shown
from agent.report.facts import Facts
from agent.report.words import CI, accuracy, count, points, seconds, significance
from agent.tables import percent, plural
from loops.claims import lessons_sentence

FIRST = 3
"""Doubts that stand right under the verdict."""


def verdict(facts: Facts) -> Section:
    """What was shown, first of all."""
    doubts, sure = not_shown(facts), shown(facts)
    blocks: list[Block] = [_verdict(facts), Figures(_figures(facts))]
    if facts.claim and facts.claim.controls:
        blocks.append(_controls(facts))
    blocks += [Heading("What this shows"), Bullets(tuple(sure) or (says("Nothing beyond what each interval says."),))]
    blocks += [Heading("What this does not show"), Bullets(tuple(doubts[:FIRST]))] if doubts else []
    if len(doubts) > FIRST:
        blocks.append(Paragraph(says(f"{len(doubts) - FIRST} more under “What was not shown”.")))
    if facts.missing:
        blocks += [Heading("What this run does not hold"), Bullets(tuple(map(recorded, facts.missing)))]
    return Section("verdict", "Verdict", tuple(blocks))


def _verdict(facts: Facts) -> Verdict:
    claim = facts.claim
    if claim is None:
        return Verdict(
            "No claim yet",
            "plain",
            (says("The locked test split was not opened: a gain is neither shown nor ruled out."),),
        )
    first = recorded(claim.sentence)
    for one in claim.controls:
        first = (*first, " ", *recorded(one.sentence))
    lines = [first]
    if claim.lessons is not None:
        lines.append(says(lessons_sentence(claim.lessons, claim.best)))
    word: tuple[str, Tone] = ("Not shown", "open")
    if claim.shown:
        word = ("Shown", "good")
    elif claim.best and claim.gain < 0 and claim.p < 0.05:
        word = ("Worse", "bad")
    return Verdict(*word, tuple(lines))


def _figures(facts: Facts) -> tuple[tuple[str, Line, str], ...]:
    best, cost, split = facts.best or 0, facts.cost, "test" if facts.claim else facts.decides
    before, after = facts.exam(split, "seed-only"), facts.exam(split, f"round {best}")
    cells: list[tuple[str, Line, str]] = []
    if before:
        cells.append(
            (f"seed-only on {facts.named(split)}", says(percent(before.accuracy)), _doubt(accuracy(before), before.n))
        )
    if after:
        cells.append(
            (f"round {best} on {facts.named(split)}", says(percent(after.accuracy)), _doubt(accuracy(after), after.n))
        )
    if facts.claim and best:
        gain = points(facts.claim.gain, facts.claim.low, facts.claim.high).split(" ", 1)
        cells.append(("gain on test, points", says(gain[0]), f"95 % {gain[1]}, {significance(facts.claim.p)}"))
    written = sum(one.teaching.written for one in facts.rounds if one.teaching)
    cells.append(("lessons", says(f"{cost.accepted:,}"), f"accepted of {plural(written, 'candidate')}"))
    if cost.teacher:
        cells.append(("teacher tokens", says(f"{cost.teacher.tokens:,}"), f"money {count(cost.teacher.money)}"))
    cells.append(("time worked", says(seconds(cost.seconds)), plural(cost.sessions, "session")))
    return tuple(cells)


def _doubt(text: str, n: int) -> str:
    return f"95 % {text.partition(' % ')[2]}, n {n:,}"


def _controls(facts: Facts) -> Table:
    arms = [(one, one.found) for one in facts.claim.controls] if facts.claim else []
    marks = [
        Mark(one.name, found.gain, found.low, found.high, points(found.gain, found.low, found.high), found.shown)
        for one, found in arms
    ]
    rows = [
        row(named(one.name), points(found.gain, found.low, found.high), "shown" if found.shown else "not shown",
            f"{one.size.tokens:,} of {one.wanted.tokens:,}", f"{one.size.lessons:,} of {one.wanted.lessons:,}",
            f"{one.size.steps:,} of {one.wanted.steps:,}")
        for one, found in arms
    ]  # fmt: skip
    chart = dots(
        "controls",
        "Difference to each control arm in points, with 95 % intervals; a diamond is shown",
        marks,
        signed=True,
    )
    columns = ("against", f"points {CI}", "verdict", "teacher tokens", "lessons", "steps")
    return Table(
        "The kept student against control arms, on test", columns, tuple(rows), words=(2,), chart=chart,
        more="An arm's size stands beside the kept student's: each arm equals it in one way.",
    )  # fmt: skip

"""What `llm2llm show` prints of a run: what the report says, as tables with small plots, in a terminal.

In: the same facts as the report's. Out: renderables that fit 80 columns, a pipe and a terminal without colour. Every accuracy has its
n and its interval, and every difference its interval. Long lists are cut, and the cut is said; the report has all of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from agent.findings import Hanging
from agent.plots import AxisLabels, GainBar, IntervalBar, LengthBar, around_zero, span
from agent.report.document import Data, Line
from agent.report.doubts import not_shown
from agent.report.facts import Claim, Control, Facts, Fates, Skill, Strategy
from agent.report.results import round_name
from agent.report.words import for_each, points, rounded, seconds
from agent.safe import clip, safe
from agent.tables import amount, percent, plain_table, plural
from loops.claims import Gain
from loops.stats import Comparison, Score

SKILLS, REASONS, NAME = 8, 10, 26
"""Skills and reasons that are listed, and cells of a name from data."""


def shown(facts: Facts) -> RenderableType:
    """The whole run, but for the verdict and what it cost in all: `tables.summary` ends with those."""
    parts = [*_rounds(facts), *_controls(facts), *_skills(facts), *_items(facts), *_lessons(facts), *_cost(facts)]
    return Group(*parts, *_doubts(facts))


def _titled(title: str, *parts: RenderableType) -> Iterator[RenderableType]:
    yield from (Text(title, style="bold"), *parts, Text())


def _scores(name: str, others: Sequence[str], scores: Sequence[Score]) -> Table:
    """The columns that every table of accuracies begins and ends with."""
    table = plain_table(expand=True)
    table.add_column(name, no_wrap=True, overflow="ellipsis", max_width=NAME)
    for other in others:
        table.add_column(other, no_wrap=True)
    table.add_column("right", justify="right", no_wrap=True)
    table.add_column("accuracy, 95 % interval", no_wrap=True)
    table.add_column(AxisLabels(span(scores)), ratio=1, no_wrap=True, min_width=10)
    return table


def _measured(score: Score) -> tuple[Text, Text]:
    interval = f"{percent(score.accuracy):>7} ({100 * score.low:.1f} to {100 * score.high:.1f})"
    return Text(f"{score.right:,}/{score.n:,}"), Text(interval)


def _rounds(facts: Facts) -> Iterator[RenderableType]:
    examined = [(one, one.select) for one in facts.rounds if one.select]
    if not examined:
        yield from _titled("Accuracy by round", Text("No round has been examined yet."))
        return
    trained = [score for _, score in examined]
    table, ends = _scores("student", ["lessons"], trained), span(trained)
    for one, score in examined:
        name = round_name(one.number) + (" (kept)" if one.number == facts.best else "")
        lessons = "-" if one.lesson_rows is None else f"{one.lesson_rows:,}"
        style = "bold" if one.number == facts.best else ""
        table.add_row(Text(name), Text(lessons), *_measured(score), IntervalBar(score, ends), style=style)
    for exam in facts.exams:
        if exam.split == facts.decides and exam.round is None and exam.who != "teacher":
            table.add_row(Text(exam.who), Text("-"), *_measured(exam.score), IntervalBar(exam.score, ends), style="dim")
    yield from _titled(f"Accuracy on {facts.named(facts.decides)} by round", table)


def _controls(facts: Facts) -> Iterator[RenderableType]:
    claim = facts.claim
    if claim is None or not (claim.controls or claim.controls_missing):
        return
    rows: list[tuple[str, Comparison | Gain]] = [("seed-only", claim.lessons or claim)]
    rows += [(one.name, one.found) for one in claim.controls]
    table, ends = plain_table(expand=True), around_zero([found for _, found in rows])
    table.add_column("against", no_wrap=True)
    table.add_column("points, 95 % interval", no_wrap=True)
    table.add_column("better", no_wrap=True)
    table.add_column(AxisLabels(ends), ratio=1, no_wrap=True, min_width=10)
    for name, found in rows:
        said = "shown" if found.shown else "not shown"
        table.add_row(
            Text(name), Text(points(found.gain, found.low, found.high)), Text(said), GainBar(found, ends)
        )  # fmt: skip
    gone = [_hanging(f"{name}: missing. {reason}") for name, reason in claim.controls_missing.items()]
    sizes = [_hanging(text) for text in _sizes(claim)]
    yield from _titled("The kept student on test, against control arms", table, *sizes, *gone)


def _sizes(claim: Claim) -> Iterator[str]:
    for one in claim.controls:
        yield f"{one.name}: {_size(one)}"


def _size(one: Control) -> str:
    size, wanted = one.size, one.wanted
    cost = f"{size.tokens:,} teacher tokens to the kept student's {wanted.tokens:,}"
    return f"{cost}, {size.lessons:,} lessons to {wanted.lessons:,}, {size.steps:,} steps to {wanted.steps:,}"


def _skills(facts: Facts) -> Iterator[RenderableType]:
    if facts.skills is None:
        return
    rows = facts.skills.rows[:SKILLS]
    scores = [score for one in rows for score in (one.before, one.after) if score]
    table, ends = _scores("skill", ["student"], scores), span(scores)
    for one in rows:
        table.add_row(
            Text(clip(safe(one.name), NAME)), Text("seed-only"), *_measured(one.before), IntervalBar(one.before, ends)
        )
        if one.after:
            name = round_name(facts.best or 0)
            table.add_row(Text(""), Text(name), *_measured(one.after), IntervalBar(one.after, ends), style="bold")
    changed = [_hanging(text) for text in _clear(rows)]
    left = len(facts.skills.rows) - len(rows)
    more = [Text(f"{plural(left, 'more skill')} in the report", style="dim")] if left else []
    yield from _titled(f"By skill on {facts.named(facts.skills.split)}, before and after", table, *more, *changed)


def _clear(rows: Sequence[Skill]) -> Iterator[str]:
    """The skills whose difference is clear of zero, in words."""
    for one in rows:
        change = one.change
        if change and (change.low > 0 or change.high < 0):
            yield f"{clip(safe(one.name), NAME)}: {points(change.gain, change.low, change.high)} points"


def _items(facts: Facts) -> Iterator[RenderableType]:
    if not facts.fates:
        return
    table = plain_table(expand=True)
    for name in ("items of", "what became of them"):
        table.add_column(name, no_wrap=True)
    table.add_column("n", justify="right", no_wrap=True)
    table.add_column("", ratio=1, no_wrap=True, min_width=8)
    for one in facts.fates:
        whole = one.kept + one.learned + one.regressed + one.never
        for number, (name, count) in enumerate(_parts(one)):
            where = facts.named(one.split) if number == 0 else ""
            table.add_row(Text(where), Text(name), Text(f"{count:,}"), LengthBar(count, whole))
    yield from _titled("Items learned and lost, between the first look and the last", table)


def _parts(one: Fates) -> tuple[tuple[str, int], ...]:
    return (("kept", one.kept), ("learned", one.learned), ("regressed", one.regressed), ("never learned", one.never))


def _lessons(facts: Facts) -> Iterator[RenderableType]:
    taught = [one.teaching for one in facts.rounds if one.teaching]
    written = sum(one.written for one in taught)
    if not written:
        return
    rejected = sum((Counter(one.rejected) for one in taught), Counter[str]()).most_common()
    fates = [("accepted", sum(one.accepted for one in taught)), *rejected[:REASONS]]
    fates += [("other reasons", left)] if (left := sum(count for _, count in rejected[REASONS:])) else []
    fates += [("not judged", waiting)] if (waiting := sum(one.unjudged for one in taught)) else []
    yield from _titled(f"Lessons by fate, of {plural(written, 'candidate')}", _lengths("fate", "n", fates, written))


def _lengths(name: str, unit: str, rows: Sequence[tuple[str, int]], most: float) -> Table:
    """A bar for each count."""
    table = plain_table(expand=True)
    table.add_column(name, no_wrap=True, overflow="ellipsis", max_width=NAME)
    table.add_column(unit, justify="right", no_wrap=True)
    table.add_column("", ratio=1, no_wrap=True, min_width=8)
    for label, count in rows:
        table.add_row(Text(clip(safe(label), NAME)), Text(f"{count:,}"), LengthBar(count, most))
    return table


def _cost(facts: Facts) -> Iterator[RenderableType]:
    cost, took = facts.cost, facts.cost.seconds_by_verb
    if took:
        table = plain_table(expand=True)
        table.add_column("verb", no_wrap=True)
        table.add_column("time", justify="right", no_wrap=True)
        table.add_column("", ratio=1, no_wrap=True, min_width=8)
        for verb, time in took.items():
            table.add_row(Text(safe(verb)), Text(seconds(time)), LengthBar(time, max(took.values())))
        yield from _titled("Time by verb, all rounds together", table)
    if cost.by_purpose:
        tokens = [(name, one.tokens) for name, one in cost.by_purpose.items()]
        per = f"{rounded(cost.tokens_per_lesson)} tokens, money {rounded(cost.money_per_lesson)} and "
        per += f"{seconds(cost.seconds_per_lesson)} of the whole run for each accepted lesson"
        per += f"; {rounded(cost.tokens_per_point)} tokens for each point gained" if cost.tokens_per_point else ""
        table = _lengths("asked to", "tokens", tokens, max(count for _, count in tokens))
        yield from _titled("Teacher tokens by purpose", table, _hanging(per))
        yield from _titled("Writing and checking by strategy", _strategies(cost.strategies))


def _strategies(found: Sequence[Strategy]) -> Table:
    """What each took in all and, below, for each lesson that was accepted."""
    table = plain_table()
    table.add_column("strategy", no_wrap=True, overflow="ellipsis", max_width=NAME)
    for name in ("accepted", "tokens", "money", "in flight"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in found:
        spent = one.spent
        took = (f"{spent.tokens:,}", amount(spent.money), seconds(spent.seconds)) if spent else ("-", "-", "-")
        accepted = f"{one.accepted:,} of {one.written:,}"
        table.add_row(Text(clip(safe(one.name), NAME)), *map(Text, (accepted, *took)))
        if spent and one.accepted:
            table.add_row(Text("  for each accepted"), Text(""), *map(Text, for_each(one)), style="dim")
    return table


def _doubts(facts: Facts) -> Iterator[RenderableType]:
    doubts = [_hanging(_plain(line), "- ") for line in not_shown(facts)]
    doubts += [_hanging(text, "- ") for text in facts.missing]
    if doubts:
        yield from _titled("What was not shown, or is not known", *doubts)


def _plain(line: Line) -> str:
    return "".join(part.text if isinstance(part, Data) else part for part in line)


def _hanging(text: str, first: str = "") -> Hanging:
    return Hanging(Text(safe(text)), first, " " * len(first))

"""The chapters on results: accuracy by round, on test and by skill, and what became of each item."""

from __future__ import annotations

from collections.abc import Sequence

from agent.report.charts import Level, Mark, bars, dots, over_rounds
from agent.report.document import Block, Bullets, Fold, Heading, Line, Paragraph, Section, Table, named, row, says
from agent.report.doubts import recorded
from agent.report.drawing import Picture
from agent.report.facts import Change, Exam, Facts, Fates, Round, Skill
from agent.report.words import CI, NOTHING, accuracy, difference, more, points, right
from agent.tables import percent
from loops.stats import Score

CHARTED, LISTED = 16, 60
"""Skills in the chart and in the table."""


def by_round(facts: Facts) -> Section:
    """Accuracy on what decides, with what to compare it with."""
    where = facts.named(facts.decides)
    examined = [(one, one.select) for one in facts.rounds if one.select]
    if not examined:
        return Section("rounds", "Accuracy by round", (Paragraph(says(f"No round has been examined on {where} yet.")),))
    untouched = [
        one for one in facts.exams if one.split == facts.decides and one.round is None and one.who != "teacher"
    ]
    rows = [_round_row(one, facts.best) for one, _ in examined]
    rows += [row(one.who, right(one.score), accuracy(one.score), NOTHING, NOTHING) for one in untouched]
    columns = ("student", "right", f"accuracy {CI}", f"points against seed-only {CI}", "lessons")
    table = Table(f"Students on {where}", columns, tuple(rows), chart=_rounds_chart(facts, examined, untouched))
    text = f"Rounds are chosen on {where}, which flatters the one that is kept; the gain is claimed on test."
    if not facts.chooses:
        text = "The last round is kept, whatever it did (stop.keep: last); the gain is claimed on test."
    if facts.cross_fit:
        text += " Each item is answered by a student that learned neither it nor anything made from it."
    blocks: list[Block] = [Paragraph(says(text)), table]
    if decided := [(f"Round {one.number}: ", *recorded(one.decision)) for one in facts.rounds if one.decision]:
        blocks.append(Fold("What was decided after each round", (Bullets(tuple(decided)),)))
    return Section("rounds", "Accuracy by round", tuple(blocks))


def _round_row(one: Round, best: int | None) -> tuple[Line, ...]:
    name = f"round {one.number}{' (seed-only)' if one.number == 0 else ''}{', kept' if one.number == best else ''}"
    lessons = NOTHING if one.lesson_rows is None else f"{one.lesson_rows:,}"
    return row(name, right(one.select), accuracy(one.select), difference(one.change), lessons)


def _rounds_chart(facts: Facts, examined: Sequence[tuple[Round, Score]], untouched: Sequence[Exam]) -> Picture:
    marks = [_mark(str(one.number), found, one.number == facts.best) for one, found in examined]
    levels = [Level(one.who, one.score.accuracy, percent(one.score.accuracy)) for one in untouched]
    if facts.chance is not None:
        levels.append(Level("guessing", facts.chance, percent(facts.chance)))
    title = (
        f"Accuracy on {facts.named(facts.decides)} by round, with 95 % intervals; the diamond is the round that is kept"
    )
    return over_rounds("by-round", title, marks, levels)


def _mark(label: str, found: Score, strong: bool) -> Mark:
    return Mark(label, found.accuracy, found.low, found.high, accuracy(found), strong)


def on_test(facts: Facts) -> Section:
    """Everyone on `test`."""
    exams = [one for one in facts.exams if one.split == "test"]
    if not exams:
        text = "Test has not been opened in this run: it is examined once, after every choice is made."
        return Section("test", "On test", (Paragraph(says(text)),))
    rows = tuple(row(one.who, right(one.score), accuracy(one.score), _ahead(facts, one)) for one in exams)
    marks = [_mark(one.who, one.score, one.round == facts.best) for one in exams]
    title = "Accuracy on test, with 95 % intervals; the diamond is the student that is kept"
    columns = ("student", "right", f"accuracy {CI}", f"points the kept one is ahead {CI}")
    table = Table("Students on test", columns, rows, chart=dots("on-test", title, marks))
    text = "The claim is the comparison with the seed-only student. Those with the untouched student stand beside it for orientation."
    return Section("test", "On test", (Paragraph(says(text)), table, *_teacher(facts)))


def _ahead(facts: Facts, one: Exam) -> str:
    """The claim's own intervals for seed-only and control arms; the paired one for the others."""
    claim = facts.claim
    if one.round == 0 and claim and claim.best:
        return points(claim.gain, claim.low, claim.high)
    if arm := next((arm for arm in (claim.controls if claim else ()) if arm.name == one.who), None):
        return points(arm.gain, arm.low, arm.high)
    return difference(one.beaten_by)


def _teacher(facts: Facts) -> list[Block]:
    found = facts.exam("mine", "teacher")
    text = f"The teacher itself, on seeds it was asked with the task alone: {right(found)} right, {accuracy(found)}."
    return [Paragraph(says(text))] if found else []


# By skill.


def by_skill(facts: Facts) -> Section:
    """Each skill before and after, and the paired difference."""
    skills = facts.skills
    if skills is None:
        return Section("skills", "By skill", (Paragraph(says("Skills are not known for this run.")),))
    changed = [(one, one.change) for one in skills.rows if one.change]
    columns = ("skill", "n", f"seed-only {CI}", f"round {facts.best} {CI}", f"points of difference {CI}")
    width = len(columns) if changed else 3
    table = Table(
        f"Skills on {facts.named(skills.split)}, before and after", columns[:width],
        tuple(_skill_row(one)[:width] for one in skills.rows[:LISTED]), chart=_skills_chart(facts.named(skills.split), changed[:CHARTED]),
        more=more("skill", "skills", len(skills.rows), LISTED),
    )  # fmt: skip
    text = "paired by item" if changed else "by the seed-only student, which is the one that is kept"
    alone = "Each interval stands by itself: among many, one in twenty misses by chance."
    return Section("skills", "By skill", (Paragraph(says(f"On {facts.named(skills.split)}, {text}. {alone}")), table))


def _skill_row(one: Skill) -> tuple[Line, ...]:
    return row(named(one.name), f"{one.before.n:,}", accuracy(one.before), accuracy(one.after), difference(one.change))


def _skills_chart(split: str, changed: Sequence[tuple[Skill, Change]]) -> Picture | None:
    marks = [
        Mark(one.name, change.gain, change.low, change.high, difference(change), change.low > 0 or change.high < 0)
        for one, change in changed
    ]
    title = f"Difference in points by skill on {split}, with 95 % intervals; a diamond is clear of zero"
    return dots("by-skill", title, marks, signed=True) if marks else None


# By item.


def by_item(facts: Facts) -> Section:
    """Learned, kept, regressed and never learned."""
    if not facts.fates:
        text = "There are no two looks at the same items yet, so nothing can be said about what was learned or lost."
        return Section("items", "Items learned and lost", (Paragraph(says(text)),))
    how = "was trained on them" if facts.settings.get("mine.how") == "resubstitution" else "was not trained on them"
    text = (
        "Kept: right at first and at last. Learned: wrong, then right. Regressed: right once, wrong at last. Never learned: wrong at "
        f"every look. Items of mine are answered by a student that {how}."
    )
    blocks: list[Block] = [Paragraph(says(text))]
    for one in facts.fates:
        blocks += [Heading(f"On {one.split}: {one.first} to {one.last}"), _fates_table(one)]
    return Section("items", "Items learned and lost", tuple(blocks))


def _fates_table(one: Fates) -> Table:
    parts = (("kept", one.kept), ("learned", one.learned), ("regressed", one.regressed), ("never learned", one.never))
    whole = sum(count for _, count in parts)
    drawn = [(name, count, f"{count:,} of {whole:,}") for name, count in parts]
    rows = tuple(row(name, f"{count:,}", percent(count / whole) if whole else NOTHING) for name, count in parts)
    chart = bars(f"items-{one.split}", f"What became of the items of {one.split}", drawn, whole)
    return Table(f"Items of {one.split}, n {whole:,}", ("items", "number", "share"), rows, chart=chart)

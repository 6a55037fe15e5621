"""The chapter on the data: what students were trained on, where lessons came from, how varied they are, and what was turned away."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from agent.report.charts import bars, stacks
from agent.report.document import (
    Block,
    Bullets,
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
from agent.report.facts import Facts, Round, Strategy, Teaching, Text
from agent.report.words import CI, NOTHING, accuracy, for_each, more, right
from agent.tables import percent, plural

CHARTED, LISTED = 12, 40
"""Reasons in the chart and in the table."""
SHORT = 8
"""Characters of an id that are shown."""
Taught = Sequence[tuple[Round, Teaching]]
"""The teaching rounds."""


def the_data(facts: Facts) -> Section:
    """What students were trained on, where it came from, and what was turned away."""
    taught = [(one, one.teaching) for one in facts.rounds if one.teaching]
    if not taught:
        text = "No lessons were asked for: students were trained on seeds alone."
        return Section("data", "The data", (Paragraph(says(text)), *_composition(facts)))
    blocks: list[Block] = [
        *_composition(facts),
        Heading("From candidate to lesson"),
        _candidates(taught),
        *_rejected(taught),
    ]
    blocks += [
        _strategies(facts.cost.strategies),
        *_variety(taught),
        *_witnesses(taught),
        *_reviews(taught),
        *_examples(facts),
    ]
    return Section("data", "The data", tuple(blocks))


def _composition(facts: Facts) -> Iterator[Block]:
    known = [
        (one, one.seed_rows, one.lesson_rows)
        for one in facts.rounds
        if one.seed_rows is not None and one.lesson_rows is not None
    ]
    if not known:
        return
    fresh = {one.number: one.teaching.accepted if one.teaching else 0 for one in facts.rounds}
    drawn = [
        (f"round {one.number}", (seeds, lessons - fresh[one.number], fresh[one.number]))
        for one, seeds, lessons in known
    ]
    rows = [
        row(f"round {one.number}", f"{seeds:,}", f"{lessons:,}", percent(seeds / (seeds + lessons)), *_trained(one))
        for one, seeds, lessons in known
    ]
    series = ("rows of real seeds", "lessons of earlier rounds", "lessons of this round")
    yield Heading("What students were trained on")
    yield Table(
        "Rows of training data", ("student", "seed rows", "lessons", "real", "steps", "final loss"), tuple(rows),
        chart=stacks("composition", "Rows of training data by round", series, drawn),
        more="Where lessons outnumber them, seeds are repeated (curate.real_share).",
    )  # fmt: skip
    lost = [
        (one.number, one.training.dropped_too_long)
        for one in facts.rounds
        if one.training and one.training.dropped_too_long
    ]
    if lost:
        yield Bullets(
            tuple(
                says(f"Round {at}: {plural(count, 'row')} longer than train.max_tokens left out.") for at, count in lost
            )
        )


def _trained(one: Round) -> tuple[str, str]:
    return (f"{one.training.steps:,}", f"{one.training.final_loss:.3f}") if one.training else (NOTHING, NOTHING)


def _candidates(taught: Taught) -> Table:
    rows = [
        (f"round {one.number}", each.asked, each.written, each.accepted, sum(each.rejected.values()), each.unjudged)
        for one, each in taught
    ]  # fmt: skip
    columns = ("round", "asked for", "written", "accepted", "rejected", "not judged")
    return Table("Candidates", columns, tuple(row(name, *(f"{count:,}" for count in counts)) for name, *counts in rows))


def _rejected(taught: Taught) -> Iterator[Block]:
    sums = sum((Counter(each.rejected) for _, each in taught), Counter[str]())
    if not sums:
        yield Paragraph(says("No candidate was rejected."))
        return
    ranked = sorted(sums.items(), key=lambda entry: (-entry[1], entry[0]))
    rows = [
        row(named(reason), *(f"{each.rejected.get(reason, 0):,}" for _, each in taught), f"{count:,}")
        for reason, count in ranked[:LISTED]
    ]  # fmt: skip
    drawn = [(reason, count, f"{count:,}") for reason, count in ranked[:CHARTED]]
    yield Table(
        "Rejected, by reason", ("reason", *(f"round {one.number}" for one, _ in taught), "all"), tuple(rows),
        chart=bars("rejected", "Rejected candidates by reason, all rounds together", drawn),
        more=more("reason", "reasons", len(ranked), LISTED),
    )  # fmt: skip


def _strategies(found: Sequence[Strategy]) -> Table:
    """What each strategy brought, and what writing and checking took for each lesson that was accepted."""
    rows = [
        row(
            named(one.name),
            f"{one.written:,}",
            f"{one.accepted:,}",
            percent(one.accepted / one.written),
            *for_each(one),
        )
        for one in found
    ]
    columns = ("strategy", "written", "accepted", "share", "tokens for each accepted", "money", "in flight")
    return Table("By strategy", columns, tuple(rows))


def _variety(taught: Taught) -> Iterator[Block]:
    known = [(one.number, each.diversity) for one, each in taught if each.diversity]
    if not known:
        return
    rows: list[tuple[Line, ...]] = []
    for number, found in known:
        for name, spread in (("seeds", found.seeds), ("lessons", found.lessons), ("lessons so far", found.all_lessons)):
            distinct = (percent(spread.distinct_1), percent(spread.distinct_2), percent(spread.distinct_3))
            rows.append(row(f"round {number}, {name}", f"{spread.texts:,}", *distinct, f"{spread.self_similarity:.2f}"))
    columns = ("texts", "measured", "different words", "pairs", "triples", "likeness to the nearest")
    yield Heading("How varied lessons are")
    yield Table("Variety of lessons beside seeds", columns, tuple(rows))
    if alarms := [(f"Round {number}: ", Data(alarm)) for number, found in known for alarm in found.alarms]:
        yield Bullets(tuple(alarms))


def _witnesses(taught: Taught) -> Iterator[Block]:
    rows = [
        row((f"round {one.number}, ", *named(each.name)), right(each.score), accuracy(each.score))
        for one, found in taught
        for each in found.witnesses
    ]
    if rows:
        yield Heading("Who was asked about answers")
        yield Paragraph(says("What each of them is worth is learned on seeds, whose answers are known."))
        yield Table("Witnesses on seeds", ("witness", "right", f"accuracy {CI}"), tuple(rows))


def _reviews(taught: Taught) -> Iterator[Block]:
    acts = [(one.number, each.reviewed) for one, each in taught if each.reviewed]
    if acts:
        yield Heading("What a person decided")
        told = [f"Round {at}: " + ", ".join(f"{act} {count:,}" for act, count in found.items()) for at, found in acts]
        yield Bullets(tuple(map(says, told)))


def _examples(facts: Facts) -> Iterator[Block]:
    refused = sum(sum(one.teaching.rejected.values()) for one in facts.rounds if one.teaching)
    if facts.accepted:
        yield Fold(
            f"Lessons ({len(facts.accepted):,} of {facts.cost.accepted:,})", tuple(map(_example, facts.accepted))
        )
    if facts.rejected:
        yield Fold(
            f"Rejected candidates ({len(facts.rejected):,} of {refused:,})", tuple(map(_example, facts.rejected))
        )


def _example(one: Text) -> Example:
    told: list[tuple[str, Line]] = [("question", data(one.prompt)), ("answer", data(one.answer))]
    told += [("aimed at", data(one.aim))] if one.aim else []
    told += [("because", data(one.detail))] if one.detail else []
    head = (Data(one.id[:SHORT]), f", round {one.round}, ", *named(one.strategy), ": ", *named(one.reason))
    return Example(head, tuple(told))

"""The last chapters: cost, what was not shown, every opening of test, what the run noted, settings and versions."""

from __future__ import annotations

from collections.abc import Mapping

from agent.report.charts import bars
from agent.report.document import (
    Block,
    Bullets,
    Data,
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
from agent.report.doubts import not_shown, recorded
from agent.report.facts import Cost, Facts, Opening
from agent.report.words import count, date, rounded, seconds
from agent.tables import UNKNOWN, plural
from loops.untargeted import NO_ROUND
from teacher.book import Totals


def cost(facts: Facts) -> Section:
    """Tokens, money and time; by verb, by lesson, by point."""
    spent = facts.cost
    blocks: list[Block] = [_whole(spent)]
    if spent.teacher and spent.teacher.reserved_tokens:
        text = f"{spent.teacher.reserved_tokens:,} of the tokens charged are an upper bound: their replies did not say, or never came."
        blocks.append(Paragraph(says(text)))
    blocks += [Heading("Per lesson and per point"), _quotients(facts)]
    if spent.seconds_by_verb:
        drawn = [(verb, took, seconds(took)) for verb, took in spent.seconds_by_verb.items()]
        rows = tuple(row(named(verb), text) for verb, _, text in drawn)
        chart = bars("verbs", "Wall time of finished verbs, all rounds together", drawn)
        blocks += [Heading("Where the time went"), Table("Wall time by verb", ("verb", "time"), rows, chart=chart)]
    parts = (("purpose", spent.by_purpose), ("strategy", spent.by_strategy), ("round", spent.by_round))
    if tables := tuple(_by(name, sums) for name, sums in parts if sums):
        blocks.append(Fold("The teacher by purpose, strategy and round", tables))
    if spent.retries:
        again = tuple((*named(reason), f": {times:,}") for reason, times in spent.retries.items())
        blocks.append(Fold("Requests that were sent again, by reason", (Bullets(again),)))
    return Section("cost", "Cost", tuple(blocks))


def _whole(spent: Cost) -> Table:
    rows = [("wall time worked", f"{seconds(spent.seconds)} in {plural(spent.sessions, 'session')}")]
    told = spent.teacher
    if told is None:
        rows.append(("teacher", "no ledger, so its cost is unknown"))
    else:
        rows += [
            ("requests", f"{told.requests:,}"), ("tokens charged", f"{told.tokens:,}"),
            ("prompt tokens", count(told.prompt_tokens)), ("completion tokens", count(told.completion_tokens)),
            ("money", count(told.money)), ("time with a request in flight", seconds(told.seconds)),
            ("requests the server did not serve", f"{told.failed:,}"), ("replies reused from a former run", f"{told.replayed:,}"),
        ]  # fmt: skip
    return Table("The whole run", ("what", "how much"), tuple(row(*each) for each in rows))


def _quotients(facts: Facts) -> Table:
    spent = facts.cost
    rows = [("for each accepted lesson", spent.tokens_per_lesson, spent.money_per_lesson, spent.seconds_per_lesson)]
    rows.append(("for each point gained", spent.tokens_per_point, spent.money_per_point, spent.seconds_per_point))
    shown = facts.claim is not None and facts.claim.shown
    return Table(
        "Cost of what came out", ("", "teacher tokens", "money", "wall time, training included"),
        tuple(row(name, rounded(tokens), rounded(money), seconds(time)) for name, tokens, money, time in rows),
        more=f"{'' if shown else 'No gain is shown, so there are no points to divide by. '}{_apart(spent)}".strip(),
    )  # fmt: skip


def _apart(spent: Cost) -> str:
    control = spent.by_round.get(str(NO_ROUND)) or spent.seconds_by_verb.get("control")
    return "What the control arms took is left out." if control else ""


def _by(name: str, sums: Mapping[str, Totals]) -> Table:
    rows = tuple(
        row(
            "control arms" if key == str(NO_ROUND) else named(key or "none"),
            f"{one.requests:,}",
            f"{one.tokens:,}",
            count(one.money),
            seconds(one.seconds),
        )
        for key, one in sums.items()
    )
    return Table(f"By {name}", (name, "requests", "tokens", "money", "in flight"), rows)


def doubts(facts: Facts) -> Section:
    """Everything a reader might take for shown and should not."""
    lines = tuple(not_shown(facts))
    nothing = Paragraph(says("Nothing that was asked is left open."))
    return Section("doubts", "What was not shown", (Bullets(lines),) if lines else (nothing,))


def openings(facts: Facts) -> Section:
    """Who opened this test split, and when."""
    title = "Openings of test"
    if not facts.openings:
        text = "No opening of this test split is on record."
        text += " This run did open it: the record is not beside it." if facts.claim else ""
        return Section("openings", title, (Paragraph(says(text)),))
    earlier = len({one.run for one in facts.openings if one.before})
    text = f"This split had been opened before, by {plural(earlier, 'run')}: a claim made on it again is weaker."
    rows = tuple(row(named(one.run), date(one.time), _order(facts, one)) for one in facts.openings)
    table = Table("Every opening of this test split on record", ("run", "when", "order"), rows, words=(1, 2))
    return Section(
        "openings", title, (Paragraph(says(text if earlier else "Nobody had opened this split before.")), table)
    )


def _order(facts: Facts, one: Opening) -> str:
    return "before this run" if one.before else "this run" if one.run == facts.run else "after this run"


def notes(facts: Facts) -> Section:
    """What the run itself thought worth saying."""
    lines: list[Line] = [
        (*recorded(text), f" ({times:,} times)" if times > 1 else "") for text, times in facts.notes.items()
    ]
    if facts.leaves:
        lines.append((Data(facts.leaves), "."))
    elif facts.began:
        lines.append(says("No eval item left this machine for a server."))
    lines += [("Ended: ", *recorded(facts.sentence))] if facts.sentence else []
    told = Bullets(tuple(lines)) if lines else Paragraph(says("Nothing is on record."))
    return Section("notes", "What happened along the way", (told,))


def settings(facts: Facts) -> Section:
    """Enough to run it again, and to know what ran."""
    ran = [("student", facts.student), ("teacher", facts.teacher), ("eval set", facts.evals)]
    ran.append(("fingerprint of the eval set", facts.fingerprint))
    rows = [row(name, named(text or UNKNOWN)) for name, text in ran]
    sizes = ", ".join(f"{name} {size:,}" for name, size in facts.splits.items())
    rows += [row("items", sizes or UNKNOWN), row("began", date(facts.began)), row("last event", date(facts.ended))]
    rows += [row(("machine, ", *named(name)), named(text)) for name, text in facts.machine.items()]
    blocks: list[Block] = [Table("What ran", ("what", "which"), tuple(rows), words=(1,))]
    if facts.prompts:
        sent = tuple(
            row(named(one.purpose), named(one.strategy or "none"), named(one.hash), f"{one.requests:,}")
            for one in facts.prompts
        )
        table = Table("Prompts as sent", ("purpose", "strategy", "sha256, first 8", "answered"), sent, words=(1, 2))
        blocks.append(Fold("Prompts: the teacher’s system messages, by hash", (table,)))
    if facts.settings:
        every = tuple(row(named(key), data(text)) for key, text in facts.settings.items())
        blocks.append(Fold("Every setting", (Table("config.yaml", ("key", "value"), every, words=(1,)),)))
    return Section("settings", "Settings and versions", tuple(blocks))

"""What follows from a bench: who is better beyond doubt, at what cost, and whether fine-tuning still pays.

The tuned student is compared with every row on the same items, paired (`loops.stats.compare`); p-values are corrected for the number
of rows (Holm). A difference that is not shown is no tie: the sentence says so, and what the other one costs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from agent.bench.examining import TIMED, Hall, Who
from agent.bench.records import WAYS, Answered, Entry, Pace, Rival, Way
from agent.compare import paired_facts
from agent.tables import amount
from loops.claims import points
from loops.stats import LEVEL, compare, holm, score
from student.records import Attempt
from teacher.ledger import Prices

Result = tuple[Rival, Way, Answered, list[Attempt]]


@dataclass(frozen=True)
class Own:
    """One of the run's own students."""

    attempts: list[Attempt]
    """What it answered when the run made its claim, on the items of this bench."""
    pace: Pace
    """How fast it answers."""


def entries_of(hall: Hall, own: Mapping[Who, Own], results: Sequence[Result], spent: float | None) -> tuple[Entry, ...]:
    """Every row. `spent`: what the run's lessons cost; None where nobody knows."""
    how: Literal["likelihood", "generation"] = "likelihood" if hall.evals.spec.kind == "choice" else "generation"
    tuned = _entry("tuned student", "", how, own["tuned"].attempts, own["tuned"].pace)
    rows = [
        (_entry("untouched", way, how, own[way].attempts, own[way].pace), own[way].attempts)
        for way in WAYS
        if way in own
    ]
    for rival, way, result, attempts in results:
        told = how if rival.kind == "likelihood" else "generation"
        rows.append((_entry(rival.name, way, told, attempts, result, rival.prices), attempts))
    found = [compare(own["tuned"].attempts, attempts) for _, attempts in rows]
    judged = [
        _judged(entry.model_copy(update={"comparison": one, "p": round(p, 6)}), tuned, len(rows), spent)
        for (entry, _), one, p in zip(rows, found, holm([one.p for one in found]), strict=True)
    ]
    return (tuned, *judged)


def _entry(
    who: str, way: Literal["", "zero-shot", "few-shot"], how: Literal["likelihood", "generation"],
    attempts: Sequence[Attempt], result: Answered, prices: Prices | None = None,
) -> Entry:  # fmt: skip
    known = result.asked and result.prompt_tokens is not None and result.completion_tokens is not None
    each = 1000 / result.asked if result.asked else 0.0
    tokens = each * ((result.prompt_tokens or 0) + (result.completion_tokens or 0))
    money = each * prices.of(result.prompt_tokens or 0, result.completion_tokens or 0) if prices and known else None
    return Entry(
        who=who, way=way, how=how, score=score(attempts), seconds=round(each * result.seconds, 3) if result.asked else None,
        tokens=round(tokens, 1) if known else None, money=None if money is None else round(money, 6), lost=result.lost,
    )  # fmt: skip


def _judged(entry: Entry, tuned: Entry, count: int, spent: float | None) -> Entry:
    """The row with its verdict."""
    one, p = entry.comparison, entry.p
    assert one is not None, "every row but the tuned student's is compared with it"
    assert p is not None, "and corrected"
    facts = f"{points(one.gain, one.low, one.high)}, {paired_facts(one, p, count)}"
    name = f"{entry.who} {entry.way}".strip()
    cost = _cost(entry, tuned, spent)
    if p >= 1 - LEVEL:
        told = f"Not shown whether fine-tuning pays in accuracy against {name}: the tuned student's difference is {facts}.{cost}"
        return entry.model_copy(update={"verdict": "not shown", "sentence": told})
    if one.gain > 0:
        told = f"Fine-tuning still pays against {name}: the tuned student is better beyond doubt, by {facts}.{cost}"
        return entry.model_copy(update={"verdict": "better", "sentence": told})
    told = f"Fine-tuning does not pay in accuracy against {name}: the tuned student is worse beyond doubt, by {facts}.{cost}"
    return entry.model_copy(update={"verdict": "worse", "sentence": told})


def _cost(entry: Entry, tuned: Entry, spent: float | None) -> str:
    """What the difference costs: time, tokens and money for an answer, beside the tuned student's."""
    parts = [
        f"{_times(here / base)} the {name}"
        for name, here, base in (("time", entry.seconds, tuned.seconds), ("tokens", entry.tokens, tuned.tokens))
        if here is not None and base
    ]
    told = f" An answer takes it {' and '.join(parts)}." if parts else ""
    if entry.money is None:
        return told
    told += f" A thousand of its answers cost {amount(entry.money)}"
    if spent and entry.money:
        return f"{told}; what the lessons cost once, {amount(spent)}, buys {amount(round(1000 * spent / entry.money))} of them."
    return f"{told}."


def _times(ratio: float) -> str:
    return f"{ratio:,.0f} times" if ratio >= 10 else f"{ratio:.1f} times" if ratio >= 0.1 else f"{ratio:.2f} times"


def verdict_of(entries: Sequence[Entry]) -> str:
    """Over all rows: whether fine-tuning still pays."""
    rows = entries[1:]
    counts = Counter(entry.verdict for entry in rows)
    if counts["better"] == len(rows):
        return f"Fine-tuning still pays: the tuned student is better beyond doubt than all {len(rows)} others."
    words = {
        "better": "better beyond doubt than",
        "worse": "worse beyond doubt than",
        "not shown": "not shown to differ from",
    }
    found = [f"{words[kind]} {counts[kind]}" for kind in ("better", "worse", "not shown") if counts[kind]]
    head = (
        "Fine-tuning does not pay against all" if counts["worse"] else "That fine-tuning pays is not shown against all"
    )
    return f"{head}: of {len(rows)} others, the tuned student is {', '.join(found)}."


def notes_of(hall: Hall, own: Mapping[Who, Own], entries: Sequence[Entry]) -> list[str]:
    """What is to be known of these numbers."""
    costs = (
        "Costs are for 1,000 answers. Time is wall time on this machine, loading apart: of models that run here, one batch after "
        f"another (the run's own students on {min(TIMED, len(hall.items))} of the items); of servers, with several questions at once. "
        "Money is known where prices are given."
    )
    notes = [costs]
    told = {entry.how for entry in entries}
    if len(told) > 1:
        notes.append(
            "The student's answers are the likeliest choice; a server's are what it writes, held to the choices by a JSON schema."
        )
    if (pace := own["tuned"].pace).same < pace.asked:
        notes.append(
            f"Asked again to be timed, the tuned student gave {pace.same} of {pace.asked} answers as in the run: on another machine or in "
            "another precision a close choice can tip. Its accuracy is that of the run."
        )
    for entry in entries:
        if entry.lost:
            reasons = ", ".join(f"{reason} {count}" for reason, count in sorted(entry.lost.items()))
            notes.append(f"{entry.who} {entry.way} gave no answer, counted as malformed: {reasons}.")
    notes.append(
        "Every model that is held against the student on test makes a claim on these items weaker; all openings are on record."
    )
    return notes

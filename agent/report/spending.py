"""What a run cost: tokens and money from the ledger, time from the events, and both for each lesson and each point gained.

What control arms cost is in the sums and not in what a lesson or a point cost. Money that is not known is None, never zero. A cost for
each point is given only where the claim shows a gain: dividing by a gain that may be luck makes a number that means nothing.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence

from pydantic import ValidationError

from agent.report.facts import Claim, Cost, Prompt, Strategy
from agent.report.reading import Files, damaged
from agent.trail import Round
from loops.untargeted import NO_ROUND
from teacher.book import Book, Totals, open_readonly, unreadable


def cost_of(files: Files) -> tuple[Cost, tuple[Prompt, ...]]:
    """Cost, and the system messages that were sent. Raises TeacherUnusable or RunError for a ledger that is damaged."""
    path = files.folder.ledger
    if not path.exists():
        return _cost(files, None), ()
    try:
        with open_readonly(path) as book:
            return _cost(files, book), _prompts(book)
    except sqlite3.DatabaseError as error:
        raise unreadable(path, error) from error
    except ValidationError as error:
        raise damaged(path, error) from error


def _cost(files: Files, book: Book | None) -> Cost:
    view, spent, took = files.view, book.totals() if book else None, files.view.seconds_by_verb()
    by_round, by_strategy = (book.spend_by("round"), book.spend_by("tag")) if book else ({}, {})
    accepted, points = sum(len(one.lessons) for one in files.trail.rounds), points_gained(files.claim)
    tokens, money = _of_lessons(spent, by_round.get(str(NO_ROUND)))
    seconds = view.elapsed()
    teaching = seconds - took.get("control", 0.0)
    return Cost(
        teacher=spent, by_purpose=book.spend_by("purpose") if book else {}, by_strategy=by_strategy,
        by_round=by_round, strategies=strategies_of(files.trail.rounds, by_strategy),
        retries=dict(view.retries), seconds=seconds, sessions=view.sessions, seconds_by_verb=took, tokens=tokens, money=money,
        accepted=accepted,
        tokens_per_lesson=_for_each(tokens, accepted), money_per_lesson=_for_each(money, accepted),
        seconds_per_lesson=_for_each(teaching, accepted), tokens_per_point=_for_each(tokens, points),
        money_per_point=_for_each(money, points), seconds_per_point=_for_each(teaching, points),
    )  # fmt: skip


def strategies_of(rounds: Sequence[Round], spent: Mapping[str, Totals]) -> tuple[Strategy, ...]:
    """What each strategy of these rounds brought and took."""
    written = Counter(one.strategy for at in rounds for one in at.candidates)
    accepted = Counter(one.strategy for at in rounds for one in at.lessons.values())
    ranked = sorted(written.items(), key=lambda entry: (-entry[1], entry[0]))
    return tuple(_strategy(name, count, accepted[name], spent.get(name)) for name, count in ranked)


def _strategy(name: str, written: int, accepted: int, spent: Totals | None) -> Strategy:
    tokens, money, seconds = (spent.tokens, spent.money, spent.seconds) if spent else (None, None, None)
    return Strategy(
        name=name, written=written, accepted=accepted, spent=spent, tokens_each=_for_each(tokens, accepted),
        money_each=_for_each(money, accepted), seconds_each=_for_each(seconds, accepted),
    )  # fmt: skip


def _of_lessons(spent: Totals | None, control: Totals | None) -> tuple[int | None, float | None]:
    """Tokens and money without those of the control arms."""
    if spent is None or control is None:
        return (spent.tokens, spent.money) if spent else (None, None)
    known = spent.money is not None and control.money is not None
    return spent.tokens - control.tokens, (spent.money or 0.0) - (control.money or 0.0) if known else None


def points_gained(claim: Claim | None) -> float:
    """Points of accuracy that the claim shows; 0 where it shows none."""
    return 100 * claim.gain if claim is not None and claim.shown else 0.0


def _for_each(whole: float | None, parts: float) -> float | None:
    return whole / parts if whole is not None and parts else None


def _prompts(book: Book) -> tuple[Prompt, ...]:
    """The answered requests by what they were for and by their system message."""
    counts = Counter[tuple[str, str, str]]()
    for _, request in book.asked(answered=True):
        system = "\n\n".join(one.content for one in request.messages if one.role == "system")
        counts[request.purpose, request.tag, hashlib.sha256(system.encode("utf-8", "replace")).hexdigest()[:8]] += 1
    return tuple(
        Prompt(purpose=purpose, strategy=tag, hash=name, requests=count)
        for (purpose, tag, name), count in sorted(counts.items())
    )

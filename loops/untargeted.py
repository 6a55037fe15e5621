"""Untargeted lessons for the control arms: what the same teacher writes without aim, judged by the same curation.

In: the run's settings and seeds. Out: a stream of requests, each with the tokens it cost, the check of its candidates included, and the
lessons that came of it. The stream is what rounds of `generate.lessons` without any aim would ask for (`teacher.aimless`). It is
bought in small batches, as far as somebody reads on, and a finished batch is read from its files. Witnesses are worth what they were in
round 1, before any lesson: nothing that was aimed at a failure has a say. No person reviews these lessons. In a cross-fitted run they
may be made from several folds at once, since the students that learn them are examined on `test` only.

What a request cost is what its reply says, wherever and whenever it was bought; attempts that were lost count nowhere. So a run
that was killed, or that replays another one, cuts its arms at the same request.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from loops.crew import Crew
from loops.folds import ground_of, grounds
from loops.judging import judge, questions_on
from loops.lessons import ask_for, lessons_asked
from loops.run_folder import content_hash, digest
from loops.state import State
from loops.witnesses import evidence
from student.records import (
    Candidate,
    Lesson,
    Verdict,
    read_records,
    write_json,
    write_records,
)
from teacher.aimless import aimless
from teacher.book import open_readonly
from teacher.client import Client
from teacher.curate import lessons_of
from teacher.generate import Order
from teacher.requests import Reply, Request

TAG, NO_ROUND = "control", -1
"""What the ledger files these requests under, beside the strategies and the rounds."""
APART = 1000
"""Added to the number of a round, so that draws differ from those of an `untargeted` in the run's own mix."""
MOST = 4
"""Times as many lessons are asked for, at most, as the rounds up to the best one could ask for."""
PARTS = 4
"""Batches that a round's requests are bought in: what is bought beyond the goal is less than one of them."""


@dataclass(frozen=True)
class Written:
    """One request of the stream."""

    tokens: int
    """What it cost, with the check of its candidates."""
    lessons: tuple[Lesson, ...]
    """What was accepted of it."""


def untargeted_stream(state: State, crew: Crew, place: Path) -> Iterator[list[Written]]:
    """Batches of the stream, each bought when it is asked for unless it lies in `place`. Raises BudgetSpent."""
    crew, first = _apart(state, crew), state.model_copy(update={"round": 1})
    earlier = list[Lesson]()
    for number, orders in enumerate(_batches(crew, MOST * state.best), 1):
        batch = _written(first, crew, orders, place / f"{number:03d}", earlier)
        earlier += [lesson for one in batch for lesson in one.lessons]
        yield batch


def lessons_tokens(ledger: Path, best: int) -> int:
    """Teacher tokens of the rounds up to the best: naming, writing and checking."""
    total = 0
    with open_readonly(ledger) as book:
        for key, request in list(book.asked(answered=True)):
            entry = book.entry(key)
            if entry and entry.reply and 1 <= entry.round <= best:
                total += _tokens(request, entry.reply)
    return total


def _tokens(request: Request, reply: Reply) -> int:
    """What a reply took; the most it can have taken where it does not say."""
    told = reply.prompt_tokens, reply.completion_tokens
    return request.most_tokens() if told[0] is None or told[1] is None else told[0] + told[1]


def _apart(state: State, crew: Crew) -> Crew:
    """The same crew, whose requests and words are told apart from those of the rounds."""

    @cache
    def teacher() -> Client:
        return crew.teacher().apart(NO_ROUND, TAG)

    def emit(name: str, /, **fields: Any) -> None:
        if name == "verb.progress":
            fields |= {"verb": "control", "round": state.round}
        elif name == "note":
            fields["text"] = f"control arms: {fields['text']}"
        crew.emit(name, **fields)

    plain = crew.settings.model_copy(update={"mode": "select"})  # also where rounds are cross-fitted: see above
    return replace(crew, teacher=teacher, emit=emit, settings=plain)


def _batches(crew: Crew, rounds: int) -> Iterator[list[Order]]:
    """The requests of so many untargeted rounds, a few at a time."""
    for number in range(1, rounds + 1):
        generate, draw = crew.settings.generate, crew.settings.seed
        generate = generate.model_copy(update={"lessons": lessons_asked(generate, len(crew.evals.seeds))})
        orders = aimless(crew.sheet(), crew.evals.for_teacher, generate, APART + number, draw)
        size = max(crew.settings.teacher.at_once, -(-len(orders) // PARTS))
        yield from (orders[at : at + size] for at in range(0, len(orders), size))


def _written(
    state: State, crew: Crew, orders: Sequence[Order], place: Path, earlier: Sequence[Lesson]
) -> list[Written]:  # fmt: skip
    """One batch: written, judged and counted up, unless it was."""
    wrote, judged, cost = (place / name for name in ("candidates.jsonl", "verdicts.jsonl", "tokens.json"))
    asked = digest([one.request.model_dump() for one in orders])
    crew.folder.once(wrote, {"orders": asked}, lambda: write_records(wrote, ask_for(crew, state, orders)))
    candidates = read_records(wrote, Candidate)
    inputs = {"candidates": content_hash(wrote), "earlier": digest([one.id for one in earlier]),
              "settings": crew.settings.curate.model_dump(),
              "evidence": evidence(crew, state) if crew.settings.curate.verify else {}}  # fmt: skip
    told = place / "witnesses.json"
    crew.folder.once(
        judged, inputs, lambda: write_records(judged, judge(crew, state, candidates, earlier, told))
    )  # fmt: skip
    verdicts = read_records(judged, Verdict)
    made_from = {"orders": asked, "verdicts": content_hash(judged)}
    crew.folder.once(cost, made_from, lambda: write_json(cost, _costs(crew, orders, candidates, verdicts)))
    lessons, tokens = lessons_of(candidates, verdicts), json.loads(cost.read_text(encoding="utf-8"))
    keys = [row["request"] for row in tokens]
    own = {key: tuple(one for one in lessons if one.request_key == key) for key in keys}
    return [Written(row["write"] + row["check"], own[row["request"]]) for row in tokens]


def _costs(
    crew: Crew, orders: Sequence[Order], candidates: Sequence[Candidate], verdicts: Sequence[Verdict]
) -> list[dict[str, Any]]:
    """For each request what it took to write and to check, as it lies in `tokens.json`."""
    served_by, rows = crew.teacher().backend.served_by, list[dict[str, Any]]()
    heard = {one.candidate_id for one in verdicts if one.witnesses or one.reason == "no-second-answer"}
    with open_readonly(crew.folder.ledger) as book:

        def cost(requests: Sequence[Request]) -> int:
            replies = [(one, book.find(one.key(served_by))) for one in requests]
            return sum(_tokens(one, reply) for one, reply in replies if reply)

        for order in orders:
            key = order.request.key(served_by)
            own = [one for one in candidates if one.request_key == key and one.id in heard]
            rows.append({"request": key, "write": cost([order.request]), "check": cost(_checks(crew, own))})
    return rows


def _checks(crew: Crew, candidates: Sequence[Candidate]) -> list[Request]:
    """The questions whether the answers of these candidates are right."""
    parts = grounds(crew)
    return questions_on(crew, candidates, [ground_of(parts, one) for one in candidates])

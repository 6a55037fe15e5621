"""The teacher's part of a round before curation: what is weak, who writes how much for it, and what came of it.

Nodes call these; each leaves its artifact in the round's folder by `once`, so that a killed run finds what was done. When
the budget does not suffice for naming weaknesses, the eval set's own skills name them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from loops.crew import Crew
from loops.learning import round_file
from loops.run_folder import digest
from loops.state import State
from loops.telling import counting
from student.records import Attempt, Candidate, Failure, Weakness, read_records, write_records
from teacher.diagnose import STAND_IN, find_weaknesses
from teacher.errors import BudgetSpent
from teacher.generate import Order, plan_orders, read_candidates, rephrased_candidates
from teacher.naming import BATCH, Name, chosen, joined, merged, name_requests, read_names
from teacher.requests import Answer, Reply
from teacher.shares import Past, Terms, expected_gains, give_lessons, lessons_so_far


def weaknesses_of(crew: Crew, state: State, failures: Sequence[Failure]) -> list[Weakness]:
    """The round's weaknesses, each with its share of the lessons; found unless they are there."""
    target, past = round_file(crew, state.round, "weaknesses.jsonl"), past_rounds(crew, state.round)
    settings = crew.settings
    inputs = {"failures": digest([one.model_dump() for one in failures]), "task": crew.sheet().model_dump(),
              "seeds": digest([seed.model_dump() for seed in crew.evals.seeds]),
              "past": digest([[one.model_dump() for one in (*each.weaknesses, *each.after)] for each in past]),
              "generate": settings.generate.model_dump(), "named": settings.mine.named,
              "teacher": settings.teacher.model}  # fmt: skip

    def make() -> None:
        earlier = [one.name for each in past for one in each.weaknesses if not one.name.endswith(STAND_IN)]
        found = find_weaknesses(crew.sheet(), failures, names_for(crew, state, failures, earlier), state.round)
        names = [weakness.name for weakness in found]
        gains = expected_gains(found, crew.evals.seeds, past)
        wanted = settings.generate
        terms = Terms(wanted.lessons, wanted.per_request, wanted.explore)
        write_records(target, give_lessons(found, gains, lessons_so_far(names, past), terms))

    crew.folder.once(target, inputs, make)
    return read_records(target, Weakness)


def past_rounds(crew: Crew, number: int) -> list[Past]:
    """What earlier rounds found and how the seeds were answered when next mined."""
    return [
        Past(
            tuple(read_records(round_file(crew, each, "weaknesses.jsonl"), Weakness)),
            tuple(read_records(round_file(crew, each + 1, "attempts.mine.jsonl"), Attempt)),
        )
        for each in range(1, number)
    ]


def names_for(crew: Crew, state: State, failures: Sequence[Failure], earlier: Sequence[str]) -> dict[str, Name]:
    """What each failure lacks, by seed, as the teacher names it; nothing where labels or the eval set's skills say it."""
    skilled = crew.sheet().own_choices and all(one.seed.skill for one in failures)
    asked = chosen(failures, crew.settings.mine.named)
    if crew.sheet().labels or skilled or not asked:
        return {}
    try:
        answers = ask_names(crew, state, asked)
    except BudgetSpent as error:
        crew.emit("note", text=f"{error} So the eval set's own skills name the weaknesses")
        return {}
    batches = [asked[at : at + BATCH] for at in range(0, len(asked), BATCH)]
    named: dict[str, Name] = {}
    for batch, answer in zip(batches, answers, strict=True):
        named |= read_names(batch, answer) if isinstance(answer, Reply) else {}
    if len(named) < len(asked):
        count = f"the teacher named what is missing for {len(named)} of {len(asked)} failures"
        crew.emit("note", text=f"{count}; for the others the eval set's own skills stand in")
    named = merged(named, earlier)
    ids = {one.seed.id for one in asked}
    return named | joined(named, asked, [one for one in failures if one.seed.id not in ids])


def ask_names(crew: Crew, state: State, asked: Sequence[Failure]) -> list[Answer]:
    """The teacher's replies, in order."""
    requests = name_requests(crew.sheet(), asked)
    step = counting(crew, state.round, "diagnose", len(asked), "failure", "teacher names what is missing")
    sizes = [len(asked[at : at + BATCH]) for at in range(0, len(asked), BATCH)]
    return crew.teacher().ask_all(requests, round=state.round, on_done=lambda at, _: step(sizes[at]))


def candidates_of(crew: Crew, state: State, weaknesses: Sequence[Weakness]) -> None:
    """Have the round's candidates written, unless they are there. Raises BudgetSpent."""
    sheet, settings = crew.sheet(), crew.settings.generate
    orders = plan_orders(sheet, weaknesses, settings, state.round, crew.settings.seed, crew.evals.seeds)
    free, wanted = rephrased_candidates(sheet, weaknesses, settings, state.round, crew.settings.seed)
    target = round_file(crew, state.round, "candidates.jsonl")
    inputs: dict[str, Any] = {
        "orders": [one.request.model_dump() for one in orders], "filed": [_filed(one) for one in orders],
        "rephrased": [one.id for one in free],
    }  # fmt: skip

    def make() -> None:
        if len(free) < wanted:
            crew.emit("note", text=f"{wanted - len(free)} of {wanted} rephrased items could not be said in another way")
        write_records(target, [*ask_for(crew, state, orders), *free])

    crew.folder.once(target, inputs, make)


def _filed(order: Order) -> list[Any]:
    """What candidates take from an order besides the request."""
    want = order.want
    return [
        want.strategy,
        want.weakness_id,
        want.parent.id,
        want.answers,
        [one.id for one in want.shown],
        order.choices,
    ]


def ask_for(crew: Crew, state: State, orders: Sequence[Order]) -> list[Candidate]:
    """The candidates of all replies, in the order asked for; what replies did not hold is counted."""
    if not orders:
        return []
    client, asked = crew.teacher(), sum(order.count for order in orders)
    progress = counting(crew, state.round, "generate", asked, "lesson")
    replies = client.ask_all(
        [order.request for order in orders], round=state.round, on_done=lambda at, _: progress(orders[at].count)
    )
    candidates: list[Candidate] = []
    lost = Counter[str]()
    for order, reply in zip(orders, replies, strict=True):
        if isinstance(reply, Reply):
            found = read_candidates(order, reply, order.request.key(client.backend.served_by), state.round)
            candidates += found
            why = "cut off at generate.tokens_per_lesson" if reply.finish_reason == "length" else "not in the replies"
            lost[why] += order.count - len(found)
        else:
            lost[reply.reason] += order.count
    if +lost:
        reasons = ", ".join(f"{count} {why}" for why, count in sorted((+lost).items()))
        crew.emit("note", text=f"{lost.total()} of {asked} lessons asked for did not come: {reasons}")
    return candidates

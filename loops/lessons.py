"""The teacher's part of a round before curation: what is weak, who writes how much for it, and what came of it.

Nodes call these; each leaves its artifact in the round's folder by `once`, so that a killed run finds what was done. When
the budget does not suffice for naming weaknesses, the eval set's own skills name them. Everything here is done ground by ground
(`loops.folds`): in a cross-fitted run no weakness, prompt or expected gain knows more than one fold.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from loops.affording import UNWRITTEN, affordable
from loops.crew import Crew
from loops.crossfit import mined_file
from loops.folds import Ground, grounds, home
from loops.learning import round_file
from loops.run_folder import digest
from loops.state import State
from loops.teaching import larger_budget
from loops.telling import counting
from student.records import Attempt, Candidate, Failure, Weakness, read_records, write_json, write_records
from teacher.aimless import NAME, anything, filed_under
from teacher.diagnose import find_weaknesses
from teacher.errors import BudgetSpent
from teacher.generate import Order, plan_orders, read_candidates, rephrased_candidates
from teacher.naming import BATCH, Name, chosen, joined, merged, name_requests, read_names
from teacher.requests import UNAFFORDED, Answer, Reply, was_unsent
from teacher.shares import Past, Terms, expected_gains, give_lessons, lessons_so_far, share_out
from teacher.strategies.order import STAND_IN
from teacher.strategies.settings import GenerateSettings

UNAIMED = 500
"""Added to the number of a round where lessons have no aim, so that they are drawn otherwise than the aimed ones."""


def weaknesses_of(crew: Crew, state: State, failures: Sequence[Failure]) -> list[Weakness]:
    """The round's weaknesses, each with its share of the lessons; found unless they are there."""
    target, parts = round_file(crew, state.round, "weaknesses.jsonl"), grounds(crew)
    past = {part.number: past_rounds(crew, state.round, part) for part in parts}
    settings = crew.settings
    inputs = {"failures": digest([one.model_dump() for one in failures]), "task": crew.sheet().model_dump(),
              "seeds": digest([[seed.model_dump() for seed in part.seeds] for part in parts]),
              "past": digest([[one.model_dump() for one in (*each.weaknesses, *each.after)]
                              for rounds in past.values() for each in rounds]),
              "generate": settings.generate.model_dump(), "named": settings.mine.named,
              "teacher": settings.teacher.model}  # fmt: skip

    def make() -> None:
        named = slices_of(settings.mine.named, len(parts))
        found = [
            found_on(crew, state, part, failures, past[part.number], most)
            for part, most in zip(parts, named, strict=True)
        ]
        write_records(target, numbered(state.round, shared(crew, [one for one in found if one.weaknesses])))
        tell_fewer(crew, sum(len(weakness.failures) for one in found for weakness in one.weaknesses))

    crew.folder.once(target, inputs, make)
    return read_records(target, Weakness)


@dataclass(frozen=True)
class Found:
    """What is weak on one ground, and what lessons for it may be worth."""

    weaknesses: list[Weakness]
    """Without lessons yet."""
    gains: list[float]
    """Of each, in failures that would flip."""
    so_far: list[int]
    """Lessons asked for each in earlier rounds."""


def found_on(
    crew: Crew, state: State, part: Ground, failures: Sequence[Failure], past: Sequence[Past], most: int
) -> Found:
    """The weaknesses of one ground. `most`: failures that the teacher may be asked to name."""
    here = [one for one in failures if part.holds(one.seed.id)]
    earlier = [one.name for each in past for one in each.weaknesses if not one.name.endswith(STAND_IN)]
    found = find_weaknesses(crew.sheet(), here, names_for(crew, state, here, earlier, most), state.round)
    names = [weakness.name for weakness in found]
    return Found(found, expected_gains(found, part.seeds, past), lessons_so_far(names, past))


def shared(crew: Crew, found: Sequence[Found]) -> list[Weakness]:
    """The round's lessons shared out over the grounds by expected gain, and on each over its weaknesses.

    With fixed labels a part of them has no aim: the last row, without failures.
    """
    wanted = crew.settings.generate
    failures = sum(len(weakness.failures) for one in found for weakness in one.weaknesses)
    asked = lessons_asked(wanted, len(crew.evals.seeds), failures)
    unaimed = int(asked * wanted.spread) if crew.sheet().labels else 0
    totals = share_out([sum(one.gains) for one in found], asked - unaimed, wanted.per_request)
    aimed = [
        weakness
        for one, total in zip(found, totals, strict=True)
        for weakness in give_lessons(
            one.weaknesses, one.gains, one.so_far, Terms(total, wanted.per_request, wanted.explore)
        )
    ]
    if wanted.per_failure:
        aimed = at_most(aimed, wanted.per_failure)
    return aimed + [Weakness(id="", name=NAME, failures=(), lessons=unaimed)] * bool(unaimed)


def lessons_asked(wanted: GenerateSettings, seeds: int, failures: int | None = None) -> int:
    """How many candidates a round asks for: `lessons`, unless there are too few seeds or failures for them. `failures`: None where what
    is asked has nothing to do with any."""
    caps = [(wanted.per_seed, seeds), (wanted.per_failure, failures)]
    return min([wanted.lessons, *(each * count for each, count in caps if each and count is not None)])


def tell_fewer(crew: Crew, failures: int) -> None:
    """Say that there are too few seeds for the lessons that are set, where that is what decides."""
    wanted, seeds = crew.settings.generate, len(crew.evals.seeds)
    most = lessons_asked(wanted, seeds, failures)
    if most < lessons_asked(wanted.model_copy(update={"per_seed": None}), seeds, failures):
        crew.emit(
            "note",
            text=f"{most} lessons are asked for instead of {wanted.lessons}, {wanted.per_seed} for each of {seeds} seeds "
            "(generate.per_seed): from few real items a teacher writes the same things again",
        )


def at_most(weaknesses: Sequence[Weakness], per_failure: int) -> list[Weakness]:
    """The weaknesses with no more lessons than so many a failure; what one gives up goes to the next ones that have room."""
    room = [len(one.failures) * per_failure - one.lessons for one in weaknesses]
    surplus = sum(-each for each in room if each < 0)
    given = list[Weakness]()
    for one, each in zip(weaknesses, room, strict=True):
        more = each if each < 0 else min(each, surplus)
        surplus -= max(more, 0)
        given.append(one.model_copy(update={"lessons": one.lessons + more}))
    return given


def numbered(round_number: int, weaknesses: Sequence[Weakness]) -> list[Weakness]:
    """The weaknesses of all grounds, with a number each that none else has."""
    return [
        one.model_copy(update={"id": f"{round_number:03d}-{number:02d}"}) for number, one in enumerate(weaknesses, 1)
    ]


def slices_of(total: int, parts: int) -> list[int]:
    """`total` in so many parts, as even as they come."""
    return [total // parts + (at < total % parts) for at in range(parts)]


def past_rounds(crew: Crew, number: int, part: Ground) -> list[Past]:
    """What earlier rounds found on a ground, and how its seeds were answered when next mined."""
    return [
        Past(
            tuple(
                one for one in read_records(round_file(crew, each, "weaknesses.jsonl"), Weakness)
                if one.failures and part.holds(one.failures[0].seed.id)
            ),
            tuple(one for one in read_records(mined_file(crew, each + 1), Attempt) if part.holds(one.item_id)),
        )
        for each in range(1, number)
    ]  # fmt: skip


def names_for(
    crew: Crew, state: State, failures: Sequence[Failure], earlier: Sequence[str], most: int
) -> dict[str, Name]:
    """What each failure lacks, by seed, as the teacher names it; nothing where labels or the eval set's skills say it."""
    skilled = crew.sheet().own_choices and all(one.seed.skill for one in failures)
    asked = chosen(failures, most)
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
    if any(map(was_unsent, answers)):
        crew.emit("note", text=f"the budget ends while failures are named. {larger_budget(crew)}")
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
    return crew.teacher().ask_all(
        requests, round=state.round, on_done=lambda at, _: step(sizes[at]), within_budget=True
    )


def candidates_of(crew: Crew, state: State, weaknesses: Sequence[Weakness]) -> None:
    """Have the round's candidates written, unless they are there. Raises BudgetSpent, and RunError for a prompt of two folds."""
    parts, orders, free, wanted = grounds(crew), list[Order](), list[Candidate](), 0
    aimed, unaimed = [one for one in weaknesses if one.failures], [one for one in weaknesses if not one.failures]
    of_label = {part.number: Counter[str]() for part in parts}
    for part in parts:
        here = [one for one in aimed if home(parts, one.failures[0].seed.id) == part]
        sheet, planned = crew.sheet(), (crew.settings.generate, state.round, part.draw(crew.settings.seed))
        if here:
            orders += (asked := kept_inside(part, plan_orders(sheet, here, *planned, part.seeds)))
            rephrased, count = rephrased_candidates(sheet, in_full(crew, here), *planned)
            free, wanted = [*free, *rephrased], wanted + count
            of_label[part.number].update(answer for order in asked for answer in order.want.answers)
            of_label[part.number].update(one.answer for one in rephrased)
    for one in unaimed:
        shares = share_out([len(part.seeds) for part in parts], one.lessons, least=0)
        for part, lessons in zip(parts, shares, strict=True):
            already = of_label[part.number] if crew.settings.generate.level else {}
            planned, rephrased, count = without_aim(crew, state, part, one, lessons, already)
            orders += kept_inside(part, planned)
            free, wanted = [*free, *rephrased], wanted + count
    target = round_file(crew, state.round, "candidates.jsonl")
    inputs: dict[str, Any] = {
        "orders": [one.request.model_dump() for one in orders], "filed": [_filed(one) for one in orders],
        "rephrased": [one.id for one in free],
    }  # fmt: skip

    def make() -> None:
        if len(free) < wanted:
            crew.emit("note", text=f"{wanted - len(free)} of {wanted} rephrased items could not be said in another way")
        write_records(target, [*ask_for(crew, state, orders, within_budget=True), *free])

    crew.folder.once(target, inputs, make)


def without_aim(
    crew: Crew, state: State, part: Ground, weakness: Weakness, lessons: int, aimed: Mapping[str, int]
) -> tuple[list[Order], list[Candidate], int]:  # fmt: skip
    """The requests for a ground's lessons without aim, filed under `weakness`; what of them needs no teacher, and how many of these
    there should be. `aimed`: lessons of the ground that are, by label."""
    turn = state.round if not part.is_fold else (state.round - 1) * crew.settings.mine.folds + part.number
    sheet, general, name = crew.sheet(), anything(part.seeds, lessons, turn, aimed), weakness.id
    planned = (crew.settings.generate, UNAIMED + state.round, part.draw(crew.settings.seed))
    orders = [filed_under(name, order) for order in plan_orders(sheet, general, *planned, part.seeds)]
    rephrased, count = rephrased_candidates(sheet, in_full(crew, general), *planned)
    filed = {"weakness_id": name, "round": state.round}
    return orders, [candidate.model_copy(update=filed) for candidate in rephrased], count


def in_full(crew: Crew, weaknesses: Sequence[Weakness]) -> list[Weakness]:
    """The weaknesses with the whole questions of their seeds, also what no teacher may be told: for what is made on this machine."""
    whole = {seed.id: seed.prompt for seed in crew.evals.seeds}

    def filled(one: Failure) -> Failure:
        return one.model_copy(update={"seed": one.seed.model_copy(update={"prompt": whole[one.seed.id]})})

    return [one.model_copy(update={"failures": tuple(map(filled, one.failures))}) for one in weaknesses]


def kept_inside(part: Ground, orders: Sequence[Order]) -> list[Order]:
    """The orders, none of which shows a seed from outside. Raises RunError before anything is sent."""
    for order in orders:
        part.check(
            f"A request for lessons ({order.want.strategy})", [one.id for one in (order.want.parent, *order.want.shown)]
        )
    return list(orders)


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


def ask_for(crew: Crew, state: State, orders: Sequence[Order], within_budget: bool = False) -> list[Candidate]:
    """The candidates of all replies, in the order asked for; what replies did not hold is counted.

    `within_budget`: what the budget does not allow to be written and checked is not asked for. Without it, and where it allows nothing,
    BudgetSpent is raised.
    """
    if not orders:
        return []
    client, asked = crew.teacher(), sum(order.count for order in orders)
    progress = counting(crew, state.round, "generate", asked, "lesson")

    def ask(some: Sequence[Order]) -> list[Answer]:
        """Some of the orders' answers, in order."""
        return client.ask_all(
            [order.request for order in some], round=state.round, on_done=lambda at, _: progress(some[at].count),
            within_budget=within_budget,
        )  # fmt: skip

    replies = affordable(crew, state.round, orders, ask) if within_budget else ask(orders)
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
    if unwritten := lost.pop(UNAFFORDED, 0):
        write_json(round_file(crew, state.round, UNWRITTEN), {"lessons": unwritten})
        why = ", since they could not have been checked" if crew.settings.curate.verify else ""
        text = f"the budget ends here: {unwritten} of {asked} lessons were not asked for{why}"
        crew.emit("note", text=f"{text}. {larger_budget(crew)}")
    if +lost:
        reasons = ", ".join(f"{count} {why}" for why, count in sorted((+lost).items()))
        crew.emit("note", text=f"{lost.total()} of {asked} lessons asked for did not come: {reasons}")
    return candidates

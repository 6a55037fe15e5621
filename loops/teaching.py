"""Is the teacher able to teach, and is there budget for it?

Nothing is sent that could pass the budget; when a cap stands in the way the loop ends with what it has.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from loops.affording import affordable_first
from loops.crew import Crew
from loops.decide import StopReason
from loops.folds import grounds, home, models_for
from loops.state import State
from loops.stats import score
from loops.telling import counting, say_score, stop_early
from student.records import Attempt, Seed, read_records, write_records
from teacher.answers import answer_request, asked_seeds, read_answer
from teacher.errors import BudgetSpent
from teacher.requests import Request

Update = dict[str, Any]
EXAMINATION = 0.2
"""The share of a budget that the teacher's examination may take: what is spent on it writes no lesson."""


def check_teacher(crew: Crew, state: State) -> Update:
    """Examine the teacher on seeds as it will be asked about candidates; say so when it may not be able to teach."""
    target = crew.folder.path / "baseline" / "attempts.teacher.mine.jsonl"
    shown = [seed for part in grounds(crew) for seed in models_for(crew, part)]
    wanted = asked_seeds(crew.evals.for_teacher, shown, crew.settings.teacher.check_items)
    seeds = wanted[: affordable_first(crew.teacher().ledger, questions(crew, wanted), EXAMINATION)]
    if len(seeds) < len(wanted):
        crew.emit(
            "note",
            text=f"the teacher is examined on {len(seeds)} of {len(wanted)} seeds: that may take a fifth of the budget",
        )
    if not seeds:
        return {}
    inputs = {"seeds": [seed.model_dump() for seed in seeds], "task": crew.sheet().model_dump(), "shown": sorted(seed.id for seed in shown),
              "teacher": crew.settings.teacher.model}  # fmt: skip

    def make() -> None:
        write_records(target, teacher_attempts(crew, state, seeds))

    update = budgeted(crew, state, lambda: crew.folder.once(target, inputs, make))
    if not update:
        attempts = read_records(target, Attempt)
        say_score(crew, state, "teacher", "mine", attempts)
        if score(attempts).accuracy < 0.5:
            crew.emit(
                "note", text="the teacher itself gets fewer than half of the seeds right: its lessons may mislead"
            )
    return update


def questions(crew: Crew, seeds: Sequence[Seed]) -> list[Request]:
    """What the teacher is asked to answer seeds."""
    before = {part: models_for(crew, part) for part in grounds(crew)}
    return [
        answer_request(crew.sheet(), seed.prompt, seed.choices, shown=before[home([*before], seed.id)])
        for seed in seeds
    ]


def teacher_attempts(crew: Crew, state: State, seeds: Sequence[Seed]) -> list[Attempt]:
    """The teacher's own answers to seeds, scored like a student's. None is among those shown to it."""
    progress = counting(crew, state.round, "baseline", len(seeds), "item", "teacher on mine")
    replies = crew.teacher().ask_all(questions(crew, seeds), round=state.round, on_done=lambda at, reply: progress(1))
    attempts: list[Attempt] = []
    for seed, reply in zip(seeds, replies, strict=True):
        answer = read_answer(reply)
        right = answer is not None and crew.same_answer(seed.answer, answer)
        outcome = "right" if right else "malformed" if answer is None else "wrong"
        attempts.append(Attempt(item_id=seed.id, output=answer or "", outcome=outcome, score=float(right)))
    return attempts


def budgeted(crew: Crew, state: State, work: Callable[[], object]) -> Update:
    """Do the work; when the budget stands in the way, say so and let the loop end with what it has."""
    try:
        work()
        return {}
    except BudgetSpent as error:
        crew.emit("note", text=f"{error} {larger_budget(crew)}")
        if state.round:
            stop_early(crew, state.round, state.best, StopReason.BUDGET)
        return {"accepted": 0, "stop": StopReason.BUDGET.value}


def larger_budget(crew: Crew) -> str:
    """How to go on, in words: a run's settings are frozen, its replies are free for the next."""
    return (
        f"To go on, begin a run with a larger budget and `--set teacher.replay={crew.folder.name} --set teacher.replay_then_ask=true`: "
        "nothing is bought twice."
    )

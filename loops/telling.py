"""What a round says of itself: the events that more than one verb sends, with their fields in one place."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from loops.crew import Crew
from loops.decide import SENTENCES, Decision, StopReason
from loops.state import State
from loops.stats import score
from student.records import Attempt, Candidate, Lesson, Verdict


def say_score(crew: Crew, state: State, name: str, split: str, attempts: Sequence[Attempt]) -> None:
    """One score event."""
    found = score(attempts)
    crew.emit("score", round=state.round, student=name, split=split, **found.model_dump())


def tell_decision(crew: Crew, number: int, decision: Decision) -> None:
    """One decided event."""
    crew.emit("decided", round=number, best=decision.best, go_on=decision.reason is None, reason=decision.reason or "",
              sentence=decision.sentence)  # fmt: skip


def stop_early(crew: Crew, number: int, best: int, reason: StopReason) -> None:
    """A decision made in the middle of a round."""
    sentence = f"stopped in round {number}: {SENTENCES[reason]}; round {best} is kept"
    tell_decision(crew, number, Decision(best=best, reason=reason, sentence=sentence))


def tell_verdicts(
    crew: Crew, number: int, candidates: Sequence[Candidate | Lesson], verdicts: Sequence[Verdict]
) -> int:
    """One event per candidate, which is told by its last form; returns how many were accepted."""
    by_id = {candidate.id: candidate for candidate in candidates}
    for verdict in verdicts:
        one = by_id[verdict.candidate_id]
        if verdict.accepted:
            crew.emit(
                "accepted",
                round=number,
                id=one.id,
                prompt=one.prompt,
                answer=one.answer,
                strategy=one.strategy,
                weakness=one.weakness_id,
            )
        else:
            crew.emit("rejected", round=number, id=one.id, reason=verdict.reason, detail=verdict.detail)
    return sum(verdict.accepted for verdict in verdicts)


def counting(crew: Crew, number: int, verb: str, total: int, unit: str, note: str = "") -> Callable[[int], None]:
    """A progress callback that adds up what it is told was done."""
    done = 0

    def step(count: int) -> None:
        nonlocal done
        done += count
        crew.emit("verb.progress", round=number, verb=verb, done=done, total=total, unit=unit, note=note)

    return step

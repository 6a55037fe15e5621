"""Choose the best round and decide whether to go on: pure functions of what was recorded on `select`.

Choosing is not claiming: the best round is the one with the most right answers on `select` (the earlier one on a tie),
and nothing is said here about whether that is luck. The claim is made once, on `test`, after these choices are frozen.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from loops.settings import StopSettings
from loops.stats import Score
from student.records import Record


class StopReason(StrEnum):
    """Why a loop ended."""

    PLATEAU = "plateau"
    TARGET = "target"
    ROUNDS = "rounds"
    BUDGET = "budget"
    NOTHING_LEFT = "nothing-left"
    NO_LESSONS = "no-lessons"


SENTENCES = {
    StopReason.PLATEAU: "no new best on select for {patience} rounds",
    StopReason.TARGET: "select reached the target",
    StopReason.ROUNDS: "all {rounds} teaching rounds are done",
    StopReason.BUDGET: "the budget is spent",
    StopReason.NOTHING_LEFT: "the student makes no more mistakes on mine",
    StopReason.NO_LESSONS: "curation left no new lesson; `llm2llm show RUN` says why",
}


class Decision(Record):
    """What was decided after a round."""

    best: int
    """The round to keep so far."""
    reason: StopReason | None = None
    """Why to stop; None to go on."""
    sentence: str
    """The decision in words."""


def best_round(scores: Sequence[Score], min_gain: float = 0.0) -> int:
    """The round with the most right answers; a later one must win by more than `min_gain` of the items."""
    best = 0
    for number, score in enumerate(scores):
        if score.right > scores[best].right + min_gain * score.n:
            best = number
    return best


def decide(scores: Sequence[Score], settings: StopSettings, already: StopReason | None = None) -> Decision:
    """The decision after the last round in `scores` (round 0 is the seed-only student).

    `already`: a reason to stop that came up before, such as a budget spent in the baseline.
    """
    best, last = best_round(scores, settings.min_gain), len(scores) - 1
    reason = already or _stop(scores, best, settings)
    if reason is None:
        return Decision(best=best, sentence=f"round {best} is best so far; going on")
    why = SENTENCES[reason].format(patience=settings.patience, rounds=settings.rounds)
    return Decision(best=best, reason=reason, sentence=f"stopped after round {last}: {why}; round {best} is kept")


def _stop(scores: Sequence[Score], best: int, settings: StopSettings) -> StopReason | None:
    last = len(scores) - 1
    if settings.target is not None and scores[best].accuracy >= settings.target:
        return StopReason.TARGET
    if last - best >= settings.patience:
        return StopReason.PLATEAU
    return StopReason.ROUNDS if last >= settings.rounds else None

"""Choose the best round and decide whether to go on: pure functions of what was recorded on `select`, or by cross-fitting.

Choosing is not claiming. The best round is the one with the most right answers (the earlier one on a tie) among those not
shown to be worse than the seed-only student on a guarded skill; nothing is said about whether its lead is luck. A gate that asked for
significance each round would starve the loop: gains of one to three points sit inside the noise of a few hundred items. The claim
is made once, on `test`, after these choices are frozen.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from enum import StrEnum

from pydantic import Field

from loops.events import SELECT
from loops.settings import StopSettings
from loops.stats import paired_bounds
from student.records import Attempt, Record

Round = Sequence[Attempt]
"""One student's attempts at the items that decide, the same in every round."""


class StopReason(StrEnum):
    """Why a loop ended."""

    PLATEAU = "plateau"
    NO_GAIN = "no-gain"
    TARGET = "target"
    ROUNDS = "rounds"
    BUDGET = "budget"
    NOTHING_LEFT = "nothing-left"
    NO_LESSONS = "no-lessons"


SENTENCES = {
    StopReason.PLATEAU: "no new best on {where} for {patience} rounds",
    StopReason.NO_GAIN: "another round is not expected to gain {min_gain:g} points: the last one's gain lies below that beyond doubt",
    StopReason.TARGET: "{where} reached the target",
    StopReason.ROUNDS: "{all_rounds} done",
    StopReason.BUDGET: "the budget is spent",
    StopReason.NOTHING_LEFT: "no mistake on mine is left that a lesson could mend",
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
    barred: dict[int, str] = Field(default_factory=dict)
    """Rounds that may not be kept, each with the guarded skill it is shown to be worse on."""


def decide(
    rounds: Sequence[Round], skills: Mapping[str, str], settings: StopSettings, already: StopReason | None = None,
    where: str = SELECT,
) -> Decision:  # fmt: skip
    """The decision after the last of `rounds` (round 0 is the seed-only student).

    `skills`: every item's skill, by id. `already`: a reason to stop that came up before, such as a spent budget. `where`: what
    the items are called in the sentence.
    """
    barred = {
        number: found
        for number, attempts in enumerate(rounds)
        if number and (found := worse_skill(attempts, rounds[0], skills, settings))
    }
    last = len(rounds) - 1
    best = last if settings.keep == "last" else best_round(rounds, barred)
    reason = already or _stop(rounds, best, settings)
    harm = f"it is worse on {barred[last]!r} beyond doubt" if last in barred else ""
    aside = f" (round {last} may not be kept: {harm})" if harm and best != last else f" (though {harm})" if harm else ""
    if reason is None:
        rank = "the last" if settings.keep == "last" else "best"
        return Decision(best=best, sentence=f"round {best} is {rank} so far; going on{aside}", barred=barred)
    why = SENTENCES[reason].format(
        patience=settings.patience, min_gain=100 * settings.min_gain, where=where,
        all_rounds="the one teaching round is" if settings.rounds == 1 else f"all {settings.rounds} teaching rounds are",
    )  # fmt: skip
    sentence = f"stopped after round {last}: {why}; round {best} is kept{aside}"
    return Decision(best=best, reason=reason, sentence=sentence, barred=barred)


def best_round(rounds: Sequence[Round], barred: Mapping[int, str] | None = None) -> int:
    """The round with the most right answers that may be kept; the earliest of equals."""
    allowed = [number for number in range(len(rounds)) if number not in (barred or {})]
    return max(allowed, key=lambda number: (_right(rounds[number]), -number))


def worse_skill(attempts: Round, first: Round, skills: Mapping[str, str], settings: StopSettings) -> str:
    """The guarded skill on which a round is shown to be worse than the first by more than the margin, or "".

    The test is one of harm, not of any fall: with the interval's level shared out over the guarded skills (Bonferroni), the
    upper end of the paired difference must lie below `-guard_margin`.
    """
    parts: dict[str, list[tuple[bool, bool]]] = defaultdict(list)
    before = {one.item_id: one.right for one in first}
    for one in attempts:
        parts[skills.get(one.item_id, "")].append((before[one.item_id], one.right))
    guarded = sorted(skill for skill in parts if "*" in settings.guard or skill in settings.guard)
    for skill in guarded:
        gained, lost = _changes(parts[skill])
        _, high = paired_bounds(gained, lost, len(parts[skill]), 1 - 0.05 / len(guarded))
        if high < -settings.guard_margin:
            return skill
    return ""


def _stop(rounds: Sequence[Round], best: int, settings: StopSettings) -> StopReason | None:
    last = len(rounds) - 1
    asked = len(rounds[best])
    if settings.target is not None and asked and _right(rounds[best]) >= settings.target * asked - 1e-9:
        return StopReason.TARGET
    if last - best >= settings.patience:
        return StopReason.PLATEAU
    if last >= settings.rounds:
        return StopReason.ROUNDS
    return StopReason.NO_GAIN if last and settings.min_gain and _gain_below(rounds, settings.min_gain) else None


def _gain_below(rounds: Sequence[Round], min_gain: float) -> bool:
    """Whether the last round's gain over the best before it lies below `min_gain` with 95 % confidence."""
    before = {one.item_id: one.right for one in rounds[best_round(rounds[:-1])]}
    gained, lost = _changes([(before[one.item_id], one.right) for one in rounds[-1]])
    return paired_bounds(gained, lost, len(rounds[-1]))[1] < min_gain


def _changes(pairs: Sequence[tuple[bool, bool]]) -> tuple[int, int]:
    """How many went from wrong to right, and from right to wrong."""
    return sum(new and not old for old, new in pairs), sum(old and not new for old, new in pairs)


def _right(attempts: Round) -> int:
    return sum(one.right for one in attempts)

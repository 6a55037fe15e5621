"""Which round is kept, and when the loop ends: the rules a person sets, read back as behaviour.

Every history is a list of right answers out of 100 on `select`, one number a round, round 0 first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loops.decide import SENTENCES, Decision, StopReason, best_round, decide
from loops.settings import StopSettings
from student.records import Attempt

HISTORY = st.lists(st.integers(0, 100), min_size=1, max_size=8)


def student(right: int, skip: int = 0) -> list[Attempt]:
    """100 items, so many of them right, counted from the item numbered `skip`."""
    hits = {(skip + at) % 100 for at in range(right)}
    return [
        Attempt(item_id=str(at), output="", outcome="right" if at in hits else "wrong", score=float(at in hits))
        for at in range(100)
    ]


def rounds(rights: Sequence[int]) -> list[list[Attempt]]:
    return [student(right) for right in rights]


def decided(rights: Sequence[int], **settings: Any) -> Decision:
    """With no guarded skill unless one is given: these histories are about the whole of `select`."""
    return decide(rounds(rights), SKILLS, StopSettings.model_validate({"guard": [], **settings}))


def test_the_earlier_round_wins_a_tie() -> None:
    assert best_round(rounds([60, 70, 70, 65])) == 1


@given(HISTORY)
def test_the_kept_round_has_the_most_right_answers(rights: list[int]) -> None:
    assert best_round(rounds(rights)) == rights.index(max(rights))


def test_a_gain_that_cannot_be_large_enough_ends_the_loop() -> None:
    """98 and 98 of 100 right, none changed: a gain of ten points is out of the question, one of two points is not."""
    assert decided([98, 98], min_gain=0.10).reason is StopReason.NO_GAIN
    assert decided([98, 98], min_gain=0.02).reason is None
    assert "10 points" in decided([98, 98], min_gain=0.10).sentence


def test_an_uncertain_gain_does_not_end_the_loop() -> None:
    noisy = decide([student(60), student(60, skip=30)], SKILLS, StopSettings(min_gain=0.05, guard=()))
    assert noisy.reason is None


# --- guarded skills

SKILLS = {str(at): "odd" if at % 2 else "even" for at in range(100)}


def learned(even: int, odd: int) -> list[Attempt]:
    """A student that has so many of the 50 even and of the 50 odd items right."""
    hits = {2 * at for at in range(even)} | {2 * at + 1 for at in range(odd)}
    return [
        Attempt(item_id=str(at), output="", outcome="right" if at in hits else "wrong", score=float(at in hits))
        for at in range(100)
    ]


def test_a_round_shown_to_be_worse_on_a_guarded_skill_is_not_kept() -> None:
    found = decide([learned(40, 10), learned(15, 50), learned(41, 20)], SKILLS, StopSettings(guard=("even",)))
    assert (found.best, found.barred) == (2, {1: "even"})
    unguarded = decide([learned(40, 10), learned(15, 50), learned(41, 20)], SKILLS, StopSettings(guard=("odd",)))
    assert (unguarded.best, unguarded.barred) == (1, {})


def test_every_skill_is_guarded_unless_told_otherwise() -> None:
    assert decide([learned(40, 10), learned(15, 50)], SKILLS, StopSettings()).barred == {1: "even"}


def test_any_fall_is_not_harm() -> None:
    assert decide([learned(40, 10), learned(37, 30)], SKILLS, StopSettings()).best == 1


def test_a_fall_within_the_margin_is_put_up_with() -> None:
    history = [learned(50, 10), learned(36, 50)]
    assert decide(history, SKILLS, StopSettings(guard_margin=0.0)).best == 0
    assert decide(history, SKILLS, StopSettings(guard_margin=0.25)).best == 1


def test_a_barred_round_says_why() -> None:
    found = decide([learned(40, 10), learned(15, 50)], SKILLS, StopSettings(rounds=1))
    assert "round 0 is kept" in found.sentence and "'even'" in found.sentence


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=6), st.floats(0, 1))
def test_the_kept_round_is_never_a_barred_one(history: list[tuple[int, int]], margin: float) -> None:
    students = [learned(*pair) for pair in history]
    found = decide(students, SKILLS, StopSettings(guard_margin=margin))
    assert found.best not in found.barred and 0 not in found.barred
    allowed = [number for number in range(len(history)) if number not in found.barred]
    assert sum(history[found.best]) == max(sum(history[number]) for number in allowed)


# --- stopping


def test_it_goes_on_while_there_is_hope() -> None:
    found = decided([50, 60, 58], rounds=5, patience=2)
    assert (found.best, found.reason) == (1, None)
    assert "round 1" in found.sentence


def test_a_plateau_is_so_many_rounds_without_a_new_best() -> None:
    found = decided([50, 60, 58, 60], rounds=5, patience=2)
    assert (found.best, found.reason) == (1, StopReason.PLATEAU)
    assert "round 3" in found.sentence and "2 rounds" in found.sentence


def test_the_target_ends_the_loop_in_the_round_that_reaches_it() -> None:
    assert decided([50, 79], target=0.8).reason is None
    assert decided([50, 80], target=0.8).reason is StopReason.TARGET
    assert decided([85], target=0.8).reason is StopReason.TARGET


@pytest.mark.parametrize(("target", "right", "asked"), [(0.55, 55, 100), (0.56, 84, 150), (0.81, 243, 300)])
def test_a_target_that_is_just_reached_is_reached(target: float, right: int, asked: int) -> None:
    rows = [
        Attempt(item_id=str(at), output="", outcome="right" if at < right else "wrong", score=float(at < right))
        for at in range(asked)
    ]
    assert decide([rows], {}, StopSettings(target=target)).reason is StopReason.TARGET
    assert (
        decide([[*rows[1:], rows[-1].model_copy(update={"item_id": "0"})]], {}, StopSettings(target=target)).reason
        is None
    )


def test_reaching_the_target_is_told_before_running_out_of_rounds() -> None:
    assert decided([50, 80], target=0.8, rounds=1, patience=1).reason is StopReason.TARGET


def test_the_last_allowed_round_ends_the_loop() -> None:
    assert decided([50, 60], rounds=2).reason is None
    assert decided([50, 60, 70], rounds=2).reason is StopReason.ROUNDS
    assert decided([50], rounds=0).reason is StopReason.ROUNDS


def test_the_last_round_is_kept_whatever_was_seen_where_that_is_asked_for() -> None:
    found = decided([50, 60, 40, 30], keep="last", patience=1)
    assert (found.best, found.reason) == (3, None)
    assert decided([50, 60, 40, 30], keep="last", rounds=3).reason is StopReason.ROUNDS


def test_a_last_round_that_does_harm_is_kept_and_the_harm_is_told() -> None:
    found = decide([learned(40, 10), learned(15, 50)], SKILLS, StopSettings(keep="last"))
    assert found.best == 1 and "'even'" in found.sentence and "may not be kept" not in found.sentence


@given(HISTORY, st.integers(0, 6), st.integers(1, 4))
def test_it_never_goes_past_the_rounds_allowed(rights: list[int], rounds: int, patience: int) -> None:
    found = decided(rights, rounds=rounds, patience=patience)
    assert found.best == rights.index(max(rights))
    assert (found.reason is None) == (len(rights) - 1 < rounds and len(rights) - 1 - found.best < patience)


def test_every_reason_has_its_words() -> None:
    assert set(SENTENCES) == set(StopReason)

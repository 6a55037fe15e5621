"""Which round is kept, and when the loop ends: the rules a person sets, read back as behaviour.

Every history is a list of right answers out of 100 on `select`, one number a round, round 0 first.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loops.decide import SENTENCES, Decision, StopReason, best_round, decide
from loops.settings import StopSettings
from loops.stats import Score, wilson

HISTORY = st.lists(st.integers(0, 100), min_size=1, max_size=8)


def scores(rights: Sequence[int]) -> list[Score]:
    return [Score(n=100, right=right, low=wilson(right, 100)[0], high=wilson(right, 100)[1]) for right in rights]


def decided(rights: Sequence[int], **settings: float | None) -> Decision:
    return decide(scores(rights), StopSettings.model_validate(settings))


def test_the_earlier_round_wins_a_tie() -> None:
    assert best_round(scores([60, 70, 70, 65])) == 1


@given(HISTORY)
def test_the_kept_round_has_the_most_right_answers(rights: list[int]) -> None:
    assert best_round(scores(rights)) == rights.index(max(rights))


@pytest.mark.parametrize(("right", "best"), [(64, 0), (65, 0), (66, 1)])
def test_a_new_best_must_pass_the_least_gain(right: int, best: int) -> None:
    assert best_round(scores([60, right]), min_gain=0.05) == best


@given(HISTORY, st.floats(0, 0.99))
def test_a_least_gain_never_keeps_a_worse_round_than_the_first(rights: list[int], min_gain: float) -> None:
    assert rights[best_round(scores(rights), min_gain)] >= rights[0]


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


def test_reaching_the_target_is_told_before_running_out_of_rounds() -> None:
    assert decided([50, 80], target=0.8, rounds=1, patience=1).reason is StopReason.TARGET


def test_the_last_allowed_round_ends_the_loop() -> None:
    assert decided([50, 60], rounds=2).reason is None
    assert decided([50, 60, 70], rounds=2).reason is StopReason.ROUNDS
    assert decided([50], rounds=0).reason is StopReason.ROUNDS


@given(HISTORY, st.integers(0, 6), st.integers(1, 4))
def test_it_never_goes_past_the_rounds_allowed(rights: list[int], rounds: int, patience: int) -> None:
    found = decided(rights, rounds=rounds, patience=patience)
    assert found.best == rights.index(max(rights))
    assert (found.reason is None) == (len(rights) - 1 < rounds and len(rights) - 1 - found.best < patience)


def test_every_reason_has_its_words() -> None:
    assert set(SENTENCES) == set(StopReason)

"""Numbers and their doubt, checked against values worked out by hand.

Wilson intervals are compared with the closed formula's published values, the exact McNemar test with binomial sums one
can do on paper.
"""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loops.stats import Comparison, compare, holm, paired_bounds, score, wilson
from student.records import Attempt, Outcome


def attempts(outcomes: list[bool]) -> list[Attempt]:
    """Item 0, 1, 2, ... answered right or wrong."""
    return [answer(str(number), "right" if right else "wrong") for number, right in enumerate(outcomes)]


def answer(item: str, outcome: Outcome) -> Attempt:
    return Attempt(item_id=item, output="?", outcome=outcome, score=float(outcome == "right"))


def pair(gained: int, lost: int, both: int = 0) -> Comparison:
    """The comparison of two students who differ on so many items."""
    new = [True] * gained + [False] * lost + [True] * both
    old = [False] * gained + [True] * lost + [True] * both
    return compare(attempts(new), attempts(old))


@pytest.mark.parametrize(
    ("right", "n", "low", "high"),
    [(8, 10, 0.4902, 0.9433), (0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (81, 263, 0.2553, 0.3662), (0, 0, 0.0, 1.0)],
)
def test_wilson_gives_the_published_values(right: int, n: int, low: float, high: float) -> None:
    assert wilson(right, n) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_holds_the_proportion_and_mirrors(case: tuple[int, int]) -> None:
    right, n = case
    low, high = wilson(right, n)
    assert 0 <= low <= right / n + 1e-6 and right / n - 1e-6 <= high <= 1
    assert wilson(n - right, n) == pytest.approx((1 - high, 1 - low), abs=2e-6)


@pytest.mark.parametrize(
    ("gained", "lost", "p"),
    [(8, 2, 2 * (45 + 10 + 1) / 1024), (6, 0, 2 / 64), (5, 0, 2 / 32), (3, 3, 1.0), (0, 0, 1.0), (0, 7, 2 / 128)],
)
def test_mcnemar_is_the_binomial_sum(gained: int, lost: int, p: float) -> None:
    assert pair(gained, lost, both=4).p == pytest.approx(p, abs=1e-6)


def test_only_a_gain_beyond_doubt_is_shown() -> None:
    assert pair(6, 0).shown
    assert not pair(5, 0).shown
    assert not pair(0, 7).shown


@pytest.mark.parametrize(("gained", "lost"), [(4, 0), (5, 0), (0, 4), (7, 1), (1, 0)])
def test_an_interval_does_not_say_what_the_test_does_not(gained: int, lost: int) -> None:
    found = pair(gained, lost, both=240 - gained - lost)
    assert found.p > 0.05 and found.low < 0 < found.high


def test_a_comparison_counts_what_changed() -> None:
    found = pair(8, 2, both=10)
    assert (found.n, found.gained, found.lost, found.gain) == (20, 8, 2, 0.3)
    assert found.low <= found.gain <= found.high
    assert found == pair(8, 2, both=10)


def test_the_order_of_the_items_does_not_matter() -> None:
    new, old = attempts([True, False, True, True]), attempts([False, True, False, True])
    turned = random.Random(1).sample(old, len(old))
    found, again = compare(new, old), compare(new, turned)
    assert (found.gained, found.lost, found.p) == (again.gained, again.lost, again.p)


def test_different_items_are_never_compared() -> None:
    three = attempts([True, True, False])
    with pytest.raises(ValueError, match="same items"):
        compare(three, three[:2])
    with pytest.raises(ValueError, match="same items"):
        compare(three[:2], three)
    with pytest.raises(ValueError, match="same items"):
        compare(three, [*three[:2], answer("another", "right")])


def test_a_score_counts_every_outcome() -> None:
    found = score([answer("a", "right"), answer("b", "wrong"), answer("c", "truncated"), answer("d", "malformed")])
    assert (found.n, found.right, found.truncated, found.malformed, found.accuracy) == (4, 1, 1, 1, 0.25)
    assert (found.low, found.high) == wilson(1, 4)


def test_a_score_of_nothing_claims_nothing() -> None:
    found = score([])
    assert (found.n, found.accuracy, found.low, found.high) == (0, 0.0, 0.0, 1.0)


@pytest.mark.parametrize(("gained", "lost", "n"), [(0, 0, 10), (9, 1, 40), (3, 30, 50), (12, 12, 400)])
def test_paired_bounds_hold_the_difference_and_mirror(gained: int, lost: int, n: int) -> None:
    low, high = paired_bounds(gained, lost, n)
    assert -1 <= low < (gained - lost) / n < high <= 1
    assert paired_bounds(lost, gained, n) == pytest.approx((-high, -low))


def test_paired_bounds_are_the_formula_of_bonett_and_price() -> None:
    """43 items, 1 gained and 7 lost: one item is added to each discordant cell, two to the total."""
    low, high = paired_bounds(1, 7, 43)
    up, down = 2 / 45, 8 / 45
    reach = 1.959964 * ((up + down - (up - down) ** 2) / 45) ** 0.5
    assert (low, high) == pytest.approx((up - down - reach, up - down + reach), abs=1e-6)


def test_nothing_is_known_of_no_items() -> None:
    assert paired_bounds(0, 0, 0) == (-1.0, 1.0)


def test_several_p_values_are_corrected_as_holm_did_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.2]) == [0.2]
    assert holm([0.9, 0.6]) == [1.0, 1.0]
    assert holm([]) == []

"""The power of a test split, held against simulation with the test that makes a run's claim."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from loops.power import discordance, items_for, power, smallest_gain, what_shows


def claims(n: int, baseline: float, gain: float, draws: int) -> float:
    """The share of simulated pairs of students whose gain a run would claim, by the test of `loops.stats.compare`."""
    won, lost = discordance(baseline, gain)
    fates = np.random.default_rng(7).multinomial(n, [won, lost, 1 - won - lost], size=draws)
    shown = [up > down and float(binomtest(up, up + down, 0.5).pvalue) < 0.05 for up, down, _ in fates.tolist()]
    return float(sum(shown) / draws)


@pytest.mark.parametrize(
    ("n", "baseline", "gain"), [(80, 0.7, 0.13), (60, 0.5, 0.1), (40, 0.9, 0.08), (900, 0.8, 0.03)]
)
def test_power_is_how_often_a_run_would_claim_the_gain(n: int, baseline: float, gain: float) -> None:
    draws, expected = 3000, power(n, baseline, gain)
    assert abs(claims(n, baseline, gain, draws) - expected) < 3.5 * (expected * (1 - expected) / draws) ** 0.5


def test_without_a_gain_hardly_any_run_claims_one() -> None:
    """Two-sided at 5 %, so a false gain comes in at most 2.5 %."""
    assert all(power(n, baseline, 0.0) <= 0.025 for n in (20, 80, 500, 20_000) for baseline in (0.3, 0.7, 0.95))


@given(
    baseline=st.floats(min_value=0.05, max_value=0.95), share=st.floats(min_value=0.0, max_value=1.0),
)  # fmt: skip
def test_the_four_fates_of_an_item_are_probabilities_and_add_up(baseline: float, share: float) -> None:
    gain = share * (1 - baseline)
    won, lost = discordance(baseline, gain)
    assert won - lost == pytest.approx(gain)
    assert lost >= 0 and baseline - lost >= -1e-9 and 1 - baseline - won >= -1e-9


@settings(max_examples=12)
@given(n=st.integers(min_value=60, max_value=3000), baseline=st.sampled_from([0.4, 0.6, 0.8]))
def test_the_smallest_gain_shows_and_a_smaller_one_does_not(n: int, baseline: float) -> None:
    gain = smallest_gain(n, baseline)
    assert gain is not None
    assert power(n, baseline, gain) >= 0.8 > power(n, baseline, gain - 0.001)


def test_what_eighty_items_can_show() -> None:
    """The sentence people read: 80 items show about 13 points; some hundreds more show 5."""
    found = what_shows(80)
    assert found.gain == pytest.approx(0.13, abs=0.005)
    assert found.goal == 0.05
    assert found.more is not None and 380 <= found.more <= 480
    assert power(80 + found.more, 0.7, 0.05) >= 0.8


def test_more_items_show_smaller_gains_down_to_very_many() -> None:
    gains = [smallest_gain(n, 0.7) for n in (40, 80, 400, 2000, 100_000, 1_000_000)]
    assert all(gain is not None for gain in gains)
    assert gains == sorted(gains, key=lambda gain: -(gain or 0))
    assert gains[-1] is not None and gains[-1] <= 0.002


@pytest.mark.parametrize("n", [0, 1, 5, 10])
def test_a_handful_of_items_shows_nothing_and_says_so(n: int) -> None:
    assert what_shows(n).gain is None
    assert (what_shows(n).more or 0) > 50


def test_items_for_a_gain_are_enough_and_few_fewer_are_not() -> None:
    n = items_for(0.05, 0.7)
    assert power(n, 0.7, 0.05) >= 0.8
    assert power(round(0.95 * n), 0.7, 0.05) < 0.8

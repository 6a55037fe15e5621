"""What a claim may say: its words follow its numbers, and simulated runs in which nothing helps seldom hear that it did."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from loops.claims import gain_of_changes, gain_over_seeds, lessons_sentence, model_sentence
from loops.stats import Comparison, compare
from student.records import Attempt


def attempts(outcomes: list[bool]) -> list[Attempt]:
    """Item 0, 1, 2, ... answered right or wrong."""
    return [
        Attempt(item_id=str(number), output="?", outcome="right" if right else "wrong", score=float(right))
        for number, right in enumerate(outcomes)
    ]


def pair(gained: int, lost: int, both: int = 0) -> Comparison:
    """The comparison of two students who differ on so many items."""
    new = [True] * gained + [False] * lost + [True] * both
    old = [False] * gained + [True] * lost + [True] * both
    return compare(attempts(new), attempts(old))


def test_a_claim_says_shown_only_when_it_is() -> None:
    shown, doubtful = model_sentence(pair(9, 0, both=11), 2), model_sentence(pair(5, 2, both=13), 2)
    assert shown.startswith("Shown on test: the student of round 2")
    assert doubtful.startswith("Not shown: the student of round 2")
    for sentence in (shown, doubtful):
        assert "n=20" in sentence and "95 % CI" in sentence and "p=" in sentence


def test_without_a_better_round_the_claim_names_the_seed_only_student() -> None:
    sentence = model_sentence(pair(0, 0, both=5), 0)
    assert sentence.startswith("Not shown") and "seed-only student is kept" in sentence


def test_a_loss_is_a_negative_number_and_never_shown() -> None:
    sentence = model_sentence(pair(0, 9, both=11), 1)
    assert sentence.startswith("Not shown") and "-45.0 points" in sentence


def simulated(runs: int, seeds: int, gain: float, spread: float) -> float:
    """Share of simulated runs that print "the lessons help": 200 items, two students in three agree, luck in training."""
    draw, said = np.random.default_rng(5), 0
    for _ in range(runs):
        truth = np.array([[0.7], [0.7 + gain]]) + draw.normal(0, spread, (2, seeds))
        level = 0.8**0.5 * draw.normal(size=200) + 0.2**0.5 * draw.normal(size=(2, seeds, 200))
        right = (level < norm.ppf(truth)[:, :, None]).astype(int)
        found = gain_of_changes((right[1] - right[0]).tolist())
        said += lessons_sentence(found, 1).startswith("Shown")
    return said / runs


@pytest.mark.parametrize(("seeds", "spread"), [(2, 0.03), (3, 0.03), (5, 0.03), (3, 0.0)])
def test_lessons_that_do_nothing_are_seldom_said_to_help(seeds: int, spread: float) -> None:
    assert simulated(400, seeds, 0.0, spread) <= 0.05


def test_lessons_that_help_are_found() -> None:
    assert simulated(200, 5, 0.10, 0.03) >= 0.85


def test_several_seeds_are_weighed_together() -> None:
    old, new = attempts([False] * 12 + [True] * 28), attempts([True] * 8 + [False] * 4 + [True] * 28)
    found = gain_over_seeds([(new, old), (new, old), (new, old)])
    assert (found.seeds, found.n, found.gain, found.shown) == (3, 40, 0.2, True)
    assert found.low < found.gain < found.high
    sentence = lessons_sentence(found, 2)
    assert sentence.startswith("Shown on test: the lessons up to round 2 help") and "3 training seeds" in sentence


def test_seeds_that_contradict_one_another_show_nothing() -> None:
    worse, better = attempts([False] * 20 + [True] * 20), attempts([True] * 40)
    found = gain_over_seeds([(better, worse), (worse, better), (better, worse)])
    assert not found.shown and lessons_sentence(found, 1).startswith("Not shown")


def test_one_training_says_nothing_about_the_lessons() -> None:
    with pytest.raises(ValueError, match="two training seeds"):
        gain_over_seeds([(attempts([True]), attempts([False]))])


def test_of_one_item_nothing_is_claimed() -> None:
    found = gain_of_changes([[1], [1], [0]])
    assert not found.shown and (found.low, found.high, found.p, found.n) == (-1, 1, 1, 1)


def test_different_items_are_never_pooled() -> None:
    with pytest.raises(ValueError, match="same items"):
        gain_over_seeds([(attempts([True]), attempts([False])), (attempts([True, True]), attempts([False, True]))])


@pytest.mark.parametrize(("change", "shown"), [(0, False), (1, True)])
def test_a_table_without_any_spread_is_not_divided_by_zero(change: int, shown: bool) -> None:
    found = gain_of_changes([[change] * 30] * 3)
    assert found.shown == shown and found.low <= found.gain <= found.high

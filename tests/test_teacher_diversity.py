"""How varied lessons are: varied ones raise no alarm, narrow ones do, whatever the number of texts and the script."""

from __future__ import annotations

import random

import pytest

from teacher.diversity import FEWEST, MOST, diversity, spread

NOUNS = ("toner", "badge", "window", "screen", "cable", "kitchen", "invoice", "tray", "lamp", "folder", "parcel", "router",
         "password", "battery", "license", "cupboard", "stapler", "phone", "mouse", "meeting")  # fmt: skip
VERBS = (
    "broke",
    "vanished",
    "is blinking",
    "smells odd",
    "arrived late",
    "fell down",
    "needs a reset",
    "froze",
    "squeaks",
)
PLACES = (
    "upstairs",
    "in the lobby",
    "at my desk",
    "near the lift",
    "in room nine",
    "by the door",
    "at home",
    "in the van",
)


def texts(count: int, seed: int) -> list[str]:
    """Varied sentences, the same ones for the same seed."""
    draw = random.Random(seed)
    return [
        f"{draw.choice(NOUNS)} {draw.choice(VERBS)} {draw.choice(PLACES)} since {draw.choice(NOUNS)} {draw.choice(VERBS)}"
        for _ in range(count)
    ]


NARROW = [f"The printer on floor {at} eats every second sheet of paper" for at in range(40)]
SEEDS = texts(60, 1)


def test_texts_like_the_seeds_raise_no_alarm() -> None:
    report = diversity(SEEDS, texts(40, 2), texts(40, 3), 0.4, 0.7)
    assert report.alarms == ()
    assert report.real_share == 0.4


def test_a_round_that_narrows_raises_an_alarm_that_names_what_is_narrow() -> None:
    report = diversity(SEEDS, NARROW, texts(40, 3), 0.4, 0.7)
    assert any("this round's lessons repeat themselves" in alarm for alarm in report.alarms)
    assert any("resemble one another" in alarm for alarm in report.alarms)
    assert report.lessons.distinct_2 < 0.3 < report.seeds.distinct_2
    assert report.lessons.self_similarity > 0.8 > report.seeds.self_similarity


def test_rounds_that_repeat_one_another_raise_an_alarm_though_each_is_varied() -> None:
    once = texts(20, 4)
    report = diversity(SEEDS, once, once * 3, 0.4, 0.7)
    assert report.all_lessons.self_similarity > report.lessons.self_similarity
    assert any("all lessons so far" in alarm for alarm in report.alarms)


def test_a_few_texts_are_no_trend() -> None:
    assert diversity(SEEDS, NARROW[: FEWEST - 1], [], 0.4, 0.7).alarms == ()
    assert diversity(SEEDS, NARROW[:FEWEST], [], 0.4, 0.7).alarms != ()


def test_the_threshold_decides() -> None:
    assert diversity(SEEDS, NARROW, [], 0.4, 0.0).alarms == ()


def test_seeds_and_lessons_are_measured_on_equally_many_texts() -> None:
    report = diversity(texts(500, 1), texts(30, 2), texts(300, 3), 0.4, 0.7)
    assert {report.seeds.texts, report.lessons.texts, report.all_lessons.texts} == {30}
    assert diversity(texts(900, 1), texts(900, 2), [], 0.4, 0.7).lessons.texts == MOST
    # Among ten times as many texts of one kind words repeat ten times as often; that must not look like narrowing.
    few, many = diversity(texts(30, 1), texts(30, 2), [], 1, 0.7), diversity(texts(300, 1), texts(30, 2), [], 1, 0.7)
    assert many.seeds.distinct_2 == pytest.approx(few.seeds.distinct_2, abs=0.1)


def test_the_same_texts_always_give_the_same_report() -> None:
    shuffled = [*SEEDS]
    random.Random(0).shuffle(shuffled)
    assert diversity(SEEDS, NARROW, [], 0.4, 0.7) == diversity(shuffled, NARROW[::-1], [], 0.4, 0.7)


def test_distinct_counts_different_words_and_runs_of_words() -> None:
    found = spread(["a b a b", "a b c"])
    assert found.distinct_1 == pytest.approx(3 / 7, abs=1e-4)
    assert found.distinct_2 == pytest.approx(3 / 5, abs=1e-4)
    assert found.distinct_3 == pytest.approx(3 / 3, abs=1e-4)


def test_scripts_without_spaces_are_read_letter_by_letter() -> None:
    assert spread(["打印机坏了", "打印机坏了"]).distinct_2 == pytest.approx(4 / 8)


@pytest.mark.parametrize("odd", [[""], ["???", "!!!"], ["", ""], ["one"], ["\n", "a"], []])
def test_odd_texts_do_no_harm(odd: list[str]) -> None:
    found = spread(odd)
    assert 0 <= found.self_similarity <= 1
    assert diversity(SEEDS, odd, odd, 0.4, 0.7).alarms == ()

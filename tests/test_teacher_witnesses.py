"""Answers are asked without a hint, witnesses weigh what they were worth on the seeds, and together they beat the teacher alone."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml

from loops.crew import sheet_of
from student.evals.load import load_evals
from student.records import Candidate, Seed
from teacher.answers import LONGEST_SHOWN, agreed, answer_request, shown_seeds
from teacher.nearest import NearestSeeds
from teacher.sheet import TaskSheet
from teacher.witnesses import Report, Witness, belief, hear, verify, witness

LABELS = ("printer", "hardware", "network")
SHEET = TaskSheet(task="Sort.", noun="ticket", labels=LABELS)
OPEN = TaskSheet(task="Work it out.", noun="problem")
QUESTION = "Could somebody refill the toner by the kitchen"


def candidate(answer: str = "printer", choices: tuple[str, ...] = LABELS) -> Candidate:
    return Candidate(
        id="c", prompt=QUESTION, answer=answer, choices=choices, round=1, weakness_id="w", parent_id="s1",
        strategy="contrast", request_key="k",
    )  # fmt: skip


def same(one: str, other: str) -> bool:
    return one == other


def reports(*rows: tuple[str, str, int]) -> list[Report]:
    """(truth, what was said, how often)."""
    return [Report(truth=truth, said=said) for truth, said, count in rows for _ in range(count)]


RELIABLE = witness("teacher", reports(*((label, label, 19) for label in LABELS), ("printer", "network", 1)))
GUESSING = witness("student", reports(*((label, said, 5) for label in LABELS for said in LABELS)))


# --- asking


def test_an_answer_is_asked_without_a_hint() -> None:
    request = answer_request(SHEET, QUESTION)
    said = "\n".join(message.content for message in request.messages)
    assert QUESTION in said
    assert request.temperature == 0
    assert request.json_schema is not None
    assert request.json_schema["properties"]["answer"]["enum"] == list(LABELS)
    assert request == answer_request(SHEET, QUESTION)


def test_further_draws_are_other_requests_at_a_temperature() -> None:
    draws = [answer_request(OPEN, QUESTION, sample=sample) for sample in range(3)]
    assert len({draw.key("anyone") for draw in draws}) == 3
    assert [draw.temperature > 0 for draw in draws] == [False, True, True]


def test_spending_can_be_told_by_strategy_and_the_question_is_still_bought_once() -> None:
    tagged = answer_request(SHEET, QUESTION, tag="contrast")
    assert tagged.tag == "contrast"
    assert tagged.key("anyone") == answer_request(SHEET, QUESTION).key("anyone")


def test_a_questions_own_choices_are_shown_and_required() -> None:
    request = answer_request(OPEN, QUESTION, choices=("on", "off"))
    assert '"choices": ["on", "off"]' in request.messages[-1].content
    assert request.json_schema is not None
    assert request.json_schema["properties"]["answer"]["enum"] == ["on", "off"]


@pytest.mark.parametrize(("longest", "tokens"), [(64, 160), (256, 296)])
def test_a_teacher_may_answer_as_long_as_the_student(tmp_path: Path, longest: int, tokens: int) -> None:
    """A worked solution that is cut off holds no answer, and every lesson of such a task would be lost for it."""
    spec = {"name": "sums", "source": "sums.csv", "kind": "generate", "columns": {"prompt": "q", "answer": "a"},
            "max_new_tokens": longest, "splits": {"mine": 4, "select": 4}}  # fmt: skip
    words = ("apples", "bridges", "candles", "doors", "engines", "feathers", "gardens", "hammers", "islands", "jars")
    (tmp_path / "sums.csv").write_text(
        "q,a\n" + "".join(f"How many {one} are {at}?,{at}\n" for at, one in enumerate(words))
    )
    (tmp_path / "evals.yaml").write_text(yaml.safe_dump(spec))
    assert answer_request(sheet_of(load_evals(tmp_path / "evals.yaml")), "How many?").max_tokens == tokens


@pytest.mark.parametrize(
    ("answers", "least", "expected"),
    [
        (["a"], 1, "a"), (["a", "b", "a"], 2, "a"), (["a", "b", "c"], 2, None), (["b", "a", "a"], 1, "a"),
        ([None, None, "a"], 1, "a"), ([None], 1, None), ([], 1, None), (["a", "b"], 1, "a"),
    ],
)  # fmt: skip
def test_what_enough_draws_agree_on(answers: list[str | None], least: int, expected: str | None) -> None:
    assert agreed(answers, least, same) == expected


# --- real items shown before a question


def seeds(*counts: tuple[str, int], text: str = "about") -> list[Seed]:
    """So many seeds of each label."""
    return [
        Seed(id=f"{label}-{at}", prompt=f"{label} {text} {at}", answer=label, choices=LABELS)
        for label, count in counts
        for at in range(count)
    ]


def counted(chosen: Sequence[Seed]) -> dict[str, int]:
    return dict(Counter(one.answer for one in chosen))


PLENTY = seeds(("printer", 9), ("hardware", 8), ("network", 7))


def test_some_of_each_label_are_shown_and_the_same_ones_whatever_the_order() -> None:
    chosen = shown_seeds(SHEET, PLENTY, 3)
    assert counted(chosen) == {"printer": 3, "hardware": 3, "network": 3}
    assert shown_seeds(SHEET, PLENTY[::-1], 3) == chosen
    assert len({one.answer for one in chosen[:5]}) > 1, "not one label after the other"


@pytest.mark.parametrize(
    ("having", "each", "expected"),
    [
        ((("printer", 9), ("hardware", 4), ("network", 2)), 3, {"printer": 3, "hardware": 2, "network": 1}),
        ((("printer", 9), ("hardware", 3), ("network", 1)), 3, {"printer": 3, "hardware": 1, "network": 1}),
        ((("printer", 9), ("hardware", 9)), 2, {"printer": 2, "hardware": 2}),
        ((("printer", 40), ("hardware", 40), ("network", 40)), 20, {"printer": 8, "hardware": 8, "network": 8}),
        ((("printer", 9), ("hardware", 9), ("network", 9)), 0, {}),
    ],
)  # fmt: skip
def test_half_of_a_label_is_left_to_be_asked(
    having: tuple[tuple[str, int], ...], each: int, expected: dict[str, int]
) -> None:
    assert counted(shown_seeds(SHEET, seeds(*having), each)) == expected


def test_long_items_are_shown_in_smaller_numbers_and_longer_ones_not_at_all() -> None:
    having = (("printer", 9), ("hardware", 9), ("network", 9))
    long = seeds(*having, text="x" * (LONGEST_SHOWN // 5))
    assert counted(shown_seeds(SHEET, long, 3)) == {"printer": 1, "hardware": 1, "network": 1}
    assert shown_seeds(SHEET, seeds(*having, text="x" * (LONGEST_SHOWN // 2)), 3) == []


def test_nothing_is_shown_where_labels_are_many_or_none() -> None:
    many = tuple(f"label {at}" for at in range(30))
    assert shown_seeds(TaskSheet(task="Sort.", noun="ticket", labels=many), seeds(*((one, 4) for one in many)), 3) == []
    assert shown_seeds(OPEN, PLENTY, 3) == []


def test_nothing_is_shown_where_too_few_would_be_left_to_be_asked() -> None:
    labels = tuple(f"label {at}" for at in range(10))
    sheet = TaskSheet(task="Sort.", noun="ticket", labels=labels)
    assert shown_seeds(sheet, seeds(*((one, 1) for one in labels)), 3) == []
    assert len(shown_seeds(sheet, seeds(*((one, 2) for one in labels)), 3)) == 10


def test_what_is_shown_stands_first_with_its_answers_and_the_same_before_every_question() -> None:
    chosen = shown_seeds(SHEET, PLENTY, 1)
    one, other = (answer_request(SHEET, question, shown=chosen) for question in (QUESTION, "The wifi is slow"))
    assert one.messages[:-1] == other.messages[:-1]
    assert [message.role for message in one.messages] == ["system", *["user", "assistant"] * 3, "user"]
    told = [(json.loads(asked.content.removeprefix("DATA:\n"))["question"], json.loads(said.content)["answer"])
            for asked, said in zip(one.messages[1:-1:2], one.messages[2::2], strict=True)]  # fmt: skip
    assert told == [(seed.prompt, seed.answer) for seed in chosen]
    assert QUESTION in one.messages[-1].content and "one of" not in one.messages[-1].content
    assert all(label in one.messages[0].content for label in LABELS), "a label without an item is named, too"
    assert one.json_schema == answer_request(SHEET, QUESTION).json_schema
    assert one.key("anyone") != answer_request(SHEET, QUESTION).key("anyone")


# --- written answers: k of n


def numbers(one: str, other: str) -> bool:
    return float(one) == float(other)


@pytest.mark.parametrize(
    ("answers", "least", "reason"),
    [
        (["7.0"], 1, "accepted"), (["8"], 1, "answer-disagrees"), (["7", "8", "7.00"], 2, "accepted"),
        (["7", "8", "9"], 2, "answer-disagrees"), ([None, None], 1, "no-second-answer"),
        (["8", "8", "7"], 1, "accepted"), (["8", "8", "7"], 2, "answer-disagrees"), ([None, "7"], 1, "accepted"),
    ],
)  # fmt: skip
def test_enough_fresh_answers_must_be_the_intended_one(answers: list[str | None], least: int, reason: str) -> None:
    verdict = verify(candidate("7", choices=()), answers, least, numbers)
    assert verdict.reason == reason
    assert verdict.belief is None, "nothing is known of how often the teacher agrees with itself and is wrong"


# --- what a witness is worth


def test_one_reliable_witness_decides_and_a_guessing_one_does_not() -> None:
    assert belief("printer", LABELS, [(RELIABLE, "printer")]) > 0.9
    assert belief("printer", LABELS, [(RELIABLE, "hardware")]) < 0.1
    assert belief("printer", LABELS, [(GUESSING, "hardware")]) == pytest.approx(0.5, abs=0.1)
    assert belief("printer", LABELS, [(RELIABLE, "printer"), (GUESSING, "hardware")]) > 0.85


def test_a_known_confusion_is_little_evidence() -> None:
    blind = witness("student", reports(("printer", "network", 18), ("printer", "printer", 2), ("network", "network", 20),
                                       ("hardware", "hardware", 20)))  # fmt: skip
    against_printer = belief("printer", LABELS, [(blind, "network")])
    against_hardware = belief("hardware", LABELS, [(blind, "network")])
    assert against_hardware < 0.2 < against_printer


def test_witnesses_who_agree_add_up() -> None:
    fair = witness("student", reports(*((label, label, 12) for label in LABELS), ("printer", "hardware", 8)))
    one, two = [(fair, "printer")], [(fair, "printer"), (fair, "printer")]
    assert belief("printer", LABELS, [*two]) > belief("printer", LABELS, [*one]) > 0.5


def test_who_says_nothing_is_no_evidence_and_what_was_never_seen_is_not_impossible() -> None:
    assert belief("printer", LABELS, [(RELIABLE, "")]) == belief("printer", LABELS, [])
    assert belief("printer", LABELS, [(RELIABLE, "hardware")]) > 0
    stranger = witness("teacher", [])
    assert 0.5 < belief("printer", LABELS, [(stranger, "printer")]) < 0.9
    assert witness("teacher", reports(("printer", "", 50))).asked == 0, "silence on the seeds is not held against it"


# --- verdicts


def test_a_verdict_names_what_everyone_said_and_how_far_it_is_believed() -> None:
    said = {"teacher": "printer", "student": "hardware"}
    verdict = hear(candidate(), said, [RELIABLE, GUESSING], 0.5)
    assert (verdict.reason, verdict.witnesses) == ("accepted", said)
    assert verdict.belief is not None and verdict.belief > 0.8
    doubted = hear(candidate("hardware"), said, [RELIABLE, GUESSING], 0.5)
    assert doubted.reason == "answer-doubted"
    assert "teacher: printer" in doubted.detail and "intended hardware" in doubted.detail
    assert doubted.belief is not None and doubted.belief < 0.3


def test_the_threshold_is_the_settings() -> None:
    said = {"teacher": "printer", "student": "hardware"}
    believed = hear(candidate(), said, [RELIABLE, GUESSING], 0.0).belief
    assert believed is not None
    assert hear(candidate(), said, [RELIABLE, GUESSING], believed).accepted
    assert not hear(candidate(), said, [RELIABLE, GUESSING], min(1.0, believed + 0.001)).accepted


def test_when_nobody_says_anything_nothing_is_believed() -> None:
    assert hear(candidate(), {"teacher": "", "student": ""}, [RELIABLE, GUESSING], 0.0).reason == "no-second-answer"


def test_a_silent_teacher_leaves_the_word_to_the_others() -> None:
    assert hear(candidate(), {"teacher": "", "student": "printer"}, [GUESSING, RELIABLE], 0.4).belief is not None


# --- nearest seeds

TEXTS = {
    "printer": (
        "the printer is out of toner",
        "toner low on the second floor printer",
        "paper jam in the printer tray",
    ),
    "network": ("the wifi drops every hour", "no network in the meeting room", "vpn and wifi are both down"),
    "hardware": ("my laptop hinge is broken", "the laptop screen is cracked", "a key fell off my laptop keyboard"),
}
SEEDS = [
    Seed(id=f"{label}{at}", prompt=text, answer=label, choices=LABELS)
    for label, texts in TEXTS.items()
    for at, text in enumerate(texts)
]


def test_the_nearest_seeds_name_the_label_of_texts_like_them() -> None:
    near = NearestSeeds(SEEDS)
    asked = ["who fills toner into the printer", "WiFi in the meeting room is down", "laptop screen broken"]
    assert near.labels(asked) == ["printer", "network", "hardware"]
    assert near.labels(["qqq zzz"]) == [""], "nothing is anything like it"
    assert near.labels([]) == []


def test_a_seed_left_out_does_not_vote_for_itself() -> None:
    odd = Seed(id="odd", prompt="the printer is out of toner again", answer="network", choices=LABELS)
    said = NearestSeeds([*SEEDS, odd]).leave_one_out()
    assert said[-1] == "printer"
    assert len(said) == len(SEEDS) + 1


@pytest.mark.parametrize("prompts", [["???", "!!!"], ["123", "456"], ["a", "b"]])
def test_seeds_without_words_do_no_harm(prompts: list[str]) -> None:
    seeds = [Seed(id=text, prompt=text, answer="printer", choices=LABELS) for text in prompts]
    assert NearestSeeds(seeds).labels([prompts[0], "something else"])[0] == "printer"
    assert len(NearestSeeds(seeds).leave_one_out()) == 2


# --- together


def noisy(name: str, right: float, truths: Sequence[str], draw: random.Random) -> tuple[Witness, list[str]]:
    """A witness that is right so often, learned on 60 seeds, and what it says about these truths."""

    def says(truth: str) -> str:
        return truth if draw.random() < right else draw.choice([label for label in LABELS if label != truth])

    seeds = [draw.choice(LABELS) for _ in range(60)]
    return witness(name, [Report(truth=truth, said=says(truth)) for truth in seeds]), [says(truth) for truth in truths]


def test_planted_wrong_labels_are_told_better_by_all_than_by_the_best() -> None:
    draw = random.Random(5)
    truths = [draw.choice(LABELS) for _ in range(400)]
    offered = [truth if at % 2 else draw.choice([label for label in LABELS if label != truth])
               for at, truth in enumerate(truths)]  # fmt: skip
    heard = [
        noisy("teacher", 0.72, truths, draw),
        noisy("student", 0.68, truths, draw),
        noisy("seeds", 0.62, truths, draw),
    ]
    alone, together = (
        sum((belief(label, LABELS, [(one, said[at]) for one, said in group]) >= 0.5) == (label == truths[at])
            for at, label in enumerate(offered))
        for group in (heard[:1], heard)
    )  # fmt: skip
    assert together > alone + 16, "of 400 judged rightly"

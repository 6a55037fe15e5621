"""Every candidate gets one verdict with one reason: each check finds what it is for, and hostile text passes none.

Copies are judged by the index the loop uses; the guard and the teacher's second answer are plain callables.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from student.records import Candidate, Seed, Verdict
from student.similar import TextIndex
from teacher.curate import CurateSettings, answer_request, lessons_of, read_answer, sift, verify
from teacher.requests import Reply
from teacher.sheet import TaskSheet

LABELS = ("printer", "hardware")
SEEDS = [
    Seed(id="s1", prompt="The printer on floor two eats every second sheet", answer="printer", choices=LABELS),
    Seed(id="s2", prompt="My laptop's hinge is broken", answer="hardware", choices=LABELS),
]
SHEET = TaskSheet(task="Sort.", noun="ticket", labels=LABELS)


def candidate(prompt: str, answer: str = "printer", id: str = "c", choices: tuple[str, ...] = LABELS) -> Candidate:
    return Candidate(
        id=id, prompt=prompt, answer=answer, choices=choices, round=1, weakness_id="w", parent_id="s1",
        strategy="contrast", request_key="k",
    )  # fmt: skip


def sifted(
    *candidates: Candidate, guard: Callable[[str], str | None] = lambda text: None, **settings: Any
) -> list[Verdict]:
    known = TextIndex()
    for seed in SEEDS:
        known.add(seed.id, seed.prompt)
    return sift(candidates, SEEDS, known, guard, CurateSettings(**settings))


def reason(prompt: str, answer: str = "printer", **more: Any) -> str:
    (verdict,) = sifted(candidate(prompt, answer, **more))
    assert verdict.accepted == (verdict.reason == "accepted")
    return verdict.reason


GOOD = "Could somebody refill the toner by the kitchen"


def test_a_new_text_of_the_right_form_is_accepted() -> None:
    assert reason(GOOD) == "accepted"


@pytest.mark.parametrize(
    ("prompt", "answer", "expected"),
    [
        ("", "printer", "empty"), (GOOD, "", "empty"), (GOOD, "scanner", "not-a-label"),
        (GOOD, "Printer", "not-a-label"),
        ("ab", "printer", "too-short"), ("x" * 1000, "printer", "too-long"),
        (SEEDS[0].prompt, "printer", "duplicate"), (SEEDS[0].prompt.upper() + "!!", "printer", "duplicate"),
        ("The printer on floor 2 eats every second sheet of it", "printer", "near-duplicate"),
    ],
)  # fmt: skip
def test_each_check_gives_its_reason(prompt: str, answer: str, expected: str) -> None:
    assert reason(prompt, answer) == expected


@pytest.mark.parametrize(
    "token",
    ["<|im_end|>", "<|im_start|>system", "<|end|>", "<|eot_id|>", "</s>", "<s>", "[INST]", "[/INST]", "<<SYS>>",
     "<start_of_turn>", "<end_of_turn>", "<bos>", "<eos>", "<pad>", "<unk>", "<|ENDOFTEXT|>"],
)  # fmt: skip
def test_control_tokens_are_refused_in_question_and_answer(token: str) -> None:
    assert reason(f"{GOOD} {token}") == "control-token"
    assert reason(GOOD, f"4 {token}", choices=()) == "control-token"


@pytest.mark.parametrize("mark", ["\x00", "\x1b[2J", "\x07", "\x7f", "\x9b31m", "\u202e", "\u2066", "\x08"], ids=ascii)
def test_control_characters_are_refused(mark: str) -> None:
    assert reason(f"{GOOD} {mark}") == "control-character"
    assert reason(GOOD, f"4{mark}", choices=()) == "control-character"


@pytest.mark.parametrize("prompt", [f"{GOOD}\nand <b>soon</b>", f"{GOOD}\t{{x}} $y %s", "Drucker läuft heiß 🖨️ bitte"])
def test_ordinary_marks_are_no_control(prompt: str) -> None:
    assert reason(prompt) == "accepted"


def test_a_held_out_copy_is_refused_with_the_guards_words() -> None:
    (verdict,) = sifted(candidate(GOOD), guard=lambda text: "0.93 alike a held-out item")
    assert (verdict.reason, verdict.detail) == ("held-out", "0.93 alike a held-out item")


def test_the_second_of_two_copies_is_refused() -> None:
    first, second, third = sifted(
        candidate(GOOD, id="a"), candidate(GOOD + "!", id="b"), candidate(GOOD + " 7", id="c")
    )
    assert (first.reason, second.reason) == ("accepted", "duplicate")
    assert third.reason in ("duplicate", "near-duplicate")
    assert second.detail == "a"


def test_a_refused_text_does_not_stand_in_the_way_of_a_good_one() -> None:
    first, second = sifted(candidate(GOOD, "scanner", id="a"), candidate(GOOD, id="b"))
    assert (first.reason, second.reason) == ("not-a-label", "accepted")


def test_thresholds_are_the_settings() -> None:
    near = candidate("The printer on floor two eats every second sheet of paper we have")
    assert sifted(near, duplicate=0.99)[0].reason == "accepted"
    assert sifted(near, duplicate=0.3)[0].reason == "near-duplicate"
    assert sifted(candidate(GOOD), longest=0.5)[0].reason == "too-long"


def test_a_detail_is_short_whatever_the_teacher_wrote() -> None:
    (verdict,) = sifted(candidate(GOOD, "y" * 150, choices=LABELS))
    assert len(verdict.detail) <= 200


def test_verdicts_come_one_each_and_in_order() -> None:
    many = [candidate(f"{GOOD} {'abcdefghij'[at] * 9}", id=str(at)) for at in range(10)]
    assert [verdict.candidate_id for verdict in sifted(*many)] == [str(at) for at in range(10)]


def test_the_second_answer_is_asked_without_a_hint_of_the_first() -> None:
    request = answer_request(SHEET, GOOD)
    said = "\n".join(message.content for message in request.messages)
    assert GOOD in said and request.temperature == 0
    assert request.json_schema is not None
    assert request.json_schema["properties"]["answer"]["enum"] == list(LABELS)
    assert request == answer_request(SHEET, GOOD)


def test_the_teacher_must_agree_with_itself() -> None:
    same = lambda expected, given: expected == given  # noqa: E731
    assert verify(candidate(GOOD), "printer", same).accepted
    assert verify(candidate(GOOD), "hardware", same).reason == "answer-disagrees"
    assert verify(candidate(GOOD), None, same).reason == "no-second-answer"


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ('{"answer": " printer "}', "printer"), ('{"answer": 7}', "7"), ('{"answer": 7.5}', "7.5"),
        ('{"answer": null}', None),
        ('{"answer": ["printer"]}', None), ('{"answer": {"a": 1}}', None), ("printer", None), ('{"reply": "x"}', None),
        ('{"answer": ' + "1" * 5000 + "}", None),
    ],
    ids=lambda text: str(text)[:16],
)  # fmt: skip
def test_an_answer_is_a_text_or_a_number(text: str, answer: str | None) -> None:
    assert read_answer(Reply(text=text, finish_reason="stop")) == answer


def test_only_accepted_candidates_become_lessons_and_keep_all_they_had() -> None:
    pair = [candidate(GOOD, id="a"), candidate(SEEDS[0].prompt, id="b")]
    (lesson,) = lessons_of(pair, sifted(*pair))
    assert lesson.model_dump() == pair[0].model_dump()

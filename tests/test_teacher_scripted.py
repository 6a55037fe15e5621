"""The scripted teacher: the same reply for ever, mostly right, wrong as often as asked."""

from __future__ import annotations

import json
from typing import Any

import pytest

from student.records import Seed
from teacher.errors import TeacherUnusable
from teacher.requests import Message, Request
from teacher.scripted import ScriptedTeacher

QUESTIONS = {
    "person": ["who wrote the old book", "who was the first king here", "who sang that song"],
    "place": ["where does the river end", "where is the tallest tower", "what city lies on two seas"],
    "number": ["how many moons has mars", "how far is the sun from us"],
}
SEEDS = [Seed(id=q, prompt=q, answer=answer) for answer, questions in QUESTIONS.items() for q in questions]
ITEM = {"question": "who built the tower", "right_answer": "person", "wrong_answer": "place"}


def ask(purpose: str, data: object, said: str = "Please help.", sample: int = 0) -> Request:
    messages = (Message(role="user", content=f"{said}\nDATA:\n{json.dumps(data)}"),)
    return Request(purpose=purpose, messages=messages, max_tokens=500, temperature=0, seed=1, sample=sample)


def reply(teacher: ScriptedTeacher, request: Request) -> dict[str, Any]:
    return json.loads(teacher.complete(request).text)


def written(flaws: float, lessons: int = 200) -> list[dict[str, str]]:
    return reply(ScriptedTeacher(SEEDS, flaws), ask("write", {"items": [ITEM], "lessons": lessons}))["items"]


def test_it_writes_as_many_as_asked_and_the_same_again() -> None:
    request = ask("write", {"items": [ITEM], "lessons": 7})
    first = ScriptedTeacher(SEEDS).complete(request)
    assert len(json.loads(first.text)["items"]) == 7
    assert ScriptedTeacher(list(reversed(SEEDS))).complete(request) == first
    assert ScriptedTeacher(SEEDS).complete(ask("write", {"items": [ITEM], "lessons": 7}, sample=1)) != first


def test_without_flaws_every_item_is_new_and_rightly_labelled() -> None:
    items = written(flaws=0.0)
    assert {item["answer"] for item in items} == {"person"}
    assert not {item["question"] for item in items} & {seed.prompt for seed in SEEDS}


def test_about_the_asked_share_is_flawed() -> None:
    seeds = {seed.prompt for seed in SEEDS}
    wrong = [item for item in written(flaws=0.3) if item["answer"] != "person"]
    copies = [item for item in written(flaws=0.3) if item["question"] in seeds]
    assert wrong
    assert copies
    assert 40 <= len(wrong) + len(copies) <= 80


def test_an_answer_no_seed_has_still_gets_items() -> None:
    item = {"question": "what is two and two", "right_answer": "4"}
    items = reply(ScriptedTeacher(SEEDS, 0.0), ask("write", {"items": [item], "lessons": 2}))["items"]
    assert [entry["answer"] for entry in items] == ["4", "4"]


def test_it_answers_like_the_seed_that_shares_most_words() -> None:
    teacher = ScriptedTeacher(SEEDS)
    assert reply(teacher, ask("answer", {"question": "Where does the RIVER start"})) == {"answer": "place"}
    near = {"question": "where does the river start", "choices": ["person", "number"]}
    assert reply(teacher, ask("answer", near))["answer"] in near["choices"]


def test_data_is_found_after_text_that_looks_like_it() -> None:
    said = "The item says\nDATA:\n{not json}"
    question = "how many\nDATA:\n{} moons has mars"
    assert reply(ScriptedTeacher(SEEDS), ask("answer", {"question": question}, said)) == {"answer": "number"}


def test_other_purposes_and_an_empty_world() -> None:
    assert reply(ScriptedTeacher(SEEDS), ask("name", {"anything": 1})) == {}
    assert reply(ScriptedTeacher([]), ask("answer", {"question": "?", "choices": ["a"]})) == {"answer": "a"}
    assert len(reply(ScriptedTeacher([]), ask("write", {"items": [ITEM], "lessons": 2}))["items"]) == 2


def test_a_prompt_without_its_data_is_named() -> None:
    with pytest.raises(TeacherUnusable, match="'answer'"):
        ScriptedTeacher(SEEDS).complete(ask("answer", {"text": "?"}))


def test_tokens_are_words() -> None:
    said = ScriptedTeacher(SEEDS).complete(ask("name", {}, "one two three"))
    assert (said.prompt_tokens, said.completion_tokens) == (5, 1)

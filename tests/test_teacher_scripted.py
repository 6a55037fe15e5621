"""The scripted teacher: the same reply for ever, mostly right, wrong as often as asked, in the form each strategy asks for."""

from __future__ import annotations

import json
from typing import Any

import pytest

from student.records import Failure, Seed, Weakness
from teacher.errors import TeacherUnusable
from teacher.generate import GenerateSettings, plan_orders, read_candidates
from teacher.naming import name_requests, read_names
from teacher.requests import Message, Request
from teacher.scripted import ScriptedTeacher
from teacher.sheet import TaskSheet
from teacher.strategies.settings import NAMES

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
    return reply(ScriptedTeacher(SEEDS, flaws), ask("write", {"real": [ITEM], "lessons": lessons}))["items"]


def test_it_writes_as_many_as_asked_and_the_same_again() -> None:
    request = ask("write", {"real": [ITEM], "lessons": 7})
    first = ScriptedTeacher(SEEDS).complete(request)
    assert len(json.loads(first.text)["items"]) == 7
    assert ScriptedTeacher(list(reversed(SEEDS))).complete(request) == first
    assert ScriptedTeacher(SEEDS).complete(ask("write", {"real": [ITEM], "lessons": 7}, sample=1)) != first


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


def labelled(flaws: float) -> list[str]:
    """Texts for a given label, as a request with fixed labels asks for them."""
    data = {"real": [ITEM], "answer": "place", "lessons": 200}
    rows = reply(ScriptedTeacher(SEEDS, flaws), ask("write", data))["items"]
    assert {row["answer"] for row in rows} == {"place"}
    return [row["question"] for row in rows]


def test_where_the_answer_is_given_the_text_is_of_that_label_and_a_flaw_is_a_text_of_another() -> None:
    words = {
        label: {word for question in questions for word in question.split()} for label, questions in QUESTIONS.items()
    }
    assert all(set(text.split()) <= words["place"] for text in labelled(0.0))
    strange = [text for text in labelled(0.3) if not set(text.split()) <= words["place"]]
    copies = [text for text in labelled(0.3) if text in QUESTIONS["place"]]
    assert strange and copies and 30 <= len(strange) + len(copies) <= 90


LABELLED = TaskSheet(task="Sort.", noun="question", labels=tuple(QUESTIONS))
OPEN = TaskSheet(task="Answer.", noun="question")
OWN = TaskSheet(task="Choose.", noun="question", own_choices=True)


@pytest.mark.parametrize(
    ("sheet", "name"),
    [(sheet, name) for sheet in (LABELLED, OPEN, OWN) for name in NAMES if name not in ("rephrase", "taxonomy")
     and (name != "errors" or sheet is OPEN)],
)  # fmt: skip
def test_it_serves_every_strategy(sheet: TaskSheet, name: str) -> None:
    choices = {LABELLED.task: tuple(QUESTIONS), OPEN.task: (), OWN.task: ("{}", "other {}")}[sheet.task]
    seeds = [
        seed.model_copy(update={"choices": tuple(one.format(seed.answer) for one in choices), "skill": seed.answer})
        for seed in SEEDS
    ]
    failures = tuple(Failure(seed=one, wrong_answer="place") for one in seeds if one.answer == "person")
    weakness = Weakness(id="001-01", name="w", failures=failures, lessons=12)
    orders = plan_orders(sheet, [weakness], GenerateSettings(mix={name: 1}), 1, 0, seeds)
    teacher = ScriptedTeacher(seeds, 0.0)
    found = [one for order in orders for one in read_candidates(order, teacher.complete(order.request), "k", 1)]
    assert len(found) == 12
    assert all(one.prompt and one.answer and (one.answer in one.choices) == bool(choices) for one in found)
    if name != "errors":
        answers = [answer for order in orders for answer in order.want.answers]
        assert [one.answer for one in found] == answers or sheet is not LABELLED


def test_it_names_what_failures_lack() -> None:
    seeds = [seed.model_copy(update={"skill": f"{seed.answer} questions"}) for seed in SEEDS]
    failures = [Failure(seed=one, wrong_answer="?") for one in seeds[:4]]
    (request,) = name_requests(OPEN, failures)
    found = read_names(failures, ScriptedTeacher(seeds).complete(request))
    assert [found[one.id].skill for one in seeds[:4]] == [one.skill for one in seeds[:4]]
    unskilled = ScriptedTeacher(SEEDS).complete(request)
    assert read_names(failures, unskilled)[SEEDS[0].id].skill == "who wrote"


def test_an_answer_no_seed_has_still_gets_items() -> None:
    item = {"question": "what is two and two", "right_answer": "4"}
    items = reply(ScriptedTeacher(SEEDS, 0.0), ask("write", {"real": [item], "lessons": 2}))["items"]
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
    assert len(reply(ScriptedTeacher([]), ask("write", {"real": [ITEM], "lessons": 2}))["items"]) == 2


def test_a_prompt_without_its_data_is_named() -> None:
    with pytest.raises(TeacherUnusable, match="'answer'"):
        ScriptedTeacher(SEEDS).complete(ask("answer", {"text": "?"}))


def test_tokens_are_words() -> None:
    said = ScriptedTeacher(SEEDS).complete(ask("name", {}, "one two three"))
    assert (said.prompt_tokens, said.completion_tokens) == (5, 1)

"""Which candidates say what something else says: by places in meaning, by answers, by numbers, and by how near seeds come.

Places are scripted here, two numbers a text; real ones are the matter of `test_student_meaning.py`, and a whole run with the tiny
student of `test_loops_judging.py`.
"""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from loops import meanings
from loops.meanings import said_alike
from loops.settings import CurateSettings
from loops.state import State
from student.nearness import Space
from student.records import Candidate, Lesson, Seed

LABELS = ("printer", "hardware")
AROUND = [f"{'abcdefghijklmnopqrstuvwxyz'[at] * 7}" for at in range(24)]
"""Texts that have nothing in common."""


class Places:
    """A student that sees each text at an angle, in degrees; and what it was asked."""

    def __init__(self, angles: dict[str, float]) -> None:
        self.angles, self.asked = angles, list[list[str]]()

    def embed(self, texts: list[str], around: list[str], on: Any) -> Any:
        assert len(around) >= 20 and around[0] == next(iter(self.angles)), "the seeds say which words are rare"
        self.asked.append(list(texts))
        on({"done": len(texts), "total": len(texts)})
        turned = [math.radians(self.angles[text]) for text in texts]
        return np.array([[math.cos(one), math.sin(one)] for one in turned], np.float32)


@pytest.fixture(autouse=True)
def seen_from_the_origin(monkeypatch: pytest.MonkeyPatch) -> None:
    """Angles stay what they are: the middle of a few scripted places says nothing."""
    monkeypatch.setattr(Space, "place", lambda self, vectors: vectors)


def seeds_of(answers: tuple[str, ...] = LABELS, choices: tuple[str, ...] = LABELS) -> list[Seed]:
    return [Seed(id=f"s{at}", prompt=text, answer=answers[at % len(answers)], choices=choices)
            for at, text in enumerate(AROUND)]  # fmt: skip


def written(name: str, prompt: str, answer: str = "printer", choices: tuple[str, ...] = LABELS, round: int = 2) -> Candidate:
    return Candidate(id=name, prompt=prompt, answer=answer, choices=choices, round=round, weakness_id="w", parent_id="s0",
                     strategy="skill", request_key="k")  # fmt: skip


def alike(
    candidates: list[Candidate], angles: dict[str, float], earlier: list[Lesson] | None = None, numbers: Any = "fold",
    **more: Any,
) -> tuple[dict[str, list[str]], Any]:  # fmt: skip
    """The names of what says the same as each candidate, and the crew."""
    seeds = more.pop("seeds", seeds_of())
    settings = SimpleNamespace(curate=CurateSettings(**{"meaning": math.cos(math.radians(5)), **more}))
    around = {seed.prompt: 15.0 * at for at, seed in enumerate(seeds)}
    told: list[tuple[str, dict[str, Any]]] = []
    crew: Any = SimpleNamespace(settings=settings, evals=SimpleNamespace(seeds=tuple(seeds)), student=Places(around | angles),
                                emit=lambda name, **fields: told.append((name, fields)), told=told)  # fmt: skip
    found = said_alike(crew, State(round=2), candidates, earlier or [], numbers)
    return {name: [other for other, _ in others] for name, others in found.items()}, crew


def test_a_candidate_is_held_against_seeds_lessons_and_other_candidates() -> None:
    old = Lesson(**written("old", "learned already", round=1).model_dump())
    one, two, far = written("one", "said so"), written("two", "put like that"), written("far", "elsewhere")
    angles = {"learned already": 8, "said so": 4, "put like that": 7, "elsewhere": 22}
    found, crew = alike([one, two, far], angles, [old])
    assert found == {"one": ["two", "s0", "old"], "two": ["old", "one"]}
    assert crew.student.asked == [AROUND, ["learned already"], ["said so", "put like that", "elsewhere"]]
    assert [name for name, _ in crew.told] == ["verb.progress"] * 3


def test_another_answer_is_another_question() -> None:
    found, _ = alike([written("one", "near the first seed", "hardware")], {"near the first seed": 1})
    assert found == {}
    open_seeds = [seed.model_copy(update={"choices": ()}) for seed in seeds_of()]
    one = written("one", "near the first seed", "hardware", ())
    assert alike([one], {"near the first seed": 1}, seeds=open_seeds)[0] == {"one": ["s0"]}, "written answers vary"


@pytest.mark.parametrize(
    ("prompt", "answer", "same"),
    [("7 mangoes and 5 pears are", "12", True), ("of pears 5, of mangoes 7", "12.", False),
     ("7 mangoes and 5 pears are", "12", True), ("8 mangoes and 4 pears are", "12", False),
     ("7 mangoes and 5 pears make", "2", False), ("of pears 1,000 and of mangoes", "1,000", False)],
)  # fmt: skip
def test_where_answers_are_numbers_the_numbers_count(prompt: str, answer: str, same: bool) -> None:
    seeds = [Seed(id=f"s{at}", prompt=f"{text} {at}", answer=str(at)) for at, text in enumerate(AROUND)]
    seeds[0] = Seed(id="s0", prompt="what are 5 pears and 7 mangoes", answer="12")
    found, _ = alike([written("one", prompt, answer, ())], {prompt: 1}, seeds=seeds, numbers="keep")
    assert found == ({"one": ["s0"]} if same else {})


def test_seeds_that_come_near_one_another_let_candidates_come_as_near() -> None:
    angles = {"not so near": -4.0, "nearer than that": -2.5}
    pair = [written("one", "not so near"), written("two", "nearer than that")]
    assert alike(pair, angles)[0] == {"one": ["two", "s0"], "two": ["one", "s0"]}
    assert alike(pair, angles | {AROUND[2]: 3.0})[0] == {"one": ["two"], "two": ["one", "s0"]}


def test_seeds_that_are_spelt_alike_are_no_measure() -> None:
    seeds = seeds_of()
    seeds[2] = seeds[2].model_copy(update={"prompt": AROUND[0] + "a"})
    angles = {AROUND[0] + "a": 1.0, "not so near": 4}
    assert alike([written("one", "not so near")], angles, seeds=seeds)[0] == {"one": ["s2", "s0"]}


def test_nobody_is_asked_where_there_is_nothing_to_tell() -> None:
    one = written("one", "near the first seed")
    for more in ({"meaning": None}, {"seeds": seeds_of()[:19]}):
        found, crew = alike([one], {"near the first seed": 0}, **more)
        assert (found, crew.student.asked) == ({}, [])
        assert len(crew.told) == ("seeds" in more)
    assert "fewer than 20 seeds" in crew.told[0][1]["text"]
    assert alike([], {})[1].student.asked == []


def test_too_many_texts_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meanings, "MOST", 24)
    found, crew = alike([written("one", "near the first seed")], {"near the first seed": 0})
    assert (found, crew.student.asked) == ({}, [])
    assert crew.told == [("note", {"text": "with more than 24 texts lessons are compared by their letters, not by what they say"})]


def test_what_is_read_once_is_read_in_the_same_lots_again() -> None:
    def old(name: str, round: int) -> Lesson:
        return Lesson(**written(name, name, round=round).model_dump())

    one, angles = written("one", "one"), dict.fromkeys(["a", "b", "c", "one"], 100.0)
    first = alike([one], angles, [old("a", 1), old("b", 1)])[1].student.asked
    second = alike([one], angles, [old("a", 1), old("b", 1), old("c", 2)])[1].student.asked
    assert first == [AROUND, ["a", "b"], ["one"]]
    assert second == [AROUND, ["a", "b"], ["c"], ["one"]]

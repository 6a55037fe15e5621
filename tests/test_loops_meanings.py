"""Which candidates say what something else says: by places in meaning, by answers, by numbers, and by how near seeds come.

Places are scripted, two numbers a text, but for the last test: that is a whole run with the tiny student. See also
`test_student_meaning.py`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import yaml
from dry_run import ERRANDS, command_line, words

from loops import meanings
from loops.meanings import said_alike
from loops.settings import CurateSettings
from loops.state import State
from student.evals.load import load_evals
from student.nearness import Space, Spelling
from student.records import Candidate, Lesson, Seed, Verdict, read_records

LABELS = ("printer", "hardware")
AROUND = [f"{'abcdefghijklmnopqrstuvwxyz'[at % 26] * 7}{'klmn'[at // 26] * 7}" for at in range(54)]
"""Texts that have nothing in common."""
LETTERS = 0.5
"""How near all texts are in their letters here."""


class Places:
    """A student that sees each text at an angle, in degrees; and what it was asked."""

    def __init__(self, angles: dict[str, float]) -> None:
        self.angles, self.asked = angles, list[list[str]]()

    def embed(self, texts: list[str], around: list[str], on: Any) -> Any:
        assert len(around) >= 50 and around[0] == next(iter(self.angles)), "the seeds say which words are rare"
        self.asked.append(list(texts))
        on({"done": len(texts), "total": len(texts)})
        turned = [math.radians(self.angles[text]) for text in texts]
        return np.array([[math.cos(one), math.sin(one)] for one in turned], np.float32)


@pytest.fixture(autouse=True)
def seen_from_the_origin(monkeypatch: pytest.MonkeyPatch) -> None:
    """Angles stay what they are: the middle of a few scripted places says nothing, and letters say the same of all."""
    monkeypatch.setattr(Space, "place", lambda self, vectors: vectors)
    monkeypatch.setattr(Spelling, "nearness", lambda self, left, right: LETTERS)


def seeds_of(answers: tuple[str, ...] = LABELS, choices: tuple[str, ...] = LABELS) -> list[Seed]:
    return [Seed(id=f"s{at}", prompt=text, answer=answers[at % len(answers)], choices=choices)
            for at, text in enumerate(AROUND)]  # fmt: skip


def written(
    name: str, prompt: str, answer: str = "printer", choices: tuple[str, ...] = LABELS, round: int = 2
) -> Candidate:
    return Candidate(id=name, prompt=prompt, answer=answer, choices=choices, round=round, weakness_id="w", parent_id="s0",
                     strategy="skill", request_key="k")  # fmt: skip


def alike(
    candidates: list[Candidate], angles: Mapping[str, float], earlier: list[Lesson] | None = None, numbers: Any = "fold",
    **more: Any,
) -> tuple[dict[str, list[str]], Any]:  # fmt: skip
    """The names of what says the same as each candidate, and the crew."""
    seeds = more.pop("seeds", seeds_of())
    settings = SimpleNamespace(
        curate=CurateSettings.model_validate({"meaning": (LETTERS + math.cos(math.radians(5))) / 2, **more})
    )
    around = {seed.prompt: 360 / 54 * at for at, seed in enumerate(seeds)}
    told: list[tuple[str, dict[str, Any]]] = []
    crew: Any = SimpleNamespace(settings=settings, evals=SimpleNamespace(seeds=tuple(seeds)), student=Places({**around, **angles}),
                                emit=lambda name, **fields: told.append((name, fields)), told=told)  # fmt: skip
    found = said_alike(crew, State(round=2), candidates, earlier or [], numbers)
    return {name: [other for other, _ in others] for name, others in found.items()}, crew


def test_a_candidate_is_held_against_seeds_lessons_and_other_candidates() -> None:
    old = Lesson(**written("old", "learned already", round=1).model_dump())
    one, two, far = written("one", "said so"), written("two", "put like that"), written("far", "elsewhere")
    angles = {"learned already": 8, "said so": 4, "put like that": 7, "elsewhere": 20}
    found, crew = alike([one, two, far], angles, [old])
    assert found == {"one": ["two", "s0", "old"], "two": ["old", "one"]}
    assert crew.student.asked == [AROUND, ["learned already"], ["said so", "put like that", "elsewhere"]]
    assert [name for name, _ in crew.told] == ["verb.progress"] * 3


def test_what_is_spelt_quite_otherwise_has_to_say_the_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Spelling, "nearness", lambda self, left, right: LETTERS - 0.01 * (right % 2 == 0))
    assert alike([written("one", "as near as that")], {"as near as that": 4.9})[0] == {}
    assert alike([written("one", "nearer still")], {"nearer still": 0.1})[0] == {}
    assert alike([written("one", "nearer still", "hardware")], {"nearer still": 6.6})[0] == {"one": ["s1"]}


def test_another_answer_is_another_question() -> None:
    found, _ = alike([written("one", "near the first seed", "hardware")], {"near the first seed": 1})
    assert found == {}
    open_seeds = [seed.model_copy(update={"choices": ()}) for seed in seeds_of()]
    one = written("one", "near the first seed", "hardware", ())
    assert alike([one], {"near the first seed": 1}, seeds=open_seeds)[0] == {"one": ["s0"]}, "written answers vary"


@pytest.mark.parametrize(
    ("prompt", "answer", "same"),
    [("7 mangoes and 5 pears are", "12", True), ("of pears 5, of mangoes 7", "12.", False),
     ("8 mangoes and 4 pears are", "12", False),
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
    off = alike([one], {"near the first seed": 0}, meaning=None)
    few = alike([one], {"near the first seed": 0}, seeds=seeds_of()[:49])
    for found, crew in (off, few):
        assert (found, crew.student.asked) == ({}, [])
    assert off[1].told == []
    ((_, told),) = few[1].told
    assert "fewer than 50 seeds" in told["text"]
    assert alike([], {})[1].student.asked == []


def test_too_many_texts_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meanings, "MOST", 54)
    found, crew = alike([written("one", "near the first seed")], {"near the first seed": 0})
    assert (found, crew.student.asked) == ({}, [])
    assert crew.told == [
        ("note", {"text": "with more than 54 texts lessons are compared by their letters, not by what they say"})
    ]


def test_what_is_read_once_is_read_in_the_same_lots_again() -> None:
    def old(name: str, round: int) -> Lesson:
        return Lesson(**written(name, name, round=round).model_dump())

    one, angles = written("one", "one"), dict.fromkeys(["a", "b", "c", "one"], 100.0)
    first = alike([one], angles, [old("a", 1), old("b", 1)])[1].student.asked
    second = alike([one], angles, [old("a", 1), old("b", 1), old("c", 2)])[1].student.asked
    assert first == [AROUND, ["a", "b"], ["one"]]
    assert second == [AROUND, ["a", "b"], ["c"], ["one"]]


def test_a_lesson_is_dropped_for_what_it_says_and_show_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A whole run with the tiny student, whose teacher makes lessons out of halves of seeds."""
    monkeypatch.undo()
    about = yaml.safe_load(ERRANDS.read_text())
    about |= {"source": str(ERRANDS.parent / about["source"]), "splits": {"mine": 52, "select": 6}}
    evals = tmp_path / "evals.yaml"
    evals.write_text(yaml.safe_dump(about, sort_keys=False))
    sets = {"curate.verify": "false", "train.min_steps": "2", "generate.lessons": "24"}
    arguments = words("run", "--ui", "quiet", "--name", "errands", runs=tmp_path, **sets)
    assert command_line([str(evals) if word == str(ERRANDS) else word for word in arguments]) == 0
    place = tmp_path / "errands-1" / "rounds" / "001"
    verdicts = read_records(place / "verdicts.jsonl", Verdict)
    candidates = {one.id: one for one in read_records(place / "candidates.jsonl", Candidate)}
    taken: dict[str, Any] = {one.id: one for one in load_evals(str(evals)).seeds}
    taken |= {one.candidate_id: candidates[one.candidate_id] for one in verdicts if one.accepted}
    dropped = [one for one in verdicts if one.detail.startswith("says the same as ")]
    assert dropped
    for one in dropped:
        assert one.reason == "near-duplicate"
        other = taken[one.detail.removeprefix("says the same as ").split()[0]]
        assert other.answer == candidates[one.candidate_id].answer
    capsys.readouterr()
    assert command_line(["show", "errands", "--rejected", "--runs", str(tmp_path)]) == 0
    assert "says the same as " in capsys.readouterr().out

"""A teacher without a model: writes items from the seeds it was given, and answers from them, the same way every time.

For dry runs (`teacher: scripted`) and fast tests of everything around a teacher. Nothing but the request decides a
reply: no clock, no random numbers, only hashes. About `flaws` of what it writes is mislabelled or copied from a seed,
so that curation has something to find.

A prompt for it carries its data as JSON: in the last user message, after a line `DATA:`, to the end of the message.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar, cast

from pydantic import AliasChoices, BaseModel, Field, ValidationError

from student.records import Seed
from teacher.errors import TeacherUnusable
from teacher.requests import Reply, Request

T = TypeVar("T")


class _Failure(BaseModel):
    question: str
    right_answer: str = Field(validation_alias=AliasChoices("right_answer", "correct"))
    wrong_answer: str = ""
    choices: list[str] = []


class _Error(BaseModel):
    error: str = ""


class _WriteData(BaseModel):
    real: list[_Failure] = []
    answer: str = ""
    write: list[_Error] = []
    lessons: int = 0


class _Mistake(BaseModel):
    question: str
    right_answer: str = ""


class _NameData(BaseModel):
    mistakes: list[_Mistake] = []


class _AnswerData(BaseModel):
    question: str
    choices: list[str] | None = None


class ScriptedTeacher:
    """A `Backend` that knows the seeds by heart and nothing else."""

    served_by = "scripted"
    slots = 1  # it never waits, so asking at once would gain nothing and shuffle the events

    def __init__(self, seeds: Sequence[Seed], flaws: float = 0.1) -> None:
        """`flaws`: the share (0 to 1) of written items that are wrong on purpose."""
        self.seeds = sorted(seeds, key=lambda seed: seed.id)
        self.flaws = flaws
        self._words = [_words(seed.prompt) for seed in self.seeds]

    def complete(self, request: Request) -> Reply:
        """Raises TeacherUnusable where the prompt does not carry the data its purpose needs."""
        data, written = _data(request), {}
        try:
            if request.purpose == "write":
                asked = _WriteData.model_validate(data)
                written = self._write(asked, _fields(request), request.key(self.served_by))
            elif request.purpose == "name":
                written = self._name(_NameData.model_validate(data))
            elif request.purpose == "answer":
                written = self._answer(_AnswerData.model_validate(data))
        except ValidationError as error:
            raise TeacherUnusable(
                f"The scripted teacher cannot read the data of a {request.purpose!r} request: {error}. Its prompt must "
                "end with a line DATA: and a JSON object."
            ) from None
        text = json.dumps(written, ensure_ascii=False)
        return Reply(
            text=text,
            finish_reason="stop",
            prompt_tokens=sum(len(message.content.split()) for message in request.messages),
            completion_tokens=len(text.split()),
        )

    def _write(self, data: _WriteData, fields: tuple[str, ...], key: str) -> dict[str, object]:
        if not data.real and data.answer:  # `style` shows real items in its earlier messages only
            known = [seed.prompt for seed in self.seeds if seed.answer == data.answer] or [data.answer]
            data = data.model_copy(update={"real": [_Failure(question=one, right_answer=data.answer) for one in known]})
        if not data.real:
            return {"items": []}
        rows = [self._item(data, f"{key}/{position}") for position in range(data.lessons)]
        return {"items": [_in_form(row, fields, f"{key}/{at}") for at, row in enumerate(rows)]}

    def _item(self, data: _WriteData, name: str) -> dict[str, str]:
        """Halves of two seeds that share the right answer; the failure itself stands in where there are no such two."""
        failure = _pick(data.real, name, "failure")
        right = data.answer or failure.right_answer
        flawed, copied = _fraction(name, "flawed") < self.flaws, _fraction(name, "kind") < 0.5
        labels = sorted({seed.answer for seed in self.seeds} - {right})
        # Where the answer is given a wrong label is a text of another label.
        meant = _pick(labels, name, "label") if data.answer and flawed and not copied and labels else right
        alike = [seed.prompt for seed in self.seeds if seed.answer == meant] or [failure.question]
        first = _pick(alike, name, "first")
        others = [prompt for prompt in alike if prompt != first]
        others = others or [seed.prompt for seed in self.seeds if seed.prompt != first] or [first]
        question = _joined(first, _pick(others, name, "second"))
        if not flawed or data.answer:
            return {"question": first if flawed and copied else question, "answer": right}
        if copied:
            return {"question": first, "answer": right}
        return {"question": question, "answer": self._wrong_label(failure, name)}

    def _wrong_label(self, failure: _Failure, name: str) -> str:
        others = sorted({seed.answer for seed in self.seeds} - {failure.right_answer})
        return failure.wrong_answer or (_pick(others, name, "label") if others else failure.right_answer)

    def _name(self, data: _NameData) -> dict[str, object]:
        """What is missing is what the seed's skill is, or its answer, or its first words."""
        if not data.mistakes:
            return {}
        skills = {seed.prompt: seed.skill for seed in self.seeds}
        rows = [
            {"skill": skills.get(one.question) or " ".join(one.question.split()[:2]) or "anything",
             "wrong_move": f"does not say {one.right_answer}"}
            for one in data.mistakes
        ]  # fmt: skip
        return {"mistakes": rows}

    def _answer(self, data: _AnswerData) -> dict[str, object]:
        """The answer of the seed that shares most words with the question; the smallest id wins a tie."""
        asked, best, most = _words(data.question), "", -1.0
        for seed, words in zip(self.seeds, self._words, strict=True):
            if data.choices and seed.answer not in data.choices:
                continue
            overlap = len(asked & words) / max(1, len(asked | words))
            if overlap > most:
                best, most = seed.answer, overlap
        return {"answer": best or (data.choices[0] if data.choices else "")}


def _fields(request: Request) -> tuple[str, ...]:
    """What an item of the reply consists of by the request's schema; nothing for a plain text or without a schema."""
    found: Any = (request.json_schema or {}).get("properties", {}).get("items", {}).get("items", {})
    return tuple(found.get("properties", {})) or (("text",) if found else ())


def _in_form(row: dict[str, str], fields: tuple[str, ...], name: str) -> object:
    """An item as the schema has it."""
    if fields == ("text",):
        return row["question"]
    if "correct" in fields:
        return {"correct": row["answer"], "question": _broken(row["answer"])}
    if "wrong_choices" in fields:
        return {**row, "wrong_choices": [f"{row['answer']} {word}" for word in ("not", "or so")]}
    return row


def _broken(text: str) -> str:
    """The text with its last two words swapped; of a single word, with its last letter doubled."""
    *before, last = text.split() or [""]
    return " ".join([*before[:-1], last, *before[-1:]]) if before and before[-1] != last else f"{text}{text[-1:]}"


def _data(request: Request) -> Mapping[str, object]:
    """The JSON object after the last line `DATA:`; JSON holds no bare line break, so the data cannot hold that line."""
    said = next((message.content for message in reversed(request.messages) if message.role == "user"), "")
    _, _, tail = f"\n{said}".rpartition("\nDATA:\n")
    try:
        data: object = json.loads(tail)
    except ValueError:
        return {}
    return cast("Mapping[str, object]", data) if isinstance(data, dict) else {}


def _joined(first: str, second: str) -> str:
    start, end = first.split(), second.split()
    return " ".join(start[: (len(start) + 1) // 2] + end[len(end) // 2 :])


def _words(text: str) -> frozenset[str]:
    return frozenset(text.lower().split())


def _fraction(*parts: str) -> float:
    """A number from 0 up to 1 that depends on nothing but the parts."""
    return int.from_bytes(hashlib.sha256("\x1f".join(parts).encode()).digest()[:6]) / 2**48


def _pick(options: Sequence[T], *parts: str) -> T:
    return options[int(_fraction(*parts) * len(options))]

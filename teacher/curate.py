"""Decide which candidates become lessons. Every candidate gets one verdict with one counted reason.

Cheap checks come first, so the teacher is only asked about what could still be accepted: form, control tokens, length,
copies of seeds, of earlier lessons and of one another, the held-out guard. Then the teacher answers each survivor
without seeing the intended answer, and must agree. Copies and the guard are asked through plain callables: this room
holds no held-out text and no index of its own.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from pydantic import Field

from student.records import Candidate, Lesson, Record, Seed, Verdict
from teacher.prompts import conversation, template
from teacher.replies import read_object
from teacher.requests import Reply, Request
from teacher.sheet import TaskSheet

_TOKEN = re.compile(
    r"<\|[^|>]{0,60}\|>|</?s>|\[/?INST\]|<<?/?SYS>>?|<(?:start|end)_of_turn>|<(?:bos|eos|pad|unk)>", re.IGNORECASE
)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


class CurateSettings(Record):
    """How hard candidates are sifted."""

    duplicate: float = Field(default=0.6, gt=0, le=1)
    """Character 4-gram overlap with a seed, a lesson or another candidate from which a candidate is a copy."""
    longest: float = Field(default=3.0, gt=0)
    """A candidate longer than this many times the longest seed, in characters, is dropped."""
    verify: bool = True
    """Whether the teacher must give the same answer when asked afresh."""


class Known(Protocol):
    """An index of texts that are taken."""

    def nearest(self, text: str) -> tuple[str, float]: ...

    def add(self, name: str, text: str) -> None: ...


Guard = Callable[[str], str | None]
"""Told a text; returns why it is too close to a held-out item, or None."""
Same = Callable[[str, str], bool]
"""Told the intended answer and another; whether they are the same answer."""


def sift(
    candidates: Sequence[Candidate], seeds: Sequence[Seed], known: Known, guard: Guard, settings: CurateSettings
) -> list[Verdict]:
    """Verdicts of the checks that need no teacher; survivors are marked accepted for now and added to `known`."""
    limit = settings.longest * max((len(seed.prompt) for seed in seeds), default=1000)
    typical = statistics.median(len(seed.answer) for seed in seeds) if seeds else 100
    checks = (
        _form,
        lambda one: _length(one, limit, max(200, 10 * typical)),
        lambda one: _copy(one, known, settings.duplicate),
        lambda one: _guarded(one, guard),
    )
    verdicts: list[Verdict] = []
    for candidate in candidates:
        verdict = next((found for check in checks if (found := check(candidate))), None) or _accept(candidate)
        if verdict.accepted:
            known.add(candidate.id, candidate.prompt)
        verdicts.append(verdict)
    return verdicts


def _accept(candidate: Candidate) -> Verdict:
    return Verdict(candidate_id=candidate.id, accepted=True, reason="accepted")


def _reject(candidate: Candidate, reason: str, detail: str = "") -> Verdict:
    return Verdict(candidate_id=candidate.id, accepted=False, reason=reason, detail=detail[:200])


def _form(candidate: Candidate) -> Verdict | None:
    if not candidate.prompt or not candidate.answer:
        return _reject(candidate, "empty")
    for text in (candidate.prompt, candidate.answer):
        if found := _TOKEN.search(text):
            return _reject(candidate, "control-token", found.group())
        if _CONTROL.search(text):
            return _reject(candidate, "control-character")
    if candidate.choices and candidate.answer not in candidate.choices:
        return _reject(candidate, "not-a-label", candidate.answer)
    return None


def _length(candidate: Candidate, prompt_limit: float, answer_limit: float) -> Verdict | None:
    if len(candidate.prompt) > prompt_limit or len(candidate.answer) > answer_limit:
        return _reject(candidate, "too-long", f"{len(candidate.prompt)} + {len(candidate.answer)} characters")
    return _reject(candidate, "too-short", candidate.prompt) if len(candidate.prompt) < 4 else None


def _copy(candidate: Candidate, known: Known, threshold: float) -> Verdict | None:
    name, similarity = known.nearest(candidate.prompt)
    if similarity >= 1:
        return _reject(candidate, "duplicate", name)
    return _reject(candidate, "near-duplicate", f"{similarity:.2f} alike {name}") if similarity >= threshold else None


def _guarded(candidate: Candidate, guard: Guard) -> Verdict | None:
    why = guard(candidate.prompt)
    return _reject(candidate, "held-out", why) if why else None


def answer_request(sheet: TaskSheet, question: str) -> Request:
    """Ask the teacher one question of the task, without any hint of the intended answer."""
    answer: dict[str, Any] = {"type": "string", "enum": list(sheet.labels)} if sheet.labels else {"type": "string"}
    data = {"question": question}
    how = f"Answer this {sheet.noun}" + (f" with one of: {', '.join(sheet.labels)}." if sheet.labels else ".")
    return Request(
        purpose="answer",
        messages=conversation(template("answer", task=sheet.task), how, data),
        json_schema={
            "type": "object",
            "properties": {"answer": answer},
            "required": ["answer"],
            "additionalProperties": False,
        },
        max_tokens=40 if sheet.labels else sheet.answer_tokens,
        temperature=0.0,
        seed=0,
    )


def read_answer(reply: Reply) -> str | None:
    """The answer in a reply; None when there is none."""
    value = read_object(reply.text)
    answer = value.get("answer") if value else None
    return str(answer).strip() if isinstance(answer, str | int | float) else None


def verify(candidate: Candidate, answer: str | None, same: Same) -> Verdict:
    """The last check: did the teacher, asked afresh, give the intended answer?"""
    if answer is None:
        return _reject(candidate, "no-second-answer")
    if not same(candidate.answer, answer):
        return _reject(candidate, "answer-disagrees", f"intended {candidate.answer}, asked afresh {answer}")
    return _accept(candidate)


def lessons_of(candidates: Sequence[Candidate], verdicts: Sequence[Verdict]) -> list[Lesson]:
    """The accepted candidates, as lessons, in order."""
    accepted = {verdict.candidate_id for verdict in verdicts if verdict.accepted}
    return [Lesson(**candidate.model_dump()) for candidate in candidates if candidate.id in accepted]

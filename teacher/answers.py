"""Have the teacher answer questions without a hint of the intended answer, several times over where that is asked for.

What agrees with itself is more often right: the first draw is the likeliest answer, further ones are drawn at a
temperature (self-consistency, arXiv 2203.11171). Used for seeds, to know how good the teacher is, and for candidates.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from teacher.prompts import conversation, template
from teacher.replies import read_object
from teacher.requests import Answer, Reply, Request
from teacher.sheet import TaskSheet

DRAWN = 0.7
"""Temperature of every draw but the first."""

Same = Callable[[str, str], bool]
"""Told the intended answer and another; whether they are the same answer."""


def answer_request(
    sheet: TaskSheet, question: str, choices: Sequence[str] = (), sample: int = 0, tag: str = ""
) -> Request:
    """Ask one question of the task. `choices`: the question's own, where the task has no fixed labels."""
    choices = sheet.labels or tuple(choices)
    answer: dict[str, Any] = {"type": "string", "enum": list(choices)} if choices else {"type": "string"}
    data: dict[str, Any] = {"question": question}
    if choices and not sheet.labels:
        data["choices"] = list(choices)
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
        max_tokens=sheet.answer_tokens if not sheet.labels else 40,
        temperature=DRAWN if sample else 0.0,
        seed=0,
        sample=sample,
        tag=tag,
    )


def read_answer(reply: Answer) -> str | None:
    """The answer in a reply; None when there is none."""
    value = read_object(reply.text) if isinstance(reply, Reply) else None
    answer = value.get("answer") if value else None
    return str(answer).strip() if isinstance(answer, str | int | float) else None


def agreed(answers: Sequence[str | None], least: int, same: Same) -> str | None:
    """The answer that at least so many of the draws give, the most frequent first; None where there is none."""
    counts: list[tuple[int, str]] = []
    for at, one in enumerate(answers):
        if one is not None and not any(other is not None and same(other, one) for other in answers[:at]):
            counts.append((sum(other is not None and same(one, other) for other in answers), one))
    most, answer = max(counts, key=lambda count: count[0], default=(0, ""))
    return answer if most >= least else None

"""Write the requests for new lessons, and read the candidates out of the replies.

Strategy `contrast`: the teacher sees real items the student got wrong, the right answer **and the student's wrong one**, and
writes new items. Where labels are fixed every request names the answer its items must have, so a reply carries texts only,
and a third of a confusion's lessons come from the other side of the confused boundary. Spread matters as much as aim:
requests rotate through the failures of a weakness and through manners of writing, a few items a request.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import Field

from student.records import Candidate, Failure, Record, Weakness, text_hash
from teacher.prompts import conversation, template
from teacher.replies import read_object
from teacher.requests import Reply, Request
from teacher.sheet import TaskSheet

MANNERS = (
    "short and lower case, a few words only",
    "polite, two sentences, with the circumstances",
    "hurried, with a typo and missing punctuation",
    "rambling, with irrelevant detail before the point",
    "matter-of-fact, one sentence with a concrete name or number",
    "annoyed, because it happened before",
)


class GenerateSettings(Record):
    """How lessons are asked for."""

    lessons: int = Field(default=60, ge=1)
    """Candidates asked for in a round."""
    per_request: int = Field(default=4, ge=1, le=50)
    """Candidates asked for in one request: more are cheaper, fewer are more varied."""
    examples: int = Field(default=3, ge=1, le=50)
    """Failures shown in one request."""
    other_side: float = Field(default=0.34, ge=0, le=1)
    """With fixed labels: the share of a confusion's lessons whose answer is the label the student said instead."""
    temperature: float = Field(default=0.9, ge=0, le=2)
    """Sampling temperature of the teacher when it writes."""
    tokens_per_lesson: int = Field(default=90, ge=8)
    """The reply's limit, per candidate asked for."""


@dataclass(frozen=True)
class Order:
    """One request for lessons, and what its candidates will be filed under."""

    request: Request
    """What is sent."""
    weakness: Weakness
    """What it is aimed at."""
    shown: tuple[Failure, ...]
    """The failures in the prompt; the first is the parent."""
    answer: str | None
    """The answer every item must have; None where the teacher writes it."""
    count: int
    """How many items are asked for."""


def plan_orders(
    sheet: TaskSheet, weaknesses: Sequence[Weakness], settings: GenerateSettings, round_number: int, seed: int
) -> list[Order]:
    """Every request of the round, in a fixed order: the same inputs give the same requests, byte for byte."""
    orders: list[Order] = []
    for weakness in weaknesses:
        for part, (answer, count) in enumerate(_parts(weakness, settings)):
            shown = _rotate(weakness.failures, part, settings.examples)
            number = len(orders)
            manner = MANNERS[(number + round_number) % len(MANNERS)]
            request = _request(sheet, shown, answer, count, manner, settings, seed + 1000 * round_number + number)
            orders.append(Order(request, weakness, shown, answer, count))
    return orders


def _parts(weakness: Weakness, settings: GenerateSettings) -> list[tuple[str | None, int]]:
    """(answer, count) of each request for one weakness."""
    first = weakness.failures[0]
    if not first.seed.choices:
        return [(None, count) for count in _slices(weakness.lessons, settings.per_request)]
    other = int(weakness.lessons * settings.other_side) if first.wrong_answer in first.seed.choices else 0
    other = (
        other if other >= settings.per_request // 2 else 0
    )  # a request for one item costs nearly as much as for four
    near = [(first.seed.answer, count) for count in _slices(weakness.lessons - other, settings.per_request)]
    return [*near, *((first.wrong_answer, count) for count in _slices(other, settings.per_request))]


def _slices(total: int, most: int) -> list[int]:
    """`total` in parts of at most `most`, as even as they come."""
    parts = -(-total // most)
    return [total // parts + (at < total % parts) for at in range(parts)]


def _rotate(failures: Sequence[Failure], part: int, count: int) -> tuple[Failure, ...]:
    start = part * count % len(failures)
    turned = [*failures[start:], *failures[:start]]
    return tuple(turned[:count])


def _request(
    sheet: TaskSheet, shown: Sequence[Failure], answer: str | None, count: int, manner: str,
    settings: GenerateSettings, seed: int,
) -> Request:  # fmt: skip
    words = {"count": str(count), "noun": sheet.noun, "manner": manner}
    if answer is None:
        user = template("contrast_open_user", **words)
    else:
        user = template(
            "contrast_user", **words, answer=answer, right=shown[0].seed.answer, wrong=shown[0].wrong_answer
        )
    items = [
        {"question": one.seed.prompt, "right_answer": one.seed.answer, "wrong_answer": one.wrong_answer}
        for one in shown
    ]
    data: dict[str, Any] = {"items": items, "lessons": count}
    return Request(
        purpose="write",
        messages=conversation(template("contrast", task=sheet.task, noun=sheet.noun), user, data),
        json_schema=_schema(answer is None, count),
        max_tokens=settings.tokens_per_lesson * count + 20,
        temperature=settings.temperature,
        seed=seed,
    )


def _schema(with_answer: bool, count: int) -> dict[str, Any]:
    text = {"type": "string"}
    pair = {
        "type": "object",
        "properties": {"question": text, "answer": text},
        "required": ["question", "answer"],
        "additionalProperties": False,
    }
    items = {"type": "array", "items": pair if with_answer else text, "minItems": count, "maxItems": count}
    return {"type": "object", "properties": {"items": items}, "required": ["items"], "additionalProperties": False}


def read_candidates(order: Order, reply: Reply, key: str, round_number: int) -> list[Candidate]:
    """The candidates in a reply: at most as many as were asked for, those of another form left out."""
    value = read_object(reply.text)
    rows = value.get("items") if value else None
    found = [_pair(row, order.answer) for row in rows] if isinstance(rows, list) else []
    parent = order.shown[0].seed
    return [
        Candidate(
            id=text_hash(key, str(at)), prompt=pair[0].strip(), answer=pair[1].strip(), choices=parent.choices,
            skill=pair[1].strip() if parent.choices else parent.skill, round=round_number,
            weakness_id=order.weakness.id, parent_id=parent.id, strategy="contrast", request_key=key,
        )
        for at, pair in enumerate(found[: order.count]) if pair is not None
    ]  # fmt: skip


def _pair(row: Any, answer: str | None) -> tuple[str, str] | None:
    """Question and answer of one element, or None when it is not of the form asked for."""
    if isinstance(row, str):
        return (row, answer) if answer is not None else None
    if not isinstance(row, dict):
        return None
    question, given = row.get("question"), row.get("answer", answer)  # type: ignore[reportUnknownMemberType]
    return (question, given) if isinstance(question, str) and isinstance(given, str) else None

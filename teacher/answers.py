"""Have the teacher answer questions without a hint of the intended answer, several times over where that is asked for.

What agrees with itself is more often right: the first draw is the likeliest answer, further ones are drawn at a
temperature (self-consistency, arXiv 2203.11171). Used for seeds, to know how good the teacher is, and for candidates.

Where labels are fixed, a few real items of each with their right answers stand before every question, the same ones each time
so that servers can cache them: descriptions of labels leave open where one ends and the next begins (in-context learning,
arXiv 2005.14165; docs/evidence.md). An item that is shown is not asked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from student.records import Seed, text_hash
from teacher.prompts import conversation, plain_json, template
from teacher.replies import as_text, read_object
from teacher.requests import Answer, Message, Reply, Request
from teacher.sheet import TaskSheet

DRAWN = 0.7
"""Temperature of every draw but the first."""

MOST_SHOWN = 24
"""Real items shown before a question, at most; where labels are more than that, none is: those left out would seem unlikely."""
LONGEST_SHOWN = 2400
"""Characters of all of them: a fifth to a third of a local teacher's context."""

Same = Callable[[str, str], bool]
"""Told the intended answer and another; whether they are the same answer."""


def shown_seeds(sheet: TaskSheet, seeds: Sequence[Seed], each: int) -> list[Seed]:
    """The real items that are shown before every question: `each` of every label or fewer, as many of all labels as there is room for.

    At least half of a label's seeds are left to be asked, but for a label's only one, which is shown. Nothing where labels are not fixed,
    and nothing where fewer than half of all seeds would be left: how good the teacher is must be known.
    """
    mixed = sorted(seeds, key=lambda seed: text_hash("shown before a question", seed.id))
    pool = {label: [seed for seed in mixed if seed.answer == label] for label in sheet.labels}
    for count in range(each, 0, -1):
        chosen = [seed for own in pool.values() for seed in own[: min(count, max(len(own) // 2, 1))]]
        if 2 * len(chosen) > len(seeds):
            continue
        if len(chosen) <= MOST_SHOWN and sum(len(seed.prompt) for seed in chosen) <= LONGEST_SHOWN:
            return [seed for seed in mixed if seed in chosen]
    return []


def asked_seeds(seeds: Sequence[Seed], shown: Sequence[Seed], most: int) -> list[Seed]:
    """The real items that a teacher is examined on: `most` at most, and none that it is shown."""
    return sorted((seed for seed in seeds if seed not in shown), key=lambda seed: seed.id)[:most]


def answer_request(
    sheet: TaskSheet, question: str, choices: Sequence[str] = (), sample: int = 0, tag: str = "", shown: Sequence[Seed] = ()
) -> Request:  # fmt: skip
    """Ask one question of the task. `choices`: the question's own, where the task has no fixed labels. `shown`: real items whose right
    answers are told first."""
    choices = sheet.labels or tuple(choices)
    answer: dict[str, Any] = {"type": "string", "enum": list(choices)} if choices else {"type": "string"}
    data: dict[str, Any] = {"question": question}
    if choices and not sheet.labels:
        data["choices"] = list(choices)
    how = f"Answer this {sheet.noun}" + (f" with one of: {', '.join(sheet.labels)}." if sheet.labels else ".")
    system = template("answer", task=sheet.task)
    # Before exchanges, how to answer is said once for all of them, where a server caches it, and not again with each question.
    told = (f"{system}\n\n{how}", "") if shown else (system, how)
    system, asked = conversation(*told, data)
    before = [message for seed in shown for message in _exchange(seed)]
    return Request(
        purpose="answer",
        messages=(system, *before, asked),
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


def _exchange(seed: Seed) -> tuple[Message, Message]:
    """A real item asked and answered."""
    asked = conversation("", "", {"question": seed.prompt})[1]
    return asked, Message(role="assistant", content=plain_json({"answer": seed.answer}))


def read_answer(reply: Answer) -> str | None:
    """The answer in a reply; None when there is none."""
    value = read_object(reply.text) if isinstance(reply, Reply) else None
    return as_text(value.get("answer")) if value else None


def agreed(answers: Sequence[str | None], least: int, same: Same) -> str | None:
    """The answer that at least so many of the draws give, the most frequent first; None where there is none."""
    counts: list[tuple[int, str]] = []
    for at, one in enumerate(answers):
        if one is not None and not any(other is not None and same(other, one) for other in answers[:at]):
            counts.append((sum(other is not None and same(one, other) for other in answers), one))
    most, answer = max(counts, key=lambda count: count[0], default=(0, ""))
    return answer if most >= least else None

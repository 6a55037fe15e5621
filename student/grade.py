"""Turn a student's raw answers into scored attempts. Needs no model: the loop's process calls it, the child does not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from student.evals.spec import EvalSpec
from student.records import Attempt, Item, Question
from student.scorers import SCORERS, outcome

RawAnswer = dict[str, Any]
"""`{"scores", "greedy"}`: log-likelihood in nats, and whether the student would write it, per choice; or `{"text", "truncated"}`."""
Answering = Callable[[Sequence[Item | Question]], list[RawAnswer]]
"""Puts questions to one student, the same way each time; one raw answer each, in order."""


def grade(spec: EvalSpec, items: Sequence[Item], answers: Sequence[RawAnswer]) -> list[Attempt]:
    """One attempt per item. `answers` are what the child returned: `{"scores": [...]}` or `{"text", "truncated"}`."""
    judge = _grade_choice if spec.kind == "choice" else _grade_text
    return [judge(spec, item, answer) for item, answer in zip(items, answers, strict=True)]


def _grade_choice(spec: EvalSpec, item: Item, answer: dict[str, Any]) -> Attempt:
    scores: list[float] = answer["scores"]
    right = item.choices.index(item.answer)
    best = max(range(len(scores)), key=lambda at: scores[at])
    margin = scores[right] - max(score for at, score in enumerate(scores) if at != right)
    return Attempt(
        item_id=item.id, output=item.choices[best], outcome="right" if best == right else "wrong",
        score=float(best == right), margin=round(margin, 6),
    )  # fmt: skip


def _grade_text(spec: EvalSpec, item: Item, answer: dict[str, Any]) -> Attempt:
    score = SCORERS[spec.scorer](item.answer, answer["text"])
    result = outcome(score, answer["truncated"])
    return Attempt(item_id=item.id, output=answer["text"], outcome=result, score=score or 0.0)

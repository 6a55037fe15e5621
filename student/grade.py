"""Turn a student's raw answers into scored attempts. Needs no model: the loop's process calls it, the child does not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from student.evals.spec import EvalSpec
from student.records import Attempt, Item, Question
from student.scorers import Scorer, ScorerSpec, best_choice, choice_values, make_scorer, outcome

RawAnswer = dict[str, Any]
"""`{"scores", "greedy"}`: log-likelihood in nats, and whether the student would write it, per choice; or `{"text", "truncated"}`."""
Answering = Callable[[Sequence[Item | Question]], list[RawAnswer]]
"""Puts questions to one student, the same way each time; one raw answer each, in order."""


def grade(spec: EvalSpec, items: Sequence[Item], answers: Sequence[RawAnswer]) -> list[Attempt]:
    """One attempt per item, by the eval set's own scorer."""
    if spec.kind == "choice":
        return [_grade_choice(spec.scorer, item, answer) for item, answer in zip(items, answers, strict=True)]
    scorer = make_scorer(spec.scorer)
    return [_grade_text(spec.scorer, scorer, item, answer) for item, answer in zip(items, answers, strict=True)]


def same_answer(spec: EvalSpec, expected: str, answer: str) -> bool:
    """Whether two answers are the same by the eval set's own scorer; labels and choices must be equal."""
    if spec.kind == "choice":
        return expected == answer
    score = make_scorer(spec.scorer)(expected, answer)
    return outcome(score, False, spec.scorer.right_at) == "right"


def _grade_choice(spec: ScorerSpec, item: Item, answer: RawAnswer) -> Attempt:
    values = choice_values(spec.name, answer["scores"], item.choices)
    right, best = item.choices.index(item.answer), best_choice(values)
    margin = values[right] - max(value for at, value in enumerate(values) if at != right)
    return Attempt(
        item_id=item.id, output=item.choices[best], outcome="right" if best == right else "wrong",
        score=float(best == right), margin=round(margin, 6),
    )  # fmt: skip


def _grade_text(spec: ScorerSpec, scorer: Scorer, item: Item, answer: RawAnswer) -> Attempt:
    text = answer["text"].strip()
    score = scorer(item.answer, text)
    result = outcome(score, answer["truncated"], spec.right_at)
    return Attempt(item_id=item.id, output=text, outcome=result, score=score or 0.0)

"""Decide whether an answer is right, and tell a wrong answer from a malformed or a truncated one.

In: a scorer's name and options (`ScorerSpec`), the expected answer and what the student wrote. Out: a score from 0 to 1, or
None when the output holds no answer of the expected form. `spec` lists the scorers; each has its own file, `extract` says
where in an output the answer stands, and `traps.yaml` holds what each of them must get right.
"""

from __future__ import annotations

from student.records import Outcome
from student.scorers.choices import best_choice, choice_values
from student.scorers.extract import Extract
from student.scorers.spec import SCORER_NAMES, ScorerSpec, make_scorer
from student.scorers.text import Scorer
from student.scorers.unscored import unscored

__all__ = [
    "SCORER_NAMES", "Extract", "Scorer", "ScorerSpec", "best_choice", "choice_values", "make_scorer", "outcome",
    "unscored",
]  # fmt: skip


def outcome(score: float | None, truncated: bool, right_at: float = 1.0) -> Outcome:
    """What became of one answer: an unfinished answer counts as truncated unless it is right already."""
    if score is not None and score >= right_at - 1e-9:
        return "right"
    if truncated:
        return "truncated"
    return "malformed" if score is None else "wrong"

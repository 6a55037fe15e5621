"""A plug-in's own scorer: a function of the expected answer and the output, in the place of a scorer of ours."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from student.evals.plugin_code import guarded
from student.evals.trouble import EvalError, shown
from student.grade import Answering, RawAnswer
from student.records import Attempt, Item
from student.scorers import outcome


@dataclass(frozen=True)
class OwnScorer:
    """A plug-in's own scorer, in the place of a hosted task's process."""

    where: str
    """What a message calls the plug-in."""
    folder: Path
    """Where its code is."""
    score: Callable[[str, str], Any]
    """The function: (expected, output) to a score from 0 to 1, or None."""
    notes: list[str] = field(default_factory=list[str])
    """What a person should know: nothing."""
    score_only: str = ""
    """Why nothing can be learned from it: something can."""

    @property
    def code(self) -> str:
        """A digest of the file that the function is in, which decides its scores."""
        file = Path(getattr(getattr(self.score, "__code__", None), "co_filename", ""))
        return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else ""

    def attempts(self, items: Sequence[Item], answers: Sequence[RawAnswer], answer: Answering) -> list[Attempt]:
        """The plug-in's scores of these answers. Raises EvalError when its code fails or a score is none."""
        return [self._attempt(item, raw) for item, raw in zip(items, answers, strict=True)]

    def close(self) -> None:
        """Nothing is open."""

    def _attempt(self, item: Item, raw: RawAnswer) -> Attempt:
        with guarded(self.where, self.folder):
            score = self.score(item.answer, raw["text"])
        if score is not None and not (isinstance(score, int | float) and 0 <= score <= 1):
            raise EvalError(
                f"{self.where}: its scorer returned {shown(score)} for the item {item.id!r}. A score is a number from 0 to 1, or None "
                "where the output holds no answer."
            )
        result = outcome(score, raw["truncated"])
        return Attempt(item_id=item.id, output=raw["text"], outcome=result, score=float(score or 0))

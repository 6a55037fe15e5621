"""Pick a choice from its log-likelihoods, as they are or for their length.

In: one log-likelihood (nats, summed over the choice's tokens) per choice. Out: the values to compare, and the best one.
`likelihood` is lm-evaluation-harness's `acc`; `likelihood-norm` its `acc_norm`, which divides by the number of characters of
the choice, so that a long choice is not wrong only because it is long.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from student.errors import StudentError
from student.records import Record
from student.scorers.suggest import suggest
from student.scorers.text import Scorer

CHOICE_SCORERS: dict[str, Callable[[float, str], float]] = {
    "likelihood": lambda score, choice: score,
    "likelihood-norm": lambda score, choice: score / max(1, len(choice)),
}


class Likelihood(Record):
    """Options of `likelihood` and `likelihood-norm`: none. The choice the student finds likeliest is its answer."""


def choice_values(scorer_name: str, scores: Sequence[float], choices: Sequence[str]) -> list[float]:
    """What each choice is worth, in nats or nats a character; the highest is the answer. Raises StudentError."""
    value = CHOICE_SCORERS.get(scorer_name)
    if value is None:
        raise StudentError(f"{scorer_name!r} does not score choices. {suggest(scorer_name, list(CHOICE_SCORERS))}")
    return [value(score, choice) for score, choice in zip(scores, choices, strict=True)]


def best_choice(values: Sequence[float]) -> int:
    """The position of the highest value, the first of equals; a value that is not a number never wins."""
    return max(range(len(values)), key=lambda at: -math.inf if math.isnan(values[at]) else values[at])


def label(options: Likelihood) -> Scorer:
    """1 when both are the very same choice, else 0: a choice is picked, not written."""
    return lambda expected, output: float(expected.strip() == output.strip()) if output.strip() else None

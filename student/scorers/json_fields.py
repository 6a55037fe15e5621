"""Compare JSON field by field: an extraction is right when the fields that matter have the right values.

In: the expected JSON and an output that holds JSON somewhere. Out: 1 when every field is right, else 0; with `credit` the
share of right fields; None when the output holds no complete JSON object. Numbers are compared by value, texts normalised.
"""

from __future__ import annotations

import re
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Any, Literal, cast

from pydantic import Field

from student.records import Record
from student.scorers.characters import folded
from student.scorers.json_text import find_json
from student.scorers.numerals import only_number
from student.scorers.text import Scorer, normal

_MISSING = object()


class Json(Record):
    """Options of `json`: the same fields. Fields that the expected answer does not have are ignored."""

    fields: tuple[str, ...] = ()
    """The fields that matter; all of the expected answer's when none are given. Dots go into objects: address.city."""
    credit: bool = False
    """Whether the score is the share of right fields, rather than all or nothing."""
    threshold: float = Field(default=1.0, gt=0, le=1)
    """The score from which an answer counts as right."""
    texts: Literal["normalised", "exact"] = "normalised"
    """How texts are compared: `normalised` ignores punctuation and articles as well as case and white space."""


def json_fields(options: Json) -> Scorer:
    """The share of right fields, or 1 for all and 0 for fewer."""

    def score(expected: str, output: str) -> float | None:
        goal = _expected(expected)
        if goal is None:
            return None
        names = list(options.fields or goal) if isinstance(goal, dict) else []
        if any(_field(goal, name) is _MISSING for name in names):
            return None
        found = find_json(output, [name.split(".")[0] for name in names])
        if found is None or isinstance(found, dict) != isinstance(goal, dict):
            return None
        if not names:
            return float(_same(goal, found, options.texts))
        pairs = [(_field(goal, name), _field(found, name)) for name in names]
        right = sum(have is not _MISSING and _same(want, have, options.texts) for want, have in pairs)
        return right / len(pairs) if options.credit else float(right == len(pairs))

    return score


def _same(goal: Any, found: Any, texts: str) -> bool:
    try:
        return same_json(goal, found, texts)
    except RecursionError:  # lists in lists in lists
        return False


def same_json(goal: Any, found: Any, texts: str = "normalised") -> bool:
    """Whether `found` has what `goal` has; objects may have more fields, but for empty ones; lists may not have more members."""
    if isinstance(goal, dict):
        if not goal:
            return found == {}
        return isinstance(found, dict) and all(
            name in found and same_json(value, found[name], texts) for name, value in goal.items()
        )
    if isinstance(goal, list):
        return (
            isinstance(found, list)
            and len(goal) == len(found)
            and all(map(same_json, goal, found, [texts] * len(goal)))
        )
    if isinstance(goal, bool) or goal is None or isinstance(found, bool | dict | list) or found is None:
        return goal is found
    if isinstance(goal, Decimal) or isinstance(found, Decimal):
        return _number(goal) == _number(found)
    fold = folded if texts == "exact" else normal
    return fold(str(goal)) == fold(str(found))


@lru_cache(maxsize=1024)
def _expected(expected: str) -> Any:
    return find_json(expected)


def _field(value: dict[str, Any], name: str) -> Any:
    """A field by name, or by its dotted path where no field has that very name."""
    here: Any = value
    for step in (name,) if name in value else name.split("."):
        if not isinstance(here, dict) or step not in here:
            return _MISSING
        here = cast("dict[str, Any]", here)[step]
    return here


def _number(value: Decimal | str) -> Fraction | Decimal | None:
    """The exact value of a number, also of one in quotes; None for a text, and for 007, which is a name."""
    if isinstance(value, Decimal):
        return Fraction(value) if abs(value.adjusted()) < 400 else value
    return None if re.match(r"\s*[-+]?0\d", value) else only_number(value)

"""Compare numbers by value: 1,200 is 1200.0 and 1/2 is 0.5, -5 is not 5; with a tolerance and with units if asked for.

In: the expected answer and the output; both are read for the number they end up with (`student.scorers.numerals`). An
expected `x = 3, y = 4` names what it wants, and each name is looked up in the output. Out: 1, 0, or None without a number.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import lru_cache
from typing import Literal

from pydantic import Field

from student.records import Record
from student.scorers.extract import boxed
from student.scorers.numerals import Numeral, final_numerals, numerals, prepared
from student.scorers.text import Scorer
from student.scorers.units import Unit, read_unit

_ASSIGNED = re.compile(
    r"[\s(]*(?:[^\W\d_]\w{0,20}\s?:?=\s?[^=,;]+?(?:\s?[,;]\s?(?:and\s)?|\sand\s|\s*\n\s*|[\s).]*$))+"
)


class Number(Record):
    """Options of `number`: the same value."""

    tolerance: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    """How far the value may be off, in the unit of the expected answer; the bound itself is still right."""
    relative: float = Field(default=0.0, ge=0, lt=1, allow_inf_nan=False)
    """How far it may be off as a share of the expected value. The wider of the two counts."""
    units: bool = False
    """Whether a unit of the expected answer must be met, converted where it can be: 3 km is 3000 m, and neither 3 nor 3 m.
    Otherwise units are ignored: 3 km is 3."""
    percent: Literal["points", "fraction"] = "points"
    """`points`: the percent sign changes nothing, 50% is 50. `fraction`: 50% is 0.5."""
    decimal_comma: bool = False
    """Numbers are written as 1.234,56. Otherwise as 1,234.56, and the other way is read only where it is unmistakable."""


def number(options: Number) -> Scorer:
    """1 when both end up with the same value, else 0."""
    comma = options.decimal_comma
    same = _comparer(options)

    def score(expected: str, output: str) -> float | None:
        wanted, text = _wanted(expected, comma), _told(output)
        if not wanted or text is None:
            return None
        if wanted[0].name:
            assigned = _assigned(text, comma)
            if all(one.name in assigned for one in wanted):
                return float(all(same(one, expected, assigned[one.name], text) for one in wanted))
            if len(wanted) > 1:
                return 0.0 if assigned else None
        found = final_numerals(text, comma)
        return float(any(same(wanted[0], expected, one, text) for one in found)) if found else None

    return score


@lru_cache(maxsize=4096)
def _wanted(expected: str, decimal_comma: bool) -> Sequence[Numeral]:
    """What the expected answer asks for: several numbers only where each has its name."""
    text = _told(expected)
    if text is None:
        return ()
    if "=" in text and len(text) < 500 and _ASSIGNED.fullmatch(text):
        named = _assigned(text, decimal_comma)
        if len(named) > 1:
            return tuple(named.values())
    return final_numerals(text, decimal_comma)[:1]


def _told(text: str) -> str | None:
    r"""The text, or what its last `\boxed{}` holds; None where the box is not closed."""
    return boxed(text) if "\\boxed" in text else text


def _assigned(text: str, decimal_comma: bool) -> dict[str, Numeral]:
    return {one.name: one for one in numerals(text, decimal_comma) if one.name}


def _comparer(options: Number) -> Callable[[Numeral, str, Numeral, str], bool]:
    tolerance, relative = Fraction(str(options.tolerance)), Fraction(str(options.relative))

    def points(one: Numeral) -> Fraction:
        return one.value / 100 if one.percent and options.percent == "fraction" else one.value

    def same(wanted: Numeral, expected: str, found: Numeral, output: str) -> bool:
        goal, value = points(wanted), points(found)
        if options.units and (unit := _unit(wanted, _told(expected) or "")):
            own = _unit(found, output)
            if own is None or own.basis != unit.basis:
                return False
            value = (value * own.factor + own.offset - unit.offset) / unit.factor
        return value == goal or abs(value - goal) <= max(tolerance, relative * abs(goal))

    return same


def _unit(one: Numeral, text: str) -> Unit | None:
    if one.currency:
        found = read_unit(one.currency)
        return found[0] if found else None
    rest = re.sub(r"^\s?(?:thousand|million|billion|trillion)\b", "", prepared(text)[one.end : one.end + 60])
    found = read_unit(rest.lstrip(" -"))
    return found[0] if found else None

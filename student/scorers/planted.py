"""Wrong answers made on purpose: near misses that a scorer must not call right, for `llm2llm evals check`.

In: a scorer's spec, a gold answer and other answers of the eval set. Out: outputs that are wrong beyond argument: another
item's answer, a number one off, a sign flipped, digits exchanged, a field changed, a hedge, a refusal, nothing. Where it is not
certain that something is wrong (`2x+1` against `1+2x`), it is not planted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any, cast

from student.scorers.answer import declines
from student.scorers.characters import folded
from student.scorers.extract import boxed, dress, picker
from student.scorers.json_fields import Json, same_json
from student.scorers.json_text import find_json
from student.scorers.number import Number
from student.scorers.numerals import final_numerals, only_number, prepared
from student.scorers.spec import Regex, ScorerSpec
from student.scorers.text import F1, Contains
from student.scorers.units import read_unit

REFUSAL = "I'm sorry, but I cannot answer that."
_PLAIN_MATH = re.compile(r"[\w\s+\-*/^(){}.\\]+")
_NO_SUM = re.compile(r"\\(?:infty|text|mathrm|mbox|pm|mp|cup|cap|in|le|ge|ne|emptyset|begin|mathbb|dots|ldots)\b|_")
_OTHERS = 3
"""How many other answers are planted, at most."""


def planted_wrong(spec: ScorerSpec, answer: str, others: Sequence[str]) -> list[str]:
    """Outputs that must not count as right where `answer` is; `others` are answers of other items, or the other labels."""
    if spec.kind == "choice":
        return [other for other in dict.fromkeys(others) if other.strip() != answer.strip()][:_OTHERS]
    gold = picker(spec.extract)(answer) or answer.strip()
    wrong = [
        dress(spec.extract, one) for one in _near(spec, gold, [picker(spec.extract)(one) or one for one in others])
    ]
    silent = [""] if declines(answer) else ["", REFUSAL]
    return [one for one in dict.fromkeys([*wrong, *silent]) if one.strip() != answer.strip()]


def _near(spec: ScorerSpec, gold: str, others: Sequence[str]) -> list[str]:
    options = spec.options
    if not gold:
        return []
    if isinstance(options, Regex):
        return _in_pattern(options, gold, others)
    if isinstance(options, Number):
        return _numbers(options, gold, others)
    if isinstance(options, Json):
        return _objects(options, gold, others)
    return _expressions(gold, others) if spec.name == "math" else _texts(spec, gold, others)


def _numbers(options: Number, gold: str, others: Sequence[str]) -> list[str]:
    """The gold answer with another number in its place."""
    if "\\boxed" in gold:
        return [f"\\boxed{{{one}}}" for one in _numbers(options, boxed(gold) or "", others)]
    read = final_numerals(gold, options.decimal_comma)
    if len(read) != 1:
        return []
    one, text = read[0], prepared(gold)
    allowed = max(Fraction(str(options.tolerance)), Fraction(str(options.relative)) * abs(one.value))
    step = 2 * allowed.__ceil__() + 1
    values = [one.value + step, one.value - step, -one.value, one.value * 10, *_exchanged(one.value)]
    if not options.units:
        found = [final_numerals(other, options.decimal_comma) for other in others]
        values += [other[0].value for other in found if len(other) == 1 and other[0].percent == one.percent][:_OTHERS]
    bare = [text[: one.end]] if options.units and read_unit(text[one.end :].lstrip()) else []
    far = [value for value in dict.fromkeys(values) if abs(value - one.value) > 2 * allowed]
    if not re.match(
        r"[\s=(:$#{[*]?$", text[max(0, one.start - 1) : one.start]
    ):  # another sign might join the text before it
        far = [value for value in far if (value < 0) == (one.value < 0)]
    return [*(text[: one.start] + _written(value, options.decimal_comma) + text[one.end :] for value in far), *bare]


def _exchanged(value: Fraction) -> list[Fraction]:
    """18 as 81: the first two different neighbours of a whole number's digits exchanged."""
    if value.denominator != 1:
        return []
    digits = str(abs(value.numerator))
    for at in range(len(digits) - 1):
        if digits[at] != digits[at + 1]:
            other = int(digits[:at] + digits[at + 1] + digits[at] + digits[at + 2 :])
            return [Fraction(other if value > 0 else -other)]
    return []


def _written(value: Fraction, decimal_comma: bool) -> str:
    """The value as a decimal where it has a short one, else as a fraction."""
    sign, size = "-" if value < 0 else "", abs(value)
    text = str(size.numerator) if size.denominator == 1 else str(size)
    if size.denominator > 1 and 10**9 % size.denominator == 0:
        text = f"{Decimal(size.numerator) / Decimal(size.denominator):f}"
    return sign + (text.replace(".", ",") if decimal_comma else text)


def _texts(spec: ScorerSpec, gold: str, others: Sequence[str]) -> list[str]:
    options = spec.options
    separator = options.separator if isinstance(options, Contains) else None
    right = [one for one in gold.split(separator) if one.strip()] if separator else [gold]
    other = [text for text in others if text.strip() and all(_apart(one, text) for one in right)][:_OTHERS]
    if isinstance(options, F1):
        return [text for text in other if _overlap(gold, text) < options.threshold / 2]
    changed = (
        re.sub(r"\d(?!.*\d)", lambda digit: str((int(digit[0]) + 1) % 10), gold, flags=re.DOTALL)
        if len(right) == 1
        else gold
    )
    planted = [*other, *([changed] if _apart(gold, changed) else [])]
    if len(right) == 1 and not separator:
        planted += [f"not {gold}", *(f"either {gold} or {text}" for text in other[:1])]
    return planted


def _apart(gold: str, text: str) -> bool:
    """Whether the letters and digits of neither are within the other's."""
    left, right = ("".join(mark for mark in folded(one) if mark.isalnum()) for one in (gold, text))
    return bool(left and right) and left not in right and right not in left


def _overlap(gold: str, text: str) -> float:
    left, right = set(re.findall(r"\w+", folded(gold))), set(re.findall(r"\w+", folded(text)))
    return len(left & right) / max(1, min(len(left), len(right)))


def _expressions(gold: str, others: Sequence[str]) -> list[str]:
    bare = gold.strip().strip("$")
    value = only_number(bare)
    if value is not None:
        numbers = [other for other in others if only_number(other) not in (None, value, value * 100, value / 100)]
        changed = [f"{bare}+1", *([f"-({bare})"] if value else [])] if "%" not in bare else []
        return [*numbers[:_OTHERS], *changed]
    words = re.search(r"[A-Za-z]{2}", re.sub(r"\\[A-Za-z]+", " ", bare))
    return [f"{bare} + 1"] if _PLAIN_MATH.fullmatch(bare) and not _NO_SUM.search(bare) and not words else []


def _objects(options: Json, gold: str, others: Sequence[str]) -> list[str]:
    goal = find_json(gold)
    if not isinstance(goal, dict):
        return [json.dumps([])] if isinstance(goal, list) and goal else []
    record = cast("dict[str, Any]", goal)
    fields = [name for name in options.fields or record if name in record]
    wrong = [record | {name: _changed(record[name]) for name in fields}]
    if not options.credit:
        wrong += [record | {name: _changed(record[name])} for name in fields[:_OTHERS]]
        wrong += [{key: value for key, value in record.items() if key != name} for name in fields[:1]]
        found = [find_json(other) for other in others]
        wrong += [one for one in found if isinstance(one, dict) and fields and not _share_field(record, one, fields)][
            :_OTHERS
        ]
    return [json.dumps(one, ensure_ascii=False, default=_plain_number) for one in wrong] if fields else []


def _share_field(goal: dict[str, Any], found: dict[str, Any], fields: Sequence[str]) -> bool:
    return any(name in found and same_json(goal[name], found[name]) for name in fields)


def _changed(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, Decimal):
        return value + 1 if abs(value.adjusted()) < 15 else Decimal(0)
    if isinstance(value, dict | list):
        return None
    return "something else" if value is None or folded(str(value)) != "something else" else "another thing"


def _plain_number(value: Any) -> Any:
    return int(value) if value == value.to_integral_value() and abs(value.adjusted()) < 15 else float(value)


def _in_pattern(options: Regex, gold: str, others: Sequence[str]) -> list[str]:
    """Wrong answers by the scorer that compares, put where the pattern finds the gold one."""
    find = picker(options.place)
    found = find(gold)
    wrong = _near(options.then, found or gold, [find(other) or other for other in others])
    if found is None or gold.count(found) != 1:
        return wrong
    return [gold.replace(found, one) for one in wrong]

"""Find the JSON value in a text that may say more than that: prose before and after, code fences, braces in passing.

In: any text, of any length. Out: the last complete object or array, as plain values with exact numbers, or None. JSON that is
cut off, that gives a field twice with different values, or that stands between two alternatives is no answer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from decimal import Decimal, DecimalException
from typing import Any, cast

_MARK = re.compile(r'["{}\[\]]|\\.', re.DOTALL)
_OR = re.compile(r"[\s`]*(?:,?\s*or)(?:\s+(?:maybe|perhaps))?[\s:`]*(?:json)?\s*", re.IGNORECASE)
_BEGUN = re.compile(r'\{\s*"|\[\s*[{"]')
_LONGEST = 50_000
"""Characters searched, from the end, where the text is more than JSON."""
_MOST = 200
"""Complete objects and arrays looked at, from the end."""
_TRIES = 10
"""How often the search starts again after a brace that is not closed."""


class _Twice(ValueError):
    """A field was given two values."""


def find_json(text: str, fields: Sequence[str] = ()) -> Any:
    """The last object or array in `text`, preferring objects with one of `fields`; None where there is none to rely on."""
    whole = parse_json(text.strip("\ufeff \n"))
    if isinstance(whole, dict | list):
        return cast("Any", whole)
    text = text[-_LONGEST:]
    spans = _spans(text)
    if spans is None:
        return None
    values = [(parse_json(text[start:end]), start, end) for start, end in spans[-_MOST:]]
    found = [one for one in values if isinstance(one[0], dict | list)]
    if fields:
        found = [one for one in found if isinstance(one[0], dict) and any(name in one[0] for name in fields)] or found
    if not found:
        return None
    if len(found) > 1 and found[-1][0] != found[-2][0] and _OR.fullmatch(text, found[-2][2], found[-1][1]):
        return None
    return found[-1][0]


def parse_json(text: str) -> Any:
    """The value of a text that is one JSON value; None for anything else, for `null`, and for fields given twice."""
    try:
        return json.loads(text, parse_int=Decimal, parse_float=Decimal, parse_constant=_no, object_pairs_hook=_once)
    except (ValueError, DecimalException, RecursionError):
        return None


def _no(word: str) -> Any:
    raise ValueError(f"{word} is no JSON")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict[str, Any]()
    for name, value in pairs:
        if name in made and made[name] != value:
            raise _Twice(name)
        made[name] = value
    return made


def _spans(text: str) -> list[tuple[int, int]] | None:
    """Where balanced braces and brackets begin and end; None where JSON was begun and not finished."""
    spans, at = list[tuple[int, int]](), 0
    for _ in range(_TRIES):
        opened = _scan(text, at, spans)
        if opened is None:
            break
        if _BEGUN.match(text, opened):
            return None
        at = opened + 1  # a brace in passing
    return spans


def _scan(text: str, at: int, spans: list[tuple[int, int]]) -> int | None:
    """Collect spans from `at`; returns where a brace stays open at the end, or None."""
    depth, start, quoted = 0, 0, False
    for mark in _MARK.finditer(text, at):
        sign = mark[0]
        if sign[0] == "\\" or (quoted and sign != '"') or (not depth and sign in '"}]'):
            continue
        if sign == '"':
            quoted = not quoted
        elif sign in "{[":
            start, depth = (mark.start() if not depth else start), depth + 1
        else:
            depth -= 1
            if not depth:
                spans.append((start, mark.end()))
    return start if depth else None

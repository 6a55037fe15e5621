"""Decide whether an answer is right, and tell a wrong answer from a malformed or a truncated one.

A scorer is a function of the expected answer and the output that returns a score from 0 to 1, or None when the output
holds no answer of the expected form. Numbers are compared by value: 1,200 equals 1200.0, -5 is not 5, 1/2 is not 12.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from fractions import Fraction

from student.records import Outcome

Scorer = Callable[[str, str], float | None]
_NUMBER = re.compile(r"(?<![\w.])[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d+)?(?:\s*/\s*\d+)?(?=%|\b|$)")
_MARKED = re.compile(r"####\s*(.+)")


def exact(expected: str, output: str) -> float | None:
    """1 when both are the same after folding case and white space; None for an empty output."""
    if not output.strip():
        return None
    return float(_plain(expected) == _plain(output))


def number(expected: str, output: str) -> float | None:
    """1 when the output's final number (after `####` where that is used) has the expected value."""
    wanted, found = final_number(expected), final_number(output)
    return None if found is None or wanted is None else float(wanted == found)


def final_number(text: str) -> Fraction | None:
    """The number after the last `####`, else the last number in the text; None when there is none."""
    plain = "".join(_digit(mark) for mark in text).replace("\u2212", "-")
    marked = _MARKED.findall(plain)
    found = [match for match in _NUMBER.findall(marked[-1] if marked else plain) if re.search(r"\d", match)]
    return _value(found[0] if marked else found[-1]) if found else None


def _digit(mark: str) -> str:
    """Full-width and other scripts' digits as 0-9; raised, small and fraction digits count as no digit at all."""
    if unicodedata.category(mark) == "No":
        return "\u2044"
    return str(unicodedata.digit(mark)) if unicodedata.category(mark) == "Nd" else unicodedata.normalize("NFKC", mark)


def _value(text: str) -> Fraction | None:
    top, _, bottom = text.replace(",", "").replace(" ", "").partition("/")
    try:
        return Fraction(top) / (Fraction(bottom) if bottom else 1)
    except (ValueError, ZeroDivisionError):
        return None


def _plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


SCORERS: dict[str, Scorer] = {"exact": exact, "number": number}


def outcome(score: float | None, truncated: bool) -> Outcome:
    """What became of one answer: an unfinished answer counts as truncated unless it is right already."""
    if score is not None and score >= 1:
        return "right"
    if truncated:
        return "truncated"
    return "malformed" if score is None else "wrong"

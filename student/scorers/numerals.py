"""Find the numbers in a text, however they are written, and tell the one that is the answer.

In: any text, in English or LaTeX. Out: `Numeral`s with an exact value. A numeral is read only where one reading is left:
1,200 and 1.234,56 and 1 1/2 are, a date or a version is not, and an answer that hangs between two ("either 3 or 4", 3-4,
an unfinished 3 +) is none. Nothing is computed except fractions and powers of ten.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import NamedTuple

from student.scorers.characters import plain
from student.scorers.units import is_unit

LONGEST = 50_000
"""Characters read, from the end of the text."""
_MOST_DIGITS = 400
"""Longer numerals and exponents are not read: they are loops of a model, and cost time that grows with their square."""


class Numeral(NamedTuple):
    """One number as it stands in a text."""

    value: Fraction
    """Its value, with words such as `million` multiplied in; a percent sign changes nothing."""
    percent: bool
    """Whether a percent sign or word follows."""
    currency: str
    """The sign before it, or nothing."""
    name: str
    """The variable it is assigned to (`y = 4`), or nothing."""
    start: int
    """Where it begins in the plain text."""
    end: int
    """Where it ends, before its unit."""


def _pattern(thousand: str, decimal: str) -> re.Pattern[str]:
    """Numerals with these two marks; other marks are read only where they cannot mean anything else."""
    return re.compile(
        rf"""
    (?=[-+.,\d])(?<![\w.^\u221a\u00b1])(?<![A-Za-z^]-)(?<!\d[:/,])(?<![\^_]\{{)(?<!\u00b1\s)
    (?P<sign>(?<![)\]}}%])[-+](?:[$\u20ac\u00a3\u00a5\u20b9])?)?
    (?P<whole>\d{{1,9}}\s(?:and\s)?(?=\d{{1,9}}/\d))?
    (?P<body>(?>
        [1-9]\d{{0,2}}(?:{thousand}\d{{3}})+(?:{decimal}\d+)?(?!{thousand}?\d)
      | [1-9]\d?(?:{thousand}\d\d)+{thousand}\d{{3}}(?:{decimal}\d+)?(?!{thousand}?\d)
      | [1-9]\d{{0,2}}(?:['\u2019_]\d{{3}})+(?:{decimal}\d+)?(?!['_]?\d)
      | [1-9]\d{{0,2}}(?:{decimal}\d{{3}})+{thousand}\d+(?![.,]?\d)
      | [1-9]\d{{0,2}}(?:{decimal}\d{{3}}){{2,}}(?![.,]?\d)
      | (?<![(\[{{])\d++{thousand}\d++(?![.,]\d)
      | \d+(?:{decimal}\d+)? | {decimal}\d+
    ))(?![.,]\d)
    (?P<exponent>[eE][-+]?\d{{1,9}}(?!\w)|\s?[x*]\s?10\s?(?:\^|\*\*)\s?\{{?[-+]?\d{{1,9}}\}}?)?+
    (?P<power>\s?(?:\^|\*\*)\s?\{{?[-+]?\w+\}}?)?+
    (?:\s?/\s?(?P<bottom>\d+(?:\.\d+)?)(?![\w.]*\d))?+
    (?P<word>[^\W\d_]\w*+)?+(?!\w|:\d|\s?/\s?\d|\s?\u221a|\s?!=)
    (?P<percent>\s?%|\s(?:percent|per\scent|pct)\b)?
    (?P<scale>\s(?:thousand|million|billion|trillion)\b)?
    """,
        re.VERBOSE,
    )


_POINT, _COMMA = _pattern(",", r"\."), _pattern(r"\.", ",")
_EXPONENT = re.compile(r"(?:\^|\*\*|[eE])\s?\{?([-+]?\d+)\}?$")
_SCALE = {"thousand": 3, "million": 6, "billion": 9, "trillion": 12, "k": 3, "K": 3, "M": 6, "mn": 6, "B": 9, "bn": 9}
_NOT_UNITS = {"am", "pm", "k"}
_CURRENCY = "$\u20ac\u00a3\u00a5\u20b9"

_LATEX = (
    (re.compile(r"\\(?:d|t|c)?frac\s*(?:\{\s*([-+]?[\d.,]+)\s*\}\s*\{\s*([\d.,]+)\s*\}|(\d)\s*(\d))"), r" \1\3/\2\4 "),
    (re.compile(r"\\(?:text|mathrm|mathbf|textbf|mbox)\s*\{([^{}]*)\}"), r"\1"),
    (re.compile(r"\\times|\\cdot"), "*"),
    (re.compile(r"\\sqrt\s*(?:\[\d+\])?\s*\{?"), "\u221a"),
    (re.compile(r"\\pm"), "\u00b1"),
    (re.compile(r"\^\s*\{?\\circ\}?"), "\u00b0"),
    (re.compile(r"(?<=\d)(?:\{,\}|\\,|\\!)(?=\d{3})"), ","),
    (re.compile(r"\\([%$])"), r"\1"),
    (re.compile(r"\\[,;:! ]"), " "),
    (re.compile(r"- +(?=\d+/\d)"), "-"),
)
_MINUS = re.compile(r"(?<![\d%])(^|\s|=)(?:minus|negative)\s+(?=[\d.$])|(=\s*)-\s+(?=\d)", re.IGNORECASE)
_MARKED = re.compile(r"####\s*(?=[-+$\u20ac\u00a3]{0,2}\d|[-+]?\.\d)")
_NAMED = re.compile(r"(?<![\w\\])([^\W\d_]\w{0,20})\s?(?:=|:=)\s?[$\u20ac\u00a3]?$")
_WORD = r"(?:\s?[%\u00b0$\u20ac\u00a3]|\s?[^\W\d_]+)?"
_BETWEEN = re.compile(
    rf"""(?: {_WORD},?\s+or\s+(?:maybe\s+|perhaps\s+|possibly\s+)? | {_WORD}\s?-\s? | {_WORD}\s+(?:to|through)\s+
         | \s+and\s+ | \s+out\s+of\s+ | \s?[+*/\u00f7]\s? ) [$\u20ac\u00a3]?""",
    re.VERBOSE | re.IGNORECASE,
)
_LISTED = re.compile(r"\s?[,;]\s?(?:and\s+|or\s+)?[$\u20ac\u00a3]?", re.IGNORECASE)
_UNFINISHED = re.compile(r"[^\S\n]*[=+*/\u00f7^\u2248-]\s*$")
_ONLY_UNIT = re.compile(r"[^\w\n]*(?:[^\W\d_]+)?[^\w\n]*$")
_SPACED = re.compile(r"([-+]?[$\u20ac\u00a3]?)(\d{1,3}(?: \d{3})+)(?!\d)(\s?[^\d\s]*\.?)")


def numerals(text: str, decimal_comma: bool = False) -> list[Numeral]:
    """Every number of the text, in order."""
    return [one for found in _found(prepared(text), decimal_comma) if (one := _read(found, decimal_comma))]


def final_numerals(text: str, decimal_comma: bool = False) -> tuple[Numeral, ...]:
    """The number that the text ends up with: the first one after the last `####`, or else the last one.

    One numeral; two where the same number is given plainly and in percent (`1/4 or 25%`); none where the text holds no
    number, is cut off before it, or does not decide between several.
    """
    if len(text) < 16 and text.isdecimal() and text.isascii():
        return (Numeral(Fraction(int(text)), False, "", "", 0, len(text)),)
    ready = prepared(text)
    if ready.endswith("####"):
        return ()
    marked = list(_MARKED.finditer(ready))
    if marked:
        start = marked[-1].end()
        end = ready.find("\n", start)
        return _decided(ready, _found(ready, decimal_comma, start, len(ready) if end < 0 else end), 0, decimal_comma)
    found = _found(ready, decimal_comma)
    if not found or _UNFINISHED.match(ready, found[-1].end()):
        return ()
    return _decided(ready, found, len(found) - 1, decimal_comma)


def final_number(text: str) -> Fraction | None:
    """The value of the number that the text ends up with, or None."""
    found = final_numerals(text)
    return found[0].value if found else None


def only_number(text: str) -> Fraction | None:
    """The value of a text that is one number and nothing else; None for any other text."""
    ready = prepared(text)
    found = _POINT.fullmatch(ready)
    one = _read(found, False) if found and not found["word"] else None
    return None if one is None else one.value / 100 if one.percent else one.value


def prepared(text: str) -> str:
    """The text in which a numeral's positions count: plain characters, no LaTeX around numbers."""
    text = plain(text[-LONGEST:]).strip()
    if "\\" in text:
        for pattern, instead in _LATEX:
            text = pattern.sub(instead, text)
    if "min" in text or "neg" in text or "- " in text or "Min" in text or "Neg" in text:
        text = _MINUS.sub(lambda found: f"{found[1] or found[2] or ''}-", text)
    spaced = _SPACED.fullmatch(text)  # 12 345 is one number where nothing else is said
    return spaced[1] + spaced[2].replace(" ", "") + spaced[3] if spaced else text[-LONGEST:]


def _found(text: str, decimal_comma: bool, start: int = 0, end: int = LONGEST) -> list[re.Match[str]]:
    pattern = _COMMA if decimal_comma else _POINT
    return [found for found in pattern.finditer(text, start, end) if found["word"] is None or _belongs(found)]


def _belongs(found: re.Match[str]) -> bool:
    """Whether the letters written against a number leave it a number: 5km and $5M do, 2x and 3rd do not."""
    word = found["word"]
    return word in _NOT_UNITS or is_unit(word) or (word in _SCALE and _currency(found) != "")


def _decided(text: str, found: list[re.Match[str]], at: int, decimal_comma: bool) -> tuple[Numeral, ...]:
    """The numeral at `at`, unless it is one of several that the text leaves open."""
    one = _read(found[at], decimal_comma) if found else None
    if one is None:
        return ()
    alike = [one]
    step = -1 if at else 1
    if len(found) > 1 and _open(text, *sorted((found[at], found[at + step]), key=re.Match.start)):
        other = _read(found[at + step], decimal_comma)
        if other is None or _share(other) != _share(one):
            return () if other is None or other.value != one.value else (one,)
        alike.append(other)
    return tuple(alike)


def _open(text: str, left: re.Match[str], right: re.Match[str]) -> bool:
    between = text[left.end() : right.start()]
    if len(between) > 40:
        return False
    if _BETWEEN.fullmatch(between):
        return True
    return bool(_LISTED.fullmatch(between) and _ONLY_UNIT.match(text, right.end()))


def _share(one: Numeral) -> Fraction:
    return one.value / 100 if one.percent else one.value


def _read(found: re.Match[str], decimal_comma: bool) -> Numeral | None:
    body = found["body"]
    value = _value(found, body, decimal_comma) if len(body) <= _MOST_DIGITS else None
    if value is None:
        return None
    before = found.string[max(0, found.start() - 30) : found.start()]
    name = _NAMED.search(before) if "=" in before else None
    end = found.end("bottom") if found["bottom"] else found.end("exponent") if found["exponent"] else found.end("body")
    return Numeral(
        -value if (found["sign"] or "").startswith("-") else value, found["percent"] is not None, _currency(found),
        name[1] if name else "", found.start(), end,
    )  # fmt: skip


def _value(found: re.Match[str], body: str, decimal_comma: bool) -> Fraction | None:
    digits = _digits(body, decimal_comma)
    exponent, power, bottom = found["exponent"], found["power"], found["bottom"]
    value = Fraction(int(digits)) if digits.isdigit() else Fraction(digits)
    if exponent or power:
        ten = _EXPONENT.search(exponent or power) if exponent or value == 10 else None
        if ten is None or (exponent and power) or len(ten[1]) > 4 or abs(int(ten[1])) > _MOST_DIGITS:
            return None
        scale = Fraction(10) ** int(ten[1])
        value = value * scale if exponent else scale
    if bottom:
        if len(bottom) > _MOST_DIGITS or not Fraction(bottom):
            return None
        value /= Fraction(bottom)
        whole = re.match(r"\d+", found["whole"] or "")
        value += int(whole[0]) if whole and value < 1 else 0
    if found["scale"] or found["word"] in _SCALE:
        word = found["scale"].strip() if found["scale"] else found["word"]
        value *= 10 ** _SCALE[word] if found["scale"] or word == "k" or _currency(found) else 1
    return value


def _digits(body: str, decimal_comma: bool) -> str:
    """The body with a decimal point and no other mark."""
    body = body.replace("'", "").replace("\u2019", "").replace("_", "")
    if body.isdigit():
        return body
    thousand, decimal = (".", ",") if decimal_comma else (",", ".")
    if thousand in body and decimal in body:
        decimal, thousand = (decimal, thousand) if body.rindex(decimal) > body.rindex(thousand) else (thousand, decimal)
    elif body.count(decimal) > 1 or (thousand in body and not _grouped(body, thousand)):
        decimal, thousand = thousand, decimal
    return body.replace(thousand, "").replace(decimal, ".")


def _grouped(body: str, thousand: str) -> bool:
    first, *rest = body.split(thousand)
    return 1 <= len(first) <= 3 and first[0] != "0" and len(rest[-1]) == 3 and all(2 <= len(part) <= 3 for part in rest)


def _currency(found: re.Match[str]) -> str:
    sign = found["sign"] or ""
    before = sign[1:] or found.string[max(0, found.start() - 1) : found.start()]
    return before if before and before in _CURRENCY else ""

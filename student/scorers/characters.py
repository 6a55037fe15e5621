"""The characters that only look different: other scripts' digits, Unicode minus signs, raised and small digits, fractions.

In: any text. Out: the same text with one way to write each of these, so that no scorer reads 5\u00b2 as 52, x\u2081 as 1, or
1\u00bd as 11/2. Unicode's own compatibility folding (NFKC) makes exactly these mistakes, which is why it comes last.
"""

from __future__ import annotations

import re
import unicodedata

_SINGLE = {
    **dict.fromkeys("\u2212\ufe63\uff0d\u2010\u2011\u2012\u2013", "-"),  # minus signs, hyphens, and the en dash typed for one
    **dict.fromkeys("\u2044\u2215", "/"),
    **dict.fromkeys("\u00d7\u22c5\u00b7\u2217", "*"),
    "\u066b": ".", "\u066c": ",", "\u066a": "%",
}  # fmt: skip
_RAISED = {
    mark: plain
    for plain, mark in zip(
        "0123456789+-", "\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079\u207a\u207b", strict=True
    )
}
_LOWERED = {chr(0x2080 + digit): str(digit) for digit in range(10)}
_RAISED_RUN = re.compile(f"[{''.join(_RAISED)}]+")
_LOWERED_RUN = re.compile(f"[{''.join(_LOWERED)}]+")
_FRACTION = re.compile(r"(\d?)([\u00bc-\u00be\u2150-\u215e\u2189])")
_GROUP_SPACE = re.compile(r"(?<=\d)[\u00a0\u2009\u202f](?=\d{3}(?!\d))")


class _Table(dict[int, str]):
    """A table for `str.translate` that works out each character once."""

    def __missing__(self, code: int) -> str:
        self[code] = _plain(chr(code))
        return self[code]


def plain(text: str) -> str:
    """The text with ASCII digits and minus signs, `^2` for raised and `_2` for lowered digits, `1/2` for a fraction sign."""
    if text.isascii():
        return text
    text = _GROUP_SPACE.sub("", text)
    text = _RAISED_RUN.sub(lambda run: "^" + "".join(_RAISED[mark] for mark in run[0]), text)
    text = _LOWERED_RUN.sub(lambda run: "_" + "".join(_LOWERED[mark] for mark in run[0]), text)
    text = _FRACTION.sub(_spelled, text)
    return unicodedata.normalize("NFC", text.translate(_TABLE))


def folded(text: str) -> str:
    """Plain, without upper case, and with single spaces: what `exact` compares."""
    return " ".join(plain(text).casefold().split())


def _spelled(found: re.Match[str]) -> str:
    digits = unicodedata.normalize("NFKC", found[2]).replace("\u2044", "/")
    return f"{found[1]} {digits}" if found[1] else digits


def _plain(mark: str) -> str:
    if mark in _SINGLE:
        return _SINGLE[mark]
    kind = unicodedata.category(mark)
    if kind == "Nd":
        return str(unicodedata.digit(mark))
    return mark if kind == "No" else unicodedata.normalize("NFKC", mark)  # a digit in a circle is a mark, not a number


_TABLE = _Table()

r"""Compare expressions: \frac{1}{2} is 0.5, (x+1)^2 is x^2+2x+1, the set {1, 2} is {2, 1} and the point (1, 2) is not (2, 1).

In: the expected expression and an output that ends in one, in LaTeX or as one would type it. Out: 1, 0, or None without an
expression. Whether two are equal is math-verify's verdict (https://github.com/huggingface/Math-Verify), asked for in a
process of its own (`math_worker`); here the expression is found in the output and written in LaTeX.
"""

from __future__ import annotations

import re

from pydantic import Field

from student.records import Record
from student.scorers.characters import plain
from student.scorers.extract import after, boxed
from student.scorers.math_worker import WORKER
from student.scorers.numerals import final_numerals, prepared
from student.scorers.text import Scorer, normal

_LONGEST = 600
"""Characters of an expression; longer ones are loops of a model."""
_DISPLAYED = re.compile(
    r"\$\$([^$]+)\$\$|\\\[((?:(?!\\\]).){1,999})\\\]|\\\(((?:(?!\\\)).){1,999})\\\)|(?<![\\\d])\$([^$\n]+)\$", re.DOTALL
)
_CUE = re.compile(r"(?:answer|result|solution)\s*(?:is|:|=)\s*:?\s*", re.IGNORECASE)
_SAID = re.compile(r"\b(?:is|are|equals|get|gives|obtain|be)\b:?\s*|:\s+", re.IGNORECASE)
_PAIR = re.compile(r"[(\[][^()\[\]\n]{1,80},[^()\[\]\n]{1,80}[)\]]")
_TEXTUAL = re.compile(r"\\(?:text|mathrm|textbf|mbox)\s*\{([^{}]*)\}")
_SENTENCE_END = re.compile(r"\.(?:\s|$)|\n|;\s|,\s+(?=[A-Za-z]{3,})")
_WORDS = re.compile(r"(?<![\\A-Za-z])[A-Za-z]{3,}")
_NAMED = (
    "sin", "cos", "tan", "cot", "sec", "csc", "log", "ln", "exp", "arcsin", "arccos", "arctan", "sinh", "cosh", "tanh",
    "pi", "theta", "alpha", "beta", "gamma",
)  # fmt: skip
_FUNCTIONS = {*_NAMED, "sqrt", "max", "min", "gcd", "lcm", "det", "infinity", "infty", "inf"}
_SPELLED = {
    "\u03c0": r"\pi ", "\u221e": r"\infty ", "\u2264": r"\le ", "\u2265": r"\ge ", "\u2260": r"\ne ", "\u222a": r"\cup ",
    "\u2229": r"\cap ", "\u2208": r"\in ", "\u00b1": r"\pm ", "\u00b0": r"^{\circ}", "\u03b8": r"\theta ", "\u03b1": r"\alpha ",
    "\u03b2": r"\beta ", "\u211d": r"\mathbb{R}", "\u2205": r"\emptyset ", "\u00f7": "/",
}  # fmt: skip
_TYPED = (
    (re.compile(r"\*\*"), "^"),
    (re.compile(r"(?<=\d)[eE]([-+]?\d+)(?![\w.])"), r" \\times 10^{\1}"),
    (re.compile(r"\^(-?\d{2,}|-\d|\([^()]+\))"), r"^{\1}"),
    (re.compile(r"(?:(?<![\\A-Za-z])sqrt|\u221a)\s*\(([^()]*)\)"), r"\\sqrt{\1}"),
    (re.compile(r"\u221a\s*(\w+)"), r"\\sqrt{\1}"),
    (re.compile(rf"(?<![\\A-Za-z])({'|'.join(_NAMED)})(?![A-Za-z])"), r"\\\1 "),
    (re.compile(r"(?<![\\A-Za-z])inf(?:ty|inity)?(?![A-Za-z])"), r"\\infty "),
    (re.compile(r"<="), r"\\le "),
    (re.compile(r">="), r"\\ge "),
    (re.compile(r"!="), r"\\ne "),
    (re.compile(r"\*"), r" \\cdot "),
    (re.compile(r"(?<=\d) (?=\d+/\d)"), "+"),
)
_BASE = re.compile(r"\s*([0-9A-Za-z]+)\s*_\s*\{?\s*(\d{1,2})\s*\}?\s*")


class Math(Record):
    """Options of `math`: equal expressions."""

    seconds: float = Field(default=5.0, gt=0, le=60)
    """CPU time for one comparison. Answers that take longer get no score and are counted."""


def maths(options: Math) -> Scorer:
    """1 when math-verify finds both equal, else 0."""

    def score(expected: str, output: str) -> float | None:
        if word := _word(expected):
            return _says(word, output)
        wanted, found = expression(expected), expression(output)
        if wanted is None or found is None:
            return None
        if wanted == found:
            return 1.0
        goal, value = _based(wanted), _based(found)
        if goal is not None and value is not None:
            return float(goal == value)
        return WORKER.compare(wanted, found, options.seconds)

    return score


def expression(text: str) -> str | None:
    """The expression that the text ends up with, as LaTeX; None where there is none, it is cut off, or two are offered."""
    text = text[-20_000:].strip()
    if "\\boxed" in text or "\\fbox" in text:
        return _latex(boxed(text))
    if "####" in text:
        return _latex(_within(after("####", text)))
    cues = list(_CUE.finditer(text))
    return _latex(_within(text[cues[-1].end() :] if cues else text))


def _within(text: str | None) -> str | None:
    """The expression in a sentence: the last one in dollars, all of it, its last clause, a pair, or its final number."""
    if not text:
        return None
    shown = list(_DISPLAYED.finditer(text))
    if shown:
        parts = [next(filter(None, one.groups())) for one in shown[-2:]]
        offered = len(shown) > 1 and re.fullmatch(
            r"\s*,?\s*or\s*", text[shown[-2].end() : shown[-1].start()], re.IGNORECASE
        )
        return None if offered and parts[0] != parts[1] else parts[-1]
    whole = text.strip().rstrip(".")
    clauses = (whole, _SENTENCE_END.split(whole, maxsplit=1)[0], _SAID.split(whole)[-1])
    for clause in map(str.strip, clauses):
        if _is_math(clause):
            return None if re.search(r"[=+*/^-]$", clause) else clause
    if pairs := _PAIR.findall(whole):
        return pairs[-1]
    found = final_numerals(text)
    return prepared(text)[found[0].start : found[0].end] + (r"\%" if found[0].percent else "") if found else None


def _word(expected: str) -> str | None:
    """An answer that is a word and no expression: `even`, `\\text{Monday}`."""
    bare = _TEXTUAL.sub(r"\1", boxed(expected) or expected).strip(" $.")
    return bare if re.fullmatch(r"[A-Za-z][A-Za-z ]*[A-Za-z]", bare) and not _is_math(bare) else None


def _says(word: str, output: str) -> float | None:
    said = boxed(output) if "\\boxed" in output else output[-20_000:]
    if said is None or not said.strip():
        return None
    last = _SAID.split(_TEXTUAL.sub(r"\1", said).strip(" $.\n"))[-1]
    return float(normal(word) == normal(last.replace("$", "")))


def _is_math(text: str) -> bool:
    if not text or len(text) > _LONGEST or "\n" in text:
        return False
    plain_words = re.sub(r"\\[A-Za-z]+(?:\{[A-Za-z ]*\})?", " ", text)
    words = {word.lower() for word in _WORDS.findall(plain_words)}
    return words <= _FUNCTIONS


def _latex(text: str | None) -> str | None:
    """The expression with its typed parts in LaTeX; None for nothing and for far too much."""
    if not text or not text.strip() or len(text) > _LONGEST:
        return None
    ready = plain(text.strip().strip("$").strip()).rstrip(".")
    for mark, spelled in _SPELLED.items():
        ready = ready.replace(mark, spelled)
    for pattern, instead in _TYPED:
        ready = pattern.sub(instead, ready)
    return ready.strip() or None


def _based(text: str) -> int | None:
    """The value of 101_2: math-verify takes the base for an index and drops it."""
    found = _BASE.fullmatch(text)
    try:
        return int(found[1], int(found[2])) if found else None
    except ValueError:
        return None

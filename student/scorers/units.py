"""The common units: what each measures and how many of its basic unit it is, so that 3 km is 3000 m and 20 minutes is 1/3 h.

In: the text that follows a number (`km/h, downhill`). Out: a `Unit`, or None. Factors are exact fractions. Currencies and
information are basic units of their own: no exchange rate is assumed, and a month has no fixed number of days.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import NamedTuple


class Unit(NamedTuple):
    """What a number counts."""

    basis: tuple[tuple[str, int], ...]
    """Basic units with their powers, sorted: m/s is (("m", 1), ("s", -1))."""
    factor: Fraction
    """How many of the basis one of these is."""
    offset: Fraction = Fraction(0)
    """Added after multiplying: 0 degrees Celsius is 273.15 K."""


_PREFIX = {"n": -9, "\u03bc": -6, "u": -6, "m": -3, "c": -2, "d": -1, "k": 3, "M": 6, "G": 9, "T": 12}
_PREFIX_NAME = {
    "nano": -9,
    "micro": -6,
    "milli": -3,
    "centi": -2,
    "deci": -1,
    "kilo": 3,
    "mega": 6,
    "giga": 9,
    "tera": 12,
}

# Symbols (case counts) | names (case does not) | factor | basis | prefixes of the symbol that are in use.
_TABLE = """
m           | metre meter                       | 1                  | m              | n u \u03bc m c d k
g           | gram gramme                       | 1/1000             | kg             | n u \u03bc m k
s sec       | second                            | 1                  | s              | n u \u03bc m
L l         | litre liter                       | 1/1000             | m3             | u \u03bc m c d
N           | newton                            | 1                  | kg m s-2       | m k M
J           | joule                             | 1                  | kg m2 s-2      | m k M G
W           | watt                              | 1                  | kg m2 s-3      | m k M G
Pa          | pascal                            | 1                  | kg m-1 s-2     | k M
Hz          | hertz                             | 1                  | s-1            | k M G
A           | ampere amp                        | 1                  | A              | u \u03bc m
V           | volt                              | 1                  | kg m2 s-3 A-1  | m k
\u03a9 ohm  | ohm                               | 1                  | kg m2 s-3 A-2  | k M
mol         | mole                              | 1                  | mol            | m
B           | byte                              | 8                  | bit            | k M G T
bit         |                                   | 1                  | bit            | k M G
cal         | calorie                           | 4184/1000          | kg m2 s-2      | k
Wh          |                                   | 3600               | kg m2 s-2      | k M G
min         | minute                            | 60                 | s              |
h hr        | hour                              | 3600               | s              |
d           | day                               | 86400              | s              |
wk          | week                              | 604800             | s              |
mo          | month                             | 1                  | month          |
yr          | year                              | 12                 | month          |
t           | tonne                             | 1000               | kg             |
lb lbs      | pound                             | 45359237/100000000 | kg             |
oz          | ounce                             | 45359237/1600000000| kg             |
in          | inch inches                       | 254/10000          | m              |
ft          | foot feet                         | 3048/10000         | m              |
yd          | yard                              | 9144/10000         | m              |
mi          | mile                              | 1609344/1000       | m              |
ha          | hectare                           | 10000              | m2             |
mph         |                                   | 44704/100000       | m s-1          |
kph kmh     |                                   | 1000/3600          | m s-1          |
bar         |                                   | 100000             | kg m-1 s-2     | m
atm         |                                   | 101325             | kg m-1 s-2     |
K           | kelvin                            | 1                  | K              |
\u00b0      | degree deg                        | 1                  | degree         |
$ USD US$   | dollar buck                       | 1                  | USD            |
\u00a2      | cent                              | 1/100              | USD            |
\u20ac EUR  | euro                              | 1                  | EUR            |
\u00a3 GBP  |                                   | 1                  | GBP            |
p           | pence                             | 1/100              | GBP            |
\u00a5 JPY  | yen                               | 1                  | JPY            |
\u20b9 INR  | rupee                             | 1                  | INR            |
CHF         | franc                             | 1                  | CHF            |
"""
_OTHER = {
    "\u00b0C": Unit((("K", 1),), Fraction(1), Fraction(27315, 100)),
    "\u00b0F": Unit((("K", 1),), Fraction(5, 9), Fraction(45967, 180)),
}
_FACTOR = re.compile(
    r"(\u00b0\s?[CF]\b|US\$|[^\W\d_]+|[$\u00a2\u20ac\u00a3\u00a5\u20b9\u00b0])(?:(?:\s?\^\s?\{?)?(-?[1-4])\}?(?![\w.]))?"
)
_JOINT = re.compile(r"\s?(/|\bper\b|\*)\s?")
_SQUARED = re.compile(r"(square|cubic|sq|cu)\.?\s+", re.IGNORECASE)


def read_unit(text: str, at: int = 0) -> tuple[Unit, int] | None:
    """The unit that begins at `at`, and where it ends; None where there is none that is known."""
    word = _SQUARED.match(text, at)
    first = _factor(text, word.end() if word else at, (2 if word[1].lower().startswith("sq") else 3) if word else 1)
    if first is None:
        return None
    unit, end = first
    while joint := _JOINT.match(text, end):
        following = _factor(text, joint.end(), 1)
        if following is None:
            break
        unit = _times(unit, following[0], 1 if joint[1] == "*" else -1)
        end = following[1]
    return unit, end


def is_unit(word: str) -> bool:
    """Whether a word written against a number is a unit: yes for 5km and 100m2, no for 3rd and 2x."""
    found = _factor(word, 0, 1)
    return found is not None and found[1] == len(word)


def _factor(text: str, at: int, power: int) -> tuple[Unit, int] | None:
    found = _FACTOR.match(text, at)
    unit = _lookup(found[1].replace(" ", "")) if found else None
    if found is None or unit is None or (found[1] == "in" and re.match(r"\s+\w", text[found.end() : found.end() + 9])):
        return None  # `5 in the box` counts no inches
    return _power(unit, int(found[2] or 1) * power), found.end()


def _lookup(word: str) -> Unit | None:
    low = word.lower()
    named = _OTHER.get(word) or _SYMBOLS.get(word) or _NAMES.get(low) or _NAMES.get(low.removesuffix("s"))
    return named or (_SYMBOLS.get(low) if len(word) > 1 else None)  # KM is km, but T is no tonne


def _times(left: Unit, right: Unit, power: int) -> Unit:
    basis = dict(left.basis)
    for name, exponent in right.basis:
        basis[name] = basis.get(name, 0) + exponent * power
    return Unit(
        tuple(sorted((name, count) for name, count in basis.items() if count)), left.factor * right.factor**power
    )


def _power(unit: Unit, power: int) -> Unit:
    if power == 1:
        return unit
    return Unit(tuple((name, count * power) for name, count in unit.basis), unit.factor**power)


def _read_table() -> tuple[dict[str, Unit], dict[str, Unit]]:
    symbols, names = dict[str, Unit](), dict[str, Unit]()
    for line in _TABLE.strip().splitlines():
        marks, words, factor, basis, prefixes = (cell.split() for cell in line.split("|"))
        parts = [re.fullmatch(r"([A-Za-z]+)(-?\d)?", part) for part in basis]
        unit = Unit(tuple(sorted((part[1], int(part[2] or 1)) for part in parts if part)), Fraction(factor[0]))
        symbols.update(dict.fromkeys(marks, unit))
        names.update(dict.fromkeys(words, unit))
        for prefix in prefixes:
            scaled = unit._replace(factor=unit.factor * Fraction(10) ** _PREFIX[prefix])
            symbols.update({prefix + mark: scaled for mark in marks})
        if prefixes:
            for prefix, exponent in _PREFIX_NAME.items():
                names.update(
                    {prefix + word: unit._replace(factor=unit.factor * Fraction(10) ** exponent) for word in words}
                )
    return symbols, names


_SYMBOLS, _NAMES = _read_table()

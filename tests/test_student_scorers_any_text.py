"""Whatever a model writes: scoring never raises, says the same twice, ends, and calls a gold answer right.

Texts are made by hypothesis from the characters that scorers trip over: digits of all scripts, marks of numbers and JSON, LaTeX.
"""

from __future__ import annotations

import json
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from student.scorers import Scorer, ScorerSpec, make_scorer
from student.scorers.numerals import final_number
from student.scorers.units import read_unit

SPECS = [
    "exact", {"name": "exact", "verbatim": True}, "normalised", "contains", {"name": "contains", "separator": "|"}, "number",
    {"name": "number", "units": True, "percent": "fraction", "tolerance": 0.1, "relative": 0.01},
    {"name": "number", "decimal_comma": True}, "f1", "json", {"name": "json", "fields": ["a.b", "c"], "credit": True},
    {"name": "regex", "pattern": r"answer:? (\S+)"}, {"name": "regex", "pattern": r"(\d+)", "then": "number"},
    {"name": "exact", "extract": "boxed"}, {"name": "exact", "extract": "last-number"}, {"name": "number", "extract": "last-line"},
    {"name": "exact", "extract": {"after": "####"}}, {"name": "normalised", "extract": "json:a.b"}, "likelihood",
]  # fmt: skip
SCORERS: dict[str, Scorer] = {json.dumps(one): make_scorer(ScorerSpec.model_validate(one)) for one in SPECS}

PIECES = [
    "1", "23", "-", "\u2212", ".", ",", "/", " ", "\n", "%", "$", "km", "x", "=", "e5", "^", "\u00b2", "\u2081", "\u00bd", "\u0663",
    "\uff18",
    "\\frac{", "\\boxed{", "}", "{", '"', ":", "[", "]", "####", "<think>", "</think>", " or ", "either ", "I cannot answer",
    "a", "the ", "not ", "\x00", "\ud800", "'", "million", "\u00b0C", "null", "true", "\\", "\u2028", "*10^",
]  # fmt: skip
texts = st.one_of(st.text(max_size=60), st.lists(st.sampled_from(PIECES), max_size=14).map("".join))


@settings(max_examples=400, deadline=None)
@given(texts, texts, st.sampled_from(sorted(SCORERS)))
def test_any_two_texts_are_scored_alike_each_time(expected: str, output: str, name: str) -> None:
    score = SCORERS[name](expected, output)
    assert score is None or 0 <= score <= 1
    assert SCORERS[name](expected, output) == score


@settings(max_examples=400, deadline=None)
@given(texts, st.sampled_from(sorted(SCORERS)))
def test_a_gold_answer_is_right_or_is_none_at_all(answer: str, name: str) -> None:
    assert SCORERS[name](answer, answer) in {1.0, None}


@settings(max_examples=200, deadline=None)
@given(texts.filter(str.strip))
def test_the_text_scorers_take_every_gold_answer_that_is_not_blank(answer: str) -> None:
    for name in ("exact", "normalised", "contains", "f1", "likelihood"):
        assert SCORERS[json.dumps(name)](answer, answer) == 1


@given(st.integers(-(10**12), 10**12))
def test_every_integer_is_found_however_it_is_written(value: int) -> None:
    for text in (
        str(value), f"{value:,}", f"the answer is {value}.", f"1 2 3\n#### {value}", f"{value}.0", f"{value}%", f"= {value} km",
        f"{value:,}".replace(",", "\u202f"), f"{value:,}".replace(",", "'"), f"\\boxed{{{value}}}", f"({value})", f"**{value}**",
        str(value).replace("-", "\u2212"), f"x = {value}", f"1/1 is 1, this is {value}/1",
    ):  # fmt: skip
        assert final_number(text) == Fraction(value), text


@given(st.decimals(-(10**6), 10**6, places=2))
def test_every_decimal_is_found_however_it_is_written(value: object) -> None:
    exact = Fraction(str(value))
    english = f"{value:,}"
    for text in (
        str(value),
        english,
        f"${value} in all".replace("$-", "-$"),
        english.translate(str.maketrans(",.", ".,")),
    ):
        assert final_number(text) == exact, text
    scorer = SCORERS[json.dumps({"name": "number", "decimal_comma": True})]
    assert scorer(str(value).replace(".", ","), english.translate(str.maketrans(",.", ".,"))) == 1


@given(st.integers(-999, 999), st.integers(-999, 999))
def test_two_numbers_are_the_same_only_when_they_are(one: int, other: int) -> None:
    assert SCORERS['"number"'](str(one), f"It is {other}.") == float(one == other)


@given(st.integers(1, 999), st.integers(1, 999), st.sampled_from([" or ", "-", " to ", " and ", ", ", " + ", "/7/"]))
def test_two_numbers_side_by_side_are_no_answer(one: int, other: int, joint: str) -> None:
    expected = 1.0 if one == other and joint != "/7/" else None
    assert SCORERS['"number"'](str(other), f"{one}{joint}{other}") == expected


@given(
    st.dictionaries(
        st.sampled_from("abcd"), st.one_of(st.integers(), st.text(max_size=9), st.booleans(), st.none()), min_size=1
    )
)
def test_json_is_found_in_prose_and_in_another_order(record: dict[str, object]) -> None:
    shuffled = json.dumps(dict(reversed(record.items())), indent=2)
    assert SCORERS['"json"'](json.dumps(record), f"Here {{you}} go:\n```json\n{shuffled}\n```\nBye.") == 1


@pytest.mark.parametrize(
    ("text", "end"), [("km/h, down", 4), ("m^2", 3), ("square feet", 11), ("kWh", 3), ("miles per hour", 14)]
)
def test_units_are_read_as_far_as_they_go(text: str, end: int) -> None:
    found = read_unit(text)
    assert found is not None
    assert found[1] == end


@pytest.mark.parametrize(
    "piece",
    ["1 ", "1,", "-", "1", "1/", "{", "[", '{"a":', "\\boxed{", "\\[", "<think>", "#### ",
     "\u00bd", "either a or ", "\\frac{1", "I'm sorry "],
)  # fmt: skip
def test_a_megabyte_is_scored_too(piece: str) -> None:
    output = piece * (1_000_000 // len(piece))
    for scorer in SCORERS.values():
        score = scorer("5", output)
        assert score is None or 0 <= score <= 1

"""Planted wrong answers are wrong: no scorer calls one right, and none is another way to write the right answer."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from student.scorers import ScorerSpec, make_scorer
from student.scorers.numerals import final_number
from student.scorers.planted import REFUSAL, planted_wrong


def spec(value: Any) -> ScorerSpec:
    return ScorerSpec.model_validate(value)


def called_right(value: Any, answer: str, others: list[str]) -> list[str]:
    one = spec(value)
    score = make_scorer(one)
    planted = planted_wrong(one, answer, others)
    return [text for text in planted if (found := score(answer, text)) is not None and found >= one.right_at]


@pytest.mark.parametrize(
    ("value", "answer", "others", "planted"),
    [
        ("number", "18", ["18.0", "7"], {"19", "17", "-18", "81", "7", "", REFUSAL}),
        ("number", "She has 3.\n#### 18", [], {"She has 3.\n#### 19", "She has 3.\n#### -18"}),
        ("number", "-$1,200.50", [], {"1200.5", "-1201.5"}),
        ("number", "1/3", [], {"4/3", "-1/3"}),
        ("number", "x = 3, y = 4", [], {"x = 3, y = 5"}),
        ("number", "\\boxed{18}", [], {"\\boxed{19}"}),
        ({"name": "number", "extract": {"after": "####"}}, "work\n#### 18", [], {"#### 19"}),
        ({"name": "number", "tolerance": 5}, "3.14", [], {"14.14"}),
        ({"name": "number", "units": True}, "3 km", ["3000 m"], {"4 km", "3"}),
        ({"name": "number", "decimal_comma": True}, "1.234,5", [], {"1235,5"}),
        ("exact", "New York", ["new york", "London"], {"London", "not New York", "either New York or London"}),
        ("normalised", "Apollo 11", ["C"], {"Apollo 12", "C"}),
        ({"name": "contains", "separator": "|"}, "NYC|New York", ["York", "Berlin"], {"Berlin"}),
        ("f1", "the big cat sat", ["a red dog"], {"a red dog"}),
        ("math", "5", ["x=5", "5.0", "6"], {"6", "5+1", "-(5)"}),
        ("math", "\\frac{x}{2}", [], {"\\frac{x}{2} + 1"}),
        ("json", '{"a": 1, "b": "x"}', ['{"a": 1}'], {'{"a": 2, "b": "x"}', '{"b": "x"}'}),
        ({"name": "regex", "pattern": "Answer: (.)"}, "Answer: B", ["Answer: A", "B"], {"Answer: A"}),
        ("likelihood", "a", ["a", "b", "b"], {"b"}),
        ({"name": "exact", "extract": "boxed"}, "Paris", ["Rome"], {"\\boxed{Rome}"}),
        ({"name": "number", "extract": "json:n"}, "5", [], {'{"n": "6"}'}),
    ],
)  # fmt: skip
def test_near_misses_are_planted(value: Any, answer: str, others: list[str], planted: set[str]) -> None:
    assert planted <= set(planted_wrong(spec(value), answer, others))


@pytest.mark.parametrize(
    ("value", "answer", "others"),
    [
        ("number", "1", ["1.0", "2/2", "1"]),
        ("number", "0", ["-0", "0.0"]),
        ({"name": "number", "tolerance": 1}, "5", ["5.5", "6"]),
        ("exact", "yes", ["Yes", " yes "]),
        ("contains", "York", ["New York"]),
        ("f1", "a b c d e", ["a b c d"]),
        ("math", "1/2", ["0.5", "50\\%", "\\frac{1}{2}"]),
        ("math", "5", ["x=5"]),
        ("json", '{"a": 1}', ['{"a": 1.0, "b": 3}']),
    ],
)  # fmt: skip
def test_another_way_to_write_the_answer_is_not_planted(value: Any, answer: str, others: list[str]) -> None:
    assert not set(others) & set(planted_wrong(spec(value), answer, others))


def test_a_refusal_is_planted_only_where_it_is_not_the_answer() -> None:
    assert REFUSAL in planted_wrong(spec("exact"), "Paris", [])
    assert REFUSAL not in planted_wrong(spec("exact"), "I don't know", [])


def test_nothing_but_silence_is_planted_where_wrong_is_a_matter_of_opinion() -> None:
    assert planted_wrong(spec("math"), "[1,2)", ["3"]) == ["", REFUSAL]


written = st.one_of(
    st.integers(-(10**6), 10**6).map(str),
    st.decimals(-1000, 1000, places=2).map(str),
    st.fractions(-100, 100, max_denominator=50).map(str),
    st.text(st.characters(categories=["L", "N", "P", "Zs"]), min_size=1, max_size=20),
)
SPECS = [
    "number",
    {"name": "number", "tolerance": 2.5},
    {"name": "number", "relative": 0.3},
    "exact",
    "normalised",
    "contains",
    "f1",
]


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(SPECS), written, st.lists(written, max_size=4))
def test_no_planted_answer_is_called_right(value: Any, answer: str, others: list[str]) -> None:
    assert called_right(value, answer, others) == []


@settings(max_examples=200, deadline=None)
@given(written, st.lists(written, max_size=4))
def test_no_planted_number_has_the_right_value(answer: str, others: list[str]) -> None:
    right = final_number(answer)
    assert right is None or all(final_number(text) != right for text in planted_wrong(spec("number"), answer, others))
    assert right is None or isinstance(right, Fraction)


values = st.one_of(st.integers(), st.text(max_size=6), st.booleans(), st.none(), st.lists(st.integers(), max_size=2))
records = st.dictionaries(st.sampled_from("abc"), values, min_size=1)


@settings(max_examples=200, deadline=None)
@given(records, st.lists(records, max_size=2), st.booleans())
def test_no_planted_record_is_called_right(record: dict[str, Any], others: list[dict[str, Any]], credit: bool) -> None:
    value = {"name": "json", "credit": credit}
    assert called_right(value, json.dumps(record), [json.dumps(one) for one in others]) == []

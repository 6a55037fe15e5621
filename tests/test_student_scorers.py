"""Right, wrong, malformed, truncated: what counts as an answer and when two answers are the same.

The numbers here are the ones that naive scorers get wrong: signs, fractions, thousands separators, units, several
numbers in one sentence, and characters that only look like a digit's neighbour.
"""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from student.scorers import SCORERS, exact, final_number, number, outcome


@pytest.mark.parametrize(
    ("expected", "output"),
    [
        ("5", "5"), ("1200", "1,200"), ("1,200", "1200.0"), ("-5", "\u22125"), ("0.5", "1/2"), ("1/2", "2 / 4"),
        ("20", "20%"), ("20%", "the share is 20 %"), ("4", "x = 3, y = 4"), ("4", "3 apples and 1 pear make 4 fruits."),
        ("8", "2400 / 300 = 8\n#### 8"), ("8", "#### 8 minutes, not 9"), ("7", "#### 3\nno wait\n#### 7"), ("5", "$5."),
        ("1200.5", "$1,200.50"), (".5", "0.50"), ("5", "(5)"), ("-5", "= -5"), ("5", "10-5"), ("8", "\uff18"),
    ],
)  # fmt: skip
def test_equal_by_value(expected: str, output: str) -> None:
    assert number(expected, output) == 1


@pytest.mark.parametrize(
    ("expected", "output"),
    [("5", "-5"), ("-5", "5"), ("12", "1/2"), ("1/2", "12"), ("34", "x = 3, y = 4"), ("3", "x = 3, y = 4"),
     ("1200", "1.200"), ("8", "#### 9 is more than 8"), ("20", "0.2"), ("12", "1 2"), ("15", "1.5")],
)  # fmt: skip
def test_different_by_value(expected: str, output: str) -> None:
    assert number(expected, output) == 0


@pytest.mark.parametrize("output", ["", "none", "forty-two", "n/a", "page_x", "3/0", "####", "#### dunno"])
def test_no_number_is_malformed_and_not_wrong(output: str) -> None:
    assert number("5", output) is None


@pytest.mark.parametrize(
    ("output", "misread"), [("\u00bd", "2"), ("5\u00b2", "52"), ("3 m\u00b2", "2"), ("1\u00bd", "112")]
)
def test_small_and_raised_digits_are_not_taken_for_plain_ones(output: str, misread: str) -> None:
    assert number(misread, output) != 1


def test_a_huge_number_is_read_or_refused_but_never_raises() -> None:
    assert number("5", "9" * 10_000) in (0.0, None)


@given(st.integers(-(10**12), 10**12))
def test_every_integer_is_found_however_it_is_written(value: int) -> None:
    for text in (
        str(value),
        f"{value:,}",
        f"the answer is {value}.",
        f"1 2 3\n#### {value}",
        f"{value}.0",
        f"{value}%",
    ):
        assert final_number(text) == Fraction(value)


@given(st.text(max_size=200))
def test_any_text_has_a_number_or_none(text: str) -> None:
    assert final_number(text) is None or isinstance(final_number(text), Fraction)


def test_exact_folds_case_and_space_only() -> None:
    assert exact("New  York", " new york\n") == 1
    assert exact("New York", "newyork") == 0
    assert exact("cafe", "caf\u00e9") == 0
    assert exact("x", " \n") is None


def test_an_unfinished_answer_is_truncated_unless_it_is_right() -> None:
    assert outcome(1.0, truncated=True) == "right"
    assert outcome(0.0, truncated=True) == "truncated"
    assert outcome(None, truncated=True) == "truncated"
    assert outcome(0.0, truncated=False) == "wrong"
    assert outcome(None, truncated=False) == "malformed"


def test_scorers_are_known_by_name() -> None:
    assert SCORERS["exact"]("a", "A") == 1
    assert SCORERS["number"]("1", "1.0") == 1

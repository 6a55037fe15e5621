"""Right, wrong, malformed, truncated: what counts as an answer, and how a scorer is named and set up in a YAML file.

What each scorer must get right stands in `student/scorers/traps.yaml`; every line of it is one test here.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from student.errors import StudentError
from student.scorers import (
    SCORER_NAMES,
    ScorerSpec,
    best_choice,
    choice_values,
    make_scorer,
    outcome,
    unscored,
)
from student.scorers.extract import Extract, dress, picker
from student.scorers.numerals import final_number
from student.scorers.traps import ChoiceTrap, Trap, self_test, traps

SUBJECTS = (
    "negative",
    "fraction",
    "percent",
    "thousands",
    "digit",
    "x = 3, y = 4",
    "refusal",
    "several",
    "truncated",
    "reasoning",
)
"""What the traps of a scorer of free text must cover between them."""


def spec(text: str) -> ScorerSpec:
    return ScorerSpec.model_validate(yaml.safe_load(text))


def message(text: str) -> str:
    with pytest.raises(ValidationError) as caught:
        spec(text)
    assert len(caught.value.errors()) == 1
    return caught.value.errors()[0]["msg"]


def shown(trap: Trap | ChoiceTrap) -> str:
    return f"{trap.scorer.name}: {trap.why}"


@pytest.mark.parametrize(
    "trap", [one for one in traps() if isinstance(one, Trap) and one.scorer.name != "math"], ids=shown
)
def test_trap(trap: Trap) -> None:
    score = make_scorer(trap.scorer)(trap.expected, trap.output)
    assert score == (None if trap.wanted is None else pytest.approx(trap.wanted, abs=1e-5))


@pytest.mark.parametrize("trap", [one for one in traps() if isinstance(one, ChoiceTrap)], ids=shown)
def test_choice_trap(trap: ChoiceTrap) -> None:
    values = choice_values(trap.scorer.name, trap.scores, trap.choices)
    assert trap.choices[best_choice(values)] == trap.wanted


@pytest.mark.parametrize("name", SCORER_NAMES)
def test_every_scorer_has_traps_enough(name: str) -> None:
    assert sum(one.scorer.name == name for one in traps()) >= 15


@pytest.mark.parametrize("name", ["exact", "normalised", "contains", "number", "math", "f1", "json"])
def test_the_traps_cover_what_goes_wrong_with_answers(name: str) -> None:
    whys = [one.why for one in traps() if one.scorer.name == name]
    assert [subject for subject in SUBJECTS if not any(subject in why for why in whys)] == []


def test_traps_ask_for_every_kind_of_verdict() -> None:
    verdicts = Counter((one.scorer.name, one.wanted) for one in traps() if isinstance(one, Trap))
    for name in SCORER_NAMES:
        assert verdicts[name, 1.0]
        assert verdicts[name, 0.0]


@pytest.mark.parametrize(
    "name", ["exact", "number", "{name: regex, pattern: 'a(.)', then: number}", "{name: f1, extract: boxed}"]
)
def test_a_sound_scorer_passes_its_self_test(name: str) -> None:
    assert self_test(spec(name)) == []


def test_the_self_test_tells_which_traps_a_scorer_falls_for() -> None:
    fallen = self_test(spec("exact"), lambda spec: lambda expected, output: 1.0)
    assert {one.wanted for one in fallen} == {0.0, None}
    assert any(one.why == "refusal" for one in fallen)


def test_a_bare_name_is_the_scorer_with_its_defaults() -> None:
    assert spec("number") == spec("{name: number}") == spec("{name: number, tolerance: 0, units: false}")
    assert spec("exact").kind == "generate"
    assert spec("likelihood-norm").kind == "choice"


@pytest.mark.parametrize(
    "text",
    [
        *(name for name in SCORER_NAMES if name != "regex"),
        "{name: number, tolerance: 0.01, units: true, extract: {after: '####'}}",
        "{name: regex, pattern: '(?P<x>a)b', group: x, then: {name: f1, threshold: 0.5}}",
        "{name: json, fields: [a, b.c], credit: true, threshold: 0.5}",
        "{name: exact, extract: 'json:a.b'}",
        "{name: exact, extract: {json: a}}",
        "{name: exact, extract: {regex: 'x(.)', group: 1}}",
        "{name: exact, extract: last-line}",
    ],
)
def test_a_spec_survives_being_written_down(text: str) -> None:
    one = spec(text)
    again = ScorerSpec.model_validate(yaml.safe_load(yaml.safe_dump(one.model_dump(mode="json"))))
    assert again == one
    assert hash(again) == hash(one)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("numbr", "'numbr' is no scorer. Did you mean 'number'?"),
        ("5", "5 is no scorer"),
        ("{tolerance: 1}", "None is no scorer"),
        ("{name: number, tolerence: 1}", "'tolerence' is no option of the scorer 'number'. Did you mean 'tolerance'?"),
        ("{name: exact, tolerance: 1}", "'tolerance' is no option of the scorer 'exact'. It belongs to number."),
        ("{name: number, tolerance: much}", "`tolerance` of the scorer 'number': Input should be a valid number"),
        ("{name: number, tolerance: -1}", "greater than or equal to 0"),
        ("{name: number, tolerance: .nan}", "`tolerance` of the scorer 'number'"),
        ("{name: number, percent: maybe}", "'points' or 'fraction'"),
        ("{name: f1, threshold: 2}", "less than or equal to 1"),
        ("{name: regex}", "`pattern` of the scorer 'regex': Field required."),
        ("{name: regex, pattern: '(a'}", "The pattern '(a' is no regular expression: missing )"),
        ("{name: regex, pattern: 'a(b)', group: 2}", "has no group 2; it has 0, 1."),
        ("{name: regex, pattern: 'a(?P<x>b)', group: y}", "has no group 'y'; it has 0, 1, x."),
        ("{name: regex, pattern: a, then: exakt}", "'exakt' is no scorer. Did you mean 'exact'?"),
        ("{name: regex, pattern: a, then: likelihood}", "`then: likelihood` compares no text"),
        ("{name: regex, pattern: a, then: {name: exact, extract: boxed}}", "`then` takes no `extract`"),
        ("{name: exact, extract: boxd}", "'boxd' is no place to extract an answer from. Did you mean 'boxed'?"),
        ("{name: exact, extract: after}", "does not say what to look for"),
        ("{name: exact, extract: {afer: x}}", "'afer' is no key of `extract`. Did you mean 'after'?"),
        ("{name: exact, extract: {after: 4}}", "needs a text, found 4"),
        ("{name: exact, extract: {after: x, regex: y}}", "names one place"),
        ("{name: exact, extract: {regex: '[a'}}", "is no regular expression"),
        ("{name: likelihood, extract: boxed}", "`extract` goes with written answers"),
    ],
)
def test_a_wrong_spec_says_what_to_mend(text: str, said: str) -> None:
    assert said in message(text)


def test_the_outcome_of_an_answer() -> None:
    assert outcome(1.0, truncated=True) == "right"
    assert outcome(0.0, truncated=True) == "truncated"
    assert outcome(None, truncated=True) == "truncated"
    assert outcome(0.0, truncated=False) == "wrong"
    assert outcome(None, truncated=False) == "malformed"


def test_partial_scores_are_right_from_their_threshold() -> None:
    one = spec("{name: f1, threshold: 0.5}")
    score = make_scorer(one)("Paris", "Paris or London")
    assert outcome(score, truncated=False, right_at=one.right_at) == "right"
    assert outcome(score, truncated=False, right_at=spec("f1").right_at) == "wrong"
    assert spec("{name: regex, pattern: a, then: {name: f1, threshold: 0.4}}").right_at == 0.4


def test_a_decimal_comma_is_read_where_nothing_speaks_against_it() -> None:
    assert final_number("so it is 1,5") == final_number("3/2")


@pytest.mark.parametrize("answer", ["18", "x", "a {b} c"])
@pytest.mark.parametrize("place", ["whole", "last-line", "boxed", {"after": "####"}, "json:a.b"])
def test_an_answer_is_found_where_it_was_put(place: Any, answer: str) -> None:
    extract = Extract.model_validate(place)
    assert picker(extract)(dress(extract, answer)) == answer


def test_choices_are_valued_in_nats_or_nats_a_character() -> None:
    assert choice_values("likelihood", [-2.0, -6.0], ["ab", "abc"]) == [-2.0, -6.0]
    assert choice_values("likelihood-norm", [-2.0, -6.0], ["ab", "abc"]) == [-1.0, -2.0]
    with pytest.raises(StudentError, match=r"'likelyhood' does not score choices\. Did you mean 'likelihood'"):
        choice_values("likelyhood", [0.0], ["a"])


@pytest.mark.parametrize("pattern", ["(x+x+)+y", "(a|a)*b", "(.*)*,(.*)*;"])
def test_a_pattern_that_never_ends_gives_no_score_and_is_counted(pattern: str) -> None:
    before = unscored().get("pattern-deadline", 0)
    score = make_scorer(ScorerSpec.model_validate({"name": "regex", "pattern": pattern}))
    assert score("a", "x" * 300 + "a" * 300) is None
    assert unscored().get("pattern-deadline", 0) in {before, before + 1}

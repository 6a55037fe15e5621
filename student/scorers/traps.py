"""The traps each scorer must pass, and the self-test that runs them: before an eval set is trusted, and in the tests.

In: `traps.yaml`, a table that anyone who knows the subject can read and argue with. Out: the traps a scorer fell for. A scorer
that falls for one here would misjudge answers like it in the run, so that `llm2llm evals check` says so first.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from student.records import Record
from student.scorers.choices import best_choice, choice_values
from student.scorers.spec import Regex, ScorerSpec, make_scorer
from student.scorers.text import Scorer

_TABLE = Path(__file__).with_name("traps.yaml")


class Trap(Record):
    """One output and the score it deserves."""

    scorer: ScorerSpec
    """The scorer, with the options under which the score is deserved."""
    expected: str
    """The right answer."""
    output: str
    """What a student wrote."""
    wanted: float | None
    """The score; None where the output holds no answer of the expected form."""
    why: str
    """What it is a trap for."""


class ChoiceTrap(Record):
    """One set of log-likelihoods and the choice that must be picked."""

    scorer: ScorerSpec
    """`likelihood` or `likelihood-norm`."""
    scores: tuple[float, ...]
    """The log-likelihood of each choice, in nats."""
    choices: tuple[str, ...]
    """The choices."""
    wanted: str
    """The one that must be picked."""
    why: str
    """What it is a trap for."""


@cache
def traps() -> tuple[Trap | ChoiceTrap, ...]:
    """All traps, of all scorers."""
    rows = list[Trap | ChoiceTrap]()
    for block in yaml.safe_load(_TABLE.read_text(encoding="utf-8")):
        spec = ScorerSpec.model_validate(block["scorer"])
        rows += [_trap(spec, row) for row in block["traps"]]
        rows += [_choice_trap(spec, row) for row in block.get("choices", ())]
    return tuple(rows)


def self_test(spec: ScorerSpec, make: Callable[[ScorerSpec], Scorer] = make_scorer) -> list[Trap | ChoiceTrap]:
    """The traps that this scorer, or the way it extracts, falls for: none if all is well.

    Each trap is tried under its own options, because another tolerance deserves another score. `make` turns a spec into
    the function to try.
    """
    names = {spec.name} | ({spec.options.then.name} if isinstance(spec.options, Regex) else set())
    place = spec.extract.place
    mine = [one for one in traps() if one.scorer.name in names or one.scorer.extract.place == place != "whole"]
    return [one for one in mine if not _passes(one, make)]


def _passes(trap: Trap | ChoiceTrap, make: Callable[[ScorerSpec], Scorer]) -> bool:
    if isinstance(trap, ChoiceTrap):
        values = choice_values(trap.scorer.name, trap.scores, trap.choices)
        return trap.choices[best_choice(values)] == trap.wanted
    score = make(trap.scorer)(trap.expected, trap.output)
    if score is None or trap.wanted is None:
        return score is trap.wanted
    return abs(score - trap.wanted) < 1e-4


def _trap(spec: ScorerSpec, row: list[Any]) -> Trap:
    expected, output, wanted, why = row
    return Trap(scorer=spec, expected=expected, output=output, wanted=wanted, why=why)


def _choice_trap(spec: ScorerSpec, row: list[Any]) -> ChoiceTrap:
    scores, choices, wanted, why = row
    return ChoiceTrap(scorer=spec, scores=tuple(scores), choices=tuple(choices), wanted=wanted, why=why)

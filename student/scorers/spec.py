"""Which scorer an eval set uses, with its options: `exact`, or {name: number, tolerance: 0.01, extract: {after: "####"}}.

In: what stands under `scorer` in the YAML file. Out: a checked `ScorerSpec`, and from it the function that scores. Each scorer
is a name, a record of options and a function that takes them; an option of another scorer is an error, not ignored.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import Field, SerializeAsAny, ValidationError, field_validator, model_serializer, model_validator

from student.records import Record
from student.scorers.answer import conclusion, declines
from student.scorers.choices import CHOICE_SCORERS, Likelihood, label
from student.scorers.extract import Extract, compiled, picker
from student.scorers.json_fields import Json, json_fields
from student.scorers.maths import Math, maths
from student.scorers.number import Number, number
from student.scorers.suggest import suggest
from student.scorers.text import F1, Contains, Exact, Normalised, Scorer, contains, exact, f1, normalised

LONGEST = 100_000
"""Characters of an output that are read, from its end, unless the expected answer is longer."""


class Regex(Record):
    """Options of `regex`: find the answer by a pattern, then compare it with another scorer."""

    pattern: str
    """The pattern, in Python's syntax. Its last match in the output counts."""
    group: int | str = 0
    """The group that holds the answer; the first one where the pattern has groups and none is named."""
    then: ScorerSpec = Field(default_factory=lambda: ScorerSpec(name="exact"))
    """The scorer that compares what was found."""

    @model_validator(mode="after")
    def _usable(self) -> Regex:
        compiled(self.pattern, self.group)
        if self.then.kind == "choice":
            raise ValueError(
                f"`then: {self.then.name}` compares no text. Name a scorer for written answers, such as exact."
            )
        if self.then.extract.place != "whole":
            raise ValueError("`then` takes no `extract`: the pattern says where the answer stands. Take it out.")
        return self

    @property
    def place(self) -> Extract:
        """The pattern as a place in an output."""
        return Extract(place="regex", text=self.pattern, group=self.group)


class ScorerSpec(Record):
    """A scorer and its options. In YAML a bare name, or a mapping of `name`, `extract` and the options."""

    name: str
    """One of `SCORER_NAMES`."""
    extract: Extract = Extract()
    """Where in the output the answer stands."""
    options: SerializeAsAny[Record] = Record()
    """The scorer's own options; see the record of each."""

    @model_validator(mode="before")
    @classmethod
    def _written(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            value = {"name": value}
        name = value.get("name")
        if not isinstance(name, str) or name not in OPTIONS:
            raise ValueError(f"{name!r} is no scorer. {suggest(str(name), SCORER_NAMES)}")
        own = {key: one for key, one in value.items() if key not in {"name", "extract", "options"}}
        if isinstance(value.get("options"), OPTIONS[name]) and not own:
            return value
        extract = {"extract": value["extract"]} if "extract" in value else {}
        return {"name": name, **extract, "options": _options(name, own | dict(value.get("options") or {}))}

    @field_validator("extract")
    @classmethod
    def _no_place(cls, extract: Extract, info: Any) -> Extract:
        if extract.place != "whole" and info.data.get("name") in CHOICE_SCORERS:
            raise ValueError(
                f"`extract` goes with written answers; {info.data['name']} picks one of the choices. Take it out."
            )
        return extract

    @model_serializer
    def _write(self) -> dict[str, Any]:
        place = {} if self.extract == Extract() else {"extract": self.extract.model_dump()}
        return {"name": self.name, **place, **self.options.model_dump()}

    @property
    def kind(self) -> str:
        """`choice` for scorers of log-likelihoods, else `generate`."""
        return "choice" if self.name in CHOICE_SCORERS else "generate"

    @property
    def right_at(self) -> float:
        """The score from which an answer is right."""
        inner = self.options.then if isinstance(self.options, Regex) else self
        return getattr(inner.options, "threshold", 1.0)


def make_scorer(spec: ScorerSpec) -> Scorer:
    """The function that scores: (expected, output) to 0..1, or None when the output holds no answer of the expected form.

    Reasoning is set aside first, a refusal is no answer, and `extract` finds the part that counts. An output that is the
    expected answer, character for character, needs no such place: students are trained on answers as they are given.
    """
    compare = MAKERS[spec.name](spec.options)
    if spec.kind == "choice":
        return compare
    pick = _picker(spec)

    def score(expected: str, output: str) -> float | None:
        wanted = pick(expected) or expected.strip()
        if output == expected or output.strip() == expected.strip():
            return compare(wanted, wanted)
        answer = conclusion(output)
        if answer is None or (declines(answer) and not declines(expected)):
            return None
        found = pick(answer[-max(LONGEST, 2 * len(expected)) :])
        return None if found is None else compare(wanted, found)

    return score


def _picker(spec: ScorerSpec) -> Callable[[str], str | None]:
    pick = picker(spec.extract)
    if spec.name != "number" or spec.extract.place != "after":
        return pick
    # After a mark the first number counts, as after `####`: "The answer is 18 dollars a day for 3 days."
    return lambda text: f"#### {found}" if (found := pick(text)) is not None else None


def _regex(options: Regex) -> Scorer:
    return make_scorer(options.then.model_copy(update={"extract": options.place}))


OPTIONS: dict[str, type[Record]] = {
    "exact": Exact, "normalised": Normalised, "contains": Contains, "regex": Regex, "number": Number, "math": Math, "f1": F1,
    "json": Json, "likelihood": Likelihood, "likelihood-norm": Likelihood,
}  # fmt: skip
MAKERS: dict[str, Callable[[Any], Scorer]] = {
    "exact": exact, "normalised": normalised, "contains": contains, "regex": _regex, "number": number, "math": maths, "f1": f1,
    "json": json_fields, "likelihood": label, "likelihood-norm": label,
}  # fmt: skip
SCORER_NAMES = tuple(OPTIONS)


def _options(name: str, given: dict[Any, Any]) -> Record:
    """The options record of a scorer. Raises ValueError with one sentence about the first thing that is wrong."""
    known = list(OPTIONS[name].model_fields)
    for key in given:
        if key not in known:
            owners = [other for other, kind in OPTIONS.items() if key in kind.model_fields]
            hint = f"It belongs to {', '.join(owners)}." if owners else suggest(str(key), [*known, "extract"])
            raise ValueError(f"{key!r} is no option of the scorer {name!r}. {hint}")
    try:
        return OPTIONS[name].model_validate(given)
    except ValidationError as error:
        wrong = error.errors()[0]
        where = ".".join(map(str, wrong["loc"])) or name
        said = wrong["msg"].removeprefix("Value error, ")
        raise ValueError(f"`{where}` of the scorer {name!r}: {said}{'' if said.endswith('.') else '.'}") from error


Regex.model_rebuild()

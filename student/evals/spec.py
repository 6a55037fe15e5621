"""The shape of an eval set's YAML file, and how it is read: strict, with every error naming the file and the key.

    name: tickets
    source: tickets.csv                      # or one file a part: {train: train.jsonl, test: test.jsonl}
    columns: {prompt: body, answer: queue}
    labels: {billing: money and invoices, access: logins and rights}
    splits: {mine: 60, select: 100, test: 300}

Nothing in it is code: a prompt template runs in Jinja's sandbox, and tasks that are code are named by an address
(`student.evals.address`) and need `--allow-code`.
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, FiniteFloat, ValidationError, field_validator, model_validator

from student.evals.trouble import EvalError, a_kind
from student.evals.yamlfile import LineOf, read_yaml
from student.prompting import Format
from student.records import Record, Split
from student.scorers import ScorerSpec

ROLES: tuple[Split, ...] = ("mine", "select", "test")


AnswerIs = Literal["choice", "label", "letter", "position from 0", "position from 1"]


class Columns(Record):
    """Which column holds what."""

    prompt: str | None = None
    """The question: text, or a list of chat messages with `role` and `content`."""
    answer: str | None = None
    """The right answer: a label, a text, a number, an object; for `choices`, the choice, its position or its letter."""
    choices: str | tuple[str, ...] | None = None
    """For multiple choice: the column with a list of choices, or one column for each."""
    answer_is: AnswerIs | None = None
    """For `choices`: whether `answer` holds the choice itself, its label, its letter or its position; found out when not given."""
    skill: str | None = None
    """What the item exercises; the label itself when not given and labels are fixed."""
    id: str | None = None
    """A stable id; a hash of the question when not given."""


class Part(Record):
    """The items of one role, taken from a named part of the source."""

    source: str = Field(alias="from")
    """A part named under `source`, or a split of a hub dataset or of a hosted task."""
    take: int | FiniteFloat | None = Field(default=None, gt=0)
    """How many items (integer) or which share (fraction); all that are left when not given."""


class EvalSpec(Record):
    """One eval set's YAML file."""

    name: str
    """A short name, for reports."""
    source: str | dict[str, str]
    """The data: a file or folder relative to the YAML file, hub:ORG/NAME, a task's address, or a mapping of part to file."""
    columns: Columns = Columns()
    """Which column holds what."""
    prompt: str = ""
    """A Jinja template that makes the question of a row's columns, for example `{{ premise }} / {{ hypothesis }}`."""
    answer: str = ""
    """A Jinja template that makes the right answer of a row's columns, where one column does not hold it."""
    kind: Literal["choice", "generate"] = "choice"
    """Pick one of the labels or of the item's choices, or write the answer."""
    labels: dict[str, str] = Field(default_factory=dict)
    """For `choice`: every label with a sentence about what belongs to it, in the order shown to teacher and student."""
    label_names: dict[str, str] = Field(default_factory=dict)
    """What a cell says to the label it means, for example {"0": negative, "1": positive}."""
    scorer: ScorerSpec = ScorerSpec(name="exact")
    """How an answer is compared (student.scorers); `likelihood` for `choice` and `exact` for `generate` when not given."""
    metric: str | None = None
    """For a hosted task with several metrics: the one that decides."""
    instruction: str = ""
    """What the task is, as one would tell a person; shown to the teacher and to untouched students."""
    noun: str = "question"
    """What one item is called: ticket, question, review."""
    frame: str = "{question}"
    """The text around the question as the student sees it."""
    system: str = ""
    """For `chat`: the system message."""
    format: Format = "plain"
    """`plain` continuation, or the student's own `chat` template."""
    join: str = " "
    """For `plain`: what stands between question and answer."""
    stop: tuple[str, ...] = ()
    """For `generate`: an answer ends before the first of these texts."""
    max_new_tokens: int = Field(default=64, ge=1)
    """For `generate`: the longest answer, in tokens. Longer ones are counted as truncated."""
    splits: dict[Split, int | FiniteFloat | Part] = Field(
        default_factory=lambda: {"mine": 0.25, "select": 0.25, "test": 0.5}
    )
    """Items (integers) or shares (fractions) of each role; what is left over goes to test. Or, for a source of several
    parts, the part each role is taken from: {mine: {from: train, take: 60}, select: {from: train, take: 200}, test: test}."""
    draw: int = 0
    """Another number deals the items out differently; for repeating an experiment with other seeds."""

    @model_validator(mode="before")
    @classmethod
    def _usual_scorer(cls, value: Any) -> Any:
        if isinstance(value, dict) and value.get("scorer") is None:
            return value | {"scorer": "exact" if value.get("kind") == "generate" else "likelihood"}
        return value

    @field_validator("splits", mode="before")
    @classmethod
    def _part_names(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {role: {"from": part} if isinstance(part, str) else part for role, part in value.items()}

    @field_validator("labels", "label_names", mode="before")
    @classmethod
    def _text_keys(cls, value: Any) -> Any:
        """YAML reads `0:` and `yes:` as a number and a truth; a label is text."""
        if isinstance(value, list):
            return {_text(label): "" for label in value}
        return {_text(key): _text(text) for key, text in value.items()} if isinstance(value, dict) else value


def _text(value: Any) -> str:
    if isinstance(value, dict | list):
        raise ValueError(f"a label or its text is {a_kind(value)}")  # pydantic reads ValueError
    return {True: "true", False: "false", None: ""}.get(value, str(value)) if not isinstance(value, str) else value


def read_spec(path: Path) -> tuple[EvalSpec, str]:
    """An eval set's YAML file, checked, and its text. Raises EvalError."""
    value, text, line_of = read_yaml(path)
    try:
        return checked_spec(EvalSpec.model_validate(value), str(path)), text
    except ValidationError as error:
        raise EvalError(f"{path}:{_what_is_wrong(error, line_of)}") from error


def _what_is_wrong(error: ValidationError, line_of: LineOf) -> str:
    wrong = error.errors(include_input=False, include_context=False, include_url=False)[0]
    where, line = ".".join(map(str, wrong["loc"])) or "the file", line_of(wrong["loc"])
    if wrong["type"] == "extra_forbidden":
        known = [*EvalSpec.model_fields, *(f"columns.{name}" for name in Columns.model_fields)]
        near = difflib.get_close_matches(where[:80], known, 1)
        hint = f"Did you mean {near[0]!r}?" if near else f"Known are: {', '.join(known)}."
        return f"{line}: `{where[:80]}` is no key of an eval set. {hint}"
    if wrong["type"] == "value_error":
        return f"{line}: `{where[:80]}`: {wrong['msg'].removeprefix('Value error, ')[:400]}"
    return (
        f"{line}: `{where[:80]}`: {wrong['msg'][:200].lower()}. An eval set needs name, source, columns (prompt, answer) and, for "
        "kind: choice, labels or columns.choices. `llm2llm evals init FILE` writes a first one for a data file."
    )


def checked_spec(spec: EvalSpec, where: str) -> EvalSpec:
    """The spec, if its keys go together. Raises EvalError."""
    if "{question}" not in spec.frame:
        raise EvalError(f"{where}: `frame` never shows the item. Put {{question}} where its text belongs.")
    if spec.scorer.kind != spec.kind:
        raise EvalError(
            f"{where}: `scorer: {spec.scorer.name}` is for kind: {spec.scorer.kind}, and this is kind: {spec.kind}."
        )
    if not spec.source:
        raise EvalError(f"{where}: `source` names nothing. Name a data file, or one for each part.")
    parts = [part for part in spec.splits.values() if isinstance(part, Part)]
    if parts and len(parts) < len(spec.splits):
        raise EvalError(f"{where}: `splits` mixes sizes and parts. Give every role a part (from: ...), or none.")
    return spec


def check_choices(spec: EvalSpec, where: str) -> None:
    """Raises EvalError when a data file's items would have nothing to choose from; a task or a plug-in brings its own."""
    if spec.kind == "choice" and len(spec.labels) < 2 and not spec.columns.choices:
        raise EvalError(
            f"{where}: `labels` names {len(spec.labels)}; kind: choice needs at least two, or a column of choices in "
            "columns.choices."
        )

"""Load a team's eval set: a YAML file that says where the items are, how to ask them, and how to score the answers.

In: a YAML mapping (see `EvalSpec`) beside a JSONL, JSON or CSV file. Out: an `EvalSet` with its seeds and the locked
held-out items. One file is split by a stable hash of each item, stratified by skill, near-duplicates kept together, so
the same file always gives the same split and a look-alike never sits on both sides. Everything wrong with the input is
an `EvalError` that names the file, the line and what to do.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import yaml
from pydantic import Field, ValidationError

from student.errors import StudentError
from student.held_out import HeldOut
from student.prompting import Ask, Format
from student.records import HeldOutItem, Record, Seed, text_hash
from student.similar import TextIndex

SAME_GROUP = 0.6
"""Items this much alike (character 4-gram overlap) stay in one split and one fold."""


class EvalError(StudentError):
    """Something is wrong with the eval set: says what, in which file and line, and what to do."""


class Columns(Record):
    """Which column holds what."""

    prompt: str
    """The question's text."""
    answer: str
    """The right answer."""
    skill: str | None = None
    """What the item exercises; the label itself when not given and labels are fixed."""
    id: str | None = None
    """A stable id; a hash of the question when not given."""


class EvalSpec(Record):
    """One eval set's YAML file."""

    name: str
    """A short name, for reports."""
    source: str
    """The data file, relative to the YAML file."""
    columns: Columns
    """Which column holds what."""
    kind: Literal["choice", "generate"] = "choice"
    """Pick one of the labels, or write the answer."""
    labels: dict[str, str] = Field(default_factory=dict)
    """For `choice`: every label with a sentence about what belongs to it, in the order shown to teacher and student."""
    scorer: Literal["exact", "number"] = "exact"
    """For `generate`: how an answer is compared."""
    instruction: str = ""
    """What the task is, as one would tell a person; shown to the teacher and to untouched students."""
    noun: str = "question"
    """What one item is called: ticket, question, review."""
    frame: str = "{question}"
    """The text around the question as the student sees it."""
    format: Format = "plain"
    """`plain` continuation, or the student's own `chat` template."""
    max_new_tokens: int = Field(default=64, ge=1)
    """For `generate`: the longest answer, in tokens. Longer ones are counted as truncated."""
    splits: dict[Literal["mine", "select", "test"], int | float] = Field(
        default_factory=lambda: {"mine": 0.25, "select": 0.25, "test": 0.5}
    )
    """Items (integers) or shares (fractions) of each split; what is left over goes to test."""


@dataclass(frozen=True)
class EvalSet:
    """An eval set, loaded and split."""

    spec: EvalSpec
    """How to ask and score."""
    seeds: tuple[Seed, ...]
    """The items of `mine`."""
    held_out: HeldOut
    """The owner of `select` and `test`."""
    fingerprint: str
    """sha256 of the YAML and the data: another fingerprint is another eval set."""

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(self.spec.labels)

    def ask(self, lead: str = "") -> Ask:
        """How questions are put to the student."""
        return Ask(frame=self.spec.frame, format=self.spec.format, lead=lead)

    def task(self) -> str:
        """The instruction with the labels and their descriptions, for a teacher or an untouched student."""
        lines = [f"- {label}: {text}" for label, text in self.spec.labels.items()]
        return "\n".join([self.spec.instruction.strip(), *lines]).strip()


def load_evals(path: Path) -> EvalSet:
    """Read, check and split an eval set. Raises EvalError."""
    spec, text = _read_spec(path)
    data = path.parent / spec.source
    if not data.is_file():
        raise EvalError(f"{path}: `source: {spec.source}` is not a file at {data}. Correct the path in the YAML file.")
    items = _items(spec, data)
    splits = split_items(items, spec.splits)
    held = {name: [HeldOutItem(**item.model_dump()) for item in splits[name]] for name in ("select", "test")}
    fingerprint = hashlib.sha256(text.encode() + data.read_bytes()).hexdigest()
    return EvalSet(spec, tuple(splits["mine"]), HeldOut(held["select"], held["test"]), fingerprint)


def _read_spec(path: Path) -> tuple[EvalSpec, str]:
    try:
        text = path.read_text(encoding="utf-8")
        spec = EvalSpec.model_validate(yaml.safe_load(text))
    except FileNotFoundError as error:
        raise EvalError(f"The eval set {str(path)!r} does not exist. Check the path.") from error
    except OSError as error:
        raise EvalError(f"The eval set {str(path)!r} cannot be read: {error.strerror}. Name its YAML file.") from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise EvalError(f"{path}: this is no readable YAML: {error}. Correct it, in UTF-8.") from error
    except ValidationError as error:
        wrong = error.errors()[0]
        where = ".".join(map(str, wrong["loc"])) or "the file"
        raise EvalError(
            f"{path}: `{where}`: {wrong['msg'].lower()}. An eval set needs name, source, columns (prompt, answer) and, "
            "for kind: choice, labels."
        ) from error
    if "{question}" not in spec.frame:
        raise EvalError(f"{path}: `frame` never shows the item. Put {{question}} where its text belongs.")
    if spec.kind == "choice" and len(spec.labels) < 2:
        raise EvalError(f"{path}: `labels` names {len(spec.labels)}; kind: choice needs at least two.")
    return spec, text


def _items(spec: EvalSpec, data: Path) -> list[Seed]:
    """Every row as a labelled item; exact repeats are kept once."""
    items, by_text = dict[str, Seed](), dict[str, Seed]()
    for line, row in _rows(data):
        item = _item(spec, data, line, row)
        known = by_text.setdefault(item.prompt, item)
        if known.answer != item.answer:
            raise EvalError(
                f"{data}:{line}: the same {spec.noun} stands elsewhere with the answer {known.answer!r}, here with "
                f"{item.answer!r}. Keep one of the two."
            )
        if known is item and items.setdefault(item.id, item) is not item:
            raise EvalError(f"{data}:{line}: another {spec.noun} has the id {item.id!r}, too. Give each its own.")
    if not items:
        raise EvalError(f"{data}: there are no items in this file. Give a JSONL, JSON or CSV file with one item a row.")
    return list(items.values())


def _item(spec: EvalSpec, data: Path, line: int, row: dict[str, Any]) -> Seed:
    prompt, answer = _cell(spec.columns.prompt, data, line, row), _cell(spec.columns.answer, data, line, row)
    if spec.kind == "choice" and answer not in spec.labels:
        raise EvalError(
            f"{data}:{line}: column {spec.columns.answer!r} holds {answer!r}, which is none of the labels "
            f"({', '.join(spec.labels)}). Add it to `labels`, or correct the row."
        )
    skill = _cell(spec.columns.skill, data, line, row) if spec.columns.skill else answer if spec.labels else ""
    name = _cell(spec.columns.id, data, line, row) if spec.columns.id else text_hash(prompt)
    return Seed(id=name, prompt=prompt, answer=answer, skill=skill, choices=tuple(spec.labels))


def _cell(column: str, data: Path, line: int, row: dict[str, Any]) -> str:
    value = row.get(column)
    if value is None or not str(value).strip():
        what = "is empty" if column in row else f"is missing; this row has {', '.join(map(repr, row)) or 'none'}"
        raise EvalError(f"{data}:{line}: column {column!r} {what}. Correct the row, or `columns` in the YAML file.")
    return str(value).strip()


def _rows(data: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line number and row of a data file, by its suffix."""
    try:
        text = data.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise EvalError(f"{data}: byte {error.start} is not UTF-8. Save the file as UTF-8.") from error
    if data.suffix == ".csv":
        reader = csv.DictReader(io.StringIO(text, newline=""))
        for row in reader:
            yield reader.line_num, dict(row)
    elif data.suffix == ".json":
        rows = _json(text, data, 1)
        for number, row in enumerate(rows if isinstance(rows, list) else [rows], 1):
            yield number, _object(row, data, number)
    else:
        for number, line in enumerate(text.split("\n"), 1):
            if line.strip():
                yield number, _object(_json(line, data, number), data, number)


def _json(text: str, data: Path, line: int) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        where = line + error.lineno - 1
        raise EvalError(f"{data}:{where}:{error.colno}: this is not JSON: {error.msg}. Correct the line.") from error
    except (ValueError, RecursionError) as error:  # an integer of thousands of digits, lists in lists in lists
        raise EvalError(f"{data}:{line}: this cannot be read: {error}. Correct the line.") from error


def _object(value: Any, data: Path, line: int) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise EvalError(f"{data}:{line}: expected an object with named columns, found {type(value).__name__}.")
    return cast("dict[str, Any]", value)


def split_items(items: Sequence[Seed], sizes: dict[Any, int | float]) -> dict[str, list[Seed]]:
    """Items of `mine`, `select` and `test`: by hash within each skill, look-alikes together.

    Shares are of the whole; the remainder goes to `test`. Raises EvalError when the parts exceed the whole.
    """
    total = len(items)
    wanted = {
        name: round(size * total) if isinstance(size, float) and size <= 1 else int(size)
        for name, size in sizes.items()
    }
    mine, select = wanted.get("mine", 0), wanted.get("select", 0)
    if mine < 1 or select < 1 or mine + select >= total:
        raise EvalError(
            f"The eval set has {total} items; mine={mine} and select={select} must both be at least 1 and leave some for "
            "test. Change `splits` in the YAML file, or add items."
        )
    groups = _strata(items)
    splits: dict[str, list[Seed]] = {"mine": [], "select": [], "test": []}
    for name, count in (("mine", mine), ("select", select)):
        _take(groups, splits[name], count, count / total)
    splits["test"] = [item for stratum in groups for group in stratum for item in group]
    if not splits["test"]:
        raise EvalError(
            "Groups of look-alike items, which are kept in one split, leave nothing for test. Change `splits`, or add items."
        )
    return splits


def _strata(items: Sequence[Seed]) -> list[list[list[Seed]]]:
    """Per skill, the groups of look-alikes in the order of their hashes."""
    strata: dict[str, list[list[Seed]]] = defaultdict(list)
    for group in look_alikes(items):
        strata[min(item.skill for item in group)].append(group)
    order = lambda group: min(text_hash("split", item.id) for item in group)  # noqa: E731
    return [sorted(strata[skill], key=order) for skill in sorted(strata)]


def _take(groups: list[list[list[Seed]]], chosen: list[Seed], count: int, share: float) -> None:
    """Move groups into `chosen` until it has `count` items: from every stratum its share, then one by one."""
    sizes = [sum(map(len, stratum)) for stratum in groups]
    whole = sum(sizes)
    taken = [0] * len(groups)
    while len(chosen) < count:
        if not any(groups):
            raise EvalError(
                "Nearly all items are alike, and look-alikes are kept in one split, so nothing is left for the others. "
                "Add items that differ in more than numbers and punctuation."
            )
        lag = [
            count * size / whole - got if stratum else float("-inf")
            for size, got, stratum in zip(sizes, taken, groups, strict=True)
        ]
        at = max(range(len(groups)), key=lambda index: (lag[index], -index))
        group = groups[at].pop(0)
        chosen.extend(group)
        taken[at] += len(group)


def look_alikes(items: Sequence[Seed], threshold: float = SAME_GROUP) -> list[list[Seed]]:
    """Items grouped so that any two near-duplicates are in one group (single linkage); order of first appearance."""
    index, leader = TextIndex(), dict[str, str]()
    by_id = {item.id: item for item in items}

    def find(name: str) -> str:
        while leader[name] != name:
            name = leader[name]
        return name

    for item in items:
        leader[item.id] = item.id
        for near in index.alike(item.prompt, threshold):
            leader[find(near)] = item.id
        index.add(item.id, item.prompt)
    groups: dict[str, list[Seed]] = defaultdict(list)
    for name, item in by_id.items():
        groups[find(name)].append(item)
    return list(groups.values())


def make_folds(seeds: Sequence[Seed], count: int) -> list[list[Seed]]:
    """`count` folds of about equal size, balanced by skill, look-alikes in one fold. Deterministic."""
    folds: list[list[Seed]] = [[] for _ in range(min(count, len(seeds)))]
    turn = 0
    for stratum in _strata(seeds):
        for group in stratum:
            folds[turn % len(folds)].extend(group)
            turn += 1
    return [fold for fold in folds if fold]

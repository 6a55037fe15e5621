"""Eval sets that are code: a function that an installed package offers, or a function of a file.

In: the function's address. Out: its spec and its items. The function takes nothing and returns a plain mapping: the keys of an
eval set's YAML file, and the rows themselves under `items`, or under `parts` by name; it need not know that we exist. Rows pass
the same door as rows of a file. `scorer` may be a function of its own: (expected, output) to a score from 0 to 1, or None where
the output holds no answer.
"""

from __future__ import annotations

import difflib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, cast

from pydantic import ValidationError

from student.evals.address import Address
from student.evals.items import OnProgress, OnTrouble, items_of
from student.evals.mapping import check_mapping
from student.evals.own_scorer import OwnScorer
from student.evals.plugin_code import find_function, guarded
from student.evals.rows import Row, Source
from student.evals.spec import EvalSpec, check_choices, checked_spec
from student.evals.trouble import EvalError, listed, shown
from student.records import Seed
from student.scorers import ScorerSpec

USUAL = ("prompt", "answer", "choices", "skill", "id")
"""Columns that are found by their names, where a plug-in's `columns` do not say otherwise."""


class Plugged(NamedTuple):
    """What a plug-in gave."""

    spec: EvalSpec
    """How to ask and score."""
    parts: dict[str, list[Seed]]
    """Its items by part; one part named "" where it has none."""
    dropped: Counter[str]
    """Rows that became no item, by reason."""
    host: OwnScorer | None
    """Its own scorer, where it has one."""


def call_plugin(
    where: Address,
    spec: EvalSpec,
    on_progress: OnProgress = lambda done, total: None,
    on_trouble: OnTrouble | None = None,
) -> Plugged:
    """Call a plug-in and read what it returns. Raises EvalError."""
    name = str(where)
    function, folder = find_function(where)
    with guarded(name, folder):
        given = function()
        if not isinstance(given, Mapping):
            raise EvalError(
                f"{name}: it returned {shown(given)}. A plug-in returns a mapping with the keys of an eval set and `items`."
            )
        keys = {str(key): value for key, value in given.items()}
        scorer = keys.pop("scorer") if callable(keys.get("scorer")) else None
        tables = _tables(name, keys)
    filled = _filled(where, keys, spec, [row for rows in tables.values() for row in rows[:50]])
    if scorer is not None and filled.kind != "generate":
        raise EvalError(f"{name}: a scorer of its own judges written answers. Return kind: generate with it.")
    sources = {part: _source(f"{name}, {part}" if part else name, rows) for part, rows in tables.items()}
    parts, dropped = items_of(filled, sources, on_progress, on_trouble)
    return Plugged(filled, parts, dropped, OwnScorer(name, folder, scorer) if scorer else None)


def _tables(where: str, keys: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """The rows by part, taken out of the keys."""
    if ("items" in keys) == ("parts" in keys):
        raise EvalError(
            f"{where}: it returned the keys {listed(keys)}. Return the rows as `items`, or by name as `parts`; one of both."
        )
    parts = {"": keys.pop("items")} if "items" in keys else keys.pop("parts")
    if not isinstance(parts, Mapping):
        raise EvalError(
            f"{where}: `parts` is {shown(parts)}. It maps a part's name to its rows: {{'train': [...], 'test': [...]}}."
        )
    return {str(part): _rows(f"{where}: {part or 'items'}", rows) for part, rows in parts.items()}


def _rows(where: str, rows: Any) -> list[dict[str, Any]]:
    if not isinstance(rows, Iterable) or isinstance(rows, str | bytes | Mapping):
        raise EvalError(f"{where} is {shown(rows)}. Return a list of rows, each a mapping of column to value.")
    found = [_row(where, number, row) for number, row in enumerate(cast("Iterable[Any]", rows), 1)]
    if not found:
        raise EvalError(f"{where}: there are no items in it. Return a list of rows, each a mapping of column to value.")
    return found


def _row(where: str, number: int, row: Any) -> dict[str, Any]:
    """One row in plain values."""
    if not isinstance(row, Mapping):
        raise EvalError(f"{where}, row {number}, is {shown(row)}. A row is a mapping of column to value.")
    try:
        return json.loads(json.dumps(dict(cast("Mapping[str, Any]", row))))
    except (TypeError, ValueError, RecursionError) as error:
        raise EvalError(
            f"{where}, row {number}: {error}. Rows hold plain values only: text, numbers, lists and mappings of these."
        ) from error


def _source(name: str, rows: list[dict[str, Any]]) -> Source:
    numbered = (Row(number, row) for number, row in enumerate(rows, 1))
    return Source(name, "a plug-in's rows", numbered, total=len(rows), has_lines=False)


def _filled(place: Address, keys: dict[str, Any], spec: EvalSpec, rows: Sequence[Mapping[str, Any]]) -> EvalSpec:
    """What the plug-in says, unless a person's YAML file says otherwise. Raises EvalError."""
    where = str(place)
    if unknown := next((key for key in keys if key not in EvalSpec.model_fields), ""):
        known = [*EvalSpec.model_fields, "items", "parts"]
        near = difflib.get_close_matches(unknown, known, 1)
        hint = f"Did you mean {near[0]!r}?" if near else f"Known are: {', '.join(known)}."
        raise EvalError(f"{where}: it returned the key {shown(unknown)}, which is none of an eval set. {hint}")
    present = {name: name for name in USUAL if any(name in row for row in rows)}
    ours = spec.model_dump(include=spec.model_fields_set - {"scorer"}, exclude_unset=True, by_alias=True)
    if spec.scorer not in (ScorerSpec(name="likelihood"), ScorerSpec(name="exact")):
        ours["scorer"] = spec.scorer.model_dump()
    if spec.name in (place.item, place.place) and "name" in keys:  # no YAML file gave it a name of its own
        del ours["name"]
    columns = ours.get("columns", keys.get("columns", {}))
    said = {**keys, **ours, "columns": {**present, **columns} if isinstance(columns, dict) else columns}
    try:
        filled = EvalSpec.model_validate(said)
    except ValidationError as error:
        wrong = error.errors(include_url=False)[0]
        key = ".".join(map(str, wrong["loc"])) or "the keys"
        raise EvalError(f"{where}: `{key}` of what it returned: {wrong['msg']}. Mend the plug-in.") from error
    check_choices(checked_spec(filled, where), where)
    check_mapping(filled, where)
    return filled

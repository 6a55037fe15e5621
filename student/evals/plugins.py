"""Eval sets that are code: a function that an installed package offers, or a function of a file.

In: the function's address. Out: its spec and its items. The function takes nothing and returns a plain mapping: the keys of an
eval set's YAML file, and the rows themselves under `items`, or under `parts` by name; it need not know that we exist. Rows pass
the same door as rows of a file. `scorer` may be a function of its own: (expected, output) to a score from 0 to 1, or None where
the output holds no answer. What fails in a plug-in is told with its file and line, and what it prints goes to stderr.
"""

from __future__ import annotations

import contextlib
import difflib
import importlib.metadata
import importlib.util
import inspect
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, cast

from pydantic import ValidationError

from student.evals.address import Address
from student.evals.blame import in_words, place_of
from student.evals.items import OnProgress, OnTrouble
from student.evals.mapping import check_mapping
from student.evals.rows import Row, Source
from student.evals.spec import EvalSpec, checked_spec
from student.evals.trouble import EvalError, listed, meant, shown
from student.grade import Answering, RawAnswer
from student.records import Attempt, Item, Seed
from student.scorers import ScorerSpec, outcome

GROUP = "llm2llm.evals"
"""The entry-point group in which packages offer eval sets."""
USUAL = ("prompt", "answer", "choices", "skill", "id")
"""Columns that are found by their names, where a plug-in's `columns` do not say otherwise."""


@dataclass(frozen=True)
class OwnScorer:
    """A plug-in's own scorer, in the place of a hosted task's process."""

    where: str
    """What a message calls the plug-in."""
    folder: Path
    """Where its code is."""
    score: Callable[[str, str], Any]
    """The function: (expected, output) to a score from 0 to 1, or None."""

    def attempts(self, items: Sequence[Item], answers: Sequence[RawAnswer], answer: Answering) -> list[Attempt]:
        """The plug-in's scores of these answers. Raises EvalError when its code fails or a score is none."""
        return [self._attempt(item, raw) for item, raw in zip(items, answers, strict=True)]

    def close(self) -> None:
        """Nothing is open."""

    def _attempt(self, item: Item, raw: RawAnswer) -> Attempt:
        with _guarded(self.where, self.folder):
            score = self.score(item.answer, raw["text"])
        if score is not None and not (isinstance(score, int | float) and 0 <= score <= 1):
            raise EvalError(
                f"{self.where}: its scorer returned {shown(score)} for the item {item.id!r}. A score is a number from 0 to 1, or None "
                "where the output holds no answer."
            )
        result = outcome(score, raw["truncated"])
        return Attempt(item_id=item.id, output=raw["text"], outcome=result, score=float(score or 0))


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
    function, folder = _offered(where) if where.kind == "plugin" else _of_file(where)
    with _guarded(name, folder):
        _takes_nothing(name, function)
        given = function()
        if not isinstance(given, Mapping):
            raise EvalError(
                f"{name}: it returned {shown(given)}. A plug-in returns a mapping with the keys of an eval set and `items`."
            )
        keys = {str(key): value for key, value in given.items()}
        scorer = keys.pop("scorer") if callable(keys.get("scorer")) else None
        tables = _tables(name, keys)
    filled = _filled(name, keys, spec, [row for rows in tables.values() for row in rows[:50]])
    if scorer is not None and filled.kind != "generate":
        raise EvalError(f"{name}: a scorer of its own judges written answers. Return kind: generate with it.")
    sources = {part: _source(f"{name}, {part}" if part else name, rows) for part, rows in tables.items()}
    parts, dropped = _items_of(filled, sources, on_progress, on_trouble)
    return Plugged(filled, parts, dropped, OwnScorer(name, folder, scorer) if scorer else None)


def _items_of(
    spec: EvalSpec, sources: Mapping[str, Source], on_progress: OnProgress, on_trouble: OnTrouble | None
) -> tuple[dict[str, list[Seed]], Counter[str]]:
    from student.evals.items import _items, _Listening  # pyright: ignore[reportPrivateUsage]
    from student.evals.mapping import Mapping as Columns

    columns, dropped = Columns(spec), Counter[str]()
    listening = _Listening(on_progress, on_trouble, dropped)
    return {part: _items(columns, source, listening) for part, source in sources.items()}, dropped


def _offered(where: Address) -> tuple[Callable[..., Any], Path]:
    """The function that an installed package offers by this name, and where the package's code is."""
    offers = list(importlib.metadata.entry_points(group=GROUP))
    found = [one for one in offers if one.name == where.place]
    if len(found) != 1:
        names = sorted({one.name for one in offers})
        who = " and ".join(sorted(one.dist.name for one in found if one.dist))
        said = (
            f"several packages offer it: {who}"
            if found
            else f"installed are: {listed(names)}.{meant(where.place, names)}"
        )
        raise EvalError(
            f"{where}: no one eval set of this name; {said} Eval sets are offered in the entry-point group {GROUP!r}."
        )
    spec = None
    with contextlib.suppress(ImportError, ValueError):
        spec = importlib.util.find_spec(found[0].module.partition(".")[0])
    origin = Path(spec.origin).resolve() if spec and spec.origin else Path("/nowhere")
    folder = origin.parent if spec and spec.submodule_search_locations else origin
    with _guarded(str(where), folder):
        return found[0].load(), folder


def _of_file(where: Address) -> tuple[Callable[..., Any], Path]:
    """The function of a file, and the file's folder."""
    file = Path(where.place)
    if not file.is_file():
        raise EvalError(f"{where}: the file {str(file)!r} does not exist. The form is path/to/file.py:function.")
    spec = importlib.util.spec_from_file_location(f"llm2llm_plugin_{file.stem}", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with _guarded(str(where), file.parent):
        sys.modules[module.__name__] = module  # dataclasses and the like look their module up
        spec.loader.exec_module(module)
    function = getattr(module, where.item, None)
    if not callable(function):
        names = [name for name, one in vars(module).items() if callable(one) and not name.startswith("_")]
        raise EvalError(
            f"{where}: {file} has no function {where.item!r}; it has {listed(names)}.{meant(where.item, names)}"
        )
    return function, file.parent


@contextlib.contextmanager
def _guarded(where: str, folder: Path) -> Iterator[None]:
    """Plug-in code runs: what it prints goes to stderr, its folder is found by imports, its errors are told as its own."""
    before = list(sys.path)
    sys.path.insert(0, str(folder))
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    except EvalError:
        raise
    except (Exception, SystemExit) as error:
        place = place_of(error, [folder])
        raise EvalError(
            f"{where}: {f'{place}: ' if place else ''}the plug-in failed: {in_words(error)}. Mend the plug-in."
        ) from error
    finally:
        sys.path[:] = before


def _takes_nothing(where: str, function: Callable[..., Any]) -> None:
    needed = [
        name
        for name, one in inspect.signature(function).parameters.items()
        if one.default is one.empty and one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)
    ]
    if needed:
        raise EvalError(
            f"{where}: the function takes {listed(needed)}. A plug-in is called without arguments; give them defaults."
        )


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
    return [_row(where, number, row) for number, row in enumerate(cast("Iterable[Any]", rows), 1)]


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


def _filled(where: str, keys: dict[str, Any], spec: EvalSpec, rows: Sequence[Mapping[str, Any]]) -> EvalSpec:
    """What the plug-in says, unless a person's YAML file says otherwise. Raises EvalError."""
    if unknown := next((key for key in keys if key not in EvalSpec.model_fields), ""):
        known = [*EvalSpec.model_fields, "items", "parts"]
        near = difflib.get_close_matches(unknown, known, 1)
        hint = f"Did you mean {near[0]!r}?" if near else f"Known are: {', '.join(known)}."
        raise EvalError(f"{where}: it returned the key {shown(unknown)}, which is none of an eval set. {hint}")
    present = {name: name for name in USUAL if any(name in row for row in rows)}
    ours = spec.model_dump(include=spec.model_fields_set - {"scorer"}, exclude_unset=True, by_alias=True)
    if spec.scorer not in (ScorerSpec(name="likelihood"), ScorerSpec(name="exact")):
        ours["scorer"] = spec.scorer.model_dump()
    if spec.source == where and "name" in keys:  # no YAML file stands in between
        del ours["name"]
    columns = ours.get("columns", keys.get("columns", {}))
    said = {**keys, **ours, "columns": {**present, **columns} if isinstance(columns, dict) else columns}
    try:
        filled = EvalSpec.model_validate(said)
    except ValidationError as error:
        wrong = error.errors(include_url=False)[0]
        key = ".".join(map(str, wrong["loc"])) or "the keys"
        raise EvalError(f"{where}: `{key}` of what it returned: {wrong['msg']}. Mend the plug-in.") from error
    check_mapping(checked_spec(filled, where), where)
    return filled

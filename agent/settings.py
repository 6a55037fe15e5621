"""From what a person typed to one resolved, strict settings tree: defaults, then the recipe or file, then `--set`.

A recipe is a YAML file that ships with the program and is run by name; a config is the same kind of file at a path.
Relative paths in it are relative to the file. An unknown key is an error that names the nearest known one, and every
key can be explained from the docstring under its field.
"""

from __future__ import annotations

import ast
import difflib
import inspect
import re
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, TypeAdapter, ValidationError

from loops.settings import RunSettings
from student.evals.address import address
from student.evals.spec import EvalError
from student.records import Record


class SettingsError(Exception):
    """Something in a recipe, a config file or `--set` is wrong: says what, where, and what to do."""


def recipes() -> dict[str, Path]:
    """The recipes that ship with the program, by name."""
    folder = Path(str(files("loops") / "recipes"))
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def resolve(source: str | None, overrides: Sequence[str], typed: dict[str, Any]) -> tuple[RunSettings, str]:
    """The settings and the run's default name.

    `source` is a recipe's name, a config file's path, or None; `typed` holds what options such as --student set, by
    dotted key; `overrides` are `key=value` strings, which win. Raises SettingsError.
    """
    where, tree, name = _read(source)
    for key, value in typed.items():
        _put(tree, key, value)
    _override(tree, overrides)
    if any(one.partition("=")[0].strip() == "evals" for one in overrides) and tree.get("evals"):
        tree["evals"] = whole_address(str(tree["evals"]), Path())
    if not tree.get("evals"):
        raise SettingsError("No eval set is named. Give a recipe (see `llm2llm run --help`), or --evals FILE.")
    return _validate(tree, where), name if source else name_of(str(tree["evals"]))


def changed(settings: RunSettings, overrides: Sequence[str], typed: dict[str, Any]) -> RunSettings:
    """The settings of a former run with what was typed now in place of what they say. Raises SettingsError."""
    tree = settings.model_dump(mode="json")
    for key, value in typed.items():
        _put(tree, key, value)
    _override(tree, overrides)
    return _validate(tree, "the former run")


def name_of(evals: str) -> str:
    """What a run on this eval set is called: the file's or the task's name, in letters a folder can have."""
    where = address(evals, Path())
    return re.sub(r"[^A-Za-z0-9._-]+", "-", where.item or Path(where.place).stem).strip("-._")[:60] or "run"


class _OnceLoader(yaml.SafeLoader):
    """Plain values, and each key once: of two budgets neither is meant more than the other."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """A mapping. Raises ConstructorError for a key that stands in it twice."""
        seen = set[str]()
        for key, _ in node.value:
            if key.value in seen and isinstance(key, yaml.ScalarNode):
                problem = f"the key {key.value!r} stands here for the second time"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            seen |= {key.value} if isinstance(key, yaml.ScalarNode) else set()
        return super().construct_mapping(node, deep)


def _override(tree: dict[str, Any], overrides: Sequence[str]) -> None:
    for override in overrides:
        key, equals, value = override.partition("=")
        if not equals or not key:
            raise SettingsError(f"--set {override!r} is not of the form key=value, for example --set stop.rounds=2.")
        _put(tree, key.strip(), _value(override, value))


def _read(source: str | None) -> tuple[str, dict[str, Any], str]:
    if source is None:
        return "the command line", {}, ""
    path = recipes().get(source) or Path(source)
    if not path.is_file():
        raise SettingsError(_unknown_recipe(source))
    try:
        tree = yaml.load(path.read_text(encoding="utf-8"), _OnceLoader) or {}  # noqa: S506  it is a SafeLoader
    except (ValueError, yaml.YAMLError) as error:  # ValueError: a date that is none, or bytes that are no UTF-8
        raise SettingsError(f"{path}: this is no readable YAML: {error}. Correct it, in UTF-8.") from error
    if not isinstance(tree, dict):
        raise SettingsError(f"{path}: expected keys such as `evals:` and `student:`, found {type(tree).__name__}.")
    if tree.get("evals"):
        tree["evals"] = whole_address(str(tree["evals"]), path.parent)
    part = tree.get("generate")
    if isinstance(part, dict) and part.get("taxonomy"):
        part["taxonomy"] = local_path(str(part["taxonomy"]), path.parent)
    for group, key in (("student", "model"), ("student", "accelerate_config"), ("teacher", "model")):
        part = tree.get(group)
        if isinstance(part, dict) and part.get(key):
            part[key] = local_path(str(part[key]), path.parent)
    return str(path), tree, path.stem


def whole_address(evals: str, folder: Path) -> str:
    """An eval set's address with the whole path of what lies below `folder`. Raises SettingsError."""
    try:
        return str(address(evals, folder))
    except EvalError as error:
        raise SettingsError(str(error)) from error


def local_path(model: str, folder: Path) -> str:
    """The whole path of a model that is a file or folder below `folder`; any other name as it is."""
    try:
        return str((folder / model).resolve()) if (folder / model).exists() else model
    except OSError:  # a name too long for a file
        return model


def _unknown_recipe(source: str) -> str:
    known = list(recipes())
    near = difflib.get_close_matches(source, known, 1)
    hint = f"Did you mean {near[0]!r}? " if near else ""
    return f"{source!r} is neither a recipe nor a config file. {hint}Recipes: {', '.join(known)}."


def _value(override: str, text: str) -> Any:
    try:
        return yaml.load(text, _OnceLoader)  # noqa: S506  it is a SafeLoader
    except (ValueError, yaml.YAMLError) as error:  # ValueError: a date that is none
        raise SettingsError(
            f"--set {override!r}: the value is no readable YAML. Quote it, for example 'a.b=[1, 2]'."
        ) from error


def _put(tree: dict[str, Any], dotted: str, value: Any) -> None:
    *parents, last = dotted.split(".")
    for part in parents:
        child = tree.setdefault(part, {})
        if not isinstance(child, dict):
            raise SettingsError(f"--set {dotted}: {part!r} is a value, not a group of keys.")
        tree = child
    tree[last] = value


def _validate(tree: dict[str, Any], where: str) -> RunSettings:
    try:
        settings = RunSettings.model_validate(tree)
    except ValidationError as error:
        wrong = error.errors()[0]
        key = ".".join(map(str, wrong["loc"]))
        if wrong["type"] == "extra_forbidden":
            raise SettingsError(_unknown_key(key, where)) from None
        raise SettingsError(
            f"{key!r} in {where} or --set: {wrong['msg']}, got {wrong['input']!r}. `llm2llm check --explain {key}` says what it takes."
        ) from None
    budget = settings.budget
    if budget.money is not None and None in (budget.prompt_price, budget.completion_price):
        raise SettingsError(
            f"budget.money={budget.money:g} in {where} or --set caps money, but the teacher's prices are not all known, so the cap could "
            "not be kept. Give budget.prompt_price and budget.completion_price, for a million tokens each, or cap budget.tokens instead."
        )
    return settings


def _unknown_key(key: str, where: str) -> str:
    known = [name for name, _, _ in explained()]
    last = key.rpartition(".")[2]
    near = difflib.get_close_matches(key, known, 1) or [name for name in known if name.rpartition(".")[2] == last]
    near = near or difflib.get_close_matches(last, [name.rpartition(".")[2] for name in known], 1)
    hint = f"Did you mean {near[0]!r}? " if near else ""
    return f"{key!r} in {where} or --set is not a setting. {hint}`llm2llm check --explain ''` lists every key."


@cache
def explained() -> tuple[tuple[str, str, str], ...]:
    """Every key with its default and its explanation."""
    return tuple(_walk(RunSettings, ""))


def _walk(kind: type[BaseModel], prefix: str) -> Iterator[tuple[str, str, str]]:
    notes = docstrings(kind)
    for name, field in kind.model_fields.items():
        inner = field.annotation
        if inspect.isclass(inner) and issubclass(inner, Record):
            default = field.default if isinstance(field.default, BaseModel) else inner
            yield from _walk(type(default) if isinstance(default, BaseModel) else inner, f"{prefix}{name}.")
        else:
            yield (
                f"{prefix}{name}",
                "required" if field.is_required() else _typed(field.get_default(call_default_factory=True)),
                notes.get(name, ""),
            )


def _typed(value: Any) -> str:
    """A value as one types it in YAML, on one line."""
    plain = TypeAdapter(Any).dump_python(value, mode="json")
    return (
        yaml.safe_dump(plain, default_flow_style=True, sort_keys=False, width=10**6)
        .removesuffix("\n")
        .removesuffix("\n...")
    )


def docstrings(kind: type[BaseModel]) -> dict[str, str]:
    """The string under each field of a class."""
    body = ast.parse(inspect.getsource(kind)).body[0]
    assert isinstance(body, ast.ClassDef)
    notes: dict[str, str] = {}
    for field, text in zip(body.body, body.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(text, ast.Expr):
            notes[field.target.id] = " ".join(str(ast.literal_eval(text.value)).split())
    return notes

"""Read an eval set's YAML file: plain data, and nothing that YAML does behind one's back.

Labels such as `no`, `on`, `007` and `2024-05-01` stay the texts they are. Keys are texts, and each stands once. Tags and aliases are
refused: the first can make objects, the second make of a small file one that is huge once it is written out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml

from student.evals.files import head_of, whole
from student.evals.trouble import EvalError, RowTrouble, shown

LineOf = Callable[[Sequence[object]], int]
"""Told the way to a value (keys and positions), in which line it stands, or the last thing on the way that is there."""
_MAX = 1 << 20
"""The longest YAML file, in bytes."""
_CORE = "tag:yaml.org,2002:"
_PLAIN = {
    "bool": re.compile(r"true|True|TRUE|false|False|FALSE"), "null": re.compile(r"~|null|Null|NULL|"),
    "int": re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})"),
    "float": re.compile(r"[-+]?(?:(?:0|[1-9][0-9]*)\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]{1,3})?"),
}  # fmt: skip


class _Loader(yaml.SafeLoader):
    """Nodes as they stand in the file, without aliases."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark
            raise yaml.MarkedYAMLError(problem="an alias (*name); write the value out", problem_mark=mark)
        return super().compose_node(parent, index)

    def resolve(self, kind: type[yaml.Node], value: Any, implicit: Any) -> str:
        """The tag of a value without one."""
        if kind is not yaml.ScalarNode or not implicit[0]:
            return str(super().resolve(kind, None, (False, True)))
        return _CORE + next((name for name, form in _PLAIN.items() if form.fullmatch(value)), "str")


def read_yaml(path: Path) -> tuple[Any, str, LineOf]:
    """What a YAML file holds, its text, and where each value stands. Raises EvalError."""
    if head_of(path) is None:
        raise EvalError(f"The eval set {str(path)!r} is a folder. Name its YAML file.")
    try:
        text = whole(path, packed=False, most=_MAX)
        tree = yaml.compose(text, _Loader)
        value = None if tree is None else _value(path, tree)
    except RowTrouble:
        raise
    except yaml.MarkedYAMLError as error:
        raise EvalError(
            f"{_place(path, error.problem_mark)}: this is no readable YAML: {error.problem}. Correct it."
        ) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        deep = isinstance(error, RecursionError)
        said = "lists or mappings are nested too deeply" if deep else " ".join(str(error).split())[:200].rstrip(".")
        raise EvalError(f"{path}: this is no readable YAML: {said}. Correct it, in UTF-8.") from error
    return value, text, lambda way: _line(tree, way)


def _place(path: Path, mark: yaml.Mark | None) -> str:
    return f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)


def _value(path: Path, node: yaml.Node) -> Any:
    kind = node.tag.removeprefix(_CORE)
    if isinstance(node, yaml.MappingNode) and kind == "map":
        return _mapping(path, node)
    if isinstance(node, yaml.SequenceNode) and kind == "seq":
        return [_value(path, one) for one in node.value]
    if not isinstance(node, yaml.ScalarNode) or not (
        kind == "str" or (kind in _PLAIN and _PLAIN[kind].fullmatch(node.value))
    ):
        raise EvalError(
            f"{_place(path, node.start_mark)}: the tag {shown(node.tag.replace(_CORE, '!!'))} is not read: an eval set's YAML file "
            "holds plain values only. Take it out."
        )
    read: dict[str, Callable[[str], Any]] = {
        "str": str, "int": int, "float": float, "bool": lambda text: text.lower() == "true", "null": lambda text: None,
    }  # fmt: skip
    return read[kind](node.value)


def _mapping(path: Path, node: yaml.MappingNode) -> dict[str, Any]:
    made = dict[str, Any]()
    for key, value in node.value:
        name = _key(key)
        if name is None or name in made:
            what = f"the key {shown(name)} stands here for the second time" if name is not None else "a key is no text"
            raise EvalError(f"{_place(path, key.start_mark)}: {what}. Correct it.")
        made[name] = _value(path, value)
    return made


def _key(node: yaml.Node) -> str | None:
    """A key as it is written, but truths as JSON writes them."""
    if not isinstance(node, yaml.ScalarNode):
        return None
    return node.value.lower() if node.tag == f"{_CORE}bool" else node.value


def _line(node: yaml.Node | None, way: Sequence[object]) -> int:
    for step in way:
        inner = None
        if isinstance(node, yaml.MappingNode):
            inner = next((value for key, value in node.value if _key(key) == str(step)), None)
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            inner = node.value[step]
        if inner is None:
            break
        node = inner
    return node.start_mark.line + 1 if node else 1

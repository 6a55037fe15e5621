"""Prompt and answer templates: Jinja in its immutable sandbox, and of Jinja only what ends.

In: a template and a row, whose columns are the variables (`row["odd name"]` where a name is no variable). Out: text. The sandbox
keeps a template away from Python, but would let it run for ever or fill the memory. So statements that carry state or
call themselves are refused when a template is read, and loops, joins and filters draw on an effort that each row has once.
A variable that is not there is an error, and so is an empty cell where text should stand.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, cast

from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError, meta, nodes
from jinja2.runtime import LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

from student.evals.cells import text_of
from student.evals.files import MAX_CELL
from student.evals.trouble import BadCell, EvalError, listed

MAX_TEMPLATE = 20_000
"""The longest template, in characters."""
EFFORT = 4 * MAX_CELL
"""Characters that may be made or looked through for one row."""
_A_TURN = 100
"""What one turn of a loop costs of it."""
_NODES = (
    nodes.Output, nodes.TemplateData, nodes.Const, nodes.Name, nodes.Getattr, nodes.Getitem, nodes.Slice, nodes.Filter, nodes.Test,
    nodes.If, nodes.CondExpr, nodes.For, nodes.Assign, nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not, nodes.Concat,
    nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.Neg, nodes.Pos, nodes.List, nodes.Tuple,
    nodes.Dict, nodes.Pair, nodes.Keyword, nodes.Call,
)  # fmt: skip
_FILTERS = (
    "abs", "capitalize", "count", "d", "default", "dictsort", "first", "float", "int", "items", "last", "length", "list", "lower",
    "max", "min", "reverse", "sort", "string", "title", "trim", "truncate", "unique", "upper", "wordcount",
)  # fmt: skip
_OWN_FILTERS = ("join", "letter", "replace", "round", "tojson")
_METHODS = frozenset({
    "capitalize", "count", "endswith", "find", "get", "index", "isdigit", "items", "keys", "lower", "lstrip", "removeprefix",
    "removesuffix", "rstrip", "split", "splitlines", "startswith", "strip", "title", "upper", "values",
})  # fmt: skip


class _TooMuch(Exception):
    """A template does what would not end, or makes what would not fit."""


class _Bounded(ImmutableSandboxedEnvironment):
    """Jinja without what does not end."""

    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "%"})

    def __init__(self) -> None:
        super().__init__(undefined=StrictUndefined, finalize=_finalized, autoescape=False)  # no HTML
        self.left = EFFORT
        self.globals = {"range": range}
        own = {"join": self.joined, "letter": _letter, "replace": self.replaced, "round": _rounded, "tojson": text_of}
        known = {name: self.filters[name] for name in _FILTERS} | own
        self.filters = {name: self.spending(use) for name, use in known.items()}
        self.filters |= {" counted": self.counted, " glued": self.glued}

    def spend(self, effort: int) -> None:
        """Raises when a row has cost too much."""
        self.left -= effort
        if self.left < 0:
            raise _TooMuch("it turns too many loops, or makes too long a text")

    def spending(self, use: Callable[..., Any]) -> Callable[..., Any]:
        """A filter that costs the length of what it is given."""

        @functools.wraps(use)
        def spends(*args: Any, **kwargs: Any) -> Any:
            self.spend(sum(len(one) for one in args if isinstance(one, str | list | dict)))
            return use(*args, **kwargs)

        return spends

    def counted(self, values: Iterable[Any]) -> Iterator[Any]:
        """The values of a loop."""
        for value in values:
            self.spend(_A_TURN)
            yield value

    def glued(self, *texts: Any) -> str:
        """Texts one after the other: what ~ does."""
        return self.joined(texts)

    def joined(self, values: Iterable[Any], between: str = "") -> str:
        """Texts with another between them."""
        texts = [_finalized(value) for value in values]
        self.spend(sum(map(len, texts)) + len(between) * len(texts))
        return between.join(texts)

    def replaced(self, text: str, old: str, new: str) -> str:
        """A text with another in the place of some of it."""
        self.spend(text.count(old) * len(new))
        return text.replace(old, new)

    def call(self, context: Any, obj: Any, /, *args: Any, **kwargs: Any) -> Any:  # type: ignore[override]
        """Call what is harmless: `range`, and methods of texts, lists and mappings that make nothing long."""
        if obj is range:
            numbers = range(*args)
            self.spend(len(numbers))
            return numbers
        if isinstance(obj, StrictUndefined):
            return obj()  # says what is not there, or may not be used
        owner, name = getattr(obj, "__self__", None), getattr(obj, "__name__", "")
        if isinstance(owner, LoopContext) and name == "cycle":
            return obj(*args)
        if not isinstance(owner, str | list | dict) or name not in _METHODS:
            raise _TooMuch(f"it calls {name or 'something'!r}; use a filter, as in {{{{ text | trim }}}}")
        self.spend(len(cast("Sequence[Any]", owner)))
        return obj(*args, **kwargs)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """Arithmetic on ordinary numbers, and + on texts and lists."""
        if operator == "+" and isinstance(left, str | list) and isinstance(right, str | list):
            self.spend(len(cast("str", left)) + len(cast("str", right)))
        elif not (_ordinary(left) and _ordinary(right)):
            raise _TooMuch(f"{operator} is for numbers; ~ joins texts")
        return super().call_binop(context, operator, left, right)

    def getattr(self, obj: Any, attribute: str) -> Any:
        """`answers.items` is the column `items` where there is one."""
        if isinstance(obj, dict) and attribute in obj:
            return cast("dict[str, Any]", obj)[attribute]
        return super().getattr(obj, attribute)


def _ordinary(value: Any) -> bool:
    return isinstance(value, float) or (isinstance(value, int) and value.bit_length() <= 64)  # bits


def _finalized(value: Any) -> str:
    """What a template prints for a value."""
    if isinstance(value, str):
        return value
    if value is None:
        raise BadCell("empty cell", "prints an empty cell (null); write {{ name or '' }} where that is meant")
    return str(value) if isinstance(value, StrictUndefined) else text_of(value)


def _letter(position: int) -> str:
    if not 0 <= position < 26:  # letters
        raise ValueError("letters go from 0 to 25")
    return chr(ord("A") + position)


def _rounded(value: float, digits: int = 0) -> float:
    return round(value, max(0, min(digits, 15)))


class Template:
    """One template of an eval set."""

    def __init__(self, key: str, text: str) -> None:
        """`key` is what a message calls it. Raises EvalError for a template that cannot be used."""
        self.key, self._environment = key, _Bounded()
        if len(text) > MAX_TEMPLATE:
            raise EvalError(f"`{key}`: the template is longer than {MAX_TEMPLATE:,} characters. Shorten it.")
        try:
            tree = self._environment.parse(text)
            _check(key, tree)
            names = meta.find_undeclared_variables(tree) - {"range"}
            self._template = self._environment.from_string(_rewritten(tree, self._environment))
        except TemplateSyntaxError as error:
            said = str(error.message)[:200].rstrip(".")
            raise EvalError(f"`{key}`, line {error.lineno} of the template: {said}. Correct it.") from error
        except (RecursionError, ArithmeticError, MemoryError, ValueError, SyntaxError) as error:
            raise EvalError(
                f"`{key}`: the template cannot be read: {str(error)[:200] or 'too deep'}. Simplify it."
            ) from error
        self.columns = None if "row" in names else frozenset(names)
        """The columns it uses; None where that cannot be told."""

    def render(self, cells: Mapping[str, Any]) -> str:
        """The text for one row. Raises BadCell."""
        self._environment.left = EFFORT
        made = list[str]()
        try:
            for piece in self._template.generate({"row": cells, **cells}):
                made.append(piece)
                self._environment.spend(len(piece))
        except BadCell as error:
            raise BadCell(error.reason, f"the `{self.key}` template {error}") from error
        except _TooMuch as error:
            raise BadCell("template", f"the `{self.key}` template does not fit this row: {error}") from error
        except (
            TemplateError,
            TypeError,
            ValueError,
            ArithmeticError,
            LookupError,
            AttributeError,
            RecursionError,
        ) as error:
            said = " ".join(str(error).split())[:200].rstrip(".")
            what = f"the `{self.key}` template does not fit this row: {said}. The row has {listed(cells)}"
            raise BadCell("template", what) from error
        return "".join(made)


def _check(key: str, tree: nodes.Template) -> None:
    """Raises EvalError for what does not surely end."""
    for node in tree.find_all(nodes.Node):
        what = type(node).__name__.lower() if not isinstance(node, _NODES) else ""
        if isinstance(node, nodes.For) and node.recursive:
            what = "a recursive loop"
        elif isinstance(node, nodes.Call) and (node.dyn_args or node.dyn_kwargs):
            what = "a * or ** in a call"
        elif isinstance(node, nodes.Filter) and node.name not in (*_FILTERS, *_OWN_FILTERS):
            what = f"the filter {node.name!r}"
        if what:
            raise EvalError(
                f"`{key}`, line {node.lineno} of the template: {what} is not for these templates, which print columns, choose with "
                f"if and repeat with for. The filters are {', '.join(sorted((*_FILTERS, *_OWN_FILTERS)))}."
            )


def _rewritten(tree: nodes.Template, environment: _Bounded) -> nodes.Template:
    """The template with its loops counted and its joins measured."""
    tree = cast("nodes.Template", _Measured().visit(tree))
    tree.set_environment(environment)
    return tree


class _Measured(NodeTransformer):
    """Sends what loops go over and what ~ joins through a filter."""

    def visit_For(self, node: nodes.For) -> nodes.Node:  # noqa: N802  # Jinja's name
        node = cast("nodes.For", self.generic_visit(node))
        node.iter = _through(" counted", node.iter, [])
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802  # Jinja's name
        node = cast("nodes.Concat", self.generic_visit(node))
        return _through(" glued", node.nodes[0], node.nodes[1:])


def _through(name: str, value: nodes.Node, more: Sequence[nodes.Expr]) -> nodes.Filter:
    return nodes.Filter(cast("nodes.Expr", value), name, list(more), [], None, None, lineno=value.lineno)

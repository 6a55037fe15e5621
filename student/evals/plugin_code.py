"""A plug-in's function, found and run: an entry point of an installed package, or a function of a file.

In: the function's address. Out: the function and the folder of its code. While plug-in code runs, its folder is found by
imports and what it prints goes to stderr; what fails in it is told as its own, with file and line.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from student.evals.address import Address
from student.evals.blame import in_words, is_ours, place_of
from student.evals.trouble import EvalError, listed, meant

GROUP = "llm2llm.evals"
"""The entry-point group in which packages offer eval sets."""


def find_function(where: Address) -> tuple[Callable[[], Any], Path]:
    """The function, which takes nothing, and where its code is. Raises EvalError."""
    function, folder = _offered(where) if where.kind == "plugin" else _of_file(where)
    with guarded(str(where), folder):
        _takes_nothing(str(where), function)
    return function, folder


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
    with guarded(str(where), folder):
        return found[0].load(), folder


def _of_file(where: Address) -> tuple[Callable[..., Any], Path]:
    """The function of a file, and the file's folder."""
    file = Path(where.place)
    if not file.is_file():
        raise EvalError(f"{where}: the file {str(file)!r} does not exist. The form is path/to/file.py:function.")
    spec = importlib.util.spec_from_file_location(f"llm2llm_plugin_{file.stem}", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with guarded(str(where), file.parent):
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
def guarded(where: str, folder: Path) -> Iterator[None]:
    """Plug-in code runs: what it prints goes to stderr, its folder is found by imports, its errors are told as its own."""
    before = list(sys.path)
    sys.path.insert(0, str(folder))
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    except EvalError:
        raise
    except (Exception, SystemExit) as error:
        if is_ours(error):
            raise
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

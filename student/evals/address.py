"""What may stand after `--evals` and in `source:`, and which of it runs code.

    tickets.yaml                       an eval set's YAML file
    hub:ORG/NAME                       a dataset of the hub, data only          (in `source:`)
    plugin:NAME                        a function that an installed package offers in the group `llm2llm.evals`
    path/to/file.py:function           a function of a file                     needs --allow-code
    lm-eval:TASK@FOLDER                an lm-evaluation-harness task            needs --allow-code
    inspect:path/to/file.py@task       an inspect task                          needs --allow-code

Installing a package is consent to run it, so `plugin:` asks for nothing more; a file or a task that came with somebody's eval
set is another matter, and is asked about again on every resume.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from student.evals.spec import EvalError

Kind = Literal["yaml", "file", "hub", "plugin", "code", "lm-eval", "inspect"]
RUNS_CODE: frozenset[Kind] = frozenset({"code", "lm-eval", "inspect"})
_CODE = re.compile(r"(?P<file>.+\.py):(?P<function>[A-Za-z_]\w*)")


@dataclass(frozen=True)
class Address:
    """One eval set or source, as it was named."""

    kind: Kind
    """What it is."""
    place: str
    """The file, folder, hub name or plug-in name; empty for an lm-eval task that ships with the harness."""
    item: str = ""
    """The task or function inside it."""

    def __str__(self) -> str:
        match self.kind:
            case "yaml" | "file":
                return self.place
            case "code":
                return f"{self.place}:{self.item}"
            case "lm-eval":
                return f"lm-eval:{self.item}@{self.place}"
            case "inspect":
                return f"inspect:{self.place}@{self.item}"
            case _:
                return f"{self.kind}:{self.place}"


def address(text: str, folder: Path) -> Address:
    """Read an address; relative paths in it are below `folder`. Raises EvalError for one that is incomplete."""
    kind, colon, rest = text.partition(":")
    if colon and kind in ("hub", "plugin"):
        return Address(kind, rest.strip())  # type: ignore[arg-type]  narrowed by the line above
    if colon and kind == "lm-eval":
        task, _, place = rest.partition("@")
        return Address("lm-eval", _below(folder, place) if place else "", _named(task, text, "lm-eval:TASK@FOLDER"))
    if colon and kind == "inspect":
        place, _, task = rest.rpartition("@")
        _named(place, text, "inspect:FILE.py@TASK")
        return Address("inspect", _below(folder, place), _named(task, text, "inspect:FILE.py@TASK"))
    if match := _CODE.fullmatch(text):
        return Address("code", _below(folder, match["file"]), match["function"])
    place = _below(folder, text)
    return Address("yaml" if Path(place).suffix in (".yaml", ".yml") else "file", place)


def _below(folder: Path, place: str) -> str:
    try:
        return str((folder / Path(place).expanduser()).resolve())
    except (OSError, ValueError, RuntimeError) as error:
        raise EvalError(f"{place!r} is no path of this machine ({error}). Correct it.") from error


def _named(name: str, text: str, form: str) -> str:
    if not name.strip():
        raise EvalError(f"{text!r} names no task. The form is {form}.")
    return name.strip()


def allowed(where: Address, allow_code: bool) -> None:
    """Raises EvalError for an address that runs code without permission."""
    if where.kind in RUNS_CODE and not allow_code:
        raise EvalError(
            f"{str(where)!r} runs code of its author on this machine when it is loaded. If you trust it, say so with --allow-code "
            "(asked again on resume)."
        )

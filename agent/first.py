"""Write a first eval set for a data file: look at it, guess, write the YAML file, and tell what was guessed and why.

Nothing is overwritten without being asked for, and what is written has been read back by the loader's own reader first: a
guess that could not be loaded is never left behind.
"""

from __future__ import annotations

import contextlib
import os
import shlex
from dataclasses import dataclass
from pathlib import Path

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from agent.safe import clip, safe
from agent.settings import SettingsError
from student.evals.address import Address, address
from student.evals.beside import parts_beside, set_name
from student.evals.findings import OnStage
from student.evals.first_yaml import first_yaml
from student.evals.guess import Guess, guess
from student.evals.profile import Profile, profile
from student.evals.rows import Source
from student.evals.sources import open_sources
from student.evals.spec import EvalError, read_spec
from student.evals.trouble import listed
from student.records import write_text


@dataclass(frozen=True)
class First:
    """A first eval set, written."""

    path: Path
    """The YAML file."""
    data: dict[str, str]
    """Where the data lies, by part."""
    profile: Profile
    """What stands in its columns."""
    guess: Guess
    """What it was taken for."""


def write_first(file: str, to: Path | None, force: bool, on_stage: OnStage) -> First:
    """Write the YAML file. Raises EvalError for data that is no eval set, SettingsError for a file in the way."""
    place = address(file, Path())
    if place.kind not in ("file", "hub"):
        raise SettingsError(f"{file!r} is no data file. Name the file, folder or hub dataset that holds your items.")
    target = to or Path(
        f"{set_name(Path(place.place)) if place.kind == 'file' else place.place.split('/')[-1].split(':')[0]}.yaml"
    )
    if target.exists() and not force:
        raise SettingsError(
            f"{str(target)!r} is there already. Give another name with --to, or --force to write over it."
        )
    data, sources = _opened(place, target)
    found = profile(sources, lambda done, total: on_stage("reading", done, total))
    made = guess(found)
    _write(target, first_yaml(target.stem, data, made))
    return First(target, data, found, made)


def _opened(place: Address, target: Path) -> tuple[dict[str, str], dict[str, Source]]:
    """Where the parts lie as the YAML file will say it, and their tables."""
    path = Path(place.place)
    if place.kind == "hub" or path.is_dir():
        return {"": _said(path, target) if place.kind == "file" else str(place)}, open_sources(place)
    parts = parts_beside(path) if path.is_file() else {"": path}
    tables = {part: open_sources(Address("file", str(one)))[""] for part, one in parts.items()}
    return {part: _said(one, target) for part, one in parts.items()}, tables


def _said(file: Path, target: Path) -> str:
    """Relative to the YAML file where it lies beside or below it, so that both can be moved together; else absolute."""
    folder = target.resolve().parent
    whole = file.resolve()
    return str(whole.relative_to(folder)) if whole.is_relative_to(folder) else str(whole)


def _write(target: Path, text: str) -> None:
    """Write aside, read it as the loader will, and put it in its place."""
    draft = target.with_name(f".{target.stem}.{os.getpid()}.yaml")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_text(draft, text)
        read_spec(draft)
        draft.replace(target)
    except EvalError as error:
        raise EvalError(
            f"No eval set could be written for this data: {str(error).replace(str(draft), str(target))}"
        ) from error
    except OSError as error:
        raise EvalError(
            f"{str(target)!r} cannot be written ({error.strerror or error}). Name a file in a folder of yours with --to."
        ) from error
    finally:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)


def told(made: First) -> RenderableType:
    """What was read, what was guessed and why, and what to do next."""
    head = Text()
    for part, rows in made.profile.rows.items():
        place = made.data.get(part) or made.data[""]
        head.append(f"{safe(place)}{f' ({safe(part)})' if part and part not in made.data else ''}", style="bold")
        head.append(f"  {rows:,} rows, {safe(made.profile.formats[part])}\n")
    if made.profile.unreadable:
        head.append(f"{made.profile.unreadable:,} rows could not be read; `evals check` lists them.\n", style="yellow")
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("key", no_wrap=True)
    table.add_column("guess", overflow="fold", max_width=34)
    table.add_column("why", overflow="fold")
    for one in made.guess.reasons:
        table.add_row(Text(one.key), Text(clip(safe(one.value), 80), style="bold"), Text(safe(one.why)))
    if made.guess.unused:
        table.add_row(
            Text("not used"),
            Text(clip(safe(listed(made.guess.unused)), 80)),
            Text("no use was found for these columns"),
        )
    name = safe(made.path)
    tail = Text(f"\nWrote {name}", style="bold").append(". Look it over, then:\n", style="not bold")
    return Group(
        head,
        table,
        tail,
        Text(f"    llm2llm evals check {safe(shlex.quote(str(made.path)))}", no_wrap=True, overflow="ignore"),
    )

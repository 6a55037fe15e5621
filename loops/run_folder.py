"""One run's folder: where everything lies, who holds it, and which work is already done.

A finished artifact has a small manifest beside it in `made/` that names the hash of its inputs and of its own bytes. A
node that runs again asks `once`: with the same inputs and intact bytes the work is not repeated. Files are written aside,
fsynced and renamed, so a kill leaves the old file, the new file, or work owed. One process per folder, by a file lock the
system drops when the holder dies.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shlex
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

import yaml

from loops.settings import RunSettings
from loops.state import GRAPH_VERSION
from student.records import sync_folder, write_json, write_text

ATTEMPTS = "attempts.cross-fit.jsonl"
"""The attempts that decide about a round of a cross-fitted run: every seed once, in the order of the eval set."""


class RunError(Exception):
    """Something is wrong with a run or its folder that a person can mend: says what, where, and what to do."""


LATER = (
    ("train", "smoothing", 0.0), ("generate", "spread", 0.0), ("generate", "level", False),
    ("generate", "per_seed", None), ("curate", "shown", 0), ("curate", "meaning", None),
)  # fmt: skip
"""Settings that came after the first runs, and what stands for going without: that is meant where a config.yaml does not name them,
whatever the default is now."""


class RunFolder:
    """The paths of a run, and its lock."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: IO[str] | None = None

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def as_typed(self) -> str:
        """What a person types for it: its name where it is among the runs here, else its path, in quotes where a shell needs them."""
        here = self.path.parent.absolute() == Path("runs").absolute()
        return shlex.quote(self.name if here else str(self.path))

    @property
    def config(self) -> Path:
        return self.path / "config.yaml"

    @property
    def events(self) -> Path:
        return self.path / "events.jsonl"

    @property
    def ledger(self) -> Path:
        return self.path / "ledger.sqlite"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints.sqlite"

    def round(self, number: int) -> Path:
        """The folder of one round."""
        return self.path / "rounds" / f"{number:03d}"

    def save_settings(self, settings: RunSettings, fingerprint: str) -> None:
        """Write config.yaml: the resolved settings, with the graph's version and the eval set's fingerprint."""
        about = {"graph_version": GRAPH_VERSION, "evals_fingerprint": fingerprint}
        write_text(self.config, yaml.safe_dump({**about, **settings.model_dump(mode="json")}, sort_keys=False))

    def load_settings(self) -> tuple[RunSettings, str]:
        """The settings and the eval set's fingerprint. Raises RunError for a damaged or older run."""
        try:
            raw = yaml.safe_load(self.config.read_text(encoding="utf-8"))
            version, fingerprint = raw.pop("graph_version"), raw.pop("evals_fingerprint")
            if version == GRAPH_VERSION:
                for group, name, without in LATER:
                    raw[group].setdefault(name, without)
                return RunSettings.model_validate(raw), fingerprint
        except (OSError, ValueError, AttributeError, KeyError, TypeError, yaml.YAMLError) as error:
            raise RunError(
                f"The run folder {self.path} cannot be read: config.yaml is missing or damaged ({type(error).__name__}). "
                "Restore the file from a copy, or start a new run; ledger.sqlite still holds every reply that was paid for."
            ) from error
        raise RunError(
            f"The run {self.name!r} was made by another version of the loop (its graph version is {version}, this "
            f"program's is {GRAPH_VERSION}). Resume it with the version that made it, or start a new run."
        )

    def lock(self) -> None:
        """Take the folder for this process. Raises RunError naming the holder."""
        try:
            handle = (self.path / "lock").open("a+")
        except OSError as error:
            raise RunError(
                f"The run folder {str(self.path)!r} cannot be worked in ({error.strerror or error}). `show`, `report` and `export` read "
                "it as it is; to go on with it, copy it to a folder that you may write to."
            ) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            handle.seek(0)
            holder = handle.read().strip() or "another process"
            handle.close()
            raise RunError(
                f"The run {self.name!r} is already being worked on by process {holder}. Wait for it, or stop it with "
                f"Ctrl-C in its terminal, then try again."
            ) from None
        handle.seek(0)
        handle.truncate()
        handle.write(str(os.getpid()))
        handle.flush()
        self._lock = handle
        for draft in self.path.rglob(".*.tmp"):
            draft.unlink(missing_ok=True)  # what a killed process was writing

    @property
    def is_held(self) -> bool:
        """Whether a process is working in the folder; nothing is written to find out."""
        try:
            with (self.path / "lock").open() as handle:
                fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:  # there is no lock, or it cannot be looked at
            return False
        return False

    def unlock(self) -> None:
        """Give the folder back."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def once(self, target: Path, inputs: dict[str, Any], make: Callable[[], None]) -> bool:
        """Make `target` unless it was made from these inputs and is intact. Returns whether it was there already."""
        if self.holds(target, inputs):
            return True
        make()
        manifest = target.parent / "made" / f"{target.name}.json"
        write_json(manifest, {"inputs": digest(inputs), "bytes": content_hash(target)})
        return False

    def holds(self, target: Path, inputs: dict[str, Any]) -> bool:
        """Whether `target` was made from these inputs and is intact."""
        return _intact(target.parent / "made" / f"{target.name}.json", target, digest(inputs))

    def verify(self, target: Path) -> None:
        """Raises RunError when a finished artifact is no longer what was made."""
        try:
            known = json.loads((target.parent / "made" / f"{target.name}.json").read_text(encoding="utf-8"))["bytes"]
        except (OSError, ValueError, KeyError, TypeError):
            known = ""
        if not target.exists() or known != content_hash(target):
            raise RunError(
                f"{target} is missing or was changed after it was made, so nothing built on it could be trusted. Put the "
                "original back and resume, or start a new run."
            )


def _intact(manifest: Path, target: Path, key: str) -> bool:
    try:
        known = json.loads(manifest.read_text(encoding="utf-8"))
        return known["inputs"] == key and known["bytes"] == content_hash(target)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def digest(value: Any) -> str:
    """sha256 (hex) of a plain value as canonical JSON."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def content_hash(target: Path) -> str:
    """sha256 (hex) of a file, or of the names and bytes of a folder's files."""
    files = sorted(part for part in target.rglob("*") if part.is_file()) if target.is_dir() else [target]
    total = hashlib.sha256()
    for file in files:
        total.update(file.relative_to(target.parent).as_posix().encode())
        with file.open("rb") as handle:
            total.update(hashlib.file_digest(handle, "sha256").digest())
    return total.hexdigest()


def put_folder(draft: Path, place: Path) -> None:
    """Move a finished folder to its place, replacing what a killed process may have left there."""
    for part in draft.rglob("*"):
        if part.is_file():
            with part.open("rb") as handle:
                os.fsync(handle.fileno())
    shutil.rmtree(place, ignore_errors=True)
    draft.rename(place)
    sync_folder(place.parent)


def point_best(folder: RunFolder, number: int) -> None:
    """Let the link `best` point at a round's folder, in one step."""
    draft = folder.path / ".best"
    draft.unlink(missing_ok=True)
    draft.symlink_to(Path("rounds") / f"{number:03d}")
    draft.replace(folder.path / "best")


def create_run(root: Path, name: str, taken: Sequence[str] = ()) -> RunFolder:
    """A fresh folder `<name>-<number>` under `root`, readable by its owner only. `taken`: names of runs whose folders may be gone."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,60}", name):
        raise RunError(
            f"{name!r} cannot name a run: use letters, digits, '.', '_' and '-', starting with a letter or digit."
        )
    try:
        root.mkdir(parents=True, exist_ok=True)
        return _fresh(root, name, taken)
    except OSError as error:
        raise RunError(
            f"No run can be kept in {str(root)!r} ({error.strerror or error}). Name a folder of yours with --runs."
        ) from error


def _fresh(root: Path, name: str, taken: Sequence[str]) -> RunFolder:
    number = max((_number(path, name) for path in (*root.iterdir(), *map(Path, taken))), default=0)
    while True:
        number += 1
        try:
            (root / f"{name}-{number}").mkdir(mode=0o700)
            return RunFolder(root / f"{name}-{number}")
        except FileExistsError:
            continue


def find_run(root: Path, name: str) -> RunFolder:
    """The run of that name or path; a bare name means its newest. Raises RunError naming those that exist."""
    for place in (Path(name), root / name):
        if _begun(place).exists():
            return RunFolder(place.resolve())
    found = sorted((path for path in _folders(root) if _number(path, name)), key=lambda path: _number(path, name))
    if found:
        return RunFolder(found[-1].resolve())
    known = ", ".join(path.name for path in _folders(root)) or "none yet"
    raise RunError(f"There is no run {name!r} in {root}. Runs here: {known}. Start one with `llm2llm run`.")


def all_runs(root: Path) -> list[RunFolder]:
    """Every run under `root`, oldest first."""
    return [RunFolder(path) for path in sorted(_folders(root), key=lambda path: _begun(path).stat().st_mtime)]


def _folders(root: Path) -> list[Path]:
    if not root.is_dir():
        return []
    return sorted(path for path in root.iterdir() if _begun(path).exists())


def _begun(path: Path) -> Path:
    """The file by which a folder is known to be a run: it is written once. One that has lost it is known by its events."""
    config = path / "config.yaml"
    return config if config.exists() else path / "events.jsonl"


def _number(path: Path, name: str) -> int:
    """The number of a run folder of that name; 0 for any other path."""
    stem, _, number = path.name.rpartition("-")
    return int(number) if stem == name and number.isascii() and number.isdigit() else 0

"""The record of who has opened which `test` split: a claim made twice on the same items is weaker, so it is marked.

The file lies beside the runs, one JSON line per opening, appended and fsynced before the items are handed out.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from loops.run_folder import RunFolder

RECORD = "test-openings.jsonl"


def openings(runs: Path, fingerprint: str) -> list[str]:
    """Who has opened the split, oldest first, by the record in the folder of the runs."""
    return _names(runs, fingerprint)


def record_opening(folder: RunFolder, fingerprint: str) -> list[str]:
    """Write down that this run opens the split; returns the runs that did so before it, oldest first.

    A run that is resumed opened it when it first did.
    """
    record = folder.path.parent / RECORD
    earlier = openings(folder.path.parent, fingerprint)
    if folder.name not in earlier:
        line = json.dumps({"split": fingerprint, "run": folder.name, "time": round(time.time())})
        with record.open("ab+") as handle:
            size = handle.seek(0, os.SEEK_END)
            handle.seek(max(0, size - 1))
            torn = handle.read(1) not in (b"", b"\n")  # a killed process left a part of a line: it stays one of its own
            handle.write(b"\n" * torn + line.encode() + b"\n")
            handle.flush()
            os.fsync(handle.fileno())
    return earlier[: earlier.index(folder.name)] if folder.name in earlier else earlier


def opened_by(runs: Path) -> list[str]:
    """Every run on the record, whatever it opened: a name that stands there is not given to another run."""
    try:
        return _names(runs)
    except OSError:  # a folder that may not be entered: whoever makes a run there says so
        return []


def _names(runs: Path, fingerprint: str | None = None) -> list[str]:
    record, names = runs / RECORD, list[str]()
    for line in record.read_text(encoding="utf-8", errors="replace").splitlines() if record.exists() else ():
        try:
            opening = json.loads(line)
        except json.JSONDecodeError:
            continue
        here = isinstance(opening, dict) and fingerprint in (None, opening.get("split"))
        if here and opening.get("run") not in names:
            names.append(opening["run"])
    return names

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
    record = runs / RECORD
    return _names(record.read_text(encoding="utf-8") if record.exists() else "", fingerprint)


def record_opening(folder: RunFolder, fingerprint: str) -> list[str]:
    """Write down that this run opens the split; returns the other runs that did so before, oldest first."""
    record = folder.path.parent / RECORD
    earlier = openings(folder.path.parent, fingerprint)
    if folder.name not in earlier:
        line = json.dumps({"split": fingerprint, "run": folder.name, "time": round(time.time())})
        with record.open("a", encoding="utf-8") as handle:
            handle.write(line + "\n")
            handle.flush()
            os.fsync(handle.fileno())
    return [name for name in earlier if name != folder.name]


def _names(text: str, fingerprint: str) -> list[str]:
    names: list[str] = []
    for line in text.splitlines():
        try:
            opening = json.loads(line)
        except json.JSONDecodeError:
            continue
        if opening.get("split") == fingerprint and opening.get("run") not in names:
            names.append(opening["run"])
    return names

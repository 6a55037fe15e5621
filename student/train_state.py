"""What a training leaves behind while it runs, so that a killed one goes on at its last saved step with the same bytes.

The tensors go into a file named by their step, then a small JSON file that names it is put in place in one move: a kill leaves the
old state or the new one. A state of another training (other examples, settings, seed or machine) is not taken up.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from student.records import write_json

EVERY = 20.0
"""Seconds between two saves: what a kill may cost."""


class Kept:
    """The saved state of one training, in a folder of its own."""

    def __init__(self, folder: Path | None, key: str) -> None:
        self.folder, self.key, self._last = folder, key, time.monotonic()

    def load(self) -> tuple[dict[str, torch.Tensor], dict[str, Any]] | None:
        """Tensors and notes of the last save; None where there is none that fits."""
        if self.folder is None:
            return None
        try:
            about = json.loads((self.folder / "state.json").read_text(encoding="utf-8"))
            if about["key"] == self.key:
                return load_file(self.folder / about["tensors"]), about
        except (OSError, ValueError, KeyError, TypeError, SafetensorError):
            pass
        return None

    def due(self) -> bool:
        """Whether it is time to save."""
        return self.folder is not None and time.monotonic() - self._last >= EVERY

    def save(self, tensors: dict[str, torch.Tensor], about: dict[str, Any], step: int) -> None:
        """Put this state in the place of the last."""
        if self.folder is None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        name = f"step-{step}.safetensors"
        save_file({key: value.contiguous() for key, value in tensors.items()}, self.folder / name)
        with (self.folder / name).open("rb") as handle:
            os.fsync(handle.fileno())
        write_json(self.folder / "state.json", {"key": self.key, "tensors": name, **about})
        for old in self.folder.glob("step-*.safetensors"):
            if old.name != name:
                old.unlink()
        self._last = time.monotonic()

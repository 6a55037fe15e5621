"""The bench of curation times the loop's own `sift`: every candidate gets its verdict, and what was planted is found."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent / "bench"))
curate: Any = import_module("curate")


def test_the_whole_sift_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(curate, "HELD_OUT", 60)
    monkeypatch.setattr(curate, "SEEDS", 20)
    found = curate.measure(200)
    said = found["verdicts"]
    assert sum(said.values()) == found["size"] == 200
    assert set(said) >= {"accepted", "duplicate", "near-duplicate", "held-out"}
    assert said["held-out"] >= 3 and said["duplicate"] >= 10, "a twentieth and a tenth were planted"
    assert 100 <= said["accepted"] <= 160, "seven in ten are new"
    assert "200 candidates sifted against 200 accepted lessons and 60 held-out items" in curate.sentence(found)

"""The bench of the GPU, on a processor with the tiny student: both sides train, QLoRA merges, and without a card it says so."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch

from student import models
from student.models import TINY, Machine

sys.path.insert(0, str(Path(__file__).parent / "bench"))
gpu: Any = import_module("gpu")


@pytest.fixture
def place(tmp_path: Path) -> Any:
    return gpu.Place(TINY, Machine(device="cpu", dtype="float32", threads=1, gflops=0.0), tmp_path)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_without_a_card_nothing_is_claimed(capsys: Any) -> None:
    gpu.main()
    line, sentence = capsys.readouterr().out.splitlines()
    assert json.loads(line) == {"bench": "gpu", "card": None}
    assert "nothing was run" in sentence


def test_both_sides_train_in_steps_of_the_same_size(place: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "STEPS", 3)
    told: list[float] = []
    monkeypatch.setattr(gpu, "speed", lambda tokens, marks: told.append(tokens) or len(marks))
    found = gpu.fine_tuning(place, [2048])
    assert found["ours"] == found["theirs"] == {2048: 3}  # a mark a step, on both sides
    assert told == [pytest.approx(2048, rel=0.1), pytest.approx(2048, rel=0.1)]


def test_an_adapter_of_a_base_in_four_bits_is_merged_into_the_base_without_them(
    place: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("bitsandbytes")  # the package runs on a processor too, which is how this is tried without a GPU
    monkeypatch.setattr(gpu, "LEARNED", 24)
    monkeypatch.setattr(gpu, "ASKED", 8)
    config, on_gpu = models._four_bits, Machine(device="cuda", dtype="float32", threads=1, gflops=0.0)
    monkeypatch.setattr(models, "_four_bits", lambda machine: config(on_gpu))
    found = gpu.qlora(place)
    assert found["last_loss"] < found["first_loss"]
    assert found["merged_dtypes"] == ["torch.float32"]
    assert found["merged_as_adapter_beside"] == found["questions"]
    assert found["merged_as_in_4_bits"] > 0

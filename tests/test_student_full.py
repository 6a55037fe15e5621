"""Other ways to train than LoRA of every linear layer: all weights, rank-stabilised scaling, and what a base in 4 bits needs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from student.choices import score_choices
from student.errors import StudentError
from student.full import FullStudent, student_of
from student.lora import Student
from student.models import TINY, Machine, load, probe
from student.prompting import Ask
from student.records import Example, Question
from student.settings import Lora, TrainSettings
from student.train import train

CPU = Machine(device="cpu", dtype="float32", threads=1, gflops=0.0)
ASK = Ask(frame="Errand: {question}\nShop:")
EXAMPLES = [Example(prompt=prompt, answer=answer) for prompt, answer in
            (("mangoes", "grocer"), ("a hinge", "hardware"), ("six eggs", "grocer"), ("screws", "hardware"))]  # fmt: skip
QUESTIONS = [Question(prompt=one.prompt, choices=("grocer", "hardware")) for one in EXAMPLES]
SETTINGS = TrainSettings(epochs=2, min_steps=20, batch_size=2, learning_rate=0.01)


@pytest.fixture
def make(tmp_path: Path) -> Any:
    def student(**lora: Any) -> Student:
        base, tokenizer = load(TINY, CPU, tmp_path / "students")
        return student_of(base, tokenizer, Lora(rank=4, **lora))

    return student


def scores(student: Student, adapter: Path | None) -> list[list[float]]:
    with student.using(adapter):
        return [one.values for one in score_choices(student, ASK, QUESTIONS, lambda done, total: None)]


def fitted(student: Student, place: Path) -> list[float]:
    losses: list[float] = []
    train(student, ASK, EXAMPLES, SETTINGS, 1, lambda step, steps, loss, speed: losses.append(loss))
    place.mkdir()
    student.save(place)
    return losses


@pytest.mark.parametrize("layers", [0.5, 1.0])
def test_all_weights_are_trained_and_the_base_is_not_lost(make: Any, tmp_path: Path, layers: float) -> None:
    student = make(how="full", layers=layers)
    assert isinstance(student, FullStudent)
    assert len(student.trainable()) == 7 * round(2 * layers)
    untouched = scores(student, None)
    losses = fitted(student, tmp_path / "weights")
    assert losses[-1] < losses[0] / 2
    trained = scores(student, tmp_path / "weights")
    assert trained != untouched
    assert scores(student, None) == untouched
    assert scores(make(how="full", layers=layers), tmp_path / "weights") == trained
    again = make(how="full", layers=layers)
    assert fitted(again, tmp_path / "again") == losses


def test_merged_weights_answer_as_the_student_did(make: Any, tmp_path: Path) -> None:
    student = make(how="full", layers=1.0)
    fitted(student, tmp_path / "weights")
    expected = scores(student, tmp_path / "weights")
    student.merged().save_pretrained(tmp_path / "merged")
    student.tokenizer.save_pretrained(tmp_path / "merged")
    base, tokenizer = load(str(tmp_path / "merged"), CPU, tmp_path)
    assert scores(student_of(base, tokenizer, Lora(layers=1.0)), None) == expected


def test_weights_of_another_depth_are_refused(make: Any, tmp_path: Path) -> None:
    fitted(make(how="full", layers=0.5), tmp_path / "weights")
    with pytest.raises(StudentError, match=r"another model or another student\.lora"):
        make(how="full", layers=1.0).restore(tmp_path / "weights")
    with pytest.raises(StudentError, match=r"another model or another student\.lora"):
        make(how="full", layers=1.0).restore(tmp_path)


def test_rank_stabilised_updates_are_scaled_by_the_root_of_the_rank(make: Any) -> None:
    def scale(student: Student) -> float:
        return next(part.scaling["default"] for part in student.model.modules() if hasattr(part, "lora_A"))

    assert scale(make(alpha=8)) == 2.0
    assert scale(make(alpha=8, rslora=True)) == 4.0


def test_a_base_in_four_bits_needs_a_gpu(tmp_path: Path) -> None:
    with pytest.raises(StudentError, match="needs a GPU"):
        load(TINY, CPU, tmp_path, four_bit=True)


def test_a_card_that_only_imitates_bfloat16_is_asked_for_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    """As torch answers about cards before Ampere: yes, where imitation counts."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation)
    assert probe().dtype == "float32"
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: True)
    assert probe().model_dump() == {**CPU.model_dump(), "device": "cuda", "dtype": "bfloat16", "fused_from": 0,
                                    "threads": probe().threads}  # fmt: skip


def test_a_run_that_was_begun_on_a_gpu_says_so_where_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(StudentError, match="begun on a GPU, and there is none here"):
        load(TINY, CPU.model_copy(update={"device": "cuda"}), tmp_path)

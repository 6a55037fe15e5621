"""Merging an adapter into its base: the merged model gives the same scores without any adapter, and a bad merge is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from student.choices import score_choices
from student.errors import StudentError
from student.lora import Student
from student.merge import merge
from student.models import TINY, Machine, load
from student.prompting import Ask
from student.records import Question
from student.settings import Lora
from student.writing import write_answers

CPU = Machine(device="cpu", dtype="float32", threads=1, gflops=0.0)
ASK = Ask(frame="Errand: {question}\nShop:")
SHAPE = Lora(rank=4, alpha=8, layers=1.0)
QUESTIONS = [
    Question(prompt=prompt, choices=("grocer", "hardware", "chemist")) for prompt in ("a hinge", "six eggs", "soap")
]


def tiny(cache: Path, source: str = TINY) -> Student:
    base, tokenizer = load(source, CPU, cache)
    return Student(base, tokenizer, SHAPE)


@pytest.fixture
def student(tmp_path: Path) -> Student:
    return tiny(tmp_path / "students")


@pytest.fixture
def adapter(student: Student, tmp_path: Path) -> Path:
    """An adapter that changes every layer a good deal."""
    student.reset(3)
    torch.manual_seed(3)
    with torch.no_grad():
        for weight in student.trainable():
            weight.add_(torch.randn_like(weight) * 0.2)
    student.save(tmp_path / "adapter")
    return tmp_path / "adapter"


def quiet(done: int, total: int) -> None:
    """Nobody watches."""


def scores(student: Student, adapter: Path | None) -> list[float]:
    with student.using(adapter):
        return [value for one in score_choices(student, ASK, QUESTIONS, quiet) for value in one.values]


def written(student: Student, adapter: Path | None) -> list[str]:
    with student.using(adapter):
        return [one.text for one in write_answers(student, ASK, QUESTIONS, 12, quiet)]


def test_the_merged_model_answers_as_base_and_adapter_do(student: Student, adapter: Path, tmp_path: Path) -> None:
    before, base, said = scores(student, adapter), scores(student, None), written(student, adapter)
    assert max(abs(one - other) for one, other in zip(before, base, strict=True)) > 0.5, "the adapter changes nothing"
    merge(student, adapter, tmp_path / "merged", 12)
    alone = tiny(tmp_path / "students", str(tmp_path / "merged"))
    assert scores(alone, None) == pytest.approx(before, abs=1e-3)
    assert written(alone, None) == said


def test_a_merged_folder_is_plain_and_says_how_to_generate(student: Student, adapter: Path, tmp_path: Path) -> None:
    merge(student, adapter, tmp_path / "merged", 12)
    names = {path.name for path in (tmp_path / "merged").iterdir()}
    assert {
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    } <= names
    assert not any("adapter" in name or name.endswith((".bin", ".pt")) for name in names)
    told = json.loads((tmp_path / "merged" / "generation_config.json").read_text())
    assert told["do_sample"] is False and told["max_new_tokens"] == 12 and told["eos_token_id"] == [0]
    assert not any("lora" in name for name in load_file(tmp_path / "merged" / "model.safetensors"))
    for name in ("config.json", "tokenizer_config.json"):
        assert str(tmp_path) not in (tmp_path / "merged" / name).read_text(), "a path of this machine"


def test_a_tokenizer_that_adds_tokens_by_itself_is_told_not_to(student: Student, adapter: Path, tmp_path: Path) -> None:
    keep = student.tokenizer.save_pretrained

    def saved(folder: Path) -> Any:
        keep(folder)
        config = folder / "tokenizer_config.json"
        config.write_text(json.dumps(json.loads(config.read_text()) | {"add_bos_token": True}))

    student.tokenizer.save_pretrained = saved
    merge(student, adapter, tmp_path / "merged", 12)
    assert json.loads((tmp_path / "merged" / "tokenizer_config.json").read_text())["add_bos_token"] is False


def test_a_merged_model_keeps_what_its_base_asks_of_generate(student: Student, adapter: Path, tmp_path: Path) -> None:
    student.causal.generation_config.repetition_penalty = 1.3
    said = written(student, adapter)
    merge(student, adapter, tmp_path / "merged", 12)
    alone = tiny(tmp_path / "students", str(tmp_path / "merged"))
    assert alone.causal.generation_config.repetition_penalty == 1.3
    assert written(alone, None) == said


def test_a_broken_adapter_is_refused(student: Student, adapter: Path, tmp_path: Path) -> None:
    weights = load_file(adapter / "adapter_model.safetensors")
    name = next(iter(weights))
    save_file(weights | {name: torch.full_like(weights[name], float("nan"))}, adapter / "adapter_model.safetensors")
    with pytest.raises(StudentError, match=r"cannot be merged.*NaN"):
        merge(student, adapter, tmp_path / "merged", 12)
    assert not (tmp_path / "merged").exists()


def test_a_quantised_base_is_refused(student: Student, adapter: Path, tmp_path: Path) -> None:
    student.causal.is_quantized = True
    with pytest.raises(StudentError, match="quantised"):
        merge(student, adapter, tmp_path / "merged", 12)

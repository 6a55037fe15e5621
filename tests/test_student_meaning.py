"""Where texts lie in meaning: the tiny student's own untouched model, the same bits every time, and which place is near to which."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

from student import meaning
from student.errors import StudentError
from student.full import student_of
from student.lora import Student
from student.meaning import embed
from student.models import TINY, Machine, load
from student.nearness import SHORTLIST, Space, Spelling, nearest, packed, unpacked
from student.settings import Lora
from student.worker import StudentWorker

CPU = Machine(device="cpu", dtype="float32", threads=1, gflops=0.0)
TEXTS = ["a hinge for the gate", "x", "six eggs and a very long list of nuts", "", "tea", "soap without any scent"]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Student]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield with_adapter(tmp_path_factory.getbasetemp() / "students")
    torch.set_num_threads(threads)


def with_adapter(cache: Path, **lora: Any) -> Student:
    """A tiny student that has learned something in every layer."""
    base, tokenizer = load(TINY, CPU, cache)
    student = student_of(base, tokenizer, Lora(rank=4, layers=1.0, **lora))
    changed(student)
    return student


@torch.no_grad()
def changed(student: Student) -> None:
    torch.manual_seed(3)
    for weight in student.trainable():
        weight.add_(torch.randn_like(weight))


def weighed(student: Student, states: torch.Tensor, text: str) -> Any:
    """The mean of a text's states, each token weighed by how few of TEXTS have it."""
    ids = [set(student.tokenizer(one)["input_ids"]) for one in TEXTS]
    having = [sum(token in one for one in ids) for token in student.tokenizer(text)["input_ids"]]
    weights = torch.tensor([math.log((len(TEXTS) + 1) / (count + 1)) + 0.5 for count in having])
    return (states[1:] * weights[:, None]).sum(0).div(weights.sum()).numpy()


# --- vectors


def test_a_text_has_the_same_place_alone_and_among_others(tiny: Student) -> None:
    together = embed(tiny, TEXTS, TEXTS)
    assert together.shape == (len(TEXTS), 64) and together.dtype == np.float32
    for text, place in zip(TEXTS, together, strict=True):
        assert embed(tiny, [text], TEXTS)[0] == pytest.approx(place, abs=1e-5)


def test_the_same_texts_give_the_same_bits(tiny: Student) -> None:
    assert np.array_equal(embed(tiny, TEXTS, TEXTS), embed(tiny, TEXTS, TEXTS))


@pytest.mark.parametrize("how", ["lora", "full"])
def test_what_was_learned_is_not_in_it_and_is_not_lost(tmp_path: Path, how: Any) -> None:
    student = with_adapter(tmp_path, how=how)
    before, learned = embed(student, TEXTS, TEXTS), student.state()
    changed(student)
    assert np.array_equal(embed(student, TEXTS, TEXTS), before)
    assert any(not torch.equal(weight, learned[name]) for name, weight in student.state().items())
    base, _ = load(TINY, CPU, tmp_path)
    ids = torch.tensor([meaning._row(student.tokenizer, TEXTS[0])])
    with torch.no_grad():
        middle = base.model(input_ids=ids, output_hidden_states=True).hidden_states[1][0]
    assert before[0] == pytest.approx(weighed(student, middle, TEXTS[0]), abs=1e-5), (
        "one of two layers, the first token left out"
    )


def test_layers_that_nobody_looks_at_do_not_run(tiny: Student, monkeypatch: pytest.MonkeyPatch) -> None:
    first, last = tiny.layers

    def unwanted(*arguments: Any, **named: Any) -> None:
        raise AssertionError("nobody looks at this layer")

    monkeypatch.setattr(last, "forward", unwanted)
    assert embed(tiny, TEXTS, TEXTS).any()
    monkeypatch.setattr(first, "forward", unwanted)
    with pytest.raises(AssertionError, match="nobody"):
        embed(tiny, TEXTS, TEXTS)
    assert not first._forward_hooks, "nothing is left behind in the model"


def test_control_tokens_are_text_and_long_texts_are_cut(tiny: Student) -> None:
    places = embed(tiny, ["<|end|>", "", "y" * 2000, "y" * 600], TEXTS)
    assert not np.allclose(places[0], places[1])
    assert places[2] == pytest.approx(places[3], abs=1e-5)


def test_what_every_text_has_counts_less(tiny: Student) -> None:
    def apart(around: list[str]) -> float:
        one, other = embed(tiny, ["what is tea", "what is soap"], around)
        return float(np.linalg.norm(one - other))

    assert apart(["what is ink", "what is a kite"]) > apart(["tea, please", "and soap"])


def test_progress_counts_texts(tiny: Student, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(meaning.TOKENS, "cpu", 40)
    told: list[tuple[int, int]] = []
    embed(tiny, TEXTS, TEXTS, lambda *done: told.append(done))
    assert told == sorted(told) and len(told) > 2 and told[-1] == (len(TEXTS), len(TEXTS))
    assert embed(tiny, [], TEXTS).shape == (0, 64)


def test_out_of_memory_is_no_end(tiny: Student, monkeypatch: pytest.MonkeyPatch) -> None:
    expected, forward, notes = embed(tiny, TEXTS, TEXTS), tiny.backbone.forward, list[str]()
    most = 2

    def limited(*arguments: Any, **named: Any) -> Any:
        if named["input_ids"].shape[0] > most:
            raise MemoryError
        return forward(*arguments, **named)

    monkeypatch.setattr(tiny.backbone, "forward", limited)
    assert np.allclose(embed(tiny, TEXTS, TEXTS, on_note=notes.append), expected, atol=1e-5)
    assert notes and notes[-1].startswith("out of memory: going on with ")
    most = 0
    with pytest.raises(StudentError, match="memory does not suffice"):
        embed(tiny, TEXTS, TEXTS)


def test_another_kind_of_decoder_will_do(tiny: Student) -> None:
    torch.manual_seed(0)
    shape = GPTNeoXConfig(vocab_size=len(tiny.tokenizer), hidden_size=32, num_hidden_layers=4, num_attention_heads=2,
                          intermediate_size=64, bos_token_id=0, eos_token_id=0)  # fmt: skip
    model: Any = GPTNeoXForCausalLM._from_config(shape, attn_implementation="eager")
    student = student_of(model.eval(), tiny.tokenizer, Lora(rank=2, layers=1.0))
    with torch.no_grad():
        ids = torch.tensor([meaning._row(tiny.tokenizer, TEXTS[0])])
        middle = model.gpt_neox(input_ids=ids, output_hidden_states=True).hidden_states[1][0]
    assert embed(student, TEXTS, TEXTS)[0] == pytest.approx(weighed(student, middle, TEXTS[0]), abs=1e-5)


def test_the_students_process_says_the_same(tiny: Student, tmp_path: Path) -> None:
    load_as = {
        "source": TINY,
        "cache": str(tmp_path),
        "lora": Lora(rank=4, layers=1.0).model_dump(),
        "machine": CPU.model_dump(),
    }
    worker, told = StudentWorker(load_as, tmp_path / "log", lambda: False), list[dict[str, Any]]()
    try:
        found = worker.embed(TEXTS, TEXTS, told.append)
        assert found.dtype == np.float32 and np.allclose(found, embed(tiny, TEXTS, TEXTS), atol=1e-5)
        assert told[-1] == {"done": len(TEXTS), "total": len(TEXTS)}
        assert worker.embed([], TEXTS, told.append).size == 0
    finally:
        worker.close()
    assert np.array_equal(worker.embed(TEXTS, TEXTS, told.append), found), "what was read once is kept"


# --- nearness


def test_vectors_travel_bit_by_bit() -> None:
    vectors = np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32)
    assert np.array_equal(unpacked(packed([*vectors])), vectors)
    assert unpacked(packed([])).shape == (0, 0)


def test_what_all_texts_have_in_common_is_no_likeness() -> None:
    draw = np.random.default_rng(1)
    own, common = draw.normal(size=(60, 16)), 100 * draw.normal(size=16)
    form = np.outer(draw.normal(size=60), 20 * draw.normal(size=16))
    texts = (own + common + form).astype(np.float32)
    units = texts / np.linalg.norm(texts, axis=1, keepdims=True)
    assert np.abs(units @ units.T).mean() > 0.8
    placed = Space(texts).place(texts)
    assert np.linalg.norm(placed, axis=1) == pytest.approx(np.ones(60), abs=1e-5)
    assert np.abs(placed @ placed.T - np.eye(60)).mean() < 0.3
    again = Space(texts).place(texts[:1] + 0.01)
    assert float(again[0] @ placed[0]) > 0.99
    assert not Space(texts[:1]).place(texts[:1]).any(), "the only text there is lies in the middle"


def test_letters_that_are_rare_in_a_task_count_for_more() -> None:
    around = [f"what is the name of {thing}" for thing in ("soap", "tea", "a kite", "an egg", "ink")]
    texts = ["what is the name of the piano", "the piano, how is it called", "what is the name of a violin", ""]
    spelling = Spelling(texts, around)
    assert spelling.nearness(0, 0) == pytest.approx(1)
    assert spelling.nearness(0, 1) == spelling.nearness(1, 0) > spelling.nearness(0, 2) > 0
    assert Spelling(texts, []).nearness(0, 1) < Spelling(texts, []).nearness(0, 2), "where nothing is common all counts"
    assert spelling.nearness(0, 3) == 0


def test_the_nearest_are_those_that_all_comparisons_find(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = np.random.default_rng(2)
    places = draw.normal(size=(80, 6)).astype(np.float32)
    places /= np.linalg.norm(places, axis=1, keepdims=True)
    cosines = places[:30] @ places.T
    expected = {at: [(int(one), float(row[one])) for one in np.argsort(-row, kind="stable") if row[one] >= 0.5]
                for at, row in enumerate(cosines)}  # fmt: skip
    assert max(map(len, expected.values())) > 2
    for cells in (1, 200, 1 << 22):
        monkeypatch.setattr("student.nearness._CELLS", cells)
        found = dict(nearest(places[:30], places, 0.5))
        assert {at: [one for one, _ in row] for at, row in found.items()} == {
            at: [one for one, _ in row][:SHORTLIST] for at, row in expected.items() if row
        }
    assert dict(nearest(places, places, 1.1)) == {}

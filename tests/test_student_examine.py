"""Examination of the tiny student: many at once as each alone, nobody pays for the finished, and out of memory is no end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import Gemma3ForCausalLM, Gemma3TextConfig, MistralConfig, MistralForCausalLM

from student import choices, decoding, writing
from student.child import Desk
from student.choices import score_choices
from student.decoding import Block
from student.errors import StudentError
from student.frozen import Frozen, frozen_of
from student.layers import Runner
from student.lora import Student
from student.models import TINY, Machine, load
from student.prompting import Ask, Prompter
from student.records import Question
from student.settings import Lora
from student.shared import reads_like_the_model
from student.team import Team
from student.writing import Written, end_tokens, write_answers

CPU = Machine(device="cpu", dtype="float32", threads=1, gflops=0.0)
LEAD = "These are the instructions that all the prompts share, and they are long enough.\n\n"
TEXTS = [
    "a kite",
    "x",
    "a much longer question about hooks and ladders",
    "soap",
    "six eggs and a very long list of nuts",
    "tea",
]
CHOICES = ("cat", "catalog", "dog", "a rather long answer", "\u00e9")
FULL = [torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), MemoryError(),
        RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes.")]  # fmt: skip


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Student]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    base, tokenizer = load(TINY, CPU, tmp_path_factory.getbasetemp() / "students")
    student = Student(base, tokenizer, Lora(rank=4, alpha=8, layers=1.0))
    student.reset(1)
    yield student
    torch.set_num_threads(threads)


def asked(lead: str = "", stop: Sequence[str] = ()) -> Ask:
    return Ask(frame="Errand: {question}\nShop:", lead=lead, stop=tuple(stop))


def open_questions(texts: Sequence[str] = TEXTS) -> list[Question]:
    return [Question(prompt=text) for text in texts]


def picked(texts: Sequence[str] = TEXTS) -> list[Question]:
    return [Question(prompt=text, choices=CHOICES[at % 3 :]) for at, text in enumerate(texts)]


def generated(student: Student, ask: Ask, text: str, count: int) -> Written:
    """What transformers' own `generate` says to one prompt."""
    ids = torch.tensor([Prompter(student.tokenizer, ask).question(text)])
    ends = sorted(end_tokens(student))
    said = student.causal.generate(
        input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=count, do_sample=False, eos_token_id=ends,
        pad_token_id=student.tokenizer.pad_token_id,
    )[0, ids.shape[1] :].tolist()  # fmt: skip
    kept = said[:-1] if said[-1] in ends else said
    return Written(student.tokenizer.decode(kept), kept == said)


@pytest.fixture
def ends(tiny: Student) -> Iterator[Callable[[int], None]]:
    """Make a token that the tiny student says often the one that ends an answer."""
    before = tiny.causal.generation_config.eos_token_id

    def at(count: int) -> None:
        said = [
            writing._decoded(tiny, [Prompter(tiny.tokenizer, asked()).question(text)], (count, ()), print)
            for text in TEXTS
        ]
        tokens = [token for answer in said for _, row in answer for token in row[2:]]
        tiny.causal.generation_config.eos_token_id = [max(set(tokens), key=lambda token: (tokens.count(token), token))]

    yield at
    tiny.causal.generation_config.eos_token_id = before


@pytest.fixture
def passes(tiny: Student, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Rows and width of every forward pass from here on."""
    seen, forward = list[tuple[int, int]](), tiny.backbone.forward

    def watched(*arguments: Any, **named: Any) -> Any:
        seen.append(tuple(named["input_ids"].shape))
        return forward(*arguments, **named)

    monkeypatch.setattr(tiny.backbone, "forward", watched)
    return seen


def short_of_memory(student: Student, monkeypatch: pytest.MonkeyPatch, most: int, error: BaseException) -> None:
    """From here on a forward pass of more than `most` rows fails as an allocation does."""
    forward = student.backbone.forward

    def limited(*arguments: Any, **named: Any) -> Any:
        if named["input_ids"].shape[0] > most:
            raise error
        return forward(*arguments, **named)

    monkeypatch.setattr(student.backbone, "forward", limited)


# --- writing


@pytest.mark.parametrize("lead", ["", LEAD], ids=["alone", "shared"])
@pytest.mark.parametrize("rows", [1, 2, 3, 64])
def test_answers_are_those_that_generate_gives(
    tiny: Student, ends: Any, monkeypatch: pytest.MonkeyPatch, lead: str, rows: int
) -> None:
    """Rows end at different times, so places are given up and filled again."""
    ends(12)
    monkeypatch.setitem(decoding.ROWS, "cpu", rows)
    told: list[tuple[int, int]] = []
    written = write_answers(tiny, asked(lead), open_questions(), 12, lambda *done: told.append(done))
    assert written == [generated(tiny, asked(lead), text, 12) for text in TEXTS]
    assert lead or len({one.truncated for one in written}) == 2, "choose other texts: all end alike"
    assert told == [(done, len(TEXTS)) for done in range(1, len(TEXTS) + 1)]


@pytest.mark.parametrize("rows", [2, 64])
def test_nobody_pays_for_finished_rows_or_unread_logits(
    tiny: Student, ends: Any, passes: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    ends(12)
    monkeypatch.setitem(decoding.ROWS, "cpu", rows)
    heads, logits = list[int](), tiny.logits
    monkeypatch.setattr(tiny, "logits", lambda hidden: heads.append(len(hidden)) or logits(hidden))
    said = [row for _, row in writing._decoded(tiny, [[*range(5, 9 + at)] for at in range(6)], (12, ()), print)]
    passes.clear()
    heads.clear()
    said = [row for _, row in writing._decoded(tiny, [[*range(5, 9 + at)] for at in range(6)], (12, ()), print)]
    tokens = sum(map(len, said))
    assert sum(heads) == tokens
    assert sum(count for count, width in passes if width == 1) == tokens - len(said)
    assert sum(count for count, width in passes if width > 1) == len(said)


def test_what_lies_in_unused_memory_changes_nothing(tiny: Student, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = write_answers(tiny, asked(), open_questions(), 8, lambda *_: None)

    def dirty(block: Block, like: torch.Tensor) -> torch.Tensor:
        made = torch.full((block.rows, like.shape[1], block.capacity, like.shape[3]), float("nan"))
        made[:, :, : block.clean] = 0
        return made

    monkeypatch.setattr(Block, "_empty", dirty)
    assert write_answers(tiny, asked(), open_questions(), 8, lambda *_: None) == expected


def test_an_answer_ends_before_a_stop_text(tiny: Student) -> None:
    whole = write_answers(tiny, asked(), open_questions(), 12, lambda *_: None)
    stop = whole[0].text[4:6]
    cut = write_answers(tiny, asked(stop=[stop]), open_questions(), 12, lambda *_: None)
    assert [one.text for one in cut] == [one.text.split(stop)[0] for one in whole]
    assert [one.truncated for one in cut] == [one.truncated and stop not in one.text for one in whole]
    assert not cut[0].truncated


def test_a_model_that_asks_for_more_than_greedy_is_left_to_generate(
    tiny: Student, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = write_answers(tiny, asked(), open_questions(), 12, lambda *_: None)
    monkeypatch.setattr(tiny.causal.generation_config, "repetition_penalty", 5.0)
    penalised = write_answers(tiny, asked(), open_questions(), 12, lambda *_: None)
    assert penalised != plain
    assert penalised == [generated(tiny, asked(), text, 12) for text in TEXTS]


def test_nothing_is_asked_and_nothing_comes_back(tiny: Student) -> None:
    assert write_answers(tiny, asked(), [], 8, lambda *_: None) == []
    assert score_choices(tiny, asked(), [], lambda *_: None) == []


# --- out of memory


@pytest.mark.parametrize("error", FULL, ids=["gpu", "python", "cpu"])
@pytest.mark.parametrize("most", [1, 2, 3])
def test_choices_go_on_in_smaller_batches(
    tiny: Student, monkeypatch: pytest.MonkeyPatch, error: BaseException, most: int
) -> None:
    expected, notes = score_choices(tiny, asked(), picked(), lambda *_: None), list[str]()
    short_of_memory(tiny, monkeypatch, most, error)
    found = score_choices(tiny, asked(), picked(), lambda *_: None, on_note=notes.append)
    for one, other in zip(found, expected, strict=True):
        assert one.values == pytest.approx(other.values, abs=1e-4)
        assert one.greedy == other.greedy
    assert notes[-1].startswith(f"out of memory: going on with {1 if most == 1 else 3 if most == 3 else 1} ")


@pytest.mark.parametrize("error", FULL, ids=["gpu", "python", "cpu"])
@pytest.mark.parametrize("most", [1, 2, 3])
def test_writing_goes_on_with_fewer_rows(
    tiny: Student, ends: Any, monkeypatch: pytest.MonkeyPatch, error: BaseException, most: int
) -> None:
    ends(8)
    expected, notes = write_answers(tiny, asked(), open_questions(), 8, lambda *_: None), list[str]()
    short_of_memory(tiny, monkeypatch, most, error)
    assert write_answers(tiny, asked(), open_questions(), 8, lambda *_: None, notes.append) == expected
    assert notes and all(note.startswith("out of memory: going on with ") for note in notes)


def test_memory_that_fails_halfway_loses_nothing(tiny: Student, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = write_answers(tiny, asked(), open_questions(), 8, lambda *_: None)
    forward, left = tiny.backbone.forward, [5]

    def once(*arguments: Any, **named: Any) -> Any:
        left[0] -= 1
        if not left[0]:
            raise MemoryError
        return forward(*arguments, **named)

    monkeypatch.setattr(tiny.backbone, "forward", once)
    assert write_answers(tiny, asked(), open_questions(), 8, lambda *_: None) == expected
    assert left[0] < 0


def test_generate_goes_on_with_fewer_rows(tiny: Student, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "reads_like_the_model", lambda *_: False)
    expected, notes = write_answers(tiny, asked(), open_questions(), 8, lambda *_: None), list[str]()
    short_of_memory(tiny, monkeypatch, 2, MemoryError())
    assert write_answers(tiny, asked(), open_questions(), 8, lambda *_: None, notes.append) == expected
    assert notes == ["out of memory: going on with 3 answers at once", "out of memory: going on with 1 answers at once"]


def test_one_question_that_does_not_fit_is_told(tiny: Student, monkeypatch: pytest.MonkeyPatch) -> None:
    assert reads_like_the_model(tiny, [1, 2, 3], 8)
    short_of_memory(tiny, monkeypatch, 0, MemoryError("no memory left"))
    with pytest.raises(StudentError, match=r"one question at a time \(no memory left\)"):
        score_choices(tiny, asked(), picked(), lambda *_: None)
    with pytest.raises(StudentError, match="does not suffice for one question"):
        write_answers(tiny, asked(), open_questions(), 8, lambda *_: None)


@pytest.mark.parametrize("error", [RuntimeError("shapes do not match"), ValueError("not a number")])
def test_other_errors_are_not_taken_for_a_lack_of_memory(
    tiny: Student, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    short_of_memory(tiny, monkeypatch, 2, error)
    with pytest.raises(type(error), match=str(error)):
        score_choices(tiny, asked(), picked(), lambda *_: None)
    with pytest.raises(type(error), match=str(error)):
        write_answers(tiny, asked(), open_questions(), 8, lambda *_: None)


@pytest.mark.parametrize("kind", [picked, open_questions], ids=["choices", "writing"])
def test_the_students_process_tells_of_it_with_its_progress(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: Any
) -> None:
    desk = Desk(
        {"source": TINY, "cache": str(tmp_path), "lora": Lora(layers=1.0).model_dump(), "machine": CPU.model_dump()},
        Team(),
    )
    told: list[dict[str, Any]] = []
    job = {
        "ask": asked().model_dump(),
        "questions": [one.model_dump() for one in kind()],
        "adapter": None,
        "max_new_tokens": 6,
    }
    desk.examine(job, lambda **message: told.append(message))
    assert told
    assert not any("note" in message for message in told)
    told.clear()
    short_of_memory(desk.student, monkeypatch, 3, MemoryError())
    answers = desk.examine(job, lambda **message: told.append(message))["answers"]
    assert len(answers) == len(TEXTS)
    assert told[0] == {"done": 0, "total": len(TEXTS), "note": told[0]["note"]}
    assert "out of memory: going on with 3 " in told[-1]["note"]
    assert told[-1]["done"] == told[-1]["total"] == len(TEXTS)


# --- choices


def test_the_same_items_give_the_same_bits_and_any_batch_the_same_scores(tiny: Student) -> None:
    first, again = (score_choices(tiny, asked(LEAD), picked(), lambda *_: None) for _ in range(2))
    assert first == again
    for tokens in (1, 60, 10_000):
        other = score_choices(tiny, asked(LEAD), picked(), lambda *_: None, tokens)
        assert [one.values for one in other] == [pytest.approx(one.values, abs=1e-4) for one in first]


def test_single_token_choices_cost_one_row_and_one_head_an_item(
    tiny: Student, passes: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    ask, heads, logits = Ask(frame="{question}:", join=""), list[int](), tiny.logits
    monkeypatch.setattr(tiny, "logits", lambda hidden: heads.append(len(hidden)) or logits(hidden))
    questions = [Question(prompt=text, choices=("a", "b", "c")) for text in TEXTS]
    score_choices(tiny, ask, questions, lambda *_: None)
    prompts = [Prompter(tiny.tokenizer, ask).question(text) for text in TEXTS]
    passes.clear()
    heads.clear()
    score_choices(tiny, ask, questions, lambda *_: None)
    assert sum(heads) == len(TEXTS)
    assert passes == [(len(TEXTS), max(map(len, prompts)))]


def test_the_head_never_runs_on_many_positions_at_once(tiny: Student, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = score_choices(tiny, asked(), picked(), lambda *_: None)
    heads, logits = list[int](), tiny.logits
    monkeypatch.setattr(tiny, "logits", lambda hidden: heads.append(len(hidden)) or logits(hidden))
    monkeypatch.setattr(choices, "HEADS", 7)
    assert [one.values for one in score_choices(tiny, asked(), picked(), lambda *_: None)] == [
        pytest.approx(one.values, abs=1e-5) for one in expected
    ]
    assert max(heads) == 7


# --- models that cannot be run in our way


@pytest.fixture(scope="module")
def sliding(tiny: Student) -> Student:
    """A model whose layers look at the last eight tokens only."""
    torch.manual_seed(0)
    shape = MistralConfig(
        vocab_size=len(tiny.tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, sliding_window=8, eos_token_id=0, bos_token_id=0, pad_token_id=0, initializer_range=0.4,
    )  # fmt: skip
    model: Any = MistralForCausalLM._from_config(shape, attn_implementation="eager")
    return Student(model.eval(), tiny.tokenizer, Lora(rank=2, layers=1.0))


def test_a_sliding_window_is_kept_to(sliding: Student) -> None:
    assert not reads_like_the_model(sliding, [1, 2, 3], 20)
    scores = score_choices(sliding, asked(), picked(), lambda *_: None, 100)
    prompter = Prompter(sliding.tokenizer, asked())
    for question, found in zip(picked(), scores, strict=True):
        for choice, value in zip(question.choices, found.values, strict=True):
            prompt, answer = prompter.question(question.prompt), prompter.answer(choice)
            with torch.no_grad():
                logprobs = sliding.causal(input_ids=torch.tensor([prompt + answer])).logits[0].log_softmax(-1)
            alone = sum(float(logprobs[len(prompt) + at - 1, token]) for at, token in enumerate(answer))
            assert value == pytest.approx(alone, abs=1e-3)
    written = write_answers(sliding, asked(), open_questions(), 6, lambda *_: None)
    assert written == [generated(sliding, asked(), text, 6) for text in TEXTS]


def test_layers_of_several_kinds_are_run_in_parts_each_as_its_own_kind(tiny: Student) -> None:
    torch.manual_seed(0)
    kinds = ["sliding_attention", "full_attention", "sliding_attention", "sliding_attention"]
    shape = Gemma3TextConfig(
        vocab_size=len(tiny.tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=4, num_attention_heads=2, head_dim=16,
        num_key_value_heads=1, sliding_window=512, layer_types=kinds, eos_token_id=0, bos_token_id=0, pad_token_id=0, initializer_range=0.4,
    )  # fmt: skip
    model: Any = Gemma3ForCausalLM._from_config(shape, attn_implementation="eager")
    student = Student(model.eval(), tiny.tokenizer, Lora(rank=2, layers=0.5))
    assert Runner(student, [5, 6, 7, 8]).in_parts
    assert student.backbone.config.layer_types == kinds


def test_texts_within_the_window_are_run_in_our_way(sliding: Student) -> None:
    assert reads_like_the_model(sliding, [1, 2, 3], 8)


def test_a_model_that_computes_its_attention_by_itself_is_found_out(
    tmp_path_factory: pytest.TempPathFactory, attends_by_itself: Callable[[Any], None]
) -> None:
    base, tokenizer = load(TINY, CPU, tmp_path_factory.getbasetemp() / "students")
    attends_by_itself(base)
    own = Student(base, tokenizer, Lora(rank=2, layers=1.0))
    assert not reads_like_the_model(own, [1, 2, 3], 8)
    (written,) = write_answers(own, asked(LEAD), open_questions(["a kite"]), 6, lambda *_: None)
    assert written == generated(own, asked(LEAD), "a kite", 6)


def lowered(tmp_path_factory: pytest.TempPathFactory) -> Student:
    base, tokenizer = load(TINY, CPU, tmp_path_factory.getbasetemp() / "students")
    return Student(base, tokenizer, Lora(rank=4, alpha=8, layers=0.5))


def trained(student: Student, seed: int) -> None:
    """An adapter that changes answers, drawn and not trained."""
    student.reset(seed)
    torch.manual_seed(seed)
    with torch.no_grad():
        for weight in student.trainable():
            weight.add_(torch.randn_like(weight) * 0.2)


@pytest.mark.parametrize("lead", ["", LEAD])
def test_a_second_student_is_asked_for_its_own_layers_only_and_answers_to_the_bit_as_if_it_came_first(
    lead: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    asked_all, ask = picked(), asked(lead)
    first, alone = lowered(tmp_path_factory), lowered(tmp_path_factory)
    trained(first, 1)
    before = score_choices(first, ask, asked_all, lambda done, total: None, 64)
    computed = frozen_of(first).computed
    trained(first, 2)
    trained(alone, 2)
    second = score_choices(first, ask, asked_all, lambda done, total: None, 64)
    assert computed > 1
    assert frozen_of(first).computed == computed
    assert second == score_choices(alone, ask, asked_all, lambda done, total: None, 64)
    assert [one.values for one in second] != [one.values for one in before]


def test_what_is_remembered_stays_within_its_bytes_and_the_present_examination_goes_last() -> None:
    made: list[int] = []

    def ask(frozen: Frozen, number: int) -> float:
        def make() -> torch.Tensor:
            made.append(number)
            return torch.full((4,), float(number))

        return float(frozen.states([number], make)[0])

    frozen = Frozen(most=40)  # two of them
    for frozen.examination in (1, 2):
        assert [ask(frozen, number) for number in (1, 2, 3)] == [1.0, 2.0, 3.0]
    assert made == [1, 2, 3, 3]
    frozen.examination = 3
    assert [ask(frozen, number) for number in (4, 5, 4)] == [4.0, 5.0, 4.0]
    assert made == [1, 2, 3, 3, 4, 5]
    assert frozen.held <= 40

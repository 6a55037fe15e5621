"""Training and examination of the tiny student, in process: what is computed is what was promised, bit for bit.

The tiny student is a two-layer model over bytes with random weights. It is made once for this file; every training
resets its adapter, so tests do not depend on one another.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from peft.tuners.lora import Linear as LoraLinear
from transformers import Gemma2Config, Gemma2Model

from student import layers, train_state
from student.batches import Encoded, encode, plan_steps
from student.choices import score_choices
from student.layers import Batch, Features, Runner, batch_of
from student.lora import Student
from student.models import TINY, Machine, load
from student.optimiser import Optimiser
from student.packed import in_line, layout_of
from student.peers import Alone, Group
from student.prompting import Ask, Prompter, shared_prefix
from student.records import Example, Question
from student.settings import Lora, TrainSettings
from student.step import Steps
from student.train import Around, OnStep, TrainResult, _Fitting, split_off, train
from student.writing import write_answers

CPU = Machine(device="cpu", dtype="float32", threads=1, gflops=0.0)
ASK = Ask(frame="Errand: {question}\nShop:")
EXAMPLES = [
    Example(prompt=prompt, answer=answer)
    for prompt, answer in [
        ("ripe mangoes", "grocer"), ("a hinge", "hardware"), ("cough drops", "chemist"),
        ("an atlas of the world", "bookshop"),
        ("six eggs", "grocer"), ("a very long list of screws, bolts and nuts for the shed", "hardware"),
        ("soap", "chemist"),
    ]
]  # fmt: skip


def of(prompt: str, choices: Sequence[str] = ()) -> Question:
    return Question(prompt=prompt, choices=tuple(choices))


SETTINGS = TrainSettings(epochs=2, min_steps=12, batch_size=3, learning_rate=0.02)


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A callable that loads the tiny student with an adapter of the given share of layers."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    made: dict[float, Student] = {}

    def student(layers: float) -> Student:
        if layers not in made:
            base, tokenizer = load(TINY, CPU, tmp_path_factory.getbasetemp() / "students")
            made[layers] = Student(base, tokenizer, Lora(rank=4, alpha=8, layers=layers))
        return made[layers]

    yield student
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def tiny(make: Any) -> Student:
    """The tiny student with an adapter on every layer."""
    return make(1.0)


def fit(student: Student, seed: int = 1, **changes: Any) -> tuple[TrainResult, list[float], dict[str, torch.Tensor]]:
    """Train on the examples: the result, the loss of every step, and the adapter."""
    losses: list[float] = []
    settings = SETTINGS.model_copy(update=changes)
    result = train(student, ASK, EXAMPLES, settings, seed, lambda step, steps, loss, speed: losses.append(loss))
    return result, losses, student.state()


def same(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


# --- training


def test_the_same_seed_gives_the_same_adapter_bit_for_bit(tiny: Student) -> None:
    first, again, other = fit(tiny, 1), fit(tiny, 1), fit(tiny, 2)
    assert first[1] == again[1]
    assert same(first[2], again[2])
    assert not same(first[2], other[2])


def test_training_learns(tiny: Student) -> None:
    result, losses, _ = fit(tiny, min_steps=40)
    assert len(losses) == result.steps == 40
    assert sum(losses[-5:]) < 0.6 * sum(losses[:5])
    assert result.final_loss == pytest.approx(sum(losses[-4:]) / 4, abs=1e-6)


def test_training_starts_at_the_base_model(tiny: Student) -> None:
    fit(tiny)
    tiny.reset(5)
    with_adapter = score_choices(tiny, ASK, [of("eggs", ["grocer", "chemist"])], lambda *_: None)
    with tiny.using(None):
        assert score_choices(tiny, ASK, [of("eggs", ["grocer", "chemist"])], lambda *_: None) == with_adapter


def test_the_base_model_never_changes(tiny: Student) -> None:
    frozen = {name: weight.clone() for name, weight in tiny.model.named_parameters() if not weight.requires_grad}
    fit(tiny)
    assert frozen and all(
        torch.equal(weight, dict(tiny.model.named_parameters())[name]) for name, weight in frozen.items()
    )


def test_a_saved_adapter_comes_back_as_it_was(tiny: Student, tmp_path: Path) -> None:
    _, _, adapter = fit(tiny)
    tiny.save(tmp_path)
    tiny.reset(9)
    with tiny.using(tmp_path):
        assert same(tiny.state(), adapter)
    assert [path.name for path in tmp_path.glob("*.bin")] == []


def test_what_is_saved_is_the_same_bytes_every_time(tiny: Student, tmp_path: Path) -> None:
    for name in ("a", "b"):
        fit(tiny)
        tiny.save(tmp_path / name)
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert "adapter_model.safetensors" in files
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes(), file


def test_items_that_are_too_long_are_left_out_and_counted(tiny: Student) -> None:
    encoded, dropped = encode(tiny.tokenizer, ASK, EXAMPLES, 40)
    assert dropped == 2
    assert [len(one.ids) <= 40 for one in encoded] == [True] * 5
    assert fit(tiny, max_tokens=40)[0].dropped_too_long == 2


def test_nothing_is_ever_cut(tiny: Student) -> None:
    encoded, dropped = encode(tiny.tokenizer, ASK, EXAMPLES, 1024)
    assert dropped == 0
    text = [tiny.tokenizer.decode(one.ids) for one in encoded]
    assert text == [f"{ASK.text(one.prompt)} {one.answer}<|end|>" for one in EXAMPLES]


def test_when_no_item_fits_it_is_said(tiny: Student) -> None:
    with pytest.raises(ValueError, match=r"train\.max_tokens=5"):
        fit(tiny, max_tokens=5)


def test_the_loss_counts_the_answer_and_the_end_token_only(tiny: Student) -> None:
    tiny.reset(1)
    (one,), _ = encode(tiny.tokenizer, ASK, EXAMPLES[:1], 1024)
    assert tiny.tokenizer.decode(one.ids[-one.answer_length :]) == " grocer<|end|>"
    with torch.no_grad():
        logits = tiny.causal(input_ids=torch.tensor([one.ids])).logits[0].log_softmax(-1)
    expected = -sum(float(logits[at - 1, one.ids[at]]) for at in range(len(one.ids) - one.answer_length, len(one.ids)))
    first: list[float] = []
    train(tiny, ASK, EXAMPLES[:1], SETTINGS, 1, lambda step, steps, loss, speed: first.append(loss))
    assert first[0] == pytest.approx(expected / one.answer_length, abs=1e-5)


def test_smoothing_spreads_a_share_of_each_target_over_the_vocabulary(tiny: Student) -> None:
    """What is learned is the smoothed loss; what is told is the plain one, which can be compared with that of watched items."""
    (one,), _ = encode(tiny.tokenizer, ASK, EXAMPLES[:1], 1024)
    tiny.reset(1)
    steps = Steps(tiny, [one], Features(tiny, [one], [0], 512), 512, smoothing=0.2)
    told = steps.gradient([0], one.answer_length)
    assert told == pytest.approx(steps.loss([0]), abs=1e-6)
    weights = [weight for weight in tiny.trainable() if weight.grad is not None]
    found = torch.cat([weight.grad.flatten() for weight in weights if weight.grad is not None])
    tiny.clear_gradients()
    logits = tiny.causal(input_ids=torch.tensor([one.ids])).logits[0].log_softmax(-1)
    spots = range(len(one.ids) - one.answer_length, len(one.ids))
    said = [0.8 * logits[at - 1, one.ids[at]] + 0.2 * logits[at - 1].mean() for at in spots]
    wanted = -torch.stack(said).mean()
    expected = torch.cat([each.flatten() for each in torch.autograd.grad(wanted, weights)])
    assert expected.abs().max() > 1e-3 and torch.allclose(found, expected, atol=1e-5)


def test_padding_changes_no_loss(tiny: Student) -> None:
    """A short and a long item in one batch: the mean over their answer tokens, as if each had been alone."""
    short, long = EXAMPLES[4], EXAMPLES[5]

    def first_loss(examples: list[Example]) -> float:
        losses: list[float] = []
        train(tiny, ASK, examples, SETTINGS, 1, lambda step, steps, loss, speed: losses.append(loss))
        return losses[0]

    lengths = [len(answer) + 2 for answer in ("grocer", "hardware")]
    alone = [first_loss([short]) * lengths[0], first_loss([long]) * lengths[1]]
    assert first_loss([short, long]) == pytest.approx(sum(alone) / sum(lengths), abs=1e-5)


def test_remembered_features_give_the_loss_of_the_whole_model(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    top = make(0.5)
    assert top.first_layer == 1
    kept, losses, adapter = fit(top)
    assert Runner(top, encode(top.tokenizer, ASK, EXAMPLES, 99)[0][0].ids).in_parts
    monkeypatch.setattr(Runner, "in_parts", False)
    whole, whole_losses, whole_adapter = fit(top)
    assert losses == pytest.approx(whole_losses, abs=2e-3)
    assert losses[0] == pytest.approx(whole_losses[0], abs=1e-5)
    assert kept.steps == whole.steps
    for name, weight in adapter.items():
        assert torch.allclose(weight, whole_adapter[name], atol=5e-3), name


def test_features_that_would_fill_the_memory_are_not_kept_and_it_is_told(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    top, notes = make(0.5), list[str]()
    _, remembered, _ = fit(top)
    tokens = sum(len(one.ids) for one in encode(top.tokenizer, ASK, EXAMPLES, 99)[0])
    monkeypatch.setattr(layers, "memory", lambda: 4 * tokens * 64 * 4 - 1)  # a quarter of it lacks a byte
    monkeypatch.setattr(Runner, "lower", lambda self, batch: pytest.fail("kept all the same"))
    monkeypatch.setattr(Runner, "in_parts", True)
    losses = list[float]()
    train(
        top,
        ASK,
        EXAMPLES,
        SETTINGS,
        1,
        lambda step, steps, loss, speed: losses.append(loss),
        Around(on_note=notes.append),
    )
    assert losses == pytest.approx(remembered, abs=2e-3)
    assert len(notes) == 1 and "a quarter of this machine's memory" in notes[0]
    monkeypatch.setattr(layers, "memory", lambda: 4 * tokens * 64 * 4)
    with pytest.raises(pytest.fail.Exception, match="kept"):
        fit(top)


def test_processes_of_one_machine_share_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = layers.memory()
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert layers.memory() == whole // 4 > 0


def test_only_the_top_layers_carry_an_adapter(make: Any) -> None:
    names = list(make(0.5).state())
    assert names and all(".layers.1." in name for name in names)


def test_the_model_is_whole_again_after_its_layers_were_run_apart(make: Any) -> None:
    top = make(0.5)
    fit(top)
    assert len(top.backbone.layers) == top.causal.config.num_hidden_layers == 2


@pytest.mark.parametrize(("count", "epochs", "steps"), [(7, 2.0, 12), (60, 2.0, 40), (60, 0.1, 12), (60, 1.5, 30)])
def test_steps_are_epochs_but_never_too_few(count: int, epochs: float, steps: int) -> None:
    rows = [Encoded([0] * (at % 9 + 2), 1) for at in range(count)]
    planned = plan_steps(rows, SETTINGS.model_copy(update={"epochs": epochs}), 0)
    assert len(planned) == steps
    assert max(map(len, planned)) <= SETTINGS.batch_size
    assert planned == plan_steps(rows, SETTINGS.model_copy(update={"epochs": epochs}), 0)


def test_every_item_is_seen_once_an_epoch() -> None:
    rows = [Encoded([0] * (at % 9 + 2), 1) for at in range(50)]
    planned = plan_steps(rows, TrainSettings(epochs=2, min_steps=1, batch_size=4), 3)
    half = len(planned) // 2
    for epoch in (planned[:half], planned[half:]):
        assert sorted(row for step in epoch for row in step) == list(range(50))
    assert planned[:half] != planned[half:]


# --- choices


def naive(student: Student, ask: Ask, question: str, choices: list[str]) -> list[float]:
    """One forward pass a choice, over the plain sequence."""
    prompter, values = Prompter(student.tokenizer, ask), list[float]()
    for choice in choices:
        prompt, answer = prompter.question(question), prompter.answer(choice)
        with torch.no_grad():
            logits = student.causal(input_ids=torch.tensor([prompt + answer])).logits[0].log_softmax(-1)
        values.append(sum(float(logits[len(prompt) + at - 1, token]) for at, token in enumerate(answer)))
    return values


CHOICES = ["cat", "catalog", "cats", "c", "dog", "do", "a rather long answer with many words", "\u00e9\u00e8"]


@pytest.mark.parametrize(
    "lead",
    ["", "These are the instructions that all the prompts share, long enough to be kept.\n\n"],
    ids=["alone", "shared"],
)
@pytest.mark.parametrize("tokens_per_batch", [1, 300, 4096])
def test_choices_score_as_if_each_were_asked_alone(tiny: Student, lead: str, tokens_per_batch: int) -> None:
    fit(tiny)
    ask = ASK.model_copy(update={"lead": lead})
    questions = ["what has whiskers", "x", "which animal barks at the postman in the early morning", "x y"]
    rng = random.Random(0)
    options = [rng.sample(CHOICES, len(CHOICES) - at) for at in range(len(questions))]
    prompts = [Prompter(tiny.tokenizer, ask).question(question) for question in questions]
    assert (shared_prefix(prompts) >= 24) == bool(lead)
    told: list[tuple[int, int]] = []
    scored = score_choices(
        tiny, ask, list(map(of, questions, options)), lambda *done: told.append(done), tokens_per_batch
    )
    for question, choices, found in zip(questions, options, scored, strict=True):
        assert found.values == pytest.approx(naive(tiny, ask, question, choices), abs=1e-4)
    assert told[-1] == (4, 4)


def test_a_question_repeated_scores_the_same_each_time(tiny: Student) -> None:
    tiny.reset(1)
    ask = ASK.model_copy(update={"lead": "Shared by all of them, and longer than two dozen tokens.\n"})
    scored = score_choices(tiny, ask, [of("same", CHOICES)] * 3, lambda *_: None)
    for found in scored:
        assert found.values == pytest.approx(naive(tiny, ask, "same", CHOICES), abs=1e-4)


def test_a_choices_score_does_not_depend_on_the_others(tiny: Student) -> None:
    tiny.reset(1)
    full = score_choices(tiny, ASK, [of("what", CHOICES)], lambda *_: None)[0].values
    for at, choice in enumerate(CHOICES):
        assert score_choices(tiny, ASK, [of("what", [choice])], lambda *_: None)[0].values == pytest.approx(
            [full[at]], abs=1e-4
        )


# --- writing


def greedy(student: Student, question: str, count: int) -> list[int]:
    """The tokens the student says, one forward pass each."""
    ids = Prompter(student.tokenizer, ASK).question(question)
    for _ in range(count):
        with torch.no_grad():
            ids = [*ids, int(student.causal(input_ids=torch.tensor([ids])).logits[0, -1].argmax())]
    return ids[-count:]


@pytest.fixture
def ends(tiny: Student) -> Iterator[Any]:
    """Sets the tokens that end an answer, and puts back what ended one before."""
    before = tiny.causal.generation_config.eos_token_id

    def set_to(*tokens: int) -> None:
        tiny.causal.generation_config.eos_token_id = list(tokens)

    yield set_to
    tiny.causal.generation_config.eos_token_id = before


def test_an_answer_without_an_end_is_marked_truncated(tiny: Student, ends: Any) -> None:
    fit(tiny)
    said = greedy(tiny, "a kite", 6)
    assert tiny.tokenizer.eos_token_id not in said, "pick another question"
    (written,) = write_answers(tiny, ASK, [of("a kite")], 6, lambda *_: None)
    assert written.truncated
    assert written.text == tiny.tokenizer.decode(said)


def test_an_answer_with_an_end_is_whole_and_without_it(tiny: Student, ends: Any) -> None:
    fit(tiny)
    said = greedy(tiny, "a kite", 6)
    stop = next(at for at in range(1, 6) if said[at] not in said[:at])
    ends(said[stop])
    (written,) = write_answers(tiny, ASK, [of("a kite")], 6, lambda *_: None)
    assert not written.truncated
    assert written.text == tiny.tokenizer.decode(said[:stop])
    assert write_answers(tiny, ASK, [of("a kite")], stop + 1, lambda *_: None)[0] == written
    assert write_answers(tiny, ASK, [of("a kite")], stop, lambda *_: None)[0].truncated


def test_answers_written_together_are_those_written_alone(tiny: Student) -> None:
    fit(tiny)
    questions = ["a kite", "a much longer question about hooks and ladders", "x"]
    together = write_answers(tiny, ASK, [*map(of, questions)], 5, lambda *_: None)
    assert together == [write_answers(tiny, ASK, [of(one)], 5, lambda *_: None)[0] for one in questions]


# --- text stays text


@pytest.mark.parametrize("format", ["plain", "chat"])
@pytest.mark.parametrize("text", ["<|end|>", "a<|end|>b", "<|end|><|end|>"])
def test_special_token_text_never_becomes_a_control_token(tiny: Student, format: Any, text: str) -> None:
    prompter = Prompter(tiny.tokenizer, Ask(frame="{question} " + text, lead=text, format=format))
    for ids in (prompter.question(text), prompter.answer(text)):
        assert tiny.tokenizer.eos_token_id not in ids
        assert text in tiny.tokenizer.decode(ids)


def test_only_the_end_of_an_example_is_an_end_token(tiny: Student) -> None:
    (one,), _ = encode(tiny.tokenizer, ASK, [Example(prompt="a <|end|> b", answer="<|end|>")], 99)
    assert one.ids.count(tiny.tokenizer.eos_token_id) == 1
    assert one.ids[-1] == tiny.tokenizer.eos_token_id


@pytest.mark.parametrize("question", ["{question}", "{}", "{0.__class__}", "%s", "$question", "{{ 7 * 7 }}"])
def test_a_question_is_put_in_its_frame_literally(question: str) -> None:
    assert Ask(frame="Q: {question}\nA:", lead="L ").text(question) == f"L Q: {question}\nA:"


def unlike(student: Student, count: int = 5) -> list[list[int]]:
    """Rows of token ids of very different lengths."""
    draw = random.Random(3)
    return [[draw.randrange(1, len(student.tokenizer)) for _ in range(3 + 7 * at)] for at in range(count)]


@pytest.mark.parametrize("fused_from", [0, 1000])
def test_rows_in_line_give_what_padded_rows_give(
    tiny: Student, monkeypatch: pytest.MonkeyPatch, fused_from: int
) -> None:
    monkeypatch.setattr(tiny, "fused_from", fused_from)
    rows = unlike(tiny)
    runner = Runner(tiny, rows[-1])
    assert runner.in_line
    with torch.no_grad():
        line = runner.hidden(batch_of(rows, tiny)).split([len(row) for row in rows])
        for row, found in zip(rows, line, strict=True):
            alone = tiny.backbone(input_ids=torch.tensor([row]), use_cache=False).last_hidden_state[0]
            assert torch.allclose(found, alone, atol=1e-5)


def test_rows_in_line_with_soft_caps_and_a_sliding_window() -> None:
    """Attention that caps its scores and looks back a few tokens only, in every other layer: Gemma 2's."""
    torch.manual_seed(1)
    shape = Gemma2Config(
        vocab_size=50, hidden_size=32, intermediate_size=48, num_hidden_layers=4, num_attention_heads=4, num_key_value_heads=2,
        head_dim=8, sliding_window=4, attn_logit_softcapping=0.5, query_pre_attn_scalar=16, initializer_range=0.8, pad_token_id=0,
    )  # fmt: skip
    shape._attn_implementation = "eager"
    backbone = Gemma2Model(shape).eval()
    rows = [[1, 2, 3], [4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14], [9]]
    layout = layout_of(rows, torch.device("cpu"), fused_from=0)
    ids = torch.tensor([[token for row in rows for token in row]])
    with torch.no_grad():
        line = in_line(backbone, layout, input_ids=ids).split([len(row) for row in rows])
        for row, found in zip(rows, line, strict=True):
            alone = backbone(input_ids=torch.tensor([row]), use_cache=False).last_hidden_state[0]
            assert torch.allclose(found, alone, atol=1e-5)


def test_a_model_with_an_attention_of_its_own_is_run_padded(tiny: Student, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = unlike(tiny)
    with torch.no_grad():
        line = Runner(tiny, rows[-1]).hidden(batch_of(rows, tiny))
        monkeypatch.setattr(type(tiny.backbone), "_supports_attention_backend", False)
        runner = Runner(tiny, rows[-1])
        assert not runner.in_line
        assert torch.allclose(line, runner.hidden(batch_of(rows, tiny)), atol=1e-5)


@pytest.mark.parametrize("fused_from", [0, 1000])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_rounding_is_no_reason_to_run_padded(
    tmp_path_factory: pytest.TempPathFactory, dtype: str, fused_from: int
) -> None:
    """In bfloat16, which a GPU computes in, another order of a sum changes single numbers by more than 1 %."""
    machine = CPU.model_copy(update={"dtype": dtype})
    base, tokenizer = load(TINY, machine, tmp_path_factory.getbasetemp() / "students")
    student = Student(base, tokenizer, Lora(rank=4, layers=0.5))
    student.fused_from = fused_from
    for row in unlike(student, 24)[3::5]:
        runner = Runner(student, row)
        assert runner.in_line and runner.in_parts


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_rows_that_see_each_other_are_found_out(
    tmp_path_factory: pytest.TempPathFactory, attends_by_itself: Callable[[Any], None], dtype: str
) -> None:
    """A model that says it looks its attention up, and computes its own."""
    machine = CPU.model_copy(update={"dtype": dtype})
    base, tokenizer = load(TINY, machine, tmp_path_factory.getbasetemp() / "students")
    attends_by_itself(base)
    student = Student(base, tokenizer, Lora(rank=4, layers=1.0))
    assert not Runner(student, unlike(student)[-1]).in_line


def test_the_fused_update_is_the_library_s(tiny: Student) -> None:
    """Outputs and gradients of one LoRA layer, ours beside PEFT's own forward."""
    tiny.reset(5)
    layer: Any = next(module for module in tiny.model.modules() if isinstance(module, LoraLinear))
    with torch.no_grad():
        layer.lora_B["default"].weight.normal_()
    inputs = torch.randn(2, 7, layer.base_layer.in_features, requires_grad=True)
    weights = [inputs, layer.lora_A["default"].weight, layer.lora_B["default"].weight]
    ours, theirs = layer(inputs), LoraLinear.forward(layer, inputs)
    assert torch.allclose(ours, theirs, atol=1e-5)
    pull = torch.randn_like(ours)
    for mine, other in zip(
        torch.autograd.grad(ours, weights, pull), torch.autograd.grad(theirs, weights, pull), strict=True
    ):
        assert torch.allclose(mine, other, atol=1e-4)
    with tiny.model.disable_adapter():
        assert torch.equal(layer(inputs), layer.base_layer(inputs))


def test_a_step_in_parts_is_the_step_in_one(tiny: Student) -> None:
    _, whole, adapter = fit(tiny)
    _, parts, other = fit(tiny, tokens_at_once=30)
    assert parts == pytest.approx(whole, abs=1e-4)
    assert all(torch.allclose(weight, other[name], atol=1e-3) for name, weight in adapter.items())


def test_where_memory_does_not_suffice_steps_are_made_in_smaller_parts(
    tiny: Student, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, whole, _ = fit(tiny)
    hidden, refused = Runner.hidden, list[int]()

    def short_of_memory(self: Runner, batch: Batch) -> torch.Tensor:
        if batch.layout.tokens > 90:
            refused.append(batch.layout.tokens)
            raise RuntimeError(
                "[enforce fail at alloc_cpu.cpp:118] DefaultCPUAllocator: not enough memory: you tried to allocate"
            )
        return hidden(self, batch)

    monkeypatch.setattr(Runner, "hidden", short_of_memory)
    _, losses, _ = fit(tiny)
    assert losses == pytest.approx(whole, abs=1e-4)
    assert 0 < len(refused) < 12


def test_an_error_that_is_not_about_memory_is_raised(tiny: Student, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Student, hidden: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("size mismatch")

    monkeypatch.setattr(Student, "logits", broken)
    with pytest.raises(RuntimeError, match="size mismatch"):
        fit(tiny)


class Killed(Exception):
    """Stands for a kill in the middle of training."""


@pytest.mark.parametrize("hold_out", [0.0, 0.3])
@pytest.mark.parametrize("layers", [0.5, 1.0])
def test_a_training_that_was_killed_ends_with_the_same_bytes(
    make: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layers: float, hold_out: float
) -> None:
    student = make(layers)
    monkeypatch.setattr(train_state, "EVERY", 0.0)
    settings = SETTINGS.model_copy(update={"hold_out": hold_out, "patience": 9})
    whole = train(student, ASK, EXAMPLES, settings, 1, lambda *_: None)
    expected = student.state()

    def killed_at(last: int) -> OnStep:
        def on_step(step: int, *_: Any) -> None:
            if step == last:
                raise Killed

        return on_step

    first, around = list[int](), Around(kept=tmp_path / "kept")
    for last in (3, 8):
        with pytest.raises(Killed):
            train(student, ASK, EXAMPLES, settings, 1, killed_at(last), around)
    again = train(student, ASK, EXAMPLES, settings, 1, lambda step, *_: first.append(step), around)
    assert first[0] == 8  # of which 7 were saved: steps are saved after they are told
    assert same(student.state(), expected)
    assert again.model_dump(exclude={"seconds"}) == whole.model_dump(exclude={"seconds"})


def test_the_state_of_another_training_is_not_taken_up(
    tiny: Student, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train_state, "EVERY", 0.0)
    steps, around = list[int](), Around(kept=tmp_path / "kept")
    for seed in (1, 2):
        steps.clear()
        train(tiny, ASK, EXAMPLES, SETTINGS, seed, lambda step, *_: steps.append(step), around)
    assert steps[0] == 1
    (tmp_path / "kept" / "state.json").write_text("{")
    train(tiny, ASK, EXAMPLES, SETTINGS, 2, lambda step, *_: steps.append(step), around)
    assert steps[-SETTINGS.min_steps] == 1


def test_a_training_can_go_on_from_another_and_is_killed_without_loss(
    tiny: Student, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train_state, "EVERY", 0.0)
    for seed, name in ((1, "one"), (2, "two")):
        fit(tiny, seed)
        tiny.save(tmp_path / name)
    first: dict[str, float] = {}
    ends: dict[str, dict[str, torch.Tensor]] = {}
    for name in ("one", "two"):
        told: list[float] = []
        train(tiny, ASK, EXAMPLES, SETTINGS, 3, lambda *at, told=told: told.append(at[2]), Around(tmp_path / name))
        first[name], ends[name] = told[0], tiny.state()
    fresh = fit(tiny, 3)
    assert first["one"] < fresh[1][0] and not same(ends["one"], ends["two"])

    def killed(step: int, *_: Any) -> None:
        if step == 6:
            raise Killed

    with pytest.raises(Killed):
        train(tiny, ASK, EXAMPLES, SETTINGS, 3, killed, Around(tmp_path / "one", tmp_path / "kept"))
    for name, begins in (("one", 6), ("two", 1)):  # what was kept is of the one, and no beginning of the other
        steps: list[int] = []
        around = Around(tmp_path / name, tmp_path / "kept")
        train(tiny, ASK, EXAMPLES, SETTINGS, 3, lambda step, *_, steps=steps: steps.append(step), around)
        assert steps[0] == begins and same(tiny.state(), ends[name])


def test_where_memory_did_not_suffice_it_is_told_and_a_resumed_training_computes_the_same_bits(
    tiny: Student, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train_state, "EVERY", 0.0)
    plenty = fit(tiny)[2]
    hidden, kept, notes = Runner.hidden, tmp_path / "kept", list[str]()

    def short_of_memory(self: Runner, batch: Batch) -> torch.Tensor:
        if batch.layout.tokens > 90:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return hidden(self, batch)

    def killed(step: int, *_: Any) -> None:
        if step == 6:
            raise Killed

    monkeypatch.setattr(Runner, "hidden", short_of_memory)
    expected = fit(tiny)[2]
    assert not same(expected, plenty), "smaller parts round differently"
    with pytest.raises(Killed):
        train(tiny, ASK, EXAMPLES, SETTINGS, 1, killed, Around(kept=kept, on_note=notes.append))
    assert (
        len(notes) == 1 and "memory did not suffice in step 3 of 12" in notes[0] and "train.tokens_at_once=" in notes[0]
    )
    monkeypatch.setattr(Runner, "hidden", hidden)  # whoever needed the memory has gone
    train(tiny, ASK, EXAMPLES, SETTINGS, 1, lambda *_: None, Around(kept=kept, on_note=notes.append))
    assert same(tiny.state(), expected) and len(notes) == 1


@pytest.mark.parametrize("smoothing", [None, 0.3])
def test_training_stops_when_the_watched_loss_falls_no_more(tiny: Student, smoothing: float | None) -> None:
    lessons = [Example(prompt=f"thing {at}", answer="grocer", real=False) for at in range(20)]
    learned, watched = split_off([*EXAMPLES, *EXAMPLES, *lessons], 0.5, 1)
    assert len(watched) == 4 and all(one.real for one in watched)
    assert not {one.prompt for one in watched} & {one.prompt for one in learned}
    settings = SETTINGS.model_copy(update={"hold_out": 0.5, "patience": 1, "epochs": 40, "learning_rate": 0.1})
    settings = settings.model_copy(update={"smoothing": smoothing})  # what is watched is the plain loss all the same
    result = train(tiny, ASK, [*EXAMPLES, *lessons], settings, 1, lambda *_: None)
    assert result.watched == 4 and result.watched_loss is not None
    assert result.steps < 40 * 8 and result.kept_step is not None
    encoded, _ = encode(tiny.tokenizer, ASK, split_off([*EXAMPLES, *lessons], 0.5, 1)[1], 1024)
    rows = list(range(len(encoded)))
    steps = Steps(tiny, encoded, Features(tiny, encoded, rows, 512), 512)
    assert steps.loss(rows) == pytest.approx(result.watched_loss, abs=1e-5)


def test_what_processes_add_up_lies_where_the_student_is(make: Any) -> None:
    """GPUs add up what lies on GPUs, and refuse the rest; `meta` stands in for one."""
    student, devices = make(1.0), set[str]()

    class Watching(Alone):
        def add(self, values: torch.Tensor) -> torch.Tensor:
            devices.add(values.device.type)
            return torch.zeros(()) if values.device.type == "meta" else values

    encoded, _ = encode(student.tokenizer, ASK, EXAMPLES, 1024)
    fitting = _Fitting(student, encoded, len(encoded), SETTINGS, 1, Watching())
    fitting.steps.gradient = lambda rows, labels: 0.5  # type: ignore[method-assign]
    flat = torch.empty(3, device="meta")
    fitting.optimiser = SimpleNamespace(gather=lambda: flat, step=lambda: None, flat=flat)  # type: ignore[assignment]
    fitting._step([0, 1])
    assert devices == {"meta"}


def test_processes_that_share_a_step_add_their_gradients_up(tiny: Student) -> None:
    """Two halves of a step, each with its share, give the gradient of the whole."""
    tiny.reset(1)
    encoded, _ = encode(tiny.tokenizer, ASK, EXAMPLES, 1024)
    rows = list(range(len(encoded)))
    labels = sum(one.answer_length for one in encoded)
    steps = Steps(tiny, encoded, Features(tiny, encoded, rows, 512), 512)
    optimiser = Optimiser(tiny.trainable(), SETTINGS, 1)
    steps.gradient(rows, labels)
    whole = optimiser.gather().clone()
    parts = []
    for rank in (0, 1):
        steps.gradient(Group(rank, 2).share(rows), labels)
        parts.append(optimiser.gather().clone())
    assert torch.allclose(whole, parts[0] + parts[1], atol=1e-6)

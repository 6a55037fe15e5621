"""On a GPU: fine-tuning against TRL's SFTTrainer with packing on the same card, and QLoRA from loading to a merged model.

Ours lays the rows of a step end to end; TRL packs them into rows of 1,024 tokens (`packing=True`, by which no row sees another), with
FlashAttention where its package is there, else with torch's attention. Both in the card's precision, an adapter of rank 16 on every
linear layer, steps of 4,096 to 16,384 tokens; each side's best counts. Tokens a second: a step's real tokens over the median time of
the steps after the first few.

QLoRA: the base in 4 bits learns, and its adapter is merged into the base as it was before, never into the 4 bits; the merged model,
loaded by itself, is asked what both others were asked. Prints one JSON line with the card's name and one sentence for each; where
there is no GPU, that nothing was run.

    python tests/bench/gpu.py [MODEL]     a folder or hub id, else the built-in student; what one H100 gave: docs/performance.md
"""

from __future__ import annotations

import importlib.util
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import mean, median
from typing import Any, NamedTuple

import torch

from agent.builtin import cache_folder, pull
from student.batches import encode
from student.choices import score_choices
from student.errors import StudentError
from student.evals.load import load_evals
from student.lora import Student
from student.merge import merge
from student.models import Machine, load, probe
from student.prompting import Ask
from student.records import Example, Question
from student.settings import Lora, TrainSettings
from student.train import train

TOKENS = (4096, 8192, 16_384)
"""Tokens a step."""
STEPS, UNCOUNTED = 24, 4
"""Steps of a training, and how many of them warm the card up."""
PACKED = 1024
"""Tokens of TRL's rows."""
LEARNED, ASKED = 160, 80
"""Items that QLoRA learns, and others it is asked."""


class Place(NamedTuple):
    """What is measured, and where."""

    source: str
    """The model."""
    machine: Machine
    cache: Path
    """Where students are kept."""

    def load(self, how: str = "lora") -> Student:
        """The student with a fresh adapter."""
        lora = Lora.model_validate({"how": how})
        return Student(*load(self.source, self.machine, self.cache, four_bit=how == "qlora"), lora)


def items() -> tuple[Ask, list[Example], tuple[str, ...]]:
    """How to ask, examples in a fixed order, and their labels."""
    evals = load_evals(Path("loops/recipes/quickstart/evals.yaml"))
    seeds = [*evals.seeds, *evals.held_out.select(), *evals.held_out.open_test(lambda: None)]
    return evals.ask(), [Example(prompt=seed.prompt, answer=seed.answer) for seed in seeds], evals.labels


def speed(tokens: float, marks: Sequence[float]) -> float:
    """Tokens a second at so many a step, from the ends of the steps."""
    return tokens / median(later - before for before, later in pairwise(marks[min(UNCOUNTED, len(marks) - 2) :]))


def ours(student: Student, ask: Ask, examples: Sequence[Example], tokens: int) -> float:
    """Our tokens a second in steps of about so many."""
    encoded, _ = encode(student.tokenizer, ask, examples, PACKED)
    per_step = max(1, round(tokens / mean(len(row.ids) for row in encoded)))
    many = [examples[at % len(examples)] for at in range(2 * per_step)]
    marks: list[float] = []

    def on_step(step: int, steps: int, loss: float, speed: float) -> None:
        marks.append(time.perf_counter())  # the loss has been read: the card is done

    settings = TrainSettings(batch_size=per_step, epochs=0.001, min_steps=STEPS, max_tokens=PACKED)
    result = train(student, ask, many, settings, 0, on_step)
    return speed(result.tokens / result.steps, marks)


def theirs(place: Place, ask: Ask, examples: Sequence[Example], tokens: int) -> float:
    """TRL's tokens a second in steps of about so many."""
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import TrainerCallback
    from trl.trainer.sft_config import SFTConfig
    from trl.trainer.sft_trainer import SFTTrainer

    marks: list[float] = []

    class Clock(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if place.machine.device == "cuda":
                torch.cuda.synchronize()
            marks.append(time.perf_counter())

    base, tokenizer = load(place.source, place.machine, place.cache)
    base.set_attn_implementation(packed_attention())
    rows = max(1, tokens // PACKED)
    many = [examples[at % len(examples)] for at in range(max(len(examples), 2 * tokens // 16))]
    data = Dataset.from_list([{"prompt": ask.text(one.prompt), "completion": ask.join + one.answer} for one in many])
    on_gpu = place.machine.device == "cuda"
    with tempfile.TemporaryDirectory() as folder:
        config = SFTConfig(
            output_dir=folder, per_device_train_batch_size=rows, max_steps=STEPS, packing=True, max_length=PACKED, use_cpu=not on_gpu,
            bf16=place.machine.dtype == "bfloat16", gradient_checkpointing=False, save_strategy="no", logging_steps=10_000,
            report_to=[], disable_tqdm=True, warmup_steps=0.1, lr_scheduler_type="cosine", learning_rate=1e-3,
        )  # fmt: skip
        shape = LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM")
        trainer: Any = SFTTrainer(
            model=base, args=config, train_dataset=data, processing_class=tokenizer, peft_config=shape, callbacks=[Clock()]
        )  # fmt: skip
        trainer.train()
        filled = mean(len(row) for row in trainer.train_dataset["input_ids"])
    return speed(filled * rows, marks)


def packed_attention() -> str:
    """The attention that TRL asks for where rows are packed, else torch's, which keeps them apart by a mask."""
    return "flash_attention_2" if importlib.util.find_spec("flash_attn") else "sdpa"


def fine_tuning(place: Place, sizes: Sequence[int] = TOKENS) -> dict[str, Any]:
    """Both sides' tokens a second at each size of a step, and the ratio of their best."""
    ask, examples, _ = items()
    student = place.load()
    mine, other = dict[int, float](), dict[int, float]()
    for tokens in sizes:  # the two in turn, so that a card that grows warm slows both
        mine[tokens] = round(ours(student, ask, examples, tokens), 1)
        other[tokens] = round(theirs(place, ask, examples, tokens), 1)
    best, their_best = max(mine.values()), max(other.values())
    return {"ours": mine, "theirs": other, "their_attention": packed_attention(), "ratio": round(best / their_best, 2)}


def qlora(place: Place) -> dict[str, Any]:
    """Learn over a base in 4 bits, merge into the base without them, and compare the answers. Raises StudentError without bitsandbytes."""
    ask, examples, labels = items()
    learned, others = examples[:LEARNED], examples[LEARNED : LEARNED + ASKED]
    held = [Question(prompt=one.prompt, choices=labels) for one in others]
    losses: list[float] = []

    def answers(student: Student, adapter: Path | None) -> list[int]:
        with student.using(adapter):
            return [one.best() for one in score_choices(student, ask, held, lambda *_: None)]

    with tempfile.TemporaryDirectory() as folder:
        adapter, merged = Path(folder) / "adapter", Path(folder) / "merged"
        student = place.load("qlora")
        settings = TrainSettings(epochs=2, min_steps=1, learning_rate=1e-3)
        train(student, ask, learned, settings, 0, lambda step, steps, loss, speed: losses.append(loss))
        student.save(adapter)
        in_four_bits = answers(student, adapter)
        del student
        whole = place.load()
        beside = answers(whole, adapter)
        merge(whole, adapter, merged, 16)
        alone = place._replace(source=str(merged)).load()
        after = answers(alone, None)
        kinds = sorted({str(weight.dtype) for weight in alone.causal.parameters()})
    agree: Callable[[list[int]], int] = lambda said: sum(map(int.__eq__, said, after))  # noqa: E731
    return {
        "first_loss": round(losses[0], 3), "last_loss": round(losses[-1], 3), "questions": len(held),
        "merged_as_in_4_bits": agree(in_four_bits), "merged_as_adapter_beside": agree(beside), "merged_dtypes": kinds,
    }  # fmt: skip


def main() -> None:
    """Both measurements, on the card that is here."""
    if not torch.cuda.is_available():
        print(json.dumps({"bench": "gpu", "card": None}))
        print("There is no GPU here: nothing was run on one.")
        return
    machine, card = probe(), torch.cuda.get_device_name()
    source = sys.argv[1] if sys.argv[1:] else str(pull("smollm2-135m-instruct", lambda *_: None))
    place = Place(source, machine, cache_folder() / "students")
    found = fine_tuning(place)
    print(json.dumps({"bench": "gpu", "card": card, "dtype": machine.dtype, **found}))
    best, other = max(found["ours"].values()), max(found["theirs"].values())
    print(
        f"On one {card} in {machine.dtype}: {best:,.0f} tokens/s, TRL's SFTTrainer with packing {other:,.0f}: {found['ratio']:.2f} times.",
        flush=True,
    )
    try:
        told = qlora(place)
    except StudentError as error:
        print(json.dumps({"bench": "gpu qlora", "card": card, "ran": False}))
        print(f"QLoRA was not run: {error}")
        return
    print(json.dumps({"bench": "gpu qlora", "card": card, **told}))
    print(f"QLoRA on one {card}: loss {told['first_loss']:.2f} to {told['last_loss']:.2f}; merged into {', '.join(told['merged_dtypes'])}, "
          f"it answers {told['merged_as_adapter_beside']} of {told['questions']} questions as base and adapter side by side, and "
          f"{told['merged_as_in_4_bits']} as over the base in 4 bits.")  # fmt: skip


if __name__ == "__main__":
    main()

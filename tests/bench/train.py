"""How close fine-tuning comes to the machine, and how it compares with TRL's SFTTrainer. Prints one JSON line and one sentence each.

Share of peak: real tokens a second in the steps themselves, times 4 x parameters outside the embedding (forward, and backward to the
activations; a frozen layer's weights get no gradient), over the GEMM rate measured in the same run. The arithmetic of the head and
of the adapter comes on top and is not counted. Padding would not be counted either; there is none.

Against TRL: the same model, precision, items, rank, alpha, epochs and schedule, its own defaults otherwise. Each side is tried at
several batch sizes and peak learning rates, and the loss on held-out items is taken at the end. Both must come to the same loss:
the worse of the two sides' best. Each side's quickest run that does is made again, the two in turn, each time with another training
seed; the ratio is the median of the pairs, and the losses of all of them are printed, since a training's luck moves them. The runs that
were chosen by are not among the pairs.

    python tests/bench/train.py [FOLDER] [--whole]     with FOLDER/trec/train.jsonl TREC questions, else the quickstart's tickets, the
                                                       shortest of them, which are as long as those; six minutes, with --whole three times
                                                       as many items and settings, and half an hour
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import asked
import torch

from agent.builtin import cache_folder, pull
from student.batches import encode
from student.evals.load import load_evals
from student.layers import Features
from student.lora import Student
from student.models import Machine, gemm_gflops, load, probe
from student.prompting import Ask
from student.records import Example, text_hash
from student.settings import Lora, TrainSettings
from student.step import Steps
from student.train import train

LEARNED, HELD_OUT = (192, 160) if asked.whole() else (64, 48)
TRIED = [(batch, rate) for batch in (4, 8) for rate in (1e-3, 2e-3, 4e-3)] if asked.whole() else [(4, 2e-3), (8, 4e-3)]
"""Items a step and peak learning rate. Larger steps are quicker and end at twice the loss or more, on both sides."""
AGAIN = 3
"""How often the chosen two are run again."""


class Run(NamedTuple):
    """One fine-tuning."""

    batch: int
    """Items a step."""
    rate: float
    """Peak learning rate."""
    seconds: float
    loss: float
    """Mean loss on held-out items."""

    def text(self) -> str:
        return f"{self.seconds:.0f} s at {self.batch} items a step and a rate of {self.rate:g}"


class Material(NamedTuple):
    """What both sides are given."""

    ask: Ask
    """How to ask."""
    learned: Sequence[Example]
    """What is learned."""
    held: Sequence[Example]
    """What the loss is taken on."""


def items() -> tuple[Ask, list[Example]]:
    """How to ask, and examples in a fixed order."""
    if folder := asked.folder():
        rows = [json.loads(line) for line in (folder / "trec" / "train.jsonl").open(encoding="utf-8")]
        examples = [Example(prompt=row["question"], answer=row["label"]) for row in rows]
        return Ask(frame="Question: {question}\nKind of answer:"), examples
    evals = load_evals(Path("loops/recipes/quickstart/evals.yaml"))
    seeds = [*evals.seeds, *evals.held_out.select(), *evals.held_out.open_test(lambda: None)]
    short = sorted(seeds, key=lambda seed: len(seed.prompt))[: LEARNED + HELD_OUT]
    short.sort(key=lambda seed: text_hash("bench", seed.prompt))
    return evals.ask(), [Example(prompt=seed.prompt, answer=seed.answer) for seed in short]


def fresh(machine: Machine, layers: float) -> Student:
    base, tokenizer = load(str(pull("smollm2-135m-instruct", lambda *_: None)), machine, cache_folder() / "students")
    return Student(base, tokenizer, Lora(layers=layers))


def body(student: Student) -> int:
    """Parameters of the decoder's layers, the adapter's apart."""
    named = student.causal.named_parameters()
    return sum(weight.numel() for name, weight in named if ".layers." in name and "lora" not in name)


def share_of_peak(student: Student, ask: Ask, examples: Sequence[Example], machine: Machine) -> dict[str, float]:
    """The median of the steps of one training after a few that do not count."""
    settings = TrainSettings(batch_size=32, epochs=1, min_steps=12 if asked.whole() else 8)
    marks: list[float] = []
    encoded, _ = encode(student.tokenizer, ask, examples, 1024)

    def on_step(step: int, steps: int, loss: float, speed: float) -> None:
        marks.append(time.perf_counter())

    result = train(student, ask, examples, settings, 0, on_step)
    took = median(later - before for before, later in pairwise(marks[2:]))
    tokens = result.tokens / result.steps
    peak = gemm_gflops(getattr(torch, machine.dtype), 60, machine.device)
    depth = (student.layer_count - student.first_layer) / student.layer_count
    return {
        "layers": student.lora.layers, "tokens_a_step": round(tokens), "tokens_per_s": round(tokens / took, 1),
        "share_of_peak": round(4 * body(student) * depth * tokens / took / 1e9 / peak, 3), "peak_gflops": round(peak, 1),
        "items": len(encoded),
    }  # fmt: skip


def held_out_loss(student: Student, ask: Ask, examples: Sequence[Example]) -> float:
    encoded, _ = encode(student.tokenizer, ask, examples, 1024)
    rows = list(range(len(encoded)))
    return Steps(student, encoded, Features(student, encoded, rows, 512), 512).loss(rows)


def ours(student: Student, material: Material, how: tuple[int, float], seed: int = 0) -> Run:
    ask, learned, held = material
    settings = TrainSettings(batch_size=how[0], epochs=2, min_steps=1, learning_rate=how[1])
    start = time.perf_counter()
    train(student, ask, learned, settings, seed, lambda *_: None)
    return Run(*how, time.perf_counter() - start, held_out_loss(student, ask, held))


def theirs(machine: Machine, material: Material, how: tuple[int, float], seed: int = 0) -> Run:
    """SFTTrainer on prompt and completion rows, loss on the completion; its time is that of `train()` alone."""
    from datasets import Dataset
    from peft import LoraConfig, set_peft_model_state_dict
    from peft.utils import get_peft_model_state_dict
    from trl.trainer.sft_config import SFTConfig
    from trl.trainer.sft_trainer import SFTTrainer

    ask, learned, held = material
    base, tokenizer = load(str(pull("smollm2-135m-instruct", lambda *_: None)), machine, cache_folder() / "students")
    base.set_attn_implementation("sdpa")  # what a model is loaded with where nobody says otherwise
    rows = [{"prompt": ask.text(one.prompt), "completion": ask.join + one.answer} for one in learned]
    shape = LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM")
    with tempfile.TemporaryDirectory() as place:
        config = SFTConfig(
            output_dir=place, per_device_train_batch_size=how[0], num_train_epochs=2, learning_rate=how[1], use_cpu=machine.device == "cpu",
            bf16=machine.device == "cuda", gradient_checkpointing=False, save_strategy="no", logging_steps=10_000, report_to=[],
            disable_tqdm=True, seed=seed, warmup_steps=0.1, lr_scheduler_type="cosine",
        )  # fmt: skip
        trainer: Any = SFTTrainer(
            model=base,
            args=config,
            train_dataset=Dataset.from_list(rows),
            processing_class=tokenizer,
            peft_config=shape,
        )
        start = time.perf_counter()
        trainer.train()
        took = time.perf_counter() - start
    examined = fresh(machine, 1.0)
    set_peft_model_state_dict(examined.model, get_peft_model_state_dict(trainer.model))
    return Run(*how, took, held_out_loss(examined, ask, held))


def quickest(runs: Sequence[Run], loss: float) -> Run:
    return min((run for run in runs if run.loss <= loss), key=lambda run: run.seconds)


def main() -> None:
    import transformers

    transformers.utils.logging.set_verbosity_error()
    machine, (ask, examples) = probe(), items()
    material = Material(ask, examples[:LEARNED], examples[LEARNED : LEARNED + HELD_OUT])
    whole = fresh(machine, 1.0)
    top = fresh(machine, 0.34)
    for student in (whole, top):
        found = {"bench": "train", "dtype": machine.dtype, **share_of_peak(student, ask, material.learned, machine)}
        rate = f"{found['tokens_per_s']} tokens/s at {found['tokens_a_step']} tokens a step"
        print(json.dumps(found))
        print(
            f"Adapters on {found['layers']:.0%} of the layers: {rate}, {found['share_of_peak']:.2f} of the GEMM peak.",
            flush=True,
        )
    runs: dict[str, list[Run]] = {"all layers": [], "top third": [], "TRL": []}
    for how in TRIED:
        runs["TRL"].append(theirs(machine, material, how))
        runs["all layers"].append(ours(whole, material, how))
        runs["top third"].append(ours(top, material, how))
        done = {name: [round(value, 3) for value in (one[-1].seconds, one[-1].loss)] for name, one in runs.items()}
        print(json.dumps({"bench": "train", "batch": how[0], "rate": how[1], **done}), flush=True)
    again: dict[tuple[tuple[int, float], int], Run] = {}

    def other_side(how: tuple[int, float], seed: int) -> Run:
        """TRL's run, made once where both depths are compared with the same."""
        if (how, seed) not in again:
            again[how, seed] = theirs(machine, material, how, seed)
        return again[how, seed]

    for name, student in (("all layers", whole), ("top third", top)):
        loss = max(min(run.loss for run in runs[side]) for side in (name, "TRL"))
        mine, other = quickest(runs[name], loss), quickest(runs["TRL"], loss)
        pairs = [(ours(student, material, mine[:2], seed), other_side(other[:2], seed)) for seed in range(1, AGAIN + 1)]
        ratio = median(two.seconds / one.seconds for one, two in pairs)
        losses = [[round(run.loss, 3) for run in side] for side in zip(*pairs, strict=True)]
        found = {"bench": "train", "against": "TRL", "adapter": name, "loss": round(loss, 4), "ratio": round(ratio, 2),
                 "ours": mine, "theirs": other, "again": pairs}  # fmt: skip
        print(json.dumps(found))
        print(
            f"To a held-out loss of {loss:.3f}, adapters on {name}: {mine.text()}, TRL's SFTTrainer {other.text()}. Again with "
            f"{AGAIN} other training seeds: {ratio:.1f} times as long, losses {losses[0]} and {losses[1]}.",
            flush=True,
        )


if __name__ == "__main__":
    main()

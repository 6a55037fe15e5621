"""How close fine-tuning comes to the machine: tokens per second and share of the GEMM peak, for two adapter depths.

Prints one JSON line and one sentence per depth. The arithmetic of a step is counted as 4 x parameters x real tokens for
the adapted layers (forward, and backward to the activations) plus, for the frozen ones, 2 x parameters x tokens once per item.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import torch

from agent.builtin import cache_folder, pull
from student.evals.load import load_evals
from student.lora import Student
from student.models import gemm_gflops, load, probe
from student.prompting import Ask
from student.records import Example
from student.settings import Lora, TrainSettings
from student.train import train


def measure(layers: float) -> dict[str, float]:
    """Tokens per second and share of peak; medians of three after a warm-up."""
    machine = probe()
    base, tokenizer = load(str(pull("smollm2-135m-instruct", lambda *_: None)), machine, cache_folder() / "students")
    student = Student(base, tokenizer, Lora(layers=layers))
    evals = load_evals(Path("loops/recipes/quickstart/evals.yaml"))
    examples = [Example(prompt=seed.prompt, answer=seed.answer) for seed in evals.seeds]
    settings = TrainSettings(epochs=2, min_steps=1)
    ask = evals.ask()
    train(student, ask, examples[:32], settings, 0, lambda *_: None)
    runs = sorted(_once(student, ask, examples, settings) for _ in range(3))
    tokens, seconds = runs[1][1], runs[1][2]
    body = sum(
        weight.numel()
        for name, weight in student.causal.named_parameters()
        if ".layers." in name and "lora" not in name
    )
    upper = body * (student.layer_count - student.first_layer) / student.layer_count
    flops = 4 * upper * tokens + 2 * (body - upper) * tokens / settings.epochs
    peak = max(gemm_gflops(getattr(torch, machine.dtype), 60), 1e-9)
    return {
        "layers": layers,
        "tokens_per_s": round(tokens / seconds, 1),
        "share_of_peak": round(flops / seconds / 1e9 / peak, 3),
    }


def _once(student: Student, ask: Ask, examples: list[Example], settings: TrainSettings) -> tuple[float, int, float]:
    start = time.perf_counter()
    result = train(student, ask, examples, settings, 0, lambda *_: None)
    seconds = time.perf_counter() - start
    return seconds / result.tokens, result.tokens, seconds


if __name__ == "__main__":
    for depth in (1.0, 0.34):
        found = {"bench": "train", **measure(depth)}
        print(json.dumps(found))
        print(
            f"Adapters on {depth:.0%} of the layers: {found['tokens_per_s']} tokens/s, {found['share_of_peak']:.2f} of the GEMM peak."
        )

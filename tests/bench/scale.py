"""Whether cost grows in step with the tokens: fine-tuning and choice scoring of 60, 600 and 6,000 items.

Each size is trained for one epoch and examined once, each item with two choices; the smaller ones several times (the median counts).
Prints one JSON line for each size and one sentence: time per token at the largest size over that at the smallest, 1.0 being linear.

    python tests/bench/scale.py [FOLDER]     with FOLDER/snips/train.jsonl its questions, else the quickstart's tickets, numbered;
                                             ten to fifteen minutes
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

from agent.builtin import cache_folder, pull
from student.batches import encode
from student.choices import score_choices
from student.evals.load import load_evals
from student.lora import Student
from student.models import load, probe
from student.prompting import Ask
from student.records import Example, Question
from student.settings import Lora, TrainSettings
from student.train import train

SIZES = {60: 5, 600: 2, 6000: 1}
"""Items, and how often that size is measured."""


def material() -> tuple[Ask, list[Example]]:
    """How to ask, and 6,000 different examples in a fixed order."""
    if len(sys.argv) > 1:
        rows = [json.loads(line) for line in (Path(sys.argv[1]) / "snips" / "train.jsonl").open(encoding="utf-8")]
        ask = Ask(frame="Request: {question}\nIntent:")
        return ask, [Example(prompt=row["text"], answer=row["intent"]) for row in rows[: max(SIZES)]]
    evals = load_evals(Path("loops/recipes/quickstart/evals.yaml"))
    seeds = evals.seeds
    many = [Example(prompt=f"{at}: {seeds[at % len(seeds)].prompt}", answer=seeds[at % len(seeds)].answer)
            for at in range(max(SIZES))]  # fmt: skip
    return evals.ask(), many


def timed(repeats: int, work: Callable[[], object]) -> float:
    """Median seconds."""
    took: list[float] = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        took.append(time.perf_counter() - start)
    return median(took)


def measure(student: Student, ask: Ask, examples: Sequence[Example], repeats: int) -> dict[str, float]:
    """Tokens a second of fine-tuning and of examining so many items."""
    encoded, _ = encode(student.tokenizer, ask, examples, 1024)
    tokens = sum(len(row.ids) for row in encoded)
    choices = tuple(sorted({one.answer for one in examples})[:2])
    questions = [Question(prompt=one.prompt, choices=choices) for one in examples]
    settings = TrainSettings(epochs=1, min_steps=1)
    fitting = timed(repeats, lambda: train(student, ask, examples, settings, 0, lambda *_: None))
    scoring = timed(repeats, lambda: score_choices(student, ask, questions, lambda done, total: None))
    return {"items": len(examples), "tokens": tokens, "train": round(tokens / fitting, 1), "score": round(tokens / scoring, 1)}  # fmt: skip


def main() -> None:
    machine, (ask, examples) = probe(), material()
    base, tokenizer = load(str(pull("smollm2-135m-instruct", lambda *_: None)), machine, cache_folder() / "students")
    student = Student(base, tokenizer, Lora(layers=0.34))
    measure(student, ask, examples[:60], 1)
    found: list[dict[str, float]] = []
    for size, repeats in SIZES.items():
        found.append(measure(student, ask, examples[:size], repeats))
        print(json.dumps({"bench": "scale", **found[-1]}), flush=True)
    small, large = found[0], found[-1]
    times = (
        f"{small['train'] / large['train']:.2f} in training and {small['score'] / large['score']:.2f} in choice scoring"
    )
    print(f"From {small['items']:,} to {large['items']:,} items, time per token is multiplied by {times}.")


if __name__ == "__main__":
    main()

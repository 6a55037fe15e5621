"""Whether cost grows in step with the tokens: fine-tuning and choice scoring of 60, 600 and 6,000 items.

Each size is trained for one epoch and examined once, each item with two choices; the smaller ones several times (the median counts).
Two students: the built-in one up to 600 items, with `--whole` up to 6,000, and the tiny one up to 6,000 in any case. The tiny one has
next to no arithmetic, so whatever of ours grows faster than the tokens shows there first. Prints one JSON line for each size and one
sentence for each student: time per token at the largest size over that at the smallest, 1.0 being linear.

    python tests/bench/scale.py [FOLDER] [--whole]     with FOLDER/snips/train.jsonl its questions, else the quickstart's tickets, numbered
                                                       and cut; two minutes, with --whole a quarter of an hour
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

import asked

from agent.builtin import cache_folder, pull
from student import frozen
from student.batches import encode
from student.choices import score_choices
from student.evals.load import load_evals
from student.lora import Student
from student.models import TINY, Machine, load, probe
from student.prompting import Ask
from student.records import Example, Question
from student.settings import Lora, TrainSettings
from student.train import train

SIZES = {60: 5, 600: 2, 6000: 1}
"""Items, and how often that size is measured."""
CUT = 60
"""Letters that are left of a ticket: what grows is the number of items."""


def material() -> tuple[Ask, list[Example]]:
    """How to ask, and 6,000 different examples in a fixed order."""
    if folder := asked.folder():
        rows = [json.loads(line) for line in (folder / "snips" / "train.jsonl").open(encoding="utf-8")]
        ask = Ask(frame="Request: {question}\nIntent:")
        return ask, [Example(prompt=row["text"], answer=row["intent"]) for row in rows[: max(SIZES)]]
    evals = load_evals(Path("loops/recipes/quickstart/evals.yaml"))
    seeds = [evals.seeds[at % len(evals.seeds)] for at in range(max(SIZES))]
    return evals.ask(), [
        Example(prompt=f"{at}: {seed.prompt[:CUT]}", answer=seed.answer) for at, seed in enumerate(seeds)
    ]


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

    def examined() -> None:
        frozen._of.pop(
            student, None
        )  # what it remembers of the questions would make every time but the first a quick one
        score_choices(student, ask, questions, lambda done, total: None)

    scoring = timed(repeats, examined)
    return {"items": len(examples), "tokens": tokens, "train": round(tokens / fitting, 1), "score": round(tokens / scoring, 1)}  # fmt: skip


def grown(name: str, source: str, machine: Machine, sizes: Sequence[int]) -> None:
    """Measure one student at these sizes, after a round that does not count."""
    ask, examples = material()
    student = Student(*load(source, machine, cache_folder() / "students"), Lora(layers=0.34))
    measure(student, ask, examples[: sizes[0]], 1)
    found: list[dict[str, float]] = []
    for size in sizes:
        found.append(measure(student, ask, examples[:size], SIZES[size]))
        print(json.dumps({"bench": "scale", "student": name, **found[-1]}), flush=True)
    small, large = found[0], found[-1]
    fitting, scoring = (small[what] / large[what] for what in ("train", "score"))
    print(f"From {small['items']:,} to {large['items']:,} items of the {name} student, time per token is multiplied by {fitting:.2f} in "
          f"training and {scoring:.2f} in choice scoring.", flush=True)  # fmt: skip


def main() -> None:
    """Both students."""
    machine, sizes = probe(), list(SIZES)
    grown("tiny", TINY, machine, sizes)
    built_in = str(pull("smollm2-135m-instruct", lambda *_: None))
    grown("built-in", built_in, machine, sizes if asked.whole() else sizes[:-1])


if __name__ == "__main__":
    main()

"""The most memory the student's process takes: loading, training, choices and writing, one after the other in one real child.

The child is the one a run has (`student.worker`), with the built-in student, an adapter on all layers, and the settings as they come:
96 items learned in one epoch, 200 scored by their labels, 64 answers of 128 tokens written, which is as many at once as there ever
are. More of the same needs no more: a step, a batch and a block of answers are as large as they get. The peak is asked of the system
(VmHWM) after each piece of work, so the piece that needs most is known. Prints one JSON line and one sentence. Linux only.

    python tests/bench/memory.py [FOLDER]     with FOLDER/trec/*.jsonl, else the quickstart's tickets, repeated; a minute and a half
"""

from __future__ import annotations

import json
import re
import tempfile
import time
from pathlib import Path

import asked

from agent.builtin import cache_folder, pull
from student.evals.load import load_evals
from student.prompting import Ask
from student.records import Example, Question
from student.settings import Lora, TrainSettings
from student.worker import StudentWorker

LEARNED, SCORED, WRITTEN, NEW_TOKENS = 96, 200, 64, 128
MOST_GB = 2.5
"""What it may take."""


def rows() -> tuple[Ask, list[tuple[str, str]]]:
    """How to ask, and questions with their labels."""
    if folder := asked.folder():
        file = folder / "trec" / "train.jsonl"
        found = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        return Ask(frame="Question: {question}\nKind of answer:"), [(row["question"], row["label"]) for row in found]
    evals = load_evals(Path("loops/recipes/quickstart/evals.yaml"))
    seeds = [(seed.prompt, seed.answer) for seed in evals.seeds]
    return evals.ask(), seeds * (1 + (LEARNED + SCORED) // len(seeds))


def peak_gb(process: int) -> float:
    """The most memory a process ever held, in units of 10^9 bytes."""
    status = Path(f"/proc/{process}/status").read_text(encoding="ascii")
    found = re.search(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE)
    return int(found[1]) * 1024 / 1e9 if found else 0.0


def main() -> None:
    """One child, all of its work."""
    ask, labelled = rows()
    load = {
        "source": str(pull("smollm2-135m-instruct", lambda *_: None)), "machine": None,
        "cache": str(cache_folder() / "students"), "lora": Lora(layers=1.0).model_dump(),
    }  # fmt: skip
    labels = tuple(sorted({answer for _, answer in labelled}))
    learned = [Example(prompt=prompt, answer=answer) for prompt, answer in labelled[:LEARNED]]
    prompts = [prompt for prompt, _ in labelled[LEARNED:]]
    peaks, began = dict[str, float](), time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        child = StudentWorker(load, Path(folder) / "log", lambda: False)

        def note(work: str) -> None:
            assert child._pipe._process is not None
            peaks[work] = round(peak_gb(child._pipe._process.pid), 2)

        try:
            machine = child.start()["machine"]
            note("load")
            adapter = Path(folder) / "adapter"
            adapter.mkdir()
            settings = TrainSettings(epochs=1, min_steps=1).model_dump()
            child.train(ask, learned, settings, 0, adapter, lambda message: None)
            note("train")
            picked = [Question(prompt=prompt, choices=labels) for prompt in prompts[:SCORED]]
            child.examine(ask, [*picked], adapter, 0, lambda message: None)
            note("choices")
            child.examine(
                ask, [Question(prompt=prompt) for prompt in prompts[:WRITTEN]], None, NEW_TOKENS, lambda message: None
            )
            note("writing")
        finally:
            child.close()
    peak = max(peaks.values())
    took = round(time.perf_counter() - began)
    print(
        json.dumps(
            {
                "bench": "memory",
                "dtype": machine["dtype"],
                "peak_gb": peak,
                "most_gb": MOST_GB,
                "after": peaks,
                "seconds": took,
            }
        )
    )
    print(f"The student's process held {peak:.2f} GB at most (in {machine['dtype']}; {MOST_GB} allowed): "
          + ", ".join(f"{gb:.2f} after {work}" for work, gb in peaks.items()) + ".")  # fmt: skip


if __name__ == "__main__":
    main()

"""The parent's handle on the student's process: starts it when first needed, sends a job, passes progress on.

A job is a plain mapping; its answer too. Closing the handle, or the death of this process, ends the child. A stop request
during a job ends the child at once: training and examination are deterministic and write their result in one step, so
nothing is lost but the time since the job began.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from student.errors import StudentError
from student.prompting import Ask
from student.records import Example, Item, Question

OnMessage = Callable[[dict[str, Any]], None]
"""Told about progress: `{"step", "steps", "loss", "tokens_per_second"}` or `{"done", "total"}`."""


class StudentStopped(Exception):
    """The run was asked to stop while the student was at work."""


class StudentWorker:
    """One student process."""

    def __init__(self, load: dict[str, Any], log: Path, should_stop: Callable[[], bool]) -> None:
        self._load, self._log, self._should_stop = load, log, should_stop
        self._process: subprocess.Popen[str] | None = None
        self._lines: queue.Queue[str] = queue.Queue()
        self.loaded: dict[str, Any] = {}

    def start(self) -> dict[str, Any]:
        """Start the process and load the model; returns the machine and the model's size."""
        if self._process is None:
            self._spawn()
            self.loaded = self._call({"job": "load", **self._load}, lambda message: None)
        return self.loaded

    def train(
        self, ask: Ask, examples: list[Example], settings: dict[str, Any], seed: int, out: Path, on: OnMessage
    ) -> dict[str, Any]:
        """Fine-tune on examples; the adapter is in `out` when this returns."""
        self.start()
        rows = [example.model_dump() for example in examples]
        job = {"job": "train", "ask": ask.model_dump(), "examples": rows, "settings": settings, "seed": seed}
        return self._call({**job, "out": str(out)}, on)

    def examine(
        self, ask: Ask, items: list[Item | Question], adapter: Path | None, max_new_tokens: int, on: OnMessage
    ) -> list[dict[str, Any]]:
        """Raw answers, one per item, for `student.grade`."""
        self.start()
        job = {
            "job": "examine", "ask": ask.model_dump(), "questions": [question_of(item) for item in items],
            "adapter": str(adapter) if adapter else None, "max_new_tokens": max_new_tokens,
        }  # fmt: skip
        return self._call(job, on)["answers"]

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _spawn(self) -> None:
        environment = {**os.environ, "TOKENIZERS_PARALLELISM": "false", "PYTHONUNBUFFERED": "1"}
        root = str(Path(__file__).resolve().parent.parent)
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [root, environment.get("PYTHONPATH")]))
        with self._log.open("a") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "student.child"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
                text=True, encoding="utf-8", env=environment, start_new_session=True,
            )  # fmt: skip
        self._lines = queue.Queue()
        threading.Thread(target=_pump, args=(self._process.stdout, self._lines), daemon=True).start()

    def _call(self, job: dict[str, Any], on: OnMessage) -> dict[str, Any]:
        assert self._process is not None and self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(job) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._died() from None
        while True:
            message = self._next()
            if "result" in message:
                return message["result"]
            if "error" in message:
                raise StudentError(message["error"]) if message["kind"] == "fixable" else RuntimeError(message["error"])
            on(message)

    def _next(self) -> dict[str, Any]:
        while True:
            if self._should_stop():
                self.close()
                raise StudentStopped
            try:
                line = self._lines.get(timeout=0.2)
            except queue.Empty:
                continue
            if not line:
                raise self._died()
            return json.loads(line)

    def _died(self) -> StudentError:
        assert self._process is not None
        code = self._process.wait()
        self._process = None
        tail = self._log.read_text(errors="replace").strip().splitlines()[-3:]
        return StudentError(
            f"The student's process ended unexpectedly (exit {code}); perhaps the machine ran out of memory. Its last words, in "
            f"{self._log}: {' / '.join(tail) or 'none'}. Resume the run to go on where it stopped."
        )


def question_of(item: Item | Question) -> dict[str, Any]:
    """What is asked, without the answer, as the child reads it."""
    return Question(prompt=item.prompt, turns=item.turns, choices=item.choices).model_dump()


def _pump(stream: IO[str] | None, lines: queue.Queue[str]) -> None:
    assert stream is not None
    for line in stream:
        lines.put(line)
    lines.put("")

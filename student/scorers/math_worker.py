"""The parent's handle on the maths process: starts it when first needed, asks it one question at a time, replaces it.

In: two LaTeX expressions. Out: 1, 0, or None where there is nothing to compare or no verdict in time. A process that hangs,
crashes or runs out of memory is replaced at the next question, and the question it failed on is counted (`unscored`).
"""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from queue import Empty, Queue
from typing import IO, Any

from student.errors import StudentError
from student.scorers.unscored import note

_START = 120.0
"""Seconds until the process must be ready: importing sympy on a busy machine takes a while."""
_SLACK = 8.0
"""Seconds of wall time for each second of CPU time that a question may take, for a busy machine."""


class MathWorker:
    """One maths process."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._lines: Queue[str] = Queue()
        self._lock = threading.Lock()

    @property
    def pid(self) -> int | None:
        """The process's id while it runs."""
        return self._process.pid if self._process is not None else None

    def compare(self, expected: str, answer: str, seconds: float) -> float | None:
        """Whether two LaTeX expressions are equal; `seconds` of CPU time at most."""
        with self._lock:
            reply = self._ask([expected, answer, seconds], seconds * _SLACK + 10)
        if reply is None or reply.get("late"):
            note("math-deadline" if reply else "math-crash")
            return None
        if "trouble" in reply:
            note("math-trouble")
        return reply["score"]

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    pipe.close()
            self._process = None

    def _ask(self, question: list[Any], wait: float) -> dict[str, Any] | None:
        if self._process is None or self._process.poll() is not None:
            self.close()
            self._start()
        assert self._process is not None and self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(question) + "\n")
            self._process.stdin.flush()
            line = self._lines.get(timeout=wait)
        except (BrokenPipeError, Empty):
            line = ""
        if not line:
            self.close()
            return None
        return json.loads(line)

    def _start(self) -> None:
        root = str(Path(__file__).resolve().parent.parent.parent)
        path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "student.scorers.math_child"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True, encoding="utf-8", env={**os.environ, "PYTHONPATH": path}, start_new_session=True,
        )  # fmt: skip
        self._lines = Queue()
        threading.Thread(target=_pump, args=(self._process.stdout, self._lines), daemon=True).start()
        try:
            ready = self._lines.get(timeout=_START)
        except Empty:
            ready = ""
        if not ready:
            self.close()
            raise StudentError(
                "The maths scorer's process did not start. Check that `python -c 'import math_verify'` works in this "
                "environment, and install the package math-verify if it does not."
            )


def _pump(stream: IO[str] | None, lines: Queue[str]) -> None:
    assert stream is not None
    try:
        for line in stream:
            lines.put(line)
    except ValueError:  # closed while it was read
        pass
    lines.put("")


WORKER = MathWorker()
"""One process serves every scorer of this program."""
atexit.register(WORKER.close)

"""A child process that answers jobs, one JSON line each: the parent's handle on it, and the loop that the child runs.

A job is a plain mapping; its answer too, and before the answer there may be progress. What a library or a task prints in the
child goes to a log and never gets between the lines. The child dies with its parent, also by kill -9: a thread of it waits
for stdin to close. Closing the handle, or a stop request during a job, ends the child and what it started at once.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any, NoReturn

OnMessage = Callable[[dict[str, Any]], None]
"""Told about progress, as the child words it."""
Say = Callable[..., None]
"""In the child: reports progress, as keywords."""


class Stopped(Exception):
    """The person asked to stop while the child was at work."""


class Ended(Exception):
    """The child's process ended without an answer; says with which exit code, and its last words."""


class Failed(Exception):
    """The child could not do a job, and lives on."""

    def __init__(self, text: str, fixable: bool) -> None:
        super().__init__(text)
        self.fixable = fixable


class Pipe:
    """One child process, `python -m MODULE` unless told otherwise, and the lines to and from it."""

    def __init__(
        self, module: str, log: Path, should_stop: Callable[[], bool] = lambda: False, command: Sequence[str] = ()
    ) -> None:
        self.command = [*command] or [sys.executable, "-m", module]
        self.log, self.should_stop = log, should_stop
        self._process: subprocess.Popen[str] | None = None
        self._lines: queue.Queue[str] = queue.Queue()

    @property
    def running(self) -> bool:
        """Whether there is a process to talk to."""
        return self._process is not None

    def start(self) -> None:
        """Start the process, if it is not there."""
        if self._process is not None:
            return
        environment = {**os.environ, "TOKENIZERS_PARALLELISM": "false", "PYTHONUNBUFFERED": "1"}
        root = str(Path(__file__).resolve().parent.parent)
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [root, environment.get("PYTHONPATH")]))
        with self.log.open("a") as log:
            self._process = subprocess.Popen(
                self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
                text=True, encoding="utf-8", env=environment, start_new_session=True,
            )  # fmt: skip
        self._lines = queue.Queue()
        threading.Thread(target=_pump, args=(self._process.stdout, self._lines), daemon=True).start()

    def call(self, job: dict[str, Any], on: OnMessage = lambda message: None) -> dict[str, Any]:
        """The answer to a job. Raises Failed, Ended, or Stopped."""
        self.start()
        assert self._process is not None and self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(job) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._ended() from None
        while True:
            message = self._next()
            if "result" in message:
                return message["result"]
            if "error" in message:
                raise Failed(message["error"], message["kind"] == "fixable")
            on(message)

    def close(self) -> None:
        """End the process, and whatever it started."""
        if self._process is None:
            return
        process, self._process = self._process, None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        process.wait()

    def _next(self) -> dict[str, Any]:
        while True:
            if self.should_stop():
                self.close()
                raise Stopped
            try:
                line = self._lines.get(timeout=0.2)
            except queue.Empty:
                continue
            if not line:
                raise self._ended()
            return json.loads(line)

    def _ended(self) -> Ended:
        assert self._process is not None
        code = self._process.wait()
        self.close()
        tail = self.log.read_text(errors="replace").strip().splitlines()[-3:]
        return Ended(f"exit {code}; its last words: {' / '.join(tail) or 'none'}")


def _pump(stream: IO[str] | None, lines: queue.Queue[str]) -> None:
    assert stream is not None
    with stream:
        for line in stream:
            lines.put(line)
    lines.put("")


def serve(answer: Callable[[dict[str, Any], Say], dict[str, Any]], fixable: tuple[type[Exception], ...]) -> NoReturn:
    """In the child: answer jobs until stdin closes. Errors of the types in `fixable` are a person's to mend."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    jobs_in = os.fdopen(os.dup(0), encoding="utf-8")
    os.dup2(2, 1)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    jobs: queue.Queue[dict[str, Any]] = queue.Queue()
    threading.Thread(target=_listen, args=(jobs_in, jobs), daemon=True).start()

    def say(**message: Any) -> None:
        out.write(json.dumps(message) + "\n")
        out.flush()

    while True:
        job = jobs.get()
        try:
            say(result=answer(job, say))
        except Exception as error:  # noqa: BLE001  the parent decides what each one means
            traceback.print_exc()
            kind = "fixable" if isinstance(error, fixable) else "bug"
            say(error=str(error) or type(error).__name__, kind=kind)


def _listen(lines: IO[str], jobs: queue.Queue[dict[str, Any]]) -> None:
    for line in lines:
        jobs.put(json.loads(line))
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)  # the parent is gone: so are we, and what we started
    os._exit(0)

"""Serves one GGUF file on loopback with llama.cpp, in a child process that cannot outlive its parent.

The parent sends the child's settings, with a key made for this one server, as one JSON line on its stdin: a command
line could be read by anyone on the machine. The child answers with its address as one JSON line on stdout. Then it
only reads stdin, whose end means that the parent is gone, by whatever way (kill -9 too), and exits.

The child has a session of its own, so that Ctrl-C in the terminal stops the run, which then finishes its requests,
and not the server under it. llama.cpp's log, and anything native code prints, goes to a file the caller names.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import secrets
import select
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, Self

from student.records import Record
from teacher.errors import TeacherUnusable

LOAD_SECONDS = 120.0
"""A model that has not come up by then will not."""


class ServerSettings(Record):
    """What the child is told."""

    gguf: str
    """Absolute path of the model file."""
    slots: int
    """Requests served at once."""
    context: int
    """Tokens of prompt and reply together, for each slot."""
    threads: int
    """CPU threads."""
    api_key: str
    """Asked of every request, so that other users of this machine cannot use the server."""


class LocalServer:
    """`with LocalServer(...) as server:` gives a server at `base_url`; or `start(on_wait)` and `close()` by hand."""

    def __init__(
        self, gguf: Path, slots: int = 4, context: int = 2048, threads: int | None = None, *, log: Path | None = None
    ) -> None:
        """`context` is per slot; `threads` None: one for every core this process may use. Without `log` the server's log is
        dropped, and errors cannot quote it."""
        self.gguf, self.log = gguf.absolute(), log
        self.api_key = secrets.token_urlsafe(24)
        self.base_url = ""
        """`http://127.0.0.1:PORT/v1` once started."""
        self._settings = ServerSettings(
            gguf=str(self.gguf), slots=slots, context=context, threads=threads or cores(), api_key=self.api_key
        )
        self._child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self if self._child else self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self, on_wait: Callable[[float], None] = lambda seconds: None) -> Self:
        """Return once the server answers; `on_wait(seconds so far)` is called while it loads, and may raise to give up.

        Raises TeacherUnusable for a missing or foreign file, a child that dies, or no address within `LOAD_SECONDS`.
        """
        _check_gguf(self.gguf)
        self._child = _spawn(self.log)
        try:
            _pipe(self._child.stdin).write(self._settings.model_dump_json().encode() + b"\n")
            _pipe(self._child.stdin).flush()
            self.base_url = self._await_address(self._child, on_wait) + "/v1"
        except BrokenPipeError:
            raise self._failure("its server ended before it began to load") from None
        except BaseException:
            self.close()
            raise
        return self

    def check(self) -> None:
        """For whoever cannot reach the server: raises TeacherUnusable where it has ended, so that nobody waits for it."""
        child = self._child
        code = None if child is None else child.poll()
        if code is not None:
            how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
            raise self._failure(f"its server {how} while it was in use")

    def close(self) -> None:
        """End the child; harmless when it has ended or was never started."""
        child, self._child = self._child, None
        if child is None:
            return
        with contextlib.suppress(BrokenPipeError):  # it has ended already
            _pipe(child.stdin).close()
        try:
            child.wait(timeout=5)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        _pipe(child.stdout).close()

    def _await_address(self, child: subprocess.Popen[bytes], on_wait: Callable[[float], None]) -> str:
        began, out = time.monotonic(), _pipe(child.stdout)
        while (waited := time.monotonic() - began) < LOAD_SECONDS:
            if select.select([out], [], [], 0.25)[0]:
                line = out.readline()
                if not line:
                    raise self._failure("its server ended while loading the model")
                return str(json.loads(line)["address"])
            on_wait(waited)
        raise self._failure(f"its server gave no address within {LOAD_SECONDS:.0f} s")

    def _failure(self, what: str) -> TeacherUnusable:
        self.close()
        return TeacherUnusable(
            f"The local teacher {str(self.gguf)!r} cannot be used: {what}. Check that the file is whole and that there "
            f"is memory for it.{_last_lines(self.log)}"
        )


def cores() -> int:
    """CPU cores this process may use: affinity and a container's quota count. Threads beyond them make llama.cpp many times slower."""
    from joblib import cpu_count  # a third of a second to load

    return max(1, int(cpu_count()))


def _check_gguf(path: Path) -> None:
    try:
        with path.open("rb") as handle:
            magic = handle.read(4)
    except OSError as error:
        raise TeacherUnusable(
            f"The local teacher's file {str(path)!r} cannot be read: {error.strerror}. Give the path of a GGUF file."
        ) from None
    if magic != b"GGUF":
        raise TeacherUnusable(
            f"The local teacher's file {str(path)!r} is no GGUF file: it starts with {magic!r}, not with b'GGUF'. "
            "A download cut short or a pointer file in its place looks like this: get the file again."
        )


def _spawn(log: Path | None) -> subprocess.Popen[bytes]:
    """Start the child, with the rooms importable whatever the working folder is."""
    if log is not None:
        log.parent.mkdir(parents=True, exist_ok=True)
    with (log or Path(os.devnull)).open("ab") as stderr:
        return subprocess.Popen(
            [sys.executable, "-m", "teacher.local"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            cwd=Path(__file__).resolve().parent.parent,
            start_new_session=True,
        )


def _pipe(handle: IO[bytes] | None) -> IO[bytes]:
    assert handle is not None, "the child was started with pipes"
    return handle


def _last_lines(log: Path | None) -> str:
    if log is None or not log.exists():
        return ""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-8:]
    return f" The end of its log {str(log)!r}:\n" + "\n".join(lines) if lines else ""


def serve() -> None:
    """The child: settings from stdin, address to stdout, then until stdin ends."""
    line = sys.stdin.buffer.readline()
    if not line:
        os._exit(0)
    settings = ServerSettings.model_validate_json(line)
    # Before loading: a parent that dies meanwhile is noticed as soon as loading lets Python run.
    watch = threading.Thread(target=_exit_with_parent, daemon=True)
    watch.start()
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what native code prints must not be taken for the address
    server = _llama_server(settings)
    answer.write(json.dumps({"address": server.listening_address}) + "\n")
    answer.close()
    watch.join()


def _exit_with_parent() -> None:
    """At once and without clean-up: llama.cpp's threads would make an ordinary exit wait for them."""
    while sys.stdin.buffer.read(1):
        pass
    os._exit(0)


def _llama_server(settings: ServerSettings) -> Any:
    """xllamacpp is imported by the child only: it is native code without type hints, and slow to load."""
    xllamacpp: Any = importlib.import_module("xllamacpp")
    params = xllamacpp.CommonParams()
    params.model.path = settings.gguf
    params.n_ctx = settings.context * settings.slots
    params.n_parallel = settings.slots
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.cpuparams.n_threads = settings.threads
    params.cpuparams_batch.n_threads = settings.threads
    params.api_keys = [settings.api_key]
    return xllamacpp.Server(params)


if __name__ == "__main__":
    serve()

"""Whole runs for tests: real processes with the tiny student and the scripted teacher, on the little errands eval set.

`start` begins `llm2llm ...` in a process of its own, marked in its environment so that `alive` finds it and every child
it has; given a verb, a round and a delay, the process sends itself SIGKILL so long after that verb has started.
`crash_server` starts one process that imports everything once and then forks whole runs that die at the n-th step they
make on the disk. `TableStudent` stands in for the student's process where a test is about the loop around it: it
is right the more often the more it was trained on, without torch, in no time.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
ERRANDS = ROOT / "tests" / "fixtures" / "errands" / "evals.yaml"
MARK = "LLM2LLM_TEST_MARK"
PATIENCE = 600.0
"""Seconds until a process that should have said something counts as hung; generous, for a busy machine."""
QUICK = {
    "train.epochs": "1", "train.min_steps": "8", "train.learning_rate": "0.01", "generate.lessons": "12",
    "mine.folds": "2", "stop.rounds": "1", "teacher.check_items": "6", "seed": "2",
    "mode": "select",
}  # fmt: skip


def words(verb: str, *more: str, runs: Path, **changes: str) -> list[str]:
    """The command line of a dry run: `verb` is run or resume; `changes` are settings with `__` for the dot."""
    if verb != "run":
        return [verb, *more, "--runs", str(runs)]
    settings = QUICK | {name.replace("__", "."): value for name, value in changes.items()}
    sets = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
    models = ["--student", "builtin:tiny", "--teacher", "scripted"]
    return ["run", "--evals", str(ERRANDS), *models, *sets, *more, "--runs", str(runs)]


def environment(cache: Path, mark: str = "") -> dict[str, str]:
    """What every process of a dry run is given."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "LLM2LLM_CACHE": str(cache), MARK: mark, "COLUMNS": "200"}


def start(cache: Path, arguments: list[str], mark: str = "", kill: tuple[str, int, float] | None = None) -> Any:
    """A running `llm2llm ARGUMENTS`, to be killed as `kill` (verb, round, seconds) says."""
    before = ["-m", "llm2llm"] if kill is None else [__file__, "kill", *map(str, kill)]
    return subprocess.Popen(
        [sys.executable, *before, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
        env=environment(cache, mark),
    )  # fmt: skip


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a process, once it has ended."""
    try:
        out, err = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    return process.returncode, out, err


def finished_run(base: Path) -> Path:
    """The folder of one undisturbed run, made once per test session, also when several workers share the session."""
    root = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    runs = root / "reference"
    with (root / "reference.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (runs / "errands-1" / "whole").exists():
            code, out, err = finish(
                start(root / "dry-cache", words("run", "--ui", "plain", "--name", "errands", runs=runs))
            )
            assert code == 0, out[-2000:] + err[-4000:]
            (runs / "errands-1" / "whole").write_text(out)
    return runs / "errands-1"


def table_run(base: Path) -> Path:
    """The folder of one undisturbed run of two teaching rounds with a table student, made once per test session. Copy it."""
    root = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    runs = root / "table-runs"
    with (root / "table-runs.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (runs / "errands-1" / "whole").exists():
            with table_student():
                sets = {"stop__rounds": "2", "teacher__check_items": "0", "generate__lessons": "8"}
                assert command_line(words("run", "--ui", "quiet", "--name", "errands", runs=runs, **sets)) == 0
            (runs / "errands-1" / "whole").touch()
    return runs / "errands-1"


def events(folder: Path) -> list[dict[str, Any]]:
    """Every whole line of a run's event log."""
    path = folder / "events.jsonl"
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    return [json.loads(line) for line in text.split("\n")[:-1]]


def wait_until(happened: Callable[[], Any], what: str) -> Any:
    """Poll until `happened()` is true and return what it gave; fails after a deadline."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if found := happened():
            return found
        time.sleep(0.02)
    raise AssertionError(f"{what} did not happen within {PATIENCE:.0f} s")


def verb_started(folder: Path, verb: str) -> bool:
    return any(event["event"] == "verb.started" and event["verb"] == verb for event in events(folder))


def alive(mark: str) -> list[int]:
    """The processes that carry this mark in their environment. Linux only; elsewhere nothing is found."""
    wanted = f"{MARK}={mark}".encode()
    found: list[int] = []
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if wanted in (place / "environ").read_bytes().split(b"\0"):
                found.append(int(place.name))
    return found


def products(folder: Path) -> dict[str, bytes]:
    """What a run made, by path: everything that must be the same after a kill, byte for byte."""
    places = [
        path for part in ("baseline", "rounds", "control", "claim") for path in sorted((folder / part).rglob("*"))
    ]
    kept = [path for path in places if path.is_file() and "made" not in path.parts and path.name[0] != "."]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in kept}


def bought(folder: Path) -> dict[str, int]:
    """How many settled attempts the ledger holds for each request."""
    with contextlib.closing(sqlite3.connect(folder / "ledger.sqlite")) as ledger:
        return dict(
            ledger.execute("SELECT key, COUNT(*) FROM requests WHERE state = 'settled' GROUP BY key").fetchall()
        )


class TableStudent:
    """Has the methods of `StudentWorker` and no model: its adapter is the list of what it was trained on."""

    def __init__(self, load: dict[str, Any], folder: Any, should_stop: Callable[[], bool], launch: Any = None) -> None:
        self.loaded = {"machine": {"device": "none", "dtype": "none", "threads": 1, "gflops": 0.0}}
        self.should_stop = should_stop

    def start(self) -> dict[str, Any]:
        return self.loaded

    def close(self) -> None:
        """There is no process to end."""

    def train(
        self, ask: Any, examples: list[Any], settings: dict[str, Any], seed: int, out: Path, on: Any, start: Any = None
    ) -> dict[str, Any]:
        on({"step": 1, "steps": 1, "loss": 1.0, "tokens_per_second": 1.0})
        (out / "table.json").write_text(json.dumps([one.model_dump() for one in examples]))
        return {"steps": 1, "tokens": len(examples), "final_loss": 1.0, "dropped_too_long": 0, "seconds": 0.0}

    def embed(self, texts: Any, around: Any, on: Any) -> Any:
        """Every word is a direction: texts of the same words lie in the same place, whatever their order."""
        return np.array([np.sum([_direction(word) for word in text.split()] or [np.zeros(64)], 0) for text in texts])

    def measure(self, ask: Any, items: Any, answers: Any) -> tuple[int, int]:
        return sum(len(ask.text(one.prompt).split()) for one in items), sum(len(one.split()) for one in answers)

    def examine(self, ask: Any, items: list[Any], adapter: Path | None, max_new_tokens: int, on: Any) -> list[Any]:
        known = len(json.loads((adapter / "table.json").read_text())) if adapter else 0
        answers = [{"scores": [_score(item, choice, known) for choice in item.choices]} for item in items]
        on({"done": len(items), "total": len(items)})
        return answers


def _score(item: Any, choice: str, known: int) -> float:
    """A right answer for about a quarter of the items, and for one item in sixty-six more with each thing it knows."""
    if choice == item.answer:
        return 1.0 if _fraction(item.prompt) < 0.25 + 0.015 * known else -1.0
    return _fraction(f"{item.prompt}/{choice}")


def _direction(word: str) -> Any:
    return np.random.default_rng(int(2**32 * _fraction(word))).normal(size=64)


def _fraction(text: str) -> float:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4]) / 2**32


@contextlib.contextmanager
def table_student() -> Iterator[None]:
    """Within this, runs of this process have a `TableStudent`."""
    from agent import launch

    before = launch.RecordingWorker
    launch.RecordingWorker = TableStudent  # type: ignore[assignment,misc]
    try:
        yield
    finally:
        launch.RecordingWorker = before


def command_line(arguments: list[str]) -> int:
    """`llm2llm ARGUMENTS` in this process; returns the exit code and leaves the umask as it was."""
    from agent import cli

    before, argv = os.umask(0o077), sys.argv
    sys.argv = ["llm2llm", *arguments]
    try:
        return cli.main() or 0
    finally:
        sys.argv = argv
        os.umask(before)


def _kill_during(verb: str, round_number: int, seconds: float) -> None:
    """End this process by SIGKILL so many seconds after the verb of that round has started."""
    from loops.events import EventLog

    tell = EventLog.__call__

    def telling(log: EventLog, name: str, /, **fields: Any) -> None:
        tell(log, name, **fields)
        if name == "verb.started" and (fields["verb"], fields["round"]) == (verb, round_number):
            threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGKILL)).start()

    EventLog.__call__ = telling


class Steps:
    """Counts what this process does to files below a folder and to databases, and ends it by SIGKILL at one of them."""

    def __init__(self, below: Path, last: int) -> None:
        self.below, self.last, self.count = str(below), last, 0
        connect = sqlite3.connect
        sys.addaudithook(self._audit)

        def traced(*arguments: Any, **options: Any) -> sqlite3.Connection:
            connection = connect(*arguments, **options)
            connection.set_trace_callback(lambda statement: self.step())
            return connection

        sqlite3.connect = traced

    def step(self) -> None:
        self.count += 1
        if self.count == self.last:
            os.kill(os.getpid(), signal.SIGKILL)

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        changes = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.symlink", "os.truncate")
        written = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if (written or event in changes) and self.below in str(arguments[0]):
            self.step()


def _forked(arguments: list[str], below: Path, last: int) -> dict[str, int]:
    """One run in a forked process: how many steps it made (0 if it was killed) and its exit code (-9 if killed)."""
    reader, writer = os.pipe()
    if (child := os.fork()) == 0:
        os.close(reader)
        steps = Steps(below, last)
        code = 99
        try:
            code = command_line(arguments)
        finally:
            os.write(writer, str(steps.count).encode())
            os._exit(code)
    os.close(writer)
    with os.fdopen(reader) as told:
        count = int(told.read() or 0)
    return {"code": os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), "steps": count}


def _serve() -> None:
    """One JSON job a line on stdin: arguments, the folder to watch, the step to die at; one JSON result a line."""
    import_module("loops.graph")  # the heavy part, before the first fork
    with table_student():
        for line in sys.stdin:
            job = json.loads(line)
            print(json.dumps(_forked(job["arguments"], Path(job["below"]), job["last"])), flush=True)


@contextlib.contextmanager
def crash_server(cache: Path) -> Iterator[Callable[[list[str], Path, int], dict[str, int]]]:
    """A callable that runs `llm2llm ARGUMENTS` with a table student and kills it at its n-th step below a folder."""
    process = subprocess.Popen(
        [sys.executable, __file__, "serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
        env=environment(cache),
    )  # fmt: skip
    assert process.stdin is not None and process.stdout is not None
    into, out = process.stdin, process.stdout

    def run(arguments: list[str], below: Path, last: int) -> dict[str, int]:
        into.write(json.dumps({"arguments": arguments, "below": str(below), "last": last}) + "\n")
        into.flush()
        return json.loads(out.readline())

    with process:
        yield run
        into.close()


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        _serve()
    elif sys.argv[1] == "table":
        with table_student():
            sys.exit(command_line(sys.argv[2:]))
    else:
        _kill_during(sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
        sys.exit(command_line(sys.argv[5:]))

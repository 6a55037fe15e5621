"""Where a quickstart round's wall time goes: the student's arithmetic, waiting for the teacher, and the rest.

Runs the quickstart with the real models, in a folder of its own, to the decision about its first teaching round, and takes the time from
that round's first verb to its decision; both models are at work by then, so none of it is loading. Counted as arithmetic: the
student's process at work on a job, its tokenising included. Counted as waiting: requests under way. The rest is ours: files,
checkpoints, curation by rule, events; a moment in which two things happen counts once. Prints one JSON line and one sentence.

    python tests/bench/round.py        six to seven minutes
"""

from __future__ import annotations

import json
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agent.launch import STOPPED, Interrupted, drive, opened_evals
from agent.settings import resolve
from loops.events import read_events
from loops.run_folder import create_run
from student.worker import StudentWorker
from teacher.client import Client

Span = tuple[float, float]
"""From when to when, in seconds of the wall clock."""
SPANS: dict[str, list[Span]] = defaultdict(list)


def timed(kind: type, name: str, what: str) -> None:
    """Have a method note when it was at work."""
    inner: Callable[..., Any] = getattr(kind, name)

    def outer(self: Any, *arguments: Any, **options: Any) -> Any:
        began = time.time()
        try:
            return inner(self, *arguments, **options)
        finally:
            SPANS[what].append((began, time.time()))

    setattr(kind, name, outer)


def covered(spans: list[Span], start: float, end: float) -> float:
    """Seconds between start and end that lie in at least one span."""
    total, reached = 0.0, start
    for began, stopped in sorted(spans):
        total += max(0.0, min(stopped, end) - max(began, reached))
        reached = max(reached, min(stopped, end))
    return total


def until_decided(event: dict[str, Any]) -> None:
    """Ends the run when the first teaching round is decided about."""
    if event["event"] == "decided" and event["round"] == 1:
        raise Interrupted


def main() -> None:
    for job in ("train", "examine", "embed", "measure"):
        timed(StudentWorker, job, "student")
    timed(Client, "ask_all", "teacher")
    settings, name = resolve("quickstart", ["stop.rounds=1", "teacher.check_items=4"], {})
    with tempfile.TemporaryDirectory() as place:
        folder = create_run(Path(place), name)
        code, message = drive(folder, settings, opened_evals(settings, False), until_decided, False)
        assert code == STOPPED, message
        events = list(read_events(folder.events))
    start = next(event["time"] for event in events if event["event"] == "verb.started" and event["round"] == 1)
    end = next(event["time"] for event in events if event["event"] == "decided" and event["round"] == 1)
    wall = end - start
    student, teacher = (covered(SPANS[what], start, end) for what in ("student", "teacher"))
    rest = wall - covered(SPANS["student"] + SPANS["teacher"], start, end)
    print(json.dumps({"bench": "round", "wall_s": round(wall, 1), "student_s": round(student, 1),
                      "teacher_s": round(teacher, 1), "rest": round(rest / wall, 4)}))  # fmt: skip
    shares = f"{student / wall:.0%} were the student's arithmetic, {teacher / wall:.0%} waiting for the teacher"
    print(f"Of a quickstart round's {wall:.0f} s, {shares} and {rest / wall:.1%} the rest.")


if __name__ == "__main__":
    main()

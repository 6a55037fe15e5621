"""The run's record of what happened: one append-only `events.jsonl`, read by the screen, `--ui json`, `show` and reports.

Nobody else prints. A room below reports progress through a plain callable `emit(name, **fields)`; this file stamps
it with a sequence number and the time, appends it as one JSON line, and hands it to whoever watches in this process.

Names and fields (every event also has `seq`, its sequence number, and `time`, seconds since the epoch):

    run.started    run, resumed, student, teacher, evals, splits {mine, select, test}, rounds, budget {...}, chance,
                   prompts {name: hash}              the teacher's prompt files as they were
    run.leaves     host, columns, items              what will leave this machine, said before the first request
    verb.started   round, verb                       baseline train evaluate decide mine diagnose generate curate adopt control claim
    verb.progress  round, verb, done, total, unit, note
    verb.done      round, verb, seconds
    loss           round, student, step, steps, loss, tokens_per_second
    score          round, student, split, n, right, truncated, malformed, low, high   (low/high: 95 % Wilson, 0..1)
    decided        round, best, go_on, reason, sentence
    weakness       round, id, name, failures, lessons
    accepted       round, id, prompt, answer, strategy, weakness
    adopted        round, run, lessons, strategies {name: count}       lessons of another run, taken over
    rejected       round, id, reason, detail
    diversity      round, seeds {...}, lessons {...}, all_lessons {...}, real_share    how varied lessons are, see teacher.diversity
    review         round, lessons, waiting           lessons wait for a person
    spent          requests, prompt_tokens, completion_tokens, money, reused_requests, replayed_requests,
                   budget {tokens, requests, money}
    retry          reason, wait                      a teacher request that will be sent again
    note           text                              anything a person should know that stopped nothing
    claim          best, against, n, gain, low, high, p, sentence
    run.ended      status (done | stopped | failed), reason, sentence, best, seconds
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

Event = dict[str, Any]
Watcher = Callable[[Event], None]
SELECT, CROSS_FITTED = "select", "mine (cross-fitted)"
"""What the items that decide about rounds are called in sentences. In events their splits are `select` and `mine`."""


class Emit(Protocol):
    """What a room calls to say that something happened."""

    def __call__(self, name: str, /, **fields: Any) -> None: ...


class EventLog:
    """Appends events to a file and passes each on to the watchers, in order, from any thread."""

    def __init__(self, path: Path, watchers: tuple[Watcher, ...] = ()) -> None:
        self.path = path
        self.watchers = list(watchers)
        self._lock = threading.Lock()
        self._count = _repair(path)
        # Unbuffered: after a full disk nothing is left in a buffer that would fail again when the log is closed.
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def __call__(self, name: str, /, **fields: Any) -> None:
        with self._lock:
            event = {"seq": self._count, "time": round(time.time(), 3), "event": name, **fields}
            self._count += 1
            os.write(self._file, (json.dumps(event, ensure_ascii=False) + "\n").encode("utf-8", "replace"))
            for watcher in self.watchers:
                watcher(event)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            os.fsync(self._file)
        os.close(self._file)


def read_events(path: Path) -> Iterator[Event]:
    """Every whole event of a log; a torn last line (the process was killed while writing it) or a damaged one is left out."""
    if not path.exists():
        return
    with path.open(encoding="utf-8", errors="replace") as handle:
        for line in handle:
            try:
                event = json.loads(line) if line.endswith("\n") else None
            except ValueError:
                event = None  # a damaged line loses itself and nothing else
            if isinstance(event, dict):
                yield event


def _repair(path: Path) -> int:
    """Cut a torn last line off so that the next event starts on a line of its own; returns the next number."""
    if not path.exists():
        return 0
    whole = path.read_bytes()
    keep = whole.rfind(b"\n") + 1
    if keep != len(whole):
        os.truncate(path, keep)
    return whole.count(b"\n")

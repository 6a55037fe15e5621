"""The ways to watch a run: a live screen, plain lines, JSON lines, or nothing.

Each is a watcher of events (`loops.events.Watcher`) with a `close`. The live screen goes to stderr and leaves its last
frame behind; plain and JSON lines go to stdout. A terminal or pipe that goes away silences the watcher and never stops
the run it watches.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import Literal, Protocol

from agent.console.frame import frame
from agent.console.live import LiveScreen
from agent.console.pipe import Pipe
from agent.console.plain import PlainLines
from loops.events import Event

__all__ = ["JsonLines", "LiveScreen", "Pipe", "PlainLines", "Quiet", "Screen", "Ui", "choose_ui", "frame"]

Ui = Literal["auto", "rich", "plain", "json", "quiet"]


class Screen(Protocol):
    """What watches a run: called with every event, closed once at the end, also after an error."""

    def __call__(self, event: Event, /) -> None: ...

    def close(self) -> None: ...


def choose_ui(ui: Ui, stdout_tty: bool, stderr_tty: bool) -> Callable[[], Screen]:
    """The watcher to make. `auto` draws where stderr is a terminal; elsewhere it writes lines where they disturb least:
    to stdout if a person reads it, else to stderr, so that a pipe gets results only."""
    if ui == "quiet":
        return Quiet
    if ui == "json":
        return JsonLines
    if ui in ("auto", "rich") and stderr_tty and os.environ.get("TERM") != "dumb":
        return LiveScreen
    if ui == "plain" or (ui == "auto" and stdout_tty):
        return PlainLines
    return lambda: PlainLines(Pipe(sys.stderr))


class Quiet:
    """Shows nothing."""

    def __call__(self, event: Event, /) -> None:
        """Look away."""

    def close(self) -> None:
        """Nothing to close."""


class JsonLines:
    """Events as they are, one per line. Non-ASCII is escaped, so hostile text cannot reach a terminal raw."""

    def __init__(self, pipe: Pipe | None = None) -> None:
        self.pipe = pipe or Pipe(sys.stdout)

    def __call__(self, event: Event, /) -> None:
        self.pipe.line(json.dumps(event))

    def close(self) -> None:
        """Every line was flushed when it was written."""

"""The live screen: draws the frame of a run again and again, on a thread of its own."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from typing import TextIO, cast

from rich.console import Console, Group, RenderableType
from rich.live import Live

from agent.console.frame import frame
from agent.console.pipe import Lasting
from agent.plots import glyphs_for
from agent.progress import RunView
from loops.events import Event


class LiveScreen:
    """The view to leave open for an hour. Events arrive on any thread; drawing happens on its own, four times a second
    at most, so a burst of events costs nothing."""

    def __init__(self, console: Console | None = None, clock: Callable[[], float] = time.time) -> None:
        stream = cast(TextIO, Lasting(sys.stderr))
        self.console = console or Console(file=stream, highlight=False, emoji=False, markup=False)
        self.view = RunView(clock)
        self._lock = threading.Lock()
        self._size = self.console.size
        self._live = self._fresh()

    def _fresh(self) -> Live:
        # Printing to a piped stdout is a result on its way to a file; it must not be drawn into the screen.
        own_stdout = bool(sys.stdout and sys.stdout.isatty())
        return Live(console=self.console, get_renderable=self._frame, refresh_per_second=4, redirect_stdout=own_stdout)

    def __call__(self, event: Event, /) -> None:
        with self._lock:
            self.view.update(event)
        # Outside the lock: starting draws, and drawing takes the lock.
        if not self._live.is_started:
            self._live.start()

    def close(self) -> None:
        """Draw the last frame, leave it on the screen and give the cursor back. The next event draws below it."""
        self._live.stop()
        self._live = self._fresh()  # a stopped one would go on where its last frame stood, over what was printed since

    def _frame(self) -> RenderableType:
        size = self.console.size
        if size != self._size:
            # A terminal that got narrower has wrapped the old frame: no counting of lines would find its top again.
            self._size = size
            self.console.clear()
        with self._lock:
            # The last column and line stay free: some terminals scroll or wrap when they are written.
            lines = frame(self.view, size.width - 1, size.height - 1, glyphs_for(self.console.encoding))
        return Group(*lines)

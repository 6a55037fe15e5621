"""Review lessons in the terminal: one lesson at a time, with the failure it was written for and what the witnesses said.

One key a lesson: a accept, e edit, r reject, A accept all that are left, q stop here. A decision is on the disk before the next
lesson is shown, so nothing is lost by q, Ctrl-C or a kill: `llm2llm resume RUN` goes on with the next one. Texts are shown
without control characters; a line break in a text is shown, and typed, as \\n.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import termios
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from agent.safe import safe
from loops.review import Case, Decision, Docket
from teacher.curate import Edit

KEYS = "a accept   e edit   r reject   A accept all that are left   q stop here"


class TerminalReview:
    """Has the person at the terminal decide. Called with a docket; returns when all is decided, or at q and Ctrl-C."""

    def __init__(
        self, pause: Callable[[], None], console: Console | None = None, key: Callable[[], str] | None = None,
        line: Callable[[str, str], str] | None = None,
    ) -> None:  # fmt: skip
        """`pause` takes the live screen away. `key` reads one key; `line` has a text, shown after a label, edited."""
        self._pause, self._key, self._line = pause, key or read_key, line or edit_line
        self._console = console or Console(stderr=True, highlight=False, emoji=False, markup=False)

    def __call__(self, docket: Docket) -> None:
        self._pause()
        with _ctrl_c():
            try:
                self._work(docket)
            except (KeyboardInterrupt, EOFError):
                self._say("stopped here; what was decided is kept")

    def _work(self, docket: Docket) -> None:
        total, all_left = len(docket.cases), False
        while waiting := docket.waiting:
            case = waiting[0]
            if not all_left:
                self._show(case, total - len(waiting) + 1, total)
            key = "a" if all_left else self._pressed()
            if key == "q":
                return
            all_left = all_left or key == "A"
            self._decide(docket, case, key.lower())
        rejected = sum(one.act == "reject" for one in docket.decided.values())
        self._say(f"reviewed: {total - rejected} of {total} lessons of round {docket.round} are kept")

    def _decide(self, docket: Docket, case: Case, key: str) -> None:
        name = case.candidate.id
        if key == "r":
            docket.decide(Decision(candidate_id=name, act="reject"))
        elif key == "a":
            docket.decide(Decision(candidate_id=name, act="accept"))
        elif why := self._edited(docket, case):
            self._say(f"this cannot be a lesson: {why}")

    def _edited(self, docket: Docket, case: Case) -> str | None:
        """Why the edited lesson cannot be one; it is shown again then."""
        one = case.candidate
        prompt, answer = self._text("prompt", one.prompt), self._text("answer", one.answer)
        if (prompt, answer) == (one.prompt, one.answer):
            return "nothing was changed; press a to accept it as it is"
        return docket.decide(Decision(candidate_id=one.id, act="edit", edit=Edit(prompt=prompt, answer=answer)))

    def _text(self, label: str, text: str) -> str:
        return unescaped(self._line(f"{label}> ", escaped(text))).strip()

    def _pressed(self) -> str:
        while (key := self._key()) not in ("a", "e", "r", "A", "q"):
            if key in ("\x03", "\x04", ""):
                raise KeyboardInterrupt
            self._say(KEYS)
        return key

    def _show(self, case: Case, number: int, total: int) -> None:
        self._console.print()
        self._console.print(Text(f"lesson {number} of {total}", style="bold"))
        self._console.print(story(case))
        self._say(KEYS)

    def _say(self, text: str) -> None:
        self._console.print(Text(safe(text), style="dim"))


def story(case: Case) -> Table:
    """Where a lesson comes from, what it says, and what the witnesses say of it."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True, min_width=8)
    grid.add_column(overflow="fold")
    for name, text in _rows(case):
        grid.add_row(name, Text(safe(text, keep_newlines=True), style="bold" if name in ("prompt", "answer") else ""))
    return grid


def _rows(case: Case) -> Iterator[tuple[str, str]]:
    one, verdict = case.candidate, case.verdict
    yield "aim", (case.weakness.name if case.weakness else "none") + f"  ({one.strategy})"
    if case.failure is not None:
        seed = case.failure.seed
        yield "failure", f"{seed.prompt}\n{case.failure.wrong_answer or 'nothing'} was said, {seed.answer} is right"
    yield "prompt", one.prompt
    yield "answer", one.answer
    if verdict.witnesses:
        said = ", ".join(f"{name}: {answer or 'nothing'}" for name, answer in verdict.witnesses.items())
        yield "check", said + (f"; belief {verdict.belief:.2f}" if verdict.belief is not None else "")


def escaped(text: str) -> str:
    """A text as one line that can be edited: backslashes doubled, line breaks as \\n, nothing that moves the cursor."""
    return safe(text.replace("\\", "\\\\").replace("\n", "\\n"))


def unescaped(line: str) -> str:
    """The text such a line stands for."""
    return "\\".join(part.replace("\\n", "\n") for part in line.split("\\\\"))


def read_key() -> str:
    """The next key; empty at the end of input. What was typed ahead counts; an arrow, ESC [ A, is no `A`."""
    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    try:
        tty.setcbreak(terminal, termios.TCSADRAIN)
        key = os.read(terminal, 1)
        while key.startswith(b"\x1b") and not _is_whole(key) and select.select([terminal], [], [], 0.05)[0]:
            key += os.read(terminal, 1)
        return key.decode(errors="replace")
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


def _is_whole(key: bytes) -> bool:
    """Whether a sequence that began with ESC has ended: at once, or for ESC [ and ESC O at a letter or a tilde."""
    return len(key) > 2 and 0x40 <= key[-1] <= 0x7E if key[1:2] in (b"[", b"O", b"") else True


def edit_line(label: str, text: str) -> str:
    """Have a line edited at the terminal, with the text filled in."""
    try:
        import readline
    except ImportError:  # a Python without it: the line is typed anew, an empty one keeps the text
        sys.stderr.write(f"{label}{text}\n")
        return input(label) or text
    readline.set_startup_hook(lambda: readline.insert_text(text))
    try:
        return input(label)
    finally:
        readline.set_startup_hook()


def can_ask(ui: str) -> bool:
    """Whether a person is at the terminal, and the screen is made for one."""
    streams = (sys.stdin, sys.stdout, sys.stderr)
    return ui != "json" and all(stream is not None and stream.isatty() for stream in streams)


@contextmanager
def _ctrl_c() -> Iterator[None]:
    """While a key is waited for, Ctrl-C ends the review at once; a run at work would finish its step first."""

    def stop(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    before = {name: signal.signal(name, stop) for name in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)

"""Reviewing at the terminal: one key a lesson, texts shown harmless, every decision kept at once; also in a real terminal."""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from dry_run import PATIENCE, ROOT, environment, events, words
from rich.console import Console

from agent.review import TerminalReview, can_ask, escaped, unescaped
from loops.review import Case, Docket, read_decisions
from student.records import Candidate, Failure, Seed, Verdict, Weakness
from teacher.verdicts import reject

LABELS = ("billing", "access")
FAILURE = Failure(
    seed=Seed(id="s1", prompt="Where is my invoice?", answer="billing", choices=LABELS), wrong_answer="access"
)
AIM = Weakness(id="001-01", name="billing taken for access", failures=(FAILURE,), lessons=4)


def case(name: str, prompt: str = "Who pays for [b]this[/b]?") -> Case:
    candidate = Candidate(
        id=name, prompt=prompt, answer="billing", choices=LABELS, round=1, weakness_id=AIM.id, parent_id="s1",
        strategy="contrast", request_key="k",
    )  # fmt: skip
    said = {"teacher": "billing", "student": "access"}
    verdict = Verdict(candidate_id=name, accepted=True, reason="accepted", witnesses=said, belief=0.87)
    return Case(candidate, verdict, AIM, FAILURE)


def picky(edited: Candidate, others: Sequence[Candidate]) -> Verdict | None:
    return reject(edited, "duplicate", "s1") if "copy" in edited.prompt else None


@pytest.fixture
def docket(tmp_path: Path) -> Docket:
    """Three lessons to be decided about."""
    return Docket(
        1, [case("one"), case("two", "tab\tand \x1b[2J\u202eescape"), case("three")], tmp_path / "r.jsonl", picky
    )


def review(docket: Docket, keys: str, lines: Sequence[str] = ()) -> str:
    """Press these keys; edited lines become these. Returns what was shown."""
    pressed, typed, out, paused = iter(keys), iter(lines), io.StringIO(), list[bool]()
    console = Console(file=out, width=100)
    TerminalReview(lambda: paused.append(True), console, lambda: next(pressed), lambda label, text: next(typed))(docket)
    assert paused == [True], "the live screen is taken away first"
    return out.getvalue()


def acts(docket: Docket) -> list[tuple[str, str]]:
    """What is on the disk."""
    return [(one.candidate_id, one.act) for one in read_decisions(docket.path)]


def test_one_key_a_lesson(docket: Docket) -> None:
    shown = review(docket, "ara")
    assert acts(docket) == [("one", "accept"), ("two", "reject"), ("three", "accept")]
    assert "lesson 1 of 3" in shown and "lesson 3 of 3" in shown
    assert "2 of 3 lessons of round 1 are kept" in shown


def test_a_lesson_is_shown_with_where_it_comes_from_and_what_was_said_of_it(docket: Docket) -> None:
    shown = review(docket, "q")
    for part in ("billing taken for access", "contrast", "Where is my invoice?", "access was said, billing is right",
                 "Who pays for [b]this[/b]?", "teacher: billing, student: access", "0.87"):  # fmt: skip
        assert part in shown


def test_text_from_a_teacher_cannot_move_the_cursor(docket: Docket) -> None:
    shown = review(docket, "aq")
    assert "lesson 2 of 3" in shown
    assert not {"\x1b", "\u202e", "\t"} & set(shown)


def test_accept_the_rest(docket: Docket) -> None:
    shown = review(docket, "rA")
    assert acts(docket) == [("one", "reject"), ("two", "accept"), ("three", "accept")]
    assert "lesson 3 of 3" not in shown, "what is accepted unseen is not shown"


@pytest.mark.parametrize("stop", ["q", "\x03", "\x04"])
def test_stopping_keeps_what_was_decided_and_going_on_begins_there(docket: Docket, stop: str) -> None:
    review(docket, "a" + stop)
    assert acts(docket) == [("one", "accept")]
    shown = review(docket, "ra")
    assert "lesson 1 of 3" not in shown and "lesson 2 of 3" in shown
    assert acts(docket) == [("one", "accept"), ("two", "reject"), ("three", "accept")]


def test_any_other_key_says_which_there_are_and_decides_nothing(docket: Docket) -> None:
    shown = review(docket, "xz1q")
    assert shown.count("a accept") == 4
    assert acts(docket) == []


def test_an_edited_lesson_is_kept_as_typed(docket: Docket) -> None:
    review(docket, "eq", ["  Who pays,\\nand when?  ", "billing"])
    (decision,) = read_decisions(docket.path)
    assert decision.edit is not None
    assert (decision.act, decision.edit.prompt, decision.edit.answer) == ("edit", "Who pays,\nand when?", "billing")


def test_an_edit_that_cannot_be_a_lesson_says_why_and_asks_again(docket: Docket) -> None:
    shown = review(docket, "ereq", ["a copy", "billing", "a copy", "billing"])
    assert shown.count("this cannot be a lesson: duplicate: s1") == 2
    assert shown.count("lesson 2 of 3") == 2, "the second is shown again after its refused edit"
    assert acts(docket) == [("one", "reject")]


def test_an_edit_that_changes_nothing_is_no_edit(docket: Docket) -> None:
    one = docket.cases[0].candidate
    assert "nothing was changed" in review(docket, "eq", [escaped(one.prompt), one.answer])
    assert acts(docket) == []


@pytest.mark.parametrize("text", ["plain", "two\nlines", "a \\n b", "C:\\new\\table", "\\", "\\\n\\", "\n", "\\\\n"])
def test_a_text_survives_being_edited_as_one_line(text: str) -> None:
    assert "\n" not in escaped(text)
    assert unescaped(escaped(text)) == text


def test_nobody_can_be_asked_without_a_terminal() -> None:
    assert not can_ask("plain"), "pytest has none"
    assert not can_ask("json")


# --- in a real terminal


@pytest.mark.skipif(sys.platform != "linux", reason="reads a Linux terminal")
def test_review_in_a_terminal_of_a_whole_run(tmp_path: Path) -> None:
    arguments = words("run", "--review", "--ui", "rich", "--name", "errands", runs=tmp_path / "runs")
    with terminal([str(ROOT / "tests" / "dry_run.py"), "table", *arguments], tmp_path) as (process, wait_for, press):
        wait_for("lesson 1 of")
        press("e")
        wait_for("prompt> ")
        press(" and more\r")  # the text is filled in, the cursor behind it
        wait_for("answer> ")
        press("\r")
        wait_for("lesson 2 of")
        press("\x1b[A")  # the arrow up ends in an A, and must not accept the rest
        wait_for("q stop here")
        press("r")
        wait_for("lesson 3 of")
        press("A")
        wait_for("are kept")
        assert process.wait(PATIENCE) == 0
    folder = tmp_path / "runs" / "errands-1"
    first, second, *_ = read_decisions(folder / "rounds" / "001" / "review.jsonl")
    assert first.edit is not None
    assert first.edit.prompt.endswith(" and more")
    assert second.act == "reject"
    told = [one["prompt"] for one in events(folder) if one["event"] == "accepted"]
    assert first.edit.prompt in told
    assert events(folder)[-1]["status"] == "done"


@contextlib.contextmanager
def terminal(command: list[str], cache: Path):  # type: ignore[no-untyped-def]
    """A Python process in a terminal of its own: the process, a way to wait for a text on it, and a way to press keys."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    process = subprocess.Popen(
        [sys.executable, *command], stdin=theirs, stdout=theirs, stderr=theirs, cwd=ROOT, start_new_session=True,
        env={**environment(cache), "TERM": "xterm"},
    )  # fmt: skip
    os.close(theirs)
    seen = bytearray()

    def read() -> None:
        if select.select([ours], [], [], 0.1)[0]:
            with contextlib.suppress(OSError):
                seen.extend(os.read(ours, 65536))

    def wait_for(text: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while text.encode() not in seen:
            assert time.monotonic() < deadline and process.poll() is None, seen[-2000:].decode(errors="replace")
            read()
        del seen[: seen.index(text.encode()) + len(text)]

    def wait(seconds: float) -> int:
        deadline = time.monotonic() + seconds
        while process.poll() is None and time.monotonic() < deadline:
            read()  # a terminal nobody reads would hold the process up
        return process.returncode

    process.wait = wait  # type: ignore[method-assign,assignment]
    press: Callable[[str], int] = lambda keys: os.write(ours, keys.encode())  # noqa: E731
    try:
        yield process, wait_for, press
    finally:
        process.kill()
        subprocess.Popen.wait(process)
        os.close(ours)

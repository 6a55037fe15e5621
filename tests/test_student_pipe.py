"""The line to a child process: answers, progress and errors come through, prints do not, and no child outlives its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from student.pipe import Ended, Failed, Pipe, Stopped

CHILD = """
import os, subprocess, sys, time
from student.pipe import serve

def answer(job, say):
    print("a line that is no answer", flush=True)
    os.write(1, b"{\\"result\\": \\"a lie\\"}\\n")
    if job["do"] == "count":
        for number in range(3):
            say(done=number)
        return {"read": sys.stdin.read(), "text": job["text"]}
    if job["do"] == "fail":
        raise LookupError("nothing there") if job["fixable"] else KeyError("ours")
    if job["do"] == "end":
        print("last words", file=sys.stderr, flush=True)
        os._exit(3)
    grandchild = subprocess.Popen(["sleep", "600"])
    say(pid=grandchild.pid)
    time.sleep(600)

def main():
    serve(answer, (LookupError,))

class KeyError(Exception):
    pass

main()
"""


@pytest.fixture
def pipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipe]:
    (tmp_path / "echo_child.py").write_text(CHILD)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    line = Pipe("echo_child", tmp_path / "log")
    yield line
    line.close()


def test_answers_and_progress_come_through_and_prints_do_not(pipe: Pipe) -> None:
    told: list[dict[str, Any]] = []
    text = 'caf\u00e9 \u2028 \n {"result": 1}'
    assert pipe.call({"do": "count", "text": text}, told.append) == {"read": "", "text": text}
    assert told == [{"done": 0}, {"done": 1}, {"done": 2}]
    assert "a line that is no answer" in pipe.log.read_text()


def test_an_error_is_told_with_its_kind_and_the_child_lives_on(pipe: Pipe) -> None:
    for fixable in (True, False):
        with pytest.raises(Failed) as caught:
            pipe.call({"do": "fail", "fixable": fixable})
        assert caught.value.fixable == fixable
    assert pipe.call({"do": "count", "text": "x"})["text"] == "x"


def test_a_child_that_ends_is_told_with_its_last_words_and_started_again(pipe: Pipe) -> None:
    with pytest.raises(Ended, match=r"exit 3.*last words"):
        pipe.call({"do": "end"})
    assert not pipe.running
    assert pipe.call({"do": "count", "text": "x"})["text"] == "x"


def test_a_stop_ends_the_child_and_what_it_started(pipe: Pipe) -> None:
    grandchildren: list[psutil.Process] = []
    pipe.should_stop = lambda: bool(grandchildren)
    with pytest.raises(Stopped):
        pipe.call({"do": "hang"}, lambda message: grandchildren.append(psutil.Process(message["pid"])))
    psutil.wait_procs(grandchildren, timeout=20)
    assert not grandchildren[0].is_running() or grandchildren[0].status() == psutil.STATUS_ZOMBIE


def test_the_child_dies_with_a_parent_that_is_killed(pipe: Pipe, tmp_path: Path) -> None:
    parent = f"""
from pathlib import Path
from student.pipe import Pipe
Pipe("echo_child", Path({str(tmp_path / "log")!r})).call({{"do": "hang"}}, lambda message: print(message["pid"], flush=True))
"""
    root = str(Path(__file__).parent.parent)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([root, str(tmp_path)])}
    with subprocess.Popen(
        [sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True, env=environment
    ) as running:
        assert running.stdout is not None
        grandchild = psutil.Process(int(running.stdout.readline()))
        child = grandchild.parent()
        assert child is not None and child.pid != running.pid
        running.send_signal(signal.SIGKILL)
    _, alive = psutil.wait_procs([child, grandchild], timeout=20)
    assert all(one.status() == psutil.STATUS_ZOMBIE for one in alive)

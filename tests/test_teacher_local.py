"""The local server's child: it comes up, it explains itself when it cannot, and it never outlives its parent.

llama.cpp is stood in for by a module of that name, first on the child's path; all else is real.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from teacher.errors import TeacherUnusable
from teacher.local import LocalServer

ROOT = Path(__file__).resolve().parent.parent
STAND_IN = """
import sys
from types import SimpleNamespace as Bag
def CommonParams():
    return Bag(model=Bag(), cpuparams=Bag(), cpuparams_batch=Bag())
class Server:
    def __init__(self, params):
        print("native noise", flush=True)
        assert params.n_ctx == 3 * 512 and params.api_keys[0] not in " ".join(sys.argv)
        print("threads", params.cpuparams.n_threads, params.cpuparams_batch.n_threads, flush=True)
        self.listening_address = "http://127.0.0.1:4242"
"""
PARENT = """
import sys
from pathlib import Path
from teacher.local import LocalServer
server = LocalServer(Path(sys.argv[1]), slots=3, context=512).start()
print(server._child.pid, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "xllamacpp.py").write_text(STAND_IN)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), str(ROOT)]))
    (tmp_path / "m.gguf").write_bytes(b"GGUF and more")
    return tmp_path / "m.gguf"


def ended(pid: int) -> bool:
    """Waits until a process that need not be our child is gone."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], 10)[0])
    finally:
        os.close(handle)


def test_a_server_comes_up_and_ends_with_the_block(model: Path, tmp_path: Path) -> None:
    log = tmp_path / "logs" / "server.log"
    with LocalServer(model, slots=3, context=512, log=log) as server:
        assert server.base_url == "http://127.0.0.1:4242/v1"
        assert server._child is not None
        pid = server._child.pid
        assert os.getsid(pid) == pid  # Ctrl-C in our terminal does not reach it
    assert ended(pid)
    assert "native noise" in log.read_text()
    assert server.api_key not in log.read_text()


def test_a_server_that_was_killed_is_not_waited_for(model: Path, tmp_path: Path) -> None:
    with LocalServer(model, slots=3, context=512, log=tmp_path / "server.log") as server:
        server.check()  # it is well
        assert server._child is not None
        server._child.kill()
        server._child.wait()
        with pytest.raises(TeacherUnusable, match=r"killed by signal 9 while it was in use[\s\S]*native noise"):
            server.check()


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="watches a process by pidfd")
def test_the_child_ends_when_its_parent_is_killed(model: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(model)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
    ) as parent:
        assert parent.stdout
        child = int(parent.stdout.readline())
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        assert ended(child)


def test_a_child_without_settings_ends_at_once() -> None:
    done = subprocess.run(  # noqa: PLW1510  the exit status is asserted below
        [sys.executable, "-m", "teacher.local"], stdin=subprocess.DEVNULL, cwd=ROOT, timeout=30, capture_output=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_a_model_that_does_not_load_is_explained_by_the_log(model: Path, tmp_path: Path) -> None:
    (tmp_path / "xllamacpp.py").write_text("raise RuntimeError('out of memory, says the stand-in')")
    with pytest.raises(TeacherUnusable, match="out of memory, says the stand-in"):
        LocalServer(model, log=tmp_path / "server.log").start()


def test_waiting_can_be_given_up(model: Path, tmp_path: Path) -> None:
    (tmp_path / "xllamacpp.py").write_text("import threading; threading.Event().wait(60)")
    server = LocalServer(model)
    pids: list[int] = []

    def give_up(_: float) -> None:
        assert server._child is not None
        pids.append(server._child.pid)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        server.start(give_up)
    assert ended(pids[0])


@pytest.mark.parametrize("content", [None, b"", b"version https://git-lfs.github.com/spec/v1"])
def test_a_file_that_is_no_model_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "m.gguf"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(TeacherUnusable, match=r"m\.gguf"):
        LocalServer(path).start()


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system does not pin processes to cores")
def test_it_computes_with_the_cores_it_may_use_and_no_more(model: Path, tmp_path: Path) -> None:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        with LocalServer(model, slots=3, context=512, log=tmp_path / "log"):
            pass
    finally:
        os.sched_setaffinity(0, before)
    assert "threads 1 1" in (tmp_path / "log").read_text()

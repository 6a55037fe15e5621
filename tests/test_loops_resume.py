"""Promise 1: kill -9 at any moment, then `resume`, gives what an undisturbed run gives, and buys nothing twice.

Two ways of dying. Real processes with the tiny student are killed inside every verb, one after another in one run, and
their children must go with them. And a whole run is forked again and again and killed at its n-th step on the disk or
in a database, for steps all over the run: that finds the gap between two writes that no clock would hit.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from dry_run import (
    alive,
    bought,
    crash_server,
    events,
    finish,
    finished_run,
    products,
    start,
    verb_started,
    wait_until,
    words,
)

ORDER = ((0, "baseline"), (0, "train"), (0, "evaluate"), (0, "decide"), (1, "mine"), (1, "diagnose"), (1, "generate"),
         (1, "curate"), (1, "train"), (1, "claim"))  # fmt: skip
SAMPLES = 24
"""Kills spread over the steps of a run; trying every step takes five minutes and was done once by hand."""


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an undisturbed run."""
    return finished_run(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="module")
def cache(reference: Path) -> Path:
    return reference.parent.parent / "dry-cache"


def use_machine_of(reference: Path, folder: Path) -> None:
    """Compute as the reference run did: which precision is faster is found out anew by every run, not by a resume."""
    shutil.copy(reference / "machine.json", folder / "machine.json")


def assert_same(folder: Path, reference: Path) -> None:
    found, wanted = products(folder), products(reference)
    assert found.keys() == wanted.keys()
    assert [path for path in wanted if found[path] != wanted[path]] == []
    assert bought(folder) == bought(reference)


def seconds_of(reference: Path) -> dict[tuple[int, str], float]:
    """How long each verb took, undisturbed."""
    return {(one["round"], one["verb"]): one["seconds"] for one in events(reference) if one["event"] == "verb.done"}


def test_the_reference_run_went_through_every_verb_and_made_lessons(reference: Path) -> None:
    made = products(reference)
    assert {verb for _, verb in seconds_of(reference)} == {verb for _, verb in ORDER}
    assert made["rounds/001/lessons.jsonl"].count(b"\n") >= 3
    assert b'"accepted":false' in made["rounds/001/verdicts.jsonl"]
    assert {"claim/claim.json", "rounds/001/adapter/adapter_model.safetensors"} <= made.keys()
    assert set(bought(reference).values()) == {1}


def test_killed_inside_every_verb_it_resumes_to_the_same_bytes(reference: Path, cache: Path, tmp_path: Path) -> None:
    draw, lasts = random.Random(20260101), seconds_of(reference)
    folder, killed = tmp_path / "errands-1", list[tuple[int, str]]()
    for number, verb in ORDER:
        if any(
            (one.get("round"), one.get("verb")) == (number, verb)
            for one in events(folder)
            if one["event"] == "verb.done"
        ):
            continue  # the kill before came late, in the next verb
        # A busy machine may be several times quicker now than when the reference was made.
        delay = draw.uniform(0.0, 0.4) * lasts[number, verb]
        arguments = words("resume", "errands", "--ui", "quiet", runs=tmp_path)
        if not killed:
            arguments = words("run", "--ui", "quiet", "--name", "errands", runs=tmp_path)
        code, _, err = finish(start(cache, arguments, mark=str(tmp_path), kill=(verb, number, delay)))
        assert code == -signal.SIGKILL, f"{verb} of round {number} was not killed: {err[-2000:]}"
        killed.append(
            next((one["round"], one["verb"]) for one in reversed(events(folder)) if one["event"] == "verb.started")
        )
        wait_until(lambda: not alive(str(tmp_path)), "the end of all children")
        use_machine_of(reference, folder)
    assert len(set(killed)) >= 5
    code, _, err = finish(start(cache, words("resume", "errands", "--ui", "plain", runs=tmp_path), mark=str(tmp_path)))
    assert code == 0, err[-2000:]
    assert_same(folder, reference)
    assert events(folder)[-1]["status"] == "done"
    wait_until(lambda: not alive(str(tmp_path)), "the end of all children")


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
def test_ctrl_c_in_training_stops_says_how_to_go_on_and_goes_on(reference: Path, cache: Path, tmp_path: Path) -> None:
    folder = tmp_path / "errands-1"
    process = start(cache, words("run", "--ui", "plain", "--name", "errands", runs=tmp_path), mark=str(tmp_path))
    with contextlib.ExitStack() as cleaning:
        cleaning.callback(process.kill)
        wait_until(lambda: verb_started(folder, "train"), "training")
        assert len(alive(str(tmp_path))) == 2, "the run and its student's process"
        process.send_signal(signal.SIGINT)
        code, out, err = finish(process)
    assert code == 130, err[-2000:]
    assert f"llm2llm resume {folder}" in out.replace("\n", "")
    assert "Traceback" not in err
    assert events(folder)[-1]["status"] == "stopped"
    wait_until(lambda: not alive(str(tmp_path)), "the end of all children")
    use_machine_of(reference, folder)
    code, _, err = finish(start(cache, words("resume", "errands", "--ui", "plain", runs=tmp_path)))
    assert code == 0, err[-2000:]
    assert_same(folder, reference)


# --- killed at a step on the disk, with a table student


Run = Callable[[list[str], Path, int], dict[str, int]]


@pytest.fixture(scope="module")
def forked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    with crash_server(tmp_path_factory.mktemp("cache")) as run:
        yield run


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory where there is one: these runs sync to the disk thousands of times."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        yield Path(folder)


def begin(run: Run, runs: Path, last: int = 0) -> dict[str, int]:
    arguments = words("run", "--ui", "quiet", "--name", "errands", runs=runs, generate__lessons="16")
    return run(arguments, runs / "errands-1", last)


def go_on(run: Run, runs: Path, last: int = 0) -> dict[str, int]:
    return run(words("resume", "errands", "--ui", "quiet", runs=runs), runs / "errands-1", last)


@pytest.fixture(scope="module")
def whole(forked: Run, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """An undisturbed run with a table student, and how many steps it made."""
    runs = tmp_path_factory.mktemp("whole")
    ended = begin(forked, runs)
    assert ended["code"] == 0
    return runs / "errands-1", ended["steps"]


def test_killed_at_any_step_it_resumes_to_the_same_bytes(forked: Run, whole: tuple[Path, int], disk: Path) -> None:
    reference, steps = whole
    assert steps > 300
    assert (reference / "best").resolve() == reference / "rounds" / "001", (
        "the claim must have a best student to examine"
    )
    every = max(1, steps // SAMPLES)
    for last in range(random.Random(1).randrange(8, 8 + every), steps, every):
        folder = disk / str(last) / "errands-1"
        assert begin(forked, folder.parent, last)["code"] == -signal.SIGKILL
        assert go_on(forked, folder.parent)["code"] == 0, f"killed at step {last}"
        assert_same(folder, reference)


def test_killed_again_and_again_it_still_gets_there(forked: Run, whole: tuple[Path, int], disk: Path) -> None:
    reference, _ = whole
    draw = random.Random(2)
    assert begin(forked, disk, 40)["code"] == -signal.SIGKILL
    for _ in range(60):
        if go_on(forked, disk, draw.randrange(30, 120))["code"] == 0:
            break
    assert_same(disk / "errands-1", reference)


def test_a_draft_that_a_kill_left_behind_is_gone_after_the_resume(
    forked: Run, whole: tuple[Path, int], disk: Path
) -> None:
    _, steps = whole
    for last in range(steps // 2, steps):
        folder = disk / str(last) / "errands-1"
        begin(forked, folder.parent, last)
        if drafts := [path.name for path in folder.rglob(".*.tmp")]:
            assert go_on(forked, folder.parent)["code"] == 0
            assert [path.name for path in folder.rglob(".*") if path.name in drafts] == []
            return
    raise AssertionError("no kill left a draft behind")


def test_resuming_a_finished_run_changes_nothing(forked: Run, disk: Path) -> None:
    begin(forked, disk)
    before = products(disk / "errands-1")
    assert go_on(forked, disk)["code"] == 0
    assert products(disk / "errands-1") == before

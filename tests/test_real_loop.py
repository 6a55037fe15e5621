"""The real thing, small: the built-in 135M student, the built-in 1.5B teacher on a real llama.cpp server, a real kill -9.

The run is killed with SIGKILL once the teacher has given some of its lessons, resumed, and must then finish without
buying a received reply again and without leaving a process behind. What it prints are the student's and teacher's own.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from dry_run import ERRANDS, MARK, ROOT, alive, events, finish, wait_until

from agent.builtin import cache_folder

SETTINGS = (
    "train.epochs=4", "train.min_steps=24", "train.learning_rate=0.002", "teacher.slots=1", "teacher.check_items=4",
    "mine.folds=2", "generate.lessons=6", "generate.per_request=2", "stop.rounds=1",
)  # fmt: skip


def launch(arguments: list[str], mark: str) -> subprocess.Popen[str]:
    """A process of the program with the real models, marked so that its children can be found."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "LLM2LLM_CACHE": str(cache_folder()), MARK: mark}
    return subprocess.Popen(
        [sys.executable, "-m", "llm2llm", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        cwd=ROOT, env=environment,
    )  # fmt: skip


def settled(folder: Path) -> dict[str, int]:
    """How often each request was bought, by key, of those whose reply was received."""
    # Not read-only: a writer killed within a page leaves a journal, which whoever opens the file next rolls back.
    with closing(sqlite3.connect(folder / "ledger.sqlite")) as ledger:
        rows = ledger.execute("select key, count(*) from requests where state = 'settled' group by key")
        return dict(rows.fetchall())


@pytest.mark.real
def test_the_real_models_survive_kill_minus_nine(tmp_path: Path) -> None:
    sets = [word for setting in SETTINGS for word in ("--set", setting)]
    process = launch(["run", "--evals", str(ERRANDS), *sets, "--runs", str(tmp_path), "--ui", "quiet"], "real-1")
    folder = tmp_path / "evals-1"

    def some_lessons() -> bool:
        said = events(folder)
        return process.poll() is not None or any(
            one["event"] == "verb.progress" and one["verb"] == "generate" for one in said
        )

    wait_until(some_lessons, "the teacher's first lesson")
    process.send_signal(signal.SIGKILL)
    process.communicate()
    wait_until(lambda: not alive("real-1"), "the end of the student's and the teacher's processes")
    bought = settled(folder)
    assert bought, "the kill came before any reply was in the ledger"

    code, out, err = finish(launch(["resume", "evals-1", "--runs", str(tmp_path), "--ui", "plain"], "real-2"))

    assert code == 0, err[-3000:]
    assert not alive("real-2")
    assert set(settled(folder).values()) == {1}
    assert bought.keys() <= settled(folder).keys()
    check_scores(folder)
    assert "seed-only" in out
    # Our own server answers by its file's path, which is no news.
    assert not [one for one in events(folder) if one["event"] == "note" and "not the model asked for" in one["text"]]


def check_scores(folder: Path) -> None:
    """Every score adds up, and a student fine-tuned on 20 errands does better than chance."""
    claim = json.loads((folder / "claim" / "claim.json").read_text())
    scores = {(one["student"], one["split"]): one for one in events(folder) if one["event"] == "score"}
    assert claim["n"] == scores["seed-only", "test"]["n"] == 24
    assert scores["seed-only", "test"]["right"] >= 10  # by chance 6; that many or more one time in twenty
    assert scores["teacher", "mine"]["n"] == 4
    verdicts = (folder / "rounds" / "001" / "verdicts.jsonl").read_text().splitlines()
    candidates = (folder / "rounds" / "001" / "candidates.jsonl").read_text().splitlines()
    assert len(verdicts) == len(candidates) > 0

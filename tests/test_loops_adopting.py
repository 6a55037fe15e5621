"""A rebased run learns what another run accumulated, asks no teacher, and can be killed like any other.

Runs have a table student (`dry_run`); those that are killed are forked from one process, at steps all over the run.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from dry_run import bought, command_line, crash_server, events, products, table_run, table_student

from loops.adopting import one_round
from loops.decide import StopReason, decide
from loops.openings import openings
from loops.settings import StopSettings
from student.records import Attempt

KILLS = 6


@pytest.fixture
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A copy of a finished run with all that lies beside it, in memory where that is possible."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as place:
        shutil.copytree(table_run(tmp_path_factory.getbasetemp()).parent, Path(place) / "runs", symlinks=True)
        yield Path(place) / "runs"


def rebase(runs: Path, *more: str, student: str = "builtin:tiny", ui: str = "quiet") -> int:
    with table_student():
        return command_line(["rebase", "errands", "--student", student, "--ui", ui, "--runs", str(runs), *more])


def refused(capsys: Any, runs: Path, *more: str, student: str = "builtin:tiny") -> str:
    capsys.readouterr()
    assert rebase(runs, *more, student=student) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1), "one paragraph"
    return err


def refingerprint(old: Path) -> None:
    raw = yaml.safe_load((old / "config.yaml").read_text())
    (old / "config.yaml").write_text(yaml.safe_dump(raw | {"evals_fingerprint": "0" * 64}, sort_keys=False))


def lessons(folder: Path, number: int) -> bytes:
    return (folder / "rounds" / f"{number:03d}" / "lessons.jsonl").read_bytes()


def test_the_lessons_are_taken_over_byte_for_byte_and_nobody_is_asked(runs: Path, capsys: Any) -> None:
    old, new = runs / "errands-1", runs / "errands-rebased-1"
    best = json.loads((old / "claim" / "claim.json").read_text())["best"]
    assert best > 0, "there must be something to take over"
    assert rebase(runs, ui="plain") == 0
    assert lessons(new, 1) == b"".join(lessons(old, number) for number in range(1, best + 1))
    assert not (new / "ledger.sqlite").exists() or not bought(new)
    assert not (new / "baseline" / "attempts.teacher.mine.jsonl").exists()
    verbs = [event["verb"] for event in events(new) if event["event"] == "verb.started"]
    assert verbs == ["baseline", "train", "evaluate", "decide", "adopt", "train", "evaluate", "decide", "claim"]
    count = lessons(new, 1).count(b"\n")
    told = next(event for event in events(new) if event["event"] == "adopted")
    assert (told["run"], told["lessons"], sum(told["strategies"].values())) == ("errands-1", count, count)
    out = " ".join(capsys.readouterr().out.split())
    assert f"{count} lessons of the run errands-1" in out
    assert "the best student of errands-rebased-1" in out and "that of errands-1" in out


def test_test_is_marked_as_seen_by_the_old_run_also_where_that_was_kept_elsewhere(runs: Path, tmp_path: Path) -> None:
    with table_student():
        old = str(runs / "errands-1")
        arguments = ["rebase", old, "--student", "builtin:tiny", "--ui", "quiet", "--name", "fresh"]
        assert command_line([*arguments, "--runs", str(tmp_path / "other")]) == 0
    claim = json.loads((tmp_path / "other" / "fresh-1" / "claim" / "claim.json").read_text())
    assert claim["test_seen_before_by"] == ["errands-1"]
    fingerprint = json.loads((runs / "errands-1" / "splits.json").read_text())["fingerprint"]
    assert openings(tmp_path / "other", fingerprint) == ["errands-1", "fresh-1"]


def test_settings_are_the_old_ones_but_for_what_was_typed(runs: Path) -> None:
    assert rebase(runs, "--set", "train.epochs=2", "--set", "seed=7") == 0
    old, new = (
        yaml.safe_load((runs / name / "config.yaml").read_text()) for name in ("errands-1", "errands-rebased-1")
    )
    changed = {
        key: (old[key], new[key])
        for key in old
        if old[key] != new[key] and key not in ("train", "stop", "lessons_from")
    }
    assert changed == {"seed": (old["seed"], 7)}
    assert new["lessons_from"] == str((runs / "errands-1").resolve())
    assert (new["train"]["epochs"], new["stop"]["rounds"]) == (2.0, 1)


def test_a_rebased_run_reports_and_shows(runs: Path, capsys: Any) -> None:
    assert rebase(runs) == 0
    for verb in ("show", "report"):
        assert command_line([verb, "errands-rebased", "--runs", str(runs)]) == 0
    count = lessons(runs / "errands-rebased-1", 1).count(b"\n")
    shown = " ".join(capsys.readouterr().out.split())
    assert f"lessons {count} of the run errands-1" in shown


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda old: (old / "rounds" / "001" / "lessons.jsonl").write_text(""), "changed after it was made"),
        (lambda old: (old / "claim" / "claim.json").unlink(), "made no claim yet"),
        (lambda old: (old / "claim" / "claim.json").write_text('{"best": 0}'), "kept its seed-only student"),
        (lambda old: (old / "claim" / "claim.json").write_text("{"), "damaged"),
        (refingerprint, "another eval set"),
    ],
)
def test_a_run_that_has_nothing_sound_to_give_is_refused(
    runs: Path, capsys: Any, spoil: Callable[[Path], object], said: str
) -> None:
    spoil(runs / "errands-1")
    assert said in refused(capsys, runs)
    assert not (runs / "errands-rebased-1").exists(), "no empty run is left behind"


@pytest.mark.parametrize("change", ["lessons_from=null", "control=true", "evals=other.yaml"])
def test_what_would_make_it_another_thing_is_refused(runs: Path, capsys: Any, change: str) -> None:
    assert "does not go with rebase" in refused(capsys, runs, "--set", change)


def test_a_model_that_is_not_there_is_refused(runs: Path, capsys: Any) -> None:
    assert "does not exist" in refused(capsys, runs, student="./nowhere")
    assert not (runs / "errands-rebased-1").exists()


def test_without_the_old_run_it_resumes_only_once_the_lessons_are_here(runs: Path, capsys: Any) -> None:
    assert rebase(runs) == 0
    new, before = runs / "errands-rebased-1", products(runs / "errands-rebased-1")
    (new / "checkpoints.sqlite").unlink()
    (runs / "errands-1").rename(runs / "away")
    with table_student():
        resume = ["resume", "errands-rebased", "--ui", "quiet", "--runs", str(runs)]
        assert command_line(resume) == 0
        assert products(new) == before
        (new / "checkpoints.sqlite").unlink()
        (new / "rounds" / "001" / "lessons.jsonl").unlink()
        capsys.readouterr()
        assert command_line(resume) == 2
        assert "is not there" in capsys.readouterr().err
        (runs / "away").rename(runs / "errands-1")
        assert command_line(resume) == 0
    assert products(new) == before


def test_killed_at_any_step_it_resumes_to_the_same_bytes(runs: Path, tmp_path: Path) -> None:
    arguments = ["rebase", "errands-1", "--student", "builtin:tiny", "--ui", "quiet", "--runs", str(runs), "--name"]
    with crash_server(tmp_path / "cache") as run:
        whole = runs / "whole-1"
        ended = run([*arguments, "whole"], whole, 0)
        assert ended["code"] == 0
        every = max(1, ended["steps"] // KILLS)
        for last in range(20, ended["steps"], every):
            folder = runs / f"at{last}-1"
            assert run([*arguments, f"at{last}"], folder, last)["code"] == -signal.SIGKILL
            assert run(["resume", folder.name, "--ui", "quiet", "--runs", str(runs)], folder, 0)["code"] == 0, last
            found, wanted = products(folder), products(whole)
            assert found.keys() == wanted.keys()
            assert [name for name in wanted if found[name] != wanted[name] and name != "claim/claim.json"] == []


def test_one_round_is_had_even_where_the_target_is_reached_before() -> None:
    right = [Attempt(item_id="a", output="x", outcome="right", score=1.0)]
    stop = StopSettings(rounds=9, target=0.5, min_gain=0.9)
    assert decide([right], {}, stop).reason == StopReason.TARGET
    assert decide([right], {}, one_round(stop)).reason is None
    assert decide([right, right], {}, one_round(stop)).reason is not None


def crossed(runs: Path, name: str, **changes: str) -> int:
    from dry_run import words

    sets = {"mode": "cross-fit", "teacher__check_items": "0", "generate__lessons": "8"} | changes
    with table_student():
        return command_line(words("run", "--ui", "quiet", "--name", name, runs=runs, **sets))


def test_a_cross_fitted_run_hands_its_lessons_to_a_cross_fitted_one(runs: Path) -> None:
    assert crossed(runs, "crossed") == 0
    old, new = runs / "crossed-1", runs / "crossed-rebased-1"
    assert json.loads((old / "claim" / "claim.json").read_text())["best"] > 0
    with table_student():
        arguments = ["rebase", "crossed", "--student", "builtin:tiny", "--ui", "quiet", "--runs", str(runs)]
        assert command_line(arguments) == 0
    assert yaml.safe_load((new / "config.yaml").read_text())["mode"] == "cross-fit"
    assert lessons(new, 1) == lessons(old, 1)
    assert (
        json.loads((new / "splits.json").read_text())["folds"] == json.loads((old / "splits.json").read_text())["folds"]
    )


def test_lessons_made_from_several_folds_are_not_cross_fitted(runs: Path, capsys: Any) -> None:
    said = refused(capsys, runs, "--set", "mode=cross-fit")
    assert "seeds of fold" in said and "--set mode=select" in said
    assert not (runs / "errands-rebased-1").exists()

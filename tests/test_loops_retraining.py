"""Several training seeds: the same data trained again, every training counted, and a claim about the lessons."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from dry_run import command_line, table_student, words

from student.records import Attempt, read_records


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    runs = tmp_path_factory.mktemp("seeds")
    with table_student():
        assert command_line(words("run", "--ui", "quiet", "--name", "errands", runs=runs, train__seeds="3")) == 0
    return runs / "errands-1"


def test_every_training_is_examined_on_test_and_counted(folder: Path) -> None:
    claim = json.loads((folder / "claim" / "claim.json").read_text())
    assert claim["best"] == 1 and claim["lessons"]["seeds"] == 3
    gains: list[float] = []
    for training in ("", "training-2/", "training-3/"):
        right = {
            name: sum(
                one.right for one in read_records(folder / f"claim/{training}attempts.{name}.test.jsonl", Attempt)
            )
            for name in ("best", "seed-only")
        }
        gains.append((right["best"] - right["seed-only"]) / claim["n"])
    assert claim["lessons"]["per_seed"] == pytest.approx(gains, abs=1e-6)
    assert claim["lessons"]["gain"] == pytest.approx(sum(gains) / 3, abs=1e-6)


def test_the_sentence_is_about_the_lessons(folder: Path) -> None:
    claim = json.loads((folder / "claim" / "claim.json").read_text())
    assert (
        "the lessons up to round 1" in claim["lessons"]["sentence"]
        and "3 training seeds" in claim["lessons"]["sentence"]
    )
    assert "the student of round 1" in claim["sentence"]


def test_trainings_of_other_seeds_are_made_before_test_is_opened(folder: Path) -> None:
    told = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    opened = next(at for at, event in enumerate(told) if "test is opened" in event.get("text", ""))
    trained = [at for at, event in enumerate(told) if event["event"] == "loss" and "training" in event["student"]]
    assert len(trained) == 4 and max(trained) < opened

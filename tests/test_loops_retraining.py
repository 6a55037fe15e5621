"""Several training seeds: the same data trained again, every training counted, and a claim about the lessons."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from dry_run import ERRANDS, command_line, table_student, words

from agent.report.gather import facts_of
from loops.crew import Crew
from loops.learning import SMOOTHING, example, fit, training_settings
from loops.run_folder import RunFolder
from loops.settings import RunSettings
from loops.state import State
from student.evals.load import load_evals
from student.records import Attempt, read_records
from student.settings import TrainSettings


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


def test_such_a_run_is_shown_reported_and_compared(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with table_student():
        assert command_line(["show", str(folder)]) == 0
        said = " ".join(capsys.readouterr().out.split())
        assert "3 training seeds" in said
        assert command_line(["report", str(folder), "--to", str(tmp_path)]) == 0
        shutil.copytree(folder, tmp_path / "errands-2")
        assert command_line(["compare", str(folder), str(tmp_path / "errands-2")]) == 0
    claim = facts_of(RunFolder(folder)).claim
    assert claim and claim.lessons and claim.lessons.seeds == 3


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


@pytest.mark.parametrize(
    ("set_to", "labels", "used"),
    [(None, ("a", "b"), SMOOTHING), (None, (), 0.0), (0.0, ("a", "b"), 0.0), (0.2, (), 0.2)],
)
def test_targets_are_smoothed_where_labels_are_fixed_unless_it_is_set(
    set_to: float | None, labels: tuple[str, ...], used: float
) -> None:
    settings = RunSettings(evals="evals.yaml", train=TrainSettings(smoothing=set_to))
    crew: Any = SimpleNamespace(settings=settings, evals=SimpleNamespace(labels=labels))
    found = training_settings(crew)
    assert found.get("smoothing", 0.0) == used
    assert used or "smoothing" not in found, "as before there was any: what an older run made is found again"


def test_what_a_training_is_told_is_settled(tmp_path: Path) -> None:
    told: list[dict[str, Any]] = []

    def trained(ask: Any, examples: Any, settings: dict[str, Any], seed: int, out: Path, on: Any, start: Any) -> Any:
        told.append(settings)
        return {"dropped_too_long": 0}

    student: Any = SimpleNamespace(train=trained, start=lambda: {"machine": {}})
    evals, nobody = load_evals(ERRANDS, False), cast("Any", None)
    crew = Crew(RunSettings(evals=str(ERRANDS)), evals, RunFolder(tmp_path), student, nobody, lambda *_, **__: None)
    fit(crew, State(), "seed-only", [example(one) for one in evals.seeds], tmp_path / "adapter")
    assert [one["smoothing"] for one in told] == [SMOOTHING]
    evals.close()

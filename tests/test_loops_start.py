"""`train.start`: where a round's training begins, who goes the same way, and that runs from the base are as they were."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from dry_run import TableStudent, command_line, events, words

from agent import launch
from loops.learning import SMOOTHING, example, training_list
from loops.run_folder import RunFolder, digest
from student.evals.load import load_evals

BEGUN: list[tuple[str, str]] = []
"""Where each adapter was made, and where the one lies that it went on from; below the run folder."""
ROUNDS = {"stop__rounds": "2", "generate__lessons": "16", "stop__keep": "last", "teacher__check_items": "0"}


class Beginning(TableStudent):
    """A table student that writes down from where it was trained."""

    def train(
        self, ask: Any, examples: list[Any], settings: dict[str, Any], seed: int, out: Path, on: Any, start: Any = None
    ) -> dict[str, Any]:
        place = out.with_name(out.name.removeprefix(".").removesuffix(".draft"))
        BEGUN.append((_below(place), _below(start) if start else ""))
        assert start is None or (start / "table.json").exists()
        return super().train(ask, examples, settings, seed, out, on, start)


def _below(place: Path) -> str:
    return place.as_posix().partition("errands-1/")[2]


@pytest.fixture(autouse=True)
def student(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "RecordingWorker", Beginning)
    BEGUN.clear()


def run(runs: Path, *more: str, **changes: str) -> Path:
    assert command_line(words("run", *more, "--ui", "quiet", "--name", "errands", runs=runs, **ROUNDS | changes)) == 0
    return runs / "errands-1"


def test_rounds_arms_and_further_seeds_go_on_from_their_own_last_student(tmp_path: Path) -> None:
    folder = run(tmp_path, "--control", train__start="last", train__seeds="2")
    begun = dict(BEGUN)
    assert len(begun) == len(BEGUN), "nothing was trained twice"
    assert json.loads((folder / "claim" / "claim.json").read_text())["best"] == 2
    expected = {
        "rounds/000/adapter": "",
        "rounds/001/adapter": "rounds/000/adapter",
        "rounds/002/adapter": "rounds/001/adapter",
    }
    again = "claim/training-2"
    expected |= {
        f"{again}/seed-only": "",
        f"{again}/round-1": f"{again}/seed-only",
        f"{again}/best": f"{again}/round-1",
    }
    for arm in ("equal-spend", "equal-number", "equal-steps"):
        for last, seeds in (("adapter", "rounds/000/adapter"), ("training-2", f"{again}/seed-only")):
            place = f"control/{arm}/{last}"
            expected |= {f"{place}.round-1": seeds, place: f"{place}.round-1"}
    assert {place: start for place, start in begun.items() if "folds" not in place} == expected
    folds = {place: start for place, start in begun.items() if "folds" in place}
    assert len(folds) == 4 and set(folds.values()) == {""}, "mining asks students that have not met the fold"
    arms = json.loads((folder / "control" / "arms.json").read_text())
    assert arms["best"]["steps"] == 3 == arms["arms"][2]["size"]["steps"], "one step a training, three trainings"


def test_a_fold_goes_on_from_its_own_last_student(tmp_path: Path) -> None:
    folder = run(tmp_path, mode="cross-fit", train__start="last", stop__keep="best")
    folds = {place: start for place, start in BEGUN if "folds" in place}
    assert set(folds) == {f"rounds/{number:03d}/folds/{fold}" for number in range(3) for fold in (1, 2)}
    for place, start in folds.items():
        number = int(place.split("/")[1])
        assert start == (place.replace(f"{number:03d}", f"{number - 1:03d}") if number else "")
    assert not list(folder.rglob("folds"))


def test_from_the_base_nothing_is_gone_on_from_and_what_was_made_stays_made(tmp_path: Path) -> None:
    """The inputs an adapter is known by say nothing of the choice, and the smoothing as it was settled."""
    folder = run(tmp_path, train__seeds="2")
    assert BEGUN and {start for _, start in BEGUN} == {""}
    settings, _ = RunFolder(folder).load_settings()
    evals = load_evals(settings.evals, cross_fit=False)
    train = settings.train.model_dump(exclude={"seeds"}) | {"smoothing": SMOOTHING}
    assert train.pop("start") == "base"
    machine = {"device": "none", "dtype": "none", "threads": 1, "gflops": 0.0}
    examples = training_list([example(seed).model_dump() for seed in evals.seeds], [], settings.curate.real_share)
    inputs = {"examples": examples, "settings": train, "seed": settings.seed, "ask": evals.ask().model_dump(),
              "student": settings.student.model_dump(), "machine": machine}  # fmt: skip
    made = json.loads((folder / "rounds" / "000" / "made" / "adapter.json").read_text())
    assert made["inputs"] == digest(inputs)


class Meddled(Beginning):
    """Its last round's adapter is changed while mining goes on, and memory is short."""

    def train(
        self, ask: Any, examples: list[Any], settings: dict[str, Any], seed: int, out: Path, on: Any, start: Any = None
    ) -> dict[str, Any]:
        if "002/folds" in out.as_posix():
            (out.parents[2] / "001" / "adapter" / "table.json").write_text("[]")
        on({"note": "memory did not suffice"})
        return super().train(ask, examples, settings, seed, out, on, start)


def test_an_adapter_that_was_changed_is_not_gone_on_from_and_short_memory_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(launch, "RecordingWorker", Meddled)
    arguments = words("run", "--ui", "quiet", "--name", "errands", runs=tmp_path, **ROUNDS, train__start="last")
    assert command_line(arguments) != 0
    assert "rounds/001/adapter is missing or was changed" in capsys.readouterr().err.replace("\n", " ")
    notes = [event["text"] for event in events(tmp_path / "errands-1") if event["event"] == "note"]
    assert "round 1: memory did not suffice" in notes

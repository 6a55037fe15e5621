"""The recipes that ship: each names an eval set that can be read, and those of the paper do what the paper did."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from dry_run import ERRANDS, command_line, events, table_student

from agent.settings import explained, recipes, resolve
from loops.settings import TeacherSettings
from student.evals.spec import read_spec

PAPER = [name for name in recipes() if name.startswith("paper-")]


def test_there_is_a_recipe_for_each_of_the_paper_s_data_sets() -> None:
    assert PAPER == ["paper-casehold", "paper-gsm8k", "paper-snips", "paper-sst2", "paper-trec"]


@pytest.mark.parametrize("name", recipes())
def test_a_recipe_and_its_eval_set_can_be_read(name: str) -> None:
    settings, run = resolve(name, [], {})
    assert run == name
    spec, _ = read_spec(Path(settings.evals))
    assert spec.instruction and spec.splits


@pytest.mark.parametrize("name", PAPER)
def test_a_recipe_of_the_paper_has_its_data_and_its_training(name: str) -> None:
    settings, _ = resolve(name, [], {})
    assert settings.mine.how == "resubstitution"
    assert settings.generate.mix == {"paper": 1.0} and settings.generate.per_failure == 1
    assert not settings.curate.verify
    assert (settings.stop.rounds, settings.stop.keep) == (10, "last")
    assert (settings.student.lora.how, settings.train.epochs, settings.train.learning_rate) == ("full", 3.0, 2e-5)


def errands_without_select(place: Path) -> Path:
    """The errands with nothing to choose among rounds by."""
    spec = yaml.safe_load(ERRANDS.read_text(encoding="utf-8"))
    spec["source"] = str((ERRANDS.parent / spec["source"]).resolve())
    spec["splits"]["select"] = 0
    file = place / "errands.yaml"
    file.write_text(yaml.safe_dump(spec, sort_keys=False), encoding="utf-8")
    return file


@pytest.mark.parametrize("select", [True, False])
def test_the_paper_s_loop_keeps_its_last_round_with_and_without_select(tmp_path: Path, select: bool) -> None:
    evals = ERRANDS if select else errands_without_select(tmp_path)
    sets = {"stop.rounds": "2", "teacher.check_items": "0", "student.lora.how": "lora", "train.epochs": "1"}
    words = ["run", "paper-trec", "--evals", str(evals), "--student", "builtin:tiny", "--teacher", "scripted", "--ui", "quiet",
             *[word for key, value in sets.items() for word in ("--set", f"{key}={value}")], "--runs", str(tmp_path / "runs")]  # fmt: skip
    with table_student():
        assert command_line(words) == 0
    (folder,) = (tmp_path / "runs").glob("*-1")
    decided = [one for one in events(folder) if one["event"] == "decided"]
    lessons = [
        len((folder / "rounds" / f"{number:03d}" / "lessons.jsonl").read_text().splitlines()) for number in (1, 2)
    ]
    assert decided[-1]["best"] == 2 and min(lessons) > 0
    claim = json.loads((folder / "claim" / "claim.json").read_text(encoding="utf-8"))
    assert claim["best"] == 2
    scored = {one["split"] for one in events(folder) if one["event"] == "score"}
    assert ("select" in scored) is select


def test_without_select_a_best_round_cannot_be_kept_unless_cross_fitted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evals = errands_without_select(tmp_path)
    words = ["run", "--evals", str(evals), "--student", "builtin:tiny", "--teacher", "scripted", "--set", "mode=select",
             "--runs", str(tmp_path / "runs")]  # fmt: skip
    with table_student():
        assert command_line(words) == 2
    assert "select" in capsys.readouterr().err


def test_a_local_teacher_may_take_its_time_and_a_server_elsewhere_less_unless_the_settings_say_how_long() -> None:
    elsewhere = TeacherSettings(model="m", base_url="https://host/v1")
    assert TeacherSettings().patience > elsewhere.patience
    assert elsewhere.model_copy(update={"request_seconds": 7.0}).patience == 7.0


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({}, 1),
        ({"base_url": "https://host/v1"}, 4),
        ({"slots": 3}, 3),
        ({"base_url": "https://host/v1", "slots": 2}, 2),
    ],
)
def test_a_model_of_our_own_is_asked_one_thing_at_a_time_unless_told_otherwise(
    said: dict[str, Any], expected: int
) -> None:
    assert TeacherSettings.model_validate(said).at_once == expected


def test_what_is_said_to_be_the_default_is_what_holds_beside_other_settings_of_its_group() -> None:
    """A group's default must not differ from the defaults of its keys: naming one key would change the others."""
    told = {key: default for key, default, _ in explained()}
    assert told["student.lora.layers"] == "0.5"
    tree = resolve(None, ["student.lora.rank=64"], {"evals": "evals.yaml"})[0].student.lora
    assert (tree.rank, tree.layers) == (64, 0.5)

"""The examples of docs/evals.md are run as they stand, on small files with the columns of the real data sets.

With `LLM2LLM_DATA` naming a folder that has trec/, sst2/, snips/ and gsm8k/, the examples that name those run on the full data.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from dry_run import command_line, finish, start

from student.evals.load import load_evals
from student.evals.trouble import EvalError

ROOT = Path(__file__).resolve().parent.parent
SUITES = ROOT / "tests" / "fixtures" / "suites"
TEXT = (ROOT / "docs" / "evals.md").read_text(encoding="utf-8")
EXAMPLES: dict[str, str] = dict(re.findall(r"```yaml\n# (\S+)\.yaml\n(.*?)```", TEXT, re.DOTALL))
FULL = os.environ.get("LLM2LLM_DATA")


def placed(tmp_path: Path, name: str) -> Path:
    """The example beside its data, with sizes that the small files can give."""
    full = FULL is not None and (Path(FULL) / name).is_dir()
    shutil.copytree(Path(FULL or "") / name if full else SUITES / name, tmp_path / name)
    spec: dict[str, Any] = yaml.safe_load(EXAMPLES[name])
    for part in spec["splits"].values():
        if not full and isinstance(part, dict) and "take" in part:
            part["take"] = 0.5 if part["take"] < 100 else 0.34
    path = tmp_path / f"{name}.yaml"
    path.write_text(EXAMPLES[name] if full else yaml.safe_dump(spec, allow_unicode=True, sort_keys=False))
    return path


def test_every_suite_has_an_example() -> None:
    assert {path.name for path in SUITES.iterdir() if path.is_dir()} == set(EXAMPLES)


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_loads_into_three_roles(tmp_path: Path, name: str) -> None:
    evals = load_evals(placed(tmp_path, name))
    assert evals.seeds and all(evals.held_out.sizes().values())
    assert evals.spec.name == name and not evals.dropped


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_passes_its_check(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = placed(tmp_path, name)
    code = command_line(["evals", "check", str(path)])
    assert code == 0, capsys.readouterr().out


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_dry_run_learns_from_an_example(tmp_path: Path, name: str) -> None:
    path = placed(tmp_path, name)
    short = re.sub(r"max_new_tokens: \d+", "max_new_tokens: 24", path.read_text())  # the tiny student never ends
    path.write_text(short)
    words = ["run", "--evals", str(path), "--student", "builtin:tiny", "--teacher", "scripted", "--ui", "quiet"]
    sets = ["stop.rounds=1", "generate.lessons=6", "train.epochs=1", "train.min_steps=1", "mine.folds=2"]
    code, _, err = finish(
        start(tmp_path / "cache", [*words, "--runs", str(tmp_path), *(f"--set={one}" for one in sets)])
    )
    assert code == 0, err
    assert (tmp_path / f"{name}-1" / "claim" / "claim.json").exists()


FILES: dict[str, str] = dict(re.findall(r"```yaml\n# file: (\S+)\.yaml\n(.*?)```", TEXT, re.DOTALL))
HOSTED = {"shops": "lm_eval", "pantry": "inspect"}


@pytest.mark.parametrize("name", HOSTED)
def test_a_task_of_another_tool_is_named_by_its_example(tmp_path: Path, name: str) -> None:
    shutil.copytree(ROOT / "tests" / "fixtures" / HOSTED[name], tmp_path / HOSTED[name])
    path = tmp_path / f"{name}.yaml"
    path.write_text(FILES[name])
    with pytest.raises(EvalError, match="--allow-code"):
        load_evals(path)
    evals = load_evals(path, allow_code=True)
    try:
        assert evals.seeds and all(evals.held_out.sizes().values())
    finally:
        evals.close()


def test_the_plug_in_of_the_example_is_an_eval_set(tmp_path: Path) -> None:
    (body,) = re.findall(r"```python\n(def tickets.*?)```", TEXT, re.DOTALL)
    rows = '*({"prompt": f"Ticket {n}: {w} {w[::-1]}", "answer": "access"} for n, w in enumerate(dir(str)))'
    (tmp_path / "mine.py").write_text(body.replace("...", rows))
    with pytest.raises(EvalError, match="--allow-code"):
        load_evals(f"{tmp_path}/mine.py:tickets")
    assert len(load_evals(f"{tmp_path}/mine.py:tickets", allow_code=True).seeds) == 25

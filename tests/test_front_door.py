"""The front door names what hides a room, and answers before anything heavy is imported."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

import llm2llm

ROOT = Path(llm2llm.__file__).parent
HEAVY = ("torch", "transformers", "peft", "datasets")


def start(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python in `folder`, which then comes first on the import path, with this checkout behind it."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop("PYTHONSAFEPATH", None)
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("room", llm2llm.ROOMS)
def test_a_file_that_hides_a_room_is_named(room: str, tmp_path: Path) -> None:
    (tmp_path / f"{room}.py").write_text("print('the wrong module ran')\n")
    ended = start(tmp_path, "-m", "llm2llm", "--help")
    assert ended.returncode == 2
    assert repr(str(tmp_path / f"{room}.py")) in ended.stderr
    assert ended.stdout == ""
    assert "Traceback" not in ended.stderr


def test_a_package_that_hides_a_room_is_named(tmp_path: Path) -> None:
    (tmp_path / "student").mkdir()
    (tmp_path / "student" / "__init__.py").write_text("print('the wrong module ran')\n")
    ended = start(tmp_path, "-m", "llm2llm", "--help")
    assert ended.returncode == 2
    assert repr(str(tmp_path / "student")) in ended.stderr
    assert ended.stdout == ""


def test_a_missing_room_is_named(tmp_path: Path) -> None:
    (tmp_path / "llm2llm.py").write_bytes((ROOT / "llm2llm.py").read_bytes())
    ended = subprocess.run(
        [sys.executable, "-I", "-S", str(tmp_path / "llm2llm.py")], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    assert "'agent' package is missing" in ended.stderr


def test_help_imports_nothing_heavy(tmp_path: Path) -> None:
    if importlib.util.find_spec("agent.cli") is None:
        pytest.skip("there is no agent/cli.py yet")
    ended = start(tmp_path, "-X", "importtime", "-m", "llm2llm", "--help")
    assert ended.returncode == 0, ended.stderr[-2000:]
    imported = {line.rpartition("|")[2].strip() for line in ended.stderr.splitlines()}
    assert "agent.cli" in imported
    assert imported.isdisjoint(HEAVY)


def test_the_version_is_the_one_of_the_package() -> None:
    assert f'version = "{llm2llm.__version__}"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")

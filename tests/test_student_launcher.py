"""The student in several processes: real ones, started by accelerate, joined by gloo, with the tiny student."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from dry_run import alive, environment, events, finish, start, wait_until, words

from student.errors import StudentError
from student.launcher import command
from student.prompting import Ask
from student.records import Example, Question
from student.settings import Launch, Lora, TrainSettings
from student.worker import StudentWorker

MACHINE = {"device": "cpu", "dtype": "float32", "threads": 2, "gflops": 0.0}
ASK = Ask(frame="Errand: {question}\nShop:")
EXAMPLES = [Example(prompt=f"{3 + at * at} {thing}", answer=shop) for at in range(4)
            for thing, shop in (("mangoes", "grocer"), ("hinges", "hardware"), ("very long novels", "bookshop"))]  # fmt: skip
CHOICES = ("grocer", "hardware", "bookshop")
QUESTIONS: list[Any] = [Question(prompt=one.prompt, choices=CHOICES) for one in EXAMPLES[:7]]
ONCE = {"stop__rounds": "0", "teacher__check_items": "0"}
OPEN: list[Any] = [Question(prompt=one.prompt) for one in EXAMPLES[:3]]


def worked(place: Path, cache: Path, launch: Launch) -> tuple[list[float], list[Any], list[Any], list[Any]]:
    """Losses of a training, then the answers of the trained student and of the untouched one."""
    load = {
        "source": "builtin:tiny",
        "cache": str(cache),
        "lora": Lora(rank=4, layers=1.0).model_dump(),
        "machine": MACHINE,
    }
    place.mkdir()
    worker = StudentWorker(load, place / "log", lambda: False, launch)
    losses: list[float] = []
    try:
        settings = TrainSettings(epochs=2, min_steps=10, batch_size=5, learning_rate=0.02).model_dump(exclude={"seeds"})
        (place / "out").mkdir()
        worker.train(ASK, EXAMPLES, settings, 1, place / "out", lambda message: losses.append(message["loss"]))
        scored = worker.examine(ASK, QUESTIONS, place / "out", 8, lambda message: None)
        choices, written = (worker.examine(ASK, asked, None, 8, lambda _: None) for asked in (QUESTIONS, OPEN))
        return losses, scored, choices, written
    finally:
        worker.close()


def test_two_processes_learn_and_answer_as_one_does(tmp_path: Path) -> None:
    one = worked(tmp_path / "one", tmp_path / "cache", Launch())
    two = worked(tmp_path / "two", tmp_path / "cache", Launch(launcher="accelerate", processes=2))
    assert two[0] == pytest.approx(one[0], abs=1e-4)
    assert len(one[0]) == 10 and one[0][-1] < one[0][0]
    for alone, shared in zip(one[1] + one[2], two[1] + two[2], strict=True):
        assert shared["scores"] == pytest.approx(alone["scores"], rel=1e-3)
    assert two[3] == one[3]


def test_a_whole_run_in_two_processes_has_the_losses_of_one(tmp_path: Path) -> None:
    """The command as a person types it, up to the students that need no lessons."""
    losses: dict[str, list[float]] = {}
    for name, more in (("one", {}), ("two", {"student__launcher": "accelerate", "student__processes": "2"})):
        arguments = words("run", "--ui", "quiet", "--name", "errands", runs=tmp_path / name, **ONCE | more)
        code, _, err = finish(start(tmp_path / "cache", arguments))
        assert code == 0, err[-2000:]
        told = events(tmp_path / name / "errands-1")
        losses[name] = [event["loss"] for event in told if event["event"] == "loss"]
        assert told[-1]["event"] == "run.done" or any(event["event"] == "claim" for event in told)
    assert len(losses["one"]) == 8 and losses["one"][-1] < losses["one"][0]
    precision = json.loads((tmp_path / "one" / "errands-1" / "machine.json").read_text())["dtype"]
    assert losses["two"] == pytest.approx(losses["one"], abs=2e-4 if precision == "float32" else 2e-2)


def test_what_one_process_cannot_do_none_does_and_all_live_on(tmp_path: Path) -> None:
    load = {"source": "builtin:tiny", "cache": str(tmp_path), "lora": Lora(layers=1.0).model_dump(), "machine": MACHINE}
    worker = StudentWorker(load, tmp_path / "log", lambda: False, Launch(launcher="accelerate", processes=2))
    try:
        settings = TrainSettings(max_tokens=2).model_dump(exclude={"seeds"})
        with pytest.raises(StudentError, match="none of the 12 training items fits"):
            worker.train(ASK, EXAMPLES, settings, 1, tmp_path / "out", lambda message: None)
        assert len(worker.examine(ASK, QUESTIONS, None, 8, lambda message: None)) == len(QUESTIONS)
    finally:
        worker.close()


ONE_FAILS = """
import os
from student.team import Team
team = Team()
def work(values):
    if 7 in values:
        raise OSError("no room for 7")
    return [value * value for value in values]
for values in ([1, 2, 3], [7, 2], [2, 7], [4, 5]):
    try:
        told = team.together(values, work)
    except OSError as error:
        told = error
    os.write(1, f"{told}\\n".encode())  # a whole line at once: the other writes there, too
"""


def test_what_one_process_raises_in_its_share_all_raise_and_none_waits(tmp_path: Path) -> None:
    (tmp_path / "one_fails.py").write_text(ONE_FAILS, encoding="utf-8")
    launched = command(Launch(launcher="accelerate", processes=2), "one_fails")
    paths = os.pathsep.join([str(tmp_path), str(Path.cwd())])
    done = subprocess.run(
        launched, check=False, env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True, timeout=300
    )
    told = ["[1, 4, 9]", "no room for 7", "no room for 7", "[16, 25]"]
    assert sorted(done.stdout.splitlines()) == sorted(2 * told), done.stderr[-2000:]


def test_all_processes_end_when_the_first_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mark = f"launched-{os.getpid()}"
    for name, value in environment(tmp_path, mark).items():
        monkeypatch.setenv(name, value)
    load = {"source": "builtin:tiny", "cache": str(tmp_path), "lora": Lora(layers=1.0).model_dump(), "machine": MACHINE}
    worker = StudentWorker(load, tmp_path / "log", lambda: False, Launch(launcher="accelerate", processes=2))
    worker.start()
    members = wait_until(lambda: _members(mark), "two processes")
    try:
        os.kill(members[0], signal.SIGKILL)
        with pytest.raises(StudentError, match="ended unexpectedly"):
            worker.examine(ASK, QUESTIONS, None, 8, lambda message: None)
    finally:
        worker.close()
    wait_until(lambda: not alive(mark), "the end of all")


def _members(mark: str) -> list[int]:
    """The processes that serve jobs, the first of the team first; empty until there are two."""
    ranks: dict[int, int] = {}
    for process in alive(mark):
        try:
            words = Path(f"/proc/{process}/environ").read_bytes().split(b"\0")
        except OSError:
            continue
        ranks |= {int(word[5:]): process for word in words if word.startswith(b"RANK=")}
    return [ranks[rank] for rank in sorted(ranks)] if len(ranks) == 2 else []


def test_the_words_of_the_launcher(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("distributed_type: MULTI_GPU\nnum_processes: 4\n")
    words = command(Launch(launcher="accelerate", accelerate_config=str(config)), "student.child")
    assert words[1:] == ["-m", "accelerate.commands.launch", "--config_file", str(config), "-m", "student.child"]


@pytest.mark.parametrize(
    ("text", "says"),
    [(None, "cannot be read"), ("- 1", "cannot be read"), ("a: [", "cannot be read"), ("distributed_type: FSDP", "asks for FSDP")],
)  # fmt: skip
def test_configs_that_cannot_be_followed(tmp_path: Path, text: str | None, says: str) -> None:
    config = tmp_path / "config.yaml"
    if text is not None:
        config.write_text(text)
    with pytest.raises(StudentError, match=says):
        command(Launch(launcher="accelerate", accelerate_config=str(config)), "student.child")

"""The bench of the evidence, on the tiny student and the scripted teacher: every arm is made, found again, and counted alike."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from loops.claims import gain_of_changes
from loops.run_folder import RunFolder
from student import worker
from student.pipe import Pipe
from student.records import Seed
from student.similar import grams, overlap

sys.path.insert(0, str(Path(__file__).parent / "bench"))
gain: Any = import_module("gain")
changes: Any = import_module("changes")
training: Any = import_module("training")
again: Any = import_module("again")
amount: Any = import_module("amount")
aim: Any = import_module("aim")
draws: Any = import_module("draws")

KINDS = ("ABBR", "DESC", "ENTY", "HUM", "LOC", "NUM")
SMALL = {
    "student": {"model": "builtin:tiny"}, "teacher": {"model": "scripted", "check_items": 4},
    "train": {"epochs": 1, "min_steps": 2}, "mine": {"folds": 2}, "generate": {"lessons": 12}, "stop": {"rounds": 1},
}  # fmt: skip


class KeptPipe(Pipe):
    """A student's process that serves handle after handle: each loads its student anew, none waits for a process to start."""

    def __init__(self, kept: Pipe, should_stop: Callable[[], bool]) -> None:
        super().__init__("student.child", kept.log, should_stop)
        self._kept, self._loaded = kept, False

    @property
    def running(self) -> bool:
        return self._loaded

    def call(self, job: dict[str, Any], on: worker.OnMessage = lambda message: None) -> dict[str, Any]:
        self._loaded = True
        return self._kept.call(job, on)

    def close(self) -> None:
        """The process stays for the next handle."""
        self._loaded = False


@pytest.fixture(autouse=True, scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """These benches begin some fifty students one after another: one process is all of them."""
    pipe = Pipe("student.child", tmp_path_factory.mktemp("kept") / "student.log")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worker, "Pipe", lambda module, log, should_stop, words: KeptPipe(pipe, should_stop))
        yield
    pipe.close()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Tickets under other labels, in the form of TREC."""
    folder = tmp_path / "data" / "trec"
    folder.mkdir(parents=True)
    lines = Path("loops/recipes/quickstart/tickets.jsonl").read_text(encoding="utf-8").splitlines()
    tickets = [json.loads(line) for line in lines]
    kinds = dict(zip(sorted({one["queue"] for one in tickets}), KINDS, strict=False))
    rows = [{"question": one["text"], "label": kinds[one["queue"]]} for one in tickets if one["queue"] in kinds]
    for part, some in (("train", rows[::2]), ("test", rows[1::6])):
        (folder / f"{part}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in some), encoding="utf-8")
    return tmp_path / "data"


def test_every_arm_is_made_once_and_the_table_counts_them(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(gain, "SETTINGS", gain.merged(gain.SETTINGS, SMALL))
    monkeypatch.setattr(draws, "SEEDS", {"trec": 24})
    monkeypatch.setattr(draws, "AMONG", 100)
    results = tmp_path / "results"
    taught = f"--lessons={tmp_path / 'lessons'}"
    where = [f"--data={data}", f"--place={tmp_path / 'place'}", f"--results={results}"]

    def told(*more: str) -> list[dict[str, Any]]:
        monkeypatch.setattr(sys, "argv", ["gain.py", "--tasks=trec", *more, *where, taught])
        gain.main()
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    first = told("--seeds=2")
    assert sum("run" in line for line in first) == 6
    made = {Path(line["run"]).name: Path(line["run"]) for line in first if "run" in line and "draw-1" in line["run"]}
    failed = [(made[arm] / "rounds/001/attempts.mine.jsonl").read_bytes() for arm in ("ours", "prompt")]
    assert failed[0] == failed[1]
    ways = {lesson.strategy for lesson in gain.lessons_of(gain.RunFolder(made["prompt"]))}
    assert ways == {"paper"}, "its failures are ours and its prompt is the paper's"
    assert not list((made["ours"] / "claim").glob("*few-shot*")), "no worked examples, no such examination"
    one_at_a_time(where[:2], monkeypatch, capsys)
    more_lessons(where[:2], monkeypatch, capsys)
    taught_again([*where[:2], taught], monkeypatch, capsys)
    more = told("--seeds=1", "--trainings=2")
    runs = {Path(line["run"]).name: Path(line["run"]) for line in more if "run" in line}
    assert runs.keys() == {"ours-2", "paper-2", "prompt-2"}
    events = [json.loads(line) for line in (runs["ours-2"] / "events.jsonl").read_text("utf-8").splitlines()]
    ended = [one["student"] for one in events if one["event"] == "loss" and one["step"] == one["steps"]]
    assert len(ended) == 5, "the students of the first training are found, those of mining among them"
    assert sum(one["requests"] for one in events if one["event"] == "spent") == 0
    theirs = [json.loads(line) for line in (runs["prompt-2"] / "events.jsonl").read_text("utf-8").splitlines()]
    ended = [one["student"] for one in theirs if one["event"] == "loss" and one["step"] == one["steps"]]
    assert ended == ["best, training 2"], "the student of the seeds is trained once for all arms, whatever its number"
    with monkeypatch.context() as other:
        other.setattr(gain, "CODE", -1)
        with pytest.raises(SystemExit, match="of another recipe"):
            told("--seeds=1")
        where[1:] = [f"--place={tmp_path / 'new'}", f"--results={tmp_path / 'new-results'}"]
        nothing_is_asked_again(told("--seeds=1", f"--replay={tmp_path / 'place'}"), first)
        where[1:] = [f"--place={tmp_path / 'place'}", f"--results={results}"]
    shutil.rmtree(tmp_path / "place")  # on another machine: the results alone are there
    again = told("--seeds=2")
    assert [line for line in again if "draw" in line] == [
        *(line for line in more if "draw" in line), *(line for line in first if line.get("draw") == 2),
    ]  # fmt: skip
    assert [line["trainings"] for line in again if "draw" in line] == [2, 1]
    assert not any(text in file.read_text("utf-8") for file in results.iterdir() for text in ("printer", "password"))
    table = {line["arm"]: line for line in again if "arm" in line}
    assert set(table) == set(gain.ARMS)
    assert all(line["draws"] == 2 for line in table.values())
    assert table["seeds"]["gain"] == [0.0, 0.0, 0.0]
    for each in (line for line in again if "draw" in line):
        ours, longer = each["sizes"]["ours"], each["sizes"]["seeds, as many steps"]
        assert ours["steps"] == longer["steps"]


def nothing_is_asked_again(replayed: list[dict[str, Any]], first: list[dict[str, Any]]) -> None:
    """A recipe that asks what an earlier one asked: its replies serve, and its students of the seeds."""
    assert [line for line in replayed if "draw" in line] == [line for line in first if line.get("draw") == 1]
    ours = Path(next(line["run"] for line in replayed if "run" in line))
    events = [json.loads(line) for line in (ours / "events.jsonl").read_text("utf-8").splitlines()]
    assert sum(one["requests"] for one in events if one["event"] == "spent") == 0
    assert not [one for one in events if one["event"] == "loss" and "fold" in one["student"]]


def one_at_a_time(where: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The bench of single changes, on what the bench of the arms left."""
    monkeypatch.setattr(sys, "argv", ["changes.py", "--tasks=trec", "--draws=1", "--trainings=1", "--items=10", *where])
    changes.main()
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    sizes = {line["change"]: line["lessons"] for line in lines if "lessons" in line}
    assert sizes["no lessons"] == 0 < sizes["half as many"] < sizes["as shipped"] == sizes["half the steps"]
    assert sizes["not checked"] >= sizes["as shipped"] >= sizes["two a failure"]
    table = {line["change"]: line for line in lines if "against_shipped" in line}
    assert table.keys() == sizes.keys() and table["as shipped"]["against_shipped"] == [0.0]
    assert {"the aimed half", "the half without aim", "not aimed", "the paper's prompt"} <= table.keys()
    changes.main()
    again = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one for one in again if "right" in one] == [one for one in lines if "right" in one], (
        "nothing is trained twice"
    )


def more_lessons(where: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The bench of ever more lessons, on what the bench of the arms left."""
    words = ["--tasks=trec", "--draws=1,3", "--trainings=2", "--items=10", "--lessons=24", "--only=4,40", *where]
    monkeypatch.setattr(sys, "argv", ["amount.py", *words])
    amount.main()
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["draw"] for line in lines if "left_out" in line] == [3]
    table = {(line["what"], line["number"]): line["students"] for line in lines if "students" in line}
    most = max(number for what, number in table if what == "lessons")
    both = [(what, number) for what in ("labels", "lessons") for number in (4, most)]
    assert table == dict.fromkeys([("labels", 0), ("labels", 40), *both], 2)
    assert 4 < most <= 24


def taught_again(where: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The bench of the lessons that are kept: the runs are not needed."""
    words = ["--tasks=trec", "--draws=1,2", "--trainings=2", "--items=10", *where]
    monkeypatch.setattr(sys, "argv", ["again.py", *words])
    again.main()
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    judged = [line["labels_right"] for line in lines if "labels_right" in line]
    assert len(judged) == 2 and all(0 <= share <= 100 for one in judged for share in one.values())
    table = {line["arm"]: line for line in lines if "draws" in line}
    arms = ["seeds", "ours", "untargeted", "number", "prompt", "right", "corrected", "real"]
    assert [*table] == arms and table["ours"]["ours_ahead_each"] == [0, 0]
    sizes = {line["arm"]: line["lessons"] for line in lines if line.get("draw") == 1 and "training" in line}
    assert (
        sizes["right"] <= sizes["corrected"] == sizes["ours"] == sizes["number"] > sizes["seeds"] == sizes["real"] == 0
    )
    monkeypatch.setattr(sys, "argv", ["again.py", *words, "--part=0.5", "--only=ours,real"])
    again.main()
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    halves = {line["lessons"] for line in lines if line.get("draw") == 1 and line.get("arm") == "ours"}
    assert halves == {round(0.5 * sizes["ours"])}, "a set apart from the one that learned everything"
    monkeypatch.setattr(sys, "argv", ["again.py", *words, "--words", "--only=ours,seeds"])
    again.main()
    named = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["labels_right"] for line in named if "labels_right" in line] == judged, "the same items by other names"
    assert {line["arm"] for line in named if "draws" in line} == {"ours", "seeds"}
    monkeypatch.setattr(sys, "argv", ["again.py", "--tasks=trec", "--draws=7", *where])
    with pytest.raises(SystemExit, match="keeps the lessons of trec, draw 7"):
        again.main()


def test_every_training_learns_another_part() -> None:
    rows = [*range(40)]
    parts = [again.part_of(rows, 0.8, luck) for luck in range(5)]
    assert all(len({*one}) == len(one) == 32 and one == sorted(one) for one in parts)
    assert len({tuple(one) for one in parts}) == 5 and {row for one in parts for row in one} == {*rows}
    assert again.part_of(rows, 1.0, 3) == rows and again.part_of((), 0.8, 0) == []


def test_ways_of_training_are_compared_on_the_same_draws(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(gain, "SETTINGS", gain.merged(gain.SETTINGS, SMALL))
    monkeypatch.setattr(draws, "SEEDS", {"trec": 12})
    monkeypatch.setattr(draws, "AMONG", 60)
    monkeypatch.setattr(training, "FURTHER", {"trec": 6})
    monkeypatch.setattr(training, "APART", 8)
    monkeypatch.setattr(
        training,
        "WAYS",
        {"short": training.way(2, 4e-3, 0.0), "longer, on all": training.way(4, 4e-3, 0.1, layers=1.0)},
    )

    def told(*more: str) -> list[dict[str, Any]]:
        where = [f"--data={data}", f"--place={tmp_path / 'place'}", "--tasks=trec", "--items=10"]
        monkeypatch.setattr(sys, "argv", ["training.py", *where, *more])
        training.main()
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    one = told("--draws=1", "--trainings=2")
    assert len([line for line in one if "training" in line]) == 8
    rows = [line for line in one if "students" in line]
    assert [(row["learned"], row["way"], row["students"]) for row in rows] == [
        (what, name, 2) for what in ("seeds", "seeds and labels") for name in ("short", "longer, on all")
    ]
    assert all(row["against_first"] == 0 and row["luck"] is not None for row in rows if row["way"] == "short")
    told("--draws=2", "--trainings=1", "--only=longer, on all")
    assert [line for line in told("--draws=1,2", "--table") if "students" in line] == rows, (
        "without the first way a draw tells nothing"
    )
    assert told("--draws=1", "--table", "--items=9") == [], "on another number of items nothing was measured"
    with pytest.raises(SystemExit, match="no way of training"):
        told("--only=nosuch")


def test_items_are_chosen_by_what_the_student_makes_of_them(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seeds = [Seed(id=f"s{at}", prompt="", answer="b" if at % 3 else "a") for at in range(12)]
    pool = [Seed(id=f"p{at}", prompt="", answer="ab"[at % 2]) for at in range(20)]
    said: dict[str, Any] = {one.id: SimpleNamespace(margin=at - 5.5, right=at > 5) for at, one in enumerate(pool)}
    found = {name: [one.id for one in some] for name, some in aim.choices_of(pool, said, seeds, 6).items()}
    assert found["any"] == found["hardest"] == [f"p{at}" for at in range(6)]
    assert found["unsure"] == ["p5", "p6", "p4", "p7", "p3", "p8"]
    assert found["half failed"] == ["p0", "p6", "p1", "p7", "p2", "p8"]
    assert found["any, level"] == ["p0", "p2", "p1", "p3", "p5", "p7"]
    assert found["half failed, level"] == ["p0", "p6", "p1", "p7", "p3", "p9"]
    monkeypatch.setattr(gain, "SETTINGS", gain.merged(gain.SETTINGS, SMALL))
    monkeypatch.setattr(draws, "SEEDS", {"trec": 12})
    monkeypatch.setattr(draws, "AMONG", 60)
    monkeypatch.setattr(aim, "POOL", 20)
    monkeypatch.setattr(aim, "TAKE", 6)
    words = ["--tasks=trec", "--draws=1", "--items=10", "--only=any;half failed, level", f"--data={data}"]
    monkeypatch.setattr(sys, "argv", ["aim.py", *words, f"--place={tmp_path / 'place'}"])
    aim.main()
    table = [json.loads(line) for line in capsys.readouterr().out.splitlines()][-2:]
    assert [line["choice"] for line in table] == ["any", "half failed, level"] and table[0]["against_any"] == [0.0]


def test_results_of_another_recipe_are_named_and_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cell = gain.Cell("trec", 1, tmp_path / "place", None)
    other = gain.Result(recipe="other", machine="cpu", items=("a",), right={"ours": ("1",)}, trainings=1, sizes={})
    gain.result_file(cell, tmp_path).write_text(other.model_dump_json(), encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["gain.py", "--tasks=trec", "--seeds=1", f"--results={tmp_path}", "--table"])
    gain.main()
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["left_out"] == "trec-draw-1.json"


@pytest.mark.parametrize(
    ("words", "said"),
    [(["--tasks=nosuch"], "'nosuch' is no task"), (["--tasks=snips"], "holds no snips/train.jsonl")],
)
def test_a_task_that_is_not_there_is_named(
    data: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], said: str
) -> None:
    for bench in (gain, changes, training):
        monkeypatch.setattr(sys, "argv", ["bench", f"--data={data}", *words])
        with pytest.raises(SystemExit, match=said):
            bench.main()


def test_the_interval_holds_the_mean_and_widens_with_differing_draws() -> None:
    alike = np.tile(np.array([1, 0, 0, 0, 1, 0, -1, 0] * 20), (5, 1))
    differing = alike.copy()
    differing[:2] = -alike[:2]
    low, high = gain.interval([alike])
    assert low <= alike.mean() <= high
    wide = gain.interval([differing])
    assert wide[1] - wide[0] > high - low


def test_the_wider_interval_is_the_programs_own_for_one_task_and_narrower_over_two() -> None:
    table = np.random.default_rng(1).integers(-1, 2, (4, 50))
    own = gain_of_changes(table.tolist())
    reach = gain.t_reach([table])
    assert (table.mean() - reach, table.mean() + reach) == pytest.approx((own.low, own.high), abs=1e-6)
    assert reach / 2 < gain.t_reach([table, table]) < 0.8 * reach
    assert gain.t_reach([np.ones((3, 5))]) == 0


def test_further_labels_are_no_seeds_and_no_two_are_spelt_alike(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draws, "SEEDS", {"trec": 24})
    monkeypatch.setattr(draws, "AMONG", 100)
    cell = gain.Cell("trec", 2, tmp_path / "place", data)
    found = cell.further(12)
    assert cell.further(8) == found[:8], "more are wanted, and the first ones stay"
    marks = [grams(one.prompt) for one in (*found, *cell.opened().seeds)]
    assert all(overlap(one, other) < 0.6 for at, one in enumerate(marks[:12]) for other in marks[at + 1 :])
    assert [one.id for one in found] != [one.id for one in gain.Cell("trec", 1, tmp_path / "place", data).further(12)]
    with pytest.raises(SystemExit, match="of 500 further"):
        cell.further(500)


def test_a_run_with_more_trainings_keeps_what_fewer_have_made(tmp_path: Path) -> None:
    """The best of each further training, too; but not what a run has because it ended."""
    cell: Any = SimpleNamespace(run=lambda name: RunFolder(tmp_path / name))
    kept = tmp_path / "ours-2" / "claim" / "training-2" / "best" / "adapter"
    kept.parent.mkdir(parents=True)
    kept.write_text("weights")
    (tmp_path / "ours-2" / "best").mkdir()
    (tmp_path / "ours-2" / "claim" / "claim.json").write_text("{}")
    (tmp_path / "ours-2" / "events.jsonl").write_text('{"event": "run.ended", "status": "done"}\n')
    found = gain.gone_on(cell, "ours", 3).path
    assert (found / "claim" / "training-2" / "best" / "adapter").read_text() == "weights"
    assert not any((found / name).exists() for name in ("best", "events.jsonl", "claim/claim.json"))

"""What the lessons are worth: our recipe against seeds alone, the paper's, untargeted lessons and real labels. Resumable; takes hours.

For each task and each draw of its seed items, runs of the program on the built-in student and teacher, every one trained by the same
settings. No arm chooses among its rounds (`stop.keep: last`), so that only the data differ:

- seeds: the seed items alone, for as many optimiser steps as our student;
- paper: LLM2LLM's mining (on what was trained on), prompt and one lesson a failure, unchecked but for copies (arXiv 2403.15042);
- prompt: the paper's prompt, as unchecked, on the failures that ours mines, as many lessons asked for as ours;
- untargeted: random seeds in the place of failures, the same curation, as many teacher tokens in all as ours;
- number: the same, as many lessons as ours;
- ours: the program's defaults;
- real: as many further real labelled items as ours has lessons, none spelt like another as lessons are none, which is the ceiling.

Every draw trains with seeds of its own. What checks nothing may learn more than ours and then trains longer; seeds and real train as long.

One training differs from the next by some three points on TREC. `--trainings N` trains every arm with N seeds, also where it was
finished with fewer, and counts for each test item the share of them that has it right.

Each student is asked `test` once, at the end of its run. Replies are kept in ledgers, runs in folders, and the student of the seeds
is trained once a draw: stopped at any point and called again, it goes on, unless its folder is of another recipe. The table gives the
mean over draws and the gain over seeds with its 95 % interval, twice: a bootstrap that draws draws and items again, and Student's t over
both as the program's own claims use (`loops.claims`), which is wider and the one to believe with few draws.

    python tests/bench/gain.py --tasks trec,snips --seeds 5 [--data FOLDER] [--place FOLDER] [--results FOLDER] [--lessons FOLDER]
        [--trainings N] [--replay FOLDER] [--table [--recipe DIGEST]]

FOLDER holds `trec`, `snips` and `sst2` as JSON lines or CSV with parts `train` and `test`; without one the eval sets of the
`paper-*` recipes are used, which come from the hub. Which test items each arm had right is kept in `--results`, a small file a draw
that says what recipe it is of, so that the draws may be run on several machines and days; all arms of one draw ran on one. What the arms
were taught is kept in `--lessons` (`again.py` teaches it again). `--replay` names the `--place` of an earlier recipe's draws: what these
were told, and their students of the seeds where they would be the same, are used again. `--table` prints what there is of the present
recipe, or of the one whose digest is named, and runs nothing.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from alone import attempts_of, crew_of
from draws import Cell, tasks_of
from scipy.stats import t as student_t

from agent.builtin import cache_folder
from agent.launch import drive, events_of, opened_evals, same_evals
from loops.control import FOLDERS, NUMBER, SPEND, STEPS
from loops.run_folder import RunFolder, digest
from loops.settings import RunSettings
from loops.untargeted import lessons_tokens
from student.records import Attempt, Lesson, Record, read_records, write_text
from teacher.book import open_readonly
from teacher.prompts import every_prompt

SETTINGS: dict[str, Any] = {"mode": "select", "stop": {"keep": "last", "rounds": 1}, "generate": {"lessons": 120}}
"""What every run has in common; all else are the program's defaults. As many lessons as two rounds ask for, in one: mining again would
cost as much as writing half of them."""
PAPER: dict[str, Any] = {
    "mine": {"how": "resubstitution"}, "curate": {"verify": False, "duplicate": 0.95, "meaning": None, "balance": 1000},
    "generate": {"mix": {"paper": 1.0}, "lessons": 10_000, "per_failure": 1, "explore": 0, "spread": 0},
}  # fmt: skip
"""The paper's data under our training."""
PROMPT: dict[str, Any] = {"curate": PAPER["curate"], "generate": {"mix": {"paper": 1.0}, "spread": 0}}
"""The paper's prompt where its mining finds nothing to write about: on our failures, and no fewer lessons than ours."""
ARMS = ("seeds", "paper", "prompt", "untargeted", "number", "ours", "real")
CONTROLS = {"seeds": STEPS, "untargeted": SPEND, "number": NUMBER}
"""Arms that ours trains beside its own students, by the names it lists them under."""
CODE = 3
"""Raised when the program writes or checks lessons in another way under the same settings and prompts, and these tasks are touched by it.
(The draws on file are from before `curate.balance` counted the rows that are left. Of the candidates of 3 to 5 none was rejected for it;
those of 1 and 2 were not looked at. Nor has any of 3 to 5 lost a lesson to a text that is too short.)"""
LATER = {"level": False, "per_seed": 2}
"""Settings that draws on file are from before, with the value under which they ask for the same. (Only SST-2 has fewer seeds than half of
its lessons, and its draws are all from after.)"""
RESULTS = Path(__file__).parents[2] / "docs" / "evidence" / "gain"
"""Where the results of finished draws are kept."""
LESSONS = RESULTS.with_name("lessons")
"""Where their accepted lessons are kept, for `again.py`."""
RESAMPLES = 4000
Rights = dict[str, bool]
"""Whether each test item was answered right, by one student."""
Shares = dict[str, float]
"""The share of an arm's students that has each test item right."""
ENDING = ("config.yaml", "events.jsonl", "checkpoints.sqlite*", "lock", "claim.json", "arms.json", "best")
"""What a run has because it ended as it was set; all else it made is good for a run with more trainings, among it the `best` of each
further training."""


def merged(*trees: dict[str, Any]) -> dict[str, Any]:
    """The trees, later ones over earlier ones."""
    whole: dict[str, Any] = {}
    for tree in trees:
        for key, value in tree.items():
            whole[key] = merged(whole.get(key, {}), value) if isinstance(value, dict) and key != "mix" else value
    return whole


def is_done(folder: RunFolder) -> bool:
    return folder.events.exists() and any(
        event["event"] == "run.ended" and event["status"] == "done" for event in events_of(folder)
    )


def go(folder: RunFolder, tree: dict[str, Any], like: RunFolder | None = None, failures: bool = False) -> None:
    """Make a run, or go on with it, to its end. `like`: a run of the same seeds, whose student of the seeds is taken over, and
    its failures, too, where the run would find the same. Raises SystemExit where a run of other settings is there."""
    if folder.config.exists() and not like_wanted(folder.load_settings()[0].model_dump(), tree):
        raise SystemExit(f"{folder.path} is a run of other settings than {tree}. Name another --place, or delete it.")
    if is_done(folder):
        return
    resumed = folder.config.exists()
    folder.path.mkdir(parents=True, exist_ok=True)
    if like and not resumed:
        take_over(like, folder, failures)
    if resumed:
        settings, fingerprint = folder.load_settings()
        evals = same_evals(folder, settings, fingerprint, False)
    else:
        settings = RunSettings.model_validate(merged(SETTINGS, tree))
        evals = opened_evals(settings, False)
    start = time.monotonic()
    code, message = drive(folder, settings, evals, lambda event: None, resumed)
    if code:
        raise SystemExit(f"{folder.path}: {message or 'stopped'}")
    print(
        json.dumps({"bench": "gain", "run": str(folder.path), "minutes": round((time.monotonic() - start) / 60, 1)}),
        flush=True,
    )


def like_wanted(settings: dict[str, Any], tree: dict[str, Any]) -> bool:
    """Whether a run's settings are as wanted in all that the tree names."""
    return all(
        like_wanted(settings[key], value) if isinstance(value, dict) else settings[key] == value
        for key, value in tree.items()
    )


def take_over(done: RunFolder, folder: RunFolder, failures: bool) -> None:
    """Copy what both runs make alike, with its manifests: a run looks at what a file was made from before it believes it."""
    shutil.copy(done.path / "machine.json", folder.path)
    for part in ("baseline", "rounds/000"):
        shutil.copytree(done.path / part, folder.path / part, dirs_exist_ok=True)
    alike = [("claim", f"attempts.{name}.test.jsonl") for name in ("zero-shot", "seed-only")]
    for part, file in [*alike, *([("rounds/001", "attempts.mine.jsonl")] if failures else [])]:
        (folder.path / part / "made").mkdir(parents=True, exist_ok=True)
        for each in (file, f"made/{file}.json"):
            shutil.copy(done.path / part / each, folder.path / part / each)


def take_over_further(done: RunFolder, folder: RunFolder) -> None:
    """The same with the further trainings of the student of the seeds, and what they answered."""
    for training in sorted((done.path / "claim").glob("training-*")):
        for each in ("seed-only", "attempts.seed-only.test.jsonl"):
            for part in (each, f"made/{each}.json"):
                source, target = training / part, folder.path / "claim" / training.name / part
                if source.exists() and not target.exists():
                    target.parent.mkdir(parents=True, exist_ok=True)
                    (shutil.copytree if source.is_dir() else shutil.copy)(source, target)


def make(cell: Cell, trainings: int, replayed: Path | None = None) -> None:
    """Every run of one cell. `replayed`: where runs of an earlier recipe are, whose replies and students of the seeds are used again."""
    hold_to_recipe(cell)
    common = {"evals": cell.evals(), "student": {"shots": 0}, "seed": cell.seed}
    ours, paper, prompt = (
        merged(tree, common, replay_of(cell, arm, replayed))
        for arm, tree in (("ours", {"control": True}), ("paper", PAPER), ("prompt", PROMPT))
    )
    before = replace(cell, place=replayed).run("ours") if replayed else None
    go(cell.run("ours"), ours, like=before if before and is_done(before) else None, failures=True)
    go(cell.run("paper"), paper, like=cell.run("ours"))
    go(cell.run("prompt"), prompt, like=cell.run("ours"), failures=True)
    for arm, tree in (("ours", ours), ("paper", paper), ("prompt", prompt)):
        if trainings > 1 and last_round(cell.run(arm)):
            folder = gone_on(cell, arm, trainings)
            if arm != "ours" and last_round(cell.run("ours")):
                take_over_further(cell.run(numbered("ours", trainings)), folder)
            go(folder, merged(tree, {"train": {"seeds": trainings}}))
    real(cell, trainings)


def replay_of(cell: Cell, arm: str, replayed: Path | None) -> dict[str, Any]:
    """Settings to ask only what an arm's run of an earlier recipe was not told; none where there is no such run."""
    before = replace(cell, place=replayed).run(arm) if replayed else None
    if before is None or not before.ledger.exists():
        return {}
    with open_readonly(before.ledger) as book:  # a run that asked nobody cannot be replayed
        known = book.first_served_by() is not None
    return {"teacher": {"replay": str(before.path.resolve()), "replay_then_ask": True}} if known else {}


def hold_to_recipe(cell: Cell) -> None:
    """Runs of one recipe are not gone on with by another. Raises SystemExit."""
    named = cell.folder / "recipe"
    if cell.run("ours").path.exists() and (not named.exists() or named.read_text("utf-8").strip() != recipe_digest()):
        raise SystemExit(f"The runs in {cell.folder} are of another recipe. Name another --place, or delete them.")
    write_text(named, recipe_digest() + "\n")


def real(cell: Cell, trainings: int) -> list[Rights]:
    """The answers to `test` of students of the seeds and as many further labelled items as ours has lessons, trained as long."""
    ours, folder, evals = cell.run("ours"), cell.run("real"), cell.opened()
    further = cell.further(len(lessons_of(ours)))
    tree = {"evals": cell.evals(), "seed": cell.seed, "train": {"min_steps": steps_of(ours, last_round(ours))}}
    folder.path.mkdir(parents=True, exist_ok=True)
    shutil.copy(ours.path / "machine.json", folder.path)
    items = evals.held_out.open_test(lambda: None)  # ours opened it, and is on record
    with crew_of(folder.path, RunSettings.model_validate(merged(SETTINGS, tree)), evals) as crew:
        return [
            {
                one.item_id: one.right
                for one in attempts_of(crew, "real", [*evals.seeds, *further], [], items, "test", luck)
            }
            for luck in range(trainings)
        ]


def numbered(arm: str, trainings: int) -> str:
    """The folder of an arm's run with so many trainings, or of its training of that number."""
    return arm if trainings == 1 else f"{arm}-{trainings}"


def gone_on(cell: Cell, arm: str, trainings: int) -> RunFolder:
    """A folder for a run like a finished one with more trainings: it finds there what that one made and trains what is missing."""
    fewer = [cell.run(numbered(arm, count)) for count in range(1, trainings)]
    folder = cell.run(numbered(arm, trainings))
    if not folder.path.exists():
        aside = folder.path.with_name(f"{folder.path.name}.part")
        shutil.rmtree(aside, ignore_errors=True)
        done, ending = [run for run in fewer if is_done(run)][-1].path, shutil.ignore_patterns(*ENDING)
        shutil.copytree(
            done, aside, ignore=lambda where, names: ending(where, names) - ({"best"} if Path(where) != done else set())
        )
        aside.rename(folder.path)
    return folder


def last_round(folder: RunFolder) -> int:
    return int(json.loads((folder.path / "claim" / "claim.json").read_text("utf-8"))["best"])


def steps_of(folder: RunFolder, number: int) -> int:
    return int(json.loads((folder.round(number) / "adapter" / "training.json").read_text("utf-8"))["steps"])


def lessons_of(folder: RunFolder) -> list[Lesson]:
    """All accepted lessons of a run."""
    files = [folder.round(number) / "lessons.jsonl" for number in range(1, last_round(folder) + 1)]
    return [lesson for file in files for lesson in read_records(file, Lesson)]


def rights(file: Path) -> Rights:
    return {one.item_id: one.right for one in read_records(file, Attempt)}


def kept(folder: RunFolder) -> list[Rights]:
    """What the students that a run keeps, one for each training, have right on `test`."""
    name = "best" if last_round(folder) else "seed-only"
    return trained(folder.path / "claim", f"attempts.{name}.test.jsonl", f"training-*/attempts.{name}.test.jsonl")


def trained(folder: Path, first: str, further: str) -> list[Rights]:
    """The answers of the first training and of all further ones."""
    return [rights(file) for file in (folder / first, *sorted(folder.glob(further)))]


def found(cell: Cell, trainings: int) -> dict[str, list[Rights]]:
    """Every arm's answers to `test`, of a cell that is done. An arm that could not be made is left out."""
    ours, *theirs = (
        cell.run(numbered(arm, trainings if last_round(cell.run(arm)) else 1)) for arm in ("ours", "paper", "prompt")
    )
    arms = {"ours": kept(ours), "real": real(cell, trainings)}
    made = {one["name"] for one in arms_of(ours) if not one["missing"]}
    for arm, name in CONTROLS.items():
        if name in made:
            folder = ours.path / "control" / FOLDERS[name]
            arms[arm] = trained(folder, "attempts.test.jsonl", "attempts.training-*.test.jsonl")
    if not last_round(ours):  # no lesson was made: the arms are one and the same student
        arms |= dict.fromkeys(CONTROLS, arms["ours"])
    # Where the paper's mining finds nothing, what it keeps is the student of the seeds.
    names = zip(("paper", "prompt"), theirs, strict=True)
    return arms | {arm: kept(run) if last_round(run) else arms["seeds"] for arm, run in names}


def sizes(cell: Cell) -> dict[str, Any]:
    """Lessons, steps and teacher tokens of the arms that have any."""
    told = {}
    for arm in ("ours", "paper", "prompt"):
        folder = cell.run(arm)
        number = last_round(folder)
        told[arm] = {"lessons": len(lessons_of(folder)), "steps": steps_of(folder, number),
                     "tokens": lessons_tokens(folder.ledger, number) if number else 0}  # fmt: skip
    return told | {arm["name"]: arm["size"] or arm["missing"] for arm in arms_of(cell.run("ours"))}


def arms_of(ours: RunFolder) -> list[dict[str, Any]]:
    """The control arms of a run, as it lists them."""
    listed = ours.path / "control" / "arms.json"
    return json.loads(listed.read_text("utf-8"))["arms"] if listed.exists() else []


class Result(Record):
    """What one cell came to: enough for every table, without a word of the data."""

    recipe: str
    """What `recipe_digest` gave when it was made."""
    machine: str
    """What it ran on."""
    items: tuple[str, ...]
    """Ids of the test items, sorted."""
    right: dict[str, tuple[str, ...]]
    """For each arm and each of its trainings a 1 for each item it has right, else a 0."""
    trainings: int
    """How many trainings of each arm were wanted."""
    sizes: dict[str, Any]
    """Lessons, steps and teacher tokens of the arms."""

    def shares(self) -> dict[str, Shares]:
        """For each arm the share of its trainings that has an item right."""
        return {
            arm: {item: [*bits].count("1") / len(bits) for item, *bits in zip(self.items, *trainings, strict=True)}
            for arm, trainings in self.right.items()
        }


def recipe_digest() -> str:
    """Names the settings, prompts and code that all cells have in common: results of different ones are never averaged."""
    arms = [
        RunSettings.model_validate({**merged(SETTINGS, tree), "evals": "-"}).model_dump()
        for tree in ({}, PAPER, PROMPT)
    ]
    for arm in arms:
        for later, usual in LATER.items():  # as the recipe was named before there was such a setting
            if arm["generate"][later] == usual:
                del arm["generate"][later]
    return digest([CODE, arms, [version for _, version, _ in every_prompt()]])[:16]


def result_file(cell: Cell, results: Path) -> Path:
    return results / f"{cell.task}-draw-{cell.draw}.json"


def keep_result(cell: Cell, trainings: int, results: Path) -> None:
    """Write a finished cell down."""
    arms = found(cell, trainings)
    items = tuple(sorted(arms["ours"][0]))
    right = {arm: tuple("".join("01"[one[item]] for item in items) for one in all_of) for arm, all_of in arms.items()}
    machine = json.loads((cell.run("ours").path / "machine.json").read_text("utf-8"))
    about = f"{machine['device']} {machine['dtype']}, {machine['threads']} threads, {machine['gflops']:.0f} GFLOP/s"
    results.mkdir(parents=True, exist_ok=True)
    told = Result(
        recipe=recipe_digest(), machine=about, items=items, right=right, trainings=trainings, sizes=sizes(cell)
    )
    write_text(result_file(cell, results), told.model_dump_json() + "\n")


def lessons_file(cell: Cell, folder: Path) -> Path:
    return folder / f"{cell.task}-draw-{cell.draw}.json"


def keep_lessons(cell: Cell, folder: Path) -> None:
    """Write down what the arms of a finished cell were taught, question and answer: a file that differs in lines where lessons do."""
    ours, prompt = cell.run("ours"), cell.run("prompt")
    taught = {"ours": lessons_of(ours)}
    for arm, name in CONTROLS.items():
        file = ours.path / "control" / FOLDERS[name] / "lessons.jsonl"
        if arm != "seeds" and file.exists():
            taught[arm] = read_records(file, Lesson)
    taught["prompt"] = lessons_of(prompt)
    arms = [
        f' "{arm}": [\n  ' + ",\n  ".join(one.model_dump_json(include={"prompt", "answer"}) for one in lessons) + "\n ]"
        for arm, lessons in taught.items()
    ]
    folder.mkdir(parents=True, exist_ok=True)
    write_text(lessons_file(cell, folder), "{\n" + ",\n".join(arms) + "\n}\n")


def result_of(cell: Cell, results: Path, recipe: str | None = None) -> Result | None:
    """A cell that was finished before, here or elsewhere; one of another recipe (`recipe`, or the present one) does not count."""
    place = result_file(cell, results)
    if not place.exists():
        return None
    told = Result.model_validate_json(place.read_text("utf-8"))
    if told.recipe == (recipe or recipe_digest()):
        return told
    print(json.dumps({"bench": "gain", "left_out": place.name, "because": "it is of another recipe"}), flush=True)
    return None


def lacks_an_arm(cell: Cell, told: Result) -> bool:
    """Whether a cell that was finished before there were all of today's arms can be completed: its runs have to be here."""
    return not told.right.keys() >= set(ARMS) and is_done(cell.run("ours"))


def changes(cells: Sequence[dict[str, Shares]], new: str, old: str) -> np.ndarray:
    """[draws, items] the new arm's right answers less the old one's, -1 to 1. Items are the same in every draw."""
    items = sorted(cells[0][new])
    return np.array([[one[new][item] - one[old][item] for item in items] for one in cells])


def interval(tables: Sequence[np.ndarray]) -> tuple[float, float]:
    """95 % of the mean gain over tasks when draws and items of each are drawn again."""
    draw, means = np.random.default_rng(0), np.empty(RESAMPLES)
    for at in range(RESAMPLES):
        again = [
            table[draw.integers(0, len(table), len(table))][:, draw.integers(0, table.shape[1], table.shape[1])]
            for table in tables
        ]
        means[at] = np.mean([one.mean() for one in again])
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def rows(done: dict[str, list[dict[str, Shares]]]) -> Iterator[dict[str, Any]]:
    """One line of the table for each task and arm, then the mean over tasks."""
    for task, cells in done.items():
        for arm in ARMS:
            having = [one for one in cells if arm in one]
            if having:
                yield {
                    "task": task,
                    "arm": arm,
                    "draws": len(having),
                    "accuracy": mean_accuracy(having, arm),
                    **against([having], arm),
                }
    for arm in ARMS:
        if len(done) > 1 and all(arm in one for cells in done.values() for one in cells):
            yield {"task": "mean", "arm": arm, **against([*done.values()], arm)}


def mean_accuracy(cells: Sequence[dict[str, Shares]], arm: str) -> float:
    return points(float(np.mean([np.mean(list(one[arm].values())) for one in cells])))


def against(tasks: Sequence[Sequence[dict[str, Shares]]], arm: str) -> dict[str, Any]:
    """How far ours is ahead of an arm, and the arm ahead of seeds alone: of one task, or the mean over several."""
    told: dict[str, Any] = {}
    for name, new, old in (("gain", arm, "seeds"), ("ours_ahead", "ours", arm)):
        tables = [changes(cells, new, old) for cells in tasks]
        mean, (low, high) = float(np.mean([table.mean() for table in tables])), interval(tables)
        told[name] = [points(mean), points(low), points(high)]
        if min(len(table) for table in tables) > 1:
            reach = t_reach(tables)
            told[f"{name}_t"] = [points(mean - reach), points(mean + reach)]
        if len(tables) == 1:
            told[f"{name}_each"] = [points(float(row.mean())) for row in tables[0]]
    return told


def t_reach(tables: Sequence[np.ndarray]) -> float:
    """How far the 95 % interval of the mean over tasks reaches, by Student's t over the draws and the items of each [draws, items].

    The variances of the tasks add up, each with its own degrees of freedom (Satterthwaite); for one task it is `loops.claims`' interval.
    """
    parts = [
        (side.var(ddof=1) / len(side), len(side) - 1) for table in tables for side in (table.mean(1), table.mean(0))
    ]
    spread = sum(variance for variance, _ in parts)
    if not spread:
        return 0.0
    freedom = spread**2 / sum(variance**2 / free for variance, free in parts)
    return float(student_t.ppf(0.975, freedom)) * math.sqrt(spread) / len(tables)


def points(share: float) -> float:
    return round(100 * share, 1)


def main() -> None:
    """Make the cells that are not done, a draw of every task before the next draw, then what others lack; print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--tasks", default="trec,snips")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--data", type=Path, default=os.environ.get("LLM2LLM_DATA"))
    parser.add_argument("--place", type=Path, default=None)
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--lessons", type=Path, default=LESSONS)
    parser.add_argument("--trainings", type=int, default=1)
    parser.add_argument("--replay", type=Path, default=None)
    parser.add_argument("--recipe", default=None)
    parser.add_argument("--table", action="store_true")
    given = parser.parse_args()
    if given.trainings < 1:
        parser.error(f"--trainings {given.trainings}: an arm is trained once at least")
    if given.recipe and not given.table:
        parser.error(f"--recipe {given.recipe}: only --table knows another recipe than the present one")
    data = Path(given.data) if given.data else None
    place = given.place or cache_folder() / "bench-gain"
    tasks = tasks_of(given.tasks, data)
    cells = [Cell(task, draw, place, data) for draw in range(1, given.seeds + 1) for task in tasks]
    known, shares = {cell: result_of(cell, given.results, given.recipe) for cell in cells}, {}
    for cell in sorted(cells, key=lambda cell: known[cell] is not None):
        told = known[cell]
        if not given.table and (told is None or told.trainings < given.trainings or lacks_an_arm(cell, told)):
            trainings = max(given.trainings, told.trainings if told else 1)
            make(cell, trainings, given.replay)
            keep_result(cell, trainings, given.results)
            keep_lessons(cell, given.lessons)
            told = result_of(cell, given.results)
        if told is not None:
            arms = shares[cell] = told.shares()
            share = {arm: points(sum(one.values()) / len(one)) for arm, one in arms.items()}
            line = {
                "bench": "gain",
                "task": cell.task,
                "draw": cell.draw,
                "trainings": told.trainings,
                **share,
                "sizes": told.sizes,
                "on": told.machine,
            }
            print(json.dumps(line), flush=True)
    done = {task: [shares[cell] for cell in cells if cell.task == task and cell in shares] for task in tasks}
    for row in rows({task: arms for task, arms in done.items() if arms}):
        print(json.dumps({"bench": "gain", **row}))


if __name__ == "__main__":
    main()

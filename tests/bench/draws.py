"""One task with one draw of its seed items, as the benches of the evidence use it: its eval set, its folder, further labelled items.

Of the data only `train` is read here; `test` stays in the eval set until a student is examined on it.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from agent.builtin import cache_folder
from agent.settings import recipes
from loops.run_folder import RunFolder
from student.evals.load import EvalSet, load_evals
from student.records import Seed, text_hash, write_text
from student.similar import TextIndex
from teacher.curate import CurateSettings

SEEDS = {"trec": 60, "snips": 70, "sst2": 20}
"""Seed items of each task, as in the paper."""
COLUMNS = {"trec": ("question", "label"), "snips": ("text", "intent"), "sst2": ("sentence", "label")}
"""What the columns are called in the folder's files."""
ENDINGS = {"trec": "jsonl", "snips": "jsonl", "sst2": "csv"}
WORDS = {
    "trec": {"ABBR": "abbreviation", "DESC": "description", "ENTY": "thing", "HUM": "person", "LOC": "place", "NUM": "number"},
    "snips": {"AddToPlaylist": "playlist", "BookRestaurant": "restaurant", "GetWeather": "weather", "PlayMusic": "music",
              "RateBook": "rating", "SearchCreativeWork": "work", "SearchScreeningEvent": "cinema"},
}  # fmt: skip
"""Words that a reader knows in the place of labels that are codes or names of functions."""
AMONG = 2000
"""Further labelled items are looked for among so many: of short requests most are alike."""


def tasks_of(text: str, data: Path | None) -> list[str]:
    """The tasks named, comma between. Raises SystemExit for one that is not known or has no files in the folder."""
    tasks = text.split(",")
    for task in tasks:
        if task not in SEEDS:
            raise SystemExit(f"--tasks {task!r} is no task of these benches. There are: {', '.join(SEEDS)}.")
        for part in ("train", "test") if data else ():
            file = Path(data or "") / task / f"{part}.{ENDINGS[task]}"
            if not file.exists():
                raise SystemExit(f"--data {str(data)!r} holds no {task}/{file.name}. Name the folder that holds it.")
    return tasks


def arguments(trainings: int, items: int) -> argparse.ArgumentParser:
    """What the benches on training questions are told: tasks, draws, where data and runs are, how many trainings and items."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--tasks", default="trec,snips")
    parser.add_argument("--draws", default="1")
    parser.add_argument("--data", type=Path, default=os.environ.get("LLM2LLM_DATA"))
    parser.add_argument("--place", type=Path, default=cache_folder() / "bench-gain")
    parser.add_argument("--trainings", type=int, default=trainings)
    parser.add_argument("--items", type=int, default=items)
    parser.add_argument("--only", default="")
    return parser


def cells_of(given: argparse.Namespace) -> list[Cell]:
    """The draws named, task by task. Raises SystemExit for a task that is not known or has no files."""
    data = Path(given.data) if given.data else None
    tasks, draws = tasks_of(given.tasks, data), [int(draw) for draw in given.draws.split(",")]
    return [Cell(task, draw, given.place, data) for task in tasks for draw in draws]


@dataclass(frozen=True)
class Cell:
    """One task with one draw of its seed items."""

    task: str
    """Which."""
    draw: int
    """The draw, from 1."""
    place: Path
    """Where the runs of all cells are."""
    data: Path | None
    """A folder with the tasks' files; None for the hub."""
    words: bool = False
    """Whether its labels are called by `WORDS`."""

    @property
    def folder(self) -> Path:
        return self.place / self.task / f"draw-{self.draw}"

    @property
    def seed(self) -> int:
        """What the draw's runs and trainings start from: its own, so that the luck of one seed is not that of every draw."""
        return self.draw - 1

    def run(self, arm: str) -> RunFolder:
        return RunFolder(self.folder / arm)

    def evals(self) -> str:
        """The eval set's YAML file: the draw's seed items, no `select`, and the whole test split."""
        return self._evals(SEEDS[self.task])

    def opened(self) -> EvalSet:
        """The same, loaded."""
        return load_evals(self.evals(), False, cross_fit=False, needs_select=False)

    def further(self, count: int) -> list[Seed]:
        """So many other labelled items of `train`, none of them spelt like another or like a seed, as lessons are none.

        The same first ones for a larger count. Raises SystemExit where there are not as many.
        """
        least, seeds = CurateSettings().duplicate, self.opened()
        more = load_evals(self._evals(AMONG), False, cross_fit=False, needs_select=False)
        taken, chosen = TextIndex(least), list[Seed]()
        taken.add_many((one.id, one.prompt) for one in seeds.seeds)
        for one in sorted(more.seeds, key=lambda seed: text_hash("further", str(self.draw), seed.id)):
            if len(chosen) < count and taken.nearest(one.prompt)[1] < least:
                taken.add(one.id, one.prompt)
                chosen.append(one)
        seeds.close()
        more.close()
        if len(chosen) < count:
            raise SystemExit(
                f"{self.task}, draw {self.draw}: {len(chosen)} of {count} further labelled items are there."
            )
        return chosen

    def known(self) -> list[Seed]:
        """Every labelled item of `train`, the draw's own seed items among them."""
        every = load_evals(self._evals(None), False, cross_fit=False, needs_select=False)
        every.close()
        return [*every.seeds]

    def _evals(self, take: int | None) -> str:
        spec = yaml.safe_load(
            (recipes()[f"paper-{self.task}"].parent / "paper" / f"{self.task}.yaml").read_text("utf-8")
        )
        if self.data is not None:
            folder, (prompt, answer) = self.data / self.task, COLUMNS[self.task]
            spec["source"] = {
                part: str((folder / f"{part}.{ENDINGS[self.task]}").resolve()) for part in ("train", "test")
            }
            spec["columns"] = {"prompt": prompt, "answer": answer}
            spec["splits"]["test"] = "test"
        if self.words:
            spec = called(spec, WORDS[self.task])
        mine = {"from": "train", "take": take} if take else "train"
        spec["splits"] = {"mine": mine, "test": spec["splits"]["test"]}
        file = self.folder / f"{self.task}-{take or 'all'}{'-words' * self.words}.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        write_text(file, yaml.safe_dump({**spec, "draw": self.draw}, sort_keys=False))
        return str(file)


def called(spec: dict[str, Any], words: Mapping[str, str]) -> dict[str, Any]:
    """An eval set's YAML with its labels by other names; what its files call them is still understood."""
    names = {cell: words[label] for cell, label in (spec.get("label_names") or {}).items()}
    return {
        **spec,
        "labels": {words[label]: meaning for label, meaning in spec["labels"].items()},
        "label_names": {**names, **words},
    }

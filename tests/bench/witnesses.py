"""Planted wrong labels: how many are caught by the teacher alone, and by all witnesses together, at what loss of right ones.

From a folder with `trec/train.jsonl` (`question`, `label`), 60 questions are the seeds. Further real questions are offered
twice, with their right label and with a wrong one drawn at random: witnesses are never told which. The built-in teacher answers
each once; the built-in student, trained on the seeds, and the nearest seeds say what they think; what each is worth is learned on
the seeds alone. Answers and adapters are kept in the cache, so it can be stopped and started again. Prints one JSON line for
each point of the curves and one sentence. Draw 0 is what docs/evidence.md publishes; try changes on draw 1.

    python tests/bench/witnesses.py FOLDER [PLANTED] [DRAW]      200 planted labels and 200 right ones: five minutes or so
"""

from __future__ import annotations

import json
import os
import random
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from agent.builtin import cache_folder, pull
from student.evals.splits import make_folds
from student.prompting import Ask
from student.records import Example, Question, Seed, text_hash, write_json
from student.settings import Lora, TrainSettings
from student.worker import StudentWorker
from teacher.answers import answer_request, read_answer, shown_seeds
from teacher.client import Client
from teacher.curate import CurateSettings
from teacher.ledger import Budget, Ledger
from teacher.local import LocalServer
from teacher.nearest import NearestSeeds
from teacher.openai_backend import OpenAIBackend
from teacher.sheet import TaskSheet
from teacher.witnesses import UNDECIDED, Report, Witness, belief, witness

LABELS = {
    "ABBR": "what an abbreviation stands for, or how something is abbreviated",
    "DESC": "a definition, a description, a reason, or how something is done",
    "ENTY": "a thing: an animal, a product, a work, a food, a language, a word, a colour, a sport",
    "HUM": "a person or a group of people: who, which company or team",
    "LOC": "a place: a city, a country, a mountain, where something is",
    "NUM": "a number: a date, an amount, a distance, a price, a length of time",
}
SHEET = TaskSheet(
    task="Say what kind of answer a question asks for.\n"
    + "\n".join(f"- {name}: {what}" for name, what in LABELS.items()),
    noun="question",
    labels=tuple(LABELS),
)
ASK = Ask(frame="Question: {question}\nKind of answer:")
SEEDS, FOLDS, SERVED_BY = 60, 3, "bench"
PATIENT = 3600.0
"""Seconds for one reply: a machine that is busy with other things is no failure."""
Case = tuple[Seed, str]
"""A real question with its right label, and the label it is offered with."""
Heard = tuple[Witness, dict[str, str]]
"""A witness, and what it says of each question, by id."""


def cases(folder: Path, planted: int, part: int = 0) -> tuple[list[Seed], list[Case]]:
    """The seeds, and the candidates: each question with its right label, then with a wrong one."""
    lines = (folder / "trec" / "train.jsonl").read_text(encoding="utf-8").splitlines()
    found = {row["question"]: row["label"] for row in map(json.loads, lines)}
    items = [Seed(id=text_hash(text), prompt=text, answer=label, choices=SHEET.labels) for text, label in found.items()]
    random.Random(0).shuffle(items)
    draw, offered, start = random.Random(1), list[Case](), SEEDS + part * planted
    for item in items[start : start + planted]:
        wrong = draw.choice([label for label in LABELS if label != item.answer])
        offered += [(item, item.answer), (item, wrong)]
    return items[:SEEDS], offered


def teacher_says(place: Path, shown: Sequence[Seed], items: Sequence[Seed]) -> list[str]:
    """The teacher's label for each; empty where it gave none, or where it is shown the right one."""
    requests = [answer_request(SHEET, item.prompt, shown=shown) for item in items if item not in shown]
    with ExitStack() as stack:
        ledger = Ledger(place / "ledger.sqlite", Budget())
        stack.callback(ledger.close)
        if any(ledger.find(one.key(SERVED_BY)) is None for one in requests):
            gguf = pull("builtin:qwen2.5-coder-1.5b-instruct", lambda *_: None)
            server = stack.enter_context(LocalServer(gguf))
            backend = OpenAIBackend(server.base_url, "teacher", server.api_key, timeout=PATIENT, served_by=SERVED_BY)
            stack.callback(backend.close)
            Client(backend, ledger, deadline_seconds=PATIENT, request_seconds=PATIENT).ask_all(requests, round=0)
        replies = iter([ledger.find(one.key(SERVED_BY)) for one in requests])
    answered = (None if item in shown else next(replies) for item in items)
    return [(read_answer(reply) if reply else None) or UNDECIDED for reply in answered]


def student_says(place: Path, seeds: Sequence[Seed], items: Sequence[Seed]) -> tuple[list[str], list[str]]:
    """The student's label for each seed, by students of the other folds, and for each item, by one of all seeds."""
    load = {
        "source": str(pull("builtin:smollm2-135m-instruct", lambda *_: None)), "machine": None,
        "cache": str(cache_folder() / "students"), "lora": Lora(layers=0.34).model_dump(),
    }  # fmt: skip
    student = StudentWorker(load, place / "student.log", lambda: False)
    try:
        by_id = dict[str, str]()
        for number, fold in enumerate(make_folds(seeds, FOLDS)):
            held = {seed.id for seed in fold}
            adapter = _trained(student, place / f"fold-{number}", [seed for seed in seeds if seed.id not in held])
            by_id.update(zip([seed.id for seed in fold], _answers(student, adapter, fold), strict=True))
        whole = _trained(student, place / "whole", seeds)
        return [by_id[seed.id] for seed in seeds], _answers(student, whole, items)
    finally:
        student.close()


def _trained(student: StudentWorker, adapter: Path, seeds: Sequence[Seed]) -> Path:
    if not (adapter / "adapter_model.safetensors").exists():
        adapter.mkdir(parents=True, exist_ok=True)
        examples = [Example(prompt=seed.prompt, answer=seed.answer) for seed in seeds]
        student.train(ASK, examples, TrainSettings().model_dump(), 0, adapter, lambda message: None)
    return adapter


def _answers(student: StudentWorker, adapter: Path, items: Sequence[Seed]) -> list[str]:
    questions = [Question(prompt=item.prompt, choices=item.choices) for item in items]
    raw = student.examine(ASK, [*questions], adapter, 8, lambda message: None)
    return [SHEET.labels[max(range(len(LABELS)), key=lambda at: one["scores"][at])] for one in raw]


def beliefs_in(offered: Sequence[Case], heard: Sequence[Heard]) -> list[float]:
    """How far each offered label is believed."""
    return [belief(label, SHEET.labels, [(one, said[item.id]) for one, said in heard]) for item, label in offered]


def curve(offered: Sequence[Case], heard: Sequence[Heard]) -> list[dict[str, float]]:
    """For each threshold on belief: the share of wrong labels caught and of right ones lost."""
    beliefs = beliefs_in(offered, heard)
    wrong = [value for value, (item, label) in zip(beliefs, offered, strict=True) if item.answer != label]
    right = [value for value, (item, label) in zip(beliefs, offered, strict=True) if item.answer == label]
    points = {round(at / 20, 2) for at in range(21)} | {0.01, 0.02, 0.98, 0.99}
    return [
        {
            "belief": least,
            "caught": round(sum(value < least for value in wrong) / len(wrong), 3),
            "lost": round(sum(value < least for value in right) / len(right), 3),
        }
        for least in sorted(points)
    ]


def ranked(offered: Sequence[Case], heard: Sequence[Heard]) -> float:
    """Probability that a right label is believed more than a wrong one (area under the curve)."""
    beliefs = beliefs_in(offered, heard)
    right, wrong = beliefs[::2], beliefs[1::2]
    return sum((a > b) + 0.5 * (a == b) for a in right for b in wrong) / (len(right) * len(wrong))


def main(folder: Path, planted: int, part: int) -> None:
    """Ask everyone, then print the curves."""
    seeds, offered = cases(folder, planted, part)
    items = [item for item, _ in offered[::2]]
    place = cache_folder() / "bench-witnesses"
    place.mkdir(parents=True, exist_ok=True)
    shown = shown_seeds(SHEET, seeds, CurateSettings().shown)
    said = {"teacher": teacher_says(place, shown, [*seeds, *items])}
    own, theirs = student_says(place, seeds, items)
    near = NearestSeeds(seeds)
    said |= {
        "student": [*own, *theirs],
        "nearest seeds": [*near.leave_one_out(), *near.labels([one.prompt for one in items])],
    }
    write_json(place / f"said-{part}.json", said)
    ids = [item.id for item in items]
    heard = [
        (_on_seeds(name, seeds, labels), dict(zip(ids, labels[SEEDS:], strict=True))) for name, labels in said.items()
    ]
    groups = {"teacher": heard[:1], "teacher and student": heard[:2], "teacher and seeds": heard[::2], "all": heard}
    for one, labels in heard:
        right = sum(labels[item.id] == item.answer for item in items)
        print(json.dumps({"bench": "witnesses", "who": one.name, "right_of_seeds": one.right, "seeds": one.asked,
                          "right_of_candidates": right, "candidates": len(items)}))  # fmt: skip
    for name, group in groups.items():
        for point in curve(offered, group):
            print(json.dumps({"bench": "witnesses", "who": name, "ranked": round(ranked(offered, group), 3), **point}))
    _conclude(offered, heard)


def _on_seeds(name: str, seeds: Sequence[Seed], labels: Sequence[str]) -> Witness:
    return witness(name, [Report(truth=seed.answer, said=said) for seed, said in zip(seeds, labels, strict=False)])


def _conclude(offered: Sequence[Case], heard: Sequence[Heard]) -> None:
    """One sentence: the plain check (the teacher must agree) beside the combined score at no more right labels lost."""
    verdicts = [(heard[0][1][item.id] == label, item.answer == label) for item, label in offered]
    lost = sum(good and not agrees for agrees, good in verdicts) / sum(good for _, good in verdicts)
    caught = sum(not good and not agrees for agrees, good in verdicts) / sum(not good for _, good in verdicts)
    at_most: Any = max((p for p in curve(offered, heard) if p["lost"] <= lost), key=lambda p: p["caught"])
    print(
        f"The teacher alone catches {caught:.1%} of the wrong labels and loses {lost:.1%} of the right ones; all witnesses, at "
        f"a belief of {at_most['belief']}, catch {at_most['caught']:.1%} and lose {at_most['lost']:.1%}. A right label is believed "
        f"more than a wrong one with probability {ranked(offered, heard[:1]):.3f} (teacher) and {ranked(offered, heard):.3f} (all)."
    )


if __name__ == "__main__":
    data = Path(sys.argv[1] if sys.argv[1:] else os.environ.get("LLM2LLM_DATA", ""))
    if (data / "trec" / "train.jsonl").exists():
        main(data, int(sys.argv[2]) if sys.argv[2:] else 200, int(sys.argv[3]) if sys.argv[3:] else 0)
    else:
        print(
            f"No trec/train.jsonl in {str(data)!r}: name a folder that holds it, or set LLM2LLM_DATA. Nothing was measured."
        )

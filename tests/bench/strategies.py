"""What a correct lesson costs, by strategy: how many lessons come, pass the checks and are right, and the teacher tokens they take.

From a folder with `trec/train.jsonl` and `trec/test.jsonl` (`question`, `label`), 60 questions are the seeds. The built-in student is
mined on them out of fold, once; from those failures each strategy that asks a teacher has so many lessons written by the
built-in one, and they go through the loop's own curation. Whether a lesson is right is said by two judges who learned every
training question there is: a linear model, at once, and the same student fine-tuned on them, at the end. The accuracy of each on
`test` is printed too. Adapters, replies and rows are kept in the cache, so it can be stopped and started again. Prints one JSON
line a strategy and judge.

    python tests/bench/strategies.py FOLDER [LESSONS] [STRATEGY ...]      48 lessons of each strategy: half an hour or so
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml
from probe import Probe
from witnesses import LABELS

from agent.builtin import cache_folder
from agent.models import RecordingWorker, known_machine, model_file, open_teacher
from loops import nodes
from loops.crew import Crew
from loops.learning import fit, round_file
from loops.run_folder import RunFolder
from loops.settings import RunSettings
from loops.state import State
from loops.teaching import check_teacher
from student.evals.load import EvalSet, load_evals, read_parts
from student.records import (
    Candidate,
    Example,
    Question,
    Record,
    Seed,
    Verdict,
    read_records,
    text_hash,
    write_records,
    write_text,
)
from student.settings import TrainSettings
from student.similar import fold
from teacher.client import Client
from teacher.diversity import spread
from teacher.requests import Answer, Request

STRATEGIES = ("untargeted", "paper", "contrast", "skill", "style", "taxonomy")
TREE = Path(__file__).parent / "taxonomy"
SEEDS, HELD = 60, 200
OTHERS = 500
"""Training questions that are no seeds, on which the stand-in is examined."""
ORACLE = TrainSettings(epochs=2.0, batch_size=32)
FIRST = State(round=1)
PATIENT = 3600.0
"""Seconds for one reply: a machine that is busy with other things is no failure."""

Judge = Callable[[Sequence[str]], list[str]]
"""Told texts; returns the label of each."""


class Judged(Record):
    """One candidate, what curation said of it, and what the oracle takes it for."""

    strategy: str
    """Who wrote it."""
    weakness: str
    """The weakness it was written for."""
    prompt: str
    """The question."""
    intended: str
    """The label it was asked for with."""
    judges: dict[str, str] = {}  # noqa: RUF012  a record's fields are copied
    """The label each judge gives it."""
    accepted: bool
    """Whether it became a lesson."""
    reason: str
    """Why not."""
    witnesses: dict[str, str]
    """What the witnesses said."""

    def right(self, judge: str) -> bool:
        """Whether it is what it was asked for to be."""
        return self.judges[judge] == self.intended


@dataclass
class Purse:
    """What the replies to one strategy's requests cost, by what they were for."""

    spent: Counter[str] = field(default_factory=Counter)

    def add(self, requests: Sequence[Request], client: Client) -> None:
        for one in requests:
            reply = client.ledger.find(one.key(client.backend.served_by))
            if reply is not None:
                self.spent[one.purpose] += (reply.prompt_tokens or 0) + (reply.completion_tokens or 0)
                self.spent[f"{one.purpose} replies"] += reply.completion_tokens or 0


class CountingClient(Client):
    """A client that says what was asked. Replies that lie in the ledger are counted as what they once cost."""

    purse = Purse()

    def ask_all(self, requests: Sequence[Request], **how: Any) -> list[Answer]:
        answers = super().ask_all(requests, **how)
        self.purse.add(requests, self)
        return answers


def eval_set(place: Path, data: Path) -> tuple[Path, EvalSet]:
    """TREC with 60 seeds: its YAML file, and what it loads as."""
    file = place / "trec.yaml"
    taken = {"mine": {"from": "train", "take": SEEDS}, "select": {"from": "train", "take": HELD}, "test": "test"}
    about = {
        "name": "trec", "source": {part: str((data / "trec" / f"{part}.jsonl").resolve()) for part in ("train", "test")},
        "columns": {"prompt": "question", "answer": "label"}, "kind": "choice", "noun": "question",
        "instruction": "Say what kind of answer a question asks for.", "labels": LABELS,
        "frame": "Question: {question}\nKind of answer:", "splits": taken,
    }  # fmt: skip
    write_text(file, yaml.safe_dump(about, sort_keys=False))
    return file, load_evals(file)


def say(event: str, /, **fields: Any) -> None:
    """Events to stderr, but for those that come by the dozen."""
    if event in ("note", "score", "weakness", "decided"):
        print(event, json.dumps(fields, ensure_ascii=False), file=sys.stderr, flush=True)


def worth(probe: Probe, seeds: Sequence[Seed], found: Sequence[Judged], others: Sequence[Seed]) -> dict[str, Any]:
    """What the stand-in has right of other real questions after the seeds; with the accepted lessons, with the right ones of them, and
    with as many real ones as were accepted."""
    real = [(one.prompt, one.answer) for one in seeds]
    kept = [(one.prompt, one.intended) for one in found if one.accepted]
    right = [(one.prompt, one.intended) for one in found if one.accepted and one.right("linear")]
    spare = [(one.prompt, one.answer) for one in others]
    tested, further = spare[:OTHERS], spare[OTHERS : OTHERS + len(kept)]
    lists = {"seeds": real, "and_accepted": real + kept, "and_right": real + right, "and_as_many_real": real + further}
    shares = {name: round(100 * probe.accuracy(rows, tested), 1) for name, rows in lists.items()}
    return {"bench": "strategies", "strategy": found[0].strategy, "probe_on": len(tested), **shares}


def mined(crew: Crew) -> None:
    """The student of the seeds, the seeds it fails out of fold, and the teacher's own answers to them."""
    nodes.train(State(), crew)
    nodes.mine(State(), crew)
    check_teacher(crew, State())


def known_questions(file: Path) -> tuple[list[Seed], list[Seed]]:
    """Every training question that is not in `test`, and those of `test`."""
    parts = read_parts(file).parts
    tested = {fold(item.prompt) for item in parts["test"]}
    return [item for item in parts["train"] if fold(item.prompt) not in tested], list(parts["test"])


def linear_judge(known: Sequence[Seed]) -> Judge:
    """Words, word pairs and triples, parts of words and how a question begins, in a linear model."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import FeatureUnion, make_pipeline
    from sklearn.svm import LinearSVC

    word = r"\w+|[^\w\s]+"
    seen = FeatureUnion([
        ("words", TfidfVectorizer(token_pattern=word, ngram_range=(1, 3), sublinear_tf=True)),
        ("parts", TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True)),
        ("start", TfidfVectorizer(token_pattern=word, preprocessor=lambda text: " ".join(text.lower().split()[:3]))),
    ])  # fmt: skip
    model: Any = make_pipeline(seen, LinearSVC(C=0.5))
    model.fit([one.prompt for one in known], [one.answer for one in known])
    return lambda texts: [str(one) for one in model.predict(list(texts))] if texts else []


def student_judge(crew: Crew, known: Sequence[Seed], adapter: Path) -> Judge:
    """The built-in student, fine-tuned by the loop's own training."""
    learner = replace(crew, settings=crew.settings.model_copy(update={"train": ORACLE}))
    fit(learner, State(), "judge", [Example(prompt=one.prompt, answer=one.answer) for one in known], adapter)
    return lambda texts: labels(crew, adapter, texts)


def accuracy(name: str, judge: Judge, tested: Sequence[Seed]) -> dict[str, Any]:
    said = judge([item.prompt for item in tested])
    right = sum(one == item.answer for one, item in zip(said, tested, strict=True))
    return {"bench": "strategies", "judge": name, "right": right, "of_test": len(tested)}


def labels(crew: Crew, adapter: Path, texts: Sequence[str]) -> list[str]:
    """What a student takes these texts for."""
    names = crew.evals.labels
    questions = [Question(prompt=text, choices=names) for text in texts]
    raw = crew.student.examine(crew.evals.ask(), [*questions], adapter, 8, lambda message: None)
    return [names[max(range(len(names)), key=lambda at: one["scores"][at])] for one in raw]


def lessons_of(crew: Crew, name: str) -> list[Judged]:
    """One strategy's candidates, written and curated by the loop's own verbs."""
    nodes.diagnose(FIRST, crew)
    nodes.generate(FIRST, crew)
    nodes.curate(FIRST, crew)
    candidates = read_records(round_file(crew, 1, "candidates.jsonl"), Candidate)
    verdicts = read_records(round_file(crew, 1, "verdicts.jsonl"), Verdict)
    weaknesses = {one["id"]: one["name"] for one in _rows(round_file(crew, 1, "weaknesses.jsonl"))}
    return [
        Judged(strategy=name, weakness=weaknesses.get(one.weakness_id, ""), prompt=one.prompt, intended=one.answer,
               accepted=verdict.accepted, reason=verdict.reason, witnesses=verdict.witnesses)
        for one, verdict in zip(candidates, verdicts, strict=True)
    ]  # fmt: skip


def _rows(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def judged(found: Sequence[Judged], name: str, judge: Judge) -> list[Judged]:
    """The same candidates with one judge's labels."""
    said = judge([one.prompt for one in found])
    return [
        one.model_copy(update={"judges": {**one.judges, name: label}}) for one, label in zip(found, said, strict=True)
    ]


def summary(judge: str, asked: int, found: Sequence[Judged], spent: Counter[str]) -> dict[str, Any]:
    """One line of the table."""
    kept, lost = ([one for one in found if one.accepted is kind] for kind in (True, False))
    right, tokens = [one for one in kept if one.right(judge)], spent["write"] + spent["answer"]
    return {
        "bench": "strategies", "strategy": found[0].strategy if found else "", "judge": judge, "asked": asked, "came": len(found),
        "right_of_those": sum(one.right(judge) for one in found),
        "accepted": len(kept), "right": len(right), "rejected": dict(Counter(one.reason for one in lost).most_common()),
        "right_but_rejected": dict(Counter(one.reason for one in lost if one.right(judge)).most_common()),
        "writing_tokens": spent["write"], "of_these_replies": spent["write replies"], "checking_tokens": spent["answer"],
        "per_accepted": _each(tokens, len(kept)), "per_right": _each(tokens, len(right)),
        "spread_of_what_came": _spread(found), "spread_of_right": _spread(right),
    }  # fmt: skip


def _each(tokens: int, count: int) -> int | None:
    return round(tokens / count) if count else None


def _spread(found: Sequence[Judged]) -> dict[str, float]:
    measured = spread([one.prompt for one in found])
    return {"distinct_2": measured.distinct_2, "self_similarity": measured.self_similarity}


def main(data: Path, lessons: int, names: Sequence[str]) -> None:
    """Mine once, then measure each strategy on the same failures."""
    place = cache_folder() / "bench-strategies"
    base = RunFolder(place / "mined")
    base.path.mkdir(parents=True, exist_ok=True)
    file, evals = eval_set(place, data)
    settings = RunSettings.model_validate({
        "evals": str(file), "generate": {"lessons": lessons, "taxonomy": str(TREE)},
        "teacher": {"request_seconds": PATIENT, "deadline_seconds": PATIENT},
    })  # fmt: skip
    with ExitStack() as stack:
        load = {"source": model_file(settings.student.model, say), "cache": str(cache_folder() / "students"),
                "lora": settings.student.lora.model_dump(), "machine": known_machine(base)}  # fmt: skip
        student = RecordingWorker(load, base, lambda: False, settings.student.launch)
        stack.callback(student.close)
        opened: list[CountingClient] = []

        def teacher() -> Client:
            if not opened:
                plain = open_teacher(settings, evals, place / "ledger.sqlite", say, stack, lambda: False)
                opened.append(CountingClient(plain.backend, plain.ledger, emit=say, concurrency=settings.teacher.at_once,
                                             deadline_seconds=PATIENT, request_seconds=PATIENT))  # fmt: skip
            return opened[0]

        crew = Crew(settings, evals, base, student, teacher, say)
        known, tested = known_questions(file)
        quick = linear_judge(known)
        tell(accuracy("linear", quick, tested))
        mined(crew)
        probe, taken = Probe(crew.evals.ask()), {fold(one.prompt) for one in crew.evals.seeds}
        others = sorted((one for one in known if fold(one.prompt) not in taken), key=lambda one: text_hash(one.prompt))
        found, spent = dict[str, list[Judged]](), dict[str, Counter[str]]()
        for name in names:
            CountingClient.purse = Purse()
            found[name] = judged(measured(crew, place, name), "linear", quick)
            spent[name] = CountingClient.purse.spent
            write_records(place / f"{name}.jsonl", found[name])
            tell(summary("linear", lessons, found[name], spent[name]))
            if found[name]:
                tell(worth(probe, crew.evals.seeds, found[name], others))
        slow = student_judge(crew, known, place / "judge")
        tell(accuracy("student", slow, tested))
        for name in names:
            found[name] = judged(found[name], "student", slow)
            write_records(place / f"{name}.jsonl", found[name])
            tell(summary("student", lessons, found[name], spent[name]))


def tell(line: dict[str, Any]) -> None:
    print(json.dumps(line), flush=True)


def measured(crew: Crew, place: Path, name: str) -> list[Judged]:
    """One strategy in a folder of its own that begins where mining ended."""
    folder = place / "strategies" / name
    shutil.rmtree(folder, ignore_errors=True)  # the ledger has every reply: made again in a moment, and counted anew
    shutil.copytree(crew.folder.path, folder)
    generate = crew.settings.generate.model_copy(update={"mix": {name: 1.0}})
    settings = crew.settings.model_copy(update={"generate": generate})
    return lessons_of(replace(crew, settings=settings, folder=RunFolder(folder)), name)


if __name__ == "__main__":
    folder = Path(sys.argv[1] if sys.argv[1:] else os.environ.get("LLM2LLM_DATA", ""))
    if (folder / "trec" / "test.jsonl").exists():
        main(folder, int(sys.argv[2]) if sys.argv[2:] else 48, sys.argv[3:] or STRATEGIES)
    else:
        print(
            f"No trec/test.jsonl in {str(folder)!r}: name a folder that holds it, or set LLM2LLM_DATA. Nothing was measured."
        )

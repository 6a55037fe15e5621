"""Saying the same in other words: how many rewordings are caught at how many false drops, by ways to see what a text says.

In: a folder with TREC, SNIPS, SST-2 and GSM8K (`trec/train.jsonl`, ...), as argument or in LLM2LLM_DATA. In each, 200 training items
are the seeds. 24 of them are said in other words by the built-in teacher, and 40 others by rule; counted are rewordings that the
check by letters lets pass. 300 other training items play the honest lessons. Replies are kept in the cache, so it can be
stopped and started again; the teacher needs about five minutes, once.

For each way and set: the rewordings caught at the lowest threshold that drops at most 1 % of honest items. Then, for the way that
is used, the loop's own check at several settings; what it would drop of the lessons that tests/bench/strategies.py left in the
cache; and what the comparison costs by size.

    python tests/bench/meaning.py FOLDER           JSON lines and a sentence
"""

from __future__ import annotations

import csv
import json
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import torch
from guard import rewordings
from strategies import STRATEGIES, Judged

from agent.builtin import cache_folder, pull
from loops.meanings import kind_of, said_alike
from loops.settings import CurateSettings
from loops.state import State
from student import meaning, nearness
from student.evals.load import load_evals
from student.evals.splits import numbers_in
from student.lora import Student
from student.models import Machine, load
from student.nearness import Space, Spelling, Vectors
from student.records import Candidate, Seed, read_records, text_hash
from student.settings import Lora
from student.similar import TextIndex
from teacher.client import Client
from teacher.ledger import Budget, Ledger
from teacher.local import LocalServer
from teacher.openai_backend import OpenAIBackend
from teacher.prompts import conversation
from teacher.replies import read_object
from teacher.requests import Request

SETS = {
    "TREC": ("trec/train.jsonl", "question", "label"),
    "SNIPS": ("snips/train.jsonl", "text", "intent"),
    "SST-2": ("sst2/train.csv", "sentence", "label"),
    "GSM8K": ("gsm8k/train.jsonl", "question", "answer"),
}
SEEDS, HONEST, BY_TEACHER, BY_RULE = 200, 300, 24, 40
SERVED_BY, PATIENT = "bench", 3600.0
TASK = """Say a text again in other words, so that it means exactly the same and would be answered in exactly the same way.
Change as many words as you can and build the sentence differently. Keep all names and numbers. Answer nothing.

Reply with JSON on one line: {"text": "..."}"""
DEPTHS = (0.1, 0.25, 0.5)
COMPARED = ("TREC", "SNIPS", "SST-2")
"""Sets on which ways are compared: in GSM8K numbers and answers tell nearly all items apart."""
REMOVED = {"centred": 0, "3 removed": 3, "6 removed": 6, "12 removed": 12, "6 removed, and letters": 6}
"""Directions that are taken away beside the mean."""
SETTINGS = (0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7)
SIZES = (2_500, 5_000, 10_000, 20_000)

Embed = Callable[[tuple[str, ...], tuple[str, ...]], Vectors]
"""Told texts, and texts around them."""


class Material(NamedTuple):
    """One set."""

    seeds: list[Seed]
    honest: list[Seed]
    reworded: dict[str, list[Seed]]
    """By who reworded them; each has the id of the seed it was."""

    @property
    def items(self) -> list[Seed]:
        """All of them, seeds first."""
        return [one for group in (self.seeds, self.honest, *self.reworded.values()) for one in group]


def items(folder: Path, name: str) -> list[Seed]:
    """Training items in a random order, each text once."""
    file, column, answer = SETS[name]
    lines = (folder / file).read_text(encoding="utf-8").rstrip("\n").split("\n")
    rows = csv.DictReader(lines) if file.endswith(".csv") else map(json.loads, lines)
    found = {row[column]: row[answer].rpartition("#### ")[2] for row in rows}
    labels = () if name == "GSM8K" else tuple(sorted(set(found.values())))
    drawn = random.Random(0).sample(sorted(found.items()), SEEDS + HONEST)
    return [Seed(id=text_hash(text), prompt=text, answer=label, choices=labels) for text, label in drawn]


def material(items: Sequence[Seed], said: dict[str, str]) -> Material:
    """One set's texts; of rewordings and honest items those that the check by letters lets pass. `said`: the teacher's rewordings."""
    seeds, draw = list(items[:SEEDS]), random.Random(1)
    numeric = not seeds[0].choices
    known = TextIndex(CurateSettings().duplicate, "keep" if numeric else "fold")
    known.add_many((one.id, one.prompt) for one in seeds)
    passes = lambda one: known.nearest(one.prompt)[1] < CurateSettings().duplicate  # noqa: E731
    told = [one.model_copy(update={"prompt": said[one.prompt]}) for one in seeds[:BY_TEACHER] if said.get(one.prompt)]
    ruled = [one.model_copy(update={"prompt": text}) for one in seeds[BY_TEACHER : BY_TEACHER + BY_RULE]
             for text in rewordings(one.prompt, draw)[3:]]  # fmt: skip
    reworded = {"teacher": list(filter(passes, told)), "rule": list(filter(passes, ruled))}
    return Material(seeds, list(filter(passes, items[SEEDS:])), reworded)


def teacher_says(place: Path, texts: Sequence[str]) -> dict[str, str]:
    """Each text in the teacher's other words, where it gave any."""
    requests = {text: _request(text) for text in texts}
    with ExitStack() as stack:
        ledger = Ledger(place / "ledger.sqlite", Budget())
        stack.callback(ledger.close)
        if any(ledger.find(one.key(SERVED_BY)) is None for one in requests.values()):
            gguf = pull("builtin:qwen2.5-coder-1.5b-instruct", lambda *_: None)
            server = stack.enter_context(LocalServer(gguf))
            backend = OpenAIBackend(server.base_url, "teacher", server.api_key, timeout=PATIENT, served_by=SERVED_BY)
            stack.callback(backend.close)
            Client(backend, ledger, deadline_seconds=PATIENT, request_seconds=PATIENT).ask_all(
                [*requests.values()], round=0
            )
        replies = {text: ledger.find(one.key(SERVED_BY)) for text, one in requests.items()}
    read = {text: read_object(reply.text) or {} for text, reply in replies.items() if reply}
    return {text: str(said["text"]).strip() for text, said in read.items() if said.get("text")}


def _request(text: str) -> Request:
    schema = {
        "type": "object",
        "properties": {"text": {"type": "string"}},
        "required": ["text"],
        "additionalProperties": False,
    }
    return Request(
        purpose="write", messages=conversation(TASK, "Say this text again in other words.", {"text": text}), json_schema=schema,
        max_tokens=300, temperature=0.0, seed=0,
    )  # fmt: skip


# --- ways to see what a text says


def states(student: Student, texts: Sequence[str]) -> Iterator[tuple[str, Vectors]]:
    """Vectors of all texts as the product takes them, and otherwise."""
    depth, weigh = meaning.DEPTH, meaning.rarity
    try:
        for meaning.DEPTH in DEPTHS:
            yield f"depth {meaning.DEPTH}", meaning.embed(student, texts, texts[:SEEDS])
        meaning.DEPTH, meaning.rarity = depth, lambda rows: lambda token: 1.0
        yield f"depth {depth}, all tokens alike", meaning.embed(student, texts, texts[:SEEDS])
    finally:
        meaning.DEPTH, meaning.rarity = depth, weigh


def by_words(texts: Sequence[str]) -> Vectors:
    """Words weighed by rarity (TF-IDF): what needs no model."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    words = TfidfVectorizer(token_pattern=r"\w+", sublinear_tf=True).fit(texts[:SEEDS])
    found: Any = words.transform(texts)
    return found.toarray().astype(np.float32)


def seen(vectors: Vectors, how: str = "plain") -> Vectors:
    """How near every text is to each seed, its vector as it is, or as REMOVED says."""
    if how != "plain":
        before, nearness.REMOVED = nearness.REMOVED, REMOVED[how]
        try:
            vectors = Space(vectors[:SEEDS]).place(vectors)
        finally:
            nearness.REMOVED = before
    units = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)
    return units[SEEDS:] @ units[:SEEDS].T


def scores(of: Material, near: Vectors) -> dict[str, Vectors]:
    """How near each honest item and each rewording comes to the seeds of its kind. `near`: of all items but seeds, to each seed."""
    kinds = [kind_of(one, "fold" if one.choices else "keep") for one in of.items]
    alike = np.array([[one == other for other in kinds[:SEEDS]] for one in kinds[SEEDS:]])
    cuts = np.cumsum([len(of.honest), *map(len, of.reworded.values())])
    best = np.where(alike, near, -1.0).max(1)
    return dict(zip(["honest", *of.reworded], np.split(best, cuts[:-1]), strict=True))


def in_letters(texts: Sequence[str]) -> Vectors:
    """How near every text is to each seed in its letters."""
    spelling = Spelling(texts, texts[:SEEDS])
    rows = [[spelling.nearness(at, seed) for seed in range(SEEDS)] for at in range(SEEDS, len(texts))]
    return np.array(rows, np.float32)


def at_one_percent(found: dict[str, Vectors]) -> dict[str, Any]:
    """Catches at the lowest threshold at which at most one honest item in a hundred is dropped."""
    allowed = len(found["honest"]) // 100
    least = float(np.nextafter(np.sort(found["honest"])[-allowed - 1], np.float32(2)))
    caught = {name: [int((near >= least).sum()), len(near)] for name, near in found.items() if name != "honest"}
    return {"least": round(least, 3), **caught}


def reading(student: Student) -> Embed:
    """Reads each lot of texts once."""
    return cache(lambda texts, around: meaning.embed(student, texts, around))


def checked(of: Material, read: Embed, least: float) -> dict[str, list[int]]:
    """How many honest items and rewordings the loop's own check drops, as lessons beside the seeds alone."""
    groups, counts = {"honest": of.honest, **of.reworded}, dict[str, list[int]]()
    names = {seed.id for seed in of.seeds}
    for name, group in groups.items():
        asked = [candidate(one, f"{name} {at}") for at, one in enumerate(group)]
        found = alike(of.seeds, asked, read, least)
        dropped = sum(any(other in names for other, _ in others) for others in found.values())
        counts[name] = [dropped, len(group)]
    return counts


def alike(seeds: Sequence[Seed], asked: Sequence[Candidate], embed: Embed, least: float) -> dict[str, Any]:
    """What the loop's own check finds."""
    crew: Any = SimpleNamespace(
        settings=SimpleNamespace(curate=CurateSettings(meaning=least)), evals=SimpleNamespace(seeds=tuple(seeds)),
        student=SimpleNamespace(embed=lambda texts, around, on: embed(tuple(texts), tuple(around))), emit=lambda name, **fields: None,
    )  # fmt: skip
    numbers = numbers_in(seeds)
    return dict(said_alike(crew, State(), asked, [], numbers))


def candidate(one: Seed, name: str) -> Candidate:
    return Candidate(id=name, prompt=one.prompt, answer=one.answer, choices=one.choices, round=1, weakness_id="", parent_id="",
                     strategy="", request_key="k")  # fmt: skip


def speed(student: Student, texts: Sequence[str]) -> dict[str, float]:
    """Texts and tokens that a core reads in a second."""
    tokens, started = sum(len(student.tokenizer(text)["input_ids"]) for text in texts), time.process_time()
    meaning.embed(student, texts, texts)
    took = time.process_time() - started
    return {"texts_per_cpu_s": round(len(texts) / took), "tokens_per_cpu_s": round(tokens / took)}


def lessons(read: Embed) -> list[dict[str, Any]]:
    """What the check would drop at its default of the lessons that tests/bench/strategies.py had accepted."""
    place, lines = cache_folder() / "bench-strategies", list[dict[str, Any]]()
    if not (place / "trec.yaml").exists():
        return lines
    seeds, least = load_evals(place / "trec.yaml").seeds, CurateSettings().meaning
    assert least is not None
    for name in STRATEGIES:
        found = read_records(place / f"{name}.jsonl", Judged) if (place / f"{name}.jsonl").exists() else []
        kept = [one for one in found if one.accepted]
        asked = [candidate(Seed(id="", prompt=one.prompt, answer=one.intended, choices=seeds[0].choices), f"{at}")
                 for at, one in enumerate(kept)]  # fmt: skip
        texts = {one.id: one.prompt for one in (*seeds, *asked)}
        near = alike(seeds, asked, read, least)
        taken, dropped = {seed.id for seed in seeds}, list[list[Any]]()
        for one in asked:
            other = next(((other, at) for other, at in near.get(one.id, ()) if other in taken), None)
            if other is None:
                taken.add(one.id)
            else:
                dropped.append([one.prompt, texts[other[0]], other[1]])
        lines.append({"strategy": name, "accepted": len(kept), "dropped": len(dropped), "said the same": dropped})
    return lines


def cost(size: int) -> dict[str, Any]:
    """Seconds that it takes to compare so many texts, half of them candidates, once their places are known."""
    draw = np.random.default_rng(size)
    texts = [Seed(id=f"{at}", prompt=f"{at}", answer="ab"[at % 2], choices=("a", "b")) for at in range(size)]
    asked = [candidate(one, one.id) for one in texts[size // 2 :]]
    started = time.process_time()
    found = alike(
        texts[: size // 2], asked, lambda texts, _: draw.normal(size=(len(texts), 576)).astype(np.float32), 0.9
    )
    return {"texts": size, "cpu_s": round(time.process_time() - started, 1), "found": len(found)}


def main(folder: str | None) -> None:
    """Measure every set and way; print JSON lines and a sentence."""
    if not folder:
        print("Measured on public data: name a folder as argument or in LLM2LLM_DATA (see this file's head).")
        return
    place = cache_folder() / "bench-meaning"
    place.mkdir(parents=True, exist_ok=True)
    drawn = {name: items(Path(folder), name) for name in SETS}
    said = teacher_says(place, [one.prompt for found in drawn.values() for one in found[:BY_TEACHER]])
    sets = {name: material(found, said) for name, found in drawn.items()}
    machine = Machine(
        device="cpu", dtype="float32", threads=os.cpu_count() or 1, gflops=0.0
    )  # the same numbers on any machine
    torch.set_num_threads(machine.threads)
    gguf = str(pull("builtin:smollm2-135m-instruct", lambda *_: None))
    student = Student(*load(gguf, machine, cache_folder() / "students"), Lora(layers=1.0))
    read = reading(student)
    for name, of in sets.items():
        tell(set=name, honest=len(of.honest), **{who: len(found) for who, found in of.reworded.items()})
        texts = [one.prompt for one in of.items]
        letters = in_letters(texts)
        tell(set=name, way="words", **at_one_percent(scores(of, seen(by_words(texts)))))
        tell(set=name, way="letters", **at_one_percent(scores(of, letters)))
        for way, vectors in states(student, texts) if name in COMPARED else ():
            for how in ("plain", *REMOVED):
                near = seen(vectors, how)
                both: Vectors = ((near + letters) / 2).astype(np.float32)
                tell(set=name, way=way, how=how, **at_one_percent(scores(of, both if "letters" in how else near)))
    default = CurateSettings().meaning
    sums: Counter[str] = Counter()
    for name, of in sets.items():
        for least in SETTINGS:
            counts = checked(of, read, least)
            tell(set=name, setting=least, **counts)
            for who, (dropped, group) in counts.items() if least == default else ():
                sums.update({who: dropped, f"of {who}": group})
        tell(set=name, **speed(student, [one.prompt for one in of.seeds]))
    for line in lessons(read):
        tell(**line)
    for size in SIZES:
        tell(**cost(size))
    print(
        f"At the default of {default} the loop's check drops {sums['honest']} of {sums['of honest']:,} honest items, and catches "
        f"{sums['teacher']} of {sums['of teacher']} rewordings by the teacher and {sums['rule']} of {sums['of rule']} by rule that are "
        "spelt too differently for the check by letters."
    )


def tell(**line: Any) -> None:
    print(json.dumps({"bench": "meaning", **line}, ensure_ascii=False), flush=True)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("LLM2LLM_DATA"))

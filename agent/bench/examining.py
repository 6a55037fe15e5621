"""Have a rival answer the items, in each way, unless it has: one folder for each, made by `once`, so nothing is paid for twice.

A server's replies lie in a ledger beside its results: a bench that was killed asks only for what is missing, and a smaller sample
is part of a larger one. The model is loaded, or its server started, when the first question has to be asked.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from agent.bench.records import WAYS, Answered, Pace, Rival, Way
from agent.bench.rivals import teacher_settings
from agent.here import Here, Workers
from agent.models import open_backend
from agent.report.reading import damaged
from agent.served import Served
from loops.learning import worked_examples
from loops.run_folder import RunFolder, content_hash, digest, put_folder
from loops.settings import RunSettings
from student.evals.findings import OnStage
from student.evals.load import EvalSet
from student.records import Attempt, HeldOutItem, read_records, write_json, write_records
from student.settings import Lora
from teacher.backend import Backend

Who = Literal["tuned", "zero-shot", "few-shot"]
"""One of the run's own students."""
TIMED = 100
"""So many items are enough to tell how fast the run's own students answer."""


@dataclass(frozen=True)
class Hall:
    """Where examinations are held, and what is asked."""

    folder: RunFolder
    """The run's."""
    settings: RunSettings
    """The run's."""
    evals: EvalSet
    """The run's."""
    items: Sequence[HeldOutItem]
    """Of `test`."""
    ways: tuple[Way, ...]
    """How everyone is asked."""
    key_env: str
    """The environment variable with a server's key."""
    on_stage: OnStage
    """Told what is going on."""
    workers: Workers
    """Makes a student's process."""

    @property
    def place(self) -> Path:
        """Everything of this bench and of earlier ones."""
        return self.folder.path / "bench"

    @cached_property
    def about_items(self) -> str:
        """Tells one choice of items from another."""
        return digest([item.id for item in self.items])

    @property
    def shots(self) -> str:
        """Worked examples."""
        return worked_examples(self.evals, self.settings.student.shots)

    def task(self) -> str:
        """The task before a question; another tool's questions bring their own."""
        return "" if self.evals.hosted else self.evals.task()

    def lead(self, way: Way) -> str:
        """What an untouched student is told before every question, as in the run."""
        task = self.task()
        return (f"{task}\n\n" if task else "") + (self.shots if way == "few-shot" else "")


def examine(hall: Hall, rival: Rival) -> None:
    """Leave a rival's results for these items in its folder, in every way."""
    place = hall.place / rival.folder
    about = place / "about.json"
    if rival.prices is not None or not about.exists():  # prices that were given once stay known
        write_json(about, rival.model_dump(mode="json"))
    with ExitStack() as cleaning:
        answering = (
            _likelihood(hall, rival, cleaning) if rival.kind == "likelihood" else _writing(hall, rival, cleaning)
        )
        for way in hall.ways:
            target = place / way / f"{len(hall.items)}"
            inputs = {"items": [item.model_dump() for item in hall.items], "lead": hall.lead(way), "rival": [rival.model, rival.url],
                      "ask": hall.evals.ask().model_dump(), "files": _files(rival.model)}  # fmt: skip
            hall.folder.once(target, inputs, lambda way=way, target=target: _make(hall, answering, way, target))


def pace_of(hall: Hall, who: Who, adapter: Path | None, recorded: Sequence[Attempt], here: Callable[[], Here]) -> Pace:
    """How fast one of the run's own students answers the first of the items; measured once."""
    items = hall.items[:TIMED]
    target = hall.place / "own" / f"{who}.{len(items)}.json"
    ask = hall.evals.ask("" if who == "tuned" else hall.lead(who))
    inputs = {
        "items": [item.id for item in items],
        "ask": ask.model_dump(),
        "adapter": content_hash(adapter) if adapter else "",
    }

    def make() -> None:
        found, seconds = here().attempts(hall.evals, items, ask, adapter)
        asked, said = here().tokens(ask, items, found)
        known = {one.item_id: one.output for one in recorded}
        same = sum(known[one.item_id] == one.output for one in found)
        pace = Pace(items=digest([item.id for item in items]), seconds=round(seconds, 3), asked=len(items), prompt_tokens=asked,
                    completion_tokens=said, lost={}, same=same)  # fmt: skip
        write_json(target, pace.model_dump(mode="json"))

    hall.folder.once(target, inputs, make)
    return Pace.model_validate_json(target.read_text(encoding="utf-8"))


def results_of(hall: Hall) -> list[tuple[Rival, Way, Answered, list[Attempt]]]:
    """What every rival so far made of these very items, by name and way. Raises RunError for a changed file."""
    found: list[tuple[Rival, Way, Answered, list[Attempt]]] = []
    for about in sorted(hall.place.glob("*/about.json")):
        rival = _rival_in(about)
        for way in WAYS:
            place = about.parent / way / f"{len(hall.items)}"
            if (place / "result.json").exists():
                hall.folder.verify(place)
                result = Answered.model_validate_json((place / "result.json").read_text(encoding="utf-8"))
                if result.items == hall.about_items:
                    found.append((rival, way, result, read_records(place / "attempts.test.jsonl", Attempt)))
    return found


def _rival_in(about: Path) -> Rival:
    try:
        return Rival.model_validate_json(about.read_text(encoding="utf-8"))
    except ValueError as error:
        raise damaged(about, error) from error


Answering = Callable[[Way, Path], tuple[list[Attempt], Answered]]
"""Answers all items in one way; told a folder for what it has to keep."""


def _make(hall: Hall, answering: Answering, way: Way, target: Path) -> None:
    draft = target.with_name(f".{target.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    attempts, result = answering(way, target.parent)
    write_records(draft / "attempts.test.jsonl", attempts)
    write_json(draft / "result.json", result.model_dump(mode="json"))
    put_folder(draft, target)


def _likelihood(hall: Hall, rival: Rival, cleaning: ExitStack) -> Answering:
    """Examined as a student is."""
    open_here = opened(rival.model, hall.settings.student.lora, hall, cleaning)

    def answer(way: Way, place: Path) -> tuple[list[Attempt], Answered]:
        ask, here = hall.evals.ask(hall.lead(way)), open_here()
        attempts, seconds = here.attempts(hall.evals, hall.items, ask)
        asked, said = here.tokens(ask, hall.items, attempts)
        return attempts, Answered(items=hall.about_items, seconds=round(seconds, 3), asked=len(attempts), prompt_tokens=asked,
                                  completion_tokens=said, lost={})  # fmt: skip

    return answer


def _writing(hall: Hall, rival: Rival, cleaning: ExitStack) -> Answering:
    """Examined by what it writes, behind a server."""
    known: list[Backend] = []

    def backend(place: Path) -> Backend:
        if not known:
            settings = hall.settings.model_copy(
                update={"teacher": teacher_settings(rival, hall.settings.teacher, hall.key_env)}
            )
            log = place.parent / "server.log"
            hall.on_stage("loading the model", 0, None)
            known.append(open_backend(settings, hall.evals, log, lambda *_, **__: None, cleaning))
        return known[0]

    def answer(way: Way, place: Path) -> tuple[list[Attempt], Answered]:
        shots = hall.shots if way == "few-shot" else ""
        served = Served(backend(place), hall.evals, False, place, hall.on_stage, shots)
        try:
            attempts = served.attempts(hall.items)
            totals, asked = served.ledger.totals(), sum(1 for _ in served.ledger.asked(answered=True))
        finally:
            served.close()
        return attempts, Answered(items=hall.about_items, seconds=round(totals.seconds, 3), asked=asked, lost=dict(served.lost),
                                  prompt_tokens=totals.prompt_tokens, completion_tokens=totals.completion_tokens)  # fmt: skip

    return answer


def opened(model: str, lora: Lora, hall: Hall, cleaning: ExitStack) -> Callable[[], Here]:
    """A model that runs here, loaded when it is first asked for."""
    known: list[Here] = []

    def get() -> Here:
        if not known:
            known.append(Here(model, lora, hall.on_stage, hall.workers))
            cleaning.callback(known[0].close)
        return known[0]

    return get


def _files(model: str) -> list[tuple[str, int, int]]:
    """What tells that a model of the same path is another one by now."""
    path = Path(model).expanduser()
    files = [path] if path.is_file() else sorted(path.iterdir()) if path.is_dir() else []
    return [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files if file.is_file()]

"""`llm2llm bench RUN --against MODEL ...`: the tuned student beside the untouched one and other models, on `test`, and what they cost.

In: a finished run and the models that were named. Out: `bench/` in the run's folder, and a `Bench`. The run's own students were
examined on `test` when it made its claim: their answers are read, not asked for again. Each opening of `test` is on record before
anything is asked.

Files: `records` (what is written down), `rivals` (who is meant), `examining` (who answers, once), `verdicts` (what follows),
`shown` (how it looks).
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from agent.bench.examining import Hall, Who, examine, opened, pace_of, results_of
from agent.bench.records import Bench, Rival, Way
from agent.bench.rivals import far_away, refuse_to_send, rivals_of, what_leaves
from agent.bench.verdicts import Own, entries_of, notes_of, verdict_of
from agent.compare import kept_attempts
from agent.here import Workers
from agent.launch import same_evals
from agent.report.facts import Claim
from agent.report.reading import STUDENTS, Files, read_files
from agent.report.spending import cost_of
from agent.scoring import sampled
from loops.openings import openings, record_opening
from loops.run_folder import RunError, RunFolder
from loops.settings import RunSettings
from student.evals.findings import OnStage
from student.evals.load import EvalSet
from student.records import Attempt, HeldOutItem, write_json
from student.worker import StudentWorker


@dataclass(frozen=True)
class Order:
    """What was typed."""

    against: tuple[str, ...] = ()
    """Models, and addresses with a model's name."""
    limit: int | None = None
    """So many items at most, the same for all."""
    few_shot: bool = True
    """Whether rivals are also asked with worked examples."""
    send_test: bool = False
    """Whether held-out text may go to another machine."""
    prompt_price: float | None = None
    """Of a million prompt tokens of the servers named now."""
    completion_price: float | None = None
    """Of a million answer tokens."""
    key_env: str = "OPENAI_API_KEY"
    """The environment variable with a server's key."""
    allow_code: bool = False
    """Whether the eval set's own code may run."""


def bench(
    folder: RunFolder, order: Order, on_stage: OnStage, say: Callable[[str], None], workers: Workers = StudentWorker
) -> Bench:
    """Hold a run's tuned student against others. Raises the rooms' errors. `say` is told what will leave this machine."""
    settings, fingerprint = folder.load_settings()
    rivals = rivals_of(order.against, settings, order.prompt_price, order.completion_price)
    try:
        folder.lock()
        with ExitStack() as cleaning:
            cleaning.callback(folder.unlock)
            files = read_files(folder)
            recorded = _recorded(files, settings)
            evals = same_evals(folder, settings, fingerprint, order.allow_code)
            cleaning.callback(evals.close)
            ways = _ways(settings, order)
            shots = min(settings.student.shots, len(evals.seeds)) if len(ways) > 1 else 0
            _ask_to_send(order, rivals, evals, shots, say)
            items = sampled(_opened_test(folder, evals, rivals), order.limit)
            hall = Hall(folder, settings, evals, items, ways, order.key_env, on_stage, workers)
            own = _own(hall, recorded, cleaning)
            for rival in rivals:
                examine(hall, rival)
            return _written(hall, files, own)
    except (OSError, sqlite3.Error) as error:
        raise RunError(
            f"The bench could not write or read what it needs in {str(folder.path)!r} ({error}). Mend that, for example by freeing disk "
            "space; what was answered is kept, and the same command goes on from there."
        ) from error


def _recorded(files: Files, settings: RunSettings) -> dict[Who, list[Attempt]]:
    """What the run's own students answered on `test`. Raises RunError for a run that has made no claim."""
    found: dict[Who, list[Attempt]] = {"tuned": kept_attempts(files)}
    ways: tuple[Way, ...] = ("zero-shot", "few-shot") if settings.student.shots else ("zero-shot",)
    for way in ways:
        files.folder.verify(files.folder.path / "claim" / f"attempts.{way}.test.jsonl")
        found[way] = [*files.test[STUDENTS[way]].values()]
    return found


def _ways(settings: RunSettings, order: Order) -> tuple[Way, ...]:
    return ("zero-shot", "few-shot") if order.few_shot and settings.student.shots else ("zero-shot",)


def _ask_to_send(
    order: Order, rivals: Sequence[Rival], evals: EvalSet, shots: int, say: Callable[[str], None]
) -> None:  # fmt: skip
    """Before anything is opened or asked: refuse, or say, what goes to a server."""
    size = evals.held_out.sizes()["test"]
    count = min(order.limit or size, size)
    if not order.send_test:
        refuse_to_send(rivals, count, shots)
    missing = [rival for rival in far_away(rivals) if not os.environ.get(order.key_env)]
    if missing:
        say(f"The variable {order.key_env} holds no key: {missing[0].name} is asked without one.")
    for rival in rivals:
        if rival.url:
            say(what_leaves(rival, count, shots))


def _opened_test(folder: RunFolder, evals: EvalSet, rivals: Sequence[Rival]) -> Sequence[HeldOutItem]:
    """The items of `test`, once every opening is on record."""

    def record() -> None:
        for rival in rivals:
            name = f"bench {folder.name} against {rival.name}".replace("/", "_")
            record_opening(RunFolder(folder.path.parent / name), evals.fingerprint)

    return evals.held_out.open_test(record)


def _own(hall: Hall, recorded: dict[Who, list[Attempt]], cleaning: ExitStack) -> dict[Who, Own]:
    """The run's own students on the items of this bench: their answers from the record, and how fast they give them."""
    wanted = [item.id for item in hall.items]
    best = _claim(hall.folder).best
    adapters: dict[Who, Path | None] = {
        "tuned": hall.folder.round(best) / "adapter",
        "zero-shot": None,
        "few-shot": None,
    }
    here = opened(hall.settings.student.model, hall.settings.student.lora, hall, cleaning)
    own: dict[Who, Own] = {}
    for who, attempts in recorded.items():
        by_id = {one.item_id: one for one in attempts}
        own[who] = Own([by_id[item] for item in wanted], pace_of(hall, who, adapters[who], attempts, here))
    return own


def _claim(folder: RunFolder) -> Claim:
    return Claim.model_validate_json((folder.path / "claim" / "claim.json").read_text(encoding="utf-8"))


def _written(hall: Hall, files: Files, own: dict[Who, Own]) -> Bench:
    """Everything that is known of these items by now, as it is shown and kept."""
    entries = entries_of(hall, own, results_of(hall), cost_of(files)[0].money)
    found = Bench(
        run=hall.folder.name, student=hall.settings.student.model, round=_claim(hall.folder).best, evals=hall.evals.spec.name,
        n=len(hall.items), total=hall.evals.held_out.sizes()["test"], entries=entries, verdict=verdict_of(entries),
        notes=tuple(notes_of(hall, own, entries)), seen_by=tuple(openings(hall.folder.path.parent, hall.evals.fingerprint)),
    )  # fmt: skip
    write_json(hall.place / "bench.json", found.model_dump(mode="json"))
    return found

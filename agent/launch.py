"""Put a run together and drive it: load the eval set, start the student, find the teacher, run the loop, tell the end.

Ctrl-C once asks the run to stop at the next safe step, twice stops it now; either way it can be resumed. Every error a
person can mend arrives here as one of the rooms' own exceptions and becomes one paragraph and exit code 2.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from agent.builtin import PullError, cache_folder
from agent.mode import as_told, evals_for, settled
from agent.models import SPIN_COUNT, RecordingWorker, known_machine, model_file, open_teacher
from agent.settings import SettingsError
from loops.crew import Crew, ReviewWaits, RunStopped, sheet_of
from loops.events import EventLog, Watcher, read_events
from loops.folds import deal_folds
from loops.run_folder import RunError, RunFolder, find_run
from loops.settings import RunSettings
from student.errors import StudentError
from student.evals.load import EvalSet, load_evals
from student.evals.sending import columns_told
from student.records import write_json
from student.worker import StudentStopped
from teacher.client import Client
from teacher.errors import Stopped, TeacherUnusable
from teacher.generate import check_strategies
from teacher.prompts import every_prompt

if TYPE_CHECKING:
    from loops.review import Docket

Reviewer = Callable[["Docket"], None]
FIXABLE = (SettingsError, RunError, StudentError, TeacherUnusable, PullError)
"""What a person can mend: printed as one paragraph, exit code 2."""
STOPPED = 130
FIX_IT = 2


class Interrupted(Exception):
    """Ctrl-C was pressed twice."""


def opened_evals(settings: RunSettings, allow_code: bool) -> EvalSet:
    """The eval set of a new run, once everything asked of it is known to go together. Raises the rooms' errors."""
    evals = evals_for(settings, allow_code)
    try:
        check_strategies(sheet_of(evals), settings.generate)
    except TeacherUnusable:
        evals.close()
        raise
    return evals


def same_evals(folder: RunFolder, settings: RunSettings, fingerprint: str, allow_code: bool) -> EvalSet:
    """The eval set of a run that is resumed. Raises RunError when it is another one by now."""
    evals = load_evals(settings.evals, allow_code, cross_fit=settings.mode == "cross-fit", needs_select=False)
    if evals.fingerprint == fingerprint:
        same_splits(folder, evals)
        return as_told(evals, settings)
    evals.close()
    raise RunError(
        f"The eval set {settings.evals} has changed since the run {folder.name!r} began. Put the old file back to "
        "resume, or start a new run; mixing two eval sets would make every comparison meaningless."
    )


def drive(
    folder: RunFolder, settings: RunSettings, evals: EvalSet, watcher: Watcher, resumed: bool,
    reviewer: Reviewer | None = None,
) -> tuple[int, str]:  # fmt: skip
    """Run the loop in `folder` to its end, a stop, or an error; returns the exit code and what to tell the person.

    `reviewer` has a person decide about lessons; None where nobody can be asked. Closes the eval set when it is done.
    """
    folder.lock()
    try:
        with ExitStack() as cleaning:
            cleaning.callback(evals.close)
            if not resumed:
                settings = settled(settings, evals)
                freeze_splits(folder, settings, evals)
                folder.save_settings(settings, evals.fingerprint)  # last: a folder with it is a run that can be resumed
            log = EventLog(folder.events, (watcher,))
            cleaning.callback(log.close)
            return _drive(folder, settings, evals, log, cleaning, resumed, reviewer)
    except OSError as error:
        return FIX_IT, _cannot_write(folder, error)
    finally:
        folder.unlock()


def _cannot_write(folder: RunFolder, error: OSError | sqlite3.Error) -> str:
    """What to do about a disk that is full or a file that may not be read or written."""
    what = error.strerror or str(error) if isinstance(error, OSError) else str(error)
    where = error.filename if isinstance(error, OSError) and error.filename else folder.path
    return f"The run could not write or read what it needs ({what}: {where}). Mend that, for example by freeing disk space."


def _drive(
    folder: RunFolder, settings: RunSettings, evals: EvalSet, log: EventLog, cleaning: ExitStack, resumed: bool,
    reviewer: Reviewer | None,
) -> tuple[int, str]:  # fmt: skip
    start = time.monotonic()
    stopping = threading.Event()
    os.environ.setdefault("GOMP_SPINCOUNT", SPIN_COUNT)
    tell_start(folder, settings, evals, log, resumed)

    def end(status: str, reason: str, sentence: str, best: int | None = None) -> None:
        seconds = round(time.monotonic() - start, 1)
        with contextlib.suppress(OSError):  # a full disk may be the very reason for the end
            log("run.ended", status=status, reason=reason, sentence=sentence, best=best, seconds=seconds)

    again = f"`llm2llm resume {folder.as_typed}` goes on from here."
    try:
        with _ctrl_c(stopping, log):
            from loops.graph import run_loop  # takes a second: Ctrl-C is heeded by now

            crew = _crew(folder, settings, evals, log, cleaning, stopping)
            crew.reviewer = reviewer
            final = run_loop(crew)
    except ReviewWaits as waits:
        end("stopped", "review", str(waits))
        return STOPPED, ""
    except (RunStopped, StudentStopped, Stopped, Interrupted):
        end("stopped", "asked to stop", f"Stopped as asked; nothing is lost. {again}")
        return STOPPED, ""
    except FIXABLE as error:
        end("failed", type(error).__name__, str(error))
        return FIX_IT, f"{error} {again}"
    except (OSError, sqlite3.Error) as error:
        end("failed", type(error).__name__, str(error))
        return FIX_IT, f"{_cannot_write(folder, error)} {again}"
    except Exception as error:
        end("failed", type(error).__name__, f"an internal error: {error}")
        raise
    status = "stopped" if final.stop == "budget" else "done"
    end(status, final.stop, f"{status}: the best round is {final.best}", final.best)
    return 0, ""


def splits_of(evals: EvalSet) -> dict[str, list[str]]:
    """Which item is in which split, by id."""
    splits = {"mine": [seed.id for seed in evals.seeds], **evals.held_out.ids()}
    return {name: [*ids] for name, ids in splits.items() if name != "select" or not evals.cross_fit}


def same_splits(folder: RunFolder, evals: EvalSet, parts: Sequence[str] = ("mine", "select", "test")) -> None:
    """Raises RunError, and closes the eval set, where items of these splits are dealt out otherwise than when the run began."""
    try:
        frozen = json.loads((folder.path / "splits.json").read_text(encoding="utf-8"))
        alike = all(set(frozen[name]) == set(ids) for name, ids in splits_of(evals).items() if name in parts)
    except (OSError, ValueError, KeyError, TypeError):
        return  # a damaged or missing file is told where it is needed
    if not alike:
        evals.close()
        raise RunError(
            f"The run {folder.name!r} was begun with a version of llm2llm that dealt this eval set out in another way, so what it learned "
            "from may stand in test now. Go on with that version, or start a new run."
        )


def freeze_splits(folder: RunFolder, settings: RunSettings, evals: EvalSet) -> None:
    """Write down which item is in which split, by id only, and in a cross-fitted run which seed is in which fold."""
    splits = splits_of(evals)
    about: dict[str, Any] = {"fingerprint": evals.fingerprint, "skills": evals.held_out.skills()}
    if evals.cross_fit:
        about["folds"] = deal_folds(evals.seeds, settings.mine.folds)
        about["skills"] |= {seed.id: seed.skill for seed in evals.seeds if seed.skill}
    write_json(folder.path / "splits.json", {**about, **splits})


def replayed(settings: RunSettings, runs: Path) -> RunSettings:
    """The settings with the whole path of the run that is replayed. Raises RunError when there is no such run."""
    if not settings.teacher.replay:
        return settings
    folder = str(find_run(runs, settings.teacher.replay).path)
    return settings.model_copy(update={"teacher": settings.teacher.model_copy(update={"replay": folder})})


def tell_start(folder: RunFolder, settings: RunSettings, evals: EvalSet, log: EventLog, resumed: bool) -> None:
    """The first events of a session: what runs, and what will leave this machine."""
    sizes = {"mine": len(evals.seeds), **evals.held_out.sizes()}
    if evals.cross_fit:
        del sizes["select"]
    budget = {key: value for key, value in settings.budget.model_dump().items() if not key.endswith("price")}
    log("run.started", run=folder.name, resumed=resumed, student=settings.student.model, teacher=settings.teacher.model,
        evals=evals.spec.name, splits=sizes, rounds=settings.stop.rounds, budget=budget,
        chance=1 / len(evals.labels) if evals.labels else None,
        prompts={name: version for name, version, _ in every_prompt()})  # fmt: skip
    for text in evals.notes:
        log("note", text=text)
    if evals.dropped:
        counts = ", ".join(f"{reason} {count:,}" for reason, count in sorted(evals.dropped.items()))
        log("note", text=f"rows of the eval set that are in no split: {counts}")
    if asks_elsewhere(settings):
        log("run.leaves", host=settings.teacher.base_url, columns=told_of(settings, evals), items=len(evals.seeds))


def asks_elsewhere(settings: RunSettings) -> bool:
    """Whether a run sends anything to a server."""
    asked = not settings.lessons_from and (not settings.teacher.replay or settings.teacher.replay_then_ask)
    return bool(settings.teacher.base_url) and asked


def told_of(settings: RunSettings, evals: EvalSet) -> list[str]:
    """The columns that a teacher elsewhere is sent; of a task that is code, what stands for them."""
    return list(columns_told(evals.spec, settings.teacher.send_columns)) or ["the questions", "the answers"]


def _crew(
    folder: RunFolder,
    settings: RunSettings,
    evals: EvalSet,
    log: EventLog,
    cleaning: ExitStack,
    stopping: threading.Event,
) -> Crew:
    load = {
        "source": model_file(settings.student.model, log),
        "cache": str(cache_folder() / "students"),
        "lora": settings.student.lora.model_dump(),
        "machine": known_machine(folder),
    }
    student = RecordingWorker(load, folder, stopping.is_set, settings.student.launch)
    cleaning.callback(student.close)
    return Crew(
        settings=settings, evals=evals, folder=folder, student=student, emit=log, stopping=stopping,
        teacher=_once(lambda: open_teacher(settings, evals, folder.ledger, log, cleaning, stopping.is_set)),
    )  # fmt: skip


def _once(make: Callable[[], Client]) -> Callable[[], Client]:
    made: list[Client] = []

    def get() -> Client:
        if not made:
            made.append(make())
        return made[0]

    return get


@contextmanager
def _ctrl_c(stopping: threading.Event, log: Callable[..., None]) -> Iterator[None]:
    """First Ctrl-C (or SIGTERM): stop at the next safe step. Second: stop now."""

    def on_signal(number: int, frame: FrameType | None) -> None:
        if stopping.is_set():
            raise Interrupted
        stopping.set()

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {name: signal.signal(name, on_signal) for name in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)
        if stopping.is_set():
            with contextlib.suppress(OSError):
                log("note", text="asked to stop")


def events_of(folder: RunFolder) -> Iterator[dict[str, Any]]:
    """What happened in a run so far."""
    return read_events(folder.events)

"""The two models of a run: which names are refused, and how a student's process and a teacher are opened.

A built-in is fetched here, so the rooms below see plain files; a teacher in a local file gets a server of our own; one
elsewhere is asked at its address. Nothing is asked of either here.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from agent.builtin import BUILTINS, pull
from agent.settings import SettingsError
from loops.run_folder import RunError, RunFolder
from loops.settings import RunSettings
from student.evals.load import EvalSet
from student.records import write_json
from student.settings import Launch
from student.worker import StudentWorker
from teacher.address import checked_address
from teacher.backend import Backend
from teacher.client import Client
from teacher.ledger import Budget, Ledger, Prices
from teacher.local import LocalServer
from teacher.openai_backend import OpenAIBackend
from teacher.replay import Replay
from teacher.scripted import ScriptedTeacher

SPIN_COUNT = "5000"
"""How long the children's OpenMP threads spin before they sleep. The default spins on: with one other busy process on two
cores a teacher's answer then took up to 20 times as long, with this 3 times (docs/decisions/0005)."""


def _exists(path: str) -> bool:
    try:
        return Path(path).expanduser().exists()
    except (OSError, RuntimeError):  # a name too long for a file; the home of nobody
        return False


def check_models(settings: RunSettings) -> None:
    """Refuse models that cannot be there, before a run is made or anything is fetched. Raises the rooms' errors."""
    teacher = settings.teacher
    if settings.student.processes > 1 and settings.student.launcher == "none":
        raise SettingsError(
            f"student.processes={settings.student.processes} needs a launcher: --set student.launcher=accelerate."
        )
    models = {"student.model": settings.student.model}
    unasked = settings.lessons_from is not None
    if not (teacher.base_url or teacher.replay or unasked):
        models["teacher.model"] = teacher.model
    for key, model in models.items():
        if model.startswith("builtin:") and model != "builtin:tiny" and model not in BUILTINS:
            raise SettingsError(
                f"{key}={model!r} is no built-in model. There are: {', '.join(BUILTINS)}, builtin:tiny."
            )
        if (model.endswith(".gguf") or model.startswith((".", "/", "~"))) and not _exists(model):
            raise SettingsError(f"{key}={model!r} does not exist. Check the path.")
    if unasked or (teacher.replay and not teacher.replay_then_ask):
        return
    if teacher.base_url:
        checked_address(teacher.base_url)
        if teacher.model.startswith("builtin:"):
            raise SettingsError(
                f"teacher.base_url={teacher.base_url!r} is a server, and teacher.model={teacher.model!r} a model of this program. "
                "Say which of the server's models is to teach: --set teacher.model=NAME."
            )
    elif teacher.model != "scripted" and not (teacher.model.startswith("builtin:") or teacher.model.endswith(".gguf")):
        raise SettingsError(
            f"teacher.model={teacher.model!r} needs a server: set teacher.base_url to an OpenAI-compatible address, or "
            "name a .gguf file, builtin:qwen2.5-coder-1.5b-instruct, or scripted."
        )


class RecordingWorker(StudentWorker):
    """A student's process that writes down, once per run, what it found the machine to be good at."""

    def __init__(
        self, load: dict[str, Any], folder: RunFolder, should_stop: Callable[[], bool], launch: Launch
    ) -> None:
        super().__init__(load, folder.path / "student.log", should_stop, launch)
        self._record = folder.path / "machine.json"

    def start(self) -> dict[str, Any]:
        loaded = super().start()
        if not self._record.exists():
            write_json(self._record, loaded["machine"])
        return loaded


def known_machine(folder: RunFolder) -> dict[str, Any] | None:
    """What an earlier session of this run found out about the machine."""
    record = folder.path / "machine.json"
    try:
        return json.loads(record.read_text()) if record.exists() else None
    except ValueError as error:
        raise RunError(
            f"{record} is damaged ({error}). Delete it and resume: the machine is probed again, and what was computed with "
            "another outcome is done again."
        ) from error


def model_file(model: str, log: Callable[..., None]) -> str:
    """A built-in's file, fetched when it is not in the cache yet; any other name as it is."""
    if not model.startswith("builtin:") or model == "builtin:tiny":
        return model

    fetching = False

    def on_progress(done: int, total: int) -> None:
        nonlocal fetching
        fetching = fetching or done < total  # a file that is here already is no news
        if not fetching:
            return
        log(
            "verb.progress",
            round=0,
            verb="pull",
            done=round(done / 1e6),
            total=round(total / 1e6),
            unit="MB",
            note=model,
        )

    return str(pull(model, on_progress))


def open_teacher(
    settings: RunSettings, evals: EvalSet, ledger_path: Path, log: Callable[..., None], cleaning: ExitStack,
    should_stop: Callable[[], bool],
) -> Client:  # fmt: skip
    """The teacher, ready to be asked; what it needs (a server, the ledger) is closed with the run."""
    mine, budget = settings.teacher, settings.budget
    prices = None
    if budget.prompt_price is not None and budget.completion_price is not None:
        prices = Prices(prompt_per_million=budget.prompt_price, completion_per_million=budget.completion_price)
    caps = Budget(
        max_tokens=budget.tokens, max_requests=budget.requests, max_money=budget.money,
        max_seconds=None if budget.minutes is None else budget.minutes * 60,
    )  # fmt: skip
    check_models(settings)
    ledger = Ledger(ledger_path, caps, prices)
    cleaning.callback(ledger.close)
    server_log = ledger_path.with_name("teacher.log")
    if mine.replay:
        otherwise = open_backend(settings, evals, server_log, log, cleaning) if mine.replay_then_ask else None
        backend: Backend = Replay(Path(mine.replay) / "ledger.sqlite", otherwise)
        cleaning.callback(backend.close)
    else:
        backend = open_backend(settings, evals, server_log, log, cleaning)
    return Client(
        backend, ledger, emit=log,
        should_stop=should_stop, deadline_seconds=mine.deadline_seconds, max_attempts=mine.max_attempts,
        concurrency=mine.at_once, request_seconds=mine.patience,
    )  # fmt: skip


def open_backend(
    settings: RunSettings, evals: EvalSet, server_log: Path, log: Callable[..., None], cleaning: ExitStack
) -> Backend:
    """Whoever answers `settings.teacher`'s requests: a server elsewhere, one of our own for a local file, or the scripted one."""
    mine = settings.teacher
    if mine.model == "scripted":
        return ScriptedTeacher(evals.for_teacher)
    if mine.base_url:
        key = os.environ.get(mine.api_key_env)
        backend = OpenAIBackend(
            mine.base_url, mine.model, key, mine.structured, mine.patience, slots=mine.at_once
        )  # fmt: skip
        cleaning.callback(backend.close)
        return backend
    server = LocalServer(Path(model_file(mine.model, log)), mine.at_once, mine.context, log=server_log)
    cleaning.callback(server.close)
    server.start()
    return OpenAIBackend(
        server.base_url, mine.model, server.api_key, mine.structured, mine.patience, slots=mine.at_once,
        served_by=f"{mine.model}@local", on_unreachable=server.check,
    )  # fmt: skip

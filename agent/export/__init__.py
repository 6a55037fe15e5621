"""`llm2llm export RUN --to FOLDER`: a run's student as others can use it, with cards that say what it is and how sure that is.

    chosen.Chosen -> adapter/                       the PEFT adapter, its base named as a stranger can find it
                  -> merged/      model_card        plain safetensors, tokenizer, way to generate
                  -> Modelfile    modelfile         for Ollama
                  -> data/        rows, data_card   what it was trained on, row by row

The merged model is then loaded by itself in a fresh process, asked what the student was asked, and compared (`matching`). Everything
is written into a folder beside the place and moved there as the last step: a kill or a mismatch leaves nothing at the place.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.builtin import made_cache
from agent.export.chosen import Chosen
from agent.export.data_card import adapter_card, data_card
from agent.export.matching import Match, match
from agent.export.model_card import model_card
from agent.export.modelfile import modelfile
from agent.export.names import student_of
from agent.export.rows import rows_of, write_parquet
from agent.models import SPIN_COUNT, model_file
from loops.run_folder import RunError
from student.evals.findings import OnStage
from student.grade import RawAnswer
from student.records import Attempt, Item, Question, sync_folder, write_text
from student.worker import StudentWorker


@dataclass(frozen=True)
class Exported:
    """What lies where, and how it was checked."""

    folder: Path
    """The export."""
    rows: int
    """Training rows in it."""
    match: Match
    """The exported model against the student."""


def free_place(to: Path) -> Path:
    """The whole path of a folder that is not there yet, or empty. Raises RunError."""
    try:
        place = to.expanduser().resolve()
        taken = place.exists() and not (place.is_dir() and not any(place.iterdir()))
    except (OSError, RuntimeError) as error:  # a folder that may not be read; an unknown ~user
        raise RunError(f"{str(to)!r} cannot be used as a folder ({error}). Name another one with --to.") from error
    if not taken:
        return place
    raise RunError(
        f"There is something at {str(to)!r} already, and an export writes over nothing. Name a new or an empty folder with --to."
    )


def export(chosen: Chosen, to: Path, on_stage: OnStage) -> Exported:
    """Export a student into `to`. Raises the rooms' errors, and RunError for a model that does not match; then nothing is there."""
    place = free_place(to)
    draft = place.with_name(f".{place.name}.draft")
    try:
        shutil.rmtree(draft, ignore_errors=True)  # what a killed export left
        draft.mkdir(mode=0o700, parents=True)
        try:
            found, rows = _fill(chosen, draft, on_stage)
            _put_in_place(draft, place)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    except OSError as error:
        raise RunError(
            f"The export cannot be written to {str(to)!r} ({error.strerror or error}). Make room there, or name another folder with --to."
        ) from error
    return Exported(place, rows, found)


def _fill(chosen: Chosen, draft: Path, on_stage: OnStage) -> tuple[Match, int]:
    """Write everything into `draft`; returns the check and how many training rows there are."""
    os.environ.setdefault("GOMP_SPINCOUNT", SPIN_COUNT)
    merged = draft / "merged"
    before, around = _merged(chosen, merged, on_stage)
    after = _asked(chosen, str(merged), None, "asking the merged model", on_stage)
    found = match(chosen.split, before, after, [chosen.dtype, chosen.machine.get("dtype", chosen.dtype)])
    if not found.matched:
        raise RunError(
            f"The merged model does not answer as the student of round {chosen.number} did, so it was not exported: {found.sentence} "
            "Perhaps the base model is another than the run was trained on: put that one back, and export again."
        )
    on_stage("writing cards", 0, None)
    if chosen.has_adapter:
        _copy_adapter(chosen, draft / "adapter")
    write_text(draft / "Modelfile", modelfile(chosen.evals, around))
    write_text(merged / "README.md", model_card(chosen, found))
    rows = rows_of(chosen)
    (draft / "data").mkdir()
    write_parquet(rows, draft / "data" / "train.parquet")
    write_text(draft / "data" / "README.md", data_card(chosen, rows))
    return found, len(rows)


def _merged(chosen: Chosen, out: Path, on_stage: OnStage) -> tuple[Sequence[Attempt], list[str]]:
    """Merge into `out`; returns the student's own answers and what its chat template puts around a question."""
    source = model_file(
        chosen.settings.student.model, lambda *_, **at: on_stage("fetching MB", at["done"], at["total"])
    )
    on_record = None if chosen.in_four_bits else chosen.recorded
    before = on_record or _asked(chosen, source, chosen.adapter, "asking the student", on_stage)
    on_stage("merging", 0, None)
    worker = _worker(chosen, source)
    try:
        return before, worker.merge(chosen.evals.ask(), chosen.adapter, out, chosen.evals.spec.max_new_tokens)
    finally:
        worker.close()


def _asked(chosen: Chosen, source: str, adapter: Path | None, stage: str, on_stage: OnStage) -> list[Attempt]:
    """The answers of one model, in a process of its own, to the items it is checked on."""
    worker = _worker(chosen, source)

    def answer(questions: Sequence[Item | Question]) -> list[RawAnswer]:
        on: Callable[[dict[str, Any]], None] = lambda at: on_stage(stage, at["done"], at["total"])  # noqa: E731
        return worker.examine(chosen.evals.ask(), list(questions), adapter, chosen.evals.spec.max_new_tokens, on)

    try:
        on_stage(stage, 0, len(chosen.items))
        return chosen.evals.attempts(chosen.items, answer)
    finally:
        worker.close()


def _worker(chosen: Chosen, source: str) -> StudentWorker:
    """A process that loads `source` in the exported precision; on this machine's processor where the run had another."""
    cache = made_cache()
    machine = chosen.machine if chosen.machine.get("device") == "cpu" else None
    lora = chosen.settings.student.lora
    if chosen.in_four_bits:  # an adapter is merged into the base as it was before it was held in 4 bits
        lora = lora.model_copy(update={"how": "lora"})
    load = {
        "source": source,
        "cache": str(cache / "students"),
        "lora": lora.model_dump(),
        "machine": machine,
        "dtype": chosen.dtype,
    }
    return StudentWorker(load, cache / "export.log", lambda: False)


def _copy_adapter(chosen: Chosen, out: Path) -> None:
    """The adapter as it is, but for its base, which is a path on this machine."""
    shutil.copytree(chosen.adapter, out, copy_function=shutil.copyfile, ignore=shutil.ignore_patterns("README.md"))
    config, base = out / "adapter_config.json", student_of(chosen.settings)
    told = json.loads(config.read_text(encoding="utf-8"))
    told["base_model_name_or_path"] = base.hub or base.name
    write_text(config, json.dumps(told, indent=2, sort_keys=True) + "\n")
    write_text(out / "README.md", adapter_card(chosen))


def _put_in_place(draft: Path, place: Path) -> None:
    """Move the finished folder to its place, which is free or an empty folder: never over what came there meanwhile."""
    for part in draft.rglob("*"):
        if part.is_file():
            with part.open("rb") as handle:
                os.fsync(handle.fileno())
    draft.rename(place)
    sync_folder(place.parent)

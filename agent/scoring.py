"""Examine one model on one split of an eval set, without a run: what `evals score` does.

In: a model (or a server), an eval set, a split. Out: an `Examined`, with every number's interval. A model of our own answers
choices by likelihood, as in a run; a server by writing (`agent.served`). Whoever opens `test` is written into the same record
that runs write to, so that a later claim knows of it.
"""

from __future__ import annotations

import json
import math
import os
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, cast, get_args

from agent.here import Here, Workers
from agent.models import check_models
from agent.served import Served
from agent.settings import SettingsError
from loops.openings import record_opening
from loops.run_folder import RunFolder
from loops.settings import RunSettings, StudentSettings, TeacherSettings
from loops.stats import Score, score
from student.evals.findings import OnStage
from student.evals.load import EvalSet
from student.records import Attempt, HeldOutItem, Item, Record, Seed, Split, text_hash
from student.settings import SHAPE, Lora
from student.worker import StudentWorker
from teacher.openai_backend import OpenAIBackend

AnyItem = TypeVar("AnyItem", bound=Seed | HeldOutItem)
SHOWN = 8
"""Failures that are shown."""


class Failed(Record):
    """One item that was not answered right."""

    id: str
    """The item."""
    prompt: str
    """The question; untrusted."""
    expected: str
    """The right answer."""
    output: str
    """What the model said; untrusted."""
    outcome: str
    """wrong, truncated or malformed."""


class Examined(Record):
    """How one model did on one split."""

    model: str
    """As it was named, with its server."""
    evals: str
    """The eval set's name."""
    noun: str
    """What an item is called."""
    split: Split
    """Which items."""
    total: int
    """Items of the split, of which `score.n` were asked."""
    how: Literal["likelihood", "generation"]
    """How answers were told: by the likelihood of choices, or by what the model wrote."""
    bare: bool
    """Whether the question was asked without the task before it."""
    score: Score
    """All items."""
    by_skill: dict[str, Score]
    """Items by skill, the weakest first."""
    confusion: dict[str, dict[str, int]]
    """For fixed labels: the right label, what was answered, how often; "" for no label."""
    failures: tuple[Failed, ...]
    """Some items that were not answered right."""
    seconds: float
    """How long it took, loading apart."""
    tokens_per_second: float | None
    """Tokens written in a second; None where nobody counts them."""
    lost: dict[str, int]
    """Questions to a server that brought no answer, by reason."""
    notes: tuple[str, ...]
    """What is to be known of the eval set, in sentences."""
    opened_before: tuple[str, ...]
    """Who opened this `test` split before, runs and scores."""


@dataclass(frozen=True)
class Order:
    """What is to be examined, and how."""

    model: str
    """A model as `--student` takes it, or the name of one at `url`."""
    split: Split = "test"
    """Which items."""
    url: str = ""
    """An OpenAI-compatible server's address; empty for a model that runs here."""
    adapter: Path | None = None
    """A folder with a fine-tuned adapter."""
    bare: bool = False
    """Ask without the task before the question, as fine-tuned students are asked."""
    limit: int | None = None
    """So many items at most."""
    key_env: str = "OPENAI_API_KEY"
    """The environment variable with the server's key."""

    @classmethod
    def checked(cls, model: str, split: str, url: str, adapter: Path | None, **more: Any) -> Order:
        """An order of what was typed. Raises SettingsError for what does not go together."""
        if split not in get_args(Split):
            raise SettingsError(f"--split {split!r} is not one of {', '.join(get_args(Split))}.")
        if url and not model:
            raise SettingsError(f"Name the model that {url!r} should answer with: --model NAME.")
        if url and adapter:
            raise SettingsError(
                "--adapter goes with a model that runs here. For a server, name the adapter's model there."
            )
        if not url:
            check_models(
                RunSettings(evals="", student=StudentSettings(model=model), teacher=TeacherSettings(model="scripted"))
            )
        return cls(model, cast("Split", split), url, adapter, **more)


def score_model(
    order: Order, evals: EvalSet, runs: Path, on_stage: OnStage, workers: Workers = StudentWorker
) -> Examined:  # fmt: skip
    """Examine a model. Raises the rooms' errors for one that cannot be."""
    name = (
        f"{order.model} at {order.url}"
        if order.url
        else order.model + (f" with {order.adapter}" if order.adapter else "")
    )
    backend = OpenAIBackend(order.url, order.model, os.environ.get(order.key_env)) if order.url else None
    lora = _lora_of(order.adapter) if order.adapter else StudentSettings().lora

    def opened() -> Opened:
        return _items(order, evals, runs, f"evals score {name}")

    bare = order.bare or order.adapter is not None
    served: Served | None = None
    with tempfile.TemporaryDirectory() as scratch:
        began = time.monotonic()
        if backend is not None:
            items, total, before = opened()
            served = Served(backend, evals, bare, Path(scratch), on_stage)
            try:
                attempts = served.attempts(items)
            finally:
                served.close()
                backend.close()
            seconds = time.monotonic() - began
        else:
            (items, total, before), attempts, seconds = _examined_here(
                order, evals, opened, (lora, bare), on_stage, workers
            )
    tokens = served.tokens if served and served.tokens else None
    return Examined(
        model=name, evals=evals.spec.name, noun=evals.spec.noun, split=order.split, total=total,
        how="likelihood" if evals.spec.kind == "choice" and not order.url else "generation", bare=bare, score=score(attempts),
        by_skill=by_skill(items, attempts), confusion=confusion(evals, items, attempts), failures=failures(items, attempts),
        seconds=round(seconds, 2), tokens_per_second=round(tokens / served.seconds, 1) if served and tokens else None,
        lost=dict(served.lost) if served else {}, notes=evals.notes, opened_before=before,
    )  # fmt: skip


Opened = tuple[Sequence[Item], int, tuple[str, ...]]
"""The items to ask, how many there are, and who opened `test` before."""


def _items(order: Order, evals: EvalSet, runs: Path, name: str) -> Opened:
    """What is to be asked; an opening of `test` is written down."""
    before: list[str] = []

    def record() -> None:
        try:
            runs.mkdir(parents=True, exist_ok=True)
            before.extend(record_opening(RunFolder(runs / name.replace("/", "_")), evals.fingerprint))
        except OSError as error:
            raise SettingsError(
                f"The opening of test cannot be written down in {str(runs)!r} ({error.strerror}). Name a folder of yours with --runs."
            ) from error

    items: Sequence[Item] = evals.seeds
    if order.split != "mine":
        items = evals.held_out.open_test(record) if order.split == "test" else evals.held_out.select()
    if not items:
        raise SettingsError(
            f"There is nothing in the split {order.split!r} of this eval set. Choose another with --split."
        )
    return sampled(items, order.limit), len(items), tuple(before)


def sampled(items: Sequence[AnyItem], limit: int | None) -> Sequence[AnyItem]:
    """So many of the items at most, drawn by hash: a smaller sample is part of a larger one."""
    if limit is None or limit >= len(items):
        return items
    return sorted(items, key=lambda item: text_hash("score", item.id))[:limit]


def _examined_here(
    order: Order,
    evals: EvalSet,
    opened: Callable[[], Opened],
    how: tuple[Lora, bool],
    on_stage: OnStage,
    workers: Workers,
) -> tuple[Opened, list[Attempt], float]:
    """Items, attempts by a model in a process of its own, and the seconds they took. Nothing is opened before the model is loaded."""
    lora, bare = how
    task = "" if evals.hosted else evals.task()
    here = Here(order.model, lora, on_stage, workers)
    try:
        _check_fits(order, here.start())
        found = opened()
        asked = evals.ask("" if bare or not task else f"{task}\n\n")
        return found, *here.attempts(evals, found[0], asked, order.adapter)
    finally:
        here.close()


def _check_fits(order: Order, loaded: dict[str, Any]) -> None:
    """Raises SettingsError for an adapter of another model: it would be loaded in part, or not at all, and nobody told."""
    if order.adapter is None or "adapter" not in loaded:
        return
    file = order.adapter / "adapter_model.safetensors"
    try:
        with file.open("rb") as handle:  # 8 bytes: how long the header is; then the header, as JSON
            tensors = json.loads(handle.read(int.from_bytes(handle.read(8), "little")))
        weights = sum(math.prod(one["shape"]) for name, one in tensors.items() if name != "__metadata__")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, MemoryError, OverflowError) as error:
        raise SettingsError(f"{file} cannot be read ({type(error).__name__}). Copy the adapter again.") from error
    if weights != loaded["adapter"]:
        raise SettingsError(
            f"The adapter {str(order.adapter)!r} does not fit the model {order.model!r}: it has {weights:,} weights, and this model "
            f"takes {loaded['adapter']:,}. Name the model it was trained on."
        )


def _lora_of(adapter: Path) -> Lora:
    """The shape of an adapter, from the file beside it: PEFT's, or ours where all weights were trained. Raises SettingsError."""
    try:
        if (adapter / SHAPE).is_file():
            return Lora.model_validate_json((adapter / SHAPE).read_text(encoding="utf-8"))
        told = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))
        if not (adapter / "adapter_model.safetensors").is_file():
            raise FileNotFoundError
        layers = told.get("layers_to_transform") or [0]
        top = max(layers) + 1
        share = 1.0 if min(layers) == 0 else len(layers) / top
        rslora = bool(told.get("use_rslora"))
        return Lora(rank=told["r"], alpha=told["lora_alpha"], layers=share, rslora=rslora)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SettingsError(
            f"{str(adapter)!r} holds no adapter that can be read ({type(error).__name__}). Name a folder with adapter_config.json "
            "and adapter_model.safetensors, for example runs/NAME/best/adapter."
        ) from error


def by_skill(items: Sequence[Item], attempts: Sequence[Attempt]) -> dict[str, Score]:
    """The score on each skill, the weakest first; nothing where items have none, or one."""
    skills: dict[str, list[Attempt]] = {}
    for item, attempt in zip(items, attempts, strict=True):
        skills.setdefault(item.skill, []).append(attempt)
    scores = {skill: score(found) for skill, found in skills.items()}
    ordered = sorted(scores, key=lambda skill: (scores[skill].accuracy, skill))
    return {skill: scores[skill] for skill in ordered} if len(scores) > 1 else {}


def confusion(evals: EvalSet, items: Sequence[Item], attempts: Sequence[Attempt]) -> dict[str, dict[str, int]]:
    """For fixed labels: what was answered where, in the order of the labels; "" counts what is no label."""
    if not evals.labels:
        return {}
    counts = {label: Counter[str]() for label in evals.labels}
    for item, attempt in zip(items, attempts, strict=True):
        counts[item.answer][attempt.output if attempt.output in counts else ""] += 1
    return {
        label: {said: count[said] for said in (*evals.labels, "") if count[said]} for label, count in counts.items()
    }


def failures(items: Sequence[Item], attempts: Sequence[Attempt]) -> tuple[Failed, ...]:
    """Some that were not answered right: of each skill in turn, those first that were furthest off."""
    wrong = [(item, one) for item, one in zip(items, attempts, strict=True) if not one.right]
    wrong.sort(key=lambda pair: (pair[1].margin or 0.0, pair[0].id))
    turns = Counter[str]()
    ranked = list[tuple[int, int]]()
    for at, (item, _) in enumerate(wrong):
        ranked.append((turns[item.skill], at))
        turns[item.skill] += 1
    return tuple(
        Failed(
            id=item.id,
            prompt=item.prompt[:2000],
            expected=item.answer[:1000],
            output=one.output[:1000],
            outcome=one.outcome,
        )
        for item, one in (wrong[at] for _, at in sorted(ranked)[:SHOWN])
    )

"""A task written for lm-evaluation-harness or inspect, run unchanged: the handle on the process in which it lives.

In: the task's address. Out: its items in our words (`told`), and its own score of every answer that our student gives. The
task's code and the heavy packages around it stay in a child process (`host_lm_eval`, `host_inspect`), so nothing of it reaches
this one, and what it prints goes to a log.
"""

from __future__ import annotations

import importlib.util
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from student.evals.address import Address
from student.evals.frame import SLOT
from student.evals.spec import EvalSpec
from student.evals.told import Told
from student.evals.trouble import EvalError, listed
from student.grade import Answering, RawAnswer
from student.pipe import Ended, Failed, Pipe
from student.records import Attempt, Item, Question, Seed

MAX_TURNS = 10
"""How often a task may ask again before all its answers are in."""
_PACKAGES = {"lm-eval": ("lm_eval", "lm-eval"), "inspect": ("inspect_ai", "inspect")}
"""What has to be installed for a kind of task, and our extra that brings it."""


@dataclass
class TaskHost:
    """One task's process."""

    where: str
    """What a message calls the task."""
    spec: EvalSpec
    """How the task asks, in our words."""
    parts: dict[str, list[Seed]]
    """Its items by split."""
    dropped: Counter[str]
    """Items of the task that became none of ours, by reason."""
    notes: list[str]
    """What a person should know about this task here, in sentences."""
    score_only: str
    """Why nothing can be learned from it; empty where something can."""
    code: str
    """A digest of the task's own code, which decides its scores."""
    numbers: dict[str, int] = field(repr=False)
    """The task's own number of each item, by our id."""
    pipe: Pipe = field(repr=False)
    """The process."""
    scratch: tempfile.TemporaryDirectory[str] = field(repr=False)
    """Where its log is, and files of its own."""

    def attempts(self, items: Sequence[Item], answers: Sequence[RawAnswer], answer: Answering) -> list[Attempt]:
        """The task's own scores of these answers; asks for more through `answer` where the task asks more than once.

        Raises EvalError when the task's code fails, or never stops asking.
        """
        numbers = [self.numbers[item.id] for item in items]
        reply = _call(self.pipe, {"job": "score", "items": numbers, "answers": list(answers)})
        for _ in range(MAX_TURNS):
            if "attempts" in reply:
                found = {one.pop("number"): one for one in reply["attempts"]}
                pairs = zip(items, numbers, strict=True)
                return [Attempt(item_id=item.id, **found[number]) for item, number in pairs]
            more = answer([self._question(one) for one in reply["questions"]])
            reply = _call(self.pipe, {"job": "more", "answers": more})
        raise EvalError(
            f"{self.where}: the task has asked {MAX_TURNS} times over and still asks, in words that are new each time. Is "
            "something in it random? Give its shuffles a seed."
        )

    def close(self) -> None:
        """End the process."""
        self.pipe.close()
        self.scratch.cleanup()

    def _question(self, asked: dict[str, Any]) -> Question:
        if self.spec.frame != SLOT or self.spec.system:
            raise EvalError(
                f"{self.where}: depending on the answer, the task asks the student again in other words. Say so with "
                f"`frame: '{SLOT}'` in a YAML file that has this task as its source; each item then keeps its whole prompt."
            )
        return Question(**asked)


def open_task(
    where: Address | Mapping[str, Address], spec: EvalSpec, should_stop: Callable[[], bool] = lambda: False
) -> TaskHost:
    """Load a task, or the same task with other arguments for each part. Raises EvalError."""
    places = {"": where} if isinstance(where, Address) else dict(where)
    module, scratch = f"student.evals.host_{_kind(places)}", tempfile.TemporaryDirectory(prefix="llm2llm-task-")
    pipe = Pipe(module, Path(scratch.name, "log"), should_stop)
    try:
        return load_into(pipe, scratch, places, spec)
    except BaseException:
        pipe.close()
        scratch.cleanup()
        raise


def load_into(
    pipe: Pipe, scratch: tempfile.TemporaryDirectory[str], places: Mapping[str, Address], spec: EvalSpec
) -> TaskHost:
    """Load a task in a process that is there; what it held before is gone. Raises EvalError."""
    loaded = _call(pipe, {"job": "load", "parts": {part: _job(place, spec, scratch) for part, place in places.items()}})
    told = Told(str(next(iter(places.values()))), spec, loaded)
    filled, parts, numbers = told.translated()
    dropped = Counter({reason: count for reason, count in loaded["dropped"].items() if count})
    return TaskHost(
        told.where, filled, parts, dropped, loaded["notes"], loaded["score_only"], loaded["code"], numbers, pipe, scratch
    )  # fmt: skip


def _kind(places: Mapping[str, Address]) -> str:
    """Whose task it is, as a part of a module's name. Raises EvalError where it cannot be one of anybody's."""
    first = next(iter(places.values()))
    if any(place.kind != first.kind for place in places.values()):
        raise EvalError(f"`source` mixes {listed(places.values())}. The parts of one eval set are tasks of one kind.")
    if first.kind == "lm-eval" and len(places) > 1:
        raise EvalError(
            "`source` names several lm-eval tasks. Such a task has parts of its own, called train, validation and test: give its "
            "address alone, and say under `splits` what each role is taken from."
        )
    package, extra = _PACKAGES[first.kind]
    if importlib.util.find_spec(package) is None:
        raise EvalError(
            f"{first}: the package {package!r} is not installed. Install it with `pip install 'llm2llm[{extra}]'`."
        )
    return first.kind.replace("-", "_")


def _job(place: Address, spec: EvalSpec, scratch: tempfile.TemporaryDirectory[str]) -> dict[str, Any]:
    """What the process is told about one part's task."""
    name, _, query = place.item.partition("?") if place.kind == "inspect" else (place.item, "", "")
    return {
        "where": str(place), "place": place.place, "name": name, "arguments": dict(parse_qsl(query)), "metric": spec.metric or "",
        "answer": spec.answer, "skill": spec.columns.skill or "", "scratch": scratch.name,
    }  # fmt: skip


def _call(pipe: Pipe, job: dict[str, Any]) -> dict[str, Any]:
    try:
        return pipe.call(job)
    except Failed as error:
        raise EvalError(str(error)) if error.fixable else RuntimeError(str(error)) from None
    except Ended as error:
        raise EvalError(f"The task's process ended unexpectedly ({error}). Does its code end the program?") from None

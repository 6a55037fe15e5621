"""The process of one inspect task: tells what it asks, and has its own scorer judge what our student answered.

In, from `hosted`: which task for which part, then the student's answers. Out: the messages of every sample, with an answer
that the task's scorer takes as right, then the scores. A task that asks again after an answer (a critique, a judge) gets the
student's answers to these questions as well, turn by turn, until every sample has its score.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from student.evals.forms import FORMS, forms
from student.evals.inspect_task import InspectTask, Limits, Messages, Pass, key_of, load_inspect_task
from student.evals.template import Template
from student.evals.trouble import EvalError, listed
from student.pipe import Say, serve
from student.scorers import outcome

MAX_TOKENS = 512
"""The longest answer where the task sets no limit."""
PROBED = 12
"""Samples on which it is found out which forms of an answer a scorer takes at all."""
NO_ANSWER = ("invalid_response_format", "refusal", "no_response")
"""Reasons inspect's scorers give for an answer that they could not read."""


@dataclass
class Asked:
    """One sample of one part's task."""

    part: str
    """The part it is from."""
    task: InspectTask
    """The task it is from."""
    sample: Any
    """inspect's object."""
    messages: Messages
    """The first question the task asks about it."""
    options: list[str]
    """What a right answer may have to look like."""
    answer: str | None = None
    """The first of them that the scorer takes as right."""
    calls: int = 1
    """How often the task asks about it."""


class Desk:
    """The loaded tasks, and the answers that are being scored."""

    metric: str
    items: list[Asked]
    numbers: list[int]
    known: dict[str, dict[str, Any]]
    asked: list[Messages]
    done: dict[int, dict[str, Any]]
    failure: EvalError | None
    """What its code did to a right answer."""

    def __call__(self, job: dict[str, Any], say: Say) -> dict[str, Any]:
        if job["job"] == "load":
            return self.load(job["parts"])
        if job["job"] == "score":
            self.numbers, self.done = job["items"], {}
            pairs = zip(job["items"], job["answers"], strict=True)
            self.known = {key_of(self.items[number].messages): raw for number, raw in pairs}
        else:
            self.known |= {key_of(messages): raw for messages, raw in zip(self.asked, job["answers"], strict=True)}
        return self.score()

    def load(self, jobs: dict[str, dict[str, Any]]) -> dict[str, Any]:
        """What the task asks about every sample, and right answers. Raises EvalError."""
        self.items, self.failure, dropped, limits = [], None, Counter[str](), list[Limits]()
        for part, job in jobs.items():
            self.metric = job["metric"]
            task = load_inspect_task(
                job["where"], Path(job["place"]), job["name"], job["arguments"], Path(job["scratch"])
            )
            found = task.run(task.samples, Pass(say=lambda sample, messages: None), score=False)
            task.check(found)
            template = Template("answer", job["answer"]) if job["answer"] else None
            asked = [
                Asked(part or "test", task, one, found.open[one.id], _options(one, template))
                for one in task.samples
                if one.id in found.open
            ]
            self._teach(asked)
            self.items += asked
            limits += found.limits.values()
            dropped["the task asks the model nothing"] += len(task.samples) - len(asked)
        return self._told(dropped, limits, next(iter(jobs.values()))["skill"])

    def _teach(self, items: Sequence[Asked]) -> None:
        """Find out what the scorer takes as right; forms that it takes from no sample of a few are not tried on the others."""
        probe, useful = items[:: max(1, len(items) // PROBED)], list[int]()
        for turn in range(max((len(item.options) for item in items), default=0)):
            if self._accepts(probe, turn):
                useful.append(turn)
            elif self.failure is not None or all(item.calls > 1 for item in probe):
                break  # no other form will please a scorer that fails, or a judge that the student plays itself
        for turn in useful:
            self._accepts(items, turn)
        if not useful and self.failure is not None:
            raise self.failure

    def _accepts(self, items: Sequence[Asked], turn: int) -> bool:
        """Try one form on every item that has no answer yet; whether any took it."""
        left = {item.sample.id: item for item in items if item.answer is None and len(item.options) > turn}
        if not left:
            return False
        task = items[0].task
        said = Pass(say=lambda sample, messages: (left[sample].options[turn], False))
        found = task.run([item.sample for item in left.values()], said)
        for name, item in left.items():
            item.calls = max(item.calls, found.calls[name])
            if name in found.errors:
                self.failure = task.broken(found.errors[name], f", at the sample {name!r}")
            elif self._value(task, found.scores[name])[0] == 1:
                item.answer = item.options[turn]
        return any(item.answer is not None for item in left.values())

    def _told(self, dropped: Counter[str], limits: Sequence[Limits], skill: str) -> dict[str, Any]:
        """The items and how they are asked, in plain values."""
        again = any(item.calls > 1 for item in self.items)
        for item in self.items:
            if item.answer is None and item.calls > 1 and item.options:
                item.answer = item.options[0]  # a judge that the student plays itself is no check of an answer
        missing = sum(item.answer is None for item in self.items)
        taught = missing < len(self.items)
        dropped["no form of its target scores fully by its scorer"] += missing if taught else 0
        stop = {one.stop for one in limits}
        longest = [one.max_tokens for one in limits if one.max_tokens]
        return {
            "rows": [_row(item, skill) for item in self.items], "dropped": dropped, "kind": "generate", "format": "chat",
            "stop": list(stop.pop()) if len(stop) == 1 else [], "max_new_tokens": max(longest, default=MAX_TOKENS),
            "asks_again": again, "instruction": self.items[0].task.own.description or "" if self.items else "",
            "notes": _notes(limits, again, len(stop) > 1), "score_only": "" if taught else self._nothing_right(),
            "code": "-".join(sorted({item.task.code() for item in self.items})),
        }  # fmt: skip

    def _nothing_right(self) -> str:
        return (
            f"{self.items[0].task.where if self.items else 'inspect'}: its scorer takes no form of any sample's target as fully "
            f"right (tried: {', '.join(FORMS)}), so there is nothing to teach. Write what a right answer looks like as `answer:`, a "
            "template over input, target, choices and the metadata, in a YAML file that has this task as its source; or only score "
            "it (`llm2llm evals score`)."
        )

    def score(self) -> dict[str, Any]:
        """Attempts, or the questions still to be asked."""
        open_questions = dict[str, Messages]()
        for task in {id(item.task): item.task for item in self.items}.values():
            here = {n: self.items[n] for n in self.numbers if n not in self.done and self.items[n].task is task}
            found = task.run([item.sample for item in here.values()], Pass(say=self._answer))
            task.check(found)
            open_questions |= {key_of(messages): messages for messages in found.open.values()}
            for number, item in here.items():
                if item.sample.id in found.scores:
                    self.done[number] = self._attempt(number, item, found.scores[item.sample.id])
        if not open_questions:
            return {"attempts": [self.done[number] for number in self.numbers]}
        self.asked = list(open_questions.values())
        return {
            "questions": [{"prompt": one[-1]["content"], "turns": one if len(one) > 1 else []} for one in self.asked]
        }

    def _answer(self, sample: Any, messages: Messages) -> tuple[str, bool] | None:
        raw = self.known.get(key_of(messages))
        return (raw["text"], raw["truncated"]) if raw else None

    def _attempt(self, number: int, item: Asked, scores: dict[str, Any]) -> dict[str, Any]:
        raw = self.known[key_of(item.messages)]
        value, score = self._value(item.task, scores)
        unread = value < 1 and score["reason"] in NO_ANSWER
        result = outcome(None if unread else value, raw["truncated"])
        return {"number": number, "output": raw["text"], "score": value, "outcome": result}

    def _value(self, task: InspectTask, scores: dict[str, Any]) -> tuple[float, dict[str, Any]]:
        """The score that decides, from 0 to 1, and all that the scorer said. Raises EvalError where none does."""
        from inspect_ai.scorer import value_to_float

        name, _, key = self.metric.partition(".")
        name = name or next(iter(scores), "")
        if name not in scores:
            raise EvalError(f"{task.where}: `metric` names {name!r}; the task's scorers are {listed(scores)}.")
        value = scores[name]["value"]
        if isinstance(value, dict):
            if key not in value:
                each = listed(f"{name}.{one}" for one in value)
                raise EvalError(
                    f"{task.where}: the scorer {name!r} gives several values for one sample. Name the one that decides with `metric:` "
                    f"in a YAML file that has this task as its source: {each}."
                )
            value = value[key]
        number = 0.0 if value is None or isinstance(value, list) else value_to_float()(value)
        if number > 1:
            raise EvalError(
                f"{task.where}: the scorer {name!r} gives {number:g}. A score of one sample must lie between 0 and 1; name another "
                f"scorer with `metric:` (there are {listed(scores)}), or change the task."
            )
        return (0.0 if math.isnan(number) else number), scores[name]


def _options(sample: Any, template: Template | None) -> list[str]:
    targets = sample.target if isinstance(sample.target, list) else [sample.target]
    columns = {"input": _input(sample), "target": targets[0] if targets else "", "choices": sample.choices or []}
    wanted = dict.fromkeys([*targets[:1], ", ".join(targets)])
    return [form for target in wanted for form in forms(target, template, {**(sample.metadata or {}), **columns})]


def _input(sample: Any) -> str:
    return sample.input if isinstance(sample.input, str) else sample.input[-1].text


def _row(item: Asked, skill: str) -> dict[str, Any]:
    return {
        "part": item.part, "turns": item.messages, "inner": _input(item.sample), "answer": item.answer, "choices": [],
        "skill": str((item.sample.metadata or {}).get(skill, "")) if skill else "",
    }  # fmt: skip


def _notes(limits: Sequence[Limits], again: bool, stops_differ: bool) -> list[str]:
    notes = list[str]()
    if any(one.sampled for one in limits):
        notes.append("The task asks for sampled answers; the student writes its likeliest one.")
    if not any(one.max_tokens for one in limits):
        notes.append(f"The task sets no longest answer; {MAX_TOKENS} tokens are allowed. `max_new_tokens` changes it.")
    if stops_differ:
        notes.append("The task's samples have different stop texts, which are left out here.")
    if again:
        notes.append(
            "The task asks the model more than once about a sample. The student answers all of it, its own judge included where "
            "the scorer asks a model."
        )
    return notes


if __name__ == "__main__":
    serve(Desk(), (EvalError,))

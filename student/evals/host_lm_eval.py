"""The process of one lm-evaluation-harness task: tells what the harness would ask, and scores what our student answered.

In, from `hosted`: which task, then the student's answers. Out: the task's questions as plain values, then its own scores. A
task that needs more than one answer for an item (a blank filled in each possible way) has the others asked on top.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from student.evals.blame import is_ours
from student.evals.frame import shared_start
from student.evals.lm_eval_metric import NO_TEXT, Metric, find_right_choices, find_right_texts
from student.evals.lm_eval_task import Asked, Task, load_task
from student.evals.trouble import EvalError
from student.pipe import Say, serve
from student.scorers import outcome

MAX_GEN_TOKS = 256
"""How long an answer the harness asks for where a task does not say."""
LIMITS = ("max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens")
LENGTHS = {"acc_norm": len, "acc_bytes": lambda text: len(text.encode())}
"""Metrics that compare choices by likelihood and length."""
UNREAD = ("[invalid]", ["[invalid]"])
"""What a filter of the harness makes of an answer it finds nothing in."""


class Desk:
    """The loaded task, and the answers that are being scored."""

    task: Task
    metric: Metric
    items: list[Asked]
    join: str
    numbers: list[int]
    raw: list[dict[str, Any]]

    def __call__(self, job: dict[str, Any], say: Say) -> dict[str, Any]:
        if job["job"] == "load":
            (told,) = job["parts"].values()
            self.task = load_task(told["where"], told["name"], Path(told["place"]) if told["place"] else None)
            return self._guarded(lambda: self.load(told))
        if job["job"] == "score":
            self.numbers, self.raw = job["items"], job["answers"]
        return self._guarded(lambda: self.score([] if job["job"] == "score" else job["answers"]))

    def _guarded(self, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Work in which the task's own code runs."""
        try:
            return work()
        except Exception as error:
            if isinstance(error, EvalError) or is_ours(error):
                raise
            raise self.task.failed(error) from error

    def load(self, told: dict[str, Any]) -> dict[str, Any]:
        """The task's questions and right answers. Raises EvalError."""
        dropped, own = Counter[str](), self.task.own
        self.metric = Metric(self.task, told["metric"])
        getattr(own, "_metric_fn_list", {}).pop(NO_TEXT, None)
        self.items = self.task.items(dropped)
        if self.task.writes:
            answers, self.join = find_right_texts(self.metric, self.items, told["answer"])
        else:
            find_right_choices(self.metric, self.items)
            self.join = _join(self.items, own.get_config("target_delimiter") or "")
            answers = [item.answers[item.right[0]][len(self.join) :] if item.right else None for item in self.items]
        rows = [self._row(item, answer, told["skill"]) for item, answer in zip(self.items, answers, strict=True)]
        dropped["no answer scores fully by its metric"] += (
            answers.count(None) if any(item is not None for item in answers) else 0
        )
        return {"rows": rows, "dropped": dropped, "join": self.join, "code": self.task.code(), **self._facts(answers)}

    def _facts(self, answers: Sequence[str | None]) -> dict[str, Any]:
        own = self.task.own
        generation = (own.get_config("generation_kwargs") or {}) if self.task.writes else {}
        until = generation.get("until") or []
        varied = any(len(set(item.prompts)) > 1 for item in self.items)
        description = own.get_config("description")
        return {
            "kind": "choice" if own.OUTPUT_TYPE == "multiple_choice" and not varied else "generate", "format": "plain",
            "stop": [text for text in ([until] if isinstance(until, str) else until) if text], "asks_again": varied,
            "max_new_tokens": next((int(generation[key]) for key in LIMITS if generation.get(key)), MAX_GEN_TOKS)
            if self.task.writes
            else None,
            "instruction": description.strip() if isinstance(description, str) and "{{" not in description else "",
            "notes": self._notes(generation), "score_only": "" if any(answer is not None for answer in answers) else self._nothing_right(),
        }  # fmt: skip

    def _notes(self, generation: dict[str, Any]) -> list[str]:
        notes = list[str]()
        if generation.get("do_sample") or generation.get("temperature"):
            notes.append("The task asks for sampled answers; the student writes its likeliest one.")
        if (self.task.own.get_config("repeats") or 1) > 1:
            notes.append("The task asks every question several times; the student's answer is always the same.")
        if self.task.draws_examples():
            notes.append(
                "Worked examples are drawn anew for each item, so they stand in every question a teacher sees. With "
                "`sampler: first_n` under fewshot_config, or num_fewshot: 0, lessons are shorter and better."
            )
        return notes

    def _nothing_right(self) -> str:
        return (
            f"{self.task.where}: none of the answers tried scores fully by the task's metric {self.metric.name!r}, so there is "
            "nothing to teach. Write what a right answer looks like as `answer:`, a template over the task's own columns, in a "
            "YAML file that has this task as its source; or only score it (`llm2llm evals score`)."
        )

    def _row(self, item: Asked, answer: str | None, skill: str) -> dict[str, Any]:
        own = self._asked_first(item)
        choices = [] if self.task.writes else [item.answers[at][len(self.join) :] for at in own]
        text = item.prompts[own[0]]
        return {
            "part": item.part, "turns": [{"role": "user", "content": text}], "answer": answer, "choices": choices,
            "inner": "", "skill": str(item.doc.get(skill, "")) if skill and isinstance(item.doc, dict) else "",
        }  # fmt: skip

    def _asked_first(self, item: Asked) -> list[int]:
        """The requests that make up the item's own question: those with the prompt of the right answer."""
        prompt = item.prompts[item.right[0] if item.right else 0]
        return [at for at, other in enumerate(item.prompts) if other == prompt]

    def score(self, more: list[dict[str, Any]]) -> dict[str, Any]:
        """Attempts, or the questions still to be asked."""
        items = [self.items[number] for number in self.numbers]
        given = [self._responses(item, raw) for item, raw in zip(items, self.raw, strict=True)]
        owed = [
            (at, index)
            for at, item in enumerate(items)
            for index in range(len(item.requests))
            if index not in given[at]
        ]
        if owed and not more:
            return {"questions": [_question(items[at], index, self.join) for at, index in owed]}
        for (at, index), raw in zip(owed, more, strict=True):
            given[at][index] = (raw["scores"][0], raw["greedy"][0])
        answers = [[answer for _, answer in sorted(one.items())] for one in given]
        scored = self.metric.scores(items, answers)
        return {"attempts": [self._attempt(at, items[at], answers[at], *scored[at]) for at in range(len(items))]}

    def _responses(self, item: Asked, raw: dict[str, Any]) -> dict[int, Any]:
        if self.task.writes:
            return dict.fromkeys(range(len(item.requests)), raw["text"])
        pairs = zip(raw["scores"], raw["greedy"], strict=True)
        return dict(zip(self._asked_first(item), pairs, strict=True))

    def _attempt(self, at: int, item: Asked, answers: Sequence[Any], score: float, read: Any) -> dict[str, Any]:
        attempt = {"number": self.numbers[at], "score": score}
        if self.task.writes:
            raw = self.raw[at]
            result = outcome(None if score == 0 and read in UNREAD else score, raw["truncated"])
            return {**attempt, "output": raw["text"], "outcome": result}
        choices = [answer[len(self.join) :] for answer in item.answers]
        output, margin = _comparison(choices, [answer[0] for answer in answers], item.right, self.metric.name)
        said = output if len(choices) > 1 else choices[0] if score >= 1 else "(something else)"
        return {**attempt, "output": said, "margin": margin, "outcome": "right" if score >= 1 else "wrong"}


def _comparison(
    choices: list[str], likelihoods: list[float], right: list[int], metric: str
) -> tuple[str, float | None]:  # fmt: skip
    """The preferred choice, and by how many nats a right one is ahead of the wrong ones."""
    length = LENGTHS.get(metric, lambda text: 1)
    values = [value / max(1, length(choice)) for choice, value in zip(choices, likelihoods, strict=True)]
    best = max(range(len(values)), key=values.__getitem__)
    wrong = [value for at, value in enumerate(values) if at not in right]
    if not right or not wrong:
        return choices[best], None
    ahead = max(values[at] for at in right) - max(wrong)
    return choices[best], round(ahead * max(1, length(choices[right[0]])), 6)


def _question(item: Asked, index: int, join: str) -> dict[str, Any]:
    return {"prompt": item.prompts[index], "choices": [item.answers[index][len(join) :]]}


def _join(items: Sequence[Asked], delimiter: str) -> str:
    """What all continuations begin with, if it is the task's delimiter; else the white space that they begin with."""
    answers = [answer for item in items for answer in item.answers]
    spaced = [answer[: len(answer) - len(answer.lstrip())] + delimiter.lstrip() for answer in answers[:1]]
    if spaced and delimiter and all(answer.startswith(spaced[0]) for answer in answers):
        return spaced[0]
    shared = shared_start(answers)
    return shared[: len(shared) - len(shared.lstrip())]


if __name__ == "__main__":
    serve(Desk(), (EvalError,))

"""The task's own judgement of answers: its filters, its `process_results`, and the one metric that decides.

In: items and a raw answer for each of their requests, as the harness gets them from a model. Out: each item's score. Which
answers are right is found out the same way, by trying them on the metric: what a task's code means by its targets is its
own business, and an answer that its metric does not take must not be taught.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from student.evals.forms import forms
from student.evals.lm_eval_task import Asked, Task
from student.evals.template import Template
from student.evals.trouble import EvalError, listed

SURE, UNSURE = (0.0, True), (-100.0, False)
"""Log-likelihood and greediness with which one choice is tried on the metric, and of all others meanwhile."""
NO_TEXT = "acc_mutual_info"
"""The metric that also wants every answer's likelihood after no text at all, which the student cannot be asked."""


class Metric:
    """The metric and the filter that decide what is right."""

    def __init__(self, task: Task, wanted: str) -> None:
        self.task, known = task, list(task.own.aggregation())
        name, _, key = wanted.partition(",")
        filters = [one.name for one in task.own._filters]
        self.name, self.filter = name.strip(), key.strip() or filters[0]
        if self.filter not in filters:
            raise EvalError(f"{task.where}: `metric` names the filter {self.filter!r}; the task has {listed(filters)}.")
        if self.name and (self.name not in known or self.name == NO_TEXT):
            usable = listed(one for one in known if one != NO_TEXT)
            raise EvalError(
                f"{task.where}: `metric` names {self.name!r}, which cannot decide here; the task has {usable}."
            )

    def scores(self, items: Sequence[Asked], answers: Iterable[Sequence[Any]]) -> list[tuple[float, Any]]:
        """Each item's score, and what the filter made of its first answer; `answers` has one for each request of an item."""
        requests = [request for item in items for request in item.requests]
        for request, answer in zip(requests, (one for given in answers for one in given), strict=True):
            request.resps, request.filtered_resps = [answer] * (request.repeats or 1), {}
        if requests:
            next(one for one in self.task.own._filters if one.name == self.filter).apply(requests)
        return [self._score(item) for item in items]

    def right(self, items: Sequence[Asked], answers: Sequence[Sequence[Any]]) -> list[bool]:
        """Whether the metric takes each item's answers as right. Raises EvalError for one that goes beyond 1."""
        found = [score for score, _ in self.scores(items, answers)]
        if beyond := [score for score in found if score > 1]:
            raise EvalError(
                f"{self.task.where}: the metric {self.name!r} gives {beyond[0]:g} for a right answer. A score of one item must lie "
                "between 0 and 1: name another metric with `metric:` in a YAML file that has this task as its source."
            )
        return [score == 1 for score in found]

    def _score(self, item: Asked) -> tuple[float, Any]:
        filtered = [request.filtered_resps[self.filter] for request in item.requests]
        found: Mapping[str, Any] = self.task.own.process_results(item.doc, filtered)
        self.name = self.name or self._first(found)
        score: Any = found.get(self.name)
        if not _is_number(score):
            single = [name for name, value in found.items() if _is_number(value)]
            raise EvalError(
                f"{self.task.where}: the metric {self.name!r} gives no score for a single item, so it cannot tell which items "
                f"went wrong. Those that do: {listed(single)}. Name one with `metric:` in a YAML file that has this task as its "
                "source."
            )
        return float(score), filtered[0]

    def _first(self, found: Mapping[str, Any]) -> str:
        """The first metric that has a score for each item and is better when it is higher."""
        better = self.task.own.higher_is_better()
        names = [name for name in (*self.task.own.aggregation(), *found) if name in found and better.get(name, True)]
        return next((name for name in names if _is_number(found[name])), names[0] if names else next(iter(found), ""))


def find_right_choices(metric: Metric, items: Sequence[Asked]) -> None:
    """Set which requests of each item ask about a right answer, by being sure of one after the other."""
    for at in range(max((len(item.requests) for item in items), default=0)):
        tried = [item for item in items if len(item.requests) > at]
        answers = [[SURE if other == at else UNSURE for other in range(len(item.requests))] for item in tried]
        for item, right in zip(tried, metric.right(tried, answers), strict=True):
            item.right += [at] if right else []


def find_right_texts(metric: Metric, items: Sequence[Asked], template: str) -> tuple[list[str | None], str]:
    """What to write for each item, None where nothing is taken as right; and what stands between prompt and answer."""
    own = Template("answer", template) if template else None
    options = [
        forms(_target(metric.task.own, item.doc), own, item.doc if isinstance(item.doc, dict) else {}) for item in items
    ]
    delimiter = metric.task.own.get_config("target_delimiter") or ""
    tries = {join: _accepted(metric, items, options, join) for join in dict.fromkeys((delimiter, ""))}
    best = max(tries, key=lambda join: sum(text is not None for text in tries[join]))
    return tries[best], best


def _accepted(
    metric: Metric, items: Sequence[Asked], options: Sequence[list[str]], join: str
) -> list[str | None]:  # fmt: skip
    accepted: list[str | None] = [None] * len(items)
    for turn in range(max(map(len, options), default=0)):
        left = [at for at, text in enumerate(accepted) if text is None and len(options[at]) > turn]
        answers = [[join + options[at][turn]] * len(items[at].requests) for at in left]
        for at, right in zip(left, metric.right([items[at] for at in left], answers), strict=True):
            accepted[at] = options[at][turn] if right else None
    return accepted


def _target(task: Any, doc: Any) -> str:
    target = task.doc_to_target(doc)
    if isinstance(target, int) and task.get_config("doc_to_choice") is not None:
        target = task.doc_to_choice(doc)[target]
    return str(target[0] if isinstance(target, list) and target else target)


def _is_number(value: Any) -> bool:
    return hasattr(value, "__float__") and not isinstance(value, str) and not math.isnan(float(value))

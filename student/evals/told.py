"""What a hosted task's process tells, in our words: the eval set's spec and its items.

In: the task's prompts and right answers as it words them, and what a person's YAML file says besides the source. Out: a
filled-in `EvalSpec` and a `Seed` for each item, which together put to the student exactly what the task would ask. Where the
task leaves a choice the person's file wins; a key that the task decides is refused, not ignored.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from student.evals.frame import SLOT, fitted, framed
from student.evals.spec import EvalSpec
from student.evals.trouble import EvalError, listed, meant
from student.prompting import Ask
from student.records import Seed, Turn, text_hash
from student.scorers import ScorerSpec

DECIDED = ("kind", "join", "stop", "system", "prompt", "label_names")
"""Keys of an eval set that a task decides; `scorer` and most of `columns` are others."""
LEFT = "name, splits, draw, labels, instruction, noun, metric, answer, columns.skill, frame, format, max_new_tokens"
"""Keys that a YAML file with a task as its source may have."""


@dataclass(frozen=True)
class Told:
    """One task, as its process describes it."""

    where: str
    """What a message calls it."""
    spec: EvalSpec
    """What the person's file says."""
    loaded: Mapping[str, Any]
    """The process's answer."""

    @cached_property
    def rows(self) -> list[tuple[int, dict[str, Any]]]:
        """Number and content of each usable item. Raises EvalError when there is none."""
        every = enumerate(self.loaded["rows"])
        rows = [(number, row) for number, row in every if row["answer"] is not None or self.loaded["score_only"]]
        if not rows:
            why = listed(f"{reason}: {count}" for reason, count in self.loaded["dropped"].items() if count)
            raise EvalError(f"{self.where}: nothing is left of the task's items ({why}).")
        return rows

    def check(self) -> None:
        """Raises EvalError for a key that the task decides."""
        given = [key for key in DECIDED if self._says(key) and getattr(self.spec, key) != self.loaded.get(key)]
        given += [f"columns.{name}" for name in self.spec.columns.model_fields_set - {"skill"}]
        given += ["scorer"] if self.spec.scorer not in map(_usual_scorer, ("choice", "generate")) else []
        if given:
            raise EvalError(
                f"{self.where}: `{given[0]}` is decided by the task itself. Take it out of the YAML file, or change the task. What "
                f"may stand there: {LEFT}."
            )

    def translated(self) -> tuple[EvalSpec, dict[str, list[Seed]], dict[str, int]]:
        """The spec, the items by part, and the task's own number of each item by our id. Raises EvalError."""
        self.check()
        ask, labels = self._ask, self._labels()
        parts, numbers = dict[str, list[Seed]](), dict[str, int]()
        for (number, row), prompt, turns in zip(self.rows, self._prompts, self._dialogues, strict=True):
            name = _name(row, numbers)
            numbers[name] = number
            seed = Seed(
                id=name, prompt=prompt, answer=row["answer"] or "", choices=tuple(row["choices"]),
                skill=row["skill"] or ((row["answer"] or "") if labels else ""), turns=tuple(turns) if len(turns) > 1 else (),
            )  # fmt: skip
            parts.setdefault(row["part"], []).append(seed)
        filled = {"labels": labels, **self._said(ask.system)}
        asked = {key: getattr(ask, key) for key in ("frame", "system", "format", "join", "stop")}
        kind = {"kind": self.loaded["kind"], "scorer": _usual_scorer(self.loaded["kind"])}  # its own is in its process
        return self.spec.model_copy(update={**kind, **asked, **filled}), parts, numbers

    def _says(self, key: str) -> bool:
        return key in self.spec.model_fields_set

    @cached_property
    def _whole(self) -> list[list[Turn]]:
        return [[Turn(**turn) for turn in row["turns"]] for _, row in self.rows]

    @cached_property
    def _system(self) -> str:
        """The system message that all items share; what a task asks later may not have it."""
        systems = {turns[0].content if turns[0].role == "system" else "" for turns in self._whole}
        return systems.pop() if len(systems) == 1 and not self.loaded["asks_again"] else ""

    @cached_property
    def _dialogues(self) -> list[list[Turn]]:
        return [turns[1:] if self._system else turns for turns in self._whole]

    @cached_property
    def _framed(self) -> tuple[str, list[str]]:
        """The person's frame, if every prompt stands in it; else what all prompts have in common."""
        texts = [turns[-1].content for turns in self._dialogues]
        if self._says("frame"):
            questions = fitted(texts, self.spec.frame)
            if questions is None:
                raise EvalError(
                    f"{self.where}: `frame` does not fit what the task asks, for example {texts[0][:200]!r}."
                )
            return self.spec.frame, questions
        if self.loaded["asks_again"] or any(len(turns) > 1 for turns in self._dialogues):
            return SLOT, texts
        inner = [row["inner"] for _, row in self.rows]
        return framed(texts, inner if all(inner) else ())

    @property
    def _prompts(self) -> list[str]:
        return self._framed[1]

    @property
    def _ask(self) -> Ask:
        return Ask(
            frame=self._framed[0], system=self._system, join=self.loaded.get("join", " "), stop=tuple(self.loaded["stop"]),
            format=self.spec.format if self._says("format") else self.loaded["format"],
        )  # fmt: skip

    def _labels(self) -> dict[str, str]:
        """The choices, where all items have the same, with what the person's file says about each."""
        choices = (
            {tuple(row["choices"]) for _, row in self.rows}
            if self.loaded["kind"] == "choice"
            else set[tuple[str, ...]]()
        )
        labels = dict.fromkeys(choices.pop(), "") if len(choices) == 1 else {}
        for label in self.spec.labels:
            if label not in labels:
                known = listed(labels) if labels else "not the same for all items"
                raise EvalError(
                    f"{self.where}: `labels` describes {label!r}; the task's choices are {known}.{meant(label, list(labels))}"
                )
        return {label: self.spec.labels.get(label, "") for label in labels}

    def _said(self, system: str) -> dict[str, Any]:
        """What the task says of itself and the person's file does not."""
        said = {"max_new_tokens": self.loaded["max_new_tokens"], "instruction": self.loaded["instruction"] or system}
        filled = {key: value for key, value in said.items() if value and not self._says(key)}
        if str(self.spec.source).endswith(f"@{self.spec.name}"):  # no YAML file gave it a name
            filled["name"] = self.spec.name.partition("?")[0]
        return filled


def _usual_scorer(kind: str) -> ScorerSpec:
    return ScorerSpec(name="likelihood" if kind == "choice" else "exact")


def _name(row: Mapping[str, Any], known: Mapping[str, int]) -> str:
    """A hash of all that is asked, numbered where the same is asked twice."""
    name = text_hash(*(text for turn in row["turns"] for text in turn.values()), *row["choices"])
    numbered = (f"{name}-{count}" for count in itertools.count(2))
    return name if name not in known else next(one for one in numbered if one not in known)

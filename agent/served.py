"""Examine a model behind an OpenAI-compatible server: questions go out as chat messages, its answers come back as attempts.

A server gives no likelihood of a choice, so the choices are put into the JSON schema of the reply and the model writes one of
them; an answer that is none of them is malformed. Open questions are asked in the eval set's own words and cut at its stop
texts. The questions leave this machine, the right answers do not: whoever calls this says so first.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from agent.settings import SettingsError
from student.evals.findings import OnStage
from student.evals.load import EvalSet
from student.grade import RawAnswer
from student.records import Attempt, Item, Question
from teacher.answers import answer_request, read_answer
from teacher.backend import Backend
from teacher.client import Client
from teacher.ledger import Budget, Ledger
from teacher.requests import Answer, Message, Reply, Request
from teacher.sheet import TaskSheet


class Served:
    """One server's model, ready to be examined."""

    def __init__(
        self, backend: Backend, evals: EvalSet, bare: bool, place: Path, on_stage: OnStage, shots: str = ""
    ) -> None:
        """`place`: a folder for the ledger. `bare`: without the task before the question. `shots`: worked examples after it."""
        self.evals, self.on_stage = evals, on_stage
        task = "" if bare or evals.hosted else evals.task()
        self.task = "\n\n".join(part for part in (task, shots.strip()) if part)
        self.ledger = Ledger(place / "ledger.sqlite", Budget())
        self.client = Client(backend, self.ledger, deadline_seconds=120, max_attempts=4)
        self.lost = Counter[str]()
        """Questions without an answer, by reason."""
        self.tokens: int | None = 0
        """Tokens written; None once a reply did not say."""
        self.seconds = 0.0
        """Time spent asking."""

    def attempts(self, items: Sequence[Item]) -> list[Attempt]:
        """One attempt an item, in order. Raises TeacherUnusable when the server cannot be used."""
        if self.evals.host is None and self.evals.spec.kind == "choice":
            return self._picked(items)
        return self.evals.attempts(items, self._written)

    def close(self) -> None:
        """Let go of the ledger."""
        self.ledger.close()

    def _picked(self, items: Sequence[Item]) -> list[Attempt]:
        """Choices, by name."""
        own = not self.evals.labels
        sheet = TaskSheet(task=self.task, noun=self.evals.spec.noun, labels=self.evals.labels, own_choices=own)
        replies = self._ask([answer_request(sheet, item.prompt, item.choices) for item in items])
        return [_attempt(item, reply) for item, reply in zip(items, replies, strict=True)]

    def _written(self, questions: Sequence[Item | Question]) -> list[RawAnswer]:
        """Texts, as the student's process would give them."""
        if any(question.choices for question in questions):
            raise SettingsError(
                "This task scores choices by their likelihood, which a server does not tell. Score a model that runs here instead: a "
                "folder, a .gguf file, a hub id or a built-in."
            )
        replies = self._ask([self._request(question) for question in questions])
        return [_raw(reply, self.evals.spec.stop) for reply in replies]

    def _request(self, question: Item | Question) -> Request:
        ask = self.evals.ask(f"{self.task}\n\n" if self.task else "")
        messages = [
            Message(role=turn.role, content=turn.content) for turn in ask.turns(question.prompt, question.turns)
        ]
        return Request(
            purpose="examine", messages=tuple(messages), max_tokens=self.evals.spec.max_new_tokens, temperature=0.0, seed=0
        )  # fmt: skip

    def _ask(self, requests: Sequence[Request]) -> list[Answer]:
        done, began = 0, time.monotonic()

        def on_done(_: int, reply: Answer) -> None:
            nonlocal done
            done += 1
            self.on_stage("asking", done, len(requests))

        replies = self.client.ask_all(requests, round=0, on_done=on_done)
        self.seconds += time.monotonic() - began
        for reply in replies:
            if isinstance(reply, Reply):
                known = self.tokens is not None and reply.completion_tokens is not None
                self.tokens = (self.tokens or 0) + (reply.completion_tokens or 0) if known else None
            else:
                self.lost[reply.reason] += 1
        return replies


def _attempt(item: Item, reply: Answer) -> Attempt:
    answer = read_answer(reply)
    if answer not in item.choices:
        cut = isinstance(reply, Reply) and reply.finish_reason == "length"
        said = reply.text if isinstance(reply, Reply) else reply.reason
        return Attempt(item_id=item.id, output=said, outcome="truncated" if cut else "malformed", score=0.0)
    right = answer == item.answer
    return Attempt(item_id=item.id, output=answer, outcome="right" if right else "wrong", score=float(right))


def _raw(reply: Answer, stop: Sequence[str]) -> RawAnswer:
    if not isinstance(reply, Reply):
        return {"text": "", "truncated": False}
    cuts = [at for at in (reply.text.find(one) for one in stop) if at >= 0]
    text = reply.text[: min(cuts)] if cuts else reply.text
    return {"text": text.strip(), "truncated": reply.finish_reason == "length" and not cuts}

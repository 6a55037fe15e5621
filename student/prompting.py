"""Turn a question into the student's tokens; the same way in training and in every examination.

Two formats: `plain` (the framed question, then the answer after one space; cheapest, right for labels) and `chat` (the
model's own chat template). Text from items, teachers and people is tokenised with special tokens switched off, so a
`<|im_end|>` inside a lesson stays six characters of text and never becomes a control token.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from jinja2 import TemplateError

from student.errors import StudentError
from student.records import Record, Turn

Format = Literal["plain", "chat"]
_SLOT = "\u2063MESSAGE {}\u2063"
DAY = "26 Jul 2024"
"""What a chat template that shows the date is told, so that a run asks alike on all its days."""


class Ask(Record):
    """How a question is put to the student."""

    frame: str = "{question}"
    """The text around the question; `{question}` is replaced literally, nothing else is interpreted."""
    format: Format = "plain"
    """`plain` text continuation or the model's `chat` template."""
    lead: str = ""
    """Put before the frame: instructions or worked examples; empty for a fine-tuned student."""
    system: str = ""
    """For `chat`: a system message before everything else."""
    join: str = " "
    """For `plain`: what stands between question and answer."""
    stop: tuple[str, ...] = ()
    """A generated answer ends before the first of these texts."""

    def text(self, question: str) -> str:
        """The framed question with its lead, as plain text."""
        return self.lead + self.frame.replace("{question}", question)

    def turns(self, prompt: str, turns: Sequence[Turn] = ()) -> list[Turn]:
        """The question as messages: the frame goes around the last one, the lead before it."""
        asked = [*turns] or [Turn(role="user", content=prompt)]
        asked[-1] = Turn(role=asked[-1].role, content=self.text(asked[-1].content))
        return [Turn(role="system", content=self.system), *asked] if self.system else asked


class Prompter:
    """Encodes questions and answers for one tokenizer and one way of asking."""

    def __init__(self, tokenizer: Any, ask: Ask) -> None:
        self.tokenizer, self.ask = tokenizer, ask
        self._leading = leading(tokenizer) if ask.format == "plain" else []
        self._templates: dict[tuple[str, ...], list[list[int]]] = {}

    def question(self, prompt: str, turns: Sequence[Turn] = ()) -> list[int]:
        """Token ids of everything up to where the answer starts."""
        if self.ask.format == "plain":
            return [*self._leading, *self._plain(self._as_text(prompt, turns))]
        asked = self.ask.turns(prompt, turns)
        between = self._between(tuple(turn.role for turn in asked))
        texts = [self._plain(turn.content) for turn in asked]
        return [token for gap, text in zip(between, [*texts, []], strict=True) for token in (*gap, *text)]

    def answer(self, answer: str) -> list[int]:
        """Token ids of an answer, without the end-of-text token. In `plain` format the joining space belongs to it."""
        return self._plain(answer if self.ask.format == "chat" else self.ask.join + answer)

    def _as_text(self, prompt: str, turns: Sequence[Turn]) -> str:
        """Messages as a transcript, for a student that is asked in `plain` format."""
        if not turns:
            return self.ask.text(prompt)
        return self.ask.text("\n".join(f"{turn.role}: {turn.content}" for turn in turns))

    def _between(self, roles: tuple[str, ...]) -> list[list[int]]:
        """The chat template's own tokens before, between and after messages of these roles."""
        if roles not in self._templates:
            self._templates[roles] = _template_parts(self.tokenizer, roles)
        return self._templates[roles]

    def _plain(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
        return ids


def leading(tokenizer: Any) -> list[int]:
    """The token that the model's own tokenizer begins every text with, if there is one: such a model is lost without it."""
    ids: list[int] = tokenizer("")["input_ids"]
    return ids if ids and ids == [tokenizer.bos_token_id] else []


def _template_parts(tokenizer: Any, roles: tuple[str, ...]) -> list[list[int]]:
    return [tokenizer(part, add_special_tokens=False)["input_ids"] for part in template_texts(tokenizer, roles)]


def template_texts(tokenizer: Any, roles: tuple[str, ...]) -> list[str]:
    """What the chat template puts before, between and after messages of these roles. Raises StudentError."""
    slots = [_SLOT.format(at) for at in range(len(roles))]
    turns = [{"role": role, "content": slot} for role, slot in zip(roles, slots, strict=True)]
    try:
        shown: str = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True, date_string=DAY)
    except (TemplateError, ValueError, TypeError) as error:
        raise _cannot_show(roles, f" ({str(error).splitlines()[0] if str(error) else type(error).__name__})") from error
    parts = list[str]()
    for slot in slots:  # each once, in order
        before, found, shown = shown.partition(slot)
        if not found:
            raise _cannot_show(roles)
        parts.append(before)
    parts.append(shown)
    if any(slot in part for slot in slots for part in parts):
        raise _cannot_show(roles)
    return parts


def _cannot_show(roles: tuple[str, ...], why: str = "") -> StudentError:
    return StudentError(
        f"The student has no chat template that shows messages of the roles {', '.join(roles)} once each and in this order{why}. Use "
        "`format: plain` in the eval set, or a student whose template does."
    )


def shared_prefix(rows: list[list[int]]) -> int:
    """How many leading tokens all rows share, leaving every row at least one token of its own."""
    if len(rows) < 2:
        return 0
    first, last = min(rows), max(rows)
    limit = min(len(row) for row in rows) - 1
    for position in range(limit):
        if first[position] != last[position]:
            return position
    return limit

"""Turn a question into the student's tokens; the same way in training and in every examination.

Two formats: `plain` (the framed question, then the answer after one space; cheapest, right for labels) and `chat` (the
model's own chat template). Text from items, teachers and people is tokenised with special tokens switched off, so a
`<|im_end|>` inside a lesson stays six characters of text and never becomes a control token.
"""

from __future__ import annotations

from typing import Any, Literal

from student.records import Record

Format = Literal["plain", "chat"]
_SLOT = "\u2063QUESTION\u2063"


class Ask(Record):
    """How a question is put to the student."""

    frame: str = "{question}"
    """The text around the question; `{question}` is replaced literally, nothing else is interpreted."""
    format: Format = "plain"
    """`plain` text continuation or the model's `chat` template."""
    lead: str = ""
    """Put before the frame: instructions or worked examples; empty for a fine-tuned student."""

    def text(self, question: str) -> str:
        """The framed question with its lead, as plain text."""
        return self.lead + self.frame.replace("{question}", question)


class Prompter:
    """Encodes questions and answers for one tokenizer and one way of asking."""

    def __init__(self, tokenizer: Any, ask: Ask) -> None:
        self.tokenizer, self.ask = tokenizer, ask
        self._before, self._after = _template_halves(tokenizer) if ask.format == "chat" else ([], [])

    def question(self, question: str) -> list[int]:
        """Token ids of everything up to where the answer starts."""
        return [*self._before, *self._plain(self.ask.text(question)), *self._after]

    def answer(self, answer: str) -> list[int]:
        """Token ids of an answer, without the end-of-text token. In `plain` format the joining space belongs to it."""
        return self._plain(answer if self.ask.format == "chat" else " " + answer)

    def _plain(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
        return ids


def _template_halves(tokenizer: Any) -> tuple[list[int], list[int]]:
    """The chat template's tokens before and after the user's text."""
    rendered: str = tokenizer.apply_chat_template(
        [{"role": "user", "content": _SLOT}], tokenize=False, add_generation_prompt=True
    )
    before, _, after = rendered.partition(_SLOT)
    return (
        tokenizer(before, add_special_tokens=False)["input_ids"],
        tokenizer(after, add_special_tokens=False)["input_ids"],
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

"""Put open questions to the student and take down what it writes: greedy, up to an end token, a stop text, or the limit.

The answers are those that transformers' `generate` would give for each prompt alone, up to rounding. They are written by
`student.decoding`; a model that it cannot run, or whose own settings ask for more than the likeliest token (a penalty for
repetition, for instance), is left to `generate` itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import StoppingCriteriaList

from student.decoding import Desk, Row
from student.lora import Student
from student.prompting import Ask, Prompter, shared_prefix
from student.records import Question
from student.room import OnNote, give_way
from student.shared import AT_LEAST, Shared, reads_like_the_model, run_shared

OnProgress = Callable[[int, int], None]
"""Called with answers done and answers in all."""
MORE_THAN_GREEDY = (
    "repetition_penalty", "encoder_repetition_penalty", "no_repeat_ngram_size", "encoder_no_repeat_ngram_size", "bad_words_ids",
    "sequence_bias", "suppress_tokens", "begin_suppress_tokens", "forced_bos_token_id", "forced_eos_token_id", "min_length",
    "min_new_tokens", "guidance_scale", "exponential_decay_length_penalty", "watermarking_config",
)  # fmt: skip
"""What a model's own settings may ask of `generate` that changes which token is taken."""
TOKENS = 4096
"""Prompt and answer tokens of a batch where `generate` is used."""


@dataclass(frozen=True)
class Written:
    """One generated answer."""

    text: str
    truncated: bool
    """It was cut at the token limit: no end token came."""


def write_answers(
    student: Student, ask: Ask, questions: Sequence[Question], max_new_tokens: int, on_progress: OnProgress,
    on_note: OnNote = lambda note: None,
) -> list[Written]:  # fmt: skip
    """Greedy answers, in the order of the questions; each ends at the end token or a stop text, or is marked truncated."""
    if not questions:
        return []
    prompter = Prompter(student.tokenizer, ask)
    prompts = [prompter.question(question.prompt, question.turns) for question in questions]
    longest = max(map(len, prompts)) + max_new_tokens
    own = not more_than_greedy(student) and reads_like_the_model(student, prompts[0], longest)
    written: dict[int, Written] = {}
    for number, said in (_decoded if own else _generated)(student, prompts, (max_new_tokens, ask.stop), on_note):
        written[number] = _until_end(student, said, end_tokens(student), ask.stop)
        on_progress(len(written), len(prompts))
    return [written[number] for number in range(len(prompts))]


def end_tokens(student: Student) -> set[int]:
    """The tokens at which an answer is over."""
    configured = student.causal.generation_config.eos_token_id
    extra = configured if isinstance(configured, list) else [configured]
    return {token for token in (student.tokenizer.eos_token_id, *extra) if token is not None}


def _decoded(
    student: Student, prompts: Sequence[list[int]], until: tuple[int, Sequence[str]], on_note: OnNote
) -> Iterator[tuple[int, list[int]]]:
    """Question and tokens written, in the order in which they are done."""
    most, stop = until
    length = shared_prefix([*prompts])
    shared = run_shared(student, prompts[0][:length]) if length >= AT_LEAST else Shared()
    ends, stopped = end_tokens(student), _Stopped(student.tokenizer, stop)

    def is_done(row: Row) -> bool:
        return row.said[-1] in ends or len(row.said) >= most or stopped.by(row.said)

    rows = [Row(number, prompt[shared.length :]) for number, prompt in enumerate(prompts)]
    for row in Desk(student, shared, rows, most).write(is_done, on_note):
        yield row.number, row.said


def _generated(
    student: Student, prompts: Sequence[list[int]], until: tuple[int, Sequence[str]], on_note: OnNote
) -> Iterator[tuple[int, list[int]]]:
    """The same by transformers' `generate`, in padded batches."""
    order = sorted(range(len(prompts)), key=lambda at: (-len(prompts[at]), at))
    budget, at = TOKENS, 0
    while at < len(order):
        longest = len(prompts[order[at]]) + until[0]
        chunk = order[at : at + max(1, budget // longest)]
        try:
            said = _generate(student, [prompts[number] for number in chunk], until)
        except (RuntimeError, MemoryError) as error:
            budget = longest * give_way(error, len(chunk), "answers", on_note)
            continue
        yield from zip(chunk, said, strict=True)
        at += len(chunk)


def _generate(student: Student, prompts: list[list[int]], until: tuple[int, Sequence[str]]) -> list[list[int]]:
    width, ends = max(map(len, prompts)), sorted(end_tokens(student))
    pad, device = student.tokenizer.pad_token_id, student.device
    ids = torch.tensor([[pad] * (width - len(prompt)) + prompt for prompt in prompts], device=device)
    mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts], device=device)
    most, stop = until
    criteria = StoppingCriteriaList([_Stopped(student.tokenizer, stop, width)] if stop else [])
    return student.causal.generate(
        input_ids=ids, attention_mask=mask, max_new_tokens=most, do_sample=False, eos_token_id=ends, pad_token_id=pad,
        temperature=None, top_p=None, top_k=None, stopping_criteria=criteria,
    )[:, width:].tolist()  # fmt: skip


class _Stopped:
    """Whether new text holds one of the stop texts. Looks at the last tokens only: a stop text is short."""

    def __init__(self, tokenizer: Any, stop: Sequence[str], prompt_length: int = 0) -> None:
        self.tokenizer, self.stop, self.start = tokenizer, stop, prompt_length
        self.reach = max((len(text.encode()) for text in stop), default=0) + 2  # a token is at least a byte

    def by(self, said: list[int]) -> bool:
        """Of one row's new tokens."""
        if not self.stop:
            return False
        tail: str = self.tokenizer.decode(said[-self.reach :])
        return any(text in tail for text in self.stop)

    def __call__(self, input_ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:
        found = [self.by(row) for row in input_ids[:, self.start :].tolist()]
        return torch.tensor(found, device=input_ids.device)


def more_than_greedy(student: Student) -> dict[str, Any]:
    """What of the model's own settings makes `generate` take another than the likeliest token."""
    asked = {name: getattr(student.causal.generation_config, name, None) for name in MORE_THAN_GREEDY}
    return {name: value for name, value in asked.items() if value not in (None, 0, 1, [], {})}


def _until_end(student: Student, said: list[int], ends: set[int], stop: Sequence[str]) -> Written:
    end = next((at for at, token in enumerate(said) if token in ends), None)
    text: str = student.tokenizer.decode(said[:end], skip_special_tokens=True)
    cuts = [at for at in (text.find(one) for one in stop) if at >= 0]
    return Written(text[: min(cuts)] if cuts else text, end is None and not cuts)

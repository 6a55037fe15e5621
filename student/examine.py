"""Put questions to the student and take down its answers: choices by likelihood, open answers by greedy generation.

Choices cost one forward pass per item: the prompt and all its choices lie in one row, and a tree-shaped attention mask
lets every choice see the prompt and itself only. What all prompts share (instructions, worked examples) runs once and
is kept in a cache. A choice's score is the sum of its tokens' log-probabilities given the prompt (the `acc` of
lm-evaluation-harness). Rows are sorted by length and batched by tokens, so there is next to no padding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import DynamicCache, StoppingCriteriaList

from student.layers import pad_left
from student.lora import Student
from student.prompting import Ask, Prompter, shared_prefix
from student.records import Question

OnProgress = Callable[[int, int], None]
"""Called with items done and items in all."""
SHARED_AT_LEAST = 24


@dataclass(frozen=True)
class ChoiceScores:
    """The log-likelihood of each choice of one item, in nats, in the order given."""

    values: list[float]
    greedy: list[bool]
    """Whether each is what the student would write: every token the likeliest one."""

    def best(self) -> int:
        """The most likely choice's position; the first on a tie."""
        return max(range(len(self.values)), key=lambda at: self.values[at])


@dataclass(frozen=True)
class Written:
    """One generated answer."""

    text: str
    truncated: bool
    """It was cut at the token limit: no end token came."""


@dataclass(frozen=True)
class _Row:
    """One item as one sequence: its own prompt tokens, then every choice's tokens but the last."""

    number: int
    ids: list[int]
    positions: list[int]
    branch: list[int]
    """0 for the prompt, k for the k-th choice: a token attends to its own branch and to the prompt."""
    spots: list[tuple[int, int, int]]
    """(position whose logits predict it, choice, token) for every token of every choice."""


@torch.no_grad()
def score_choices(
    student: Student, ask: Ask, questions: Sequence[Question], on_progress: OnProgress, tokens_per_batch: int = 2048
) -> list[ChoiceScores]:
    """Log-likelihoods of each question's choices."""
    prompter = Prompter(student.tokenizer, ask)
    prompts = [prompter.question(question.prompt, question.turns) for question in questions]
    shared = shared_prefix(prompts)
    shared = shared if shared >= SHARED_AT_LEAST else 0
    answers = {choice: prompter.answer(choice) for question in questions for choice in question.choices}
    rows = [
        _row(number, prompt[shared:], [answers[choice] for choice in question.choices], shared)
        for number, (prompt, question) in enumerate(zip(prompts, questions, strict=True))
    ]
    prefix = _run_prefix(student, prompts[0][:shared]) if shared else None
    scores: list[ChoiceScores] = [ChoiceScores([], [])] * len(rows)
    done = 0
    for batch in _by_tokens(rows, tokens_per_batch):
        for row, found in zip(batch, _score_batch(student, batch, prefix, shared), strict=True):
            scores[row.number] = found
        done += len(batch)
        on_progress(done, len(rows))
    return scores


def _row(number: int, prompt: list[int], options: list[list[int]], offset: int) -> _Row:
    ids, branch = list(prompt), [0] * len(prompt)
    positions = list(range(offset, offset + len(prompt)))
    spots: list[tuple[int, int, int]] = []
    for choice, tokens in enumerate(options):
        spots.append((len(prompt) - 1, choice, tokens[0]))
        for step, token in enumerate(tokens[:-1]):
            ids.append(token)
            branch.append(choice + 1)
            positions.append(offset + len(prompt) + step)
            spots.append((len(ids) - 1, choice, tokens[step + 1]))
    return _Row(number, ids, positions, branch, spots)


def _score_batch(student: Student, rows: list[_Row], prefix: Any, shared: int) -> list[ChoiceScores]:
    width = max(len(row.ids) for row in rows)
    fill = student.tokenizer.pad_token_id
    ids = torch.tensor([row.ids + [fill] * (width - len(row.ids)) for row in rows], device=student.device)
    positions = torch.tensor([row.positions + [0] * (width - len(row.ids)) for row in rows], device=student.device)
    hidden = student.backbone(
        input_ids=ids,
        attention_mask=_tree_mask(rows, width, shared, student),
        position_ids=positions,
        past_key_values=_repeat(prefix, len(rows)) if prefix else None,
        use_cache=prefix is not None,
    ).last_hidden_state
    return _sum_spots(student, rows, hidden)


def _tree_mask(rows: list[_Row], width: int, shared: int, student: Student) -> torch.Tensor:
    """Additive attention mask [rows, 1, width, shared + width]."""
    branch = torch.tensor([row.branch + [-1] * (width - len(row.branch)) for row in rows])
    before = torch.ones(width, width, dtype=torch.bool).tril()
    related = (branch[:, None, :] == 0) | (branch[:, None, :] == branch[:, :, None])
    seen = before & related & (branch[:, None, :] >= 0) | torch.eye(width, dtype=torch.bool)
    seen = torch.cat([torch.ones(len(rows), width, shared, dtype=torch.bool), seen], dim=2)
    dtype = student.causal.dtype
    mask = torch.zeros(seen.shape, dtype=dtype).masked_fill(~seen, torch.finfo(dtype).min)
    return mask[:, None].to(student.device)


def _sum_spots(student: Student, rows: list[_Row], hidden: torch.Tensor) -> list[ChoiceScores]:
    """Gather the log-probability of every choice token; the head runs once per distinct position."""
    places = sorted({(at, spot[0]) for at, row in enumerate(rows) for spot in row.spots})
    index = torch.tensor(places, device=hidden.device).T
    logprobs = student.logits(hidden[index[0], index[1]]).log_softmax(-1).cpu()
    likeliest = logprobs.argmax(-1).tolist()
    number = {place: at for at, place in enumerate(places)}
    sums: list[ChoiceScores] = []
    for at, row in enumerate(rows):
        count = 1 + max(spot[1] for spot in row.spots)
        found = ChoiceScores([0.0] * count, [True] * count)
        for position, choice, token in row.spots:
            place = number[at, position]
            found.values[choice] += float(logprobs[place, token])
            found.greedy[choice] &= likeliest[place] == token
        sums.append(found)
    return sums


def _run_prefix(student: Student, ids: list[int]) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Keys and values of the shared prompt, per layer, each [1, heads, length, head width]."""
    cache = DynamicCache(config=student.causal.config)
    student.backbone(input_ids=torch.tensor([ids], device=student.device), past_key_values=cache, use_cache=True)
    layers: list[Any] = list(cache.layers)
    return [(layer.keys, layer.values) for layer in layers]


def _repeat(prefix: list[tuple[torch.Tensor, torch.Tensor]], rows: int) -> DynamicCache:
    cache = DynamicCache()
    for number, (keys, values) in enumerate(prefix):
        cache.update(keys.expand(rows, -1, -1, -1), values.expand(rows, -1, -1, -1), number)
    return cache


def _by_tokens(rows: list[_Row], budget: int) -> Iterator[list[_Row]]:
    """Rows of like length together, at most `budget` padded tokens a batch; longest first, so memory peaks early."""
    batch: list[_Row] = []
    for row in sorted(rows, key=lambda row: (-len(row.ids), row.number)):
        if batch and (len(batch) + 1) * len(batch[0].ids) > budget:
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


@torch.no_grad()
def write_answers(
    student: Student, ask: Ask, questions: Sequence[Question], max_new_tokens: int, on_progress: OnProgress,
    tokens_per_batch: int = 4096,
) -> list[Written]:  # fmt: skip
    """Greedy answers, in the order of the questions; each ends at the end token or a stop text, or is marked truncated."""
    prompter = Prompter(student.tokenizer, ask)
    prompts = [prompter.question(question.prompt, question.turns) for question in questions]
    order = sorted(range(len(prompts)), key=lambda at: (len(prompts[at]), at))
    answers: list[Written] = [Written("", True)] * len(prompts)
    done = 0
    while done < len(order):
        longest = len(prompts[order[done]]) + max_new_tokens
        chunk = order[done : done + max(1, tokens_per_batch // longest)]
        written = _generate(student, [prompts[at] for at in chunk], max_new_tokens, ask.stop)
        for at, answer in zip(chunk, written, strict=True):
            answers[at] = answer
        done += len(chunk)
        on_progress(done, len(order))
    return answers


def _generate(student: Student, prompts: list[list[int]], max_new_tokens: int, stop: Sequence[str]) -> list[Written]:
    ids, mask = pad_left(prompts, student.tokenizer.pad_token_id, student.device)
    ends = end_tokens(student)
    output = student.causal.generate(
        input_ids=ids, attention_mask=mask, max_new_tokens=max_new_tokens, do_sample=False, eos_token_id=list(ends),
        pad_token_id=student.tokenizer.pad_token_id, temperature=None, top_p=None, top_k=None,
        stopping_criteria=StoppingCriteriaList([_Stopped(student.tokenizer, ids.shape[1], stop)] if stop else []),
    )[:, ids.shape[1] :].tolist()  # fmt: skip
    return [_until_end(student, row, ends, stop) for row in output]


class _Stopped:
    """Rows whose new text holds one of the stop texts. Looks at the last tokens only: a stop text is short."""

    def __init__(self, tokenizer: Any, prompt_length: int, stop: Sequence[str]) -> None:
        self.tokenizer, self.start, self.stop = tokenizer, prompt_length, stop
        self.reach = max(len(text.encode()) for text in stop) + 2  # a token is at least a byte

    def __call__(self, input_ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:
        tails = self.tokenizer.batch_decode(input_ids[:, max(self.start, input_ids.shape[1] - self.reach) :])
        found = [any(text in tail for text in self.stop) for tail in tails]
        return torch.tensor(found, device=input_ids.device)


def end_tokens(student: Student) -> set[int]:
    """The tokens at which an answer is over."""
    configured = student.causal.generation_config.eos_token_id
    extra = configured if isinstance(configured, list) else [configured]
    return {token for token in (student.tokenizer.eos_token_id, *extra) if token is not None}


def _until_end(student: Student, row: list[int], ends: set[int], stop: Sequence[str]) -> Written:
    end = next((at for at, token in enumerate(row) if token in ends), None)
    text: str = student.tokenizer.decode(row[:end], skip_special_tokens=True)
    cuts = [at for at in (text.find(one) for one in stop) if at >= 0]
    return Written(text[: min(cuts)] if cuts else text, end is None and not cuts)

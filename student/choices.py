"""Score each question's choices by their likelihood: one forward pass an item, whatever the number of its choices.

The prompt and all its choices lie in one row, and a tree-shaped attention mask lets every choice see the prompt and itself only.
What all prompts share runs once (`student.shared`), and what the layers below the adapter make of a batch once for all
students (`student.frozen`). A choice's score is the sum of its tokens' log-probabilities given the prompt (the
`acc` of lm-evaluation-harness). The output head runs only on positions that predict a choice's token. Rows are sorted by
length and batched by tokens: next to no padding, and the same batches for the same items every time. For a model
whose forward cannot be used like that every choice gets a row of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch

from student.frozen import frozen_of
from student.lora import Student
from student.prompting import Ask, Prompter, shared_prefix
from student.records import Question
from student.room import OnNote, give_way
from student.shared import AT_LEAST, Shared, reads_like_the_model, run_remembered, run_shared

OnProgress = Callable[[int, int], None]
"""Called with items done and items in all."""
TOKENS = {"cpu": 512, "cuda": 16384}
"""Tokens of a batch. On a CPU more of them leave the caches: 1,024 took 5 % longer than 512, 4,096 half as long again."""
HEADS = 256
"""Positions of which the output head is computed at once: what it gives is as wide as the vocabulary."""


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
class _Row:
    """A question's own prompt tokens as one sequence, then every choice's tokens but the last."""

    number: int
    """Which question."""
    ids: list[int]
    positions: list[int]
    branch: list[int]
    """0 for the prompt, k for the k-th choice: a token attends to its own branch and to the prompt."""
    spots: list[tuple[int, int, int]]
    """(position whose logits predict it, choice, token) for every token of every choice."""


@torch.no_grad()
def score_choices(
    student: Student, ask: Ask, questions: Sequence[Question], on_progress: OnProgress,
    tokens_per_batch: int | None = None, on_note: OnNote = lambda note: None,
) -> list[ChoiceScores]:  # fmt: skip
    """Log-likelihoods of each question's choices. Raises StudentError where not even one question fits in memory."""
    prompter = Prompter(student.tokenizer, ask)
    prompts = [prompter.question(question.prompt, question.turns) for question in questions]
    answers = {choice: prompter.answer(choice) for question in questions for choice in question.choices}
    options = [[answers[choice] for choice in question.choices] for question in questions]
    frozen_of(student).examination += 1
    scores = [ChoiceScores([0.0] * len(each), [True] * len(each)) for each in options]
    length, apart = shared_prefix(prompts), not _can_branch(student, prompts, options)
    shared = Shared() if apart or length < AT_LEAST else run_shared(student, prompts[0][:length])
    rows = [row for number, prompt in enumerate(prompts)
            for row in _rows(number, prompt[shared.length :], options[number], shared.length, apart)]  # fmt: skip
    rows.sort(key=lambda row: (-len(row.ids), row.number))  # longest first, so that memory peaks early
    budget, at, left = tokens_per_batch or TOKENS[student.device.type], 0, [0] * len(prompts)
    for row in rows:
        left[row.number] += 1
    while at < len(rows):
        batch = rows[at : at + max(1, budget // len(rows[at].ids))]
        try:
            found = _score_spots(student, batch, _hidden(student, batch, None if apart else shared))
        except (RuntimeError, MemoryError) as error:
            budget = len(rows[at].ids) * give_way(error, len(batch), "rows", on_note)
            continue
        for row, values in zip(batch, found, strict=True):
            _add(scores[row.number], row, values)
            left[row.number] -= 1
        at += len(batch)
        on_progress(left.count(0), len(prompts))
    return scores


def _can_branch(student: Student, prompts: Sequence[list[int]], options: Sequence[list[list[int]]]) -> bool:
    longest = max(
        (len(prompt) + max(map(len, each), default=0) for prompt, each in zip(prompts, options, strict=True)), default=0
    )
    return not prompts or reads_like_the_model(student, prompts[0], longest)


def _rows(number: int, prompt: list[int], options: list[list[int]], offset: int, apart: bool) -> Iterator[_Row]:
    """One row with all choices, or one for each."""
    choices = list(enumerate(options))
    for group in [[choice] for choice in choices] if apart else [choices]:
        ids, branch = list(prompt), [0] * len(prompt)
        positions, spots = list(range(offset, offset + len(prompt))), list[tuple[int, int, int]]()
        for choice, tokens in group:
            spots.append((len(prompt) - 1, choice, tokens[0]))
            for step, token in enumerate(tokens[:-1]):
                ids.append(token)
                branch.append(choice + 1)
                positions.append(offset + len(prompt) + step)
                spots.append((len(ids) - 1, choice, tokens[step + 1]))
        yield _Row(number, ids, positions, branch, spots)


def _hidden(student: Student, rows: Sequence[_Row], shared: Shared | None) -> torch.Tensor:
    """Final hidden states [rows, width, model width]; without `shared` by the model's own forward."""
    width, fill, device = max(len(row.ids) for row in rows), student.tokenizer.pad_token_id, student.device

    def grid(values: Sequence[Sequence[int]], empty: int) -> torch.Tensor:
        return torch.tensor([[*row, *[empty] * (width - len(row))] for row in values], device=device)

    ids, branch = grid([row.ids for row in rows], fill), grid([row.branch for row in rows], -1)
    if shared is None:  # padding stands behind every token that is looked at, so no mask is needed
        return student.backbone(input_ids=ids, use_cache=False).last_hidden_state
    before = torch.ones(width, width, dtype=torch.bool, device=device).tril()
    related = (branch[:, None, :] == 0) | (branch[:, None, :] == branch[:, :, None])
    positions = grid([row.positions for row in rows], 0)
    about = [row.branch for row in rows]
    return run_remembered(student, shared, before & related, about, ids, positions)


def _score_spots(student: Student, rows: Sequence[_Row], hidden: torch.Tensor) -> list[list[tuple[float, bool]]]:
    """For every spot of every row the token's log-probability, and whether it is the likeliest; the head runs once a position."""
    places = sorted({(at, spot[0]) for at, row in enumerate(rows) for spot in row.spots})
    number = {place: at for at, place in enumerate(places)}
    wanted = [(number[at, spot[0]], spot[2]) for at, row in enumerate(rows) for spot in row.spots]
    index = torch.tensor(places, device=hidden.device).T
    states = hidden[index[0], index[1]]
    values, likeliest = list[float](), list[bool]()
    order = sorted(range(len(wanted)), key=lambda at: wanted[at][0])
    for start in range(0, len(places), HEADS):
        logits = student.logits(states[start : start + HEADS])
        here = [wanted[at] for at in order if start <= wanted[at][0] < start + HEADS]
        place = torch.tensor([one[0] - start for one in here], device=hidden.device)
        token = torch.tensor([one[1] for one in here], device=hidden.device)
        values += (logits[place, token] - logits.logsumexp(-1)[place]).tolist()
        likeliest += (logits.argmax(-1)[place] == token).tolist()
    found = iter([one for _, one in sorted(zip(order, zip(values, likeliest, strict=True), strict=True))])
    return [[next(found) for _ in row.spots] for row in rows]


def _add(scores: ChoiceScores, row: _Row, found: Sequence[tuple[float, bool]]) -> None:
    for (_, choice, _), (value, likeliest) in zip(row.spots, found, strict=True):
        scores.values[choice] += value
        scores.greedy[choice] &= likeliest

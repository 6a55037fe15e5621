"""One step of fine-tuning: forward and backward over a step's rows, in as many parts as memory asks for.

Only what has a label reaches the output head: on short items the vocabulary is a fifth of a small model's arithmetic. The loss is
cross-entropy on the answer's tokens and the end token, smoothed where the settings say so, averaged over all of a step's; parts, and
processes that share a step, add their gradients up, so how a step is cut changes nothing but the order of rounding.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional

from student.batches import Encoded, by_tokens
from student.layers import Batch, Features
from student.lora import Student


class Steps:
    """The gradients of a student's steps."""

    def __init__(
        self, student: Student, encoded: Sequence[Encoded], features: Features, tokens_at_once: int,
        smoothing: float = 0.0,
    ) -> None:  # fmt: skip
        self.student, self.encoded, self.features, self.smoothing = student, encoded, features, smoothing
        self.tokens_at_once = tokens_at_once
        """Tokens of one part; halved where memory does not suffice, which `student.train` tells and keeps."""

    def gradient(self, rows: Sequence[int], labels: int) -> float:
        """Leave this step's gradient on the adapter; returns these rows' share of the loss, without smoothing.

        `labels`: answer tokens of the whole step, of which these rows may be a part.
        """
        while True:
            try:
                return self._gradient(rows, labels)
            except (MemoryError, RuntimeError) as error:
                if not out_of_memory(error) or not self._halve(rows):
                    raise
            self.student.clear_gradients()

    def _gradient(self, rows: Sequence[int], labels: int) -> float:
        total = 0.0
        for part in by_tokens(rows, self.encoded, self.tokens_at_once):
            said = self._answers(part)
            learned = functional.cross_entropy(*said, reduction="sum", label_smoothing=self.smoothing) / labels
            learned.backward()
            with torch.no_grad():
                plain = functional.cross_entropy(*said, reduction="sum") / labels if self.smoothing else learned
            total += float(plain.detach())
        return total

    @torch.no_grad()
    def loss(self, rows: Sequence[int]) -> float:
        """Mean loss per answer token of these rows, in nats, without learning and without smoothing."""
        parts = by_tokens(rows, self.encoded, self.tokens_at_once)
        said = [functional.cross_entropy(*self._answers(part), reduction="sum") for part in parts]
        return sum(map(float, said)) / sum(self.encoded[row].answer_length for row in rows)

    def _answers(self, rows: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits [answer tokens, vocabulary] where the rows' answers are said, and those answers [answer tokens]."""
        taken = [self.encoded[row] for row in rows]
        batch = self.features.batch(rows)
        hidden = self.features.runner.hidden(batch)
        spots, answers = _labels(taken, batch)
        return self.student.logits(hidden[spots]), answers

    def _halve(self, rows: Sequence[int]) -> bool:
        """Whether smaller parts can be tried."""
        longest = max(len(self.encoded[row].ids) for row in rows)
        now = min(self.tokens_at_once, sum(len(self.encoded[row].ids) for row in rows))
        self.tokens_at_once = max(longest, now // 2)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return self.tokens_at_once < now


def _labels(rows: Sequence[Encoded], batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """Where in the line the states lie that predict answer tokens, and those tokens."""
    ends = batch.layout.ends
    spots = [end - 1 - back for row, end in zip(rows, ends, strict=True) for back in range(row.answer_length, 0, -1)]
    answers = [token for row in rows for token in row.ids[-row.answer_length :]]
    device = batch.layout.device
    return torch.tensor(spots, device=device), torch.tensor(answers, device=device)


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory does not suffice, on a GPU or on a CPU."""
    words = str(error).lower()
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or any(
        text in words for text in ("out of memory", "not enough memory", "can't allocate memory")
    )

"""A stand-in for the student that learns in a second: a linear model on what the frozen student makes of a question.

For choosing between ways of writing lessons, a training of the student for each is dear and its luck is as large as the differences.
Here a question is the states of the untouched student after two thirds of its layers: its last token, and the mean of all but the first,
where decoders keep what is not about the text. On these a logistic regression learns the labels, in no time, so that draws can be many.
How near it comes to the fine-tuned student stands in docs/evidence.md: it says what may be worth a training, not what holds.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from agent.builtin import cache_folder, pull
from student.layers import Runner, batch_of
from student.lora import Student
from student.models import load, probed
from student.prompting import Ask, Prompter
from student.settings import Lora

STUDENT = "builtin:smollm2-135m-instruct"
DEPTH = 2 / 3
"""The share of the layers after which states are taken."""
STRENGTH = 0.05
"""Inverse of the regression's L2 penalty: from 0.01 to 0.1 it hardly matters."""
AT_ONCE = 16
"""Questions that are run together."""
Rows = Sequence[tuple[str, str]]
"""Questions with their labels."""


class Probe:
    """What the untouched student makes of questions of one task, remembered."""

    def __init__(self, ask: Ask) -> None:
        cache = cache_folder() / "students"
        source = pull(STUDENT, lambda done, total: None)
        base, tokenizer = load(str(source), probed(cache), cache)
        self._student = Student(base, tokenizer, Lora(rank=1, layers=1 - DEPTH))
        self._prompter, self._kept = Prompter(tokenizer, ask), dict[str, NDArray[np.float32]]()

    def states(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """[texts, twice the model's width]"""
        new = [text for text in dict.fromkeys(texts) if text not in self._kept]
        for start in range(0, len(new), AT_ONCE):
            some = new[start : start + AT_ONCE]
            batch = batch_of([self._prompter.question(text) for text in some], self._student)
            lines = Runner(self._student, [0] * 8).lower(batch).float().split(batch.layout.lengths)
            for text, line in zip(some, lines, strict=True):
                self._kept[text] = torch.cat([line[-1], line[1:].mean(0)]).cpu().numpy()
        return np.stack([self._kept[text] for text in texts])

    def learned(self, rows: Rows) -> Callable[[Sequence[str]], list[str]]:
        """Told labelled questions, gives what labels others."""
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        model: Any = make_pipeline(StandardScaler(), LogisticRegression(C=STRENGTH, max_iter=500))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # not converged to the last digit is good enough
            model.fit(self.states([text for text, _ in rows]), [label for _, label in rows])
        return lambda texts: [str(one) for one in model.predict(self.states(texts))]

    def accuracy(self, rows: Rows, others: Rows) -> float:
        """The share, 0 to 1, of `others` that are right after learning `rows`."""
        said = self.learned(rows)([text for text, _ in others])
        return float(np.mean([one == label for one, (_, label) in zip(said, others, strict=True)]))

"""What `bench` writes down: who was examined, how that went, and what follows from it.

`bench/NAME/about.json` is a `Rival`, `bench/NAME/WAY/N/result.json` an `Answered`, `bench/own/WHO.N.json` a `Pace`, and
`bench/bench.json` a `Bench`, the whole of which follows from the others and from the run's own claim.
"""

from __future__ import annotations

import re
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field

from loops.stats import Comparison, Score
from student.records import Record, text_hash
from teacher.ledger import Prices

Way = Literal["zero-shot", "few-shot"]
"""Asked with the task alone, or with worked examples after it."""
WAYS: tuple[Way, ...] = ("zero-shot", "few-shot")


class Rival(Record):
    """A model the tuned student is held against."""

    model: str
    """As it was named; the name of one at `url`. Untrusted."""
    url: str = ""
    """An OpenAI-compatible server's address; empty for a model on this machine."""
    kind: Literal["likelihood", "local server", "server"]
    """Examined here by the likelihood of choices, as a student is; or by what it writes, served here or elsewhere."""
    prices: Prices | None = None
    """Of a million tokens; None where they are not known, or tokens are not what is paid for."""

    @property
    def name(self) -> str:
        """What tables and the record of openings call it."""
        return f"{self.model} at {urlsplit(self.url).netloc}" if self.url else self.model

    @property
    def folder(self) -> str:
        """The name of its folder: readable, harmless, and its own."""
        end = re.sub(r"[^A-Za-z0-9._-]+", "-", self.model).strip("-._")[-40:]
        return f"{end or 'model'}-{text_hash(self.kind, self.model, self.url)[:8]}"


class Answered(Record):
    """How one model answered, one way."""

    items: str
    """sha256 of the ids of the items, in order."""
    seconds: float
    """Time spent answering `asked` questions, loading apart."""
    asked: int
    """Questions that `seconds` and the tokens are of: those with an answer."""
    prompt_tokens: int | None
    """Tokens of those questions; None where nobody counted."""
    completion_tokens: int | None
    """Tokens of those answers; None where nobody counted."""
    lost: dict[str, int]
    """Questions that brought no answer, by reason; they count as malformed."""


class Pace(Answered):
    """How fast one of the run's own students answers, on the first of the items."""

    same: int
    """Answers that are those on record."""


class Entry(Record):
    """One row: a student or a rival, asked in one way."""

    who: str
    """`tuned student`, `untouched`, or the rival's name; untrusted."""
    way: Literal["", "zero-shot", "few-shot"]
    """How it was asked; empty for the tuned student, which is asked bare."""
    how: Literal["likelihood", "generation"]
    """How answers were told."""
    score: Score
    """On the items of this bench."""
    comparison: Comparison | None = None
    """The tuned student against it, paired; None for the tuned student itself."""
    p: float | None = None
    """McNemar's, corrected for the number of rows it is compared with."""
    verdict: Literal["", "better", "not shown", "worse"] = ""
    """What the tuned student is shown to be, beside this one."""
    sentence: str = ""
    """The verdict in words, with what the difference costs."""
    seconds: float | None
    """For 1,000 answers; None where it was not measured."""
    tokens: float | None
    """Prompt and answer, for 1,000 answers; None where nobody counted."""
    money: float | None
    """For 1,000 answers, in the currency of the prices; None where it is unknown."""
    lost: dict[str, int] = Field(default_factory=dict)
    """Questions that brought no answer, by reason."""


class Bench(Record):
    """A tuned student and what it was held against, on the same items of `test`."""

    run: str
    """The run."""
    student: str
    """Its base model."""
    round: int
    """The round whose student is the tuned one; 0 was trained on seeds alone."""
    evals: str
    """The eval set's name."""
    n: int
    """Items asked."""
    total: int
    """Items of `test`."""
    entries: tuple[Entry, ...]
    """The tuned student first, then the untouched one, then the rivals by name."""
    verdict: str
    """Whether fine-tuning still pays, over all rows."""
    notes: tuple[str, ...]
    """What is to be known of these numbers, in sentences."""
    seen_by: tuple[str, ...]
    """Everyone who has opened this `test` split so far, oldest first."""

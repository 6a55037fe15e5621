"""Does the exported model, loaded by itself, answer as the student did whose scores the card names?

In: the student's attempts, with its adapter beside the base, and the merged model's on the same items. Out: a `Match`.

The two compute the same sums in another order: the adapter's part is added to a layer's output, or to its weights, where it is
rounded to the weights' precision once more (a relative 2^-24 in float32, 2^-9 in bfloat16). So scores differ a little, and an answer
may change where two choices were nearly equal. A model that was merged wrongly differs on most items, and by far more.
"""

from __future__ import annotations

from collections.abc import Sequence

from student.records import Attempt, Record, Split

SLACK = {"float32": (0.01, 0.01), "bfloat16": (0.75, 0.05)}
"""By precision: nats by which a margin may differ, and the share of items that may lie beyond. Measured on one machine, 120
tickets, a student of 135M: 0.000014 nats in float32. Another machine's kernels differ by more than the merging does, and the logits
of bfloat16 are themselves rounded to steps of up to an eighth."""


class Match(Record):
    """The exported model against the student it was made from."""

    split: Split
    """The items both answered."""
    n: int
    """How many."""
    same: int
    """Items with the same answer, word for word."""
    right_before: int
    """Items the student had right."""
    right_after: int
    """Items the exported model has right."""
    apart: float | None
    """The largest difference between two margins, in nats; None where answers were written."""
    nats: float
    """Up to so much is rounding."""
    beyond: int
    """Items that differ by more; where answers were written, items with another answer."""
    allowed: int
    """So many of them are put up with."""

    @property
    def matched(self) -> bool:
        """Whether the differences are no larger than rounding explains."""
        return self.n > 0 and self.beyond <= self.allowed

    @property
    def sentence(self) -> str:
        """The outcome in words."""
        facts = f"{self.same:,} of {self.n:,} answers on {self.split} are the same, {self.right_after:,} right against "
        facts += f"{self.right_before:,}"
        if self.apart is None:
            return f"{facts} ({self.allowed:,} may differ: one near-tie changes all words behind it)."
        least = f"{self.beyond:,} of them by more than {self.nats:g}, which rounding explains; {self.allowed:,} may"
        return f"{facts}; margins differ by {self.apart:.2g} nats at most ({least})."


def match(split: Split, before: Sequence[Attempt], after: Sequence[Attempt], dtypes: Sequence[str]) -> Match:
    """The comparison, with the slack of the coarsest precision in which either was computed.

    Raises ValueError when they were asked different items.
    """
    pairs = list(zip(before, after, strict=True))
    if any(old.item_id != new.item_id for old, new in pairs):
        raise ValueError("a comparison needs the same items in the same order")
    nats, share = max(SLACK[dtype] for dtype in dtypes)
    gaps = [abs(old.margin - new.margin) for old, new in pairs if old.margin is not None and new.margin is not None]
    scored = bool(pairs) and len(gaps) == len(pairs)
    same = sum(old.output == new.output for old, new in pairs)
    return Match(
        split=split, n=len(pairs), same=same, right_before=sum(old.right for old, _ in pairs),
        right_after=sum(new.right for _, new in pairs), apart=max(gaps) if scored else None, nats=nats,
        beyond=sum(not _near(old, new, nats) for old, new in pairs) if scored else len(pairs) - same,
        allowed=int(share * len(pairs)),
    )  # fmt: skip


def _near(old: Attempt, new: Attempt, nats: float) -> bool:
    """Margins that are nearly the same, and no other answer than a near-tie explains: one margin is below zero then."""
    assert old.margin is not None and new.margin is not None
    return abs(old.margin - new.margin) <= nats and (old.output == new.output or min(old.margin, new.margin) <= 0)

"""Is a text a copy of one of these: the same, lightly edited, part of something longer, or quoted at length?

In: the originals, and some texts of the same task that are none, which show what wording the task itself repeats. Out: for
a text, in what way it is a copy, or None. Texts are compared word by word after folding; a slip of the keyboard changes no
word, and a rare word weighs more than a common one. Where a text that is none differs from an original in one word alone,
that word is a blank which everybody fills in: `what is a fear of bees`, beside `what is a fear of food`, gives nothing away.
The thresholds were chosen from curves: see docs/likeness.md.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from student.sketch import Ids, spread
from student.wording import Vocabulary, Words, distance, figures, is_slip, letters, numbers, words

LONG = 6
"""One word in so many may differ. In a shorter text any word but the rarest may: another rare word asks something else."""
SHORTEST = 3
"""A text of fewer words is copied by the same words alone, and looked for inside no other."""
SHARES = (0.65, 0.7, 0.75, 0.8, 0.85, 0.9)
"""This much of a long original's weight, within a stretch of its length, is that original inside another text: see `Copies`."""
CAUTIOUS = 0.8
"""The least share that is used on the word of fewer than ENOUGH honest texts."""
ENOUGH, SAMPLE = 50, 1_000
"""Honest texts by which a low share may be chosen, and the most that are asked."""
RARELY, FEW = 200, 100
"""One honest text in so many may be dropped for its share of an original's words, and fewer than so many texts say little of that: where
none of 60 was dropped, more than one in 90 of the others may be as often as not. Drops about halve from one of SHARES to the next."""
WORTH = 1.1
"""A short original is looked for inside others, word for word, if it weighs so many times what a word of one text does ..."""
BITS = 8
"""... and so much in all: `who was hypatia`, but not `what is it`. Of few texts one cannot tell the two apart."""
RUN = 10
"""So many words in a row are a quotation, unless the task's own wording repeats them."""


class Copies:
    """Finds copies of the originals."""

    def __init__(
        self, originals: Sequence[str], background: Sequence[str] = (), share: float | None = None, quotes: bool = True
    ) -> None:
        """`background` are honest texts of the same task.

        Where no `share` is given, it is the lowest of SHARES at which not even one in RARELY of them would be a copy: tasks of
        one wording throughout need a high one, and where no two texts are alike a low one catches free rewordings.
        Without `quotes` a run of words is no reason, as where all texts are made of set phrases.
        """
        self._texts = [text for text in dict.fromkeys(map(words, originals)) if text]
        known = [words(text) for text in background]
        around = [*self._texts, *known]
        self._vocabulary = Vocabulary(self._texts, around)
        self._coded = [self._vocabulary.read(text) for text in self._texts]
        sets = [np.unique(codes) for codes in self._coded]
        weights = self._vocabulary.weights
        self._holders = _holders(sets, len(self._vocabulary))
        self._lengths = np.array([len(codes) for codes in self._coded], np.int64)
        self._distinct = np.array([len(codes) for codes in sets], np.int64)
        self._totals = np.array([weights[codes].sum() for codes in sets])
        self._heaviest = np.array([weights[codes].max() for codes in sets])
        self._drills = _drills(originals, background)
        self._blanks = _blanks(self._texts, known)
        self._same = {letters(text): at for at, text in enumerate(self._texts)}
        self._phrases = self._short_phrases()
        self._runs = self._own_runs(around) if quotes else {}
        self.share = self._lowest_share(background) if share is None else share

    def _lowest_share(self, honest: Sequence[str]) -> float:
        """By what honest texts there are: of FEW or more the lowest that drops none too many, of fewer the second above that."""
        self.share = 2.0  # no text has it: a copy in another way says nothing about the share
        asked = [text for text in honest[:: 1 + len(honest) // SAMPLE] if self.way(text) is None]
        found = np.array([self.closest(text) for text in asked])
        least = SHARES[0] if len(asked) >= ENOUGH else CAUTIOUS
        few = (share for share in SHARES if share >= least and (found >= share).sum() <= len(found) // RARELY)
        shown = SHARES.index(next(few, SHARES[-1]))
        more = 2 if ENOUGH <= len(asked) < FEW else 0
        return SHARES[min(shown + more, len(SHARES) - 1)]

    def way(self, text: str) -> str | None:
        """How the text is a copy of an original, as words before `an original`; None when it is no copy."""
        said, shown = words(text), figures(text)
        return next((how for at, how in self._ways(said) if self._figures_agree(at, shown)), None)

    def closest(self, text: str) -> float:
        """The largest weighed share that a stretch of the text has of the words of any long original's."""
        codes = self._vocabulary.read(words(text))
        weights, _ = self._held(codes)
        likely = np.flatnonzero((self._distinct >= LONG) & (weights >= 0.3 * self._totals))
        return max((self._within(codes, at) for at in likely.tolist()), default=0.0)

    def _ways(self, said: Words) -> Iterator[tuple[int, str]]:
        """Originals of which these words are a copy, and how."""
        if (at := self._same.get(letters(said))) is not None:
            yield at, "the same words as"
        codes = self._vocabulary.read(said)
        weights, counts = self._held(codes)
        for at in self._edited(said, codes, (weights, counts)):
            yield at, "a few letters or words apart from"
        for at in np.flatnonzero((self._distinct >= LONG) & (weights >= self.share * self._totals)).tolist():
            if (share := self._within(codes, at)) >= self.share:
                yield at, f"{share:.0%} of the words of"
        for length, phrases in self._phrases.items():
            yield from ((phrases[part], "all words of") for part in _stretches(said, length) if part in phrases)
        for part in map(hash, _stretches(said, RUN)):
            if part in self._runs:
                yield self._runs[part], f"{RUN} words in a row of"

    def _held(self, codes: Ids) -> tuple[NDArray[np.float64], Ids]:
        """For each original, the weight and the number of its different words that are there at all."""
        known = np.unique(codes[codes >= 0])
        starts, holders = self._holders
        places, owners = spread(starts[known], starts[known + 1] - starts[known])
        found, many = holders[places], len(self._texts)
        weights = np.bincount(found, weights=self._vocabulary.weights[known][owners], minlength=many)
        return weights.astype(np.float64), np.bincount(found, minlength=many).astype(np.int64)

    def _edited(self, said: Words, codes: Ids, held: tuple[NDArray[np.float64], Ids]) -> Iterator[int]:
        """The originals of which the whole text is an edit, and not what they are with another word in the blank."""
        weights, counts = held
        edits = np.where(self._lengths < SHORTEST, 0, np.maximum(1, self._lengths // LONG))
        near = (np.abs(self._lengths - len(codes)) <= edits) & (self._distinct - counts <= edits)
        kept = (self._lengths >= LONG) | (self._totals - weights < self._heaviest - 1e-9)
        for at in np.flatnonzero(near & kept).tolist():
            if distance(self._coded[at].tolist(), codes.tolist(), int(edits[at])) > edits[at]:
                continue
            if not (at in self._blanks and self._fills_in(at, said, codes)):
                yield at

    def _fills_in(self, at: int, said: Words, codes: Ids) -> bool:
        """Whether the words are those of an original but for one, and another word, no slip of that one, is in a blank there."""
        if len(codes) != self._lengths[at]:
            return False
        other = np.flatnonzero(codes != self._coded[at]).tolist()
        blank = len(other) == 1 and other[0] in self._blanks[at]
        return blank and not is_slip(said[other[0]], self._texts[at][other[0]])

    def _within(self, codes: Ids, at: int) -> float:
        """The largest share of an original's weight in any stretch of its length, each word counted once."""
        length = int(self._lengths[at])
        here = np.flatnonzero(np.isin(codes, self._coded[at]))
        first = np.maximum(_before(codes)[here] + 1, np.maximum(0, here - length + 1))
        gains = self._vocabulary.weights[codes[here]]  # in every stretch that begins after the word was last said
        steps = np.bincount(first, gains, len(codes) + 1) - np.bincount(here + 1, gains, len(codes) + 1)
        return float(np.cumsum(steps).max() / self._totals[at])

    def _figures_agree(self, at: int, shown: Words) -> bool:
        """Whether the text has an original's numbers, where it is numbers that tell originals apart."""
        if (known := self._drills.get(self._texts[at])) is None:
            return True
        return any(part in known for size in {len(one) for one in known} for part in _stretches(shown, size))

    def _short_phrases(self) -> dict[int, dict[Words, int]]:
        """Short originals that say enough to be looked for inside other texts, by length."""
        phrases = defaultdict[int, dict[Words, int]](dict)
        enough = self._totals >= max(BITS, WORTH * self._vocabulary.heaviest)
        for at in np.flatnonzero((self._distinct < LONG) & (self._lengths >= SHORTEST) & enough).tolist():
            phrases[len(self._texts[at])][self._texts[at]] = at
        return phrases

    def _own_runs(self, around: Sequence[Words]) -> dict[int, int]:
        """The hash of every run of words that one original alone has, and which one that is."""
        runs = dict[int, int]()
        for at, text in enumerate(around):
            mine = at if at < len(self._texts) and text not in self._drills else -1
            for run in map(hash, _stretches(text, RUN)):
                runs[run] = mine if runs.get(run, mine) == mine else -1
        return {run: at for run, at in runs.items() if at >= 0}


def _stretches(said: Words, length: int) -> Iterator[Words]:
    """Every so many words in a row."""
    return (said[start : start + length] for start in range(len(said) - length + 1))


def _holders(sets: Sequence[Ids], size: int) -> tuple[Ids, Ids]:
    """For each word, where its list of originals begins and ends, and the lists."""
    flat = np.concatenate([np.empty(0, np.int64), *sets])
    owners = np.repeat(np.arange(len(sets)), [len(one) for one in sets])
    return np.searchsorted(np.sort(flat), np.arange(size + 1)), owners[np.argsort(flat, kind="stable")]


def _before(codes: Ids) -> Ids:
    """Where each word stood last before; -1 where it did not."""
    order = np.argsort(codes, kind="stable")
    before = np.full(len(codes), -1)
    again = codes[order][1:] == codes[order][:-1]
    before[order[1:][again]] = order[:-1][again]
    return before


def _blanks(originals: Sequence[Words], background: Sequence[Words]) -> dict[int, set[int]]:
    """Where in an original another word stands in some other text that is the same but for that word.

    Only of originals so short that one word alone may differ. That other text is of the background: what the task says elsewhere
    anyway, and not what originals have in common.
    """
    forms = defaultdict[tuple[int, Words], set[str]](set)
    for text in background:
        for at in range(len(text) if len(text) < 2 * LONG else 0):
            forms[at, text[:at] + text[at + 1 :]].add(text[at])
    blanks = defaultdict[int, set[int]](set)
    for number, text in enumerate(originals):
        for at in range(len(text) if SHORTEST <= len(text) < 2 * LONG else 0):
            if forms.get((at, text[:at] + text[at + 1 :]), set()) - {text[at]}:
                blanks[number].add(at)
    return dict(blanks)


def _drills(originals: Sequence[str], background: Sequence[str]) -> dict[Words, set[Words]]:
    """Originals that other texts equal but for the numbers: to copy one of these is to copy its numbers, too."""
    shown, own = defaultdict[Words, set[Words]](set), defaultdict[Words, set[Words]](set)
    for text in (*originals, *background):
        shown[words(text)].add(numbers(text))
    for text in originals:
        if len(shown[words(text)]) > 1:
            own[words(text)].add(figures(text))
    return dict(own)

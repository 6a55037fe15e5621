"""The owner of `select` and `test`: hands their items out to be examined, and answers for nothing else.

A teacher never sees these items. Curation gets `guard`, a plain callable that is told a candidate's text and answers
with a reason to reject it or None. Every opening of `test` is written to the run's record before the items are given.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from student.copies import CAUTIOUS, LONG, Copies
from student.records import HeldOutItem, Item, Seed

Guard = Callable[[str], str | None]
"""Told a text; returns why it may not be used, without quoting any held-out text, or None."""
LONG_ANSWER = 12
"""Answers of so many words are guarded as questions are: a shorter one may well be right elsewhere."""


class HeldOut:
    """The locked items of one eval set."""

    def __init__(self, select: Sequence[HeldOutItem], test: Sequence[HeldOutItem]) -> None:
        self._select, self._test = tuple(select), tuple(test)

    def sizes(self) -> dict[str, int]:
        """How many items each split holds."""
        return {"select": len(self._select), "test": len(self._test)}

    def select(self) -> tuple[HeldOutItem, ...]:
        """The items that choose the best round."""
        return self._select

    def ids(self) -> dict[str, list[str]]:
        """The items' names by split, for the frozen manifest."""
        return {"select": [item.id for item in self._select], "test": [item.id for item in self._test]}

    def skills(self) -> dict[str, str]:
        """Skills by item, for the frozen manifest."""
        return {item.id: item.skill for item in (*self._select, *self._test) if item.skill}

    def open_test(self, record: Callable[[], None]) -> tuple[HeldOutItem, ...]:
        """The items of the claim. `record` is called first and must have written the opening down when it returns."""
        record()
        return self._test

    def guard(self, seeds: Sequence[Seed] = (), share: float | None = None) -> Guard:
        """The only thing about these items that leaves this room on the teacher's side.

        `seeds` show what wording the task itself repeats. `share` is how much of an item's words, weighed, another text
        may not have; by default the seeds say (see `Copies`). Ask about each text of a candidate by itself: its question,
        its question with its own choices, and its answer when that is long.
        """
        items = (*self._select, *self._test)
        asked = Counter(text for item in (*items, *seeds) for text in (item.prompt, *_said(item)))
        choices = {item.choices for item in (*items, *seeds)}
        labels = min(choices) if len(choices) == 1 else ()
        prompts = Copies(_questions(items, asked, labels), _questions(seeds, asked, labels), share)
        told = {seed.answer for seed in seeds}.union(*(item.choices for item in items))
        answers = Counter(item.answer for item in items if len(item.answer.split()) >= LONG_ANSWER)
        own = [answer for answer, times in answers.items() if times == 1 and answer not in told]
        replies = Copies(own, [seed.answer for seed in seeds], share or CAUTIOUS, quotes=False)

        def check(text: str) -> str | None:
            if way := prompts.way(text):
                return f"{way} a held-out item"
            return f"{way} a held-out answer" if (way := replies.way(text)) else None

        return check


def _said(item: Item) -> list[str]:
    """What the user says in a chat, message by message: long ones, which may be questions by themselves."""
    return [turn.content for turn in item.turns if turn.role == "user" and len(turn.content.split()) >= LONG]


def _questions(items: Sequence[Item], asked: Counter[str], labels: tuple[str, ...]) -> list[str]:
    """What is asked. Choices that are an item's own are part of it, all of it where several items ask the same words."""
    texts = list[str]()
    for item in items:
        own = item.choices != labels
        texts += [item.prompt] * (not own or asked[item.prompt] == 1)
        texts += [" ".join((item.prompt, *item.choices))] * own
        texts += [text for text in _said(item) if asked[text] == 1]
    return texts

"""Labelled items from rows: which column is what, and what is wrong with a row.

In: a spec and where its data lies. Out: items by part, and how many rows became none, by reason. Rows are read one by one; what is
held is the items. A row that cannot be used ends the reading, unless somebody listens: then it is reported and left out.
"""

from __future__ import annotations

from array import array
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from student.evals.address import Address
from student.evals.choices import chosen, reading_of
from student.evals.mapping import Draft, Mapping
from student.evals.rows import Source
from student.evals.sources import open_sources
from student.evals.spec import EvalSpec
from student.evals.trouble import BadCell, EvalError, RowTrouble, listed, shown
from student.records import Seed

OnProgress = Callable[[int, int | None], None]
"""Called with rows read and rows in all (None where that is not known before the end)."""
OnTrouble = Callable[[EvalError], None]
"""Told what is wrong with a row."""
_OFTEN = 5000
"""Rows between two calls of `on_progress`."""


class _Listening(NamedTuple):
    """Who is told what while a table is read."""

    on_progress: OnProgress
    """Of rows."""
    on_trouble: OnTrouble | None
    """Of rows left out; None raises the first."""
    dropped: Counter[str]
    """Rows left out, by reason."""

    def leave_out(self, trouble: RowTrouble) -> None:
        """Report a row and count it, or raise."""
        if self.on_trouble is None:
            raise trouble
        self.dropped[trouble.reason] += 1
        self.on_trouble(trouble)


def read_items(
    spec: EvalSpec, place: Address, hub_parts: Sequence[str], on_progress: OnProgress, on_trouble: OnTrouble | None
) -> tuple[dict[str, list[Seed]], Counter[str]]:
    """Items by part ("" for a source in one piece), and rows that became none by reason; exact repeats are kept once.

    Without `on_trouble` the first row that cannot be used is raised as an EvalError; with it, it is told of each of them.
    """
    return items_of(spec, open_sources(place, Mapping(spec).wanted, hub_parts), on_progress, on_trouble)


def items_of(
    spec: EvalSpec, sources: dict[str, Source], on_progress: OnProgress, on_trouble: OnTrouble | None
) -> tuple[dict[str, list[Seed]], Counter[str]]:
    """The same of sources that are open already."""
    mapping, dropped = Mapping(spec), Counter[str]()
    listening = _Listening(on_progress, on_trouble, dropped)
    return {part: _items(mapping, source, listening) for part, source in sources.items()}, dropped


def _items(mapping: Mapping, source: Source, listening: _Listening) -> list[Seed]:
    mapping.check(source)
    before = listening.dropped.copy()
    kept = _Kept(mapping, source)
    drafts = _drafts(mapping, source, listening)
    for draft in _with_choices(mapping, source, drafts, listening) if mapping.spec.columns.choices else drafts:
        try:
            if not kept.take(draft):
                listening.dropped["exact repeat"] += 1
        except BadCell as bad:
            listening.leave_out(bad.at(source.at(draft.number)))
    if not kept.items:
        lost = ", ".join(f"{reason}: {count:,}" for reason, count in (listening.dropped - before).items())
        raise EvalError(
            f"{source.name}: there are no items in it{f' ({lost})' if lost else ''}. Give one with an item a row."
        )
    mapping.check_skill(source)
    return kept.items


def _drafts(mapping: Mapping, source: Source, listening: _Listening) -> Iterator[Draft]:
    """What every usable row says, before its answer is settled."""
    number = 0
    for number, row in enumerate(source.rows, 1):
        if number % _OFTEN == 0:
            listening.on_progress(number, source.total)
        if isinstance(row, RowTrouble):
            listening.leave_out(row)
        elif row.is_empty:
            listening.dropped["empty row"] += 1
        else:
            try:
                yield mapping.draft(row, source)
            except BadCell as bad:
                listening.leave_out(bad.at(source.at(row.number)))
    listening.on_progress(number, number)


def _with_choices(mapping: Mapping, source: Source, found: Iterable[Draft], listening: _Listening) -> Iterator[Draft]:
    """Drafts whose answer is one of their choices, read the same way in the whole table."""
    drafts = deque(found)
    columns = mapping.spec.columns
    reading = reading_of(source.name, columns, [(draft.answer, draft.choices) for draft in drafts])
    while drafts:  # so that what is read frees its place for what is kept
        draft = drafts.popleft()
        answer = chosen(reading, draft.answer, draft.choices)
        if answer is not None:
            yield draft._replace(answer=answer)
            continue
        said = (
            f"{mapping.answer_from} holds {shown(draft.answer)}, which (read as {reading}) names none of the choices "
            f"{listed(draft.choices.texts)}. Correct the row, or say what the column holds with `answer_is` under `columns`."
        )
        listening.leave_out(RowTrouble("answer is no choice", f"{source.at(draft.number)}: {said}"))


class _Kept:
    """The items of one table so far, and where each came from."""

    def __init__(self, mapping: Mapping, source: Source) -> None:
        self.items: list[Seed] = []
        self._lines = array("q")
        self._by_question: dict[str, int] = {}
        self._by_id: dict[str, int] = {}
        self._noun, self._unit = mapping.spec.noun, "line" if source.has_lines else "row"

    def take(self, draft: Draft) -> bool:
        """Keep an item; False for one that is there already, word for word. Raises BadCell for one that contradicts another."""
        at = self._by_question.setdefault(draft.question, len(self.items))
        if at < len(self.items):
            self._same_answer(at, draft)
            return False
        at = self._by_id.setdefault(draft.id, len(self.items))
        if at < len(self.items):
            del self._by_question[draft.question]
            raise BadCell(
                "same id",
                f"the {self._noun} of {self._unit} {self._lines[at]} has the id {shown(draft.id)}, too. Give each its own, or leave "
                "out columns.id: a hash of the text then names each.",
            )
        self.items.append(draft.seed())
        self._lines.append(draft.number)
        return True

    def _same_answer(self, at: int, draft: Draft) -> None:
        known = self.items[at]
        if known.answer != draft.answer:
            raise BadCell(
                "two answers",
                f"the same {self._noun} stands in {self._unit} {self._lines[at]} with the answer {shown(known.answer)}, here with "
                f"{shown(draft.answer)}. Keep one of the two.",
            )

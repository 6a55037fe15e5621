"""What a report is made of: sections of paragraphs, tables with their charts, examples and folded parts.

`story` writes a document from facts, `page` and `markdown` print it. Text comes in two kinds that never mix: our own words are
`str`, and whatever came out of data, a teacher or a model is `Data`, which each printer shows as text and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from agent.report.drawing import Picture
from agent.safe import safe


@dataclass(frozen=True)
class Data:
    """Text nobody vouches for."""

    text: str
    """As it is, but without what could move a cursor, hide or reorder text."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", safe(self.text, keep_newlines=True).strip())


Line = tuple[str | Data, ...]
"""A stretch of text: our words and data in turn."""
Tone = Literal["good", "open", "bad", "plain"]
"""What a verdict looks like: shown, not shown, shown to be worse, nothing claimed."""


@dataclass(frozen=True)
class Paragraph:
    """Some sentences."""

    line: Line
    """What they say."""
    kind: ClassVar[str] = "paragraph"


@dataclass(frozen=True)
class Bullets:
    """A list."""

    lines: tuple[Line, ...]
    """Its points."""
    kind: ClassVar[str] = "bullets"


@dataclass(frozen=True)
class Verdict:
    """The answer, in large letters."""

    word: str
    """`Shown`, `Not shown`, `No claim yet`."""
    tone: Tone
    """What it looks like."""
    lines: tuple[Line, ...]
    """What exactly is shown or not."""
    kind: ClassVar[str] = "verdict"


@dataclass(frozen=True)
class Figures:
    """A few numbers that matter most."""

    cells: tuple[tuple[str, Line, str], ...]
    """A label, the number, and its doubt or what it is of."""
    kind: ClassVar[str] = "figures"


@dataclass(frozen=True)
class Table:
    """Numbers in rows, with a chart of the same numbers beside them where there is one."""

    title: str
    """What it tells."""
    columns: tuple[str, ...]
    """Their names."""
    rows: tuple[tuple[Line, ...], ...]
    """The first cell names its row."""
    words: tuple[int, ...] = ()
    """Columns, besides the first, that hold words and not numbers."""
    chart: Picture | None = None
    """A drawing of the same numbers."""
    more: str = ""
    """What was left out."""
    kind: ClassVar[str] = "table"


@dataclass(frozen=True)
class Example:
    """One lesson, candidate or failure."""

    head: Line
    """What it is."""
    rows: tuple[tuple[str, Line], ...]
    """Its parts, each with our name for it."""
    kind: ClassVar[str] = "example"


@dataclass(frozen=True)
class Fold:
    """A part that is closed until someone opens it."""

    title: str
    """What is in it."""
    blocks: tuple[Block, ...]
    """Its contents."""
    kind: ClassVar[str] = "fold"


@dataclass(frozen=True)
class Heading:
    """The name of a part of a section."""

    text: str
    """The name."""
    kind: ClassVar[str] = "heading"


Block = Paragraph | Bullets | Verdict | Figures | Table | Example | Fold | Heading


@dataclass(frozen=True)
class Section:
    """One chapter."""

    id: str
    """Where a link leads."""
    title: str
    """Its name."""
    blocks: tuple[Block, ...]
    """What it holds."""


@dataclass(frozen=True)
class Document:
    """A whole report."""

    title: str
    """The run's name."""
    subtitle: Line
    """Who was taught by whom, on what, and how it ended."""
    sections: tuple[Section, ...]
    """In the order they are read."""


LONGEST, LONGEST_NAME = 600, 80
"""Characters of a text and of a name that are shown."""


def data(text: str, longest: int = LONGEST) -> Line:
    """A line that is nothing but data, cut where it is very long."""
    return (Data(text if len(text) <= longest else text[: longest - 1] + "…"),)


def named(text: str) -> Line:
    """What something is called in data, cut where it is no name but a novel."""
    return data(text, LONGEST_NAME)


def says(text: str) -> Line:
    """A line that is nothing but our words."""
    return (text,)


def row(*cells: str | Line) -> tuple[Line, ...]:
    """A row of a table; a cell that is a `str` is our words."""
    return tuple(says(cell) if isinstance(cell, str) else cell for cell in cells)

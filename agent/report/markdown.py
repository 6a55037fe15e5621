"""A document as Markdown: what can be pasted into an issue, a wiki or a mail.

Data always stands in a code span whose fence is longer than any run of backticks in it, on one line, so that no renderer can find
a heading, a link, a mention, HTML or a table in it. Our own words are written as they are. Charts are left out: each has its table.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from agent.report.document import (
    Block,
    Bullets,
    Data,
    Document,
    Example,
    Figures,
    Fold,
    Heading,
    Line,
    Paragraph,
    Table,
    Verdict,
)
from agent.safe import safe


def markdown(document: Document) -> str:
    """The whole text, ending in a line break."""
    parts = [f"# Report on {code(document.title)}", inline(document.subtitle)]
    for section in document.sections:
        parts.append(f"## {section.title}")
        parts += [text for block in section.blocks for text in _block(block)]
    return "\n\n".join(parts) + "\n"


def _block(block: Block) -> Iterator[str]:
    match block:
        case Paragraph(line):
            yield inline(line)
        case Bullets(lines):
            yield "\n".join(f"- {inline(line)}" for line in lines)
        case Verdict(word, _, lines):
            said = list(map(inline, lines))
            yield "\n>\n".join(f"> {text}" for text in (said if said[0].startswith(word) else [f"**{word}.**", *said]))
        case Figures(cells):
            yield _table(("", "", ""), [((label,), value, (note,)) for label, value, note in cells], (2,))
        case Heading(text):
            yield f"### {text}"
        case Fold(title, blocks):
            yield f"**{title}**"
            yield from (text for inner in blocks for text in _block(inner))
        case Example(head, rows):
            yield "\n".join(
                [
                    f"- {inline(head)}",
                    *(f"  - {name}: {inline(line)}" if name else f"  - {inline(line)}" for name, line in rows),
                ]
            )
        case Table():
            yield f"*{block.title}*"
            yield _table(block.columns, block.rows, block.words)
            if block.more:
                yield block.more


def _table(columns: Sequence[str], rows: Sequence[Sequence[Line]], words: Sequence[int]) -> str:
    """Numbers to the right, words to the left."""
    rules = ["---" if at in (0, *words) else "---:" for at in range(len(columns))]
    cells = [list(columns), rules, *([inline(cell, in_cell=True) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)


def inline(line: Line, in_cell: bool = False) -> str:
    """A stretch of text."""
    return "".join(code(part.text, in_cell) if isinstance(part, Data) else part for part in line)


def code(text: str, in_cell: bool = False) -> str:
    """Data as a code span on one line. In a table's cell a bar is written as tables want it."""
    flat = safe(text)
    if not flat.strip():
        return "–"
    fence = "`" * (max((len(run) for run in re.findall("`+", flat)), default=0) + 1)
    pad = " " if flat[0] in "` " or flat[-1] in "` " else ""
    return fence + pad + (flat.replace("|", "\\|") if in_cell else flat) + pad + fence

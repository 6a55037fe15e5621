"""How counts, shares and pieces of text are said in messages about an eval set."""

from __future__ import annotations

from collections.abc import Iterable

EXAMPLES = 5


def plural_of(noun: str) -> str:
    """`questions`, `queries`, `classes`."""
    if noun.endswith(("s", "x", "ch", "sh")):
        return f"{noun}es"
    return f"{noun[:-1]}ies" if noun.endswith("y") and noun[-2:-1] not in tuple("aeiou") else f"{noun}s"


def plural(count: int, noun: str) -> str:
    """`1 question`, `2,000 questions`."""
    return f"1 {noun}" if count == 1 else f"{count:,} {plural_of(noun)}"


def share(part: float) -> str:
    """`12 %`, `0.3 %`."""
    return f"{100 * part:.0f} %" if part >= 0.095 or part == 0 else f"{100 * part:.1f} %"


def brief(text: str, width: int = 90) -> str:
    """The start of a text, on one line."""
    flat = " ".join(text[: 4 * width].split())
    return flat if len(flat) <= width else flat[: width - 1] + "…"


def some(examples: Iterable[str]) -> tuple[str, ...]:
    """The first few, each once."""
    return tuple(dict.fromkeys(examples))[:EXAMPLES]

"""What labels are called. A student has read words before and codes hardly ever, so a word is learned from fewer items."""

from __future__ import annotations

WORDS = {
    "yes", "no", "true", "false", "spam", "ham", "good", "bad", "ok", "pass", "fail", "high", "low", "medium",
    "hot", "cold", "up", "down", "buy", "sell", "hold", "open", "closed", "other", "none", "urgent", "normal",
    "minor", "major", "bug", "safe", "unsafe", "toxic", "male", "female", "left", "right", "news", "sport",
    "sports", "world",
}  # fmt: skip
"""Short words that data sets write in capitals."""


def is_mute(label: str) -> bool:
    """Whether a label is a number or a letter, which says nothing by itself."""
    return label.strip("+-").isdigit() or len(label) <= 1


def is_code(label: str) -> bool:
    """Whether a label looks like a code: a few capitals and digits that are no word people write in capitals."""
    return (
        len(label) <= 6
        and label == label.upper() != label.lower()
        and label.casefold() not in WORDS
        and not is_mute(label)
    )

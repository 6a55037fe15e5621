"""The end of a message about an unknown name: the nearest known one, or all of them."""

from __future__ import annotations

import difflib
from collections.abc import Sequence


def suggest(name: str, known: Sequence[str]) -> str:
    """`Did you mean 'number'?`, with all that is known."""
    near = difflib.get_close_matches(name, known, 1)
    listing = f"Known are: {', '.join(known)}."
    return f"Did you mean {near[0]!r}? {listing}" if near else listing

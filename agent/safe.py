"""Text from data made harmless for a terminal.

Teacher replies, eval items, model names and error messages may hold escape sequences, bidirectional overrides or line
breaks. `safe` removes whatever could move the cursor, recolour the screen, hide text or reorder it; `clip` cuts to a
number of terminal cells, not characters, so that wide scripts keep columns straight. Whatever passed through here goes
into `rich.text.Text` and never into markup, so square brackets stay square brackets.
"""

from __future__ import annotations

from rich.cells import cell_len, set_cell_size

_BREAKS = dict.fromkeys(map(ord, "\t\n\v\f\r\x85\u2028\u2029"), " ")
_CONTROLS = dict.fromkeys([*range(0x20), *range(0x7F, 0xA0)])
_BIDI = dict.fromkeys([0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)])
# Invisible, so a person would be shown something else than what is there.
_HIDDEN = dict.fromkeys([0x200B, 0x2060, 0xFEFF, *range(0xFFF9, 0xFFFC), *range(0xE0000, 0xE0080)])
# A lone surrogate cannot be encoded: printing it would end the run with UnicodeEncodeError.
_SURROGATES = dict.fromkeys(range(0xD800, 0xE000), "\ufffd")

_ONE_LINE: dict[int, str | None] = {**_CONTROLS, **_BIDI, **_HIDDEN, **_SURROGATES, **_BREAKS}
_MANY_LINES: dict[int, str | None] = {**_ONE_LINE, ord("\n"): "\n", ord("\r"): None}


def safe(text: object, keep_newlines: bool = False) -> str:
    """`text` without control characters, bidi overrides and invisible marks; line breaks and tabs become spaces."""
    return str(text).translate(_MANY_LINES if keep_newlines else _ONE_LINE)


def clip(text: str, width: int, ellipsis: str = "…") -> str:
    """The longest start of `text` that fits `width` terminal cells, ending in `ellipsis` where something was cut."""
    if cell_len(text) <= width:
        return text
    room = width - cell_len(ellipsis)
    return set_cell_size(text, room).rstrip() + ellipsis if room > 0 else ellipsis[: max(width, 0)]

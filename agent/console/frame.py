"""One frame of the live screen: what is shown where, and what goes first when there is no room.

A frame is built as finished lines, every one cut to the width, because one wrapped line makes a live display climb up
the screen; what does not fit the height is dropped by importance. Colour only repeats what the characters already say,
and comes from the terminal's own palette, so light, dark and NO_COLOR all read the same.
"""

from __future__ import annotations

from rich.cells import cell_len
from rich.text import Text

from agent.console.plain import counted, training_pace
from agent.console.sections import FILLER, GUTTER, Section, meter, results, teaching
from agent.plots import UNICODE, Glyphs
from agent.progress import VERBS, RunView
from agent.safe import clip, safe
from agent.tables import duration

_WIDE = 126  # from here on two columns read better than one


def frame(view: RunView, width: int, height: int, glyphs: Glyphs = UNICODE) -> list[Text]:
    """The whole screen as at most `height` lines of at most `width` cells."""
    lines = [*_header(view, width, glyphs), *_strip(view, width, glyphs), *_now(view, width, glyphs)]
    lines += _body(view, width, height - len(lines), glyphs)
    lines = lines[: max(1, height)]
    for line in lines:
        line.no_wrap, line.overflow = True, "crop"
        line.truncate(width)
    return lines


def _header(view: RunView, width: int, glyphs: Glyphs) -> list[Text]:
    number = f"round {view.round} of {view.rounds}" if view.rounds else f"round {view.round}"
    right = f"{number}   {duration(view.elapsed(live=True))}"
    name = clip(safe(view.run) or "llm2llm", width - cell_len(right) - 2, glyphs.more)
    first = Text(name, style="bold").append(" " * (width - cell_len(name) - cell_len(right))).append(right, "not bold")
    sizes = glyphs.dot.join(f"{count:,} {safe(split)}" for split, count in view.splits.items())
    names = f"{safe(view.student)} {glyphs.taught} {safe(view.teacher)}"
    whole = glyphs.dot.join(part for part in (names, safe(view.evals), sizes) if part)
    second = whole if cell_len(whole) <= width else names
    return [first, Text(clip(second, width, glyphs.more), style="dim"), Text(glyphs.line * width, style="dim")]


def _strip(view: RunView, width: int, glyphs: Glyphs) -> list[Text]:
    """The verbs in the order they run, and below each how long it took."""
    names, times = Text(), Text()
    for verb in VERBS:
        # At 80 columns the names only fit side by side when each takes what it needs; below, they are cut.
        needed = max(len(verb), 7) + 1 if width >= 76 else 4
        cell = max(needed, min(width // len(VERBS), 14))
        mark, style = _mark(view, verb, cell - 1, glyphs)
        names.append(verb[: cell - 1].ljust(cell), style)
        times.append(mark.ljust(cell), style)
    return [names, times, Text()]


def _mark(view: RunView, verb: str, room: int, glyphs: Glyphs) -> tuple[str, str]:
    """What stands below a verb, and its style. Half a number would be a wrong number, so one that does not fit goes."""
    cell = view.strip.get(verb)
    if cell is None:
        return glyphs.wait, "dim"
    running = cell.seconds is None
    mark, time = (glyphs.now, view.verb_elapsed()) if cell.seconds is None else (glyphs.done, cell.seconds)
    choices = [f"{mark} {_brief(time)}", mark if running else _brief(time), mark]
    return next((text for text in choices if len(text) <= room), ""), "bold cyan" if running else "green"


def _brief(seconds: float) -> str:
    """A duration of at most five cells: `12:40`, `1h02m`."""
    hours, minutes = divmod(round(seconds / 60), 60)
    return duration(seconds) if seconds < 3599 else f"{hours}h{minutes:02}m"


def _now(view: RunView, width: int, glyphs: Glyphs) -> list[Text]:
    """The running verb with its bar, or how the run ended."""
    if view.status:
        style = {"done": "bold green", "failed": "bold red"}.get(view.status, "bold magenta")
        why = f" ({safe(view.reason)})" if view.reason else ""
        return [_row(Text(safe(view.status), style), Text(clip(safe(view.sentence) + why, width - GUTTER))), Text()]
    at, eta = view.progress, view.eta()
    tail = f"  {counted(view)}" + (f"   eta {duration(eta)}" if eta else "")
    pace = training_pace(view)
    tail += f"   {pace}" if pace and width >= 76 else ""
    share = at.share if at else 0.0
    bar = meter(share, min(48, max(8, width - GUTTER - cell_len(tail) - 4)), glyphs, "cyan") if at else Text()
    note = Text(clip(safe(at.note) if at else "", width - GUTTER, glyphs.more), "dim")
    return [_row(Text(view.verb, "bold cyan"), bar.append(tail if at else "", "default")), _row(Text(), note)]


def _body(view: RunView, width: int, height: int, glyphs: Glyphs) -> list[Text]:
    if width < _WIDE:
        return _column([*results(view, width, glyphs), *teaching(view, width, glyphs)], height)
    half = width * 11 // 20  # the interval bars gain most from more room
    left = _column(results(view, half, glyphs), height)
    right = _column(teaching(view, width - half - 2, glyphs), height)
    deep = max(len(left), len(right))
    left, right = ([*column, *[Text() for _ in range(deep - len(column))]] for column in (left, right))
    return [Text.assemble(a, " " * max(0, half - a.cell_len), "  ", b) for a, b in zip(left, right, strict=True)]


def _column(sections: list[Section], height: int) -> list[Text]:
    """The sections that fit, in the order given, with a blank line between them where all have what they like."""
    kept = _affordable([section for section in sections if section.natural], height)
    room = height - sum(section.least for section in kept)
    given = {section.name: section.least for section in kept}
    for section in sorted(kept, key=lambda section: section.rank):
        # Air between the sections reads better than fillers at full length.
        spare = room if section.rank < FILLER else room - (len(kept) - 1)
        more = max(0, min(spare, section.natural - section.least))
        given[section.name] += more
        room -= more
    lines: list[Text] = []
    for place, section in enumerate(kept):
        lines += [Text()] if place and room >= len(kept) - 1 else []
        drawn = section.draw(given[section.name])
        lines += [_row(Text("" if at else section.name, "dim"), line) for at, line in enumerate(drawn)]
    return lines


def _affordable(kept: list[Section], height: int) -> list[Section]:
    """Without the least important ones, until the rest fits. A filler goes before anything else has to be shortened."""

    def needed() -> int:
        return sum(
            section.least if worst.rank < FILLER else section.natural for section in kept if section is not worst
        )

    while kept:
        worst = max(kept, key=lambda section: section.rank)
        if needed() + worst.least <= max(0, height):
            break
        kept = [section for section in kept if section is not worst]
    return kept


def _row(name: Text, content: Text) -> Text:
    return Text.assemble(name, " " * max(1, GUTTER - name.cell_len), content)

"""The ways to watch a run: a live screen, plain lines, JSON lines, or nothing.

Each is a watcher of events (`loops.events.Watcher`) with a `close`. The live screen goes to stderr and leaves its last
frame behind; plain and JSON lines go to stdout. A terminal or pipe that goes away silences the watcher and never stops
the run it watches. A frame is built as finished lines, every one cut to the width, because one wrapped line makes a
live display climb up the screen; what does not fit the height is dropped by importance. Colour only repeats what the
characters already say, and comes from the terminal's own palette, so light, dark and NO_COLOR all read the same.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, Literal, Protocol, TextIO, cast

from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from agent.plots import UNICODE, Glyphs, axis, axis_labels, glyphs_for, interval_bar
from agent.progress import VERBS, RunView, Score
from agent.safe import clip, safe
from agent.tables import amount, by_reason, duration, interval, percent, plural
from loops.events import Event

Ui = Literal["auto", "rich", "plain", "json", "quiet"]

_GUTTER = 12  # cells for the names at the left edge
_LONGEST = 400  # cells of a plain line: a runaway text from data must not flood a log
_FILLER = 8  # sections of this rank or higher only fill room that nothing else wants
_WIDE = 126  # from here on two columns read better than one
_QUIET_SECONDS = 30.0  # a plain run says something at least this often while a verb moves
_STEP = 0.1 - 1e-9  # or when a verb came a tenth further; 0.3 - 0.2 is a little less than one


class Screen(Protocol):
    """What watches a run: called with every event, closed once at the end, also after an error."""

    def __call__(self, event: Event, /) -> None: ...

    def close(self) -> None: ...


def choose_ui(ui: Ui, stdout_tty: bool, stderr_tty: bool) -> Callable[[], Screen]:
    """The watcher to make. `auto` draws where stderr is a terminal; elsewhere it writes lines where they disturb least:
    to stdout if a person reads it, else to stderr, so that a pipe gets results only."""
    if ui == "quiet":
        return Quiet
    if ui == "json":
        return JsonLines
    if ui in ("auto", "rich") and stderr_tty and os.environ.get("TERM") != "dumb":
        return LiveScreen
    if ui == "plain" or (ui == "auto" and stdout_tty):
        return PlainLines
    return lambda: PlainLines(Pipe(sys.stderr))


class Pipe:
    """A text stream that falls silent for good when its reader is gone."""

    def __init__(self, stream: TextIO | None) -> None:
        self.stream = stream  # Python has no stdout at all where the shell closed it: `llm2llm run ... >&-`

    def line(self, text: str) -> None:
        """Write one line and hand it over at once; whoever reads along wants it now."""
        if self.stream is None:
            return
        try:
            self.stream.write(_encodable(text, self.stream) + "\n")
            self.stream.flush()
        except (OSError, ValueError):  # the reader closed its end, or somebody closed the stream
            _point_at_nothing(self.stream)
            self.stream = None


def _encodable(text: str, stream: TextIO) -> str:
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return text.encode(encoding, "replace").decode(encoding)


def _point_at_nothing(stream: TextIO) -> None:
    """Python flushes stdout once more at exit and would complain there; what is still buffered goes to /dev/null."""
    with suppress(OSError, ValueError):
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, stream.fileno())
        os.close(nothing)


class Quiet:
    """Shows nothing."""

    def __call__(self, event: Event, /) -> None:
        """Look away."""

    def close(self) -> None:
        """Nothing to close."""


class JsonLines:
    """Events as they are, one per line. Non-ASCII is escaped, so hostile text cannot reach a terminal raw."""

    def __init__(self, pipe: Pipe | None = None) -> None:
        self.pipe = pipe or Pipe(sys.stdout)

    def __call__(self, event: Event, /) -> None:
        self.pipe.line(json.dumps(event))

    def close(self) -> None:
        """Every line was flushed when it was written."""


# Plain lines.


class PlainLines:
    """One line per thing worth knowing: `round 1  generate  40/60 lessons  eta 0:35`.

    A line is said once and stays, so its now is the time of its event: the same events give the same lines on any day.
    """

    def __init__(self, pipe: Pipe | None = None) -> None:
        self.pipe = pipe or Pipe(sys.stdout)
        self.view = RunView(lambda: self.view.last_time)
        self._said: dict[str, tuple[float, float]] = {}  # by verb: share and time of its last line

    def __call__(self, event: Event, /) -> None:
        self.view.update(event)
        for kind, text in self._lines(event):
            place = f"round {safe(event['round'])}" if "round" in event else ""
            self.pipe.line(f"{place:<8} {kind:<9} {clip(safe(text), _LONGEST)}".rstrip())

    def close(self) -> None:
        """Every line was flushed when it was written."""

    def _lines(self, event: Event) -> list[tuple[str, str]]:
        writer = self._WRITERS.get(str(event.get("event", "")))
        return writer(self, event) if writer else []

    def _started(self, event: Event) -> list[tuple[str, str]]:
        view = self.view
        sizes = ", ".join(f"{count} {name}" for name, count in view.splits.items())
        again = "  resumed" if event.get("resumed") else ""
        return [("run", f"{view.run}  {view.student} <- {view.teacher}  {view.evals} ({sizes}){again}")]

    def _leaves(self, _: Event) -> list[tuple[str, str]]:
        return [("sends", self.view.leaves)]

    def _verb_started(self, event: Event) -> list[tuple[str, str]]:
        self._said[self.view.verb] = (0.0, self.view.last_time)
        return []

    def _verb_progress(self, _: Event) -> list[tuple[str, str]]:
        at, verb = self.view.progress, self.view.verb
        if at is None or at.done == at.total or not self._due(verb, at.share):
            return []
        eta = self.view.eta()
        parts = [_counted(self.view), f"eta {duration(eta)}" if eta is not None else "", _pace(self.view), at.note]
        return [(verb, "  ".join(part for part in parts if part))]

    def _due(self, verb: str, share: float) -> bool:
        share_said, when = self._said.get(verb, (0.0, -_QUIET_SECONDS))
        due = share - share_said >= _STEP or self.view.last_time - when >= _QUIET_SECONDS
        if due:
            self._said[verb] = (share, self.view.last_time)
        return due

    def _verb_done(self, event: Event) -> list[tuple[str, str]]:
        verb, number = str(event.get("verb", "")), int(event.get("round") or 0)
        seconds = duration(self.view.verb_seconds.get((number, verb), 0.0))
        lines = [(verb, "done  reused" if event.get("reused") else f"done in {seconds}")]
        gone = by_reason(self.view.rejected(number))
        kept = self.view.accepted_until(number) - self.view.accepted_until(number - 1)
        if verb in ("curate", "review") and (kept or gone):  # before a review nothing is accepted or rejected yet
            lines.append((verb, f"{kept} accepted" + (f"  rejected: {gone}" if gone else "")))
        return lines

    def _score(self, event: Event) -> list[tuple[str, str]]:
        key = (int(event.get("round") or 0), str(event.get("student", "")), str(event.get("split", "")))
        score = self.view.scores.get(key)
        if score is None:
            return []
        row = f"{safe(score.label):<20} {score.split:<6} {score.right:>4}/{score.n:<4} {interval(score)}"
        return [("score", row + _unread(score))]

    def _weakness(self, event: Event) -> list[tuple[str, str]]:
        return [("weakness", f"{event.get('name')}  {event.get('failures')} failures  {event.get('lessons')} lessons")]

    def _adopted(self, event: Event) -> list[tuple[str, str]]:
        kinds = by_reason(Counter(cast("dict[str, int]", event.get("strategies") or {})))
        return [("adopt", f"{event.get('lessons')} lessons of the run {event.get('run')}: {kinds}")]

    def _decided(self, _: Event) -> list[tuple[str, str]]:
        return [("decided", self.view.decision)]

    def _retry(self, event: Event) -> list[tuple[str, str]]:
        if not self._due("retry", 0.0):
            return []
        count = self.view.retries.total()
        return [("retry", f"{event.get('reason')}  again in {event.get('wait')} s  ({count} so far)")]

    def _note(self, event: Event) -> list[tuple[str, str]]:
        return [("note", str(event.get("text", "")))]

    def _claim(self, _: Event) -> list[tuple[str, str]]:
        return [("claim", self.view.claim)]

    def _ended(self, _: Event) -> list[tuple[str, str]]:
        view = self.view
        why = f" ({view.reason})" if view.reason else ""
        return [("ended", f"{view.status}{why} after {duration(view.elapsed())}  {view.sentence}")]

    _WRITERS: ClassVar[dict[str, Callable[[PlainLines, Event], list[tuple[str, str]]]]] = {
        "run.started": _started,
        "run.leaves": _leaves,
        "verb.started": _verb_started,
        "verb.progress": _verb_progress,
        "verb.done": _verb_done,
        "score": _score,
        "weakness": _weakness,
        "adopted": _adopted,
        "decided": _decided,
        "retry": _retry,
        "note": _note,
        "claim": _claim,
        "run.ended": _ended,
    }


def _counted(view: RunView) -> str:
    at = view.progress
    if at is None:
        return ""
    return f"{at.done:,}/{at.total:,} {safe(at.unit)}" if at.total else f"{at.done:,} {safe(at.unit)}"


def _pace(view: RunView) -> str:
    """The training's own numbers, while it trains."""
    if view.verb != "train" or not view.losses:
        return ""
    speed = f"  {view.tokens_per_second:,.0f} tokens/s" if view.tokens_per_second else ""
    return f"loss {view.losses[-1][1]:.3f}{speed}"


def _unread(score: Score) -> str:
    parts = [f"  {count} {name}" for name, count in _unread_counts(score) if count]
    return "".join(parts)


def _unread_counts(score: Score) -> list[tuple[str, int]]:
    return [("truncated", score.truncated), ("malformed", score.malformed)]


# The live screen.


class LiveScreen:
    """The view to leave open for an hour. Events arrive on any thread; drawing happens on its own, four times a second
    at most, so a burst of events costs nothing."""

    def __init__(self, console: Console | None = None, clock: Callable[[], float] = time.time) -> None:
        stream = cast(TextIO, _Lasting(sys.stderr))
        self.console = console or Console(file=stream, highlight=False, emoji=False, markup=False)
        self.view = RunView(clock)
        self._lock = threading.Lock()
        self._size = self.console.size
        self._live = self._fresh()

    def _fresh(self) -> Live:
        # Printing to a piped stdout is a result on its way to a file; it must not be drawn into the screen.
        own_stdout = bool(sys.stdout and sys.stdout.isatty())
        return Live(console=self.console, get_renderable=self._frame, refresh_per_second=4, redirect_stdout=own_stdout)

    def __call__(self, event: Event, /) -> None:
        with self._lock:
            self.view.update(event)
        # Outside the lock: starting draws, and drawing takes the lock.
        if not self._live.is_started:
            self._live.start()

    def close(self) -> None:
        """Draw the last frame, leave it on the screen and give the cursor back. The next event draws below it."""
        self._live.stop()
        self._live = self._fresh()  # a stopped one would go on where its last frame stood, over what was printed since

    def _frame(self) -> RenderableType:
        size = self.console.size
        if size != self._size:
            # A terminal that got narrower has wrapped the old frame: no counting of lines would find its top again.
            self._size = size
            self.console.clear()
        with self._lock:
            # The last column and line stay free: some terminals scroll or wrap when they are written.
            lines = frame(self.view, size.width - 1, size.height - 1, glyphs_for(self.console.encoding))
        return Group(*lines)


class _Lasting:
    """stderr for rich: everything it is, except that a terminal that went away ends no thread and no run."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with suppress(OSError, ValueError):
            self._stream.write(_encodable(text, self._stream))
        return len(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            self._stream.flush()

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)


@dataclass(frozen=True)
class Section:
    """A part of the frame that can be shown in more or fewer lines."""

    name: str
    """Written in the gutter of its first line."""
    rank: int
    """The higher, the sooner it is dropped."""
    natural: int
    """The lines it would like."""
    draw: Callable[[int], list[Text]]
    """Its lines, given how many it may have."""
    least: int = 1
    """With fewer lines than this it is not worth showing."""


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
        return [_row(Text(safe(view.status), style), Text(clip(safe(view.sentence) + why, width - _GUTTER))), Text()]
    at, eta = view.progress, view.eta()
    tail = f"  {_counted(view)}" + (f"   eta {duration(eta)}" if eta else "")
    pace = _pace(view)
    tail += f"   {pace}" if pace and width >= 76 else ""
    share = at.share if at else 0.0
    bar = _bar(share, min(48, max(8, width - _GUTTER - cell_len(tail) - 4)), glyphs, "cyan") if at else Text()
    note = Text(clip(safe(at.note) if at else "", width - _GUTTER, glyphs.more), "dim")
    return [_row(Text(view.verb, "bold cyan"), bar.append(tail if at else "", "default")), _row(Text(), note)]


def _row(name: Text, content: Text) -> Text:
    return Text.assemble(name, " " * max(1, _GUTTER - name.cell_len), content)


def _bar(share: float, width: int, glyphs: Glyphs, style: str) -> Text:
    full = round(share * width)
    return Text(glyphs.full * full, style).append(glyphs.line * (width - full), "dim")


def _body(view: RunView, width: int, height: int, glyphs: Glyphs) -> list[Text]:
    if width < _WIDE:
        return _column([*_results(view, width, glyphs), *_teaching(view, width, glyphs)], height)
    half = width * 11 // 20  # the interval bars gain most from more room
    left = _column(_results(view, half, glyphs), height)
    right = _column(_teaching(view, width - half - 2, glyphs), height)
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
        spare = room if section.rank < _FILLER else room - (len(kept) - 1)
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
            section.least if worst.rank < _FILLER else section.natural for section in kept if section is not worst
        )

    while kept:
        worst = max(kept, key=lambda section: section.rank)
        if needed() + worst.least <= max(0, height):
            break
        kept = [section for section in kept if section is not worst]
    return kept


def _results(view: RunView, width: int, glyphs: Glyphs) -> list[Section]:
    room = width - _GUTTER
    curve = [] if view.status else _curve(view, room, glyphs)
    return [
        _accuracy(view, room, glyphs),
        _words("claim", -1, view.claim, room, glyphs, "bold"),
        _words("decided", 4, view.decision if not view.status else "", room, glyphs),
        _fixed("loss", 2 if view.verb == "train" else 8, curve),
    ]


def _teaching(view: RunView, width: int, glyphs: Glyphs) -> list[Section]:
    room = width - _GUTTER
    return [
        _fixed("lessons", 1, _lessons(view, room, glyphs)),
        _fixed("budget", 3, _budget(view, room, glyphs)),
        _weaknesses(view, room, glyphs),
        _last_lesson(view, room, glyphs),
        _notes(view, room, glyphs),
        _fixed("earlier", 10, _earlier(view, room, glyphs)),
        _fixed("sends", 9, [Text(clip(safe(view.leaves), room, glyphs.more), "dim")] if view.leaves else []),
    ]


def _fixed(name: str, rank: int, lines: list[Text]) -> Section:
    """Lines in order of importance."""
    return Section(name, rank, len(lines), lambda most: lines[:most])


def _words(name: str, rank: int, text: str, room: int, glyphs: Glyphs, style: str = "") -> Section:
    """A sentence of at most three lines."""
    natural = len(_fold(safe(text), room, 3, glyphs))
    return Section(
        name, rank, natural, lambda most: [Text(row, style) for row in _fold(safe(text), room, most, glyphs)]
    )


def _fold(text: str, width: int, most: int, glyphs: Glyphs) -> list[str]:
    """`text` broken between words into at most `most` lines; what is left over is cut with an ellipsis."""
    lines: list[str] = []
    words = text.split()
    while words and len(lines) < most - 1:
        line = words.pop(0)
        while words and cell_len(line) + 1 + cell_len(words[0]) <= width:
            line += " " + words.pop(0)
        lines.append(clip(line, width, glyphs.more))
    return [*lines, clip(" ".join(words), width, glyphs.more)] if words else lines


# What the sections show.


def _accuracy(view: RunView, room: int, glyphs: Glyphs) -> Section:
    scores = _shown_scores(view)

    def draw(most: int) -> list[Text]:
        rows = sorted(sorted(scores, key=lambda score: _weight(view, score))[: most - 1], key=_order)
        names = max(cell_len(_name(view, score)) for score in rows) + 2
        ends, bar = axis(rows), max(0, min(60, room - names - 20))
        chance = f"chance {percent(view.chance)}" if view.chance else ""
        head = clip(f"on {view.deciding_words}{glyphs.dot if chance else ''}{chance}", names + 18)
        lines = [Text(head.ljust(names + 20) + axis_labels(bar, ends), "dim")]
        return lines + [_accuracy_row(view, score, names, interval_bar(score, bar, ends, glyphs)) for score in rows]

    return Section("accuracy", 0, len(scores) + 1 if scores else 0, draw, least=min(3, len(scores) + 1))


def _accuracy_row(view: RunView, score: Score, names: int, bar: str) -> Text:
    name = _name(view, score)
    style = "bold" if _is_best(view, score) else "" if score.role in ("seed-only", "round") else "dim"
    counts = f"{score.right}/{score.n}".rjust(9)
    row = Text(name + " " * (names - cell_len(name)) + f"{counts}  {percent(score.accuracy):>7}  ", style)
    return row.append(bar, "bold green" if _is_best(view, score) else style)


def _shown_scores(view: RunView) -> list[Score]:
    """Rounds on the split that decides, what stands beside them, and everything on `test` once it is open."""
    opened = any(score.split == "test" and score.role in ("seed-only", "round") for score in view.scores.values())
    splits = {view.deciding_split, "test"} if opened else {view.deciding_split}
    wanted = [score for score in view.scores.values() if score.role == "teacher" or score.split in splits]
    return [score for score in wanted if score.role != "other" or score.split != "mine"]


def _name(view: RunView, score: Score) -> str:
    best = " (best)" if _is_best(view, score) else ""
    where = "" if score.split == view.deciding_split else f", {score.split}"
    return clip(safe(score.label), 24) + best + where


def _is_best(view: RunView, score: Score) -> bool:
    return score.round == view.best and score.role in ("seed-only", "round")


def _order(score: Score) -> tuple[bool, int, int]:
    roles = ("teacher", "zero-shot", "few-shot", "other", "seed-only", "round")
    return score.split == "test", roles.index(score.role), score.round


def _weight(view: RunView, score: Score) -> tuple[int, int]:
    """Which rows stay when there is room for few: the claim's own, the best, the latest, seeds alone, the rest."""
    trained = score.role in ("seed-only", "round")
    if score.split == "test":
        return (0 if trained else 4), 0
    if _is_best(view, score):
        return 1, 0
    if score.role == "seed-only":
        return 2, 0
    return (3, -score.round) if trained else (5, _order(score)[1])


def _lessons(view: RunView, room: int, glyphs: Glyphs) -> list[Text]:
    rejected = view.rejected()
    if not view.written:
        return []
    counts = (f"{view.written:,} written", f"{view.accepted:,} accepted", f"{sum(rejected.values()):,} rejected")
    lines = [Text(clip(glyphs.dot.join(counts), room, glyphs.more))]
    return lines + ([Text(clip(by_reason(rejected), room, glyphs.more), "dim")] if rejected else [])


def _budget(view: RunView, room: int, glyphs: Glyphs) -> list[Text]:
    spent, scarce = view.spent, view.budget()
    if not spent.requests and not spent.reused_requests:
        return []
    used = f"{plural(spent.requests, 'request')}, {spent.tokens:,} tokens, money {amount(spent.money)}"
    lines = [Text(clip(used, room, glyphs.more), "dim")]
    if not scarce:
        return lines
    left = 1 - scarce[0].share
    words = f"  {100 * left:.0f} % of {amount(scarce[0].cap)} {scarce[0].name} left"
    width = max(0, min(24, room - len(words)))
    return [_bar(left, width, glyphs, "cyan" if left > 0.1 else "magenta").append(words, "default"), *lines]


def _weaknesses(view: RunView, room: int, glyphs: Glyphs) -> Section:
    groups = view.current_weaknesses()

    def draw(most: int) -> list[Text]:
        shown = groups if len(groups) <= most else groups[: max(1, most - 1)]
        names = min(max(cell_len(safe(group.name)) for group in shown), max(8, room - 26))
        lines: list[Text] = []
        for group in shown:
            name = clip(safe(group.name), names, glyphs.more)
            counts = f"{plural(group.failures, 'failure'):>11}  {plural(group.lessons, 'lesson'):>11}"
            lines.append(Text(name + " " * (names - cell_len(name) + 1)).append(counts, "dim"))
        rest = len(groups) - len(shown)
        return [*lines, Text(f"and {rest} more", "dim")][:most] if rest else lines

    return Section("weaknesses", 6, min(8, len(groups)), draw)


def _last_lesson(view: RunView, room: int, glyphs: Glyphs) -> Section:
    lesson = view.lesson
    if lesson is None:
        return _fixed("last lesson", 7, [])
    answer = clip(safe(lesson.answer), max(8, room // 2), glyphs.more)
    origin = glyphs.dot.join(safe(part) for part in (lesson.weakness, lesson.strategy) if part)

    def draw(most: int) -> list[Text]:
        if most == 1:
            prompt = clip(safe(lesson.prompt), room - cell_len(answer) - 4, glyphs.more)
            return [Text(prompt).append(f" -> {answer}", "bold")]
        prompt = [Text(row) for row in _fold(safe(lesson.prompt), room, most - 1, glyphs)]
        about = clip(origin, max(0, room - cell_len(answer) - 7), glyphs.more)
        return [*prompt, Text(f"-> {answer}", "bold").append(f"   {about}", "not bold dim")]

    return Section("last lesson", 7, 1 + len(_fold(safe(lesson.prompt), room, 3, glyphs)), draw)


def _curve(view: RunView, room: int, glyphs: Glyphs) -> list[Text]:
    if len(view.losses) < 2:
        return []
    values = [value for _, value in view.losses]
    tail = f"  {values[0]:.2f} -> {values[-1]:.2f}"
    tail += f"   {view.tokens_per_second:,.0f} tokens/s" if view.tokens_per_second else ""
    width = max(4, min(40, room - len(tail)))
    return [Text(_spark(values, width, glyphs), "cyan").append(clip(tail, room - width), "default")]


def _spark(values: list[float], width: int, glyphs: Glyphs) -> str:
    """The whole curve in `width` cells; each cell is the mean of its stretch."""
    width = min(width, len(values))
    edges = [at * len(values) // width for at in range(width + 1)]
    means = [sum(values[a:b]) / (b - a) for a, b in pairwise(edges)]
    low, high = min(means), max(means)
    top = len(glyphs.sparks) - 1
    return "".join(glyphs.sparks[round((value - low) / (high - low) * top) if high > low else 0] for value in means)


def _notes(view: RunView, room: int, glyphs: Glyphs) -> Section:
    text, count = [*view.notes.items()][-1] if view.notes else ("", 0)
    text = safe(text) + (f" ({count} times)" if count > 1 else "")
    retries = view.retries.total()
    again = f"{plural(retries, 'request')} sent again: {by_reason(view.retries)}" if retries else ""
    last = [Text(clip(again, room, glyphs.more), "dim")] if again else []

    def draw(most: int) -> list[Text]:
        share = most - len(last) if text and most > 1 else most
        return ([Text(row, "magenta") for row in _fold(text, room, share, glyphs)] + last)[:most]

    return Section("note", 5, len(_fold(text, room, 3, glyphs)) + len(last), draw)


def _earlier(view: RunView, room: int, glyphs: Glyphs) -> list[Text]:
    """The lessons before the last one, the newest first."""
    lines: list[Text] = []
    for lesson in [*view.lessons][-2::-1]:
        answer = clip(safe(lesson.answer), max(8, room // 3), glyphs.more)
        prompt = clip(safe(lesson.prompt), room - cell_len(answer) - 4, glyphs.more)
        lines.append(Text(f"{prompt} -> {answer}", "dim"))
    return lines

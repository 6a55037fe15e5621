"""The tables a run leaves behind: its summary, its rounds, and the list of runs.

Everything is read from a `RunView`, so what is printed at the end of a run and what `show` prints a year later are the
same lines. No accuracy appears without its n and its 95 % interval, and what nobody knows is called unknown, not zero.
Tables are plain columns without boxes: they survive 80 columns, a pipe, a mail and a terminal without Unicode, where
the interval bars are drawn with ASCII. All text from data enters through `safe` and `Text`, never as markup.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.segment import Segment
from rich.style import Style
from rich.table import Table
from rich.text import Text

from agent.progress import RunView, Score
from agent.safe import clip, safe

UNKNOWN = "unknown"


@dataclass(frozen=True)
class Glyphs:
    """The characters drawings are made of."""

    low: str = "├"
    """Lower end of an interval."""
    high: str = "┤"
    """Upper end of an interval."""
    line: str = "─"
    """Between the ends, and the unfilled part of a bar."""
    point: str = "●"
    """The measured value."""
    below: str = "◂"
    """An interval that goes on to the left of the axis."""
    above: str = "▸"
    """An interval that goes on to the right of the axis."""
    full: str = "━"
    """The filled part of a bar."""
    done: str = "✓"
    """A finished verb."""
    now: str = "▶"
    """The running verb."""
    wait: str = "·"
    """A verb that is still ahead."""
    taught: str = "←"
    """student <- teacher."""
    dot: str = " · "
    """Between the members of a list."""
    more: str = "…"
    """Where something was cut."""
    sparks: str = "▁▂▃▄▅▆▇█"
    """Levels of a curve, from low to high."""


UNICODE = Glyphs()
ASCII = Glyphs("|", "|", "-", "o", "<", ">", "#", "ok", ">", ".", "<-", ", ", "..", "_.-=^")


def glyphs_for(encoding: str) -> Glyphs:
    """Unicode drawings where the terminal can show them."""
    return UNICODE if encoding.lower().replace("-", "").startswith("utf") else ASCII


# Numbers as people read them.


def duration(seconds: float) -> str:
    """`0:05`, `12:40`, `1:02:03`, `3d 4h`."""
    whole = max(0, round(seconds))
    if whole >= 86_400:
        return f"{whole // 86_400}d {whole % 86_400 // 3600}h"
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"


def percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def interval(score: Score) -> str:
    """`72.7 % (65.0 to 79.2)`, right-aligned so that a column of them lines up."""
    return f"{percent(score.accuracy):>7} ({100 * score.low:.1f} to {100 * score.high:.1f})"


def amount(value: float | None) -> str:
    """A count or a sum: `18,204`, `0.42`, `0.0031`, `unknown`."""
    if value is None:
        return UNKNOWN
    if value == int(value):
        return f"{int(value):,}"
    return f"{value:,.2f}" if abs(value) >= 0.1 else f"{value:.4f}"


def plural(count: float, noun: str) -> str:
    return f"{amount(count)} {noun}{'' if count == 1 else 's'}"


def by_reason(counts: Counter[str]) -> str:
    """`duplicate 5, answer-disagrees 4`, the most frequent first."""
    return ", ".join(f"{safe(reason)} {count:,}" for reason, count in counts.most_common())


# Drawings made of characters.


def axis(scores: Iterable[Score]) -> tuple[float, float]:
    """The stretch of 0..1 that holds the interval of every trained student, widened to whole tenths.

    Untouched students are often far below and would squeeze what is to be compared; they count until one is trained.
    """
    rows = list(scores)
    rows = [score for score in rows if score.role in ("seed-only", "round")] or rows
    low = math.floor(10 * min((score.low for score in rows), default=0.0)) / 10
    high = math.ceil(10 * max((score.high for score in rows), default=1.0)) / 10
    return (low, high) if high - low >= 0.2 else (max(0.0, low - 0.1), min(1.0, high + 0.1))


def interval_bar(score: Score, width: int, ends: tuple[float, float], glyphs: Glyphs = UNICODE) -> str:
    """A dot with whiskers, `width` cells wide, drawn on the axis from `ends[0]` to `ends[1]`; an arrow where it ends
    outside."""
    if width < 3:
        return ""
    low, middle, high = (
        round((value - ends[0]) / (ends[1] - ends[0]) * (width - 1))
        for value in (score.low, score.accuracy, score.high)
    )
    drawn = dict.fromkeys(range(low, high + 1), glyphs.line) | {
        low: glyphs.low,
        high: glyphs.high,
        middle: glyphs.point,
    }
    cells = [drawn.get(at, " ") for at in range(width)]
    cells[0] = glyphs.below if low < 0 else cells[0]
    cells[-1] = glyphs.above if high >= width else cells[-1]
    return "".join(cells)


def axis_labels(width: int, ends: tuple[float, float]) -> str:
    """The two ends of an axis, written below or above its bars."""
    left, right = f"{100 * ends[0]:.0f} %", f"{100 * ends[1]:.0f} %"
    return left + right.rjust(width - len(left)) if width > len(left) + len(right) else ""


@dataclass(frozen=True)
class AxisLabels:
    """`axis_labels` as wide as its column: the header above a column of bars."""

    ends: tuple[float, float]
    """The axis the bars share."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Segment(axis_labels(options.max_width, self.ends), console.get_style("dim"))

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(min(15, options.max_width), min(40, options.max_width))


@dataclass(frozen=True)
class IntervalBar:
    """`interval_bar` as wide as its column."""

    score: Score
    """What is drawn."""
    ends: tuple[float, float]
    """The axis all bars of a table share."""
    style: str = ""
    """Colour of the whole bar."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        bar = interval_bar(self.score, options.max_width, self.ends, glyphs_for(options.encoding))
        yield Segment(bar, console.get_style(self.style) if self.style else Style.null())

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(min(8, options.max_width), min(40, options.max_width))


# The summary.


def summary(view: RunView) -> RenderableType:
    """What a run found, what it cost and how long it took; for a run that goes on, what is known so far."""
    parts: list[RenderableType] = [_heading(view), Text()]
    scores = _final_scores(view)
    if scores:
        parts += [_score_table(scores, view), Text()]
    parts += [_claim(view), Text(), _facts(view)]
    return Group(*parts)


def _heading(view: RunView) -> Text:
    text = Text(safe(view.run) or "run", style="bold")
    if view.status:
        text.append(f"  {safe(view.status)}", style=_status_style(view.status))
        text.append(f": {safe(view.reason)}" if view.reason else "", style="default not bold")
    names = f"{safe(view.student) or UNKNOWN} taught by {safe(view.teacher) or UNKNOWN}"
    return Text("\n").join([text, Text(names, style="dim")])


def _status_style(status: str) -> str:
    return {"done": "green", "failed": "red", "stopped": "magenta"}.get(status, "default")


def _final_scores(view: RunView) -> list[Score]:
    """One row per role, all on one split so that they compare: `test` once opened for a trained student."""
    trained = [score for score in view.scores.values() if score.role in ("seed-only", "round")]
    split = "test" if any(score.split == "test" for score in trained) else view.deciding_split
    rows = [score for score in view.scores.values() if score.split == ("mine" if score.role == "teacher" else split)]
    shown = {_story(score): score for score in rows if score.role != "round" or score.round == view.best}
    return [shown[place] for place in sorted(shown)]


def _story(score: Score) -> tuple[int, int, str]:
    order = ("zero-shot", "few-shot", "other", "teacher", "seed-only", "round")
    return order.index(score.role), score.round, score.student if score.role == "other" else ""


def _score_table(scores: Sequence[Score], view: RunView) -> Table:
    table = _plain_table(expand=True)
    for name in ("who", "split"):
        table.add_column(name, no_wrap=True, overflow="ellipsis")
    for name in ("n", "right"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("accuracy, 95 % interval", no_wrap=True)
    ends = axis(scores)
    table.add_column(AxisLabels(ends), ratio=1, no_wrap=True, min_width=15)
    for score in scores:
        best = score.round == view.best and score.role in ("round", "seed-only")
        label = Text(safe(score.label) + (" (best)" if best else ""))
        cells = [score.split, f"{score.n:,}", f"{score.right:,}", interval(score)]
        table.add_row(label, *map(Text, map(safe, cells)), IntervalBar(score, ends), style="bold" if best else "")
    return table


def _plain_table(expand: bool = False) -> Table:
    return Table(box=None, expand=expand, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))


def _claim(view: RunView) -> Text:
    if view.claim:
        return Text(safe(view.claim), style="bold")
    return Text("No claim: the locked test split was not opened, so a gain is neither shown nor ruled out.")


def _facts(view: RunView) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True, min_width=8)
    grid.add_column(overflow="fold")
    for name, fact in _fact_rows(view):
        grid.add_row(name, Text(fact))
    return grid


def _fact_rows(view: RunView) -> list[tuple[str, str]]:
    spent, sums = view.spent, view.rejected()
    lessons = f"{view.written:,} written, {view.accepted:,} accepted, {sum(sums.values()):,} rejected"
    tokens = f"{spent.prompt_tokens:,} prompt + {spent.completion_tokens:,} completion tokens"
    again = f" ({spent.reused_requests:,} more answered from the ledger)" if spent.reused_requests else ""
    verbs = ", ".join(f"{safe(verb)} {duration(seconds)}" for verb, seconds in view.seconds_by_verb().items())
    rows = [
        ("lessons", lessons + (f": {by_reason(sums)}" if sums else "")),
        ("teacher", f"{plural(spent.requests, 'request')}{again}, {tokens}, money {amount(spent.money)}"),
        ("budget", _budget(view)),
        ("time", duration(view.elapsed()) + (f" in {plural(view.sessions, 'session')}" if view.sessions > 1 else "")),
        ("", verbs),
        ("unread", _unread(view)),
        ("retries", by_reason(view.retries)),
        ("decided", safe(view.decision)),
        ("ended", safe(view.sentence)),
        *(
            ("note", safe(text) + (f" ({count} times)" if count > 1 else ""))
            for text, count in [*view.notes.items()][-12:]
        ),
    ]
    return [row for row in rows if row[1]]


def _budget(view: RunView) -> str:
    lines = view.budget()
    return ", ".join(
        f"{amount(line.used)} of {amount(line.cap)} {line.name} ({100 * line.share:.0f} %)" for line in lines
    )


def _unread(view: RunView) -> str:
    """Answers that were cut off or could not be parsed: they count as not right, and lessons do not mend them."""
    cut, bad = (sum(getattr(score, name) for score in view.scores.values()) for name in ("truncated", "malformed"))
    return f"answers counted as not right because truncated {cut:,}, malformed {bad:,}" if cut or bad else ""


# Rounds and runs.


def rounds_table(view: RunView) -> RenderableType:
    """Every round with its score on the split that decides, the lessons it was trained on, and what was rejected."""
    scores = sorted(_round_scores(view), key=lambda score: score.round)
    table = _plain_table(expand=True)
    table.add_column("round", no_wrap=True)
    table.add_column(view.deciding_split, justify="right", no_wrap=True)
    table.add_column("accuracy, 95 % interval", no_wrap=True)
    table.add_column("lessons", justify="right", no_wrap=True)
    table.add_column("rejected in this round", ratio=1, overflow="fold")
    for score in scores:
        best = score.round == view.best
        rejected = by_reason(view.rejected(score.round)) or "-"
        right = f"{score.right:,}/{score.n:,}"
        cells = (
            f"{score.round}{' (best)' if best else ''}",
            right,
            interval(score),
            f"{view.accepted_until(score.round):,}",
        )
        table.add_row(*map(Text, (*cells, rejected)), style="bold" if best else "")
    return table if scores else Text("No round has been examined yet.")


def _round_scores(view: RunView) -> list[Score]:
    rows = (score for score in view.scores.values() if score.split == view.deciding_split)
    return [score for score in rows if score.role in ("seed-only", "round")]


@dataclass(frozen=True)
class RunRow:
    """One line of `llm2llm runs`."""

    name: str
    """The run's folder name."""
    state: str
    """running, interrupted, or how it ended: `done`, `failed`, `stopped: budget`."""
    round: int | None
    """The round it is in or ended in; None before the first."""
    best: Score | None
    """The best round on the split that decides."""
    when: float
    """When it last did something, seconds since the epoch."""


def run_row(view: RunView, state: str = "") -> RunRow:
    """A run's line; `state` is needed where no run.ended tells (only a lock knows whether it is still running)."""
    ended = f"{view.status}: {view.reason}" if view.status == "stopped" and view.reason else view.status
    best = [score for score in _round_scores(view) if score.round == view.best]
    number = view.round if view.verb_seconds or view.verb else None
    return RunRow(view.run, ended or state or "interrupted", number, best[-1] if best else None, view.last_time)


def runs_table(rows: Sequence[RunRow]) -> RenderableType:
    """The list of runs, in the order given."""
    table = _plain_table()
    for name in ("run", "state"):
        table.add_column(name, overflow="fold")
    table.add_column("round", justify="right", no_wrap=True)
    table.add_column("best, 95 % interval", no_wrap=True)
    table.add_column("last active", no_wrap=True)
    for row in rows:
        state = Text(clip(safe(row.state), 40), style=_status_style(row.state.split(":")[0]))
        best = f"{interval(row.best)} n {row.best.n:,}" if row.best else "-"
        number = "-" if row.round is None else str(row.round)
        table.add_row(Text(safe(row.name)), state, number, Text(best), _when(row.when))
    return table if rows else Text("No runs yet.")


def _when(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M")

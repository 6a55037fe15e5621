"""The tables a run leaves behind: its summary, and the list of runs.

Everything is read from a `RunView`, so what is printed at the end of a run and what `show` prints a year later are the
same lines. No accuracy appears without its n and its 95 % interval, and what nobody knows is called unknown, not zero.
Tables are plain columns without boxes: they survive 80 columns, a pipe, a mail and a terminal without Unicode. All text
from data enters through `safe` and `Text`, never as markup.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from agent.plots import AxisLabels, IntervalBar, axis
from agent.progress import RunView
from agent.safe import clip, safe
from agent.viewed import Score

UNKNOWN = "unknown"


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
    order = ("zero-shot", "few-shot", "other", "teacher", "seed-only", "control", "round")
    return order.index(score.role), score.round, score.student if score.role in ("other", "control") else ""


def _score_table(scores: Sequence[Score], view: RunView) -> Table:
    table = plain_table(expand=True)
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


def plain_table(expand: bool = False) -> Table:
    """Columns without boxes."""
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
    if view.adopted:
        lessons = ", ".join(f"{count:,} of the run {safe(run)}" for run, count in view.adopted.values())
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


# The list of runs.


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


def run_row(view: RunView, name: str, state: str = "") -> RunRow:
    """A run's line, by the name of its folder; `state` is needed where no run.ended tells: only a lock knows whether it still runs."""
    ended = f"{view.status}: {view.reason}" if view.status == "stopped" and view.reason else view.status
    best = [score for score in _round_scores(view) if score.round == view.best]
    number = view.round if view.verb_seconds or view.verb else None
    return RunRow(name, ended or state or "interrupted", number, best[-1] if best else None, view.last_time)


def runs_table(rows: Sequence[RunRow]) -> RenderableType:
    """The list of runs, in the order given."""
    table = plain_table()
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
    if not seconds:
        return "-"
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M")

"""A run as plain lines, for logs, pipes and people who read along."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from typing import ClassVar, cast

from agent.console.pipe import Pipe
from agent.progress import RunView
from agent.safe import clip, safe
from agent.tables import by_reason, duration, interval, plural
from agent.viewed import Score
from loops.events import Event

_LONGEST = 400  # cells of a plain line: a runaway text from data must not flood a log
_QUIET_SECONDS = 30.0  # a plain run says something at least this often while a verb moves
_STEP = 0.1 - 1e-9  # or when a verb came a tenth further; 0.3 - 0.2 is a little less than one


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
        parts = [
            counted(self.view),
            f"eta {duration(eta)}" if eta is not None else "",
            training_pace(self.view),
            at.note,
        ]
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
        lines = [(verb, f"done in {seconds}")]
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
        counts = f"{plural(event.get('failures') or 0, 'failure')}  {plural(event.get('lessons') or 0, 'lesson')}"
        return [("weakness", f"{event.get('name')}  {counts}")]

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


def counted(view: RunView) -> str:
    at = view.progress
    if at is None:
        return ""
    return f"{at.done:,}/{at.total:,} {safe(at.unit)}" if at.total else f"{at.done:,} {safe(at.unit)}"


def training_pace(view: RunView) -> str:
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

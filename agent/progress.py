"""What a run looks like from outside: events in, the state of the screen out.

`RunView.update` is the only writer and does no drawing, so the live screen, the plain lines, `show` and the report all
tell the same story. It accepts a run as it happens and a whole `events.jsonl` afterwards, also of a run that was killed
and resumed: such a log repeats `run.started`, may start a verb twice and may repeat a score or a verdict, so everything
countable is kept under its identity (round + student + split, candidate id, round + verb) and never summed blindly.
Unknown event names and missing fields are tolerated: an old log must stay readable.
"""

from __future__ import annotations

import math
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import ClassVar, cast

from agent.viewed import BudgetLine, Cell, Lesson, Progress, Score, Spent, WeaknessView
from loops.events import CROSS_FITTED, SELECT, Event

VERBS = ("baseline", "mine", "diagnose", "generate", "curate", "train", "evaluate", "decide", "claim")
"""In the order they run, so that the strip fills from left to right: `baseline` once, the seven in between once a round, `claim` once."""

ACCEPTED = "accepted"
_TEXT_KEPT = 2000  # characters of a data text worth keeping for a screen
_LEAST_SPAN = 2.0  # seconds within a verb before its rate means anything


@dataclass
class RunView:
    """The whole state of a screen. Feed it events with `update`; read its fields and the questions below them."""

    clock: Callable[[], float] = time.time
    """Now, in seconds since the epoch like the events' own times."""

    # Said once, by run.started and run.leaves.
    run: str = ""
    student: str = ""
    teacher: str = ""
    evals: str = ""
    splits: dict[str, int] = field(default_factory=dict[str, int])
    rounds: int = 0
    chance: float | None = None
    caps: dict[str, float] = field(default_factory=dict[str, float])
    leaves: str = ""

    # Where it is.
    round: int = 0
    verb: str = ""
    strip: dict[str, Cell] = field(default_factory=dict[str, Cell])
    progress: Progress | None = None
    verb_seconds: dict[tuple[int, str], float] = field(default_factory=dict[tuple[int, str], float])
    losses: deque[tuple[int, float]] = field(default_factory=lambda: deque[tuple[int, float]](maxlen=240))
    steps: int = 0
    tokens_per_second: float | None = None

    # What came out.
    scores: dict[tuple[int, str, str], Score] = field(default_factory=dict[tuple[int, str, str], Score])
    verdicts: dict[str, tuple[int, str]] = field(default_factory=dict[str, tuple[int, str]])
    adopted: dict[int, tuple[str, int]] = field(default_factory=dict[int, tuple[str, int]])
    lessons: deque[Lesson] = field(default_factory=lambda: deque[Lesson](maxlen=8))
    weaknesses: dict[int, dict[str, WeaknessView]] = field(default_factory=dict[int, dict[str, WeaknessView]])
    spent: Spent = field(default_factory=Spent)
    retries: Counter[str] = field(default_factory=Counter[str])
    notes: dict[str, int] = field(default_factory=dict[str, int])
    decisions: dict[int, str] = field(default_factory=dict[int, str])
    best: int | None = None
    claim: str = ""
    status: str = ""
    reason: str = ""
    sentence: str = ""

    # Sessions: one, plus one for every resume.
    sessions: int = 0
    first_time: float = 0.0
    last_time: float = 0.0
    _session_from: float = 0.0
    _banked: float = 0.0
    _written: dict[int, int] = field(default_factory=dict[int, int])
    _loss_of: tuple[int, str] = (-1, "")
    _diagnosing: bool = False

    # What a screen asks for.

    @property
    def deciding_split(self) -> str:
        """The split rounds are chosen on: `select`; `mine` in cross-fit mode, or where the last round is kept and nothing is chosen."""
        if self.splits:
            return "select" if self.splits.get("select") else "mine"
        return "select" if any(score.split == "select" for score in self.scores.values()) else "mine"

    @property
    def deciding_words(self) -> str:
        """The same for a person."""
        if self.deciding_split == "select":
            return SELECT
        # An empty `select` is told; a cross-fitted run has none.
        return "mine" if "select" in self.splits else CROSS_FITTED

    @property
    def decision(self) -> str:
        """The sentence of the latest decision."""
        return self.decisions[max(self.decisions)] if self.decisions else ""

    @property
    def lesson(self) -> Lesson | None:
        """The last accepted lesson."""
        return self.lessons[-1] if self.lessons else None

    @property
    def accepted(self) -> int:
        """Candidates that became lessons, over all rounds."""
        return sum(reason == ACCEPTED for _, reason in self.verdicts.values())

    @property
    def written(self) -> int:
        """Candidates the teacher wrote: those judged, or more where generation says it is further."""
        judged = Counter(number for number, _ in self.verdicts.values())
        return sum(max(judged[number], self._written.get(number, 0)) for number in judged.keys() | self._written.keys())

    def rejected(self, number: int | None = None) -> Counter[str]:
        """Rejected candidates by reason, of one round or of all."""
        rows = [reason for at, reason in self.verdicts.values() if number is None or at == number]
        return Counter(reason for reason in rows if reason != ACCEPTED)

    def accepted_until(self, number: int) -> int:
        """Lessons a student of this round was trained on."""
        taken_over = sum(count for at, (_, count) in self.adopted.items() if at <= number)
        return taken_over + sum(reason == ACCEPTED and at <= number for at, reason in self.verdicts.values())

    def current_weaknesses(self) -> list[WeaknessView]:
        """Those of the latest round that has any, the largest first."""
        latest = self.weaknesses[max(self.weaknesses)] if self.weaknesses else {}
        return sorted(latest.values(), key=lambda weakness: -weakness.failures)

    def seconds_by_verb(self) -> dict[str, float]:
        """Wall seconds of finished verbs, over all rounds, in the order verbs run."""
        totals: dict[str, float] = {}
        for (_, verb), seconds in self.verb_seconds.items():
            totals[verb] = totals.get(verb, 0.0) + seconds
        return dict(sorted(totals.items(), key=lambda row: _place(row[0])))

    def budget(self) -> list[BudgetLine]:
        """Every cap that is set and can be compared with what was spent, the scarcest first."""
        used = {"tokens": self.spent.tokens, "requests": self.spent.requests, "money": self.spent.money}
        known = [BudgetLine(k, v, self.caps[k]) for k, v in used.items() if v is not None and k in self.caps]
        return sorted(known, key=lambda line: -line.share)

    def elapsed(self, live: bool = False) -> float:
        """Seconds the run worked, over all its sessions; to the last event, or to now while it is `live`."""
        until = self.clock() if live and self.sessions and not self.status else self.last_time
        return self._banked + max(0.0, until - self._session_from)

    def verb_elapsed(self) -> float:
        """Seconds since the running verb started."""
        cell = self.strip.get(self.verb)
        return max(0.0, self.clock() - cell.started) if cell else 0.0

    def eta(self) -> float | None:
        """Seconds the running verb still needs at its own rate; None while that is anybody's guess."""
        at = self.progress
        if at is None or at.total <= 0 or at.done <= at.base_done or at.at - at.base_at < _LEAST_SPAN:
            return None
        done = at.done - at.base_done
        per_unit = (at.at - at.base_at) / done
        waited = max(0.0, self.clock() - at.at)
        # Counts down between two reports; once the next unit is overdue, the wait itself slows the rate.
        slowed = per_unit + max(0.0, waited - per_unit) / done
        return max(0.0, (at.total - at.done) * slowed - min(waited, per_unit))

    # What events do.

    def update(self, event: Event) -> None:
        """Take one event in. Names this version does not know are ignored."""
        name = str(event.get("event", ""))
        when = _number(event.get("time"))
        when = self.clock() if when is None else when
        if name == "run.started":
            self._open_session(when)
        self.last_time = when
        handler = self._HANDLERS.get(name)
        if handler:
            handler(self, event)

    def replay(self, events: Iterable[Event]) -> RunView:
        """Take many events in; returns itself."""
        for event in events:
            self.update(event)
        return self

    def _open_session(self, when: float) -> None:
        if self.sessions:
            self._banked += max(0.0, self.last_time - self._session_from)
        self.sessions += 1
        self.first_time = self.first_time or when
        self._session_from = when
        # What ran when the process died is not running now; the resumed run says what it starts again.
        self.strip = {verb: cell for verb, cell in self.strip.items() if cell.seconds is not None}
        self.verb, self.progress = "", None
        self.status, self.reason, self.sentence = "", "", ""

    def _run_started(self, event: Event) -> None:
        self.run, self.student = _text(event, "run"), _text(event, "student")
        self.teacher, self.evals = _text(event, "teacher"), _text(event, "evals")
        self.splits = {name: int(amount) for name, amount in _numbers(event.get("splits")).items()}
        self.rounds, self.chance = _int(event, "rounds"), _number(event.get("chance"))
        self.caps.update(_numbers(event.get("budget")))

    def _run_leaves(self, event: Event) -> None:
        columns: object = event.get("columns")
        named = ", ".join(str(c) for c in cast(list[object], columns)) if isinstance(columns, list) else str(columns)
        self.leaves = (
            f"{named} of {_int(event, 'items')} items, and the student's answers to them, go to {_text(event, 'host')}"
        )

    def _verb_started(self, event: Event) -> None:
        self._enter(_int(event, "round"), _text(event, "verb"))

    def _enter(self, number: int, verb: str) -> None:
        """Light a verb. Those that come after it in the lap are ahead again."""
        self.strip = {name: cell for name, cell in self.strip.items() if _place(name) < _place(verb)}
        self.strip[verb] = Cell(number, self.last_time)
        self.round, self.verb, self.progress = number, verb, None
        self._diagnosing = self._diagnosing or verb == "diagnose"

    def _verb_progress(self, event: Event) -> None:
        number, verb = _int(event, "round"), _text(event, "verb")
        if (verb, number) != (self.verb, self.round):
            self._enter(number, verb)
        done, total, unit = _int(event, "done"), _int(event, "total"), _text(event, "unit")
        base_at, base_done = self._measured_from(done, total, unit)
        note = _text(event, "note")
        self.progress = Progress(number, verb, done, total, unit, note, self.last_time, base_at, base_done)
        if verb == "generate" and unit.startswith(("lesson", "candidate")):
            self._written[number] = max(done, self._written.get(number, 0))

    def _measured_from(self, done: int, total: int, unit: str) -> tuple[float, int]:
        """Where the rate is measured from: units that were there at once (reused work) must not count as speed."""
        before, started = self.progress, self.strip[self.verb].started
        if before is None:
            return (started, 0) if self.last_time - started >= _LEAST_SPAN else (self.last_time, done)
        if (total, unit) != (before.total, before.unit) or done < before.done:
            return self.last_time, done
        return before.base_at, before.base_done

    def _verb_done(self, event: Event) -> None:
        number, verb = _int(event, "round"), _text(event, "verb")
        seconds = _number(event.get("seconds")) or 0.0
        started = self.strip[verb].started if verb in self.strip else self.last_time - seconds
        self.verb_seconds[number, verb] = seconds
        self.strip[verb] = Cell(number, started, seconds)
        if verb == self.verb:
            self.verb, self.progress = "", None

    def _loss(self, event: Event) -> None:
        step, value = _int(event, "step"), _number(event.get("loss"))
        owner = (_int(event, "round"), _text(event, "student"))
        if owner != self._loss_of:
            self.losses.clear()
            self._loss_of = owner
        while self.losses and self.losses[-1][0] >= step:
            self.losses.pop()  # a resumed training repeats the steps after its last checkpoint
        if value is not None:
            self.losses.append((step, value))
        self.steps, self.tokens_per_second = _int(event, "steps"), _number(event.get("tokens_per_second"))

    def _score(self, event: Event) -> None:
        key = (_int(event, "round"), _text(event, "student"), _text(event, "split"))
        low, high = _number(event.get("low")) or 0.0, _number(event.get("high")) or 0.0
        unread = _int(event, "truncated"), _int(event, "malformed")
        self.scores[key] = Score(*key, _int(event, "n"), _int(event, "right"), low, high, *unread)

    def _decided(self, event: Event) -> None:
        self.decisions[_int(event, "round")] = _text(event, "sentence") or _text(event, "reason")
        self.best = _int(event, "best") if _number(event.get("best")) is not None else self.best

    def _weakness(self, event: Event) -> None:
        groups = self.weaknesses.setdefault(_int(event, "round"), {})
        if self._diagnosing:
            groups.clear()  # diagnosing again replaces what an interrupted diagnosis said
            self._diagnosing = False
        view = WeaknessView(_text(event, "name"), _int(event, "failures"), _int(event, "lessons"))
        groups[_text(event, "id")] = view

    def _accepted(self, event: Event) -> None:
        number, aim = _int(event, "round"), _text(event, "weakness")
        self.verdicts[self._candidate(event)] = (number, ACCEPTED)
        known = self.weaknesses.get(number, {}).get(aim)
        text = (_text(event, "prompt"), _text(event, "answer"), _text(event, "strategy"))
        lesson = Lesson(number, *text, weakness=known.name if known else aim)
        if lesson in self.lessons:
            self.lessons.remove(lesson)  # said again after a resume
        self.lessons.append(lesson)

    def _adopted(self, event: Event) -> None:
        self.adopted[_int(event, "round")] = (_text(event, "run"), _int(event, "lessons"))

    def _rejected(self, event: Event) -> None:
        self.verdicts[self._candidate(event)] = (_int(event, "round"), _text(event, "reason") or "unnamed")

    def _candidate(self, event: Event) -> str:
        # A reply nobody could parse holds no candidate, so its rejection has no id of its own.
        return _text(event, "id") or f"event {event.get('n', len(self.verdicts))}"

    def _spent(self, event: Event) -> None:
        names = ("requests", "prompt_tokens", "completion_tokens", "reused_requests")
        self.spent = Spent(*(_int(event, name) for name in names), money=_number(event.get("money")))
        self.caps.update(_numbers(event.get("budget")))

    def _retry(self, event: Event) -> None:
        self.retries[_text(event, "reason")] += 1

    def _note(self, event: Event) -> None:
        text = _text(event, "text")
        self.notes[text] = self.notes.pop(text, 0) + 1  # the latest stays last

    def _claim(self, event: Event) -> None:
        self.claim = _text(event, "sentence")
        self.best = _int(event, "best") if _number(event.get("best")) is not None else self.best

    def _run_ended(self, event: Event) -> None:
        self.verb, self.progress = "", None
        self.status, self.reason = _text(event, "status"), _text(event, "reason")
        self.sentence = _text(event, "sentence")
        self.best = _int(event, "best") if _number(event.get("best")) is not None else self.best

    _HANDLERS: ClassVar[dict[str, Callable[[RunView, Event], None]]] = {
        "run.started": _run_started,
        "run.leaves": _run_leaves,
        "verb.started": _verb_started,
        "verb.progress": _verb_progress,
        "verb.done": _verb_done,
        "loss": _loss,
        "score": _score,
        "decided": _decided,
        "weakness": _weakness,
        "accepted": _accepted,
        "adopted": _adopted,
        "rejected": _rejected,
        "spent": _spent,
        "retry": _retry,
        "note": _note,
        "claim": _claim,
        "run.ended": _run_ended,
    }


def _place(verb: str) -> int:
    return VERBS.index(verb) if verb in VERBS else len(VERBS)


def _text(event: Event, name: str) -> str:
    value = event.get(name)
    return "" if value is None else str(value)[:_TEXT_KEPT]


def _number(value: object) -> float | None:
    """A finite number, or None: a missing field and a NaN loss are both nothing to draw."""
    good = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(cast(float, value)) if good else None


def _int(event: Event, name: str) -> int:
    return int(_number(event.get(name)) or 0)


def _numbers(value: object) -> dict[str, float]:
    rows = cast(dict[object, object], value).items() if isinstance(value, dict) else ()
    return {str(name): number for name, amount in rows if (number := _number(amount)) is not None}

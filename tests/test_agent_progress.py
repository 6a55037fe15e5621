"""What a screen is told must be true for a run as it happens, for a finished log, and for one that was killed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agent.progress import RunView
from loops.events import Event, read_events

SAMPLE = Path(__file__).parent / "fixtures" / "events_sample.jsonl"


class Clock:
    """A clock that moves when told."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def event(name: str, at: float = 1000.0, /, **fields: Any) -> Event:
    return {"n": 0, "time": at, "event": name, **fields}


def progress(at: float, done: int, total: int = 60, **fields: Any) -> Event:
    return event("verb.progress", at, round=1, verb="generate", done=done, total=total, unit="lessons", **fields)


def sample() -> list[Event]:
    return list(read_events(SAMPLE))


def facts(view: RunView) -> tuple[object, ...]:
    return (view.scores, view.accepted, view.rejected(), view.written, view.seconds_by_verb(), view.best, view.spent)


def test_a_whole_log_tells_what_happened():
    view = RunView().replay(sample())
    assert (view.status, view.best, view.accepted, view.written) == ("done", 2, 60, 120)
    assert view.rejected()["duplicate"] == 33
    assert view.rejected(1)["duplicate"] == 14
    assert view.accepted_until(1) == 33
    assert view.scores[2, "round 2", "test"].right == 362
    assert view.claim.startswith("Shown:")
    assert view.seconds_by_verb()["train"] == pytest.approx(71 + 148 + 226)
    assert [line.name for line in view.budget()] == ["requests", "tokens"]
    assert view.spent.money is None
    assert view.lesson is not None
    assert view.lesson.weakness == "ABBR taken for DESC"


@pytest.mark.parametrize("killed_at", [40, 121, 150, 190, 300, 360])
def test_a_run_killed_and_resumed_counts_everything_once(killed_at: int):
    events = sample()
    again = max(0, killed_at - 35)  # the verb that was cut short is done over, and says again what it said before
    resumed = {**events[0], "resumed": True, "time": events[killed_at]["time"] + 3600}
    replayed = [{**e, "time": e["time"] + 3600} for e in events[again:]]
    view = RunView().replay([*events[:killed_at], resumed, *replayed])
    assert facts(view) == facts(RunView().replay(events))
    assert view.sessions == 2
    assert view.elapsed() < RunView().replay(events).elapsed() + 400  # the hour in between was not worked


def test_a_killed_run_shows_no_verb_as_running_once_it_is_resumed():
    view = RunView().replay(sample()[:100])
    assert view.verb
    view.update({**sample()[0], "resumed": True})
    assert (view.verb, view.progress, view.status) == ("", None, "")


def test_the_eta_follows_the_rate_and_the_clock():
    clock = Clock()
    view = RunView(clock)
    view.update(event("verb.started", 1000, round=1, verb="generate"))
    assert view.eta() is None
    view.update(progress(1010, 10))
    clock.now = 1010
    assert view.eta() == pytest.approx(50)
    view.update(progress(1030, 20))
    clock.now = 1030
    assert view.eta() == pytest.approx(60)  # 1.5 s a lesson by now
    clock.now = 1031
    assert view.eta() == pytest.approx(59)
    clock.now = 1130
    assert (view.eta() or 0) > 200  # nothing came for 100 s: that is the rate now


def test_work_that_was_there_already_is_not_speed():
    clock = Clock(1000.2)
    view = RunView(clock)
    view.update(event("verb.started", 1000, round=1, verb="generate"))
    view.update(progress(1000.2, 40))  # forty replies lie in the ledger
    assert view.eta() is None
    view.update(progress(1010.2, 42))
    clock.now = 1010.2
    assert view.eta() == pytest.approx(90)


def test_unknown_events_and_missing_fields_are_no_trouble():
    view = RunView(Clock())
    names = [str(e["event"]) for e in sample()]
    view.replay([event("verb.started", 1000, round=0, verb="invented"), *({"event": name} for name in names)])
    view.update({"event": "from.the.future", "time": 1.0, "surprise": [1]})
    view.update({})
    view.update(event("loss", 1000, step=1, loss=float("nan")))
    assert view.losses.count((1, 0.0)) == 0


def test_diagnosing_again_replaces_the_weaknesses_of_an_interrupted_diagnosis():
    view = RunView()
    for names in (["old one", "old two"], ["new"]):
        view.update(event("verb.started", 1000, round=1, verb="diagnose"))
        for place, name in enumerate(names):
            view.update(event("weakness", 1000, round=1, id=f"001-{place}", name=name, failures=3, lessons=4))
    assert [weakness.name for weakness in view.current_weaknesses()] == ["new"]


def test_cross_fit_decides_on_mine():
    view = RunView().replay([event("run.started", 1000, run="x", splits={"mine": 40, "test": 100})])
    assert view.deciding_split == "mine"


@pytest.mark.parametrize(
    ("splits", "words"),
    [({"mine": 20, "test": 9}, "mine (cross-fitted)"), ({"mine": 20, "select": 0, "test": 9}, "mine"),
     ({"mine": 20, "select": 5, "test": 9}, "select")],
)  # fmt: skip
def test_what_decides_is_called_by_its_name(splits: dict[str, int], words: str) -> None:
    view = RunView().replay([event("run.started", 1000, run="x", splits=splits)])
    assert view.deciding_words == words


def test_notes_are_counted_and_the_latest_is_last():
    texts = ("a", "b", "a")
    view = RunView().replay([event("note", 1000, text=text) for text in texts])
    assert list(view.notes.items()) == [("b", 1), ("a", 2)]

"""The sections of a frame: scores, claim, loss, lessons, budget, weaknesses and notes, each in more or fewer lines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from rich.cells import cell_len
from rich.text import Text

from agent.plots import Glyphs, axis, axis_labels, interval_bar
from agent.progress import RunView
from agent.safe import clip, safe
from agent.tables import amount, by_reason, percent, plural
from agent.viewed import Score

GUTTER = 12  # cells for the names at the left edge
FILLER = 8  # sections of this rank or higher only fill room that nothing else wants


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


def results(view: RunView, width: int, glyphs: Glyphs) -> list[Section]:
    room = width - GUTTER
    curve = [] if view.status else _curve(view, room, glyphs)
    return [
        _accuracy(view, room, glyphs),
        _words("claim", -1, view.claim, room, glyphs, "bold"),
        _words("decided", 4, view.decision if not view.status else "", room, glyphs),
        _fixed("loss", 2 if view.verb == "train" else 8, curve),
    ]


def teaching(view: RunView, width: int, glyphs: Glyphs) -> list[Section]:
    room = width - GUTTER
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
    roles = ("teacher", "zero-shot", "few-shot", "other", "seed-only", "control", "round")
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
    return [meter(left, width, glyphs, "cyan" if left > 0.1 else "magenta").append(words, "default"), *lines]


def meter(share: float, width: int, glyphs: Glyphs, style: str) -> Text:
    full = round(share * width)
    return Text(glyphs.full * full, style).append(glyphs.line * (width - full), "dim")


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

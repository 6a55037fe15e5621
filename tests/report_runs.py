"""Run folders for the tests of `llm2llm report`, written straight to files: any number of rounds and items, in no time.

`made_run` is a whole run whose numbers follow from a few hashes, so it is the same every time; `hostile` puts into every text that
data can bring in what would break a page, a table or a terminal that believed it. `Page` is what a browser would find on a page.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import yaml

from agent.report import write_report
from loops.run_folder import RunFolder

HOSTILE = (
    "<script>alert(1)</script><img src=x onerror=alert(2)> [link](https://evil.example) ![i](https://evil.example/i.png)\n"
    "# heading\n| a | b |\n|---|---|\n| `` ` `` | ``` |\n<!-- --> </svg></td></table> www.evil.example a@evil.example @team "
    "https://evil.example {{ 7*7 }} {% raw %} &lt;b&gt; \x1b[31mred \u202etxet\u202c \u200bhid\ufeffden \x00 \x07 \"'` * _ ~~ \\"
)
"""Everything at once: markup of every kind, template syntax, escape sequences, text that turns around, text that hides."""
WORDS = (
    "order",
    "refund",
    "parcel",
    "invoice",
    "password",
    "late",
    "broken",
    "twice",
    "cancel",
    "address",
    "card",
    "size",
)


def luck(*about: object) -> float:
    """A number from 0 to 1 that depends on nothing but what it is about."""
    return int.from_bytes(hashlib.sha256("/".join(map(str, about)).encode()).digest()[:4]) / 2**32


def made_run(
    root: Path, name: str = "made-1", rounds: int = 3, items: int = 60, lessons: int = 24, hostile: bool = False
) -> Path:
    """A finished run of so many teaching rounds and items in each split, in `root / name`."""
    base = root / name
    spoil = HOSTILE if hostile else ""
    ids = {split: [f"{split[0]}{at:05d}" for at in range(items)] for split in ("mine", "select", "test")}
    skills = {
        item: f"skill {int(luck('skill', item) * 12):02d} {spoil}".strip() for split in ids.values() for item in split
    }
    write_json(base / "splits.json", {"fingerprint": "f" * 64, **ids, "skills": skills})
    settings = {"graph_version": 2, "evals_fingerprint": "f" * 64, "evals": "evals.yaml", "student": {"model": f"tiny {spoil}"},
                "teacher": {"model": f"big {spoil}"}, "curate": {"real_share": 0.3}, "mine": {"how": "out-of-fold"}}  # fmt: skip
    write(base / "config.yaml", yaml.safe_dump(settings))
    write_json(base / "machine.json", {"device": "cpu", "dtype": "bfloat16", "threads": 2, "gflops": 361.5})
    for who, level in (("zero-shot", 0.2), ("few-shot", 0.35)):
        for split, place in (("select", "baseline"), ("test", "claim")):
            write_lines(base / place / f"attempts.{who}.{split}.jsonl", attempts(ids[split], level, who, spoil))
    write_lines(base / "baseline" / "attempts.teacher.mine.jsonl", attempts(ids["mine"][:40], 0.9, "teacher", spoil))
    best = max(1, rounds - 1)
    for number in range(rounds + 1):
        _round(base, number, best, ids, lessons, spoil)
    for who, level in (("seed-only", 0.5), ("best", 0.62)):
        write_lines(base / "claim" / f"attempts.{who}.test.jsonl", attempts(ids["test"], level, "on test", spoil))
    _claim(base, best, ids["test"])
    write_lines(base / "events.jsonl", _events(name, rounds, best, ids, spoil))
    opened = [
        {"split": "f" * 64, "run": f"older-{spoil}", "time": 1_790_000_000},
        {"split": "f" * 64, "run": name, "time": 1_790_600_000},
    ]
    write_lines(root / "test-openings.jsonl", [*opened, {"split": "e" * 64, "run": "another-1", "time": 1}])
    return base


def attempts(items: Iterable[str], level: float, about: str, spoil: str = "") -> list[dict[str, Any]]:
    """One attempt per item, right with about this probability; who is better is right on all the others are."""
    rows: list[dict[str, Any]] = []
    for item in items:
        right = luck(item) * 0.8 + 0.2 * luck(item, about) < level
        outcome = "right" if right else "truncated" if luck("cut", item) < 0.02 else "wrong"
        rows.append(
            {"item_id": item, "output": f"answer {spoil}", "outcome": outcome, "score": float(right), "margin": None}
        )
    return rows


def _round(base: Path, number: int, best: int, ids: dict[str, list[str]], lessons: int, spoil: str) -> None:
    place, level = base / "rounds" / f"{number:03d}", 0.5 + 0.12 * min(1, number / best)
    write_lines(place / "attempts.select.jsonl", attempts(ids["select"], level, f"round {number}", spoil))
    sentence = f"round {min(number, best)} is best so far; going on"
    write_json(place / "decision.json", {"best": min(number, best), "reason": None, "sentence": sentence, "barred": {}})
    trained = {
        "steps": 40 + number,
        "tokens": 9000 + 100 * number,
        "final_loss": 0.5 / (1 + number),
        "dropped_too_long": number,
    }
    write_json(place / "adapter" / "training.json", trained)
    if number:
        _teaching(place, number, attempts(ids["mine"], level - 0.05, "mined", spoil), lessons, spoil)


def _teaching(place: Path, number: int, mined: list[dict[str, Any]], lessons: int, spoil: str) -> None:
    wrong = [row["item_id"] for row in mined if row["outcome"] == "wrong"]
    groups = [wrong[at::3] for at in range(3)]
    weak = [
        {"id": f"{number:03d}-{at:02d}", "name": f"weakness {at} {spoil}".strip(), "lessons": lessons // 3, "skill": "", "wrong_move": "",
         "failures": [{"seed": seed(item, spoil), "wrong_answer": f"no {spoil}", "margin": None, "barely": False} for item in group]}
        for at, group in enumerate(groups)
    ]  # fmt: skip
    written = [_candidate(number, at, weak[at % 3], spoil) for at in range(lessons)]
    verdicts = [_verdict(one, at, spoil) for at, one in enumerate(written)]
    accepted = {row["candidate_id"] for row in verdicts if row["accepted"]}
    write_lines(place / "attempts.mine.jsonl", mined)
    write_lines(place / "weaknesses.jsonl", weak)
    write_lines(place / "candidates.jsonl", written)
    write_lines(place / "verdicts.jsonl", verdicts)
    write_lines(place / "lessons.jsonl", [one for one in written if one["id"] in accepted])
    write_json(place / "witnesses.json", [{"name": "teacher", "asked": 40, "right": 36, "table": {}}])
    spread = {"texts": 24, "distinct_1": 0.5, "distinct_2": 0.8, "distinct_3": 0.9, "self_similarity": 0.2}
    alarms = [f"lessons repeat themselves {spoil}".strip()] if number == 1 else []
    kinds = {"seeds": spread, "lessons": {**spread, "distinct_2": 0.7}, "all_lessons": {**spread, "distinct_1": 0.4}}
    write_json(place / "diversity.json", {**kinds, "real_share": 0.6, "alarms": alarms})


def seed(item: str, spoil: str = "") -> dict[str, Any]:
    """A labelled item."""
    text = " ".join(WORDS[int(luck(item, at) * len(WORDS))] for at in range(7))
    return {
        "id": item,
        "prompt": f"{text} {spoil}".strip(),
        "answer": "refunds",
        "skill": "",
        "choices": [],
        "turns": [],
    }


def _candidate(number: int, at: int, weak: dict[str, Any], spoil: str) -> dict[str, Any]:
    about = seed(f"lesson {number} {at}", spoil)
    parent = weak["failures"][at % len(weak["failures"])]["seed"]["id"] if weak["failures"] else "m00000"
    return {"id": f"{number:02d}{at:06d}abcdef01", "prompt": about["prompt"], "answer": about["answer"], "skill": "", "choices": [],
            "round": number, "weakness_id": weak["id"], "parent_id": parent, "strategy": ("contrast", "errors")[at % 2],
            "request_key": "", "shown_ids": []}  # fmt: skip


def _verdict(one: dict[str, Any], at: int, spoil: str) -> dict[str, Any]:
    reason = ("accepted", "accepted", "accepted", "duplicate", "answer-doubted")[at % 5]
    detail = "" if reason == "accepted" else f"as like as two peas {spoil}"
    return {"candidate_id": one["id"], "accepted": reason == "accepted", "reason": reason, "detail": detail[:200]}


def _claim(base: Path, best: int, items: list[str]) -> None:
    old, new = (attempts(items, level, "on test") for level in (0.5, 0.62))
    gained = sum(b["outcome"] == "right" != a["outcome"] for a, b in zip(old, new, strict=True))
    lost = sum(a["outcome"] == "right" != b["outcome"] for a, b in zip(old, new, strict=True))
    gain = (gained - lost) / len(items)
    sentence = (
        f"Shown on test: the student of round {best} is better than the seed-only student: {100 * gain:+.1f} points."
    )
    write_json(base / "claim" / "claim.json", {
        "best": best, "n": len(items), "gain": gain, "low": gain / 2, "high": gain * 1.5, "gained": gained, "lost": lost, "p": 0.0001,
        "sentence": sentence, "test_seen_before_by": ["older-1"],
    })  # fmt: skip


def _events(name: str, rounds: int, best: int, ids: dict[str, list[str]], spoil: str) -> list[dict[str, Any]]:
    splits = {split: len(items) for split, items in ids.items()}
    rows: list[dict[str, Any]] = [{"event": "run.started", "run": name, "resumed": False, "student": "tiny", "teacher": "big",
                                   "evals": f"tickets {spoil}", "splits": splits, "rounds": rounds, "chance": 0.25}]  # fmt: skip
    for number in range(rounds + 1):
        for verb in (
            ("mine", "diagnose", "generate", "curate", "train", "evaluate", "decide")
            if number
            else ("baseline", "train")
        ):
            rows += [{"event": "verb.started", "round": number, "verb": verb},
                     {"event": "verb.done", "round": number, "verb": verb, "seconds": 12.5}]  # fmt: skip
    rows += [{"event": "note", "text": f"a note {spoil}"}, {"event": "retry", "reason": f"busy {spoil}", "wait": 1.0}]
    rows.append(
        {
            "event": "run.ended",
            "status": "done",
            "reason": "rounds",
            "sentence": f"done: the best round is {best}",
            "best": best,
        }
    )
    return [{"seq": at, "time": 1_790_500_000.0 + 13 * at, **row} for at, row in enumerate(rows)]


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    write(path, json.dumps(value, indent=1))


def write_lines(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    write(path, "".join(json.dumps(row) + "\n" for row in rows))


def change_json(path: Path, **values: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


# What is read back.

SECTIONS = ["Verdict", "Accuracy by round", "On test", "By skill", "Items learned and lost", "Failures and lessons", "The data", "Cost",
            "What was not shown", "Openings of test", "What happened along the way", "Settings and versions"]  # fmt: skip
INLINE = {"a", "bdi", "strong", "small"}
VOID = {"meta", "br", "img", "link", "hr", "input"}


class Page(HTMLParser):
    """What a browser would find: every element with its attributes, the text of some, and whether all are closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[tuple[str, ...], str]] = []
        self.tables: list[list[list[str]]] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert not self._open, f"never closed: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        self._break(tag)
        if tag not in VOID:
            self._open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open and self._open[-1] == tag, f"</{tag}> closes {self._open[-3:]}"
        self._break(tag)
        self._open.pop()

    def _break(self, tag: str) -> None:
        """What is no part of a line ends the word before it."""
        if tag not in INLINE:
            self.texts.append((tuple(self._open), " "))

    def handle_data(self, data: str) -> None:
        self.texts.append((tuple(self._open), data))
        if {"td", "th"} & set(self._open):
            self.tables[-1][-1][-1] += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]

    def text(self, *tags: str) -> str:
        wanted = [text for path, text in self.texts if "style" not in path and (not tags or set(tags) & set(path))]
        return " ".join("".join(wanted).split())

    def each(self, tag: str) -> list[str]:
        """The text right inside each element of that name."""
        return [text for path, text in self.texts if path and path[-1] == tag and text.strip()]

    def rows(self) -> list[list[str]]:
        """The rows of all tables."""
        return [row for table in self.tables for row in table]


def report(run: Path, to: Path | None = None) -> tuple[Page, str, str]:
    """The page as it is found and as it is written, and the Markdown."""
    html, markdown = write_report(RunFolder(run), to or run)
    text = html.read_text(encoding="utf-8")
    return Page(text), text, markdown.read_text(encoding="utf-8")

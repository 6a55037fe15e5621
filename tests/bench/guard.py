"""How well the guard of held-out items works: planted copies caught, honest lessons dropped, and the curve of its threshold.

In: a folder with the public sets TREC, SNIPS, SST-2 and GSM8K (`trec/test.jsonl`, ...), as argument or in LLM2LLM_DATA. In
each, the test items are held out, 200 training items are the seeds, and 3,000 other training items play the honest lessons:
real texts of the same source, among them copies that the set's makers overlooked, so these are counted by themselves. 200
test items are planted: as they are, lightly edited, inside other texts, and reworded by rule, ever more freely. The rules
were chosen by these numbers, so they are taken once more in a second draw: training items not used above are held out, others
are the seeds and the honest lessons. (Blanks, and the share with few seeds, were chosen with that draw in sight, too.) All of it
once more with 60 seeds, which show less of what the task repeats.

    LLM2LLM_DATA=folder python tests/bench/guard.py         one JSON line a set, then the tables of docs/likeness.md
"""

from __future__ import annotations

import csv
import json
import os
import random
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from student.copies import LONG, SHORTEST, Copies
from student.held_out import HeldOut
from student.records import HeldOutItem, Seed
from student.similar import TextIndex
from student.wording import numbers, words

SETS = {
    "TREC": ("trec/train.jsonl", "trec/test.jsonl", "question"),
    "SNIPS": ("snips/train.jsonl", "snips/test.jsonl", "text"),
    "SST-2": ("sst2/train.csv", "sst2/test.csv", "sentence"),
    "GSM8K": ("gsm8k/train.jsonl", "gsm8k/test.jsonl", "question"),
}
SEEDS, FEWER, HONEST, PLANTED, FRESH = 200, 60, 3_000, 200, 500
CURVE = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
LEADS = ("Could you tell me", "I would like to know", "Please answer this", "Quick question", "Help me with this one")

SAME = [line.split() for line in """
what which|big large huge|small little tiny|film movie|kind type sort|author writer|wrote authored|invented created|name title
begin start|began started|country nation|city town|called named|year date|people persons|person individual|make produce
made produced|famous well-known|mean signify|located situated|place spot|find locate|found discovered|how what|many numerous
number amount|give assign|rate score|play start|add put|book reserve|restaurant diner|table seat|song track|music tunes
album record|weather forecast|show display|near around|nearby close|tell inform|need want|want wish|new fresh|old aged
good fine|great terrific|bad poor|funny amusing|boring dull|story plot|actor performer|character figure|picture image
enough sufficiently|very really|too overly|best finest|worst poorest|always ever|never hardly|every each|all entire
buys purchases|bought purchased|buy purchase|costs sells|cost price|money cash|dollars bucks|earns makes|gets receives|has owns
had owned|gave handed|total sum|left remaining|each apiece|day date|week sennight|hour 60-minutes|minutes min|half 50%
twice doubly|more additional|less fewer|first initial|last final|long lengthy|tall high|fast quick|car vehicle|house home
child kid|children kids|man guy|woman lady|friend pal|friends pals|school academy|work labor|job post|store shop|sells vends
sold vended|ate consumed|eats consumes|needs requires|wants wishes|went walked|goes walks|uses employs|used employed|if when
president head|capital seat|population inhabitants|river stream|world globe|war conflict|died perished|born delivered|stand go
""".replace("\n", "|").strip("|").split("|")]  # fmt: skip
SYNONYM = {one: pair[1] if one == pair[0] else pair[0] for pair in SAME for one in pair}
JOINTS = "in on at for to of and with is from if"
"""Words before which a sentence may be cut in two."""
FILLERS = "a an the of is are was were do does did to in on at for and that this there it its be by with my me"


def read(folder: Path, name: str) -> tuple[list[str], list[str]]:
    """The training and the test texts of one set."""
    train, test, column = SETS[name]
    return _column(folder / train, column), _column(folder / test, column)


def _column(path: Path, column: str) -> list[str]:
    lines = path.read_text(encoding="utf-8").rstrip("\n").split("\n")
    rows = csv.DictReader(lines) if path.suffix == ".csv" else map(json.loads, lines)
    return [row[column] for row in rows]


def edits(item: str, draw: random.Random, others: Sequence[str]) -> dict[str, str]:
    """The item in its disguises that are no rewordings; those that its length allows."""
    parts, before, after = item.split(), draw.choice(others), draw.choice(others)
    says = [at for at, part in enumerate(parts) if words(part)]
    longest = max(says, key=lambda at: len(parts[at]))
    at, light = draw.choice(says), draw.choice([at for at in says if at != longest] or says)
    size = len(words(item))
    made = {
        "exact": item, "case": item.swapcase(), "punctuation": re.sub(r"[^\w\s]", " ", item) + " !?",
        "number": re.sub(r"\d+", lambda digits: str(int(digits.group()) + draw.randint(1, 99)), item, count=1),
        "typo": _put(parts, longest, _typo(parts[longest], draw)),
        "inside": f"{before} {item} {after}",
    }  # fmt: skip
    if made["number"] == item:
        del made["number"]
    new = draw.choice([word for word in draw.choice(others).split() if len(words(word)) == 1])
    if size >= LONG:
        changed = _put(parts, at, new)
        made |= {"word": changed, "word dropped": _put(parts, at, ""), "inside, word": f"{before} {changed} {after}"}
    elif size >= SHORTEST:
        made |= {
            "short: a word but the longest": _put(parts, light, new),
            "short: the longest word": _put(parts, longest, new),
        }
    if size >= SHORTEST:
        turn = draw.randrange(len(parts) - 1)
        made["words swapped"] = " ".join([*parts[:turn], parts[turn + 1], parts[turn], *parts[turn + 2 :]])
    if size >= 20:
        start, part = draw.randrange(len(parts) * 4 // 10), len(parts) * 6 // 10
        made["60 % quoted"] = f"{before} {' '.join(parts[start : start + part])} {after}"
    return made


def _put(parts: Sequence[str], at: int, new: str) -> str:
    return " ".join([*parts[:at], *new.split(), *parts[at + 1 :]])


def _typo(word: str, draw: random.Random) -> str:
    at = draw.randrange(max(1, len(word) - 1))
    return word[:at] + word[at + 1 : at + 2] + word[at : at + 1] + word[at + 2 :]


def rewordings(item: str, draw: random.Random) -> list[str]:
    """The item said otherwise, five times, each further from it than the one before."""
    plain = item.rstrip(" ?.!").lower()
    asked = f"{draw.choice(LEADS)}: {plain}, please"
    some = " ".join(_synonym(word) if draw.random() < 0.5 else word for word in plain.split())
    other = " ".join(map(_synonym, plain.split()))
    turned = _turn(other)
    bare = " ".join(word for word in turned.split() if word not in FILLERS.split())
    return [
        asked,
        f"{draw.choice(LEADS)}: {some}",
        f"{draw.choice(LEADS)}: {other}",
        f"{draw.choice(LEADS)}: {turned}",
        bare,
    ]


def _synonym(word: str) -> str:
    bare = word.strip(".,;:!?\"'")
    return word.replace(bare, SYNONYM[bare]) if bare in SYNONYM else word


def _turn(text: str) -> str:
    """The second half first: at a comma or a small word near the middle, so that clauses stay whole."""
    parts = text.split()
    cuts = [at for at in range(2, len(parts) - 1) if parts[at - 1][-1] in ",.;" or parts[at] in JOINTS.split()]
    cut = min(cuts, key=lambda at: abs(at - len(parts) / 2), default=len(parts) // 2)
    return " ".join(parts[cut:] + parts[:cut])


def measure(train: list[str], test: list[str], count: int = SEEDS, curved: bool = False) -> dict[str, Any]:
    """Everything about one set, with so many seeds; the curve only where it is wanted: it takes the longest."""
    draw = random.Random(0)
    train = draw.sample(train, len(train))
    seeds, others, rest = train[:count], train[SEEDS : 2 * SEEDS], train[2 * SEEDS :]
    held_out = HeldOut([], [HeldOutItem(id=str(at), prompt=text, answer="") for at, text in enumerate(test)])
    started = time.process_time()
    guard = held_out.guard([Seed(id=str(at), prompt=text, answer="") for at, text in enumerate(seeds)])
    built = time.process_time() - started
    known = TextIndex()
    known.add_many((str(at), text) for at, text in enumerate(test))
    likeness = [similarity for _, similarity in known.nearest_many(rest)]
    honest = [(text, one) for text, one in zip(rest, likeness, strict=True) if one < 1][:HONEST]
    started = time.process_time()
    dropped = [guard(text) is not None for text, _ in honest]
    each = (time.process_time() - started) / len(honest)
    unlike = [drop for drop, (_, one) in zip(dropped, honest, strict=True) if one < 0.6]
    planted = draw.sample(test, PLANTED)
    drills = _drills([*test, *seeds])
    caught: dict[str, list[bool]] = {}
    for item in planted:
        for name, copy in edits(item, draw, others).items():
            kind = "number of a drill" if name == "number" and words(item) in drills else name
            caught.setdefault(kind, []).append(guard(copy) is not None)
    reworded = list(zip(*(rewordings(item, draw) for item in planted if len(words(item)) >= LONG), strict=True))
    return {
        "held_out": len(test), "exact_in_train": sum(one == 1 for one in likeness), "honest": len(honest),
        "dropped": _percent(dropped), "unlike": len(unlike), "unlike_dropped": _percent(unlike),
        "share": Copies(test, seeds).share, "build_s": round(built, 2), "microseconds_a_check": round(each * 1e6),
        "caught": {kind: [sum(found), len(found)] for kind, found in caught.items()},
        "curve": curve(test, seeds, honest, reworded) if curved else {},
    }  # fmt: skip


def _drills(texts: Sequence[str]) -> set[tuple[str, ...]]:
    """What several texts are that differ in their numbers alone."""
    raw: dict[tuple[str, ...], set[tuple[str, ...]]] = {}
    for text in texts:
        raw.setdefault(words(text), set()).add(numbers(text))
    return {said for said, forms in raw.items() if len(forms) > 1}


def curve(
    test: Sequence[str], seeds: Sequence[str], honest: Sequence[tuple[str, float]], reworded: Sequence[Sequence[str]]
) -> dict[str, list[float]]:
    """For each threshold of the weighed share: false drops, and catches of each strength of rewording, in percent."""
    copies = Copies(test, seeds, share=2.0)  # the other rules alone; the share is compared here
    score = lambda text: 1.0 if copies.way(text) else copies.closest(text)  # noqa: E731
    lines: dict[str, Sequence[tuple[str, float]]] = {
        "dropped": honest, "unlike_dropped": [pair for pair in honest if pair[1] < 0.6],
        **{f"reworded {at}": [(text, 0.0) for text in texts] for at, texts in enumerate(reworded, 1)},
    }  # fmt: skip
    scores = {name: [score(text) for text, _ in pairs] for name, pairs in lines.items()}
    return {name: [_percent([one >= limit for one in found]) for limit in CURVE] for name, found in scores.items()}


def _percent(found: Sequence[bool]) -> float:
    return round(100 * sum(found) / max(1, len(found)), 2)


def table(head: Sequence[object], rows: Sequence[Sequence[object]]) -> str:
    """Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines) + "\n"


def second_draw(train: list[str]) -> tuple[list[str], list[str]]:
    """Training and held-out texts out of training items alone, drawn when all rules but the two later ones were settled."""
    left = random.Random(2026).sample(train, len(train))
    return left[FRESH:], left[:FRESH]


def results(found: dict[str, dict[str, Any]]) -> str:
    """The tables of catches and of drops."""
    names = list(found)
    kinds = list(dict.fromkeys(kind for one in found.values() for kind in one["caught"]))
    caught = [[kind, *("/".join(map(str, found[name]["caught"].get(kind, ["-"]))) for name in names)] for kind in kinds]
    facts = [
        "held_out",
        "share",
        "exact_in_train",
        "honest",
        "dropped",
        "unlike",
        "unlike_dropped",
        "microseconds_a_check",
    ]
    honest = [[fact.replace("_", " "), *(found[name][fact] for name in names)] for fact in facts]
    return "\n".join((table(["planted", *names], caught), table(["", *names], honest)))


def curves(found: dict[str, dict[str, Any]]) -> str:
    """A table for each set: false drops and catches over the threshold."""
    return "\n".join(
        table(
            [f"{name}, % at", *(f"**{at}**" if at == one["share"] else at for at in CURVE)],
            [[line.replace("_", " "), *rates] for line, rates in one["curve"].items()],
        )
        for name, one in found.items()
    )


def main(folder: str | None) -> None:
    """Measure every set, print JSON lines, then tables."""
    if not folder:
        print(
            "The guard is measured on public data: name a folder as argument or in LLM2LLM_DATA (see this file's head)."
        )
        return
    texts = {name: read(Path(folder), name) for name in SETS}
    found = {name: measure(*parts, curved=True) for name, parts in texts.items()}
    second = {name: measure(*second_draw(train)) for name, (train, _) in texts.items()}
    few = {name: measure(*parts, FEWER) for name, parts in texts.items()}
    few_second = {name: measure(*second_draw(train), FEWER) for name, (train, _) in texts.items()}
    measured = {
        "test items": found,
        "second draw": second,
        "test items, few seeds": few,
        "second draw, few seeds": few_second,
    }
    for kind, results_of in measured.items():
        for name, one in results_of.items():
            print(json.dumps({"bench": "guard", "set": name, "kind": kind, **one}))
    worst = [max(one["unlike_dropped"] for one in of.values()) for of in measured.values()]
    print(
        f"Of honest lessons unlike the held-out items at most {worst[0]} % are dropped, {worst[1]} % of the second draw; "
        f"with {FEWER} seeds {worst[2]} and {worst[3]} %. Tables follow: of the sets as they are, of the second draw, of both with "
        "fewer seeds, and the curves.\n"
    )
    print("\n".join((*map(results, measured.values()), curves(found))))


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("LLM2LLM_DATA"))

"""How curation grows: as many candidates are sifted as lessons are accepted already, with a guard of 5,000 held-out items.

For each size: that many lessons are taken in, and as many candidates go through the loop's own `sift`: form, length, language, copies of
seeds, of lessons and of one another, the guard. What is asked of others, witnesses and what texts say, is no part of it. Also: all
questions grouped at once. Every size runs in a process of its own, so that its peak memory is its own. Prints one JSON line and
one sentence for each size, and how one processor's time for a candidate grows.

    python tests/bench/curate.py            10, 20, 40 and 100 thousand, some minutes
    python tests/bench/curate.py 5000 10000
"""

from __future__ import annotations

import json
import random
import resource
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any

from student.grouping import groups
from student.held_out import Guard, HeldOut
from student.records import Candidate, HeldOutItem, Seed
from student.similar import TextIndex
from teacher.curate import CurateSettings, sift

SIZES = (10_000, 20_000, 40_000, 100_000)
HELD_OUT, SEEDS = 5_000, 200
LABELS = ("one", "two", "three", "four", "five", "six")
WEAKNESSES = 20
"""Aims that candidates share: two of one aim may be alike where their labels differ."""
COMMON = (
    "the of and to a in is that for it as was with be by on not he his but at are this have from or had an they which one "
    "you were all her she there would their we him been has when who will no more if out so what up said its about than "
    "into them can only other time new some could these two may first then do any like my now over such our man me even "
    "most made after also did many off before must well back through years where much your way down should because long"
)


def sentences(seed: int) -> Iterator[str]:
    """Endless sentences of 5 to 18 words: common ones and 20,000 made-up ones, as frequent as words are (Zipf)."""
    draw = random.Random(seed)
    syllables = [first + second + last for first in ("b", "br", "c", "ch", "d", "f", "g", "h", "l", "m", "n", "p", "pr", "r",
                 "s", "st", "t", "tr", "v", "w", "") for second in ("a", "e", "i", "o", "u", "ea", "ou")
                 for last in ("", "", "n", "r", "s", "l", "t", "nd", "ck")]  # fmt: skip
    made_up = ["".join(draw.choices(syllables, k=draw.choice((1, 2, 2, 3, 3, 4)))) for _ in range(20_000)]
    words = COMMON.split() + made_up
    weights = list(accumulate(1 / (rank + 2) for rank in range(len(words))))
    while True:
        yield " ".join(draw.choices(words, cum_weights=weights, k=draw.randint(5, 18)))


def offered_texts(
    lessons: Sequence[str], held_out: Sequence[str], fresh: Iterator[str], draw: random.Random
) -> Iterator[str]:
    """Of twenty candidates fourteen are new, three are a lesson with a word changed, two a copy of one, and one of a held-out item."""
    common = COMMON.split()
    for old in lessons:
        kind = draw.randrange(20)
        words = old.split()
        words[draw.randrange(len(words))] = draw.choice(common)
        if kind == 19:
            yield draw.choice(held_out).upper()
        else:
            yield next(fresh) if kind < 14 else " ".join(words) if kind < 17 else old.upper()


def candidate(at: int, text: str) -> Candidate:
    """A text as if a teacher had written it."""
    label, aim = LABELS[at % len(LABELS)], f"001-{at % WEAKNESSES:02d}"
    return Candidate(
        id=f"new {at}", prompt=text, answer=label, choices=LABELS, skill=label, round=1, weakness_id=aim, parent_id="seed 0",
        strategy="skill", request_key="bench", shown_ids=("seed 0",),
    )  # fmt: skip


class Timed:
    """A guard that counts the seconds it takes."""

    def __init__(self, guard: Guard) -> None:
        self._guard, self.seconds = guard, 0.0

    def __call__(self, text: str) -> str | None:
        started = time.perf_counter()
        why = self._guard(text)
        self.seconds += time.perf_counter() - started
        return why


def measure(size: int) -> dict[str, Any]:
    """Seconds, verdicts and peak memory of one size."""
    fresh = sentences(0)
    seeds = [
        Seed(id=f"seed {at}", prompt=next(fresh), answer=LABELS[at % len(LABELS)], choices=LABELS)
        for at in range(SEEDS)
    ]
    locked = [HeldOutItem(id=str(at), prompt=next(fresh), answer="one", choices=LABELS) for at in range(HELD_OUT)]
    lessons = [next(fresh) for _ in range(size)]
    texts = list(offered_texts(lessons, [one.prompt for one in locked], fresh, random.Random(1)))
    offered, settings = [candidate(at, text) for at, text in enumerate(texts)], CurateSettings()
    before, started, busy = peak_mb(), time.perf_counter(), time.process_time()
    known = TextIndex(settings.duplicate)
    known.add_many([(one.id, one.prompt) for one in seeds] + [(str(at), text) for at, text in enumerate(lessons)])
    guard = Timed(HeldOut([], locked).guard(seeds))
    ready = time.perf_counter()
    verdicts = sift(offered, seeds, known, guard, settings)
    sifted, busy = time.perf_counter(), time.process_time() - busy
    memory = peak_mb()
    grouped = max(groups([*lessons, *texts], settings.duplicate)) + 1
    return {
        "size": size, "ready_s": round(ready - started, 1), "sift_s": round(sifted - ready, 1), "guard_s": round(guard.seconds, 1),
        "cpu_s": round(busy, 1), "verdicts": dict(Counter(one.reason for one in verdicts).most_common()),
        "curation_mb": round(memory - before), "sifted_peak_mb": round(memory),
        "group_s": round(time.perf_counter() - sifted, 1), "groups": grouped, "peak_mb": round(peak_mb()),
    }  # fmt: skip


def sentence(one: dict[str, Any]) -> str:
    """What was measured at one size."""
    size, accepted = one["size"], one["verdicts"].get("accepted", 0)
    return (
        f"{size:,} candidates sifted against {size:,} accepted lessons and {HELD_OUT:,} held-out items: "
        f"{one['ready_s'] + one['sift_s']:.0f} s, {one['cpu_s']:.0f} s of one processor, {one['sifted_peak_mb']} MB at most; "
        f"{accepted:,} accepted."
    )


def peak_mb() -> float:
    """The most memory this process ever held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform != "darwin" else 1024**2)


def main(sizes: list[int]) -> None:
    """Measure each size in a process of its own."""
    found: list[dict[str, Any]] = []
    for size in sizes:
        child = subprocess.run(
            [sys.executable, __file__, "--one", str(size)], stdout=subprocess.PIPE, text=True, check=True
        )
        found.append(json.loads(child.stdout))
        print(json.dumps({"bench": "curate", **found[-1]}))
        print(sentence(found[-1]))
    each = ", ".join(f"{1e6 * one['cpu_s'] / one['size']:.0f}" for one in found)
    print(f"Microseconds of one processor for each candidate, by size: {each}. Growth is linear where these are alike.")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(measure(int(sys.argv[2]))))
    else:
        main([int(size) for size in sys.argv[1:]] or list(SIZES))

"""How curation grows: copies of what is known are looked for among as many known texts as there are candidates.

For each size: that many lessons are known, and as many candidates are looked up one by one, the way `sift` does it; those
that are no near-copy become known, too. Also: the guard asked about each, and all of them grouped at once. Every size runs
in a process of its own, so that its peak memory is its own. Prints one JSON line a size and one sentence.

    python tests/bench/curate.py            10, 20, 40 and 100 thousand, about three minutes
    python tests/bench/curate.py 5000 10000
"""

from __future__ import annotations

import json
import random
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import accumulate

from student.grouping import groups
from student.held_out import HeldOut
from student.records import HeldOutItem
from student.similar import TextIndex

SIZES = (10_000, 20_000, 40_000, 100_000)
HELD_OUT = 5_000
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


def candidates(known: list[str], fresh: Iterator[str], draw: random.Random) -> Iterator[str]:
    """Of ten candidates seven are new, two are a known text with a word changed, and one is a copy."""
    common = COMMON.split()
    for old in known:
        kind = draw.randrange(10)
        words = old.split()
        words[draw.randrange(len(words))] = draw.choice(common)
        yield next(fresh) if kind < 7 else " ".join(words) if kind < 9 else old.upper()


def measure(size: int) -> dict[str, float]:
    """Seconds and peak memory of one size."""
    fresh = sentences(0)
    known = [next(fresh) for _ in range(size)]
    offered = list(candidates(known, fresh, random.Random(1)))
    held_out = [HeldOutItem(id=str(at), prompt=next(fresh), answer="") for at in range(HELD_OUT)]
    before = peak_mb()
    index, started, busy = TextIndex(), time.perf_counter(), time.process_time()
    index.add_many((str(at), text) for at, text in enumerate(known))
    added = time.perf_counter()
    copies = 0
    for at, text in enumerate(offered):
        if index.nearest(text)[1] >= 0.6:
            copies += 1
        else:
            index.add(f"new {at}", text)
    sifted, busy = time.perf_counter(), time.process_time() - busy
    memory = peak_mb()
    guard = HeldOut([], held_out).guard()
    refused = sum(guard(text) is not None for text in offered)
    guarded = time.perf_counter()
    grouped = max(groups([*known, *offered], 0.6)) + 1
    return {
        "size": size, "add_s": round(added - started, 1), "sift_s": round(sifted - added, 1),
        "cpu_s": round(busy, 1), "copies": copies,
        "index_mb": round(memory - before), "guard_s": round(guarded - sifted, 1), "refused": refused,
        "group_s": round(time.perf_counter() - guarded, 1), "groups": grouped, "peak_mb": round(peak_mb()),
    }  # fmt: skip


def peak_mb() -> float:
    """The most memory this process ever held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform != "darwin" else 1024**2)


def main(sizes: list[int]) -> None:
    """Measure each size in a process of its own."""
    found: list[dict[str, float]] = []
    for size in sizes:
        child = subprocess.run(
            [sys.executable, __file__, "--one", str(size)], capture_output=True, text=True, check=True
        )
        found.append(json.loads(child.stdout))
        print(json.dumps({"bench": "curate", **found[-1]}))
    last = found[-1]
    each = ", ".join(f"{1e6 * one['cpu_s'] / one['size']:.0f}" for one in found)
    print(
        f"{last['size']:,} candidates against {last['size']:,} known texts: {last['add_s'] + last['sift_s']:.0f} s and "
        f"{last['index_mb']} MB. Microseconds of one processor for each, by size: {each}."
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(measure(int(sys.argv[2]))))
    else:
        main([int(size) for size in sys.argv[1:]] or list(SIZES))

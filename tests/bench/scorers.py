"""How many answers a second each scorer judges, on answers of the length a small student writes.

Prints one JSON line a scorer and one sentence. The maths process is measured once it has started; half of its questions need sympy.
"""

from __future__ import annotations

import json
import random
import time

from student.scorers import ScorerSpec, make_scorer


def rows(count: int) -> list[tuple[str, str]]:
    """Pairs of gold answer and output, half of them with a line of work before the answer."""
    numbers = random.Random(1)
    pairs = list[tuple[str, str]]()
    for at in range(count):
        value = numbers.randrange(10**6)
        long = f"First {value} and one more, so the answer is {value}+1 = {value + 1}.\n#### {value + 1}"
        pairs.append((str(value), f"The total is ${value:,}.") if at % 2 else (f"Add one.\n#### {value + 1}", long))
    return pairs


def measure(name: str, pairs: list[tuple[str, str]]) -> float:
    """Answers a second of one scorer; prints its line."""
    score = make_scorer(ScorerSpec.model_validate(name))
    score(*pairs[0])
    start = time.perf_counter()
    right = sum(score(expected, output) == 1 for expected, output in pairs)
    seconds = time.perf_counter() - start
    speed = len(pairs) / seconds
    found = {
        "scorer": name,
        "answers": len(pairs),
        "seconds": round(seconds, 2),
        "a_second": round(speed),
        "right": right,
    }
    print(json.dumps({"bench": "scorers", **found}), flush=True)
    return speed


def main() -> None:
    """Every scorer that looks at text."""
    plain = rows(100_000)
    records = [
        (f'{{"a": {at}, "b": "x y"}}', f'Here:\n```json\n{{"b": "X y", "a": {at}.0}}\n```') for at in range(20_000)
    ]
    sums = [(f"x^2+{at}x", f"so $x(x+{at})$" if at % 2 else f"x^2+{at}x") for at in range(200)]
    pairs = dict.fromkeys(("exact", "number", "normalised", "contains", "f1"), plain) | {"json": records, "math": sums}
    speeds = {name: measure(name, some) for name, some in pairs.items()}
    slowest = sorted(speeds, key=lambda name: speeds[name])[:2]
    print(
        f"The slowest scorers judge {' and '.join(f'{speeds[name]:,.0f} ({name})' for name in slowest)} answers a second."
    )


if __name__ == "__main__":
    main()

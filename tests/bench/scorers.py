"""How many answers a second each scorer judges, on answers of the length a small student writes.

Prints one line a scorer. The maths process is measured once it has started; half of its questions need sympy.
"""

from __future__ import annotations

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


def measure(name: str, pairs: list[tuple[str, str]]) -> str:
    """One line: the scorer, how many, how long."""
    score = make_scorer(ScorerSpec.model_validate(name))
    score(*pairs[0])
    start = time.perf_counter()
    right = sum(score(expected, output) == 1 for expected, output in pairs)
    seconds = time.perf_counter() - start
    return f"{name:<12} {len(pairs):>7,} answers in {seconds:6.2f} s, {len(pairs) / seconds:>9,.0f} a second, {right:,} right"


if __name__ == "__main__":
    plain = rows(200_000)
    for scorer in ("exact", "number", "normalised", "contains", "f1"):
        print(measure(scorer, plain))
    records = [
        (f'{{"a": {at}, "b": "x y"}}', f'Here:\n```json\n{{"b": "X y", "a": {at}.0}}\n```') for at in range(20_000)
    ]
    print(measure("json", records))
    print(measure("math", [(f"x^2+{at}x", f"so $x(x+{at})$" if at % 2 else f"x^2+{at}x") for at in range(200)]))

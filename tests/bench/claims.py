"""How often does the sentence of a claim lie? Simulated runs, item by item, with luck in the items and in the training.

Each simulated run draws a test split and fits: an item has a difficulty all students share (`shared` says how much of an
answer it decides: the rest makes two students disagree), and every training moves a student's accuracy by luck of a given
spread. Under the null hypothesis the lessons do nothing. A "better" is false when, for one training a side, the model called
better is no better on all items there could be; for several, whenever it is printed. Beside the interval in use stands the
percentile bootstrap over seeds and items, which is the usual choice and too narrow for so few seeds.

    python tests/bench/claims.py [RUNS]
"""

from __future__ import annotations

import json
import sys

import numpy as np
from scipy.stats import norm

from loops.claims import gain_of_changes
from loops.stats import compare_counts

BASE = 0.70
SHARED = (0.5, 0.8, 0.95)
SPREADS = (0.0, 0.03)


def outcomes(draw: np.random.Generator, n: int, seeds: int, gain: float, shared: float, spread: float):
    """Right or wrong of both sides, [2, seeds, n], and each student's true accuracy, [2, seeds]."""
    luck = draw.normal(0, spread, (2, seeds)) if spread else np.zeros((2, seeds))
    truth = np.clip(np.array([[BASE], [BASE + gain]]) + luck, 0.01, 0.99)
    difficulty = draw.normal(size=n)
    own = draw.normal(size=(2, seeds, n))
    level = np.sqrt(shared) * difficulty + np.sqrt(1 - shared) * own
    return level < norm.ppf(truth)[:, :, None], truth


def one_training(runs: int, n: int, gain: float, shared: float, spread: float) -> dict[str, float]:
    """Share of runs that print "better", and of those that do so falsely; and how often the two students disagree."""
    draw = np.random.default_rng(0)
    said = false = apart = 0
    for _ in range(runs):
        right, truth = outcomes(draw, n, 1, gain, shared, spread)
        old, new = right[0, 0], right[1, 0]
        gained, lost = int((new & ~old).sum()), int((old & ~new).sum())
        apart += gained + lost
        if compare_counts(gained, lost, n)[1] < 0.05 and gained > lost:
            said += 1
            false += bool(truth[1, 0] <= truth[0, 0])
    return {"said": said / runs, "false": false / runs, "discordant": apart / runs / n}


def several(runs: int, n: int, seeds: int, gain: float, shared: float, spread: float) -> dict[str, float]:
    """Share of runs that print "the lessons help", by the interval in use and by the bootstrap."""
    draw = np.random.default_rng(1)
    said = booted = 0
    for _ in range(runs):
        right, _ = outcomes(draw, n, seeds, gain, shared, spread)
        changes = right[1].astype(int) - right[0].astype(int)
        said += gain_of_changes(changes.tolist()).shown
        booted += bootstrap_low(draw, changes) > 0
    return {"said": said / runs, "bootstrap": booted / runs}


def bootstrap_low(draw: np.random.Generator, changes: np.ndarray, resamples: int = 400) -> float:
    """Lower end of the percentile interval over seeds and items.

    Items on which every training changed alike are drawn as one kind: n draws of an item are one multinomial draw of kinds.
    """
    seeds, n = changes.shape
    codes = (changes + 1).T @ 3 ** np.arange(seeds)
    _, first, count = np.unique(codes, return_index=True, return_counts=True)
    items = draw.multinomial(n, count / n, size=resamples) @ changes[:, first].T / n
    chosen = draw.multinomial(seeds, np.full(seeds, 1 / seeds), size=resamples) / seeds
    return float(np.quantile((items * chosen).sum(axis=1), 0.025))


def main() -> None:
    """Print both tables."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 5000
    rows = []
    for gain in (0.0, 0.10):
        for n in (200, 500):
            for shared in SHARED:
                for spread in SPREADS:
                    row = {"gain": gain, "n": n, "shared": shared, "spread": spread}
                    row |= one_training(runs, n, gain, shared, spread)
                    for seeds in (3, 5):
                        found = several(runs, n, seeds, gain, shared, spread)
                        row |= {f"said_{seeds}": found["said"], f"bootstrap_{seeds}": found["bootstrap"]}
                    rows.append(row)
                    print("  ".join(f"{key} {value:.3f}" for key, value in row.items()), file=sys.stderr)
    worst = max(row["false"] for row in rows if not row["gain"])
    worst_several = max(row[f"said_{seeds}"] for row in rows if not row["gain"] for seeds in (3, 5))
    print(
        json.dumps(
            {"bench": "claims", "runs": runs, "worst_false": worst, "worst_false_several": worst_several, "rows": rows}
        )
    )
    print(f"Of {runs} simulated runs a cell, at most {100 * worst:.1f} % printed a false 'this model is better', and at most "
          f"{100 * worst_several:.1f} % a false 'the lessons help'.")  # fmt: skip


if __name__ == "__main__":
    main()

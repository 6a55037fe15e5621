"""How a bench is shown: the verdict, who was right how often, what 1,000 answers cost, and each comparison in a sentence.

No accuracy appears without its n and its interval. Names of models pass through `safe` and enter as `Text`.
"""

from __future__ import annotations

import json

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from agent.bench.records import Bench, Entry
from agent.compared import interval, plain_table
from agent.findings import Hanging
from agent.safe import safe
from agent.tables import UNKNOWN, amount

STYLES = {"better": "green", "worse": "red", "not shown": "yellow", "": ""}


def shown(found: Bench) -> RenderableType:
    """The whole result."""
    sentences = [Hanging(Text(safe(one.sentence)), "- ", "  ") for one in found.entries if one.sentence]
    notes = [Hanging(Text(safe(note), style="dim")) for note in (*found.notes, _seen(found))]
    return Group(_heading(found), Text(), Hanging(Text(safe(found.verdict), style="bold")), Text(), _scores(found), Text(),
                 _costs(found), Text(), *sentences, Text(), *notes)  # fmt: skip


def as_json(found: Bench) -> str:
    """The whole result as one JSON object."""
    return json.dumps(found.model_dump(mode="json"), indent=1, ensure_ascii=True)


def _heading(found: Bench) -> Text:
    round_name = f"round {found.round}" if found.round else "seed-only"
    text = Text(f"{safe(found.run)}: {safe(found.student)} tuned ({round_name})", style="bold")
    sample = (
        f"{found.n:,} items of test"
        if found.n == found.total
        else f"a sample of {found.n:,} of the {found.total:,} items of test"
    )
    return text.append(f"\non {safe(found.evals)}, {sample}, the same for all", style="not bold dim")


def _scores(found: Bench) -> Table:
    table = plain_table("model", "asked", "n", "accuracy, 95 %", "tuned ahead by", numbers=("n",))
    for entry in found.entries:
        cells = (entry.who, entry.way or "bare", f"{entry.score.n:,}", interval(entry.score))
        table.add_row(*(Text(safe(cell)) for cell in cells), Text(_ahead(entry), style=STYLES[entry.verdict]))
    return table


def _ahead(entry: Entry) -> str:
    """`+12.3 (+4 to +20)`; colour only repeats what the sentence below says."""
    one = entry.comparison
    return f"{100 * one.gain:+.1f} ({100 * one.low:+.0f} to {100 * one.high:+.0f})" if one else "-"


def _costs(found: Bench) -> Table:
    names = ("seconds", "tokens", "money")
    table = plain_table("1,000 answers of", "asked", *names, numbers=names)
    for entry in found.entries:
        seconds = UNKNOWN if entry.seconds is None else f"{entry.seconds:,.1f}"
        tokens = UNKNOWN if entry.tokens is None else f"{entry.tokens:,.0f}"
        cells = (entry.who, entry.way or "bare", seconds, tokens, amount(entry.money))
        table.add_row(*(Text(safe(cell)) for cell in cells))
    return table


def _seen(found: Bench) -> str:
    return (
        f"test was opened so far by: {', '.join(found.seen_by)}."
        if found.seen_by
        else "No opening of test is on record."
    )

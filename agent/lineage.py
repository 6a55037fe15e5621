"""Tells where lessons come from and what came of them.

`lesson` is one lesson's life: failure, weakness, prompt, reply, verdict with its witnesses, round, and what the student made of
the failure when it was next mined. `failure` is what was tried for one failure and whether it flipped. `weaknesses` and `rejected`
are tables over a whole run. Everything is read from a `Trail`; texts lose their control characters and are never markup.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from agent.safe import clip, safe
from agent.tables import plural
from agent.trail import Round, Trail, read_trail
from student.records import Attempt, Candidate, Verdict, Weakness
from teacher.witnesses import Witness

__all__ = ["Trail", "failure", "lesson", "parts", "read_trail", "rejected", "weaknesses"]

EXAMPLE = 60
"""Cells of one text of a failure in the table of weaknesses."""
EXAMPLES = 2
"""Rejected candidates shown for each reason."""
SHORT = 8
"""Characters of an id that are shown in a list."""
Row = tuple[str, str]
"""A label and what is to be told under it."""


def parts(
    trail: Trail, lesson_id: str | None, failure_id: str | None, all_weaknesses: bool, all_rejected: bool
) -> list[RenderableType]:
    """What `show` was asked for, in that order. Raises RunError for an id that is not there."""
    found = [lesson(trail, lesson_id)] if lesson_id else []
    found += [failure(trail, failure_id)] if failure_id else []
    return found + [weaknesses(trail)] * all_weaknesses + [rejected(trail)] * all_rejected


def lesson(trail: Trail, name: str) -> RenderableType:
    """One lesson's life, or a rejected candidate's. `name`: its id or how that starts. Raises RunError."""
    at, one = trail.candidate(name)
    kind, verdict = ("lesson" if at.fate(one) == "accepted" else "candidate"), at.verdicts.get(one.id)
    rows = [
        (kind, f"{one.id}  round {at.number}  {one.strategy}  {at.fate(one)}"),
        *_origin(at, one),
        *_bought(trail, one),
    ]
    rows.append(("written", f"{one.prompt}\n-> {one.answer}"))
    rows += _judged(at, verdict) if verdict else []
    kept = at.lessons.get(one.id)
    if kept and (kept.prompt, kept.answer) != (one.prompt, one.answer):
        rows.append(("edited", f"{kept.prompt}\n-> {kept.answer}"))
    return _told([*rows, ("then", _afterwards(trail, at, one))])


def _origin(at: Round, one: Candidate) -> Iterator[Row]:
    """The failure and the weakness a candidate was written for."""
    found, weakness = at.failure(one), at.weakness(one)
    if found:
        said = f"right is {found.seed.answer}, the student said {found.wrong_answer or 'nothing'}"
        yield "failure", f"{found.seed.id}  {found.seed.prompt}\n{said}"
    else:
        yield "from", f"the seed {one.parent_id}, which need not have failed: it was written without aim"
    if weakness:
        size = plural(len(weakness.failures), "failure")
        yield "weakness", f"{weakness.id}  {weakness.name}  ({size}, {plural(weakness.lessons, 'lesson')} asked for)"


def _bought(trail: Trail, one: Candidate) -> Iterator[Row]:
    """The prompt a candidate was written from, and the reply it stood in."""
    if not one.request_key:
        yield "prompt", "none: made from the seed by rule, without a teacher"
        return
    entry = trail.entry(one.request_key)
    if entry is None:
        yield "prompt", f"not in the ledger: {one.request_key}"
        return
    cost = f"{plural(entry.tokens, 'token')} charged, sent {plural(entry.attempts, 'time')}"
    sent = "\n\n".join(f"[{message.role}] {message.content}" for message in entry.request.messages)
    yield "prompt", f"request {one.request_key[:16]}, {cost}\n{sent}"
    if entry.reply is not None:
        origin = f", bought by the run {entry.reply.origin.run}" if entry.reply.origin else ""
        yield "reply", f"finished by {entry.reply.finish_reason}{origin}\n{entry.reply.text}"


def _judged(at: Round, verdict: Verdict) -> Iterator[Row]:
    yield "verdict", verdict.reason + (f": {verdict.detail}" if verdict.detail else "")
    lines = [f"{who}: {said or 'nothing'}{_worth(at.witnesses.get(who))}" for who, said in verdict.witnesses.items()]
    if verdict.belief is not None:
        lines.append(f"together: the intended answer is right with probability {verdict.belief:.2f}")
    if lines:
        yield "witnesses", "\n".join(lines)


def _worth(one: Witness | None) -> str:
    return f" (right about {one.right} of {one.asked} seeds)" if one and one.asked else ""


def _afterwards(trail: Trail, at: Round, one: Candidate) -> str:
    trained = f"trained on from round {at.number} on" if one.id in at.lessons else "never trained on"
    later = trail.after(at.number, one.parent_id)
    told = ", ".join(f"{_outcome(attempt)} in {trail.when(number)}" for number, attempt in later)
    return f"{trained}; its parent, when mined again: {told}" if told else f"{trained}; its parent was not mined again"


def _outcome(attempt: Attempt) -> str:
    said = f" ({clip(safe(attempt.output), 60)})" if attempt.output and not attempt.right else ""
    return attempt.outcome + said


def failure(trail: Trail, name: str) -> RenderableType:
    """What was tried for one failure, and whether it flipped. `name`: the item's id or how that starts. Raises RunError."""
    seed = trail.failed(name).seed
    mined = [f"{trail.when(at.number)}: {_outcome(at.mined[seed.id])}" for at in trail.looks if seed.id in at.mined]
    rows = [("failure", f"{seed.id}  {seed.prompt}\nright is {seed.answer}"), ("mined", ", ".join(mined))]
    for at in trail.rounds:
        rows += _tries(at, seed.id)
    return _told([*rows, ("result", _flip(trail, seed.id))])


def _tries(at: Round, seed: str) -> Iterator[Row]:
    """What one round did about a failure."""
    for weakness in at.weaknesses:
        if any(one.seed.id == seed for one in weakness.failures):
            others = plural(len(weakness.failures) - 1, "other failure")
            yield f"round {at.number}", f"{weakness.id}  {weakness.name}, with {others}"
    own = [one for one in at.candidates if one.parent_id == seed and at.failure(one)]
    for one in own:
        yield "", f"{one.id[:SHORT]}  {one.strategy}  {at.fate(one)}: {one.prompt} -> {one.answer}"
    beside = [one for one in at.candidates if one not in own and seed in (one.parent_id, *one.shown_ids)]
    if beside:
        taken = sum(one.id in at.lessons for one in beside)
        yield "", f"also shown in the prompts of {plural(len(beside), 'other candidate')}, {taken} of them accepted"


def _flip(trail: Trail, seed: str) -> str:
    taught = [
        at.number
        for at in trail.rounds
        if any(one.parent_id == seed and at.failure(one) for one in at.lessons.values())
    ]
    failed = [at.number for at in trail.rounds if seed in at.mined and not at.mined[seed].right]
    since = taught[0] if taught else min(failed, default=0)
    tried = f"lessons for it from round {since} on" if taught else "no lesson for it was accepted"
    later = trail.after(since, seed)
    if not later:
        return f"{tried}; it was not mined again"
    number, last = later[-1]
    return f"{tried}; {'flipped' if last.right else 'not flipped'}: {_outcome(last)} in {trail.when(number)}, when last mined"


def weaknesses(trail: Trail) -> RenderableType:
    """Every weakness of every round: its failures, its lessons, and how many failures were right when last mined.

    Below each stand the student's typical wrong move, where it is known, and one of the failures.
    """
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("weakness", overflow="fold")
    for name in ("failures", "asked", "accepted", "flipped later"):
        table.add_column(name, justify="right", no_wrap=True)
    for at in trail.rounds:
        for one in at.weaknesses:
            accepted = sum(each.weakness_id == one.id for each in at.lessons.values())
            counts = [len(one.failures), one.lessons, accepted, _flipped(trail, at, one)]
            table.add_row(_named(one), *(Text(str(count)) for count in counts))
    return table if table.rows else Text("No weakness has been named yet.")


def _named(one: Weakness) -> Text:
    lines = [f"it {one.wrong_move}"] if one.wrong_move.startswith("says ") else [one.wrong_move] * bool(one.wrong_move)
    for first in one.failures[:1]:
        said = f"the student said {clip(safe(first.wrong_answer), EXAMPLE) or 'nothing'}"
        shown = f"{clip(safe(first.seed.prompt), EXAMPLE)} -> {clip(safe(first.seed.answer), EXAMPLE)}"
        lines.append(f"{shown}; {'barely right' if first.barely else said}")
    below = "".join(f"\n{' ' * len(one.id)}  {safe(line)}" for line in lines)
    return Text(safe(f"{one.id}  {one.name}")).append(below, style="dim")


def _flipped(trail: Trail, at: Round, one: Weakness) -> str:
    later = [found[-1][1] for failed in one.failures if (found := trail.after(at.number, failed.seed.id))]
    return f"{sum(attempt.right for attempt in later)} of {len(later)}" if later else "-"


def rejected(trail: Trail) -> RenderableType:
    """Why candidates were rejected: by reason and strategy, with two examples each."""
    found: dict[str, list[tuple[Candidate, Verdict]]] = {}
    for at in trail.rounds:
        for one in at.candidates:
            verdict = at.verdicts.get(one.id)
            if verdict is not None and not verdict.accepted:
                found.setdefault(verdict.reason, []).append((one, verdict))
    ranked = sorted(found.items(), key=lambda entry: (-len(entry[1]), entry[0]))
    return Group(*(_reason(reason, rows) for reason, rows in ranked)) if ranked else Text("Nothing has been rejected.")


def _reason(reason: str, rows: Sequence[tuple[Candidate, Verdict]]) -> RenderableType:
    counts = Counter(one.strategy for one, _ in rows)
    by = ", ".join(f"{strategy} {count}" for strategy, count in counts.most_common())
    lines = [Text(safe(f"{reason} {len(rows)}"), style="bold").append(safe(f"  ({by})"), style="not bold dim")]
    for one, verdict in rows[:EXAMPLES]:
        lines.append(Text(safe(f"  {one.id[:SHORT]}  {one.prompt} -> {one.answer}")))
        if verdict.detail:
            lines.append(Text(safe(f"{' ' * (SHORT + 4)}{verdict.detail}"), style="dim"))
    return Group(*lines)


def _told(rows: Sequence[Row]) -> Table:
    """Rows under their labels, line breaks kept."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True, min_width=9)
    grid.add_column(overflow="fold")
    for label, text in rows:
        grid.add_row(label, Text(safe(text, keep_newlines=True)))
    return grid

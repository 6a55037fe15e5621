"""Where the data came from and what it did: each round's teaching, weaknesses, failures that flipped, and examples.

In: the run's trail of failures, candidates, verdicts and lessons. Out: the parts of `Facts` that hold them. A failure counts as
flipped when it is right the last time it was mined, each time by a student that was not trained on it; whether its lessons did
that is another matter, so failures without a lesson of their own are counted beside them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain, zip_longest

from agent import trail
from agent.report.facts import Asked, Case, Flips, Teaching, Text, Weak
from agent.report.reading import Files
from loops.review import read_decisions
from loops.stats import Score, wilson
from student.records import Candidate, Failure, Lesson
from teacher.witnesses import Witness

LONGEST = 400
"""Characters of a text that are shown."""
ACCEPTED, REJECTED, CASES, OWN = 12, 3, 8, 3
"""Examples at most: of lessons, of each reason to reject, of failures, and of lessons for one failure."""
REASONS = 12
"""Reasons to reject that have examples."""


def teaching_of(files: Files, one: trail.Round) -> Teaching:
    """What one teaching round asked for, got, and kept."""
    verdicts = [one.verdicts[each.id] for each in one.candidates if each.id in one.verdicts]
    rejected = Counter(each.reason for each in verdicts if not each.accepted)
    written = Counter(each.strategy for each in one.candidates)
    accepted = Counter(each.strategy for each in one.lessons.values())
    decided = {each.candidate_id: each.act for each in read_decisions(files.folder.round(one.number) / "review.jsonl")}
    return Teaching(
        asked=sum(each.lessons for each in one.weaknesses), written=len(one.candidates), accepted=len(one.lessons),
        unjudged=len(one.candidates) - len(verdicts), rejected=_ranked(rejected),
        strategies={name: (count, accepted[name]) for name, count in _ranked(written).items()},
        witnesses=tuple(map(_asked, files.witnesses.get(one.number, ()))),
        reviewed=_ranked(Counter(decided.values())), diversity=files.diversity.get(one.number),
    )  # fmt: skip


def _ranked(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda entry: (-entry[1], entry[0])))


def _asked(one: Witness) -> Asked:
    low, high = wilson(one.right, one.asked)
    return Asked(name=one.name, score=Score(n=one.asked, right=one.right, low=low, high=high))


def weaknesses_of(files: Files) -> tuple[Weak, ...]:
    """Every weakness of every round, and what came of it."""
    found: list[Weak] = []
    for at in files.trail.rounds:
        accepted = Counter(each.weakness_id for each in at.lessons.values())
        for one in at.weaknesses:
            later = [looks[-1][1] for each in one.failures if (looks := files.trail.after(at.number, each.seed.id))]
            found.append(Weak(
                id=one.id, round=at.number, name=one.name, failures=len(one.failures), asked=one.lessons,
                accepted=accepted[one.id], mined_again=len(later), flipped=sum(each.right for each in later),
            ))  # fmt: skip
    return tuple(found)


def flips_of(files: Files) -> Flips | None:
    """What became of every failure; None where nothing was mined twice."""
    rounds = [one for one in files.trail.looks if one.mined]
    if len(rounds) < 2:
        return None
    cases = [_case(files, number, failure) for number, failure in _first_failures(rounds).values()]
    again = [(one, right) for one, right in cases if one.last_in > one.failed_in]
    taught = [right for one, right in again if one.lesson_count]
    untaught = [right for one, right in again if not one.lesson_count]
    flipped = [one for one, right in again if right and one.lesson_count]
    never = [one for one, right in again if not right and not _ever_right(rounds, one.id)]
    return Flips(
        taught=len(taught), taught_flipped=sum(taught), untaught=len(untaught), untaught_flipped=sum(untaught),
        not_again=len(cases) - len(again), flipped=_most_taught(flipped), never=_most_taught(never), never_count=len(never),
    )  # fmt: skip


def _first_failures(rounds: Sequence[trail.Round]) -> dict[str, tuple[int, Failure]]:
    """Every seed that was mined wrong, with the round in which it first was. One that was barely right is none."""
    first: dict[str, tuple[int, Failure]] = {}
    for at in rounds:
        for one in chain.from_iterable(weakness.failures for weakness in at.weaknesses):
            if not one.barely:
                first.setdefault(one.seed.id, (at.number, one))
    return first


def _case(files: Files, number: int, failure: Failure) -> tuple[Case, bool]:
    """One failure, and whether it was right at the last look."""
    seed, rounds = failure.seed, files.trail.looks
    last = max((at for at in rounds if seed.id in at.mined), key=lambda at: at.number, default=None)
    last_in = last.number if last else number
    own = [
        (at, one)
        for at in rounds
        if at.number < last_in
        for one in at.lessons.values()
        if one.parent_id == seed.id and at.failure(one)
    ]
    case = Case(
        id=seed.id, prompt=cut(seed.prompt), answer=cut(seed.answer), said=cut(failure.wrong_answer), failed_in=number,
        last_in=last_in, lessons=tuple(_text(at, one) for at, one in own[:OWN]), lesson_count=len(own),
    )  # fmt: skip
    return case, bool(last and last.mined[seed.id].right)


def _ever_right(rounds: Sequence[trail.Round], seed: str) -> bool:
    return any(one.mined[seed].right for one in rounds if seed in one.mined)


def _most_taught(cases: Sequence[Case]) -> tuple[Case, ...]:
    return tuple(sorted(cases, key=lambda one: (-one.lesson_count, one.failed_in, one.id))[:CASES])


def accepted_examples(files: Files) -> tuple[Text, ...]:
    """Some lessons, from each round in turn."""
    rows = [[_text(at, one) for one in list(at.lessons.values())[:ACCEPTED]] for at in files.trail.rounds]
    return tuple(_in_turn(rows))[:ACCEPTED]


def rejected_examples(files: Files) -> tuple[Text, ...]:
    """Some rejected candidates of each of the commonest reasons."""
    found: dict[str, list[Text]] = {}
    counts = Counter[str]()
    for at in files.trail.rounds:
        for one in at.candidates:
            verdict = at.verdicts.get(one.id)
            if verdict is not None and not verdict.accepted:
                counts[verdict.reason] += 1
                if counts[verdict.reason] <= REJECTED:
                    found.setdefault(verdict.reason, []).append(_text(at, one))
    return tuple(chain.from_iterable(found[reason] for reason in list(_ranked(counts))[:REASONS]))


def _in_turn(rows: Sequence[Sequence[Text]]) -> Iterable[Text]:
    return (one for turn in zip_longest(*rows) for one in turn if one is not None)


def _text(at: trail.Round, one: Candidate | Lesson) -> Text:
    verdict = at.verdicts.get(one.id)
    aim = next((each.name for each in at.weaknesses if each.id == one.weakness_id), "")
    return Text(
        id=one.id, round=at.number, prompt=cut(one.prompt), answer=cut(one.answer), strategy=one.strategy, aim=cut(aim),
        reason=verdict.reason if verdict else "not judged yet", detail=verdict.detail if verdict else "",
    )  # fmt: skip


def cut(text: str) -> str:
    """A text, or its beginning and how much more there is."""
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} […{len(text) - LONGEST:,} more characters]"

"""What a run shows and what it does not, in sentences: a report states its doubts as plainly as its gains.

In: facts. Out: lines, the weightiest first. One training of each side can show something about one model only; a part that was
not measured is not shown, and says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from agent.report.document import Line, data, says
from agent.report.facts import Facts
from agent.report.words import difference, points, share
from agent.tables import plural
from loops.claims import lessons_sentence

NAMED = 5
"""Skills that are named in one sentence."""
_PLAIN = re.compile(r"(?!.*www\.)[A-Za-z][\w .,:;%+=()'?!-]*", re.ASCII)


def recorded(text: str) -> Line:
    """A sentence this program once wrote into a file: ours, unless something in it could be markup."""
    return says(text) if _PLAIN.fullmatch(text) else data(text)


def shown(facts: Facts) -> list[Line]:
    """What is beyond doubt, by the tests that were made for it."""
    claim, found = facts.claim, list[Line]()
    if claim is None:
        return found
    if claim.shown:
        found.append(
            says(f"This model, the student of round {claim.best}, is better than the seed-only student on test.")
        )
    if claim.lessons is not None and claim.lessons.shown:
        found.append(says(lessons_sentence(claim.lessons, claim.best)))
    return found + [recorded(one.sentence) for one in claim.controls if one.found.shown]


def not_shown(facts: Facts) -> list[Line]:
    """Everything a reader might take for shown and should not."""
    return [*_about_claim(facts), *_about_lessons(facts), *_about_skills(facts), *_about_measuring(facts)]


def _about_claim(facts: Facts) -> Iterator[Line]:
    claim = facts.claim
    if claim is None:
        yield says(
            "Whether teaching helped: the locked test split was not opened, so a gain is neither shown nor ruled out."
        )
        return
    if claim.best == 0:
        why = f"beat the seed-only student on {facts.named(facts.decides)}" if facts.chooses else "left a lesson"
        yield says(f"That teaching helped: no teaching round {why}, so the seed-only student was kept.")
    elif not claim.shown:
        size = points(claim.gain, claim.low, claim.high)
        yield says(
            f"That the student of round {claim.best} is better than the seed-only student: the difference on test is {size} "
            f"points, n {claim.n:,}.{_least(facts)}"
        )
    if claim.test_seen_before_by:
        names = ", ".join(claim.test_seen_before_by[:NAMED])
        yield (f"A gain on fresh items: this test split had been opened before by {plural(len(claim.test_seen_before_by), 'run')} (",
               *data(names), "), and a claim made again on the same items is weaker.")  # fmt: skip


def _least(facts: Facts) -> str:
    if facts.least_gain is None:
        return " So few items, or so good a seed-only student, leave no gain that could show."
    return f" On so many items a true gain of {100 * facts.least_gain:.1f} points shows in 80 % of draws; a smaller one often does not."


def _about_lessons(facts: Facts) -> Iterator[Line]:
    claim = facts.claim
    if claim is None or claim.best == 0:
        return
    if claim.lessons is None:
        yield says(
            "That the lessons helped, and not luck in training: each side was trained once. Only several trainings of "
            "each side can show that."
        )
    elif not claim.lessons.shown:
        yield says(lessons_sentence(claim.lessons, claim.best))
    for name, reason in claim.controls_missing.items():
        yield (f"How the kept student stands against {name}: that control arm is missing. ", *recorded(reason))
    if not claim.controls and not claim.controls_missing:
        yield says(
            "That aiming at failures helped: no control arm ran (untargeted lessons at equal spend, as many of them, "
            "seeds alone for as many steps)."
        )
    yield from (recorded(one.sentence) for one in claim.controls if not one.found.shown)


def _about_skills(facts: Facts) -> Iterator[Line]:
    compared = [(one, one.change) for one in facts.skills.rows if one.change] if facts.skills else []
    if not compared:
        return
    worse = [one.name for one, change in compared if change.high < 0]
    better = sum(change.low > 0 for _, change in compared)
    open_ = len(compared) - len(worse) - better
    if open_:
        yield says(f"On {share(open_, len(compared))} skills, a difference either way: their intervals hold zero.")
    if worse:
        names = ", ".join(worse[:NAMED]) + (f" and {len(worse) - NAMED} more" if len(worse) > NAMED else "")
        yield (
            f"That nothing got worse: on {plural(len(worse), 'skill')} the whole interval lies below zero (",
            *data(names),
            ").",
        )
    if better + len(worse) and len(compared) > 1:
        yield says(
            f"That each skill's difference would show again: {len(compared)} intervals are looked at, each by itself, and one "
            "in twenty misses by chance."
        )


def _about_measuring(facts: Facts) -> Iterator[Line]:
    if facts.best and facts.chooses:
        yield says(
            f"How good round {facts.best} is from its accuracy on {facts.named(facts.decides)}: it was kept because it did best there, "
            "which flatters it."
        )
    for one in facts.exams:
        if one.beaten_by and one.beaten_by.low <= 0:
            yield says(
                f"That training pays at all: on test the kept student is ahead of the {one.who} one by {difference(one.beaten_by)} points."
            )
    unread = [one for one in facts.exams if one.split == "test" and one.score.truncated + one.score.malformed]
    for one in unread:
        cut, bad = one.score.truncated, one.score.malformed
        yield says(
            f"What {one.who} knows, on test: {cut:,} answers were cut off and {bad:,} held no answer; all count as not right."
        )
    flips = facts.flips
    if flips and flips.taught_flipped and flips.untaught_flipped:
        yield says(
            "That a lesson turned its own failure: failures without a lesson of their own turned right as well "
            f"({share(flips.untaught_flipped, flips.untaught)}, against {share(flips.taught_flipped, flips.taught)})."
        )
    last = facts.rounds[-1] if facts.rounds else None
    if last and last.teaching and last.teaching.accepted and not facts.cross_fit:
        yield says(f"What the lessons of round {last.number} did for their own failures: nothing was mined after them.")
    if facts.cost.teacher and facts.cost.teacher.money is None:
        yield says(
            "What the teacher cost in money: a price is not set (budget.prompt_price and completion_price), or a reply did not say."
        )

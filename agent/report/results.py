"""How students did: scores with their intervals, paired changes, skills before and after, and what became of each item.

In: attempts as they lie in the run folder. Out: the parts of `Facts` that hold results. Every paired interval here is Bonett and
Price's, which stays honest on the few items of one skill; the claim has the interval it was made with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from agent.report.facts import Change, Exam, Fates, Skill, Skills
from agent.report.reading import UNTOUCHED, Attempts, Files
from loops.stats import paired_bounds, score
from student.records import Split


def change(new: Attempts, old: Attempts) -> Change:
    """One student against another on the items both were asked."""
    both = [(new[item].right, old[item].right) for item in new if item in old]
    gained, lost = sum(now and not was for now, was in both), sum(was and not now for now, was in both)
    low, high = paired_bounds(gained, lost, len(both))
    gain = (gained - lost) / len(both) if both else 0.0
    return Change(n=len(both), gained=gained, lost=lost, gain=gain, low=low, high=high)


def deciding(files: Files) -> Split:
    """The split that rounds were chosen on."""
    return "mine" if files.cross_fit else "select"


def round_name(number: int) -> str:
    """What a report calls a round's student."""
    return f"round {number}" if number else "seed-only"


def kept_round(files: Files) -> int | None:
    """The round that is kept: the claim's, else the latest decision's."""
    if files.claim is not None:
        return files.claim.best
    return files.decisions[max(files.decisions)].best if files.decisions else files.view.best


def exams_of(files: Files) -> tuple[Exam, ...]:
    """Everyone on what decides, then everyone on `test`, then the teacher."""
    best, decides = kept_round(files) or 0, deciding(files)
    kept = files.test.get("best", files.test.get("seed-only"))
    rows: list[tuple[str, int | None, Split, Attempts]] = [
        *((who, None, decides, found) for who, found in files.untouched.items()),
        *((round_name(number), number, decides, found) for number, found in files.select.items()),
    ]
    trained = {"seed-only": 0, "best": best}
    for who, found in files.test.items():
        number = trained.get(who)
        rows.append((who if number is None else round_name(number), number, "test", found))
    rows.extend((who, None, "test", found) for who, found in files.controls.items())
    if files.teacher:
        rows.append(("teacher", None, "mine", files.teacher))
    return tuple(
        Exam(
            who=who, round=at, split=split, score=score([*found.values()]),
            beaten_by=change(kept, found) if split == "test" and who in UNTOUCHED and kept else None,
        )
        for who, at, split, found in rows
    )  # fmt: skip


def skills_of(files: Files, skills: Mapping[str, str]) -> Skills | None:
    """Before and after by skill: on `test` where it was opened, else on what decides; None where no skill is known."""
    best = kept_round(files) or 0
    split: Split = "test" if "seed-only" in files.test else deciding(files)
    before = files.test["seed-only"] if split == "test" else files.select.get(0, {})
    after = (files.test.get("best") if split == "test" else files.select.get(best)) if best else None
    groups: dict[str, list[str]] = {}
    for item in before:
        if skills.get(item):
            groups.setdefault(skills[item], []).append(item)
    if not groups:
        return None
    ranked = sorted(groups.items(), key=lambda entry: (-len(entry[1]), entry[0]))
    return Skills(split=split, rows=tuple(_skill(name, items, before, after) for name, items in ranked))


def _skill(name: str, items: Sequence[str], before: Attempts, after: Attempts | None) -> Skill:
    old = {item: before[item] for item in items}
    if after is None:
        return Skill(name=name, before=score([*old.values()]), after=None, change=None)
    new = {item: after[item] for item in items if item in after}
    return Skill(name=name, before=score([*old.values()]), after=score([*new.values()]), change=change(new, old))


def fates_of(files: Files) -> tuple[Fates, ...]:
    """Items of each split between the first look at them and the last, where there were two."""
    best, found = kept_round(files) or 0, list[Fates]()
    if best and "best" in files.test and "seed-only" in files.test:
        found.append(_fates("test", ("seed-only", files.test["seed-only"]), (round_name(best), files.test["best"])))
    if best and 0 in files.select and best in files.select:
        found.append(_fates(deciding(files), ("seed-only", files.select[0]), (round_name(best), files.select[best])))
    mined = [(f"mined in round {one.number}", one.mined) for one in files.trail.rounds if one.mined]
    if len(mined) > 1 and not files.cross_fit:  # there, they are what decided
        found.append(_fates("mine", *mined))
    return tuple(found)


def _fates(split: Split, *looks: tuple[str, Attempts]) -> Fates:
    """Of the items that were there at every look."""
    items = [item for item in looks[0][1] if all(item in found for _, found in looks)]
    seen = [tuple(found[item].right for _, found in looks) for item in items]
    return Fates(
        split=split, first=looks[0][0], last=looks[-1][0],
        kept=sum(one[0] and one[-1] for one in seen), learned=sum(one[-1] and not one[0] for one in seen),
        regressed=sum(any(one) and not one[-1] for one in seen), never=sum(not any(one) for one in seen),
    )  # fmt: skip

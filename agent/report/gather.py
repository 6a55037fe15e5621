"""From a run folder to `Facts`: reads the files, counts, and writes nothing.

Everything comes from the run folder and the record of openings beside it; only skills, where the run did not write them down,
are looked up in the eval set, if that is still there, unchanged, and needs no code of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from agent.report.facts import Facts, Opening, Round
from agent.report.lessons import accepted_examples, flips_of, rejected_examples, teaching_of, weaknesses_of
from agent.report.reading import Files, read_files
from agent.report.results import change, exams_of, fates_of, kept_round, skills_of
from agent.report.spending import cost_of
from loops.learning import training_list
from loops.power import smallest_gain
from loops.run_folder import RunFolder
from loops.stats import score
from student.evals.load import load_evals
from student.evals.spec import EvalError
from student.records import Item


def facts_of(folder: RunFolder) -> Facts:
    """Everything a report says about a run. Raises RunError or TeacherUnusable for a damaged file."""
    files = read_files(folder)
    view, (skills, unknown) = files.view, known_skills(files)
    cost, prompts = cost_of(files)
    by_skill = skills_of(files, skills)
    return Facts(
        run=folder.name, student=_setting(files, "student", "model") or view.student,
        teacher=_setting(files, "teacher", "model") or view.teacher, evals=view.evals, fingerprint=files.fingerprint,
        splits={name: len(ids) for name, ids in files.splits.items()} or view.splits, chance=view.chance,
        status=view.status or "unfinished", reason=view.reason, sentence=view.sentence,
        began=view.first_time, ended=view.last_time, claim=files.claim, least_gain=_least_gain(files), best=kept_round(files),
        exams=exams_of(files), rounds=tuple(_round(files, number) for number in files.numbers), skills=by_skill,
        fates=fates_of(files), weaknesses=weaknesses_of(files), flips=flips_of(files), accepted=accepted_examples(files),
        rejected=rejected_examples(files), cost=cost, openings=_openings(files), notes=dict(view.notes), leaves=view.leaves,
        settings=dict(_flat(files.settings)), machine=dict(_flat(files.machine)), prompts=prompts,
        missing=(*files.absent, *([unknown] if unknown else [])),
    )  # fmt: skip


def known_skills(files: Files) -> tuple[dict[str, str], str]:
    """Skills by item; and, where none are known, why."""
    if files.skills or not (files.select or files.test):
        return files.skills, ""
    where = files.settings.get("evals")
    if not where:
        return {}, "Skills are unknown: the run does not say what its eval set was."
    try:
        evals = load_evals(str(where), cross_fit=files.cross_fit, needs_select=False)
    except EvalError as error:
        return (
            {},
            f"Skills are unknown: they are not written down in this run, and its eval set cannot be read. {error}",
        )
    evals.close()
    if evals.fingerprint != files.fingerprint:
        return (
            {},
            f"Skills are unknown: they are not written down in this run, and its eval set {where} has changed since.",
        )
    items: list[Item] = [*(evals.seeds if files.cross_fit else evals.held_out.select())]
    if files.test:  # this run has opened it already, and that is on record
        items += evals.held_out.open_test(lambda: None)
    skills = {item.id: item.skill for item in items if item.skill}
    return skills, "" if skills else "The eval set names no skills."


def _round(files: Files, number: int) -> Round:
    found, first = files.select.get(number), files.select.get(0)
    decision, taught = files.decisions.get(number), {one.number: one for one in files.trail.rounds}
    mined = taught[number].mined if number in taught else {}
    seed_rows, lesson_rows = _rows(files, number)
    return Round(
        number=number, select=score([*found.values()]) if found else None,
        change=change(found, first) if found and first and number else None,
        mined=score([*mined.values()]) if mined else None, decision=decision.sentence if decision else "",
        barred=decision.barred.get(number, "") if decision else "", training=files.trainings.get(number), seed_rows=seed_rows,
        lesson_rows=lesson_rows, teaching=teaching_of(files, taught[number]) if number in taught else None,
    )  # fmt: skip


def _rows(files: Files, number: int) -> tuple[int | None, int | None]:
    """Real rows and lessons that a round's student was trained on; None where it was not trained or nothing tells."""
    share, seeds = files.settings.get("curate", {}).get("real_share"), len(files.splits.get("mine", []))
    lessons = sum(len(one.lessons) for one in files.trail.rounds if one.number <= number)
    if files.cross_fit and number in files.select and number not in files.trainings:
        return None, lessons  # its students were trained on parts of them, and none on all
    if number not in files.trainings or share is None or not seeds:
        return None, None
    return len(training_list(range(seeds), range(lessons), float(share))) - lessons, lessons


def _least_gain(files: Files) -> float | None:
    """What so many test items could have shown, starting from the seed-only student's accuracy."""
    if files.claim is None or "seed-only" not in files.test:
        return None
    before = score([*files.test["seed-only"].values()])
    return smallest_gain(before.n, before.accuracy)


def _openings(files: Files) -> tuple[Opening, ...]:
    rows = files.openings or []
    own = next((at for at, row in enumerate(rows) if row.get("run") == files.folder.name), len(rows))
    return tuple(
        Opening(run=str(row.get("run", "?")), time=_time(row.get("time")), before=at < own)
        for at, row in enumerate(rows)
    )


def _time(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _setting(files: Files, group: str, key: str) -> str:
    part = files.settings.get(group)
    return str(part.get(key, "")) if isinstance(part, dict) else ""


def _flat(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Dotted keys and their values as text."""
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", ", ".join(map(str, value)) if isinstance(value, list) else str(value)

"""Who says what about candidates with choices, and how far each was right about the seeds.

Three witnesses: the teacher asked afresh, the nearest seeds, and the last round's own student. What each is worth is learned on
the seeds: by the teacher's answers of the baseline, by leaving each seed out, and by the students of the other folds. Of a
student examined on what it was trained on nothing can be learned, so such a one is not heard.

In a cross-fitted run each candidate has witnesses of its own fold: the nearest seeds of that fold, and what all are worth is learned
there. No student is heard: whichever one does not know the candidate's fold was trained on the others, and what it
says would carry them into a lesson that the students examined on those others learn from.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from loops.crew import Crew
from loops.folds import Ground
from loops.learning import machine, round_file
from loops.run_folder import content_hash
from loops.state import State
from student.records import Attempt, Candidate, Seed, read_records
from student.scorers import best_choice, choice_values
from teacher.answers import agreed
from teacher.curate import common_choices
from teacher.nearest import NearestSeeds
from teacher.witnesses import UNDECIDED, Report, Witness, witness

Draws = list[str | None]
"""One candidate's answers by the teacher, one a draw."""
TEACHER, NEAREST, STUDENT = "teacher", "nearest seeds", "student"


def evidence(crew: Crew, state: State) -> dict[str, Any]:
    """What witnesses depend on besides the candidates: for the manifest of what they said."""
    files = [
        place
        for place in (_teacher_on_seeds(crew), _student_on_seeds(crew, state), _student(crew, state))
        if place.exists()
    ]
    kept = {place.relative_to(crew.folder.path).as_posix(): content_hash(place) for place in files}
    return {"files": kept, "teacher": crew.settings.teacher.model, "machine": machine(crew)}


def statements_on(
    crew: Crew, state: State, part: Ground, candidates: Sequence[Candidate], draws: Sequence[Draws]
) -> dict[str, list[str]]:
    """What each witness of a ground says about each of its candidates, by the witness's name. `draws`: the teacher's answers."""
    if not candidates:
        return {}
    agree, both = crew.settings.curate.agree, zip(candidates, draws, strict=True)
    found = {TEACHER: [_choice(crew, one.choices, agreed(said, agree, crew.same_answer)) for one, said in both]}
    if common_choices(crew.evals.seeds):
        found[NEAREST] = NearestSeeds(part.seeds).labels([one.prompt for one in candidates])
    met_all, places = crew.settings.mine.how == "resubstitution", (_student, _student_on_seeds)
    if not (part.is_fold or met_all) and all(place(crew, state).exists() for place in places):
        found[STUDENT] = _student_says(crew, state, candidates)
    return found


def known_witness(crew: Crew, state: State, name: str, part: Ground) -> Witness:
    """A witness, by what it said about the seeds of a ground."""
    seeds = part.seeds
    if name == NEAREST:
        said = NearestSeeds(seeds).leave_one_out()
        return witness(name, [Report(truth=seed.answer, said=one) for seed, one in zip(seeds, said, strict=True)])
    place = _teacher_on_seeds(crew) if name == TEACHER else _student_on_seeds(crew, state)
    by_id = {seed.id: seed for seed in seeds}
    attempts = read_records(place, Attempt) if place.exists() else []
    known = [(by_id[one.item_id], one.output) for one in attempts if one.item_id in by_id]
    return witness(name, [Report(truth=seed.answer, said=_choice(crew, seed.choices, said)) for seed, said in known])


def pooled(witnesses: Sequence[Witness]) -> list[Witness]:
    """Witnesses of one name as one, for a person: what they said about the seeds of all grounds."""
    found: list[Witness] = []
    for name in dict.fromkeys(one.name for one in witnesses):
        alike, table = [one for one in witnesses if one.name == name], dict[str, Counter[str]]()
        for truth, row in ((truth, row) for one in alike for truth, row in one.table.items()):
            table.setdefault(truth, Counter()).update(row)
        counts = {truth: dict(row) for truth, row in table.items()}
        asked, right = sum(one.asked for one in alike), sum(one.right for one in alike)
        found.append(Witness(name=name, asked=asked, right=right, table=counts))
    return found


def _choice(crew: Crew, choices: Sequence[str], answer: str | None) -> str:
    """The choice that an answer means; nothing where it is none of them."""
    return next((one for one in choices if answer is not None and crew.same_answer(one, answer)), UNDECIDED)


def _student_says(crew: Crew, state: State, candidates: Sequence[Candidate]) -> list[str]:
    """What the last round's student would answer."""

    def on(message: dict[str, Any]) -> None:
        crew.emit("verb.progress", round=state.round, verb="curate", done=message["done"], total=message["total"],
                  unit="item", note="student as a witness")  # fmt: skip

    asked = [Seed(id=one.id, prompt=one.prompt, answer=one.answer, choices=one.choices) for one in candidates]
    tokens = crew.evals.spec.max_new_tokens
    raw = crew.student.examine(crew.evals.ask(), [*asked], _student(crew, state), tokens, on)
    scorer = crew.evals.spec.scorer.name
    return [
        one.choices[best_choice(choice_values(scorer, said["scores"], one.choices))]
        for one, said in zip(candidates, raw, strict=True)
    ]


def _teacher_on_seeds(crew: Crew) -> Path:
    return crew.folder.path / "baseline" / "attempts.teacher.mine.jsonl"


def _student_on_seeds(crew: Crew, state: State) -> Path:
    return round_file(crew, state.round, "attempts.mine.jsonl")


def _student(crew: Crew, state: State) -> Path:
    return round_file(crew, state.round - 1, "adapter")

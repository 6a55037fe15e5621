"""Judge a round's candidates: sift them by rule, hear witnesses on their answers, keep the labels in balance.

And what becomes of those who pass: lessons, with a report on how varied they are beside the seeds. In a cross-fitted run a
candidate is judged from the seeds of its own fold alone (`loops.folds`). Two checks know all seeds and only take text away:
copies, by their letters and by what they say, and the held-out guard.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from loops.affording import UNWRITTEN
from loops.crew import Crew
from loops.decide import StopReason
from loops.folds import Ground, ground_of, grounds, models_for
from loops.learning import lessons_until, round_file, training_list
from loops.meanings import said_alike
from loops.run_folder import digest
from loops.state import State
from loops.telling import counting, stop_early, tell_verdicts
from loops.witnesses import Draws, known_witness, pooled, statements_on
from student.evals.splits import numbers_in
from student.records import Candidate, Lesson, Verdict, write_json, write_records
from student.similar import Numbers, TextIndex
from teacher.answers import answer_request, read_answer
from teacher.balance import balance
from teacher.copies import is_rephrased
from teacher.curate import Edit, lessons_of, sift
from teacher.diversity import Diversity, diversity
from teacher.requests import Request, was_unsent
from teacher.verdicts import reject
from teacher.witnesses import Witness, hear, verify

Update = dict[str, Any]
NOT_CHECKED = "not-checked"
"""The reason of a candidate that the budget did not allow to check."""


def judge(
    crew: Crew, state: State, candidates: Sequence[Candidate], earlier: Sequence[Lesson], told: Path | None = None,
    within_budget: bool = False,
) -> list[Verdict]:  # fmt: skip
    """All verdicts of a round, one per candidate, in order. `told`: where witnesses are kept, if not in the round's folder.

    `within_budget`: candidates that the budget does not allow to check are rejected for that. Without it, and where it allows none,
    BudgetSpent is raised.
    """
    settings, parts = crew.settings.curate, grounds(crew)
    belongs = [ground_of(parts, one) for one in candidates]
    known, guard = taken_texts(crew, earlier), crew.evals.held_out.guard(crew.evals.seeds)
    meant = said_alike(crew, state, candidates, earlier, written_numbers(crew))

    def sifted(part: Ground, here: Sequence[int]) -> list[Verdict]:
        whole = [seed for seed in crew.evals.seeds if part.holds(seed.id)]  # nobody is asked, so nothing is kept back
        return sift([candidates[at] for at in here], whole, known, guard, settings, meant)

    verdicts = on_each(parts, belongs, sifted)
    if settings.verify:
        # A rephrased seed has that seed's answer: nobody needs to be asked.
        asked = [at for at, one in enumerate(verdicts) if one.accepted and not is_rephrased(candidates[at])]
        place = told or round_file(crew, state.round, "witnesses.json")
        answers = teacher_answers(
            crew, state, [candidates[at] for at in asked], [belongs[at] for at in asked], within_budget
        )
        draws = {at: one for at, one in zip(asked, answers, strict=True) if one is not None}
        said = heard(
            crew, state, [candidates[at] for at in draws], [belongs[at] for at in draws], [*draws.values()], place
        )
        for at in asked:
            verdicts[at] = reject(candidates[at], NOT_CHECKED)
        for at, verdict in zip(draws, said, strict=True):
            verdicts[at] = verdict

    def balanced(part: Ground, here: Sequence[int]) -> list[Verdict]:
        before = [one for one in earlier if ground_of(parts, one) == part]
        kept, theirs = [candidates[at] for at in here], [verdicts[at] for at in here]
        return balance(kept, theirs, part.seeds, before, settings.balance)

    return on_each(parts, belongs, balanced)


def on_each(
    parts: Sequence[Ground], belongs: Sequence[Ground], judged: Callable[[Ground, list[int]], list[Verdict]]
) -> list[Verdict]:
    """Verdicts in the order of the candidates, made ground by ground. `judged` is told the places of a ground's candidates."""
    found = dict[int, Verdict]()
    for part in parts:
        if here := [at for at, other in enumerate(belongs) if other == part]:
            found |= zip(here, judged(part, here), strict=True)
    return [found[at] for at in range(len(belongs))]


def taken_texts(crew: Crew, earlier: Sequence[Candidate | Lesson]) -> TextIndex:
    """The texts no lesson may be a copy of."""
    known = TextIndex(crew.settings.curate.duplicate, written_numbers(crew))
    known.add_many((one.id, one.prompt) for one in (*crew.evals.seeds, *earlier))
    return known


def written_numbers(crew: Crew) -> Numbers:
    """How numbers in questions are compared."""
    return numbers_in(crew.evals.seeds)


def heard(
    crew: Crew, state: State, candidates: Sequence[Candidate], belongs: Sequence[Ground], draws: Sequence[Draws], told: Path
) -> list[Verdict]:  # fmt: skip
    """What the witnesses make of candidates that passed the rules. `belongs`: the ground of each. `draws`: what the teacher answered.
    `told`: where witnesses are kept."""
    settings = crew.settings.curate
    verdicts = [
        verify(one, said, settings.agree, crew.same_answer) for one, said in zip(candidates, draws, strict=True)
    ]
    found: list[Witness] = []
    for part in dict.fromkeys(belongs):
        chosen = [at for at, one in enumerate(candidates) if one.choices and belongs[at] == part]
        statements = statements_on(crew, state, part, [candidates[at] for at in chosen], [draws[at] for at in chosen])
        witnesses = [known_witness(crew, state, name, part) for name in statements]
        for number, at in enumerate(chosen):
            said = {name: labels[number] for name, labels in statements.items()}
            verdicts[at] = hear(candidates[at], said, witnesses, settings.belief)
        found += witnesses
    write_json(told, [one.model_dump() for one in pooled(found)])
    return verdicts


def teacher_answers(
    crew: Crew, state: State, candidates: Sequence[Candidate], belongs: Sequence[Ground], within_budget: bool
) -> list[Draws | None]:
    """The teacher's own answers to the candidates, asked without a hint; None where the budget did not allow all that are wanted.
    `belongs`: the ground of each."""
    count, requests = crew.settings.curate.answers, questions_on(crew, candidates, belongs)
    progress = counting(crew, state.round, "curate", len(requests), "item", "teacher answers afresh")
    replies = crew.teacher().ask_all(
        requests, round=state.round, on_done=lambda at, reply: progress(1), within_budget=within_budget
    )
    each = [replies[start : start + count] for start in range(0, len(replies), count)]
    return [None if any(map(was_unsent, some)) else [read_answer(reply) for reply in some] for some in each]


def questions_on(crew: Crew, candidates: Sequence[Candidate], belongs: Sequence[Ground]) -> list[Request]:
    """What the teacher is asked about candidates, each as often as it is to answer."""
    sheet, shown = crew.sheet(), {part: models_for(crew, part) for part in set(belongs)}
    return [
        answer_request(sheet, one.prompt, one.choices, sample, one.strategy, shown[part])
        for one, part in zip(candidates, belongs, strict=True)
        for sample in range(crew.settings.curate.answers)
    ]


def keep(
    crew: Crew, state: State, candidates: Sequence[Candidate], verdicts: Sequence[Verdict],
    edits: Mapping[str, Edit] | None = None,
) -> Update:  # fmt: skip
    """Write the round's lessons down, say what became of every candidate, and end the loop where nothing is left.

    Where the budget did not allow to write or check all, the loop ends with the student of these lessons.
    """
    target, lessons = round_file(crew, state.round, "lessons.jsonl"), lessons_of(candidates, verdicts, edits)
    made_from = {"verdicts": [one.model_dump() for one in verdicts], "lessons": [one.model_dump() for one in lessons]}
    crew.folder.once(target, made_from, lambda: write_records(target, lessons))
    accepted = tell_verdicts(crew, state.round, [*candidates, *lessons], verdicts)
    short = any(one.reason == NOT_CHECKED for one in verdicts) or round_file(crew, state.round, UNWRITTEN).exists()
    if accepted:
        tell_diversity(crew, state, lessons)
        return {"accepted": accepted, "reviewing": False, **({"stop": StopReason.BUDGET.value} if short else {})}
    reason = StopReason.BUDGET if short else StopReason.NO_LESSONS
    stop_early(crew, state.round, state.best, reason)
    return {"accepted": 0, "reviewing": False, "stop": reason.value}


def tell_diversity(crew: Crew, state: State, lessons: Sequence[Lesson]) -> None:
    """Measure how varied the lessons are, and raise an alarm where they narrow."""
    target, settings = round_file(crew, state.round, "diversity.json"), crew.settings.curate
    seeds, earlier = crew.evals.seeds, lessons_until(crew, state.round - 1)
    rows = training_list(seeds, [*earlier, *lessons], settings.real_share)
    share = 1 - (len(earlier) + len(lessons)) / len(rows)
    texts = [[one.prompt for one in group] for group in (seeds, lessons, earlier)]

    def make() -> None:
        write_json(target, diversity(*texts, real_share=share, narrow=settings.narrow).model_dump())

    crew.folder.once(target, {"texts": digest(texts), "share": share, "narrow": settings.narrow}, make)
    found = Diversity.model_validate_json(target.read_text(encoding="utf-8"))
    crew.emit("diversity", round=state.round, **found.model_dump(exclude={"alarms"}))
    for alarm in found.alarms:
        crew.emit(
            "note",
            text=f"round {state.round}: {alarm}. Mix in other strategies (generate.mix), or ask for fewer lessons",
        )

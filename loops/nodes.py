"""One function a verb: read files, call a room, write files, say what happened, return names and small numbers.

Every node may be killed anywhere and run again: it asks the run folder whether its artifact is there (`once`), and what
it makes depends on nothing but the inputs it names. Progress and results are told through `crew.emit`.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from loops.crew import Crew
from loops.decide import Decision, StopReason, decide
from loops.run_folder import digest, point_best, put_folder
from loops.state import State
from loops.stats import Score, claim_sentence, compare, score
from loops.openings import record_opening
from student.evalset import make_folds
from student.grade import grade
from student.prompting import Ask
from student.records import (
    Attempt,
    Candidate,
    Failure,
    Item,
    Lesson,
    Seed,
    Verdict,
    Weakness,
    read_records,
    write_json,
    write_records,
)
from student.similar import TextIndex
from teacher.curate import answer_request, lessons_of, read_answer, sift, verify
from teacher.diagnose import diagnose as name_weaknesses
from teacher.errors import BudgetSpent
from teacher.generate import plan_orders, read_candidates
from teacher.requests import Reply

Update = dict[str, Any]


# --- the verbs ---------------------------------------------------------------------------------------------------


def baseline(state: State, crew: Crew) -> Update:
    """The untouched student on `select`, without and with worked examples, and the teacher itself on seeds."""
    items = list(crew.evals.held_out.select())
    for who, lead in (("zero-shot", zero_shot(crew)), ("few-shot", few_shot(crew))):
        target = crew.folder.path / "baseline" / f"attempts.{who}.select.jsonl"
        attempts = examined(crew, state, who, "select", items, None, target, crew.evals.ask(lead))
        say_score(crew, state, who, "select", attempts)
    if crew.settings.teacher.check_items:
        check_teacher(crew, state)
    return {}


def train(state: State, crew: Crew) -> Update:
    """Fine-tune from the base on the seeds and every lesson accepted so far."""
    pairs = [(seed.prompt, seed.answer) for seed in crew.evals.seeds]
    pairs += [(lesson.prompt, lesson.answer) for lesson in lessons_until(crew, state.round)]
    fit(crew, state, f"round {state.round}", pairs, crew.folder.round(state.round) / "adapter")
    return {}


def evaluate(state: State, crew: Crew) -> Update:
    """Examine this round's student on `select`."""
    folder, items = crew.folder.round(state.round), list(crew.evals.held_out.select())
    attempts = examined(
        crew, state, who(state.round), "select", items, folder / "adapter", folder / "attempts.select.jsonl"
    )
    say_score(crew, state, who(state.round), "select", attempts)
    return {}


def decide_round(state: State, crew: Crew) -> Update:
    """Keep the best round on `select`; go on, or stop and say why."""
    scores = [score(read_records(round_file(crew, number, "attempts.select.jsonl"), Attempt)) for number in range(state.round + 1)]
    decision = decide(scores, crew.settings.stop)
    write_json(crew.folder.round(state.round) / "decision.json", decision.model_dump(mode="json"))
    point_best(crew.folder, decision.best)
    tell_decision(crew, state.round, decision)
    return {"best": decision.best, "stop": decision.reason or ""}


def mine(state: State, crew: Crew) -> Update:
    """Begin a teaching round: find the seeds the present student gets wrong, each examined out of fold."""
    number = state.round + 1
    here = state.model_copy(update={"round": number})
    attempts = mine_attempts(here, crew)
    say_score(crew, here, "out of fold", "mine", attempts)
    failures = failures_of(crew, attempts)
    if not failures:
        stop_early(crew, number, state.best, StopReason.NOTHING_LEFT)
        return {"round": number, "failures": 0, "stop": StopReason.NOTHING_LEFT}
    return {"round": number, "failures": len(failures)}


def diagnose(state: State, crew: Crew) -> Update:
    """Group the failures into weaknesses and share out the round's lessons."""
    target = round_file(crew, state.round, "weaknesses.json")
    attempts = read_records(round_file(crew, state.round, "attempts.mine.jsonl"), Attempt)
    weaknesses = name_weaknesses(failures_of(crew, attempts), state.round, crew.settings.generate.lessons)
    write_records(target, weaknesses)
    for weakness in weaknesses:
        crew.emit(
            "weakness", round=state.round, id=weakness.id, name=weakness.name, failures=len(weakness.failures),
            lessons=weakness.lessons,
        )  # fmt: skip
    return {}


def generate(state: State, crew: Crew) -> Update:
    """Have the teacher write new items for the weaknesses."""
    weaknesses = read_records(round_file(crew, state.round, "weaknesses.json"), Weakness)
    settings, target = crew.settings.generate, round_file(crew, state.round, "candidates.jsonl")
    orders = plan_orders(crew.sheet(), weaknesses, settings, state.round, crew.settings.seed)

    def make() -> None:
        client = crew.teacher()
        requests = [order.request for order in orders]
        progress = counting(crew, state.round, "generate", len(orders), "request")
        replies = client.ask_all(requests, round=state.round, on_done=lambda index, reply: progress())
        candidates: list[Candidate] = []
        lost = 0
        for order, reply in zip(orders, replies, strict=True):
            key = order.request.key(client.backend.served_by)
            found, missing = read_candidates(order, reply, key, state.round) if isinstance(reply, Reply) else ([], order.count)
            candidates += found
            lost += missing
        if lost:
            crew.emit("note", text=f"{lost} of {sum(order.count for order in orders)} lessons asked for were not in the replies")
        write_records(target, candidates)

    return budgeted(crew, state, lambda: crew.folder.once(target, {"orders": [order.request.model_dump() for order in orders]}, make))


def curate(state: State, crew: Crew) -> Update:
    """Sift the candidates, have the teacher answer the survivors afresh, and keep what agrees."""
    candidates = read_records(round_file(crew, state.round, "candidates.jsonl"), Candidate)
    target, lessons = round_file(crew, state.round, "verdicts.jsonl"), round_file(crew, state.round, "lessons.jsonl")
    earlier = lessons_until(crew, state.round - 1)

    def make() -> None:
        verdicts = judge(crew, state, candidates, earlier)
        write_records(lessons, lessons_of(candidates, verdicts))
        write_records(target, verdicts)

    update = budgeted(crew, state, lambda: crew.folder.once(target, {"candidates": digest([one.id for one in candidates]), "earlier": digest([one.id for one in earlier])}, make))
    if update:
        return update
    accepted = tell_verdicts(crew, state.round, candidates, read_records(target, Verdict))
    if not accepted:
        stop_early(crew, state.round, state.best, StopReason.NO_LESSONS)
        return {"accepted": 0, "stop": StopReason.NO_LESSONS}
    return {"accepted": accepted}


def claim(state: State, crew: Crew) -> Update:
    """Open `test` once, after every choice is frozen: untouched, seed-only and best student, and the paired claim."""
    seen = record_opening(crew.folder, crew.evals.fingerprint)
    if seen:
        crew.emit("note", text=f"test already seen: this split was opened before by {', '.join(seen)}; a claim made twice is weaker")
    items = list(crew.evals.held_out.open_test(lambda: crew.emit("note", text="test is opened: all choices are frozen")))
    here = state.model_copy(update={"round": state.best})
    results: dict[str, list[Attempt]] = {}
    for name, adapter, lead in claimants(state, crew):
        target = crew.folder.path / "claim" / f"attempts.{name.replace(' ', '-')}.test.jsonl"
        results[name] = examined(crew, here, name, "test", items, adapter, target, crew.evals.ask(lead))
        say_score(crew, here, name, "test", results[name])
    best = results["best" if state.best else "seed-only"]
    comparison = compare(best, results["seed-only"])
    sentence = claim_sentence(comparison, state.best)
    record = {"best": state.best, **comparison.model_dump(), "sentence": sentence, "test_seen_before_by": seen}
    write_json(crew.folder.path / "claim" / "claim.json", record)
    crew.emit("claim", best=state.best, against="seed-only", n=comparison.n, gain=comparison.gain, low=comparison.low,
              high=comparison.high, p=comparison.p, sentence=sentence)  # fmt: skip
    return {"claimed": True}


# --- the student's part ------------------------------------------------------------------------------------------


def who(number: int) -> str:
    """What the student of a round is called in events."""
    return "seed-only" if number == 0 else "round"


def fit(crew: Crew, state: State, name: str, pairs: list[tuple[str, str]], place: Path) -> None:
    """Train an adapter on (question, answer) pairs into `place`, unless it is there."""
    settings = crew.settings.train.model_dump()
    inputs = {"pairs": pairs, "settings": settings, "seed": crew.settings.seed, "ask": crew.evals.ask().model_dump(),
              "student": crew.settings.student.model_dump(), "machine": machine(crew)}  # fmt: skip

    def on(message: dict[str, Any]) -> None:
        crew.emit("loss", round=state.round, student=name, step=message["step"], steps=message["steps"],
                  loss=round(message["loss"], 4), tokens_per_second=round(message["tokens_per_second"], 1))  # fmt: skip

    def make() -> None:
        draft = place.with_name(f".{place.name}.draft")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        result = crew.student.train(crew.evals.ask(), pairs, settings, crew.settings.seed, draft, on)
        if result["dropped_too_long"]:
            crew.emit("note", text=f"{result['dropped_too_long']} of {len(pairs)} training items exceed train.max_tokens and were left out")
        write_json(draft / "training.json", {key: value for key, value in result.items() if key != "seconds"})
        put_folder(draft, place)

    crew.folder.once(place, inputs, make)


def examined(
    crew: Crew, state: State, name: str, split: str, items: Sequence[Item], adapter: Path | None, target: Path,
    ask: Ask | None = None,
) -> list[Attempt]:  # fmt: skip
    """Attempts of a student (an adapter, or the untouched base) at these items, kept in `target`."""
    ask = ask or crew.evals.ask()
    weights = digest((adapter / "training.json").read_text() + (adapter.parent / "made" / f"{adapter.name}.json").read_text()) if adapter else ""
    inputs = {"items": [item.model_dump() for item in items], "ask": ask.model_dump(), "adapter": weights,
              "student": crew.settings.student.model, "machine": machine(crew)}  # fmt: skip

    def on(message: dict[str, Any]) -> None:
        crew.emit("verb.progress", round=state.round, verb=crew.verb, done=message["done"], total=message["total"],
                  unit="item", note=f"{name} on {split}")  # fmt: skip

    def make() -> None:
        answers = crew.student.examine(ask, list(items), adapter, crew.evals.spec.max_new_tokens, on)
        write_records(target, grade(crew.evals.spec, items, answers))

    crew.folder.once(target, inputs, make)
    return read_records(target, Attempt)


def machine(crew: Crew) -> dict[str, Any]:
    """Device, precision and threads of this run: probed once, then kept, so that a resumed run computes alike."""
    return crew.student.start()["machine"]


def mine_attempts(state: State, crew: Crew) -> list[Attempt]:
    """Attempts at every seed: by students of the other folds, or by the round's own student (resubstitution)."""
    target = round_file(crew, state.round, "attempts.mine.jsonl")
    seeds = list(crew.evals.seeds)
    if crew.settings.mine.how == "resubstitution":
        return examined(crew, state, "seed-trained", "mine", seeds, crew.folder.round(state.round - 1) / "adapter", target)
    lessons = [(lesson.prompt, lesson.answer) for lesson in lessons_until(crew, state.round - 1)]
    inputs = {"folds": crew.settings.mine.folds, "lessons": lessons, "seeds": [seed.model_dump() for seed in seeds],
              "train": crew.settings.train.model_dump(), "seed": crew.settings.seed, "machine": machine(crew)}  # fmt: skip

    def make() -> None:
        attempts: dict[str, Attempt] = {}
        folds = make_folds(seeds, crew.settings.mine.folds)
        for number, fold in enumerate(folds, 1):
            for attempt in fold_attempts(state, crew, number, fold, lessons):
                attempts[attempt.item_id] = attempt
        write_records(target, [attempts[seed.id] for seed in seeds])

    crew.folder.once(target, inputs, make)
    shutil.rmtree(target.parent / "folds", ignore_errors=True)
    return read_records(target, Attempt)


def fold_attempts(
    state: State, crew: Crew, number: int, fold: list[Seed], lessons: list[tuple[str, str]]
) -> list[Attempt]:
    """Train on the other folds' seeds and the lessons, then examine this fold."""
    mine_ids = {seed.id for seed in fold}
    pairs = [(seed.prompt, seed.answer) for seed in crew.evals.seeds if seed.id not in mine_ids] + lessons
    place = crew.folder.round(state.round) / "folds" / f"{number}"
    place.parent.mkdir(parents=True, exist_ok=True)
    fit(crew, state, f"fold {number} of {crew.settings.mine.folds}", pairs, place)
    return examined(crew, state, f"fold {number}", "mine", fold, place, place.parent / f"attempts.{number}.jsonl")


def failures_of(crew: Crew, attempts: Sequence[Attempt]) -> list[Failure]:
    """The seeds answered wrong. Truncated and malformed answers are counted in the score, not taught."""
    seeds = {seed.id: seed for seed in crew.evals.seeds}
    return [Failure(seed=seeds[one.item_id], wrong_answer=one.output) for one in attempts if one.outcome == "wrong"]


def zero_shot(crew: Crew) -> str:
    """The lead of an untouched student: the task as one would tell a person."""
    return crew.evals.task() + "\n\n"


def few_shot(crew: Crew) -> str:
    """The task and worked examples: one seed per skill in turn, in the order of their ids."""
    by_skill: dict[str, list[Seed]] = {}
    for seed in sorted(crew.evals.seeds, key=lambda seed: seed.id):
        by_skill.setdefault(seed.skill, []).append(seed)
    turns = [seed for turn in range(len(crew.evals.seeds)) for group in by_skill.values() for seed in group[turn : turn + 1]]
    shots = turns[: crew.settings.student.shots]
    frame = crew.evals.ask()
    return zero_shot(crew) + "".join(f"{frame.text(seed.prompt)} {seed.answer}\n\n" for seed in shots)


def claimants(state: State, crew: Crew) -> list[tuple[str, Path | None, str]]:
    """Who is examined on `test`: name, adapter, lead."""
    rows: list[tuple[str, Path | None, str]] = [
        ("zero-shot", None, zero_shot(crew)),
        ("few-shot", None, few_shot(crew)),
        ("seed-only", crew.folder.round(0) / "adapter", ""),
    ]
    return rows + ([("best", crew.folder.round(state.best) / "adapter", "")] if state.best else [])


# --- the teacher's part ------------------------------------------------------------------------------------------


def check_teacher(crew: Crew, state: State) -> None:
    """Examine the teacher on seeds with nothing but the task's description; say so when it may not be able to teach."""
    target = crew.folder.path / "baseline" / "attempts.teacher.mine.jsonl"
    seeds = sorted(crew.evals.seeds, key=lambda seed: seed.id)[: crew.settings.teacher.check_items]
    inputs = {"seeds": [seed.model_dump() for seed in seeds], "task": crew.sheet().model_dump()}

    def make() -> None:
        write_records(target, teacher_attempts(crew, state, seeds))

    budgeted(crew, state, lambda: crew.folder.once(target, inputs, make))
    if target.exists():
        attempts = read_records(target, Attempt)
        say_score(crew, state, "teacher", "mine", attempts)
        if score(attempts).accuracy < 0.5:
            crew.emit("note", text="the teacher itself gets fewer than half of the seeds right: its lessons may mislead")


def teacher_attempts(crew: Crew, state: State, seeds: Sequence[Seed]) -> list[Attempt]:
    """The teacher's own answers to seeds, scored like a student's."""
    progress = counting(crew, state.round, "baseline", len(seeds), "item", "teacher on mine")
    requests = [answer_request(crew.sheet(), seed.prompt) for seed in seeds]
    replies = crew.teacher().ask_all(requests, round=state.round, on_done=lambda index, reply: progress())
    attempts: list[Attempt] = []
    for seed, reply in zip(seeds, replies, strict=True):
        answer = read_answer(reply) if isinstance(reply, Reply) else None
        right = answer is not None and crew.same_answer(seed.answer, answer)
        outcome = "right" if right else "malformed" if answer is None else "wrong"
        attempts.append(Attempt(item_id=seed.id, output=answer or "", outcome=outcome, score=float(right)))
    return attempts


def judge(crew: Crew, state: State, candidates: Sequence[Candidate], earlier: Sequence[Lesson]) -> list[Verdict]:
    """All verdicts of a round, one per candidate, in order."""
    known = TextIndex()
    for one in (*crew.evals.seeds, *earlier):
        known.add(one.id, one.prompt)
    verdicts = sift(candidates, crew.evals.seeds, known, crew.evals.held_out.guard(), crew.settings.curate)
    if not crew.settings.curate.verify:
        return verdicts
    asked = [at for at, verdict in enumerate(verdicts) if verdict.accepted]
    requests = [answer_request(crew.sheet(), candidates[at].prompt) for at in asked]
    progress = counting(crew, state.round, "curate", len(asked), "item", "teacher answers afresh")
    replies = crew.teacher().ask_all(requests, round=state.round, on_done=lambda index, reply: progress())
    for at, reply in zip(asked, replies, strict=True):
        answer = read_answer(reply) if isinstance(reply, Reply) else None
        verdicts[at] = verify(candidates[at], answer, crew.same_answer)
    return verdicts


def budgeted(crew: Crew, state: State, work: Callable[[], object]) -> Update:
    """Do the work; when the budget stands in the way, say so and let the loop end with what it has."""
    try:
        work()
        return {}
    except BudgetSpent as error:
        crew.emit("note", text=str(error))
        if state.round:
            stop_early(crew, state.round, state.best, StopReason.BUDGET)
        return {"stop": StopReason.BUDGET}


# --- saying what happened ----------------------------------------------------------------------------------------


def say_score(crew: Crew, state: State, name: str, split: str, attempts: Sequence[Attempt]) -> None:
    """One score event."""
    found: Score = score(attempts)
    crew.emit("score", round=state.round, student=name, split=split, **found.model_dump())


def tell_decision(crew: Crew, number: int, decision: Decision) -> None:
    """One decided event."""
    crew.emit("decided", round=number, best=decision.best, go_on=decision.reason is None, reason=decision.reason or "",
              sentence=decision.sentence)  # fmt: skip


def stop_early(crew: Crew, number: int, best: int, reason: StopReason) -> None:
    """A decision made in the middle of a round."""
    from loops.decide import SENTENCES

    sentence = f"stopped in round {number}: {SENTENCES[reason]}; round {best} is kept"
    tell_decision(crew, number, Decision(best=best, reason=reason, sentence=sentence))


def tell_verdicts(crew: Crew, number: int, candidates: Sequence[Candidate], verdicts: Sequence[Verdict]) -> int:
    """One event per candidate; returns how many were accepted."""
    by_id = {candidate.id: candidate for candidate in candidates}
    for verdict in verdicts:
        one = by_id[verdict.candidate_id]
        if verdict.accepted:
            crew.emit("accepted", round=number, id=one.id, prompt=one.prompt, answer=one.answer, strategy=one.strategy, weakness=one.weakness_id)
        else:
            crew.emit("rejected", round=number, id=one.id, reason=verdict.reason, detail=verdict.detail)
    return sum(verdict.accepted for verdict in verdicts)


def counting(crew: Crew, number: int, verb: str, total: int, unit: str, note: str = "") -> Callable[[], None]:
    """A progress callback that counts its own calls."""
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        crew.emit("verb.progress", round=number, verb=verb, done=done, total=total, unit=unit, note=note)

    return step


# --- files -------------------------------------------------------------------------------------------------------


def round_file(crew: Crew, number: int, name: str) -> Path:
    """A file of one round."""
    return crew.folder.round(number) / name


def lessons_until(crew: Crew, number: int) -> list[Lesson]:
    """Every lesson accepted up to and including a round, oldest first."""
    lessons: list[Lesson] = []
    for each in range(1, number + 1):
        lessons += read_records(round_file(crew, each, "lessons.jsonl"), Lesson)
    return lessons

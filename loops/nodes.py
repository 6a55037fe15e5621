"""One function a verb: read files, call a room, write files, say what happened, return names and small numbers.

Every node may be killed anywhere and run again: it asks the run folder whether its artifact is there (`once`), and what
it makes depends on nothing but the inputs it names.
"""

from __future__ import annotations

from typing import Any

from loops.crew import Crew
from loops.decide import StopReason, decide
from loops.learning import (
    Exam,
    claim_exams,
    examined,
    example,
    failures_of,
    few_shot,
    fit,
    lessons_until,
    mine_attempts,
    round_file,
    student_name,
    zero_shot,
)
from loops.openings import record_opening
from loops.run_folder import digest, point_best
from loops.state import State
from loops.claims import model_sentence
from loops.stats import compare
from loops.teaching import budgeted, check_teacher, judge
from loops.telling import counting, say_score, stop_early, tell_decision, tell_verdicts
from student.records import Attempt, Candidate, Verdict, Weakness, read_records, write_json, write_records
from teacher.curate import lessons_of
from teacher.diagnose import diagnose as name_weaknesses
from teacher.generate import Order, plan_orders, read_candidates
from teacher.requests import Reply

Update = dict[str, Any]


def baseline(state: State, crew: Crew) -> Update:
    """The untouched student on `select`, without and with worked examples, and the teacher itself on seeds."""
    items = crew.evals.held_out.select()
    for name, lead in (("zero-shot", zero_shot(crew)), ("few-shot", few_shot(crew))):
        target = crew.folder.path / "baseline" / f"attempts.{name}.select.jsonl"
        say_score(crew, state, name, "select", examined(crew, state, Exam(name, "select", items, target, lead=lead)))
    if crew.settings.teacher.check_items:
        return check_teacher(crew, state)
    return {}


def train(state: State, crew: Crew) -> Update:
    """Fine-tune from the base on the seeds and every lesson accepted so far."""
    learned = (*crew.evals.seeds, *lessons_until(crew, state.round))
    examples = [example(one) for one in learned]
    fit(crew, state, f"round {state.round}", examples, round_file(crew, state.round, "adapter"))
    return {}


def evaluate(state: State, crew: Crew) -> Update:
    """Examine this round's student on `select`."""
    name, target = student_name(state.round), round_file(crew, state.round, "attempts.select.jsonl")
    exam = Exam(name, "select", crew.evals.held_out.select(), target, round_file(crew, state.round, "adapter"))
    say_score(crew, state, name, "select", examined(crew, state, exam))
    return {}


def decide_round(state: State, crew: Crew) -> Update:
    """Keep the best round on `select`; go on, or stop and say why."""
    rounds = [
        read_records(round_file(crew, number, "attempts.select.jsonl"), Attempt) for number in range(state.round + 1)
    ]
    skills = {item.id: item.skill for item in crew.evals.held_out.select()}
    decision = decide(rounds, skills, crew.settings.stop, StopReason(state.stop) if state.stop else None)
    write_json(crew.folder.round(state.round) / "decision.json", decision.model_dump(mode="json"))
    point_best(crew.folder, decision.best)
    tell_decision(crew, state.round, decision)
    return {"best": decision.best, "stop": decision.reason.value if decision.reason else ""}


def mine(state: State, crew: Crew) -> Update:
    """Begin a teaching round: find the seeds the present student gets wrong, each examined out of fold."""
    number = state.round + 1
    here = state.model_copy(update={"round": number})
    attempts = mine_attempts(here, crew)
    say_score(crew, here, "out of fold", "mine", attempts)
    failures = failures_of(crew, attempts)
    if not failures:
        stop_early(crew, number, state.best, StopReason.NOTHING_LEFT)
        return {"round": number, "failures": 0, "stop": StopReason.NOTHING_LEFT.value}
    return {"round": number, "failures": len(failures)}


def diagnose(state: State, crew: Crew) -> Update:
    """Group the failures into weaknesses and share out the round's lessons."""
    settings = crew.settings.generate
    target = round_file(crew, state.round, "weaknesses.jsonl")
    attempts = read_records(round_file(crew, state.round, "attempts.mine.jsonl"), Attempt)
    weaknesses = name_weaknesses(failures_of(crew, attempts), state.round, settings.lessons, settings.per_request)
    write_records(target, weaknesses)
    for weakness in weaknesses:
        crew.emit(
            "weakness", round=state.round, id=weakness.id, name=weakness.name, failures=len(weakness.failures),
            lessons=weakness.lessons,
        )  # fmt: skip
    return {}


def generate(state: State, crew: Crew) -> Update:
    """Have the teacher write new items for the weaknesses."""
    weaknesses = read_records(round_file(crew, state.round, "weaknesses.jsonl"), Weakness)
    orders = plan_orders(crew.sheet(), weaknesses, crew.settings.generate, state.round, crew.settings.seed)
    target = round_file(crew, state.round, "candidates.jsonl")
    inputs = {"orders": [order.request.model_dump() for order in orders]}
    return budgeted(
        crew,
        state,
        lambda: crew.folder.once(target, inputs, lambda: write_records(target, ask_for(crew, state, orders))),
    )


def ask_for(crew: Crew, state: State, orders: list[Order]) -> list[Candidate]:
    """The candidates of all replies, in the order asked for; what replies did not hold is counted."""
    client, asked = crew.teacher(), sum(order.count for order in orders)
    progress = counting(crew, state.round, "generate", asked, "lesson")
    replies = client.ask_all(
        [order.request for order in orders], round=state.round, on_done=lambda at, _: progress(orders[at].count)
    )
    candidates: list[Candidate] = []
    for order, reply in zip(orders, replies, strict=True):
        if isinstance(reply, Reply):
            candidates += read_candidates(order, reply, order.request.key(client.backend.served_by), state.round)
    if len(candidates) < asked:
        crew.emit("note", text=f"{asked - len(candidates)} of {asked} lessons asked for were not in the replies")
    return candidates


def curate(state: State, crew: Crew) -> Update:
    """Sift the candidates, have the teacher answer the survivors afresh, and keep what agrees."""
    candidates = read_records(round_file(crew, state.round, "candidates.jsonl"), Candidate)
    target, lessons = round_file(crew, state.round, "verdicts.jsonl"), round_file(crew, state.round, "lessons.jsonl")
    earlier = lessons_until(crew, state.round - 1)
    inputs = {"candidates": digest([one.id for one in candidates]), "earlier": digest([one.id for one in earlier]),
              "settings": crew.settings.curate.model_dump()}  # fmt: skip
    update = budgeted(
        crew, state,
        lambda: crew.folder.once(target, inputs, lambda: write_records(target, judge(crew, state, candidates, earlier))),
    )  # fmt: skip
    if update:
        return update
    verdicts = read_records(target, Verdict)
    kept = lessons_of(candidates, verdicts)
    made_from = {"verdicts": [verdict.model_dump() for verdict in verdicts]}
    crew.folder.once(lessons, made_from, lambda: write_records(lessons, kept))
    accepted = tell_verdicts(crew, state.round, candidates, verdicts)
    if accepted:
        return {"accepted": accepted}
    stop_early(crew, state.round, state.best, StopReason.NO_LESSONS)
    return {"accepted": 0, "stop": StopReason.NO_LESSONS.value}


def claim(state: State, crew: Crew) -> Update:
    """Open `test` once, after every choice is frozen: untouched, seed-only and best student, and the paired claim."""
    seen = record_opening(crew.folder, crew.evals.fingerprint)
    if seen:
        text = f"test already seen: {len(seen)} earlier runs opened this split ({', '.join(seen[:3])}); a repeated claim is weaker"
        crew.emit("note", text=text)
    items = crew.evals.held_out.open_test(lambda: crew.emit("note", text="test is opened: all choices are frozen"))
    results: dict[str, list[Attempt]] = {}
    for exam in claim_exams(state, crew, items):
        here = state.model_copy(update={"round": state.best if exam.name == "best" else 0})
        results[exam.name] = examined(crew, here, exam)
        say_score(crew, here, exam.name, "test", results[exam.name])
    seed_only = results["seed-only"]
    comparison = compare(results.get("best", seed_only), seed_only)
    sentence = model_sentence(comparison, state.best)
    record = {"best": state.best, **comparison.model_dump(), "sentence": sentence, "test_seen_before_by": seen}
    write_json(crew.folder.path / "claim" / "claim.json", record)
    crew.emit("claim", best=state.best, against="seed-only", n=comparison.n, gain=comparison.gain, low=comparison.low,
              high=comparison.high, p=comparison.p, sentence=sentence)  # fmt: skip
    return {"claimed": True}

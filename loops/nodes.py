"""One function a verb: read files, call a room, write files, say what happened, return names and small numbers.

Every node may be killed anywhere and run again: it asks the run folder whether its artifact is there (`once`), and what
it makes depends on nothing but the inputs it names.
"""

from __future__ import annotations

from typing import Any

from loops.adopting import adopted, one_round
from loops.claims import model_sentence
from loops.control import arms_claim, train_arms
from loops.crew import Crew
from loops.crossfit import examine_folds, full_students, mined_file, train_folds, untouched
from loops.decide import StopReason, decide
from loops.events import CROSS_FITTED, SELECT
from loops.folds import grounds, home
from loops.judging import NOT_CHECKED, judge, keep
from loops.learning import (
    Exam,
    claim_exams,
    examined,
    failures_of,
    fit_round,
    lessons_until,
    mine_attempts,
    round_file,
    student_name,
    untouched_leads,
)
from loops.lessons import candidates_of, weaknesses_of
from loops.openings import record_opening
from loops.retraining import lessons_claim, retrained
from loops.review import open_docket
from loops.run_folder import ATTEMPTS, content_hash, digest, point_best
from loops.state import State
from loops.stats import compare
from loops.teaching import budgeted, check_teacher, larger_budget
from loops.telling import say_score, stop_early, tell_decision
from loops.unfinished import remedies
from loops.witnesses import evidence
from student.records import Attempt, Candidate, Verdict, Weakness, read_records, write_json, write_records

Update = dict[str, Any]


def baseline(state: State, crew: Crew) -> Update:
    """The untouched student on what decides, without and with worked examples, and the teacher itself on seeds."""
    items = crew.evals.held_out.select()
    for name, lead in untouched_leads(crew).items():
        if state.cross_fit:
            say_score(crew, state, name, "mine", untouched(state, crew, name))
        if not items:
            continue
        target = crew.folder.path / "baseline" / f"attempts.{name}.select.jsonl"
        say_score(crew, state, name, "select", examined(crew, state, Exam(name, "select", items, target, lead=lead)))
    if crew.settings.teacher.check_items and not state.adopt:
        return check_teacher(crew, state)
    return {}


def train(state: State, crew: Crew) -> Update:
    """Fine-tune on the seeds and every lesson accepted so far, from where `train.start` says; cross-fitted, once for each fold."""
    if state.cross_fit:
        train_folds(state, crew)
        return {}
    fit_round(state, crew, f"round {state.round}")
    return {}


def evaluate(state: State, crew: Crew) -> Update:
    """Examine this round's student on `select`; cross-fitted, each fold's student on the fold it has not met."""
    if state.cross_fit:
        say_score(crew, state, student_name(state.round), "mine", examine_folds(state, crew))
        return {}
    name, target = student_name(state.round), round_file(crew, state.round, "attempts.select.jsonl")
    exam = Exam(name, "select", crew.evals.held_out.select(), target, round_file(crew, state.round, "adapter"))
    if not exam.items:  # the last round is kept, and nothing has to decide
        crew.folder.once(target, {"items": []}, lambda: write_records(target, []))
        return {}
    say_score(crew, state, name, "select", examined(crew, state, exam))
    return {}


def decide_round(state: State, crew: Crew) -> Update:
    """Keep the best round on what decides; go on, or stop and say why."""
    name, where = (ATTEMPTS, CROSS_FITTED) if state.cross_fit else ("attempts.select.jsonl", SELECT)
    rounds = [read_records(round_file(crew, number, name), Attempt) for number in range(state.round + 1)]
    items = crew.evals.seeds if state.cross_fit else crew.evals.held_out.select()
    skills = {item.id: item.skill for item in items}
    stop = one_round(crew.settings.stop) if state.adopt else crew.settings.stop
    decision = decide(rounds, skills, stop, StopReason(state.stop) if state.stop else None, where)
    write_json(crew.folder.round(state.round) / "decision.json", decision.model_dump(mode="json"))
    point_best(crew.folder, decision.best)
    tell_decision(crew, state.round, decision)
    return {"best": decision.best, "stop": decision.reason.value if decision.reason else ""}


def mine(state: State, crew: Crew) -> Update:
    """Begin a teaching round: find the seeds the present student gets wrong, each examined out of fold."""
    number = state.round + 1
    if state.cross_fit:  # what the last round was compared by is out of fold already
        attempts = read_records(mined_file(crew, number), Attempt)
    else:
        here = state.model_copy(update={"round": number})
        attempts = mine_attempts(here, crew)
        say_score(crew, here, "out of fold", "mine", attempts)
    failures = failures_of(crew, attempts)
    for text in remedies(crew.evals.spec, crew.evals.seeds, attempts):
        crew.emit("note", text=text)
    if not failures:
        stop_early(crew, number, state.best, StopReason.NOTHING_LEFT)
        return {"round": number, "failures": 0, "stop": StopReason.NOTHING_LEFT.value}
    return {"round": number, "failures": len(failures)}


def diagnose(state: State, crew: Crew) -> Update:
    """Group the failures into weaknesses and share out the round's lessons."""
    attempts, parts = read_records(mined_file(crew, state.round), Attempt), grounds(crew)
    for weakness in weaknesses_of(crew, state, failures_of(crew, attempts)):
        ground = home(parts, weakness.failures[0].seed.id).aside if weakness.failures else ""
        name = weakness.name + ground
        crew.emit(
            "weakness", round=state.round, id=weakness.id, name=name, failures=len(weakness.failures),
            lessons=weakness.lessons,
        )  # fmt: skip
    return {}


def generate(state: State, crew: Crew) -> Update:
    """Have the teacher write new items for the weaknesses."""
    weaknesses = read_records(round_file(crew, state.round, "weaknesses.jsonl"), Weakness)
    return budgeted(crew, state, lambda: candidates_of(crew, state, weaknesses))


def curate(state: State, crew: Crew) -> Update:
    """Sift the candidates, hear witnesses on the answers of the survivors, and keep what is believed."""
    written = round_file(crew, state.round, "candidates.jsonl")
    candidates = read_records(written, Candidate)
    target, earlier = round_file(crew, state.round, "verdicts.jsonl"), lessons_until(crew, state.round - 1)
    inputs = {"candidates": content_hash(written), "earlier": digest([one.id for one in earlier]),
              "settings": crew.settings.curate.model_dump(),
              "evidence": evidence(crew, state) if crew.settings.curate.verify else {}}  # fmt: skip
    update = budgeted(
        crew, state,
        lambda: crew.folder.once(
            target, inputs, lambda: write_records(target, judge(crew, state, candidates, earlier, within_budget=True))
        ),
    )  # fmt: skip
    if update:
        return update
    verdicts = read_records(target, Verdict)
    if unchecked := sum(one.reason == NOT_CHECKED for one in verdicts):
        crew.emit(
            "note",
            text=f"the budget ends here: {unchecked} of {len(verdicts)} items were not checked. {larger_budget(crew)}",
        )
    if crew.settings.curate.review and any(verdict.accepted for verdict in verdicts):
        return {"reviewing": True}
    return keep(crew, state, candidates, verdicts)


def review(state: State, crew: Crew) -> Update:
    """Wait until a person has decided about each lesson, and keep what the person leaves."""
    from langgraph.types import interrupt

    docket = open_docket(crew, state.round)
    while docket.waiting:  # the loop asks a person, then this node runs again
        interrupt({"round": state.round})
        docket = open_docket(crew, state.round)
    candidates = read_records(round_file(crew, state.round, "candidates.jsonl"), Candidate)
    before, target = round_file(crew, state.round, "verdicts.jsonl"), round_file(crew, state.round, "reviewed.jsonl")
    inputs = {
        "verdicts": content_hash(before),
        "decisions": [docket.decided[case.candidate.id].model_dump() for case in docket.cases],
    }
    crew.folder.once(target, inputs, lambda: write_records(target, docket.verdicts(read_records(before, Verdict))))
    return keep(crew, state, candidates, read_records(target, Verdict), docket.edits())


def adopt(state: State, crew: Crew) -> Update:
    """Take over the lessons of the run that `lessons_from` names, as one round."""
    return adopted(state, crew)


def control(state: State, crew: Crew) -> Update:
    """Train the control arms: what the best round is compared with besides the seed-only student."""
    if state.cross_fit:  # arms are compared with students of all seeds
        full_students(state, crew)
    train_arms(state, crew)
    return {}


def claim(state: State, crew: Crew) -> Update:
    """Open `test` once, after every choice is frozen: untouched, seed-only and best student, and the paired claim."""
    if state.cross_fit:
        full_students(state, crew)
    again = retrained(state, crew)
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
    decides = CROSS_FITTED if state.cross_fit else SELECT
    chosen_on = decides if crew.settings.stop.keep == "best" else None
    sentence = model_sentence(comparison, state.best, chosen_on=chosen_on)
    record: Update = {"best": state.best, **comparison.model_dump(), "sentence": sentence, "test_seen_before_by": seen}
    if again:
        record["lessons"] = lessons_claim(state, crew, items, again, (results["best"], seed_only))
    if state.control:
        record |= arms_claim(state, crew, items, again, results.get("best", seed_only))
    write_json(crew.folder.path / "claim" / "claim.json", record)
    crew.emit("claim", best=state.best, against="seed-only", n=comparison.n, gain=comparison.gain, low=comparison.low,
              high=comparison.high, p=comparison.p,
              sentence=" ".join([sentence, *(one["sentence"] for one in record.get("controls", []))]))  # fmt: skip
    return {"claimed": True}

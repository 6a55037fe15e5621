"""Cross-fitting: few labels serve mining and deciding at once, and no lesson meets what it was made from.

Whole runs with a table student and a scripted teacher, on the little errands eval set; a teacher is planted that copies, with a
student that memorises, and real processes are killed. What has to hold for any seeds and lessons is drawn by hypothesis.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from dry_run import (
    ERRANDS,
    TableStudent,
    alive,
    bought,
    command_line,
    crash_server,
    events,
    finish,
    products,
    start,
    wait_until,
    words,
)
from hypothesis import given
from hypothesis import strategies as st

from agent import launch, models
from agent.mode import evals_for, settled
from agent.report import write_report
from agent.report.gather import facts_of
from agent.settings import SettingsError
from loops import crossfit
from loops.crossfit import fold_examples, lessons_without
from loops.folds import Ground, deal_folds, ground_of, grounds_of, read_folds
from loops.lessons import kept_inside
from loops.run_folder import ATTEMPTS, RunError, RunFolder
from loops.settings import CurateSettings, MineSettings, RunSettings
from loops.stats import Comparison, compare
from student.evals.check import check_evals
from student.evals.load import load_evals
from student.evals.spec import EvalError
from student.records import Attempt, Candidate, Example, Lesson, Seed, read_records
from teacher.book import open_readonly
from teacher.requests import Reply, Request
from teacher.scripted import ScriptedTeacher

CROSS_FIT = {"mode": "cross-fit", "mine__folds": "3", "stop__rounds": "2", "generate__lessons": "24"}
LEARNED: list[tuple[list[Example], list[str]]] = []
"""What each student of the last run learned and was then asked, as `Witnessed` saw it."""


# --- for any seeds and any lessons


@st.composite
def _made(draw: st.DrawFn) -> tuple[list[Seed], list[Ground], list[Lesson]]:
    """Seeds, some of them look-alikes, their folds, and lessons that are each made from one fold."""
    texts = draw(st.lists(st.text("abcdefgh ", min_size=8, max_size=30), min_size=4, max_size=24, unique=True))
    seeds = [
        Seed(id=f"s{at}", prompt=text, answer="x", skill=draw(st.sampled_from("pq"))) for at, text in enumerate(texts)
    ]
    parts = grounds_of(seeds, deal_folds(seeds, draw(st.integers(2, 5))))
    lessons: list[Lesson] = []
    for at in range(draw(st.integers(0, 12))):
        names = sorted(draw(st.sampled_from(parts)).ids)
        parent, shown = draw(st.sampled_from(names)), draw(st.lists(st.sampled_from(names), max_size=3))
        lessons.append(_lesson(f"l{at}", parent, *shown))
    return seeds, parts, lessons


def _lesson(name: str, parent: str, *shown: str) -> Lesson:
    return Lesson(id=name, prompt=f"lesson {name}", answer="x", round=1, weakness_id="", parent_id=parent, strategy="contrast",
                  request_key="k", shown_ids=shown)  # fmt: skip


@given(_made())
def test_no_student_learns_its_own_fold_or_anything_made_from_it(
    made: tuple[list[Seed], list[Ground], list[Lesson]],
) -> None:
    seeds, parts, lessons = made
    settings = SimpleNamespace(curate=CurateSettings(real_share=0.3))
    crew: Any = SimpleNamespace(evals=SimpleNamespace(seeds=seeds), settings=settings)
    examined = Counter[str]()
    for part in parts:
        examined.update(part.ids)
        learned = Counter(one.prompt for one in fold_examples(crew, parts, part, lessons))
        own = {seed.prompt for seed in part.seeds}
        made_here = {one.prompt for one in lessons if {one.parent_id, *one.shown_ids} & part.ids}
        assert not learned.keys() & (own | made_here)
        others = {seed.prompt for seed in seeds} - own
        assert learned.keys() == others | ({one.prompt for one in lessons} - made_here)
    assert examined == Counter(seed.id for seed in seeds), "every seed is examined once"


def test_a_lesson_made_from_two_folds_is_an_error_and_never_passed_over() -> None:
    seeds = [Seed(id=name, prompt=name * 9, answer="x") for name in "abcd"]
    parts = grounds_of(seeds, {"a": 1, "b": 1, "c": 2, "d": 2})
    assert ground_of(parts, _lesson("fine", "a", "a", "b")) is parts[0]
    for crossing in (_lesson("crossing", "a", "a", "c"), _lesson("lost", "z")):
        with pytest.raises(RunError, match=r"fold"):
            lessons_without(parts, parts[0], [crossing])
    want = SimpleNamespace(strategy="skill", parent=seeds[0], shown=(seeds[0], seeds[2]))
    with pytest.raises(RunError, match=r"request for lessons \(skill\).*fold 1 and of others"):
        kept_inside(parts[0], [SimpleNamespace(want=want)])  # type: ignore[list-item]


def test_look_alikes_share_a_fold() -> None:
    texts = [
        f"{opening} {noun}"
        for opening in ("please bring me the old", "where on earth is a new")
        for noun in ("lamp", "lamps", "lamp!")
    ]
    seeds = [Seed(id=str(at), prompt=text, answer="x") for at, text in enumerate(texts)]
    folds = deal_folds(seeds, 3)
    assert len(set(folds.values())) == 2
    assert folds["0"] == folds["1"] == folds["2"] != folds["3"]


# --- which mode a run has


def test_a_small_select_is_cross_fitted_unless_it_is_asked_for() -> None:
    settings = RunSettings(evals=str(ERRANDS))
    found, apart = evals_for(settings, False), load_evals(ERRANDS)
    select = apart.held_out.select()
    assert [seed.id for seed in found.seeds] == [*(seed.id for seed in apart.seeds), *(item.id for item in select)]
    assert found.held_out.sizes() == {"select": 0, "test": apart.held_out.sizes()["test"]}
    assert found.fingerprint == apart.fingerprint
    assert settled(settings, found).mode == "cross-fit"
    assert any("select would have 20 items: too few" in note and "--set mode=select" in note for note in found.notes)
    kept = evals_for(settings.model_copy(update={"mode": "select"}), False)
    assert (kept.held_out.select(), kept.notes) == (select, apart.notes)
    asked = evals_for(settings.model_copy(update={"mode": "cross-fit"}), False)
    assert asked.seeds == found.seeds
    assert asked.notes == apart.notes, "what was asked for needs no explaining"


def test_a_large_select_stays_a_select(tmp_path: Path) -> None:
    evals = written_evals(tmp_path, 400, {"mine": 60, "select": 150})
    found = evals_for(RunSettings(evals=str(evals)), False)
    assert found.held_out.sizes()["select"] == 150
    assert settled(RunSettings(evals=str(evals)), found).mode == "select"


def test_a_source_without_a_select_is_cross_fitted_by_default_only(tmp_path: Path) -> None:
    evals = written_evals(tmp_path, 60, {"mine": 40})
    assert len(evals_for(RunSettings(evals=str(evals)), False).seeds) == 40
    with pytest.raises(EvalError, match="select=0"):
        evals_for(RunSettings(evals=str(evals), mode="select"), False)
    assert [
        one.code for one in check_evals(str(evals)).findings if one.code in ("splits", "test-only", "no-select")
    ] == ["no-select"]


def test_modes_that_cannot_be_are_refused(tmp_path: Path) -> None:
    again = MineSettings(how="resubstitution")
    with pytest.raises(SettingsError, match=r"mine\.how=out-of-fold"):
        evals_for(RunSettings(evals=str(ERRANDS), mode="cross-fit", mine=again), False)
    assert not evals_for(RunSettings(evals=str(ERRANDS), mine=again), False).cross_fit
    rows = [{"text": f"the same words over and over again {at}", "label": "ab"[at % 2]} for at in range(12)]
    alike = written_evals(tmp_path, 20, {"mine": 12})
    (tmp_path / "alike.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    parts = {"source": {"train": "alike.jsonl", "test": "items.jsonl"}, "splits": {"mine": "train", "test": "test"}}
    alike.write_text(json.dumps(json.loads(alike.read_text()) | parts))
    with pytest.raises(SettingsError, match="nearly all are alike"):
        evals_for(RunSettings(evals=str(alike), mode="cross-fit"), False)
    chosen = {"source": {"train": "alike.jsonl", "rest": "others.jsonl", "test": "items.jsonl"}}
    more = written_evals(tmp_path / "others", 40, {"mine": 5}).with_name("items.jsonl").read_text().splitlines(True)
    (tmp_path / "others.jsonl").write_text("".join(more[20:]))
    chosen |= {"splits": {"mine": "train", "select": {"from": "rest", "take": 10}, "test": "test"}}
    alike.write_text(json.dumps(json.loads(alike.read_text()) | chosen))
    with pytest.raises(SettingsError, match=r"all alike.*mine\.how=resubstitution"):
        evals_for(RunSettings(evals=str(alike), mode="select"), False)
    assert len(evals_for(RunSettings(evals=str(alike), mode="select", mine=again), False).seeds) == 12


def written_evals(folder: Path, items: int, splits: dict[str, int]) -> Path:
    """An eval set of so many random texts, each with one of four labels."""
    draw = random.Random(7)
    letters = "abcdefghijklmnopqrstuvwxyz"
    made = [" ".join("".join(draw.sample(letters, 6)) for _ in range(5)) for _ in range(items)]
    rows = [{"text": text, "label": "abcd"[at % 4]} for at, text in enumerate(made)]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "items.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    spec = {"name": "made", "source": "items.jsonl", "columns": {"prompt": "text", "answer": "label"}, "kind": "choice",
            "labels": list("abcd"), "instruction": "Say which.", "splits": splits}  # fmt: skip
    (folder / "evals.yaml").write_text(json.dumps(spec))
    return folder / "evals.yaml"


# --- a whole run


class Witnessed(TableStudent):
    """A table student that remembers what it learned and what it was asked."""

    def train(
        self, ask: Any, examples: list[Any], settings: dict[str, Any], seed: int, out: Path, on: Any, start: Any = None
    ) -> dict[str, Any]:
        LEARNED.append((list(examples), []))
        return super().train(ask, examples, settings, seed, out, on, start)

    def examine(self, ask: Any, items: list[Any], adapter: Path | None, max_new_tokens: int, on: Any) -> list[Any]:
        if adapter and (adapter.parent.name == "folds"):
            table = json.loads((adapter / "table.json").read_text())
            learned = [Example(**row) for row in table]
            asked = next(told for examples, told in reversed(LEARNED) if examples == learned and not told)
            asked += [item.prompt for item in items]
        return super().examine(ask, items, adapter, max_new_tokens, on)


@contextlib.contextmanager
def with_student(kind: type[TableStudent]) -> Iterator[None]:
    before = launch.RecordingWorker
    launch.RecordingWorker = kind  # type: ignore[assignment,misc]
    try:
        yield
    finally:
        launch.RecordingWorker = before


@pytest.fixture(scope="module")
def memory() -> Iterator[Path]:
    """A folder in memory where there is one: these runs sync to the disk thousands of times."""
    place = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=place if os.access(place, os.W_OK) else None) as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def whole(memory: Path) -> Path:
    """A cross-fitted run to its claim."""
    LEARNED.clear()
    with with_student(Witnessed):
        assert command_line(words("run", "--ui", "quiet", "--name", "errands", runs=memory / "whole", **CROSS_FIT)) == 0
    return memory / "whole" / "errands-1"


def attempts(folder: Path, number: int) -> list[Attempt]:
    return read_records(RunFolder(folder).round(number) / ATTEMPTS, Attempt)


def folds_of(folder: Path) -> dict[str, int]:
    return read_folds(RunFolder(folder))


def test_the_run_goes_to_its_claim_with_whole_students_for_it_alone(whole: Path) -> None:
    claim = json.loads((whole / "claim" / "claim.json").read_text())
    assert claim["best"] > 0
    adapters = {int(place.parent.name) for place in whole.glob("rounds/*/adapter")}
    assert adapters == {0, claim["best"]}
    assert (
        not list(whole.rglob("folds"))
        and not list(whole.rglob("*.select.jsonl"))
        and not list(whole.rglob("attempts.mine.jsonl"))
    )
    loaded, _ = RunFolder(whole).load_settings()
    assert loaded.mode == "cross-fit"
    splits = json.loads((whole / "splits.json").read_text())
    assert sorted(splits["folds"]) == sorted(splits["mine"])
    assert set(splits["folds"].values()) == {1, 2, 3}
    assert "select" not in splits


def test_every_seed_is_asked_once_a_round_by_a_student_that_learned_nothing_of_its_fold(whole: Path) -> None:
    evals, folds = load_evals(ERRANDS, cross_fit=True), folds_of(whole)
    by_prompt = {seed.prompt: folds[seed.id] for seed in evals.seeds}
    lessons = [one for file in sorted(whole.glob("rounds/*/lessons.jsonl")) for one in read_records(file, Lesson)]
    assert len(lessons) > 8
    touched = {one.prompt: {folds[name] for name in (one.parent_id, *one.shown_ids)} for one in lessons}
    assert all(len(found) == 1 for found in touched.values())
    fold_students = [(learned, asked) for learned, asked in LEARNED if asked]
    assert len(fold_students) == 3 * 3, "three folds, rounds 0 to 2"
    for learned, asked in fold_students:
        own = {by_prompt[prompt] for prompt in asked}
        assert len(own) == 1
        for one in learned:
            assert by_prompt.get(one.prompt, 0) not in own
            assert not touched.get(one.prompt, set()) & own
    for number in range(3):
        assert [one.item_id for one in attempts(whole, number)] == [seed.id for seed in evals.seeds]
    whole_students = [learned for learned, asked in LEARNED if not asked]
    assert len(whole_students) == 2
    assert all({one.prompt for one in learned} >= by_prompt.keys() for learned in whole_students)


def test_every_prompt_of_the_teacher_holds_seeds_of_one_fold(whole: Path) -> None:
    evals, folds = load_evals(ERRANDS, cross_fit=True), folds_of(whole)
    seen = Counter[tuple[str, int]]()
    with open_readonly(whole / "ledger.sqlite") as book:
        for _, request in list(book.asked(answered=True)):
            text = "\n".join(message.content for message in request.messages)
            found = {folds[seed.id] for seed in evals.seeds if json.dumps(seed.prompt, ensure_ascii=False) in text}
            assert len(found) == 1, text
            seen.update((request.purpose, fold) for fold in found)
    assert set(seen) == {(purpose, fold) for purpose in ("write", "answer") for fold in (1, 2, 3)}


def test_candidates_are_answered_with_real_items_of_their_own_fold_before_them(whole: Path) -> None:
    seeds, folds = {one.id: one for one in load_evals(ERRANDS, cross_fit=True).seeds}, folds_of(whole)
    files = sorted(whole.glob("rounds/*/candidates.jsonl"))
    candidates = [one for file in files for one in read_records(file, Candidate)]
    expected = [(one.prompt, folds[one.id]) for one in seeds.values()]
    expected += [(one.prompt, folds[one.parent_id]) for one in candidates]
    quoted = {json.dumps(seed.prompt, ensure_ascii=False): seed for seed in seeds.values()}
    checked = set[str]()
    with open_readonly(whole / "ledger.sqlite") as book:
        for _, request in list(book.asked(answered=True)):
            if request.purpose == "answer":
                *before, last = (one.content for one in request.messages)
                shown = {seed.id for text, seed in quoted.items() if text in "\n".join(before)}
                asked = json.loads(last.removeprefix("DATA:\n"))["question"]
                assert len(fold := {folds[name] for name in shown}) == 1
                assert (asked, *fold) in expected
                assert asked not in {seeds[name].prompt for name in shown}, "never with its own answer before it"
                checked.add(asked)
    assert len(checked) > 12


def test_judgement_keeps_to_one_fold(whole: Path) -> None:
    seeds = load_evals(ERRANDS, cross_fit=True).seeds
    for file in sorted(whole.glob("rounds/*/witnesses.json")):
        told = {one["name"]: one for one in json.loads(file.read_text())}
        assert told.keys() == {"teacher", "nearest seeds"}, "no student is heard"
        assert told["nearest seeds"]["asked"] <= len(seeds)
        assert told["teacher"]["asked"] == 6
    assert '"student"' not in (whole / "rounds" / "001" / "verdicts.jsonl").read_text()


def test_the_nearest_seeds_are_those_of_the_candidates_fold(memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from loops import witnesses

    voters, real = list[frozenset[str]](), witnesses.NearestSeeds

    def watched(seeds: tuple[Seed, ...]) -> Any:
        voters.append(frozenset(seed.id for seed in seeds))
        return real(seeds)

    monkeypatch.setattr(witnesses, "NearestSeeds", watched)
    with with_student(TableStudent):
        assert (
            command_line(
                words("run", "--ui", "quiet", "--name", "n", runs=memory / "near", **{**CROSS_FIT, "stop__rounds": "1"})
            )
            == 0
        )
    folds = folds_of(memory / "near" / "n-1")
    assert voters
    assert {frozenset(folds[name] for name in ids) for ids in voters} == {
        frozenset({1}),
        frozenset({2}),
        frozenset({3}),
    }


def test_scores_decisions_and_mining_are_the_same_attempts(whole: Path) -> None:
    told = events(whole)
    scored = {(one["round"], one["student"], one["split"]): one["right"] for one in told if one["event"] == "score"}
    for number in range(3):
        name = "round" if number else "seed-only"
        assert scored[number, name, "mine"] == sum(one.right for one in attempts(whole, number))
    assert {split for _, _, split in scored} == {"mine", "test"}
    trained = [one for one in told if one["event"] == "loss" and one["student"].startswith("fold")]
    assert {one["student"] for one in trained} == {"fold 1 of 3", "fold 2 of 3", "fold 3 of 3"}
    (start,) = [one for one in told if one["event"] == "run.started"]
    assert start["splits"] == {"mine": 40, "test": 24}


def test_show_and_report_say_what_decided(whole: Path, memory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert command_line(["show", str(whole), "--runs", str(whole.parent)]) == 0
    shown = capsys.readouterr().out
    assert "mine (cross-fitted)" in shown and "select" not in shown
    for place in write_report(RunFolder(whole), memory):
        text = re.sub(r"<[^>]*>", "", place.read_text())
        assert "Rounds are chosen on mine (cross-fitted)" in text
        assert not re.search(r"\bon select\b|beat the seed-only student on select", text)
    facts = facts_of(RunFolder(whole))
    assert [one.select.right if one.select else None for one in facts.rounds] == [
        sum(one.right for one in attempts(whole, number)) for number in range(3)
    ]
    assert facts.splits == {"mine": 40, "test": 24}
    assert facts.flips is not None and facts.flips.not_again == 0, "the last round's students were asked too"
    assert not [text for text in facts.missing if "not on record" in text]


def test_few_shot_examples_are_of_other_folds(memory: Path) -> None:
    leads = list[tuple[str, list[str]]]()

    class Listening(TableStudent):
        def examine(self, ask: Any, items: list[Any], adapter: Path | None, max_new_tokens: int, on: Any) -> list[Any]:
            leads.append((ask.lead, [item.prompt for item in items]))
            return super().examine(ask, items, adapter, max_new_tokens, on)

    with with_student(Listening):
        assert (
            command_line(
                words("run", "--ui", "quiet", "--name", "f", runs=memory / "few", **{**CROSS_FIT, "stop__rounds": "0"})
            )
            == 0
        )
    seeds = load_evals(ERRANDS, cross_fit=True).seeds
    shown = [(lead, asked) for lead, asked in leads if any(seed.prompt in lead for seed in seeds)]
    assert len(shown) == 3 + 1, "three folds, and test"
    assert all(prompt not in lead for lead, asked in shown for prompt in asked)


def test_without_its_folds_a_run_says_so(whole: Path, memory: Path) -> None:
    copy = memory / "lost"
    copy.mkdir()
    (copy / "splits.json").write_text(json.dumps({"mine": []}))
    with pytest.raises(RunError, match="put the original file back"):
        read_folds(RunFolder(copy))
    seeds = load_evals(ERRANDS, cross_fit=True).seeds
    with pytest.raises(RunError, match="names no fold for 1 seeds"):
        grounds_of(seeds, {seed.id: 1 for seed in seeds[1:]})


# --- a teacher that copies, and a student that memorises


class CopyingTeacher(ScriptedTeacher):
    """Gives the parent item back as a new one, with a word behind it that no check minds."""

    def complete(self, request: Request) -> Reply:
        if request.purpose != "write":
            return super().complete(request)
        data = json.loads(request.messages[-1].content.rpartition("\nDATA:\n")[2])
        copies = [f"{data['real'][0]['question']} {word}" for word in ("indeed", "truly", "really", "surely")]
        text = json.dumps({"items": copies[: data["lessons"]]})
        return Reply(text=text, finish_reason="stop", prompt_tokens=1, completion_tokens=1)


class MemorisingStudent(TableStudent):
    """Right about what it has learned word for word; of the rest about half, with the luck of each training."""

    def examine(self, ask: Any, items: list[Any], adapter: Path | None, max_new_tokens: int, on: Any) -> list[Any]:
        table = json.loads((adapter / "table.json").read_text()) if adapter else []
        known = {tuple(row["prompt"].split()[:5]): row["answer"] for row in table}
        return [{"scores": self._scores(item, known, f"{len(table)} {sorted(known)}")} for item in items]

    def _scores(self, item: Any, known: dict[tuple[str, ...], str], luck: str) -> list[float]:
        draw = random.Random(item.prompt)
        guess = draw.choice(item.choices) if draw.random() < 0.5 else item.answer
        if random.Random(f"{item.prompt}/{luck}").random() < 0.1:
            guess = random.Random(luck + item.prompt).choice(item.choices)
        said = known.get(tuple(item.prompt.split()[:5]), guess)
        return [float(choice == said) for choice in item.choices]


def gain_with_a_copying_teacher(folder: Path) -> tuple[Comparison, str]:
    """The first teaching round against the seed-only students, by what decides; and what the claim says."""
    evals = written_evals(folder, 240, {"mine": 160})
    more = [
        "--evals",
        str(evals),
        "--student",
        "builtin:tiny",
        "--teacher",
        "scripted",
        "--ui",
        "quiet",
        "--name",
        "copies",
    ]
    sets = ["stop.rounds=1", "generate.lessons=90", "generate.per_request=1", "generate.other_side=0", "curate.duplicate=1.0",
            "curate.meaning=null",
            "generate.mix={contrast: 1}", "curate.verify=false", "curate.balance=9", "teacher.check_items=0"]  # fmt: skip
    with with_student(MemorisingStudent):
        arguments = ["run", *more, *(word for one in sets for word in ("--set", one)), "--runs", str(folder)]
        assert command_line(arguments) == 0
    run = folder / "copies-1"
    assert len((run / "rounds" / "001" / "lessons.jsonl").read_text().splitlines()) > 40
    claim = json.loads((run / "claim" / "claim.json").read_text())
    return compare(attempts(run, 1), attempts(run, 0)), claim["sentence"]


def test_a_teacher_that_copies_fools_naive_scoring_and_not_cross_fitting(
    memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "ScriptedTeacher", CopyingTeacher)
    fair, _ = gain_with_a_copying_teacher(memory / "fair")
    assert not fair.shown
    assert fair.low <= 0 <= fair.high
    assert abs(fair.gain) < 0.06
    monkeypatch.setattr(crossfit, "lessons_without", lambda parts, part, lessons: list(lessons))
    fooled, sentence = gain_with_a_copying_teacher(memory / "naive")
    assert fooled.shown
    assert fooled.gain > 0.2, "it is asked what it has learned by heart"
    assert sentence.startswith("Not shown"), "and still the claim on test is not fooled"


# --- killed and resumed


Run = Callable[[list[str], Path, int], dict[str, int]]


@pytest.fixture(scope="module")
def forked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    with crash_server(tmp_path_factory.mktemp("cache")) as run:
        yield run


def begin(run: Run, runs: Path, last: int = 0) -> dict[str, int]:
    return run(words("run", "--ui", "quiet", "--name", "errands", runs=runs, **CROSS_FIT), runs / "errands-1", last)


def go_on(run: Run, runs: Path) -> dict[str, int]:
    return run(words("resume", "errands", "--ui", "quiet", runs=runs), runs / "errands-1", 0)


def test_killed_at_any_step_it_resumes_to_the_same_bytes(forked: Run, memory: Path) -> None:
    ended = begin(forked, memory / "undisturbed")
    assert ended["code"] == 0
    reference, steps = memory / "undisturbed" / "errands-1", ended["steps"]
    every = steps // 8
    for last in range(random.Random(3).randrange(8, 8 + every), steps, every):
        runs = memory / f"killed-{last}"
        assert begin(forked, runs, last)["code"] == -signal.SIGKILL
        assert go_on(forked, runs)["code"] == 0, f"killed at step {last}"
        assert products(runs / "errands-1") == products(reference), f"killed at step {last}"
        assert bought(runs / "errands-1") == bought(reference)


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
def test_killed_inside_train_mine_and_curate_it_resumes_to_the_same_bytes(memory: Path, tmp_path: Path) -> None:
    """Real processes and the tiny student."""
    cache = tmp_path / "cache"
    settings = {**CROSS_FIT, "stop__rounds": "1", "mine__folds": "2", "generate__lessons": "12"}
    one = tmp_path / "one"
    code, _, err = finish(start(cache, words("run", "--ui", "quiet", "--name", "errands", runs=one, **settings)))
    assert code == 0, err[-2000:]
    two, reference = tmp_path / "two", one / "errands-1"
    lasts = {(at["round"], at["verb"]): at["seconds"] for at in events(reference) if at["event"] == "verb.done"}
    arguments = words("run", "--ui", "quiet", "--name", "errands", runs=two, **settings)
    for number, verb in ((0, "train"), (1, "mine"), (1, "curate")):
        # A busy machine may be several times quicker now than it was at first; a kill that came late has hit a later verb.
        if any(
            at["event"] == "verb.done" and (at["round"], at["verb"]) == (number, verb)
            for at in events(two / "errands-1")
        ):
            continue
        delay = 0.15 * lasts[number, verb]
        code, _, err = finish(start(cache, arguments, mark=str(tmp_path), kill=(verb, number, delay)))
        assert code == -signal.SIGKILL, f"{verb} of round {number} was not killed: {err[-2000:]}"
        wait_until(lambda: not alive(str(tmp_path)), "the end of all children")
        (two / "errands-1" / "machine.json").write_bytes((reference / "machine.json").read_bytes())
        arguments = words("resume", "errands", "--ui", "quiet", runs=two)
    code, _, err = finish(start(cache, arguments))
    assert code == 0, err[-2000:]
    assert products(two / "errands-1") == products(reference)
    assert bought(two / "errands-1") == bought(reference)

"""Tasks of lm-evaluation-harness and inspect, hosted: the same prompts and the same score for every item as in their own tools.

The tiny student learns a few of the items, so that it is right on some and wrong on others; its weights, merged, are then put
through `lm_eval` and `inspect` themselves by a program of its own (`outside.py`). Each tool's child process is started once.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch

from student.choices import score_choices
from student.evals.address import Address, address
from student.evals.hosted import MAX_TURNS, TaskHost, load_into, open_task
from student.evals.load import Loaded, deal_roles
from student.evals.spec import EvalError, EvalSpec
from student.grade import RawAnswer
from student.lora import Student
from student.models import TINY, Machine, load
from student.pipe import Pipe
from student.prompting import Ask
from student.records import Attempt, Example, Item, Question, Seed
from student.settings import Lora, TrainSettings
from student.train import train
from student.writing import write_answers

FIXTURES = Path(__file__).parent / "fixtures"
HARNESS, KITCHEN = FIXTURES / "lm_eval", FIXTURES / "inspect" / "kitchen.py"
CPU = Machine(device="cpu", dtype="float32", threads=1, gflops=0.0)
Open = Callable[..., TaskHost]
TASKS = ("shops", "riddles", "sums", "pantry", "spoons", "plates")


def place_of(task: str, where: Path | None = None) -> Address:
    """`shops` is a task of the harness, `kitchen:pantry?split=train` one of inspect."""
    kind, _, name = task.rpartition(":")
    return Address("inspect", str(where or KITCHEN), name) if kind else Address("lm-eval", str(where or HARNESS), name)


@pytest.fixture(scope="module")
def hosted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Open]:
    """Opens tasks, all those of one tool in one process."""
    scratch = tempfile.TemporaryDirectory(dir=tmp_path_factory.getbasetemp())
    pipes = {
        kind: Pipe(f"student.evals.host_{kind}", Path(scratch.name, f"{kind}.log")) for kind in ("lm_eval", "inspect")
    }

    def open_one(task: str | dict[str, Address], where: Path | None = None, **said: Any) -> TaskHost:
        places = task if isinstance(task, dict) else {"": place_of(task, where)}
        first = next(iter(places.values()))
        spec = EvalSpec.model_validate({"name": "mine", "source": str(first), **said})
        return load_into(pipes[first.kind.replace("-", "_")], scratch, places, spec)

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(
            "HF_DATASETS_CACHE", scratch.name
        )  # the harness reads its files through `datasets`, which keeps copies
        yield open_one
    for pipe in pipes.values():
        pipe.close()
    scratch.cleanup()


def ask_of(spec: EvalSpec) -> Ask:
    """How the loop puts this eval set's questions."""
    return Ask(frame=spec.frame, format=spec.format, system=spec.system, join=spec.join, stop=spec.stop)


class Exam(NamedTuple):
    """One task, taken by the tiny student."""

    items: list[Seed]
    attempts: list[Attempt]
    spec: EvalSpec
    asked: list[int]
    """How many questions each time."""


class Both(NamedTuple):
    """The same student, examined in and out of the loop."""

    inside: dict[str, Exam]
    outside: dict[str, list[dict[str, Any]]]


@pytest.fixture(scope="module")
def both(hosted: Open, tmp_path_factory: pytest.TempPathFactory) -> Both:
    """Every task, by us and by its own tool."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("models")
    base, tokenizer = load(TINY, CPU, folder)
    student = Student(base, tokenizer, Lora(rank=8, alpha=16, layers=1.0))
    inside, models = dict[str, Exam](), dict[str, str]()
    for task in TASKS:
        host = hosted(task if task in ("shops", "riddles", "sums") else f"kitchen:{task}")
        items = host.parts["test"]
        student.reset(1)
        if not items[0].choices:  # likelihoods differ without learning anything
            learn(student, host.spec, items[: len(items) // 2])
        inside[task] = examined(student, host, items)
        models[task] = str(merged(student, folder / task))
    torch.set_num_threads(threads)
    job = {
        "lm-eval": {"folder": str(HARNESS), "tasks": {task: models[task] for task in TASKS[:3]}},
        "inspect": {"file": str(KITCHEN), "tasks": {task: models[task] for task in TASKS[3:]}},
    }
    run = subprocess.run(
        [sys.executable, Path(__file__).with_name("outside.py"), json.dumps(job)], capture_output=True, check=False
    )
    assert run.returncode == 0, run.stderr.decode()[-3000:]
    found = json.loads(run.stdout.decode().splitlines()[-1])
    return Both(inside, found["lm-eval"] | found["inspect"])


def learn(student: Student, spec: EvalSpec, items: Sequence[Seed]) -> None:
    """A few items by heart."""
    examples = [Example(prompt=one.prompt, answer=one.answer, turns=one.turns) for one in items]
    settings = TrainSettings(epochs=1, min_steps=60, batch_size=4, learning_rate=0.02)
    train(student, ask_of(spec), examples, settings, 1, lambda *_: None)


def examined(student: Student, host: TaskHost, items: Sequence[Item]) -> Exam:
    """What the loop does: ask, and have the task score."""
    ask, asked = ask_of(host.spec), list[int]()

    def answer(questions: Sequence[Item | Question]) -> list[RawAnswer]:
        asked.append(len(questions))
        plain = [Question(prompt=one.prompt, turns=one.turns, choices=one.choices) for one in questions]
        if plain[0].choices:
            return [
                {"scores": one.values, "greedy": one.greedy}
                for one in score_choices(student, ask, plain, lambda *_: None)
            ]
        written = write_answers(student, ask, plain, host.spec.max_new_tokens, lambda *_: None)
        return [{"text": one.text, "truncated": one.truncated} for one in written]

    return Exam(list(items), host.attempts(items, answer(items), answer), host.spec, asked)  # type: ignore[arg-type]


def merged(student: Student, folder: Path) -> Path:
    """The student with its adapter in its weights, as an export is; the student itself stays as it is."""
    adapter, kept = folder / "adapter", {}
    student.save(adapter)
    for name, module in student.model.named_modules():
        if hasattr(module, "lora_A"):
            delta = module.get_delta_weight("default")
            kept[name.removeprefix("base_model.model.") + ".weight"] = module.base_layer.weight.detach() + delta
    weights = {
        key.replace(".base_layer.", "."): value
        for key, value in student.causal.state_dict().items()
        if ".lora_" not in key
    }
    student.causal.save_pretrained(folder, state_dict={**weights, **kept})
    student.tokenizer.save_pretrained(folder)
    return folder


# --- the same scores in and out of the loop


@pytest.mark.parametrize("task", ["shops", "riddles"])
def test_choices_score_as_in_the_harness(both: Both, task: str) -> None:
    exam, outside = both.inside[task], both.outside[task]
    metric = {"shops": "acc", "riddles": "acc_norm"}[task]
    assert [one.score for one in exam.attempts] == [sample[metric] for sample in outside]
    assert {one.outcome for one in exam.attempts} == {"right", "wrong"}, "a test that tells nothing apart"
    for attempt, sample in zip(exam.attempts, outside, strict=True):
        assert (attempt.margin or 0) > 0 if attempt.right else (attempt.margin or 0) < 0
        if task == "shops":
            (right,) = [
                float(one[0])
                for one, shop in zip(sample["filtered_resps"], exam.spec.labels, strict=True)
                if shop == sample["target"]
            ]
            others = [float(one[0]) for one in sample["filtered_resps"] if float(one[0]) != right]
            assert attempt.margin == pytest.approx(right - max(others), abs=1e-3)


def test_written_answers_score_as_in_the_harness(both: Both) -> None:
    exam, outside = both.inside["sums"], [one for one in both.outside["sums"] if one["filter"] == "marked"]
    assert [one.output.strip() for one in exam.attempts] == [one["resps"][0][0].strip() for one in outside]
    assert [one.score for one in exam.attempts] == [one["exact_match"] for one in outside]
    assert {one.right for one in exam.attempts} == {True, False}, "a test that tells nothing apart"


@pytest.mark.parametrize("task", ["pantry", "spoons", "plates"])
def test_an_inspect_task_scores_as_in_inspect(both: Both, task: str) -> None:
    exam = both.inside[task]
    outside = [next(one for one in both.outside[task] if one["input"] in item.prompt) for item in exam.items]
    values = [{"C": 1.0, "I": 0.0}[next(iter(one["scores"].values()))] for one in outside]
    assert [one.score for one in exam.attempts] == values
    if task != "plates":
        assert [one.output.strip() for one in exam.attempts] == [one["text"].strip() for one in outside]
        assert {one.right for one in exam.attempts} == {True, False}, "a test that tells nothing apart"


def test_a_task_that_asks_again_has_the_student_answer_every_time(both: Both) -> None:
    assert both.inside["plates"].asked == [3, 3, 3], "the question, a critique, the question again"
    assert both.inside["pantry"].asked == [4]


@pytest.mark.parametrize("task", ["shops", "riddles", "sums"])
def test_the_student_is_asked_word_for_word_what_the_harness_asks(both: Both, task: str) -> None:
    exam, outside = both.inside[task], both.outside[task]
    ask = ask_of(exam.spec)
    for item, sample in zip(exam.items, outside, strict=False):
        asked = list(sample["arguments"])
        assert {ask.text(item.prompt)} == {prompt for prompt, _ in asked}
        if item.choices:
            assert [ask.join + choice for choice in item.choices] == [answer for _, answer in asked]


# --- what the loop learns of a task


def test_what_all_prompts_share_is_a_frame_and_the_rest_the_question(hosted: Open) -> None:
    spec = (host := hosted("shops")).spec
    assert spec.frame == "Say which shop sells it.\n\nErrand: {question}\nShop:"
    assert spec.instruction == "Say which shop sells it."
    assert [one.prompt for one in host.parts["test"]][:2] == ["eggs for a cake", "sandpaper, coarse"]
    assert {one.skill for one in host.parts["train"]} == set(spec.labels) == {"grocer", "hardware", "chemist"}
    assert (spec.kind, spec.join, spec.format) == ("choice", " ", "plain")


def test_splits_are_named_by_what_the_harness_does_with_them(hosted: Open) -> None:
    assert {part: len(items) for part, items in hosted("shops").parts.items()} == {
        "train": 12,
        "validation": 6,
        "test": 6,
    }


def test_worked_examples_are_in_the_frame_and_not_among_the_seeds(hosted: Open) -> None:
    host = hosted("sums")
    assert host.spec.frame.count("#### 7") == 2
    assert {part: len(items) for part, items in host.parts.items()} == {"train": 2, "test": 4}
    assert dict(host.dropped) == {"is a worked example in every other prompt": 2}
    assert (host.spec.stop, host.spec.max_new_tokens) == (("Q:", "</s>"), 24)


def test_a_task_with_a_test_split_only_can_be_scored_and_not_learned_from(hosted: Open) -> None:
    host = hosted("riddles")
    loaded = Loaded(host.spec, host.parts, host.dropped, "", host.where)
    with pytest.raises(EvalError, match=r"nothing is left for mine and select.*can be scored"):
        deal_roles(loaded)
    assert len(deal_roles(loaded, score_only=True)["test"]) == 5


def test_what_is_taught_is_what_the_scorer_takes(both: Both) -> None:
    assert [one.answer for one in both.inside["spoons"].items] == ["ANSWER: A", "ANSWER: B", "ANSWER: A"]
    assert both.inside["pantry"].items[0].answer == "cereals"
    assert both.inside["sums"].items[0].answer == "9 - 2 = 7. #### 7"


def test_an_inspect_task_comes_in_parts_by_its_arguments(hosted: Open) -> None:
    parts = {name: place_of(f"kitchen:pantry?split={name}") for name in ("train", "test")}
    host = hosted(parts, columns={"skill": "aisle"})
    assert {part: len(items) for part, items in host.parts.items()} == {"train": 8, "test": 4}
    assert (host.spec.system, host.spec.frame) == (
        "You sort a pantry.",
        "Where does it go?\n\nThing: {question}\nShelf:",
    )
    assert (host.spec.stop, host.spec.max_new_tokens, host.spec.format) == (("\n",), 12, "chat")
    first = host.parts["train"][0]
    assert (first.prompt, first.skill) == ("oat flakes", "dry")


def test_a_question_that_comes_twice_is_two_items(hosted: Open) -> None:
    twice = hosted({"train": place_of("kitchen:pantry"), "test": place_of("kitchen:pantry")})
    ids = [one.id for items in twice.parts.values() for one in items]
    assert len(set(ids)) == len(ids) == 8
    answers = [{"text": one.answer, "truncated": False} for one in twice.parts["test"]]
    assert all(one.right for one in twice.attempts(twice.parts["test"], answers, lambda asked: []))


# --- what a person's file says besides


def test_the_persons_file_describes_labels_and_names_metric_and_words(hosted: Open) -> None:
    said = {"labels": {"grocer": "food"}, "metric": "acc_norm", "instruction": "Where to?", "noun": "errand", "draw": 3}
    host = hosted("shops", **said)
    assert host.spec.labels == {"grocer": "food", "hardware": "", "chemist": ""}
    assert (host.spec.instruction, host.spec.noun, host.spec.draw) == ("Where to?", "errand", 3)
    items = host.parts["test"]
    by_length = [{"scores": [-float(len(one)) for one in item.choices], "greedy": [False] * 3} for item in items]
    even = host.attempts(items, by_length, lambda asked: [])
    assert {one.output for one in even} == {"grocer"}, "all alike for each character: the first is taken"
    shortest = hosted("shops").attempts(items, by_length, lambda asked: [])
    assert [one.score for one in shortest] == [one.score for one in even]
    uneven = [{"scores": [-6.0, -6.0, -6.5], "greedy": [False] * 3} for _ in items]
    assert {one.output for one in hosted("shops").attempts(items, uneven, lambda asked: [])} == {"grocer"}
    longest = hosted("shops", metric="acc_norm").attempts(items, uneven, lambda asked: [])
    assert {one.output for one in longest} == {"hardware"}


def test_another_filter_gives_other_scores(hosted: Open) -> None:
    items = hosted("sums").parts["test"]
    said = [{"text": f"it is {item.answer.rpartition(' ')[2]}", "truncated": False} for item in items]
    assert {one.outcome for one in hosted("sums").attempts(items, said, lambda asked: [])} == {"malformed"}
    assert all(
        one.right for one in hosted("sums", metric="exact_match,last-number").attempts(items, said, lambda asked: [])
    )


def test_an_answer_cut_at_the_limit_is_truncated_unless_it_is_right(hosted: Open) -> None:
    host = hosted("kitchen:pantry")
    said = [{"text": text, "truncated": True} for text in ("cereals and", "no", "no", "no")]
    found = host.attempts(host.parts["test"], said, lambda asked: [])
    assert [one.outcome for one in found] == ["right", "truncated", "truncated", "truncated"]


@pytest.mark.parametrize(
    ("task", "said", "told"),
    [
        ("shops", {"join": ": "}, "`join` is decided by the task"),
        ("shops", {"columns": {"prompt": "errand"}}, "`columns.prompt` is decided"),
        ("shops", {"scorer": "normalised", "kind": "generate"}, "`kind` is decided"),
        ("shops", {"labels": {"grocers": "food"}}, "Did you mean 'grocer'"),
        ("riddles", {"labels": {"a piano": "loud"}}, "not the same for all items"),
        ("shops", {"metric": "f1"}, "'f1'.*has 'acc', 'acc_norm'"),
        ("sums", {"metric": "exact_match,loose"}, "'loose'.*has 'marked', 'last-number'"),
        ("shops", {"frame": "Q: {question}"}, "`frame` does not fit"),
        ("sums", {"answer": "{{ nothing }}"}, "nothing to teach|no form|none of the answers"),
        ("kitchen:pantry", {"metric": "exact"}, "'exact'.*'includes'"),
    ],
)
def test_a_key_that_does_not_fit_the_task_is_refused(hosted: Open, task: str, said: dict[str, Any], told: str) -> None:
    if "answer" in said:
        assert told.split("|")[2] in hosted(task, **said).score_only
        return
    with pytest.raises(EvalError, match=told):
        hosted(task, **said)


def test_a_person_can_say_what_a_right_answer_looks_like(hosted: Open) -> None:
    host = hosted("sums", answer="So {{ working }}! #### {{ result }}")
    assert host.parts["test"][0].answer == "So 9 - 2 = 7! #### 7"
    host = hosted("kitchen:spoons", answer="I say\nANSWER: {{ target }}")
    assert host.parts["test"][1].answer == "I say\nANSWER: B"


# --- mistakes and what cannot be hosted


YAML = {
    "dataset_path": "json", "dataset_kwargs": {"data_files": {"test": "riddles.jsonl"}}, "test_split": "test",
    "output_type": "multiple_choice", "doc_to_text": "{{riddle}}\nAnswer:", "doc_to_choice": "options", "doc_to_target": "gold",
    "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
}  # fmt: skip


def write_task(folder: Path, **changes: Any) -> Path:
    """A small task of the harness in a folder of its own."""
    (folder / "riddles.jsonl").write_text((HARNESS / "data" / "riddles.jsonl").read_text())
    (folder / "own.yaml").write_text(json.dumps({"task": "own", **YAML, **changes}, indent=1))
    return folder


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"doc_to_text": "{{riddle | nofilter}}"}, r"own\.yaml:\d+:.*nofilter"),
        ({"doc_to_target": "missing_column_{{"}, r"own\.yaml:\d+: loading or running the task failed: TemplateSyntaxError"),
        ({"dataset_kwargs": {"data_files": {"test": "gone.jsonl"}}}, r"own\.yaml:\d+:.*gone\.jsonl"),
        ({"output_type": "loglikelihood_rolling"}, "perplexity"),
        ({"unsafe_code": True}, "code that the student writes"),
        ({"doc_to_text": ""}, "empty prompt"),
        ({"metric_list": [{"metric": "brier_score", "higher_is_better": False}]}, "'brier_score' gives no score for a single item"),
    ],
    ids=["filter", "template", "file", "rolling", "unsafe", "empty", "corpus"],
)  # fmt: skip
def test_what_is_wrong_with_a_harness_task_is_a_paragraph(
    hosted: Open, tmp_path: Path, changes: dict[str, Any], told: str
) -> None:
    with pytest.raises(EvalError, match=told) as caught:
        hosted("own", write_task(tmp_path, **changes))
    assert "\n" not in str(caught.value)


def test_a_failure_in_a_tasks_python_is_told_with_file_and_line(hosted: Open, tmp_path: Path) -> None:
    text = (write_task(tmp_path) / "own.yaml").read_text()
    (tmp_path / "own.yaml").write_text(text.replace('"options"', "!function helpers.options"))
    (tmp_path / "helpers.py").write_text(
        "def options(doc):\n    print('a line on stdout')\n    return doc['optoins']\n"
    )
    with pytest.raises(EvalError, match=r"helpers\.py:3: .*KeyError: 'optoins'"):
        hosted("own", tmp_path)


def test_an_unknown_task_names_the_nearest_and_a_damaged_file_its_line(hosted: Open, tmp_path: Path) -> None:
    with pytest.raises(EvalError, match=r"no task 'shop';.*'riddles', 'shops', 'sums'.*mean 'shops'"):
        hosted("shop")
    (tmp_path / "own.yaml").write_text("task: own\ndoc_to_text: [\n")
    with pytest.raises(EvalError, match=r"own\.yaml:3: this is no task"):
        hosted("own", tmp_path)
    with pytest.raises(EvalError, match="does not exist"):
        hosted("own", tmp_path / "nowhere")


def test_a_group_of_tasks_is_refused_by_name(hosted: Open, tmp_path: Path) -> None:
    write_task(tmp_path)
    (tmp_path / "all.yaml").write_text("group: all\ntask: [own]\n")
    with pytest.raises(EvalError, match="'all' is a group of the tasks 'own'"):
        hosted("all", tmp_path)


def test_an_item_whose_gold_is_no_choice_is_dropped_and_counted(hosted: Open, tmp_path: Path) -> None:
    rows = [json.loads(line) for line in (write_task(tmp_path) / "riddles.jsonl").read_text().splitlines()]
    rows[1]["gold"] = 7
    (tmp_path / "riddles.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    host = hosted("own", tmp_path, columns={"skill": "theme"})
    assert dict(host.dropped) == {"no answer scores fully by its metric": 1}
    assert [one.skill for one in host.parts["test"]] == ["things", "bodies", "bodies", "things"]


def test_a_blank_filled_in_each_way_is_asked_each_way(hosted: Open, tmp_path: Path) -> None:
    """What the harness calls multiple inputs, as in Winogrande: the ends are the same, the beginnings differ."""
    rows: list[dict[str, Any]] = [
        {
            "blank": f"The {one} did not fit because _ was too big.",
            "options": [one, "box"],
            "gold": 0,
            "end": f"It was {one}.",
        }
        for one in ("cello", "sofa")
    ]
    write_task(tmp_path, doc_to_text="gold", doc_to_target="end",
               doc_to_choice="{{[blank.replace('_', 'the ' + options[0]), blank.replace('_', 'the ' + options[1])]}}")  # fmt: skip
    (tmp_path / "riddles.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    host = hosted("own", tmp_path)
    items, asked = host.parts["test"], list[str]()

    def answer(questions: Sequence[Item | Question]) -> list[RawAnswer]:
        asked.extend(one.prompt for one in questions)
        return [{"scores": [-3.0 if "cello" in one.prompt else -5.0], "greedy": [False]} for one in questions]

    assert [one.prompt for one in items] == [row["blank"].replace("_", f"the {row['options'][0]}") for row in rows]
    found = host.attempts(items, [{"scores": [-4.0], "greedy": [False]}] * 2, answer)
    assert asked == [row["blank"].replace("_", "the box") for row in rows]
    assert [(one.right, one.margin) for one in found] == [(False, -1.0), (True, 1.0)]


def test_a_continuation_is_right_when_the_student_would_write_it(hosted: Open, tmp_path: Path) -> None:
    host = hosted(
        "own", write_task(tmp_path, output_type="loglikelihood", doc_to_choice=None, doc_to_target=" {{options[0]}}")
    )
    items = host.parts["test"]
    assert (items[0].choices, host.spec.join, host.spec.kind) == (("a piano",), " ", "generate")
    said = [{"scores": [-1.0], "greedy": [at == 0]} for at in range(5)]
    assert [one.right for one in host.attempts(items, said, lambda asked: [])] == [True, False, False, False, False]


@pytest.mark.parametrize(
    ("task", "told"),
    [
        ("roles", "models of its own"), ("foreign", "asks the model 'mockllm/model' by itself"), ("armed", "tools"),
        ("crash", r"kitchen\.py:\d+: .*no such spoon"), ("lost", r"kitchen\.py:\d+: .*gone\.jsonl"), ("seen", "pictures"),
        ("spoon", "no @task 'spoon'.*mean 'spoons'"), ("pantry?aisle=3", "aisle"), ("unscored", "no scorer"),
    ],
)  # fmt: skip
def test_what_an_inspect_task_cannot_have_here_is_a_paragraph(hosted: Open, task: str, told: str) -> None:
    with pytest.raises(EvalError, match=told) as caught:
        hosted(f"kitchen:{task}")
    assert "\n" not in str(caught.value)


def test_a_judge_is_played_by_the_student_and_that_is_said(hosted: Open) -> None:
    host = hosted("kitchen:judged")
    items = host.parts["test"]
    assert any("its own judge" in note for note in host.notes)
    asked: list[str] = []

    def answer(questions: Sequence[Item | Question]) -> list[RawAnswer]:
        asked.extend(one.prompt for one in questions)
        return [{"text": f"GRADE: {'C' if '4' in one.prompt else 'I'}", "truncated": False} for one in questions]

    found = host.attempts(items, [{"text": f"{at + 3} plates", "truncated": False} for at in range(3)], answer)
    assert len(asked) == 3 and all("plates" in one for one in asked)
    assert [one.right for one in found] == ["4" in prompt for prompt in asked]


def test_a_task_that_never_stops_asking_is_ended(hosted: Open) -> None:
    host = hosted("kitchen:moody")
    said = [{"text": "x", "truncated": False}] * 3
    with pytest.raises(EvalError, match=f"asked {MAX_TURNS} times over"):
        host.attempts(host.parts["test"], said, lambda asked: [{"text": "x", "truncated": False}] * len(asked))


def test_a_task_is_opened_in_a_process_of_its_own_and_closed(tmp_path: Path) -> None:
    host = open_task(place_of("own", write_task(tmp_path)), EvalSpec(name="own", source="own"))
    assert host.pipe.running
    host.close()
    assert not host.pipe.running and not Path(host.scratch.name).exists()


def test_tasks_of_several_kinds_or_several_harness_tasks_are_no_eval_set(tmp_path: Path) -> None:
    spec = EvalSpec(name="x", source="x")
    with pytest.raises(EvalError, match="mixes"):
        open_task({"train": place_of("shops"), "test": place_of("kitchen:pantry")}, spec)
    with pytest.raises(EvalError, match="several lm-eval tasks"):
        open_task({"train": place_of("shops"), "test": place_of("sums")}, spec)


def test_an_address_is_read_with_its_arguments() -> None:
    place = address("inspect:tasks/f.py@pantry?split=train", Path("/evals"))
    assert (place.place, place.item) == ("/evals/tasks/f.py", "pantry?split=train")

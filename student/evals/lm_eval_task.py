"""One lm-evaluation-harness task, found and taken apart: its splits, and what the harness would ask a model about each item.

In: a task's name and the folder its YAML file is in. Out: items with the harness's own requests. Nothing is imitated: the
harness builds the requests, with the seeds that `lm_eval` sets, so that worked examples are drawn alike. What our student
cannot be asked is refused by name, and what fails in the task's own code is told with its file and line.
"""

from __future__ import annotations

import hashlib
import os
import random
import re
import traceback
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from student.evals.blame import in_words, place_of
from student.evals.trouble import EvalError, listed, meant

FEWSHOT_SEED, NUMPY_SEED, PYTHON_SEED = 1234, 1234, 0
"""What `lm_eval` seeds its random numbers with."""
HERE = Path.cwd()
"""Where the person started the program."""
_YAML_KEYS = {"doc_to_prefix": "gen_prefix", "download": "dataset_(?:path|kwargs)", "fewshot_docs": "fewshot_\\w+"}
"""Functions of the harness that serve a key of another name."""


@dataclass
class Asked:
    """One item of the task."""

    part: str
    """The split it is from."""
    doc: Any
    """The task's own record of it."""
    requests: list[Any]
    """The harness's requests about it, in order."""
    prompts: list[str] = field(default_factory=list[str])
    """What each request puts before the answer; white space at its end belongs to the answer, as in the harness."""
    answers: list[str] = field(default_factory=list[str])
    """The continuation that each request asks about; empty where the answer is written."""
    right: list[int] = field(default_factory=list[int])
    """The requests whose continuation is a right answer."""


@dataclass
class Task:
    """One task, loaded."""

    where: str
    """What a message calls it."""
    own: Any
    """The harness's object."""
    file: Path
    """Its YAML file."""

    @property
    def writes(self) -> bool:
        """Whether answers are written, not chosen."""
        return self.own.OUTPUT_TYPE == "generate_until"

    def failed(self, error: Exception) -> EvalError:
        """What a person is told about an error that the task's code raised."""
        return failed(self.where, error, self.file)

    def items(self, dropped: Counter[str]) -> list[Asked]:
        """Every item of every split, with its requests. Raises EvalError."""
        items = list[Asked]()
        for part, docs, evaluated in _parts(self.own):
            kept = docs if evaluated else _no_examples(self.own, docs)
            dropped["is a worked example in every other prompt"] += len(docs) - len(kept)
            items += _asked(self.own, part, kept)
        if not self.writes and any(not prompt for item in items for prompt in item.prompts):
            raise EvalError(f"{self.where}: the task asks with an empty prompt, which the student cannot be asked.")
        return items

    def draws_examples(self) -> bool:
        """Whether other worked examples stand in every prompt."""
        from lm_eval.api.samplers import FirstNSampler

        return bool(self.own.get_config("num_fewshot")) and not isinstance(self.own.sampler, FirstNSampler)

    def code(self) -> str:
        """A digest of what decides its scores: the YAML and Python files beside it, and the harness's version."""
        from importlib.metadata import version

        total = hashlib.sha256(version("lm-eval").encode())
        for path in sorted(self.file.parent.iterdir()):
            if path.suffix in (".py", ".yaml", ".yml"):
                total.update(path.read_bytes())
        return total.hexdigest()


def load_task(where: str, name: str, folder: Path | None) -> Task:
    """Find and load a task. Raises EvalError."""
    from lm_eval.tasks import TaskManager

    if folder is not None and not folder.is_dir():
        raise EvalError(f"{where}: the folder {str(folder)!r} does not exist. The form is lm-eval:TASK@FOLDER.")
    manager = TaskManager(include_path=str(folder), include_defaults=False) if folder else TaskManager()
    entry = manager.task_index.get(name)
    if entry is None or entry.yaml_path is None:
        raise EvalError(_unknown(where, name, folder, manager))
    file = Path(entry.yaml_path).resolve()
    try:
        loaded = _in_folders(folder, lambda: _seeded(manager, name))
    except Exception as error:
        raise failed(where, error, file) from error
    _refuse(where, loaded, name)
    return Task(where, loaded["tasks"][name], file)


def failed(where: str, error: Exception, file: Path) -> EvalError:
    """What a person is told about an error in the task's code or its YAML file."""
    place = place_of(error, [file.parent]) or _yaml_place(error, file)
    return EvalError(
        f"{where}: {place}: loading or running the task failed: {in_words(error)}. Mend the task; "
        f"`lm_eval --model dummy --tasks {file.stem} --include_path {file.parent} --limit 1` shows the whole traceback."
    )


def _seeded(manager: Any, name: str) -> Any:
    import numpy

    random.seed(PYTHON_SEED)
    numpy.random.seed(NUMPY_SEED)
    return manager.load(name)


def _in_folders(folder: Path | None, load: Callable[[], Any]) -> Any:
    """Load with relative data files found where people keep them: from here, beside the YAML file, or above it."""
    first: FileNotFoundError | None = None
    for place in (HERE, *([folder, folder.parent] if folder else [])):
        os.chdir(place)
        try:
            return load()
        except FileNotFoundError as error:
            first = first or error
    assert first is not None
    raise first


def _unknown(where: str, name: str, folder: Path | None, manager: Any) -> str:
    from lm_eval.tasks._yaml_loader import load_yaml

    for path in sorted(folder.rglob("*.yaml")) if folder else []:
        try:
            load_yaml(path, resolve_func=False)
        except Exception as error:  # noqa: BLE001  the harness passes over files it cannot read; the reason is here
            mark = getattr(error, "problem_mark", None)
            return (
                f"{where}: {path}:{mark.line + 1 if mark else 1}: this is no task: {in_words(error)}. Correct the file."
            )
    names = sorted(manager.all_subtasks)
    there = f"there are {listed(names)}" if folder else "the harness has none of that name"
    return f"{where}: there is no task {name!r}; {there}.{meant(name, names)} The form is lm-eval:TASK@FOLDER."


def _refuse(where: str, loaded: Any, name: str) -> None:
    """Raises EvalError for a task whose questions our student cannot be asked, or that would run what it writes."""
    if list(loaded["tasks"]) != [name]:
        raise EvalError(f"{where}: {name!r} is a group of the tasks {listed(loaded['tasks'])}. Name one of them.")
    task = loaded["tasks"][name]
    if task.OUTPUT_TYPE == "loglikelihood_rolling":
        raise EvalError(
            f"{where}: the task measures perplexity (loglikelihood_rolling); no single answer is right or wrong."
        )
    if getattr(task, "MULTIMODAL", False):
        raise EvalError(f"{where}: the task shows pictures or sounds; a student of this program reads text only.")
    if getattr(task, "UNSAFE_CODE", False):
        raise EvalError(
            f"{where}: the task runs code that the student writes (unsafe_code), which --allow-code is not about."
        )
    task.set_fewshot_seed(FEWSHOT_SEED)
    if task.get_config("num_fewshot") is None:
        task.set_config("num_fewshot", 0)


def _parts(task: Any) -> list[tuple[str, Any, bool]]:
    """Name, records, and whether the harness evaluates on it; that one is called `test`, whatever split it is."""
    names = {name: task.get_config(f"{name}_split") for name in ("training", "validation", "test")}
    test = "test" if task.has_test_docs() else "validation"
    parts = [("test", task.eval_docs, True)]
    if task.has_validation_docs() and test == "test" and names["validation"] != names["test"]:
        parts.insert(0, ("validation", task.validation_docs(), False))
    if task.has_training_docs() and names["training"] != names[test]:
        parts.insert(0, ("train", task.training_docs(), False))
    return parts


def _no_examples(task: Any, docs: Iterable[Any]) -> list[Any]:
    """The records but those that stand, with their answers, in every prompt."""
    from lm_eval.api.samplers import FirstNSampler

    sampler, count = getattr(task, "sampler", None), task.get_config("num_fewshot") or 0
    fixed = list(sampler.df)[:count] if isinstance(sampler, FirstNSampler) else []
    return [doc for doc in docs if doc not in fixed]


def _asked(task: Any, part: str, docs: Any) -> list[Asked]:
    """The harness's requests about every record of a part."""
    task.doc_iterator = lambda **_: enumerate(docs)
    task.set_fewshot_seed(FEWSHOT_SEED)
    fewshot, kept = getattr(task, "fewshot_cfg", None), None
    pool = len(getattr(getattr(task, "sampler", None), "df", ()))
    if part != "test" and fewshot is not None and pool > (task.get_config("num_fewshot") or 0):
        # the harness leaves a record out of its own worked examples where both splits have one name
        kept, fewshot.split = fewshot.split, task.get_config("test_split")
        task.build_all_requests()
        fewshot.split = kept
    else:
        task.build_all_requests()
    found: dict[int, list[Any]] = defaultdict(list)
    for request in task.instances:
        found[request.doc_id].append(request)
    return [_item(part, sorted(requests, key=lambda one: one.idx)) for requests in found.values()]


def _item(part: str, requests: list[Any]) -> Asked:
    item = Asked(part, requests[0].doc, requests)
    for request in requests:
        prompt, written = str(request.args[0]), request.request_type == "generate_until"
        spaces = "" if written else prompt[len(prompt.rstrip()) :]
        item.prompts.append(prompt[: len(prompt) - len(spaces)])
        item.answers.append("" if written else spaces + request.args[1])
    return item


def _yaml_place(error: BaseException, file: Path) -> str:
    """Where in the YAML file the key stands that the harness was at."""
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        key = re.compile(rf"""\s*["']?{_YAML_KEYS.get(frame.name, re.escape(frame.name))}["']?\s*:""")
        for number, line in enumerate(lines, 1):
            if key.match(line):
                return f"{file}:{number}"
    return str(file)

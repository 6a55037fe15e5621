"""One inspect task, loaded from its file and run by inspect itself, with a model that only says what it was given to say.

In: the file and the task's name and arguments. Out, of each pass over some samples: what the task asked that has no answer
yet, and the scores of the samples that asked nothing new. A question without an answer is met with an empty one, which lets
the sample end quickly; its score is thrown away, and it runs again once the student has answered.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.util
import json
import os
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from student.evals.blame import in_words, place_in_text, place_of
from student.evals.trouble import EvalError, listed, meant
from student.records import text_hash

Messages = list[dict[str, str]]
"""What a model is asked: role and content of each message."""
MAX_CALLS = 64
"""How often a task may ask the model about one sample."""
AT_ONCE = 64
"""Samples that inspect runs side by side; our model answers at once, so this only bounds memory."""


class Limits(NamedTuple):
    """How an answer is to be written."""

    max_tokens: int | None
    """The longest answer, where the task says."""
    stop: tuple[str, ...]
    """Texts that end it."""
    sampled: bool
    """Whether the task asks for anything but the likeliest answer."""


@dataclass
class Pass:
    """What is known before one pass over some samples, and what it found out."""

    say: Callable[[Any, Messages], tuple[str, bool] | None]
    """The answer to a sample's question, and whether it was cut at the limit; None where there is none yet."""
    open: dict[Any, Messages] = field(default_factory=dict[Any, Messages])
    """The first question without an answer, by sample id."""
    calls: Counter[Any] = field(default_factory=Counter[Any])
    """How often the task asked, by sample id."""
    limits: dict[Any, Limits] = field(default_factory=dict[Any, Limits])
    """How long an answer each sample's first question asks for."""
    refused: str = ""
    """Why the task cannot be run here."""
    errors: dict[Any, Any] = field(default_factory=dict[Any, Any])
    """What failed in the task's code, by sample id."""
    scores: dict[Any, dict[str, Any]] = field(default_factory=dict[Any, dict[str, Any]])
    """Scores by scorer, by sample id, of samples that ended without an open question."""


@dataclass
class InspectTask:
    """One task, loaded."""

    where: str
    """What a message calls it."""
    file: Path
    """The Python file it is from."""
    own: Any
    """inspect's object."""
    samples: list[Any]
    """Its data set."""
    model: Any
    """The model that repeats what it is given."""
    logs: Path
    """A folder for inspect's own logs, which are thrown away."""

    def run(self, samples: Sequence[Any], current: Pass, score: bool = True) -> Pass:
        """Run the task on some samples. Raises EvalError where it cannot be run at all."""
        from inspect_ai import eval as run_task
        from inspect_ai.dataset import MemoryDataset

        if not samples:
            return current
        self.own.dataset = MemoryDataset(list(samples), name=self.own.name)
        self.model.api.current = current
        try:
            (log,) = run_task(
                self.own, model=self.model, display="none", log_dir=str(self.logs), log_format="eval", log_realtime=False,
                log_level="warning", score=score, score_display=False, epochs=1, fail_on_error=False, max_samples=AT_ONCE,
                max_connections=AT_ONCE, acp_server=False, ctl_server=False,
            )  # fmt: skip
            found = list(log.samples or [])  # read from the log's file only now
        except (Exception, SystemExit) as error:
            raise failed(self.where, error, self.file) from error
        finally:
            shutil.rmtree(self.logs, ignore_errors=True)
        if current.refused:
            raise EvalError(f"{self.where}: {current.refused}")
        if log.status != "success":
            raise self.broken(log.error)
        for sample in found:
            if sample.error is not None:
                current.errors[sample.id] = sample.error
            elif sample.id not in current.open:
                current.scores[sample.id] = {name: one.model_dump() for name, one in (sample.scores or {}).items()}
        return current

    def check(self, current: Pass) -> None:
        """Raises EvalError for an error in a sample whose every question had its answer."""
        for sample, error in current.errors.items():
            if sample not in current.open:
                raise self.broken(error, f", at the sample {sample!r}")

    def broken(self, error: Any, at: str = "") -> EvalError:
        """What a person is told about an error that inspect has caught."""
        place = place_in_text(error.traceback, [self.file.parent]) or self.file
        return EvalError(
            f"{self.where}: {place}: the task's own code failed{at}: {error.message[:300]}. {_hint(self.file)}"
        )

    def code(self) -> str:
        """A digest of what decides its scores: the task's file, and inspect's version."""
        from importlib.metadata import version

        return hashlib.sha256(version("inspect-ai").encode() + self.file.read_bytes()).hexdigest()


def load_inspect_task(where: str, file: Path, name: str, arguments: Mapping[str, str], scratch: Path) -> InspectTask:
    """Load a task from its file. Raises EvalError."""
    if not file.is_file():
        raise EvalError(f"{where}: the file {str(file)!r} does not exist. The form is inspect:FILE.py@TASK.")
    os.environ.setdefault("INSPECT_TRACE_FILE", str(scratch / "trace.log"))
    os.chdir(file.parent)  # as inspect does, so that relative data files are found
    try:
        task = _make(where, file, name, arguments)
        samples = list(task.dataset)
    except (Exception, SystemExit) as error:
        if isinstance(error, EvalError):
            raise
        raise failed(where, error, file) from error  # a call with other arguments than it has is raised in our line
    _refuse(where, task, samples)
    for number, sample in enumerate(samples, 1):
        sample.id = number if sample.id is None else sample.id  # what inspect itself would name it
    return InspectTask(where, file, task, samples, _model(), scratch / "inspect")


def failed(where: str, error: BaseException, file: Path) -> EvalError:
    """What a person is told about an error in the task's code."""
    place = place_of(error, [file.parent]) or file
    return EvalError(f"{where}: {place}: the task's own code failed: {in_words(error)}. {_hint(file)}")


def key_of(messages: Messages) -> str:
    """What makes a question the same as another."""
    return json.dumps([[message["role"], message["content"]] for message in messages])


def _make(where: str, file: Path, name: str, arguments: Mapping[str, str]) -> Any:
    import yaml
    from inspect_ai import Task

    nodes = ast.parse(file.read_text(encoding="utf-8"), str(file)).body
    names = [node.name for node in nodes if isinstance(node, ast.FunctionDef) and _is_task(node)]
    if name not in names:
        raise EvalError(f"{where}: {file} has no @task {name!r}; it has {listed(names)}.{meant(name, names)}")
    module_name = f"inspect_task_{file.stem}_{text_hash(str(file))}"
    if module_name not in sys.modules:
        sys.path.insert(0, str(file.parent))
        spec = importlib.util.spec_from_file_location(module_name, file)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[module_name] = module
        spec.loader.exec_module(module)
        module.__spec__ = None  # else inspect looks for it in all that is installed, each time a task runs
    task = getattr(sys.modules[module_name], name)(**{key: yaml.safe_load(text) for key, text in arguments.items()})
    if not isinstance(task, Task):
        raise EvalError(f"{where}: {name!r} makes {type(task).__name__}, not one inspect Task.")
    return task


def _is_task(node: ast.FunctionDef) -> bool:
    called = [mark.func if isinstance(mark, ast.Call) else mark for mark in node.decorator_list]
    return any(getattr(mark, "id", getattr(mark, "attr", "")) == "task" for mark in called)


def _refuse(where: str, task: Any, samples: Sequence[Any]) -> None:
    """Raises EvalError for a task that our student cannot be put to."""
    if task.model is not None or task.model_roles:
        raise EvalError(
            f"{where}: the task names models of its own (model or model_roles). Here the student answers everything it asks; take "
            "them out, or give them as arguments of the task that can be left out."
        )
    if task.sample_source is not None:
        raise EvalError(f"{where}: the task makes its samples while it runs; an eval set has to be the same each time.")
    if not task.scorer:
        raise EvalError(f"{where}: the task has no scorer, so no answer is right or wrong. Give it one.")
    if not samples:
        raise EvalError(f"{where}: the task's data set is empty.")


def _hint(file: Path) -> str:
    return f"Mend the task; `inspect eval {file} --model mockllm/model --limit 1` shows the whole traceback."


@functools.cache
def _model() -> Any:
    """inspect's model around one that repeats what the current pass has for it."""
    from inspect_ai.model import Model, ModelAPI, ModelOutput, get_model, modelapi
    from inspect_ai.solver._task_state import sample_state  # inspect has no other way to ask which sample it is

    class Repeating(ModelAPI):
        current: Pass

        async def generate(self, input: list[Any], tools: Any, tool_choice: Any, config: Any) -> ModelOutput:
            state, current = sample_state(), self.current
            name = state.sample_id if state else None
            current.calls[name] += 1
            current.refused = current.refused or _unanswerable(input, tools, current.calls[name], state is None)
            if current.refused:
                raise RuntimeError(current.refused)
            messages = [{"role": message.role, "content": message.text} for message in input]
            current.limits.setdefault(name, _limits(config))
            said = current.say(name, messages)
            if said is None:
                current.open.setdefault(name, messages)
            text, cut = said or ("", False)
            return ModelOutput.from_content("llm2llm/student", text, "max_tokens" if cut else "stop")

    plain = Model.generate

    async def ours_only(self: Model, *arguments: Any, **keywords: Any) -> ModelOutput:
        if not isinstance(self.api, Repeating):
            current = model.api.current
            current.refused = (
                f"the task asks the model {str(self)!r} by itself. Here the student answers everything that a task asks; a "
                "judge or helper of another make is not supported."
            )
            raise RuntimeError(current.refused)
        return await plain(self, *arguments, **keywords)

    Model.generate = ours_only  # type: ignore[method-assign]  nothing else is asked, and nothing leaves the machine unsaid
    modelapi("llm2llm")(lambda: Repeating)  # type: ignore[arg-type]
    model: Any = get_model("llm2llm/student", memoize=False)
    return model


def _limits(config: Any) -> Limits:
    sampled = bool(config.temperature) or (config.num_choices or 1) > 1
    return Limits(config.max_tokens, tuple(config.stop_seqs or ()), sampled)


def _unanswerable(messages: Sequence[Any], tools: Any, calls: int, outside: bool) -> str:
    """Why our student cannot be asked this, or nothing."""
    if outside:
        return "the task asks the model outside of any sample, for example while its data set is made."
    if tools:
        return "the task gives the model tools; a student of this program answers in text only."
    for message in messages:
        content = message.content if isinstance(message.content, list) else []
        if any(part.type != "text" for part in content):
            return "the task shows pictures, sounds or files; a student of this program reads text only."
        if message.role not in ("system", "user", "assistant"):
            return (
                f"the task puts a message of the role {message.role!r} to the model, which a student is not trained on."
            )
    if messages[-1].role != "user":
        return "the task begins the answer for the model (its last message is not the user's), which a student is not trained on."
    if calls > MAX_CALLS:
        return f"the task asks the model more than {MAX_CALLS} times about one sample."
    return ""

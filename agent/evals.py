"""`llm2llm evals init|check|score`: bring an eval set, find out what is wrong with it, examine a model on it.

Exit codes: 0 done, 1 `check` found errors, 2 something a person can mend (one paragraph on stderr). Results go to stdout, progress
to stderr while that is a terminal. As everywhere, the heavy rooms are imported inside the commands.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

if TYPE_CHECKING:
    from agent.scoring import Order
    from student.evals.findings import OnStage
    from student.evals.lengths import Ruler
    from student.evals.load import EvalSet

evals = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Your own eval set: write a first one, check it, score a model on it."
)  # fmt: skip

AllowCode = Annotated[
    bool, typer.Option("--allow-code", help="Let the eval set's own code run: file.py:function, lm-eval:, inspect:.")
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout instead of tables.")]
Source = Annotated[str, typer.Argument(metavar="EVALS", help="An eval set's YAML file, or a task's address.")]


@evals.command("init")
def init(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A data file, a saved dataset's folder, or hub:ORG/NAME.")],
    to: Annotated[
        Path | None, typer.Option("--to", metavar="NAME.yaml", help="Where to write; by default here, by the data's name.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
) -> None:  # fmt: skip
    """Look at a data file and write a first eval set for it, saying what was guessed and why."""
    from agent.first import told, write_first
    from agent.launch import FIXABLE

    try:
        with progress() as on_stage:
            made = write_first(file, to, force, on_stage)
    except FIXABLE as error:
        _fail(str(error))
    show(told(made))


@evals.command("check")
def check(
    source: Source,
    student: Annotated[str | None, typer.Option("--student", metavar="MODEL", help="Measure lengths in this student's tokens.")] = None,
    json: Json = False, allow_code: AllowCode = False,
) -> None:  # fmt: skip
    """Find out what is wrong with an eval set before a token is spent. Exit code 1 when there are errors."""
    from agent.findings import as_json, shown
    from agent.launch import FIXABLE
    from student.evals.check import check_evals

    try:
        with progress() as on_stage:
            report = check_evals(source, allow_code, _ruler(student) if student else None, on_stage)
    except FIXABLE as error:
        _fail(str(error))
    show(as_json(report) if json else shown(report))
    if report.counts()["error"]:
        raise typer.Exit(1)


@evals.command("score")
def score(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Hub id, folder, .gguf, builtin:NAME, or a server's address.")],
    source: Source,
    split: Annotated[str, typer.Option("--split", help="test, select or mine.")] = "test",
    url: Annotated[str, typer.Option("--url", help="The address of an OpenAI-compatible server that serves MODEL.")] = "",
    name: Annotated[str, typer.Option("--model", metavar="NAME", help="The model's name, where MODEL is an address.")] = "",
    adapter: Annotated[Path | None, typer.Option("--adapter", metavar="DIR", help="A fine-tuned adapter on MODEL; asks bare.")] = None,
    bare: Annotated[bool, typer.Option("--bare", help="Ask without the task before the question.")] = False,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="So many items at most, drawn by hash.")] = None,
    key_env: Annotated[str, typer.Option("--api-key-env", help="Environment variable with the server's key.")] = "OPENAI_API_KEY",
    runs: Annotated[Path, typer.Option("--runs", help="Where openings of test are recorded.", envvar="LLM2LLM_RUNS")] = Path("runs"),
    json: Json = False, allow_code: AllowCode = False,
) -> None:  # fmt: skip
    """Examine a model, nothing more: accuracy with its interval, by skill, what is confused with what, and examples."""
    from agent.launch import FIXABLE
    from agent.scored import as_json, shown
    from agent.scoring import Order, score_model
    from agent.settings import SettingsError

    try:
        if url and name:
            raise SettingsError(
                "--model names what answers where MODEL is an address; with --url MODEL is that name. Leave --model out."
            )
        place, called = (model, name) if "://" in model else (url, model)
        order = Order.checked(called, split, place, adapter, bare=bare, limit=limit, key_env=key_env)
        with progress() as on_stage, _loaded(source, allow_code, on_stage) as loaded:
            if place:
                _say_what_leaves(place, order, loaded)
            found = score_model(order, loaded, runs, on_stage)
    except FIXABLE as error:
        _fail(str(error))
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    show(as_json(found) if json else shown(found))


@contextmanager
def _loaded(source: str, allow_code: bool, on_stage: OnStage) -> Iterator[EvalSet]:
    """An eval set to examine a model on: a test split is enough."""
    from student.evals.load import load_evals

    evals_set = load_evals(source, allow_code, lambda done, total: on_stage("reading", done, total), score_only=True)
    try:
        yield evals_set
    finally:
        evals_set.close()


def _say_what_leaves(place: str, order: Order, loaded: EvalSet) -> None:
    """Before the first request: who will be sent what."""
    from agent.safe import safe

    sizes = {"mine": len(loaded.seeds), **loaded.held_out.sizes()}
    count = min(order.limit or sizes[order.split], sizes[order.split])
    typer.echo(
        f"To {safe(place)} go {count:,} questions of {order.split}, without their right answers. A server that has seen them should "
        "not write lessons for this eval set.", err=True,
    )  # fmt: skip


def _ruler(student: str) -> Ruler:
    """The student's tokenizer; a built-in model is fetched."""
    from agent.builtin import cache_folder
    from agent.models import model_file
    from agent.settings import local_path
    from student.evals.lengths import ruler

    source = model_file(local_path(student, Path()), lambda *_, **__: None)
    return ruler(student, source, cache_folder() / "students")


@contextmanager
def progress() -> Iterator[OnStage]:
    """A line on stderr that says what is being looked at; nothing where stderr is no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    screen = Console(stderr=True)
    columns = (
        SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
    )  # fmt: skip
    with Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal) as bars:
        stage, bar = "", bars.add_task("", total=None)

        def on_stage(what: str, done: int, total: int | None) -> None:
            nonlocal stage, bar
            if what != stage:  # a fresh bar: an old total cannot be taken back
                bars.remove_task(bar)
                stage, bar = what, bars.add_task(what, total=total)
            bars.update(bar, completed=done, total=total)

        yield on_stage


def _fail(message: str) -> NoReturn:
    from agent.cli import fail

    fail(message)


def show(result: Any) -> None:
    """Print a table, or JSON as it is (rich would fold its lines). A reader that has seen enough is no error."""
    from rich.console import Console

    try:
        if isinstance(result, str):
            sys.stdout.write(result + "\n")
        else:
            Console().print(result)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

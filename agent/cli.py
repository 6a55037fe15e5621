"""The commands. Each reads what was typed, calls the rooms below, and prints a result; nothing here knows how it is done.

Exit codes: 0 done, 2 something a person can mend (one paragraph on stderr), 130 stopped on request and resumable. The
heavy rooms are imported inside the commands, so `--help` answers at once.
"""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from agent.after import after as after_app
from agent.evals import evals as evals_app

app = typer.Typer(
    add_completion=False, no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False,
    help="Teach a small model its job: evaluate, diagnose, write lessons, curate, fine-tune, repeat, and prove it.",
)  # fmt: skip

Set = Annotated[
    list[str], typer.Option("--set", metavar="KEY=VALUE", help="Change one setting, for example stop.rounds=2.")
]
Ui = Annotated[str, typer.Option("--ui", help="auto, rich, plain, json or quiet.")]
Runs = Annotated[Path, typer.Option("--runs", help="Where runs are kept.", envvar="LLM2LLM_RUNS")]
Evals = Annotated[
    str | None,
    typer.Option(
        "--evals",
        metavar="EVALS",
        help="A YAML file, plugin:NAME, file.py:function, lm-eval:TASK@FOLDER or inspect:FILE.py@TASK.",
    ),
]
Student = Annotated[
    str | None, typer.Option("--student", metavar="MODEL", help="Hub id, folder, .gguf or builtin:NAME.")
]
Teacher = Annotated[
    str | None,
    typer.Option(
        "--teacher",
        metavar="MODEL|URL",
        help="A model at teacher.base_url, .gguf, builtin:NAME, scripted; or a server's address (then --set teacher.model=NAME).",
    ),
]
AllowCode = Annotated[
    bool, typer.Option("--allow-code", help="Let the eval set's own code run: file.py:function, lm-eval:, inspect:.")
]
Review = Annotated[
    bool, typer.Option("--review", help="Accept, edit or reject each lesson in the terminal before it is trained on.")
]
Control = Annotated[
    bool,
    typer.Option(
        "--control",
        help="Also compare with untargeted lessons, at equal spend and number, and with seeds trained as long.",
    ),
]
Name = Annotated[str | None, typer.Option("--name", help="What to call the run; a number is added.")]
RUNS = Path("runs")


def main() -> int | None:
    """Entry point: fixable errors become one paragraph and exit code 2."""
    os.umask(0o077)
    for stream in (sys.stdout, sys.stderr):  # a terminal or file that cannot hold a text is no reason to end
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else 2
    return 0


def fail(message: str) -> NoReturn:
    """One paragraph on stderr, exit code 2."""
    from agent.safe import safe

    typer.echo(f"llm2llm: {safe(message)}", err=True)
    raise typer.Exit(2)


@app.command()
def run(
    recipe: Annotated[str | None, typer.Argument(help="A recipe (quickstart, numeric, paper-trec and others) or a config file.")] = None,
    evals: Evals = None, student: Student = None, teacher: Teacher = None, name: Name = None,
    sets: Set = [], ui: Ui = "auto", runs: Runs = RUNS, allow_code: AllowCode = False,  # noqa: B006  typer reads it
    review: Review = False, control: Control = False,
) -> None:  # fmt: skip
    """Start a run: evaluate, teach, fine-tune, repeat."""
    from agent.launch import FIXABLE, drive, opened_evals, replayed
    from agent.models import check_models
    from agent.settings import resolve
    from loops.openings import opened_by
    from loops.run_folder import create_run

    try:
        switched = {"curate.review": True} if review else {}
        switched |= {"control": True} if control else {}
        typed = _typed(evals, student, teacher) | switched
        settings, default = resolve(recipe, sets, typed)
        settings = replayed(settings, runs)
        check_models(settings)  # a bad model or eval set must not leave an empty run behind
        screen = open_screen(ui)
        evals_set = opened_evals(settings, allow_code)
        folder = create_run(runs, name or default, opened_by(runs))
        person = _reviewer(settings, ui, screen)
        code, message = watched(screen, lambda: drive(folder, settings, evals_set, screen, False, person))
        finish(folder, ui, code, message)
    except FIXABLE as error:
        fail(str(error))


@app.command()
def resume(
    run: Annotated[str, typer.Argument(help="A run's name or folder.")], ui: Ui = "auto", runs: Runs = RUNS,
    allow_code: AllowCode = False,
) -> None:  # fmt: skip
    """Go on with a run that was stopped or killed."""
    from agent.launch import FIXABLE, drive, same_evals
    from loops.run_folder import find_run

    try:
        folder = find_run(runs, run)
        settings, fingerprint = folder.load_settings()
        screen = open_screen(ui)
        evals = same_evals(folder, settings, fingerprint, allow_code)
        person = _reviewer(settings, ui, screen)
        code, message = watched(screen, lambda: drive(folder, settings, evals, screen, True, person))
        finish(folder, ui, code, message)
    except FIXABLE as error:
        fail(str(error))


@app.command("runs")
def list_runs(runs: Runs = RUNS) -> None:
    """List all runs."""
    from agent.tables import run_row, runs_table
    from loops.run_folder import all_runs

    _print(
        runs_table(
            [run_row(_view(folder), folder.name, "running" if folder.is_held else "") for folder in all_runs(runs)]
        )
    )


@app.command()
def show(
    run: Annotated[str, typer.Argument(help="A run's name or folder.")], runs: Runs = RUNS,
    prompts: Annotated[bool, typer.Option("--prompts", help="Show the prompts the teacher is given.")] = False,
    lesson: Annotated[str | None, typer.Option(metavar="ID", help="One lesson's life; the start of its id will do.")] = None,
    failure: Annotated[str | None, typer.Option(metavar="ID", help="What was tried for one failure.")] = None,
    weaknesses: Annotated[bool, typer.Option("--weaknesses", help="Every weakness and what came of it.")] = False,
    rejected: Annotated[bool, typer.Option("--rejected", help="Why candidates were rejected, with examples.")] = False,
) -> None:  # fmt: skip
    """Show a run: every round, every reason."""
    from agent import lineage
    from agent.launch import FIXABLE
    from agent.report.gather import facts_of
    from agent.shown import shown
    from agent.tables import summary
    from loops.run_folder import find_run

    try:
        folder = find_run(runs, run)
        trail = lineage.read_trail(folder) if lesson or failure or weaknesses or rejected else None
        parts = lineage.parts(trail, lesson, failure, weaknesses, rejected) if trail else []
        for part in parts or [shown(facts_of(folder)), summary(_view(folder))]:
            _print(part)
    except FIXABLE as error:
        fail(str(error))
    if prompts:
        _show_prompts(folder)


@app.command()
def report(
    run: Annotated[str, typer.Argument(help="A run's name or folder.")], runs: Runs = RUNS,
    to: Annotated[Path | None, typer.Option("--to", metavar="FOLDER", help="Where to; the run's own folder by default.")] = None,
) -> None:  # fmt: skip
    """Write a run down as one HTML page, which opens anywhere, and as Markdown."""
    from agent.launch import FIXABLE
    from agent.report import write_report
    from loops.run_folder import find_run

    try:
        folder = find_run(runs, run)
        for place in write_report(folder, to or folder.path):
            typer.echo(str(place))
    except FIXABLE as error:
        fail(str(error))


@app.command()
def check(
    config: Annotated[str | None, typer.Argument(help="A recipe's name or a config file.")] = None,
    evals: Evals = None, student: Student = None, teacher: Teacher = None, sets: Set = [],  # noqa: B006
    explain: Annotated[
        str | None, typer.Option("--explain", metavar="KEY", help="Explain settings that start with KEY; '' for all.")
    ] = None,
    runs: Runs = RUNS, allow_code: AllowCode = False,
) -> None:  # fmt: skip
    """Check a config and its eval set, reach the teacher, score it on a few seeds, and estimate the cost."""
    from agent.check import check_run, explain_settings
    from agent.launch import FIXABLE, replayed
    from agent.safe import safe
    from agent.settings import resolve

    try:
        if explain is not None:
            _print(explain_settings(explain))
            return
        settings, _ = resolve(config, sets, _typed(evals, student, teacher))
        settings = replayed(settings, runs)
        _print(check_run(settings, allow_code, lambda text: typer.echo(f"llm2llm: {safe(text)}", err=True)))
    except FIXABLE as error:
        fail(str(error))


models = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="The built-in models.")
app.add_typer(models, name="models")
app.add_typer(evals_app, name="evals")
app.add_typer(after_app)


@models.command("list")
def list_models() -> None:
    """The built-in models and whether they are here."""
    from agent.builtin import BUILTINS, cache_folder, cached_path

    for model in BUILTINS.values():
        there = "here" if cached_path(model).exists() else "not fetched yet"
        typer.echo(
            f"builtin:{model.name.removeprefix('builtin:')}  {model.role}, {model.bytes / 1e6:,.0f} MB, {model.licence}, {there}"
        )
    typer.echo(f"builtin:tiny  student for dry runs, made here\nCache: {cache_folder()}")


@models.command("pull")
def pull_models(
    names: Annotated[list[str] | None, typer.Argument(help="Which; all when none is named.")] = None,
) -> None:
    """Fetch and verify built-in models, so that runs work offline."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    from agent.builtin import BUILTINS, PullError, pull

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    try:
        for name in names or list(BUILTINS):
            with Progress(*columns, console=Console(stderr=True)) as bars:
                bar = bars.add_task(name, total=None)
                path = pull(name, lambda done, total, bars=bars, bar=bar: bars.update(bar, completed=done, total=total))
            typer.echo(str(path))
    except PullError as error:
        fail(str(error))


def _typed(evals: str | None, student: str | None, teacher: str | None) -> dict[str, Any]:
    """Options as dotted settings. A teacher that is an address needs its model named by --set teacher.model."""
    from agent.settings import local_path, whole_address

    typed: dict[str, Any] = {}
    if evals is not None:
        typed["evals"] = whole_address(evals, Path())
    if student is not None:
        typed["student.model"] = local_path(student, Path())
    if teacher is not None:
        there = "://" in teacher
        typed["teacher.base_url" if there else "teacher.model"] = teacher if there else local_path(teacher, Path())
    return typed


def open_screen(ui: str) -> Any:
    from typing import cast, get_args

    from agent import console
    from agent.settings import SettingsError

    if ui not in get_args(console.Ui):
        raise SettingsError(f"--ui {ui!r} is not one of {', '.join(get_args(console.Ui))}.")
    return console.choose_ui(cast("console.Ui", ui), sys.stdout.isatty(), sys.stderr.isatty())()


def _reviewer(settings: Any, ui: str, screen: Any) -> Any:
    """Whoever reviews lessons, or None where that is not wanted or nobody is there."""
    if not settings.curate.review:
        return None
    from agent.review import TerminalReview, can_ask

    return TerminalReview(screen.close) if can_ask(ui) else None


def watched(screen: Any, work: Any) -> Any:
    try:
        return work()
    finally:
        screen.close()


def finish(folder: Any, ui: str, code: int, message: str) -> None:
    """The closing table on stdout, unless stdout carries events; then the exit code."""
    from agent.tables import summary

    if message:
        fail(message)
    if ui not in ("json", "quiet"):
        _print(summary(_view(folder)))
    if code:
        raise typer.Exit(code)


def _view(folder: Any) -> Any:
    from agent.launch import events_of
    from agent.progress import RunView

    return RunView().replay(events_of(folder))


def _print(renderable: Any) -> None:
    from rich.console import Console

    try:
        Console().print(renderable)
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            fail(f"What there is to say could not be written ({error.strerror or error}). Write it somewhere else.")


def _show_prompts(folder: Any) -> None:
    """The prompt files of this program, and of each whether the run was given another one."""
    from agent.launch import events_of
    from teacher.prompts import every_prompt

    sessions = [event.get("prompts") or {} for event in events_of(folder) if event["event"] == "run.started"]
    for name, version, text in every_prompt():
        others = sorted({given[name] for given in sessions if given.get(name, version) != version})
        told = f"; the run had another, {', '.join(map(str, others))}: its ledger holds what was sent" if others else ""
        typer.echo(f"\n--- {name} ({version}{told})\n{text}")

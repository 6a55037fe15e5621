"""The commands that read a finished run and make something of it. As everywhere, the heavy rooms are imported inside them.

Exit codes: 0 done, 2 something a person can mend (one paragraph on stderr), 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from agent.export import Exported
    from agent.export.chosen import Chosen

after = typer.Typer(rich_markup_mode=None)

Run = Annotated[str, typer.Argument(help="A run's name or folder.")]
Runs = Annotated[Path, typer.Option("--runs", help="Where runs are kept.", envvar="LLM2LLM_RUNS")]
AllowCode = Annotated[
    bool, typer.Option("--allow-code", help="Let the eval set's own code run: file.py:function, lm-eval:, inspect:.")
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout instead of tables.")]
RUNS = Path("runs")


@after.command()
def export(
    run: Run,
    to: Annotated[Path, typer.Option("--to", metavar="FOLDER", help="A new or empty folder.")],
    number: Annotated[int | None, typer.Option("--round", metavar="N", help="That round's student; the best by default.")] = None,
    dtype: Annotated[str | None, typer.Option("--dtype", help="float32 or bfloat16; the run's own by default.")] = None,
    runs: Runs = RUNS, allow_code: AllowCode = False,
) -> None:  # fmt: skip
    """Write the best student down for others: adapter, merged model, Ollama Modelfile, training data, and cards."""
    from agent.cli import fail
    from agent.evals import progress
    from agent.export import export as write_export
    from agent.export import free_place
    from agent.export.chosen import choose
    from agent.launch import FIXABLE
    from loops.run_folder import find_run

    try:
        free_place(to)
        with progress() as on_stage:
            on_stage("reading the run", 0, None)
            chosen = choose(find_run(runs, run), number, dtype, allow_code)
            try:
                made = write_export(chosen, to, on_stage)
            finally:
                chosen.evals.close()
    except FIXABLE as error:
        fail(str(error))
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    typer.echo(_told(chosen, made, to, allow_code))


@after.command()
def compare(
    names: Annotated[list[str], typer.Argument(metavar="RUN", help="Finished runs on the same test items.")],
    runs: Runs = RUNS, json: Json = False,
) -> None:  # fmt: skip
    """Compare finished runs: each one's best student with the first one's, item by item. Nothing is examined again."""
    from agent.cli import fail
    from agent.compare import compare_runs
    from agent.compared import as_json, shown
    from agent.evals import show
    from agent.launch import FIXABLE
    from loops.run_folder import find_run

    try:
        found = compare_runs([find_run(runs, name) for name in names])
    except FIXABLE as error:
        fail(str(error))
    show(as_json(found) if json else shown(found))


@after.command()
def bench(
    run: Run,
    against: Annotated[
        list[str], typer.Option("--against", metavar="MODEL|URL=NAME", help="Hub id, folder, .gguf, builtin:NAME, or a server's model.")
    ] = [],  # noqa: B006  typer reads it
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="So many items at most, the same for all.")] = None,
    zero_shot: Annotated[bool, typer.Option("--zero-shot", help="Leave worked examples out: half the questions.")] = False,
    send_test: Annotated[bool, typer.Option("--send-test", help="Let held-out text go to a server that is not this machine.")] = False,
    prompt_price: Annotated[float | None, typer.Option(min=0, help="Price of a million prompt tokens.")] = None,
    completion_price: Annotated[float | None, typer.Option(min=0, help="Price of a million answer tokens.")] = None,
    key_env: Annotated[str, typer.Option("--api-key-env", help="Environment variable with a server's key.")] = "OPENAI_API_KEY",
    runs: Runs = RUNS, json: Json = False, allow_code: AllowCode = False,
) -> None:  # fmt: skip
    """Hold a run's student against the untouched one and other models, on test: accuracy, time, tokens and money."""
    from agent import bench as benches
    from agent.bench.shown import as_json, shown
    from agent.cli import fail
    from agent.evals import progress, show
    from agent.launch import FIXABLE
    from agent.safe import safe
    from loops.run_folder import find_run

    order = benches.Order(
        against=tuple(against), limit=limit, few_shot=not zero_shot, send_test=send_test, prompt_price=prompt_price,
        completion_price=completion_price, key_env=key_env, allow_code=allow_code,
    )  # fmt: skip
    try:
        folder = find_run(runs, run)
        with progress() as on_stage:
            found = benches.bench(folder, order, on_stage, lambda text: typer.echo(safe(text), err=True))
    except FIXABLE as error:
        fail(str(error))
    except KeyboardInterrupt:
        typer.echo("Stopped. What was answered is kept: the same command goes on from here.", err=True)
        raise typer.Exit(130) from None
    show(as_json(found) if json else shown(found))


@after.command()
def rebase(
    run: Run,
    student: Annotated[str, typer.Option("--student", metavar="MODEL", help="The new base: hub id, folder, .gguf or builtin:NAME.")],
    name: Annotated[str | None, typer.Option("--name", help="What to call the new run; a number is added.")] = None,
    sets: Annotated[list[str], typer.Option("--set", metavar="KEY=VALUE", help="Change one setting of the old run.")] = [],  # noqa: B006
    ui: Annotated[str, typer.Option("--ui", help="auto, rich, plain, json or quiet.")] = "auto",
    runs: Runs = RUNS, allow_code: AllowCode = False,
) -> None:  # fmt: skip
    """Train a new base model on what a run accumulated, without asking a teacher, and compare the two."""
    from agent.cli import fail
    from agent.compare import compare_runs
    from agent.compared import shown
    from agent.evals import show
    from agent.launch import FIXABLE
    from agent.rebase import begin
    from loops.run_folder import find_run

    try:
        old = find_run(runs, run)
        new = begin(old, student, (*sets,), runs, name, ui, allow_code)
        if ui not in ("json", "quiet"):
            show("")
            show(shown(compare_runs([old, new])))
    except FIXABLE as error:
        fail(str(error))


def _told(chosen: Chosen, made: Exported, to: Path, allow_code: bool) -> str:
    """What was exported, how it was checked, and how a person checks it."""
    from agent.safe import safe

    parts = {"adapter": "PEFT adapter"} if chosen.has_adapter else {}
    parts |= {
        "merged": f"merged model in {chosen.dtype}, with its card", "Modelfile": "for Ollama",
        "data": f"{made.rows:,} training rows as Parquet, with their card",
    }  # fmt: skip
    words = ["llm2llm", "evals", "score", str(to / "merged"), chosen.settings.evals, "--split", chosen.split, "--bare"]
    lines = [
        *(f"{to / name}  {what}" for name, what in parts.items()),
        f"Loaded by itself: {made.match.sentence}",
        f"Check it: {shlex.join([*words, '--allow-code'] if allow_code else words)}",
        f"In Ollama: ollama create {shlex.quote(chosen.folder.name.lower())} -f {shlex.quote(str(to / 'Modelfile'))}",
    ]
    return "\n".join(map(safe, lines))

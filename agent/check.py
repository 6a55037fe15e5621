"""`llm2llm check`: find out before a run what is wrong with it, whether the teacher can do the task, and what it may cost.

Nothing is written into a run folder; the teacher's answers are kept in a throw-away ledger.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from agent.launch import asks_elsewhere, told_of
from agent.mode import evals_for
from agent.models import check_models, open_teacher
from agent.safe import safe
from agent.settings import SettingsError, explained
from loops.crew import sheet_of
from loops.lessons import lessons_asked
from loops.settings import RunSettings
from loops.stats import wilson
from student.evals.load import EvalSet
from student.grade import same_answer
from student.records import Failure, Seed, Weakness
from teacher.aimless import anything
from teacher.curate import answer_request, asked_seeds, read_answer, shown_seeds
from teacher.generate import check_strategies, plan_orders
from teacher.requests import Reply, Request
from teacher.sheet import TaskSheet

ASKED = 24
"""Seeds the teacher is asked."""
SAMPLE = 40
"""Lessons for which requests are planned, to see how long these are."""


def check_run(
    settings: RunSettings, allow_code: bool = False, say: Callable[[str], None] = lambda text: None
) -> RenderableType:
    """A table of what was found. `say` is told what leaves this machine before anything does.

    Raises the rooms' errors for what would stop a run.
    """
    check_models(settings)
    evals = evals_for(settings, allow_code)
    check_strategies(sheet_of(evals), settings.generate)
    sizes = evals.held_out.sizes()
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    select = "" if evals.cross_fit else f"select {sizes['select']}, "
    table.add_row("eval set", Text(safe(f"{evals.spec.name}: mine {len(evals.seeds)}, {select}test {sizes['test']}")))
    for note in evals.notes:
        table.add_row("note", Text(safe(note)))
    table.add_row("student", Text(safe(settings.student.model)))
    table.add_row(
        "teacher",
        Text(safe(settings.teacher.model + (f" at {settings.teacher.base_url}" if settings.teacher.base_url else ""))),
    )
    if asks_elsewhere(settings):
        shown = len(shown_seeds(sheet_of(evals), evals.for_teacher, settings.curate.shown))
        asked = f"{min(ASKED, len(evals.seeds) - shown)} questions of mine, without their answers"
        asked += f", and {shown} with them" if shown else ""
        say(f"{asked}, go to {settings.teacher.base_url}; a run sends it {', '.join(told_of(settings, evals))}.")
    for name, text in _ask(settings, evals):
        table.add_row(name, Text(safe(text)))
    return table


def _ask(settings: RunSettings, evals: EvalSet) -> list[tuple[str, str]]:
    """Score the teacher on some seeds, and scale what that took to a whole run."""
    sheet = sheet_of(evals)
    shown = shown_seeds(sheet, evals.for_teacher, settings.curate.shown)
    seeds = asked_seeds(evals.for_teacher, shown, ASKED)
    with ExitStack() as cleaning:
        place = Path(cleaning.enter_context(tempfile.TemporaryDirectory()))
        client = open_teacher(settings, evals, place / "ledger.sqlite", lambda *_, **__: None, cleaning, lambda: False)
        requests = [answer_request(sheet, seed.prompt, seed.choices, shown=shown) for seed in seeds]
        replies = client.ask_all(requests, round=0)
        spent = client.ledger.totals()
    answers = [read_answer(reply) if isinstance(reply, Reply) else None for reply in replies]
    right = sum(
        answer is not None and same_answer(evals.spec, seed.answer, answer)
        for seed, answer in zip(seeds, answers, strict=True)
    )
    low, high = wilson(right, len(seeds))
    score = f"{right} of {len(seeds)} seeds right, {100 * right / len(seeds):.0f} % (95 % interval {100 * low:.0f} to {100 * high:.0f} %)"
    return [
        ("teacher's own score", score),
        *_estimate(settings, evals, requests, spent.seconds, spent.tokens),
    ]


def _estimate(
    settings: RunSettings, evals: EvalSet, asked: Sequence[Request], seconds: float, tokens: int
) -> list[tuple[str, str]]:
    """What a whole run may take of the teacher, by what these requests took; writing by requests like those of a first round."""
    rounds, seeds_there = settings.stop.rounds, len(evals.seeds)
    lessons = lessons_asked(settings.generate, seeds_there, failures=seeds_there)
    asked_for = rounds * lessons * (2 if settings.control else 1)  # control arms cost what the rounds did
    checks = settings.curate.answers if settings.curate.verify else 0
    answers = settings.teacher.check_items + asked_for * checks
    few = settings.generate.model_copy(update={"lessons": min(lessons, SAMPLE)})
    sheet, seeds = sheet_of(evals), evals.for_teacher
    orders = plan_orders(sheet, _stand_ins(sheet, seeds, few.lessons), few, 1, settings.seed, seeds)
    per_most = tokens / sum(one.most_tokens() for one in asked)  # what comes for each token that a request could take
    per_lesson = per_most * sum(one.request.most_tokens() for one in orders) / max(1, few.lessons)
    written, total = (
        asked_for * settings.generate.tokens_per_lesson,
        answers * tokens / len(asked) + asked_for * per_lesson,
    )
    minutes = total * seconds / max(1, tokens) / 60
    lines = [
        (
            "estimate",
            f"roughly {total:,.0f} teacher tokens and {minutes:.0f} or more minutes of teacher time for {rounds} rounds of {lessons}"
            + (" and the control arms" if settings.control else ""),
        )
    ]
    budget = settings.budget
    if budget.prompt_price is not None and budget.completion_price is not None:
        lines.append(("money", f"about {(total * budget.prompt_price + written * budget.completion_price) / 1e6:.2f}"))
    else:
        lines.append(("money", "unknown: set budget.prompt_price and budget.completion_price (per million tokens)"))
    return lines


def _stand_ins(sheet: TaskSheet, seeds: Sequence[Seed], lessons: int) -> list[Weakness]:
    """What is not known before a run: weaknesses, as if every seed were a failure."""
    if sheet.labels:
        return anything(seeds, lessons, 1)
    failures = tuple(Failure(seed=seed, wrong_answer="", barely=True) for seed in seeds)
    return [Weakness(id="", name="", failures=failures, lessons=lessons)]


def explain_settings(prefix: str) -> RenderableType:
    """The keys that start with `prefix`, each with its default and meaning."""
    found = [row for row in explained() if row[0].startswith(prefix)]
    if not found:
        raise SettingsError(f"No setting starts with {prefix!r}. `llm2llm check --explain ''` lists every key.")
    rows = list[RenderableType]()
    for key, default, note in found:
        head = Text(key, "bold", no_wrap=True, overflow="ignore").append(f" = {default}", "not bold")
        rows += [head, Padding(Text(note), (0, 0, 0, 4))]
    return Group(*rows)

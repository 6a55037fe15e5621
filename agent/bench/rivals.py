"""What was typed after `--against`: who is meant, and what each would be sent.

In: `MODEL` or `URL=NAME`. Out: a `Rival`, checked as far as that is possible without loading or asking it. Held-out text goes to
another machine only where a person has said so (`--send-test`); this one is told from others by the address alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from agent.bench.records import Rival
from agent.builtin import BUILTINS
from agent.models import check_models
from agent.settings import SettingsError, local_path
from loops.settings import BudgetSettings, RunSettings, StudentSettings, TeacherSettings
from teacher.address import checked_address, is_loopback
from teacher.ledger import Prices


def rivals_of(
    texts: Sequence[str], settings: RunSettings, prompt_price: float | None, completion_price: float | None
) -> list[Rival]:
    """The models that were named, each once. Raises SettingsError or TeacherUnusable for one that cannot be meant."""
    typed = _prices(prompt_price, completion_price)
    found = [_rival(text) for text in dict.fromkeys(texts)]
    if typed is not None and not any(rival.kind != "likelihood" for rival in found):
        raise SettingsError(
            "--prompt-price and --completion-price are for models that are paid by the token. Name one with --against URL=NAME."
        )
    return [rival.model_copy(update={"prices": _prices_for(rival, typed, settings)}) for rival in found]


def far_away(rivals: Sequence[Rival]) -> list[Rival]:
    """Those whose server is not this machine. Raises TeacherUnusable for an address nothing may be sent to."""
    return [rival for rival in rivals if rival.url and not is_loopback(checked_address(rival.url).host)]


def what_leaves(rival: Rival, items: int, shots: int) -> str:
    """Who is sent what, in sentences."""
    twice = f" Each is asked twice, the second time with {shots} labelled seeds as worked examples." if shots else ""
    return f"{items:,} questions of test go to {rival.url} ({rival.model}), without their right answers.{twice}"


def refuse_to_send(rivals: Sequence[Rival], items: int, shots: int) -> None:
    """Raises SettingsError: nobody has said that held-out text may leave this machine."""
    if away := far_away(rivals):
        leaving = " ".join(what_leaves(rival, items, shots) for rival in away)
        raise SettingsError(
            f"Held-out text would be sent to another machine. {leaving} A server that has seen test should not write lessons for this "
            "eval set. If that is meant, say so with --send-test; nothing has been sent."
        )


def teacher_settings(rival: Rival, run: TeacherSettings, key_env: str) -> TeacherSettings:
    """How a rival that writes is reached, or served: with the run's slots and context."""
    return TeacherSettings(
        model=rival.model, base_url=rival.url or None, api_key_env=key_env, slots=run.slots, context=run.context,
        request_seconds=run.request_seconds,
    )  # fmt: skip


def _rival(text: str) -> Rival:
    if "://" in text:
        url, name = _split(text)
        checked_address(url)
        return Rival(model=name, url=url, kind="server")
    model = local_path(text, Path())
    if text.endswith(".gguf") or (text in BUILTINS and BUILTINS[text].role == "teacher"):
        check_models(RunSettings(evals="", teacher=TeacherSettings(model=model)))
        return Rival(model=model, kind="local server")
    check_models(RunSettings(evals="", student=StudentSettings(model=model), teacher=TeacherSettings(model="scripted")))
    return Rival(model=model, kind="likelihood")


def _split(text: str) -> tuple[str, str]:
    """Address and model. An address may have a query, whose last part holds a `=` of its own."""
    url, equals, name = text.rpartition("=")
    whole = "?" not in url or "=" in url.rpartition("?")[2].rpartition("&")[2]
    if not equals or not name or "://" not in url or not whole:
        raise SettingsError(
            f"--against {text!r} does not say which model the server should answer with. Write the address, an equals sign and the "
            "model's name: --against https://host/v1=NAME."
        )
    return url, name


def _prices(prompt: float | None, completion: float | None) -> Prices | None:
    if prompt is None and completion is None:
        return None
    if prompt is None or completion is None:
        raise SettingsError("Give both --prompt-price and --completion-price, for a million tokens each; 0 is a price.")
    return Prices(prompt_per_million=prompt, completion_per_million=completion)


def _prices_for(rival: Rival, typed: Prices | None, settings: RunSettings) -> Prices | None:
    """What was typed; else, for the run's own teacher, what the run was told it costs."""
    if rival.kind == "likelihood":
        return None
    teacher, budget = settings.teacher, settings.budget
    own = (rival.model, rival.url) == (teacher.model, teacher.base_url or "")
    return typed or (_prices(*_of_run(budget)) if own else None)


def _of_run(budget: BudgetSettings) -> tuple[float | None, float | None]:
    known = budget.prompt_price is not None and budget.completion_price is not None
    return (budget.prompt_price, budget.completion_price) if known else (None, None)

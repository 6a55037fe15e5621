"""`llm2llm rebase RUN --student NEW`: train a new base model on what another run accumulated, without asking a teacher.

In: a finished run and what was typed. Out: a new run with the old run's settings, which begins with the old run's lessons as its
one round (`loops.adopting`). Everything that could stop it is found out before its folder is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from agent.launch import drive, same_splits
from agent.mode import evals_for
from agent.models import check_models
from agent.settings import SettingsError, changed, local_path
from loops.adopting import check_folds, lessons_of
from loops.folds import deal_folds, grounds_of
from loops.openings import opened_by
from loops.run_folder import RunError, RunFolder, create_run
from loops.settings import RunSettings
from student.evals.load import EvalSet

MARK = "-rebased"
"""At the end of the new run's name."""


def rebased(old: RunFolder, student: str, overrides: Sequence[str]) -> RunSettings:
    """The settings of the new run. Raises SettingsError or RunError."""
    settings, _ = old.load_settings()
    typed = {"student.model": local_path(student, Path()), "lessons_from": str(old.path), "stop.rounds": 1, "control": False,
             "curate.review": False}  # fmt: skip
    new = changed(settings, overrides, typed)
    for name, wanted in (("lessons_from", str(old.path)), ("control", False), ("evals", settings.evals)):
        if getattr(new, name) != wanted:
            raise SettingsError(
                f"--set {name}=... does not go with rebase, which learns the lessons of {old.name!r} on the same eval set and asks no "
                "teacher. Leave it out, or start a new run with `llm2llm run`."
            )
    check_models(new)
    return new


def begin(
    old: RunFolder, student: str, overrides: Sequence[str], runs: Path, name: str | None, ui: str, allow_code: bool
) -> RunFolder:  # fmt: skip
    """Make the new run and drive it to its end; its summary is printed as that of any run. Raises the rooms' errors."""
    from agent.cli import finish, open_screen, watched

    settings = rebased(old, student, overrides)
    screen = open_screen(ui)
    evals = unchanged_evals(old, settings, allow_code)
    folder = create_run(runs, name or name_after(old), opened_by(runs))
    code, message = watched(screen, lambda: drive(folder, settings, evals, screen, False))
    finish(folder, ui, code, message)
    return folder


def unchanged_evals(old: RunFolder, settings: RunSettings, allow_code: bool) -> EvalSet:
    """The eval set both runs share, once the lessons are known to be there. Raises RunError when it is another one by now."""
    evals = evals_for(settings, allow_code)
    if evals.fingerprint == old.load_settings()[1]:
        same_splits(old, evals, ("test",))  # the mode may be another
    try:
        lessons = lessons_of(old, evals.fingerprint)
        if evals.cross_fit:
            check_folds(grounds_of(evals.seeds, deal_folds(evals.seeds, settings.mine.folds)), lessons)
    except RunError:
        evals.close()
        raise
    return evals


def name_after(old: RunFolder) -> str:
    """What the new run is called unless it is given a name. Not as the old one: a bare name means the newest run of it."""
    stem, _, number = old.name.rpartition("-")
    return f"{(stem if stem and number.isdigit() else old.name).removesuffix(MARK)[: 60 - len(MARK)]}{MARK}"

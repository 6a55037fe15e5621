"""Settle how a run compares its rounds, before it is created: on `select`, or by cross-fitting where `select` would be too small.

In: settings whose `mode` may be `auto`. Out: the eval set loaded in the mode that was settled, with a note that tells a person why, and
the settings with that mode for config.yaml. A run that learns another run's lessons is compared as that one was: its lessons
were made from that run's seeds, and what was a seed there is not held out here.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from agent.settings import SettingsError
from loops.folds import deal_folds
from loops.run_folder import RunFolder
from loops.settings import RunSettings
from student.evals.load import FEW, EvalSet, load_evals
from student.evals.sending import narrowed
from student.evals.spec import EvalError


def evals_for(settings: RunSettings, allow_code: bool) -> EvalSet:
    """The eval set of a new run. Raises the rooms' errors where it or the mode cannot be."""
    settings = _as_before(settings)
    relearned = settings.mine.how == "resubstitution"
    if settings.mode == "cross-fit" and relearned:
        raise SettingsError(
            "mode=cross-fit examines every seed with a student that was not trained on it, and mine.how=resubstitution asks for the "
            "opposite. Take one of the two back: mine.how=out-of-fold, or mode=select."
        )
    chooses = settings.stop.keep == "best"
    cross_fit = None if settings.mode == "auto" and not relearned and chooses else settings.mode == "cross-fit"
    evals = load_evals(settings.evals, allow_code, cross_fit=cross_fit, needs_select=chooses)
    if evals.cross_fit and _are_one_fold(evals, settings):
        evals.close()
        raise SettingsError(
            f"The {len(evals.seeds)} items outside test cannot be cross-fitted: nearly all are alike, and look-alikes share a fold. Add "
            "items that differ in more than numbers and punctuation, or keep some apart with --set mode=select."
        )
    if not evals.cross_fit and _mines(settings) and _are_one_fold(evals, settings):
        evals.close()
        raise SettingsError(
            f"No failures can be mined out of fold from the {len(evals.seeds)} items of mine: they are all alike, and look-alikes share "
            "a fold, so nothing is left to train on. Add items that differ in more than numbers and punctuation, or mine on what was "
            "learned, with --set mine.how=resubstitution."
        )
    return replace(as_told(evals, settings), notes=(*evals.notes, *told(settings, evals)))


def _are_one_fold(evals: EvalSet, settings: RunSettings) -> bool:
    return len(set(deal_folds(evals.seeds, settings.mine.folds).values())) < 2


def _mines(settings: RunSettings) -> bool:
    """Whether failures are looked for with students of other folds."""
    return settings.mine.how == "out-of-fold" and settings.stop.rounds > 0 and not settings.lessons_from


def as_told(evals: EvalSet, settings: RunSettings) -> EvalSet:
    """The eval set with its seeds as this run's teacher may be told them. Raises EvalError, and then closes it."""
    try:
        return narrowed(evals, settings.evals, settings.teacher.send_columns)
    except EvalError:
        evals.close()
        raise


def settled(settings: RunSettings, evals: EvalSet) -> RunSettings:
    """The settings with the mode that the eval set was loaded in."""
    return settings.model_copy(update={"mode": "cross-fit" if evals.cross_fit else "select"})


def told(settings: RunSettings, evals: EvalSet) -> list[str]:
    """Why rounds are cross-fitted though nobody asked for it, and how to have it otherwise: a sentence, or none."""
    if settings.mode != "auto" or not evals.cross_fit:
        return []
    few = f"select would have {evals.select_before} items: too few to tell rounds apart (fewer than {FEW})"
    apart = "; --set mode=select keeps them apart" if evals.select_before else ""
    sentence = (
        f"{few}, so all {len(evals.seeds)} items outside test are seeds and rounds are compared by cross-fitting, each item answered by "
        f"a student that learned neither it nor anything made from it{apart}"
    )
    return [sentence]


def _as_before(settings: RunSettings) -> RunSettings:
    """The settings with the mode of the run whose lessons are learned. Raises SettingsError where another one is asked for."""
    if not settings.lessons_from:
        return settings
    before = RunFolder(Path(settings.lessons_from)).load_settings()[0].mode
    if settings.mode == "auto":
        return settings.model_copy(update={"mode": before})
    if settings.mode == "select" and before == "cross-fit":
        raise SettingsError(
            f"The lessons of {Path(settings.lessons_from).name!r} were made from every item outside test: it was cross-fitted. So select "
            "cannot choose among rounds here. Leave mode=select out."
        )
    return settings

"""The control arms: untargeted lessons at equal spend and at equal number, and seeds alone for as many steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from loops.crew import Crew
from loops.state import State
from student.records import Attempt, HeldOutItem


def train_arms(state: State, crew: Crew) -> None:
    """Make every arm's data and adapter, unless they are there. Raises BudgetSpent."""
    raise NotImplementedError


def arms_claim(
    state: State, crew: Crew, items: Sequence[HeldOutItem], results: dict[str, list[Attempt]]
) -> list[dict[str, Any]]:
    """Examine the arms on `test` and compare the best student with each, as it is recorded in claim.json."""
    raise NotImplementedError

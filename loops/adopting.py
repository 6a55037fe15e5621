"""Learn the lessons of another run: what `rebase` does with a new base model, without asking a teacher."""

from __future__ import annotations

from typing import Any

from loops.crew import Crew
from loops.state import State


def adopted(state: State, crew: Crew) -> dict[str, Any]:
    """Begin a teaching round whose lessons are those of `lessons_from`; returns the update of the state."""
    raise NotImplementedError

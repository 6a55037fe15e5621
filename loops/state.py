"""The graph's state: names and small numbers, nothing else. Rows, adapters and replies lie in the run folder.

LangGraph checks what enters a node, not what leaves it, and drops unknown keys without a word. So every update is
merged and validated here (`checked`) before the graph sees it.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

GRAPH_VERSION = 3
"""Raised whenever nodes, their order or the state change: an older run is refused instead of silently 'finished'."""


class State(BaseModel):
    """Where the loop stands."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True)

    round: int = 0
    """The round at work: 0 trains on seeds alone, 1 is the first teaching round."""
    best: int = 0
    """The round to keep, by `select`."""
    failures: int = 0
    """Seeds the student got wrong when last mined."""
    accepted: int = 0
    """Lessons accepted in this round."""
    reviewing: bool = False
    """Whether this round's lessons wait for a person."""
    cross_fit: bool = False
    """Whether rounds are compared by cross-fitting; fixed when the run is created, like the next two."""
    control: bool = False
    """Whether control arms are trained before the claim."""
    adopt: bool = False
    """Whether the lessons of another run are learned instead of new ones."""
    stop: str = ""
    """A StopReason once the loop is to end."""
    claimed: bool = False
    """Whether `test` was opened and the claim made."""


def checked(state: State, update: dict[str, Any]) -> dict[str, Any]:
    """The update, if state and update make a valid state. Raises pydantic's ValidationError otherwise."""
    State.model_validate({**state.model_dump(), **update})
    return update

"""The front door: the `llm2llm` command and the only public import name.

The rooms are plain top-level packages, so a file or folder called `agent` or `student` in the working folder, or
another installed package of that name, could be imported in their place. Before anything else runs, this file looks
where each room would come from; unless all four lie beside it, it names what is in the way and stops. It imports
nothing heavy: `llm2llm --help` has to answer at once.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

__version__ = "0.1.0"

ROOMS = ("agent", "loops", "teacher", "student")
HERE = Path(__file__).resolve().parent


def main() -> int | None:
    """Run the command line; returns the exit status (None is success), 2 where a room is missing or shadowed."""
    for room in ROOMS:
        trouble = _trouble_with(room)
        if trouble:
            print(f"llm2llm: {trouble}", file=sys.stderr)  # noqa: T201 - no room may be imported to say it
            return 2
    from agent import cli

    return cli.main()


def _trouble_with(room: str) -> str:
    """Why `import room` would not give this program's room, for the person who can fix it; empty if it would."""
    found = _places(room)
    strangers = [place for place in found if place != HERE / room]
    if strangers:
        return (
            f"{str(strangers[0])!r} hides this program's own {room!r} package, which is in {str(HERE)!r}. "
            f"Rename or remove it, or start llm2llm from another folder."
        )
    if not found:
        return f"the {room!r} package is missing from {str(HERE)!r}. Install llm2llm again."
    return ""


def _places(room: str) -> list[Path]:
    """The files or folders that `import room` would read, without importing it."""
    spec = importlib.util.find_spec(room)
    if spec is None:
        return []
    if spec.submodule_search_locations is not None:
        return [Path(place).resolve() for place in spec.submodule_search_locations]
    return [Path(spec.origin or "").resolve()]


if __name__ == "__main__":
    sys.exit(main())

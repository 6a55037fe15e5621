"""What was asked of a measurement on the command line: a folder with data, and whether to take the long way.

python tests/bench/NAME.py [FOLDER] [--whole]
"""

from __future__ import annotations

import sys
from pathlib import Path


def folder() -> Path | None:
    """The folder that was named, if one was."""
    return next((Path(word) for word in sys.argv[1:] if not word.startswith("-")), None)


def whole() -> bool:
    """Whether everything is to be measured, however long it takes; otherwise what a few minutes can tell."""
    return "--whole" in sys.argv[1:]

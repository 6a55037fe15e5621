"""Errors a person can mend by changing what they typed, a file, or the machine: one paragraph, no traceback.

The command line prints the text and exits with 2. Everything else is our bug and keeps its traceback.
"""

from __future__ import annotations


class StudentError(Exception):
    """A fixable problem with an eval set, a model or a training setting: says what, where, and what to do."""

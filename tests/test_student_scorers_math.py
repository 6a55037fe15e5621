"""The maths scorer: what its process decides, and that the process never takes the program with it, or outlives it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from student.scorers import ScorerSpec, make_scorer, unscored
from student.scorers.math_worker import WORKER, MathWorker
from student.scorers.maths import expression
from student.scorers.planted import planted_wrong
from student.scorers.traps import Trap, self_test, traps

ENDLESS = r"\sum_{n=1}^{100000000} n^n"
MATH = ScorerSpec.model_validate("math")


@pytest.fixture(scope="module", autouse=True)
def _no_process_left() -> Iterator[None]:
    yield
    WORKER.close()


@pytest.mark.parametrize("trap", [one for one in traps() if one.scorer.name == "math"], ids=lambda trap: trap.why)
def test_trap(trap: Trap) -> None:
    assert make_scorer(trap.scorer)(trap.expected, trap.output) == trap.wanted


def test_the_self_test_passes() -> None:
    assert self_test(MATH) == []


@pytest.mark.parametrize(
    "answer", ["\\frac{3}{4}", "2x+1", "x^2", "5", "-7", "(1,2)", "50\\%", "\\sqrt{2}", "\\text{even}", "x=3"]
)
def test_gold_answers_are_right_and_planted_ones_wrong(answer: str) -> None:
    score = make_scorer(MATH)
    assert score(answer, answer) == 1
    assert [text for text in planted_wrong(MATH, answer, ["3", "4", "\\frac{1}{7}"]) if score(answer, text) == 1] == []


@pytest.mark.parametrize(
    ("output", "found"),
    [
        ("The answer is 2/3.", "2/3"),
        ("so we get $x = 5$.", "x = 5"),
        ("\\[ \\frac{1}{2} \\]", "\\frac{1}{2}"),
        ("x\u00b2 \u2264 4", "x^2 \\le  4"),
        ("sqrt(3)/2", "\\sqrt{3}/2"),
        ("first $1$, then $2$", "2"),
        ("I do not know", None),
        ("x" * 5000, None),
        ("", None),
    ],
)
def test_the_expression_is_found_in_the_output(output: str, found: str | None) -> None:
    assert expression(output) == found


def test_an_expression_that_takes_for_ever_gets_no_score_and_is_counted() -> None:
    worker, before = MathWorker(), unscored().get("math-deadline", 0)
    try:
        assert worker.compare("x^2", ENDLESS, seconds=0.5) is None
        assert unscored()["math-deadline"] == before + 1
        assert worker.compare("x^2", "x x", seconds=5) == 1
    finally:
        worker.close()


def test_a_process_that_was_killed_is_replaced() -> None:
    worker, before = MathWorker(), unscored().get("math-crash", 0)
    try:
        assert worker.compare("1", "2", seconds=5) == 0
        assert worker.pid is not None
        os.kill(worker.pid, signal.SIGKILL)
        assert worker.compare("1", "2", seconds=5) in {0.0, None}  # None where the death was noticed only by the answer
        assert worker.compare("1/2", "0.5", seconds=5) == 1
        assert unscored().get("math-crash", 0) <= before + 1
    finally:
        worker.close()


def test_code_in_an_expression_is_not_run(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    score = make_scorer(MATH)
    for text in (
        f"__import__('os').mkdir('{mark}')",
        f"$__import__('os').mkdir('{mark}')$",
        f"\\boxed{{exec(open('{mark}','w'))}}",
    ):
        assert score("5", text) in {0.0, None}
    assert not mark.exists()


def test_the_process_ends_when_its_parent_is_killed() -> None:
    """Also in the middle of a question: its parent is killed without a chance to say so."""
    program = (
        "import sys, threading; from student.scorers.math_worker import WORKER\n"
        "WORKER.compare('1', '2', 5.0); print(WORKER.pid, flush=True)\n"
        f"WORKER.compare('x', {ENDLESS!r}, 50.0)"
    )
    root = str(Path(__file__).parents[1])
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": root}
    ) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
    child.wait(timeout=60)
    assert not child.is_running()

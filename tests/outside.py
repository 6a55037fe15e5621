"""Runs tasks the way their own tools do, with a model folder and no line of ours: what our scores are compared with.

In: one argument, JSON: the model's folder, and tasks of lm-evaluation-harness and inspect. Out on the last line of stdout: JSON,
per task a list of samples with the tool's own prompts, answers and scores. A program of its own, because both tools bring
their own warnings, loggers and working folders.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from typing import Any, cast


def harness(job: dict[str, Any]) -> dict[str, Any]:
    """`lm_eval --model hf --include_path ... --log_samples`, per task."""
    import lm_eval
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    model_of, evaluate = cast("Any", HFLM), cast("Any", lm_eval).simple_evaluate
    os.chdir(job["folder"])
    manager = TaskManager(include_path=job["folder"], include_defaults=False)
    found: dict[str, Any] = {}
    for task, model in job["tasks"].items():
        lm = model_of(pretrained=model, device="cpu", batch_size=4)
        results = evaluate(lm, tasks=[task], task_manager=manager, bootstrap_iters=0, log_samples=True)
        found[task] = results["samples"][task]
    return found


def inspect(job: dict[str, Any]) -> dict[str, Any]:
    """`inspect eval FILE@TASK --model hf/...`, per task."""
    from inspect_ai import eval as run
    from inspect_ai.model import get_model

    os.environ["INSPECT_TRACE_FILE"] = f"{job['scratch']}/trace.log"
    found: dict[str, Any] = {}
    for task, model in job["tasks"].items():
        student = get_model("hf/local", model_path=model, device="cpu", do_sample=False, memoize=False)
        (log,) = run(f"{job['file']}@{task}", model=student, display="none", log_dir=job["scratch"], epochs=1)
        assert log.status == "success", log.error
        found[task] = [
            {
                "input": one.input,
                "text": one.output.completion,
                "scores": {name: score.value for name, score in (one.scores or {}).items()},
            }
            for one in log.samples or []
        ]
    return found


if __name__ == "__main__":
    told = json.loads(sys.argv[1])
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    with tempfile.TemporaryDirectory() as folder:
        answer = {"lm-eval": harness(told["lm-eval"]), "inspect": inspect(told["inspect"] | {"scratch": folder})}
    json.dump(answer, out, default=str)
    out.close()

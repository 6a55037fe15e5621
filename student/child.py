"""The student's own process: loads the base model once, then trains and examines on request, one JSON line a job.

In on stdin: jobs (`load`, `train`, `examine`). Out on the real stdout: progress lines and one result line a job; whatever
libraries print goes to the log. A child process keeps Ctrl-C immediate, frees the memory with the run, and survives
nothing: a thread waits for stdin to close and ends the process when its parent dies, also by kill -9.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from student.pipe import serve


def main() -> None:
    """Serve jobs until stdin closes."""
    from student.errors import StudentError

    desk: Desk | None = None

    def answer(job: dict[str, Any], say: Any) -> dict[str, Any]:
        nonlocal desk
        if job["job"] == "load":
            desk = Desk(job)
            return desk.loaded()
        assert desk is not None, "load comes first"
        return desk.train(job, say) if job["job"] == "train" else desk.examine(job, say)

    serve(answer, (StudentError, ValueError, OSError))


class Desk:
    """The loaded student and what can be asked of it."""

    def __init__(self, job: dict[str, Any]) -> None:
        import torch
        import transformers

        from student.lora import Lora, Student
        from student.models import Machine, load, probe

        transformers.utils.logging.disable_progress_bar()
        self.machine = Machine(**job["machine"]) if job.get("machine") else probe()
        torch.set_num_threads(self.machine.threads)
        base, tokenizer = load(job["source"], self.machine, Path(job["cache"]))
        self.student = Student(base, tokenizer, Lora(**job["lora"]))

    def loaded(self) -> dict[str, Any]:
        """What the parent records about the student."""
        parameters = sum(weight.numel() for weight in self.student.causal.parameters())
        adapter = sum(weight.numel() for weight in self.student.trainable())
        return {"machine": self.machine.model_dump(), "parameters": parameters - adapter, "adapter": adapter}

    def train(self, job: dict[str, Any], say: Any) -> dict[str, Any]:
        """Fit a fresh adapter and save it in `out`."""
        from student.prompting import Ask
        from student.records import Example
        from student.train import TrainSettings, train

        examples = [Example(**example) for example in job["examples"]]

        def on_step(step: int, steps: int, loss: float, speed: float) -> None:
            say(step=step, steps=steps, loss=loss, tokens_per_second=speed)

        settings = TrainSettings(**job["settings"])
        result = train(self.student, Ask(**job["ask"]), examples, settings, job["seed"], on_step)
        self.student.save(Path(job["out"]))
        return result.model_dump()

    def examine(self, job: dict[str, Any], say: Any) -> dict[str, Any]:
        """Answers to `questions`: scores of `choices`, or generated text."""
        from student.examine import score_choices, write_answers
        from student.prompting import Ask
        from student.records import Question

        def on_progress(done: int, total: int) -> None:
            say(done=done, total=total)

        adapter = Path(job["adapter"]) if job.get("adapter") else None
        ask, questions = Ask(**job["ask"]), [Question(**question) for question in job["questions"]]
        with self.student.using(adapter):
            if questions and questions[0].choices:
                scored = score_choices(self.student, ask, questions, on_progress)
                return {"answers": [_rounded(one.values, one.greedy) for one in scored]}
            texts = write_answers(self.student, ask, questions, job["max_new_tokens"], on_progress)
            return {"answers": [{"text": one.text, "truncated": one.truncated} for one in texts]}


def _rounded(values: list[float], greedy: list[bool]) -> dict[str, Any]:
    return {"scores": [round(value, 6) for value in values], "greedy": greedy}


if __name__ == "__main__":
    main()

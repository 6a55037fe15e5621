"""The student's own process: loads the base model once, then trains and examines on request, one JSON line a job.

In on stdin: jobs (`load`, `train`, `examine`, `embed`, `measure`, `merge`). Out on the real stdout: progress and one result line a
job; whatever libraries print goes to the log. A child process keeps Ctrl-C immediate, frees the memory with the run, and survives
nothing: a thread waits for stdin to close and ends the process when its parent dies, also by kill -9. Where a launcher has started it
several times over, the processes work as one (`student.team`).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from student.pipe import serve
from student.records import Question
from student.team import Team


def main() -> None:
    """Serve jobs until stdin closes."""
    from student.errors import StudentError

    fixable = (StudentError, ValueError, OSError)
    team = Team()
    desk: Desk | None = None

    def do(job: dict[str, Any], say: Any = _nobody) -> dict[str, Any]:
        nonlocal desk
        if job["job"] == "load":
            desk = Desk(job, team)
            return desk.loaded()
        assert desk is not None, "load comes first"
        jobs = {"train": desk.train, "examine": desk.examine, "embed": desk.embed, "measure": desk.measure}
        return {**jobs, "merge": desk.merge}[job["job"]](job, say)

    if not team.first:
        team.follow(do, fixable)
    serve(lambda job, say: do(team.agreed(job), say), fixable)


class Desk:
    """The loaded student and what can be asked of it."""

    def __init__(self, job: dict[str, Any], team: Team) -> None:
        import torch
        import transformers

        from student.full import student_of
        from student.models import Machine, load, probed
        from student.settings import Lora

        transformers.utils.logging.disable_progress_bar()
        self.team = team
        self.machine = (
            Machine(**job["machine"])
            if job.get("machine")
            else team.agreed(probed(Path(job["cache"])) if team.first else None)
        )
        if job.get("dtype"):
            self.machine = self.machine.model_copy(update={"dtype": job["dtype"]})
        torch.set_num_threads(max(1, self.machine.threads // team.local))
        lora = Lora(**job["lora"])
        with team.in_turn():
            base, tokenizer = load(job["source"], self.machine, Path(job["cache"]), four_bit=lora.how == "qlora")
        self.student = student_of(base, tokenizer, lora)
        self.student.fused_from = self.machine.fused_from

    def loaded(self) -> dict[str, Any]:
        """What the parent records about the student."""
        parameters = sum(weight.numel() for weight in self.student.causal.parameters())
        adapter = sum(weight.numel() for weight in self.student.trainable())
        base = parameters - (0 if self.student.lora.how == "full" else adapter)
        return {"machine": self.machine.model_dump(), "parameters": base, "adapter": adapter}

    def train(self, job: dict[str, Any], say: Any) -> dict[str, Any]:
        """Fit a fresh adapter, or go on from the one in `start`, and save it in `out`."""
        from student.prompting import Ask
        from student.records import Example
        from student.train import Around, TrainSettings, train

        examples = [Example(**example) for example in job["examples"]]

        def on_step(step: int, steps: int, loss: float, speed: float) -> None:
            say(step=step, steps=steps, loss=loss, tokens_per_second=speed)

        settings = TrainSettings(**job["settings"])
        start, kept = (Path(job[name]) if job.get(name) else None for name in ("start", "kept"))
        result = train(
            self.student, Ask(**job["ask"]), examples, settings, job["seed"], on_step,
            Around(start, kept, self.team.peers, lambda note: say(note=note)),
        )  # fmt: skip
        if self.team.first:
            self.student.save(Path(job["out"]))
        return result.model_dump()

    def examine(self, job: dict[str, Any], say: Any) -> dict[str, Any]:
        """Answers to `questions`: scores of `choices`, or generated text."""
        from student.choices import score_choices
        from student.prompting import Ask
        from student.writing import write_answers

        on_progress, on_note = _telling(say, len(job["questions"]))

        def answers(share: list[Question]) -> list[dict[str, Any]]:
            if share[0].choices:
                scored = score_choices(self.student, ask, share, on_progress, on_note=on_note)
                return [_rounded(one.values, one.greedy) for one in scored]
            texts = write_answers(self.student, ask, share, job["max_new_tokens"], on_progress, on_note)
            return [{"text": one.text, "truncated": one.truncated} for one in texts]

        adapter = Path(job["adapter"]) if job.get("adapter") else None
        ask, questions = Ask(**job["ask"]), [Question(**question) for question in job["questions"]]
        with self.student.using(adapter):
            return {"answers": self.team.together(questions, answers) if questions else []}

    def embed(self, job: dict[str, Any], say: Any) -> dict[str, Any]:
        """Where `texts` lie in meaning, by the untouched base model: one vector each, as `packed` has them."""
        from student.meaning import embed
        from student.nearness import packed

        on_progress, on_note = _telling(say, len(job["texts"]))

        def vectors(share: list[str]) -> list[Any]:
            return [*embed(self.student, share, job["around"], on_progress, on_note)]

        return packed(self.team.together(job["texts"], vectors))

    def measure(self, job: dict[str, Any], say: Any) -> dict[str, Any]:
        """How many tokens `questions` and `answers` are, as this student reads and writes them."""
        from student.prompting import Ask, Prompter

        prompter = Prompter(self.student.tokenizer, Ask(**job["ask"]))
        questions = [Question(**question) for question in job["questions"]]
        asked = sum(len(prompter.question(one.prompt, one.turns)) for one in questions)
        return {"tokens": [asked, sum(len(prompter.answer(answer)) for answer in job["answers"])]}

    def merge(self, job: dict[str, Any], say: Any) -> dict[str, Any]:
        """Save base and adapter as one model in `out`; returns what the chat template puts around messages of `roles`."""
        from student.merge import merge
        from student.prompting import template_texts

        if not self.team.first:
            return {}
        around = template_texts(self.student.tokenizer, tuple(job["roles"])) if job["roles"] else []
        merge(self.student, Path(job["adapter"]), Path(job["out"]), job["max_new_tokens"], job["plain"])
        return {"around": around}


def _telling(say: Any, total: int) -> tuple[Callable[[int, int], None], Callable[[str], None]]:
    """What is told how far a job has come, and what is told a person's note, which every later message repeats."""
    notes, reached = dict[str, str](), (0, total)

    def on_progress(done: int, total: int) -> None:
        nonlocal reached
        reached = done, total
        say(done=done, total=total, **notes)

    def on_note(note: str) -> None:
        notes["note"] = note
        on_progress(*reached)

    return on_progress, on_note


def _nobody(**message: Any) -> None:
    """Progress of a process that is not the first: the first one's stands for all."""


def _rounded(values: list[float], greedy: list[bool]) -> dict[str, Any]:
    return {"scores": [round(value, 6) for value in values], "greedy": greedy}


if __name__ == "__main__":
    main()

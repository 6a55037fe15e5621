"""How close examination comes to the machine, and how it compares with lm-evaluation-harness. One JSON line and one sentence each.

Two kinds of work with the built-in student, untouched: the likelihood of TREC's six labels, and answers of up to 128 tokens to GSM8K's
questions, with "Question:" as stop text. The other side is lm_eval's `HFLM` on the same weights, in the same precision, given
the same texts, with transformers' default attention. Its batch size is the best of 1, 8, 16, 32 and 64, found on some of the
items; then both sides take turns on all of them, after a pass that does not count. Times are medians, and so are the ratios, each of
a pair that ran one after the other.

A process beside it that takes its turn on the processors makes every share of peak smaller, so beside the peak (the best of many
short products) stands the rate that products kept up right after each of our turns.

Share of peak, for choices: the arithmetic of the tokens that went through the decoder (2 x parameters of its layers x tokens, the
shared beginning once, padding and attention not counted) and of the head where it runs (2 x its parameters x positions), over the
GEMM rate. HFLM's tokens a second would be more: it reads a prompt once per choice.

    python tests/bench/examine.py [FOLDER] [--whole]     with FOLDER/{trec,gsm8k}/test.jsonl, else the quickstart's tickets; four
                                                         minutes, with --whole twice as many items, more batch sizes, and ten
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import asked
import torch

from agent.builtin import cache_folder, pull
from student import choices
from student.choices import score_choices
from student.evals.load import load_evals
from student.lora import Student
from student.models import Machine, gemm_gflops, load, probe
from student.prompting import Ask
from student.records import Question
from student.settings import Lora
from student.writing import write_answers

REPEATS = 3
SIZES, PICKED, WRITTEN = ((1, 8, 16, 32, 64), 120, 48) if asked.whole() else ((8, 16, 24), 60, 24)
"""Batch sizes the other side is tried at, questions with choices, and open ones."""
NEW_TOKENS = 128
TRIED_TOKENS = NEW_TOKENS if asked.whole() else 32
"""Tokens of an answer while the other side's best batch size is looked for."""
LABELS = ("ABBR", "DESC", "ENTY", "HUM", "LOC", "NUM")
Work = Callable[[], Any]


def read(name: str, column: str) -> list[str]:
    """A column of a test file in the folder that was named; nothing without one."""
    folder = asked.folder()
    file = folder / name / "test.jsonl" if folder else Path()
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    return [json.loads(line)[column] for line in lines]


def tasks() -> tuple[tuple[Ask, list[Question]], tuple[Ask, list[Question]]]:
    """How to ask and what: questions with choices, and open ones."""
    trec, gsm8k = read("trec", "question")[:PICKED], read("gsm8k", "question")[:WRITTEN]
    if trec and gsm8k:
        ask = Ask(frame="Question: {question}\nAnswer:", stop=("Question:",))
        labels = Ask(frame="Question: {question}\nKind of answer:")
        return (labels, [Question(prompt=text, choices=LABELS) for text in trec]), (
            ask,
            [Question(prompt=text) for text in gsm8k],
        )
    evals = load_evals(Path("loops/recipes/quickstart/evals.yaml"))
    items = [*evals.seeds, *evals.held_out.select(), *evals.held_out.open_test(lambda: None)]
    picked = [Question(prompt=item.prompt, choices=item.choices) for item in items[:PICKED]]
    ask = Ask(frame="Ticket: {question}\nReply:", stop=("Ticket:",))
    return (evals.ask(), picked), (ask, [Question(prompt=item.prompt) for item in items[:WRITTEN]])


class Harness:
    """lm_eval's own model class over the same weights."""

    def __init__(self, source: str, machine: Machine) -> None:
        from lm_eval.models import huggingface

        logging.disable(logging.WARNING)
        model, tokenizer = load(source, machine, cache_folder() / "students")
        model.set_attn_implementation("sdpa")
        hflm: Any = huggingface.HFLM  # its wrapper hides what it takes
        self.lm: Any = hflm(pretrained=model, tokenizer=tokenizer, batch_size=1, device=machine.device)

    def score(self, ask: Ask, questions: Sequence[Question], size: int) -> list[list[float]]:
        """The log-likelihood of each question's choices."""
        self.lm.batch_size_per_gpu = size
        wanted = [(ask.text(one.prompt), ask.join + choice) for one in questions for choice in one.choices]
        found = iter(self.lm.loglikelihood(_instances("loglikelihood", wanted), disable_tqdm=True))
        return [[next(found)[0] for _ in one.choices] for one in questions]

    def write(self, ask: Ask, questions: Sequence[Question], size: int, most: int = NEW_TOKENS) -> list[str]:
        """The answer to each question."""
        self.lm.batch_size_per_gpu = size
        until = {"until": [*ask.stop], "max_gen_toks": most, "do_sample": False}
        wanted = [(ask.text(one.prompt), until) for one in questions]
        return self.lm.generate_until(_instances("generate_until", wanted), disable_tqdm=True)


def _instances(kind: Any, wanted: Sequence[Any]) -> list[Any]:
    from lm_eval.api.instance import Instance

    return [Instance(kind, {}, arguments, at) for at, arguments in enumerate(wanted)]


def seconds(work: Work) -> tuple[float, Any]:
    """How long it took, and what came out."""
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def best_size(
    work: Callable[[Sequence[Question], int], Any], questions: Sequence[Question], few: int
) -> tuple[int, dict[int, float]]:
    """The batch size with the fewest seconds an item, and what each took; tried on one batch, but on `few` items at least."""
    took: dict[int, float] = {}
    for size in SIZES:
        some = questions[: max(few, size)]
        took[size] = round(seconds(lambda: work(some, size))[0] / len(some), 4)  # noqa: B023  called at once
    return min(took, key=lambda size: took[size]), took


@dataclass(frozen=True)
class Turns:
    """What came of both sides taking turns."""

    ours: float
    """Median seconds."""
    theirs: float
    ratio: float
    """The median of how many times longer they took."""
    said: tuple[Any, Any]
    """What came out on each side."""
    gemm: float
    """Median of the GEMM rate that was kept up for a second and a half right after each of our turns, in GFLOP/s."""


def turns(ours: Work, theirs: Work, machine: Machine) -> Turns:
    """Both sides one after the other, a few times."""
    ours()
    mine, other, rates = list[float](), list[float](), list[float]()
    said: tuple[Any, Any] = (None, None)
    for _ in range(REPEATS):
        took, first = seconds(ours)
        rates.append(sustained(machine))
        longer, second = seconds(theirs)
        said = first, second
        mine.append(took)
        other.append(longer)
    ratio = median(two / one for one, two in zip(mine, other, strict=True))
    return Turns(median(mine), median(other), ratio, said, median(rates))


def sustained(machine: Machine) -> float:
    """The rate of matrix products of a decoder layer's size, GFLOP/s, with whatever else the machine is doing."""
    how: Any = {"dtype": getattr(torch, machine.dtype), "device": machine.device}
    left, right, done, start = torch.randn(512, 576).to(**how), torch.randn(576, 1536).to(**how), 0, time.perf_counter()
    while time.perf_counter() - start < 1.5:
        torch.matmul(left, right)
        if machine.device == "cuda":
            torch.cuda.synchronize()
        done += 1
    return 2 * 512 * 576 * 1536 * done / (time.perf_counter() - start) / 1e9


def arithmetic(student: Student, work: Work) -> tuple[float, int]:
    """Floating point operations of a run, counted as this file's opening says, and the tokens that were read."""
    body = sum(w.numel() for name, w in student.causal.named_parameters() if ".layers." in name and "lora" not in name)
    head = student.causal.get_output_embeddings().weight.numel()
    counted = {"tokens": 0, "positions": 0}
    run, shared, logits = choices._hidden, choices.run_shared, student.logits

    def hidden(one: Student, rows: Sequence[Any], beginning: Any) -> torch.Tensor:
        counted["tokens"] += sum(len(row.ids) for row in rows)
        return run(one, rows, beginning)

    def beginning(one: Student, ids: Sequence[int]) -> Any:
        counted["tokens"] += len(ids)
        return shared(one, ids)

    def positions(states: torch.Tensor) -> torch.Tensor:
        counted["positions"] += len(states)
        return logits(states)

    choices._hidden, choices.run_shared, student.logits = hidden, beginning, positions  # type: ignore[method-assign]
    try:
        work()
    finally:
        choices._hidden, choices.run_shared, student.logits = run, shared, logits  # type: ignore[method-assign]
    return 2.0 * body * counted["tokens"] + 2.0 * head * counted["positions"], counted["tokens"]


def picking(student: Student, harness: Harness, machine: Machine, ask: Ask, questions: list[Question]) -> None:
    """Measure choices."""
    size, tried = best_size(lambda some, size: harness.score(ask, some, size), questions, 10)
    ours: Work = lambda: score_choices(student, ask, questions, lambda *_: None)  # noqa: E731
    flops, tokens = arithmetic(student, ours)
    peak = gemm_gflops(getattr(torch, machine.dtype), 60, machine.device)
    found = turns(ours, lambda: harness.score(ask, questions, size), machine)
    peak = max(peak, gemm_gflops(getattr(torch, machine.dtype), 60, machine.device))
    pairs = list(zip(*found.said, strict=True))
    apart = max(abs(a - b) for one, two in pairs for a, b in zip(one.values, two, strict=True))
    same = sum(one.best() == max(range(len(two)), key=two.__getitem__) for one, two in pairs)
    rate = flops / found.ours / 1e9
    told = {
        "bench": "examine choices", "dtype": machine.dtype, "items": len(questions), "tokens": tokens, "seconds": round(found.ours, 2),
        "gflops": round(rate, 1), "gemm_peak": round(peak, 1), "share_of_peak": round(rate / peak, 3),
        "gemm_kept_up": round(found.gemm, 1), "share_of_kept_up": round(rate / found.gemm, 3),
        "lm_eval_seconds": round(found.theirs, 2), "lm_eval_batch": size, "lm_eval_tried": tried, "times": round(found.ratio, 2),
        "same_answers": same, "furthest_apart": round(apart, 6),
    }  # fmt: skip
    print(json.dumps(told))
    print(f"Choices in {machine.dtype}: {rate / peak:.2f} of the GEMM peak, {rate / found.gemm:.2f} of what GEMM kept up beside it; "
          f"{found.ratio:.1f} times as fast as lm_eval's hf model at its best batch size ({size}); {same} of {len(questions)} "
          f"answers the same, log-likelihoods at most {apart:.1g} apart.", flush=True)  # fmt: skip


def writing(student: Student, harness: Harness, machine: Machine, ask: Ask, questions: list[Question]) -> None:
    """Measure written answers."""
    size, tried = best_size(lambda some, size: harness.write(ask, some, size, TRIED_TOKENS), questions, 2)
    ours: Work = lambda: write_answers(student, ask, questions, NEW_TOKENS, lambda *_: None)  # noqa: E731
    found = turns(ours, lambda: harness.write(ask, questions, size), machine)
    written, expected = found.said
    same = sum(one.text == two for one, two in zip(written, expected, strict=True))
    told = {
        "bench": "examine writing", "dtype": machine.dtype, "items": len(questions), "most_tokens": NEW_TOKENS,
        "truncated": sum(one.truncated for one in written), "seconds": round(found.ours, 2),
        "lm_eval_seconds": round(found.theirs, 2), "lm_eval_batch": size, "lm_eval_tried": tried, "times": round(found.ratio, 2),
        "same_texts": same,
    }  # fmt: skip
    print(json.dumps(told))
    print(f"Writing in {machine.dtype}: {found.ratio:.2f} times as fast as lm_eval's generate_until at its best batch size ({size}); "
          f"{same} of {len(questions)} texts the same.", flush=True)  # fmt: skip


def main() -> None:
    """Both measurements."""
    machine = probe()
    source = str(pull("smollm2-135m-instruct", lambda *_: None))
    student = Student(*load(source, machine, cache_folder() / "students"), Lora(layers=1.0))
    (labels, picked), (ask, open_questions) = tasks()
    with student.using(None):
        picking(student, Harness(source, machine), machine, labels, picked)
        writing(student, Harness(source, machine), machine, ask, open_questions)


if __name__ == "__main__":
    main()

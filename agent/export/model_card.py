"""The card of the merged model, `merged/README.md`: metadata in the hub's own terms, then what a stranger has to know to use it.

What it is for, how it is asked, what it learned, how good it is and how sure that is, who taught it and on what terms, and what
was not shown. Every number comes from the run's facts, each accuracy with its n and interval (model cards: Mitchell et al.,
arXiv 1810.03993; metadata: the hub's modelcard.md).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from agent.export.asking import how_to_ask
from agent.export.chosen import Chosen
from agent.export.front import bullets, cell, fenced, front_matter, slug, table
from agent.export.matching import Match
from agent.export.names import student_of, teacher_of
from agent.report.doubts import not_shown, recorded
from agent.report.facts import Exam
from agent.report.markdown import code, inline
from agent.report.results import round_name
from agent.report.words import accuracy
from agent.tables import percent, plural
from student.records import Seed

UNKNOWN_TERMS = (
    "The licence and terms of this teacher are not known to the program that wrote this card. The teacher's provider may restrict "
    "training other models on what it writes: read its terms before you share or use this model."
)


def model_card(chosen: Chosen, match: Match) -> str:
    """The whole card."""
    parts = [front_matter(_metadata(chosen)) + f"\n# {code(chosen.folder.name)}: {_who(chosen)}"]
    for title, lines in (
        ("What it is for", _purpose(chosen)),
        ("How to ask it", how_to_ask(chosen.evals)),
        ("What it learned", _data(chosen)),
        ("How good it is", _scores(chosen)),
        ("Whether this export is that student", _same(chosen, match)),
        ("The teacher and its terms", _teacher(chosen)),
        ("What was not shown", _doubts(chosen)),
        ("Where it comes from", _origin(chosen)),
    ):
        parts += [f"## {title}", *lines]
    return "\n\n".join(parts) + "\n"


def _who(chosen: Chosen) -> str:
    return f"student of round {chosen.number}" if chosen.number else "student trained on labelled items alone"


def _metadata(chosen: Chosen) -> dict[str, Any]:
    base, choice = student_of(chosen.settings), chosen.evals.spec.kind == "choice"
    source = chosen.evals.spec.source
    named = [source] if isinstance(source, str) else list(source.values())
    return {
        "license": base.licence.lower(),
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "base_model": base.hub,
        "base_model_relation": "finetune" if base.hub else "",
        "datasets": [_dataset(text) for text in named if text.startswith("hub:")],
        "tags": ["llm2llm", *(["lora"] if chosen.has_adapter else []), *(["synthetic-data"] if chosen.lessons else [])],
        "metrics": ["accuracy"],
        "model-index": [{"name": chosen.folder.name, "results": _results(chosen, choice)}],
    }


def _dataset(source: str) -> str:
    """The id of a hub dataset, without its configuration and revision."""
    return re.split("[:@]", source.removeprefix("hub:").strip())[0]


def _results(chosen: Chosen, choice: bool) -> list[dict[str, Any]]:
    name = chosen.evals.spec.name
    task = {"type": "text-classification" if choice else "text-generation", "name": name}
    return [
        {
            "task": task,
            "dataset": {"type": slug(name), "name": name, "split": one.split},
            "metrics": [{"type": "accuracy", "value": round(one.score.accuracy, 4), "name": f"accuracy {_doubt(one)}"}],
        }
        for one in (_own(chosen, split) for split in ("test", "select"))
        if one is not None
    ]


def _own(chosen: Chosen, split: str) -> Exam | None:
    """This student's own examination on a split."""
    return next((one for one in chosen.facts.exams if one.split == split and _is_own(chosen, one)), None)


def _is_own(chosen: Chosen, one: Exam) -> bool:
    """Whether an examination was of this very student. On `mine` it was of students of the other folds."""
    return one.who == round_name(chosen.number) and one.split != "mine"


def _doubt(one: Exam) -> str:
    return f"(n={one.score.n}, 95 % interval {one.score.low:.4f} to {one.score.high:.4f})"


def _purpose(chosen: Chosen) -> Iterator[str]:
    spec = chosen.evals.spec
    answers = "chooses an answer" if spec.kind == "choice" else "writes an answer"
    yield (
        f"It does one task: it is shown one item ({code(spec.noun)}) of the kind that the eval set {code(spec.name)} holds, and {answers}. "
        "Nothing else was trained or measured; it is no assistant."
    )
    if task := chosen.evals.task():
        yield "The task, as the teacher was told it (the student is asked without these words):"
        yield fenced(task)
    if chosen.evals.labels:
        yield "Its labels: " + ", ".join(map(code, chosen.evals.labels)) + "."


def _data(chosen: Chosen) -> Iterator[str]:
    rows = chosen.trained_on
    real = sum(isinstance(one, Seed) for one in rows)
    seeds, lessons = len(chosen.evals.seeds), len(chosen.lessons)
    yield (
        f"{plural(len(rows), 'training row')}: {plural(seeds, 'seed')} (labelled items of the eval set), taken {real:,} times in all, and "
        f"{plural(lessons, 'lesson')} (items the teacher wrote, after curation). {percent(real / len(rows))} of the rows are real data."
    )
    if lessons:
        counts = Counter((one.round, one.strategy) for one in chosen.lessons)
        told = [
            [f"round {number}", cell(strategy), f"{count:,}"] for (number, strategy), count in sorted(counts.items())
        ]
        yield table(["lessons of", "strategy", "rows"], told, 1)
    training = next((one.training for one in chosen.facts.rounds if one.number == chosen.number), None)
    if training and training.dropped_too_long:
        yield (
            f"{plural(training.dropped_too_long, 'row')} longer than {chosen.settings.train.max_tokens:,} tokens (train.max_tokens) were "
            "left out when it was trained."
        )
    lora = chosen.settings.student.lora
    steps = f" for {training.steps:,} steps" if training else ""
    if chosen.settings.train.hold_out:
        share = percent(chosen.settings.train.hold_out)
        yield f"{share} of the seeds (train.hold_out) were not learned: their loss told when to stop."
    depth = f"the top {percent(lora.layers)} of the layers"
    what = f"All linear layers of {depth} were trained{steps} from the base model."
    if chosen.has_adapter:
        what = f"A LoRA adapter (rank {lora.rank}, alpha {lora.alpha}) on {depth} was trained{steps} and merged into the base model."
    if chosen.number and chosen.settings.train.start == "last":
        what += " Its training went on from the student of the round before (train.start: last); the steps are the last training's alone."
    yield f"{what} The weights are in {chosen.dtype}. Every row, with where it comes from, is in `data/train.parquet`."


def _scores(chosen: Chosen) -> Iterator[str]:
    facts = chosen.facts
    if chosen.number != chosen.best:
        yield f"This is not the student that the run kept: that is the one of round {chosen.best}. The claim below is about that one."
    if facts.claim:
        yield f"**{inline(recorded(facts.claim.sentence))}**"
    shown = sorted((one for one in facts.exams if one.who != "teacher"), key=lambda one: one.split != "test")
    rows = [
        [
            f"**{one.who}** (this model)" if _is_own(chosen, one) else inline(recorded(one.who), in_cell=True),
            *(facts.named(one.split), f"{one.score.n:,}", f"{one.score.right:,}", accuracy(one.score)),
        ]
        for one in shown
    ]
    yield table(["student", "split", "n", "right", "accuracy, 95 % interval"], rows, 3)
    told = [
        "`test` was opened after every choice was made."
        if _own(chosen, "test")
        else "This student was not examined on `test`."
    ]
    if facts.chooses and any(one.split == facts.decides for one in shown):
        told.append(f"Rounds were chosen on {facts.named(facts.decides)}, which flatters the one that was kept.")
    if facts.cross_fit:
        told.append("There, each item was answered by a student that had learned neither it nor anything made from it.")
    told.append(
        "Intervals are Wilson's. The untouched students are the base model with the task told, without and with worked examples."
    )
    yield " ".join(told)
    if chosen.in_four_bits:
        yield (
            "These scores, the claim's too, are of the adapter over the base model in 4 bits, as it was trained (student.lora.how: qlora). "
            f"The merged weights are the base as it was before that, in {chosen.dtype}, with the same adapter: another model, whose own "
            "score is told in the next section alone."
        )


def _same(chosen: Chosen, match: Match) -> Iterator[str]:
    if chosen.in_four_bits:
        yield (
            f"Not the one with the scores above, whose base was in 4 bits. The merged weights were held against the same adapter beside "
            f"the base in {chosen.dtype}, both asked as above: {match.sentence}"
        )
        return
    yield (
        f"The merged weights were loaded by themselves in a fresh process and asked as above: {match.sentence} The two add the adapter at "
        f"different places, so sums are rounded differently in {chosen.dtype}."
    )


def _teacher(chosen: Chosen) -> Iterator[str]:
    teacher = teacher_of(chosen.settings)
    if not chosen.lessons:
        yield "This student learned no lessons: what a teacher wrote is not in it."
        return
    if teacher is None:
        yield f"The lessons were taken over from another run, which is not there any more. {UNKNOWN_TERMS}"
        return
    hub = f" ({code(teacher.hub)} on the hub)" if teacher.hub and teacher.hub != teacher.name else ""
    yield f"The lessons were written by {code(teacher.name)}{hub}. {teacher.note}".strip()
    if teacher.licence:
        yield (
            f"The teacher's weights are under {teacher.licence}, which puts no terms on what the model writes. This is no legal advice, "
            "and the seeds shown to it are their owner's."
        )
    elif teacher.name != "scripted":
        yield UNKNOWN_TERMS


def _doubts(chosen: Chosen) -> Iterator[str]:
    lines = [inline(line) for line in not_shown(chosen.facts)]
    lines.append(
        "How it does on anything but this task, in other languages, or when somebody means to mislead it: not examined."
    )
    lines.append(
        "That it does as well in another program: other kernels, precisions or quantised copies were not examined."
    )
    yield bullets(lines)


def _origin(chosen: Chosen) -> Iterator[str]:
    base = student_of(chosen.settings)
    dtype, device = (code(str(chosen.machine.get(name, "unknown"))) for name in ("dtype", "device"))
    licence = base.licence or "not known to the program that wrote this card: ask whoever made it"
    about = [
        f"Run {code(chosen.folder.name)}, made and exported by llm2llm (LLM2LLM: Lee et al., arXiv 2403.15042).",
        f"Base model {code(base.name)}, licence: {licence}. {base.note}".rstrip(),
        f"Eval set {code(chosen.evals.spec.name)}, sha256 {chosen.evals.fingerprint}.",
        f"Trained in {dtype} on {device}, seed {chosen.settings.seed}.",
    ]
    yield bullets(about)

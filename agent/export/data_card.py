"""The card of the training data, `data/README.md`, and the adapter's own: metadata in the hub's terms, then what each column holds."""

from __future__ import annotations

from collections.abc import Sequence

from agent.export.chosen import Chosen
from agent.export.front import front_matter, table
from agent.export.model_card import UNKNOWN_TERMS
from agent.export.names import student_of, teacher_of
from agent.export.rows import Row
from agent.report.markdown import code
from agent.settings import docstrings
from agent.tables import plural

SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
CURATED = (
    "`lesson` rows were written by a teacher and curated: duplicates, look-alikes of held-out items and doubted answers were turned "
    "away. No held-out item is in this file."
)


def data_card(chosen: Chosen, rows: Sequence[Row]) -> str:
    """The dataset's card."""
    spec, teacher = chosen.evals.spec, teacher_of(chosen.settings)
    lessons = sum(row.source == "lesson" for row in rows)
    terms = [
        "`seed` rows are labelled items of the eval set; their licence is their owner's to say and is not known here.",
        CURATED,
    ]
    if lessons and (teacher is None or not (teacher.licence or teacher.name == "scripted")):
        terms.append(UNKNOWN_TERMS)
    elif lessons and teacher is not None and teacher.licence:
        terms.append(f"The teacher is {code(teacher.name)}; its weights are under {teacher.licence}.")
    about = {
        "pretty_name": f"{spec.name}: training data of {chosen.folder.name}",
        "task_categories": ["text-classification" if spec.kind == "choice" else "text-generation"],
        "size_categories": [next((name for limit, name in SIZES if len(rows) < limit), "n>1M")],
        "annotations_creators": ["machine-generated"] if lessons else [],
        "tags": ["llm2llm", "synthetic-data"] if lessons else ["llm2llm"],
        "configs": [{"config_name": "default", "data_files": [{"split": "train", "path": "train.parquet"}]}],
    }
    return "\n\n".join([
        front_matter(about) + f"\n# Training data of {code(chosen.folder.name)}",
        f"What the student of round {chosen.number} was trained on for the eval set {code(spec.name)}, in the order of training.",
        f"{plural(len(rows), 'row')}: {len(rows) - lessons:,} of seeds and {lessons:,} of lessons. A repeated row was learned again.",
        "## Columns", table(["column", "what it holds"], [[f"`{name}`", text] for name, text in docstrings(Row).items()]),
        "## Where it comes from, and terms", *terms,
    ]) + "\n"  # fmt: skip


def adapter_card(chosen: Chosen) -> str:
    """The adapter's card."""
    base = student_of(chosen.settings)
    about = {
        "base_model": base.hub, "library_name": "peft", "license": base.licence.lower(), "pipeline_tag": "text-generation",
        "tags": ["llm2llm", "lora"],
    }  # fmt: skip
    exact = "the exact base in 4 bits (QLoRA)" if chosen.in_four_bits else "the exact base"
    where = "Its place in `adapter_config.json` is a name and no address: load that base yourself and put the adapter on it."
    return "\n\n".join([
        front_matter(about) + f"\n# Adapter of {code(chosen.folder.name)}, round {chosen.number}",
        f"A LoRA adapter for {code(base.name)}. {base.note}".rstrip(),
        where if not base.hub else f"`adapter_config.json` names {code(base.hub)} as its base.",
        f"What it is for, how to ask it and how good it is are told in `merged/README.md`. Those numbers hold on {exact}.",
    ]) + "\n"  # fmt: skip

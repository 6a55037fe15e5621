"""Read an InstructLab taxonomy as it is: a tree of folders whose leaves hold a `qna.yaml`, of versions 1 to 3.

In goes the tree's folder; out come its leaves, each with what it is about and its seed examples. Skills list questions and
answers, some with a context; knowledge of version 3 lists contexts with several questions each. What such a file must
have is checked and named; what else it holds (who made it, where the documents lie) is passed over. See LAB,
arXiv 2403.01081, and github.com/instructlab/taxonomy.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import yaml

from student.records import Record
from teacher.errors import TeacherUnusable

FILE = "qna.yaml"
VERSIONS = (1, 2, 3)


class LeafExample(Record):
    """One question and answer of a leaf."""

    question: str
    """What is asked."""
    answer: str
    """The answer it should get."""
    context: str = ""
    """A text it is asked about; empty where there is none."""


class Leaf(Record):
    """One `qna.yaml`."""

    path: str
    """The folders above it, from the tree's root: `compositional_skills/grounded/arts`."""
    about: str
    """Its task description, or its domain and document outline."""
    examples: tuple[LeafExample, ...]
    """Its seed examples."""

    def text(self) -> str:
        """All its words, to find the leaf nearest to something."""
        said = [f"{one.question} {one.answer} {one.context}" for one in self.examples]
        return " ".join([self.path.replace("/", " ").replace("_", " "), self.about, *said])


def read_taxonomy(folder: Path) -> list[Leaf]:
    """Every leaf, by path. Raises TeacherUnusable for a tree without leaves and for a leaf that is not as it must be."""
    if not folder.is_dir():
        raise TeacherUnusable(
            f"generate.taxonomy={str(folder)!r} is no folder. Name the root of an InstructLab taxonomy: the folder that holds "
            "`knowledge` or `compositional_skills`."
        )
    leaves = [_leaf(folder, file) for file in sorted(folder.rglob(FILE))]
    if not leaves:
        raise TeacherUnusable(
            f"generate.taxonomy={str(folder)!r} holds no {FILE} anywhere below it, so there is nothing to grow from. Name the "
            "root of an InstructLab taxonomy."
        )
    return leaves


def _leaf(folder: Path, file: Path) -> Leaf:
    try:
        tree = yaml.safe_load(file.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        raise TeacherUnusable(f"{file}: this is no readable YAML: {error}. Correct it, in UTF-8.") from error
    if not isinstance(tree, dict):
        raise TeacherUnusable(f"{file}: expected keys such as `seed_examples`, found {type(tree).__name__}.")
    top = cast("dict[str, Any]", tree)
    if top.get("version", 1) not in VERSIONS:
        raise TeacherUnusable(f"{file}: version {top.get('version')!r} of the format is not known; 1, 2 and 3 are.")
    examples = tuple(_examples(file, top.get("seed_examples")))
    about = " ".join(_words(top.get(key)) for key in ("task_description", "domain", "document_outline"))
    return Leaf(path=file.parent.relative_to(folder).as_posix(), about=" ".join(about.split()), examples=examples)


def _examples(file: Path, rows: Any) -> Iterator[LeafExample]:
    if not isinstance(rows, list) or not rows:
        raise TeacherUnusable(f"{file}: `seed_examples` must be a list with at least one question and answer.")
    for number, row in enumerate(cast("list[Any]", rows), 1):
        entry = cast("dict[str, Any]", row) if isinstance(row, dict) else {}
        pairs = entry.get("questions_and_answers", [entry])
        found = [_pair(pair, _words(entry.get("context"))) for pair in pairs] if isinstance(pairs, list) else []
        if not found or None in found:
            raise TeacherUnusable(
                f"{file}: entry {number} of `seed_examples` needs a `question` and an `answer`, or `questions_and_answers` "
                "with some of them."
            )
        yield from (one for one in found if one is not None)


def _pair(row: Any, context: str) -> LeafExample | None:
    entry = cast("dict[str, Any]", row) if isinstance(row, dict) else {}
    question, answer = _words(entry.get("question")), _words(entry.get("answer"))
    return LeafExample(question=question, answer=answer, context=context) if question and answer else None


def _words(value: Any) -> str:
    """A text; YAML reads `answer: 5` as a number, `yes` as a truth and a date as a date."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None or isinstance(value, dict | list) else str(value).strip()


def nearest_leaves(leaves: Sequence[Leaf], wanted: str, most: int) -> list[Leaf]:
    """The leaves whose words are most like those of `wanted`, nearest first; all, in turn, where none is like it."""
    from sklearn.feature_extraction.text import TfidfVectorizer  # takes a second

    texts = [*(leaf.text() for leaf in leaves), wanted]
    rows = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5), sublinear_tf=True).fit_transform(texts)
    alike: list[float] = (rows[:-1] @ rows[-1].T).toarray().ravel().round(9).tolist()
    ranked = sorted(range(len(leaves)), key=lambda at: (-alike[at], at))
    return [leaves[at] for at in ranked[:most] if alike[at] > 0] or list(leaves)

"""Have the teacher name what each failure lacks, and make few names of many: for tasks whose answers are written.

In go failures; out come requests for a few of them at a time, and from the replies for each a missing skill and the
student's wrong move. Names that mean the same are merged by clustering (scikit-learn: average linkage over the cosine of
their letters' TF-IDF), to the same end whatever order replies came in; a skill named in an earlier round keeps that name, so
that what lessons did for it can be followed. A reply is untrusted: a name is cut to plain words of one line.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, cast

from student.records import Failure, Record, text_hash
from teacher.prompts import conversation, template
from teacher.replies import read_object
from teacher.requests import Reply, Request
from teacher.sheet import TaskSheet
from teacher.strategies.order import clip

BATCH = 5
"""Failures named in one request."""
CLUSTERS = 20
"""At most so many named skills a round."""
ALIKE = 0.45
"""Cosine from which two names are one."""
LONGEST_NAME, LONGEST_MOVE, LONGEST_SHOWN = 60, 160, 800
_ODD = re.compile(r"[^\w\s.,;:'\"()+*/=%&?!°€$-]+")


class Name(Record):
    """What the teacher makes of one failure."""

    skill: str
    """The skill that is missing."""
    wrong_move: str
    """What the student did instead."""


def chosen(failures: Sequence[Failure], most: int) -> list[Failure]:
    """The failures to be named, when not all are: spread over the eval set's skills, then by a fixed draw."""
    seen, ranked = Counter[str](), list[tuple[int, int, Failure]]()
    for at, failure in enumerate(sorted(failures, key=lambda one: (one.barely, text_hash(one.seed.id)))):
        ranked.append((seen[failure.seed.skill], at, failure))
        seen[failure.seed.skill] += 1
    return [failure for _, _, failure in sorted(ranked, key=lambda entry: entry[:2])[:most]]


def name_requests(sheet: TaskSheet, failures: Sequence[Failure]) -> list[Request]:
    """Requests that name the failures, `BATCH` of them each, in order."""
    batches = [failures[at : at + BATCH] for at in range(0, len(failures), BATCH)]
    return [_request(sheet, batch) for batch in batches]


def _request(sheet: TaskSheet, batch: Sequence[Failure]) -> Request:
    fields = {"skill": {"type": "string"}, "wrong_move": {"type": "string"}}
    row = {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}
    rows = {"type": "array", "items": row, "minItems": len(batch), "maxItems": len(batch)}
    mistakes = [
        {"question": clip(one.seed.prompt, LONGEST_SHOWN), "right_answer": clip(one.seed.answer, LONGEST_SHOWN),
         "student_answer": clip(one.wrong_answer, LONGEST_SHOWN)}
        for one in batch
    ]  # fmt: skip
    user = template("name_user", count=str(len(batch)), noun=sheet.noun)
    return Request(
        purpose="name", messages=conversation(template("name", task=sheet.task), user, {"mistakes": mistakes}),
        json_schema={"type": "object", "properties": {"mistakes": rows}, "required": ["mistakes"],
                     "additionalProperties": False},
        max_tokens=60 * len(batch) + 20, temperature=0.0, seed=0, tag="name",
    )  # fmt: skip


def read_names(batch: Sequence[Failure], reply: Reply) -> dict[str, Name]:
    """Names by seed, of those failures of the batch that the reply names; by their places in it."""
    value = read_object(reply.text)
    rows = value.get("mistakes") if value else None
    found: dict[str, Name] = {}
    for failure, row in zip(batch, cast("list[Any]", rows) if isinstance(rows, list) else [], strict=False):
        fields = cast("dict[str, Any]", row) if isinstance(row, dict) else {}
        skill, move = plain(fields.get("skill"), LONGEST_NAME), plain(fields.get("wrong_move"), LONGEST_MOVE)
        if skill:
            found[failure.seed.id] = Name(skill=skill.lower().rstrip("."), wrong_move=move)
    return found


def plain(text: object, most: int) -> str:
    """Words and common marks on one line; empty for what is no text or holds no letter."""
    said = clip(" ".join(_ODD.sub(" ", text[: 10 * most]).split()), most) if isinstance(text, str) else ""
    return said if any(mark.isalpha() for mark in said) else ""


def merged(names: Mapping[str, Name], earlier: Sequence[str] = ()) -> dict[str, Name]:
    """The same names with one word for one skill. `earlier`: what skills were called in earlier rounds."""
    used = Counter(name.skill for name in names.values())
    words = sorted({*used, *earlier})
    known = set(earlier)
    called: dict[str, str] = {}
    for group in _clusters(words):
        members = [words[at] for at in group]
        # An earlier name first, then the one used most, the shortest, the first by letters.
        best = min(members, key=lambda word: (word not in known, -used[word], len(word), word))
        called.update(dict.fromkeys(members, best))
    return {seed: name.model_copy(update={"skill": called[name.skill]}) for seed, name in names.items()}


def _clusters(words: Sequence[str]) -> list[list[int]]:
    """Positions of words that mean the same."""
    if len(words) < 2:
        return [[at] for at in range(len(words))]
    from sklearn.cluster import AgglomerativeClustering  # takes a second

    rows = _vectors(words).toarray()

    def cut(**where: Any) -> list[int]:
        return AgglomerativeClustering(metric="cosine", linkage="average", **where).fit_predict(rows).tolist()

    labels = cut(n_clusters=None, distance_threshold=1 - ALIKE)
    if len(set(labels)) > CLUSTERS:
        labels = cut(n_clusters=CLUSTERS)
    return [[at for at, label in enumerate(labels) if label == each] for each in dict.fromkeys(labels)]


def _vectors(texts: Sequence[str]) -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5), sublinear_tf=True).fit_transform(texts)


def typical(texts: Sequence[str]) -> str:
    """The text most like all of them; the first on a tie, empty where there is none."""
    said = [text for text in texts if text]
    if len(said) < 3:
        return said[0] if said else ""
    rows = _vectors(said)
    alike: list[float] = (rows @ rows.T).toarray().sum(axis=1).round(9).tolist()
    return said[max(range(len(said)), key=lambda at: (alike[at], -at))]


def joined(named: Mapping[str, Name], failures: Sequence[Failure], others: Sequence[Failure]) -> dict[str, Name]:
    """For failures the teacher was not asked about: the name of the named failure whose question is most alike."""
    known = [one for one in failures if one.seed.id in named]
    if not known or not others:
        return {}
    rows = _vectors([one.seed.prompt for one in (*known, *others)])
    alike = (rows[len(known) :] @ rows[: len(known)].T).toarray().round(9)
    return {
        one.seed.id: named[known[int(best)].seed.id] for one, best in zip(others, alike.argmax(axis=1), strict=True)
    }

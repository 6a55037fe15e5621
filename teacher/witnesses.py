"""How much to believe that a candidate's intended answer is right, given what several witnesses say it is.

A witness is a noisy reporter: on the seeds, whose answers are known, it was seen how often it says what. That makes a table
of what it says for each right answer, smoothed towards a reporter who is as often right and errs evenly (Dawid and Skene,
1979, with the tables known). Witnesses who err independently then add up by Bayes' rule to one probability. So a witness
who is often wrong counts for little, and one who always takes X for Y is no evidence against an X.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from student.records import Candidate, Record, Verdict
from teacher.answers import Same, agreed
from teacher.verdicts import LONGEST, Heard, accept, reject

PRIOR = 0.5
"""Belief before any witness is heard. Teachers write better than that: the threshold is a threshold on the evidence."""
EVEN = 8.0
"""How many seeds of one label weigh as much as the even reporter: with few seeds of a label its own row says little.
On 60 seeds of TREC, each judged with the tables of the other 59, 4 to 16 do about equally well (docs/evidence.md)."""
UNDECIDED = ""
"""What a witness says who says nothing: no evidence either way."""


class Report(Record):
    """One thing a witness said about a seed."""

    truth: str
    """The right answer."""
    said: str
    """What the witness said; empty where it said nothing."""


class Witness(Record):
    """One witness, and what it said about the seeds."""

    name: str
    """Who it is, for a person: `teacher`, `nearest seeds`, `student`."""
    asked: int
    """Seeds it said something about."""
    right: int
    """Seeds it was right about."""
    table: dict[str, dict[str, int]]
    """For each right answer, how often it said what."""

    @property
    def accuracy(self) -> float:
        """Share of seeds it is right about, as if it had been right once and wrong once before."""
        return (self.right + 1) / (self.asked + 2)

    def likelihood(self, said: str, truth: str, choices: int) -> float:
        """Probability that it says this when that is right, out of so many choices."""
        right = max(self.accuracy, 1 / choices)  # worse than chance on a few seeds is bad luck, not a witness to invert
        even = right if said == truth else (1 - right) / max(1, choices - 1)
        row = self.table.get(truth, {})
        return (row.get(said, 0) + EVEN * even) / (sum(row.values()) + EVEN)


def witness(name: str, reports: Sequence[Report]) -> Witness:
    """A witness by its reports on the seeds; what it left undecided is not held against it."""
    heard = [report for report in reports if report.said != UNDECIDED]
    counts = Counter((report.truth, report.said) for report in heard)
    table: dict[str, dict[str, int]] = {}
    for (truth, said), count in sorted(counts.items()):
        table.setdefault(truth, {})[said] = count
    right = sum(report.truth == report.said for report in heard)
    return Witness(name=name, asked=len(heard), right=right, table=table)


def belief(intended: str, choices: Sequence[str], statements: Sequence[tuple[Witness, str]]) -> float:
    """Probability, 0 to 1, that `intended` is the right one of the choices, given what the witnesses said."""
    weights = dict.fromkeys(choices, (1 - PRIOR) / max(1, len(choices) - 1)) | {intended: PRIOR}
    for one, said in statements:
        if said != UNDECIDED:
            weights = {truth: was * one.likelihood(said, truth, len(choices)) for truth, was in weights.items()}
    return weights[intended] / sum(weights.values())


def hear(candidate: Candidate, statements: Mapping[str, str], witnesses: Sequence[Witness], least: float) -> Verdict:
    """The verdict on a candidate with choices. `statements`: what each witness said, by name."""
    if all(said == UNDECIDED for said in statements.values()):
        return reject(candidate, "no-second-answer", heard=Heard(dict(statements)))
    pairs = [(one, statements.get(one.name, UNDECIDED)) for one in witnesses]
    found = round(belief(candidate.answer, candidate.choices, pairs), 4)
    heard = Heard(dict(statements), found)
    if found >= least:
        return accept(candidate, heard=heard)
    said = ", ".join(f"{name}: {one or 'nothing'}" for name, one in statements.items())
    return reject(candidate, "answer-doubted", f"intended {candidate.answer}; {said}; belief {found:.2f}", heard)


def verify(candidate: Candidate, answers: Sequence[str | None], least: int, same: Same) -> Verdict:
    """The verdict on a candidate with a written answer: at least so many of the teacher's fresh answers must be the same."""
    said = agreed(answers, 1, same)
    if said is None:
        return reject(candidate, "no-second-answer")
    heard = Heard({"teacher": said[:LONGEST]})
    agreeing = sum(one is not None and same(candidate.answer, one) for one in answers)
    if agreeing >= least:
        return accept(candidate, heard=heard)
    detail = f"{agreeing} of {len(answers)} agree: intended {candidate.answer}, asked afresh {said}"
    return reject(candidate, "answer-disagrees", detail, heard)

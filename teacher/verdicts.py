"""The two things curation can say of a candidate. A detail is cut short: it quotes text that nobody vouches for."""

from __future__ import annotations

from dataclasses import dataclass, field

from student.records import Candidate, Verdict

LONGEST = 200
"""Characters of a detail."""


@dataclass(frozen=True)
class Heard:
    """What was said about a candidate's answer."""

    witnesses: dict[str, str] = field(default_factory=dict[str, str])
    """By whom, and what."""
    belief: float | None = None
    """Probability, 0 to 1, that the intended answer is right."""


NOBODY = Heard()


def accept(candidate: Candidate, detail: str = "", heard: Heard | Verdict = NOBODY) -> Verdict:
    """It may become a lesson."""
    return _verdict(candidate, True, "accepted", detail, heard)


def reject(candidate: Candidate, reason: str, detail: str = "", heard: Heard | Verdict = NOBODY) -> Verdict:
    """It may not, for a reason with a short countable name."""
    return _verdict(candidate, False, reason, detail, heard)


def _verdict(candidate: Candidate, accepted: bool, reason: str, detail: str, heard: Heard | Verdict) -> Verdict:
    return Verdict(
        candidate_id=candidate.id, accepted=accepted, reason=reason, detail=detail[:LONGEST], witnesses=heard.witnesses,
        belief=heard.belief,
    )  # fmt: skip

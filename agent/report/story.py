"""From facts to a document: which chapters there are and in what order. The verdict comes first."""

from __future__ import annotations

from agent.report import about_data, about_lessons, about_results, about_run, about_verdict
from agent.report.document import Document, named
from agent.report.doubts import recorded
from agent.report.facts import Facts
from agent.report.words import date

CHAPTERS = (
    about_verdict.verdict, about_results.by_round, about_results.on_test, about_results.by_skill, about_results.by_item,
    about_lessons.failures, about_data.the_data, about_run.cost, about_run.doubts, about_run.openings, about_run.notes,
    about_run.settings,
)  # fmt: skip


def story(facts: Facts) -> Document:
    """The whole report."""
    student, teacher = named(facts.student or "a student"), named(facts.teacher or "a teacher")
    ended = f" ({facts.reason})" if facts.reason else ""
    end = recorded(f": {facts.status}{ended}, last event {date(facts.ended)}")
    subtitle = (*student, " taught by ", *teacher, " on ", *named(facts.evals or "an eval set"), *end)
    return Document(facts.run, subtitle, tuple(chapter(facts) for chapter in CHAPTERS))

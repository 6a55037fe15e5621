"""`llm2llm report RUN`: one run as one self-contained HTML page and as Markdown, both made from the same record of facts.

    gather -> facts.Facts -> story -> document.Document -> page (HTML) and markdown

`gather` counts what `reading` finds in the run folder, with `results`, `lessons` and `spending`. `story` puts the chapters
in order (`about_verdict`, `about_results`, `about_lessons`, `about_data`, `about_run`), which say things in `words`, state `doubts`
and draw `charts`. Only `write_report` writes.
"""

from __future__ import annotations

from pathlib import Path

from loops.run_folder import RunError, RunFolder

NAMES = ("report.html", "report.md")


def write_report(folder: RunFolder, to: Path) -> list[Path]:
    """Write the page and the Markdown into `to`; returns where they lie. Raises RunError or TeacherUnusable."""
    from agent.report.gather import facts_of
    from agent.report.markdown import markdown
    from agent.report.page import page
    from agent.report.story import story
    from student.records import write_text

    document = story(facts_of(folder))
    places = [to / name for name in NAMES]
    try:
        to.mkdir(parents=True, exist_ok=True)
        for place, print_ in zip(places, (page, markdown), strict=True):
            write_text(place, print_(document))
    except OSError as error:
        raise RunError(
            f"The report cannot be written to {str(to)!r} ({error.strerror or error}). Name another folder with --to FOLDER, or "
            "make room there."
        ) from error
    return places

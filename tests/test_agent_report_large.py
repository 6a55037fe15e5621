"""Ten rounds of 5,000 items make a page under 2 MB, which says how much of them it does not show; no text makes it longer."""

from __future__ import annotations

import re
from pathlib import Path

from report_runs import made_run, report

MEGABYTE = 1_000_000


def test_ten_rounds_of_5000_items_make_a_page_under_2_megabytes(tmp_path: Path) -> None:
    page, text, markdown = report(made_run(tmp_path, rounds=10, items=5000, lessons=400))
    assert len(text.encode()) < 2 * MEGABYTE and len(markdown.encode()) < 2 * MEGABYTE
    assert ["round 10", "3,274 of 5,000"] in [row[:2] for row in page.rows()]
    folded = " ".join(page.each("summary"))
    assert "Lessons (12 of 2,400)" in folded and "Rejected candidates (6 of 1,600)" in folded
    assert "Never learned (8 of 2,042)" in folded and "6 more weaknesses not shown." in page.text()


def test_texts_of_any_length_are_cut_and_the_rest_is_counted(tmp_path: Path) -> None:
    run = made_run(tmp_path, rounds=2)
    for place in run.glob("rounds/*/*.jsonl"):
        place.write_text(place.read_text().replace('"prompt": "', '"prompt": "' + 100_000 * "long "))
    for place in (run / "splits.json", *run.glob("rounds/*/weaknesses.jsonl")):
        place.write_text(
            place.read_text().replace('"skill ', '"' + 100_000 * "s").replace('"weakness ', '"' + 100_000 * "w")
        )
    page, text, markdown = report(run)
    assert len(text) < MEGABYTE / 5 and len(markdown) < MEGABYTE / 5
    assert re.search(r"\[…\d{3},\d{3} more characters\]", page.text())

"""In a real browser, where there is one: a report fits the window at 400 and at 1400 pixels, in light and dark, without a complaint.

The page is put into a frame of that width by a page of this test's own, which writes down how wide the contents turned out.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from report_runs import made_run

from agent.report import write_report
from loops.run_folder import RunFolder

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
FRAME = """<!doctype html><body style="margin: 0"><iframe id="page" src="report.html" style="border: 0; width: {width}px; height: 900px">
</iframe><p id="told"></p><script>
document.getElementById("page").onload = (loaded) => {{
  const inner = loaded.target.contentDocument, root = inner.documentElement;
  for (const fold of inner.querySelectorAll("details")) fold.open = true;
  const text = inner.querySelector("svg text").getBoundingClientRect().height;
  const beyond = (one) => !one.closest(".scroll") && one.getBoundingClientRect().right > root.clientWidth + 1;
  const out = [...inner.querySelectorAll("main *")].filter(beyond);
  document.getElementById("told").textContent =
    `over ${{root.scrollWidth - root.clientWidth}} letters ${{text.toFixed(1)}} outside ${{out.length}}`;
}};</script>"""

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("page")
    return write_report(RunFolder(made_run(base, rounds=10, hostile=True)), base)[0]


@pytest.mark.parametrize("scheme", ["dark", "light"])
@pytest.mark.parametrize("width", [400, 1400])
def test_the_page_fits_and_nothing_complains(width: int, scheme: str, page: Path, tmp_path: Path) -> None:
    frame = page.with_name(f"frame-{width}.html")
    frame.write_text(FRAME.format(width=width))
    assert BROWSER is not None
    done = subprocess.run(
        [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files", f"--user-data-dir={tmp_path}",
         f"--window-size={width + 40},1000", f"--blink-settings=preferredColorScheme={0 if scheme == 'dark' else 1}",
         "--enable-logging=stderr", "--virtual-time-budget=4000", "--dump-dom", frame.as_uri()],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    told = re.search(r"over (\d+) letters ([\d.]+) outside (\d+)", done.stdout)
    assert told, done.stdout[-500:] + done.stderr[-1500:]
    assert int(told[1]) == 0, "the page is wider than its window"
    assert float(told[2]) >= 11, "the letters in a chart are too small to read"
    assert int(told[3]) == 0, "something lies outside the window"
    assert not re.findall(r"CONSOLE.*", done.stderr), "the browser complains"

"""How quick the application's page is: start to first page, opening a case, changing the slice, a stroke of the brush.

python benchmarks/app_page.py [--spacing 2] [--slices 40]

A phantom patient is predicted, then its case is opened in Chromium without a graphics processor; with one, drawing is
quicker. Times are milliseconds until the picture has changed, each the median; the machine should be quiet.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # tests/app/browser.py: how the tests start both

from tests.app.browser import PATIENCE_S, Application, chromium

import glioseg

_TIMED = """async ([keys, n]) => {
    const times = [];
    for (let at = 0; at < n; at += 1) {
        const start = performance.now();
        document.dispatchEvent(new KeyboardEvent('keydown', {key: keys[at % keys.length], bubbles: true}));
        await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
        times.push(performance.now() - start);
    }
    return times;
}"""


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--spacing", type=float, default=2.0)
    parser.add_argument("--slices", type=int, default=40)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        glioseg.phantom(Path(folder) / "phantom", patients=1, spacing_mm=given.spacing)
        start = time.perf_counter()
        application = Application(Path(folder) / "worklist")
        try:
            with chromium() as browser:
                page = browser.new_page(viewport={"width": 1280, "height": 800})
                page.set_default_timeout(1000 * PATIENCE_S)
                page.goto(application.address)
                page.wait_for_selector(".drop")
                row("start to first page", 1000 * (time.perf_counter() - start))
                scans = [path for path in Path(folder).glob("phantom/*/*.nii.gz") if "-seg." not in path.name]
                page.set_input_files("#files", scans)
                page.wait_for_selector(".network")
                page.check("input[value='model:phantom']")
                page.click("#found button.main")
                page.wait_for_selector("#volumes table")
                page.wait_for_timeout(15_000)
                row("change of the slice", statistics.median(page.evaluate(_TIMED, [["ArrowUp"], given.slices])))
                page.keyboard.press("a")
                page.keyboard.press("b")
                page.wait_for_timeout(3000)
                stamps = page.evaluate(_TIMED, [[" ", "ArrowDown"], given.slices])
                row("a stamp of the brush", statistics.median(stamps[::2]))
                start = time.perf_counter()
                page.reload()
                page.wait_for_selector("#volumes table")
                row("opening a case", 1000 * (time.perf_counter() - start))
        finally:
            application.kill()


def row(name: str, ms: float) -> None:
    """A line of the table."""
    print(f"{name:<24}{ms:8.0f} ms")


if __name__ == "__main__":
    main()

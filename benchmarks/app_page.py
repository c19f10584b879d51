"""How quick the application's page is: start to first page, prediction, opening a case, changing the slice, a stroke.

python benchmarks/app_page.py [--spacing 2] [--slices 40]

A phantom patient is predicted by the command line and by the application, then its case is opened in Chromium without a
graphics processor; with one, drawing is quicker. Of what is drawn, the median is given. Beside the time on the clock
stand the processor seconds of everything that took part (Linux), which others at work on the machine change less; their
number is the load that is printed first.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # tests/app/browser.py: how the tests start both

from playwright.sync_api import Page
from tests.app.browser import PATIENCE_S, Application, chromium

import glioseg

NETWORK = "model:phantom"
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
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        glioseg.phantom(folder / "phantom", patients=1, spacing_mm=given.spacing)
        scans = sorted(path for path in folder.glob("phantom/*/*.nii.gz") if "-seg." not in path.name)
        with timed("prediction, command line"):
            subprocess.run(
                [
                    sys.executable,
                    "-m",
                    "glioseg",
                    "predict",
                    NETWORK,
                    str(scans[0].parent),
                    "--out",
                    str(folder / "out"),
                ],
                check=True,
                capture_output=True,
            )
        with chromium() as browser:
            page = browser.new_page(viewport={"width": 1280, "height": 800})
            page.set_default_timeout(1000 * PATIENCE_S)
            with timed("start to first page"):
                application = Application(folder / "worklist")
                page.goto(application.address)
                page.wait_for_selector(".drop")
            try:
                predict(application, page, scans)
                draw(page, given.slices)
            finally:
                application.kill()


def predict(application: Application, page: Page, scans: list[Path]) -> None:
    """From the click to the mask on the screen, with what the command line does."""
    page.set_input_files("#files", scans)
    page.wait_for_selector(".network")
    page.check(f"input[value='{NETWORK}']")
    page.uncheck("input[name=uncertainty]")
    with application.client() as client, timed("prediction, page"):
        page.click("#found button.main")
        while not any(case["state"] == "done" for case in client.get("/api/cases").json()):
            time.sleep(0.1)
    page.wait_for_selector("#volumes table")
    page.wait_for_timeout(15_000)


def draw(page: Page, n: int) -> None:
    """Slices, stamps of the brush, and the case opened again."""
    per_key("change of the slice", page, ["ArrowUp"], n, lambda times: times)
    page.keyboard.press("a")
    page.keyboard.press("b")
    page.wait_for_timeout(3000)
    per_key("a stamp of the brush, and a slice", page, [" ", "ArrowDown"], n, lambda times: times[::2])
    with timed("opening a case"):
        page.reload()
        page.wait_for_selector("#volumes table")


def per_key(name: str, page: Page, keys: list[str], n: int, of: Callable[[list[float]], list[float]]) -> None:
    """The median of what follows a key, until the picture has changed."""
    before = processor_s()
    times = of(page.evaluate(_TIMED, [keys, n]))
    row(name, statistics.median(times), 1000 * (processor_s() - before) / len(times))


@contextmanager
def timed(name: str) -> Iterator[None]:
    """A row of what is done within."""
    start, before = time.perf_counter(), processor_s()
    yield
    row(name, 1000 * (time.perf_counter() - start), 1000 * (processor_s() - before))


def row(name: str, ms: float, processor_ms: float) -> None:
    """A line of the table."""
    print(f"{name:<36}{ms:8.0f} ms{processor_ms:8.0f} ms of a processor", flush=True)


def processor_s() -> float:
    """Seconds of this process and all that it has started, those that have ended included."""
    stats = dict(_stats())
    total, waiting = 0.0, [os.getpid()]
    while waiting:
        own = waiting.pop()
        if own in stats:
            total += sum(map(int, stats[own][11:15])) / os.sysconf("SC_CLK_TCK")
            waiting += [process for process, fields in stats.items() if int(fields[1]) == own]
    return total


def _stats() -> Iterator[tuple[int, list[str]]]:
    """Process -> its fields of ``/proc/PID/stat`` after its name: state, parent, …, utime, stime, cutime, cstime."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = path.read_text(encoding="utf-8")
        except OSError:  # it has just ended
            continue
        yield int(path.parent.name), text.rpartition(")")[2].split()


if __name__ == "__main__":
    main()

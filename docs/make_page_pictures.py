"""Photographs two pages of ``make demo`` for the README: ``docs/images/prediction.jpg`` and ``docs/images/report.jpg``.

Needs Chromium. Run from the root of the repository, after ``make demo``: ``python docs/make_page_pictures.py demo``.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image as Pillow

IMAGES = Path(__file__).parent / "images"
PAGES = {"prediction": ("prediction/predictions.html", 1480), "report": ("run/report.html", 980)}
"""Picture -> the page in the demo's folder, and how far down it is shown, in pixels."""
WIDTH = 1400
SHOWN_WIDTH = 1000


def main(demo: Path) -> None:
    """Photograph the pages into ``docs/images``."""
    for name, (page, height) in PAGES.items():
        with tempfile.TemporaryDirectory() as folder:
            photograph = Path(folder) / "page.png"
            photograph_page(demo / page, photograph, height)
            with Pillow.open(photograph) as opened:
                size = (SHOWN_WIDTH, round(opened.height * SHOWN_WIDTH / opened.width))
                small = opened.convert("RGB").resize(size, Pillow.Resampling.LANCZOS)
        small.save(IMAGES / f"{name}.jpg", quality=86, optimize=True)


def photograph_page(page: Path, out: Path, height: int) -> None:
    """The top of a page as Chromium draws it."""
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--window-size={WIDTH},{height}"]
    subprocess.run(["chromium", *options, f"--screenshot={out}", page.absolute().as_uri()], check=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""Photographs the application for docs/app.md: ``docs/images/app-*.png``, of phantom patients.

Needs Chromium and ``pip install '.[app]' playwright``. Run from the root of the repository; it takes some minutes:
``python docs/make_app_pictures.py``.
"""

from __future__ import annotations

import gzip
import io
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Literal

import httpx
import nibabel as nib
import numpy as np
from PIL import Image as Pillow
from PIL import ImageOps
from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright
from scipy import ndimage

import glioseg

IMAGES = Path(__file__).parent / "images"
GRAPHICS = ["--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--no-sandbox"]
WIDE: ViewportSize = {"width": 1280, "height": 800}
TABLET: ViewportSize = {"width": 834, "height": 1112}
PATIENCE_MS = 600_000
NETWORK = "model:phantom"
FIRST_DATE = "2026-02-03T09:10:00+00:00"


def main() -> None:
    """Photograph every view into ``docs/images``."""
    with tempfile.TemporaryDirectory() as folder, served(Path(folder) / "worklist") as address:
        scans = Path(folder) / "phantom"
        glioseg.phantom(scans, patients=3)
        patients = sorted(path for path in scans.iterdir() if path.is_dir())
        with client_of(address) as client:
            queued = [queue(client, patient) for patient in (patients[0], *patients[:2])]
            cases = [finish(client, case_id) for case_id in queued]
            grow(client, cases[1])
        set_back(Path(folder) / "worklist", cases[0])
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=GRAPHICS)
            photograph(browser, address, patients, cases)
            browser.close()


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The application on a folder; gives the address with its token."""
    command = [sys.executable, "-m", "glioseg", "app", str(folder), "--no-browser"]
    log = folder.with_suffix(".log")
    with log.open("wb") as out, subprocess.Popen(command, stderr=out) as process:
        while not (found := re.search(r"http://\S+", log.read_text(encoding="utf-8"))):
            time.sleep(0.2)
        yield found.group(0)
        process.terminate()


@contextmanager
def client_of(address: str) -> Iterator[httpx.Client]:
    """A program that is let in."""
    base, token = address.split("?token=")
    with httpx.Client(base_url=base, headers={"Authorization": f"Bearer {token}"}, timeout=600) as client:
        yield client


def queue(client: httpx.Client, patient: Path) -> str:
    """Queue a patient's scans; gives the case."""
    files = [("files", (f"{patient.name}/{path.name}", path.read_bytes())) for path in scans_of(patient)]
    upload = client.post("/api/uploads", files=files).raise_for_status().json()
    found = upload["cases"][0]
    taken = {name: scan["series"] for name, scan in found["modalities"].items()}
    asked = {"upload": upload["upload"], "key": found["key"], "model": NETWORK, "modalities": taken}
    answer = client.post("/api/cases", json=asked | {"uncertainty": True}).raise_for_status()
    case_id: str = answer.json()["id"]
    return case_id


def scans_of(patient: Path) -> list[Path]:
    """The four modalities of a phantom patient."""
    return sorted(path for path in patient.glob("*.nii.gz") if not path.name.endswith("-seg.nii.gz"))


def finish(client: httpx.Client, case_id: str) -> str:
    """Wait for a case."""
    while (case := client.get(f"/api/cases/{case_id}").json())["state"] in ("queued", "running"):
        time.sleep(0.5)
    assert case["state"] == "done", case["error"]
    return case_id


def grow(client: httpx.Client, case_id: str) -> None:
    """Draw the tumour of a case larger, so that two time points of one phantom differ."""
    image = nib.Nifti1Image.from_bytes(gzip.decompress(client.get(f"/api/cases/{case_id}/mask.nii.gz").content))
    labels = np.asarray(image.dataobj).astype(np.uint8)
    for label in (2, 1, 3):
        labels[ndimage.binary_dilation(labels == label) & np.isin(labels, (0, 2))] = label
    drawn = gzip.compress(nib.Nifti1Image(labels, image.affine).to_bytes())
    query = {"by": "A. Reader", "note": "Drawn larger than it is"}
    client.put(f"/api/cases/{case_id}/mask", params=query, content=drawn).raise_for_status()


def set_back(worklist: Path, case_id: str) -> None:
    """Date a case three months before the others."""
    file = next(path for path in worklist.rglob("*") if path.suffix in (".sqlite", ".db", ".sqlite3"))
    with closing(sqlite3.connect(file)) as base, base:
        base.execute("UPDATE cases SET created = ? WHERE id = ?", (FIRST_DATE, case_id))


def photograph(browser: Browser, address: str, patients: list[Path], cases: list[str]) -> None:
    """All pictures, in the order of docs/app.md."""
    page = open_page(browser, address, WIDE, "light")
    page.set_input_files("#files", scans_of(patients[2]))
    page.wait_for_selector(".network")
    page.check(f"input[value='{NETWORK}']")
    keep(page, "new")
    page.click("#found button.main")
    page.wait_for_selector(".steps [aria-current]")
    show(page, "cases", ".job .steps [aria-current]")
    keep(page, "worklist")
    show_case(page, cases[0])
    keep(page, "look")
    page.keyboard.press("m")
    keep(page, "modalities", 6000)
    page.keyboard.press("p")
    page.select_option("#layer", label=page.locator("#layer option").nth(1).text_content())
    keep(page, "layer", 6000)
    page.select_option("#layer", "-1")
    page.set_input_files("#reference-file", next(patients[0].glob("*-seg.nii.gz")))
    page.wait_for_selector(".legend")
    page.keyboard.press("h")
    keep(page, "reference", 4000)
    page.keyboard.press("h")
    page.click("button:text-is('Hide the reference')")
    draw(page)
    keep(page, "correct", 4000)
    for key in ("n", "2", "g", "Space"):
        page.keyboard.press(key)
    page.wait_for_selector("#take")
    page.locator("#threshold").fill("0.2")
    keep(page, "smart-fill", 3000)
    page.keyboard.press("?")
    keep(page, "keys")
    compare = open_page(browser, address, WIDE, "dark")
    show(compare, f"compare/{cases[0]}/{cases[1]}", ".curve svg")
    keep(compare, "compare", 30000)
    tablet = open_page(browser, address, TABLET, "dark")
    show_case(tablet, cases[2])
    keep(tablet, "tablet")


def open_page(browser: Browser, address: str, viewport: ViewportSize, scheme: Literal["light", "dark"]) -> Page:
    """The first page."""
    page = browser.new_page(viewport=viewport, color_scheme=scheme, locale="en-GB")
    page.set_default_timeout(PATIENCE_MS)
    page.goto(address)
    page.wait_for_selector("#header nav")
    return page


def show(page: Page, view: str, selector: str) -> None:
    """Go to a view."""
    page.evaluate("(view) => { location.hash = `#/${view}`; }", view)
    page.wait_for_selector(selector)


def show_case(page: Page, case_id: str) -> None:
    """Go to a case, and wait until its view in space is drawn."""
    show(page, f"case/{case_id}", "#volumes table")
    page.wait_for_timeout(12000)


def spot(page: Page, across: float, down: float) -> tuple[float, float]:
    """A place of the scans, in shares of their width and height."""
    box = page.locator(".slices .overlay").bounding_box()
    assert box is not None
    return box["x"] + across * box["width"], box["y"] + down * box["height"]


def draw(page: Page) -> None:
    """A stroke of enhancing tumour on the axial slice."""
    page.keyboard.press("3")
    page.keyboard.press("b")
    page.mouse.move(*spot(page, 0.31, 0.33))
    page.mouse.down()
    page.mouse.move(*spot(page, 0.335, 0.27), steps=8)
    page.mouse.up()


def keep(page: Page, name: str, wait_ms: int = 700) -> None:
    """Photograph the window, its right side from the top, in few colours so that the file is small."""
    page.wait_for_timeout(wait_ms)
    page.evaluate("document.querySelectorAll('.message').forEach((message) => message.remove())")
    page.evaluate("document.querySelectorAll('.side').forEach((side) => side.scrollTo(0, 0))")
    with Pillow.open(io.BytesIO(page.screenshot())) as picture:
        small = ImageOps.posterize(picture.convert("RGB"), 5)
    small.save(IMAGES / f"app-{name}.png", optimize=True)


if __name__ == "__main__":
    main()

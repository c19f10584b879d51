"""What the tests of the page share: looking at it, and dropping files onto it."""

from __future__ import annotations

import base64
import gzip
import io
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow

from tests.app.browser import PATIENCE_S

MODALITIES = ("t1n", "t1c", "t2w", "t2f")
SPACING_MM = 4.0
WIDE = {"width": 1280, "height": 800}
TABLET = {"width": 820, "height": 1180}
TELEPHONE = {"width": 400, "height": 800}
NCR, ED, ET = 1, 2, 3
REGIONS = {"WT": (NCR, ED, ET), "TC": (NCR, ET), "ET": (ET,)}
VOXEL_ML = SPACING_MM**3 / 1000

OpenPage = Callable[..., Any]


def open_case(open_page: OpenPage, case: str, **options: Any) -> Any:
    page = open_page(f"#/case/{case}", **options)
    wait_for_case(page)
    return page


def wait_for_case(page: Any) -> None:
    page.wait_for_selector("#volumes table")
    page.wait_for_selector("#position:not(:empty)")


def pixels(page: Any, selector: str = ".slices") -> npt.NDArray[np.int16]:
    page.wait_for_timeout(400)
    with Pillow.open(io.BytesIO(page.locator(selector).first.screenshot())) as picture:
        return np.asarray(picture.convert("RGB")).astype(np.int16)


def n_coloured(page: Any) -> int:
    """How many pixels of the slices have a colour: the mask, everything else being grey or nearly so."""
    picture = pixels(page)
    return int((picture.max(axis=2) - picture.min(axis=2) > 60).sum())


def upright(packed: bytes) -> npt.NDArray[np.uint8]:
    """The labels of a packed NIfTI file in RAS+."""
    image = nib.Nifti1Image.from_bytes(gzip.decompress(packed))
    return np.asarray(nib.as_closest_canonical(image).dataobj).astype(np.uint8)


def until(page: Any, holds: Callable[[], object]) -> None:
    """Wait for what a finger or a key does, which a busy machine shows late."""
    end = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < end
        page.wait_for_timeout(100)


def position(page: Any) -> tuple[int, ...]:
    """The voxel that is looked at, from 0."""
    return tuple(int(found) - 1 for found in re.findall(r"[a-z] (\d+)", page.text_content("#position")))


def volume(page: Any, region: str) -> float:
    return float(page.text_content(f"#volumes tr[data-region={region}] .volume"))


def drop(page: Any, files: dict[str, bytes]) -> None:
    """Drop files as a hand does."""
    sent = [[name, base64.b64encode(content).decode()] for name, content in files.items()]
    page.evaluate(
        """(sent) => {
            const transfer = new DataTransfer();
            for (const [name, content] of sent) {
                const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
                transfer.items.add(new File([bytes], name));
            }
            const target = document.querySelector('.drop');
            target.dispatchEvent(new DragEvent('dragover', {dataTransfer: transfer, bubbles: true, cancelable: true}));
            target.dispatchEvent(new DragEvent('drop', {dataTransfer: transfer, bubbles: true, cancelable: true}));
        }""",
        sent,
    )


def drop_paths(page: Any, *paths: Path) -> None:
    """Drop files and folders of the disk as the system's own file manager does."""
    box = page.locator(".drop").bounding_box()
    place = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    session = page.context.new_cdp_session(page)
    for kind in ("dragEnter", "dragOver", "drop"):
        session.send("Input.dispatchDragEvent", {"type": kind, **place, "data": data})


def spot(page: Any, across: float, down: float) -> tuple[float, float]:
    """A place of the slices on the screen, in shares of their width and height."""
    box = page.locator(".slices .overlay").first.bounding_box()
    return box["x"] + across * box["width"], box["y"] + down * box["height"]


def n_alike(picture: npt.NDArray[np.int16], colour: str, most: int = 40) -> int:
    """How many pixels of a picture have a colour, written as ``#rrggbb``, or nearly so."""
    wanted = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)])
    return int((np.abs(picture - wanted).max(axis=2) <= most).sum())


def save(page: Any, by: str, note: str = "") -> None:
    """Keep what was drawn."""
    page.keyboard.press("Control+s")
    page.fill("#save-by", by)
    page.fill("#save-note", note)
    page.click("dialog[open] button.main")
    page.wait_for_selector("dialog[open]", state="detached")


def latest_mask(client: Any, case: str) -> npt.NDArray[np.uint8]:
    """The labels that a case opens with, in RAS+: those kept last, else the network's."""
    detail = client.get(f"/api/cases/{case}").json()
    url = detail["corrections"][-1]["url"] if detail["corrections"] else detail["mask"]["url"]
    return upright(client.get(url).content)


def latest_facts(client: Any, case: str) -> Any:
    """What was measured of these labels."""
    detail = client.get(f"/api/cases/{case}").json()
    return detail["corrections"][-1] if detail["corrections"] else detail


def volumes_of(labels: npt.NDArray[np.uint8]) -> dict[str, float]:
    """Region -> millilitres."""
    return {name: float(np.isin(labels, values).sum() * VOXEL_ML) for name, values in REGIONS.items()}


def scans_sent(scans: Mapping[str, Path]) -> dict[str, bytes]:
    """The modalities of a patient as they are dropped."""
    return {scans[name].name: scans[name].read_bytes() for name in MODALITIES}


def overlay(page: Any) -> npt.NDArray[np.int16]:
    """What is drawn over the slices (outlines, diameters), (Y, X, RGBA)."""
    page.wait_for_timeout(400)
    url = page.evaluate("document.querySelector('.slices .overlay').toDataURL()")
    with Pillow.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))) as picture:
        return np.asarray(picture.convert("RGBA")).astype(np.int16)


def require_drawn(page: Any, case: str, expected: npt.NDArray[np.uint8]) -> None:
    """Require the labels in RAS+ to be those on the page that are not saved yet; the browser keeps them in a moment."""
    page.wait_for_timeout(900)
    end = time.monotonic() + PATIENCE_S
    while not np.array_equal(labels := _draft(page, case, expected.shape), expected) and time.monotonic() < end:
        page.wait_for_timeout(300)
    np.testing.assert_array_equal(labels, expected)


def _draft(page: Any, case: str, shape: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    """What the browser keeps of a case; zeros where that is nothing."""
    labels = page.evaluate(
        """(id) => new Promise((resolve, reject) => {
            const opened = indexedDB.open("glioseg", 1);
            opened.onerror = () => reject(opened.error);
            opened.onsuccess = () => {
                const asked = opened.result.transaction("drafts").objectStore("drafts").get(id);
                asked.onsuccess = () => { opened.result.close(); resolve([...(asked.result?.labels ?? [])]); };
            };
        })""",
        case,
    )
    kept = np.array(labels or np.zeros(shape), dtype=np.uint8)
    return kept.reshape(shape[::-1]).transpose(2, 1, 0)

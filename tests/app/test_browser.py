"""The page as people use it: dropped, watched, looked at, drawn on, kept. In a real Chromium."""

from __future__ import annotations

import base64
import gzip
import io
import json
import re
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import nibabel as nib
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image as Pillow
from scipy import ndimage

import glioseg
from tests.app.browser import CHROMIUM, PATIENCE_S, Application, chromium

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed: make test-app says how"),
    pytest.mark.skipif(find_spec("playwright") is None, reason="Playwright is not installed: make test-app does it"),
]
MODALITIES = ("t1n", "t1c", "t2w", "t2f")
SPACING_MM = 4.0
WIDE = {"width": 1280, "height": 800}
TABLET = {"width": 820, "height": 1180}
ET = 3

OpenPage = Callable[..., Any]


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The four modalities of a coarse phantom patient."""
    folder = tmp_path_factory.mktemp("scans") / "phantom"
    glioseg.phantom(folder, patients=1, spacing_mm=SPACING_MM)
    return {name: next(folder.glob(f"*/*-{name}.nii.gz")) for name in (*MODALITIES, "seg")}


@pytest.fixture(scope="module")
def application(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    """The application with an empty worklist."""
    application = Application(tmp_path_factory.mktemp("app") / "worklist")
    yield application
    application.kill()


@pytest.fixture(scope="module")
def case(application: Application, scans: dict[str, Path]) -> str:
    """A case that is done, made by a program."""
    with application.client() as client:
        files = [("files", (f"scan/{scans[name].name}", scans[name].read_bytes())) for name in MODALITIES]
        upload = client.post("/api/uploads", files=files).json()
        found = upload["cases"][0]
        asked = {
            "upload": upload["upload"],
            "key": found["key"],
            "model": "model:phantom",
            "modalities": {name: scan["series"] for name, scan in found["modalities"].items()},
            "uncertainty": True,
        }
        case_id: str = client.post("/api/cases", json=asked).json()["id"]
        end = time.monotonic() + PATIENCE_S
        while (state := client.get(f"/api/cases/{case_id}").json()["state"]) in ("queued", "running"):
            assert time.monotonic() < end
            time.sleep(0.2)
        assert state == "done"
    return case_id


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def open_page(browser: Any, application: Application) -> Iterator[OpenPage]:
    """Opens pages that are let in; fails where one asked anything of another machine, or broke a script."""
    asked: list[str] = []
    broken: list[str] = []
    contexts = []

    def open_one(path: str = "", *, context: Any = None, **options: Any) -> Any:
        if context is None:
            context = browser.new_context(**{"viewport": WIDE, "locale": "en-GB", "accept_downloads": True} | options)
            contexts.append(context)
            context.set_default_timeout(PATIENCE_S * 1000)
            context.on("request", lambda request: asked.append(request.url))
        page = context.new_page()
        page.on("pageerror", lambda error: broken.append(str(error)))
        page.goto(application.address)
        page.wait_for_selector("#header nav")
        if path:
            page.goto(f"{application.base}{path}")
        return page

    yield open_one
    for context in contexts:
        context.close()
    hosts = {urlsplit(url).netloc for url in asked if urlsplit(url).scheme not in ("data", "blob")}
    assert hosts <= {f"127.0.0.1:{application.port}"}
    assert broken == []


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


def test_from_a_drop_to_a_mask_on_screen(open_page: OpenPage, scans: dict[str, Path]) -> None:
    page = open_page("#/new")
    drop(page, {scans[name].name: scans[name].read_bytes() for name in MODALITIES})
    page.wait_for_selector("#found select[data-series]")
    taken = page.eval_on_selector_all("#found select[data-series]", "all => all.map((own) => own.value)")
    assert sorted(taken) == sorted(MODALITIES)
    page.check("input[value='model:phantom']")
    page.click("#found button.main")
    page.wait_for_selector(".job progress")
    wait_for_case(page)  # the only case opens by itself
    with_mask = n_coloured(page)
    page.keyboard.press("h")
    assert with_mask > 500
    assert n_coloured(page) < 0.05 * with_mask


def test_what_is_missing_is_said_before_anything_runs(open_page: OpenPage, scans: dict[str, Path]) -> None:
    page = open_page("#/new")
    drop(page, {scans[name].name: scans[name].read_bytes() for name in ("t1n", "t2w")})
    card = page.locator(".network", has=page.locator("input[value='model:phantom']"))
    card.wait_for()
    assert "t1c" in card.locator(".tag.warning").text_content()
    card.locator("input").check()
    assert page.is_disabled("#found button.main")


def test_series_are_corrected_by_hand(open_page: OpenPage, scans: dict[str, Path]) -> None:
    page = open_page("#/new")
    drop(page, {f"scan-{name}.nii.gz": scans[name].read_bytes() for name in MODALITIES})
    page.wait_for_selector("#found select[data-series]")
    page.check("input[value='model:phantom']")
    first = page.locator("#found select[data-series]").first
    was = first.input_value()
    other = next(name for name in MODALITIES if name != was)
    first.select_option(other)
    page.wait_for_selector(f".note-box.error:has-text('{other}')")
    assert page.is_disabled("#found button.main")
    page.locator("#found select[data-series]").first.select_option(was)
    assert page.is_enabled("#found button.main")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("letter.txt", b"Dear colleague, the scan follows."),
        ("cut.nii.gz", None),
    ],
)
def test_what_is_no_scan_is_answered_in_a_sentence(
    open_page: OpenPage, scans: dict[str, Path], name: str, content: bytes | None
) -> None:
    page = open_page("#/new")
    drop(page, {name: scans["t1c"].read_bytes()[:2000] if content is None else content})
    said = page.wait_for_selector("#found .note-box, #found-title").text_content()
    assert said
    assert not re.search(r"Traceback|Error:|undefined|null|NaN|\[object", page.text_content("#main"))
    drop(page, {scans[own].name: scans[own].read_bytes() for own in MODALITIES})
    page.wait_for_selector("#found select[data-series]")  # the page goes on


def test_a_stamp_a_stroke_undo_and_what_is_kept(open_page: OpenPage, application: Application, case: str) -> None:
    page = open_case(open_page, case)
    with application.client() as client:
        original = upright(client.get(f"/api/cases/{case}/mask.nii.gz").content)
    at = position(page)
    areas = [np.sum(original > 0, axis=tuple(other for other in range(3) if other != axis)) for axis in range(3)]
    assert at == tuple(int(np.argmax(area)) for area in areas)

    page.keyboard.press(str(ET))
    page.keyboard.press("b")
    before = volume(page, "ET")
    page.keyboard.press("Space")
    radius_mm = 3 * SPACING_MM
    x, y = np.ogrid[: original.shape[0], : original.shape[1]]
    expected = original.copy()
    inside = np.hypot(x - at[0], y - at[1]) * SPACING_MM <= radius_mm + 1e-6
    expected[..., at[2]][inside] = ET
    grown = np.count_nonzero(expected == ET) * SPACING_MM**3 / 1000
    assert volume(page, "ET") == pytest.approx(grown, abs=0.051)
    page.keyboard.press("z")
    assert volume(page, "ET") == before
    page.keyboard.press("y")

    box = page.locator(".slices .overlay").bounding_box()
    start = (box["x"] + box["width"] * 0.2, box["y"] + box["height"] * 0.25)
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move(start[0] + 40, start[1] + 10, steps=5)
    page.mouse.up()
    page.wait_for_timeout(300)
    stroked = volume(page, "ET")
    assert stroked > grown + 0.5
    page.keyboard.press("Control+z")
    assert volume(page, "ET") == pytest.approx(grown, abs=0.051)

    page.keyboard.press("Control+s")
    page.fill("#save-by", "Dr. <b>Test</b>")
    page.fill("#save-note", "one stamp")
    page.click("dialog[open] button.main")
    page.wait_for_selector("dialog[open]", state="detached")
    page.reload()
    wait_for_case(page)
    assert "Dr. <b>Test</b>" in page.text_content("#mask-which")  # text, never HTML
    assert volume(page, "ET") == pytest.approx(grown, abs=0.051)
    with application.client() as client:
        kept = client.get(f"/api/cases/{case}").json()["corrections"]
        np.testing.assert_array_equal(upright(client.get(kept[-1]["url"]).content), expected)
        np.testing.assert_array_equal(upright(client.get(f"/api/cases/{case}/mask.nii.gz").content), original)
    assert (kept[-1]["by"], kept[-1]["note"]) == ("Dr. <b>Test</b>", "one stamp")


def test_locks_eraser_and_revert(open_page: OpenPage, case: str) -> None:
    page = open_case(open_page, case)
    before = {region: volume(page, region) for region in ("WT", "TC", "ET")}
    page.keyboard.press(str(ET))
    page.keyboard.press("k")
    assert page.get_attribute(f"#lock-{ET}", "aria-pressed") == "true"
    page.keyboard.press("e")
    for _ in range(6):
        page.keyboard.press("w")
    page.keyboard.press("Space")
    assert volume(page, "ET") == before["ET"]
    assert volume(page, "WT") < before["WT"]
    assert page.is_visible("text=not saved")
    page.keyboard.press("x")
    assert {region: volume(page, region) for region in before} == before


def test_keys_move_through_the_slices(open_page: OpenPage, case: str) -> None:
    page = open_case(open_page, case)
    x, y, z = position(page)
    page.keyboard.press("ArrowUp")
    assert position(page) == (x, y, z + 1)
    page.keyboard.press("PageDown")
    assert position(page) == (x, y, z - 9)
    page.keyboard.press("Shift+ArrowRight")  # the patient's left is on the right of the picture
    assert position(page) == (x - 1, y, z - 9)
    page.keyboard.press("s")
    page.keyboard.press("ArrowUp")
    assert position(page) == (x, y, z - 9)
    page.keyboard.press("l")
    assert position(page) == (x, y, z)
    page.keyboard.press("?")
    assert page.is_visible("#help")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Escape")
    assert not page.is_visible("#help")
    assert position(page) == (x, y, z)


def test_the_wheel_changes_the_slice_and_a_click_moves(open_page: OpenPage, case: str) -> None:
    page = open_case(open_page, case)
    x, y, z = position(page)
    box = page.locator(".slices .overlay").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + box["height"] * 0.25)
    page.mouse.wheel(0, -100)
    page.wait_for_timeout(300)
    assert position(page) == (x, y, z + 1)
    page.mouse.click(box["x"] + box["width"] * 0.25, box["y"] + box["height"] * 0.25)
    page.wait_for_timeout(300)
    now = position(page)
    assert now[2] == z + 1
    assert abs(now[0] - 30) <= 2  # the middle of the axial view is the middle of 60 voxels
    assert abs(now[1] - 30) <= 2


def test_unsaved_corrections_survive_a_killed_program(open_page: OpenPage, application: Application, case: str) -> None:
    page = open_case(open_page, case)
    page.keyboard.press(str(ET))
    page.keyboard.press("o")
    page.keyboard.press("Space")
    drawn = volume(page, "ET")
    page.wait_for_timeout(800)
    application.kill()
    page.wait_for_selector(".banner")
    page.keyboard.press("Control+s")
    page.fill("#save-by", "T")
    page.click("dialog[open] button.main")
    page.wait_for_selector("dialog[open] .note-box.error")  # it says so, and nothing is lost
    page.keyboard.press("Escape")
    application.start()
    again = open_page(f"#/case/{case}", context=page.context)
    wait_for_case(again)
    assert volume(again, "ET") == drawn
    assert again.is_visible("text=not saved")


def test_a_second_window_hears_of_a_correction(open_page: OpenPage, case: str) -> None:
    first = open_case(open_page, case)
    second = open_page(f"#/case/{case}", context=first.context)
    wait_for_case(second)
    n = second.locator("#mask-which option").count()
    first.keyboard.press("2")
    first.keyboard.press("b")
    first.keyboard.press("ArrowDown")
    first.keyboard.press("Space")
    first.keyboard.press("Control+s")
    first.fill("#save-by", "First window")
    first.click("dialog[open] button.main")
    first.wait_for_selector("dialog[open]", state="detached")
    second.wait_for_selector(f"#mask-which option >> nth={n}", state="attached")
    assert "First window" in second.text_content("#mask-which")


def test_smart_fill_proposes_and_takes(open_page: OpenPage, application: Application, case: str) -> None:
    page = open_case(open_page, case)
    page.keyboard.press("n")  # into the largest lesion
    at = position(page)
    with application.client() as client:
        detail = client.get(f"/api/cases/{case}").json()
        url = detail["corrections"][-1]["url"] if detail["corrections"] else detail["mask"]["url"]
        expected = upright(client.get(url).content)
        row = next(own for own in detail["maps"] if own["kind"] == "probability" and own["region"] == "WT")
        image = nib.Nifti1Image.from_bytes(gzip.decompress(client.get(row["url"]).content))
    values = np.asarray(nib.as_closest_canonical(image).dataobj)
    values = values[..., row["frame"]] if values.ndim == 4 else values
    pieces, _ = ndimage.label(values >= np.float32(0.1))
    assert pieces[at] > 0
    before = volume(page, "WT")
    for leave in (True, False):
        for key in ("2", "g"):
            page.keyboard.press(key)
        page.locator(".viewer").focus()
        page.keyboard.press("Space")
        page.wait_for_selector("#take")
        page.locator("#threshold").fill("0.1")
        if leave:
            page.click(".proposal button:not(#take)")
            assert volume(page, "WT") == before
        else:
            page.click("#take")
    page.wait_for_selector("#take", state="hidden")
    expected[pieces == pieces[at]] = 2
    voxel_ml = SPACING_MM**3 / 1000
    for region, labels in {"WT": (1, 2, 3), "TC": (1, 3), "ET": (3,)}.items():
        assert volume(page, region) == pytest.approx(np.isin(expected, labels).sum() * voxel_ml, abs=0.051)
    assert volume(page, "WT") > before


@pytest.mark.parametrize("viewport", [WIDE, TABLET], ids=["1280", "tablet"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("view", ["new", "cases", "case"])
def test_accessible_and_never_wider_than_the_window(
    open_page: OpenPage, case: str, scans: dict[str, Path], view: str, scheme: str, viewport: dict[str, int]
) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed")
    path = f"#/case/{case}" if view == "case" else f"#/{view}"
    # axe is put into the page as a script, which the page's own policy forbids to everybody else
    page = open_page(path, viewport=viewport, color_scheme=scheme, bypass_csp=True)
    page.wait_for_selector({"new": ".drop", "cases": "#worklist", "case": "#volumes table"}[view])
    if view == "new":
        drop(page, {scans[name].name: scans[name].read_bytes() for name in MODALITIES})
        page.wait_for_selector(".network")
    if view == "case":
        page.keyboard.press("t")
        page.wait_for_selector("#range-low")
    assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
    page.wait_for_timeout(500)
    found = axe.Axe().run(page).response["violations"]
    serious = [own for own in found if own["impact"] in ("serious", "critical")]
    assert serious == [], json.dumps([(own["id"], own["nodes"][0]["html"]) for own in serious], indent=1)


def test_a_picture_is_shown_as_it_is(open_page: OpenPage, tmp_path: Path) -> None:
    """Neither mirrored nor upside down: what is on the screen resembles the file, and no other way of holding it."""
    glioseg.phantom(tmp_path / "pictures", patients=1, layout="pairs", spacing_mm=SPACING_MM)
    file = max((tmp_path / "pictures" / "images").glob("*.png"), key=lambda path: path.stat().st_size)
    page = open_page("#/new")
    page.set_input_files("#files", file)
    page.wait_for_selector("#found select[data-series]")
    page.click("#found button.main")
    wait_for_case(page)
    page.keyboard.press("h")
    with Pillow.open(file) as picture:
        original = np.asarray(picture.convert("L").resize((64, 64))).astype(float)
    shot = Pillow.fromarray(pixels(page).mean(axis=2).astype(np.uint8))
    side = min(shot.size)
    left, top = (shot.width - side) // 2, (shot.height - side) // 2
    shown = np.asarray(shot.crop((left, top, left + side, top + side)).resize((64, 64))).astype(float)
    ways = {"as it is": shown, "mirrored": shown[:, ::-1], "upside down": shown[::-1], "turned": shown[::-1, ::-1]}
    alike = {way: float(np.corrcoef(original.ravel(), array.ravel())[0, 1]) for way, array in ways.items()}
    assert max(alike, key=lambda way: alike[way]) == "as it is", alike
    assert alike["as it is"] > 0.9, alike
    assert page.text_content("#position").startswith("column")


def test_german(open_page: OpenPage, case: str) -> None:
    page = open_page("#/cases", locale="de-DE")
    assert page.text_content("h1") == "Arbeitsliste"
    page.select_option("select[aria-label=Sprache]", "en")
    page.wait_for_selector("h1:text-is('Worklist')")


def test_every_form_can_be_kept(open_page: OpenPage, application: Application, case: str) -> None:
    page = open_case(open_page, case)
    with page.expect_download() as waiting:
        page.click("#export-nifti")
    kept = Path(waiting.value.path()).read_bytes()
    with application.client() as client:
        latest = client.get(f"/api/cases/{case}").json()["corrections"]
        url = latest[-1]["url"] if latest else f"/api/cases/{case}/mask.nii.gz"
        np.testing.assert_array_equal(upright(kept), upright(client.get(url).content))

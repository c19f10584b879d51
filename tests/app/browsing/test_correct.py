"""Correcting a mask: every tool, voxel by voxel, and what is kept of it."""

from __future__ import annotations

import gzip
import re
from typing import Any

import nibabel as nib
import numpy as np
import numpy.typing as npt
import pytest
from scipy import ndimage

from tests.app.browser import Application
from tests.app.browsing.pages import (
    ED,
    ET,
    NCR,
    SPACING_MM,
    VOXEL_ML,
    OpenPage,
    latest_facts,
    latest_mask,
    open_case,
    position,
    require_drawn,
    save,
    spot,
    until,
    upright,
    volume,
    volumes_of,
    wait_for_case,
)


def test_a_stamp_a_stroke_undo_and_what_is_kept(open_page: OpenPage, application: Application, case: str) -> None:
    page = open_case(open_page, case)
    with application.client() as client:
        predicted = upright(client.get(f"/api/cases/{case}/mask.nii.gz").content)
        earlier = client.get(f"/api/cases/{case}").json()["corrections"]  # the page shows the last of them
        original = upright(client.get(earlier[-1]["url"]).content) if earlier else predicted
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
    grown = np.count_nonzero(expected == ET) * VOXEL_ML
    assert volume(page, "ET") == pytest.approx(grown, abs=0.051)
    page.keyboard.press("z")
    assert volume(page, "ET") == before
    page.keyboard.press("y")

    start = spot(page, 0.2, 0.25)
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move(start[0] + 40, start[1] + 10, steps=5)
    page.mouse.up()
    page.wait_for_timeout(300)
    stroked = volume(page, "ET")
    assert stroked > grown + 0.5
    page.keyboard.press("Control+z")
    assert volume(page, "ET") == pytest.approx(grown, abs=0.051)

    save(page, "Dr. <b>Test</b>", "one stamp")
    page.reload()
    wait_for_case(page)
    assert "Dr. <b>Test</b>" in page.text_content("#mask-which")  # text, never HTML
    assert volume(page, "ET") == pytest.approx(grown, abs=0.051)
    with application.client() as client:
        kept = client.get(f"/api/cases/{case}").json()["corrections"]
        np.testing.assert_array_equal(upright(client.get(kept[-1]["url"]).content), expected)
        np.testing.assert_array_equal(upright(client.get(f"/api/cases/{case}/mask.nii.gz").content), predicted)
    assert (kept[-1]["by"], kept[-1]["note"]) == ("Dr. <b>Test</b>", "one stamp")


def test_what_stands_beside_a_mask_is_of_this_mask(open_page: OpenPage, application: Application, case: str) -> None:
    page = open_case(open_page, case)

    def intervals() -> list[str]:
        return [words.strip() for words in page.locator("#volumes td:nth-child(3)").all_text_contents()]

    def diameters() -> set[str]:
        return set(page.locator("button", has_text=re.compile(r"\d × \d+ mm, slice")).all_text_contents())

    page.select_option("#mask-which", "0")
    until(page, lambda: any(" – " in words for words in intervals()))
    of_network = intervals(), diameters()
    for key in (*["Shift+ArrowRight"] * 4, str(ET), "o", "Space"):  # a sphere of 12 mm, where no other test draws
        page.keyboard.press(key)
    assert set(intervals()) == {"–"}
    assert diameters() == set()
    assert page.is_visible("#measured-later")
    page.keyboard.press("z")
    assert (intervals(), diameters()) == of_network  # what was undone is the network's mask again
    page.keyboard.press("y")
    save(page, "Ada")
    page.wait_for_selector("#measured-later", state="detached")
    with application.client() as client:
        measured = latest_facts(client, case)
    assert set(intervals()) == {"–"}
    assert diameters() == {
        f"{own['region']}: {own['long_mm']:.0f} × {own['short_mm']:.0f} mm, slice {own['axial_slice']}"
        for own in measured["diameters"]
    }
    assert measured["diameters"]
    page.click("#lesion")
    largest = next(own for own in measured["lesions"] if own["region"] == "WT")
    assert f": {largest['volume_ml']:.1f} ml" in page.locator(".message").last.text_content()
    assert page.is_visible("text=before it was corrected")
    page.select_option("#mask-which", "0")
    until(page, lambda: (intervals(), diameters()) == of_network)
    assert not page.is_visible("text=before it was corrected")


def ball(shape: tuple[int, ...], at: tuple[int, ...], radius_mm: float, *, flat: bool) -> npt.NDArray[np.bool_]:
    """The voxels that a brush of that radius reaches, on the axial slice or in space."""
    grids = np.ogrid[tuple(slice(0, n) for n in shape)]
    apart = [(grid - place) * SPACING_MM for grid, place in zip(grids, at, strict=True)]
    inside = np.sqrt(apart[0] ** 2 + apart[1] ** 2 + apart[2] ** 2) <= radius_mm + 1e-6
    return inside & (apart[2] == 0) if flat else inside


def test_sphere_threshold_fill_and_revert_change_just_their_voxels(
    open_page: OpenPage, application: Application, case: str
) -> None:
    page = open_case(open_page, case)
    at = position(page)
    with application.client() as client:
        before = latest_mask(client, case)
        shown = client.get(f"/api/cases/{case}/images/t1c.nii.gz").content
    values = np.asarray(nib.as_closest_canonical(nib.Nifti1Image.from_bytes(gzip.decompress(shown))).dataobj)
    radius_mm = 3 * SPACING_MM

    page.keyboard.press(str(ET))
    page.keyboard.press("o")
    page.keyboard.press("Space")
    expected = before.copy()
    expected[ball(before.shape, at, radius_mm, flat=False)] = ET
    require_drawn(page, case, expected)
    assert [volume(page, region) for region in ("WT", "TC", "ET")] == pytest.approx(
        list(volumes_of(expected).values()), abs=0.051
    )

    page.keyboard.press("x")  # this slice alone goes back to what it was
    expected[..., at[2]] = before[..., at[2]]
    require_drawn(page, case, expected)

    reached = ball(before.shape, at, radius_mm, flat=True)
    low, high = np.percentile(values[reached], [30, 80])
    page.keyboard.press(str(NCR))
    page.keyboard.press("t")
    page.locator("#range-low").fill(str(low))
    page.locator("#range-high").fill(str(high))
    page.locator(".viewer").focus()
    page.keyboard.press("Space")
    chosen = reached & (values >= low) & (values <= high)
    assert 0 < chosen.sum() < reached.sum()
    expected[chosen] = NCR
    require_drawn(page, case, expected)

    page.keyboard.press(str(ED))
    page.keyboard.press("f")
    page.keyboard.press("Space")
    same, _ = ndimage.label(expected[..., at[2]] == expected[at])  # by edges, on the slice
    expected[..., at[2]][same == same[at[:2]]] = ED
    require_drawn(page, case, expected)


def test_what_is_locked_stays(open_page: OpenPage, application: Application, case: str) -> None:
    page = open_case(open_page, case)
    at = position(page)
    with application.client() as client:
        before = latest_mask(client, case)
    reached = ball(before.shape, at, 9 * SPACING_MM, flat=True)
    lock = int(np.bincount(before[reached & (before > 0)]).argmax())
    other = NCR if lock != NCR else ED
    expected = before.copy()
    expected[reached & (before != lock)] = other
    assert (expected != before).any()
    page.click(f"#lock-{lock}")
    page.keyboard.press(str(other))
    page.keyboard.press("b")
    for _ in range(6):
        page.keyboard.press("w")
    page.locator(".viewer").focus()
    page.keyboard.press("Space")
    require_drawn(page, case, expected)
    page.keyboard.press(str(lock))
    page.keyboard.press("Space")
    assert "is locked" in page.locator(".message").last.text_content()
    require_drawn(page, case, expected)


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


def test_smart_fill_proposes_and_takes(open_page: OpenPage, application: Application, case: str) -> None:
    page = open_case(open_page, case)
    page.keyboard.press("n")  # into the largest lesion
    at = position(page)
    with application.client() as client:
        detail = client.get(f"/api/cases/{case}").json()
        expected = latest_mask(client, case)
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
    for region, expected_ml in volumes_of(expected).items():
        assert volume(page, region) == pytest.approx(expected_ml, abs=0.051)
    assert volume(page, "WT") > before


class Fingers:
    """Fingers on a page."""

    def __init__(self, page: Any) -> None:
        self._session = page.context.new_cdp_session(page)

    def __call__(self, kind: str, *points: tuple[float, float]) -> None:
        """``touchStart``, ``touchMove`` or ``touchEnd``, with where those are that touch."""
        places = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(points)]
        self._session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": places})


def test_fingers_look_draw_and_enlarge(open_page: OpenPage, case: str) -> None:
    page = open_case(open_page, case, viewport={"width": 820, "height": 1180}, has_touch=True)
    there, fingers = position(page), Fingers(page)
    page.touchscreen.tap(*spot(page, 0.2, 0.2))
    until(page, lambda: position(page) != there)
    page.locator(f"#label-{ET}").tap()
    page.locator("#tool-brush").tap()
    before = volume(page, "ET")
    (x, y), (x2, y2) = spot(page, 0.18, 0.25), spot(page, 0.3, 0.25)
    fingers("touchStart", (x, y))
    fingers("touchMove", ((x + x2) / 2, y))
    fingers("touchMove", (x2, y2))
    fingers("touchEnd")
    until(page, lambda: volume(page, "ET") > before)
    page.locator("#undo").tap()
    until(page, lambda: volume(page, "ET") == before)
    before_pinch = page.locator(".slices").screenshot()  # which scrolls there
    middle = spot(page, 0.25, 0.25)
    fingers("touchStart", (middle[0] - 20, middle[1]), (middle[0] + 20, middle[1]))
    for apart in (30, 45, 60):
        fingers("touchMove", (middle[0] - apart, middle[1]), (middle[0] + apart, middle[1]))
    fingers("touchEnd")
    until(page, lambda: page.locator(".slices").screenshot() != before_pinch)
    assert volume(page, "ET") == before  # two fingers enlarge, and draw nothing

"""What is seen of a case: slices, layers, lesions, diameters, a reference, and what is kept of it."""

from __future__ import annotations

import csv
import gzip
import io
import re
import zipfile
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from tests.app.browser import Application
from tests.app.browsing.pages import (
    REGIONS,
    VOXEL_ML,
    OpenPage,
    latest_facts,
    latest_mask,
    n_alike,
    open_case,
    overlay,
    pixels,
    position,
    spot,
    upright,
)


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


def test_drawing_the_plane_that_has_changed_leaves_the_picture_of_drawing_all(open_page: OpenPage, case: str) -> None:
    page = open_case(open_page, case)
    for plane, arrow in (("a", "ArrowUp"), ("c", "ArrowDown"), ("s", "ArrowUp")):
        for key in (plane, "p", "+", arrow, arrow):
            page.keyboard.press(key)
            page.wait_for_timeout(300)
        before = pixels(page)
        for _ in range(2):  # which draws everything
            page.keyboard.press("h")
            page.wait_for_timeout(300)
        assert np.array_equal(pixels(page), before), plane
        page.keyboard.press(arrow)
        assert not np.array_equal(pixels(page), before), plane


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


def test_the_largest_section_and_one_lesion_after_the_other(
    open_page: OpenPage, application: Application, case: str
) -> None:
    page = open_case(open_page, case)
    with application.client() as client:
        labels = latest_mask(client, case)
        lesions = [each for each in latest_facts(client, case)["lesions"] if each["region"] == "WT"]
    page.keyboard.press("PageUp")
    page.click("#largest")
    areas = [np.sum(labels > 0, axis=tuple(other for other in range(3) if other != axis)) for axis in range(3)]
    assert position(page) == tuple(int(np.argmax(area)) for area in areas)
    pieces, n = ndimage.label(labels > 0, np.ones((3, 3, 3)))
    sizes = np.sort(np.bincount(pieces.ravel())[1:])[::-1] * VOXEL_ML
    assert [each["volume_ml"] for each in lesions] == pytest.approx(sizes, abs=0.001)
    for volume in sizes[:3]:
        page.click("#lesion")
        at = position(page)
        assert np.sum(pieces == pieces[at]) * VOXEL_ML == pytest.approx(volume)
    assert len(sizes) < 2 or f"of {n}" in page.locator(".message").last.text_content()


def test_diameters_are_drawn_on_their_slice(open_page: OpenPage, application: Application, case: str) -> None:
    page = open_case(open_page, case)
    with application.client() as client:
        detail = client.get(f"/api/cases/{case}").json()
        measured = latest_facts(client, case)["diameters"][0]
        affine = nib.Nifti1Image.from_bytes(
            gzip.decompress(client.get(f"/api/cases/{case}/mask.nii.gz").content)
        ).affine
    (button,) = page.locator("button", has_text=f"{measured['long_mm']:.0f} × {measured['short_mm']:.0f} mm").all()
    button.click()
    upright_affine = nib.as_closest_canonical(nib.Nifti1Image(np.zeros((60, 60, 40), np.uint8), affine)).affine
    slices = {int(np.rint(np.linalg.inv(upright_affine) @ [*point, 1])[2]) for point in measured["points_mm"]}
    assert slices == {position(page)[2]}
    colour = next(region["colour"] for region in detail["regions"] if region["name"] == measured["region"])

    def n_drawn() -> int:
        return n_alike(overlay(page)[..., :3], colour, 12)

    there = n_drawn()
    page.keyboard.press("ArrowUp")
    assert n_drawn() < there / 10
    assert there > 40


def test_every_map_is_a_layer(open_page: OpenPage, application: Application, case: str) -> None:
    page = open_case(open_page, case)
    with application.client() as client:
        maps = client.get(f"/api/cases/{case}").json()["maps"]
    assert {each["kind"] for each in maps} == {"probability", "uncertainty", "explanation"}
    page.keyboard.press("h")  # the mask itself
    without = pixels(page)
    for number, each in enumerate(maps):
        if each["region"] == "WT":
            page.select_option("#layer", str(number))
            changed = np.abs(pixels(page) - without).max(axis=2) > 30
            assert changed.sum() > 100, each
    page.select_option("#layer", "-1")
    assert (np.abs(pixels(page) - without).max(axis=2) > 30).sum() < 100
    page.keyboard.press("u")
    assert page.input_value("#layer") == "0"


def test_a_reference_stands_beside_the_mask(
    open_page: OpenPage, application: Application, case: str, scans: dict[str, Path], tmp_path: Path
) -> None:
    page = open_case(open_page, case)
    red, green = "#e5383b", "#38d66b"
    assert n_alike(overlay(page)[..., :3], red) == 0
    other = nib.load(scans["seg"])
    nib.save(other.slicer[1:], tmp_path / "other.nii.gz")
    page.set_input_files("#reference-file", tmp_path / "other.nii.gz")
    assert "grid" in page.wait_for_selector("#reference-said .note-box.error").text_content()
    page.set_input_files("#reference-file", scans["seg"])
    page.wait_for_selector(".legend")
    drawn = overlay(page)[..., :3]
    assert n_alike(drawn, red) > 50
    assert n_alike(drawn, green) > 50
    expected = upright(gzip.compress(nib.load(scans["seg"]).to_bytes()))
    with application.client() as client:
        labels = latest_mask(client, case)
    for region, values in REGIONS.items():
        first, second = np.isin(expected, values), np.isin(labels, values)
        dice = 2 * np.sum(first & second) / max(1, first.sum() + second.sum())
        said = page.locator(f"#volumes tr[data-region={region}] td").nth(3).text_content()
        assert said == f"{dice:.2f}" or (said == "–" and not first.any() and not second.any())
    page.click("button:text-is('Hide the reference')")
    assert n_alike(overlay(page)[..., :3], red) == 0


def test_every_form_is_kept(open_page: OpenPage, application: Application, case: str) -> None:
    page = open_case(open_page, case)

    def kept(form: str) -> bytes:
        with page.expect_download() as waiting:
            page.click(f"#export-{form}")
        return Path(waiting.value.path()).read_bytes()

    with application.client() as client:
        np.testing.assert_array_equal(upright(kept("nifti")), latest_mask(client, case))
    with zipfile.ZipFile(io.BytesIO(kept("stl"))) as archive:
        assert {name.rpartition("_")[2] for name in archive.namelist()} <= {"WT.stl", "TC.stl", "ET.stl"}
        assert archive.namelist()
    probabilities = np.asarray(nib.Nifti1Image.from_bytes(gzip.decompress(kept("probabilities"))).dataobj)
    assert probabilities.shape[-1] == 3
    assert kept("pdf").startswith(b"%PDF")
    assert b"For research use only" in kept("html") or b"research use" in kept("html")
    rows = list(csv.DictReader(io.StringIO(kept("csv").decode())))
    assert [row["region"] for row in rows] == ["WT", "TC", "ET"]
    page.click("#export-seg")
    words = page.wait_for_selector(".message.error").text_content()  # these scans were no DICOM
    assert "DICOM" in words


def test_the_worklist_is_sorted_and_leads_to_two_time_points(open_page: OpenPage, case: str, later: str) -> None:
    page = open_page("#/cases")
    page.wait_for_selector("#worklist tbody tr")

    def column(name: str) -> list[float]:
        """The figures of a column from the top; cells without one are left out."""
        number = page.eval_on_selector(f"#worklist th:has(#sort-{name})", "own => own.cellIndex + 1")
        cells = page.locator(f"#worklist tbody tr td:nth-child({number})").all_text_contents()
        figures = [re.search(r"\d+\.\d+", cell) for cell in cells]
        found = [float(figure.group()) for figure in figures if figure]
        assert found
        return found

    assert column("confidence") == sorted(column("confidence"))  # the least trustworthy first
    page.click("#sort-volume")
    assert column("volume") == sorted(column("volume"), reverse=True)
    page.click("#sort-volume")
    assert column("volume") == sorted(column("volume"))
    page.click("#sort-date")
    assert page.get_attribute("#worklist th:has(#sort-date)", "aria-sort") == "descending"
    assert page.is_disabled("#compare")
    for case_id in (case, later):
        page.check(f"#select-{case_id}")
    page.click("#compare")
    page.wait_for_selector(".curve svg")
    assert page.locator(".half").count() == 2
    assert page.locator(".curve polyline").count() == 3
    words: Any = page.get_attribute(".curve svg", "aria-label")
    assert words.count("WT") >= 2
    page.wait_for_timeout(1000)
    before = [pixels(page, f".half:nth-child({number}) .slices") for number in (1, 2)]
    page.mouse.move(*spot(page, 0.2, 0.2))
    page.mouse.wheel(0, -300)
    after = [pixels(page, f".half:nth-child({number}) .slices") for number in (1, 2)]
    for one, other in zip(before, after, strict=True):
        assert (np.abs(one - other).max(axis=2) > 30).sum() > 200  # a wheel over one moves both

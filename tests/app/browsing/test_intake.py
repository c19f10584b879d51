"""From files to a case at work: dropped in every way, corrected by hand, refused in a sentence."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from PIL import Image as Pillow

import glioseg
from glioseg.io.nifti import read_nifti, write_nifti
from tests.app.browser import Application
from tests.app.browsing.pages import (
    MODALITIES,
    SPACING_MM,
    OpenPage,
    drop,
    drop_paths,
    n_coloured,
    pixels,
    scans_sent,
    wait_for_case,
)
from tests.fakes.dicom import BIRTH, NAME, PATIENT, write_study


def test_from_a_drop_to_a_mask_on_screen(open_page: OpenPage, scans: dict[str, Path]) -> None:
    page = open_page("#/new")
    drop(page, scans_sent(scans))
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


def taken_for(page: Any) -> list[str]:
    """What the series were taken for."""
    page.wait_for_selector("#found select[data-series]")
    taken: list[str] = page.eval_on_selector_all("#found select[data-series]", "all => all.map((own) => own.value)")
    return sorted(taken)


def test_a_folder_of_the_disk(open_page: OpenPage, scans: dict[str, Path]) -> None:
    page = open_page("#/new")
    drop_paths(page, scans["t1c"].parent)  # with its mask beside the scans
    assert taken_for(page) == sorted(MODALITIES)
    assert page.text_content("#found h3").startswith(scans["t1c"].parent.name)


def test_an_archive_of_three_unrelated_patients(open_page: OpenPage, tmp_path: Path) -> None:
    glioseg.phantom(tmp_path / "many", patients=3, spacing_mm=6)
    with zipfile.ZipFile(tmp_path / "many.zip", "w") as archive:
        for path in sorted((tmp_path / "many").glob("*/*-t*.nii.gz")):
            archive.write(path, path.relative_to(tmp_path))
    page = open_page("#/new")
    drop_paths(page, tmp_path / "many.zip")
    page.wait_for_selector("#found-title:text-is('3 cases found')")
    assert page.locator("#found section.card").count() == 3
    assert page.is_enabled("#found .spread button.main >> nth=0")  # all of them at once


def test_a_dicom_study_from_its_folder_to_a_segmentation(
    open_page: OpenPage, application: Application, scans: dict[str, Path], tmp_path: Path
) -> None:
    volumes = {name: read_nifti(scans[name]) for name in MODALITIES}
    images = {name: array.astype(np.int16) for name, (array, _) in volumes.items()}
    write_study(tmp_path / "study", images, volumes["t1c"][1].affine)
    page = open_page("#/new")
    drop_paths(page, tmp_path / "study")
    assert taken_for(page) == sorted(MODALITIES)
    shown = page.text_content("#main")
    assert not [planted for planted in (NAME, PATIENT, BIRTH) if planted in shown]
    page.check("input[value='model:phantom']")
    page.uncheck("input[name=uncertainty]")
    page.click("#found button.main")
    wait_for_case(page)
    for is_hidden in (False, True):
        page.set_checked("#deidentify", is_hidden)
        with page.expect_download() as waiting:
            page.click("#export-seg")
        kept = pydicom.dcmread(waiting.value.path())
        assert (NAME in str(kept.PatientName)) is not is_hidden
        assert ("deidentified" in waiting.value.suggested_filename) is is_hidden
        page.wait_for_selector(f".message:has-text('is {'' if is_hidden else 'not '}de-identified')")


def test_the_switches_are_sent(open_page: OpenPage, scans: dict[str, Path], tmp_path: Path) -> None:
    """Registration is on by itself where a scan lies on another grid."""
    array, grid = read_nifti(scans["t1n"])
    cropped = grid.cropped(((1, grid.shape[0]), (0, grid.shape[1]), (0, grid.shape[2])))
    write_nifti(tmp_path / scans["t1n"].name, array[1:], cropped)
    page = open_page("#/new")
    drop(page, scans_sent(scans) | {scans["t1n"].name: (tmp_path / scans["t1n"].name).read_bytes()})
    page.wait_for_selector("#found .options")
    assert page.is_checked("input[name=register]")
    assert page.is_visible("text=They lie on different grids")
    sent: list[Any] = []

    def take(route: Any) -> None:
        sent.append(route.request.post_data_json)
        route.fulfill(json={"id": "case-nowhere"})

    page.route("**/api/cases", lambda route: take(route) if route.request.method == "POST" else route.continue_())
    page.check("input[value='model:phantom']")
    for name in ("brain_extract", "atlas", "explain"):
        page.check(f"input[name={name}]")
    page.uncheck("input[name=uncertainty]")
    with page.expect_response("**/api/cases"):
        page.click("#found button.main")
    switches = ("register", "brain_extract", "atlas", "uncertainty", "explain")
    assert [sent[0][name] for name in switches] == [True, True, "mni", False, True]


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
    ("name", "said"),
    [
        ("letter.txt", "none of these files is a scan"),
        ("cut.nii.gz", "cut off|damaged|cannot be read"),
        ("mask", "looks like a mask and not like a scan"),
    ],
)
def test_bad_input_is_answered_in_a_sentence(open_page: OpenPage, scans: dict[str, Path], name: str, said: str) -> None:
    content = {
        "letter.txt": {name: b"Dear colleague, the scan follows."},
        "cut.nii.gz": {name: scans["t1c"].read_bytes()[:2000]},
        "mask": {scans["t2f"].name: scans["seg"].read_bytes(), scans["t1c"].name: scans["t1c"].read_bytes()},
    }[name]
    page = open_page("#/new")
    drop(page, content)
    page.wait_for_selector("#found .note-box")
    words = page.text_content("#found")
    assert re.search(said, words), words
    assert not re.search(r"Traceback|Error:|undefined|null|NaN|\[object|/tmp/", page.text_content("#main"))
    drop(page, scans_sent(scans))
    assert taken_for(page) == sorted(MODALITIES)  # the page goes on


def test_two_gigabytes_are_refused_before_they_are_sent(open_page: OpenPage) -> None:
    page = open_page("#/new")
    page.evaluate(
        """() => {
            const file = new File(["x"], "large.nii");
            const transfer = new DataTransfer();
            transfer.items.add(file);
            Object.defineProperty(File.prototype, "size", {get: () => 2e9});
            const dropped = new DragEvent("drop", {dataTransfer: transfer, bubbles: true});
            document.querySelector(".drop").dispatchEvent(dropped);
        }"""
    )
    words = page.wait_for_selector("#found .note-box.error").text_content()
    assert re.search(r"2\.0 GB, more than the 1\.1 GB", words), words
    assert "glioseg app" in words


def test_a_picture_is_shown_as_it_is(open_page: OpenPage, tmp_path: Path) -> None:
    """Neither mirrored nor upside down: what is on the screen resembles the file, and no other way of holding it.

    Nothing of it is said in millimetres, which it has not.
    """
    glioseg.phantom(tmp_path / "pictures", patients=1, layout="pairs", spacing_mm=SPACING_MM)
    file = max((tmp_path / "pictures" / "images").glob("*.png"), key=lambda path: path.stat().st_size)
    page = open_page("#/new")
    page.set_input_files("#files", file)
    page.wait_for_selector("#found select[data-series]")
    switches = page.locator("#found .options input").evaluate_all("all => all.map((own) => own.name)")
    assert switches == ["uncertainty", "explain"]
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
    page.goto(page.url.partition("#")[0] + "#/cases")
    row = page.locator("#worklist tbody tr", has_text=file.stem)
    row.locator("td.number", has_text=re.compile(r"^[\d,]+ voxels$")).wait_for()

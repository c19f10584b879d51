"""The page of ``predict``: each figure, file and doubt that stands in the cases' JSON files can be read on it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

from glioseg.core import Grid, Image, LabelMap
from glioseg.core.schemes import scheme_named
from glioseg.report import style
from glioseg.report.classes_said import said_page
from glioseg.report.figures.render import draw
from glioseg.report.figures.sections import label_colours, largest_sections
from glioseg.report.html import Picture, Prose
from glioseg.report.parts.explained import explained
from glioseg.report.parts.predicted import MOST_PICTURES
from glioseg.report.parts.ready import made_ready
from glioseg.report.prediction import overlay_figure
from glioseg.report.predictions import NetworkCard, PredictedCase, PredictionsPage, write_predictions
from glioseg.report.segmented import segmented_page

_REGIONS = {"WT": ("NCR", "ED", "ET"), "ET": ("ET",)}
_CARD = NetworkCard("lgg", "0123456789ab", (("Trained on", "kaggle_3m, 66 patients"),), ("It knows one cohort.",))


def _picture(path: Path) -> Path:
    Pillow.fromarray(np.full((30, 60, 3), 90, dtype=np.uint8)).save(path)
    return path


def _mask(folder: Path, name: str, wt: float, **more: Any) -> PredictedCase:
    facts = {
        "mask": f"{name}.nii.gz",
        "volumes": {"unit": "ml", "WT": wt, "ET": 1.5},
        "grid": {"shape": [240, 240, 155], "spacing_mm": [1.0, 1.0, 1.0], "orientation": "LPS"},
        "inputs": {"t2f": {"files": [f"/scans/{name}/{name}_flair.nii.gz"], "channel": None}},
        "filled_with": {},
        "warnings": [],
    }
    return PredictedCase(name, facts | more, _picture(folder / f"{name}.png"))


def _said(folder: Path, name: str, yes: float) -> PredictedCase:
    facts = {
        "class": "yes" if yes > 0.5 else "no",
        "confidence": max(yes, 1 - yes),
        "uncertain": abs(2 * yes - 1) < 0.2,
        "probabilities": {"no": 1 - yes, "yes": yes},
        "inputs": {"red": {"files": [f"/in/{name}.png"], "channel": 0}},
        "warnings": ["Uncertain: yes or no"] if abs(2 * yes - 1) < 0.2 else [],
    }
    return PredictedCase(name, facts, _picture(folder / f"{name}.png"))


def _text(page: PredictionsPage, folder: Path, cases: list[PredictedCase], **failed: str) -> str:
    names = [case.name for case in cases]
    return write_predictions(page, names, failed, folder / "predictions.html").read_text(encoding="utf-8")


def _tiles(text: str) -> dict[str, str]:
    return dict(re.findall(r'class="label">([^<]+)</span><span class="value">([^<]+)<', text))


def test_one_mask(tmp_path: Path) -> None:
    doubtful = {"warnings": ["ET is undecided"], "filled_with": {"t1c": "zero"}}
    cases = [_mask(tmp_path, "smith", 71.23456, **doubtful)]
    text = _text(segmented_page(cases, _REGIONS, [_CARD]), tmp_path, cases)
    assert _tiles(text) == {"WT": "71.2 ml", "ET": "1.50 ml", "Warnings": "1"}
    for words in ("smith_flair.nii.gz", "/scans/smith", "240 × 240 × 155", "LPS", "missing; filled with zeros"):
        assert words in text
    for words in ("ET is undecided.", "kaggle_3m, 66 patients", "It knows one cohort.", "research use only"):
        assert words in text
    for words in ("whole tumour: NCR + ED + ET", "enhancing tumour"):
        assert words in text
    assert 'alt="smith: axial, coronal and sagittal sections' in text
    assert "<h1>smith</h1>" in text


def test_a_folder_of_masks_shows_the_doubtful_first_and_then_the_largest(tmp_path: Path) -> None:
    cases = [_mask(tmp_path, "a", 10.0), _mask(tmp_path, "b", 30.0), _mask(tmp_path, "c", 20.0, warnings=["scattered"])]
    text = _text(segmented_page(cases, _REGIONS, [_CARD]), tmp_path, cases, d="d.nii.gz: cut short")
    assert re.findall(r"<h3>(\w)</h3>", text) == ["c", "b", "a"]
    assert _tiles(text) == {
        "Cases": "3",
        "Median WT": "20.0 ml",
        "Median ET": "1.50 ml",
        "To check first": "1",
        "Left out": "1",
    }
    assert 'href="c.nii.gz"' in text
    assert "d.nii.gz: cut short" in text


def test_pictures_stand_side_by_side_and_speak_of_no_planes(tmp_path: Path) -> None:
    grid = {"shape": [256, 256, 20], "spacing_mm": None, "orientation": None}
    volumes = {"unit": "voxels", "WT": 19529, "ET": 3}
    cases = [_mask(tmp_path, name, 0, grid=grid, volumes=volumes) for name in ("a", "b")]
    text = _text(segmented_page(cases, _REGIONS, [_CARD]), tmp_path, cases)
    assert text.count('class="picture scan half"') == 2
    assert "The picture, or the slice with most of the prediction" in text
    assert "In each plane" not in text
    assert "19,529 voxels" in text  # counted, not rounded


def test_classes_are_totalled_and_the_uncertain_come_first(tmp_path: Path) -> None:
    cases = [_said(tmp_path, name, yes) for name, yes in (("a", 0.99), ("b", 0.45), ("c", 0.8), ("d", 0.02))]
    text = _text(said_page(cases, ("no", "yes"), [_CARD]), tmp_path, cases)
    assert _tiles(text) == {"Cases": "4", "no": "2", "yes": "2", "Uncertain": "1"}
    assert re.findall(r'<figcaption><a href="(\w)\.png">', text) == ["b", "c", "d", "a"]
    assert "uncertain: no, 55.0 %" in text


@pytest.mark.parametrize("task", ["segment", "classify"])
def test_a_large_folder_does_not_make_a_page_that_cannot_be_opened(tmp_path: Path, task: str) -> None:
    n = MOST_PICTURES + 3
    if task == "segment":
        cases = [_mask(tmp_path, f"case{number}", number) for number in range(n)]
        page = segmented_page(cases, _REGIONS, [_CARD])
    else:
        cases = [_said(tmp_path, f"case{number}", 0.9) for number in range(n)]
        page = said_page(cases, ("no", "yes"), [_CARD])
    text = _text(page, tmp_path, cases)
    assert text.count("data:image/webp") == MOST_PICTURES
    assert "The pictures of 3 further cases lie beside this page" in text
    assert all(f"{case.name}<" in text for case in cases)


def test_sections_are_those_with_most_of_the_prediction() -> None:
    """A box of 2 x 6 x 4 voxels at x 3-4, y 2-7, z 5-8, one voxel larger at x 4, y 3, z 6."""
    array = np.zeros((10, 12, 14), dtype=np.uint8)
    array[3:5, 2:8, 5:9] = 1
    array[5, 3, 6] = 1
    labels = LabelMap(array, scheme_named("whole-tumour"), Grid(array.shape, np.eye(4)))
    image = Image(np.ones((1, *array.shape), dtype=np.float32), ("t2f",), labels.grid)
    sections = largest_sections(image, labels)
    assert [section.words for section in sections] == [
        "axial, slice 7 of 14",
        "coronal, slice 4 of 12",
        "sagittal, slice 4 of 10",
    ]
    for section, area in zip(sections, (13, 9, 24), strict=True):
        assert np.count_nonzero(section.of(array)) == area


def test_the_overlay_of_a_small_picture_can_be_read() -> None:
    grid = Grid.of_pictures((24, 20, 1))
    array = np.zeros(grid.shape, dtype=np.uint8)
    array[8:14, 8:14] = 1
    labels = LabelMap(array, scheme_named("whole-tumour"), grid)
    image = Image(np.full((1, *grid.shape), 90, dtype=np.uint8), ("grey",), grid)
    pixels = draw(overlay_figure("p", image, labels, ("WT",), ("WT 36 voxels",)))
    assert pixels.shape[1] > 900


def test_both_units_are_said_where_some_scans_have_no_millimetres(tmp_path: Path) -> None:
    cases = [_mask(tmp_path, "a", 7.0), _mask(tmp_path, "b", 0, volumes={"unit": "voxels", "WT": 9, "ET": 3})]
    assert segmented_page(cases, _REGIONS, [_CARD]).summary == "WT, ET, in ml or voxels, by lgg."


def test_figures_that_a_page_does_not_show_are_told_of(tmp_path: Path) -> None:
    """Of 15 cases the figures of 12 are in the page."""
    explanation = {
        "of": "the mean logit", "figures": {"WT": "a.png"}, "maps_are": {"grad_cam": "Grad-CAM"}, "without": {},
    }  # fmt: skip
    ready = {"figure": "r.png", "registered": True, "words": ["registered"]}
    _picture(tmp_path / "a.png")
    _picture(tmp_path / "r.png")
    cases = [_mask(tmp_path, f"case{n}", n, explanation=explanation, ready=ready) for n in range(15)]
    for section, words in ((explained(cases), "of 3 further regions"), (made_ready(cases), "of 3 further cases")):
        pictures = [block for block in section.blocks if isinstance(block, Picture)]
        assert len({picture.name for picture in pictures}) == len(pictures) == 12
        assert any(words in block.text for block in section.blocks if isinstance(block, Prose))


def test_no_figure_is_read_that_is_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    explanation = {"of": "it", "figures": {"WT": "a.png"}, "maps_are": {}, "without": {}}
    cases = [_mask(tmp_path, f"case{n}", n, explanation=explanation) for n in range(15)]
    read: list[str] = []

    def opened(file: Path) -> None:
        read.append(file.name)
        raise OSError

    monkeypatch.setattr(Pillow, "open", opened)
    explained(cases)
    assert read == ["a.png"] * 12


def test_every_label_of_a_corrected_mask_is_drawn() -> None:
    """A network of these regions paints oedema, NCR and ET; whoever corrects its mask may draw NET too."""
    scheme = scheme_named("brats2015")
    labels = LabelMap(np.zeros((4, 4, 1), dtype=np.uint8), scheme, Grid((4, 4, 1), np.eye(4)))
    outer, core, inner = (style.region_colour(name) for name in ("WT", "TC", "ET"))
    assert label_colours(labels, ["WT", "TC", "ET"]) == {2: outer, 1: core, 3: core, 4: inner}
    assert label_colours(labels, ["WT"]) == dict.fromkeys((1, 2, 3, 4), outer)

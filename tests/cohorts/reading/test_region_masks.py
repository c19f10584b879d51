"""Masks of which each shows one region, in every layout that may hold them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

import glioseg
from glioseg.cohorts.reading.region_masks import split_region
from glioseg.core import Cohort
from glioseg.errors import GeometryError, LabelError
from glioseg.io import load_labels
from tests.fakes.pictures import grey, save
from tests.fakes.volumes import SHAPE, noise, save_volume

WHOLE, CORE, ENHANCING = 12, 6, 2
"""How many voxels of a row each mask covers, from the same corner."""
_BRATS = ("{p}/{p}_t1.nii.gz", "{p}/{p}_t1ce.nii.gz", "{p}/{p}_t2.nii.gz", "{p}/{p}_flair.nii.gz")
_TWO = ("{p}/{p}_T1.nii.gz", "{p}/{p}_FLAIR.nii.gz")


def _mask(n_voxels: int, start: int = 0) -> np.ndarray:
    flat = np.zeros(np.prod(SHAPE), dtype=np.uint8)
    flat[start : start + n_voxels] = 1
    return flat.reshape(SHAPE)


def _write(root: Path, images: tuple[str, ...], masks: Mapping[str, np.ndarray]) -> glioseg.FolderCohort:
    for p in ("p1", "p2"):
        for seed, image in enumerate(images):
            save_volume(root / image.format(p=p), noise(seed + 10 * int(p[1])))
        for name, mask in masks.items():
            save_volume(root / name.format(p=p), mask)
    return glioseg.read(root)


def _counts(cohort: Cohort) -> list[int]:
    """Voxels of each label of the first case, the background first."""
    assert cohort.scheme is not None
    return [int(n) for n in np.bincount(load_labels(cohort.cases[0], cohort.scheme).array.ravel())]


def _said(cohort: Cohort) -> list[tuple[str, str, str | None]]:
    kinds = ("region-masks", "several-masks", "missing-mask")
    return [(found.severity, found.kind, found.case) for found in cohort.findings if found.kind in kinds]


@pytest.mark.parametrize(
    ("layout", "images", "masks"),
    [
        ("brats", _BRATS, ("{p}/{p}_WT.nii.gz", "{p}/{p}_TC.nii.gz", "{p}/{p}_ET.nii.gz")),
        ("brats", _BRATS, ("{p}/WT.nii.gz", "{p}/TC.nii.gz", "{p}/ET.nii.gz")),
        ("brats", _BRATS, ("{p}/{p}_seg_WT.nii.gz", "{p}/{p}_seg_TC.nii.gz", "{p}/{p}_seg_ET.nii.gz")),
        ("volumes", _TWO, ("{p}/{p}_whole_tumor.nii.gz", "{p}/{p}_tumor-core.nii.gz", "{p}/{p}_enhancing.nii.gz")),
        ("volumes", _TWO, ("{p}/{p}_WT_mask.nii.gz", "{p}/{p}_TC_mask.nii.gz", "{p}/{p}_ET_mask.nii.gz")),
        ("volumes", _TWO, ("{p}/masks/WT.nii.gz", "{p}/masks/TC.nii.gz", "{p}/masks/ET.nii.gz")),
        ("volumes", ("images/{p}_T1.nii.gz",), ("masks/WT/{p}.nii.gz", "masks/TC/{p}.nii.gz", "masks/ET/{p}.nii.gz")),
        (
            "bids",
            ("sub-{p}/anat/sub-{p}_T1w.nii.gz",),
            tuple(
                f"derivatives/x/sub-{{p}}/anat/sub-{{p}}_label-{region}_mask.nii.gz" for region in ("WT", "TC", "ET")
            ),
        ),
    ],
)
def test_nested_regions(tmp_path: Path, layout: str, images: tuple[str, ...], masks: tuple[str, ...]) -> None:
    """WT, TC and ET overlap: TC without ET is NCR, WT without TC is ED, as in BraTS 2023."""
    sizes = (_mask(WHOLE), _mask(CORE), _mask(ENHANCING))
    cohort = _write(tmp_path, images, dict(zip(masks, sizes, strict=True)))
    assert cohort.layout == layout
    assert [case.id.removeprefix("sub-") for case in cohort.cases] == ["p1", "p2"]
    assert len(cohort.modalities) == len(images)
    assert cohort.scheme is not None
    assert cohort.scheme.name == "brats2023"
    voxels = int(np.prod(SHAPE))
    assert _counts(cohort) == [voxels - WHOLE, CORE - ENHANCING, WHOLE - CORE, ENHANCING]
    assert _said(cohort) == [("note", "region-masks", None)]
    assert not [found for found in cohort.findings if found.kind == "left-over-files"]


@pytest.mark.parametrize(
    ("image", "masks"),
    [
        ("images/{n}.png", ("masks/{n}_tumour_mask.png", "masks/{n}_oedema_mask.png")),
        ("{n}.png", ("{n}_tumor.png", "{n}_edema.png")),
        ("images/{n}.png", ("masks/tumor/{n}.png", "masks/edema/{n}.png")),
        ("images/{n}.png", ("tumor/{n}.png", "edema/{n}.png")),
    ],
)
def test_pictures(tmp_path: Path, image: str, masks: tuple[str, str]) -> None:
    """Beside oedema the tumour is its core, and the two exclude each other."""
    for n in range(3):
        save(tmp_path / image.format(n=n), grey(n))
        for start, mask in enumerate(masks):
            pixels = np.zeros((12, 16), dtype=np.uint8)
            pixels[4 + 3 * start : 7 + 3 * start, 5:9] = 255  # 3 rows of 4 pixels, one below the other
            save(tmp_path / mask.format(n=n), pixels)
    cohort = glioseg.read(tmp_path)
    assert (cohort.layout, len(cohort.cases), cohort.modalities) == ("pairs", 3, ("grey",))
    assert cohort.scheme is not None
    assert cohort.scheme.describe() == "0 background, 1 TC, 2 ED"
    assert _counts(cohort) == [12 * 16 - 24, 12, 12]
    assert _said(cohort) == [("note", "region-masks", None)]


def test_one_mask_that_names_its_region(tmp_path: Path) -> None:
    """``p1_WT`` says all; ``p1_tumour_seg`` may be a label map, whose integers nobody has said."""
    cohort = _write(tmp_path / "named", _TWO, {"{p}/{p}_WT.nii.gz": _mask(WHOLE)})
    assert cohort.scheme is not None
    assert cohort.scheme.name == "whole-tumour"
    cohort = _write(tmp_path / "open", _TWO, {"{p}/{p}_tumour_seg.nii.gz": _mask(WHOLE)})
    assert cohort.scheme is None
    assert cohort.cases[0].labels is not None


def test_one_mask_of_a_picture(tmp_path: Path) -> None:
    save(tmp_path / "0.png", grey(0))
    save(tmp_path / "0_tumor_mask.png", grey(1))
    cohort = glioseg.read(tmp_path)
    assert cohort.scheme is not None
    assert (cohort.scheme.name, _said(cohort)) == ("binary", [])
    assert cohort.cases[0].labels is not None


def test_a_label_map_says_more_than_masks_of_regions(tmp_path: Path) -> None:
    """nnU-Net and others write both: the label map is taken."""
    names = {"{p}/{p}_seg.nii.gz": _mask(WHOLE) + _mask(CORE), "{p}/{p}_WT.nii.gz": _mask(WHOLE)}
    cohort = _write(tmp_path, _TWO, {**names, "{p}/{p}_TC.nii.gz": _mask(CORE)})
    assert [case.labels.paths[0].name for case in cohort.cases if case.labels is not None] == [
        "p1_seg.nii.gz",
        "p2_seg.nii.gz",
    ]
    assert _said(cohort) == [("note", "several-masks", "p1"), ("note", "several-masks", "p2")]


def test_a_case_that_lacks_a_mask_is_said(tmp_path: Path) -> None:
    """A region that a patient does not have needs an empty mask: a file that is not there may be lost."""
    _write(tmp_path, _TWO, {"{p}/{p}_WT.nii.gz": _mask(WHOLE), "{p}/{p}_ET.nii.gz": _mask(ENHANCING)})
    (tmp_path / "p2" / "p2_ET.nii.gz").unlink()
    cohort = glioseg.read(tmp_path)
    assert cohort.cases[0].labels is not None
    assert cohort.cases[1].labels is None
    assert ("error", "region-masks", "p2") in _said(cohort)


@pytest.mark.parametrize(
    ("core", "error", "message"),
    [
        (_mask(CORE, start=9), LabelError, "contradict each other; found 3 voxels in TC but not in WT"),
        (2 * _mask(CORE) + _mask(2), LabelError, "holds several values; found 2, 3"),
        (np.zeros((6, 5, 3), dtype=np.uint8), GeometryError, "lie on different grids"),
    ],
)
def test_what_cannot_be_joined_is_refused(
    tmp_path: Path, core: np.ndarray, error: type[Exception], message: str
) -> None:
    cohort = _write(tmp_path, _TWO, {"{p}/{p}_WT.nii.gz": _mask(WHOLE), "{p}/{p}_TC.nii.gz": core})
    with pytest.raises(error, match=message):
        _counts(cohort)
    assert [found.kind for found in cohort.inspect().findings if found.severity == "error"]


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("p1_whole_tumor", ("p1", "WT")),
        ("case_7_non-enhancing_tumor", ("case_7", "NET")),
        ("WT", ("", "WT")),
        ("0_edema", ("0", "ED")),
        ("p1_csf", None),  # no region of a tumour
        ("p1_et2", None),
        ("patient", None),
    ],
)
def test_names(name: str, parts: tuple[str, str] | None) -> None:
    assert split_region(name) == parts

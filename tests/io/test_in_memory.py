"""Scans as Python callers have them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from PIL import Image as Pillow

from glioseg.errors import GeometryError, LabelError, OptionError
from glioseg.io.in_memory import image_of, label_map_of, named_alone, voxels_of
from glioseg.io.raster import COLOURS

GREY = np.arange(6, dtype=np.uint8).reshape(2, 3)
PICTURE = np.stack([GREY, GREY + 100, 255 - GREY], axis=-1)
VOLUME = np.arange(24, dtype=np.int16).reshape(2, 3, 4)


def test_one_modality_is_the_scan_itself() -> None:
    assert named_alone("a.nii.gz", ["t2f"]) == {"t2f": "a.nii.gz"}


@pytest.mark.parametrize("ending", [None, "png"], ids=["array", "file"])
def test_a_picture_has_its_three_colours(ending: str | None, tmp_path: Path) -> None:
    scan: Any = PICTURE
    if ending is not None:
        scan = tmp_path / f"a.{ending}"
        Pillow.fromarray(PICTURE).save(scan)
    found = named_alone(scan, COLOURS)
    assert list(found) == ["red", "green", "blue"]
    for place, channel in enumerate(found.values()):
        np.testing.assert_array_equal(channel, PICTURE[..., place])


def test_a_grey_picture_is_alike_in_all_colours() -> None:
    found = named_alone(GREY, COLOURS)
    assert list(found) == list(COLOURS)
    assert all(np.array_equal(np.asarray(channel), GREY) for channel in found.values())


@pytest.mark.parametrize("scan", [PICTURE[..., :2], VOLUME, VOLUME[None]], ids=["two channels", "volume", "4-D"])
def test_what_is_no_picture_has_no_colours(scan: Any) -> None:
    with pytest.raises(OptionError, match=r"the network needs several; expected red, green, blue"):
        named_alone(scan, COLOURS)


def test_a_picture_without_modalities_of_colour_is_one_modality() -> None:
    with pytest.raises(OptionError, match=r"expected t1c, t2f\. Give a dictionary: \{'t1c': …, 't2f': …\}"):
        named_alone(PICTURE, ["t1c", "t2f"])


def test_an_array_alone_is_a_picture_or_a_stack_without_mm() -> None:
    array, grid = voxels_of(GREY)
    np.testing.assert_array_equal(array, GREY.T[:, :, None])
    assert (grid.shape, grid.has_mm) == ((3, 2, 1), False)
    array, grid = voxels_of(VOLUME)
    np.testing.assert_array_equal(array, VOLUME)
    assert (grid.shape, grid.has_mm) == (VOLUME.shape, False)


@pytest.mark.parametrize("form", ["pair", "nibabel"])
def test_where_a_scan_lies_is_kept(form: str) -> None:
    affine = np.diag([1.0, 2.0, 3.0, 1.0])
    scan: Any = (VOLUME, affine) if form == "pair" else nib.Nifti1Image(VOLUME[..., None], affine)
    array, grid = voxels_of(scan)
    np.testing.assert_array_equal(array, VOLUME)
    assert (grid.spacing_mm, grid.has_mm) == ((1.0, 2.0, 3.0), True)


def test_four_axes_that_are_needed_are_no_volume() -> None:
    with pytest.raises(GeometryError, match=r"not a volume; found axes \(2, 2, 3, 4\); expected \(X, Y, Z\)"):
        voxels_of((np.stack([VOLUME, VOLUME]), np.eye(4)))


def test_modalities_of_one_grid_are_an_image() -> None:
    affine = np.diag([1.0, 2.0, 3.0, 1.0])
    image = image_of({"t2f": (VOLUME, affine), "t1c": (VOLUME + 1, affine)})
    assert (image.modalities, image.grid.spacing_mm) == (("t2f", "t1c"), (1.0, 2.0, 3.0))
    np.testing.assert_array_equal(image.array, [VOLUME, VOLUME + 1])


def test_modalities_of_two_grids_are_none() -> None:
    scans = {"t2f": (VOLUME, np.eye(4)), "t1c": (VOLUME, np.diag([1.0, 1.0, 2.0, 1.0]))}
    with pytest.raises(GeometryError, match=r"t2f and t1c lie on different grids; found spacing 1x1x1 against 1x1x2"):
        image_of(scans)
    with pytest.raises(OptionError, match="there is no modality"):
        image_of({})


@pytest.mark.parametrize(
    "mask",
    [GREY > 3, (GREY > 3).astype(np.uint8), (GREY > 3) * 255, (GREY > 3).astype(np.float32)],
    ids=["bool", "0 and 1", "0 and 255", "float"],
)
def test_a_mask_of_two_values_is_tumour_or_none(mask: Any) -> None:
    labels = label_map_of(mask)
    assert labels.scheme.name == "binary"
    np.testing.assert_array_equal(labels.array[:, :, 0], (GREY > 3).T)


def test_a_mask_of_other_values_needs_a_scheme() -> None:
    with pytest.raises(LabelError, match=r"is not known; found 1, 2, 4; expected 0 and 1, or 0 and 255"):
        label_map_of(np.array([[0, 1], [2, 4]], dtype=np.uint8))
    assert label_map_of(np.array([[0, 1], [2, 4]], dtype=np.uint8), "brats2021").scheme.name == "brats2021"


def test_text_is_no_mask() -> None:
    with pytest.raises(LabelError, match="a mask holds whole numbers; found <U1"):
        label_map_of(np.array([["a", "b"]]))

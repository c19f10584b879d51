"""From a case to its pixels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import nibabel
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image as Pillow

from glioseg.core import Case, Source, scheme_named
from glioseg.core.case import SourceKind
from glioseg.core.layers import scheme_of_layers
from glioseg.errors import FileError, GeometryError, LabelError
from glioseg.io import load_image, load_labels, read_grid, read_sources
from glioseg.io.load import read_labels, read_n_channels
from tests.fakes.damage import as_text
from tests.fakes.pictures import colour, grey, save, square

SHAPE = (6, 5, 4)


def volume(path: Path, array: npt.NDArray[Any], affine: npt.NDArray[np.float64] | None = None) -> Source:
    nibabel.Nifti1Image(array, np.eye(4) if affine is None else affine).to_filename(path)
    return Source((path,), "nifti")


def noise(seed: int, kind: type[np.generic] = np.int16) -> npt.NDArray[Any]:
    return np.random.default_rng(seed).integers(0, 500, SHAPE).astype(kind)


def case(images: dict[str, Source], labels: Source | None = None) -> Case:
    return Case("one", "one", images, labels)


# --- images ---------------------------------------------------------------------------------------------------------


def test_modalities_in_the_order_asked_for(tmp_path: Path) -> None:
    scan = case(
        {name: volume(tmp_path / f"{name}.nii", noise(seed)) for seed, name in enumerate(("t1n", "t1c", "t2f"))}
    )
    image = load_image(scan, ["t2f", "t1n"])
    assert image.modalities == ("t2f", "t1n")
    np.testing.assert_array_equal(image.array, [noise(2), noise(0)])
    assert load_image(scan).modalities == ("t1n", "t1c", "t2f")


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [((np.int16, np.int16), np.int16), ((np.int16, np.uint8), np.float32), ((np.float64,) * 2, np.float64)],
)
def test_types(tmp_path: Path, kinds: tuple[type[np.generic], ...], expected: type[np.generic]) -> None:
    images = {str(i): volume(tmp_path / f"{i}.nii", noise(i, kind) % 100) for i, kind in enumerate(kinds)}
    assert load_image(case(images)).array.dtype == expected


def test_a_missing_modality_is_named(tmp_path: Path) -> None:
    scan = case({"t1n": volume(tmp_path / "a.nii", noise(0))})
    with pytest.raises(GeometryError, match="case one lacks t1c, t2f; found t1n"):
        load_image(scan, ["t1c", "t1n", "t2f"])


def test_a_case_without_images_is_refused() -> None:
    with pytest.raises(GeometryError, match="case one lacks any image; found none"):
        load_image(case({}))


def test_grids_that_differ(tmp_path: Path) -> None:
    near, far = np.eye(4), np.eye(4)
    near[0, 3], far[0, 3] = 1e-4, 0.5
    images = {name: volume(tmp_path / f"{name}.nii", noise(0), affine) for name, affine in (("a", None), ("b", near))}
    assert load_image(case(images)).grid.affine[0, 3] == 0.0
    images["b"] = volume(tmp_path / "b.nii", noise(0), far)
    with pytest.raises(GeometryError, match=r"b\.nii: b and a of case one lie on different grids; found .*0\.5 apart"):
        load_image(case(images))
    images["b"] = volume(tmp_path / "b.nii", np.zeros((6, 5, 3), dtype=np.int16))
    with pytest.raises(GeometryError, match="shape 6x5x4 against 6x5x3"):
        load_image(case(images))


def test_a_last_axis_of_one(tmp_path: Path) -> None:
    image = load_image(case({"t1n": volume(tmp_path / "a.nii", noise(0)[..., None])}))
    assert image.array.shape == (1, *SHAPE)


def test_channels_of_one_file(tmp_path: Path) -> None:
    path = tmp_path / "a.nii.gz"
    volume(path, np.stack([noise(0), noise(1)], axis=-1))
    images = {name: Source((path,), "nifti", channel) for channel, name in enumerate(("t2f", "t1n"))}
    np.testing.assert_array_equal(load_image(case(images)).array, [noise(0), noise(1)])
    for source, message in [
        (Source((path,), "nifti"), "several channels"),
        (Source((path,), "nifti", 2), "too few channels"),
    ]:
        with pytest.raises(GeometryError, match=message):
            load_image(case({"t1n": source}))


def test_a_channel_of_a_file_that_has_one(tmp_path: Path) -> None:
    path = tmp_path / "a.nii"
    volume(path, noise(0))
    with pytest.raises(GeometryError, match="the file has one channel"):
        load_image(case({"t1n": Source((path,), "nifti", 1)}))


def test_one_slice_of_a_volume(tmp_path: Path) -> None:
    source = volume(tmp_path / "a.nii", noise(0), np.diag([1.0, 1.0, 3.0, 1.0]))
    third = Source(source.paths, "nifti", slice_index=2)
    image = load_image(case({"t1n": third}))
    np.testing.assert_array_equal(image.array[0, :, :, 0], noise(0)[:, :, 2])
    assert image.grid.affine[2, 3] == 6.0
    assert read_grid(third) == image.grid
    with pytest.raises(GeometryError, match="too few slices"):
        load_image(case({"t1n": Source(source.paths, "nifti", slice_index=4)}))


def test_a_damaged_file_leaves_the_rest(tmp_path: Path) -> None:
    good, bad = volume(tmp_path / "a.nii", noise(0)), volume(tmp_path / "b.nii", noise(1))
    as_text(bad.paths[0])
    voxels = read_sources({"good": good, "bad": bad})
    assert isinstance(voxels["bad"], FileError)
    assert not isinstance(voxels["good"], Exception)
    np.testing.assert_array_equal(voxels["good"].array, noise(0))
    with pytest.raises(FileError, match=r"b\.nii"):
        load_image(case({"good": good, "bad": bad}))


def test_grids_from_headers_alone(tmp_path: Path) -> None:
    source = volume(tmp_path / "a.nii", noise(0), np.diag([2.0, 2.0, 3.0, 1.0]))
    assert read_grid(source) == load_image(case({"t1n": source})).grid
    paths = (save(tmp_path / "1.png", grey(1)), save(tmp_path / "2.png", grey(2)))
    stack = Source(paths, "raster")
    assert read_grid(stack) == load_image(case({"grey": stack})).grid


# --- labels ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.float32, np.float64])
def test_labels_of_any_type(tmp_path: Path, kind: type[np.generic]) -> None:
    array = (noise(0) % 5).astype(kind)
    reference = load_labels(case({}, volume(tmp_path / "a.nii", array)), scheme_named("brats2015"))
    assert reference.array.dtype == np.uint8
    np.testing.assert_array_equal(reference.array, noise(0) % 5)


@pytest.mark.parametrize("value", [0.5, 0.988, 1.002, np.nan, np.inf])
def test_fractions_are_no_labels(tmp_path: Path, value: float) -> None:
    array = np.zeros(SHAPE, dtype=np.float32)
    array[1, 1, 1] = value
    with pytest.raises(LabelError, match=rf"a\.nii: the label map holds .* not whole numbers; found {value}; expected"):
        load_labels(case({}, volume(tmp_path / "a.nii", array)), scheme_named("brats2021"))


def test_round_off_is_no_fraction(tmp_path: Path) -> None:
    array = np.zeros(SHAPE, dtype=np.float32)
    array[1, 1, :3] = (0.99994, 2.0009, -0.0005)
    labels = load_labels(case({}, volume(tmp_path / "a.nii", array)), scheme_named("brats2021"))
    assert labels.array[1, 1].tolist() == [1, 2, 0, 0]


@pytest.mark.parametrize("value", [3, -1, 300])
def test_values_outside_the_scheme(tmp_path: Path, value: int) -> None:
    array = np.zeros(SHAPE, dtype=np.int16)
    array[1, 1, 1] = value
    source = volume(tmp_path / "a.nii", array)
    with pytest.raises(
        LabelError, match=rf"a\.nii: label values outside the scheme brats2021; found {value};.*scheme="
    ):
        load_labels(case({}, source), scheme_named("brats2021"))
    assert value in read_labels(source, scheme_named("brats2021")).array  # a check wants to count them


def test_no_reference() -> None:
    with pytest.raises(LabelError, match="case one has no reference"):
        load_labels(case({}), scheme_named("brats2021"))


def test_masks_in_pictures(tmp_path: Path) -> None:
    source = Source((save(tmp_path / "1.png", square()), save(tmp_path / "2.png", 0 * square())), "raster")
    for scheme, value in (("lgg", 255), ("binary", 1)):
        array = load_labels(case({}, source), scheme_named(scheme)).array
        shown: npt.NDArray[Any] = load_image(case({"m": source})).array[0, :, :, 0]
        np.testing.assert_array_equal(array[:, :, 0], (shown > 0) * value)
        assert not array[:, :, 1].any()


def test_labels_in_pictures(tmp_path: Path) -> None:
    pixels = np.zeros((8, 6), dtype=np.uint8)
    pixels[1:4, 2] = (1, 2, 3)
    source = Source((save(tmp_path / "1.png", pixels),), "raster")
    assert sorted(np.unique(load_labels(case({}, source), scheme_named("brats2023")).array)) == [0, 1, 2, 3]


@pytest.mark.parametrize(("name", "pixels", "found"), [("1.jpg", square(), "JPEG"), ("1.png", colour(1), "colours")])
def test_pictures_that_cannot_hold_several_labels(
    tmp_path: Path, name: str, pixels: npt.NDArray[np.uint8], found: str
) -> None:
    source = Source((save(tmp_path / name, pixels),), "raster")
    with pytest.raises(LabelError, match=found):
        load_labels(case({}, source), scheme_named("brats2023"))


def test_masks_in_hdf5(tmp_path: Path) -> None:
    """One channel per label of the scheme, in its order; where two overlap the later one counts."""
    masks = np.zeros((4, 3, 3), dtype=np.uint8)
    masks[0, 0, 0] = masks[1, 0, 1] = masks[2, 0, 2] = 1
    masks[3, 0] = 1
    with h5py.File(tmp_path / "0.h5", "w") as file:
        file["mask"] = masks
    source = Source((tmp_path / "0.h5",), "hdf5", None, "mask")
    assert load_labels(case({}, source), scheme_named("brats2021")).array[:, 0, 0].tolist() == [1, 2, 4, 4]
    with pytest.raises(LabelError, match=r"one channel for each label of scheme brats2024; found 3 channels"):
        load_labels(case({}, source), scheme_named("brats2024"))


# --- a mask for each region ------------------------------------------------------------------------------------------


def layers(tmp_path: Path, whole: npt.NDArray[np.uint8], core: npt.NDArray[np.uint8], **of_core: Any) -> Source:
    paths = (tmp_path / "WT.nii", tmp_path / "TC.nii")
    volume(paths[0], whole)
    volume(paths[1], core, **of_core)
    return Source(paths, "nifti", layers=("WT", "TC"))


def test_masks_of_regions_are_one_label_map(tmp_path: Path) -> None:
    """Of WT without TC there is oedema alone; of TC what no mask tells apart is one label, the core."""
    whole, core = np.zeros((2, *SHAPE), dtype=np.uint8)
    whole[1:5], core[2:4] = 1, 7
    scheme = scheme_of_layers(("WT", "TC"))
    labels = load_labels(case({}, layers(tmp_path, whole, core)), scheme)
    assert labels.array[:, 0, 0].tolist() == [0, *(scheme.labels[name] for name in ("ED", "TC", "TC", "ED")), 0]


def test_the_mask_of_a_region_holds_one_value(tmp_path: Path) -> None:
    whole = np.ones(SHAPE, dtype=np.uint8)
    core = np.arange(SHAPE[0], dtype=np.uint8)[:, None, None] % 3 * whole
    with pytest.raises(LabelError, match=r"TC\.nii: the mask of one region holds several values; found 1, 2"):
        read_labels(layers(tmp_path, whole, core), scheme_of_layers(("WT", "TC")))


def test_masks_of_regions_lie_on_one_grid(tmp_path: Path) -> None:
    whole = np.ones(SHAPE, dtype=np.uint8)
    source = layers(tmp_path, whole, whole, affine=np.diag([1.0, 1.0, 2.0, 1.0]))
    with pytest.raises(GeometryError, match=r"lie on different grids, TC\.nii on another than WT\.nii; found spacing"):
        read_labels(source, scheme_of_layers(("WT", "TC")))


@pytest.mark.parametrize(
    ("kind", "n_channels"), [("nifti", 2), ("nifti", 1), ("hdf5", 4), ("hdf5", 1), ("raster", 3), ("raster", 1)]
)
def test_channels_are_counted_in_headers(kind: SourceKind, n_channels: int, tmp_path: Path) -> None:
    pixels = np.zeros((5, 6, n_channels), dtype=np.uint8)
    path = tmp_path / {"nifti": "a.nii", "hdf5": "a.h5", "raster": "a.png"}[kind]
    if kind == "nifti":
        nibabel.save(nibabel.Nifti1Image(np.zeros((2, 3, 4, n_channels), np.int16), np.eye(4)), path)
    elif kind == "hdf5":
        with h5py.File(path, "w") as file:
            file["image"] = pixels
    else:
        Pillow.fromarray(pixels.squeeze()).save(path)
    assert read_n_channels(Source((path,), kind)) == n_channels

"""DICOM volumes: their voxels and their place, by hand and as dcm2niix and SimpleITK read them."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import numpy.typing as npt
import pytest
import SimpleITK

from glioseg.core import Grid
from glioseg.errors import FileError
from glioseg.io.dicom.voxels import read_dicom
from tests.fakes.dicom import SYNTAXES, T1N, T2W, Affine, Series, Voxels, oblique, write_series

SHAPE = (20, 16, 6)
PLAIN = np.array([[-0.9, 0, 0, 8.0], [0, -0.9, 0, 7.0], [0, 0, 3.0, -9.0], [0, 0, 0, 1.0]])


def _array(*, signed: bool = True, bits: int = 16) -> Voxels:
    """Different in every voxel, over the whole range of the bits."""
    low, high = (-(1 << (bits - 1)), 1 << (bits - 1)) if signed else (0, 1 << bits)
    values = np.linspace(low, high - 1, num=int(np.prod(SHAPE))).round()
    return np.random.default_rng(0).permutation(values).reshape(SHAPE).astype(np.int32)


def _flipped(affine: Affine, axes: tuple[int, ...]) -> Affine:
    changed = affine.copy()
    for axis in axes:
        changed[:, axis] *= -1
    return changed


SAGITTAL = np.array([[0, 0, 1.2, -20.0], [-1.0, 0, 0, 30.0], [0, -1.0, 0, 40.0], [0, 0, 0, 1.0]])
CORONAL = np.array([[-0.8, 0, 0, 10.0], [0, 0, -2.0, 11.0], [0, -0.8, 0, 12.0], [0, 0, 0, 1.0]])
AFFINES = {
    "plain": PLAIN,
    "oblique": oblique(),
    "anisotropic": oblique((0.45, 1.1, 6.0)),
    "sagittal": SAGITTAL,
    "coronal": CORONAL,
    "feet first": _flipped(PLAIN, (0, 2)) @ np.diag([1, 1, -1, 1.0]),
    "prone": _flipped(PLAIN, (0, 1)),
    "head first, decubitus": PLAIN[:, [1, 0, 2, 3]] * np.array([1, -1, 1, 1.0]),
}
VARIANTS = {
    **{name: Series(syntax=name) for name in SYNTAXES},
    "enhanced": Series(enhanced=True),
    "enhanced rle": Series(enhanced=True, syntax="rle"),
    "unsigned 12 bit": Series(signed=False, bits=12),
    "signed 12 bit": Series(bits=12),
    "jpeg-2000 12 bit": Series(syntax="jpeg-2000", bits=12, signed=False),
    "jpeg-ls 12 bit": Series(syntax="jpeg-ls", bits=12, signed=False),
    "rescaled": Series(rescale=(0.25, -100.0)),
    "rescaled enhanced": Series(rescale=(2.5, 10.0), enhanced=True),
}


@pytest.mark.parametrize("series", VARIANTS.values(), ids=VARIANTS)
def test_every_way_of_writing_gives_the_same_voxels(series: Series, tmp_path: Path) -> None:
    series = replace(series, signed=series.signed and not series.syntax.startswith("jpeg"))
    array = _array(signed=series.signed, bits=series.bits)
    read, grid = read_dicom(write_series(tmp_path, array, oblique(), series)[::-1])
    slope, intercept = series.rescale or (1.0, 0.0)
    np.testing.assert_array_equal(read, array * slope + intercept)
    assert read.dtype == (np.float32 if series.rescale else np.int16 if series.signed else np.uint16)
    assert grid.furthest_mm(Grid(SHAPE, oblique())) < 1e-3


@pytest.mark.parametrize("affine", AFFINES.values(), ids=AFFINES)
@pytest.mark.parametrize("enhanced", [False, True], ids=["classic", "enhanced"])
def test_voxels_lie_where_they_were_put(affine: Affine, enhanced: bool, tmp_path: Path) -> None:
    """The stack may run against the normal; then Z is turned, and each voxel stays in its place."""
    array = _array()
    read, grid = read_dicom(write_series(tmp_path, array, affine, Series(enhanced=enhanced)))
    expected, place = _along_normal(array, affine)
    np.testing.assert_array_equal(read, expected)
    assert grid.furthest_mm(Grid(SHAPE, place)) < 1e-3


def _along_normal(array: Voxels, affine: Affine) -> tuple[Voxels, Affine]:
    """X, Y, Z right-handed in LPS, and so in RAS, whose half turn about Z keeps the hand."""
    if np.linalg.det(affine[:3, :3]) > 0:
        return array, affine
    turned = affine.copy()
    turned[:, 3] += (array.shape[2] - 1) * affine[:, 2]
    turned[:, 2] *= -1
    return array[:, :, ::-1], turned


def _canonical(array: npt.NDArray[np.generic], affine: Affine) -> tuple[npt.NDArray[np.float64], Affine]:
    image = nibabel.as_closest_canonical(nibabel.Nifti1Image(np.asarray(array, np.float64), affine))
    return np.asarray(image.dataobj), image.affine


def _by_simpleitk(folder: Path) -> tuple[npt.NDArray[np.generic], Affine]:
    files = SimpleITK.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder))
    image = SimpleITK.ReadImage(files if len(files) > 1 else files[0])
    lps = np.eye(4)
    lps[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) @ np.diag(image.GetSpacing())
    lps[:3, 3] = image.GetOrigin()
    return SimpleITK.GetArrayFromImage(image).T, np.diag([-1.0, -1.0, 1.0, 1.0]) @ lps


def _by_dcm2niix(folder: Path, out: Path) -> tuple[npt.NDArray[np.generic], Affine]:
    out.mkdir()
    program = Path(sys.executable).parent / "dcm2niix"
    ran = subprocess.run(
        [program, "-b", "n", "-z", "n", "-f", "scan", "-o", out, folder], capture_output=True, text=True, check=False
    )
    (path,) = out.glob("*.nii")
    assert ran.returncode == 0, ran.stdout
    image = nibabel.load(path)
    return np.asarray(image.dataobj), image.affine


ORACLES = [
    *((name, affine, Series()) for name, affine in AFFINES.items()),
    *((name, oblique(), series) for name, series in VARIANTS.items()),
]


@pytest.mark.parametrize(("name", "affine", "series"), ORACLES, ids=[name for name, _, _ in ORACLES])
def test_as_dcm2niix_and_simpleitk_read_them(name: str, affine: Affine, series: Series, tmp_path: Path) -> None:
    kind = T2W if series.enhanced else T1N
    series = replace(series, tags=kind.tags, signed=series.signed and not series.syntax.startswith("jpeg"))
    series = replace(series, shuffled=name != "enhanced rle")  # whose frames dcm2niix takes in their order
    array = _array(signed=series.signed, bits=min(series.bits, 15))
    read, grid = read_dicom(write_series(tmp_path / "in", array, affine, series))
    ours, place = _canonical(read, grid.affine)
    others = [_by_dcm2niix(tmp_path / "in", tmp_path / "out")]
    if not series.enhanced:  # ITK takes the frames of a file in their order there, wherever they lie
        others.append(_by_simpleitk(tmp_path / "in"))
    for voxels, theirs in others:
        expected, other = _canonical(voxels, theirs)
        np.testing.assert_allclose(place, other, atol=1e-3)
        np.testing.assert_array_equal(ours, expected)


class PanicException(BaseException):
    """As decoders in Rust end, by pyo3: no ``Exception``."""


def test_a_decoder_that_panics_costs_its_series_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def panic(*_: object, **__: object) -> None:
        raise PanicException("index out of range")

    paths = write_series(tmp_path, _array(), oblique(), Series())
    monkeypatch.setattr("pydicom.pixels.pixel_array", panic)
    with pytest.raises(FileError, match=r"the voxels cannot be decoded; found PanicException"):
        read_dicom(paths)

"""NIfTI: voxels, grids, and every way in which a download breaks."""

from __future__ import annotations

import gzip
import pickle
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glioseg.core import Grid
from glioseg.errors import FileError, GeometryError
from glioseg.io.in_memory import voxels_of
from glioseg.io.nifti import oddity, read_nifti, read_nifti_grid, write_nifti
from tests.fakes.damage import as_empty, as_text, truncate

ARRAY: npt.NDArray[np.int16] = np.random.default_rng(0).integers(-500, 500, (6, 5, 4)).astype(np.int16)


def oblique(angle: float = 0.4, tilt: float = -0.2) -> npt.NDArray[np.float64]:
    """Turned about z and then about x, 1 x 2 x 3 mm, off the origin."""
    about_z = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]])
    affine = np.eye(4)
    affine[:3, :3] = about_x @ about_z * (1.0, 2.0, 3.0)
    affine[:3, 3] = (-10.5, 20.25, 3.0)
    return affine


GRID = Grid((6, 5, 4), oblique())


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.uint16, np.float32, np.float64])
def test_what_is_written_is_read(tmp_path: Path, ending: str, kind: type[np.generic]) -> None:
    array = np.abs(ARRAY).astype(kind)
    write_nifti(tmp_path / f"a{ending}", array, GRID)
    back, grid = read_nifti(tmp_path / f"a{ending}")
    np.testing.assert_array_equal(back, array)
    assert back.dtype == array.dtype
    assert grid.difference(GRID) is None


@given(angle=st.floats(-3, 3), tilt=st.floats(-1.5, 1.5))
def test_any_oblique_grid_comes_back(tmp_path_factory: pytest.TempPathFactory, angle: float, tilt: float) -> None:
    path = tmp_path_factory.mktemp("oblique") / "a.nii"
    grid = Grid((6, 5, 4), oblique(angle, tilt))
    write_nifti(path, ARRAY, grid)
    assert read_nifti_grid(path)[0].furthest_mm(grid) < 1e-4


def test_the_affine_is_that_of_voxel_centres_in_ras(tmp_path: Path) -> None:
    """Voxel (1, 0, 0) of a grid that grows to the left by 2 mm lies 2 mm further to the left."""
    write_nifti(tmp_path / "a.nii", ARRAY, Grid((6, 5, 4), np.diag([-2.0, 1.0, 1.0, 1.0])))
    affine = nibabel.load(tmp_path / "a.nii").affine
    assert (affine @ (1, 0, 0, 1)).tolist() == [-2.0, 0.0, 0.0, 1.0]
    assert read_nifti(tmp_path / "a.nii")[1].orientation == "LAS"


def two_forms(path: Path, move_mm: float = 30.0) -> Path:
    """A scan whose qform (code 1) lies ``move_mm`` beside its sform (code 2, aligned) along x."""
    image = nibabel.Nifti1Image(ARRAY, GRID.affine)
    image.set_sform(GRID.affine, code=2)
    moved = GRID.affine.copy()
    moved[0, 3] += move_mm
    image.set_qform(moved, code=1)
    nibabel.save(image, path)
    return path


def test_both_forms_of_a_scan_are_kept(tmp_path: Path) -> None:
    array, grid = read_nifti(two_forms(tmp_path / "scan.nii"))
    assert grid == GRID or grid.difference(GRID) is None
    assert grid.forms_apart_mm == pytest.approx(30.0, abs=1e-3)
    write_nifti(tmp_path / "mask.nii", array, grid)
    image = nibabel.load(tmp_path / "mask.nii")
    (sform, sform_code), (qform, qform_code) = image.get_sform(coded=True), image.get_qform(coded=True)
    assert (sform_code, qform_code) == (2, 1)
    np.testing.assert_allclose(sform, GRID.affine, atol=1e-4)
    np.testing.assert_allclose(qform[:, 3], GRID.affine[:, 3] + (30, 0, 0, 0), atol=1e-4)


def test_forms_that_differ_by_rounding_are_one(tmp_path: Path) -> None:
    assert read_nifti_grid(two_forms(tmp_path / "scan.nii", 0.05))[0].other_form is None
    assert read_nifti_grid(two_forms(tmp_path / "moved.nii", 0.2))[0].other_form is not None


def test_an_image_in_memory_keeps_both_forms(tmp_path: Path) -> None:
    _, grid = voxels_of(nibabel.load(two_forms(tmp_path / "scan.nii")))
    assert grid.other_form is not None
    assert pickle.loads(pickle.dumps(grid)).forms_apart_mm == grid.forms_apart_mm
    assert grid.flipped(0).other_form is None


def test_other_software_finds_both_forms_and_millimetres(tmp_path: Path) -> None:
    write_nifti(tmp_path / "a.nii.gz", ARRAY, GRID)
    image = nibabel.load(tmp_path / "a.nii.gz")
    np.testing.assert_allclose(image.get_qform(), GRID.affine, atol=1e-4)
    np.testing.assert_allclose(image.get_sform(), GRID.affine, atol=1e-4)
    assert image.header.get_xyzt_units()[0] == "mm"
    np.testing.assert_allclose(image.header.get_zooms(), (1, 2, 3), rtol=1e-5)


def test_the_same_voxels_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_nifti(tmp_path / f"{name}.nii.gz", ARRAY, GRID)
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()


def test_four_axes(tmp_path: Path) -> None:
    array = np.stack([ARRAY, ARRAY + 1], axis=-1)
    write_nifti(tmp_path / "a.nii.gz", array, GRID)
    back, grid = read_nifti(tmp_path / "a.nii.gz")
    assert back.shape == (6, 5, 4, 2)
    assert (grid.shape, read_nifti_grid(tmp_path / "a.nii.gz")[1]) == ((6, 5, 4), 2)


@pytest.mark.parametrize(
    ("shape", "read_as"), [((6, 5, 4, 1), (6, 5, 4)), ((6, 5, 4, 1, 1), (6, 5, 4)), ((6, 5), (6, 5, 1))]
)
def test_axes_of_length_one(tmp_path: Path, shape: tuple[int, ...], read_as: tuple[int, ...]) -> None:
    nibabel.Nifti1Image(np.zeros(shape, dtype=np.int16), np.eye(4)).to_filename(tmp_path / "a.nii")
    array, grid = read_nifti(tmp_path / "a.nii")
    assert array.shape == grid.shape == read_as


@pytest.mark.parametrize("shape", [(6,), (6, 5, 4, 2, 2)])
def test_what_is_no_volume_is_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    nibabel.Nifti1Image(np.zeros(shape, dtype=np.int16), np.eye(4)).to_filename(tmp_path / "a.nii")
    with pytest.raises(GeometryError, match="not a volume"):
        read_nifti(tmp_path / "a.nii")


def test_scaled_intensities_become_floats(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(np.zeros((2, 2, 2), dtype=np.int16), np.eye(4))
    image.header.set_slope_inter(0.5, 3.0)
    image.to_filename(tmp_path / "a.nii")
    data = bytearray((tmp_path / "a.nii").read_bytes())
    data[352:354] = (8).to_bytes(2, "little")  # the first voxel, behind the header of 352 bytes
    (tmp_path / "a.nii").write_bytes(data)
    array, _ = read_nifti(tmp_path / "a.nii")
    assert array.dtype == np.float32
    stored = nibabel.load(tmp_path / "a.nii").dataobj
    assert array[0, 0, 0] == 8 * stored.slope + stored.inter


def test_nifti_2_and_big_endian(tmp_path: Path) -> None:
    nibabel.Nifti2Image(ARRAY, np.eye(4)).to_filename(tmp_path / "two.nii.gz")
    np.testing.assert_array_equal(read_nifti(tmp_path / "two.nii.gz")[0], ARRAY)
    header = nibabel.Nifti1Header(endianness=">")
    header.set_data_dtype(np.int16)
    nibabel.Nifti1Image(ARRAY, np.eye(4), header).to_filename(tmp_path / "big.nii.gz")
    np.testing.assert_array_equal(read_nifti(tmp_path / "big.nii.gz")[0], ARRAY)


def test_colours_are_no_intensities(tmp_path: Path) -> None:
    colours = np.zeros((2, 2, 2), dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    nibabel.Nifti1Image(colours, np.eye(4)).to_filename(tmp_path / "a.nii")
    with pytest.raises(GeometryError, match="no real numbers"):
        read_nifti(tmp_path / "a.nii")


def test_an_affine_that_cannot_be_inverted(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(ARRAY, np.eye(4))
    image.header["srow_x"] = (0, 0, 0, 0)
    image.header["sform_code"] = 1
    (tmp_path / "a.nii").write_bytes(image.header.binaryblock + bytes(4) + ARRAY.tobytes("F"))
    with pytest.raises(GeometryError, match=r"a\.nii: the affine"):
        read_nifti(tmp_path / "a.nii")


# --- damage ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.99])
def test_truncated(tmp_path: Path, ending: str, share: float) -> None:
    path = tmp_path / f"a{ending}"
    write_nifti(path, ARRAY, GRID)
    truncate(path, share)
    with pytest.raises(FileError, match=f"{path.name}: the file is damaged"):
        read_nifti(path)


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
@pytest.mark.parametrize(("damage", "found"), [(as_text, "damaged"), (as_empty, "0 bytes")])
def test_no_nifti_at_all(tmp_path: Path, ending: str, damage: Callable[[Path], None], found: str) -> None:
    damage(tmp_path / f"a{ending}")
    for read in (read_nifti, read_nifti_grid):
        with pytest.raises(FileError, match=found):
            read(tmp_path / f"a{ending}")


@pytest.mark.parametrize("place", [0.3, 0.5, 0.7, 0.9])
def test_flipped_bits_are_noticed_by_the_check_sum(tmp_path: Path, place: float) -> None:
    path = tmp_path / "a.nii.gz"
    write_nifti(
        path, np.random.default_rng(1).integers(0, 999, (6, 5, 40)).astype(np.int16), Grid((6, 5, 40), np.eye(4))
    )
    data = bytearray(path.read_bytes())
    data[int(len(data) * place)] ^= 0x10
    path.write_bytes(data)
    with pytest.raises(FileError, match="damaged"):
        read_nifti(path)


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="no such file"):
        read_nifti(tmp_path / "a.nii.gz")


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FileError, match="cannot be written"):
        write_nifti(tmp_path / "file" / "a.nii.gz", ARRAY, GRID)


# -- files that are not what their names say ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ending", "packings", "words"),
    [
        (".nii", 0, None),
        (".nii", 1, "compressed"),
        (".nii", 2, "compressed twice"),
        (".nii.gz", 0, "not compressed"),
        (".nii.gz", 1, None),
        (".nii.gz", 2, "compressed twice"),
    ],
)
@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
def test_compressed_or_not_whatever_the_name_says(
    tmp_path: Path, ending: str, packings: int, words: str | None, kind: type[nibabel.Nifti1Image]
) -> None:
    data = kind(ARRAY, GRID.affine).to_bytes()
    for _ in range(packings):
        data = gzip.compress(data)
    path = tmp_path / f"a{ending}"
    path.write_bytes(data)
    array, grid = read_nifti(path)
    np.testing.assert_array_equal(array, ARRAY)
    assert grid.difference(GRID) is None
    assert read_nifti_grid(path)[0] == grid
    assert oddity(path) == (None if words is None else f"a{ending} is {words}, whatever its name says")


@pytest.mark.parametrize("ending", [".mgz", ".mgh"])
def test_freesurfer(tmp_path: Path, ending: str) -> None:
    nibabel.MGHImage(ARRAY, GRID.affine).to_filename(tmp_path / f"a{ending}")
    array, grid = read_nifti(tmp_path / f"a{ending}")
    np.testing.assert_array_equal(array, ARRAY)
    assert grid.furthest_mm(GRID) < 1e-4
    assert oddity(tmp_path / f"a{ending}") is None


@pytest.mark.parametrize("kind", [nibabel.Nifti1Pair, nibabel.Spm99AnalyzeImage, nibabel.AnalyzeImage])
def test_header_and_voxels_in_two_files(tmp_path: Path, kind: type[nibabel.Nifti1Pair]) -> None:
    affine = np.diag([-1.0, 2.0, 3.0, 1.0])
    kind(ARRAY, affine).to_filename(tmp_path / "a.img")
    array, grid = read_nifti(tmp_path / "a.hdr")
    np.testing.assert_array_equal(array, ARRAY)
    assert grid.spacing == (1.0, 2.0, 3.0)
    said = oddity(tmp_path / "a.hdr")
    assert (said is None) == (kind is nibabel.Nifti1Pair)
    (tmp_path / "a.img").unlink()
    with pytest.raises(FileError, match=r"a\.hdr: the header has no voxels beside it; expected a\.img"):
        read_nifti(tmp_path / "a.hdr")

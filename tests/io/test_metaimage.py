"""MetaImage and NRRD: LPS there, RAS+ here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import SimpleITK as sitk  # noqa: N813 - the name everyone uses

from glioseg.core import Grid
from glioseg.errors import FileError, GeometryError
from glioseg.io.metaimage import read_metaimage, read_metaimage_grid, write_metaimage
from glioseg.io.nifti import read_nifti_grid
from tests.fakes.damage import as_empty, as_text, truncate
from tests.io.test_nifti import oblique

ARRAY: npt.NDArray[np.int16] = np.random.default_rng(0).integers(-500, 500, (6, 5, 4)).astype(np.int16)
GRID = Grid((6, 5, 4), oblique())
ENDINGS = [".mha", ".nrrd"]


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.float32])
def test_what_is_written_is_read(tmp_path: Path, ending: str, kind: type[np.generic]) -> None:
    array = np.abs(ARRAY).astype(kind)
    write_metaimage(tmp_path / f"a{ending}", array, GRID)
    back, grid = read_metaimage(tmp_path / f"a{ending}")
    np.testing.assert_array_equal(back, array)
    assert back.dtype == array.dtype
    assert grid.furthest_mm(GRID) < 1e-6
    assert read_metaimage_grid(tmp_path / f"a{ending}")[0] == grid


@pytest.mark.parametrize("ending", ENDINGS)
def test_lps_there_is_ras_here(tmp_path: Path, ending: str) -> None:
    """A voxel step of +2 mm along ITK's x goes to the left, which is -2 mm in RAS+."""
    image = sitk.GetImageFromArray(ARRAY.T.copy())
    image.SetSpacing((2.0, 3.0, 4.0))
    image.SetOrigin((10.0, 20.0, 30.0))
    sitk.WriteImage(image, str(tmp_path / f"a{ending}"))
    array, grid = read_metaimage(tmp_path / f"a{ending}")
    np.testing.assert_array_equal(array, ARRAY)
    np.testing.assert_allclose(grid.affine, [[-2, 0, 0, -10], [0, -3, 0, -20], [0, 0, 4, 30], [0, 0, 0, 1]])
    assert grid.orientation == "LPS"


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_same_scan_as_nifti_lies_in_the_same_place(tmp_path: Path, ending: str) -> None:
    """SimpleITK, which knows both conventions, is the judge."""
    write_metaimage(tmp_path / f"a{ending}", ARRAY, GRID)
    sitk.WriteImage(sitk.ReadImage(str(tmp_path / f"a{ending}")), str(tmp_path / "a.nii.gz"))
    assert read_nifti_grid(tmp_path / "a.nii.gz")[0].furthest_mm(GRID) < 1e-4


@pytest.mark.parametrize("ending", ENDINGS)
def test_channels_come_last(tmp_path: Path, ending: str) -> None:
    array = np.stack([ARRAY, ARRAY + 1], axis=-1)
    sitk.WriteImage(sitk.GetImageFromArray(array.transpose(2, 1, 0, 3), isVector=True), str(tmp_path / f"a{ending}"))
    back, _ = read_metaimage(tmp_path / f"a{ending}")
    np.testing.assert_array_equal(back, array)
    assert read_metaimage_grid(tmp_path / f"a{ending}")[1] == 2


def test_a_picture_is_one_slice(tmp_path: Path) -> None:
    sitk.WriteImage(sitk.GetImageFromArray(ARRAY[:, :, 0].T.copy()), str(tmp_path / "a.mha"))
    array, grid = read_metaimage(tmp_path / "a.mha")
    assert array.shape == grid.shape == (6, 5, 1)


def test_a_fourth_axis_of_length_one(tmp_path: Path) -> None:
    sitk.WriteImage(sitk.GetImageFromArray(ARRAY.T[None].copy(), isVector=False), str(tmp_path / "a.mha"))
    assert read_metaimage(tmp_path / "a.mha")[0].shape == (6, 5, 4)


def test_four_axes_are_refused(tmp_path: Path) -> None:
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((2, 3, 4, 5)), isVector=False), str(tmp_path / "a.mha"))
    with pytest.raises(GeometryError, match="not a volume"):
        read_metaimage(tmp_path / "a.mha")


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_truncated(tmp_path: Path, ending: str, compressed: bool, share: float) -> None:
    path = tmp_path / f"a{ending}"
    sitk.WriteImage(sitk.GetImageFromArray(np.tile(ARRAY, (1, 1, 9)).T.copy()), str(path), useCompression=compressed)
    truncate(path, share)
    with pytest.raises(FileError, match="damaged") as caught:
        read_metaimage(path)
    assert "No such file" not in str(caught.value)  # what ITK says of it


def test_flipped_bits_are_noticed_by_the_check_sum(tmp_path: Path) -> None:
    path = tmp_path / "a.mha"
    write_metaimage(path, np.tile(ARRAY, (1, 1, 9)), Grid((6, 5, 36), np.eye(4)))
    data = bytearray(path.read_bytes())
    data[-len(data) // 3] ^= 0x10
    path.write_bytes(data)
    with pytest.raises(FileError, match="damaged"):
        read_metaimage(path)


def test_voxels_in_a_file_of_their_own(tmp_path: Path) -> None:
    sitk.WriteImage(sitk.GetImageFromArray(ARRAY.T.copy()), str(tmp_path / "a.mhd"), useCompression=True)
    np.testing.assert_array_equal(read_metaimage(tmp_path / "a.mhd")[0], ARRAY)
    truncate(tmp_path / "a.zraw")
    with pytest.raises(FileError, match="cut off"):
        read_metaimage(tmp_path / "a.mhd")
    (tmp_path / "a.zraw").unlink()
    with pytest.raises(FileError):
        read_metaimage(tmp_path / "a.mhd")


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize(("damage", "found"), [(as_text, "damaged"), (as_empty, "0 bytes")])
def test_no_metaimage_at_all(tmp_path: Path, ending: str, damage: Callable[[Path], None], found: str) -> None:
    damage(tmp_path / f"a{ending}")
    for read in (read_metaimage, read_metaimage_grid):
        with pytest.raises(FileError, match=found):
            read(tmp_path / f"a{ending}")


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="no such file"):
        read_metaimage(tmp_path / "a.mha")

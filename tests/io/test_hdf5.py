"""HDF5 slices: stacked along Z, their geometry that of BraTS unless they say otherwise."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from glioseg.core import Grid
from glioseg.errors import FileError, GeometryError
from glioseg.io.hdf5 import hdf5_grid, read_hdf5_stack, write_hdf5_slice
from tests.fakes.cases import brats_grid
from tests.fakes.damage import as_empty, as_text, truncate

VOLUME = np.random.default_rng(0).integers(0, 99, (6, 5, 3, 4)).astype(np.int16)


def write(root: Path, grid: Grid) -> list[Path]:
    paths = [root / f"{index}.h5" for index in range(3)]
    for index, path in enumerate(paths):
        write_hdf5_slice(path, {"image": VOLUME[:, :, index]}, grid)
    return paths


@pytest.mark.parametrize("grid", [brats_grid((6, 5, 3)), brats_grid((6, 5, 3), 2.0)])
def test_what_is_written_is_read(tmp_path: Path, grid: Grid) -> None:
    paths = write(tmp_path, grid)
    np.testing.assert_array_equal(read_hdf5_stack(paths, "image"), VOLUME)
    assert hdf5_grid(paths[0], "image", 3) == (grid, 4)


def test_the_slices_of_a_stack_share_its_limit(tmp_path: Path) -> None:
    paths = write(tmp_path, brats_grid((6, 5, 3)))  # three slices of 6 x 5 x 4 = 120 values
    assert read_hdf5_stack(paths, "image", 360).shape == (6, 5, 3, 4)
    with pytest.raises(FileError, match=r"0\.h5.*more voxels than are read"):
        read_hdf5_stack(paths, "image", 359)


def test_files_of_the_published_geometry_look_like_the_published(tmp_path: Path) -> None:
    with h5py.File(write(tmp_path, brats_grid((6, 5, 3)))[0]) as file:
        assert list(file) == ["image"]
        assert not file["image"].attrs
    with h5py.File(write(tmp_path, brats_grid((6, 5, 3), 2.0))[0]) as file:
        assert list(file["image"].attrs) == ["affine"]


def test_the_same_slice_gives_the_same_bytes(tmp_path: Path) -> None:
    first, second = write(tmp_path / "a", brats_grid()), write(tmp_path / "b", brats_grid())
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_slices_of_different_shape(tmp_path: Path) -> None:
    paths = write(tmp_path, brats_grid((6, 5, 3)))
    write_hdf5_slice(paths[1], {"image": VOLUME[:5, :, 1]}, brats_grid((5, 5, 3)))
    with pytest.raises(GeometryError, match=r"1\.h5: the slices of one volume differ"):
        read_hdf5_stack(paths, "image")


def test_a_data_set_that_is_not_there(tmp_path: Path) -> None:
    paths = write(tmp_path, brats_grid((6, 5, 3)))
    with pytest.raises(FileError, match="found image; expected mask"):
        read_hdf5_stack(paths, "mask")
    with pytest.raises(FileError, match="lacks a data set"):
        hdf5_grid(paths[0], "mask", 3)


def test_a_data_set_without_channels(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["image"] = np.zeros(6)
    with pytest.raises(GeometryError, match="not \\(H, W, C\\)"):
        read_hdf5_stack([tmp_path / "a.h5"], "image")


def test_slices_without_an_axis_of_channels_have_one(tmp_path: Path) -> None:
    slices = np.arange(12, dtype=np.int16).reshape(2, 2, 3)
    paths = [tmp_path / f"{z}.h5" for z in range(2)]
    for path, pixels in zip(paths, slices, strict=True):
        with h5py.File(path, "w") as file:
            file["image"] = pixels
    np.testing.assert_array_equal(read_hdf5_stack(paths, "image"), slices.transpose(1, 2, 0)[..., None])


def test_a_group_in_the_place_of_a_data_set(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_group("image")
    with pytest.raises(GeometryError, match="not \\(H, W, C\\)"):
        read_hdf5_stack([tmp_path / "a.h5"], "image")


@pytest.mark.parametrize("damage", [truncate, as_text, as_empty])
def test_damaged(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    paths = write(tmp_path, brats_grid((6, 5, 3)))
    damage(paths[0])
    with pytest.raises(FileError, match=r"0\.h5: the file is damaged"):
        read_hdf5_stack(paths, "image")
    with pytest.raises(FileError, match=r"0\.h5: the file is damaged"):
        hdf5_grid(paths[0], "image", 3)


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="no such file"):
        read_hdf5_stack([tmp_path / "a.h5"], "image")


def test_text_in_the_place_of_voxels(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["mask"] = np.full((2, 2, 3), b"a")
    with pytest.raises(GeometryError, match="no real numbers"):
        read_hdf5_stack([tmp_path / "a.h5"], "mask")

"""HDF5 slices as the BraTS 2020 Kaggle set ships them: ``image`` (H, W, 4) and ``mask`` (H, W, 3), one file per slice.

Their first axis is the X of the volume they were cut from and their second its Y, as in the NIfTI files of BraTS 2020.
The published files carry no geometry: BraTS is 1 mm isotropic by definition. Ours (a phantom may be coarser) carry the
affine of their volume as an attribute of each data set.

A data set of two axes is a picture without millimetres, as MATLAB files (version 7.3, which are HDF5) hold it: their
first axis is the column too, since MATLAB stores columns one after the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from glioseg.core import MAX_VOXELS, Grid
from glioseg.core.grid import LPS_TO_RAS
from glioseg.errors import FileError, GeometryError
from glioseg.io.bounds import reading, require_room
from glioseg.io.files import replacing

_AFFINE_ATTRIBUTE = "affine"
_MOST_FACTS = 1000


def read_hdf5_stack(paths: Sequence[Path], dataset: str, limit: int = MAX_VOXELS) -> npt.NDArray[Any]:
    """One data set of every slice file, stacked: (X, Y, Z, C), channel after channel in memory.

    Doubles become float32: the published z-scores need no more, and a volume of four channels takes 143 MB as it is.

    Raises:
        FileError: missing, damaged, without that data set, more than ``limit`` voxels, or voxels in other files.
        GeometryError: slices of different shape.
    """
    first = _read(paths[0], dataset, limit // len(paths))
    kind = np.float32 if first.dtype == np.float64 else first.dtype
    stack = np.empty((first.shape[2], len(paths), first.shape[1], first.shape[0]), dtype=kind)
    for z, path in enumerate(paths):
        pixels = first if z == 0 else _read(path, dataset, limit // len(paths))
        if pixels.shape != first.shape:
            raise GeometryError(
                "the slices of one volume differ in shape", path=path, found=pixels.shape, expected=first.shape
            )
        stack[:, z] = pixels.T
    return stack.T


def hdf5_grid(path: Path, dataset: str, n_slices: int) -> tuple[Grid, int]:
    """The grid of a stack, 1 mm unless its first slice says otherwise, and its number of channels."""
    with reading(path), _opened(path) as file:
        data = _dataset(file, dataset, path)
        shape = data.shape
        if len(shape) == 2:
            return Grid.of_pictures((shape[0], shape[1], n_slices)), 1
        affine = data.attrs.get(_AFFINE_ATTRIBUTE)
        affine = _brats_affine(shape[1]) if affine is None else np.asarray(affine, dtype=np.float64)
        return Grid((shape[0], shape[1], n_slices), affine), shape[2]


def write_hdf5_slice(path: Path, datasets: dict[str, npt.NDArray[Any]], grid: Grid, *, sync: bool = True) -> None:
    """Write the data sets (X, Y, C) of one slice of a volume on ``grid``, lightly compressed.

    ``sync`` as for ``replacing``.

    Raises:
        FileError: the file cannot be written.
    """
    with replacing(path, sync=sync) as temporary, _opened(temporary, "w") as file:
        for name, array in datasets.items():
            written = file.create_dataset(name, data=array, compression="gzip", compression_opts=1)
            if not np.array_equal(grid.affine, _brats_affine(grid.shape[1])):
                written.attrs[_AFFINE_ATTRIBUTE] = grid.affine


def read_matlab_facts(path: Path, names: Sequence[str]) -> dict[str, tuple[float, ...]]:
    """The numbers in small data sets of a MATLAB file of version 7.3; texts are the numbers of their characters.

    Raises:
        FileError: missing, damaged, of an earlier version, or without one of them.
    """
    facts: dict[str, tuple[float, ...]] = {}
    with reading(path), _opened(path) as file:
        for name in names:
            data = _dataset(file, name, path)
            require_room(path, data.shape, _MOST_FACTS)
            facts[name] = tuple(np.asarray(data[()]).ravel().tolist())
    return facts


def _opened(path: Path, mode: str = "r") -> Any:  # noqa: ANN401 - h5py ships no types
    import h5py  # slow to import, and few need it

    return h5py.File(path, mode)


def _brats_affine(n_rows: int) -> npt.NDArray[np.float64]:
    """That of the BraTS NIfTI files: 1 mm, X grows to the left and Y to posterior, the origin at the last row."""
    affine = LPS_TO_RAS.copy()
    affine[1, 3] = n_rows - 1
    return affine


def _read(path: Path, dataset: str, limit: int) -> npt.NDArray[Any]:
    with reading(path), _opened(path) as file:
        data = _dataset(file, dataset, path)
        require_room(path, data.shape, limit)
        array = np.asarray(data[()])
        return array[..., None] if array.ndim == 2 else array


def _dataset(file: Any, name: str, path: Path) -> Any:  # noqa: ANN401
    import h5py

    if name not in file:
        raise FileError("the HDF5 file lacks a data set", path=path, found=", ".join(map(str, file)), expected=name)
    if isinstance(file.get(name, getlink=True), h5py.ExternalLink):
        raise _elsewhere(path, name)
    data = file[name]
    if not isinstance(data, h5py.Dataset) or len(data.shape or ()) not in (2, 3):
        found = getattr(data, "shape", "a group")
        raise GeometryError(f"data set {name} is not (H, W, C) or (H, W)", path=path, found=found)
    if data.dtype.kind not in "biuf":
        raise GeometryError(f"data set {name} holds no real numbers", path=path, found=data.dtype)
    if data.external or data.is_virtual:
        raise _elsewhere(path, name)
    return data


def _elsewhere(path: Path, name: str) -> FileError:
    """HDF5 can take voxels from any file that its reader may read."""
    return FileError(
        f"the voxels of data set {name} are not in the file",
        path=path,
        found="a reference to another file",
        remedy="Save the data set with its voxels: h5repack writes such a file",
    )

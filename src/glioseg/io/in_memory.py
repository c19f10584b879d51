"""Scans and masks as Python callers have them: paths, nibabel images, arrays with or without an affine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from glioseg.core import Grid, Image, LabelMap, LabelScheme, Source, scheme_named
from glioseg.errors import FileError, GeometryError, GliosegError, LabelError, OptionError
from glioseg.io.endings import file_kind
from glioseg.io.load import Voxels, read_sources, stacked, whole_numbers
from glioseg.io.nifti import grid_of
from glioseg.io.raster import COLOURS

Scan = str | PathLike[str] | Any
"""A path; a nibabel image; (array (X, Y, Z), affine (4, 4) of RAS+ mm); or an array alone, which has no mm: a picture
(rows, columns), or a stack (X, Y, Z)."""
_PICTURE_FULL = 255
"""What tumour is in a mask that is a picture."""


def voxels_of(scan: Scan) -> tuple[npt.NDArray[Any], Grid]:
    """The voxels (X, Y, Z) of one modality or mask, and where they lie.

    Raises:
        FileError: a file that is not there, damaged, or no scan.
        GeometryError: more or fewer axes than a volume has, or an affine that does not fit.
        OptionError: something else than a scan.
    """
    if isinstance(scan, str | PathLike):
        return _of_file(Path(scan))
    if isinstance(scan, tuple) and len(scan) == 2:
        array = _volume(np.asarray(scan[0]))
        return array, Grid(array.shape, np.asarray(scan[1], dtype=np.float64))
    if hasattr(scan, "dataobj") and hasattr(scan, "affine"):
        array = _volume(np.asanyarray(scan.dataobj))
        return array, grid_of(scan, (array.shape[0], array.shape[1], array.shape[2]))
    if isinstance(scan, np.ndarray):
        array = scan.T[:, :, None] if scan.ndim == 2 else _volume(scan)
        return array, Grid.of_pictures(array.shape)
    raise OptionError(
        "not a scan",
        found=type(scan).__name__,
        expected="a path, a nibabel image, an array, or (array, affine)",
    )


def named_alone(scan: Scan, modalities: Sequence[str]) -> dict[str, Scan]:
    """What one scan shows of the modalities that are needed: the only one, or the colours of a picture.

    Args:
        scan: as ``voxels_of`` takes it; a picture may be an array (rows, columns, 3), too.
        modalities: that are needed.

    Raises:
        OptionError: several are needed, and the scan is no picture.
    """
    if len(modalities) == 1:
        return {modalities[0]: scan}
    if isinstance(scan, str | PathLike) and Path(scan).is_dir():
        raise _is_folder(Path(scan))
    if tuple(modalities) == COLOURS:
        if isinstance(scan, np.ndarray) and scan.ndim in (2, 3) and scan.shape[2:] in ((), (len(COLOURS),)):
            channels = scan if scan.ndim == 3 else np.stack([scan] * len(COLOURS), axis=-1)
            return {name: channels[..., place] for place, name in enumerate(COLOURS)}
        if isinstance(scan, str | PathLike) and file_kind(Path(scan)) == "raster":
            return {name: _of_file(Path(scan), channel)[0][:, :, 0].T for channel, name in enumerate(COLOURS)}
    raise OptionError(
        "one scan shows one modality, and the network needs several",
        expected=", ".join(modalities),
        remedy=f"Give a dictionary: {{{', '.join(f'{modality!r}: …' for modality in modalities)}}}",
    )


def volumes_of(scans: Mapping[str, Scan]) -> dict[str, Voxels]:
    """Modalities, each on a grid of its own, in the order given; errors as ``voxels_of``.

    Raises:
        OptionError: no modality.
    """
    if not scans:
        raise OptionError("there is no modality", expected="such as {'t2f': 'flair.nii.gz'}")
    return {name: Voxels(*voxels_of(scan)) for name, scan in scans.items()}


def image_of(scans: Mapping[str, Scan]) -> Image:
    """Modalities that lie on one grid, in the order given; errors as ``voxels_of``.

    Raises:
        OptionError: no modality.
        GeometryError: modalities on different grids.
    """
    voxels = volumes_of(scans)
    (first, (_, grid)), *others = voxels.items()
    for name, other in others:
        difference = grid.difference(other.grid)
        if difference is not None:
            raise GeometryError(
                f"{first} and {name} lie on different grids",
                found=difference,
                remedy="Bring them to one grid with `--register`",
            )
    return stacked(voxels)


def label_map_of(mask: Scan, scheme: LabelScheme | str | None = None) -> LabelMap:
    """A mask with the meaning of its integers.

    Args:
        mask: as ``voxels_of`` takes it, of whole numbers; or a label map, whose own scheme holds.
        scheme: or its name; None for a mask of 0 and 1, or of 0 and 255, which is one of tumour or none.

    Raises:
        LabelError: values that are no whole numbers, or whose meaning is not known; see also ``LabelMap``.
    """
    if isinstance(mask, LabelMap):
        return mask
    array, grid = voxels_of(mask)
    integers = _whole(array)
    if scheme is not None:
        return LabelMap(integers, scheme_named(scheme) if isinstance(scheme, str) else scheme, grid)
    values = set(np.unique(integers).tolist()) - {0}
    if values == {_PICTURE_FULL}:
        integers, values = (integers > 0).astype(np.uint8), {1}
    if not values <= {1}:
        raise LabelError(
            "the meaning of the integers in a mask is not known",
            found=", ".join(map(str, sorted(values))),
            expected="0 and 1, or 0 and 255",
            remedy="Say it with scheme=, such as scheme='brats2023'",
        )
    return LabelMap(integers, scheme_named("binary"), grid)


def _is_folder(path: Path) -> FileError:
    remedy = "Read it (glioseg.read) and give a case of it, or use predict_files, which takes folders"
    return FileError("a folder is not one scan", path=path, expected="a file", remedy=remedy)


def _of_file(path: Path, channel: int | None = None) -> tuple[npt.NDArray[Any], Grid]:
    kind = file_kind(path)
    if not path.exists():
        raise FileError("there is no such file", path=path, remedy="Check the path for a typing error")
    if kind is None and path.is_dir():
        raise _is_folder(path)
    if kind is None:
        raise FileError("not a file that is read as a scan", path=path, expected="NIfTI, MetaImage, NRRD or a picture")
    voxels = read_sources({"scan": Source((path,), kind, channel)})["scan"]
    if isinstance(voxels, GliosegError):
        raise voxels
    return voxels.array, voxels.grid


def _volume(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    while array.ndim > 3 and array.shape[-1] == 1:
        array = array[..., 0]
    if array.ndim != 3:
        raise GeometryError("not a volume", found=f"axes {array.shape}", expected="(X, Y, Z)")
    return array


def _whole(array: npt.NDArray[Any]) -> npt.NDArray[np.integer]:
    if array.dtype.kind == "b":
        return array.astype(np.uint8)
    if array.dtype.kind in "iu":
        return array
    if array.dtype.kind == "f":
        return whole_numbers(array)
    raise LabelError("a mask holds whole numbers", found=array.dtype)

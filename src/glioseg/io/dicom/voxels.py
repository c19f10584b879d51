"""DICOM pictures -> voxels (X, Y, Z) in the unit that their rescaling gives."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from glioseg.core import MAX_VOXELS, Grid
from glioseg.errors import FileError, GliosegError
from glioseg.io.bounds import require_room
from glioseg.io.dicom.archive import contents
from glioseg.io.dicom.codestream import size_of
from glioseg.io.dicom.header import Unread, read_dataset, read_instance
from glioseg.io.dicom.instance import Frame, Instance
from glioseg.io.dicom.library import library, silenced
from glioseg.io.dicom.series import Volume, volumes_of
from glioseg.io.dicom.values import item_of, number_of, value_of

if TYPE_CHECKING:
    from pydicom import Dataset

_REMEDY = "Export the series again, or name another with `--modality NAME=SERIES`"


def read_dicom(
    paths: Sequence[Path], part: int = 0, limit: int = MAX_VOXELS, name: str | None = None
) -> tuple[npt.NDArray[Any], Grid]:
    """The voxels of a volume and where they lie.

    The array keeps the files' integers where nothing rescales them, and is float32 otherwise.

    Args:
        paths: the files of the volume, in any order.
        part: which volume, where they hold several.
        limit: more voxels are refused.
        name: what messages call the volume; None for its first file.

    Raises:
        FileError: a file is missing, damaged or cut off, or the files make no volume.
    """
    shown = name or str(paths[0])
    files = {path: _content(content, shown) for path, content in contents(paths)}
    volume = _volume(files, part, shown)
    grid = _grid_of(volume, shown)
    require_room(shown, grid.shape, limit)
    slices: npt.NDArray[Any] | None = None
    for z, picture in _pictures(volume, files, shown):
        if slices is None:
            slices = np.empty((len(volume.frames), *picture.shape), picture.dtype)
        if slices.dtype != picture.dtype:
            slices = slices.astype(np.float32)
        slices[z] = picture
    if slices is None:
        raise FileError("a DICOM volume without pictures", path=shown, remedy=_REMEDY)
    return slices.transpose(2, 1, 0), grid


def read_dicom_grid(paths: Sequence[Path], part: int = 0, name: str | None = None) -> Grid:
    """Where the voxels of a volume lie; errors as ``read_dicom``."""
    shown = name or str(paths[0])
    files = {path: _content(content, shown) for path, content in contents(paths)}
    return _grid_of(_volume(files, part, shown), shown)


def read_volume(paths: Sequence[Path], part: int = 0, name: str | None = None) -> Volume:
    """The pictures of a volume in the order of Z; errors as ``read_dicom``."""
    shown = name or str(paths[0])
    return _volume({path: _content(content, shown) for path, content in contents(paths)}, part, shown)


def _content(content: bytes | GliosegError, shown: str) -> bytes:
    if isinstance(content, GliosegError):
        raise FileError(content.what, path=shown, found=content.found, expected=content.expected, remedy=_REMEDY)
    return content


def _volume(files: Mapping[Path, bytes], part: int, shown: str) -> Volume:
    instances: list[Instance] = []
    for path, content in files.items():
        instance = read_instance(path, content)
        if not isinstance(instance, Instance):
            why = instance.why if isinstance(instance, Unread) else "it is no DICOM picture"
            raise FileError(f"a file of the series cannot be read: {why}", path=shown, remedy=_REMEDY)
        instances.append(instance)
    if len({instance.series for instance in instances}) != 1:
        raise FileError("files of several series", path=shown, remedy=_REMEDY)
    volumes = volumes_of(instances)
    if part >= len(volumes):
        raise FileError("the files hold fewer volumes", path=shown, found=len(volumes), expected=f"number {part}")
    return volumes[part]


def _grid_of(volume: Volume, shown: str) -> Grid:
    if volume.grid is None:
        raise FileError(f"the series cannot be used: {volume.fault}", path=shown, remedy=_REMEDY)
    return volume.grid


def _pictures(volume: Volume, files: Mapping[Path, bytes], shown: str) -> Iterator[tuple[int, npt.NDArray[Any]]]:
    """Each picture (rows, columns) with its place along Z; every file is decoded once."""
    places: dict[Path, list[tuple[int, Frame]]] = defaultdict(list)
    for z, frame in enumerate(volume.frames):
        places[frame.path].append((z, frame))
    for path, frames in places.items():
        with silenced():
            data = read_dataset(shown, files[path])
            for z, frame in frames:
                yield z, _picture(data, frame, shown)


def _picture(data: Dataset, frame: Frame, shown: str) -> npt.NDArray[Any]:
    try:
        _require_honest(data, frame, shown)
        pixels = library("pydicom.pixels").pixel_array(data, index=frame.index, raw=True)
        array = np.asarray(pixels, dtype=pixels.dtype.newbyteorder("="))
    except (GliosegError, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # a decoder in Rust ends in a PanicException, which is no Exception
        found = "float voxels" if "FloatPixelData" in data else type(error).__name__
        raise FileError("the voxels cannot be decoded", path=shown, found=found, remedy=_REMEDY) from error
    if array.shape != (frame.rows, frame.columns):
        raise FileError("the voxels cannot be decoded", path=shown, found=f"{array.shape}", remedy=_REMEDY)
    slope, intercept = _rescaling(data, frame.index)
    if (slope, intercept) == (1.0, 0.0):
        return array
    return (array * slope + intercept).astype(np.float32)


def _require_honest(data: Dataset, frame: Frame, shown: str) -> None:
    """Refuse a compressed picture that says another size than its header.

    Raises:
        FileError: it does.
    """
    syntax = data.file_meta.TransferSyntaxUID if "TransferSyntaxUID" in getattr(data, "file_meta", {}) else None
    if syntax is None or not syntax.is_encapsulated:
        return
    frames = int(data.get("NumberOfFrames") or 1)
    codestream = library("pydicom.encaps").get_frame(data.PixelData, frame.index, number_of_frames=frames)
    size = size_of(codestream)
    if size is not None and size != (frame.rows, frame.columns):
        raise FileError(
            "the compressed voxels are of another size than the header declares",
            path=shown,
            found=f"{size[0]}x{size[1]}",
            expected=f"{frame.rows}x{frame.columns}",
            remedy=_REMEDY,
        )


def _rescaling(data: Dataset, index: int) -> tuple[float, float]:
    """(slope, intercept) of a picture: its own, or that of the file."""
    groups = value_of(data, "PerFrameFunctionalGroupsSequence") or ()
    per_frame = groups[index] if index < len(groups) else {}
    shared = item_of(data, "SharedFunctionalGroupsSequence")
    for place in (
        item_of(per_frame, "PixelValueTransformationSequence"),
        item_of(shared, "PixelValueTransformationSequence"),
        data,
    ):
        slope, intercept = number_of(place, "RescaleSlope"), number_of(place, "RescaleIntercept")
        if slope is not None and slope != 0 and math.isfinite(slope):
            return slope, intercept or 0.0
    return 1.0, 0.0

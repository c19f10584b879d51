"""Volumes that a few lines of text describe (MetaImage and NRRD): where their voxels are, and how they become an array.

SimpleITK is not asked to read them: it crashes on some headers, and takes what it could decode before damage without a
word. What it gives for sound files is what the tests hold this to.
"""

from __future__ import annotations

import bz2
import gzip
import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from io import BufferedReader, BytesIO
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from glioseg.core import Grid
from glioseg.errors import FileError, GeometryError
from glioseg.io.bounds import DEFLATE, filled_from, require_end, require_room
from glioseg.io.text import file_size

Encoding = Literal["raw", "gzip", "zlib", "bzip2", "text", "hex"]
MOST_HEADER = 1 << 20
"""Bytes of a header: those of segmentations made in 3D Slicer have a few thousand."""

_LONGEST_NUMBER = 32
"""Characters that a voxel takes in text, its blank included."""


@dataclass(frozen=True, eq=False)
class HeaderDescription:
    """What a header says.

    Args:
        path: the header's file.
        sizes: of the axes, the fastest first, that of the channels among them.
        channels: which axis is that of the channels; None for one channel.
        affine: (4, 4) voxel to RAS+ mm.
        dtype: of a voxel, byte order included.
        encoding: of the voxels.
        data: the file that holds them, and
        offset: where in it they begin; None where they end it.
    """

    path: Path
    sizes: tuple[int, ...]
    channels: int | None
    affine: npt.NDArray[np.float64]
    dtype: np.dtype[Any]
    encoding: Encoding
    data: Path
    offset: int | None

    @property
    def n_channels(self) -> int:
        """Values in a voxel."""
        return 1 if self.channels is None else self.sizes[self.channels]

    @property
    def grid(self) -> Grid:
        """Where the voxels lie; two axes are those of a volume of one slice.

        Raises:
            GeometryError: fewer than two or more than three axes in space.
        """
        axes = [size for axis, size in enumerate(self.sizes) if axis != self.channels]
        while len(axes) > 3 and axes[-1] == 1:
            axes.pop()
        if len(axes) not in (2, 3):
            raise GeometryError("not a volume", path=self.path, found=f"axes {self.sizes}", expected="2 or 3 axes")
        x, y, z = (*axes, 1)[:3]
        try:
            return Grid((x, y, z), self.affine)
        except GeometryError as error:
            raise GeometryError(error.what, path=self.path, found=error.found) from error


def affine_of(directions: Sequence[Sequence[float]], origin: Sequence[float], signs: Sequence[float]) -> Any:  # noqa: ANN401
    """(4, 4) to RAS+ mm.

    Args:
        directions: of each axis in space, its step in mm as a vector.
        origin: of the first voxel.
        signs: 1 where a coordinate of the file grows as ours does, -1 where it grows the other way.
    """
    affine = np.eye(4)
    for axis, step in enumerate(directions[:3]):
        affine[: len(step[:3]), axis] = step[:3]
    affine[: len(origin[:3]), 3] = origin[:3]
    affine[: len(signs)] *= np.asarray(signs)[:, None]
    return affine


def beside(header: Path, name: str) -> Path:
    """The file of voxels that a header names, which must lie in the header's folder or below it.

    Raises:
        FileError: it leads elsewhere, or is several files.
    """
    if not name or any(part in ("..", "") for part in Path(name).parts) or Path(name).is_absolute() or "\\" in name:
        raise FileError(
            "the header names voxels that do not lie beside it",
            path=header,
            found=name or "no file",
            expected="a file in its folder",
            remedy="Move them there, and name them without a folder",
        )
    if name.upper().startswith("LIST") or "%" in name:
        remedy = "Save the volume as one file"
        raise FileError("the voxels of a volume are read from one file", path=header, found=name, remedy=remedy)
    return header.parent / name


def read_voxels(described: HeaderDescription, limit: int) -> npt.NDArray[Any]:
    """All voxels: (X, Y, Z) or (X, Y, Z, C), in native byte order.

    Raises:
        FileError: more than ``limit``, or more than the file holds.
        OSError, EOFError, ValueError, zlib.error: cut off or damaged.
    """
    shape, sizes, dtype = described.grid.shape, described.sizes, described.dtype
    n_bytes, stored = math.prod(sizes) * dtype.itemsize, file_size(described.data)
    held: dict[Encoding, int | None] = {"raw": stored, "gzip": stored * DEFLATE, "zlib": stored * DEFLATE}
    held |= {"bzip2": None, "text": stored * dtype.itemsize, "hex": stored}
    require_room(described.path, sizes, limit, n_bytes=n_bytes, most_bytes=held[described.encoding])
    with described.data.open("rb") as file:
        file.seek(stored - n_bytes if described.offset is None else described.offset)
        array = _decoded(file, described, n_bytes).astype(dtype.newbyteorder("="), copy=False)
    if described.channels is None:
        return array.reshape(shape, order="F")
    return np.moveaxis(array, described.channels, -1).reshape((*shape, described.n_channels), order="F")


def _decoded(file: BufferedReader, described: HeaderDescription, n_bytes: int) -> npt.NDArray[Any]:
    """The voxels in the order of ``sizes``, check sums verified."""
    sizes, dtype = described.sizes, described.dtype
    if described.encoding == "raw":
        return filled_from(file, sizes, dtype)
    if described.encoding in ("gzip", "bzip2"):
        with gzip.open(file) if described.encoding == "gzip" else bz2.open(file) as unpacked:
            array = filled_from(unpacked, sizes, dtype)
            require_end(unpacked, n_bytes)
        return array
    if described.encoding == "zlib":
        return filled_from(BytesIO(_inflated(file, n_bytes)), sizes, dtype)
    n_voxels = math.prod(sizes)
    if described.encoding == "hex":
        digits = file.read(2 * n_bytes + n_bytes // 8 + MOST_HEADER)
        return filled_from(BytesIO(bytes.fromhex(digits.decode("ascii"))), sizes, dtype)
    words = file.read(n_voxels * _LONGEST_NUMBER).split()[:n_voxels]
    if len(words) < n_voxels:
        raise EOFError(f"{len(words):,} of {n_voxels:,} voxels are there")
    return np.array(words).astype(np.float64 if dtype.kind == "f" else np.int64).astype(dtype).reshape(sizes, order="F")


def _inflated(file: BufferedReader, n_bytes: int) -> bytes:
    """What zlib packed, whose check sum is read with the last of it."""
    unpacker = zlib.decompressobj()
    data = unpacker.decompress(file.read(), n_bytes)
    while not unpacker.eof:  # nothing is left but the check sum, unless it is more than was declared
        rest = unpacker.unconsumed_tail
        if not rest or unpacker.decompress(rest, 1):
            raise ValueError("the compressed voxels are cut off" if not rest else "they are more than is declared")
    return data

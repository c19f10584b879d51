"""MetaImage (.mha, .mhd) and NRRD (.nrrd, .nhdr): LPS there, RAS+ here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from glioseg.core import MAX_VOXELS, Grid
from glioseg.core.grid import LPS_TO_RAS
from glioseg.errors import FileError
from glioseg.io.bounds import reading
from glioseg.io.described import MOST_HEADER, Encoding, HeaderDescription, affine_of, beside, read_voxels
from glioseg.io.endings import has_ending
from glioseg.io.files import replacing
from glioseg.io.nrrd import read_nrrd_header

_TYPES: Mapping[str, str] = MappingProxyType(
    {
        **{"MET_CHAR": "i1", "MET_UCHAR": "u1", "MET_SHORT": "i2", "MET_USHORT": "u2", "MET_INT": "i4"},
        **{"MET_UINT": "u4", "MET_LONG": "i4", "MET_ULONG": "u4", "MET_LONG_LONG": "i8", "MET_ULONG_LONG": "u8"},
        **{"MET_FLOAT": "f4", "MET_DOUBLE": "f8"},
    }
)
"""A long has 4 bytes in this format, wherever it is read."""


def read_metaimage(path: Path, limit: int = MAX_VOXELS) -> tuple[npt.NDArray[Any], Grid]:
    """All voxels: (X, Y, Z) or, for vector images, (X, Y, Z, C); and the grid in RAS+ mm.

    Args:
        path: a MetaImage or NRRD file, by its ending.
        limit: the most voxels that are read.

    Raises:
        FileError: missing, truncated, damaged, larger than ``limit``, or voxels that lie elsewhere.
        GeometryError: not a 2-D or 3-D image.
    """
    with reading(path):
        described = _described(path)
        return read_voxels(described, limit), described.grid


def read_metaimage_grid(path: Path) -> tuple[Grid, int]:
    """The grid and the number of channels, from the header alone; errors as ``read_metaimage``."""
    with reading(path):
        described = _described(path)
        return described.grid, described.n_channels


def write_metaimage(path: Path, array: npt.NDArray[Any], grid: Grid, *, sync: bool = True) -> None:
    """Write ``array`` (X, Y, Z) in its own type as ``.mha`` or ``.nrrd``, compressed; ``sync`` as for ``replacing``.

    Raises:
        FileError: the file cannot be written.
    """
    import SimpleITK as sitk  # noqa: N813 - the name everyone uses

    image = sitk.GetImageFromArray(np.ascontiguousarray(array.T))
    affine = LPS_TO_RAS @ grid.affine
    spacing = np.asarray(grid.spacing)
    image.SetSpacing(spacing.tolist())
    image.SetOrigin(affine[:3, 3].tolist())
    image.SetDirection((affine[:3, :3] / spacing).ravel().tolist())
    with replacing(path, sync=sync) as temporary:
        try:
            sitk.WriteImage(image, str(temporary), useCompression=True)
        except RuntimeError as error:
            raise OSError(str(error).strip().splitlines()[-1]) from error


def _described(path: Path) -> HeaderDescription:
    return read_nrrd_header(path) if has_ending(path, (".nrrd", ".nhdr")) else _read_header(path)


def _read_header(path: Path) -> HeaderDescription:
    """What the header of a MetaImage says.

    Raises:
        FileError: voxels of another type, or that lie elsewhere.
        ValueError: a field that is not there, or not what it should be.
    """
    fields, end = _fields(path)
    missing = [name for name in ("DimSize", "ElementType", "ElementDataFile") if name.lower() not in fields]
    if missing:
        raise ValueError(f"a header without {', '.join(missing)}")
    name, element = fields["elementdatafile"], fields["elementtype"].removesuffix("_ARRAY")
    if element not in _TYPES:
        raise FileError("the voxels are no real numbers", path=path, found=element, expected=", ".join(_TYPES))
    sizes, n = tuple(int(word) for word in fields["dimsize"].split()), int(fields.get("ndims", 3))
    n_channels = int(fields.get("elementnumberofchannels", 1))
    if len(sizes) != n or not 2 <= n <= 4 or min(*sizes, n_channels) < 1:
        raise ValueError(f"DimSize {fields['dimsize']} for {n} dimensions and {n_channels} channels")
    is_local = name.upper() == "LOCAL"
    skipped = int(fields.get("headersize", 0))
    return HeaderDescription(
        path=path,
        sizes=sizes if n_channels == 1 else (n_channels, *sizes),
        channels=None if n_channels == 1 else 0,
        affine=_affine(fields, n),
        dtype=np.dtype(_TYPES[element]).newbyteorder(">" if _is_big_endian(fields) else "<"),
        encoding=_encoding(fields),
        data=path if is_local else beside(path, name),
        offset=None if skipped < 0 else (end if is_local else 0) + skipped,
    )


def _fields(path: Path) -> tuple[dict[str, str], int]:
    """The fields of a header, names in lower case, and where they end; ``ElementDataFile`` is the last."""
    fields: dict[str, str] = {}
    with path.open("rb") as file:
        while "elementdatafile" not in fields and file.tell() < MOST_HEADER:
            line = file.readline(MOST_HEADER)
            if not line:
                break
            name, _, value = line.decode("latin-1").partition("=")
            fields[name.strip().lower()] = value.strip()
        return fields, file.tell()


def _affine(fields: Mapping[str, str], n: int) -> npt.NDArray[np.float64]:
    """Rows of the matrix are the directions of the axes."""
    spacing = _numbers(fields, ("elementspacing", "elementsize"), [1.0] * n)
    matrix = _numbers(fields, ("transformmatrix", "rotation", "orientation"), np.eye(n).ravel().tolist())
    origin = _numbers(fields, ("offset", "position", "origin"), [0.0] * n)
    used = min(n, 3)
    steps = [[spacing[axis] * matrix[axis * n + world] for world in range(used)] for axis in range(used)]
    return np.asarray(affine_of(steps, origin[:used], (-1.0, -1.0)))


def _numbers(fields: Mapping[str, str], names: tuple[str, ...], default: list[float]) -> list[float]:
    text = next((fields[name] for name in names if name in fields), None)
    numbers = default if text is None else [float(word) for word in text.split()]
    if len(numbers) != len(default):
        raise ValueError(f"{names[0]} has {len(numbers)} numbers in place of {len(default)}")
    return numbers


def _is_big_endian(fields: Mapping[str, str]) -> bool:
    return "true" in {fields.get(name, "").lower() for name in ("binarydatabyteordermsb", "elementbyteordermsb")}


def _encoding(fields: Mapping[str, str]) -> Encoding:
    if fields.get("binarydata", "True").lower() != "true":
        return "text"
    return "zlib" if fields.get("compresseddata", "").lower() == "true" else "raw"

"""MetaImage (.mha, .mhd) and NRRD through SimpleITK: LPS there, RAS+ here; (Z, Y, X) there, (X, Y, Z) here."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk  # noqa: N813 - the name everyone uses

from glioseg.core import Grid
from glioseg.errors import GeometryError
from glioseg.io.files import cannot_read, replacing

_CHUNK = 1 << 20
_MOST_FIELDS = 200
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def read_metaimage(path: Path) -> tuple[npt.NDArray[Any], Grid]:
    """All voxels: (X, Y, Z) or, for vector images, (X, Y, Z, C); and the grid in RAS+ mm.

    Raises:
        FileError: missing, truncated, damaged.
        GeometryError: not a 2-D or 3-D image.
    """
    grid, n_channels = read_metaimage_grid(path)
    if path.suffix.lower() in (".mha", ".mhd"):
        _require_sound_zlib(path)
    try:
        array = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
    except RuntimeError as error:
        raise cannot_read(path, _short(error)) from error
    if n_channels > 1:
        return np.moveaxis(array.reshape(*grid.shape[::-1], n_channels), -1, 0).T, grid
    return array.reshape(grid.shape[::-1]).T, grid


def read_metaimage_grid(path: Path) -> tuple[Grid, int]:
    """The grid and the number of channels, from the header alone; errors as ``read_metaimage``."""
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        if not path.is_file():
            path.stat()
        reader.ReadImageInformation()
    except (OSError, RuntimeError) as error:
        raise cannot_read(path, _short(error)) from error
    size = list(reader.GetSize())
    while len(size) > 3 and size[-1] == 1:
        size.pop()
    if len(size) not in (2, 3):
        raise GeometryError("not a volume", path=path, found=f"axes {reader.GetSize()}", expected="2 or 3 axes")
    return Grid((size[0], size[1], size[2] if len(size) == 3 else 1), _affine(reader)), reader.GetNumberOfComponents()


def write_metaimage(path: Path, array: npt.NDArray[Any], grid: Grid, *, sync: bool = True) -> None:
    """Write ``array`` (X, Y, Z) in its own type as ``.mha`` or ``.nrrd``, compressed; ``sync`` as for ``replacing``.

    Raises:
        FileError: the file cannot be written.
    """
    image = sitk.GetImageFromArray(np.ascontiguousarray(array.T))
    affine = _LPS_TO_RAS @ grid.affine
    spacing = np.asarray(grid.spacing)
    image.SetSpacing(spacing.tolist())
    image.SetOrigin(affine[:3, 3].tolist())
    image.SetDirection((affine[:3, :3] / spacing).ravel().tolist())
    with replacing(path, sync=sync) as temporary:
        try:
            sitk.WriteImage(image, str(temporary), useCompression=True)
        except RuntimeError as error:
            raise OSError(str(_short(error))) from error


def _affine(reader: Any) -> npt.NDArray[np.float64]:  # noqa: ANN401 - SimpleITK ships no types
    n = round(len(reader.GetDirection()) ** 0.5)
    affine = np.eye(4)
    used = min(n, 3)
    direction = np.asarray(reader.GetDirection()).reshape(n, n)[:used, :used]
    affine[:used, :used] = direction * np.asarray(reader.GetSpacing())[:used]
    affine[:used, 3] = np.asarray(reader.GetOrigin())[:used]
    return _LPS_TO_RAS @ affine


def _require_sound_zlib(path: Path) -> None:
    """Verify the check sum of compressed voxels: ITK takes what it could decode before the damage, and says nothing."""
    try:
        with path.open("rb") as file:
            header = _header(file)
            name = header.get("elementdatafile", "LOCAL")
            if header.get("compresseddata", "").lower() != "true" or header.get("elementtype") is None:
                return
            data = file.read() if name.upper() == "LOCAL" else (path.parent / name).read_bytes()
        unpacker = zlib.decompressobj()
        rest = data
        while rest and not unpacker.eof:
            unpacker.decompress(rest, _CHUNK)
            rest = unpacker.unconsumed_tail
        if not unpacker.eof:
            unpacker.flush()
    except (OSError, ValueError, zlib.error) as error:
        raise cannot_read(path, error) from error
    if not unpacker.eof:
        raise cannot_read(path, EOFError("the compressed voxels are cut off"))


def _header(file: BinaryIO) -> dict[str, str]:
    """The fields before the voxels, names in lower case; ``ElementDataFile`` is the last."""
    fields: dict[str, str] = {}
    for line in file:
        name, _, value = line.decode("latin-1").partition("=")
        fields[name.strip().lower()] = value.strip()
        if "elementdatafile" in fields or len(fields) > _MOST_FIELDS:
            break
    return fields


def _short(error: BaseException) -> BaseException:
    """SimpleITK reports a page with the build's file names; its last line holds the cause."""
    if isinstance(error, OSError):
        return error
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if lines and "No such file" in lines[-1]:  # the system's last error, which has nothing to do with it
        return RuntimeError("SimpleITK cannot decode its voxels")
    return RuntimeError(lines[-1] if lines else "SimpleITK cannot read it")

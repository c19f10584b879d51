"""What nibabel reads: NIfTI-1 and NIfTI-2, Analyze and NIfTI in pairs of files (.hdr, .img), FreeSurfer's MGH and MGZ.

Affines are RAS+ mm already. Files whose name says compressed and whose content does not, or the other way about, are
read as what they are, and so are those that were compressed twice, as servers do it.
"""

from __future__ import annotations

import gzip
import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from glioseg.core import MAX_VOXELS, Grid
from glioseg.core.grid import OtherForm
from glioseg.errors import FileError, GeometryError, GliosegError
from glioseg.io.bounds import DEFLATE, reading, require_end, require_room
from glioseg.io.endings import has_ending
from glioseg.io.files import replacing
from glioseg.io.text import file_size

_GZIP = b"\x1f\x8b"
_SCANNER = 1
_FORMS_AGREE_MM = 0.1
"""Headers round; what lies nearer is one place."""


def read_nifti(path: Path, limit: int = MAX_VOXELS) -> tuple[npt.NDArray[Any], Grid]:
    """All voxels of a NIfTI file.

    Args:
        path: the file.
        limit: the most voxels that are read.

    Returns:
        the array (X, Y, Z) or (X, Y, Z, C), a 4th axis of length 1 dropped, in the file's own type where it is not
        scaled and in float32 where it is; and its grid (RAS+ mm).

    Raises:
        FileError: missing, truncated, damaged, larger than ``limit`` or than the file can hold.
        GeometryError: fewer than two or more than four axes, an affine that cannot be inverted, or voxels that are no
            real numbers (colours, complex numbers).
    """
    with reading(path):
        image, packings = _load(path)
        grid, shape = _grid(image, path), _shape(image, path)
        if image.get_data_dtype().kind not in "biuf":
            raise GeometryError("the voxels are no real numbers", path=path, found=image.get_data_dtype())
        n_bytes = math.prod(shape) * image.get_data_dtype().itemsize
        most = file_size(_voxels_of(path)) * DEFLATE**packings
        require_room(path, shape, limit, n_bytes=n_bytes, most_bytes=most)
        by_name = packings == 0 and image.get_filename() is not None
        array = _unscaled(image) if by_name else _unscaled_to_the_end(image, path, packings, n_bytes)
        return array.reshape(shape), grid


def read_nifti_grid(path: Path) -> tuple[Grid, int]:
    """The grid and the number of channels, from the header alone; errors as ``read_nifti``."""
    with reading(path):
        image, _ = _load(path)
        shape = _shape(image, path)
        return _grid(image, path), shape[3] if len(shape) == 4 else 1


def write_nifti(path: Path, array: npt.NDArray[Any], grid: Grid, *, level: int = 1, sync: bool = True) -> None:
    """Write ``array`` (X, Y, Z) or (X, Y, Z, C) in its own type, qform and sform set, millimetres.

    Both forms are the grid's affine, unless the file that the grid was read from stated two places: then both are kept.

    ``level`` is gzip's (used for ``.nii.gz``): 1 is several times faster than 9 and hardly larger on MRI.
    ``sync`` as for ``replacing``.

    Raises:
        FileError: the file cannot be written.
    """
    import nibabel

    image = nibabel.Nifti1Image(array, grid.affine, dtype=array.dtype)
    image.header.set_xyzt_units("mm")
    form = grid.other_form or OtherForm(grid.affine, _SCANNER, _SCANNER)
    image.set_sform(grid.affine, code=form.sform_code)
    image.set_qform(form.affine, code=form.qform_code)
    data = image.to_bytes()
    with replacing(path, sync=sync) as temporary:
        if path.name.endswith(".gz"):
            data = gzip.compress(data, compresslevel=level, mtime=0)
        temporary.write_bytes(data)


def oddity(path: Path) -> str | None:
    """What is odd of a file that is read all the same, in words; None where nothing is, or it cannot be read."""
    try:
        with reading(path):
            image, packings = _load(path)
    except GliosegError:
        return None
    if has_ending(path, (".nii", ".nii.gz")) and packings != has_ending(path, (".gz",)):
        kinds = ("not compressed", "compressed", "compressed twice")
        return f"{path.name} is {kinds[packings]}, whatever its name says"
    if has_ending(path, (".hdr",)) and not _says_sides(image):
        return f"{path.name} is in Analyze format, which does not say which side is left: nibabel decides"
    return None


def _says_sides(image: Any) -> bool:  # noqa: ANN401 - nibabel ships no types
    import nibabel

    return isinstance(image, nibabel.Nifti1Pair)


def _load(path: Path) -> tuple[Any, int]:
    """A nibabel image whose voxels are not read yet, and how many times its file is compressed."""
    import nibabel  # brings pydicom with all of its decoders, where that is installed: pictures do without
    from nibabel.spatialimages import HeaderDataError
    from nibabel.wrapstruct import WrapStructError

    if has_ending(path, (".hdr",)) and not _voxels_of(path).exists():
        raise FileError("the header has no voxels beside it", path=path, expected=_voxels_of(path).name)
    packings = _packings(path)
    if has_ending(path, (".mgh", ".mgz")):  # nibabel would leave the file open
        with _unpacked(path, packings) as stream:
            return nibabel.MGHImage.from_stream(stream), packings
    if packings == has_ending(path, (".gz",)):
        return nibabel.load(path), packings
    for kind in (nibabel.Nifti1Image, nibabel.Nifti2Image):
        with _unpacked(path, packings) as stream, suppress(HeaderDataError, WrapStructError):
            return kind.from_stream(stream), packings
    raise ValueError("the content is no NIfTI")


def _voxels_of(path: Path) -> Path:
    """The file that holds the voxels."""
    return path.with_suffix(".img") if has_ending(path, (".hdr",)) else path


def _packings(path: Path) -> int:
    """How many times a file is compressed, up to two."""
    with path.open("rb") as file:
        if file.read(2) != _GZIP:
            return 0
        file.seek(0)
        with gzip.open(file) as inner:
            return 2 if inner.read(2) == _GZIP else 1


@contextmanager
def _unpacked(path: Path, packings: int) -> Iterator[Any]:
    """What is in a file that is compressed so many times."""
    with ExitStack() as stack:
        stream: Any = stack.enter_context(path.open("rb"))
        for _ in range(packings):
            stream = stack.enter_context(gzip.open(stream))
        yield stream


def _unscaled_to_the_end(
    image: Any,  # noqa: ANN401
    path: Path,
    packings: int,
    n_bytes: int,
) -> npt.NDArray[Any]:
    """The voxels of a compressed file, its check sum verified.

    nibabel stops behind the last voxel, before the check sum: most flipped bits would pass for intensities.
    """
    with _unpacked(path, packings) as stream:
        array = _unscaled(type(image).from_stream(stream))
        require_end(stream, n_bytes)
    return array


def _unscaled(image: Any) -> npt.NDArray[Any]:  # noqa: ANN401
    slope, intercept = image.dataobj.slope, image.dataobj.inter
    if (slope, intercept) == (1.0, 0.0):
        return np.asarray(image.dataobj.get_unscaled())
    return np.asarray(image.dataobj, dtype=np.float32)


def _shape(image: Any, path: Path) -> tuple[int, ...]:  # noqa: ANN401
    shape = tuple(int(n) for n in image.shape)
    shape = (*shape[:3], *(n for n in shape[3:] if n != 1))  # ITK writes channels as a fifth axis, the fourth being 1
    if len(shape) == 2:
        shape = (*shape, 1)
    if len(shape) not in (3, 4):
        raise GeometryError("not a volume", path=path, found=f"axes {image.shape}", expected="3 or 4 axes")
    return shape


def grid_of(image: Any, shape: tuple[int, int, int]) -> Grid:  # noqa: ANN401
    """Where the voxels of a nibabel image lie: its affine, and its qform where that says something else.

    Raises:
        GeometryError: an affine that cannot be inverted.
    """
    grid = Grid(shape, image.affine)
    return replace(grid, other_form=_other_form(image, grid))


def _other_form(image: Any, grid: Grid) -> OtherForm | None:  # noqa: ANN401
    from nibabel.spatialimages import HeaderDataError

    if not hasattr(image, "get_qform"):
        return None
    try:
        (_, sform_code), (qform, qform_code) = image.get_sform(coded=True), image.get_qform(coded=True)
        if not sform_code or not qform_code or grid.furthest_mm(Grid(grid.shape, qform)) <= _FORMS_AGREE_MM:
            return None
    except (HeaderDataError, ValueError, GeometryError):
        return None  # a qform that means nothing is nobody's place
    return OtherForm(qform, int(sform_code), int(qform_code))


def _grid(image: Any, path: Path) -> Grid:  # noqa: ANN401
    x, y, z = _shape(image, path)[:3]
    try:
        return grid_of(image, (x, y, z))
    except GeometryError as error:
        raise GeometryError(error.what, path=path, found=error.found) from error

"""Pictures: PNG, JPEG, TIFF, BMP. X = column, Y = row; no millimetres.

Whatever its mode (1, L, I;16, LA, P, RGB, RGBA, CMYK) a picture becomes one grey channel or three colours; alpha is
dropped, but of masks, which some programs write there. 16-bit grey keeps its 16 bits. A picture that says how it is to
be turned (EXIF) is read as every viewer shows it, since that is how masks of it are drawn.
"""

from __future__ import annotations

import struct
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow
from PIL import TiffImagePlugin, UnidentifiedImageError

from glioseg.core import MAX_VOXELS
from glioseg.errors import FileError, GeometryError
from glioseg.io import png, tiff
from glioseg.io.bounds import reading, require_room
from glioseg.io.endings import TIFF_ENDINGS, has_ending
from glioseg.io.files import replacing

COLOURS = ("red", "green", "blue")

_T = TypeVar("_T")
_GREY_MODES = {"1", "L", "LA", "La", "I", "F", "I;16", "I;16B", "I;16L", "I;16N"}
LARGEST_LABEL = 16
"""The largest value of a lossless mask that is taken for a label, not for a grey."""

_GREY_SPREAD = 0.03
_COPIES = 8
"""Of the values that may be read, a picture may have one of so many: colours are held several times on their way."""
_ORIENTATION_TAG = 0x0112
_FIRST_SIDEWAYS, _LAST_ORIENTATION = 5, 8
"""EXIF's orientations in which rows become columns, and the last of all."""
_DAMAGED_EXIF = (OSError, SyntaxError, ValueError, TypeError, LookupError, RuntimeError, struct.error)
_WITH_ALPHA = ("LA", "La", "PA", "RGBA", "RGBa")


def read_picture(path: Path, limit: int = MAX_VOXELS) -> npt.NDArray[Any]:
    """The pixels of one picture: (X, Y) where it is grey, (X, Y, 3) where it has colours; 8 or 16 bit, or float.

    Args:
        path: the file.
        limit: an eighth of it are the most values of a picture that are read.

    Raises:
        FileError: missing, truncated, damaged, not a picture, several pages, more values than are read.
    """
    most = limit // _COPIES
    return _opened(path, lambda picture: _pixels(picture, path, most), lambda path: tiff.read_tiff(path, most))


def read_picture_header(path: Path) -> tuple[tuple[int, int], bool]:
    """((columns, rows), whether it has colours) without decoding the pixels; errors as ``read_picture``."""
    return _opened(path, _header, tiff.read_tiff_header)


def is_turned(path: Path) -> bool:
    """Whether a picture says that it is to be turned or mirrored before it is shown; False for one that is damaged."""
    try:
        return not has_ending(path, TIFF_ENDINGS) and _opened(path, _orientation, lambda _: 1) != 1
    except FileError:
        return False


def read_stack(paths: Sequence[Path], limit: int = MAX_VOXELS) -> npt.NDArray[Any]:
    """Pictures of one size, stacked along Z: (X, Y, Z) where all are grey, (X, Y, Z, 3) where some have colours.

    ``limit`` is for each picture, as in ``read_picture``, and for the stack.

    Raises:
        FileError: as ``read_picture``.
        GeometryError: pictures of different size in one stack.
    """
    slices: list[npt.NDArray[Any]] = []
    for path in paths:
        pixels = read_picture(path, limit)
        slices.append(pixels)
        require_room(path, (*pixels.shape, len(slices)), limit)
        if pixels.shape[:2] != slices[0].shape[:2]:
            raise GeometryError(
                "the pictures of one stack differ in size",
                path=path,
                found="x".join(map(str, pixels.shape[:2])),
                expected="{}x{} as {}".format(*slices[0].shape[:2], paths[0].name),
            )
    if any(pixels.ndim == 3 for pixels in slices):
        slices = [pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2) for pixels in slices]
    return stack_slices(slices)


def stack_slices(slices: Sequence[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """(X, Y, ...) each -> (X, Y, Z, ...), one slice after the other in memory, as the files hold them: to interleave
    them would take longer than to read them.
    """
    return np.swapaxes(np.stack([np.swapaxes(pixels, 0, 1) for pixels in slices]), 0, 2)


def as_grey(stack: npt.NDArray[Any], path: Path) -> npt.NDArray[Any]:
    """(X, Y, Z, 3) pictures that are grey though stored in colours -> (X, Y, Z).

    JPEG may leave the three a little apart: up to 3 % of full scale pass, and the mean is taken.

    Raises:
        GeometryError: they show colours.
    """
    if bool((stack == stack[..., :1]).all()):
        grey: npt.NDArray[Any] = stack[..., 0]
        return grey
    wide = stack.astype(np.float32)
    full = float(np.iinfo(stack.dtype).max) if stack.dtype.kind in "iu" else max(float(wide.max()), 1.0)
    apart = float(np.ptp(wide, axis=-1).max())
    if apart > _GREY_SPREAD * full:
        raise GeometryError(
            "the picture shows colours, where one grey channel is needed",
            path=path,
            found=f"colours up to {100 * apart / full:.0f} % of full scale apart",
            remedy="Save it in grey, or use a network of red, green and blue",
        )
    return np.asarray(np.rint(wide.mean(axis=-1)) if stack.dtype.kind in "iu" else wide.mean(axis=-1)).astype(
        stack.dtype
    )


def read_mask(path: Path, limit: int = MAX_VOXELS) -> tuple[npt.NDArray[Any], bool]:
    """(X, Y) how bright a mask is, the brightest of its colours, and whether that was said by transparency alone.

    Where a picture has an alpha channel that varies, a pixel is as bright as it shows on black; where its colours do
    not vary, the alpha channel is the mask.

    Raises:
        FileError: as ``read_picture``.
    """
    pixels = read_picture(path, limit)
    grey = pixels.max(axis=-1) if pixels.ndim == 3 else pixels
    alpha = _opened(path, _alpha, lambda _: None)
    if alpha is None or alpha.min() == alpha.max() or alpha.shape != grey.shape:
        return grey, False
    if (pixels == pixels[:1, :1]).all():
        return alpha, True
    shown: npt.NDArray[Any] = np.where(alpha >= 128, grey, np.zeros_like(grey))
    return shown, False


def binary_mask(grey: npt.NDArray[Any], *, lossy: bool) -> npt.NDArray[np.uint8]:
    """A picture's mask as 0/1.

    Masks come as 0/255, 0/1, 0/65535, or with the grey fringe that JPEG compression and anti-aliasing leave: a pixel is
    inside where it is at least half of the mask's own maximum. In a lossy picture a maximum below 1/16 of full scale is
    noise over an empty mask; in a lossless one, values up to 16 are labels (1, 2, 4), all of them inside.

    Args:
        grey: (X, Y), see ``read_mask``.
        lossy: whether the format compresses with loss (JPEG).
    """
    highest = float(grey.max(initial=0))
    full = float(np.iinfo(grey.dtype).max) if grey.dtype.kind in "iu" else 1.0
    if highest <= 0 or (lossy and highest < full / 16):
        return np.zeros(grey.shape, dtype=np.uint8)
    if not lossy and grey.dtype.kind in "iu" and highest <= LARGEST_LABEL:
        return (grey > 0).astype(np.uint8)
    return (grey >= highest / 2).astype(np.uint8)


def write_picture(path: Path, pixels: npt.NDArray[Any], *, sync: bool = True) -> None:
    """Write (X, Y) grey of 8 or 16 bit, or (X, Y, 3) colours of 8 bit, in the format that the name's ending says;
    ``sync`` as for ``replacing``.

    Raises:
        FileError: the file cannot be written, or the type does not fit a picture.
    """
    if pixels.dtype not in (np.uint8, np.uint16) or (pixels.ndim == 3 and pixels.dtype != np.uint8):
        raise FileError("cannot be written as a picture", path=path, found=pixels.dtype, expected="8 or 16 bit grey")
    picture = Pillow.fromarray(np.ascontiguousarray(np.swapaxes(pixels, 0, 1)))
    with replacing(path, sync=sync) as temporary:
        picture.save(temporary)


def _opened(path: Path, by_pillow: Callable[[Pillow.Image], _T], by_tifffile: Callable[[Path], _T]) -> _T:
    with reading(path), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of odd tags and palettes that do not touch the pixels
        try:
            # Not by its name: Pillow would map the file into memory, and so reads turned TIFF in wrong rows.
            with path.open("rb") as file, Pillow.open(file) as picture:
                if tiff.pillow_reads(picture):
                    return by_pillow(picture)
        except UnidentifiedImageError:
            if not has_ending(path, TIFF_ENDINGS):
                raise
        return by_tifffile(path)


def _alpha(picture: Pillow.Image) -> npt.NDArray[np.uint8] | None:
    """(X, Y), or None where the picture has no transparency."""
    if picture.mode not in _WITH_ALPHA and "transparency" not in picture.info:
        return None
    return _upright(np.swapaxes(np.asarray(picture.convert("RGBA"))[..., 3], 0, 1), _orientation(picture))


def _header(picture: Pillow.Image) -> tuple[tuple[int, int], bool]:
    columns, rows = picture.size
    return (rows, columns) if _orientation(picture) >= _FIRST_SIDEWAYS else (columns, rows), not _is_grey(picture)


def _orientation(picture: Pillow.Image) -> int:
    """How a picture is to be turned, 1 to 8 as EXIF counts; 1 where it does not say, and for TIFF: Pillow turns it."""
    if "exif" not in picture.info or isinstance(picture, TiffImagePlugin.TiffImageFile):
        return 1  # to ask a PNG for more than its header holds would decode it
    try:
        said = picture.getexif().get(_ORIENTATION_TAG, 1)
    except _DAMAGED_EXIF:
        return 1
    return said if isinstance(said, int) and 1 <= said <= _LAST_ORIENTATION else 1


def _upright(array: npt.NDArray[Any], orientation: int) -> npt.NDArray[Any]:
    """(X, Y, ...) as stored -> as shown."""
    if orientation >= _FIRST_SIDEWAYS:
        array = np.swapaxes(array, 0, 1)
    x = slice(None, None, -1 if orientation in (2, 3, 6, 7) else 1)
    y = slice(None, None, -1 if orientation in (3, 4, 7, 8) else 1)
    return array[x, y]


def _is_grey(picture: Pillow.Image) -> bool:
    if picture.mode in ("P", "PA"):
        rows = np.asarray(picture.getpalette("RGB") or [0, 0, 0]).reshape(-1, 3)
        return bool((rows == rows[:, :1]).all())
    return picture.mode in _GREY_MODES


def _pixels(picture: Pillow.Image, path: Path, most: int) -> npt.NDArray[Any]:
    require_room(path, (*picture.size, len(picture.getbands())), most)
    png.require_sound(path, most)
    if picture.mode in ("I;16", "I;16B", "I;16L", "I;16N", "F"):
        array = np.asarray(picture)
    elif picture.mode == "I":
        array = _narrowed(np.asarray(picture))
    elif _is_grey(picture):
        array = np.asarray(picture.convert("RGB" if picture.mode in ("P", "PA") else "L"))
        array = array[..., 0] if array.ndim == 3 else array
    elif png.is_deep(picture):
        return _upright(png.read_deep(path), _orientation(picture))
    else:
        array = np.asarray(picture.convert("RGB"))
    return _upright(np.swapaxes(array, 0, 1), _orientation(picture))


def _narrowed(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Pillow opens 16-bit PNG as 32-bit integers: give them their own type back."""
    low, high = int(array.min(initial=0)), int(array.max(initial=0))
    return array.astype(np.uint16) if low >= 0 and high <= 65535 else array

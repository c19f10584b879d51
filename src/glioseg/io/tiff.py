"""TIFF files that Pillow cannot read, or reads wrongly without a word, through tifffile; and maps of floats.

Pillow 13 cuts 16-bit colours to their upper byte, reads unsigned 32 bit and signed 8 bit as the other sign, takes the
first page of several, inverts white-is-zero pictures of 8 bit but not those of 16, and refuses doubles.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile
from PIL import Image as Pillow
from PIL import TiffImagePlugin

from glioseg.errors import FileError
from glioseg.io.bounds import require_room
from glioseg.io.files import replacing

logging.getLogger("tifffile").addHandler(logging.NullHandler())  # what it says of damage, our error says

_BITS, _PHOTOMETRIC, _SAMPLES, _FORMAT = 258, 262, 277, 339
_PLAIN = {  # (bits, sample format, samples): format 1 is unsigned, 2 signed, 3 float
    (1, 1, 1),
    (8, 1, 1),
    (8, 1, 3),
    (8, 1, 4),
    (16, 1, 1),
    (16, 2, 1),
    (32, 3, 1),
}


def pillow_reads(picture: Pillow.Image) -> bool:
    """Whether Pillow gives the pixels of this opened picture as they are; True for all formats but TIFF."""
    if not isinstance(picture, TiffImagePlugin.TiffImageFile):
        return True
    tags = picture.tag_v2
    bits, formats = tags.get(_BITS, (1,)), tags.get(_FORMAT, (1,))
    plain = len({*bits}) == 1 and (bits[0], formats[0], tags.get(_SAMPLES, 1)) in _PLAIN
    inverted = tags.get(_PHOTOMETRIC) == 0 and bits[0] > 8
    return plain and not inverted and picture.n_frames == 1


def read_tiff(path: Path, limit: int) -> npt.NDArray[Any]:
    """The pixels of a TIFF file: (X, Y) where it is grey, (X, Y, 3) where it has colours; its own type, alpha dropped.

    Raises:
        FileError: several pages, a number of channels that no picture has, or more values than ``limit``.
        OSError, ValueError: not a TIFF file, truncated, damaged.
    """
    with tifffile.TiffFile(path) as file:
        (columns, rows), colours = _header(path, file)
        page = file.pages[0]
        require_room(path, page.shape, limit)
        array = _decoded(path, page)
        if array.ndim == 3:  # one plane after the other, or the channels of a pixel side by side
            array = np.moveaxis(array, 0, -1) if array.shape == (page.samplesperpixel, rows, columns) else array
            array = array[..., :3] if colours else array[..., 0]
        if page.photometric == 0 and array.dtype.kind == "u":
            array = np.iinfo(array.dtype).max - array
        return np.swapaxes(array, 0, 1)


def read_tiff_header(path: Path) -> tuple[tuple[int, int], bool]:
    """((columns, rows), whether it has colours), from the tags alone; errors as ``read_tiff``."""
    with tifffile.TiffFile(path) as file:
        return _header(path, file)


def write_float_stack(path: Path, maps: npt.NDArray[np.float32]) -> None:
    """Write maps (R, X, Y, Z) as a TIFF file of R · Z pages of 32-bit floats, those of the first map first.

    Raises:
        FileError: the file cannot be written.
    """
    pages = np.ascontiguousarray(maps.transpose(0, 3, 2, 1).reshape(-1, maps.shape[2], maps.shape[1]))
    with replacing(path) as temporary:
        tifffile.imwrite(temporary, pages, photometric="minisblack", compression="zlib", metadata=None)


def _decoded(path: Path, page: Any) -> npt.NDArray[Any]:  # noqa: ANN401 - tifffile is not typed for us
    try:
        array = np.asarray(page.asarray())
        return array.astype(np.uint8) * np.uint8(255) if array.dtype == np.bool_ else array  # as Pillow gives one bit
    except (ValueError, ImportError) as error:
        if isinstance(error, ValueError) and "imagecodecs" not in str(error):
            raise
        raise FileError(
            "the picture is packed in a way that is not read",
            path=path,
            found=page.compression.name,
            expected="none, deflate, LZW or PackBits",
            remedy="Save it as PNG, or as TIFF without compression",
        ) from error


def _header(path: Path, file: Any) -> tuple[tuple[int, int], bool]:  # noqa: ANN401 - tifffile is not typed for us
    if len(file.pages) != 1:
        raise FileError(
            "a picture is one page",
            path=path,
            found=f"{len(file.pages)} pages",
            remedy="Save each page as a file of its own, one folder for each patient",
        )
    page = file.pages[0]
    if not all(isinstance(n, int) and n > 0 for n in (page.imagewidth, page.imagelength, page.samplesperpixel)):
        raise ValueError("its tags say no size")
    if page.samplesperpixel > 4 or len(page.shape) > 3:
        form = f"shape {page.shape} ({page.axes})"
        raise FileError(
            "a picture has 1 to 4 channels", path=path, found=form, expected="grey or RGB, with or without alpha"
        )
    return (page.imagewidth, page.imagelength), page.samplesperpixel >= 3

"""What Pillow leaves out of PNG files: check sums, sizes that cannot be, and the lower bytes of 16-bit colours."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow
from PIL import PngImagePlugin

from glioseg.io.bounds import DEFLATE, require_room
from glioseg.io.text import file_size

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_CHUNK = 1 << 20


def require_sound(path: Path, limit: int) -> None:
    """Verify the check sum of every chunk, which Pillow does not, and that the pixels can be in the file at all.

    Raises:
        FileError: more than ``limit`` values, or more than the file can hold.
        ValueError: a chunk that is damaged or cut off.
    """
    with path.open("rb") as file:
        if file.read(len(_SIGNATURE)) != _SIGNATURE:
            return
        while True:
            name, start = _require_sound_chunk(file)
            if name == b"IHDR":
                _require_plausible(path, start, limit)
            if name == b"IEND":
                return


def is_deep(picture: Pillow.Image) -> bool:
    """Whether Pillow would cut the 16-bit colours of this PNG to their upper byte."""
    if not isinstance(picture, PngImagePlugin.PngImageFile) or not picture.tile:  # a palette has loaded its pixels
        return False
    return str(picture.tile[0][3]) in ("RGB;16B", "RGBA;16B")


def read_deep(path: Path) -> npt.NDArray[Any]:
    """(X, Y, 3) 16-bit colours, through SimpleITK."""
    import SimpleITK as sitk  # noqa: N813 - the name everyone uses

    pixels = sitk.GetArrayFromImage(sitk.ReadImage(str(path), imageIO="PNGImageIO"))
    return np.swapaxes(pixels[..., :3], 0, 1)


def _require_sound_chunk(file: BinaryIO) -> tuple[bytes, bytes]:
    """The name and the first bytes of the next chunk."""
    head = file.read(8)
    if len(head) < 8:
        raise ValueError("the picture is cut off")
    left, name = struct.unpack(">I4s", head)
    checksum, start = zlib.crc32(name), b""
    while left:
        part = file.read(min(left, _CHUNK))
        if not part:
            raise ValueError(f"the chunk {name.decode('latin-1')} is cut off")
        start, left, checksum = start or part, left - len(part), zlib.crc32(part, checksum)
    if file.read(4) != struct.pack(">I", checksum):
        raise ValueError(f"the check sum of the chunk {name.decode('latin-1')} is wrong")
    return name, start


def _require_plausible(path: Path, header: bytes, limit: int) -> None:
    columns, rows, bits, colours = struct.unpack(">IIBB", header[:10])
    n = _CHANNELS.get(colours, 1)
    n_bytes = rows * -(-columns * bits * n // 8)
    require_room(path, (columns, rows, n), limit, n_bytes=n_bytes, most_bytes=file_size(path) * DEFLATE)

"""Whether all voxels that a DICOM file declares are in it, told without decoding them."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from glioseg.io.dicom.library import library
from glioseg.io.dicom.values import integer_of

if TYPE_CHECKING:
    from pydicom import Dataset

_UNDEFINED = 0xFFFFFFFF
_ITEM, _DELIMITER = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0"
_CUT_OFF = "cut off: not all of its voxels are there"


def fault_of_pixels(data: Dataset, content: bytes, offset: int, n_voxels: int) -> str | None:
    """Why the voxels of a file cannot all be read, in words; None where nothing speaks against it.

    Args:
        data: the header, read up to the voxels.
        content: the whole file.
        offset: where in it the element Pixel Data begins.
        n_voxels: that the header declares.
    """
    if not _is_decoded(data):
        return "its voxels are written in a way that is not read"
    allocated = integer_of(data, "BitsAllocated") or 0
    if allocated not in (8, 16, 32):
        return f"{allocated} bits for a voxel, not 8, 16 or 32"
    stored, sign = integer_of(data, "BitsStored"), integer_of(data, "PixelRepresentation")
    if stored is not None and not 1 <= stored <= allocated:
        return f"{stored} of {allocated} bits of a voxel in use"
    if sign is not None and sign not in (0, 1):
        return f"its voxels are said to be of kind {sign}, where 0 is unsigned and 1 signed"
    implicit, little = data.original_encoding
    head = content[offset : offset + (8 if implicit else 12)]
    if len(head) < (8 if implicit else 12):
        return "no voxels in it"
    (length,) = struct.unpack("<I" if little else ">I", head[-4:])
    start = offset + len(head)
    if length == _UNDEFINED:
        return None if _fragments_end(content, start) else _CUT_OFF
    needed = n_voxels * allocated // 8
    if length == 0 or needed == 0:
        return "no voxels in it"
    return None if min(length, len(content) - start) >= needed else _CUT_OFF


def _is_decoded(data: Dataset) -> bool:
    """Whether there is a decoder for the transfer syntax that a file names; one that names none is read as it comes."""
    syntax = getattr(data, "file_meta", {}).get("TransferSyntaxUID")
    if not syntax:
        return True
    try:
        return bool(library("pydicom.pixels").get_decoder(syntax).is_available)
    except NotImplementedError:
        return False


def _fragments_end(content: bytes, start: int) -> bool:
    """Whether the items of compressed voxels are all there, up to the mark of their end."""
    at = start
    while content[at : at + 4] == _ITEM:
        (length,) = struct.unpack("<I", content[at + 4 : at + 8].ljust(4, b"\xff"))
        at += 8 + length
    return content[at : at + 4] == _DELIMITER

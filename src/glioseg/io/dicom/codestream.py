"""How large a compressed picture says it is, read from its first bytes: decoders take memory for that, not for what
the DICOM header declares.
"""

from __future__ import annotations

import struct

_JPEG, _J2K = b"\xff\xd8\xff", b"\xff\x4f\xff\x51"
_FRAME_HEADERS = frozenset({*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC})
"""Markers of JPEG and JPEG-LS after which the size stands."""


def size_of(codestream: bytes) -> tuple[int, int] | None:
    """(rows, columns) of a JPEG, JPEG-LS or JPEG 2000 picture; None where it does not say, or is something else."""
    if codestream.startswith(_J2K) and len(codestream) >= 24:
        right, bottom, left, top = struct.unpack(">4I", codestream[8:24])
        return bottom - top, right - left
    return _size_of_jpeg(codestream) if codestream.startswith(_JPEG) else None


def _size_of_jpeg(codestream: bytes) -> tuple[int, int] | None:
    at = 2
    while at + 9 <= len(codestream) and codestream[at] == 0xFF:
        marker, (length,) = codestream[at + 1], struct.unpack(">H", codestream[at + 2 : at + 4])
        if marker in _FRAME_HEADERS:
            rows, columns = struct.unpack(">2H", codestream[at + 5 : at + 9])
            return rows, columns
        at += 2 + length
    return None

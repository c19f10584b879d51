"""Headers of NRRD files (.nrrd, and .nhdr beside their voxels): http://teem.sourceforge.net/nrrd/format.html."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from glioseg.errors import FileError
from glioseg.io.described import MOST_HEADER, Encoding, HeaderDescription, affine_of, beside

_TYPES: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("signed char", "int8", "int8_t"), "i1"),
        **dict.fromkeys(("uchar", "unsigned char", "uint8", "uint8_t"), "u1"),
        **dict.fromkeys(("short", "short int", "signed short", "signed short int", "int16", "int16_t"), "i2"),
        **dict.fromkeys(("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"), "u2"),
        **dict.fromkeys(("int", "signed int", "int32", "int32_t"), "i4"),
        **dict.fromkeys(("uint", "unsigned int", "uint32", "uint32_t"), "u4"),
        **dict.fromkeys(("longlong", "long long", "long long int", "signed long long", "int64", "int64_t"), "i8"),
        **dict.fromkeys(("ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t"), "u8"),
        **{"float": "f4", "double": "f8"},
    }
)
_ENCODINGS: Mapping[str, Encoding] = MappingProxyType(
    {
        **{"raw": "raw", "hex": "hex"},
        **dict.fromkeys(("gzip", "gz"), "gzip"),
        **dict.fromkeys(("bzip2", "bz2"), "bzip2"),
        **dict.fromkeys(("txt", "text", "ascii"), "text"),
    }
)
_SPACE_AXES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"r": ("right", "left"), "a": ("anterior", "posterior"), "s": ("superior", "inferior")}
)
_IN_SPACE = frozenset({"", "domain", "space", "time", "???", "none"})
"""Kinds of axes along which voxels lie; all others are those of the values in a voxel."""


def read_nrrd_header(path: Path) -> HeaderDescription:
    """What the header of an NRRD file says.

    Raises:
        FileError: voxels of another type or encoding, or that lie elsewhere.
        ValueError: a field that is not there, or not what it should be.
    """
    fields, end = _fields(path)
    missing = [name for name in ("type", "sizes", "encoding") if name not in fields]
    if missing:
        raise ValueError(f"a header without {', '.join(missing)}")
    kind, encoding = _TYPES.get(fields["type"].lower()), _ENCODINGS.get(fields["encoding"].lower())
    if kind is None or encoding is None:
        found = f"type {fields['type']}, encoding {fields['encoding']}"
        expected = "real numbers, raw or gzip"
        raise FileError("voxels of this type or encoding are not read", path=path, found=found, expected=expected)
    sizes = tuple(int(word) for word in fields["sizes"].split())
    if not 2 <= len(sizes) <= 4 or min(sizes) < 1 or int(fields.get("dimension", len(sizes))) != len(sizes):
        raise ValueError(f"sizes {fields['sizes']} for {fields.get('dimension')} dimensions")
    directions = _directions(fields, len(sizes))
    channels = _channel_axis(fields, directions)
    name = fields.get("data file", fields.get("datafile"))
    data = path if name is None else beside(path, name)
    return HeaderDescription(
        path=path,
        sizes=sizes,
        channels=channels,
        affine=_affine(fields, [step for axis, step in enumerate(directions) if axis != channels and step is not None]),
        dtype=np.dtype(kind).newbyteorder(">" if fields.get("endian", "").lower() == "big" else "<"),
        encoding=encoding,
        data=data,
        offset=_offset(fields, data, end if name is None else 0),
    )


def _fields(path: Path) -> tuple[dict[str, str], int]:
    """The fields of a header, names in lower case, and where the blank line behind them ends."""
    fields: dict[str, str] = {}
    with path.open("rb") as file:
        if not file.readline(MOST_HEADER).startswith(b"NRRD000"):
            raise ValueError("the file does not begin with NRRD000")
        while file.tell() < MOST_HEADER:
            line = file.readline(MOST_HEADER).decode("latin-1").rstrip("\r\n")
            if not line:
                break
            if not line.startswith("#") and ":=" not in line:
                name, _, value = line.partition(":")
                fields[name.strip().lower()] = value.strip()
        return fields, file.tell()


def _directions(fields: Mapping[str, str], n: int) -> list[list[float] | None]:
    """The step along each axis as a vector; None along an axis that is not in space."""
    text = fields.get("space directions")
    if text is not None:
        steps = re.findall(r"none|\([^)]*\)", text)
        directions = [None if step == "none" else _vector(step) for step in steps]
    else:
        spacings = [float(word) for word in fields.get("spacings", "").split()] or [1.0] * n
        in_space = [axis for axis, kind in enumerate(_kinds(fields, n)) if kind in _IN_SPACE]
        directions = [None] * n
        for place, axis in enumerate(in_space[:3]):
            step = abs(spacings[axis]) if axis < len(spacings) and np.isfinite(spacings[axis]) else 1.0
            directions[axis] = [step if place == world else 0.0 for world in range(min(3, len(in_space)))]
    if len(directions) != n:
        raise ValueError(f"{len(directions)} space directions for {n} axes")
    return directions


def _kinds(fields: Mapping[str, str], n: int) -> list[str]:
    kinds = fields.get("kinds", "").lower().split()
    return kinds if len(kinds) == n else [""] * n


def _channel_axis(fields: Mapping[str, str], directions: list[list[float] | None]) -> int | None:
    """The axis of the values in a voxel: of two that are not in space, the one whose kind says so."""
    kinds = _kinds(fields, len(directions))
    apart = [axis for axis, step in enumerate(directions) if step is None or kinds[axis] not in _IN_SPACE]
    if len(apart) > 1:
        raise ValueError(f"{len(apart)} axes that are not in space")
    return apart[0] if apart else None


def _affine(fields: Mapping[str, str], steps: list[list[float]]) -> npt.NDArray[np.float64]:
    origin = _vector(fields["space origin"]) if "space origin" in fields else []
    return np.asarray(affine_of(steps, origin, _signs(fields.get("space", ""))))


def _signs(space: str) -> tuple[float, ...]:
    """1 for each axis of the space that grows to right, anterior or superior; LPS where it says nothing of that."""
    words = space.lower().removesuffix("-time")
    parts = words.split("-") if "-" in words else list(words)
    signs = []
    for axis, part in zip("ras", parts, strict=False):
        up, down = _SPACE_AXES[axis]
        if part not in (up, down, up[0], down[0]):
            return (-1.0, -1.0)
        signs.append(1.0 if part in (up, up[0]) else -1.0)
    return tuple(signs) if len(signs) == len(_SPACE_AXES) else (-1.0, -1.0)


def _vector(text: str) -> list[float]:
    return [float(number) for number in text.strip().strip("()").split(",")]


def _offset(fields: Mapping[str, str], data: Path, start: int) -> int | None:
    """Where the voxels begin; None where they end the file (a byte skip of -1)."""
    lines = int(fields.get("line skip", fields.get("lineskip", 0)))
    skipped = int(fields.get("byte skip", fields.get("byteskip", 0)))
    if skipped < 0:
        return None
    if not 0 <= lines <= MOST_HEADER:
        raise ValueError(f"a line skip of {lines}")
    with data.open("rb") as file:
        file.seek(start)
        for _ in islice(iter(lambda: file.readline(MOST_HEADER), b""), lines):
            pass
        return file.tell() + skipped

"""Damage and malice, drawn: what may happen to a file, from a flipped bit to a number that no one would write."""

from __future__ import annotations

import copy
import gzip
import io
import json
import re
import struct
import tomllib
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import tomlkit

_HEAD = 600
"""Where headers are: half of the damage is done there."""
_NUMBERS = (
    *(0, 1, 2, 3, 7, 8, 127, 128, 255, 256, 32767, 32768, 65535, 65536, 1_000_000, 2**31 - 1, 2**31, 2**32 - 1),
    *(-1, -2, -128, -32768, -(2**31)),
)
_FLOATS = (0.0, -0.0, float("nan"), float("inf"), -float("inf"), 1e-300, 1e300, 1e38, -1.0)
_WORDS = (
    *(b"", b"-1", b"0", b"NaN", b"Infinity", b"1e999", b"1" + b"0" * 30, b"9" * 5000, b"null", b"true", b"[]", b"{}"),
    *(b"[" * 3000, b'{"a":' * 3000, b'"\\ud800"', "²".encode(), b"\xff\xfe", b"\x00", b"\x1b[31m", b"$\\frac$"),
    *(b"=cmd|' /C calc'!A0", b"../../secret", b"/dev/zero", b"/etc/passwd", b"%n%s", b"x" * 3000, b"1 " * 3000, b"\n"),
)

Rng = np.random.Generator


def mutant(data: bytes, name: str, rng: Rng) -> bytes:
    """``data`` of a file called ``name``, damaged in one to four ways."""
    if name.endswith(".gz") and rng.random() < 0.7:
        return gzip.compress(_damaged(gzip.decompress(data), rng), 1)
    if name.endswith(".pth") and rng.random() < 0.8:
        return _repacked(data, rng)
    if name.endswith((".json", ".jsonl", ".toml")) and rng.random() < 0.7:
        return _restated(data, name, rng)
    damaged = _damaged(data, rng)
    return _with_check_sums(damaged) if name.endswith(".png") and rng.random() < 0.7 else damaged


def _damaged(data: bytes, rng: Rng) -> bytes:
    for _ in range(int(rng.integers(1, 5))):
        way = _WAYS[int(rng.integers(len(_WAYS)))]
        data = way(data, rng) if data else b""
    return data


def _place(data: bytes, rng: Rng) -> int:
    end = min(len(data), _HEAD) if rng.random() < 0.5 else len(data)
    return int(rng.integers(end))


def _flip(data: bytes, rng: Rng) -> bytes:
    changed = bytearray(data)
    for _ in range(int(rng.integers(1, 9))):
        changed[_place(data, rng)] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def _number(data: bytes, rng: Rng) -> bytes:
    """A number of 1, 2, 4 or 8 bytes, of either byte order, aligned as numbers are."""
    size, order = int(rng.choice((1, 2, 4, 8))), "<>"[int(rng.integers(2))]
    if size >= 4 and rng.random() < 0.3:
        value = struct.pack(f"{order}{'f' if size == 4 else 'd'}", _FLOATS[int(rng.integers(len(_FLOATS)))] % 1e38)
    else:
        value = (_NUMBERS[int(rng.integers(len(_NUMBERS)))] % 256**size).to_bytes(
            size, "little" if order == "<" else "big"
        )
    place = _place(data, rng) // size * size
    return data[:place] + value + data[place + size :]


def _cut(data: bytes, rng: Rng) -> bytes:
    return data[: _place(data, rng)]


def _remove(data: bytes, rng: Rng) -> bytes:
    place = _place(data, rng)
    return data[:place] + data[place + int(rng.integers(1, 65)) :]


def _insert(data: bytes, rng: Rng) -> bytes:
    place = _place(data, rng)
    return data[:place] + rng.bytes(int(rng.integers(1, 65))) + data[place:]


def _repeat(data: bytes, rng: Rng) -> bytes:
    place, n = _place(data, rng), int(rng.integers(1, 257))
    return data[:place] + data[place : place + n] * int(rng.integers(2, 6)) + data[place + n :]


def _swap(data: bytes, rng: Rng) -> bytes:
    first, second = sorted((_place(data, rng), _place(data, rng)))
    n = min(int(rng.integers(1, 33)), second - first)
    return (
        data[:first]
        + data[second : second + n]
        + data[first + n : second]
        + data[first : first + n]
        + data[second + n :]
    )


def _word(data: bytes, rng: Rng) -> bytes:
    """A word or a number of a text becomes another; in binary files what looks like one."""
    found = list(re.finditer(rb'"[^"\n]{0,80}"|-?\d+(?:\.\d+)?|[A-Za-z_]{3,}', data[: 1 << 16]))
    if not found:
        return data
    at = found[int(rng.integers(len(found)))]
    word = _WORDS[int(rng.integers(len(_WORDS)))]
    if at.group().startswith(b'"') and rng.random() < 0.6:
        word = b'"' + word + b'"'
    return data[: at.start()] + word + data[at.end() :]


_WAYS: tuple[Callable[[bytes, Rng], bytes], ...] = (
    *(_flip, _flip, _number, _number, _number, _cut, _remove, _insert, _repeat, _swap, _word, _word),
)


def _nested(n: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(n):
        value = [value]
    return value


_VALUES: tuple[Any, ...] = (
    *(
        None,
        True,
        False,
        0,
        -1,
        1,
        2,
        3,
        300,
        10**6,
        2**31,
        2**63,
        10**30,
        0.5,
        -0.5,
        1e300,
        float("inf"),
        float("nan"),
    ),
    *(
        "",
        "²",
        "t2f",
        "ET",
        "\x1b[31m",
        "$\\frac$",
        "=cmd|' /C calc'!A0",
        "../../secret",
        "x" * 3000,
        "1",
        "nan",
        "none",
    ),
    *([], {}, [[]], [1, 2], ["a", "a"], {"a": 1}, {"": {}}, _nested(70), _nested(500), [0] * 1000),
)


def _restated(data: bytes, name: str, rng: Rng) -> bytes:
    """JSON or TOML that is still some, and says something else in one to three places."""
    if name.endswith(".jsonl"):
        lines = [_restated(line, ".json", rng) if rng.random() < 0.5 else line for line in data.splitlines()]
        return b"\n".join(lines) + b"\n"
    is_toml = name.endswith(".toml")
    value = tomllib.loads(data.decode()) if is_toml else json.loads(data)
    for _ in range(int(rng.integers(1, 4))):
        value = _changed(value, rng)
    try:
        return tomlkit.dumps(value).encode() if is_toml else json.dumps(value).encode()
    except (TypeError, ValueError, RecursionError):  # what TOML has no words for
        return _damaged(data, rng)


def _changed(value: Any, rng: Rng) -> Any:
    """The value with another somewhere in it: the deeper the more likely."""
    if not isinstance(value, dict | list) or not value or rng.random() < 0.1:
        return _VALUES[int(rng.integers(len(_VALUES)))]
    changed = copy.copy(value)
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    key = keys[int(rng.integers(len(keys)))]
    way = rng.random()
    if way < 0.1:
        del changed[key]
    elif way < 0.2 and isinstance(changed, dict):
        changed[str(_VALUES[int(rng.integers(len(_VALUES)))])[:80]] = changed.pop(key)
    elif way < 0.3:
        changed[key] = value[keys[int(rng.integers(len(keys)))]]
    else:
        changed[key] = _changed(value[key], rng)
    return changed


def _with_check_sums(data: bytes) -> bytes:
    """A PNG whose check sums are right again, so that what lies behind them is reached."""
    parts, place = [data[:8]], 8
    while place + 12 <= len(data):
        n = int.from_bytes(data[place : place + 4], "big")
        if place + 12 + n > len(data):
            break
        body = data[place + 4 : place + 8 + n]
        parts.append(data[place : place + 4] + body + struct.pack(">I", zlib.crc32(body)))
        place += 12 + n
    return b"".join(parts) + data[place:]


def _repacked(data: bytes, rng: Rng) -> bytes:
    """A checkpoint with one damaged member and right check sums."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {each.filename: archive.read(each) for each in archive.infolist()}
    names = [name for name in members if members[name]]
    name = next((each for each in names if each.endswith("data.pkl")), names[0])
    name = name if rng.random() < 0.7 else names[int(rng.integers(len(names)))]
    members[name] = _damaged(members[name], rng)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for each, content in members.items():
            archive.writestr(each, content)
    return packed.getvalue()

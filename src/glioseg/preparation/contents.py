"""What files hold, as digests, kept beside their size and time of change so that looking again costs little.

A file whose size and time are those that were kept is taken for the one that was read; any other is read again. A copy
with other times, or a file that was touched, therefore counts as what it holds.
"""

from __future__ import annotations

import hashlib
import stat
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from glioseg.errors import CacheError, FileError
from glioseg.frozen import Frozen
from glioseg.io.files import cannot_read
from glioseg.preparation.records import read_record, write_record

_T = TypeVar("_T")
_THREADS = 4
_N_DIGITS = 32


class _ContentsRecord(Frozen):
    """Absolute path -> size in bytes, time of change in ns, digest."""

    files: dict[str, tuple[int, int, str]]


@dataclass(frozen=True)
class CaseContents:
    """What files hold.

    Args:
        digests: path -> 32 hexadecimal digits of the SHA-256 of what the file holds.
        faults: path -> why a file could not be read.
    """

    digests: Mapping[Path, str]
    faults: Mapping[Path, FileError]


def digests_of(paths: Sequence[Path], root: Path, folder: Path | None) -> Mapping[Path, str]:
    """``Contents.digests`` of files that must all be there; arguments as of ``contents_of``.

    Raises:
        FileError: a file is missing, may not be read or is none (a pipe, a device); the record cannot be written.
    """
    contents = contents_of(paths, root, folder)
    for fault in contents.faults.values():
        raise fault
    return contents.digests


def contents_of(paths: Sequence[Path], root: Path, folder: Path | None) -> CaseContents:
    """What files hold, and why some cannot be read.

    Args:
        paths: of regular files.
        root: the folder that holds them all, after which the record is named.
        folder: of records, where what was read is kept; None reads every file.

    Raises:
        FileError: the record cannot be written.
    """
    record = None if folder is None else folder / f"contents-{_name(root)}.json"
    recorded = {} if record is None else _recorded(record)
    states = {path: _outcome(_state, path) for path in paths}
    names = {path: str(path.absolute()) for path in states}
    unread = [
        path
        for path, state in states.items()
        if not isinstance(state, FileError) and recorded.get(names[path], ())[:2] != state
    ]
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="digest") as pool:
        read = dict(zip(unread, pool.map(partial(_outcome, _digest_of), unread), strict=True))
    digests: dict[Path, str] = {}
    faults: dict[Path, FileError] = {}
    entries = dict(recorded)
    for path, state in states.items():
        digest = read.get(path)
        if isinstance(state, FileError):
            faults[path] = state
        elif isinstance(digest, FileError):
            faults[path] = digest
        else:
            if digest is not None:
                entries[names[path]] = (*state, digest)
            digests[path] = entries[names[path]][2]
    if record is not None and entries != recorded:
        write_record(record, _ContentsRecord(files=entries))
    return CaseContents(digests, faults)


def _outcome(look: Callable[[Path], _T], path: Path) -> _T | FileError:
    try:
        return look(path)
    except FileError as error:
        return error


def _recorded(record: Path) -> Mapping[str, tuple[int, int, str]]:
    try:
        return read_record(record, _ContentsRecord).files
    except (CacheError, FileError):
        return {}


def _state(path: Path) -> tuple[int, int]:
    try:
        state = path.stat()
    except OSError as error:
        raise cannot_read(path, error) from error
    if not stat.S_ISREG(state.st_mode):
        raise FileError("not a file that can be read", path=path, found="a folder, a pipe or a device")
    return state.st_size, state.st_mtime_ns


def _digest_of(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:_N_DIGITS]
    except OSError as error:
        raise cannot_read(path, error) from error


def _name(root: Path) -> str:
    return hashlib.sha256(str(root.absolute()).encode(errors="surrogateescape")).hexdigest()[:12]

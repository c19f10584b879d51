"""Writing so that a reader never meets half a file, and saying plainly why a file cannot be read."""

from __future__ import annotations

import errno
import json
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from glioseg.core import Case
from glioseg.errors import FileError

TEMPORARY = ".writing-"
"""How the names of files begin that are being written, or that were when their writer was killed."""
CANNOT_BE_WRITTEN = "cannot be written"
"""What is wrong, in ``cannot_write``."""
_DAY_S = 86_400.0

LOCK = ".lock"
"""Name of the file in a folder that one process has to itself (``io.lock``)."""


def own_entries(folder: Path) -> list[Path]:
    """What stands in a folder, but for what a killed process of ours may have left before it wrote anything."""
    return [path for path in folder.iterdir() if path.name != LOCK and not path.name.startswith(TEMPORARY)]


@contextmanager
def replacing(path: Path, *, sync: bool = True) -> Iterator[Path]:
    """Yield a temporary name beside ``path``; once the block ends well it is synced to disk and takes ``path``'s place.

    The temporary name keeps the ending of ``path`` (.nii.gz), since writers choose the format by it. With
    ``sync=False`` the caller sees to the syncing (see ``sync_file``), later and for many files at once.

    Raises:
        FileError: the folder cannot be written to, or the disk is full.
    """
    temporary = path.parent / f"{TEMPORARY}{uuid.uuid4().hex}{''.join(path.suffixes[-2:])}"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.touch(exist_ok=False)
    except OSError as error:
        raise cannot_write(path, error) from error
    try:
        yield temporary
        if sync:
            sync_file(temporary)
        temporary.replace(path)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def sweep(folder: Path) -> None:
    """Delete what writers that were killed a day ago or longer have left in a folder, or in one directly below.

    Raises:
        FileError: it cannot be deleted.
    """
    for path in (*folder.glob(f"{TEMPORARY}*"), *folder.glob(f"*/{TEMPORARY}*")):
        try:
            if time.time() - path.stat().st_mtime < _DAY_S:
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        except FileNotFoundError:
            continue  # its writer, or another that sweeps, was quicker
        except OSError as error:
            raise cannot_write(path, error) from error


def sync_file(path: Path) -> None:
    """Wait until what was written to a file is on the disk."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def write_text(path: Path, text: str) -> None:
    r"""Write UTF-8 text in one piece or not at all; half a character, which UTF-8 lacks, is spelt out (``\udc80``)."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def write_bytes(path: Path, data: bytes) -> None:
    """Write bytes in one piece or not at all."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def write_json(path: Path, value: object) -> None:
    """Write ``value`` as indented JSON, in one piece or not at all; NaN is refused."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n")


def take_place(folder: Path, out: Path, *, is_there: bool, last: str | None = None) -> None:
    """Make what a folder holds that of ``out``: whole by its name or, where ``out`` is there, entry by entry.

    What is there may be the folder that its user is in, or a mounted volume, neither of which can be replaced.

    Args:
        folder: of the same file system; gone afterwards.
        out: its place.
        is_there: whether that is there, and empty but for what may be replaced.
        last: name of the entry that is moved after all others, since it says that they are there.

    Raises:
        OSError: an entry could not be moved.
    """
    if not is_there:
        folder.replace(out)
        return
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name == last):
        entry.replace(out / entry.name)
    folder.rmdir()


def names_apart(names: Iterable[str], as_file: Callable[[str], str]) -> tuple[str, ...]:
    """What names are called where they are part of a file's name, in their order.

    ``as_file`` makes them fit for that, and may make one of two, as of names in letters that it does not take. The
    second is then numbered; so are those that differ in case alone, which make one file on many systems.
    """
    taken: set[str] = set()
    distinct = []
    for name in names:
        first = called = as_file(name)
        number = 1
        while called.casefold() in taken:
            number += 1
            called = f"{first}{number}"
        taken.add(called.casefold())
        distinct.append(called)
    return tuple(distinct)


def require_folder(folder: Path) -> None:
    """Refuse before any work a folder into which nothing could be written in the end, there already or to be made.

    It is tried in the folder, or in the nearest one above it that there is; nothing is left behind.

    Raises:
        FileError: a file stands in its place, or it cannot be written to.
    """
    try:
        place = next(place for place in (folder.absolute(), *folder.absolute().parents) if place.exists())
        if not place.is_dir():
            raise FileError("a folder is needed", path=place, found="a file", remedy="Name another with `--out`")
        probe = place / f"{TEMPORARY}{uuid.uuid4().hex}"
        probe.touch(exist_ok=False)
        probe.unlink()
    except OSError as error:
        raise cannot_write(folder, error) from error


def require_place(path: Path) -> None:
    """The same of a file: neither a folder may stand in its place, nor its own folder refuse it."""
    if path.is_dir():
        raise cannot_write(path, IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR)))
    require_folder(path.parent)


def unforeseen(what: str, path: Path | str, error: Exception, *, may_quote: bool = True) -> FileError:
    """What no reader of files answers for: memory that ran out, or a fault of ours.

    Args:
        what: could not be done.
        path: with which file.
        error: why.
        may_quote: whether its words are told; not where they might quote a header or the name of a file.
    """
    found = f"{type(error).__name__}: {error if may_quote else ''}".strip().rstrip(":")
    remedy = (
        "Try it alone; if memory is the limit, on a machine with more, else please report this as a fault of glioseg"
    )
    return FileError(what, path=path, found=found, remedy=remedy)


def unforeseen_in(case: Case, what: str, error: Exception) -> FileError:
    """The same of a case: where its files have a name of their own (DICOM), the words of the error are not quoted."""
    source = next(iter(case.images.values()))
    return unforeseen(what, source.shown, error, may_quote=source.name is None)


def cannot_write(path: Path, error: OSError) -> FileError:
    """The error for a file that could not be written, with its cause and what to do."""
    remedy = "Check the free space of the disk and the permissions of the folder"
    if isinstance(error, IsADirectoryError):
        remedy = "Name a file that lies in it"
    elif isinstance(error, FileExistsError | NotADirectoryError):
        remedy = "A file stands where a folder is needed: name another folder"
    return FileError(CANNOT_BE_WRITTEN, path=path, found=error.strerror or str(error), remedy=remedy)


def nothing_there(path: Path) -> FileError:
    """The error for what was named, and may have been meant as a file or as a folder."""
    return FileError("there is no such file or folder", path=path, remedy="Check the path for a typing error")


def cannot_read(path: Path, error: BaseException) -> FileError:
    """The error for a file that could not be read, with its cause and what to do."""
    if path.is_symlink() and not path.exists():
        remedy = "Restore the file that it should lead to, or remove the link"
        return FileError("the link leads nowhere", path=path, found=f"a link to {path.readlink()}", remedy=remedy)
    if isinstance(error, FileNotFoundError):
        return FileError("there is no such file", path=path, remedy="Check the path for a typing error")
    denied = _refusal(path, error)
    if denied is not None:
        return FileError("the file may not be read", path=path, found=denied, remedy="Check its permissions")
    if isinstance(error, MemoryError):
        remedy = "Close other programs, or work on a machine with more memory"
        return FileError("there is not enough memory to read the file", path=path, remedy=remedy)
    size = path.stat().st_size if path.is_file() else None
    content = "an empty file (0 bytes)" if size == 0 else _in_words(error, path)
    return FileError(
        "the file is damaged or of another format than its name says",
        path=path,
        found=content,
        remedy="Download or copy it again",
    )


def _refusal(path: Path, error: BaseException) -> str | None:
    """Why a file may not be opened; libraries such as nibabel take such a file for one of another format."""
    if isinstance(error, PermissionError):
        return error.strerror
    try:
        with path.open("rb"):
            return None
    except PermissionError as refusal:
        return refusal.strerror
    except OSError:
        return None


def _in_words(error: BaseException, path: Path) -> str:
    """What a library says, without the path, which the message has already, and without the name of its error."""
    text = str(error).replace(str(path), path.name).strip()
    if "end-of-stream" in text:  # as zlib and isal put it
        return "it ends before all of it is there"
    return text if text and not isinstance(error, LookupError) else f"{type(error).__name__}: {text}".rstrip(": ")

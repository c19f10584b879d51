"""What is dropped onto the page, received: files by their place in the folder they came from, archives unpacked.

Nothing of a name or an archive is believed: places that lead elsewhere, links, devices and whatever would become too
large are refused, an archive's members each with a finding, so that one of them never costs the others.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from glioseg.app.answers import TooLargeError
from glioseg.app.options import Limits
from glioseg.console import printable
from glioseg.core import Finding
from glioseg.errors import OptionError
from glioseg.io.dicom.archive import is_archive, leads_out
from glioseg.io.files import cannot_write
from glioseg.io.unpack import unpack

_CHUNK = 1 << 20
_LONGEST_PLACE = 512


@dataclass(frozen=True)
class Sent:
    """A file as it was sent: the name that it came with, which may be a place below a folder, and its content."""

    name: str
    content: BinaryIO


def receive(sent: Iterable[Sent], folder: Path, limits: Limits) -> tuple[Finding, ...]:
    """Write files below a folder, and unpack the archives among them in their places.

    Returns:
        what could not be taken.

    Raises:
        OptionError: a name that leads elsewhere, or two files of one name.
        TooLargeError: more than is accepted.
        FileError: the folder cannot be written to.
    """
    findings: list[Finding] = []
    n_files, room = 0, limits.unpacked_bytes
    for each in sent:
        n_files += 1
        if n_files > limits.files:
            raise too_many(limits.files)
        path = folder / place_of(each.name)
        _write(each, path)
        if is_archive(path):
            unpacked = unpack(path, _beside(path), limits.files - n_files, room)
            path.unlink()
            n_files, room = n_files + unpacked.n_files, room - unpacked.n_bytes
            findings += unpacked.findings
        elif path.suffix.lower() == ".zip":
            message = f"{each.name} is no archive, or was cut off. Make it again, or drop the files themselves"
            findings.append(Finding("error", "unreadable-file", message))
    if not n_files:
        raise OptionError("nothing was sent", expected="DICOM, NIfTI or picture files, a folder or a zip of them")
    return tuple(findings)


def _beside(archive: Path) -> Path:
    """The folder of an archive's members: called as it is where no other has that name."""
    folder = archive.with_suffix("")
    return archive.with_name(f"{archive.stem}.unpacked") if folder.exists() else folder


def place_of(name: str) -> PurePosixPath:
    """The place that a file's name gives it, below the folder of the upload.

    Raises:
        OptionError: it leads elsewhere, is none, or holds what no name has.
    """
    place = PurePosixPath(name.replace("\\", "/"))
    if leads_out(place) or not place.parts or printable(name, kept="") != name or len(name) > _LONGEST_PLACE:
        raise OptionError(
            "a file has a name that is not accepted",
            found=printable(name, kept="")[:80] or "no name",
            expected="the name of a file, or its place in the folder that was dropped",
            remedy="Rename it and drop it again",
        )
    return place


def too_many(most: int) -> TooLargeError:
    """The error for more files than are accepted."""
    return TooLargeError(
        "these are more files than are accepted at once",
        expected=f"at most {most:,}",
        remedy="Drop one study after the other",
    )


def _write(sent: Sent, path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            shutil.copyfileobj(sent.content, file, _CHUNK)
    except FileExistsError as error:
        raise OptionError(
            "two of the files have the same name",
            found=sent.name,
            remedy="Drop the folder that holds them, which tells them apart",
        ) from error
    except (NotADirectoryError, IsADirectoryError) as error:
        raise OptionError("a file and a folder have the same name", found=sent.name) from error
    except OSError as error:
        raise cannot_write(path, error) from error

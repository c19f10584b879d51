"""Files as they lie, or in a zip archive, which is read in place and never unpacked: ``study.zip/DICOM/IM0001``."""

from __future__ import annotations

import zipfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from glioseg.console import printable
from glioseg.core import Finding
from glioseg.errors import FileError, GliosegError
from glioseg.io.bounds import reading

MOST_BYTES = 1 << 30
"""The largest file that is read: a volume of 512³ voxels of 16 bits is a quarter of it."""
_MOST_MEMBERS = 200_000
_ENCRYPTED = 1


def is_archive(path: Path) -> bool:
    """Whether a path is a zip archive, by its name and its content."""
    return path.name.lower().endswith(".zip") and path.is_file() and zipfile.is_zipfile(path)


def file_of(path: Path) -> Path:
    """The file on the disk that a path lies in: the archive of a member, else the path itself."""
    if path.exists():
        return path
    return next((parent for parent in path.parents if is_archive(parent)), path)


def list_archive(path: Path) -> tuple[tuple[Path, ...], tuple[Finding, ...]]:
    """The files in an archive, as paths below it, and what is wrong with others; nothing is unpacked.

    Raises:
        FileError: not a zip archive, damaged, or with more members than any study has.
    """
    files: list[Path] = []
    refused: dict[str, list[int]] = defaultdict(list)
    with reading(path), zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        if len(members) > _MOST_MEMBERS:
            raise FileError(
                "the archive holds more files than are read",
                path=path,
                found=f"{len(members):,}",
                expected=f"at most {_MOST_MEMBERS:,}",
                remedy="Unpack it and name a folder of it",
            )
        for number, member in enumerate(members, start=1):
            why = member_refusal(member)
            if why is not None:
                refused[why].append(number)
            elif not member.is_dir():
                files.append(path / member.filename)
    return tuple(dict.fromkeys(files)), left_out(refused)


def left_out(refused: Mapping[str, Sequence[int]]) -> tuple[Finding, ...]:
    """What is said of members that are not read, why -> their numbers; their names may be a patient's."""
    return tuple(Finding("error", "unreadable-file", _left_out(numbers, why)) for why, numbers in refused.items())


def _left_out(numbers: Sequence[int], why: str) -> str:
    if len(numbers) == 1:
        return f"file {numbers[0]} of the archive is left out: {why}"
    return f"{len(numbers)} files of the archive are left out, the first of them file {numbers[0]}: {why}"


def member_refusal(member: zipfile.ZipInfo) -> str | None:
    """Why a member of an archive is not read, in words; None where it is."""
    why = name_refusal(member.filename)
    if why is not None:
        return why
    if member.flag_bits & _ENCRYPTED:
        return "it is encrypted; unpack the archive with its password first"
    if member.file_size > MOST_BYTES:
        return f"it would unpack to {member.file_size:,} bytes"
    return None


def name_refusal(name: str) -> str | None:
    """Why a member of that name is not read, in words; None where it is."""
    if leads_out(PurePosixPath(name.replace("\\", "/"))):
        return "its name leads out of the archive"
    if printable(name, kept="") != name:
        return "its name has control characters"
    return None


def leads_out(place: PurePosixPath) -> bool:
    """Whether a name that came from elsewhere leads out of the folder that it shall be put below."""
    return place.is_absolute() or ".." in place.parts or ":" in "".join(place.parts[:1])


def contents(paths: Sequence[Path], most: int = MOST_BYTES) -> Iterator[tuple[Path, bytes | GliosegError]]:
    """What each file holds, in the order given but those of one archive together, or why it cannot be read.

    Args:
        paths: of files, or of members of archives.
        most: how many bytes of each are wanted, from its beginning.
    """
    by_file: dict[Path, list[Path]] = defaultdict(list)
    for path in paths:
        by_file[file_of(path)].append(path)
    for file, members in by_file.items():
        if members == [file]:
            yield file, _content(file, most)
        else:
            yield from _contents_of_archive(file, members, most)


def _content(path: Path, most: int) -> bytes | GliosegError:
    try:
        with reading(path):
            size = path.stat().st_size
            if most >= MOST_BYTES and size > MOST_BYTES:
                return FileError(
                    "the file is larger than those that are read",
                    path=path,
                    found=f"{size:,} bytes",
                    expected=f"at most {MOST_BYTES:,}",
                )
            with path.open("rb") as file:
                return file.read(min(most, size))
    except GliosegError as error:
        return error


def _contents_of_archive(file: Path, members: Sequence[Path], most: int) -> Iterator[tuple[Path, bytes | GliosegError]]:
    try:
        with reading(file), zipfile.ZipFile(file) as archive:
            by_name = {file / info.filename: info for info in archive.infolist()}
            for member in members:
                yield member, _content_of_member(archive, by_name.get(member), member, most)
    except GliosegError as error:
        yield from ((member, error) for member in members)


def _content_of_member(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo | None, path: Path, most: int
) -> bytes | GliosegError:
    """The bytes of a member, never more than it declares and than are read at most."""
    damaged = FileError("the file in the archive is damaged", path=path, remedy="Make or download the archive again")
    if info is None or member_refusal(info) is not None:
        return damaged
    try:
        with archive.open(info) as stream:
            content = stream.read(min(most, info.file_size))
            if most >= info.file_size:
                stream.read(1)  # the check sum is compared at the end
            return content
    except Exception:  # noqa: BLE001 - what zipfile and its decompressors raise is no closed list
        return damaged

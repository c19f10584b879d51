"""An archive, zip or tar, unpacked below a folder: nothing that leads out of it, and never more than is allowed."""

from __future__ import annotations

import stat
import tarfile
import zipfile
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

from glioseg.core import Finding
from glioseg.errors import FileError
from glioseg.io.bounds import DEFLATE, reading
from glioseg.io.dicom.archive import MOST_BYTES, left_out, member_refusal, name_refusal
from glioseg.io.files import cannot_write

_CHUNK = 1 << 20
_HIDDEN = ("__MACOSX/",)
"""What macOS puts beside the files: no scans."""


@dataclass(frozen=True)
class Unpacked:
    """What an archive held: files and bytes that were written, and what is wrong with its other members."""

    n_files: int
    n_bytes: int
    findings: tuple[Finding, ...]


def unpack(path: Path, folder: Path, most_files: int, most_bytes: int) -> Unpacked:
    """Write the members of an archive below ``folder``; those that cannot be taken are told and left out.

    Links and devices are no scans, whatever they lead to, and are left out too.

    Raises:
        FileError: no zip archive and no tar, or a damaged one; more files or bytes than are allowed, whatever it
            declares; the folder cannot be written to.
    """
    with reading(path):
        is_tar = not zipfile.is_zipfile(path) and tarfile.is_tarfile(path)
    return (
        _unpack_tar(path, folder, most_files, most_bytes)
        if is_tar
        else _unpack_zip(path, folder, most_files, most_bytes)
    )


def _unpack_zip(path: Path, folder: Path, most_files: int, most_bytes: int) -> Unpacked:
    refused: dict[str, list[int]] = defaultdict(list)
    n_files = n_bytes = 0
    with reading(path), zipfile.ZipFile(path) as archive:
        members = [each for each in archive.infolist() if not each.filename.startswith(_HIDDEN)]
        _require_number(path, len(members), most_files)
        _require_room(path, sum(member.file_size for member in members), most_bytes)
        for number, member in enumerate(members, start=1):
            why = member_refusal(member) or _kind_refusal(member)
            if why is None and not member.is_dir():
                why = _write(partial(archive.open, member), member.file_size, _target(folder, member.filename))
                n_files, n_bytes = n_files + (why is None), n_bytes + (member.file_size if why is None else 0)
            if why is not None:
                refused[why].append(number)
    return Unpacked(n_files, n_bytes, left_out(refused))


def _unpack_tar(path: Path, folder: Path, most_files: int, most_bytes: int) -> Unpacked:
    """A tar has no list of its members: limits are held to as they come."""
    refused: dict[str, list[int]] = defaultdict(list)
    n_files = n_bytes = declared = 0
    with reading(path), tarfile.open(path) as archive:
        for number, member in enumerate(archive, start=1):
            _require_number(path, number, most_files)
            declared += member.size
            _require_room(path, declared, most_bytes)
            why = _tar_refusal(member)
            if why is None and not member.isdir():
                why = _write(partial(_member_of, archive, member), member.size, _target(folder, member.name))
                n_files, n_bytes = n_files + (why is None), n_bytes + (member.size if why is None else 0)
            if why is not None:
                refused[why].append(number)
    return Unpacked(n_files, n_bytes, left_out(refused))


def _member_of(archive: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    stream = archive.extractfile(member)
    if stream is None:
        raise ValueError("not a file")
    return stream


def _tar_refusal(member: tarfile.TarInfo) -> str | None:
    if not (member.isfile() or member.isdir()):
        return "it is a link" if member.issym() or member.islnk() else "it is no file but a device or the like"
    if member.size > MOST_BYTES:
        return f"it would unpack to {member.size:,} bytes"
    return name_refusal(member.name)


def _require_number(path: Path, n_members: int, most_files: int) -> None:
    if n_members > most_files:
        raise FileError(
            "the archive holds more files than are accepted",
            path=path,
            found=f"{n_members:,}",
            expected=f"at most {most_files:,}",
            remedy="Make an archive of each study",
        )


def _require_room(path: Path, declared: int, most_bytes: int) -> None:
    """Refuse by what is declared, before it is written; what is unpacked never exceeds it."""
    possible = path.stat().st_size * DEFLATE
    if declared > most_bytes or declared > possible:
        raise FileError(
            "the archive would unpack to more than is accepted",
            path=path,
            found=f"{declared / 1e9:,.1f} GB",
            expected=f"at most {most_bytes / 1e9:,.1f} GB",
            remedy="Make an archive of each study; where it is no larger than that, the archive is damaged",
        )


def _kind_refusal(member: zipfile.ZipInfo) -> str | None:
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind in (0, stat.S_IFREG, stat.S_IFDIR):
        return None
    return "it is a link" if kind == stat.S_IFLNK else "it is no file but a device or the like"


def _target(folder: Path, name: str) -> Path:
    return folder / name.replace("\\", "/")


def _write(opened: Callable[[], IO[bytes]], n_bytes: int, target: Path) -> str | None:
    """Write a member, no byte more than it declares; why it could not be."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        file = target.open("xb")
    except (FileExistsError, NotADirectoryError, IsADirectoryError):
        return "another has its name"
    except OSError as error:
        raise cannot_write(target, error) from error
    try:
        with file, opened() as stream:
            left = n_bytes
            while part := stream.read(min(_CHUNK, left + 1)):
                if len(part) > left:
                    raise ValueError("more than it declares")
                file.write(part)
                left -= len(part)
            if left:
                raise ValueError("less than it declares")
    except OSError as error:
        target.unlink(missing_ok=True)
        raise cannot_write(target, error) from error
    except Exception:  # noqa: BLE001 - what zipfile, tarfile and their decompressors raise is no closed list
        target.unlink(missing_ok=True)
        return "it is damaged"
    return None

"""A zip archive unpacked below a folder: nothing that leads out of it, and never more than is allowed."""

from __future__ import annotations

import stat
import zipfile
from dataclasses import dataclass
from pathlib import Path

from glioseg.core import Finding
from glioseg.errors import FileError
from glioseg.io.bounds import DEFLATE, reading
from glioseg.io.dicom.archive import left_out, member_refusal
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
        FileError: no zip archive, or a damaged one; more files or bytes than are allowed, whatever it declares; the
            folder cannot be written to.
    """
    findings: list[Finding] = []
    n_files = n_bytes = 0
    with reading(path), zipfile.ZipFile(path) as archive:
        members = [each for each in archive.infolist() if not each.filename.startswith(_HIDDEN)]
        _require_room(path, members, most_files, most_bytes)
        for number, member in enumerate(members, start=1):
            why = member_refusal(member) or _kind_refusal(member)
            if why is None and not member.is_dir():
                why = _unpack_member(archive, member, folder)
                n_files, n_bytes = n_files + (why is None), n_bytes + (member.file_size if why is None else 0)
            if why is not None:
                findings.append(left_out(number, why))
    return Unpacked(n_files, n_bytes, tuple(findings))


def _require_room(path: Path, members: list[zipfile.ZipInfo], most_files: int, most_bytes: int) -> None:
    """Refuse by what is declared, before anything is written; what is unpacked never exceeds it."""
    if len(members) > most_files:
        raise FileError(
            "the archive holds more files than are accepted",
            path=path,
            found=f"{len(members):,}",
            expected=f"at most {most_files:,}",
            remedy="Make an archive of each study",
        )
    declared = sum(member.file_size for member in members)
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


def _unpack_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, folder: Path) -> str | None:
    """Write a member, no byte more than it declares; why it could not be."""
    target = folder / member.filename.replace("\\", "/")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        file = target.open("xb")
    except (FileExistsError, NotADirectoryError, IsADirectoryError):
        return "another has its name"
    except OSError as error:
        raise cannot_write(target, error) from error
    try:
        with file, archive.open(member) as stream:
            left = member.file_size
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
    except Exception:  # noqa: BLE001 - what zipfile and its decompressors raise is no closed list
        target.unlink(missing_ok=True)
        return "it is damaged"
    return None

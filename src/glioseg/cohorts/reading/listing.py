"""One walk through a folder, which all readers share."""

from __future__ import annotations

import errno
import os
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from glioseg.cohorts.reading.wrapped import places_of
from glioseg.console import printable
from glioseg.core import Finding
from glioseg.errors import FileError, OptionError
from glioseg.io.files import nothing_there

_IGNORED_FOLDERS = frozenset({"__MACOSX", "__pycache__", "lost+found"})


@dataclass(frozen=True)
class MaskPattern:
    """How a user says which files are masks: ``*_roi.nii.gz``, ``drawn/*.png``; ``*`` is the name of picture or case,
    or of the folder that a case has of its own: ``*/drawn.nii.gz``.

    Args:
        text: as the user wrote it.

    Raises:
        OptionError: it has no ``*``, or several.
    """

    text: str

    def __post_init__(self) -> None:
        if self.text.count("*") != 1 or not self.text.strip("*/ "):
            raise OptionError(
                "`--mask-pattern` needs one * in the place of the case's or picture's name",
                found=self.text,
                expected="such as *_roi.nii.gz or drawn/*.png",
            )

    def name_in(self, place: Path) -> str | None:
        """What the file's own name has in the place of ``*``, nothing where that is a folder's; None where the end of
        the path does not fit.
        """
        parts = place.parts[-len(self._parts) :]
        names = [_in_place_of_star(part, name) for part, name in zip(self._parts, parts, strict=False)]
        return None if len(parts) < len(self._parts) or None in names else names[-1]

    def of_case(self, folders: tuple[str, ...]) -> tuple[str, ...]:
        """Of the folders of a mask those that its case has, too: without those that the pattern spells out."""
        parts = self._parts[-2::-1]
        kept = [name for at, name in enumerate(folders[::-1]) if at >= len(parts) or "*" in parts[at]]
        return tuple(kept[::-1])

    @property
    def _parts(self) -> list[str]:
        return self.text.strip("/").split("/")


def _in_place_of_star(part: str, name: str) -> str | None:
    """What a name has where a part of a pattern has ``*``, nothing where that has none; None where it does not fit."""
    before, star, after = part.partition("*")
    if not star:
        return "" if name.lower() == part.lower() else None
    fits = name.lower().startswith(before.lower()) and name.lower().endswith(after.lower())
    return name[len(before) : len(name) - len(after)] if fits and len(name) > len(before) + len(after) else None


@dataclass(frozen=True)
class Listing:
    """All files at and below a folder, in natural order (2 before 10).

    Args:
        root: the folder the user named, absolute.
        files: absolute paths, hidden files left out.
        findings: folders that could not be entered, links that lead back to a folder above them, names that are no
            text, pipes and devices.
        moved: files that have a folder of their own each -> where they count as lying (see ``wrapped``).
        masks: which files are masks, where the user says it; None where names do.
    """

    root: Path
    files: tuple[Path, ...]
    findings: tuple[Finding, ...] = field(default=())
    moved: Mapping[Path, Path] = field(default_factory=dict)
    masks: MaskPattern | None = None

    @cached_property
    def by_folder(self) -> dict[Path, list[Path]]:
        """Folder -> the files that count as lying directly in it, in natural order; those without any are absent."""
        folders: dict[Path, list[Path]] = defaultdict(list)
        for path in self.files:
            folders[self.place(path).parent].append(path)
        return dict(folders)

    @cached_property
    def _by_place(self) -> dict[Path, Path]:
        return {place: path for path, place in self.moved.items()}

    def place(self, path: Path) -> Path:
        """Where a file counts as lying: its names are read there, its content at ``path`` itself."""
        return self.moved.get(path, path)

    def at(self, place: Path) -> Path:
        """The file that counts as lying at a place; the place itself where none was moved there."""
        return self._by_place.get(place, place)

    def named(self, name: str) -> list[Path]:
        """The files of exactly that name (case ignored), nearest to the root first."""
        paths = [path for path in self.files if path.name.lower() == name.lower()]
        return sorted(paths, key=lambda path: len(path.parts))

    def ending(self, *suffixes: str) -> list[Path]:
        """The files whose name ends in one of ``suffixes`` (case ignored)."""
        return [path for path in self.files if path.name.lower().endswith(suffixes)]

    def folders(self) -> list[Listing]:
        """What lies in each folder directly below it, in order; in one pass, since a patient has a folder each."""
        depth = len(self.root.parts)
        below: dict[str, list[Path]] = defaultdict(list)
        for path in self.files:
            if len(path.parts) > depth + 1:
                below[path.parts[depth]].append(path)
        return [
            Listing(
                self.root / name, tuple(files), moved={path: self.moved[path] for path in files if path in self.moved}
            )
            for name, files in below.items()
        ]

    def relative(self, path: Path) -> str:
        """``path`` as the user would write it, below the root."""
        return path.relative_to(self.root).as_posix()


def natural_key(path: Path | str) -> list[tuple[int, int, str]]:
    """Sort key under which ``slice_2`` comes before ``slice_10``."""
    parts = re.split(r"(\d+)", str(path).lower())
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts]


def list_folder(root: Path, progress: Callable[[int], None] | None = None, left_out: Collection[Path] = ()) -> Listing:
    """Walk ``root``; links are followed once, hidden files and folders are skipped, nothing is opened.

    Args:
        root: the folder.
        progress: called with the number of files found so far.
        left_out: files that are not listed, by their paths from ``root``.

    Raises:
        FileError: ``root`` does not exist, is a file, or cannot be read.
    """
    root = Path(os.path.abspath(root))  # noqa: PTH100 - resolve() would turn the user's links into other names
    if printable(str(root)) != str(root):
        raise FileError(
            "the folder's name is not UTF-8 or has control characters",
            path=printable(str(root)),
            remedy="Rename it, or name it by a link",
        )
    if not root.exists():
        raise nothing_there(root)
    if not root.is_dir():
        raise FileError("a folder is needed", path=root, found="a file", remedy="Name the folder that holds it")
    files: list[Path] = []
    findings: list[Finding] = []
    _walk(root, frozenset(), files, findings, root, progress)
    unwanted = {root / path for path in left_out}
    ordered = tuple(sorted((path for path in files if path not in unwanted), key=natural_key))
    return Listing(root, ordered, tuple(findings), places_of(root, ordered))


def _walk(
    folder: Path,
    above: frozenset[str],
    files: list[Path],
    findings: list[Finding],
    root: Path,
    progress: Callable[[int], None] | None,
) -> None:
    real = os.path.realpath(folder)
    if real in above:
        name = folder.relative_to(root).as_posix()
        message = f"the link {name} leads back to a folder above it and was not followed; remove it"
        findings.append(Finding("error", "link-loop", message))
        return
    for entry in _entries(folder, findings, root):
        if entry.name.startswith(".") or entry.name in _IGNORED_FOLDERS:
            continue
        path = folder / entry.name
        if _refused(path, entry, findings, root):
            continue
        if _is_folder(entry):
            _walk(path, above | {real}, files, findings, root, progress)
        else:
            files.append(path)
            if entry.is_symlink() and _leads_to_itself(path):
                name = path.relative_to(root).as_posix()
                findings.append(Finding("error", "link-loop", f"the link {name} leads to itself; remove it"))
    if progress is not None:
        progress(len(files))


def _entries(folder: Path, findings: list[Finding], root: Path) -> list[os.DirEntry[str]]:
    """What is in a folder, by name; a folder below the root that cannot be read is a finding."""
    try:
        return sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        if folder == root:
            raise FileError("the folder cannot be read", path=folder, found=error.strerror) from error
        name = folder.relative_to(root).as_posix()
        findings.append(Finding("error", "unreadable-folder", f"{name} cannot be read: {error.strerror}"))
        return []


def _refused(path: Path, entry: os.DirEntry[str], findings: list[Finding], root: Path) -> bool:
    """Whether an entry is left out: one whose name no table can hold, or that is neither file nor folder."""
    if printable(entry.name, kept="") != entry.name:
        name = printable(path.relative_to(root).as_posix(), kept="")
        message = f"{name} is left out: its name is not UTF-8 or has control characters; rename it"
        findings.append(Finding("error", "unprintable-name", message))
        return True
    if _is_special(entry):
        name = path.relative_to(root).as_posix()
        message = f"{name} is a named pipe, a socket or a device, and was not opened; remove it"
        findings.append(Finding("error", "special-file", message))
        return True
    return False


def _is_special(entry: os.DirEntry[str]) -> bool:
    """Whether something is there that is neither file nor folder; a link to nothing is named when it is opened."""
    try:
        if entry.is_file() or entry.is_dir():
            return False
        entry.stat()
    except OSError:
        return False
    return True


def _leads_to_itself(link: Path) -> bool:
    """Whether following a link never ends; a link to nothing does, and is named when it is opened."""
    try:
        link.stat()
    except OSError as error:
        return error.errno == errno.ELOOP
    return False


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself: listed as a file, reported as unreadable when it is opened
        return False

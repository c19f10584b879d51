"""``glioseg download``: a public set fetched, checked and unpacked as a whole, or what was got by hand checked."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from glioseg.cohorts.catalogue import PublicSet, SetFile, public_set
from glioseg.cohorts.recognise import read_cohort
from glioseg.console import QUIET, Reporter
from glioseg.errors import FileError, OptionError, plural
from glioseg.faces import command
from glioseg.io.fetch import Digest, WebFile, answer, fetch, n_bytes_there
from glioseg.io.files import cannot_write, own_entries, take_place, write_json
from glioseg.io.lock import locked
from glioseg.io.text import read_json
from glioseg.io.unpack import unpack

RECORD = "DOWNLOADED.json"
"""What lies beside a set's files once all of them are there: which set, whence, on what terms, when."""
_STAGING = ".part"
_UNPACKED = "unpacked"
_MOST_FILES = 100_000
_ROOM = 1.1
"""How many times the bytes that are needed must be free: file systems take some for themselves."""
_MEGA = 1_000_000


@dataclass(frozen=True)
class DownloadResult:
    """A public set that is there.

    Args:
        name: of the set.
        folder: where it lies.
        found: what is in it: layout, cases, patients, files of scans and masks, bytes of them.
        differences: from what its publisher says, in words; empty where there are none.
        was_there: whether it had been fetched before.
    """

    name: str
    folder: Path
    found: Mapping[str, str | int]
    differences: tuple[str, ...]
    was_there: bool = False

    def to_json(self) -> dict[str, Any]:
        """As ``--json`` has it."""
        facts = {"name": self.name, "folder": str(self.folder), **self.found}
        return facts | {"differences": list(self.differences), "was_there": self.was_there}


def download(name: str, out: Path | None = None, reporter: Reporter = QUIET) -> DownloadResult:
    """Have a public set in a folder, all of it or none; what an earlier call has fetched is kept.

    Everything happens in ``OUT.part`` beside it, which takes the name ``OUT`` once it is whole; where ``OUT`` is there
    already, and may be a mounted volume or the folder that its user is in, within it, in ``OUT/.part``.

    Raises:
        OptionError: no such set, or one that cannot be fetched without its user: the message says the steps.
        FileError: the folder holds other files, or too little is free; see ``fetch`` and ``unpack``.
    """
    wanted = public_set(name)
    if not wanted.files:
        raise _by_hand(wanted)
    folder = Path(name) if out is None else out
    if _is_there(wanted, folder):
        return check(name, folder, was_there=True)
    staging = _staging(folder)
    with locked(staging):
        _require_space(wanted, staging)
        for file in wanted.files:
            with reporter.progress(f"{file.name} (MB)") as step:
                _fetch(wanted, file, staging, lambda done, total, step=step: step(done // _MEGA, total // _MEGA))
        _unpack(wanted, staging, reporter)
        _put_in_place(wanted, staging, folder)
    with suppress(OSError):  # the lock has taken it away already where it made it
        staging.rmdir()
    return check(name, folder)


def check(name: str, folder: Path, *, was_there: bool = False) -> DownloadResult:
    """Whether a folder holds what the publisher of a set says: its layout, cases, patients and files.

    Raises:
        OptionError: no such set.
        FileError, LayoutError: no such folder, or none that any layout fits.
    """
    expected = public_set(name).contents
    cohort = read_cohort(folder)
    sources = [source for case in cohort.cases for source in (*case.images.values(), case.labels) if source is not None]
    paths = {path for source in sources for path in source.paths}
    contents: dict[str, str | int] = {
        "layout": cohort.layout,
        "n_cases": len(cohort.cases),
        "n_patients": len(cohort.patients),
        "n_files": len(paths),
        "bytes": sum(path.stat().st_size for path in paths),
    }
    published: Mapping[str, tuple[str | int | None, str]] = {
        "layout": (expected.layout, "layout"),
        "n_cases": (expected.n_cases, "cases"),
        "n_patients": (expected.n_patients, "patients"),
        "n_files": (expected.n_files, "files of scans and masks"),
    }
    differences = tuple(
        f"{words}: found {_shown(contents[key])}, expected {_shown(value)}"
        for key, (value, words) in published.items()
        if value is not None and contents[key] != value
    )
    return DownloadResult(name, folder, contents, differences, was_there)


def _shown(value: str | int) -> str:
    return f"{value:,}" if isinstance(value, int) else value


def _by_hand(wanted: PublicSet) -> OptionError:
    why = "needs an account of yours" if wanted.access == "account" else "comes by a program of its publisher's alone"
    check = command("download", wanted.name, "--check", "FOLDER")
    steps = (*wanted.steps, f"`{check}` says whether all of it is there")
    numbered = "".join(f"\n  {number}. {step}" for number, step in enumerate(steps, start=1))
    return OptionError(f"{wanted.name} {why}", found=f"{wanted.about}; {wanted.licence}", remedy=numbered)


def _staging(folder: Path) -> Path:
    """Where the set is fetched and unpacked."""
    beside = folder.parent / f"{folder.name}{_STAGING}"
    return beside if not folder.exists() or beside.exists() else folder / _STAGING


def _is_there(wanted: PublicSet, folder: Path) -> bool:
    """Whether the set was fetched into this folder before; a folder that holds anything else is refused."""
    try:
        record = read_json(folder / RECORD)
    except FileError:
        record = None
    if isinstance(record, Mapping) and record.get("name") == wanted.name:
        return True
    if folder.exists() and (not folder.is_dir() or any(path.name != _STAGING for path in own_entries(folder))):
        raise FileError(
            "the folder holds other files",
            path=folder,
            expected="a folder that is not there yet, or an empty one",
            remedy="Name another with `--out`",
        )
    return False


def _require_space(wanted: PublicSet, staging: Path) -> None:
    """Refuse before the first byte where the disk cannot hold archives and what is in them."""
    there = sum(n_bytes_there(staging / file.name) for file in wanted.files)
    needed = int(((wanted.n_bytes or 0) + wanted.unpacked_bytes) * _ROOM) - there
    free = shutil.disk_usage(staging).free
    if free < needed:
        raise FileError(
            "there is too little room on the disk",
            path=staging,
            found=f"{free / 1e9:.1f} GB free",
            expected=f"{needed / 1e9:.1f} GB, archive and what is in it",
            remedy="Make room, or name a folder on another disk with `--out`",
        )


def _fetch(wanted: PublicSet, file: SetFile, staging: Path, step: Any) -> None:  # noqa: ANN401 - see ``fetch``
    digest = file.digest
    if digest is None and file.record is not None:
        digest = _digest_in(answer(file.record, wanted.page), file.name)
        if digest is None:
            raise FileError(
                "the publisher's record does not state a checksum", path=file.record, remedy=f"See {wanted.page}"
            )
    fetch(WebFile(file.address, file.n_bytes, digest, wanted.page), staging / file.name, step=step)


def _digest_in(record: Any, name: str) -> Digest | None:  # noqa: ANN401 - whatever JSON holds
    """What a record of Zenodo states of one of its files: ``{"files": [{"key": …, "checksum": "md5:…"}, …]}``."""
    files = record.get("files") if isinstance(record, Mapping) else None
    for entry in files if isinstance(files, list) else ():
        if isinstance(entry, Mapping) and entry.get("key") == name:
            algorithm, _, value = str(entry.get("checksum")).partition(":")
            return Digest("md5", value) if algorithm == "md5" else None
    return None


def _unpack(wanted: PublicSet, staging: Path, reporter: Reporter) -> None:
    """Put what the archives hold into a folder of its own, in staging; what a killed call left there goes first."""
    unpacked = staging / _UNPACKED
    try:
        shutil.rmtree(unpacked, ignore_errors=True)
        unpacked.mkdir()
        with reporter.progress("Unpack") as step:
            for number, file in enumerate(wanted.files, start=1):
                _take_out(staging / file.name, unpacked, wanted, reporter)
                step(number, len(wanted.files))
    except OSError as error:
        raise cannot_write(unpacked, error) from error


def _take_out(path: Path, unpacked: Path, wanted: PublicSet, reporter: Reporter) -> None:
    if not path.name.endswith((".zip", ".tar")):
        shutil.copyfile(path, unpacked / path.name)
        return
    room = int(wanted.unpacked_bytes * 2)
    below = unpacked / path.stem if len(wanted.files) > 1 else unpacked  # parts of a set may hold the same names
    held = unpack(path, below, _MOST_FILES, room)
    for finding in held.findings:
        reporter.say(f"{path.name}: {finding.message}")


def _put_in_place(wanted: PublicSet, staging: Path, folder: Path) -> None:
    unpacked = staging / _UNPACKED
    record = {
        "name": wanted.name,
        "about": wanted.about,
        "licence": wanted.licence,
        "cite": wanted.cite,
        "page": wanted.page,
        "files": [file.address for file in wanted.files],
        "on": date.today().isoformat(),
    }
    write_json(unpacked / RECORD, record)
    try:
        take_place(unpacked, folder, is_there=folder.exists(), last=RECORD)
        for file in wanted.files:
            (staging / file.name).unlink()
    except OSError as error:
        raise cannot_write(folder, error) from error


def found_text(result: DownloadResult) -> str:
    """What is there, in lines."""
    facts = result.found
    head = f"{result.folder}: {plural(int(facts['n_cases']), 'case')} of {plural(int(facts['n_patients']), 'patient')}"
    size = f"{int(facts['bytes']) / 1e9:,.2f} GB in {plural(int(facts['n_files']), 'file')}, layout {facts['layout']}"
    lines = [f"{head}, {size}", *(f"  differs: {words}" for words in result.differences)]
    return "\n".join(lines if result.differences else [*lines, "  as its publisher says"])

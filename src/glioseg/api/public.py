"""Public sets of scans: what there is, and having one on the disk."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from glioseg.api.addresses import require_here
from glioseg.api.common import Progress, StrPath, optional_path, reporter_of, require_kind

if TYPE_CHECKING:
    from glioseg.cohorts.catalogue import PublicSet
    from glioseg.runs.download import DownloadResult


def public_sets() -> tuple[PublicSet, ...]:
    """The public sets of scans that are known: terms, sizes, where they lie, and how each is to be had."""
    from glioseg.cohorts.catalogue import PUBLIC_SETS

    return tuple(PUBLIC_SETS.values())


def download(
    name: str, out: StrPath | None = None, *, check: StrPath | None = None, progress: Progress | None = None
) -> DownloadResult:
    """Have a public set of scans in a folder: all of it, as it was published, or none.

    What broke off goes on where it stopped. Archives are held to size and checksum, unpacked and removed.

    Args:
        name: of the set, as ``public_sets`` has it.
        out: its folder; None takes the name of the set. What is there already is not fetched again.
        check: a folder where you have put the set yourself; nothing is fetched then.
        progress: told how many megabytes are there.

    Returns:
        ``.folder``, ``.found`` (layout, numbers of cases, patients and files) and ``.differences`` from what its
        publisher says, in words; ``glioseg.read(result.folder)`` reads it.

    Raises:
        OptionError: no such set; one that needs an account, or a program of its publisher's: the message has the steps.
        FileError: the address cannot be fetched; what came is not what was published; the folder holds other files or
            cannot be written to; too little room on the disk.
        LayoutError: ``check`` holds nothing that is recognised.
    """
    from glioseg.runs import download as downloading

    require_kind("name", name, str, "the name of a public set")
    require_here(out, check)
    if check is not None:
        return downloading.check(name, Path(check))
    return downloading.download(name, optional_path(out), reporter_of(progress))

"""Cases that are made ready before a network sees them: their files read, each on its own grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from glioseg.core import Case
from glioseg.errors import GeometryError, GliosegError
from glioseg.io.files import write_bytes
from glioseg.io.load import read_sources
from glioseg.preparation.ready.brain import T1_NAMES
from glioseg.preparation.ready.options import ReadyOptions
from glioseg.preparation.ready.result import ReadyScan
from glioseg.report.figures.ready import ready_figure
from glioseg.report.figures.render import png_of


def needed_for(case: Case, needed: Sequence[str], options: ReadyOptions) -> Case:
    """A case with what a network needs of its images and, for brain extraction, a T1; those first that it needs."""
    names = [name for name in needed if name in case.images]
    if options.brain_extract and not set(names) & set(T1_NAMES):
        names += [name for name in T1_NAMES if name in case.images][:1]
    return replace(case, images={name: case.images[name] for name in names})


def ready_scan(case: Case, needed: Sequence[str], options: ReadyOptions) -> ReadyScan:
    """Read a case and make it ready.

    Args:
        case: where the files are.
        needed: what the network sees, in its order.
        options: what is done.

    Raises:
        FileError: a file is missing, truncated or damaged.
        GeometryError: pictures; see also ``make_ready``.
        OptionError: likewise.
    """
    from glioseg.preparation.ready.scan import make_ready  # SimpleITK and the atlas, which few cases need

    case = needed_for(case, needed, options)
    first = next(iter(case.images.values()), None)
    if first is None:
        raise GeometryError(f"case {case.id} has none of {', '.join(needed)}")
    volumes = {}
    for name, voxels in read_sources(case.images).items():
        if isinstance(voxels, GliosegError):
            raise voxels
        volumes[name] = voxels
    derived = [name for name, source in case.images.items() if source.is_derived]
    try:
        return make_ready(volumes, needed, options, derived)
    except GeometryError as error:
        raise GeometryError(
            error.what, path=first.shown, found=error.found, expected=error.expected, remedy=error.remedy
        ) from error


def with_target_first(case: Case, target: str) -> Case:
    """The case with that modality before the others on whose grid the mask lies: forms of it refer to the first."""
    others = {name: source for name, source in case.images.items() if name != target}
    return replace(case, images={target: case.images[target], **others})


def ready_file(stem: str) -> str:
    """Name of the picture that shows what was done to a case."""
    return f"{stem}_ready.png"


def save_ready(scan: ReadyScan, folder: Path, stem: str) -> dict[str, Any]:
    """Write that picture, where there is something to be seen; what was done, for the record of the case.

    Raises:
        FileError: it cannot be written.
    """
    facts = scan.record.to_json()
    if not scan.views:
        return facts
    write_bytes(folder / ready_file(stem), png_of(ready_figure(scan.views)))
    return facts | {"figure": ready_file(stem)}

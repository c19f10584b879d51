"""Scans made ready for networks, or for other programs, from Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from glioseg.api.addresses import takes_addresses
from glioseg.api.common import Progress, StrPath, reporter_of, require_list
from glioseg.api.data import AnyData, source_of

if TYPE_CHECKING:
    from glioseg.runs.ready import ReadyResult


@takes_addresses
def make_ready(
    inputs: AnyData | Sequence[AnyData],
    out: StrPath,
    *,
    modalities: Sequence[str] | None = None,
    modality_files: Mapping[str, StrPath] | None = None,
    max_voxels: int | None = None,
    brain_extract: bool = False,
    n4: bool = False,
    atlas: str | None = None,
    mask_on: str | None = None,
    progress: Progress | None = None,
) -> ReadyResult:
    """Register the modalities of every case and write them on one grid of 1 mm, ``OUT/CASE/CASE-t1n.nii.gz``, as
    BraTS names them.

    Args:
        inputs: folders of cases, or what ``glioseg.read`` gave.
        out: where results go.
        modalities: those that are wanted; None for t1n, t1c, t2w and t2f.
        modality_files: modality -> file, of one more case that is given file by file.
        max_voxels: files that declare more are refused.
        brain_extract: remove what is not brain, where a skull is found; needs the extra ``brain`` and a T1.
        n4: even out the shading of each modality.
        atlas: ``mni`` for the space of that atlas.
        mask_on: the modality that the others are registered to; None for the first that was acquired as it is.
        progress: told how many cases are done.

    Returns:
        ``.cases``, each with ``.files`` and ``.facts``, what was done; ``.failed``, what is wrong with the others.

    Raises:
        OptionError: nothing to be made ready, a library is missing, or results that would replace the scans.
        GeometryError, FileError: no case can be made ready.
    """
    from glioseg.core.modalities import MODALITY_ORDER, named_among, our_names
    from glioseg.preparation.ready.options import ReadyOptions
    from glioseg.runs import ready

    require_list("modalities", modalities, '["t1n", "t2f"]')
    given = inputs if isinstance(inputs, Sequence) and not isinstance(inputs, str) else [inputs]
    needed = MODALITY_ORDER if modalities is None else our_names(modalities)
    return ready.make_ready(
        [source_of(each) for each in given],
        Path(out),
        ReadyOptions(True, brain_extract, n4, atlas, None if mask_on is None else named_among(mask_on, needed)),
        needed=needed,
        modality_files={name: Path(path) for name, path in (modality_files or {}).items()},
        max_voxels=max_voxels,
        reporter=reporter_of(progress),
    )

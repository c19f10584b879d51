"""Which volumes belong together: the images and label maps of one case, told by folders and names alone."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from glioseg.cohorts.reading.listing import Listing
from glioseg.cohorts.reading.naming import Named, folder_role, named
from glioseg.core.modalities import modality_of
from glioseg.io.endings import VOLUME_ENDINGS

_SEPARATORS = "_-. "
_BRAIN_MASK = re.compile(r"(?:^|[_\-. ])(?:brain|head|skull|body)$", re.IGNORECASE)

_Groups = dict[str, list[Named]]
"""Common beginning of the names -> the files of one case."""


@dataclass(frozen=True)
class Scan:
    """The files of one case.

    Args:
        id: its name.
        images: what follows the case's name in the name of each image (its modality; may be empty) -> the file.
        masks: every file that claims to be its label map.
        part: train, val or test, where a folder says so.
    """

    id: str
    images: tuple[tuple[str, Path], ...]
    masks: tuple[Path, ...]
    part: str | None


def gather(listing: Listing) -> list[Scan]:
    """The cases among the volumes of a folder, label maps without image included; masks of the brain are left aside."""
    folders: dict[tuple[str, ...], list[Named]] = defaultdict(list)
    for file in named(listing, listing.ending(*VOLUME_ENDINGS)):
        if not (file.is_mask and _BRAIN_MASK.search(file.name)):
            folders[file.folders].append(file)
    groups = {folder: _group(files) for folder, files in folders.items()}
    with_masks = [groups[folder] for folder, files in folders.items() if any(file.is_mask for file in files)]
    if len(folders) > 1 and () not in folders and all(len(cases) == 1 for cases in with_masks or groups.values()):
        # A folder per case: one without label map is a case too, and its name is the case's.
        whole = {folder: _as_one(files) for folder, files in folders.items()}
        return [_scan(folder, "", *group) for folder, group in whole.items()]
    return [_scan(folder, prefix, prefix, files) for folder, cases in groups.items() for prefix, files in cases.items()]


def _group(files: Sequence[Named]) -> _Groups:
    prefixes = sorted({_prefix(file.name) for file in files if file.is_mask}, key=len, reverse=True)
    images = [file for file in files if not file.is_mask]
    owners = {file.path: next((text for text in prefixes if _begins(file.name, text)), None) for file in images}
    if len(prefixes) == 1 and images and all(owner is None for owner in owners.values()):
        prefix, everything = _as_one(files)
        return {prefix: list(everything)}
    groups: _Groups = defaultdict(list)
    for file in files:
        owner = None if file.is_mask else owners[file.path]
        groups[_prefix(file.name) if owner is None else owner].append(file)
    return dict(groups)


def _as_one(files: Sequence[Named]) -> tuple[str, Sequence[Named]]:
    """All files of a folder as one case, with what its images' names begin with."""
    masks = {_prefix(file.name) for file in files if file.is_mask}
    names = [file.name for file in files if not file.is_mask]
    if len(masks) == 1 and any(_begins(name, next(iter(masks))) for name in names):
        return next(iter(masks)), files
    return _common(names), files


def _prefix(name: str) -> str:
    """The name without a modality at its end: ``p1_flair`` -> ``p1``, ``T1`` -> nothing."""
    if modality_of(name) is not None:
        return ""
    for separator in reversed(list(re.finditer(r"[_\-. ]+", name))):
        if modality_of(name[separator.end() :]) is not None:
            return name[: separator.start()]
        break
    return name


def _begins(name: str, prefix: str) -> bool:
    return name == prefix or not prefix or (name.startswith(prefix) and name[len(prefix)] in _SEPARATORS)


def _common(names: Iterable[str]) -> str:
    """What all names begin with, up to a separator; of a single name, what is left without its modality."""
    listed = list(names)
    if len(listed) == 1:
        return _prefix(listed[0])
    parts = [re.split(r"(?<=[_\-. ])", name) for name in listed]
    same = 0
    while parts and all(len(words) > same + 1 for words in parts) and len({words[same] for words in parts}) == 1:
        same += 1
    return "".join(parts[0][:same]).rstrip(_SEPARATORS) if parts else ""


def _scan(folder: tuple[str, ...], name: str, prefix: str, files: Sequence[Named]) -> Scan:
    """A case: ``name`` goes into its id, ``prefix`` is taken off the images' names to get their modalities."""
    folders = list(folder)
    if name and folders and name.lower().startswith(folders[-1].lower()):
        folders.pop()  # IBSR_17/IBSR_17.nii.gz is IBSR_17
    parts = [*folders, name] if name else folders
    above = files[0].path.parent
    if folder_role(above.name) is not None:
        above = above.parent
    images = tuple(
        (file.name[len(prefix) :].strip(_SEPARATORS) if _begins(file.name, prefix) else file.name, file.path)
        for file in files
        if not file.is_mask
    )
    masks = tuple(file.path for file in files if file.is_mask)
    return Scan("_".join(parts) or above.name, images, masks, files[0].part)

"""What the names of files and folders say: mask or picture, which part of the data set, which modality."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

from glioseg.cohorts.reading.listing import Listing
from glioseg.io.endings import file_stem

_IMAGE_WORDS = "images?|imgs?|pictures?|scans?|inputs?|originals?|raw"
_MASK_WORDS = (
    "masks?|labels?|labelmaps?|segs?|segm|segmentations?|annotations?|gts?|ground[_\\- ]?truths?|truths?|targets?"
)
_EDGE = r"(?:^|(?<=[_\-. ]))"
_END = r"(?=$|[_\-. ])"
_IMAGE_WORD = re.compile(f"{_EDGE}(?:{_IMAGE_WORDS}){_END}", re.IGNORECASE)
_MASK_WORD = re.compile(f"{_EDGE}(?:{_MASK_WORDS}){_END}", re.IGNORECASE)
_ROLE_WORD = re.compile(f"{_EDGE}(?:{_IMAGE_WORDS}|{_MASK_WORDS}){_END}", re.IGNORECASE)
_SEPARATORS = "_-. "
_QUALIFIERS = re.compile(r"tumou?rs?|lesions?|binary|manual|png|jpe?g|tiff?|bmp|nii|nifti|tr|ts|all")

PARTS: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("train", "training", "trainset", "trainingset"), "train"),
        **dict.fromkeys(("val", "valid", "validation", "valset", "dev"), "val"),
        **dict.fromkeys(("test", "testing", "testset", "testingset"), "test"),
    }
)
"""Folder names by which publishers divide a data set -> the part."""


@dataclass(frozen=True)
class Named:
    """What the place and the name of a file say of it.

    Args:
        path: the file.
        is_mask: whether it is a mask: its own name says so, or else the nearest folder that says anything.
        folders: the folders between the data set's own top and the file, without those that only mean mask or picture.
        name: the file's name without ending and without those words; may be empty.
        part: train, val or test, where a folder says so.
    """

    path: Path
    is_mask: bool
    folders: tuple[str, ...]
    name: str
    part: str | None


def named(listing: Listing, paths: Sequence[Path]) -> list[Named]:
    """What the names of ``paths`` say.

    Leading folders that all of them share are left aside, unless they name a part: a folder that holds everything
    (``Brain Tumor Segmentation/``) says nothing of a file, and the same data set gets the same names whether the user
    points at it or at a folder above it.
    """
    above = len(listing.root.parts)
    folders = [path.parts[above:-1] for path in paths]
    depth = _n_shared(folders)
    return [_named(path, names[depth:]) for path, names in zip(paths, folders, strict=True)]


@lru_cache(maxsize=4096)
def folder_role(folder: str) -> str | None:
    """``mask`` or ``image`` where that is all that a folder's name says (``masks``, ``train_images``, ``masks_png``).

    Titles that hold such a word (``lgg-mri-segmentation``) say nothing of the files in them.
    """
    if _ROLE_WORD.search(folder) is None:
        return None
    rest = re.split(r"[_\-. ]+", _without_words(folder).lower())
    if any(word and word not in PARTS and not _QUALIFIERS.fullmatch(word) for word in rest):
        return None
    return "mask" if _MASK_WORD.search(folder) is not None else "image"


def part_of(folders: Iterable[str]) -> str | None:
    """The part of the data set that the folders' names say, the outermost that says any."""
    for folder in folders:
        for word in re.split(r"[_\-. ]+", folder.lower()):
            if word in PARTS:
                return PARTS[word]
    return None


def unique_ids(names: Sequence[str], paths: Sequence[Path]) -> list[str]:
    """``names``, with the file's ending appended where two are the same (``1.png`` beside ``1.jpg``)."""
    counts = Counter(names)
    return [
        name if counts[name] == 1 else f"{name}_{path.suffix.lstrip('.').lower()}"
        for name, path in zip(names, paths, strict=True)
    ]


def _n_shared(folders: Sequence[tuple[str, ...]]) -> int:
    depth = 0
    while folders and all(len(parts) > depth for parts in folders):
        names = {parts[depth] for parts in folders}
        if len(names) > 1 or part_of(names) is not None:
            break
        depth += 1
    return depth


def _named(path: Path, folders: tuple[str, ...]) -> Named:
    name = file_stem(path)
    roles = [folder_role(folder) for folder in folders]
    nearest = next((role for role in reversed(roles) if role is not None), None)
    rest = (part_of([folder]) if role else folder for folder, role in zip(folders, roles, strict=True))
    return Named(
        path=path,
        is_mask=_MASK_WORD.search(name) is not None or nearest == "mask",
        folders=tuple(text for text in rest if text),
        name=_without_words(name),
        part=part_of(folders),
    )


def _without_words(text: str) -> str:
    """``train_images`` -> ``train``, ``p1_mask_12`` -> ``p1_12``, ``mask`` -> nothing."""
    rest = _ROLE_WORD.sub("", text)
    if rest == text:
        return text
    return re.sub(r"([_\-. ])[_\-. ]+", r"\1", rest).strip(_SEPARATORS)

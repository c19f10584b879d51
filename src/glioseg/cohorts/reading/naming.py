"""What the names of files and folders say: mask or picture, which part of the data set, which modality."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

from glioseg.cohorts.reading.listing import Listing, MaskPattern
from glioseg.cohorts.reading.words import MASK_WORD, QUALIFIERS, ROLE_WORD, without_words
from glioseg.io.endings import file_stem

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
    places = [listing.place(path) for path in paths]
    folders = [place.parts[above:-1] for place in places]
    depth = _n_shared(folders)
    if listing.masks is not None:
        places_below = [(path, place, names[depth:]) for path, place, names in zip(paths, places, folders, strict=True)]
        return _by_pattern(places_below, listing.masks)
    return [_named(path, place, names[depth:]) for path, place, names in zip(paths, places, folders, strict=True)]


@lru_cache(maxsize=4096)
def folder_role(folder: str) -> str | None:
    """``mask`` or ``image`` where that is all that a folder's name says (``masks``, ``train_images``, ``masks_png``).

    Titles that hold such a word (``lgg-mri-segmentation``) say nothing of the files in them.
    """
    if ROLE_WORD.search(folder) is None:
        return None
    rest = re.split(r"[_\-. ]+", without_words(folder).lower())
    if any(word and word not in PARTS and not QUALIFIERS.fullmatch(word) for word in rest):
        return None
    return "mask" if MASK_WORD.search(folder) is not None else "image"


def part_of(folders: Iterable[str]) -> str | None:
    """The part of the data set that the folders' names say, the outermost that says any."""
    for folder in folders:
        for word in re.split(r"[_\-. ]+", folder.lower()):
            if word in PARTS:
                return PARTS[word]
    return None


def unique_ids(names: Sequence[str], paths: Sequence[Path]) -> list[str]:
    """``names``, with the file's ending appended where two are the same (``1.png`` beside ``1.jpg``), and a number
    where two still are (``1.png`` beside ``1.PNG``, ``a/b_1.png`` beside ``a_b/1.png``).
    """
    counts = Counter(names)
    ids = [
        name if counts[name] == 1 else f"{name}_{path.suffix.lstrip('.').lower()}"
        for name, path in zip(names, paths, strict=True)
    ]
    counts, seen = Counter(ids), Counter[str]()
    for place, name in enumerate(ids):
        while counts[name] > 1 and ids[place] in counts:
            seen[name] += 1
            ids[place] = f"{name}_{seen[name]}"
    return ids


def _n_shared(folders: Sequence[tuple[str, ...]]) -> int:
    depth = 0
    while folders and all(len(parts) > depth for parts in folders):
        names = {parts[depth] for parts in folders}
        if len(names) > 1 or part_of(names) is not None:
            break
        depth += 1
    return depth


def _named(path: Path, place: Path, folders: tuple[str, ...]) -> Named:
    name = file_stem(place)
    roles = [folder_role(folder) for folder in folders]
    nearest = next((role for role in reversed(roles) if role is not None), None)
    rest = (part_of([folder]) if role else folder for folder, role in zip(folders, roles, strict=True))
    return Named(
        path=path,
        is_mask=MASK_WORD.search(name) is not None or nearest == "mask",
        folders=tuple(text for text in rest if text),
        name=without_words(name),
        part=part_of(folders),
    )


def _by_pattern(files: Sequence[tuple[Path, Path, tuple[str, ...]]], masks: MaskPattern) -> list[Named]:
    """As ``_named``, where the user says which of (path, place, folders) are masks: words for masks then say nothing.

    Pictures may lie in folders beside those that the pattern names (``in/7.png`` and ``drawn/7.png``).
    """
    named_files: list[Named] = []
    for path, place, folders in files:
        name = masks.name_in(place)
        above = folders if name is None else masks.of_case(folders)
        named_file = replace(_named(path, place, above), is_mask=name is not None, part=part_of(folders))
        named_files.append(named_file if name is None else replace(named_file, name=without_words(name)))
    keys = {(file.folders, file.name) for file in named_files if file.is_mask}
    return [
        replace(file, folders=above)
        if not file.is_mask
        and (file.folders, file.name) not in keys
        and ((above := masks.of_case(file.folders)), file.name) in keys
        else file
        for file in named_files
    ]

"""Trees in which every file has a folder of its own, as some ways of unpacking leave them, folded up.

``CASE/CASE-t1c.nii/CASE-t1c.nii``, ``BraTS2021_00000/BraTS2021_00000_flair/00000057_brain_flair.nii``,
``EGD-0001/1_T1/NIFTI/T1.nii.gz``: read as they lie, each file would be a case of its own. A file that is the only one
below such a folder counts as lying beside that folder, under the name of the two that says more.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from glioseg.cohorts.reading.words import MASK_WORD, without_words
from glioseg.core.modalities import sequence_of, split_sequence
from glioseg.io.endings import SCAN_ENDINGS, VOLUME_ENDINGS, file_ending, file_stem, has_ending

_MASK = "mask"
_NUMBER = re.compile(r"^\d+[_\-. ]+")


def places_of(root: Path, files: Sequence[Path]) -> Mapping[Path, Path]:
    """Files that have a folder of their own each -> where they count as lying.

    Args:
        root: the folder that was named.
        files: all at and below it.
    """
    scans = [path for path in files if has_ending(path, SCAN_ENDINGS)]
    unwrapped = _out_of_named_like_files(root, scans)
    volumes = [path for path in scans if has_ending(path, VOLUME_ENDINGS)]
    return {**unwrapped, **_out_of_roles(root, volumes, unwrapped)}


def _out_of_named_like_files(root: Path, scans: Sequence[Path]) -> dict[Path, Path]:
    """``p1-t1c.nii/anything.nii`` -> ``p1-t1c.nii``: a folder with the ending of a scan and one scan in it."""
    folders: dict[Path, list[Path]] = defaultdict(list)
    for path in scans:
        if path.parent != root and has_ending(path.parent, SCAN_ENDINGS):
            folders[path.parent].append(path)
    return {
        paths[0]: folder.parent / f"{file_stem(folder)}{file_ending(paths[0])}"
        for folder, paths in folders.items()
        if len(paths) == 1
    }


def _out_of_roles(root: Path, volumes: Sequence[Path], unwrapped: Mapping[Path, Path]) -> dict[Path, Path]:
    """Folders side by side, each named for another modality or the mask, each with one volume below it."""
    below: dict[Path, dict[str, list[Path]]] = defaultdict(lambda: defaultdict(list))
    for path in volumes:
        parts = unwrapped.get(path, path).relative_to(root).parts
        for depth in range(len(parts) - 1):
            below[root.joinpath(*parts[:depth])][parts[depth]].append(path)
    places: dict[Path, Path] = {}
    for parent, children in below.items():
        roles = {
            name: role
            for name, paths in children.items()
            if len(paths) == 1 and (role := _role(name, parent.name)) is not None
        }
        if len(roles) > 1 and len(set(roles.values())) == len(roles):
            for name in roles:
                (path,) = children[name]
                places[path] = parent / _name(name, unwrapped.get(path, path), parent.name)
    return places


def _role(folder: str, parent: str) -> str | None:
    """The modality that a folder is named for, or that it holds a mask; None where its name says something else."""
    words = _own_words(folder, parent)
    if MASK_WORD.search(words) is not None:
        return _MASK
    return sequence_of(words)


def _own_words(folder: str, parent: str) -> str:
    """What a folder's name adds to that of the folder it lies in: ``p1_flair`` in ``p1`` -> ``flair``."""
    words = folder[len(parent) :] if folder.lower().startswith(parent.lower()) and folder != parent else folder
    return _NUMBER.sub("", words.strip("_-. "))


def _name(folder: str, file: Path, parent: str) -> str:
    """The folder's name where it begins with the case's, else the file's own where that says as much, else the folder's
    words.
    """
    stem, words = file_stem(file), _own_words(folder, parent)
    if words != folder and folder.lower().startswith(parent.lower()):
        return f"{folder}{file_ending(file)}"
    says_it = MASK_WORD.search(stem) is not None or bool(split_sequence(without_words(stem))[1])
    return file.name if says_it else f"{words}{file_ending(file)}"

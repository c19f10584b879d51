"""What a case is called whose files were named one by one: after the patient, never after a file ``T1.nii.gz``."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from glioseg.core.modalities import modality_of
from glioseg.io.endings import file_stem

_SEPARATORS = re.compile(r"[_\-. ]+")
_SAYS_NOTHING = re.compile(
    r"|pre|post|ce|gd|c|images?|imgs?|scans?|vol(?:ume)?s?|mri?s?|brains?|heads?|pictures?|inputs?|data|raw|nii|nifti|dcm|"
    r"dicom|anat|func|ses|session|stripped|skull|bet|n4|reg|registered|coreg|ax(?:ial)?|cor(?:onal)?|sag(?:ittal)?|3d|"
    r"\d|000\d",
    re.IGNORECASE,
)


def case_name(paths: Sequence[Path]) -> str:
    """The name of a case from its files: what their names have in common but for the modality, else their folder's.

    ``BraTS-GLI-00001-000-t1c.nii.gz`` beside ``…-t2f.nii.gz`` is ``BraTS-GLI-00001-000``; ``smith/T1.nii.gz`` is
    ``smith``, and so is ``smith/anat/T1.nii.gz``. A single file keeps its name if that says more than a modality.
    """
    stems = [file_stem(path) for path in paths]
    if len(stems) == 1 and not _is_generic(stems[0]):
        return stems[0]
    bare = {_without_modality(stem) for stem in stems}
    if len(bare) == 1 and not _is_generic(common := bare.pop()):
        return common
    return _folder_name(paths[0]) or stems[0]


def distinct_names(names: Sequence[str], paths: Sequence[Path]) -> list[str]:
    """``names``, with the folders of their files in front where two are the same; a file named twice keeps its name.

    Names that differ in the case of letters alone count as the same: macOS and Windows would write one file for both.
    """
    made = list(names)
    folders = [path.absolute().parts[1:-1][::-1] for path in paths]
    for level in range(max(map(len, folders), default=0)):
        files: dict[str, set[Path]] = defaultdict(set)
        for name, path in zip(made, paths, strict=True):
            files[name.casefold()].add(path.absolute())
        for place, above in enumerate(folders):
            if len(files[made[place].casefold()]) > 1 and level < len(above) and above[level] != made[place]:
                made[place] = f"{above[level]}_{made[place]}"
    return made


def _is_generic(stem: str) -> bool:
    """Whether a name says at most which modality or view a file shows."""
    if modality_of(stem) is not None:
        return True
    return all(_SAYS_NOTHING.fullmatch(word) or modality_of(word) for word in _SEPARATORS.split(stem))


def _without_modality(stem: str) -> str:
    """A name without its last words as far as they say which modality it is."""
    words = re.split(r"([_\-. ]+)", stem)
    while len(words) > 1 and (_SAYS_NOTHING.fullmatch(words[-1]) or modality_of(words[-1])):
        words = words[:-2]
    return "".join(words)


def _folder_name(path: Path) -> str | None:
    """The nearest folder above a file whose name says something."""
    return next((name for name in reversed(path.absolute().parts[1:-1]) if not _is_generic(name)), None)

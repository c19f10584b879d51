"""Masks of which each shows one region: ``p1_WT.nii.gz`` and ``p1_TC.nii.gz``, ``7_tumour.png`` and ``7_edema.png``."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from glioseg.cohorts.reading.naming import Named
from glioseg.cohorts.reading.words import SEPARATORS
from glioseg.core import Finding, LabelScheme
from glioseg.core.layers import LAYERS, MOST_LAYERS, names_of_layers, scheme_of_layers
from glioseg.core.schemes import known_label_name
from glioseg.errors import listed, name_some

CaseKey = tuple[tuple[str, ...], str]
"""Folders, and the name of the case in them."""
_WORD = re.compile(rf"[^{re.escape(SEPARATORS)}]+")
_ALONE = frozenset({"WT", "TC", "ET"})
"""The regions of which one mask alone is told by its name, where nothing else says that it is a mask."""


@dataclass(frozen=True)
class RegionMasks:
    """Which of a listing's files are masks of a region each.

    Args:
        files: all files, the masks of regions called after their case alone.
        regions: file -> the region that it shows; nothing for other files.
    """

    files: Sequence[Named]
    regions: Mapping[Path, str]

    def of(self, masks: Sequence[Path]) -> tuple[tuple[Path, ...], tuple[str, ...], tuple[Path, ...]]:
        """Of the masks of a case: those to use, the regions of these where each shows another, and those left aside.

        A label map says more than masks of regions beside it.
        """
        of_regions = tuple(mask for mask in masks if mask in self.regions)
        if len(of_regions) < len(masks):
            return tuple(mask for mask in masks if mask not in of_regions), (), of_regions
        names = tuple(self.regions[mask] for mask in of_regions)
        return of_regions, names if len(set(names)) == len(of_regions) <= MOST_LAYERS else (), ()


def split_region(name: str) -> tuple[str, str] | None:
    """What stands before the region at the end of a name, and the region: ``p1_whole_tumor`` -> ``p1``, ``WT``.

    Args:
        name: of a file, without ending and without words that only say mask.
    """
    for word in _WORD.finditer(name):
        end = name[word.start() :]
        region = known_label_name(end) if not re.search(r"\d", end) else None
        if region in LAYERS:
            return name[: word.start()].rstrip(SEPARATORS), region
    return None


def region_masks(files: Sequence[Named], images: Collection[CaseKey], *, label_maps: bool) -> RegionMasks:
    """Find the masks that share folder and name but for the region at their end, or in the folder that holds them.

    Args:
        files: of a listing, pictures and masks.
        images: the cases among them. Masks that are called after the region alone belong to the only case of their
            folder.
        label_maps: whether a file that says mask and region may hold several labels all the same (``p1_tumour_seg``).
    """
    by_case: dict[CaseKey, dict[str, list[Named]]] = defaultdict(lambda: defaultdict(list))
    in_folder: dict[tuple[str, ...], list[CaseKey]] = defaultdict(list)
    for image in images:
        in_folder[image[0]].append(image)
    for file in files:
        said = _said(file)
        if said is not None and (key := _case_of(said[0], images, in_folder)) is not None:
            by_case[key][said[1]].append(file)
    regions: dict[Path, str] = {}
    keys: dict[Path, CaseKey] = {}
    for key, by_region in by_case.items():
        masks = [(file.path, region) for region, same in by_region.items() for file in same]
        if len(masks) == 1 and not _is_alone(by_region[masks[0][1]][0], masks[0][1], label_maps=label_maps):
            continue
        regions |= dict(masks)
        keys |= {path: key for path, _ in masks}
    renamed = [
        replace(file, is_mask=True, folders=keys[file.path][0], name=keys[file.path][1]) if file.path in keys else file
        for file in files
    ]
    return RegionMasks(renamed, regions)


def _is_alone(file: Named, region: str, *, label_maps: bool) -> bool:
    """Whether the only mask of a case is one of a region, and not a label map or a picture in a folder of that name."""
    if label_maps:
        return region in _ALONE and not file.is_mask
    return file.is_mask or split_region(file.name) is not None


def _said(file: Named) -> tuple[CaseKey, str] | None:
    """The case and the region that a file says: by its name, or by the folder in which it lies."""
    by_name = split_region(file.name)
    if by_name is not None:
        return (file.folders, by_name[0]), by_name[1]
    for at in reversed(range(len(file.folders))):
        by_folder = split_region(file.folders[at])
        if by_folder is not None and not by_folder[0]:
            return ((*file.folders[:at], *file.folders[at + 1 :]), file.name), by_folder[1]
    return None


def _case_of(
    key: CaseKey, images: Collection[CaseKey], in_folder: Mapping[tuple[str, ...], Sequence[CaseKey]]
) -> CaseKey | None:
    if key in images:
        return key
    beside = in_folder.get(key[0], ())
    return beside[0] if not key[1] and len(beside) == 1 else None


def scheme_and_findings(
    layers: Mapping[str, tuple[str, ...]], n_label_maps: int, given: LabelScheme | None
) -> tuple[LabelScheme | None, dict[str, tuple[str, ...]], list[Finding]]:
    """What masks of regions mean together: the scheme, what each is taken for, and what there is to say.

    Args:
        layers: case -> the regions of its masks, in the order of the files.
        n_label_maps: cases with a label map instead, whose integers nobody has said.
        given: by the user.

    Returns:
        The scheme, None where label maps and masks of regions lie side by side and nobody says what the integers mean;
        case -> regions, of those cases alone that have all the masks that others have; findings.
    """
    every = tuple(dict.fromkeys(name for names in layers.values() for name in names))
    if not every:
        return given, {}, []
    taken = dict(zip(every, names_of_layers(every, given), strict=True))
    scheme = given or (None if n_label_maps else scheme_of_layers(tuple(dict.fromkeys(taken.values()))))
    words = ", ".join(f"{name} (as {region})" if name != region else name for name, region in taken.items())
    meaning = "" if scheme is None else f": {scheme.describe()}"
    many = f"each region has a mask of its own ({words}); together they are read as one label map{meaning}"
    of_masks = f"the masks show one region each, {words}"
    findings = [] if every == ("tumour",) else [Finding("note", "region-masks", many if len(every) > 1 else of_masks)]
    whole: dict[str, tuple[str, ...]] = {}
    for case, names in layers.items():
        lacking = [name for name in every if name not in names]
        if lacking:
            message = f"there is no mask of {listed(lacking)}, which other cases have, and so none is used: "
            findings.append(
                Finding("error", "region-masks", f"{message}where there is none, an empty mask says so", case)
            )
        else:
            whole[case] = tuple(taken[name] for name in names)
    return scheme, whole, findings


def left_aside(case: str, masks: Iterable[Path], taken: Path) -> Finding:
    """The note on masks beside a label map that says more, or is by a better hand."""
    message = f"{taken.name} is taken as the label map; left aside: {name_some(path.name for path in masks)}"
    return Finding("note", "several-masks", message, case)

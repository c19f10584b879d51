"""Which volumes belong together: the images and label maps of one case, told by folders and names alone."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from glioseg.cohorts.layouts.public_sets import as_published
from glioseg.cohorts.reading.listing import Listing
from glioseg.cohorts.reading.naming import Named, folder_role, named
from glioseg.cohorts.reading.region_masks import RegionMasks, region_masks, split_region
from glioseg.cohorts.reading.words import SEPARATORS
from glioseg.core.modalities import n_words, sequence_of, split_sequence
from glioseg.io.endings import VOLUME_ENDINGS

_OTHER_MASK = re.compile(
    r"(?:^|[_\-. ])(?:brain|head|skull|body|parenchyma|tissues?|ventricles?|csf|hemispheres?)$", re.IGNORECASE
)
"""What a mask shows that is none of the tumour, at the end of its name."""
_TUMOUR = re.compile(r"(?:^|[_\-. ])(?:tumou?rs?|lesions?|gliomas?|metastas[ei]s)$", re.IGNORECASE)
_BY_HAND = re.compile(r"[_\-. ]*(?:manually?[_\-. ]?corrected|corrected|manual|expert|final|consensus|revised)$", re.I)
_BY_MACHINE = re.compile(r"[_\-. ]*(?:automated|automatic|auto|approx|predicted|prediction|pred)$", re.I)
_CHANNEL = re.compile(r"(?P<case>.+)_(?P<channel>000\d)")

_Groups = dict[str, list[Named]]
"""Common beginning of the names -> the files of one case."""


@dataclass(frozen=True)
class Scan:
    """The files of one case.

    Args:
        id: its name.
        images: what follows the case's name in the name of each image (its modality; may be empty) -> the file.
        masks: every file that claims to be its label map with the best claim: one that says that an expert drew or
            corrected it comes before others, and these before one that a program made.
        part: train, val or test, where a folder says so.
        other_masks: those that came after.
        folders: in which they lie, those aside that hold everything or only say mask, image or modality.
        regions: that the masks show, where each shows one of its own.
    """

    id: str
    images: tuple[tuple[str, Path], ...]
    masks: tuple[Path, ...]
    part: str | None
    other_masks: tuple[Path, ...] = ()
    folders: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()


def gather(listing: Listing) -> list[Scan]:
    """The cases among the volumes of a folder, label maps without image included; masks of the brain are left aside.

    A label map in another tree belongs to the case of its name (``images/p1/T1.nii``, ``masks/p1.nii``).
    """
    folders: dict[tuple[str, ...], list[Named]] = defaultdict(list)
    published = as_published(named(listing, listing.ending(*VOLUME_ENDINGS)))
    files = [_without_modality_folder(file) for file in published]
    by_region = _region_masks(files)
    for file in _as_masks(by_region.files):
        if not (file.is_mask and _OTHER_MASK.search(file.name)):
            folders[file.folders].append(file)
    groups = {folder: _group(files) for folder, files in folders.items()}
    with_masks = [groups[folder] for folder, files in folders.items() if any(file.is_mask for file in files)]
    if len(folders) > 1 and () not in folders and all(len(cases) == 1 for cases in with_masks or groups.values()):
        # A folder per case: one without label map is a case too, and its name is the case's.
        whole = {folder: _as_one(files) for folder, files in folders.items()}
        scans = [_scan(folder, "", *group, listing) for folder, group in whole.items()]
    else:
        scans = [
            _scan(folder, prefix, prefix, files, listing)
            for folder, cases in groups.items()
            for prefix, files in cases.items()
        ]
    return [_with_regions(scan, by_region) for scan in _joined(scans)]


def _region_masks(files: Sequence[Named]) -> RegionMasks:
    """Those beside images whose names say their modality, or of whom they say that they are masks."""
    images = {
        (file.folders, _prefix(file.name))
        for file in files
        if not file.is_mask and (split_region(file.name) is None or split_sequence(file.name)[1])
    }
    return region_masks(files, images, label_maps=True)


def _with_regions(scan: Scan, by_region: RegionMasks) -> Scan:
    masks, regions, aside = by_region.of(scan.masks)
    return replace(scan, masks=masks, regions=regions, other_masks=(*aside, *scan.other_masks))


def is_named_by_modality(scan: Scan) -> bool:
    """Whether the name of every image says which modality it is."""
    return bool(scan.images) and all(sequence_of(called) is not None for called, _ in scan.images)


def _as_masks(files: Sequence[Named]) -> list[Named]:
    """With those marked as masks that are called nothing but tumour: ``p1_tumor.nii.gz`` beside ``p1_t1.nii.gz``."""
    images = {
        (file.folders, _prefix(file.name)) for file in files if not file.is_mask and not _TUMOUR.search(file.name)
    }
    return [
        replace(file, is_mask=True)
        if not file.is_mask and _TUMOUR.search(file.name) and (file.folders, _mask_prefix(file.name)) in images
        else file
        for file in files
    ]


def _without_modality_folder(file: Named) -> Named:
    """``FLAIR/p1.nii.gz`` -> ``p1_FLAIR.nii.gz``: a folder for each modality says what the names leave out."""
    at = next((i for i in reversed(range(len(file.folders))) if sequence_of(file.folders[i]) is not None), None)
    if at is None:
        return file
    folders = (*file.folders[:at], *file.folders[at + 1 :])
    if file.is_mask or split_sequence(file.name)[1]:
        return replace(file, folders=folders)
    return replace(file, folders=folders, name=f"{file.name}_{file.folders[at]}".strip(SEPARATORS))


def _joined(scans: Sequence[Scan]) -> list[Scan]:
    """Files of the same case that lie in different trees, together."""
    by_id: dict[str, list[Scan]] = defaultdict(list)
    for scan in scans:
        by_id[scan.id].append(scan)
    joined: list[Scan] = []
    for of_id in by_id.values():
        images = tuple(image for scan in of_id for image in scan.images)
        masks, others = _ranked([mask for scan in of_id for mask in (*scan.masks, *scan.other_masks)])
        joined.append(replace(of_id[0], images=images, masks=masks, other_masks=others))
    return joined


def _ranked(masks: Sequence[Path]) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    """The label maps with the best claim, and the others."""
    ranks = {path: _rank(path) for path in masks}
    best = min(ranks.values(), default=0)
    return tuple(path for path in masks if ranks[path] == best), tuple(path for path in masks if ranks[path] > best)


def _rank(path: Path) -> int:
    words = re.split(r"[_\-. ]+", " ".join(path.parts[-3:]))
    if any(_BY_MACHINE.fullmatch(word) for word in words):
        return 2
    return 0 if any(_BY_HAND.fullmatch(word) for word in words) else 1


def _group(files: Sequence[Named]) -> _Groups:
    prefixes = {_mask_prefix(file.name) for file in files if file.is_mask}
    images = [file for file in files if not file.is_mask]
    owners = {file.path: _longest_beginning(file.name, prefixes) for file in images}
    if len(prefixes) == 1 and images and all(owner is None for owner in owners.values()):
        prefix, everything = _as_one(files)
        return {prefix: list(everything)}
    groups: _Groups = defaultdict(list)
    for file in files:
        owner = None if file.is_mask else owners[file.path]
        prefix = _mask_prefix(file.name) if file.is_mask else _prefix(file.name)
        groups[prefix if owner is None else owner].append(file)
    return _with_strays(groups)


def _with_strays(groups: _Groups) -> _Groups:
    """Label maps that are called like no image, but begin with the name of a case, are that case's: ``p1_seg_R2``."""
    whole = {prefix for prefix, files in groups.items() if any(not file.is_mask for file in files)}
    joined: _Groups = defaultdict(list)
    for prefix, files in groups.items():
        joined[_longest_beginning(prefix, whole) or prefix].extend(files)
    return dict(joined)


def _as_one(files: Sequence[Named]) -> tuple[str, Sequence[Named]]:
    """All files of a folder as one case, with what its images' names begin with."""
    masks = {_mask_prefix(file.name) for file in files if file.is_mask}
    names = [file.name for file in files if not file.is_mask]
    if len(masks) == 1 and any(_begins(name, next(iter(masks))) for name in names):
        return next(iter(masks)), files
    return _common(names), files


def _prefix(name: str) -> str:
    """The name without a modality at its end: ``p1_flair`` -> ``p1``, ``p1_0002`` -> ``p1``, ``T1`` -> nothing."""
    channel = _CHANNEL.fullmatch(name)
    return channel["case"] if channel is not None else split_sequence(name)[0]


def _mask_prefix(name: str) -> str:
    """The same of a label map's name, without words for who drew it and what."""
    while shorter := next((text for text in (_TUMOUR, _BY_HAND, _BY_MACHINE) if text.search(name)), None):
        name = shorter.sub("", name).strip(SEPARATORS)
    return _prefix(name)


def _longest_beginning(name: str, prefixes: Collection[str]) -> str | None:
    """The longest of a set of texts with which a name begins, see ``_begins``; None where it begins with none."""
    return next((text for text in _beginnings(name) if text in prefixes), None)


def _beginnings(name: str) -> Iterator[str]:
    """All texts with which a name begins, the longest first: itself, what stands before its separators, and nothing."""
    yield name
    yield from (name[:end] for end in reversed(range(1, len(name))) if name[end] in SEPARATORS)
    yield ""


def _begins(name: str, prefix: str) -> bool:
    return name == prefix or not prefix or (name.startswith(prefix) and name[len(prefix)] in SEPARATORS)


def _common(names: Iterable[str]) -> str:
    """What all names begin with, up to a separator; of a single name, what is left without its modality."""
    listed = list(names)
    if len(listed) == 1:
        return _prefix(listed[0])
    prefixes = Counter(map(_prefix, listed))
    if len(prefixes) == 1:
        return next(iter(prefixes))
    parts = [re.split(r"(?<=[_\-. ])", name) for name in listed]
    same = 0
    while parts and all(len(words) > same + 1 for words in parts) and len({words[same] for words in parts}) == 1:
        same += 1
    return "".join(parts[0][:same]).rstrip(SEPARATORS) if parts else ""


def _scan(folder: tuple[str, ...], name: str, prefix: str, files: Sequence[Named], listing: Listing) -> Scan:
    """A case: ``name`` goes into its id, ``prefix`` is taken off the images' names to get their modalities."""
    folders = list(folder)
    if name and folders and name.lower().startswith(folders[-1].lower()):
        folders.pop()  # IBSR_17/IBSR_17.nii.gz is IBSR_17
    parts = [*folders, name] if name else folders
    above = listing.place(files[0].path).parent
    while above != listing.root and (folder_role(above.name) is not None or sequence_of(above.name) is not None):
        above = above.parent
    images = [
        (file.name[len(prefix) :].strip(SEPARATORS) if _begins(file.name, prefix) else file.name, file.path)
        for file in files
        if not file.is_mask
    ]
    masks, others = _ranked([file.path for file in files if file.is_mask])
    plainest_first = tuple(sorted(images, key=lambda image: n_words(image[0])))
    return Scan("_".join(parts) or above.name, plainest_first, masks, files[0].part, others, folder)

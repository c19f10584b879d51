"""Folders that hold masks alone, of any origin: which mask is whose, and what its integers mean.

nnU-Net's predictions, a radiologist's drawings and what ``predict`` writes have in common that a file is called after
its case. Words that mean mask or prediction do not count (``case_seg.nii.gz``, ``case-pred.mha``), nor does the folder
where every case has one of its own (``case/seg.nii.gz``). Pictures beside volumes are figures.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from glioseg.cohorts.layouts.brats_scheme import patient_of
from glioseg.cohorts.layouts.dataset_json import TABLE, scheme_of
from glioseg.cohorts.layouts.public_sets import set_of
from glioseg.cohorts.reading.facts_file import with_facts_file
from glioseg.cohorts.reading.listing import Listing, list_folder
from glioseg.cohorts.reading.naming import Named, named
from glioseg.cohorts.reading.words import without_words
from glioseg.core import SCHEMES, Case, Cohort, LabelScheme, Source
from glioseg.core.schemes import own_scheme
from glioseg.errors import FileError, GliosegError, LayoutError, name_some, plural
from glioseg.io.endings import PICTURE_ENDINGS, VOLUME_ENDINGS, file_ending, file_kind, file_stem
from glioseg.io.text import read_json

_PREDICTED = re.compile(r"(?:^|[_\-. ])(?:pred|preds|predicted|predictions?|auto|automatic|output)(?=$|[_\-. ])", re.I)


@dataclass(frozen=True)
class MaskFolder:
    """The masks in a folder.

    Args:
        root: the folder.
        masks: name of a case, or of a slice of one -> its file.
    """

    root: Path
    masks: Mapping[str, Path]


@dataclass(frozen=True)
class Matched:
    """Whose masks those of a folder are.

    Args:
        sources: case -> its mask; those without one are absent.
        unknown: names of masks that are of none of the cases.
    """

    sources: Mapping[str, Source]
    unknown: tuple[str, ...]


def read_mask_folder(path: Path) -> MaskFolder:
    """The masks in a folder and below it.

    Raises:
        FileError: no such folder.
        LayoutError: no mask in it, or two of one case.
    """
    listing = list_folder(path)
    files = listing.ending(*VOLUME_ENDINGS) or listing.ending(*PICTURE_ENDINGS)
    masks = named(listing, files)
    if any(file.is_mask for file in masks):
        masks = [file for file in masks if file.is_mask]
    if not masks:
        raise LayoutError(
            "there are no masks in this folder",
            path=listing.root,
            found=name_some((listing.relative(file) for file in listing.files), 3) or "no files",
            expected=f"a file for each case, {', '.join((*VOLUME_ENDINGS, *PICTURE_ENDINGS))}",
            remedy="Name the folder that holds the masks themselves",
        )
    return MaskFolder(listing.root, dict(zip(_ids(masks, listing), (file.path for file in masks), strict=True)))


def masks_alone(path: Path, scheme: LabelScheme | None) -> Cohort:
    """A folder of masks as a cohort without images; a ``facts.csv`` among them says patients and facts.

    Args:
        path: the folder.
        scheme: what the integers mean; None for what a ``dataset.json`` or our own predictions say, if any do.

    Raises:
        FileError, LayoutError: as ``read_mask_folder``.
    """
    folder = read_mask_folder(path)
    public = set_of(list(folder.masks))
    whose = patient_of if public is None else public.patient_of
    cases = [Case(name, whose(name), {}, _source((mask,))) for name, mask in sorted(folder.masks.items())]
    with_facts, findings = with_facts_file(cases, list_folder(path))
    if any(case.patient != case.id for case in cases):
        findings = [finding for finding in findings if finding.kind != "unknown-patients"]
    return Cohort(
        name=folder.root.name,
        layout="masks",
        reason=f"{plural(len(cases), 'mask')}, such as {next(iter(folder.masks.values())).name}",
        cases=with_facts,
        modalities=(),
        scheme=scheme or stated_scheme(folder.root),
        findings=tuple(findings),
    )


def match_masks(folder: MaskFolder, cases: Sequence[Case]) -> Matched:
    """Find the masks of cases by name: the case's own, that of its reference, or those of its images.

    A case whose reference is a stack of pictures has as many masks, each called after its slice.

    Raises:
        LayoutError: one mask fits two cases, or a stack lacks some of its slices.
    """
    sources: dict[str, Source] = {}
    owner: dict[Path, str] = {}
    for case in cases:
        source = _source_of(case, folder)
        if source is None:
            continue
        for path in source.paths:
            if path in owner:
                raise LayoutError(
                    "a mask fits two cases by its name",
                    path=path,
                    found=f"{owner[path]}, {case.id}",
                    remedy="Name each mask after its case",
                )
            owner[path] = case.id
        sources[case.id] = source
    return Matched(sources, tuple(name for name, path in folder.masks.items() if path not in owner))


def stated_scheme(folder: Path) -> LabelScheme | None:
    """What files beside masks say that their integers mean: nnU-Net's ``dataset.json``, or the JSON of our predictions.

    Returns:
        None where none says it.
    """
    for path in (folder / TABLE, folder.parent / TABLE):
        content = _object_in(path)
        if content is not None:
            return scheme_of(content, folder.name)
    for path in sorted(folder.glob("*.json")):
        content = _object_in(path)
        if content is not None and isinstance(content.get("labels"), Mapping) and "mask" in content:
            return _scheme_of_prediction(content, path)
    return None


def _object_in(path: Path) -> Mapping[str, object] | None:
    try:
        content = read_json(path) if path.is_file() else None
    except FileError:
        return None
    return content if isinstance(content, dict) else None


def _scheme_of_prediction(content: Mapping[str, object], path: Path) -> LabelScheme | None:
    labels, regions = content["labels"], content.get("regions")
    for scheme in SCHEMES.values():
        if dict(scheme.labels) == labels and isinstance(regions, Mapping) and set(regions) <= set(scheme.regions):
            return scheme
    try:
        return own_scheme(labels, regions, source=path.name)  # type: ignore[arg-type]
    except (GliosegError, TypeError, ValueError, AttributeError):
        return None


def _ids(files: Sequence[Named], listing: Listing) -> list[str]:
    """Names that tell the files apart: their own, else those of their folders, else both.

    Raises:
        LayoutError: two files have one name even so.
    """
    folders = ["_".join(file.folders) for file in files]
    plain = [_plain(file.name) for file in files]
    names = [name or folder or file_stem(file.path) for name, folder, file in zip(plain, folders, files, strict=True)]
    both = ["_".join(filter(None, pair)) for pair in zip(folders, plain, strict=True)]
    for ids in (names, folders):
        if len(set(ids)) == len(ids) and all(ids):
            return ids
    counts = Counter(both)
    twice = [listing.relative(file.path) for name, file in zip(both, files, strict=True) if counts[name] > 1]
    if twice:
        raise LayoutError(
            "a case has two masks in this folder",
            path=listing.root,
            found=name_some(twice),
            expected="one for each case",
            remedy="Move the masks that are not meant into another folder",
        )
    return both


def _plain(name: str) -> str:
    """A name without the words that mean mask or prediction."""
    return without_words(_PREDICTED.sub("", name)).strip("_-. ")


def _source_of(case: Case, folder: MaskFolder) -> Source | None:
    path = next((folder.masks[name] for name in _names_of(case) if name in folder.masks), None)
    if path is not None:
        return _source((path,))
    reference = case.labels
    if reference is None or len(reference.paths) == 1 or reference.layers:
        return None
    slices = [_plain(file_stem(file)) for file in reference.paths]
    there = [folder.masks[name] for name in slices if name in folder.masks]
    if there and len(there) < len(slices):
        lacking = [name for name in slices if name not in folder.masks]
        raise LayoutError(
            f"case {case.id} lacks the masks of some of its slices",
            path=folder.root,
            found=f"{len(there)} of {len(slices)}; none for {name_some(lacking, 3)}",
            remedy="Write empty masks for slices without any finding",
        )
    return _source(tuple(there)) if there else None


def _names_of(case: Case) -> Iterator[str]:
    """What masks of a case may be called, the likeliest first."""
    yield case.id
    yield _plain(case.id)
    sources = [*([case.labels] if case.labels is not None else []), *case.images.values()]
    for source in sources:
        if len(source.paths) == 1:
            stem = file_stem(source.paths[0])
            yield from (name for name in (stem, _plain(stem)) if name)


def _source(paths: tuple[Path, ...]) -> Source:
    kind = file_kind(paths[0])
    if kind is None:
        raise LayoutError("not a mask", path=paths[0], found=file_ending(paths[0]) or "no ending")
    return Source(paths, kind)


def unknown_cases(names: Collection[str], cases: Sequence[Case], folder: Path) -> LayoutError:
    """What is said of masks that are of no case: whose they are might be a matter of names alone."""
    return LayoutError(
        "masks of cases that have no reference",
        path=folder,
        found=name_some(sorted(names)),
        expected=f"some of {name_some(sorted(case.id for case in cases))}",
        remedy="Move them elsewhere, or give their references; a mask is named after its case",
    )

"""BraTS as published from 2012 to 2024: one folder per case, one volume per modality.

=====================  ====================================================================================
until 2015             ``HGG/brats_2013_pat0001_1/VSD.Brain.XX.O.MR_T1c.54514/VSD.Brain.XX.O.MR_T1c.54514.mha``,
                       masks ``VSD.Brain_3more.XX.O.OT.*``
2017-2021              ``{id}/{id}_flair.nii.gz`` (or ``.nii``) with ``t1 t1ce t2 flair seg``, until 2019 in HGG, LGG
since 2023             ``BraTS-GLI-00000-000/BraTS-GLI-00000-000-t2f.nii.gz`` with ``t1n t1c t2w t2f seg``
=====================  ====================================================================================

Volumes of any other id are recognised by the endings that BraTS alone has (``t1ce`` beside ``flair``), and with
``--layout brats`` by any two of them; what their labels mean is then open.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from glioseg.cohorts.layouts.brats_scheme import Family, decide_scheme, family_of, patient_of
from glioseg.cohorts.layouts.clinical import brats_facts, grade_of, site_of
from glioseg.cohorts.reading.findings import NO_MASKS
from glioseg.cohorts.reading.layout import Layout, ReadOptions
from glioseg.cohorts.reading.listing import Listing, natural_key
from glioseg.cohorts.reading.naming import part_of
from glioseg.cohorts.reading.region_masks import scheme_and_findings, split_region
from glioseg.cohorts.reading.words import without_words
from glioseg.core import Case, Cohort, Facts, Finding, Source
from glioseg.core.modalities import MODALITY_ORDER, modality_of
from glioseg.errors import LayoutError, OptionError, name_some, plural
from glioseg.io.endings import VOLUME_ENDINGS, file_kind, file_stem

_MASK_WORDS = "seg|segm|mask|label|labels|gtv"
_NAME = re.compile(rf"(?:(?P<id>.+)[_-])?(?P<what>flair|t1ce|t1gd|t1c|t1n|t1|t2w|t2f|t2|{_MASK_WORDS})", re.IGNORECASE)
_VSD_NAME = re.compile(r"vsd\.brain.*?\.(?:mr_(?P<what>[a-z0-9]+)|ot)(?:\.\d+)?", re.IGNORECASE)
_ONLY_BRATS = frozenset({"t1ce", "flair"})
_ODD_MASK = re.compile(r"seg", re.IGNORECASE)


@dataclass
class _CaseFiles:
    """The files of one case while they are gathered."""

    id: str
    folder: Path
    family: Family | None
    images: dict[str, Path] = field(default_factory=dict)
    labels: Path | None = None
    repeated: list[Path] = field(default_factory=list)
    odd_mask: bool = False
    regions: dict[str, Path] = field(default_factory=dict)
    words: set[str] = field(default_factory=set)

    @property
    def is_certain(self) -> bool:
        """Whether the names are those of BraTS and nobody else's."""
        return bool(self.images) and (self.family is not None or self.words >= _ONLY_BRATS)

    def take(self, modality: str | None, word: str, path: Path) -> None:
        """Keep a file; None stands for the labels. A second file of the same kind is left aside."""
        self.words.add(word.lower())
        if modality is None and self.labels is None:
            self.labels = path
        elif modality is not None and modality not in self.images:
            self.images[modality] = path
        else:
            self.repeated.append(path)


def match(listing: Listing) -> str | None:
    """At least one case named as BraTS names its cases or files."""
    scans = _gather(listing)
    return _why(scans, listing) if any(scan.is_certain for scan in scans) else None


def _why(gathered: Sequence[_CaseFiles], listing: Listing) -> str:
    scans = [scan for scan in gathered if scan.images]
    families = Counter(scan.family for scan in scans)
    kinds = [f"{count} of {_in_words(family)}" for family, count in families.items()]
    example = listing.relative(next(iter(scans[0].images.values())))
    return f"{plural(len(scans), 'case')} named as in BraTS ({', '.join(kinds)}), such as {example}"


def read(listing: Listing, options: ReadOptions) -> Cohort:
    """One case per scan; up to five masks are read to tell whole-tumour masks from the published labels.

    Raises:
        LayoutError: no case has an image.
        OptionError: names for the channels: the files state them.
    """
    if options.modalities is not None:
        raise OptionError("BraTS states its modalities", found=", ".join(options.modalities), expected="no names")
    scans = _gather(listing)
    complete = [scan for scan in scans if scan.images]
    if not complete:
        raise LayoutError("no BraTS volumes", path=listing.root, expected=LAYOUT.needs)
    findings = [_no_image(scan, listing) for scan in scans if not scan.images]
    table, table_findings = brats_facts(listing)
    findings += table_findings
    labelled = [scan for scan in complete if scan.labels is not None]
    names = _names(complete, listing)
    by_region = {name: tuple(scan.regions) for scan, (name, _) in zip(complete, names, strict=True) if scan.regions}
    scheme, layers, region_findings = scheme_and_findings(by_region, len(labelled), options.scheme)
    findings += region_findings
    cases = _cases(complete, names, table, layers, listing)
    modalities = tuple(name for name in MODALITY_ORDER if any(name in case.images for case in cases))
    findings += _findings(complete, cases, modalities, listing)
    if scheme is None:
        scheme, scheme_findings = decide_scheme(cases, [scan.family for scan in labelled])
        findings += scheme_findings
    ordered = tuple(sorted(cases, key=lambda case: natural_key(case.id)))
    return Cohort(
        listing.root.name, "brats", _why(scans, listing), ordered, modalities, scheme, findings=tuple(findings)
    )


def _gather(listing: Listing) -> list[_CaseFiles]:
    scans: dict[tuple[Path, str], _CaseFiles] = {}
    other_masks: dict[Path, list[Path]] = {}
    for path in listing.ending(*VOLUME_ENDINGS):
        place = listing.place(path)
        read_name = _of_vsd(place) or _of_name(place)
        if read_name is None:
            other_masks.setdefault(place.parent, []).append(path)
            continue
        folder, case_id, family, word = read_name
        scan = scans.setdefault((folder, case_id), _CaseFiles(case_id, folder, family))
        scan.take(modality_of(word), word, path)
    _take_other_masks(scans.values(), other_masks)
    return [scan for scan in scans.values() if scan.family is not None or len(scan.images) > 1]


def _of_name(path: Path) -> tuple[Path, str, Family | None, str] | None:
    """(case folder, id, family, what the file is) of ``{id}_{what}``.

    Where the name of an image is not BraTS's and that of its folder is (``BraTS2021_00000/00000057_brain_flair.nii``),
    the folder names the case.
    """
    parts = _NAME.fullmatch(file_stem(path))
    if parts is None:
        return None
    case_id = parts["id"] or path.parent.name
    is_image = modality_of(parts["what"]) is not None
    if is_image and family_of(case_id) is None and family_of(path.parent.name) is not None:
        case_id = path.parent.name
    return path.parent, case_id, family_of(case_id, path.parent.parts), parts["what"]


def _of_vsd(path: Path) -> tuple[Path, str, Family | None, str] | None:
    """The same for the names of the Virtual Skeleton Database, whose files have a folder of their own each."""
    parts = _VSD_NAME.fullmatch(file_stem(path))
    if parts is None:
        return None
    if parts["what"] and modality_of(parts["what"]) is None:
        return None  # MR_DWI and the like, of other collections
    folder = path.parent.parent if path.parent.name.lower().startswith("vsd.") else path.parent
    return folder, folder.name, "2015", parts["what"] or "mask"


def _take_other_masks(scans: Iterable[_CaseFiles], other_masks: dict[Path, list[Path]]) -> None:
    """Masks that are not called after their case alone: a mask for each region, and the only one of a folder.

    ``BraTS20_Training_355`` ships its mask as ``W39_1998.09.19_Segm.nii``.
    """
    by_folder: dict[Path, list[_CaseFiles]] = {}
    for scan in scans:
        if scan.images:
            by_folder.setdefault(scan.folder, []).append(scan)
        elif scan.labels is not None and scan.family is None:
            other_masks.setdefault(scan.folder, []).append(scan.labels)
    for folder, folder_scans in by_folder.items():
        _take_region_masks(folder_scans, other_masks.get(folder, []))
        masks = [path for path in other_masks.get(folder, []) if _ODD_MASK.search(path.name)]
        if len(folder_scans) == 1 and len(masks) == 1 and not (folder_scans[0].labels or folder_scans[0].regions):
            folder_scans[0].labels, folder_scans[0].odd_mask = masks[0], True


def _take_region_masks(scans: Sequence[_CaseFiles], paths: Sequence[Path]) -> None:
    """``{id}_WT.nii.gz`` and ``{id}_TC.nii.gz``, or ``WT.nii.gz`` where the folder is of one case."""
    by_id = {scan.id: scan for scan in reversed(scans)}
    for path in paths:
        case_id, region = split_region(without_words(file_stem(path))) or ("", None)
        owner = by_id.get(case_id, scans[0] if len(scans) == 1 and not case_id else None)
        if region is not None and owner is not None and owner.labels is None:
            owner.repeated += [path] if region in owner.regions else []
            owner.regions.setdefault(region, path)


def _cases(
    scans: Sequence[_CaseFiles],
    names: Sequence[tuple[str, str]],
    table: dict[str, Facts],
    layers: Mapping[str, tuple[str, ...]],
    listing: Listing,
) -> list[Case]:
    cases = []
    for scan, (name, patient) in zip(scans, names, strict=True):
        part = part_of(scan.folder.relative_to(listing.root).parts[:-1])
        grade, site = grade_of(scan.folder), site_of(scan.id)
        from_names = {"part": part, "grade": grade, "site": site}
        facts = {key: value for key, value in from_names.items() if value is not None} | dict(
            table.get(scan.id.lower(), {})
        )
        images = {modality: _source(scan.images[modality]) for modality in MODALITY_ORDER if modality in scan.images}
        labels = None if scan.labels is None else _source(scan.labels)
        if name in layers:
            labels = _source(*scan.regions.values(), layers=layers[name])
        cases.append(Case(name, patient, images, labels, facts=facts))
    return cases


def _names(scans: Sequence[_CaseFiles], listing: Listing) -> list[tuple[str, str]]:
    """(id, patient) of each scan. An id that occurs twice is told apart by grade, else by its folders.

    Until 2015 HGG and LGG count their patients apart (``brats_2013_pat0001_1`` is in both): two people. The same id in
    two folders of one grade is the same patient.
    """
    plain = Counter(scan.id for scan in scans)
    graded = Counter((scan.id, grade_of(scan.folder)) for scan in scans)
    names = []
    for scan in scans:
        name, patient, grade = scan.id, patient_of(scan.id), grade_of(scan.folder)
        if plain[scan.id] > 1 and grade is not None:
            name, patient = f"{name}_{grade}", f"{patient}_{grade}"
        if graded[scan.id, grade] > 1:
            folders = scan.folder.relative_to(listing.root).parts
            name = "_".join((*folders, scan.id) if folders[-1:] != (scan.id,) else folders)
        names.append((name, patient))
    return names


def _source(*paths: Path, layers: tuple[str, ...] = ()) -> Source:
    return Source(paths, "nifti" if file_kind(paths[0]) == "nifti" else "metaimage", layers=layers)


def _findings(
    scans: Sequence[_CaseFiles], cases: Sequence[Case], modalities: Sequence[str], listing: Listing
) -> list[Finding]:
    findings = []
    any_mask = any(case.labels is not None for case in cases)
    absent = [name for name in MODALITY_ORDER if name not in modalities]
    if absent:
        findings.append(Finding("note", "missing-modality", f"no case has {', '.join(absent)}"))
    if not any_mask:
        findings.append(NO_MASKS)
    for scan, case in zip(scans, cases, strict=True):
        missing = [name for name in modalities if name not in case.images]
        if missing:
            findings.append(Finding("warning", "missing-modality", f"{', '.join(missing)} is missing", case.id))
        if case.labels is None and any_mask:
            findings.append(Finding("warning", "missing-mask", "there is no mask", case.id))
        if scan.odd_mask and scan.labels is not None:
            findings.append(Finding("note", "odd-mask-name", f"{scan.labels.name} is taken as the mask", case.id))
        if scan.repeated:
            names = name_some(listing.relative(path) for path in scan.repeated)
            findings.append(
                Finding("warning", "repeated-file", f"left aside, since another is there: {names}", case.id)
            )
    return findings


def _no_image(scan: _CaseFiles, listing: Listing) -> Finding:
    where = listing.relative(scan.labels) if scan.labels is not None else scan.id
    return Finding("error", "mask-without-image", f"{where} has no image beside it and is left out", scan.id)


def _in_words(family: Family | None) -> str:
    return family if family is not None else "no known year"


LAYOUT = Layout(
    name="brats",
    needs="folders of {id}_{t1,t1ce,t2,flair,seg}.nii.gz, {id}-{t1n,t1c,t2w,t2f,seg}.nii.gz or VSD.Brain.*.mha",
    match=match,
    read=read,
)

"""Volumes with label maps in no particular publisher's layout: a folder per case, or flat files.

A label map is told by its name (``X_seg``, ``X_mask``, ``X_label``) or its folder (``labels/``). The images of its case
lie in the same folder (words that mean mask or image aside) and begin with the same name; what follows names the
modality (``X_t1.nii.gz``, ``X_flair.nii.gz``). Where no image of a folder begins like its one label map (``T1.nii.gz``,
``FLAIR.nii.gz``, ``tumour_mask.nii.gz``) all of them are the case, which takes the folder's name. In place of a label
map each region may have a mask of its own (``X_WT``, ``X_TC``, ``X_ET``). Volumes without any label map are read too,
for prediction.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from glioseg.cohorts.layouts.public_sets import set_of
from glioseg.cohorts.layouts.volume_files import Scan, gather, is_named_by_modality
from glioseg.cohorts.reading.facts_file import with_facts_file
from glioseg.cohorts.reading.findings import NO_MASKS
from glioseg.cohorts.reading.labels_file import unknown_scheme
from glioseg.cohorts.reading.layout import Layout, ReadOptions
from glioseg.cohorts.reading.listing import Listing, natural_key
from glioseg.cohorts.reading.region_masks import left_aside, scheme_and_findings
from glioseg.core import Case, Cohort, Facts, Finding, Source, SourceKind, scheme_named
from glioseg.core.modalities import MODALITY_ORDER, sequence_of
from glioseg.errors import GliosegError, LayoutError, OptionError, name_some, plural
from glioseg.io.endings import file_kind
from glioseg.io.metaimage import read_metaimage_grid
from glioseg.io.nifti import read_nifti_grid

_ONLY = "image"
"""The modality of a case with one image where nothing says which it is."""


@dataclass(frozen=True)
class _Channel:
    """One channel of one file, with what the file calls it."""

    name: str
    path: Path
    index: int | None


def match(listing: Listing) -> str | None:
    """At least one volume has a label map."""
    return _why(gather(listing), listing)


def match_images(listing: Listing) -> str | None:
    """Volumes without label maps, for prediction."""
    return _why_images(gather(listing), listing)


def _why_images(scans: Sequence[Scan], listing: Listing) -> str | None:
    with_images = [scan for scan in scans if scan.images]
    if not with_images:
        return None
    named_scans = [scan for scan in with_images if is_named_by_modality(scan)]
    example = listing.relative((named_scans or with_images)[0].images[0][1])
    of = plural(len(with_images), "case")
    return f"volumes of {of} without label maps ({len(named_scans)} named by modality), such as {example}"


def _why(scans: Sequence[Scan], listing: Listing) -> str | None:
    examples = [scan for scan in scans if scan.images and scan.masks]
    if not examples:
        return None
    image, mask = listing.relative(examples[0].images[0][1]), listing.relative(examples[0].masks[0])
    n_cases = sum(bool(scan.images) for scan in scans)
    return f"{len(examples)} of {n_cases} cases have a label map, such as {image} and {mask}"


def read(listing: Listing, options: ReadOptions) -> Cohort:
    """One case per folder or common name; headers are read, to tell volumes with several channels.

    The scheme is known for public sets (``public_sets``); for other data the user says it.

    Raises:
        LayoutError: no volumes but label maps.
        OptionError: names for another number of modalities than the files have.
    """
    gathered = gather(listing)
    scans = [scan for scan in gathered if scan.images]
    if not scans:
        raise LayoutError("no volumes to go with label maps", path=listing.root, expected=LAYOUT.needs)
    public = set_of([scan.id for scan in scans])
    patients = _patients(scans) if public is None else {scan.id: public.patient_of(scan.id) for scan in scans}
    channels, findings = _channels(scans)
    only = _ONLY if public is None else public.only_modality
    names = _modalities([channel for case_channels in channels for channel in case_channels], options, only=only)
    cases = []
    given = options.scheme or (None if public is None else scheme_named(public.scheme))
    by_region = {scan.id: scan.regions for scan in scans if scan.regions}
    n_label_maps = sum(bool(scan.masks) and not scan.regions for scan in scans)
    scheme, regions, more_findings = scheme_and_findings(by_region, n_label_maps, given)
    findings += more_findings
    for scan, case_channels in zip(scans, channels, strict=True):
        patient, layers = patients.get(scan.id, scan.id), regions.get(scan.id, ())
        case, more_findings = _case(scan, case_channels, names, patient, layers)
        cases.append(case)
        findings += more_findings
    findings += _masks_without_image(gathered, listing)
    with_facts, more_findings = with_facts_file(cases, listing)
    findings += [finding for finding in more_findings if not patients or finding.kind != "unknown-patients"]
    findings += _assumed_patients(patients) if public is None else []
    has_labels = any(case.labels is not None for case in cases)
    return Cohort(
        name=listing.root.name,
        layout="volumes",
        reason=_why(scans, listing) or _why_images(scans, listing) or LAYOUT.needs,
        cases=tuple(sorted(with_facts, key=lambda case: natural_key(case.id))),
        modalities=tuple(dict.fromkeys(names.values())),
        scheme=scheme if has_labels else None,
        findings=(*_no_masks(cases), *findings, *([unknown_scheme()] if has_labels and scheme is None else [])),
    )


def _channels(scans: Sequence[Scan]) -> tuple[list[list[_Channel]], list[Finding]]:
    """The channels of every case: one per file, or those of its only file."""
    channels_of_cases: list[list[_Channel]] = []
    findings: list[Finding] = []
    alone = len({called for scan in scans for called, _ in scan.images}) > 1
    alone = alone and all(len(scan.images) == 1 for scan in scans)  # names that differ from case to case: no modality
    for scan in scans:
        channels = [_Channel(_channel_name(called, alone=alone), path, None) for called, path in scan.images]
        if len(channels) == 1:
            path = channels[0].path
            try:
                n_channels = _n_channels(path)
            except GliosegError as error:
                findings.append(Finding("error", "unreadable-file", error.text, scan.id))
                n_channels = 1
            if n_channels > 1:
                channels = [_Channel(f"channel_{index}", path, index) for index in range(n_channels)]
        channels_of_cases.append(channels)
    return channels_of_cases, findings


def _channel_name(text: str, *, alone: bool) -> str:
    return sequence_of(text) or (_ONLY if alone or not text else text.lower())


def _n_channels(path: Path) -> int:
    return (read_nifti_grid(path) if _kind(path) == "nifti" else read_metaimage_grid(path))[1]


def _kind(path: Path) -> SourceKind:
    return "nifti" if file_kind(path) == "nifti" else "metaimage"


def _modalities(channels: Iterable[_Channel], options: ReadOptions, *, only: str) -> dict[str, str]:
    """What files call a channel -> the modality's name, in the cohort's order."""
    order = {name: index for index, name in enumerate(MODALITY_ORDER)}
    called = sorted({channel.name for channel in channels}, key=lambda name: (order.get(name, 9), natural_key(name)))
    if options.modalities is None:
        return {name: only if name == _ONLY else name for name in called}
    if len(options.modalities) != len(called):
        raise OptionError(
            "one name for each modality is needed", found=", ".join(options.modalities), expected=", ".join(called)
        )
    return dict(zip(called, options.modalities, strict=True))


def _case(
    scan: Scan, channels: Sequence[_Channel], names: Mapping[str, str], patient: str, layers: tuple[str, ...]
) -> tuple[Case, list[Finding]]:
    findings = []
    images: dict[str, Source] = {}
    for channel in channels:
        name = names[channel.name]
        if name in images:
            message = f"two files are {name}; {channel.path.name} is left out"
            findings.append(Finding("warning", "repeated-modality", message, scan.id))
            continue
        images[name] = Source((channel.path,), _kind(channel.path), channel.index)
    ordered = {name: images[name] for name in names.values() if name in images}
    missing = [name for name in names.values() if name not in images]
    findings += [Finding("warning", "missing-modality", f"{name} is missing", scan.id) for name in missing]
    facts: Facts = {"part": scan.part} if scan.part is not None else {}
    is_used = bool(layers) if scan.regions else len(scan.masks) == 1
    labels = Source(scan.masks, _kind(scan.masks[0]), layers=layers) if is_used else None
    if len(scan.masks) > 1 and not scan.regions:
        listed = name_some(path.name for path in scan.masks)
        message = f"several label maps, none of which is used: {listed}; move all but one elsewhere"
        findings.append(Finding("error", "several-masks", message, scan.id))
    elif scan.masks and scan.other_masks:
        findings.append(left_aside(scan.id, scan.other_masks, scan.masks[0]))
    return Case(scan.id, patient, ordered, labels, facts=facts), findings


def _patients(scans: Sequence[Scan]) -> dict[str, str]:
    """Case -> patient, where cases lie in folders whose names recur below others (``p1/week-12``, ``p2/week-12``).

    A split that took each of them for a patient would put time points of one patient on both sides.
    """
    inner = Counter(scan.folders[-1] for scan in scans if len(scan.folders) > 1)
    outer = Counter(scan.folders[:-1] for scan in scans if len(scan.folders) > 1)
    n_recurring = sum(count for count in inner.values() if count > 1)
    if 2 * n_recurring <= len(scans) or max(outer.values(), default=0) < 2:  # one folder in each says nothing: p1/mri
        return {}
    return {scan.id: "_".join(scan.folders[:-1]) for scan in scans if len(scan.folders) > 1}


def _assumed_patients(patients: Mapping[str, str]) -> list[Finding]:
    if not patients:
        return []
    n_patients = len(set(patients.values()))
    message = f"folders of the same names recur: they are taken as time points of {n_patients} patients"
    return [Finding("note", "assumed-identity", message)]


def _no_masks(cases: Sequence[Case]) -> list[Finding]:
    """A note where no case has a label map, else a warning for each that has none."""
    if all(case.labels is None for case in cases):
        return [NO_MASKS]
    return [Finding("warning", "missing-mask", "no label map", case.id) for case in cases if case.labels is None]


def _masks_without_image(scans: Sequence[Scan], listing: Listing) -> list[Finding]:
    masks = [path for scan in scans if not scan.images for path in scan.masks]
    if not masks:
        return []
    listed = name_some(listing.relative(path) for path in masks)
    message = f"{len(masks)} label maps have no image and are left out: {listed}"
    return [Finding("warning", "mask-without-image", message)]


LAYOUT = Layout(
    name="volumes",
    needs="volumes (.nii, .nii.gz, .mha, .mhd, .nrrd) with a label map X_seg, X_mask or X_label beside each image X",
    match=match,
    read=read,
    match_images=match_images,
    takes_masks=True,
)

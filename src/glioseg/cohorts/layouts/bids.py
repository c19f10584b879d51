"""The Brain Imaging Data Structure [1]: ``sub-01[/ses-pre]/anat/sub-01[_ses-pre]_…_FLAIR.nii.gz``.

Masks are derivatives: ``derivatives/NAME/sub-01/…/anat/sub-01_…_dseg.nii.gz`` (or ``_mask``, ``_roi``), matched to the
images by subject and session; ``_label-ET_mask`` and the like show a region each. Brains and tissues that preprocessing
leaves there (fMRIPrep [2], FreeSurfer and others) are no masks of tumour. A session is a case, a subject the patient.
T1w with a contrast agent is told by the entity ``ce`` alone: a T1w without it is taken as acquired without.

References:
    [1] Gorgolewski KJ et al. The brain imaging data structure. Scientific Data 2016; entities of version 1.9.
    [2] Esteban O et al. fMRIPrep: a robust preprocessing pipeline for functional MRI. Nature Methods 2019; its outputs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from glioseg.cohorts.reading.labels_file import unknown_scheme
from glioseg.cohorts.reading.layout import Layout, ReadOptions
from glioseg.cohorts.reading.listing import Listing, natural_key
from glioseg.cohorts.reading.region_masks import scheme_and_findings
from glioseg.core import Case, Cohort, Facts, Finding, Source
from glioseg.core.layers import LAYERS
from glioseg.core.modalities import MODALITY_ORDER
from glioseg.core.schemes import known_label_name
from glioseg.errors import LayoutError, OptionError, name_some, plural
from glioseg.io.endings import file_stem

_NAME = re.compile(
    r"(?P<subject>sub-[A-Za-z0-9]+)(?:_(?P<session>ses-[A-Za-z0-9]+))?(?P<rest>(?:_[^_]+)*)_(?P<suffix>\w+)"
)
_LABEL = re.compile(r"_label-(?P<region>[A-Za-z]+)")
_CONTRAST = re.compile(r"_ce-[A-Za-z0-9]+")
_SUFFIXES: Mapping[str, str] = {"flair": "t2f", "t2w": "t2w", "t1w": "t1n"}
_MASKS = ("dseg", "mask", "roi")
_NIFTI = (".nii", ".nii.gz")
# the entities and the folders of derivatives whose masks and segmentations show anatomy
_ANATOMY = re.compile(
    r"_desc-(brain|aseg|aparc|ribbon|head|skull)|_label-(brain|GM|WM|CSF)_|_atlas-",
    re.IGNORECASE,
)
_PREPROCESSING = re.compile(
    r"(fmriprep|smriprep|nibabies|qsiprep|aslprep|mriqc|freesurfer|fastsurfer|samseg|synthseg|infantfs)([-_.\d]|$)",
    re.IGNORECASE,
)


@dataclass
class _Session:
    """The files of one session while they are gathered."""

    subject: str
    session: str | None
    images: dict[str, Path] = field(default_factory=dict)
    masks: list[Path] = field(default_factory=list)
    anatomy: list[Path] = field(default_factory=list)
    repeated: list[Path] = field(default_factory=list)

    @property
    def id(self) -> str:
        """``sub-01`` or ``sub-01_ses-pre``."""
        return self.subject if self.session is None else f"{self.subject}_{self.session}"


def match(listing: Listing) -> str | None:
    """At least one anatomical image that is named by BIDS and lies in a folder of its subject."""
    sessions = [session for session in _gather(listing) if session.images]
    if not sessions:
        return None
    example = listing.relative(next(iter(sessions[0].images.values())))
    return f"{len(sessions)} sessions named as in BIDS, such as {example}"


def read(listing: Listing, options: ReadOptions) -> Cohort:
    """One case per session.

    Raises:
        LayoutError: no session has an image.
        OptionError: names for the channels: the files state them.
    """
    if options.modalities is not None:
        raise OptionError("BIDS states its modalities", found=", ".join(options.modalities), expected="no names")
    sessions = _gather(listing)
    complete = sorted((session for session in sessions if session.images), key=lambda session: natural_key(session.id))
    if not complete:
        raise LayoutError("no BIDS images", path=listing.root, expected=LAYOUT.needs)
    by_region = {session.id: tuple(regions) for session in complete if (regions := _regions(session))}
    n_label_maps = sum(_mask_of(session) is not None and session.id not in by_region for session in complete)
    scheme, layers, findings = scheme_and_findings(by_region, n_label_maps, options.scheme)
    cases = tuple(_case(session, layers) for session in complete)
    findings += [finding for session in sessions for finding in _findings(session, listing)]
    findings += _anatomy_left_aside(complete, listing)
    findings += [unknown_scheme()] if scheme is None and any(case.labels is not None for case in cases) else []
    modalities = tuple(name for name in MODALITY_ORDER if any(name in case.images for case in cases))
    reason = match(listing) or LAYOUT.needs
    return Cohort(listing.root.name, "bids", reason, cases, modalities, scheme, findings=tuple(findings))


def _gather(listing: Listing) -> list[_Session]:
    sessions: dict[tuple[str, str | None], _Session] = {}
    for path in listing.ending(*_NIFTI):
        place = listing.place(path)
        parts = _NAME.fullmatch(file_stem(place))
        if parts is None or parts["subject"] not in place.parts[:-1]:
            continue
        session = sessions.setdefault(
            (parts["subject"], parts["session"]), _Session(parts["subject"], parts["session"])
        )
        suffix = parts["suffix"].lower()
        if suffix in _MASKS:
            (session.anatomy if _shows_anatomy(place, listing.root) else session.masks).append(path)
        elif suffix in _SUFFIXES and "derivatives" not in path.relative_to(listing.root).parts:
            modality = "t1c" if suffix == "t1w" and _CONTRAST.search(parts["rest"]) else _SUFFIXES[suffix]
            if modality in session.images:
                session.repeated.append(path)
            session.images.setdefault(modality, path)
    return list(sessions.values())


def _shows_anatomy(place: Path, root: Path) -> bool:
    """Whether a mask shows the brain or its tissues, by its entities or by the derivative in whose folder it lies."""
    folders = place.relative_to(root).parts[:-1]
    return bool(_ANATOMY.search(place.name)) or any(_PREPROCESSING.match(folder) for folder in folders)


def _case(session: _Session, layers: Mapping[str, tuple[str, ...]]) -> Case:
    images = {name: Source((session.images[name],), "nifti") for name in MODALITY_ORDER if name in session.images}
    mask = _mask_of(session)
    facts: Facts = {} if session.session is None else {"session": session.session.removeprefix("ses-")}
    by_region = _regions(session)
    labels = None if mask is None or by_region else Source((mask,), "nifti")
    if session.id in layers:
        labels = Source(tuple(by_region.values()), "nifti", layers=layers[session.id])
    return Case(session.id, session.subject, images, labels, facts=facts)


def _mask_of(session: _Session) -> Path | None:
    """The segmentation where there is one (``dseg``, then ``mask``, then ``roi``)."""
    masks = sorted(session.masks, key=natural_key)
    return min(masks, key=lambda path: _MASKS.index(file_stem(path).rpartition("_")[2].lower()), default=None)


def _regions(session: _Session) -> dict[str, Path]:
    """Region -> its mask, where no mask shows several."""
    if any(file_stem(path).lower().endswith("dseg") for path in session.masks):
        return {}
    said = ((known_label_name(match["region"]), path) for path in session.masks if (match := _LABEL.search(path.name)))
    return {region: path for region, path in said if region in LAYERS}


def _findings(session: _Session, listing: Listing) -> list[Finding]:
    findings = []
    mask = _mask_of(session)
    if mask is not None and not session.images:
        message = f"{listing.relative(mask)} has no image beside it and is left out"
        findings.append(Finding("error", "mask-without-image", message, session.id))
    used = {mask, *_regions(session).values()}
    extra_masks = [*session.repeated, *(path for path in session.masks if path not in used and mask is not None)]
    if extra_masks and session.images:
        names = name_some(listing.relative(path) for path in extra_masks)
        findings.append(Finding("warning", "repeated-file", f"left aside, since another is there: {names}", session.id))
    return findings


def _anatomy_left_aside(sessions: Sequence[_Session], listing: Listing) -> list[Finding]:
    masks = [listing.relative(path) for session in sessions for path in session.anatomy]
    message = f"left aside, since they show the brain or its tissues: {plural(len(masks), 'mask')}, {name_some(masks)}"
    return [Finding("note", "anatomy-mask", message)] if masks else []


LAYOUT = Layout(
    name="bids",
    needs="sub-NAME[/ses-NAME]/anat/sub-NAME[_ses-NAME]_{T1w,ce-…_T1w,T2w,FLAIR}.nii.gz, masks in derivatives/",
    match=match,
    read=read,
)

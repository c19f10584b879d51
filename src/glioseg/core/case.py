"""Cases and cohorts: what is known of the scans before a single pixel is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from glioseg.core.labels import LabelScheme
from glioseg.core.series import SeriesRow
from glioseg.errors import LayoutError, name_some, plural

SourceKind = Literal["nifti", "metaimage", "raster", "hdf5", "dicom"]
Severity = Literal["error", "warning", "note"]
FindingKind = Literal[
    "alpha-mask",
    "anatomy-mask",
    "assumed-channels",
    "assumed-codes",
    "assumed-identity",
    "brain-mask",
    "constant-image",
    "dark-slices",
    "duplicates-across-classes",
    "empty-mask",
    "exact-duplicates",
    "file-geometry",
    "folds",
    "forms-disagree",
    "grey-as-colour",
    "ignore-label",
    "inverted-mask",
    "left-over-files",
    "link-loop",
    "mask-geometry",
    "mask-outside-head",
    "mask-size",
    "mask-without-image",
    "missing-facts",
    "mask-as-scan",
    "missing-file",
    "missing-mask",
    "missing-modality",
    "missing-slice",
    "missing-table",
    "mirrored-mask",
    "missing-volume",
    "modality-geometry",
    "nan-or-inf",
    "near-duplicates",
    "nested-folders",
    "odd-file",
    "odd-mask-name",
    "region-masks",
    "repeated-channel",
    "repeated-file",
    "repeated-file-differs",
    "repeated-modality",
    "scheme-by-labels",
    "several-masks",
    "shared-mask",
    "special-file",
    "split-by-slice",
    "unclear-mask",
    "unclear-series",
    "unknown-case",
    "unknown-labels",
    "unknown-patients",
    "unknown-scheme",
    "unlisted-file",
    "unprintable-name",
    "unreadable-file",
    "unreadable-folder",
    "unreadable-folds",
    "unreadable-table",
    "unusable-series",
    "whole-tumour-masks",
    "wrong-channels",
]
"""All kinds of findings; docs/findings.md says what each means. Programs may rely on these words."""
Facts = Mapping[str, str | float | int]
Counted = Literal["patient", "picture"]
"""What the figures of a cohort are counted in."""
MAX_VOXELS = 4 * 512**3
"""The most voxels of a file, or of a stack of files, that are read unless the user allows more."""


@dataclass(frozen=True)
class Source:
    """Where the pixels of one modality, or of the labels, are.

    Args:
        paths: one file for a volume; for picture and HDF5 stacks one file per slice, in slice order; for DICOM all
            files of the volume, in any order. A DICOM file may lie in an archive: ``study.zip/IM0001``.
        kind: which reader: ``nifti`` (.nii, .nii.gz), ``metaimage`` (.mha, .mhd, .nrrd, .nhdr), ``raster``
            (PNG, JPEG, TIFF, BMP), ``hdf5``, ``dicom``.
        channel: which channel of a file with several: index on the 4th axis of a NIfTI, colour of a picture, last axis
            of an HDF5 data set; None where the file has one channel (or, for labels of an HDF5 stack, where the
            channels are the 0/1 masks of the scheme's labels in turn).
        dataset: name of the HDF5 data set (``image``, ``mask``); of DICOM files that hold several volumes the number
            of the one that is meant, from 0; None for the other kinds.
        slice_index: the one slice (index on Z of the file) that this source is, for a volume whose slices are cases of
            their own; None for the whole file.
        value: for the labels of pictures and HDF5 slices, the integer that stands for whatever their 0/1 masks outline,
            0 where nothing is outlined and the picture itself gives but the size; None where the files' own values are
            the labels.
        layers: for labels of which each region has a mask of its own, the region that each of the files shows.
        max_voxels: a file or stack that declares more is refused before memory is taken for it.
        name: what messages and records call the source, where the names of its files are nobody's business; None where
            they may be said.
        is_derived: whether it was made from other scans (reformatted, say) rather than acquired, as its header says.
    """

    paths: tuple[Path, ...]
    kind: SourceKind
    channel: int | None = None
    dataset: str | None = None
    slice_index: int | None = None
    value: int | None = None
    layers: tuple[str, ...] = ()
    max_voxels: int = MAX_VOXELS
    name: str | None = None
    is_derived: bool = False

    def __post_init__(self) -> None:
        if not self.paths:
            raise LayoutError("a source needs at least one file")
        if self.slice_index is not None and (self.slice_index < 0 or self.kind not in ("nifti", "metaimage")):
            raise LayoutError(
                "only volumes have slices that are named by their index", path=self.paths[0], found=self.slice_index
            )
        if self.value is not None and self.kind not in ("raster", "hdf5"):
            raise LayoutError("only masks in pictures stand for one label each", path=self.paths[0], found=self.kind)
        if self.layers and len(self.layers) != len(self.paths):
            raise LayoutError("each mask shows one region", path=self.paths[0], found=", ".join(self.layers))
        if len(self.paths) > 1 and not self.layers and self.kind not in ("raster", "hdf5", "dicom"):
            raise LayoutError("only pictures and HDF5 slices are stacked", path=self.paths[0], found=self.kind)

    @property
    def shown(self) -> str:
        """What messages and records call the source: its name, or its (first) file."""
        return self.name or str(self.paths[0])


@dataclass(frozen=True)
class Case:
    """One imaging session of a patient.

    Args:
        id: unique in the cohort.
        patient: unit of every split; may have several cases.
        images: modality -> source; a modality that was not acquired is absent.
        labels: the reference's source, None where there is none.
        category: class of the case in a classification cohort (folder name), else None.
        facts: age, survival, grade, site, slice range, … as the publisher's tables give them.
        day: of the session, on a calendar of the patient's own: only differences of days mean anything. None where it
            is not known.
    """

    id: str
    patient: str
    images: Mapping[str, Source]
    labels: Source | None = None
    category: str | None = None
    facts: Facts = field(default_factory=dict)
    day: int | None = None


def allowing(case: Case, max_voxels: int) -> Case:
    """The case with files of up to ``max_voxels``."""
    sources = (*case.images.values(), *(() if case.labels is None else (case.labels,)))
    if all(source.max_voxels == max_voxels for source in sources):
        return case
    images = {name: replace(source, max_voxels=max_voxels) for name, source in case.images.items()}
    labels = None if case.labels is None else replace(case.labels, max_voxels=max_voxels)
    return replace(case, images=images, labels=labels)


@dataclass(frozen=True)
class Finding:
    """Something a reader or a check has to say about a cohort.

    ``error``: the case cannot be used as it is; ``warning``: it can, but look at it; ``note``: good to know.
    ``case`` is None where the finding is about the cohort; ``kind`` is a fixed word for machines. Options that the
    message names are written as ``glioseg.faces`` has them.
    """

    severity: Severity
    kind: FindingKind
    message: str
    case: str | None = None


@dataclass(frozen=True)
class Cohort:
    """The cases of a folder: paths, no pixels.

    Args:
        name: the folder's name.
        layout: the reader that recognised it, and
        reason: why, in words.
        cases: sorted by id, ids unique.
        modalities: all modalities that some case has, in the layout's order.
        scheme: meaning of the labels; None where the cohort has no labels or the user must still say.
        categories: class names in index order, for classification; else empty.
        findings: what the reader noticed (assumptions, missing files).
        series: of DICOM studies, what each series was taken for.
    """

    name: str
    layout: str
    reason: str
    cases: tuple[Case, ...]
    modalities: tuple[str, ...]
    scheme: LabelScheme | None
    categories: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    series: tuple[SeriesRow, ...] = ()

    def __post_init__(self) -> None:
        ids = [case.id for case in self.cases]
        if not ids:
            raise LayoutError("the cohort is empty", path=self.name)
        if len(set(ids)) != len(ids):
            twice = sorted({name for name in ids if ids.count(name) > 1})
            raise LayoutError("two cases of a cohort have the same id", path=self.name, found=name_some(twice))
        unknown = sorted({modality for case in self.cases for modality in case.images} - set(self.modalities))
        if unknown:
            raise LayoutError("a case has a modality that its cohort lacks", path=self.name, found=name_some(unknown))

    def __repr__(self) -> str:
        """In a line: thousands of cases are no answer to somebody who prints a cohort."""
        what = ", ".join(self.modalities)
        return (
            f"{type(self).__name__}({self.name!r}, layout {self.layout}: {plural(len(self.cases), 'case')} of "
            f"{plural(len(self.patients), 'patient')}; {what})"
        )

    @property
    def patients(self) -> tuple[str, ...]:
        """The patients, each once, sorted."""
        return tuple(sorted({case.patient for case in self.cases}))

"""What the writers of all layouts share: a case with its pixels, where it goes, what the tables then need of it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from glioseg.core import Cohort, Facts, Grid, Image, LabelMap, LabelScheme
from glioseg.core.labels import convert_labels
from glioseg.errors import GeometryError, LabelError
from glioseg.frozen import Frozen
from glioseg.io.endings import file_kind
from glioseg.io.load import load_image, load_labels
from glioseg.io.metaimage import write_metaimage
from glioseg.io.nifti import write_nifti

VolumeEnding = Literal[".nii.gz", ".nii", ".mha", ".nrrd"]


class WriteOptions(Frozen):
    """What the layouts leave open.

    Args:
        name: of the data set, in tables that have a place for it.
        volume_ending: file format of ``volumes`` and ``nnunet``; the other layouts fix theirs.
        picture_modality: the modality that ``pairs`` and ``classes`` show; None takes FLAIR, else the first.
        picture_gap_mm: distance between the slices of one patient in ``pairs`` and ``classes``, where neighbours would
            be near-duplicates; every slice of volumes without millimetres is written.
    """

    name: str = "glioseg"
    volume_ending: VolumeEnding = ".nii.gz"
    picture_modality: str | None = None
    picture_gap_mm: float = Field(default=6.0, gt=0.0)


@dataclass(frozen=True, eq=False)
class LoadedCase:
    """A case with its pixels.

    Args:
        id: unique in the cohort.
        patient: may have several cases.
        image: its modalities.
        labels: the reference on the same grid, None where there is none.
        facts: age, survival and so on.

    Raises:
        GeometryError: the labels lie on another grid.
    """

    id: str
    patient: str
    image: Image
    labels: LabelMap | None
    facts: Facts = field(default_factory=dict)

    def __post_init__(self) -> None:
        difference = self.image.grid.difference(self.labels.grid) if self.labels is not None else None
        if difference is not None:
            raise GeometryError(f"image and labels of case {self.id} lie on different grids", found=difference)


@dataclass(frozen=True)
class CohortPlace:
    """Where a case comes in its cohort.

    Args:
        patient: number of the patient, from 1.
        time_point: how many cases of that patient came before.
        case: number of the case, from 1.
    """

    patient: int
    time_point: int
    case: int


@dataclass(frozen=True)
class Written:
    """What the tables of a layout need to know of a case once its files are there.

    Args:
        id: name of the case in the files.
        original_id: and in the cohort that is written.
        patient: name of the patient in the files.
        facts: of the case.
        modalities: names of its channels.
        scheme: of its labels as written, None where it has none.
        slices: for layouts with a row per slice, the numbers of that row.
        pictures: for layouts whose slices are read as cases of their own, their ids; None for others.
    """

    id: str
    original_id: str
    patient: str
    facts: Facts
    modalities: tuple[str, ...]
    scheme: LabelScheme | None
    slices: tuple[tuple[int, ...], ...] = ()
    pictures: tuple[str, ...] | None = None


def load_cases(cohort: Cohort) -> Iterator[LoadedCase]:
    """The cases of a cohort with their pixels, one after the other.

    Raises:
        FileError, GeometryError, LabelError: as ``io.load_image`` and ``io.load_labels`` do.
        LabelError: the cohort has labels and no scheme.
    """
    for case in cohort.cases:
        if case.labels is not None and cohort.scheme is None:
            raise LabelError(
                f"the meaning of the labels of cohort {cohort.name} is not known",
                remedy="Say it with `--scheme` or `--labels`",
            )
        labels = load_labels(case, cohort.scheme) if case.labels is not None and cohort.scheme is not None else None
        yield LoadedCase(case.id, case.patient, load_image(case), labels, case.facts)


def safe_name(case_id: str) -> str:
    """An id as part of a file name on any system: letters, digits, ``-``, ``_`` and dots within."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", case_id).strip(".-") or "case"


def require_modalities(case: LoadedCase, modalities: Sequence[str], layout: str) -> npt.NDArray[Any]:
    """The channels of ``wanted``, (C, X, Y, Z), in that order.

    Raises:
        GeometryError: the case lacks one of them.
    """
    missing = [name for name in modalities if name not in case.image.modalities]
    if missing:
        raise GeometryError(
            f"case {case.id} cannot be written as {layout} without {', '.join(missing)}",
            found=", ".join(case.image.modalities),
            expected=", ".join(modalities),
        )
    rows = [case.image.modalities.index(name) for name in modalities]
    if rows == list(range(len(case.image.array))):
        return case.image.array
    return case.image.array[rows]


def labels_in(case: LoadedCase, scheme: LabelScheme) -> npt.NDArray[np.integer] | None:
    """The labels of a case in another scheme; None where it has none.

    Raises:
        LabelError: the scheme cannot say them.
    """
    if case.labels is None:
        return None
    try:
        return convert_labels(case.labels.array, case.labels.scheme, scheme)
    except LabelError as error:
        raise LabelError(f"case {case.id}: {error.what}", found=error.found, expected=error.expected) from error


def write_volume(path: Path, array: npt.NDArray[Any], grid: Grid) -> None:
    """Write a volume in the format that the name says; syncing is left to the end of the cohort.

    Raises:
        FileError: the file cannot be written.
        GeometryError: the grid has no millimetres, which all of these formats claim.
    """
    if not grid.has_mm:
        raise GeometryError(
            f"pictures carry no millimetres: {path.name} cannot be written",
            expected="a layout of pictures (pairs, classes, lgg)",
            remedy="Choose one of them, or say how large a pixel is: `--spacing X,Y,Z`",
        )
    write = write_nifti if file_kind(path) == "nifti" else write_metaimage
    write(path, array, grid, sync=False)

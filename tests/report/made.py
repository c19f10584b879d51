"""Cohorts of a few voxels, with files, and descriptions of them that are made by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from glioseg.cohorts.description import (
    CohortDescription,
    DarkRow,
    Diagnoses,
    FactColumn,
    GallerySlice,
    Imbalance,
    ViewPoint,
)
from glioseg.cohorts.summary import (
    HEAT_CELLS,
    QUANTILES,
    SLICE_PLACES,
    CaseSummary,
    Distribution,
    Fingerprint,
    HeatMap,
    Histogram,
    SliceTable,
)
from glioseg.core import Case, Cohort, Finding, Grid, LabelScheme, Source, scheme_named
from glioseg.io.nifti import write_nifti
from glioseg.io.raster import write_picture

SHAPE = (12, 10, 6)
LPS = Grid(SHAPE, np.diag([-1.0, -1.0, 2.0, 1.0]))
Array = npt.NDArray[Any]


def brain(seed: int) -> Array:
    """(12, 10, 6) int16, random above 100 inside, 0 in a border of one voxel and in the first slice."""
    array = np.zeros(SHAPE, dtype=np.int16)
    array[1:-1, 1:-1, 1:] = np.random.default_rng(seed).integers(100, 900, (10, 8, 5))
    return array


def tumour(*values: int) -> Array:
    """(12, 10, 6) uint8 with a row of two voxels of each value in the fourth and fifth slice."""
    labels = np.zeros(SHAPE, dtype=np.uint8)
    for place, value in enumerate(values):
        labels[3:5, 3 + place, 3:5] = value
    return labels


def volume_cohort(
    folder: Path, names: Sequence[str] = ("one", "two"), *, modalities: Sequence[str] = ("t1n", "t2f")
) -> Cohort:
    """BraTS 2021 labels in NIfTI files, one patient per case."""
    cases = []
    for seed, name in enumerate(names):
        images = {}
        for modality in modalities:
            path = folder / f"{seed}_{modality}.nii.gz"
            write_nifti(path, brain(seed), LPS)
            images[modality] = Source((path,), "nifti")
        path = folder / f"{seed}_labels.nii.gz"
        write_nifti(path, tumour(1, 2, 4), LPS)
        cases.append(Case(name, f"patient {name}", images, Source((path,), "nifti"), facts={"age": 50 + seed}))
    return Cohort("made", "brats", "made for tests", tuple(cases), tuple(modalities), scheme_named("brats2021"))


def picture_cohort(folder: Path, classes: Mapping[str, int]) -> Cohort:
    """Colour pictures of different sizes in class folders."""
    cases = []
    for number, (name, count) in enumerate(classes.items()):
        for index in range(count):
            path = folder / f"{number}_{index}.png"
            size = (20 + 2 * index, 16 + number)
            write_picture(path, np.random.default_rng(index).integers(0, 255, (*size, 3)).astype(np.uint8))
            images = {
                colour: Source((path,), "raster", channel) for channel, colour in enumerate(("red", "green", "blue"))
            }
            cases.append(Case(f"{name}_{index}", f"{name}_{index}", images, category=name))
    return Cohort("shop", "classes", "made", tuple(cases), ("red", "green", "blue"), None, tuple(classes))


def distribution(array: Array) -> Distribution:
    values = array[array > 0].astype(np.float64)
    quantiles = tuple(float(value) for value in np.quantile(values, QUANTILES))
    counts = np.histogram(values, bins=32, range=(0, 1000))[0].astype(np.int64)
    return Distribution(
        values.size,
        float(values.mean()),
        float(values.std()),
        float(values.min()),
        float(values.max()),
        quantiles,
        Histogram(0.0, 1000.0, counts),
        np.tile(np.array(quantiles, dtype=np.float32), (SLICE_PLACES if array.shape[2] > 1 else 0, 1)),
    )


def heat(*cells: tuple[int, int]) -> Array:
    """A heat map that is 1 at the given cells (first axis, second axis)."""
    values = np.zeros((HEAT_CELLS, HEAT_CELLS), dtype=np.float32)
    for cell in cells:
        values[cell] = 1.0
    return values


def summary(
    case: Case,
    scheme: LabelScheme | None,
    modalities: Sequence[str],
    labels: Array | None,
    shape: tuple[int, int, int] = SHAPE,
) -> CaseSummary:
    """A summary by the definitions of ``describe``, for volumes on ``LPS`` and pictures of ``shape``."""
    flat = case.category is not None
    array = brain(1) if not flat else np.full(shape, 100)
    per_label = np.zeros((0, 0), dtype=np.int32)
    per_slice = np.zeros(0, dtype=np.int32)
    n_tumour = None
    if labels is not None and scheme is not None:
        per_label = np.stack([(labels == value).sum(axis=(0, 1)) for value in scheme.labels.values()], axis=1).astype(
            np.int32
        )
        per_slice = per_label.sum(axis=1).astype(np.int32)
        n_tumour = int(per_slice.sum())
    non_black = (array > 0).mean(axis=(0, 1)).astype(np.float32)
    known = {name: distribution(array) for name in modalities}
    return CaseSummary(
        case=case.id,
        patient=case.patient,
        category=case.category,
        shape=shape,
        spacing=(1.0, 1.0, 1.0 if flat else 2.0),
        orientation=None if flat else "LPS",
        has_mm=not flat,
        modalities=known,
        n_voxels=array.size,
        n_brain_voxels=int((array > 0).sum()),
        labels=() if scheme is None else tuple(scheme.labels),
        has_reference=labels is not None,
        slices=SliceTable(non_black, dict.fromkeys(modalities, non_black), per_label, per_slice),
        tumour_voxels=n_tumour,
        tumour_ml=None if n_tumour is None else n_tumour * 0.002,
        tumour_centre=(3, 3, 3) if n_tumour else None,
        heat=(HeatMap("axial", ("right", "anterior"), heat((3, 3)) > 0),) if n_tumour else (),
        mask_moves={},
        correlation=np.full((len(modalities), len(modalities)), 0.5, dtype=np.float32),
        fingerprint=Fingerprint(case.id, case.patient, b"", np.zeros(0, dtype=np.uint64), None, 0),
        findings=(),
        facts=case.facts,
    )


def description(cohort: Cohort, labels: Array | None = None, findings: Sequence[Finding] = ()) -> CohortDescription:
    """What is to be known of ``volume_cohort`` or ``picture_cohort``; ``labels`` are those of every case."""
    scheme = cohort.scheme
    shapes = [(20, 16, 1) if case.category is not None else SHAPE for case in cohort.cases]
    cases = tuple(
        summary(case, scheme, cohort.modalities, labels, shape)
        for case, shape in zip(cohort.cases, shapes, strict=True)
    )
    count = len(cases)
    totals: dict[str, int] = {}
    if scheme is not None and labels is not None:
        totals = {name: count * int((labels == value).sum()) for name, value in scheme.labels.items()}
    positive = sum(case.n_tumour_slices for case in cases)
    known = sum(case.n_slices for case in cases) if labels is not None else 0
    histogram = Histogram(0.0, 1000.0, np.full(32, 1.0 / 32))
    regions: dict[str, int] = {}
    if scheme is not None:
        regions = {name: sum(totals.get(m, 0) for m in members) for name, members in scheme.regions.items()}
    gallery = []
    if labels is not None:
        gallery += [GallerySlice(case.case, 3, "positive", 6, 0.6) for case in cases]
        gallery += [GallerySlice(case.case, 2, "negative", 0, 0.6) for case in cases]
        gallery += [GallerySlice(case.case, 0, "dark", 0, 0.0) for case in cases]
    stacked = not cohort.categories
    ages = FactColumn("age", {case.id: 50 + place for place, case in enumerate(cohort.cases)}, True)
    return CohortDescription(
        name=cohort.name,
        layout=cohort.layout,
        reason=cohort.reason,
        modalities=cohort.modalities,
        categories={name: sum(case.category == name for case in cases) for name in cohort.categories},
        scheme=scheme,
        cases=cases,
        labels=totals,
        regions=regions,
        region_cases=dict.fromkeys(regions, count),
        diagnoses=Diagnoses(positive, known - positive, count if positive else 0, 0),
        imbalance=Imbalance(sum(totals.values()), count * 400 if totals else 0, count * 720 if totals else 0),
        heat=(HeatMap("axial", ("right", "anterior"), heat((3, 3))),) if positive else (),
        raw=dict.fromkeys(cohort.modalities, histogram),
        normalised=dict.fromkeys(cohort.modalities, Histogram(-6.0, 6.0, np.full(48, 1.0 / 48))),
        correlation=np.full((len(cohort.modalities), len(cohort.modalities)), 0.5),
        dark=(DarkRow(0.01, count, 0, count), DarkRow(0.05, count, 0, count)) if stacked else (DarkRow(0.01, 0, 0, 0),),
        dark_threshold=0.01,
        dark_slices={case.case: (0,) for case in cases} if stacked else {},
        facts=(ages,) if stacked else (),
        duplicates=(),
        gallery=tuple(gallery),
        doubtful_masks=(),
        views=tuple(ViewPoint(case.case, (3, 3, 3)) for case in cases[:1]) if stacked else (),
        findings=tuple(findings),
    )


def quick(about: CohortDescription) -> CohortDescription:
    """The same with little to draw, for tests that look at something else."""
    cases = tuple(replace(case, tumour_voxels=None, tumour_ml=None) for case in about.cases)
    none: dict[str, Any] = {"raw": {}, "normalised": {}, "heat": (), "dark": (), "dark_slices": {}, "views": ()}
    gallery = tuple(one for one in about.gallery if one.kind == "positive")
    return replace(
        about, cases=cases, gallery=gallery, diagnoses=Diagnoses(0, 0, 0, 0), imbalance=Imbalance(0, 0, 0), **none
    )

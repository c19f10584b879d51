"""What is in a cohort: the summaries of its cases, put together into one description."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from glioseg.cohorts import dark
from glioseg.cohorts.alignment import PICTURE_BOUND
from glioseg.cohorts.check import check
from glioseg.cohorts.describe import (
    HEAT_CELLS,
    CaseSummary,
    CohortDescription,
    DarkRow,
    Diagnoses,
    Distribution,
    DuplicateGroup,
    FactColumn,
    HeatMap,
    Histogram,
    Imbalance,
)
from glioseg.cohorts.duplicates import VOLUME_BOUND, group_fingerprints
from glioseg.cohorts.findings import gathered
from glioseg.cohorts.gallery import choose_slices, choose_views
from glioseg.core import Cohort, Finding, FindingKind
from glioseg.errors import name_some

_POOLED_BINS = 256
_SCORES = (-5.0, 8.0)
"""z-scores beyond these are counted in the outermost bins of ``normalised``."""


def explore(
    cohort: Cohort,
    *,
    dark_threshold: float | None = None,
    n_workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> CohortDescription:
    """Look at every voxel of a cohort once and describe it; arguments as those of ``describe`` and ``check``."""
    return describe(cohort, check(cohort, n_workers=n_workers, progress=progress), dark_threshold=dark_threshold)


def describe(
    cohort: Cohort, summaries: Iterable[CaseSummary], *, dark_threshold: float | None = None
) -> CohortDescription:
    """Put the summaries of a cohort's cases together.

    Args:
        cohort: whose cases they are.
        summaries: one per case, in the cohort's order, as ``check`` yields them.
        dark_threshold: of the dark-scan filter, a share of pixels from 0 to 1; None for the layout's own.
    """
    cases = tuple(summaries)
    threshold = dark.dark_threshold(cohort.layout) if dark_threshold is None else dark_threshold
    table = _dark_table(cases, threshold)
    removed = _dark_slices(cases, threshold)
    duplicates = group_fingerprints([case.fingerprint for case in cases], {case.case: case.category for case in cases})
    labels = _label_voxels(cases)
    said = [
        *cohort.findings,
        *(finding for case in cases for finding in case.findings),
        *_empty_masks(cases),
        *_dark_finding(table, threshold),
        *_duplicate_findings(duplicates),
    ]
    return CohortDescription(
        name=cohort.name,
        layout=cohort.layout,
        reason=cohort.reason,
        modalities=cohort.modalities,
        categories={name: sum(case.category == name for case in cases) for name in cohort.categories},
        scheme=cohort.scheme,
        cases=cases,
        labels=labels,
        regions=_regions(cohort, labels),
        region_cases=_region_cases(cohort, cases),
        diagnoses=_diagnoses(cases),
        imbalance=_imbalance(cases),
        heat=_heat(cases),
        raw=dict(_pooled(cases, cohort.modalities)),
        normalised=dict(_pooled_scores(cases, cohort.modalities)),
        correlation=_correlation(cases, len(cohort.modalities)),
        dark=table,
        dark_threshold=threshold,
        dark_slices=removed,
        facts=_facts(cases),
        duplicates=duplicates,
        gallery=choose_slices(cases, removed),
        views=choose_views(cases),
        findings=gathered(said),
    )


# --- intensities ------------------------------------------------------------------------------------------------------


def rebinned(histogram: Histogram, low: float, high: float, n_bins: int) -> Histogram:
    """The shares of a histogram on other bins, as if each bin were filled evenly; what lies beyond goes to the ends."""
    total = float(histogram.counts.sum())
    below = np.concatenate([[0.0], np.cumsum(histogram.counts)]) / max(total, 1.0)
    edges = np.linspace(low, high, n_bins + 1)
    at_edges = np.interp(edges, histogram.edges, below)
    at_edges[0], at_edges[-1] = 0.0, below[-1]
    return Histogram(low, high, np.diff(at_edges))


def normalised(distribution: Distribution, low: float = _SCORES[0], high: float = _SCORES[1]) -> Histogram | None:
    """Shares of the z-score over the case's brain; None where the modality is constant."""
    if distribution.std <= 0:
        return None
    raw = distribution.histogram
    first, last = ((edge - distribution.mean) / distribution.std for edge in (raw.low, raw.high))
    return rebinned(Histogram(first, last, raw.counts), low, high, _POOLED_BINS)


def _pooled(cases: Sequence[CaseSummary], modalities: Sequence[str]) -> Iterator[tuple[str, Histogram]]:
    for name in modalities:
        found = [case.modalities[name].histogram for case in cases if name in case.modalities]
        if found:
            # A few scanners with a tenfold gain must not squeeze all others into one bin.
            low, high = min(each.low for each in found), float(np.quantile([each.high for each in found], 0.95))
            yield name, _mean([rebinned(each, low, max(high, low + 1e-6), _POOLED_BINS) for each in found])


def _pooled_scores(cases: Sequence[CaseSummary], modalities: Sequence[str]) -> Iterator[tuple[str, Histogram]]:
    for name in modalities:
        scores = [normalised(case.modalities[name]) for case in cases if name in case.modalities]
        found = [each for each in scores if each is not None]
        if found:
            yield name, _mean(found)


def _mean(histograms: Sequence[Histogram]) -> Histogram:
    first = histograms[0]
    total = np.zeros(len(first.counts))
    for each in histograms:
        total += each.counts
    return Histogram(first.low, first.high, np.asarray(total / len(histograms), dtype=np.float64))


def _correlation(cases: Sequence[CaseSummary], n: int) -> npt.NDArray[np.float64]:
    total, known = np.zeros((n, n)), np.zeros((n, n))
    for case in cases:
        found = np.isfinite(case.correlation)
        total[found] += case.correlation[found]
        known += found
    return np.asarray(np.where(known > 0, total / np.maximum(known, 1), np.nan), dtype=np.float64)


# --- labels -----------------------------------------------------------------------------------------------------------


def _label_voxels(cases: Sequence[CaseSummary]) -> dict[str, int]:
    """Label -> voxels, the scheme's labels first, then values it does not know."""
    found: Counter[str] = Counter()
    for case in cases:
        found.update(dict(zip(case.labels, case.slices.label_voxels.sum(axis=0, dtype=np.int64).tolist(), strict=True)))
    return dict(sorted(found.items(), key=lambda item: item[0].startswith("unknown ")))


def _regions(cohort: Cohort, labels: Mapping[str, int]) -> dict[str, int]:
    if cohort.scheme is None:
        return {}
    return {name: sum(labels.get(label, 0) for label in parts) for name, parts in cohort.scheme.regions.items()}


def _region_cases(cohort: Cohort, cases: Sequence[CaseSummary]) -> dict[str, int]:
    if cohort.scheme is None:
        return {}
    shown = [
        {name for name, n in zip(case.labels, case.slices.label_voxels.sum(axis=0), strict=True) if n} for case in cases
    ]
    return {name: sum(bool(each & set(parts)) for each in shown) for name, parts in cohort.scheme.regions.items()}


def _diagnoses(cases: Sequence[CaseSummary]) -> Diagnoses:
    known = [case for case in cases if case.tumour_voxels is not None]
    positive = {case.patient for case in known if case.tumour_voxels}
    return Diagnoses(
        positive_slices=sum(case.n_tumour_slices for case in known),
        negative_slices=sum(len(case.slices.tumour_voxels) - case.n_tumour_slices for case in known),
        positive_patients=len(positive),
        negative_patients=len({case.patient for case in known} - positive),
    )


def _imbalance(cases: Sequence[CaseSummary]) -> Imbalance:
    known = [case for case in cases if case.has_reference]
    labelled = (
        int(case.slices.label_voxels.sum()) if case.tumour_voxels is None else case.tumour_voxels for case in known
    )
    return Imbalance(sum(labelled), sum(case.n_brain_voxels for case in known), sum(case.n_voxels for case in known))


def _heat(cases: Sequence[CaseSummary]) -> tuple[HeatMap, ...]:
    found: dict[str, list[HeatMap]] = {}
    for case in cases:
        for each in case.heat:
            found.setdefault(each.plane, []).append(each)
    maps = []
    for plane, of_cases in found.items():
        total = np.zeros((HEAT_CELLS, HEAT_CELLS), dtype=np.float32)
        for each in of_cases:
            total += each.values
        maps.append(HeatMap(plane, of_cases[0].axes, np.asarray(total / len(of_cases), dtype=np.float32)))
    return tuple(maps)


# --- dark slices ------------------------------------------------------------------------------------------------------


def _dark_table(cases: Sequence[CaseSummary], used: float) -> tuple[DarkRow, ...]:
    rows = []
    for threshold in sorted({*dark.THRESHOLDS, used}):
        n_removed = n_positive = n_negative = 0
        for case in cases:
            removed = dark.is_dark(case.slices.non_black, threshold)
            n_removed += int(removed.sum())
            if case.tumour_voxels is not None:
                positive = case.slices.tumour_voxels > 0
                n_positive += int((removed & positive).sum())
                n_negative += int((removed & ~positive).sum())
        rows.append(DarkRow(threshold, n_removed, n_positive, n_negative))
    return tuple(rows)


def _dark_slices(cases: Sequence[CaseSummary], threshold: float) -> dict[str, tuple[int, ...]]:
    found = {case.case: np.flatnonzero(dark.is_dark(case.slices.non_black, threshold)) for case in cases}
    return {name: tuple(places.tolist()) for name, places in found.items() if len(places)}


def _dark_finding(table: Sequence[DarkRow], threshold: float) -> list[Finding]:
    row = next(row for row in table if row.threshold == threshold)
    if row.n_removed == 0:
        return []
    parts = f": {row.n_negative} without and {row.n_positive} with tumour" if row.n_negative + row.n_positive else ""
    message = (
        f"{row.n_removed} slices are dark{parts}; less than {100 * threshold:.3g} % of their values are not black "
        "(a filter for dark scans would remove them)"
    )
    return [Finding("note", "dark-slices", message)]


# --- the rest ---------------------------------------------------------------------------------------------------------


def _empty_masks(cases: Sequence[CaseSummary]) -> list[Finding]:
    known = [case for case in cases if case.has_reference]
    empty = [case.case for case in known if not case.slices.label_voxels.any()]
    if not empty:
        return []
    return [Finding("note", "empty-mask", f"{len(empty)} of {len(known)} masks are empty: {name_some(empty)}")]


def _duplicate_findings(groups: Sequence[DuplicateGroup]) -> list[Finding]:
    across = [group for group in groups if len(group.categories) > 1]
    exact = [group for group in groups if group.kind == "exact" and group not in across]
    near = [group for group in groups if group.kind == "near" and group not in across]
    bounds = f"correlation from {PICTURE_BOUND:g} for pictures, {VOLUME_BOUND:g} for volumes"
    told: tuple[tuple[FindingKind, list[DuplicateGroup], str], ...] = (
        ("duplicates-across-classes", across, "the same is shown in several classes"),
        ("exact-duplicates", exact, "equal voxel for voxel"),
        ("near-duplicates", near, f"nearly the same ({bounds})"),
    )
    return [
        Finding(
            "warning",
            kind,
            f"{sum(len(group.cases) for group in found)} cases in {len(found)} groups: {what}: "
            + name_some((" = ".join(group.cases) for group in found), limit=8),
        )
        for kind, found, what in told
        if found
    ]


def _facts(cases: Sequence[CaseSummary]) -> tuple[FactColumn, ...]:
    columns: dict[str, dict[str, str | float | int]] = {}
    for case in cases:
        for name, value in case.facts.items():
            columns.setdefault(name, {})[case.case] = value
    return tuple(
        FactColumn(name, values, all(not isinstance(value, str) for value in values.values()))
        for name, values in columns.items()
    )

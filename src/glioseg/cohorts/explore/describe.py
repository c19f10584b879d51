"""What is in a cohort: the summaries of its cases, put together into one description."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from glioseg.cohorts import dark
from glioseg.cohorts.checks.alignment import PICTURE_BOUND
from glioseg.cohorts.checks.check import check
from glioseg.cohorts.checks.duplicates import VOLUME_BOUND, group_fingerprints
from glioseg.cohorts.checks.findings import gathered
from glioseg.cohorts.description import CohortDescription, DarkRow, Diagnoses, DuplicateGroup, FactColumn, Imbalance
from glioseg.cohorts.explore.gallery import choose_doubtful_masks, choose_slices, choose_views
from glioseg.cohorts.summary import HEAT_CELLS, CaseSummary, Distribution, HeatMap, Histogram
from glioseg.console import Step
from glioseg.core import Cohort, Finding, FindingKind
from glioseg.errors import name_some, plural

_POOLED_BINS = 256
_SCORES = (-5.0, 8.0)
"""z-scores beyond these are counted in the outermost bins of ``normalised``."""

_CERTAINLY_MOVED = 2.0
_LIKELY_MOVED = 1.5
_FEWEST_PICTURES = 20


def explore(
    cohort: Cohort,
    *,
    dark_threshold: float | None = None,
    n_workers: int | None = None,
    progress: Step | None = None,
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
    case_findings = [finding for case in cases for finding in case.findings] + _mirrored_masks(cases)
    findings = [
        *cohort.findings,
        *case_findings,
        *_mirrored_pictures(cases),
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
        doubtful_masks=choose_doubtful_masks(cases, case_findings),
        views=choose_views(cases),
        findings=gathered(findings),
        series=cohort.series,
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
        histograms = [case.modalities[name].histogram for case in cases if name in case.modalities]
        if histograms:
            # A few scanners with a tenfold gain must not squeeze all others into one bin.
            low = min(histogram.low for histogram in histograms)
            high = max(float(np.quantile([histogram.high for histogram in histograms], 0.95)), low + 1e-6)
            yield name, _mean([rebinned(histogram, low, high, _POOLED_BINS) for histogram in histograms])


def _pooled_scores(cases: Sequence[CaseSummary], modalities: Sequence[str]) -> Iterator[tuple[str, Histogram]]:
    for name in modalities:
        scores = [normalised(case.modalities[name]) for case in cases if name in case.modalities]
        histograms = [histogram for histogram in scores if histogram is not None]
        if histograms:
            yield name, _mean(histograms)


def _mean(histograms: Sequence[Histogram]) -> Histogram:
    first = histograms[0]
    total = np.zeros(len(first.counts))
    for histogram in histograms:
        total += histogram.counts
    return Histogram(first.low, first.high, np.asarray(total / len(histograms), dtype=np.float64))


def _correlation(cases: Sequence[CaseSummary], n: int) -> npt.NDArray[np.float64]:
    total, counts = np.zeros((n, n)), np.zeros((n, n))
    for case in cases:
        is_known = np.isfinite(case.correlation)
        total[is_known] += case.correlation[is_known]
        counts += is_known
    return np.asarray(np.where(counts > 0, total / np.maximum(counts, 1), np.nan), dtype=np.float64)


# --- labels -----------------------------------------------------------------------------------------------------------


def _label_voxels(cases: Sequence[CaseSummary]) -> dict[str, int]:
    """Label -> voxels, the scheme's labels first, then values it does not know."""
    voxels: Counter[str] = Counter()
    for case in cases:
        voxels.update(
            dict(zip(case.labels, case.slices.label_voxels.sum(axis=0, dtype=np.int64).tolist(), strict=True))
        )
    return dict(sorted(voxels.items(), key=lambda item: item[0].startswith("unknown ")))


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
    return {name: sum(bool(labels & set(parts)) for labels in shown) for name, parts in cohort.scheme.regions.items()}


def _diagnoses(cases: Sequence[CaseSummary]) -> Diagnoses:
    labelled = [case for case in cases if case.tumour_voxels is not None]
    positive = {case.patient for case in labelled if case.tumour_voxels}
    return Diagnoses(
        positive_slices=sum(case.n_tumour_slices for case in labelled),
        negative_slices=sum(len(case.slices.tumour_voxels) - case.n_tumour_slices for case in labelled),
        positive_patients=len(positive),
        negative_patients=len({case.patient for case in labelled} - positive),
    )


def _imbalance(cases: Sequence[CaseSummary]) -> Imbalance:
    with_reference = [case for case in cases if case.has_reference]
    voxels = (
        int(case.slices.label_voxels.sum()) if case.tumour_voxels is None else case.tumour_voxels
        for case in with_reference
    )
    return Imbalance(
        sum(voxels), sum(case.n_brain_voxels for case in with_reference), sum(case.n_voxels for case in with_reference)
    )


def _heat(cases: Sequence[CaseSummary]) -> tuple[HeatMap, ...]:
    by_plane: dict[str, list[HeatMap]] = {}
    for case in cases:
        for heat_map in case.heat:
            by_plane.setdefault(heat_map.plane, []).append(heat_map)
    maps = []
    for plane, of_cases in by_plane.items():
        total = np.zeros((HEAT_CELLS, HEAT_CELLS), dtype=np.float32)
        for heat_map in of_cases:
            total += heat_map.values
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
    slices = {case.case: np.flatnonzero(dark.is_dark(case.slices.non_black, threshold)) for case in cases}
    return {name: tuple(places.tolist()) for name, places in slices.items() if len(places)}


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


def _mirrored_masks(cases: Sequence[CaseSummary]) -> list[Finding]:
    """Of volumes, case by case."""
    findings = []
    for case in cases:
        best = max(case.mask_moves, key=lambda move: case.mask_moves[move], default=None)
        if best is not None and case.n_slices > 1 and case.mask_moves[best] >= _CERTAINLY_MOVED:
            message = (
                f"the mask would fit the images better {best}: what it outlines would then stand out "
                f"{case.mask_moves[best]:.1f} times as much from the rest of the head"
            )
            findings.append(Finding("warning", "mirrored-mask", message, case.case))
    return findings


def _mirrored_pictures(cases: Sequence[CaseSummary]) -> list[Finding]:
    """Of single pictures, of which one tells too little: all together."""
    pictures = [case for case in cases if case.n_slices == 1 and case.tumour_voxels]
    moves = Counter(move for case in pictures for move, factor in case.mask_moves.items() if factor >= _LIKELY_MOVED)
    if len(pictures) < _FEWEST_PICTURES or not moves:
        return []
    (best, n), *_ = moves.most_common(1)
    if 2 * n <= len(pictures):
        return []
    message = f"{n} of {len(pictures)} masks would fit their pictures much better {best}"
    return [Finding("warning", "mirrored-mask", message)]


def _empty_masks(cases: Sequence[CaseSummary]) -> list[Finding]:
    with_reference = [case for case in cases if case.has_reference]
    empty = [case.case for case in with_reference if not case.slices.label_voxels.any()]
    if not empty:
        return []
    if len(empty) == len(with_reference):
        message = f"every mask is empty ({len(empty)}): nothing can be learnt or scored. Are these the masks?"
        return [Finding("warning", "empty-mask", message)]
    return [Finding("note", "empty-mask", f"{len(empty)} of {len(with_reference)} masks are empty: {name_some(empty)}")]


def _duplicate_findings(groups: Sequence[DuplicateGroup]) -> list[Finding]:
    across = [group for group in groups if len(group.categories) > 1]
    exact = [group for group in groups if group.kind == "exact" and group not in across]
    near = [group for group in groups if group.kind == "near" and group not in across]
    bounds = f"correlation from {PICTURE_BOUND:g} for pictures, {VOLUME_BOUND:g} for volumes"
    kinds: tuple[tuple[FindingKind, list[DuplicateGroup], str], ...] = (
        ("duplicates-across-classes", across, "the same is shown in several classes"),
        ("exact-duplicates", exact, "equal voxel for voxel"),
        ("near-duplicates", near, f"nearly the same ({bounds})"),
    )
    return [
        Finding(
            "warning",
            kind,
            f"{sum(len(group.cases) for group in members)} cases in {plural(len(members), 'group')}: {what}: "
            + name_some((" = ".join(group.cases) for group in members), limit=8),
        )
        for kind, members, what in kinds
        if members
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

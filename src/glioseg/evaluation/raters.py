"""Several references of one case: what they have in common, and how far they agree with each other and with a method.

A method that is scored against one reader alone can look worse than it is, and against a consensus better than any
reader could be. So its mean over the readers stands beside the readers' own mean over each other: nobody can be
expected to agree with them better than they do themselves.

References:
    [1] Warfield SK, Zou KH, Wells WM. Simultaneous truth and performance level estimation (STAPLE). IEEE TMI 2004.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np

from glioseg.core.components import bounding_box
from glioseg.errors import ScoreError
from glioseg.evaluation.case_table import CaseTable
from glioseg.evaluation.comparison import CompareOptions
from glioseg.evaluation.metric import Metric, RegionMetrics
from glioseg.evaluation.metrics import REGION_METRICS
from glioseg.evaluation.score import Flags, Floats, Interval
from glioseg.evaluation.statistics import Spread, bootstrap_intervals, patient_differences, spread

ConsensusName = Literal["majority", "staple"]
CONSENSUS: Mapping[ConsensusName, str] = MappingProxyType(
    {
        "majority": "a voxel is in a region where more than half of the raters drew it; of two raters, where both did",
        "staple": "STAPLE (Warfield 2004), region by region in the box around all raters' masks with a margin of one "
        "voxel; inside where its probability is above one half",
    }
)
"""What each rule means, in words that stand beside the figures."""
SYMMETRIC = ("dice", "iou", "hd", "hd95", "mean_surface_distance", "nsd")
"""Metrics that are the same whichever of two masks is the reference, so that two raters can be compared by them."""


@dataclass(frozen=True, eq=False)
class AgreementFigure:
    """How far somebody agrees with the raters.

    Args:
        values: (N,) by case, NaN where one does not count.
        spread: of them.
        ci95: interval of their mean, over patients.
    """

    values: Floats
    spread: Spread
    ci95: Interval

    def to_json(self) -> dict[str, object]:
        """Its fields; null for None."""
        return {
            "n_cases": self.spread.n,
            "case_mean": self.spread.mean,
            "case_median": self.spread.median,
            "case_ci95": None if self.ci95 is None else list(self.ci95),
        }


@dataclass(frozen=True)
class MethodAgreement:
    """A method beside the raters.

    Args:
        figure: of the method, a case being the mean over the raters.
        difference: mean over patients of the method's figure minus the raters'; None where no case has both.
        difference_ci95: its interval.
    """

    figure: AgreementFigure
    difference: float | None
    difference_ci95: Interval

    def to_json(self) -> dict[str, object]:
        """Its fields; null for None."""
        interval = self.difference_ci95
        return {
            **self.figure.to_json(),
            "minus_raters": self.difference,
            "minus_raters_ci95": None if interval is None else list(interval),
        }


@dataclass(frozen=True)
class Agreement:
    """One metric of one region.

    Args:
        region: the region.
        metric: one of ``SYMMETRIC``.
        raters: of the raters with each other, a case being the mean over their pairs.
        methods: name -> its agreement with them.
    """

    region: str
    metric: Metric
    raters: AgreementFigure
    methods: Mapping[str, MethodAgreement]


def consensus(masks: Sequence[Flags], rule: ConsensusName) -> Flags:
    """What several raters' masks (X, Y, Z) of one region, all on one grid, have in common.

    Raises:
        ScoreError: fewer than two.
    """
    if len(masks) < 2:
        raise ScoreError("a consensus needs two raters or more", found=len(masks))
    if rule == "majority":
        return np.asarray(2 * np.sum(masks, axis=0, dtype=np.uint16) > len(masks))
    return _staple(masks)


def _staple(masks: Sequence[Flags]) -> Flags:
    import SimpleITK as sitk  # noqa: N813 - as everybody calls it; loaded where it is used, since it takes a second

    union = np.logical_or.reduce(masks)
    agreed = np.zeros(union.shape, dtype=np.bool_)
    if not union.any():
        return agreed
    box = bounding_box(union)
    images = [sitk.GetImageFromArray(np.pad(mask[box], 1).astype(np.uint8)) for mask in masks]
    probability = sitk.GetArrayFromImage(sitk.STAPLE(images, 1.0))
    agreed[box] = probability[1:-1, 1:-1, 1:-1] > 0.5
    return agreed


def agreements(
    among: Sequence[CaseTable],
    methods: Mapping[str, Sequence[CaseTable]],
    options: CompareOptions,
    metrics: RegionMetrics = REGION_METRICS,
) -> tuple[Agreement, ...]:
    """How far methods and raters agree, for each region and each of ``SYMMETRIC`` that the tables have.

    Args:
        among: a table for each pair of raters, one of the two in place of the prediction.
        methods: name -> a table for each rater; all tables have the same cases in the same order.
        options: the rule for empty masks, and the bootstrap.
        metrics: that there are.
    """
    first = among[0]
    patients = [str(row["patient"]) for row in first.rows]
    all_agreements: list[Agreement] = []
    for region in first.groups:
        for name in SYMMETRIC:
            of_raters = _mean_over(among, region, name, options)
            of_methods = {method: _mean_over(tables, region, name, options) for method, tables in methods.items()}
            columns = {method: column for method, column in of_methods.items() if column is not None}
            if of_raters is None or len(columns) < len(of_methods):
                continue
            all_agreements.append(_agreement(region, metrics[name], of_raters, columns, patients, options))
    return tuple(all_agreements)


def _agreement(
    region: str,
    metric: Metric,
    raters: Floats,
    methods: Mapping[str, Floats],
    patients: Sequence[str],
    options: CompareOptions,
) -> Agreement:
    columns = np.stack([raters, *methods.values()], axis=1)
    interval_of_raters, *intervals = bootstrap_intervals(
        columns, patients, n_resamples=options.n_resamples, seed=options.seed
    )
    beside: dict[str, MethodAgreement] = {}
    for (method, column), interval in zip(methods.items(), intervals, strict=True):
        differences, of_difference = patient_differences(
            column - raters, patients, n_resamples=options.n_resamples, seed=options.seed
        )
        mean = float(differences.mean()) if differences.size else None
        beside[method] = MethodAgreement(AgreementFigure(column, spread(column), interval), mean, of_difference)
    return Agreement(region, metric, AgreementFigure(raters, spread(raters), interval_of_raters), beside)


def _mean_over(tables: Sequence[CaseTable], region: str, metric: str, options: CompareOptions) -> Floats | None:
    """(N,) the mean of a metric over tables of the same cases, NaN where none has it; None where a table lacks it."""
    columns = [table.column(region, metric, options.empty) for table in tables]
    present = [column for column in columns if column is not None]
    if len(present) < len(columns):
        return None
    values = np.stack(present)
    counts = (~np.isnan(values)).sum(axis=0)
    means: Floats = np.divide(np.nansum(values, axis=0), counts, out=np.full(len(counts), np.nan), where=counts > 0)
    return means

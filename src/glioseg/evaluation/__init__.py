"""Figures that can be published: pure functions from label maps and probabilities to scores, on numpy and scipy."""

from glioseg.evaluation.calibration import (
    CurveFigure,
    ProbabilityHistogram,
    average_precision,
    merged,
    probability_histogram,
    roc_auc,
)
from glioseg.evaluation.cases import CaseScores, score_case, score_channels, scores_of, select_slices
from glioseg.evaluation.comparison import CompareOptions, Comparison, compare
from glioseg.evaluation.masks import MaskPair
from glioseg.evaluation.metric import ClassMetric, Metric, RegionMetric
from glioseg.evaluation.metrics import CLASS_METRICS, OVERLAP_METRICS, REGION_METRICS, ratio
from glioseg.evaluation.overlap import SliceCounts, count_channels, count_labels
from glioseg.evaluation.protocol import EvaluateOptions, Evaluation, Summary, aggregate, mean_over_regions
from glioseg.evaluation.published import AsPublished, PublishedFigure, PublishedProtocol, published
from glioseg.evaluation.score import EMPTY_RULES, EmptyRule, Score, Status
from glioseg.evaluation.statistics import bootstrap_intervals, holm, paired_wilcoxon, spread
from glioseg.evaluation.table import case_rows, rows_from_csv, rows_to_csv
from glioseg.evaluation.threshold import (
    CaseSearch,
    ThresholdChoice,
    ThresholdOptions,
    choose,
    search_case,
)

__all__ = [
    "CLASS_METRICS",
    "EMPTY_RULES",
    "OVERLAP_METRICS",
    "REGION_METRICS",
    "AsPublished",
    "CaseScores",
    "CaseSearch",
    "ClassMetric",
    "CompareOptions",
    "Comparison",
    "CurveFigure",
    "EmptyRule",
    "EvaluateOptions",
    "Evaluation",
    "MaskPair",
    "Metric",
    "ProbabilityHistogram",
    "PublishedFigure",
    "PublishedProtocol",
    "RegionMetric",
    "Score",
    "SliceCounts",
    "Status",
    "Summary",
    "ThresholdChoice",
    "ThresholdOptions",
    "aggregate",
    "average_precision",
    "bootstrap_intervals",
    "case_rows",
    "choose",
    "compare",
    "count_channels",
    "count_labels",
    "holm",
    "mean_over_regions",
    "merged",
    "paired_wilcoxon",
    "probability_histogram",
    "published",
    "ratio",
    "roc_auc",
    "rows_from_csv",
    "rows_to_csv",
    "score_case",
    "score_channels",
    "scores_of",
    "search_case",
    "select_slices",
    "spread",
]

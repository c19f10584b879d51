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
from glioseg.evaluation.overlap import OVERLAP_METRICS, SliceCounts, count_channels, count_labels, ratio
from glioseg.evaluation.paired import CompareOptions, Comparison, compare
from glioseg.evaluation.protocol import EvaluateOptions, Evaluation, Summary, aggregate, mean_over_regions
from glioseg.evaluation.published import Published, PublishedFigure, PublishedProtocol, published
from glioseg.evaluation.score import EMPTY_RULES, EmptyRule, Score, Status
from glioseg.evaluation.statistics import bootstrap_intervals, holm, paired_wilcoxon, spread
from glioseg.evaluation.table import case_rows, rows_from_csv, rows_to_csv
from glioseg.evaluation.threshold import (
    CaseSearch,
    ThresholdChoice,
    ThresholdOptions,
    choose,
    largest_component,
    remove_small_components,
    search_case,
)

__all__ = [
    "EMPTY_RULES",
    "OVERLAP_METRICS",
    "CaseScores",
    "CaseSearch",
    "CompareOptions",
    "Comparison",
    "CurveFigure",
    "EmptyRule",
    "EvaluateOptions",
    "Evaluation",
    "ProbabilityHistogram",
    "Published",
    "PublishedFigure",
    "PublishedProtocol",
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
    "largest_component",
    "mean_over_regions",
    "merged",
    "paired_wilcoxon",
    "probability_histogram",
    "published",
    "ratio",
    "remove_small_components",
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

"""A metric's figures as people read them: its words with the unit, its digits, signs of differences.

All of it comes from the entry in the table of metrics, so that a new metric is shown like the others.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping

from glioseg.evaluation.metric import Metric
from glioseg.evaluation.metrics import CLASS_METRICS, REGION_METRICS, region_metrics
from glioseg.evaluation.score import Interval
from glioseg.report.html import Cell

_REGIONS = region_metrics(pixels=True)
METRIC_WORDS: Mapping[str, str] = {name: metric.title for name, metric in (*CLASS_METRICS.items(), *_REGIONS.items())}
"""Name -> words with the unit."""
RESULT_METRICS: tuple[str, ...] = tuple(name for name, metric in REGION_METRICS.items() if metric.in_results)
"""Those that have a row in a report's table of results."""
NOTHING = Cell("–", -sys.float_info.max)
"""What is undefined: it sorts below all figures, negative ones too."""


def metric_named(name: str) -> Metric:
    """The metric of that name; one of another version, which this one does not know, is called by its name alone."""
    return _REGIONS.get(name) or CLASS_METRICS.get(name) or Metric(name, name, "", better="neither")


def value_text(metric: Metric, value: float | None) -> str:
    """``0.913``; a dash where it is undefined."""
    return NOTHING.text if value is None else f"{value:.{metric.digits}f}"


def value_cell(metric: Metric, value: float | None) -> Cell:
    """As ``value_text``; undefined ones sort below all others."""
    return NOTHING if value is None else Cell(value_text(metric, value), float(value))


def interval_text(metric: Metric, interval: Interval) -> str:
    """``0.880–0.940``; with a word where a bound may be negative: ``-1.200 to 3.400``. A dash where there is none."""
    if interval is None:
        return NOTHING.text
    low, high = (value_text(metric, bound) for bound in interval)
    return f"{low} to {high}" if low.startswith("-") else f"{low}–{high}"


def interval_cell(metric: Metric, interval: Interval) -> Cell:
    """As ``interval_text``, sorted by the lower end."""
    return NOTHING if interval is None else Cell(interval_text(metric, interval), interval[0])


def change_text(metric: Metric, difference: float) -> str:
    """A difference with its sign: ``+0.012``."""
    return f"{difference:+.{metric.digits}f}"


def change_cell(metric: Metric, difference: float | None) -> Cell:
    """As ``change_text``; a dash where there is none."""
    return NOTHING if difference is None else Cell(change_text(metric, difference), float(difference))

"""Tables of cases as comparisons and studies read them: the same questions, whatever a network was asked for.

A table has groups: regions of a network that segments; of a classifier ``all classes``, and each class, whose items
are those that are truly of it. A metric has a value for each row of a group, and rows are matched by their key.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np

from glioseg.errors import ScoreError
from glioseg.evaluation.class_items import ItemOutcomes
from glioseg.evaluation.class_protocol import class_rows_from_csv, is_class_table
from glioseg.evaluation.metric import ClassMetric, Metric, OwnMetrics, RegionMetrics, with_own
from glioseg.evaluation.metrics import CLASS_METRICS, REGION_METRICS, region_metrics
from glioseg.evaluation.score import EmptyRule, Floats
from glioseg.evaluation.table import Cell, Row, has_metric, metric_column, metric_named, regions_of, rows_from_csv

ALL_CLASSES = "all classes"


@dataclass(frozen=True, eq=False)
class CaseTable(ABC):
    """The table of a part's cases.

    Args:
        rows: as ``cases-PART.csv`` has them.
    """

    rows: Sequence[Row]

    @property
    @abstractmethod
    def groups(self) -> tuple[str, ...]:
        """What its figures are of, in its order."""

    @property
    @abstractmethod
    def usual_metrics(self) -> tuple[str, ...]:
        """Those that are compared unless others are named."""

    @abstractmethod
    def key(self, row: Row) -> str:
        """What tells a row from the others, the same in every table."""

    @abstractmethod
    def facts(self, row: Row, groups: Sequence[str]) -> dict[str, Cell]:
        """What must be the same of a row in every table: in words -> value."""

    @abstractmethod
    def metric(self, name: str, group: str, whose: str) -> Metric:
        """The metric, once it is certain that the table has it; a ScoreError that says which it has."""

    @abstractmethod
    def column(self, group: str, name: str, rule: EmptyRule) -> Floats | None:
        """(N,) values of the rows, NaN where one does not count; None where the table has no such group or metric."""

    def of_keys(self, keys: Sequence[str]) -> Self:
        """The rows with these keys, in their order.

        Raises:
            KeyError: a key that no row has.
        """
        rows = {self.key(row): row for row in self.rows}
        return replace(self, rows=[rows[key] for key in keys])


@dataclass(frozen=True, eq=False)
class RegionTable(CaseTable):
    """A row for each case, a group for each region.

    Args:
        metrics: those that there are.
    """

    metrics: RegionMetrics = field(default_factory=lambda: REGION_METRICS)

    @property
    def groups(self) -> tuple[str, ...]:
        """The regions."""
        return tuple(regions_of(self.rows))

    @property
    def usual_metrics(self) -> tuple[str, ...]:
        """Dice."""
        return ("dice",)

    def key(self, row: Row) -> str:
        """The case."""
        return str(row["case"])

    def facts(self, row: Row, groups: Sequence[str]) -> dict[str, Cell]:
        """The patient, the grid and the size of each reference."""
        sizes: dict[str, Cell] = {
            f"reference of {region}": int(row[f"{region}.tp"] or 0) + int(row[f"{region}.fn"] or 0) for region in groups
        }
        return {"patient": row["patient"], "voxels": row["n_voxels"], **sizes}

    def metric(self, name: str, group: str, whose: str) -> Metric:
        """A metric of regions."""
        return metric_named(name, self.rows, group, self.metrics, whose)

    def column(self, group: str, name: str, rule: EmptyRule) -> Floats | None:
        """From counts where the metric is made of them, else from its own column."""
        metric = self.metrics.get(name)
        if metric is None or group not in self.groups or not has_metric(self.rows, group, metric):
            return None
        return metric_column(self.rows, group, metric, rule)


@dataclass(frozen=True, eq=False)
class ClassTable(CaseTable):
    """A row for each picture or slice, a group for all of them and one for the items of each class.

    Args:
        metrics: those that there are; what has no value for a single item (areas, means of recalls) is not compared.
    """

    metrics: Mapping[str, ClassMetric] = field(default_factory=lambda: CLASS_METRICS)

    @property
    def groups(self) -> tuple[str, ...]:
        """All classes together, then each class that some item is of."""
        classes = [column.removeprefix("p.") for column in self.rows[0] if column.startswith("p.")] if self.rows else []
        present = {str(row["reference"]) for row in self.rows}
        return (ALL_CLASSES, *(name for name in classes if name in present))

    @property
    def usual_metrics(self) -> tuple[str, ...]:
        """Accuracy, which of one class is its recall, and the log loss."""
        return ("accuracy", "log_loss")

    def key(self, row: Row) -> str:
        """The case, and which of its slices."""
        return f"{row['case']} slice {row['slice']}"

    def facts(self, row: Row, groups: Sequence[str]) -> dict[str, Cell]:
        """The patient and the true class."""
        return {"patient": row["patient"], "true class": row["reference"]}

    def metric(self, name: str, group: str, whose: str) -> Metric:
        """A metric that a single item has."""
        metric = self.metrics.get(name)
        if metric is None or metric.of_outcomes is None:
            known = [other.name for other in self.metrics.values() if other.of_outcomes is not None]
            raise ScoreError(f"{whose} has no metric {name} of single items", expected=f"one of {', '.join(known)}")
        return metric

    def column(self, group: str, name: str, rule: EmptyRule) -> Floats | None:
        """The metric of each item; NaN where an item is not of the group's class. There are no empty masks."""
        metric = self.metrics.get(name)
        if metric is None or metric.of_outcomes is None or group not in self.groups:
            return None
        values = metric.of_outcomes(self._outcomes())
        inside = np.array([group in (ALL_CLASSES, row["reference"]) for row in self.rows])
        return np.where(inside, values, np.nan)

    def _outcomes(self) -> ItemOutcomes:
        return ItemOutcomes(
            right=np.array([float(row["right"] or 0) for row in self.rows]),
            of_reference=np.array([float(row[f"p.{row['reference']}"] or 0) for row in self.rows]),
            confidence=np.array([float(row["confidence"] or 0) for row in self.rows]),
        )


def case_table(text: str, path: str, own: OwnMetrics = ()) -> CaseTable:
    """What stands in a ``cases-PART.csv``, of either kind.

    Args:
        text: the file's text.
        path: its name, for messages.
        own: metrics of the caller's own, which the table may have columns of.

    Raises:
        FileError: not such a table.
        ScoreError: a metric of one's own that is of the other kind, or has the name of another.
    """
    if is_class_table(text):
        return ClassTable(class_rows_from_csv(text, path), with_own(CLASS_METRICS, own))
    return RegionTable(rows_from_csv(text, path), with_own(region_metrics(pixels=True), own))

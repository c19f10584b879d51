"""What the table and the page of a study are told: plain data, made from the files of its runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from glioseg.evaluation.comparison import CompareOptions
from glioseg.evaluation.metrics import CLASS_METRICS, REGION_METRICS
from glioseg.evaluation.replicates import VariationFigure
from glioseg.evaluation.score import EMPTY_RULES, Interval

RunState = Literal["finished", "failed", "missing"]
Figures = Mapping[str, Mapping[str, Mapping[str, VariationFigure]]]
"""Part -> region -> metric -> figure."""


@dataclass(frozen=True)
class RunFact:
    """One run of a row.

    Args:
        fold: from 0; None without folds.
        seed: of the training.
        state: how far it is; ``missing`` where it was not trained yet.
        error: why it failed, in one line.
        ended: what stopped it before the recipe did, such as a limit of time.
        training_s: time of the training, validation included.
        peak_memory_mb: see ``train.memory``; None where it could not be measured.
        best_epoch: of the best model, from 0.
        report: address of its page, from the study's.
    """

    fold: int | None
    seed: int
    state: RunState
    error: str | None = None
    ended: str | None = None
    training_s: float | None = None
    peak_memory_mb: float | None = None
    best_epoch: int | None = None
    report: str | None = None

    @property
    def label(self) -> str:
        """``fold 1, seed 0``."""
        return f"seed {self.seed}" if self.fold is None else f"fold {self.fold}, seed {self.seed}"


@dataclass(frozen=True)
class PublishedFact:
    """A published figure and what was obtained by its own protocol.

    Args:
        part: of the data.
        region: or ``mean`` over regions.
        metric: scored as follows.
        unit: what the mean is over.
        empty: rule for empty masks.
        published: by the authors.
        obtained: mean over the runs.
        n_runs: that have it.
        not_comparable: why the two must not be read against each other.
    """

    part: str
    region: str
    metric: str
    unit: str
    empty: str
    published: float
    obtained: float | None
    n_runs: int
    not_comparable: tuple[str, ...]


@dataclass(frozen=True)
class RowFact:
    """One row.

    Args:
        name: of the row.
        recipe: its name.
        settings: that differ from the other rows', and those that the command line changed.
        ignored: settings of the command line that its network does not have.
        fault: why it cannot be trained.
        data: name of the cohort that it is trained on; None where none feeds it.
        skipped: why the data cannot feed it.
        runs: every fold and seed.
        n_parameters: of the network.
        figures: on the native grid.
        published: beside those obtained.
    """

    name: str
    recipe: str
    settings: Mapping[str, object] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()
    fault: str | None = None
    data: str | None = None
    skipped: str | None = None
    runs: tuple[RunFact, ...] = ()
    n_parameters: int | None = None
    figures: Figures = field(default_factory=dict)
    published: tuple[PublishedFact, ...] = ()

    @property
    def training_s(self) -> float | None:
        """Mean over its runs."""
        seconds = [run.training_s for run in self.runs if run.training_s is not None]
        return sum(seconds) / len(seconds) if seconds else None

    @property
    def peak_memory_mb(self) -> float | None:
        """The largest of its runs."""
        return max((run.peak_memory_mb for run in self.runs if run.peak_memory_mb is not None), default=None)

    @property
    def n_finished(self) -> int:
        """Runs that have ended."""
        return sum(run.state == "finished" for run in self.runs)

    @property
    def failures(self) -> tuple[str, ...]:
        """Every failure, in a line each."""
        if self.fault is not None:
            return (self.fault,)
        return tuple(f"{run.label}: {run.error}" for run in self.runs if run.error is not None)


@dataclass(frozen=True)
class StudyFacts:
    """A study as far as it has come.

    Args:
        name: of the study.
        about: one sentence.
        after: the publication that it follows.
        notes: for the reader.
        data: names of the cohorts.
        changes: settings that the command line changed.
        folds: how many; None without.
        seeds: of the trainings.
        parts: that were scored.
        metrics: the first is drawn.
        options: how figures were pooled.
        paired: whether rows were tested against the first.
        rows: in the order of the study.
    """

    name: str
    about: str
    after: str
    notes: tuple[str, ...]
    data: str
    changes: tuple[str, ...]
    folds: int | None
    seeds: tuple[int, ...]
    parts: tuple[str, ...]
    metrics: tuple[str, ...]
    options: CompareOptions
    paired: bool
    rows: tuple[RowFact, ...]

    @property
    def has_failures(self) -> bool:
        """Whether a row or a run failed."""
        return any(row.failures for row in self.rows)

    @property
    def has_several_data(self) -> bool:
        """Whether rows were trained on different cohorts."""
        return len({row.data for row in self.rows if row.data is not None}) > 1

    @property
    def is_complete(self) -> bool:
        """Whether every run of every row that the data can feed has ended well."""
        return not any(row.fault or any(run.state != "finished" for run in row.runs) for row in self.rows)

    @property
    def tested_parts(self) -> tuple[str, ...]:
        """The parts on which rows are compared: those that were not trained on."""
        return tuple(part for part in self.parts if part != "train")

    def regions(self, part: str) -> tuple[str, ...]:
        """The regions that some row was scored on."""
        return tuple(dict.fromkeys(region for row in self.rows for region in row.figures.get(part, {})))

    def has(self, part: str, region: str, metric: str) -> bool:
        """Whether some row has the figure."""
        return any(metric in row.figures.get(part, {}).get(region, {}) for row in self.rows)

    def protocol(self) -> dict[str, object]:
        """How the figures came about, in words."""
        return {
            "grid": "native",
            "slices": "all",
            "unit": "case, with the mean of its figure over the runs (folds, seeds) that scored it",
            "empty": self.options.empty,
            "empty_meaning": EMPTY_RULES[self.options.empty],
            "interval": "95 %, BCa bootstrap of whole patients" if self.options.n_resamples else None,
            "n_resamples": self.options.n_resamples,
            "seed": self.options.seed,
            "test": "Wilcoxon signed-rank over patients against the first row, two-sided" if self.paired else None,
            "adjusted": "Holm, over the rows that were tested on a part, region and metric" if self.paired else None,
            "as_published": "mean over runs of what each run's evaluation says in as_published",
        }

    def to_json(self) -> dict[str, object]:
        """What ``study.json`` holds; strict JSON, undefined figures are null."""
        return {
            "name": self.name,
            "about": self.about,
            "after": self.after,
            "notes": list(self.notes),
            "data": self.data,
            "changes": list(self.changes),
            "folds": self.folds,
            "seeds": list(self.seeds),
            "parts": list(self.parts),
            "complete": self.is_complete,
            "protocol": self.protocol(),
            "rows": [_row_json(row) for row in self.rows],
        }


def unit_beside(name: str) -> str | None:
    """The unit of a metric, where its name does not say it."""
    metric = REGION_METRICS.get(name) or CLASS_METRICS.get(name)
    return None if metric is None else metric.unit_beside


def _row_json(row: RowFact) -> dict[str, object]:
    return {
        "name": row.name,
        "recipe": row.recipe,
        "settings": dict(row.settings),
        "ignored": list(row.ignored),
        "error": row.fault,
        "data": row.data,
        "skipped": row.skipped,
        "n_runs": len(row.runs),
        "n_finished": row.n_finished,
        "training_s": row.training_s,
        "peak_memory_mb": row.peak_memory_mb,
        "n_parameters": row.n_parameters,
        "parts": {
            part: {
                region: {name: _metric_json(name, figure) for name, figure in metrics.items()}
                for region, metrics in regions.items()
            }
            for part, regions in row.figures.items()
        },
        "published": [_published_json(line) for line in row.published],
        "runs": [_run_json(run) for run in row.runs],
    }


def _metric_json(name: str, figure: VariationFigure) -> dict[str, object]:
    unit = unit_beside(name)
    return figure_json(figure) if unit is None else {"unit": unit, **figure_json(figure)}


def _published_json(line: PublishedFact) -> dict[str, object]:
    return {
        "part": line.part,
        "region": line.region,
        "metric": line.metric,
        "unit": line.unit,
        "empty": line.empty,
        "published": line.published,
        "obtained": line.obtained,
        "n_runs": line.n_runs,
        "comparable": not line.not_comparable,
        "not_comparable": list(line.not_comparable),
    }


def _run_json(run: RunFact) -> dict[str, object]:
    return {
        "fold": run.fold,
        "seed": run.seed,
        "state": run.state,
        "error": run.error,
        "ended": run.ended,
        "training_s": run.training_s,
        "peak_memory_mb": run.peak_memory_mb,
        "best_epoch": run.best_epoch,
        "report": run.report,
    }


def figure_json(figure: VariationFigure) -> dict[str, object]:
    """A figure's fields by name."""
    against = figure.against_first
    return {
        "n_cases": figure.spread.n,
        "n_patients": figure.n_patients,
        "case_mean": figure.spread.mean,
        "case_ci95": _pair(figure.ci95),
        "case_median": figure.spread.median,
        "case_quartiles": _pair(figure.spread.quartiles),
        "against_first": None
        if against is None
        else {
            "n_patients": against.test.n,
            "mean_difference": against.test.mean_difference,
            "mean_difference_ci95": _pair(against.ci95),
            "median_difference": against.test.median_difference,
            "p": against.test.p,
            "p_holm": against.p_holm,
            "p_smallest": against.test.p_smallest,
            "method": against.test.method,
        },
    }


def _pair(interval: Interval) -> list[float] | None:
    return None if interval is None else list(interval)


def figure_rows(facts: StudyFacts) -> Sequence[tuple[RowFact, str, str, str, VariationFigure]]:
    """Every figure of a study: row, part, region, metric, figure."""
    return [
        (row, part, region, metric, figure)
        for row in facts.rows
        for part, regions in row.figures.items()
        for region, metrics in regions.items()
        for metric, figure in metrics.items()
    ]

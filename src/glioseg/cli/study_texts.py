"""What the command line prints of a study, and of a search, as text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from glioseg.evaluation.metric import Metric
from glioseg.evaluation.replicates import VariationFigure
from glioseg.report.parts.metric_words import METRIC_WORDS, change_text, metric_named, value_text
from glioseg.report.parts.run_words import duration
from glioseg.studies.options import read_study, shipped_studies
from glioseg.studies.report.facts import RowFact, StudyFacts
from glioseg.studies.report.tune import TuningFacts


def studies_text() -> str:
    """The studies that come with glioseg, a line each."""
    shipped = {name: read_study(name) for name in shipped_studies()}
    width = max(map(len, shipped))
    return "\n".join(
        f"{name:<{width}}  {study.about}{f' (after {study.after})' if study.after else ''}"
        for name, study in shipped.items()
    )


def study_text(facts: StudyFacts) -> str:
    """A table for each part, the published figures, and what failed."""
    lines = [f"{facts.name} on {facts.data}" + (f", after {facts.after}" if facts.after else "")]
    if facts.changes:
        lines.append(f"changed for all rows: {', '.join(facts.changes)}")
    for part in facts.parts:
        for region in facts.regions(part):
            for metric in facts.metrics:
                if facts.has(part, region, metric):
                    lines += ["", *_table(facts, part, region, metric)]
    lines += _costs(facts)
    lines += _published(facts)
    for row in facts.rows:
        lines += [f"failed: {row.name}: {failure}" for failure in row.failures]
        if row.skipped is not None:
            lines.append(f"left out: {row.name}: {row.skipped}")
    missing = sum(run.state == "missing" for row in facts.rows for run in row.runs)
    if missing:
        lines.append(f"not trained yet: {missing} runs; the same command goes on")
    return "\n".join(lines)


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of cells as lines: the first column to the left, the others to the right."""
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    return [
        "  ".join(
            f"{cell:<{width}}" if place == 0 else f"{cell:>{width}}"
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def figure_text(value: float | None, digits: int = 3) -> str:
    """A score, or a dash where it is undefined."""
    return "-" if value is None else f"{value:.{digits}f}"


def _table(facts: StudyFacts, part: str, region: str, metric: str) -> list[str]:
    tested = facts.paired and part in facts.tested_parts
    titles = [f"{part}, {region}, {METRIC_WORDS[metric]}", "mean", "95 % interval", "median"]
    titles += ["difference", "p (Holm)"] if tested else []
    rows = [[*titles, "patients", "runs"]]
    for row in facts.rows:
        figure = row.figures.get(part, {}).get(region, {}).get(metric)
        if figure is not None:
            rows.append(
                [row.name, *_cells(metric_named(metric), figure, tested), str(figure.n_patients), str(row.n_finished)]
            )
    return aligned(rows)


def _cells(metric: Metric, figure: VariationFigure, tested: bool) -> list[str]:
    interval = "-" if figure.ci95 is None else " to ".join(value_text(metric, bound) for bound in figure.ci95)
    cells = [figure_text(value, metric.digits) for value in (figure.spread.mean, figure.spread.median)]
    cells.insert(1, interval)
    if not tested:
        return cells
    against = figure.against_first
    if against is None or against.test.mean_difference is None:
        return [*cells, "-", "-"]
    return [*cells, change_text(metric, against.test.mean_difference), figure_text(against.p_holm)]


def _costs(facts: StudyFacts) -> Iterator[str]:
    finished = [row for row in facts.rows if row.n_finished]
    if finished:
        yield ""
        yield from aligned([["cost", "parameters", "time", "peak memory"], *(_cost(row) for row in finished)])


def _cost(row: RowFact) -> list[str]:
    memory = "-" if row.peak_memory_mb is None else f"{row.peak_memory_mb:,.0f} MiB"
    parameters = "-" if row.n_parameters is None else f"{row.n_parameters:,}"
    return [row.name, parameters, duration(row.training_s).replace("–", "-"), memory]


def _published(facts: StudyFacts) -> Iterator[str]:
    pairs = [(row, figure) for row in facts.rows for figure in row.published]
    if not pairs:
        return
    yield ""
    rows = [["as published", "part", "figure", "published", "obtained", ""]]
    for row, figure in pairs:
        verdict = "not comparable" if figure.not_comparable else "comparable"
        words = f"{METRIC_WORDS.get(figure.metric, figure.metric)} {figure.region} by {figure.unit}"
        rows.append(
            [row.name, figure.part, words, figure_text(figure.published), figure_text(figure.obtained), verdict]
        )
    yield from aligned(rows)
    reasons = dict.fromkeys(reason for _, figure in pairs for reason in figure.not_comparable)
    yield from (f"  not comparable: {reason}" for reason in reasons)


def tuning_text(facts: TuningFacts) -> str:
    """A line for each trial, the best one last."""
    rows = [["trial", "state", "score", *facts.ranges]]
    for trial in facts.trials:
        settings = [_setting(trial.settings.get(name)) for name in facts.ranges]
        rows.append([str(trial.number + 1), trial.state, figure_text(trial.value, 4), *settings])
    lines = aligned(rows)
    lines += [f"failed: trial {trial.number + 1}: {trial.error}" for trial in facts.trials if trial.error]
    if facts.best is not None:
        lines.append(
            f"best: trial {facts.best.number + 1}, validation {facts.score} {figure_text(facts.best.value, 4)}"
        )
    return "\n".join(lines)


def _setting(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)

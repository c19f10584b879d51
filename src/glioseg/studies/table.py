"""The table of a study, from the files of its runs: figures pooled over folds and seeds, published ones beside them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from glioseg.config import leaves, parsed_change
from glioseg.errors import FileError
from glioseg.evaluation.case_table import CaseTable, case_table
from glioseg.evaluation.comparison import CompareOptions
from glioseg.evaluation.published import PublishedRow
from glioseg.evaluation.replicates import VariationFigure, pooled_figures
from glioseg.io.text import csv_text, read_json, read_text
from glioseg.options import Options
from glioseg.report.scored_parts import figures_in
from glioseg.runs import run_folder
from glioseg.studies.feed import Feeds
from glioseg.studies.options import StudyOptions, StudyRow
from glioseg.studies.report.facts import Figures, PublishedFact, RowFact, RunFact, StudyFacts, figure_rows, unit_beside
from glioseg.tasks.choose import task_named
from glioseg.tasks.scoring import PublishedFigures


class RunRecord(Options):
    """What a study keeps of each run, beside its folder.

    Attributes:
        format: this version writes and reads 1.
        state: ``running`` until it has ended; whatever was interrupted stays so, and is continued.
        deciding: hash of what decides the weights: settings and data.
        asked: hash of all that was asked for: limits and scoring too.
        error: why it failed, in one line.
        ended: what stopped it before the recipe did.
        training_s: time of the training.
        peak_memory_mb: most memory at a time.
        n_parameters: of the network.
        best_epoch: of the best model, from 0.
    """

    format: Literal[1] = 1
    state: Literal["running", "finished", "failed"]
    deciding: str
    asked: str
    error: str | None = None
    ended: str | None = None
    training_s: float | None = None
    peak_memory_mb: float | None = None
    n_parameters: int | None = None
    best_epoch: int | None = None


class RunPlace:
    """Where a run of a study is: its folder, and its record beside it.

    Args:
        study: the study's folder.
        row: of the run.
        fold: from 0; None without folds.
        seed: of the training.
        asked: hash of all that is asked for.
    """

    def __init__(self, study: Path, row: StudyRow, fold: int | None, seed: int, asked: str) -> None:
        self.row = row
        self.fold = fold
        self.seed = seed
        self.asked = asked
        name = f"seed-{seed}" if fold is None else f"fold-{fold}-seed-{seed}"
        self.folder = study / row.folder / name
        self.record_file = self.folder.with_name(f"{name}.json")
        self.report = f"{row.folder}/{name}/{run_folder.REPORT}"

    def record(self) -> RunRecord | None:
        """What was kept of the run; None where it was never begun.

        Raises:
            FileError: not a record of this version.
        """
        if not self.record_file.exists():
            return None
        try:
            return RunRecord.model_validate(read_json(self.record_file))
        except ValidationError as error:
            raise FileError(
                "not a record of a run that this version reads",
                path=self.record_file,
                found=str(error.errors()[0]["msg"]),
                remedy="Delete it; the run in its folder is then continued",
            ) from error

    def as_asked(self) -> RunRecord | None:
        """The record of what is asked for; None of a run that was never begun, or had other settings or data.

        Raises:
            FileError: not a record of this version.
        """
        record = self.record()
        return record if record is not None and record.asked == self.asked else None

    @property
    def is_finished(self) -> bool:
        """Whether it has ended well, and is what is asked for."""
        record = self.as_asked()
        return record is not None and record.state == "finished"


def study_facts(
    study: StudyOptions,
    rows: Sequence[StudyRow],
    places: Sequence[RunPlace],
    feeds: Feeds,
    changes: Sequence[str],
) -> StudyFacts:
    """A study as far as its runs have come; those that failed or are missing, or were trained
    with other settings, add nothing to the figures.

    Args:
        study: what was asked for.
        rows: resolved.
        places: of all runs.
        feeds: row -> its data, or why there is none for it.
        changes: settings of the command line.

    Raises:
        FileError: a file of a finished run is missing or damaged.
    """
    options = _compare_options(study, rows)
    finished = {row.name: [place for place in places if place.row is row and place.is_finished] for row in rows}
    paired = study.paired and len(rows) > 1 and len({feed.cohort for feed in feeds.of_rows.values()}) == 1
    figures = _figures(study, finished, options, paired)
    row_facts = [_row_fact(study, row, [place for place in places if place.row is row], changes) for row in rows]
    return StudyFacts(
        name=study.name,
        about=study.about,
        after=study.after,
        notes=study.notes,
        data=", ".join(feeds.cohorts),
        changes=tuple(changes),
        folds=study.folds,
        seeds=study.seeds,
        parts=study.parts,
        metrics=study.metrics or _metrics_of(figures),
        options=options,
        paired=paired,
        rows=tuple(
            replace(
                fact,
                data=feeds.of_rows[fact.name].cohort if fact.name in feeds.of_rows else None,
                skipped=feeds.skipped.get(fact.name),
                figures=figures.get(fact.name, {}),
            )
            for fact in row_facts
        ),
    )


def _compare_options(study: StudyOptions, rows: Sequence[StudyRow]) -> CompareOptions:
    """How figures are averaged: as the first row that can be trained says.

    Raises:
        OptionError: there is none.
    """
    recipe = next((row for row in rows if row.recipe is not None), rows[0]).require_recipe()
    return CompareOptions(
        metrics=study.metrics,
        empty=recipe.evaluate.empty,
        n_resamples=recipe.evaluate.n_resamples,
        seed=recipe.evaluate.seed,
    )


def _row_fact(study: StudyOptions, row: StudyRow, places: Sequence[RunPlace], changes: Sequence[str]) -> RowFact:
    """A row with its runs, but for the figures, which are pooled over all rows."""
    options = next(options for options in study.listed_rows() if options.name == row.name)
    changed = dict(parsed_change(change) for change in changes)
    finished = [place for place in places if place.is_finished]
    return RowFact(
        name=row.name,
        recipe=options.recipe or study.recipe or "" if row.recipe is None else row.recipe.name,
        settings={**options.set, **{name: value for name, value in changed.items() if name not in row.ignored}},
        ignored=row.ignored,
        fault=row.fault,
        runs=tuple(_run_fact(place) for place in places),
        n_parameters=_n_parameters(finished),
        published=_published(row, study.parts, finished),
    )


def _metrics_of(figures: Mapping[str, Figures]) -> tuple[str, ...]:
    """The metrics that some row has, in the order of their first mention; Dice before any row has ended."""
    rows = (metrics for parts in figures.values() for regions in parts.values() for metrics in regions.values())
    return tuple(dict.fromkeys(name for metrics in rows for name in metrics)) or ("dice",)


def study_csv(facts: StudyFacts) -> str:
    """One line for each row, part, region and metric; a column of units where some metric's name does not say its."""
    has_units = any(unit_beside(metric) for metric in facts.metrics)
    columns = (
        *("row", "recipe", "part", "region", "metric", *(["unit"] if has_units else [])),
        *("n_runs", "n_cases", "n_patients", "case_mean"),
        *("ci95_low", "ci95_high", "case_median", "mean_difference", "p", "p_holm"),
        *("training_s", "peak_memory_mb", "n_parameters"),
    )
    rows: list[tuple[object, ...]] = []
    for row, part, region, metric, figure in figure_rows(facts):
        low, high = figure.ci95 or (None, None)
        against = figure.against_first
        test = (None, None, None) if against is None else (against.test.mean_difference, against.test.p, against.p_holm)
        rows.append(
            (
                *(row.name, row.recipe, part, region, metric, *([unit_beside(metric)] if has_units else [])),
                *(row.n_finished, figure.spread.n, figure.n_patients),
                *(figure.spread.mean, low, high, figure.spread.median, *test),
                *(row.training_s, row.peak_memory_mb, row.n_parameters),
            )
        )
    return csv_text(columns, rows)


def table_of(place: RunPlace, part: str) -> CaseTable | None:
    """The cases of a finished run's part; None where it was not scored."""
    path = place.folder / f"cases-{part}.csv"
    if not path.exists():
        return None
    return case_table(read_text(path), str(path))


def _run_fact(place: RunPlace) -> RunFact:
    record = place.as_asked()
    if record is None or record.state == "running":
        return RunFact(place.fold, place.seed, "missing")
    return RunFact(
        fold=place.fold,
        seed=place.seed,
        state=record.state,
        error=record.error,
        ended=record.ended,
        training_s=record.training_s,
        peak_memory_mb=record.peak_memory_mb,
        best_epoch=record.best_epoch,
        report=place.report if (place.folder / run_folder.REPORT).exists() else None,
    )


def _n_parameters(places: Sequence[RunPlace]) -> int | None:
    records = (place.record() for place in places)
    return next((record.n_parameters for record in records if record is not None), None)


def _figures(
    study: StudyOptions, finished: Mapping[str, Sequence[RunPlace]], options: CompareOptions, paired: bool
) -> dict[str, dict[str, dict[str, dict[str, VariationFigure]]]]:
    """Row -> part -> region -> metric -> figure."""
    figures: dict[str, dict[str, dict[str, dict[str, VariationFigure]]]] = defaultdict(dict)
    for part in study.parts:
        tables = {
            name: [table for place in places if (table := table_of(place, part)) is not None]
            for name, places in finished.items()
        }
        for region, metric in _region_metrics(study, [table for row_tables in tables.values() for table in row_tables]):
            pooled = pooled_figures(tables, region, metric, options, paired=paired and part != "train")
            for name, figure in pooled.items():
                figures[name].setdefault(part, {}).setdefault(region, {})[metric] = figure
    return figures


def _region_metrics(study: StudyOptions, tables: Sequence[CaseTable]) -> list[tuple[str, str]]:
    """Every region of the tables, with each metric of the study or, where it names none, the usual ones of the task."""
    pairs: dict[tuple[str, str], None] = {}
    for table in tables:
        metrics = study.metrics or table.usual_metrics
        pairs |= {(region, metric): None for region in table.groups for metric in metrics}
    return list(pairs)


def _published(row: StudyRow, parts: Sequence[str], places: Sequence[RunPlace]) -> tuple[PublishedFact, ...]:
    """Every published figure of the scored parts, with the mean over runs of what was obtained."""
    published: dict[tuple[str, ...], PublishedRow] = {}
    obtained: dict[tuple[str, ...], list[float]] = defaultdict(list)
    reasons: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for place in places:
        for part in parts:
            block = _as_published(row, place, part)
            for line in () if block is None else block.rows(part):
                key = (line.part, line.region, line.metric, line.unit, line.empty)
                published[key] = line
                reasons[key] += line.not_comparable
                obtained[key] += [] if line.obtained is None else [line.obtained]
    return tuple(
        PublishedFact(
            part=line.part,
            region=line.region,
            metric=line.metric,
            unit=line.unit,
            empty=line.empty,
            published=line.published,
            obtained=sum(obtained[key]) / len(obtained[key]) if obtained[key] else None,
            n_runs=len(obtained[key]),
            not_comparable=tuple(dict.fromkeys(reasons[key])),
        )
        for key, line in published.items()
    )


def _as_published(row: StudyRow, place: RunPlace, part: str) -> PublishedFigures | None:
    path = place.folder / f"evaluation-{part}.json"
    if row.recipe is None or not path.exists():
        return None
    return figures_in(path, task_named(row.recipe.task).read_figures).as_published


def settings_text(settings: Mapping[str, object]) -> str:
    """``loss.kind=dice, train.lr=0.0001``."""
    return ", ".join(f"{name}={value}" for name, value in leaves(settings))

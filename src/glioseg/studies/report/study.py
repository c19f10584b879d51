"""The page of a study: one table, its charts, published beside obtained, and the way to each run's own report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path

import numpy as np

from glioseg.errors import plural
from glioseg.evaluation.metric import Metric
from glioseg.evaluation.replicates import VariationFigure
from glioseg.report.html import (
    FIGURES,
    Block,
    Cell,
    Column,
    Listed,
    Page,
    Prose,
    Section,
    Table,
    Tile,
    replace_page,
    saved_picture,
    written,
)
from glioseg.report.parts.metric_words import (
    METRIC_WORDS,
    change_cell,
    interval_cell,
    metric_named,
    value_cell,
    value_text,
)
from glioseg.report.parts.run_words import (
    NOTHING,
    UNIT_WORDS,
    duration,
    part_word,
    ratio_cell,
)
from glioseg.studies.report import study_charts as charts
from glioseg.studies.report.facts import PublishedFact, RowFact, RunFact, StudyFacts
from glioseg.studies.report.study_charts import Bar, Lines, Pair

_MOST_PANELS = 6
_SIGNIFICANT = 0.05
_LEVEL_WORDS = "mean over cases (dot), its 95 % interval over patients (bar), median (stroke)"


def write_study_report(facts: StudyFacts, page: Path, *, written_on: date | None = None) -> Path:
    """Write the page and its figures, beside it in ``figures/``; those that it no longer shows are removed.

    Args:
        facts: the study as far as it has come.
        page: the file to write.
        written_on: the date at the foot of the page; today unless given.

    Raises:
        FileError: the folder cannot be written to.
    """
    folder = page.parent / FIGURES
    makers: tuple[Callable[[], Section], ...] = (
        lambda: _results(facts),
        lambda: _intervals(facts, folder),
        lambda: _patients(facts, folder),
        lambda: _published(facts, folder),
        lambda: _costs(facts),
        lambda: _runs(facts),
        lambda: _conventions(facts),
    )
    summary = f"{facts.about.rstrip('.')}. " if facts.about else ""
    summary += f"On {facts.data}."
    if facts.after:
        summary += f" After {facts.after.rstrip('.')}."
    sections = tuple(make() for make in makers)
    return replace_page(
        Page("glioseg study", facts.name, summary, _tiles(facts), sections, written(written_on)), page, folder
    )


def _tiles(facts: StudyFacts) -> tuple[Tile, ...]:
    n_runs = sum(len(row.runs) for row in facts.rows)
    n_finished = sum(row.n_finished for row in facts.rows)
    n_failed = sum(len(row.failures) for row in facts.rows)
    tiles = [
        Tile("Rows", f"{len(facts.rows)}", _words_of_folds(facts)),
        Tile("Runs", f"{n_finished}", f"of {n_runs} ended", "good" if n_finished == n_runs else "warning"),
    ]
    if n_failed:
        tiles.append(Tile("Failures", f"{n_failed}", "listed below", "error"))
    metric, part = facts.metrics[0], (facts.tested_parts or facts.parts)[0]
    for region in facts.regions(part)[:3]:
        scored = [(row, figure) for row in facts.rows if (figure := _of(row, part, region, metric)) is not None]
        tiles += _best_tile(metric_named(metric), region, part, scored)
    times = [run.training_s for row in facts.rows for run in row.runs if run.training_s is not None]
    if times:
        tiles.append(Tile("Training time", duration(sum(times)), "all runs together"))
    return tuple(tiles)


def _best_tile(metric: Metric, region: str, part: str, scored: Sequence[tuple[RowFact, VariationFigure]]) -> list[Tile]:
    """The row with the best mean; none where no row has the metric."""
    sign = -1.0 if metric.better == "lower" else 1.0
    means = [(row.name, figure.spread.mean) for row, figure in scored]
    if not means:
        return []
    name, mean = max(means, key=lambda row: -np.inf if row[1] is None else sign * row[1])
    words = f"{'Lowest' if metric.better == 'lower' else 'Highest'} mean, {region}"
    return [Tile(words, value_text(metric, mean), f"{metric.title} {region}, {part_word(part)}: {name}")]


def _words_of_folds(facts: StudyFacts) -> str:
    folds = "" if facts.folds is None else f"{facts.folds} folds, "
    return f"{folds}{plural(len(facts.seeds), 'seed')}"


def _of(row: RowFact, part: str, region: str, metric: str) -> VariationFigure | None:
    return row.figures.get(part, {}).get(region, {}).get(metric)


def _results(facts: StudyFacts) -> Section:
    blocks: list[Block] = [Prose(note, "note") for note in facts.notes]
    for row in facts.rows:
        blocks += [Prose(f"{row.name} failed: {failure}", "error") for failure in row.failures]
        if row.skipped is not None:
            blocks.append(
                Prose(f"{row.name} was left out, because the data do not have what it needs: {row.skipped}", "warning")
            )
    if facts.changes:
        words = f"Settings changed for all rows: {', '.join(facts.changes)}. "
        blocks.append(Prose(f"{words}Figures beside a publication's are not comparable where these matter.", "warning"))
    lacking = [METRIC_WORDS[name] for name in facts.metrics if not _has_metric(facts, name)]
    if lacking and any(facts.regions(part) for part in facts.parts):
        words = (
            f"No run has {', '.join(lacking)}: such figures need something that this data lacks, such as millimetres."
        )
        blocks.append(Prose(words, "warning"))
    blocks += [_part_table(facts, part) for part in facts.parts if facts.regions(part)]
    intro = "On the native grid, every slice. Each case counts once: with the mean of its figure over the runs "
    intro += "(folds, seeds) that scored it."
    return Section("results", "Results", intro, tuple(blocks))


def _has_metric(facts: StudyFacts, name: str) -> bool:
    figures = (region for row in facts.rows for regions in row.figures.values() for region in regions.values())
    return any(name in metrics for metrics in figures)


def _part_table(facts: StudyFacts, part: str) -> Table:
    tested = facts.paired and part in facts.tested_parts
    several = len(facts.metrics) > 1
    titles = ["Mean", "95 % interval", "Median", *(["Difference", "p (Holm)"] if tested else []), "Patients"]
    names = ["Row", "Region", *(["Metric"] if several else [])]
    columns = (*(Column(title) for title in names), *(Column(title, numeric=True) for title in titles))
    rows = [
        (
            Cell(row.name),
            Cell(region),
            *([Cell(METRIC_WORDS[metric])] if several else []),
            *_figure_cells(metric_named(metric), figure, tested=tested),
            Cell(f"{figure.n_patients:,}", figure.n_patients),
        )
        for region in facts.regions(part)
        for metric in facts.metrics
        for row in facts.rows
        if (figure := _of(row, part, region, metric)) is not None
    ]
    words = {"train": "Patients that the networks were trained on", "val": "Validation part", "test": "Test part"}[part]
    if part == "val" and facts.folds is not None:
        words = "Out of fold: each patient scored by the run whose training did not see him; its epoch was chosen on "
        words += "that fold"
    caption = f"{words}. "
    caption += "Mean" if several else f"{METRIC_WORDS[facts.metrics[0]]}: mean"
    caption += " and median over cases, interval of the mean over patients."
    if tested:
        caption += " Difference to the first row: mean over patients; p of Wilcoxon's test, adjusted by Holm."
    return Table(columns, tuple(rows), caption, page_size=40)


def _figure_cells(metric: Metric, figure: VariationFigure, *, tested: bool) -> tuple[Cell, ...]:
    cells = (
        value_cell(metric, figure.spread.mean),
        interval_cell(metric, figure.ci95),
        value_cell(metric, figure.spread.median),
    )
    if not tested:
        return cells
    against = figure.against_first
    if against is None or against.test.mean_difference is None:
        return (*cells, NOTHING, NOTHING)
    return (*cells, change_cell(metric, against.test.mean_difference), _p_cell(against.p_holm))


def _p_cell(p: float | None) -> Cell:
    if p is None:
        return NOTHING
    return Cell("< 0.001" if p < 0.001 else f"{p:.3f}", p, "good" if p < _SIGNIFICANT else "")


def _panels(facts: StudyFacts, parts: tuple[str, ...], metric: str) -> list[tuple[str, str]]:
    """Part and region of the panels: those in which some row has the metric."""
    pairs = [(part, region) for part in parts for region in facts.regions(part)]
    return [(part, region) for part, region in pairs if facts.has(part, region, metric)][:_MOST_PANELS]


def _intervals(facts: StudyFacts, folder: Path) -> Section:
    metric = facts.metrics[0]
    panels = []
    for part, region in _panels(facts, facts.parts, metric):
        bars = [_bar(row, _of(row, part, region, metric)) for row in facts.rows]
        panels.append((f"{region}, {part_word(part)}", [bar for bar in bars if bar is not None] or []))
    if not panels:
        return Section("intervals", "Intervals", "", ())
    figure = charts.intervals(panels, x=METRIC_WORDS[metric], across=len(facts.regions(facts.parts[0])))
    caption = f"{METRIC_WORDS[metric]}: {_LEVEL_WORDS}."
    caption += " p: against the first row, adjusted by Holm." if facts.paired else ""
    title = f"{METRIC_WORDS[metric]} by row"
    return Section(
        "intervals",
        "Intervals",
        "",
        (saved_picture(folder, "intervals", figure, "chart", title=title, caption=caption),),
    )


def _bar(row: RowFact, figure: VariationFigure | None) -> Bar | None:
    if figure is None:
        return Bar(row.name, None, None, None)
    against = figure.against_first
    p = None if against is None else against.p_holm
    mark = "" if p is None else "p < 0.001" if p < 0.001 else f"p = {p:.2f}" if p >= 0.01 else f"p = {p:.3f}"
    return Bar(row.name, figure.spread.mean, figure.spread.median, figure.ci95, mark)


def _patients(facts: StudyFacts, folder: Path) -> Section:
    metric = facts.metrics[0]
    panels = [
        lines
        for part, region in _panels(facts, facts.tested_parts, metric)
        if (lines := _lines(facts, part, region, metric)) is not None
    ]
    if not panels or not facts.paired:
        return Section("patients", "Patient by patient", "", ())
    of_shares = metric_named(metric).unit == "ratio" and metric_named(metric).better == "higher"
    figure = charts.patient_lines(panels, y=METRIC_WORDS[metric], bounded=of_shares)
    n_patients = max(len(lines.values) for lines in panels)
    few = n_patients <= charts.MOST_LINES
    caption = (
        "Each thin line is a patient"
        if few
        else f"Each thin line is one of {charts.MOST_LINES} of {n_patients:,} patients"
    )
    caption += "; the thick one is the mean of all patients that every row has scored."
    title = f"{METRIC_WORDS[metric]} of each patient, row by row"
    picture = saved_picture(folder, "patients", figure, "chart", title=title, caption=caption)
    return Section("patients", "Patient by patient", "", (picture,))


def _lines(facts: StudyFacts, part: str, region: str, metric: str) -> Lines | None:
    scored = [(row.name, figure) for row in facts.rows if (figure := _of(row, part, region, metric)) is not None]
    if len(scored) < 2:
        return None
    by_row = [_by_patient(figure) for _, figure in scored]
    patients = sorted(set().union(*by_row))
    values = np.array([[by_patient.get(patient, np.nan) for by_patient in by_row] for patient in patients])
    title = f"{region}, {part_word(part)}"
    return Lines(title, tuple(name for name, _ in scored), values.reshape(-1, len(scored)))


def _by_patient(figure: VariationFigure) -> dict[str, float]:
    values: dict[str, list[float]] = {}
    for case in figure.cases:
        if not np.isnan(case.value):
            values.setdefault(case.patient, []).append(case.value)
    return {patient: sum(of_patient) / len(of_patient) for patient, of_patient in values.items()}


def _published(facts: StudyFacts, folder: Path) -> Section:
    published = [(row, line) for row in facts.rows for line in row.published]
    if not published:
        return Section("published", "Published and obtained", "", ())
    pairs = [
        Pair(_pair_label(row, line), line.published, line.obtained, not line.not_comparable) for row, line in published
    ]
    figure = charts.published(pairs)
    caption = "Hollow: published. Filled: obtained, in colour where the two are comparable, grey where they are not."
    blocks: list[Block] = [
        saved_picture(folder, "published", figure, "chart", title="Published and obtained", caption=caption),
        _published_table(facts),
    ]
    reasons = _reasons(facts)
    if reasons:
        blocks.append(Listed(reasons, "Why figures are not comparable."))
    intro = (
        "The same predictions, scored as each publication scored, means over the runs of a row; and beside them as "
        "every network here is scored: native grid, every slice, mean over cases with its 95 % interval."
    )
    return Section("published", "Published and obtained", intro, tuple(blocks))


def _native(row: RowFact, line: PublishedFact) -> Cell:
    """The same metric as every recipe is scored: native grid, every slice, mean over cases, with its interval."""
    regions = row.figures.get(line.part, {})
    figures = [
        metrics[line.metric]
        for region, metrics in regions.items()
        if line.metric in metrics and line.region in ("mean", region)
    ]
    means = [figure.spread.mean for figure in figures if figure.spread.mean is not None]
    if not means:
        return NOTHING
    mean = float(np.mean(means))
    interval = figures[0].ci95 if len(figures) == 1 else None
    return Cell(f"{mean:.3f}" if interval is None else f"{mean:.3f} ({interval[0]:.3f}–{interval[1]:.3f})", mean)


def _pair_label(row: RowFact, line: PublishedFact) -> str:
    return f"{row.name}: {METRIC_WORDS.get(line.metric, line.metric)} {line.region}, {part_word(line.part)}"


def _published_table(facts: StudyFacts) -> Table:
    titles = ("Published", "Obtained by the same rule", "Difference", "Native grid, per case")
    columns = (
        *(Column(title) for title in ("Row", *(["Data"] if facts.has_several_data else []))),
        *(Column(title) for title in ("Part", "Metric", "Region")),
        *(Column(title, numeric=True) for title in titles),
        *(Column("Verdict"), Column("Unit")),
    )
    rows = [
        (
            Cell(row.name),
            *([Cell(row.data or "")] if facts.has_several_data else []),
            Cell(part_word(line.part)),
            Cell(METRIC_WORDS.get(line.metric, line.metric)),
            Cell("mean over regions" if line.region == "mean" else line.region),
            ratio_cell(line.published),
            ratio_cell(line.obtained),
            NOTHING
            if line.obtained is None
            else Cell(f"{line.obtained - line.published:+.3f}", line.obtained - line.published),
            _native(row, line),
            Cell("not comparable", 1.0, "warning") if line.not_comparable else Cell("comparable", 0.0, "good"),
            Cell(UNIT_WORDS[line.unit]),
        )
        for row in facts.rows
        for line in row.published
    ]
    return Table(columns, tuple(rows), "", page_size=40)


def _reasons(facts: StudyFacts) -> tuple[tuple[str, str], ...]:
    """Who -> why: reasons that several rows and parts share are told once."""
    reasons: dict[tuple[str, ...], dict[str, None]] = {}
    for row in facts.rows:
        for line in row.published:
            if line.not_comparable:
                reasons.setdefault(line.not_comparable, {})[f"{row.name}, {part_word(line.part)}"] = None
    return tuple(("; ".join(who), "; ".join(why)) for why, who in reasons.items())


def _costs(facts: StudyFacts) -> Section:
    titles = ("Parameters", "Training time", "Peak memory (MiB)")
    columns = (Column("Row"), *(Column(title, numeric=True) for title in titles))
    rows = tuple(
        (
            Cell(row.name),
            NOTHING if row.n_parameters is None else Cell(f"{row.n_parameters:,}", row.n_parameters),
            NOTHING if row.training_s is None else Cell(duration(row.training_s), row.training_s),
            NOTHING if row.peak_memory_mb is None else Cell(f"{row.peak_memory_mb:,.0f}", row.peak_memory_mb),
        )
        for row in facts.rows
        if row.n_finished
    )
    caption = "Time of one training, validation included (mean over runs); the largest peak over runs: of the GPU's "
    caption += (
        "memory on a GPU, else of the whole process: its libraries, what it mapped from the cache, and some tens "
    )
    caption += "of MiB that earlier runs of the same call left in it."
    return Section("costs", "Time and memory", "", (Table(columns, rows, caption),) if rows else ())


def _runs(facts: StudyFacts) -> Section:
    columns = (
        *(Column(title) for title in ("Row", "Run", "State", "Report")),
        *(Column(title, numeric=True) for title in ("Best epoch", "Training time", "Peak memory (MiB)")),
        Column("Remark", wide=True),
    )
    rows = tuple(_run_cells(row, run) for row in facts.rows for run in row.runs)
    return Section("runs", "Runs", "", (Table(columns, rows, page_size=40),) if rows else ())


def _run_cells(row: RowFact, run: RunFact) -> tuple[Cell, ...]:
    tones = {"finished": Cell("ended", 0.0, "good"), "failed": Cell("failed", 2.0, "error")}
    remark = run.error or (f"stopped by {run.ended}" if run.ended else "")
    return (
        Cell(row.name),
        Cell(run.label),
        tones.get(run.state, Cell("not trained yet", 1.0, "warning")),
        NOTHING if run.report is None else Cell("report", link=run.report),
        NOTHING if run.best_epoch is None else Cell(f"{run.best_epoch + 1}", run.best_epoch),
        NOTHING if run.training_s is None else Cell(duration(run.training_s), run.training_s),
        NOTHING if run.peak_memory_mb is None else Cell(f"{run.peak_memory_mb:,.0f}", run.peak_memory_mb),
        Cell(remark),
    )


def _conventions(facts: StudyFacts) -> Section:
    items = [(name.replace("_", " "), str(value)) for name, value in facts.protocol().items() if value is not None]
    for row in facts.rows:
        words = ", ".join(f"{name} = {value}" for name, value in row.settings.items()) or "as in the recipe"
        ignored = f"; its network has no {', '.join(row.ignored)}" if row.ignored else ""
        items.append((f"Row {row.name}", f"recipe {row.recipe}: {words}{ignored}"))
    return Section("conventions", "Conventions and settings", "", (Listed(tuple(items)),))

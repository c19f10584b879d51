"""The page of a comparison of runs: a table of the runs, a table of the pairs, and what is behind them by patient."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from glioseg.errors import name_some, plural
from glioseg.evaluation.case_table import CaseTable
from glioseg.evaluation.comparison import CompareOptions, Comparison, MetricComparison, values_by_patient
from glioseg.evaluation.metric import Metric
from glioseg.evaluation.score import EMPTY_RULES, Interval
from glioseg.io.files import names_apart
from glioseg.report import style
from glioseg.report.figures.paired import MOST_ROWS, Difference, Paired, differences, paired_dots
from glioseg.report.html import (
    FIGURES,
    RESEARCH_ONLY,
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
)
from glioseg.report.parts.metric_words import change_cell, change_text, interval_text, value_cell, value_text
from glioseg.report.parts.run_words import NOTHING, part_phrase

_TOO_FEW = 0.05
_BETTER = {"lower": "; lower is better", "nearer to 0": "; nearer to 0 is better"}


def write_comparison(comparison: Comparison, runs: Mapping[str, CaseTable], part: str, out: Path) -> Path:
    """Write ``comparison.html`` and ``figures/*.png`` into ``out``; figures of an earlier one there are removed.

    Args:
        comparison: the figures.
        runs: what they were made of, by run.
        part: on which part of the split.
        out: a folder, made where it is absent.

    Raises:
        FileError: ``out`` cannot be written to.
    """
    folder, path = out / FIGURES, out / "comparison.html"
    sections = [
        result_section(comparison, runs, result, folder, name)
        for result, name in zip(comparison.results, section_names(comparison.results), strict=True)
    ]
    cases = plural(comparison.n_cases, "case")
    page = Page(
        kicker="glioseg compare",
        title=f"{plural(len(comparison.runs), 'run')} side by side",
        summary=f"{', '.join(comparison.runs)} on {cases} of {plural(comparison.n_patients, 'patient')} "
        f"({part_phrase(part)}), the same for all.",
        tiles=_tiles(comparison),
        sections=(*sections, _conventions(comparison)),
    )
    return replace_page(page, path, folder)


def _tiles(comparison: Comparison) -> tuple[Tile, ...]:
    first = comparison.results[0]
    words, metric = f"{first.metric.title}, {first.region}", first.metric
    return tuple(
        Tile(
            words, value_text(metric, run.spread.mean), "; ".join(filter(None, (run.run, _interval(metric, run.ci95))))
        )
        for run in first.runs[:6]
    )


def _interval(metric: Metric, interval: Interval) -> str:
    return "" if interval is None else f"95 % {interval_text(metric, interval)}"


def section_names(results: Sequence[MetricComparison]) -> tuple[str, ...]:
    """What the sections of results and their figures are called: names that differ, whatever regions are called."""
    return names_apart((f"{result.region}-{result.metric.name}" for result in results), _slug)


def result_section(
    comparison: Comparison,
    runs: Mapping[str, CaseTable],
    result: MetricComparison,
    folder: Path,
    name: str,
    of: str = "Run",
) -> Section:
    """A metric of a region: the runs, their pairs, and what is behind both by patient.

    Args:
        comparison: the figures.
        runs: what they were made of, by run.
        result: that of the figures which is shown.
        folder: of the pictures.
        name: of the section and its pictures, one of ``section_names``.
        of: what the runs are called.
    """
    word = result.metric.title
    _, values = values_by_patient(runs, comparison, result)
    means = {run.run: (run.spread.mean, run.ci95) for run in result.runs}
    rows = [
        Difference(
            pair.first,
            pair.second,
            values[pair.first] - values[pair.second],
            pair.test.mean_difference,
            pair.ci95,
        )
        for pair in result.pairs
    ]
    dots = saved_picture(
        folder,
        f"{name}-paired",
        paired_dots(Paired(f"{word}, {style.plain(result.region, 24)}", values, means, result.metric.digits)),
        "chart",
        title="By patient",
        caption="One dot per patient (cases of a patient averaged); lines join the same patient. Diamonds: means over "
        "cases with 95 % intervals.",
        half=True,
    )
    pairs = saved_picture(
        folder,
        f"{name}-differences",
        differences(rows, word),
        "chart",
        title="Differences",
        caption="First minus second: one dot per patient; below, the mean with its 95 % interval. Right of the line "
        f"the first is higher{_BETTER.get(result.metric.better, '')}.{_not_drawn(len(rows))}",
        half=True,
    )
    blocks: list[Block] = [_run_table(result, of), _pair_table(result), dots, pairs]
    smallest = [pair.test.p_smallest for pair in result.pairs if pair.test.p_smallest is not None]
    if smallest and min(smallest) > _TOO_FEW:
        words = (
            f"So few patients differ that no p below {min(smallest):.2g} is possible: the test can find nothing here."
        )
        blocks.append(Prose(words, "warning"))
    return Section(name, f"{word}, {result.region}", "", tuple(blocks))


def _not_drawn(n_pairs: int) -> str:
    return f" The first {MOST_ROWS} of {n_pairs:,} pairs; the table has all." if n_pairs > MOST_ROWS else ""


def _run_table(result: MetricComparison, of: str) -> Table:
    metric = result.metric
    columns = (
        Column(of),
        *(Column(title, numeric=True) for title in ("Cases", "Mean", "95 % interval", "Median", "Quartiles")),
    )
    rows = tuple(
        (
            Cell(run.run),
            Cell(f"{run.spread.n:,}", float(run.spread.n)),
            value_cell(metric, run.spread.mean),
            Cell(interval_text(metric, run.ci95)),
            value_cell(metric, run.spread.median),
            Cell(interval_text(metric, run.spread.quartiles)),
        )
        for run in result.runs
    )
    return Table(columns, rows, "Over cases.")


def _pair_table(result: MetricComparison) -> Table:
    metric = result.metric
    titles = ("Patients", "Mean difference", "95 % interval", "p", "p (Holm)", "Effect")
    columns = (Column("First"), Column("Second"), *(Column(title, numeric=True) for title in titles))
    rows = tuple(
        (
            Cell(pair.first),
            Cell(pair.second),
            Cell(f"{pair.test.n:,}", float(pair.test.n)),
            change_cell(metric, pair.test.mean_difference),
            Cell("–" if pair.ci95 is None else " to ".join(change_text(metric, bound) for bound in pair.ci95)),
            _p(pair.test.p),
            _p(pair.p_holm),
            _signed(pair.test.rank_biserial),
        )
        for pair in result.pairs
    )
    return Table(columns, rows, "First minus second, over patients. Effect: rank-biserial correlation, −1 to 1.")


def _conventions(comparison: Comparison) -> Section:
    options = comparison.options
    metrics = dict.fromkeys(result.metric for result in comparison.results)
    items = [
        ("Use", RESEARCH_ONLY),
        *((metric.title, metric.about) for metric in metrics if metric.about),
        (
            "Test",
            "Wilcoxon signed-rank over patients, two-sided, zeros after Pratt; p adjusted (Holm) for the pairs of runs",
        ),
        ("Empty masks", f"rule {options.empty}: {EMPTY_RULES[options.empty]}"),
        ("Intervals", _intervals(options)),
    ]
    items += [
        (f"Left out of {run}", f"{plural(len(cases), 'case')} that some other run lacks: {name_some(cases)}")
        for run, cases in comparison.left_out.items()
        if cases
    ]
    items += [
        (f"Regions left out of {run}", ", ".join(names)) for run, names in comparison.regions_left_out.items() if names
    ]
    return Section("conventions", "How to read this page", "", (Listed(tuple(items)),))


def _intervals(options: CompareOptions) -> str:
    if not options.n_resamples:
        return "none were asked for"
    return f"95 %, BCa bootstrap over patients, {options.n_resamples:,} draws, seed {options.seed}"


def _signed(value: float | None) -> Cell:
    return NOTHING if value is None else Cell(f"{value:+.3f}", float(value))


def _p(value: float | None) -> Cell:
    return NOTHING if value is None else Cell(p_words(value), float(value))


def p_words(value: float) -> str:
    """``0.0313``, or ``< 0.0001``."""
    return "< 0.0001" if value < 0.0001 else f"{value:.4f}"


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[-80:].lstrip("-")

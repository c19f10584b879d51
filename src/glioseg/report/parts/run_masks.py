"""What overlap hides: how far surfaces lie apart, and which lesions were found, missed or made up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from glioseg.errors import plural
from glioseg.evaluation.protocol import Summary
from glioseg.evaluation.table import Row, regions_of
from glioseg.report import style
from glioseg.report.figures.outcomes import LesionCounts, Strip, lesion_bars, strips
from glioseg.report.html import Cell, Column, Section, Table, saved_picture
from glioseg.report.parts.metric_words import interval_cell, metric_named, value_cell
from glioseg.report.parts.run_words import part_title, part_word
from glioseg.report.run_facts import SegmentationFacts

_DISTANCES = (
    ("hd95", "mean_surface_distance", "hd", "nsd"),
    ("hd95_pixels", "mean_surface_distance_pixels", "hd_pixels"),
)
"""In millimetres, or where these are unknown in pixels; the first is drawn."""
_LESIONS = ("lesion_dice", "lesion_hd95", "lesion_sensitivity", "lesion_precision", "lesion_f1")
_MOST_ROWS = 12


def surfaces(facts: SegmentationFacts, folder: Path) -> Section:
    """Distances between surfaces, by region; nothing where none was measured."""
    names = next((names for names in _DISTANCES if any(_summaries(facts, names[0]))), ())
    if not names:
        return Section("surfaces", "Surfaces", "", ())
    drawn, rows = metric_named(names[0]), tuple(_summaries(facts, names[0]))
    lines = [_strip(facts, part, region, number, summary, drawn.name) for part, region, number, summary in rows]
    figure = strips(lines[:_MOST_ROWS], x=drawn.title, most=None)
    caption = (
        "One dot per case. Below: a bar over the middle half with the median, then the mean (diamond) with its 95 % "
    )
    caption += "interval. Smaller is better."
    chart = saved_picture(folder, "surfaces", figure, "chart", title=f"{drawn.words} by case", caption=caption)
    intro = "How far the surfaces of reference and prediction lie apart. Overlap does not show this: a few voxels far "
    intro += "off change it as little as a border that is slightly wrong everywhere."
    return Section("surfaces", "Surfaces", intro, (chart, _figures_table(facts, names, _without(facts, rows))))


def lesions(facts: SegmentationFacts, folder: Path) -> Section:
    """Lesions by what became of them; nothing where each case has one, it was found, and nothing else was."""
    counts = {key: _counted(rows, key[1]) for key, rows in _tables(facts)}
    counted = {key: count for key, count in counts.items() if count is not None}
    if all(count.says_nothing for count in counted.values()):
        return Section("lesions", "Lesions", "", ())
    by_title = {_title(facts, part, region): count for (part, region), count in counted.items()}
    figure = lesion_bars(dict(list(by_title.items())[:_MOST_ROWS]))
    caption = "All cases together. Found: with a prediction on it or near it; false: predicted, but near no lesion. "
    caption += "The end of the page says what counts as a lesion."
    chart = saved_picture(folder, "lesions", figure, "chart", title="Lesions", caption=caption)
    intro = (
        "Each lesion counts the same, whatever its size; in figures of voxels, a large lesion that is found hides "
        "small ones that are missed."
    )
    return Section("lesions", "Lesion by lesion", intro, (chart, _figures_table(facts, _LESIONS, "")))


def _summaries(facts: SegmentationFacts, metric: str) -> Iterator[tuple[str, str, int, Summary]]:
    """(part, region, its place, figures) of the parts that have such figures."""
    for part in facts.ordered_parts:
        for number, (region, summaries) in enumerate(facts.parts[part].evaluation.regions.items()):
            if metric in summaries and summaries[metric].n_cases:
                yield part, region, number, summaries[metric]


def _strip(facts: SegmentationFacts, part: str, region: str, number: int, summary: Summary, metric: str) -> Strip:
    rows = facts.parts[part].rows
    values = [float(value) for row in rows if isinstance(value := row.get(f"{region}.{metric}"), int | float)]
    colour = style.region_ink(region, number)
    return Strip(_title(facts, part, region), np.array(values), summary.case_mean, summary.case_ci95, colour)


def _title(facts: SegmentationFacts, part: str, region: str) -> str:
    """``WT``; with its part where there are several."""
    return f"{region}, {part_word(part)}" if len(facts.ordered_parts) > 1 else region


def _without(facts: SegmentationFacts, rows: Sequence[tuple[str, str, int, Summary]]) -> str:
    """Which cases have no distance."""
    words = [
        f"{_title(facts, part, region)}: {missing:,} of {facts.parts[part].evaluation.n_cases:,}"
        for part, region, _, summary in rows
        if (missing := facts.parts[part].evaluation.n_cases - summary.n_cases)
    ]
    return f"Cases without a distance, because a mask is empty: {'; '.join(words)}." if words else ""


def _figures_table(facts: SegmentationFacts, names: Sequence[str], more: str) -> Table:
    """A row for each part, region and metric that is known."""
    has_parts = len(facts.ordered_parts) > 1
    rows = tuple(
        (
            *([Cell(part_word(part))] if has_parts else []),
            Cell(region),
            Cell(metric_named(name).title),
            value_cell(metric_named(name), summaries[name].case_mean),
            interval_cell(metric_named(name), summaries[name].case_ci95),
            value_cell(metric_named(name), summaries[name].case_median),
            interval_cell(metric_named(name), summaries[name].case_quartiles),
            Cell(f"{summaries[name].n_cases:,}", summaries[name].n_cases),
        )
        for part in facts.ordered_parts
        for region, summaries in facts.parts[part].evaluation.regions.items()
        for name in names
        if name in summaries and summaries[name].n_cases
    )
    titles = ("Mean", "95 % interval", "Median", "Middle half", "Cases")
    columns = (
        *([Column(facts.parts_are)] if has_parts else []),
        *(Column(title) for title in ("Region", "Metric")),
        *(Column(title, numeric=True) for title in titles),
    )
    what = part_title(facts.headline or "") if not has_parts else "Means"
    fold = f"{plural(len(rows), 'figure')} with intervals" if len(rows) > _MOST_ROWS else ""
    return Table(columns, rows, f"{what}, over cases. {more}".strip(), page_size=20, fold=fold)


def _tables(facts: SegmentationFacts) -> Iterator[tuple[tuple[str, str], Sequence[Row]]]:
    for part in facts.ordered_parts:
        for region in regions_of(facts.parts[part].rows):
            yield (part, region), facts.parts[part].rows


def _counted(rows: Sequence[Row], region: str) -> LesionCounts | None:
    """What became of the lesions of a region; None where they were not counted."""
    columns = [f"{region}.{name}" for name in ("n_lesions", "n_lesions_found", "n_lesions_false")]
    counted = [[row.get(column) for column in columns] for row in rows]
    numbers = np.array(
        [[float(value or 0) for value in row] for row in counted if row[0] is not None], dtype=np.float64
    )
    if not numbers.size:
        return None
    total, found, false = (int(value) for value in numbers.sum(axis=0))
    return LesionCounts(found, total - found, false, several=bool((numbers[:, 0] > 1).any()))

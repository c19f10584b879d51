"""Lesions found and false over thresholds of probability, of the part on top."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from glioseg.evaluation.froc import Froc, SensitivityAt
from glioseg.report.figures.froc import froc
from glioseg.report.html import Block, Cell, Column, Section, Table, saved_picture
from glioseg.report.parts.metric_words import NOTHING, interval_cell, metric_named, value_cell
from glioseg.report.parts.run_words import part_title
from glioseg.report.run_facts import SegmentationFacts

_SENSITIVITY = metric_named("lesion_sensitivity")


def detection(facts: SegmentationFacts, folder: Path) -> Section:
    """FROC; empty where no probabilities were at hand, or no reference has a lesion that counts."""
    curves: Mapping[str, Froc] = {} if facts.headline is None else facts.parts[facts.headline].evaluation.further.froc
    if not curves:
        return Section("detection", "Detection of lesions", "", ())
    caption = (
        "Each dot is a probability threshold, 0.1 to 0.9, from right to left; in brackets: the lesions of the region. "
        "Further to the upper left is better."
    )
    title = f"Lesions found and false (FROC), {part_title(facts.headline or '')}"
    blocks: tuple[Block, ...] = (
        saved_picture(folder, "froc", froc(curves), "chart", title=title, caption=caption),
        _table(curves),
    )
    intro = "Lesions are matched as for the lesion-wise figures, anew at every threshold."
    return Section("detection", "Detection of lesions", intro, blocks)


def _table(curves: Mapping[str, Froc]) -> Table:
    columns = (
        Column("Region"),
        *(
            Column(title, numeric=True)
            for title in ("False per case, at most", "Threshold", "Sensitivity", "95 % interval")
        ),
    )
    rows = tuple(_row(region, point) for region, curve in curves.items() for point in curve.at)
    caption = (
        "The threshold that finds most lesions among those with so few false ones; none where every threshold has more."
    )
    return Table(columns, rows, caption, page_size=15)


def _row(region: str, point: SensitivityAt) -> tuple[Cell, ...]:
    threshold = NOTHING if point.threshold is None else Cell(f"{point.threshold:g}", point.threshold)
    return (
        Cell(region),
        Cell(f"{point.false_per_case:g}", point.false_per_case),
        threshold,
        value_cell(_SENSITIVITY, point.sensitivity),
        interval_cell(_SENSITIVITY, point.ci95),
    )

"""Case by case: distributions, volumes, and a table that sorts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from glioseg.errors import plural
from glioseg.evaluation.table import Row, regions_of
from glioseg.report import style
from glioseg.report.figures import outcomes
from glioseg.report.figures.outcomes import Floats, Strip, Volumes
from glioseg.report.html import Block, Cell, Column, Section, Table, saved_picture
from glioseg.report.parts.run_further import volume_agreement
from glioseg.report.parts.run_words import part_title, part_word, ratio_cell, summary_of
from glioseg.report.parts.words import MOST_ROWS, left_out
from glioseg.report.run_facts import SegmentationFacts

_STATUS = {
    "both_empty": "both empty",
    "reference_empty": "no reference",
    "prediction_empty": "nothing predicted",
    "reference_full": "reference fills all",
}
_MOST_STRIPS = 12
_MOST_UNFOLDED = 30


def distributions(facts: SegmentationFacts, folder: Path) -> Section:
    """Dice by case, predicted against reference volume."""
    blocks: list[Block] = []
    strips = [
        strip
        for part in facts.ordered_parts
        for number, region in enumerate(regions_of(facts.parts[part].rows))
        if (strip := _strip(facts, part, region, number)).values.size
    ][:_MOST_STRIPS]
    if strips:
        baseline = facts.baseline
        figure = outcomes.strips(strips)
        caption = (
            "One dot per case. Below: a bar over the middle half with the median, then the mean (diamond) with its "
        )
        caption += "95 % interval, by the rule for empty masks. Cases with two empty masks have no dot."
        if baseline is not None:
            caption += f" Dotted line: {baseline.name}, {baseline.region}, {part_word(baseline.part)} part."
        blocks.append(saved_picture(folder, "dice-by-case", figure, "chart", title="Dice by case", caption=caption))
    blocks += [*_volumes(facts, folder), *volume_agreement(facts)]
    return Section("distributions", "Distributions", "", tuple(blocks))


def _strip(facts: SegmentationFacts, part: str, region: str, number: int) -> Strip:
    rows = facts.parts[part].rows
    dice, baseline = summary_of(facts, part, region, "dice"), facts.baseline
    several = len(regions_of(rows)) > 1
    colour = style.region_ink(region, number) if several else style.ACCENT
    return Strip(
        title=f"{region}, {part_word(part)}" if several else part_word(part),
        values=_defined(rows, f"{region}.dice"),
        mean=None if dice is None else dice.case_mean,
        interval=None if dice is None else dice.case_ci95,
        colour=colour,
        baseline=None
        if baseline is None or (baseline.part, baseline.region) != (part, region)
        else (baseline.name, baseline.dice),
    )


def _defined(rows: Sequence[Row], column: str) -> Floats:
    values = (_number(row, column) for row in rows)
    return np.asarray([value for value in values if value is not None], dtype=np.float64)


def _volumes(facts: SegmentationFacts, folder: Path) -> list[Block]:
    """Scatter and Bland-Altman plots of the part on top."""
    part = facts.headline
    if part is None:
        return []
    rows = facts.parts[part].rows
    unit = volume_unit(rows)
    volumes = _volumes_by_region(rows, unit)
    if not volumes:
        return []
    half = len(volumes) == 1
    about = f"{part_title(part)}, {plural(len(rows), 'case')}."
    return [
        saved_picture(
            folder,
            "volumes",
            outcomes.volumes(volumes, unit=unit),
            "chart",
            title="Predicted and reference volume",
            caption=f"{about} On the line both agree; volumes of 0 lie on the axis. Both axes are logarithmic.",
            half=half,
        ),
        saved_picture(
            folder,
            "volume-differences",
            outcomes.differences(volumes, unit=unit),
            "chart",
            title="Difference of volumes",
            caption=f"{about} Bland-Altman plot: above 0 the prediction is too large. Lines: the mean difference and, "
            "with 5 cases or more, 1.96 standard deviations to either side.",
            half=half,
        ),
    ]


def _volumes_by_region(rows: Sequence[Row], unit: str) -> list[Volumes]:
    """Reference and predicted volume in every case, of the regions that are anywhere."""
    regions = regions_of(rows)
    volumes = []
    for number, region in enumerate(regions):
        reference = _defined(rows, f"{region}.volume_reference_{unit}")
        prediction = _defined(rows, f"{region}.volume_prediction_{unit}")
        # a unit that only some cases have leaves the two of different length: nothing to pair
        if reference.size and reference.size == prediction.size and (reference + prediction).any():
            colour = style.region_ink(region, number) if len(regions) > 1 else style.ACCENT
            volumes.append(Volumes(region, reference, prediction, colour))
    return volumes


def volume_unit(rows: Sequence[Row]) -> str:
    """``ml`` where the rows know millilitres, else ``voxels``."""
    return "ml" if rows and any(column.endswith("volume_reference_ml") for column in rows[0]) else "voxels"


def case_table(facts: SegmentationFacts) -> Section:
    """One row per case, all parts together, the worst Dice first."""
    pairs = [(part, row) for part in facts.ordered_parts for row in facts.parts[part].rows]
    if not pairs:
        return Section("cases", "Cases", "", ())
    regions = list(dict.fromkeys(name for part in facts.ordered_parts for name in regions_of(facts.parts[part].rows)))
    unit = volume_unit([row for _, row in pairs])
    has_parts = len(facts.ordered_parts) > 1
    has_patients = any(row["case"] != row["patient"] for _, row in pairs)
    figures = _columns(regions, unit)
    columns = [
        Column("Case"),
        *([Column("Patient")] if has_patients else []),
        *([Column(facts.parts_are)] if has_parts else []),
        Column("Slices", numeric=True),
    ]
    columns += [Column(title, numeric=True) for title in figures] + [Column("Empty masks")]
    pairs.sort(key=lambda pair: _sort_key(facts, pair, regions[0]))
    rows = tuple(
        _case_row(part if has_parts else None, row, regions, tuple(figures.values()), has_patients)
        for part, row in pairs[:MOST_ROWS]
    )
    caption = "Click a heading to sort; a dash is a figure that is undefined (0/0). "
    caption += left_out(len(pairs), "cases-PART.csv have all of them.") or "cases-PART.csv hold all other figures too."
    fold = fold_of_cases(len(pairs), "lowest Dice first")
    return Section("cases", "Cases", "", (Table(tuple(columns), rows, caption, page_size=25, fold=fold),))


def fold_of_cases(n_cases: int, order: str) -> str:
    """The line behind which a long table of cases is folded; none for a short one."""
    return f"All {plural(n_cases, 'case')}, {order}" if n_cases > _MOST_UNFOLDED else ""


def _columns(regions: Sequence[str], unit: str) -> dict[str, str]:
    """Title -> column of the cases' table; the Dice of all regions first."""
    several = len(regions) > 1
    metrics = {"Dice": "dice", f"reference ({unit})": f"volume_reference_{unit}"}
    metrics[f"predicted ({unit})"] = f"volume_prediction_{unit}"
    metrics |= {"precision": "precision", "recall": "recall", "IoU": "iou"}
    return {
        (f"{region} {title}" if several else title[0].upper() + title[1:]): f"{region}.{metric}"
        for title, metric in metrics.items()
        for region in regions
    }


def _sort_key(facts: SegmentationFacts, pair: tuple[str, Row], region: str) -> tuple[int, float, str]:
    part, row = pair
    dice = _number(row, f"{region}.dice")
    # above every Dice, so that undefined ones come last
    return facts.ordered_parts.index(part), 2.0 if dice is None else dice, str(row["case"])


def _case_row(
    part: str | None, row: Row, regions: Sequence[str], figures: Sequence[str], has_patients: bool
) -> tuple[Cell, ...]:
    n_slices = int(row.get("n_slices") or 0)
    cells = [Cell(str(row["case"])), *([Cell(str(row["patient"]))] if has_patients else [])]
    cells += [*([] if part is None else [Cell(part_word(part))]), Cell(f"{n_slices:,}", n_slices)]
    for column in figures:
        value = _number(row, column)
        if ".volume_" in column and value is not None:
            cells.append(Cell(style.number(value), value))
        else:
            cells.append(ratio_cell(value))
    remarks = [(region, _STATUS.get(str(row.get(f"{region}.status")))) for region in regions]
    words = "; ".join(f"{region}: {word}" if len(regions) > 1 else word for region, word in remarks if word)
    return (*cells, Cell(words))


def _number(row: Row, column: str) -> float | None:
    value = row.get(column)
    return float(value) if isinstance(value, int | float) else None

"""``glioseg timeline``: predictions of one patient in order of time; how volumes and diameters change."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from glioseg.console import QUIET, Reporter
from glioseg.core import Case, Grid, Image, LabelMap
from glioseg.errors import GeometryError, GliosegError, OptionError
from glioseg.evaluation.course import SUM, Change, TimePoint, changes_of
from glioseg.evaluation.diameters import measure_diameters
from glioseg.evaluation.table import Row, rows_to_csv
from glioseg.io import load_image
from glioseg.io.endings import file_kind
from glioseg.io.files import require_folder, write_json, write_text
from glioseg.preparation.oblique import brought, moved
from glioseg.preparation.ready.record import Moved
from glioseg.preparation.ready.registration import Head, register
from glioseg.report.pixels import main_modality
from glioseg.report.timeline import Overlay, TimelineFacts, write_timeline
from glioseg.runs.predicted_masks import PredictedMask, predicted_masks
from glioseg.runs.read import Data, read
from glioseg.tasks.members import source_of

if TYPE_CHECKING:
    import pandas as pd

PAGE, FIGURES, TABLE = "timeline.html", "timeline.json", "timeline.csv"
_FEWEST = 2
_HALF = 0.5
_AS_THEY_LIE = "The two time points share a grid, and are shown as they lie there."


@dataclass(frozen=True, eq=False)
class TimelineResult:
    """The course of a patient.

    Args:
        points: in order of time.
        facts: as ``timeline.json`` has them.
        warnings: what to bear in mind, in sentences.
        text: a table in a few lines for people.
        page: that shows it.
    """

    points: tuple[TimePoint, ...]
    facts: Mapping[str, Any]
    warnings: tuple[str, ...]
    text: str
    page: Path

    def table(self) -> pd.DataFrame:
        """A row for each time point: volumes in ml, the sum of products in mm², and their changes in percent."""
        import pandas as pd

        return pd.DataFrame(_rows(self.points))


def _scan_at(path: Path, reporter: Reporter) -> Image:
    """The scan of a file, or of the only case of a folder, archive or study: the modality that shows tumours best."""
    if path.is_file() and file_kind(path) in ("nifti", "metaimage"):
        case = Case(path.name, path.name, {"scan": source_of(path, None)})
    else:
        cohort = read(Data(path), reporter)
        if len(cohort.cases) != 1:
            names = ", ".join(each.id for each in cohort.cases[:3])
            raise OptionError("one scan for each time point is needed", found=names, expected="a folder with one case")
        case = cohort.cases[0]
    return load_image(case, list(main_modality(case.images)[:1]))


def timeline(
    inputs: Sequence[Path],
    out: Path,
    *,
    dates: Sequence[str] = (),
    scans: Sequence[Path] = (),
    reporter: Reporter = QUIET,
) -> TimelineResult:
    """Put predictions of one patient in order of time and compare them.

    Args:
        inputs: cases that ``predict`` wrote: their JSON files, their masks, or folders that hold them.
        out: where the page, the figures as JSON and the table go.
        dates: of each case, as 2024-01-31, in the order of the inputs; empty for what the scans say, else their order.
        scans: of each case, likewise: a file, or a folder or study with one case; empty for those that were predicted.
        reporter: told of what to bear in mind.

    Raises:
        FileError: no prediction there, one that cannot be read or whose record is damaged, no scan that is named, or
            ``out`` cannot be written to.
        OptionError: fewer than two time points, dates that are no dates or not as many, not as many scans, other
            regions or units, one case twice.
    """
    require_folder(out)
    predicted = [prediction for path in inputs for prediction in predicted_masks(path)]
    _require_comparable(predicted)
    if scans and len(scans) != len(predicted):
        raise OptionError("a scan for each time point is needed", found=f"{len(scans)}", expected=f"{len(predicted)}")
    days = _days(predicted, dates)
    order = sorted(range(len(predicted)), key=lambda index: (days[index] or 0, index))
    predictions = [predicted[index] for index in order]
    masks = [prediction.mask() for prediction in predictions]
    measured = _measured_region(masks)
    points = tuple(
        TimePoint(prediction.name, days[index], _figures(prediction, mask, measured))
        for prediction, mask, index in zip(predictions, masks, order, strict=True)
    )
    warnings = tuple(_warnings(predictions, days))
    facts = _facts(points, measured, warnings)
    places = [scans[index] for index in order] if scans else []
    overlay, why_not = _overlay(predictions, masks, places, reporter)
    if why_not:
        reporter.say(f"The masks are not shown on the scan: {why_not}")
    regions = tuple(predictions[0].record.regions)
    shown = TimelineFacts(points, regions, measured, warnings, _cautions(predictions), overlay, why_not)
    page = write_timeline(shown, out / PAGE)
    write_text(out / TABLE, rows_to_csv(_rows(points)))
    write_json(out / FIGURES, facts)
    for warning in warnings:
        reporter.say(f"{warning}.")
    return TimelineResult(points, facts, warnings, _text(points), page)


# --- what there is ----------------------------------------------------------------------------------------------------


def _require_comparable(predicted: Sequence[PredictedMask]) -> None:
    if len(predicted) < _FEWEST:
        raise OptionError(
            "a timeline needs two time points",
            found=", ".join(each.name for each in predicted) or "none",
            expected="two or more predicted cases of one patient",
        )
    twice = [
        each.name for number, each in enumerate(predicted) if each.path in [other.path for other in predicted[:number]]
    ]
    if twice:
        raise OptionError("a case is named twice", found=twice[0], remedy="Name each time point once")
    for each in predicted[1:]:
        _require_same("regions", list(each.record.regions), list(predicted[0].record.regions))
        _require_same("labels", _integers(each), _integers(predicted[0]))
    for each in predicted:
        if each.unit != "ml":
            raise OptionError(
                "pictures have no volumes that could be compared",
                found=each.name,
                expected="predictions of scans with millimetres",
            )


def _require_same(what: str, later: Sequence[str], first: Sequence[str]) -> None:
    if later != first:
        raise OptionError(
            f"the time points have other {what}",
            found=f"{', '.join(first)} and {', '.join(later)}",
            remedy="Predict all of them with one network",
        )


def _integers(each: PredictedMask) -> list[str]:
    """What the integers of a mask mean, in their order."""
    return [f"{value} {name}" for name, value in sorted(each.record.labels.items(), key=lambda item: item[1])]


def _days(predicted: Sequence[PredictedMask], dates: Sequence[str]) -> list[int | None]:
    """Days since the first, by the dates that were given, else by those of the scans; else None for each."""
    if dates:
        if len(dates) != len(predicted):
            raise OptionError(
                "a date for each time point is needed",
                found=f"{len(dates)}",
                expected=f"{len(predicted)}, in their order",
            )
        days = [_date(text).toordinal() for text in dates]
    else:
        scan_days = [each.record.day for each in predicted]
        if any(day is None for day in scan_days) or len({each.record.patient for each in predicted}) > 1:
            return [None] * len(predicted)
        days = [day for day in scan_days if day is not None]
    return [day - min(days) for day in days]


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text.strip())
    except ValueError as error:
        raise OptionError("not a date", found=text, expected="such as 2024-01-31") from error


def _warnings(predictions: Sequence[PredictedMask], days: Sequence[int | None]) -> Iterator[str]:
    patients = list(dict.fromkeys(each.record.patient for each in predictions if each.record.patient))
    if len(patients) > 1:
        yield f"The files speak of different patients ({', '.join(patients)}): make sure that it is one person"
    models = {each.record.model_id for each in predictions}
    if len(models) > 1:
        yield "The time points were predicted by different networks: part of the change may be theirs"
    if None in days:
        yield "No dates are known: the time points stand in the order in which they were named"
    sequences = {tuple(sorted(each.record.inputs)) for each in predictions}
    if len(sequences) > 1:
        yield "The time points were predicted from different sequences"
    for each in predictions:
        for words in each.record.warnings:
            yield f"{each.name}: {words}"


def _cautions(predictions: Sequence[PredictedMask]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(words for each in predictions for words in each.record.terms))


# --- what comes of it -------------------------------------------------------------------------------------------------


def _measured_region(masks: Sequence[LabelMap]) -> str:
    """The enhancing part where any time point has one, else the largest region."""
    scheme = masks[0].scheme
    names = list(scheme.regions)
    if "ET" in names and any(np.isin(mask.array, scheme.values_of("ET")).any() for mask in masks):
        return "ET"
    return max(names, key=lambda name: len(scheme.regions[name]))


def _figures(prediction: PredictedMask, mask: LabelMap, measured: str) -> dict[str, float]:
    return {**prediction.volumes, SUM: round(measure_diameters(mask, measured).sum_mm2, 1)}


def _rows(points: Sequence[TimePoint]) -> list[Row]:
    """A row for each time point, changes in percent."""
    by_figure = changes_of(points)
    rows: list[Row] = []
    for number, point in enumerate(points):
        row: dict[str, str | int | float | None] = {"case": point.name, "day": point.day}
        for name, value in point.figures.items():
            column = f"{name.replace(' ', '_')}_mm2" if name == SUM else f"{name}_ml"
            change = by_figure[name][number]
            row[column] = value
            row[f"{column}_change_from_first"] = _percent(change.from_first)
            row[f"{column}_change_from_smallest"] = _percent(change.from_smallest)
        rows.append(row)
    return rows


def _percent(share: float | None) -> float | None:
    return None if share is None else round(100 * share, 1)


def _facts(points: Sequence[TimePoint], measured: str, warnings: Sequence[str]) -> dict[str, Any]:
    by_figure = changes_of(points)
    return {
        "time_points": [
            {
                "case": point.name,
                "day": point.day,
                "figures": {
                    name: {"value": value, "unit": "mm2" if name == SUM else "ml", **_as_json(by_figure[name][number])}
                    for name, value in point.figures.items()
                },
            }
            for number, point in enumerate(points)
        ],
        "measured": measured,
        "changes_are": "in percent, from the first time point and from the smallest value before",
        "warnings": list(warnings),
        "use": "for research use only; not a medical device",
    }


def _as_json(change: Change) -> dict[str, float | None]:
    return {
        "change_from_first_percent": _percent(change.from_first),
        "change_from_smallest_percent": _percent(change.from_smallest),
    }


def _text(points: Sequence[TimePoint]) -> str:
    names = list(points[0].figures)
    by_figure = changes_of(points)
    titles = ["case", "day", *(f"{name} ({'mm²' if name == SUM else 'ml'})" for name in names)]
    lines = [titles]
    for number, point in enumerate(points):
        cells = []
        for name in names:
            share = by_figure[name][number].from_first
            change = "" if share is None else f" ({100 * share:+.0f} %)"
            cells.append(f"{point.figures[name]:.1f}{change}")
        lines.append([point.name, "–" if point.day is None else str(point.day), *cells])
    widths = [max(len(line[column]) for line in lines) for column in range(len(titles))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def _overlay(
    predictions: Sequence[PredictedMask], masks: Sequence[LabelMap], places: Sequence[Path], reporter: Reporter
) -> tuple[Overlay | None, str]:
    """The first and the last mask on the last scan, to which the first scan is registered; else why not.

    Scans that were named must be there; of those that a record names it is only said where they are not.
    """
    ends = (0, len(predictions) - 1)
    scans = [_scan_at(places[end], reporter) for end in ends] if places else []
    try:
        first, last = scans or [predictions[end].scan() for end in ends]
        there, words = _registered(first, last, masks, reporter)
    except GliosegError as error:
        return None, error.text
    last_mask = _on(masks[-1], masks[-1].grid, last.grid)
    return Overlay(last, _on(masks[0], there, last.grid), last_mask, words), ""


def _registered(
    first: Image, last: Image, masks: Sequence[LabelMap], reporter: Reporter
) -> tuple[Grid, tuple[str, ...]]:
    """Where the first mask lies in the world of the last scan, and how that was found, in sentences.

    One grid says nothing of the head in it, which a scanner's usual slices show wherever it lies that day. Only where
    the scans cannot be registered are masks on one grid shown as they lie.
    """
    share_grid = masks[0].grid.difference(masks[-1].grid) is None
    reporter.say("Registering the first scan to the last …")
    try:
        fixed, moving = Head.of(last.array[0], last.grid), Head.of(first.array[0], first.grid)
        movement = Moved(("the first scan",), "the last", register(fixed, moving))
    except GeometryError as error:
        if share_grid:
            return masks[0].grid, (_AS_THEY_LIE, f"They could not be registered: {error.text}.")
        raise
    if share_grid and movement.doubts:
        return masks[0].grid, (_AS_THEY_LIE, *_sentences(movement.doubts))
    return moved(masks[0].grid, movement.registration.matrix), _sentences((movement.words, *movement.doubts))


def _sentences(words: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"{said[0].upper()}{said[1:]}." for said in words)


def _on(mask: LabelMap, there: Grid, target: Grid) -> npt.NDArray[np.bool_]:
    """All that was drawn, on another grid."""
    drawn = (mask.array > 0)[None].astype(np.float32)
    return np.asarray(brought(drawn, there, target)[0] > _HALF, dtype=bool)

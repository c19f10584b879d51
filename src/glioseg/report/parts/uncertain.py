"""How far the answers of a page can be trusted: agreement, intervals, and where the networks are unsure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

from glioseg.report.classified import percent
from glioseg.report.html import Block, Cell, Column, Picture, Prose, Section, Table
from glioseg.report.parts import predicted
from glioseg.report.parts.words import MOST_ROWS, amount, left_out
from glioseg.report.predictions import PredictedCase

_WIDEST = 1240
_MOST_PICTURES = 4
_CONFIDENCE = "Confidence"


def uncertain(cases: Sequence[PredictedCase], regions: Sequence[str]) -> Section:
    """The section of masks that were predicted with their uncertainty; without blocks where none was."""
    asked = _asked(cases)
    pictures = [picture for number, case in enumerate(asked[:_MOST_PICTURES], 1) if (picture := _picture(case, number))]
    more = predicted.beside_the_page(len(asked), _MOST_PICTURES, "surer case", what="maps")
    return _section(asked, (_table(asked, regions), *pictures, *([Prose(more)] if more else [])) if asked else ())


def uncertain_classes(cases: Sequence[PredictedCase]) -> Section:
    """The same of classes."""
    asked = _asked(cases)
    return _section(asked, (_class_table(asked),) if asked else ())


def _asked(cases: Sequence[PredictedCase]) -> list[PredictedCase]:
    """Those that have it, the least sure first."""
    asked = [case for case in cases if "uncertainty" in case.facts]
    return sorted(asked, key=lambda case: float(_facts(case)["confidence"] or 0.0))


def _section(asked: Sequence[PredictedCase], blocks: tuple[Block, ...]) -> Section:
    if not asked:
        return Section("uncertainty", "How sure", "", ())
    samples = _facts(asked[0])["samples"]
    said = dict.fromkeys(str(_facts(case)["confidence_is"]) for case in asked)
    intro = f"Each case was predicted {len(samples)} times: {', '.join(samples)}. The answer is the same without this."
    intro += " The least sure come first." if len(asked) > 1 else ""
    return Section("uncertainty", "How sure", intro, (*blocks, *(Prose(f"{_CONFIDENCE}: {words}.") for words in said)))


def _facts(case: PredictedCase) -> Mapping[str, Any]:
    facts: Mapping[str, Any] = case.facts["uncertainty"]
    return facts


def _table(cases: Sequence[PredictedCase], regions: Sequence[str]) -> Table:
    columns = (
        Column("Case"),
        Column("Confidence", numeric=True),
        Column("Region"),
        Column("Volume", numeric=True),
        Column("Interval", numeric=True),
        Column("Agreement", numeric=True),
    )
    rows = tuple(
        (Cell(case.name), _number(_facts(case)["confidence"]), Cell(region), *_region_cells(case, region))
        for case in cases[:MOST_ROWS]
        for region in regions
    )
    intervals = str(_facts(cases[0])["volume_interval_is"])
    caption = f"Interval: {intervals}. Agreement: mean Dice of the samples' masks with each other. "
    caption += left_out(len(cases), predicted.ELSEWHERE)
    return Table(columns, rows, caption.strip())


def _class_table(cases: Sequence[PredictedCase]) -> Table:
    columns = (
        Column("Case"),
        Column("Class"),
        Column("Confidence", numeric=True),
        Column("Its probability", numeric=True),
        Column("Entropy (bits)", numeric=True),
        Column("Mutual information (bits)", numeric=True),
    )
    rows = []
    for case in cases[:MOST_ROWS]:
        facts, said = _facts(case), str(case.facts["class"])
        low, high = (float(value) for value in facts["probability_intervals"][said])
        interval = Cell(f"{percent(low)} to {percent(high)}", low)
        figures = (_number(facts[name]) for name in ("entropy", "mutual_information"))
        rows.append((Cell(case.name), Cell(said), _number(facts["confidence"]), interval, *figures))
    caption = "Its probability: from the least to the most sure sample. "
    caption += left_out(len(cases), predicted.ELSEWHERE)
    return Table(columns, tuple(rows), caption.strip())


def _region_cells(case: PredictedCase, region: str) -> tuple[Cell, Cell, Cell]:
    of_region, unit = _facts(case)["regions"][region], str(_facts(case)["volume_unit"])
    low, high = (float(value) for value in of_region["volume_interval"])
    volume = float(case.facts["volumes"][region])
    interval = Cell(f"{amount(low, unit)} to {amount(high, unit)}", high - low)
    return Cell(amount(volume, unit), volume), interval, _number(of_region["agreement"])


def _number(value: float | None) -> Cell:
    return Cell("–", -1.0) if value is None else Cell(f"{value:.2f}", value)


def _picture(case: PredictedCase, number: int) -> Picture | None:
    file = case.picture.with_name(str(_facts(case)["figure"]))
    shown = predicted.picture_source(file, _WIDEST)
    if shown is None:
        return None
    source, width, height = shown
    links = ", ".join(PurePath(name).name for name in _facts(case)["maps"].values())
    caption = "The maps as numbers, a channel for each region: " + links + "."
    return Picture(
        f"uncertainty-{number}",
        case.name,
        caption,
        width,
        height,
        "scan",
        source,
        alt=f"{case.name}: scan, mask, mean probability, entropy and mutual information on the same sections",
    )

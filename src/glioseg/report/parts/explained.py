"""What networks looked at: figures of the regions, and what becomes of an answer without each modality."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from glioseg.report import style
from glioseg.report.html import Block, Cell, Column, Picture, Prose, Section, Table
from glioseg.report.parts import predicted
from glioseg.report.parts.words import MOST_ROWS, left_out
from glioseg.report.predictions import PredictedCase

_WIDEST = 1240
_MOST_PICTURES = 12
_CAUTION = (
    "Such maps show roughly what a network's answer hung on, and not whether it is right: methods disagree, and a "
    "convincing map can go with a wrong mask."
)


def explained(cases: Sequence[PredictedCase]) -> Section:
    """The section of masks that were explained; without blocks where none was."""
    asked = [case for case in cases if "explanation" in case.facts]
    pictures = [picture for case in asked for picture in _pictures(case)][:_MOST_PICTURES]
    rows = [
        (case.name, region, name, change)
        for case in asked
        for region, effects in _facts(case)["without"].items()
        for name, change in effects.items()
    ]
    blocks: list[Block] = [*pictures, *([_table(rows)] if rows else [])]
    return _section(asked, blocks)


def explained_classes(cases: Sequence[PredictedCase]) -> Section:
    """The same of classes, whose Grad-CAM stands in their pictures."""
    asked = [case for case in cases if "explanation" in case.facts]
    rows = [(case, name, change) for case in asked for name, change in _facts(case)["without"].items()]
    if not rows:
        return _section(asked, [])
    columns = (Column("Case"), Column("Class"), Column("Without"), Column("Its probability changes by", numeric=True))
    cells = tuple(
        (Cell(case.name), Cell(str(case.facts["class"])), Cell(style.modality_title(name)), _signed(float(change)))
        for case, name, change in rows[:MOST_ROWS]
    )
    return _section(asked, [Table(columns, cells, left_out(len(rows), predicted.ELSEWHERE))])


def _section(asked: Sequence[PredictedCase], blocks: Sequence[Block]) -> Section:
    if not asked or not blocks:
        return Section("explanation", "What the network looked at", "", ())
    intro = f"Explained is {_facts(asked[0])['of']}."
    return Section("explanation", "What the network looked at", intro, (*blocks, Prose(_CAUTION, "note")))


def _facts(case: PredictedCase) -> Mapping[str, Any]:
    facts: Mapping[str, Any] = case.facts["explanation"]
    return facts


def _pictures(case: PredictedCase) -> list[Picture]:
    found = []
    for region, name in _facts(case)["figures"].items():
        shown = predicted.picture_source(case.picture.with_name(name), _WIDEST)
        if shown is not None:
            source, width, height = shown
            title = f"{case.name}, {region}"
            caption = "; ".join(_facts(case)["maps_are"].values()) + "."
            alt = f"{title}: scan, mask and maps of what spoke for it"
            found.append(Picture(f"explained-{title}", title, caption, width, height, "scan", source, alt=alt))
    return found


def _table(rows: Sequence[tuple[str, str, str, Mapping[str, float]]]) -> Table:
    columns = (
        Column("Case"),
        Column("Region"),
        Column("Without"),
        Column("Mean probability", numeric=True),
        Column("Volume", numeric=True),
    )
    cells = tuple(
        (
            Cell(case),
            Cell(region),
            Cell(style.modality_title(name)),
            _signed(change["probability_change"]),
            Cell(f"{change['volume_change']:+.0%}", change["volume_change"]),
        )
        for case, region, name, change in rows[:MOST_ROWS]
    )
    caption = (
        "Changes where the modality is set to 0, as a missing one is: the mean probability inside the region as it was "
    )
    caption += f"drawn, and its volume. {left_out(len(rows), predicted.ELSEWHERE)}"
    return Table(columns, cells, caption.strip())


def _signed(value: float) -> Cell:
    return Cell(f"{value:+.2f}", value)

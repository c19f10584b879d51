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
    "Such maps show roughly what a network's answer depended on, not whether it is right: methods disagree, and a "
    "convincing map can go with a wrong mask."
)
_CHANGES_ARE = (
    "Without it: the modality set to 0, as a missing one is. Permuted: its voxels in random order, so that they say "
    "nothing about places."
)


def explained(cases: Sequence[PredictedCase]) -> Section:
    """The section of masks that were explained; without blocks where none was."""
    asked = [case for case in cases if "explanation" in case.facts]
    files = [(case, region, name) for case in asked for region, name in _facts(case)["figures"].items()]
    shown = files[:_MOST_PICTURES]
    pictures = [picture for number, file in enumerate(shown, 1) if (picture := _picture(number, *file)) is not None]
    more = predicted.beside_the_page(len(files), len(shown), "further region")
    rows = [
        (case.name, region, name, change, _facts(case).get("permuted", {}).get(region, {}).get(name))
        for case in asked
        for region, effects in _facts(case)["without"].items()
        for name, change in effects.items()
    ]
    blocks: list[Block] = [*pictures, *([Prose(more)] if more else []), *([_table(rows)] if rows else [])]
    return _section(asked, blocks)


def explained_classes(cases: Sequence[PredictedCase]) -> Section:
    """The same of classes, whose Grad-CAM stands in their pictures."""
    asked = [case for case in cases if "explanation" in case.facts]
    rows = [
        (case, name, change, _facts(case).get("permuted", {}).get(name))
        for case in asked
        for name, change in _facts(case)["without"].items()
    ]
    if not rows:
        return _section(asked, [])
    columns = (
        Column("Case"),
        Column("Class"),
        Column("Modality"),
        Column("Probability without it", numeric=True),
        Column("with it permuted", numeric=True),
    )
    cells = tuple(
        (
            Cell(case.name),
            Cell(str(case.facts["class"])),
            Cell(style.modality_title(name)),
            _signed(change),
            _signed(permuted),
        )
        for case, name, change, permuted in rows[:MOST_ROWS]
    )
    caption = f"Changes of the probability. {_CHANGES_ARE} {left_out(len(rows), predicted.ELSEWHERE)}"
    return _section(asked, [Table(columns, cells, caption.strip())])


def _section(asked: Sequence[PredictedCase], blocks: Sequence[Block]) -> Section:
    if not asked or not blocks:
        return Section("explanation", "What the network looked at", "", ())
    intro = f"Explained: {_facts(asked[0])['of']}."
    return Section("explanation", "What the network looked at", intro, (*blocks, Prose(_CAUTION, "note")))


def _facts(case: PredictedCase) -> Mapping[str, Any]:
    facts: Mapping[str, Any] = case.facts["explanation"]
    return facts


def _picture(number: int, case: PredictedCase, region: str, name: str) -> Picture | None:
    shown = predicted.picture_source(case.picture.with_name(name), _WIDEST)
    if shown is None:
        return None
    source, width, height = shown
    title = f"{case.name}, {region}"
    caption = "; ".join(_facts(case)["maps_are"].values()) + "."
    alt = f"{title}: scan, mask and maps of what spoke for it"
    return Picture(f"explained-{number}", title, caption, width, height, "scan", source, alt=alt)


def _table(rows: Sequence[tuple[str, str, str, Mapping[str, float], Mapping[str, float] | None]]) -> Table:
    columns = (
        Column("Case"),
        Column("Region"),
        Column("Modality"),
        Column("Probability without it", numeric=True),
        Column("volume", numeric=True),
        Column("Probability with it permuted", numeric=True),
        Column("volume", numeric=True),
    )
    cells = tuple(
        (Cell(case), Cell(region), Cell(style.modality_title(name)), *_effect(removed), *_effect(permuted))
        for case, region, name, removed, permuted in rows[:MOST_ROWS]
    )
    caption = "Changes of the mean probability inside the region as it was drawn, and of its volume. "
    caption += f"{_CHANGES_ARE} {left_out(len(rows), predicted.ELSEWHERE)}"
    return Table(columns, cells, caption.strip())


def _effect(change: Mapping[str, float] | None) -> tuple[Cell, Cell]:
    if change is None:
        return Cell(""), Cell("")
    volume = change["volume_change"]
    return _signed(change["probability_change"]), Cell(f"{volume:+.0%}", volume)


def _signed(value: float | None) -> Cell:
    return Cell("") if value is None else Cell(f"{value:+.2f}", value)

"""The page of masks: volumes by region, sections of each scan, what was read, what to distrust."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import PurePath

from glioseg.core.region_titles import region_meaning
from glioseg.errors import listed, plural
from glioseg.report.figures.views import CONVENTION
from glioseg.report.html import Cell, Column, Picture, Section, Table, Tile
from glioseg.report.parts import predicted
from glioseg.report.parts.explained import explained
from glioseg.report.parts.ready import made_ready
from glioseg.report.parts.uncertain import uncertain
from glioseg.report.parts.words import MOST_ROWS, amount, left_out
from glioseg.report.predictions import NetworkCard, PredictedCase, PredictionsPage

_AS_PUBLISHED = "Pictures are shown as they came; their orientation is unknown."
_WIDEST = 1240


def segmented_page(
    cases: Sequence[PredictedCase], regions: Mapping[str, tuple[str, ...]], networks: Sequence[NetworkCard]
) -> PredictionsPage:
    """Key figures and sections of masks.

    Args:
        cases: as their files tell of them.
        regions: that were predicted -> the labels that each is the union of.
        networks: that predicted them.
    """
    main = next(iter(regions))
    ordered = sorted(cases, key=lambda case: (not case.warnings, -_volume(case, main)))
    sections = (
        *((_table(ordered, regions),) if len(cases) > 1 else ()),
        _scans(ordered, regions),
        uncertain(ordered, tuple(regions)),
        explained(ordered),
        predicted.doubts(ordered, networks),
        made_ready(ordered),
        predicted.inputs(ordered),
        predicted.networks(networks),
    )
    units = listed(dict.fromkeys(str(case.facts["volumes"]["unit"]) for case in cases), "or")
    summary = (
        f"{', '.join(regions)}{f', in {units}' if units else ''}, by {' + '.join(card.name for card in networks)}."
    )
    return PredictionsPage(_tiles(ordered, regions), sections, summary)


def _volume(case: PredictedCase, region: str) -> float:
    return float(case.facts["volumes"][region])


def _tiles(cases: Sequence[PredictedCase], regions: Mapping[str, tuple[str, ...]]) -> tuple[Tile, ...]:
    tiles = [] if len(cases) == 1 else [Tile("Cases", f"{len(cases):,}")]
    for region in regions:
        for unit in dict.fromkeys(str(case.facts["volumes"]["unit"]) for case in cases):
            values = [_volume(case, region) for case in cases if case.facts["volumes"]["unit"] == unit]
            middle = amount(statistics.median(values), unit)
            if len(cases) == 1:
                tiles.append(Tile(region, middle, region_meaning(region, regions[region])))
            else:
                tiles.append(
                    Tile(f"Median {region}", middle, f"{amount(min(values), unit)} to {amount(max(values), unit)}")
                )
    return (*tiles, predicted.doubts_tile(cases))


def _table(cases: Sequence[PredictedCase], regions: Mapping[str, tuple[str, ...]]) -> Section:
    has_diameters = any(case.facts.get("diameters") for case in cases)
    columns = (
        Column("Case"),
        *(Column(region, numeric=True) for region in regions),
        *((Column("Diameters", numeric=True),) if has_diameters else ()),
        Column("To check"),
        Column("Files"),
    )
    rows = tuple(
        (
            Cell(case.name),
            *(Cell(_words(case, region), _volume(case, region)) for region in regions),
            *((_diameters(case),) if has_diameters else ()),
            Cell(plural(len(case.warnings), "doubt"), len(case.warnings), "warning") if case.warnings else Cell("", 0),
            _link(case),
        )
        for case in cases[:MOST_ROWS]
    )
    members = [f"{region} = {words}" for region, labels in regions.items() if (words := region_meaning(region, labels))]
    rest = left_out(len(cases), "summary.csv has all of them.")
    caption = " ".join(filter(None, (f"{'; '.join(members)}." if members else "", rest)))
    intro = f"Those to check first, then by {next(iter(regions))}, largest first. Click a heading to sort."
    return Section("cases", "Cases", intro, (Table(columns, rows, caption),))


def _diameters(case: PredictedCase) -> Cell:
    """Of the largest lesion; nothing where none is measurable."""
    lesions = (case.facts.get("diameters") or {}).get("lesions", ())
    if not lesions:
        return Cell("–", 0.0)
    largest = lesions[0]
    return Cell(f"{largest['long_mm']:.0f} × {largest['short_mm']:.0f} mm", float(largest["product_mm2"]))


def _link(case: PredictedCase) -> Cell:
    """To the report of the case, else to its mask."""
    files = [name for name in case.facts.get("forms", {}).get("report", ()) if name.endswith(".html")]
    files += [case.facts["mask"]] if case.facts["mask"] else []
    return Cell(files[0], link=predicted.link_to(PurePath(files[0]))) if files else Cell("")


def _words(case: PredictedCase, region: str) -> str:
    return amount(_volume(case, region), str(case.facts["volumes"]["unit"]))


def _scans(cases: Sequence[PredictedCase], regions: Mapping[str, tuple[str, ...]]) -> Section:
    blocks = [
        picture
        for number, case in enumerate(cases[: predicted.MOST_PICTURES], start=1)
        if (picture := _picture(case, number, regions)) is not None
    ]
    has_planes = any(_has_planes(case) for case in cases)
    intro = "In each plane, the section" if has_planes else "The picture, or the slice"
    intro += " with most of the prediction, without and with the mask"
    intro += "; inner regions are drawn over those that contain them." if len(regions) > 1 else "."
    return Section("scans", "On the scan", f"{intro} {predicted.not_shown(cases)}".strip(), tuple(blocks))


def _has_planes(case: PredictedCase) -> bool:
    """Whether its orientation is known, so that it is seen in three planes."""
    return case.facts["grid"]["spacing_mm"] is not None


def _picture(case: PredictedCase, number: int, regions: Mapping[str, tuple[str, ...]]) -> Picture | None:
    shown = predicted.picture_source(case.picture, _WIDEST)
    if shown is None:
        return None
    source, width, height = shown
    volumes = ", ".join(f"{region} {_words(case, region)}" for region in regions)
    has_mm = _has_planes(case)
    seen = "axial, coronal and sagittal sections" if has_mm else "the picture"
    return Picture(
        f"case-{number}",
        case.name,
        f"{volumes}. {CONVENTION if has_mm else _AS_PUBLISHED}",
        width,
        height,
        "scan",
        source,
        half=not has_mm,
        notes=(("To check", "; ".join(case.warnings)),) if case.warnings else (),
        alt=f"{case.name}: {seen} through most of the prediction, without and with the mask; {volumes}",
    )

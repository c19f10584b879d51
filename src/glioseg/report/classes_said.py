"""The page of a classifier's answers: totals, a contact sheet with the uncertain ones first, and what to distrust."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import PurePath

from glioseg.errors import listed
from glioseg.report.classified import percent
from glioseg.report.html import Cell, Column, ContactSheet, Section, Table, Thumbnail, Tile
from glioseg.report.parts import predicted
from glioseg.report.parts.explained import explained_classes
from glioseg.report.parts.uncertain import uncertain_classes
from glioseg.report.parts.words import MOST_ROWS, left_out
from glioseg.report.predictions import NetworkCard, PredictedCase, PredictionsPage

_WIDEST = 520
_MOST_TILES = 6


def said_page(
    cases: Sequence[PredictedCase], classes: Sequence[str], networks: Sequence[NetworkCard]
) -> PredictionsPage:
    """Key figures and sections of classes that were said.

    Args:
        cases: as their files tell of them.
        classes: that there are.
        networks: that said them.
    """
    ordered = sorted(cases, key=lambda case: (not case.facts["uncertain"], not case.warnings, case.facts["confidence"]))
    sections = (
        _sheet(ordered),
        uncertain_classes(ordered),
        explained_classes(ordered),
        predicted.doubts(ordered, networks),
        _table(ordered, classes),
        predicted.inputs(ordered),
        predicted.networks(networks),
    )
    summary = f"{listed(classes, 'or')}, by {' + '.join(card.name for card in networks)}."
    return PredictionsPage(_tiles(ordered, classes), sections, summary)


def _tiles(cases: Sequence[PredictedCase], classes: Sequence[str]) -> tuple[Tile, ...]:
    if len(cases) == 1:
        facts = cases[0].facts
        answer = Tile("Class", str(facts["class"]), f"confidence {percent(float(facts['confidence']))}")
        return answer, predicted.doubts_tile(cases)
    said = Counter(str(case.facts["class"]) for case in cases)
    n_uncertain = sum(bool(case.facts["uncertain"]) for case in cases)
    tiles = [Tile("Cases", f"{len(cases):,}")]
    tiles += [
        Tile(name, f"{said[name]:,}", f"{100 * said[name] / len(cases):.0f} %") for name in list(classes)[:_MOST_TILES]
    ]
    tiles.append(Tile("Uncertain", f"{n_uncertain:,}", "near the decision", "warning" if n_uncertain else "good"))
    return tuple(tiles)


def _sheet(cases: Sequence[PredictedCase]) -> Section:
    thumbnails = []
    for case in cases[: predicted.MOST_PICTURES]:
        shown = predicted.picture_source(case.picture, _WIDEST)
        if shown is None:
            continue
        words = f"{case.facts['class']}, {percent(float(case.facts['confidence']))}"
        words = f"uncertain: {words}" if case.facts["uncertain"] else words
        thumbnails.append(
            Thumbnail(
                case.name,
                words,
                *shown,
                alt=f"{case.name}: {words}; beside it where the network looked",
                tone="warning" if case.warnings else "",
                link=predicted.link_to(PurePath(case.picture.name)),
            )
        )
    intro = "Uncertain ones first, then by confidence, lowest first. Beside each picture: where the network looked "
    intro += f"(Grad-CAM of the predicted class). {predicted.not_shown(cases)}"
    blocks = (ContactSheet(tuple(thumbnails)),) if thumbnails else ()
    return Section("pictures", "Contact sheet", intro.strip(), blocks)


def _table(cases: Sequence[PredictedCase], classes: Sequence[str]) -> Section:
    columns = (Column("Case"), Column("Class"), *(Column(name, numeric=True) for name in classes), Column("Certain"))
    rows = tuple(
        (
            Cell(case.name, link=predicted.link_to(PurePath(case.picture.name))),
            Cell(str(case.facts["class"])),
            *(Cell(percent(value), value) for value in map(float, case.facts["probabilities"].values())),
            Cell("uncertain", 0, "warning") if case.facts["uncertain"] else Cell("", 1),
        )
        for case in cases[:MOST_ROWS]
    )
    caption = "Calibrated probability of each class; for a scan, on the slice that speaks for it. "
    caption += left_out(len(cases), "summary.csv has all of them.")
    return Section("cases", "Cases", "Click a heading to sort.", (Table(columns, rows, caption.strip()),))

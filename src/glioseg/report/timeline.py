"""The page of a timeline: volumes and diameters of one patient over time, and the first mask over the last."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from glioseg.core import Image, LabelMap, LabelScheme
from glioseg.errors import plural
from glioseg.evaluation.course import SUM, Change, TimePoint, changes, changes_of
from glioseg.faces import on_command_line
from glioseg.report import style
from glioseg.report.figures.mosaic import Group, Panel, mosaic, panel_size
from glioseg.report.figures.overlay import colours_of, outlined
from glioseg.report.figures.render import render
from glioseg.report.figures.sections import largest_sections
from glioseg.report.figures.views import CONVENTION, extent, fit_labels, fit_picture, fitted_size
from glioseg.report.html import (
    RESEARCH_ONLY,
    Block,
    Cell,
    Column,
    Page,
    Prose,
    Section,
    Table,
    Tile,
    picture,
    write_page,
)
from glioseg.report.parts.words import amount

_FIRST, _LAST = "#33a1de", "#ffd23f"
_PANEL = 512
_MOST_TICKS = 8
_ROUNDING = 1e-9
_FROM_NOTHING = 1e9
"""By which a change from nothing is sorted: above all others."""
RANO = (
    "RANO 2.0 speaks of progression from +25 % of the sum of products or +40 % of the volume relative to the smallest "
    "earlier value, and of a response from −50 % or −65 % relative to the first value, if clinical state, steroids, "
    "new lesions and a confirmation agree. Nothing here decides that, and a change of a few percent is within the "
    "difference between two masks of the same tumour."
)


@dataclass(frozen=True, eq=False)
class Overlay:
    """What is laid over one another.

    Args:
        scan: of the last time point.
        first: (X, Y, Z) what was drawn at the first, on the grid of the scan.
        last: at the last, likewise.
        words: how they were brought together, in sentences.
    """

    scan: Image
    first: npt.NDArray[np.bool_]
    last: npt.NDArray[np.bool_]
    words: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class TimelineFacts:
    """What the page shows.

    Args:
        points: in order of time.
        regions: whose volumes are known, the largest first.
        measured: the region whose diameters were measured.
        warnings: what to bear in mind.
        terms: on which the networks may be used.
        overlay: the masks on the last scan; None where they cannot be brought together,
        why_not: for this reason.
    """

    points: Sequence[TimePoint]
    regions: tuple[str, ...]
    measured: str
    warnings: tuple[str, ...]
    terms: tuple[str, ...]
    overlay: Overlay | None
    why_not: str


def write_timeline(facts: TimelineFacts, file: Path) -> Path:
    """Write the page, which needs no other file.

    Raises:
        FileError: it cannot be written.
    """
    page = Page(
        "glioseg timeline",
        f"{plural(len(facts.points), 'time point')}{_span(facts.points)}",
        f"{', '.join(facts.regions)} in ml, and the sum of products of diameters of {facts.measured}. {RESEARCH_ONLY}",
        tuple(_tiles(facts)),
        (
            Section("warnings", "What to bear in mind", "", tuple(_warnings(facts))),
            Section("course", "Over time", "", tuple(_charts(facts))),
            Section("table", "Figures", "", (_table(facts),)),
            Section("overlay", "First and last on the scan", *_overlay(facts)),
        ),
    )
    return write_page(page, file)


def _span(points: Sequence[TimePoint]) -> str:
    days = [point.day for point in points if point.day is not None]
    return f" in {plural(max(days), 'day')}" if days else ""


def change_words(change: Change) -> str:
    """``+12 %``; a dash where there is nothing to compare with."""
    return "–" if change.from_first is None else _signed(change.from_first)


def _signed(share: float | None, limits: Sequence[float] = ()) -> str:
    """``+12 %``; with as many digits as it takes to see on which side of each limit it is."""
    if share is None:
        return "–"
    digits = 0
    while any(_reaches(round(share, 2 + digits), limit) != _reaches(share, limit) for limit in limits):
        digits += 1
    words = f"{100 * share:+.{digits}f} %"
    return words.replace("-", "−") if any(letter in "123456789" for letter in words) else "0 %"


def _reaches(share: float, limit: float) -> bool:
    """Whether a change is one of ``limit`` or more, in its direction; 14 ml of 10 ml are +40 %."""
    return share >= limit - _ROUNDING if limit > 0 else share <= limit + _ROUNDING


def _unit(name: str, value: float) -> str:
    return f"{value:,.0f} mm²" if name == SUM else amount(value, "ml")


def _tiles(facts: TimelineFacts) -> Iterator[Tile]:
    for name in (*facts.regions, SUM):
        values = [point.figures[name] for point in facts.points]
        change = changes(values)[-1]
        title = f"{name[0].upper()}{name[1:]}"
        yield Tile(title, change_words(change), f"{_unit(name, values[0])} to {_unit(name, values[-1])}")


def _warnings(facts: TimelineFacts) -> Iterator[Block]:
    for words in facts.warnings:
        yield Prose(f"{words}.", "warning")
    yield Prose(RANO, "note")
    for words in facts.terms:
        yield Prose(words, "note")


def _charts(facts: TimelineFacts) -> Iterator[Block]:
    by_day = facts.points[0].day is not None
    axis = "days since the first" if by_day else "time points, in order"
    volumes = render(_chart(facts, facts.regions, "ml", axis))
    yield picture("volumes", volumes, title="Volumes", caption=f"In ml; {axis}.", half=True)
    sums = render(_chart(facts, (SUM,), "mm²", axis))
    caption = f"Of the largest measurable lesions of {facts.measured}, in mm²; 0 where none is measurable."
    yield picture("sums", sums, title="Sum of products of diameters", caption=caption, half=True)


def _chart(facts: TimelineFacts, names: Sequence[str], unit: str, axis: str) -> Figure:
    figure = style.new_figure(style.HALF_WIDTH, 3.2)
    axes = style.style_axes(figure.add_subplot(), x=axis, y=unit)
    places = [number + 1 if point.day is None else point.day for number, point in enumerate(facts.points)]
    for row, name in enumerate(names):
        values = [point.figures[name] for point in facts.points]
        colour = style.ACCENT if name == SUM else style.region_ink(name, row)
        axes.plot(places, values, "o-", color=colour, label=style.plain(name, 30), markersize=5, linewidth=1.8)
        for place, value in zip(places, values, strict=True) if row == 0 else ():
            axes.annotate(
                style.number(value), (place, value), (0, 6), textcoords="offset points", ha="center",
                fontsize=style.TICK_PT, color=colour,
            )  # fmt: skip
    highest = max(point.figures[name] for point in facts.points for name in names)
    axes.set_ylim(0, 1.22 * highest or 1)
    axes.set_xticks(sorted(set(places)) if len(set(places)) <= _MOST_TICKS else [places[0], places[-1]])
    axes.margins(x=0.1)
    if len(names) > 1:
        style.style_legend(axes, columns=len(names), place="above")
    return figure


def _table(facts: TimelineFacts) -> Table:
    columns = (
        Column("Case"),
        Column("Day", numeric=True),
        Column("Figure"),
        Column("Value", numeric=True),
        Column("From the first", numeric=True),
        Column("From the smallest before", numeric=True),
    )
    names = (*facts.regions, SUM)
    by_figure = changes_of(facts.points)
    rows = tuple(
        (
            Cell(point.name),
            Cell("–" if point.day is None else f"{point.day}", number),
            Cell(name),
            Cell(_unit(name, point.figures[name]), point.figures[name]),
            *_change_cells(name, by_figure[name][number], has_appeared=number > 0 and point.figures[name] > 0),
        )
        for number, point in enumerate(facts.points)
        for name in names
    )
    return Table(columns, rows, "Changes are marked where they reach the limits that RANO 2.0 names.")


def _change_cells(name: str, change: Change, *, has_appeared: bool) -> tuple[Cell, Cell]:
    """From the first, marked as a response is; from the smallest, marked as progression is.

    Where the smallest is nothing, what is there now ``has_appeared``, which no share tells.
    """
    more, less = (0.25, -0.5) if name == SUM else (0.4, -0.65)
    first, smallest = change.from_first, change.from_smallest
    has_shrunk = first is not None and _reaches(first, less)
    has_grown = smallest is not None and _reaches(smallest, more)
    since = Cell("from 0", _FROM_NOTHING, "warning")
    if smallest is not None or not has_appeared:
        since = Cell(_signed(smallest, (more, less)), smallest or 0.0, "warning" if has_grown else "")
    return Cell(_signed(first, (more, less)), first or 0.0, "good" if has_shrunk else ""), since


def _overlay(facts: TimelineFacts) -> tuple[str, tuple[Block, ...]]:
    if facts.overlay is None:
        return "", (Prose(f"Not shown: {on_command_line(facts.why_not)}", "note"),)
    drawn = render(overlay_figure(facts.overlay, facts.points[0].name, facts.points[-1].name), "scan")
    caption = f"The outlines of all that was drawn, blue at the first time point, yellow at the last. {CONVENTION}"
    words = tuple(Prose(said) for said in facts.overlay.words)
    return "", (*words, picture("overlay", drawn, title="On the last scan", caption=caption))


def overlay_figure(overlay: Overlay, first: str, last: str) -> Figure:
    """In each plane the section with most of both masks: the last scan with the outlines of the two."""
    scheme = LabelScheme("drawn", {"tumour": 1}, {"tumour": ("tumour",)}, ("tumour",))
    both = LabelMap((overlay.first | overlay.last).astype(np.uint8), scheme, overlay.scan.grid)
    sections = largest_sections(overlay.scan, both)
    box = panel_size(1, 1, len(sections), most=_PANEL)
    longest = max(max(extent(section.picture)) for section in sections)
    panels = []
    for section in sections:
        size = fitted_size(section.picture, box, longest)
        drawn = colours_of(fit_picture(section.picture.pixels, size))
        for mask, colour in ((overlay.first, _FIRST), (overlay.last, _LAST)):
            drawn = outlined(drawn, fit_labels(section.of(mask), size), colour, 2)
        panels.append(Panel(drawn, section.picture.marks))
    legend = [(f"first: {first}", _FIRST), (f"last: {last}", _LAST)]
    return mosaic([Group(tuple(panels))], columns=1, captions=[section.words for section in sections], legend=legend)

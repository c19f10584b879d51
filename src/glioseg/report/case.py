"""The report of one case: what was found, where, how sure, by which network. As PDF (A4) and as HTML."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from PIL import Image as Pillow

from glioseg import __version__
from glioseg.core.region_titles import region_meaning
from glioseg.io.files import write_bytes
from glioseg.report import style
from glioseg.report.figures.render import embedded, not_wider, without_tex
from glioseg.report.figures.views import CONVENTION
from glioseg.report.html import (
    RESEARCH_ONLY,
    Block,
    Cell,
    Column,
    Listed,
    Page,
    Picture,
    Prose,
    Section,
    Table,
    Tile,
    write_page,
    written,
)
from glioseg.report.parts.words import amount
from glioseg.report.predictions import NetworkCard, PredictedCase

_A4_INCHES = (8.27, 11.69)
_MARGIN = 0.06
_LEFT, _RIGHT, _MIDDLE, _PICTURES, _GAP, _BOTTOM = _MARGIN, 1 - _MARGIN, 0.5, 0.64, 0.03, 0.062
_LINE = 0.0135
_SMALL_PT, _TEXT_PT, _HEAD_PT, _TITLE_PT = 6.6, 8.0, 9.2, 17.0
_WIDEST = 1240
NOT_A_FINDING = (
    "Drawn by a computer and not reviewed by a physician. Volumes and diameters are those of this mask; a person who "
    "measures on the scan may get other values."
)
_RANO = (
    "Longest diameter within the lesion in an axial slice and the longest one perpendicular to it, RANO 2.0 (Wen et "
    "al. 2023); measurable where both reach {least:.3g} mm."
)


@dataclass(frozen=True, eq=False)
class CaseReport:
    """What the page of a case shows.

    Args:
        case: as its files tell of it.
        regions: that were predicted -> the labels that each is the union of.
        networks: that predicted it.
        done: what was done to the scan, in sentences.
        sections: the scan with the mask, in three planes (rows, columns, 3).
        measured: the slices with diameters, likewise; None where nothing is measurable.
    """

    case: PredictedCase
    regions: Mapping[str, tuple[str, ...]]
    networks: tuple[NetworkCard, ...]
    done: tuple[str, ...]
    sections: npt.NDArray[np.uint8]
    measured: npt.NDArray[np.uint8] | None = None

    @property
    def facts(self) -> Mapping[str, Any]:
        """The JSON file of the case."""
        return self.case.facts


# --- what is said -----------------------------------------------------------------------------------------------------


def volume_rows(report: CaseReport) -> list[tuple[str, str, str, str]]:
    """Of each region its name, what that stands for and is made of, its volume, and the interval of that; empty where
    unknown.
    """
    unit = str(report.facts["volumes"]["unit"])
    doubted = report.facts.get("uncertainty", {}).get("regions", {})
    rows = []
    for region, labels in report.regions.items():
        low_high = doubted.get(region, {}).get("volume_interval")
        interval = "" if low_high is None else f"{style.number(low_high[0])} to {amount(low_high[1], unit)}"
        meaning = region_meaning(region, labels)
        rows.append((region, meaning, amount(float(report.facts["volumes"][region]), unit), interval))
    return rows


def diameter_rows(report: CaseReport) -> list[tuple[str, str, str]]:
    """Of each measurable lesion its diameters, their product and its slice."""
    return [
        (
            f"{lesion['long_mm']:.1f} × {lesion['short_mm']:.1f} mm",
            f"{lesion['product_mm2']:,.0f} mm²",
            str(lesion["axial_slice"]),
        )
        for lesion in _lesions(report)
    ]


def _lesions(report: CaseReport) -> Sequence[Mapping[str, Any]]:
    """The measurable ones, the largest first."""
    lesions: Sequence[Mapping[str, Any]] = (report.facts.get("diameters") or {}).get("lesions", ())
    return lesions


def diameter_words(report: CaseReport) -> str:
    """What was measured, and what comes of it, in a sentence or two."""
    facts = report.facts.get("diameters")
    if facts is None or facts["region"] is None:
        return "Nothing to measure." if facts else "Not measured: the scan's millimetres are unknown."
    enhances = facts["region"] == "ET"
    part = "the enhancing part" if enhances else "the whole tumour"
    small = facts["n_not_measurable"]
    smaller = "" if not small else f" {small} smaller {'lesion is' if small == 1 else 'lesions are'} not measurable."
    if not facts["lesions"]:
        part = part if enhances else f"{part} (nothing enhances)"
        return (
            f"No lesion of {part} is measurable: that takes {facts['least_mm']:g} mm in both directions, in two slices."
        )
    largest = "the largest lesion" if facts["n_targets"] == 1 else f"the {facts['n_targets']} largest lesions"
    largest = largest if enhances else f"nothing enhances; {largest}"
    return f"Sum of products of {part} ({largest}): {facts['sum_of_products_mm2']:,.0f} mm².{smaller}"


def confidence_words(report: CaseReport) -> tuple[str, ...]:
    """How sure the network is, where it was asked; else that it was not."""
    doubted = report.facts.get("uncertainty")
    if doubted is None:
        return ("Not requested: how far this mask can be trusted is unknown.",)
    value = doubted["confidence"]
    said = "not known" if value is None else f"{value:.2f}"
    low = ", low: check this one" if doubted.get("low") else ""
    reasons = (str(reason) for reason in doubted.get("reasons", ()))
    return (f"{said}{low}; this is the {doubted['confidence_is']}.", *reasons)


def _scan_words(report: CaseReport) -> tuple[str, ...]:
    """Sequences and grid, without names of files."""
    grid = report.facts["grid"]
    shape = " × ".join(map(str, grid["shape"]))
    spacing = grid["spacing_mm"]
    size = "" if spacing is None else f" of {' × '.join(f'{step:.3g}' for step in spacing)} mm, {grid['orientation']}"
    names = [style.modality_title(name) for name in report.facts["inputs"]] or ["given as arrays"]
    return (f"{', '.join(names)}; {shape} voxels{size}.",)


# --- the page ---------------------------------------------------------------------------------------------------------


def write_case_page(report: CaseReport, file: Path) -> Path:
    """Write the HTML page of a case, which needs no other file.

    Raises:
        FileError: it cannot be written.
    """
    rows = volume_rows(report)
    tiles = [Tile(region, volume, meaning) for region, meaning, volume, _ in rows]
    sizes = diameter_rows(report)
    if report.facts.get("diameters") is not None:
        tiles.append(Tile("Diameters", sizes[0][0] if sizes else "–", "the largest" if sizes else "nothing measurable"))
    if (doubted := report.facts.get("uncertainty")) is not None and doubted["confidence"] is not None:
        tiles.append(Tile("Confidence", f"{doubted['confidence']:.2f}", "", "warning" if doubted.get("low") else ""))
    summary = f"{', '.join(report.regions)}, by {' + '.join(card.name for card in report.networks)}. {NOT_A_FINDING}"
    page = Page("glioseg case report", report.case.name, summary, tuple(tiles), tuple(_sections(report)))
    return write_page(page, file)


def _sections(report: CaseReport) -> Iterator[Section]:
    warnings = tuple(Prose(f"{words}.", "warning") for words in report.case.warnings)
    yield Section("doubts", "What to distrust", "", (*warnings, Prose(RESEARCH_ONLY, "note")))
    yield Section("scan", "On the scan", CONVENTION, (_picture("scan", "Three planes", report.sections),))
    yield Section("volumes", "Volumes", "", (_volume_table(report),))
    if report.facts.get("diameters") is not None:
        yield Section("diameters", "Diameters", diameter_words(report), tuple(_diameter_blocks(report)))
    yield Section("confidence", "Confidence", "", tuple(Prose(words) for words in confidence_words(report)))
    done = tuple(Prose(words) for words in (*_scan_words(report), *report.done))
    yield Section("done", "What was done to the scan", "", done)
    yield Section("network", "The network and its terms", "", tuple(Listed(card.facts) for card in report.networks))


def _volume_table(report: CaseReport) -> Table:
    rows, volumes = volume_rows(report), report.facts["volumes"]
    has_intervals = any(interval for *_, interval in rows)
    columns = (
        Column("Region"),
        Column("Meaning"),
        Column("Volume", numeric=True),
        *((Column("Interval", numeric=True),) if has_intervals else ()),
    )
    cells = tuple(
        (
            Cell(region),
            Cell(meaning),
            Cell(volume, float(volumes[region])),
            *((Cell(interval, float(volumes[region])),) if has_intervals else ()),
        )
        for region, meaning, volume, interval in rows
    )
    caption = f"Interval: {report.facts['uncertainty']['volume_interval_is']}." if has_intervals else ""
    return Table(columns, cells, caption)


def _diameter_blocks(report: CaseReport) -> Iterator[Block]:
    if report.measured is not None:
        yield _picture("measured", "Where they were measured", report.measured)
    rows = tuple(
        (
            Cell(str(number)),
            Cell(diameters, float(lesion["long_mm"])),
            Cell(product, float(lesion["product_mm2"])),
            Cell(place),
        )
        for number, (lesion, (diameters, product, place)) in enumerate(
            zip(_lesions(report), diameter_rows(report), strict=True), 1
        )
    )
    columns = (Column("Lesion"), Column("Diameters", numeric=True), Column("Product", numeric=True), Column("Slice"))
    caption = _RANO.format(least=report.facts["diameters"]["least_mm"])
    yield Table(columns, rows, caption) if rows else Prose(caption)


def _picture(name: str, title: str, pixels: npt.NDArray[np.uint8]) -> Picture:
    source, width, height = embedded(not_wider(Pillow.fromarray(pixels), _WIDEST), quality=82)
    alt = {"scan": "The scan in three planes, without and with the mask", "measured": "Slices with both diameters"}
    return Picture(name, title, "", width, height, "scan", source, alt=alt[name])


# --- on paper ---------------------------------------------------------------------------------------------------------


def write_case_pdf(report: CaseReport, file: Path) -> Path:
    """Write the page of a case as PDF (A4); what does not fit goes on to further pages.

    Raises:
        FileError: it cannot be written.
    """
    sheet = _Sheet(report.case.name)
    top = sheet.y
    sheet.column(_LEFT, _PICTURES)
    sheet.image(report.sections, 0.40)
    if report.measured is not None:
        sheet.image(report.measured, 0.25)
    under_pictures = sheet.y
    sheet.column(_PICTURES + _GAP, _RIGHT, (0, top), then=_LEFT)
    _findings(sheet, report)
    below = sheet.page, min(sheet.y, under_pictures) if sheet.page == 0 else sheet.y
    sheet.column(_LEFT, _MIDDLE - _GAP / 2, below)
    _making(sheet, report)
    sheet.column(_MIDDLE + _GAP / 2, _RIGHT, below)
    _network(sheet, report)
    sheet.feet(written())
    buffer = io.BytesIO()
    metadata = {"Title": f"glioseg case report: {report.case.name}", "Creator": f"glioseg {__version__}"}
    from matplotlib.backends.backend_pdf import FigureCanvasPdf, PdfPages  # a fifth of a second; pictures have no PDF

    with PdfPages(buffer, metadata={**metadata, "CreationDate": None}) as pages:
        for figure in sheet.figures:
            with without_tex(figure):
                FigureCanvasPdf(figure).print_pdf(pages)  # type: ignore[no-untyped-call]
    write_bytes(file, buffer.getvalue())
    return file


def _findings(sheet: _Sheet, report: CaseReport) -> None:
    """Beside the pictures: how large, how sure, what to distrust."""
    sheet.title("Volumes")
    for region, meaning, volume, interval in volume_rows(report):
        sheet.pair(region, volume)
        sheet.text("; ".join(filter(None, (meaning, interval))), small=True)
    sheet.title("Diameters")
    for number, (diameters, product, place) in enumerate(diameter_rows(report), start=1):
        sheet.pair(f"Lesion {number}", diameters)
        sheet.text(f"slice {place}, product {product}", small=True)
    sheet.text(diameter_words(report))
    sheet.title("Confidence")
    for words in confidence_words(report):
        sheet.text(words)
    if report.case.warnings:
        sheet.title("To be checked")
        for words in report.case.warnings:
            sheet.text(f"{words}.")


def _making(sheet: _Sheet, report: CaseReport) -> None:
    sheet.title("What was done to the scan")
    for words in (*_scan_words(report), *report.done):
        sheet.text(words, small=True)
    sheet.title("How it was measured")
    if report.facts.get("diameters") is not None:
        sheet.text(_RANO.format(least=report.facts["diameters"]["least_mm"]), small=True)
    sheet.text(CONVENTION, small=True)


def _network(sheet: _Sheet, report: CaseReport) -> None:
    sheet.title("The network and its terms")
    for card in report.networks:
        for name, value in card.facts:
            if name in ("Recipe", "Model", "Trained on", "Terms"):
                sheet.text(f"{name}: {value}", small=True)
        for words in card.cautions:
            sheet.text(words, small=True)


class _Sheet:
    """Pages that are filled from top to bottom, one column after the other; lengths are shares of height or width.

    Attributes:
        figures: the pages.
        page: the one that is written on, from 0,
        y: and where.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.figures: list[Figure] = []
        self.page = 0
        self.y = 0.0
        self.left, self.right, self.then = _LEFT, _RIGHT, _LEFT
        self._begin()

    def column(
        self, left: float, right: float, place: tuple[int, float] | None = None, *, then: float | None = None
    ) -> None:
        """Go on between these sides, from a page and height on it where they are given.

        On further pages the left side is ``then``, where that is given.
        """
        self.left, self.right, self.then = left, right, left if then is None else then
        self.page, self.y = place or (self.page, self.y)

    def image(self, pixels: npt.NDArray[np.uint8], most: float) -> None:
        """A picture as wide as the column, unless it would be higher than ``most``."""
        width_in = (self.right - self.left) * _A4_INCHES[0]
        height = width_in * pixels.shape[0] / pixels.shape[1] / _A4_INCHES[1]
        shrink = min(1.0, most / height)
        width, height = (self.right - self.left) * shrink, height * shrink
        axes = self.figures[self.page].add_axes((self.left, self.y - height, width, height))
        axes.imshow(np.asarray(not_wider(Pillow.fromarray(pixels), _WIDEST)), interpolation="none", aspect="auto")
        axes.set_axis_off()
        self.y -= height + 0.008

    def title(self, words: str) -> None:
        """A heading, on the page of what follows it."""
        self.y -= 0.010
        self._make_room(3 * _LINE)
        self._put(self.left, self.y, words, _HEAD_PT, style.ACCENT, bold=True)
        self.y -= _LINE * 1.25

    def pair(self, name: str, value: str) -> None:
        """A name at the left and its figure at the right, on the page of the line that follows."""
        self._make_room(_LINE)
        room = max(8, int(0.8 * self._letters(_TEXT_PT)) - len(value) - 2)  # capitals and bold figures are wider
        self._put(self.left, self.y, style.plain(name, room), _TEXT_PT, style.INK)
        self._put(self.right, self.y, value, _TEXT_PT, style.INK, align="right", bold=True)
        self.y -= _LINE

    def text(self, words: str, *, small: bool = False) -> None:
        """A paragraph."""
        points = _SMALL_PT if small else _TEXT_PT
        words = " ".join(words.split())
        while words:
            self._make_room()
            line = textwrap.wrap(words, self._letters(points))[0]
            words = words[len(line) :].lstrip()
            self._put(self.left, self.y, style.plain(line, 400), points, style.MUTED if small else style.INK)
            self.y -= _LINE * (0.82 if small else 0.95)
        self.y -= 0.002

    def feet(self, written: str) -> None:
        """The last lines of each page."""
        bottom = _MARGIN * 0.45
        for number in range(len(self.figures)):
            self.page = number
            self._put(_LEFT, bottom + _LINE, NOT_A_FINDING, _SMALL_PT - 0.6, style.MUTED)
            self._put(_LEFT, bottom, f"{written} {RESEARCH_ONLY}", _SMALL_PT, style.MUTED)
            if len(self.figures) > 1:
                words = f"page {number + 1} of {len(self.figures)}"
                self._put(_RIGHT, bottom, words, _SMALL_PT, style.MUTED, align="right")

    def _letters(self, points: float) -> int:
        """How many letters a line of the column holds."""
        return int((self.right - self.left) * _A4_INCHES[0] * 72 / (0.53 * points))

    def _begin(self) -> None:
        """Go on at the top of the page, made where it is not there yet."""
        self.y = 1 - _MARGIN * 0.6
        is_new = self.page == len(self.figures)
        if is_new:
            self.figures.append(Figure(figsize=_A4_INCHES, facecolor=style.PAPER))
            self._put(_LEFT, self.y, "glioseg case report", _SMALL_PT, style.MUTED)
            self._put(_RIGHT, self.y, RESEARCH_ONLY.upper(), _SMALL_PT, style.POSITIVE, align="right", bold=True)
        self.y -= 0.028
        if is_new:
            self._put(_LEFT, self.y, style.plain(self.name, 42), _TITLE_PT, style.INK, bold=True)
        self.y -= 0.012

    def _make_room(self, height: float = 0.0) -> None:
        """Go on at the top of the next page unless there is room for a line, and for ``height`` above it."""
        if self.y - height < _BOTTOM:
            self.page, self.left = self.page + 1, self.then
            self._begin()
            self.y -= 0.012

    def _put(
        self, x: float, y: float, words: str, points: float, colour: str, *, align: str = "left", bold: bool = False
    ) -> None:
        weight = "bold" if bold else "normal"
        figure = self.figures[self.page]
        figure.text(x, y, words, fontsize=points, color=colour, ha=align, va="baseline", fontweight=weight)

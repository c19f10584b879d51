"""Many small pictures on one dark sheet: one axes in all, so that hundreds of panels cost no more than one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

from glioseg.report import style

_GAP = 6
_GROUP_GAP = 34
_TITLE_BAND = 30
_NOTE_BAND = 22
_CAPTION_BAND = 30
_MARGIN = 20
_LEGEND_BAND = 40
_KEY_WIDTH = 26
_KEY_GAP = 36
_SHEET_WIDTH = 1640
_LONGEST_KEY = 60
_KEY_PT = 7.5
_FEWEST_LETTERS = 8
_Legend = Sequence[tuple[str, str]]


@dataclass(frozen=True, eq=False)
class Panel:
    """A picture (rows, columns, 3) uint8 and the letters at its left, right, top and bottom edge."""

    pixels: npt.NDArray[np.uint8]
    marks: tuple[str, str, str, str] | None = None


@dataclass(frozen=True, eq=False)
class Group:
    """Panels that belong together, side by side, with a title and a smaller note above them; None is an empty cell."""

    panels: tuple[Panel | None, ...]
    title: str = ""
    note: str = ""


@dataclass(frozen=True)
class _Text:
    x: float
    y: float
    words: str
    points: float
    colour: str
    align: str = "left"
    bold: bool = False


def panel_size(n_groups: int, columns: int, n_panels: int, *, most: int) -> int:
    """The side of square panels that fill a sheet of the usual width, at most ``most`` pixels.

    Args:
        n_groups: groups to be shown, in rows of at most
        columns: groups, each of
        n_panels: panels.
        most: pixels beyond which a panel only becomes coarser.
    """
    across = min(columns, n_groups)
    room = _SHEET_WIDTH - 2 * _MARGIN - (across - 1) * _GROUP_GAP - across * (n_panels - 1) * _GAP
    return min(most, room // (across * n_panels))


def mosaic(
    groups: Sequence[Group],
    *,
    columns: int,
    captions: Sequence[str] = (),
    legend: _Legend = (),
) -> Figure:
    """The groups in rows of ``columns``, every panel in a cell of the same size.

    Args:
        groups: at least one, all with the same number of panels (fewer leave their last cells empty).
        columns: groups per row; fewer groups make a narrower sheet.
        captions: what each panel of a group shows; written once, above the first row.
        legend: (name, colour) of what the colours mean; written below.

    Returns:
        A figure whose pixels at its own dpi are the panels' pixels, one to one.
    """
    columns = min(columns, len(groups))
    cell = np.max([panel.pixels.shape[:2] for group in groups for panel in group.panels if panel], axis=0)
    per_group = max(len(group.panels) for group in groups)
    group_width = per_group * int(cell[1]) + (per_group - 1) * _GAP
    head = (_TITLE_BAND if any(group.title for group in groups) else 0) + (
        _NOTE_BAND if any(group.note for group in groups) else 0
    )
    row_height = head + int(cell[0])
    n_rows = -(-len(groups) // columns)
    top = _MARGIN + (_CAPTION_BAND if captions else 0)
    content = columns * group_width + (columns - 1) * _GROUP_GAP
    lines = _legend_lines(legend, max(content, _SHEET_WIDTH - 2 * _MARGIN))
    width = 2 * _MARGIN + max([content, *map(_legend_width, lines)])
    height = top + n_rows * row_height + (n_rows - 1) * _GAP * 3 + _MARGIN + len(lines) * _LEGEND_BAND
    sheet = np.empty((height, width, 3), dtype=np.uint8)
    sheet[:] = style.rgb(style.SCAN_PAPER)
    texts: list[_Text] = []
    for number, group in enumerate(groups):
        row, column = divmod(number, columns)
        corner = (top + row * (row_height + _GAP * 3), _MARGIN + column * (group_width + _GROUP_GAP))
        texts += _place_group(sheet, group, corner, head, (int(cell[0]), int(cell[1])))
    for column in range(columns if captions else 0):
        left = _MARGIN + column * (group_width + _GROUP_GAP)
        for place, words in enumerate(captions):
            middle = left + place * (int(cell[1]) + _GAP) + int(cell[1]) / 2
            texts.append(
                _Text(middle, _MARGIN + 10, _clipped(words, int(cell[1]), 7.5), 7.5, style.SCAN_MUTED, "center")
            )
    return _drawn(sheet, texts, lines)


def _place_group(
    sheet: npt.NDArray[np.uint8], group: Group, corner: tuple[int, int], head: int, cell: tuple[int, int]
) -> list[_Text]:
    """Paste the panels, each centred in its cell, and say where their texts go."""
    y, x = corner
    room = len(group.panels) * (cell[1] + _GAP)
    texts = []
    if group.title:
        texts.append(_Text(x, y + 14, _clipped(group.title, room, 7.8, bold=True), 7.8, style.SCAN_INK, bold=True))
    if group.note:
        texts.append(_Text(x, y + head - 12, _clipped(group.note, room, 6.8), 6.8, style.SCAN_MUTED))
    for place, panel in enumerate(group.panels):
        if panel is None:
            middle = x + place * (cell[1] + _GAP) + cell[1] / 2
            texts.append(_Text(middle, y + head + cell[0] / 2, "not acquired", 7.5, style.SCAN_MUTED, "center"))
            continue
        height, width = panel.pixels.shape[:2]
        top = y + head + (cell[0] - height) // 2
        left = x + place * (cell[1] + _GAP) + (cell[1] - width) // 2
        sheet[top : top + height, left : left + width] = panel.pixels
        if panel.marks:
            texts += _edge_letters(panel.marks, top, left, height, width)
    return texts


def _clipped(words: str, room: float, points: float, *, bold: bool = False) -> str:
    """``words`` shortened to ``room`` pixels, but to no less than a few letters."""
    short, n_letters = style.plain(words, len(words) + 1), len(words)
    while n_letters > _FEWEST_LETTERS and (width := _text_width(short, points, bold=bold)) > room:
        n_letters = max(_FEWEST_LETTERS, min(n_letters - 1, math.ceil(n_letters * room / width)))
        short = style.plain(words, n_letters)
    return short


@lru_cache(maxsize=4096)
def _text_width(words: str, points: float, *, bold: bool = False) -> int:
    """Pixels that words take."""
    font = FontProperties(size=points, weight="bold" if bold else "normal")
    width, _, _ = text_to_path.get_text_width_height_descent(words.replace(r"\$", "$"), font, ismath=False)
    return math.ceil(1.02 * width * style.DPI / 72)  # letters on a screen lie on whole pixels


def _edge_letters(marks: tuple[str, str, str, str], top: int, left: int, height: int, width: int) -> list[_Text]:
    places = (
        (left + 10, top + height / 2),
        (left + width - 10, top + height / 2),
        (left + width / 2, top + 12),
        (left + width / 2, top + height - 12),
    )
    return [_Text(x, y, words, 6.5, style.SCAN_INK, "center") for (x, y), words in zip(places, marks, strict=True)]


def _drawn(sheet: npt.NDArray[np.uint8], texts: Sequence[_Text], lines: Sequence[_Legend]) -> Figure:
    height, width = sheet.shape[:2]
    figure = Figure(figsize=(width / style.DPI, height / style.DPI), dpi=style.DPI, facecolor=style.SCAN_PAPER)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_axis_off()
    axes.imshow(sheet, interpolation="nearest", extent=(0, width, height, 0), aspect="auto")
    for text in texts:
        axes.text(
            text.x,
            text.y,
            style.no_formula(text.words),
            fontsize=text.points,
            color=text.colour,
            ha=text.align,
            va="center",
            fontweight="bold" if text.bold else "normal",
        )
    for number, line in enumerate(lines):
        x, y = float(_MARGIN), height - (len(lines) - number - 0.5) * _LEGEND_BAND
        for name, colour in line:
            axes.text(x, y - 6, "■", fontsize=10, color=colour, va="center")
            words = style.no_formula(name)
            axes.text(x + _KEY_WIDTH, y - 5, words, fontsize=_KEY_PT, color=style.SCAN_INK, va="center")
            x += _entry_width(name) + _KEY_GAP
    return figure


def _legend_lines(legend: _Legend, room: int) -> list[_Legend]:
    """The entries in as many lines of ``room`` pixels as they take, with names that figures can print."""
    lines: list[_Legend] = []
    for name, colour in legend:
        entry = (style.plain(name, _LONGEST_KEY), colour)
        if lines and _legend_width([*lines[-1], entry]) <= room:
            lines[-1] = (*lines[-1], entry)
        else:
            lines.append((entry,))
    return lines


def _entry_width(name: str) -> int:
    """Pixels of a square and its words."""
    return _KEY_WIDTH + _text_width(name, _KEY_PT)


def _legend_width(legend: _Legend) -> int:
    """Pixels of all entries and of the gaps between them."""
    return sum(_entry_width(name) for name, _ in legend) + _KEY_GAP * max(0, len(legend) - 1)

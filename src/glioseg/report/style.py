"""One look for every figure and page: colours with a meaning, type sizes, and how axes are drawn.

Colours of regions and series come from the palette of Okabe and Ito (2008), which people with any of the common colour
vision deficiencies can tell apart. Reference is red and prediction green in every overlay, as is usual in the field;
the two differ in lightness too.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from itertools import pairwise
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:  # who asks for a colour alone need not wait for matplotlib
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

INK = "#1d2733"
MUTED = "#5b6875"
LINE = "#c9d1d9"
GRID = "#e6eaee"
PAPER = "#ffffff"
ACCENT = "#2a6f97"
ACCENT_SOFT = "#a9c9dc"
NEUTRAL = "#aab4be"
SCAN_PAPER = "#0c1116"
SCAN_INK = "#e8edf2"
SCAN_MUTED = "#9aa7b4"

REFERENCE = "#e5383b"
PREDICTION = "#38d66b"
BOTH = "#ffd23f"
POSITIVE = "#c8553d"
NEGATIVE = "#9fb3c8"

DPI = 160
HALF_WIDTH = 5.6
FULL_WIDTH = 11.4
"""Inches: two half-width figures stand side by side on a page; 100 CSS pixels an inch."""
TITLE_PT = 10.5
LABEL_PT = 9.0
TICK_PT = 8.0

REGION_COLOURS: Mapping[str, str] = MappingProxyType(
    {
        "WT": "#3fc8a4",
        "TC": "#d55e00",
        "ET": "#f0c929",
        "NCR": "#cc79a7",
        "NETC": "#cc79a7",
        "NET": "#8f7ad6",
        "ED": "#33a1de",
        "SNFH": "#33a1de",
        "RC": "#a0c15a",
        "CC": "#a0c15a",
        "TUMOUR": REFERENCE,
        "CSF": "#33a1de",
        "GM": "#cc79a7",
        "WM": "#f0c929",
        "BACKGROUND": "#d5dbe1",
    }
)
"""Region or label name (capitals) -> colour."""

MODALITY_COLOURS: Mapping[str, str] = MappingProxyType(
    {
        "t1n": "#3b6fa0",
        "pre": "#3b6fa0",
        "t1c": "#c8702a",
        "post": "#c8702a",
        "t2w": "#2a9d8f",
        "t2f": "#7b5ea7",
        "flair": "#7b5ea7",
        "red": "#b5495b",
        "green": "#4c9f70",
        "blue": "#3b6fa0",
    }
)
MODALITY_TITLES: Mapping[str, str] = MappingProxyType(
    {
        "t1n": "T1",
        "t1c": "T1 with contrast",
        "t2w": "T2",
        "t2f": "T2-FLAIR",
        "pre": "T1 before contrast",
        "flair": "FLAIR",
        "post": "T1 after contrast",
    }
)
_SHORT: Mapping[str, str] = MappingProxyType(
    {"t1n": "T1", "t1c": "T1c", "t2w": "T2", "t2f": "FLAIR", "pre": "T1 pre", "flair": "FLAIR", "post": "T1 post"}
)
_SERIES = ("#2a6f97", "#c8702a", "#2a9d8f", "#7b5ea7", "#b5495b", "#8a7a3b", "#5b6875", "#4c9f70")
_SHADES = ((0, 0.0), (255, 0.4), (0, 0.4))
"""Mixed into the colours of series, (grey, share): nothing, then white, then black."""
_UNPRINTABLE = re.compile(
    r"[^\u0020-\u007e\u00a0-\u024f\u0370-\u04ff\u1e00-\u1efb\u2010-\u2027\u2030-\u205e\u2190-\u22ff]"
)
_DOLLAR = re.compile(r"(?<!\\)\$")


def region_colour(name: str, index: int = 0) -> str:
    """The colour of a region or label; names that the table lacks take the series colour of ``index``."""
    return REGION_COLOURS.get(name.upper(), series_colour(index))


def region_ink(name: str, index: int = 0) -> str:
    """A region's colour in charts on white: that of the overlays, darker where it would fade."""
    channels = rgb(region_colour(name, index))
    brightness = (0.299 * channels[0] + 0.587 * channels[1] + 0.114 * channels[2]) / 255
    factor = min(1.0, 0.6 / brightness)
    return "#" + "".join(f"{round(value * factor):02x}" for value in channels)


def modality_colour(name: str, index: int = 0) -> str:
    """The colour of a modality's curve."""
    return MODALITY_COLOURS.get(name.lower(), series_colour(index))


def modality_title(name: str) -> str:
    """What a modality is called: ``t2f`` -> ``T2-FLAIR``; names that the table lacks as they are, not yet ``plain``."""
    return MODALITY_TITLES.get(name.lower(), name)


def modality_short(name: str) -> str:
    """A modality's name where there is little room: ``t1c`` -> ``T1c``."""
    return _SHORT.get(name.lower(), plain(name, 12))


def series_colour(index: int) -> str:
    """The colour of the n-th of several equal things: eight, the same paler, the same darker, and then anew."""
    grey, share = _SHADES[index // len(_SERIES) % len(_SHADES)]
    channels = rgb(_SERIES[index % len(_SERIES)])
    return "#" + "".join(f"{round(value * (1 - share) + grey * share):02x}" for value in channels)


def rgb(colour: str) -> tuple[int, int, int]:
    """``#rrggbb`` -> 0..255 three times."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def plain(text: str, limit: int = 60) -> str:
    """A name as a figure can print it.

    Dollar signs would start a formula, and what the built-in font has no shape for becomes a question mark; letters
    that come apart from their accents, as in names of files on a Mac, are one again; long names keep their ends, which
    are what tells cases apart. A space goes before an underscore, which would keep the name out of legends.
    """
    printable = _UNPRINTABLE.sub("?", unicodedata.normalize("NFC", text))
    if len(printable) > limit:
        keep = limit - 1
        printable = f"{printable[: keep // 3]}…{printable[-(keep - keep // 3) :]}"
    return no_formula(f"\u00a0{printable}" if printable.startswith("_") else printable)


def no_formula(text: str) -> str:
    """The text without dollar signs that would start a formula; those that are spelt out already stay so."""
    return _DOLLAR.sub(r"\\$", text)


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of ``width`` × ``height`` inches whose contents arrange themselves without overlap."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=DPI, facecolor=PAPER, layout="constrained")


def style_axes(axes: Axes, *, title: str = "", x: str = "", y: str = "", grid: str = "y") -> Axes:
    """Give axes the house look: title on the left, light grid along ``grid`` (``x``, ``y``, ``both`` or empty)."""
    axes.set_facecolor("none")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(LINE)
    axes.tick_params(which="both", colors=MUTED, labelsize=TICK_PT, length=3, width=0.8, color=LINE, labelcolor=MUTED)
    if grid == "x" or grid == "both":
        axes.xaxis.grid(True, color=GRID, linewidth=0.8)
    if grid == "y" or grid == "both":
        axes.yaxis.grid(True, color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    if title:
        axes.set_title(no_formula(title), loc="left", fontsize=TITLE_PT, color=INK, fontweight="bold", pad=9)
    if x:
        axes.set_xlabel(no_formula(x), fontsize=LABEL_PT, color=MUTED)
    if y:
        axes.set_ylabel(no_formula(y), fontsize=LABEL_PT, color=MUTED)
    return axes


LegendPlace = Literal["upper left", "upper right", "best", "above"]


def style_legend(axes: Axes, *, columns: int = 1, place: LegendPlace = "best") -> None:
    """A legend without a frame, in the house sizes; ``above`` is outside the axes, where it covers nothing.

    ``columns`` are the most; fewer where names are too long for the figure.
    """
    handles, names = axes.get_legend_handles_labels()
    axes.legend(
        handles=handles,
        frameon=False,
        fontsize=TICK_PT,
        labelcolor=INK,
        ncols=columns_that_fit(names, axes.figure.bbox.width / axes.figure.dpi, columns),
        loc="lower left" if place == "above" else place,
        bbox_to_anchor=(0.0, 1.0) if place == "above" else None,
        handlelength=1.4,
        borderaxespad=0.2,
        columnspacing=1.4,
    )


def columns_that_fit(names: Sequence[str], width: float, most: int, points: float = TICK_PT) -> int:
    """In how many columns, ``most`` at most, a legend stands in a figure of ``width`` inches."""
    for columns in range(min(most, len(names)), 1, -1):
        ends = [round(number * len(names) / columns) for number in range(columns + 1)]
        longest = [max(map(len, names[start:stop])) for start, stop in pairwise(ends)]
        if points * (0.6 * sum(longest) + 4 * columns) <= 0.92 * 72 * width:  # 4: the line, and what is beside it
            return columns
    return 1


def legend_height(names: Sequence[str], width: float, columns: int = 1) -> float:
    """Inches that ``style_legend`` takes above the axes of a figure of ``width`` inches."""
    return 1.6 * TICK_PT / 72 * -(-len(names) // columns_that_fit(names, width, columns))


def grouped(value: float) -> str:
    """A number on an axis: ``1,000,000``, ``0.00002``, ``−3``; a power of ten below ``1e-09`` alone."""
    words = f"{value:,.10f}".rstrip("0").rstrip(".") if abs(value) >= 1e-9 else f"{value:g}"
    return "0" if words == "-0" else words.replace("-", "−")


def grouped_ticks(axis: Axis) -> None:
    """Write the numbers of an axis as ``grouped`` does."""
    from matplotlib.ticker import FuncFormatter

    axis.set_major_formatter(FuncFormatter(lambda value, _: grouped(value)))


def log_ticks(axis: Axis, low: float, high: float) -> None:
    """Numbers that people read on a logarithmic axis from ``low`` to ``high``, at least 2.5 times as much.

    There are two or more: one alone would not say how far apart the lines are.
    """
    from matplotlib.ticker import LogLocator, NullFormatter

    wide = high / low
    steps = (1.0, 1.5, 2.0, 3.0, 5.0, 7.0) if wide < 5 else (1.0, 2.0, 5.0) if wide < 30 else (1.0, 3.0)
    axis.set_major_locator(LogLocator(10, subs=steps if wide < 200 else (1.0,), numticks=12))
    axis.set_minor_formatter(NullFormatter())
    grouped_ticks(axis)


def number(value: float) -> str:
    """A figure in three significant digits as people write it: ``0.0123``, ``4.57``, ``18,000``."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    digits = 2 - math.floor(math.log10(abs(value)))
    return f"{round(value, digits):,.{max(digits, 0)}f}"

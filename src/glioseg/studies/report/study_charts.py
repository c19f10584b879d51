"""Charts of a study: intervals by row, patients from row to row, published beside obtained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from glioseg.report import style

Floats = npt.NDArray[np.float64]
MOST_LINES = 200
"""Patients that are drawn one by one."""


@dataclass(frozen=True)
class Bar:
    """One row's figure in a panel.

    Args:
        row: its name.
        mean: over cases; None where there is none.
        median: likewise.
        interval: of the mean.
        mark: what is said behind the interval, such as a p value.
    """

    row: str
    mean: float | None
    median: float | None
    interval: tuple[float, float] | None
    mark: str = ""


@dataclass(frozen=True, eq=False)
class Lines:
    """Patients from row to row in one panel.

    Args:
        title: of the panel.
        rows: names, from left to right.
        values: (patients, rows), NaN where a row has not scored a patient.
    """

    title: str
    rows: tuple[str, ...]
    values: Floats


@dataclass(frozen=True)
class Pair:
    """A published figure and the one that was obtained.

    Args:
        label: row, part, metric and region.
        published: by the authors.
        obtained: None where it is undefined.
        comparable: whether they may be read against each other.
    """

    label: str
    published: float
    obtained: float | None
    comparable: bool


def intervals(panels: Sequence[tuple[str, Sequence[Bar]]], *, x: str, across: int) -> Figure:
    """A panel for each (title, bars), ``across`` beside each other: mean as a dot with interval, median as a stroke."""
    n_rows = max(len(bars) for _, bars in panels)
    across = len(panels) if len(panels) <= 3 else min(max(across, 1), 3)
    down = -(-len(panels) // across)
    figure = style.new_figure(style.FULL_WIDTH, down * (0.9 + 0.5 * n_rows))
    shared: Axes | None = None
    for number, (title, bars) in enumerate(panels):
        axes = figure.add_subplot(down, across, number + 1, sharex=shared)
        shared = shared or axes
        style.style_axes(axes, title=style.plain(title, 40), x=x, grid="x")
        for place, bar in enumerate(bars):
            _bar(axes, place, bar)
        axes.set_yticks(range(len(bars)), [style.plain(bar.row, 28) for bar in bars], fontsize=style.LABEL_PT)
        if number % across:
            axes.tick_params(axis="y", labelleft=False)
        axes.set_ylim(n_rows - 0.4, -0.6)
        axes.xaxis.set_major_locator(MaxNLocator(6))
    return figure


def _bar(axes: Axes, place: int, bar: Bar) -> None:
    colour = style.NEUTRAL if place == 0 else style.ACCENT
    ink = style.INK if place == 0 else style.ACCENT
    if bar.interval is not None:
        axes.plot(bar.interval, (place, place), color=colour, linewidth=4, solid_capstyle="round", alpha=0.55)
    if bar.median is not None:
        axes.plot(bar.median, place, "|", color=ink, markersize=13, markeredgewidth=1.6)
    if bar.mean is not None:
        axes.plot(bar.mean, place, "o", color=ink, markersize=6.5)
        if bar.mark:
            axes.annotate(
                bar.mark,
                (bar.mean, place),
                (0, 8),
                textcoords="offset points",
                ha="center",
                fontsize=style.TICK_PT - 0.5,
                color=style.MUTED,
            )


def patient_lines(panels: Sequence[Lines], *, y: str, bounded: bool = True) -> Figure:
    """Each patient a line through the rows, with the mean of those whom every row has scored.

    Args:
        panels: to be drawn, two beside each other.
        y: what is drawn.
        bounded: whether it lies between 0 and 1, as the axis then does.
    """
    across = min(len(panels), 2)
    down = -(-len(panels) // across)
    figure = style.new_figure(style.FULL_WIDTH, 3.6 * down)
    for number, panel in enumerate(panels):
        axes = figure.add_subplot(down, across, number + 1)
        style.style_axes(axes, title=style.plain(panel.title, 40), y=y, grid="y")
        places = np.arange(len(panel.rows))
        for values in panel.values[:MOST_LINES]:
            axes.plot(places, values, "-o", color=style.ACCENT, alpha=0.35, linewidth=1, markersize=3.5)
        whole = panel.values[~np.isnan(panel.values).any(axis=1)]
        if len(whole):
            axes.plot(places, whole.mean(axis=0), "-D", color=style.INK, linewidth=2, markersize=5.5)
        names = [style.plain(name, 22) for name in panel.rows]
        slanted = sum(len(name) for name in names) > 50
        axes.set_xticks(
            places, names, fontsize=style.TICK_PT, rotation=25 if slanted else 0, ha="right" if slanted else "center"
        )
        axes.set_xlim(-0.4, len(panel.rows) - 0.6)
        if bounded:
            axes.set_ylim(-0.03, 1.03)
    return figure


def published(pairs: Sequence[Pair]) -> Figure:
    """Published (hollow) and obtained (filled) on one line each; grey where they are not comparable."""
    figure = style.new_figure(style.FULL_WIDTH, 0.9 + 0.36 * len(pairs))
    axes = style.style_axes(figure.add_subplot(), grid="x")
    for place, pair in enumerate(pairs):
        colour = style.ACCENT if pair.comparable else style.NEUTRAL
        if pair.obtained is not None:
            axes.plot((pair.published, pair.obtained), (place, place), color=colour, linewidth=1.6, zorder=1)
            axes.plot(pair.obtained, place, "o", color=colour, markersize=8, zorder=2)
        axes.plot(pair.published, place, "o", color=style.INK, markerfacecolor=style.PAPER, markersize=8, zorder=3)
    axes.set_yticks(range(len(pairs)), [style.plain(pair.label, 84) for pair in pairs], fontsize=style.LABEL_PT)
    axes.set_ylim(len(pairs) - 0.4, -0.6)
    low = min(min(pair.published, pair.published if pair.obtained is None else pair.obtained) for pair in pairs)
    axes.set_xlim(max(-0.02, low - 0.1), 1.02)
    return figure

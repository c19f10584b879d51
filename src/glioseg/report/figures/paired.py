"""Runs side by side on the same patients: a dot per patient and run, and the differences of every pair of runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from glioseg.report import style

Floats = npt.NDArray[np.float64]
MOST_ROWS = 15
"""Pairs that are drawn; tables hold all."""
_MOST_WRITTEN = 6
"""Runs beside whose means there is room for the number."""


@dataclass(frozen=True, eq=False)
class Paired:
    """A metric of a region.

    Args:
        metric: its name in words.
        values: run -> (P,) by patient, in the same order for all; NaN where a patient has none.
        means: run -> its mean over cases and the interval of that, as the tables state them.
        digits: decimals of the means that are written.
    """

    metric: str
    values: Mapping[str, Floats]
    means: Mapping[str, tuple[float | None, tuple[float, float] | None]]
    digits: int = 3


@dataclass(frozen=True, eq=False)
class Difference:
    """Two runs, first minus second.

    Args:
        first: a run,
        second: and the one that is taken from it.
        values: (P,) by patient, NaN where either run has none.
        mean: over patients.
        interval: of the mean.
    """

    first: str
    second: str
    values: Floats
    mean: float | None
    interval: tuple[float, float] | None


def paired_dots(runs: Paired) -> Figure:
    """A column of dots for each run, lines between the dots of a patient, and the mean with its interval beside.

    Means of few runs are written too.
    """
    names = list(runs.values)
    figure = style.new_figure(style.HALF_WIDTH, 4.0)
    axes = style.style_axes(figure.add_subplot(), y=runs.metric)
    table = np.stack([runs.values[name] for name in names])
    axes.plot(np.arange(len(names)), table, color=style.LINE, linewidth=0.7, zorder=1)
    for place, name in enumerate(names):
        colour = style.series_colour(place)
        known = table[place][~np.isnan(table[place])]
        axes.plot(np.full(known.size, place), known, "o", color=colour, markersize=4, alpha=0.65, zorder=2)
        mean, interval = runs.means[name]
        if mean is not None:
            if interval is not None:
                axes.plot([place + 0.18] * 2, interval, color=style.INK, linewidth=1.6, zorder=3)
            axes.plot(place + 0.18, mean, "D", color=style.INK, markersize=5, zorder=4)
        if mean is not None and len(names) <= _MOST_WRITTEN:
            axes.annotate(
                f"{mean:.{runs.digits}f}",
                (place + 0.18, mean),
                (7, 0),
                textcoords="offset points",
                va="center",
                fontsize=style.TICK_PT,
                color=style.INK,
            )
    axes.set_xlim(-0.35, len(names) - 0.35)
    turned = max(map(len, names)) * len(names) > 48
    axes.set_xticks(
        range(len(names)),
        [style.plain(name, 28) for name in names],
        rotation=25 if turned else 0,
        ha="right" if turned else "center",
    )
    return figure


def differences(pairs: Sequence[Difference], metric: str) -> Figure:
    """A row for each pair of runs: a dot per patient, the mean with its interval below, and a line at no difference.

    Of more than ``MOST_ROWS`` pairs the first are drawn.
    """
    rows = list(pairs)[:MOST_ROWS]
    figure = style.new_figure(style.HALF_WIDTH, max(2.2, 1.1 + 0.75 * len(rows)))
    axes = style.style_axes(figure.add_subplot(), x=f"difference in {metric}, by patient", grid="x")
    axes.axvline(0.0, color=style.MUTED, linewidth=1.0, zorder=1)
    for place, row in enumerate(rows):
        known = np.sort(row.values[~np.isnan(row.values)])
        # neighbours in value are moved apart, up and down in turn, so that equal ones can be counted
        axes.plot(
            known, place - 0.14 * _spread(known.size), "o", color=style.ACCENT, markersize=4, alpha=0.65, zorder=2
        )
        if row.mean is not None:
            if row.interval is not None:
                axes.plot(row.interval, [place + 0.28] * 2, color=style.POSITIVE, linewidth=1.8, zorder=3)
            axes.plot(row.mean, place + 0.28, "D", color=style.POSITIVE, markersize=5, zorder=4)
    axes.set_yticks(range(len(rows)), [_minus(row) for row in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    return figure


def _minus(row: Difference) -> str:
    """``a − b``; long names are shortened, both alike."""
    return f"{style.plain(row.first, 19)} − {style.plain(row.second, 19)}"


def _spread(n: int) -> Floats:
    """-1, 0, 1, 0 in turn."""
    return np.array([-1.0, 0.0, 1.0, 0.0], dtype=np.float64)[np.arange(n) % 4]

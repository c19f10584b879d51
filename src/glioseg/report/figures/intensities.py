"""Charts of intensities: distributions raw and normalised, per patient, between modalities; and of dark slices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator

from glioseg.cohorts.description import DarkRow
from glioseg.cohorts.summary import QUANTILES, CaseSummary, Distribution, Histogram
from glioseg.report import style

Spread = npt.NDArray[np.float64]
"""(places, len(QUANTILES)), the quantiles at each place."""

_MOST_BARS = 90
_UNKNOWN = "no reference"
_N_SHARES = 50
"""Bins of shares of slices."""
_ENDS = (QUANTILES.index(0.01), QUANTILES.index(0.99))
_BOX = (QUANTILES.index(0.25), QUANTILES.index(0.75))
_MEDIAN = QUANTILES.index(0.5)


def distributions(raw: Mapping[str, Histogram], normalised: Mapping[str, Histogram]) -> Figure:
    """Each modality's raw intensities on an axis of its own, then all of them as z-scores on one."""
    across, last = 3, len(raw)
    down = last // across + 1
    figure = style.new_figure(style.FULL_WIDTH, 2.7 * down)
    grid = figure.add_gridspec(down, across)
    for number, (name, histogram) in enumerate(raw.items()):
        axes = figure.add_subplot(grid[number // across, number % across])
        style.style_axes(axes, title=_title(name), x="raw intensity", grid="x")
        _curve(axes, histogram, style.modality_colour(name, number), filled=True)
        axes.set_xlim(histogram.low, _upper_end(histogram))
        _limit_height(axes, [histogram])
        axes.xaxis.set_major_locator(MaxNLocator(5))
    axes = figure.add_subplot(grid[last // across, last % across :])
    style.style_axes(axes, title="Normalised", x="z-score over the brain", grid="x")
    for number, (name, histogram) in enumerate(normalised.items()):
        _curve(axes, histogram, style.modality_colour(name, number), filled=False, label=_title(name))
    axes.set_xlim(-4, 5)
    _limit_height(axes, list(normalised.values()))
    if len(normalised) > 1:
        style.style_legend(axes, place="upper right")
    for panel in figure.axes:
        panel.set_yticks([])
        panel.spines["left"].set_visible(False)
    return figure


def _title(name: str) -> str:
    """A modality's name where there is room for a panel's title."""
    return style.plain(style.modality_title(name), 30)


def _curve(axes: Axes, histogram: Histogram, colour: str, *, filled: bool, label: str = "") -> None:
    """One density; the outermost bins, which hold all that lies beyond the edges, are not drawn."""
    centres, density = histogram.centres[1:-1], histogram.density[1:-1]
    if filled:
        axes.fill_between(centres, density, color=colour, alpha=0.22, linewidth=0)
    axes.plot(centres, density, color=colour, linewidth=1.5, label=label or None)


def _limit_height(axes: Axes, curves: Sequence[Histogram]) -> None:
    """Cut off a peak (of air, say) that would flatten everything else, and say so with an arrow."""
    highest, usual = 0.0, 0.0
    for curve in curves:
        density = curve.density[1:-1]
        share = np.cumsum(curve.counts)[1:-1] / max(float(curve.counts.sum()), 1e-300)
        inner = density[(share > 0.005) & (share < 0.995)]
        highest = max(highest, float(density.max(initial=0.0)))
        usual = max(usual, 3.0 * float(np.percentile(inner, 80)) if inner.size else 0.0)
    top = usual if 0 < usual < highest else highest or 1.0
    axes.set_ylim(0, top * 1.08)
    if top < highest:
        peak = max(curves, key=lambda curve: float(curve.density[1:-1].max(initial=0.0)))
        place = float(peak.centres[1 + int(np.argmax(peak.density[1:-1]))])
        axes.annotate(
            "↑", (place, top), (7, 0), textcoords="offset points", fontsize=style.LABEL_PT, color=style.INK, va="center"
        )


def _upper_end(histogram: Histogram) -> float:
    """Where 99.9 % of the counts lie below, so that a few bright voxels do not squeeze the rest."""
    share = np.cumsum(histogram.counts) / max(float(histogram.counts.sum()), 1e-300)
    place = int(np.searchsorted(share, 0.999))
    return float(histogram.edges[min(place + 1, len(histogram.counts))])


def by_patient(cases: Sequence[CaseSummary], modalities: Sequence[str]) -> Figure:
    """Each case's intensities, raw and as z-scores: median, middle half, and 1st to 99th percentile, sorted by median.

    Raw MRI has no unit: the left column shows how far scanners disagree, the right one what normalisation leaves of it.
    """
    figure = style.new_figure(style.FULL_WIDTH, 2.3 * len(modalities) + 0.5)
    for row, name in enumerate(modalities):
        distributions = [case.modalities[name] for case in cases if name in case.modalities]
        distributions = sorted(
            (case for case in distributions if case.n_voxels), key=lambda case: case.quantiles[_MEDIAN]
        )
        colour = style.modality_colour(name, row)
        for column, (words, table) in enumerate(
            (("raw", _raw(distributions)), ("z-score over the brain", _scores(distributions)))
        ):
            axes = style.style_axes(figure.add_subplot(len(modalities), 2, 2 * row + column + 1))
            axes.set_title(f"{_title(name)}, {words}", loc="left", fontsize=style.LABEL_PT + 0.5, color=style.INK)
            _spread(axes, table, colour)
            if row == len(modalities) - 1:
                axes.set_xlabel("cases, sorted by raw median", fontsize=style.LABEL_PT, color=style.MUTED)
    return figure


def _raw(distributions: Sequence[Distribution]) -> npt.NDArray[np.float64]:
    return np.asarray([case.quantiles for case in distributions], dtype=np.float64).reshape(
        len(distributions), len(QUANTILES)
    )


def _scores(distributions: Sequence[Distribution]) -> npt.NDArray[np.float64]:
    """Quantiles are carried along by the affine z-score; a constant modality has no spread to divide by."""
    shift = np.asarray([case.mean for case in distributions])[:, None]
    scale = np.asarray([case.std if case.std > 0 else 1.0 for case in distributions])[:, None]
    scores: npt.NDArray[np.float64] = (_raw(distributions) - shift) / scale
    return scores


def _spread(axes: Axes, table: npt.NDArray[np.float64], colour: str) -> None:
    """Rows of quantiles as bars, or as bands where there are too many to tell bars apart."""
    places = np.arange(len(table))
    low, high = table[:, _ENDS[0]], table[:, _ENDS[1]]
    first, third, middle = table[:, _BOX[0]], table[:, _BOX[1]], table[:, _MEDIAN]
    if len(table) <= _MOST_BARS:
        thick = float(np.clip(260 / max(len(table), 1), 2.0, 14.0))
        axes.vlines(places, low, high, color=colour, alpha=0.4, linewidth=1.0)
        axes.vlines(places, first, third, color=colour, alpha=0.75, linewidth=thick)
        axes.plot(places, middle, "_", color=style.INK, markersize=thick + 1.5, markeredgewidth=1.2)
    else:
        axes.fill_between(places, low, high, color=colour, alpha=0.18, linewidth=0)
        axes.fill_between(places, first, third, color=colour, alpha=0.5, linewidth=0)
        axes.plot(places, middle, color=style.INK, linewidth=1.0)
    axes.set_xlim(-1, max(len(table), 1))
    axes.set_xticks([])


def by_slice(spreads: Mapping[str, Spread], ends: tuple[str, str]) -> Figure:
    """Each modality's raw intensities along the slices: median, middle half, and 1st to 99th percentile.

    Args:
        spreads: modality -> quantiles at places that are evenly spaced from the first slice to the last.
        ends: what the first slice is, and the last, such as ``inferior`` and ``superior``.
    """
    across = min(len(spreads), 2)
    down = -(-len(spreads) // max(across, 1))
    figure = style.new_figure(style.FULL_WIDTH, 2.5 * down + 0.5)
    for number, (name, table) in enumerate(spreads.items()):
        axes = figure.add_subplot(down, across, number + 1)
        style.style_axes(
            axes,
            title=_title(name),
            x=f"slice position (%), {ends[0]} to {ends[1]}",
            y="raw intensity (file units)",
        )
        colour = style.modality_colour(name, number)
        places = (np.arange(len(table)) + 0.5) * 100 / len(table)
        for (low, high), alpha in ((_ENDS, 0.18), (_BOX, 0.5)):
            axes.fill_between(places, table[:, low], table[:, high], color=colour, alpha=alpha, linewidth=0)
        axes.plot(places, table[:, _MEDIAN], color=style.INK, linewidth=1.4)
        axes.set_xlim(0, 100)
    return figure


def correlation(matrix: npt.NDArray[np.float64], modalities: Sequence[str]) -> Figure:
    """Pearson's r between modalities as a matrix of colours and numbers; a dash where no case has both."""
    count = len(modalities)
    figure = style.new_figure(2.4 + 0.95 * count, 1.5 + 0.85 * count)
    axes = figure.add_subplot()
    tiles = axes.imshow(np.ma.masked_invalid(matrix), cmap="RdBu_r", vmin=-1, vmax=1)
    axes.set_facecolor(style.GRID)
    names = [style.modality_short(name) for name in modalities]
    axes.set_xticks(range(count), names, fontsize=style.TICK_PT)
    axes.set_yticks(range(count), names, fontsize=style.TICK_PT)
    axes.tick_params(length=0, labelcolor=style.INK)
    axes.set_xticks(np.arange(-0.5, count), minor=True)
    axes.set_yticks(np.arange(-0.5, count), minor=True)
    axes.grid(which="minor", color=style.PAPER, linewidth=2)
    axes.tick_params(which="minor", length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    for row in range(count):
        for column in range(count):
            value = float(matrix[row, column])
            words = f"{value:.2f}" if np.isfinite(value) else "–"
            ink = "#ffffff" if np.isfinite(value) and abs(value) > 0.6 else style.INK
            axes.text(column, row, words, ha="center", va="center", fontsize=style.LABEL_PT + 1, color=ink)
    bar = figure.colorbar(tiles, ax=axes, shrink=0.8, aspect=18, ticks=[-1, -0.5, 0, 0.5, 1])
    bar.set_label("Pearson's r", fontsize=style.LABEL_PT, color=style.MUTED)
    bar.ax.tick_params(labelsize=style.TICK_PT, colors=style.MUTED)
    bar.outline.set_visible(False)
    return figure


def dark_shares(
    with_tumour: npt.NDArray[np.floating],
    without: npt.NDArray[np.floating],
    unknown: npt.NDArray[np.floating],
    threshold: float,
) -> Figure:
    """How many slices show how much: histogram of the share of non-black values, with the filter's threshold.

    The counts are on a logarithmic axis, since the few slices that the filter removes are what matters.
    """
    figure = style.new_figure(style.HALF_WIDTH, 3.4)
    axes = style.style_axes(figure.add_subplot(), x="non-black values of the slice", y="slices")
    parts = (
        ("with tumour", with_tumour, style.POSITIVE),
        ("without", without, style.NEGATIVE),
        (_UNKNOWN, unknown, style.NEUTRAL),
    )
    groups = [
        (name, values[np.isfinite(values)], colour) for name, values, colour in parts if np.isfinite(values).any()
    ]
    if groups:
        axes.hist(
            [values for _, values, _ in groups],
            bins=np.linspace(0, 1, _N_SHARES + 1).tolist(),
            stacked=True,
            color=[colour for _, _, colour in groups],
            label=[name for name, _, _ in groups],
        )
        if groups[-1][0] == _UNKNOWN:
            _hatch(axes.patches[-_N_SHARES:])
    axes.axvline(
        threshold, color=style.INK, linewidth=1.2, linestyle="--", label=f"removed below {100 * threshold:.3g} %"
    )
    axes.set_yscale("symlog", linthresh=1)
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:.0f} %"))
    axes.set_xlim(0, 1)
    style.style_legend(axes, columns=4, place="above")
    return figure


def _hatch(bars: Sequence[Patch]) -> None:
    """Tell the grey of what is not known from that of slices without tumour."""
    for bar in bars:
        bar.set(hatch="//", edgecolor=style.PAPER, linewidth=0)


def dark_filter(rows: Sequence[DarkRow], threshold: float) -> Figure:
    """How many slices filters of several thresholds remove, with and without tumour; the one in use is framed."""
    figure = style.new_figure(style.HALF_WIDTH, 3.4)
    axes = style.style_axes(
        figure.add_subplot(),
        x="threshold (share of non-black values)",
        y="slices removed",
    )
    places = range(len(rows))
    unknown = [row.n_removed - row.n_positive - row.n_negative for row in rows]
    positive = [row.n_positive for row in rows]
    negative = [row.n_negative for row in rows]
    axes.bar(places, positive, color=style.POSITIVE, width=0.66, label="with tumour")
    axes.bar(places, negative, bottom=positive, color=style.NEGATIVE, width=0.66, label="without")
    if any(unknown):
        under = np.add(positive, negative).tolist()
        _hatch(axes.bar(places, unknown, bottom=under, color=style.NEUTRAL, width=0.66, label=_UNKNOWN).patches)
    highest = max([row.n_removed for row in rows], default=0) or 1
    for place, row in enumerate(rows):
        used = row.threshold == threshold
        axes.text(
            place,
            row.n_removed + 0.02 * highest,
            f"{row.n_removed:,}",
            ha="center",
            va="bottom",
            fontsize=style.TICK_PT,
            color=style.INK,
            fontweight="bold" if used else "normal",
        )
    names = [f"{100 * row.threshold:.3g} %" + ("\nin use" if row.threshold == threshold else "") for row in rows]
    axes.set_xticks(places, names)
    axes.set_ylim(0, highest * 1.2)
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    style.style_legend(axes, columns=3, place="above")
    return figure

"""Charts of what a cohort holds: diagnoses, classes, tumour sizes and places, rarity, facts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from glioseg.cohorts.description import Diagnoses, FactColumn
from glioseg.cohorts.summary import HeatMap
from glioseg.report import style

MOST_FACTS = 12
_MOST_VALUES = 12
_MOST_TICKS = 2000
_LEGEND_COLUMNS = 4
_LETTERS = {"right": ("R", "L"), "anterior": ("A", "P"), "superior": ("S", "I")}


def diagnoses(counts: Diagnoses) -> Figure:
    """Slices and patients with and without tumour, as shares of all and in numbers."""
    figure = style.new_figure(style.HALF_WIDTH, 2.7)
    axes = style.style_axes(figure.add_subplot(), grid="")
    rows = (
        ("Patients", counts.positive_patients, counts.negative_patients),
        ("Slices", counts.positive_slices, counts.negative_slices),
    )
    for place, (_, positive, negative) in enumerate(rows):
        total = max(positive + negative, 1)
        shares = (100 * positive / total, 100 * negative / total)
        axes.barh(place, shares[0], color=style.POSITIVE, height=0.56, label="with tumour" if place == 0 else None)
        axes.barh(
            place, shares[1], left=shares[0], color=style.NEGATIVE, height=0.56, label="without" if place == 0 else None
        )
        for share, start, number, ink in (
            (shares[0], 0.0, positive, "#ffffff"),
            (shares[1], shares[0], negative, style.INK),
        ):
            if share > 0:
                _inside_bar(axes, place, start, share, f"{number:,} ({_percent(share)})", ink)
    axes.set_yticks(range(len(rows)), [row[0] for row in rows], fontsize=style.LABEL_PT)
    axes.set(xlim=(0, 100), ylim=(-0.5, 1.5))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0f} %"))
    style.style_legend(axes, columns=2, place="above")
    return figure


def _percent(share: float) -> str:
    """A share in 0..100 in whole numbers; never 0 or 100 % unless it is."""
    if 0 < share < 0.5:
        return "< 1 %"
    return "> 99 %" if 99.5 <= share < 100 else f"{share:.0f} %"


def _inside_bar(axes: Axes, place: float, start: float, length: float, words: str, ink: str) -> None:
    """A bar's number in its middle where it fits, else beside it."""
    if length >= 3.1 * len(words) / 1.6:
        axes.text(start + length / 2, place, words, ha="center", va="center", fontsize=style.LABEL_PT, color=ink)
    elif start == 0:
        axes.text(length + 1, place, words, ha="left", va="center", fontsize=style.LABEL_PT, color=style.INK)
    else:
        axes.text(start - 1, place, words, ha="right", va="center", fontsize=style.LABEL_PT, color="#ffffff")


def bars(
    values: Mapping[str, float],
    *,
    x: str,
    colours: Sequence[str] = (),
    written: Sequence[str] = (),
    log: bool = False,
) -> Figure:
    """Horizontal bars, the first on top, each with its number written at its end.

    Args:
        values: name -> length; at least one.
        x: what the lengths are.
        colours: one per bar; one colour for all unless given.
        written: what is written at the ends; the numbers unless given.
        log: logarithmic lengths; bars of 0 stay empty.
    """
    names = list(values)
    lengths = np.asarray([values[name] for name in names], dtype=np.float64)
    figure = style.new_figure(style.HALF_WIDTH, 1.3 + 0.36 * max(len(names), 3))
    axes = style.style_axes(figure.add_subplot(), x=x, grid="x")
    low = 10.0 ** np.floor(np.log10(lengths[lengths > 0].min()) - 0.3) if log and (lengths > 0).any() else 0.0
    axes.barh(
        range(len(names)), np.maximum(lengths - low, 0), left=low, height=0.62, color=list(colours) or style.ACCENT
    )
    axes.set_yticks(range(len(names)), [style.plain(name, 36) for name in names], fontsize=style.LABEL_PT)
    axes.invert_yaxis()
    highest = float(lengths.max(initial=0)) or 1.0
    if low > 0:
        axes.set_xscale("log")
        axes.set_xlim(low, highest * (highest / low) ** 0.32)
        powers = np.arange(np.ceil(np.log10(low)), np.floor(np.log10(highest)) + 1.01)
        axes.set_xticks([float(10.0**power) for power in powers if 10.0**power <= highest * 2])
        axes.minorticks_off()
    else:
        axes.set_xlim(0, highest * 1.3)
        axes.xaxis.set_major_locator(MaxNLocator(4))
    style.grouped_ticks(axes.xaxis)
    for place, length in enumerate(lengths):
        words = written[place] if written else f"{length:,.0f}"
        axes.annotate(
            words,
            (max(length, low), place),
            (5, 0),
            textcoords="offset points",
            va="center",
            fontsize=style.TICK_PT,
            color=style.INK,
        )
    return figure


def sizes(values: Sequence[float], *, x: str, y: str = "cases", unit: str = "") -> Figure:
    """How big tumours are: a histogram on a logarithmic axis, the median as a line, each value as a tick.

    Values of 0 have no logarithm and are left out; the caption has to say so.
    """
    positive = np.asarray([value for value in values if value > 0], dtype=np.float64)
    figure = style.new_figure(style.HALF_WIDTH, 3.4)
    axes = style.style_axes(figure.add_subplot(), x=x, y=y)
    low, high = (positive.min() / 1.6, positive.max() * 1.6) if positive.size else (0.1, 10.0)
    n_bins = int(np.clip(np.sqrt(positive.size) * 2, 6, 40))
    counts, _, _ = axes.hist(
        positive, bins=np.geomspace(low, high, n_bins + 1).tolist(), color=style.ACCENT_SOFT, edgecolor=style.PAPER
    )
    top = float(np.max(counts)) if positive.size else 1.0
    if positive.size <= _MOST_TICKS:
        below = np.full(positive.size, -0.05 * top)
        axes.plot(positive, below, "|", color=style.ACCENT, markersize=7, markeredgewidth=0.9, clip_on=False)
    axes.set_xscale("log")
    axes.set_ylim(-0.1 * top, top * 1.18)
    style.log_ticks(axes.xaxis, *axes.get_xlim())
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    if positive.size:
        middle = float(np.median(positive))
        axes.axvline(middle, color=style.POSITIVE, linewidth=1.3)
        axes.annotate(
            f"median {style.number(middle)} {unit}".strip(),
            (middle, top * 1.12),
            (5 if middle < np.sqrt(low * high) else -5, 0),
            textcoords="offset points",
            ha="left" if middle < np.sqrt(low * high) else "right",
            fontsize=style.TICK_PT,
            color=style.POSITIVE,
        )
    return figure


FEWEST_FOR_QUARTERS = 4
"""Cases of which a middle half can be spoken; of fewer the dots are all there is to say."""


def region_sizes(values: Mapping[str, Sequence[float]], colours: Mapping[str, str], *, x: str) -> Figure:
    """The size of each region in every case: a dot per case, a bar over the middle half, the median.

    Args:
        values: region -> sizes; those of 0 are left out.
        colours: region -> colour.
        x: what the sizes are.
    """
    names = list(values)
    figure = style.new_figure(style.FULL_WIDTH, 1.2 + 0.55 * len(names))
    axes = style.style_axes(figure.add_subplot(), x=x, grid="x")
    for place, name in enumerate(names):
        positive = np.asarray([value for value in values[name] if value > 0], dtype=np.float64)
        if not positive.size:
            continue
        colour = colours[name]
        # golden-ratio steps spread the dots evenly and the same way each time
        spread = 0.34 * ((np.arange(positive.size) * 0.618034) % 1.0 - 0.5)
        size = 4 if positive.size > 40 else 6
        axes.plot(positive, place - 0.08 + spread, "o", color=colour, alpha=0.7, markersize=size, markeredgewidth=0)
        first, middle, third = np.percentile(positive, (25, 50, 75))
        if positive.size >= FEWEST_FOR_QUARTERS:
            axes.plot((first, third), (place + 0.3, place + 0.3), color=style.INK, linewidth=2.4, solid_capstyle="butt")
        axes.plot(
            middle, place + 0.3, "o", color=style.PAPER, markeredgecolor=style.INK, markersize=5.5, markeredgewidth=1.4
        )
    axes.set_xscale("log")
    low, high = axes.get_xlim()
    axes.set_xlim(low / 1.3, high * 1.3)
    style.log_ticks(axes.xaxis, *axes.get_xlim())
    axes.set_yticks(range(len(names)), [style.plain(name) for name in names], fontsize=style.LABEL_PT)
    axes.set_ylim(len(names) - 0.45, -0.5)
    return figure


def places(maps: Sequence[HeatMap]) -> Figure:
    """Where tumours are: the share of cases whose tumour projects onto each cell, all planes on one colour scale."""
    figure = style.new_figure(3.4 * len(maps) + 1.2, 3.7)
    highest = max(float(np.max(heat.values)) for heat in maps) or 1.0
    panels = []
    for number, heat in enumerate(maps):
        panel = figure.add_subplot(1, len(maps), number + 1)
        panels.append(panel)
        drawn = panel.imshow(100 * _oriented(heat), cmap="magma", vmin=0, vmax=100 * highest, interpolation="bilinear")
        panel.set_title(
            _place_title(heat.plane), loc="left", fontsize=style.TITLE_PT, color=style.INK, fontweight="bold"
        )
        panel.set(xticks=[], yticks=[])
        for spine in panel.spines.values():
            spine.set_color(style.LINE)
        _name_edges(panel, heat.axes)
    bar = figure.colorbar(drawn, ax=panels, shrink=0.85, pad=0.015, aspect=22)
    bar.set_label("cases with tumour here (%)", fontsize=style.LABEL_PT, color=style.MUTED)
    bar.ax.tick_params(labelsize=style.TICK_PT, colors=style.MUTED)
    bar.outline.set_edgecolor(style.LINE)
    return figure


def _place_title(plane: str) -> str:
    titles = {"picture": "Plane of the slices", "column-slice": "Columns and slices", "row-slice": "Rows and slices"}
    return titles.get(plane, plane.capitalize())


def _oriented(heat: HeatMap) -> npt.NDArray[np.float64]:
    """Cells as (rows, columns) for display: rows downwards and columns to the right as the views of scans have them."""
    rows_first = np.asarray(heat.values, dtype=np.float64).T
    columns, rows = heat.axes
    flip_columns = columns in _LETTERS
    flip_rows = rows in _LETTERS or rows == "slice"
    return rows_first[:: -1 if flip_rows else 1, :: -1 if flip_columns else 1]


def _name_edges(panel: Axes, names: tuple[str, str]) -> None:
    columns, rows = names
    if columns in _LETTERS and rows in _LETTERS:
        for letter, x, y in zip(
            (*_LETTERS[columns], *_LETTERS[rows]), (0.04, 0.96, 0.5, 0.5), (0.5, 0.5, 0.955, 0.045), strict=True
        ):
            panel.text(
                x,
                y,
                letter,
                transform=panel.transAxes,
                ha="center",
                va="center",
                color="#ffffff",
                fontsize=style.LABEL_PT,
            )
        return
    panel.set_xlabel(f"{columns} →", fontsize=style.LABEL_PT, color=style.MUTED)
    panel.set_ylabel("slice →" if rows == "slice" else f"← {rows}", fontsize=style.LABEL_PT, color=style.MUTED)


def facts(columns: Sequence[FactColumn]) -> Figure:
    """One small chart for each of the publisher's facts: histograms of measurements, bars of categories and codes."""
    drawn = list(columns)[:MOST_FACTS]
    across = 3 if len(drawn) > 2 else 2
    down = -(-len(drawn) // across)
    figure = style.new_figure(style.FULL_WIDTH, 2.3 * down)
    for number, column in enumerate(drawn):
        axes = figure.add_subplot(down, across, number + 1)
        values = list(column.values.values())
        measured = column.numeric and len(set(values)) > _MOST_VALUES
        worded = not measured and max(len(_value_words(value)) for value in values) > 4
        style.style_axes(axes, title=_fact_title(column.name), grid="x" if worded else "y")
        if measured:
            _measurements(axes, np.asarray(values, dtype=np.float64))
        else:
            _category_bars(axes, values, sideways=worded)
        (axes.xaxis if worded else axes.yaxis).set_major_locator(MaxNLocator(4, integer=True))
    return figure


def _fact_title(name: str) -> str:
    """``survival_days`` -> ``Survival days``; names with capitals of their own keep them."""
    words = style.plain(name.replace("_", " "), 34)
    return words.capitalize() if words.islower() else words


def _measurements(axes: Axes, numbers: npt.NDArray[np.float64]) -> None:
    n_bins = min(20, max(6, int(np.sqrt(numbers.size) * 1.5)))
    axes.hist(numbers, bins=n_bins, color=style.ACCENT_SOFT, edgecolor=style.PAPER)
    axes.axvline(float(np.median(numbers)), color=style.POSITIVE, linewidth=1.2)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    words = f"median {np.median(numbers):,.4g}, {numbers.size} cases"
    axes.set_xlabel(words, fontsize=style.TICK_PT, color=style.MUTED)


def _value_words(value: str | float) -> str:
    """A value with the digits that the table gives it."""
    return f"{value:.15g}" if isinstance(value, float) else str(value)


def _category_bars(axes: Axes, values: Sequence[str | float], *, sideways: bool) -> None:
    """The most frequent values, numbers in their own order; what is left as ``other``."""
    counts = Counter(values)
    most = sorted(counts, key=lambda value: (-counts[value], str(value)))[: _MOST_VALUES - 1]
    ordered = sorted(most, key=float) if all(isinstance(value, int | float) for value in most) else most
    names = [style.plain(_value_words(value), 22) for value in ordered]
    lengths = [counts[value] for value in ordered]
    rest = len(values) - sum(lengths)
    if rest:
        names, lengths = [*names, "other"], [*lengths, rest]
    if sideways:
        axes.barh(range(len(names)), lengths, color=style.ACCENT_SOFT, height=0.7)
        axes.set_ylim(-0.8, max(len(names), 4) - 0.2)
        axes.set_yticks(range(len(names)), names)
        axes.invert_yaxis()
    else:
        axes.bar(range(len(names)), lengths, color=style.ACCENT_SOFT, width=0.7)
        axes.set_xlim(-0.8, max(len(names), 4) - 0.2)
        axes.set_xticks(range(len(names)), names)
    axes.set_xlabel(f"{len(values)} cases", fontsize=style.TICK_PT, color=style.MUTED)


def picture_sizes(widths: Sequence[int], heights: Sequence[int], classes: Sequence[str]) -> Figure:
    """Width against height of every picture, coloured by class; bigger dots are several pictures of one size."""
    names = sorted(set(classes))
    words = [style.plain(name, 30) or "no class" for name in names]
    above = style.legend_height(words, style.HALF_WIDTH, _LEGEND_COLUMNS)
    figure = style.new_figure(style.HALF_WIDTH, 4.0 + above)
    axes = style.style_axes(figure.add_subplot(), x="width (pixels)", y="height (pixels)", grid="both")
    for number, name in enumerate(names):
        counts = Counter((w, h) for w, h, own in zip(widths, heights, classes, strict=True) if own == name)
        points = np.asarray(list(counts), dtype=np.float64)
        area = 16.0 * np.sqrt(np.asarray(list(counts.values()), dtype=np.float64))
        axes.scatter(
            points[:, 0],
            points[:, 1],
            s=area,
            color=style.series_colour(number),
            alpha=0.6,
            linewidth=0,
            label=words[number],
        )
    highest = 1.06 * max(max(widths), max(heights))
    axes.plot((0, highest), (0, highest), color=style.LINE, linewidth=1, zorder=0)
    axes.set(xlim=(0, highest), ylim=(0, highest), aspect="equal")
    if len(names) > 1:
        style.style_legend(axes, columns=_LEGEND_COLUMNS, place="above")
    return figure

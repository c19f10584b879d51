"""Charts of a classifier: confusion, ROC, precision over recall, reliability, scores by epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from glioseg.evaluation.reliability import Reliability
from glioseg.evaluation.score import Floats, Integers
from glioseg.report import style
from glioseg.report.figures.curves import Log, draw_series, own_series

_SCORES = ("accuracy", "balanced_accuracy", "auc")
_LETTERS_ABREAST = 44
"""Letters of all classes that stand beside each other below a confusion."""
_ROOM_PT = 60.0
"""Size of the numbers of a confusion of one class, were they to fill it as those of many do."""
_SMALLEST_PT = 5.0


def confusion(counts: Integers, names: Sequence[str]) -> Figure:
    """Items (K, K) by true class (rows) and class that was said (columns), coloured by their share of the row.

    The numbers are written where they can be read, which is up to twelve classes; beyond there is a scale of colours.
    """
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    words = [style.plain(name, 16) for name in names]
    n_letters = max(map(len, words), default=0)
    turned = n_letters * len(words) > _LETTERS_ABREAST
    figure = style.new_figure(style.HALF_WIDTH, 4.2 + (0.04 * n_letters if turned else 0.0))
    axes = style.style_axes(figure.add_subplot(), x="said", y="true class", grid="")
    tiles = axes.imshow(100 * shares, cmap="Blues", vmin=0, vmax=100, aspect="equal")
    points = min(style.TITLE_PT, _ROOM_PT / max(len(words), 1))
    are_written = points >= _SMALLEST_PT
    if not are_written:
        bar = figure.colorbar(tiles, ax=axes, shrink=0.8, aspect=24)
        bar.set_label("share of the true class (%)", fontsize=style.LABEL_PT, color=style.MUTED)
        bar.ax.tick_params(labelsize=style.TICK_PT, colors=style.MUTED)
        bar.outline.set_edgecolor(style.LINE)
    for (row, column), share in np.ndenumerate(shares) if are_written else ():
        colour = "white" if share > 0.55 else style.INK
        text = f"{counts[row, column]}\n{100 * share:.0f} %"
        axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=points)
    axes.set_xticks(
        range(len(words)), words, rotation=40 if turned else 0, ha="right" if turned else "center",
        rotation_mode="anchor" if turned else "default",
    )  # fmt: skip
    axes.set_yticks(range(len(words)), words)
    return figure


def roc(curves: Mapping[str, Floats], areas: Mapping[str, float | None]) -> Figure:
    """True over false positive rate, a curve per class; the diagonal is chance."""
    labels = _labels(curves, areas, "AUC")
    figure = style.new_figure(style.HALF_WIDTH, 3.8 + style.legend_height(labels, style.HALF_WIDTH))
    axes = style.style_axes(figure.add_subplot(), x="1 − specificity", y="recall (sensitivity)", grid="both")
    axes.plot((0, 1), (0, 1), color=style.NEUTRAL, linewidth=1, zorder=1)
    _curves(axes, curves, labels)
    return figure


def precision_recall(
    curves: Mapping[str, Floats],
    areas: Mapping[str, float | None],
    shares: Mapping[str, float],
) -> Figure:
    """Precision over recall, a curve per class; dotted the share of each class, which guessing reaches."""
    labels = _labels(curves, areas, "average precision")
    figure = style.new_figure(style.HALF_WIDTH, 3.8 + style.legend_height(labels, style.HALF_WIDTH))
    axes = style.style_axes(figure.add_subplot(), x="recall (sensitivity)", y="precision", grid="both")
    for number, name in enumerate(curves):
        axes.axhline(shares[name], color=_colour(number, len(curves)), linewidth=1, linestyle=":", zorder=1)
    _curves(axes, curves, labels)
    return figure


def reliability(bins: Reliability, *, x: str = "confidence", y: str = "share correct", items: str = "items") -> Figure:
    """Share that is right over confidence, in bins, with the number of items of each; on the diagonal both agree."""
    figure = style.new_figure(style.HALF_WIDTH, 4.2)
    axes, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    style.style_axes(axes, y=y, grid="both")
    style.style_axes(below, x=x, y=items, grid="")
    filled = bins.counts > 0
    n_bins = len(filled)
    axes.plot((0, 1), (0, 1), color=style.NEUTRAL, linewidth=1, zorder=1)
    across, up = bins.confidence[filled], bins.accuracy[filled]
    axes.vlines(across, np.minimum(across, up), np.maximum(across, up), color=style.POSITIVE, linewidth=3, alpha=0.5)
    axes.plot(across, up, "o-", color=style.ACCENT, linewidth=1.8, markersize=5)
    axes.set(xlim=(0, 1.02), ylim=(0, 1.02))
    below.bar((np.arange(n_bins) + 0.5) / n_bins, bins.counts, width=0.9 / n_bins, color=style.ACCENT_SOFT)
    if bins.counts.max() > 100 * bins.counts[filled].min():
        below.set_yscale("log")  # of voxels nearly all are background
    else:
        below.yaxis.set_major_locator(MaxNLocator(3, integer=True))
    return figure


def scores(log: Log, best_epoch: int | None) -> Figure:
    """Accuracy, balanced accuracy and AUC on validation by epoch."""
    figure = style.new_figure(style.HALF_WIDTH, 3.5)
    axes = style.style_axes(figure.add_subplot(), x="epoch", y="score on validation")
    for number, name in enumerate(_SCORES):
        words = name.replace("_", " ").replace("auc", "AUC")
        draw_series(axes, own_series(log, "classes", name), style.series_colour(number), words)
    if best_epoch is not None:
        axes.axvline(best_epoch + 1, color=style.POSITIVE, linewidth=1.0, linestyle=(0, (4, 3)), zorder=1)
    axes.set_ylim(0, 1.02)
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1))
    style.style_legend(axes, columns=3, place="above")
    return figure


def _labels(curves: Mapping[str, Floats], areas: Mapping[str, float | None], word: str) -> list[str]:
    """A line of the legend for each class: its name and the area under its curve."""
    known = [(style.plain(name, 18), areas.get(name)) for name in curves]
    return [f"{name}, {word} {'–' if area is None else f'{area:.3f}'}" for name, area in known]


def _curves(axes: Axes, curves: Mapping[str, Floats], labels: Sequence[str]) -> None:
    for number, (points, label) in enumerate(zip(curves.values(), labels, strict=True)):
        x, y = points.reshape(-1, 2).T
        axes.plot(x, y, color=_colour(number, len(curves)), linewidth=1.8, label=label)
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.02))
    if curves:
        style.style_legend(axes, place="above")


def _colour(number: int, n: int) -> str:
    return style.ACCENT if n == 1 else style.series_colour(number)

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
from glioseg.report.figures.curves import Log, own_series

_SCORES = ("accuracy", "balanced_accuracy", "auc")


def confusion(counts: Integers, names: Sequence[str]) -> Figure:
    """Items (K, K) by true class (rows) and class that was said (columns), coloured by their share of the row."""
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure = style.new_figure(style.HALF_WIDTH, 4.2)
    axes = style.style_axes(figure.add_subplot(), x="said", y="true class", grid="")
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="equal")
    for (row, column), share in np.ndenumerate(shares):
        colour = "white" if share > 0.55 else style.INK
        text = f"{counts[row, column]}\n{100 * share:.0f} %"
        axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=style.TITLE_PT)
    words = [style.plain(name, 16) for name in names]
    axes.set_xticks(range(len(words)), words)
    axes.set_yticks(range(len(words)), words)
    return figure


def roc(curves: Mapping[str, Floats], areas: Mapping[str, float | None]) -> Figure:
    """True over false positive rate, a curve per class; the diagonal is chance."""
    figure = style.new_figure(style.HALF_WIDTH, 4.2)
    axes = style.style_axes(figure.add_subplot(), x="1 − specificity", y="recall (sensitivity)", grid="both")
    axes.plot((0, 1), (0, 1), color=style.NEUTRAL, linewidth=1, zorder=1)
    _curves(axes, curves, areas, "AUC")
    return figure


def precision_recall(
    curves: Mapping[str, Floats],
    areas: Mapping[str, float | None],
    shares: Mapping[str, float],
) -> Figure:
    """Precision over recall, a curve per class; dotted the share of each class, which guessing reaches."""
    figure = style.new_figure(style.HALF_WIDTH, 4.2)
    axes = style.style_axes(figure.add_subplot(), x="recall (sensitivity)", y="precision", grid="both")
    for number, name in enumerate(curves):
        axes.axhline(shares[name], color=_colour(number, len(curves)), linewidth=1, linestyle=":", zorder=1)
    _curves(axes, curves, areas, "average precision")
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
        epochs, values = own_series(log, "classes", name)
        marker = "o" if epochs.size <= 25 else ""
        words = name.replace("_", " ").replace("auc", "AUC")
        colour = style.series_colour(number)
        axes.plot(epochs, values, color=colour, linewidth=1.8, marker=marker, markersize=3.5, label=words)
    if best_epoch is not None:
        axes.axvline(best_epoch + 1, color=style.POSITIVE, linewidth=1.0, linestyle=(0, (4, 3)), zorder=1)
    axes.set_ylim(0, 1.02)
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1))
    style.style_legend(axes, columns=3, place="above")
    return figure


def _curves(axes: Axes, curves: Mapping[str, Floats], areas: Mapping[str, float | None], word: str) -> None:
    for number, (name, points) in enumerate(curves.items()):
        x, y = points.reshape(-1, 2).T
        area = areas.get(name)
        label = f"{style.plain(name, 18)}, {word} {'–' if area is None else f'{area:.3f}'}"
        axes.plot(x, y, color=_colour(number, len(curves)), linewidth=1.8, label=label)
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.02))
    if curves:
        style.style_legend(axes, columns=1, place="above")


def _colour(number: int, n: int) -> str:
    return style.ACCENT if n == 1 else style.series_colour(number)

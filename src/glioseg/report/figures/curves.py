"""Curves of a training: losses, scores, regions, learning rate, each by epoch.

Epochs are counted from 1, as people do; a row of the log, which counts from 0, belongs to the end of its epoch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import Literal

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from glioseg.report import style
from glioseg.training.log import LogRow

Log = Sequence[LogRow]
Curve = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]
"""Epochs (N,) from 1 and values (N,)."""
Keep = Literal["best", "last"]
"""Which epoch's network is kept: the best on validation, or the last."""
_PICKS: Mapping[Keep, str] = {"best": "which picks the best model", "last": "which picks nothing here"}
DRAWN_METRICS = ("dice", "precision", "recall")
_FEW = 25
_WIDE_RANGE = 30.0


def series(log: Log, value_of: Callable[[LogRow], float | None]) -> Curve:
    """A figure by epoch, of those rows that have it."""
    values = ((row.epoch + 1.0, value_of(row)) for row in log)
    points = [(epoch, value) for epoch, value in values if value is not None]
    pairs = np.asarray(points, dtype=np.float64).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


def own_series(log: Log, *place: str) -> Curve:
    """One of the task's own figures by epoch, such as ``("regions", "WT", "dice")``."""
    return series(log, lambda row: row.figure(*place))


def losses(log: Log, best_epoch: int | None, keep: Keep = "best") -> Figure:
    """Training and validation loss; logarithmic where they span a wide range."""
    figure = style.new_figure(style.HALF_WIDTH, 3.5)
    axes = style.style_axes(figure.add_subplot(), x="epoch", y="loss")
    train, val = series(log, attrgetter("train_loss")), series(log, attrgetter("val_loss"))
    draw_series(axes, train, style.ACCENT, "training")
    draw_series(axes, val, style.POSITIVE, "validation")
    values = np.concatenate([train[1], val[1]])
    if values.size and values.min() > 0 and values.max() / values.min() > _WIDE_RANGE:
        axes.set_yscale("log")
    _finish(axes, log, best_epoch, keep)
    style.style_legend(axes, columns=2, place="above")
    return figure


def scores(log: Log, best_epoch: int | None, score: str, keep: Keep = "best") -> Figure:
    """The mean Dice over regions on validation, and the score that picks the best model where it is another one."""
    figure = style.new_figure(style.HALF_WIDTH, 3.5)
    axes = style.style_axes(figure.add_subplot(), x="epoch", y="score on validation")
    dice, picked = own_series(log, "val_dice"), series(log, attrgetter("val_score"))
    draw_series(axes, dice, style.ACCENT, "Dice, mean over regions")  # a classifier has none
    if picked[1].size and (score != "dice" or not dice[1].size):
        draw_series(axes, picked, style.series_colour(1), f"{style.plain(score)}, {_PICKS[keep]}")
    _share_axis(axes, np.concatenate([dice[1], picked[1]]))
    at_best = dice if score == "dice" and dice[1].size else picked
    here = np.flatnonzero(at_best[0] == (-1 if best_epoch is None else best_epoch + 1))
    if here.size:
        x, y = at_best[0][here[0]], at_best[1][here[0]]
        bottom, top = axes.get_ylim()
        share = (y - bottom) / (top - bottom)
        axes.plot(x, y, "o", color=style.POSITIVE, markersize=6, zorder=5)
        axes.annotate(
            f"{y:.3f}",
            (x, y),
            (0, 6 if share < 0.1 else -26 if share > 0.92 else -13),  # clear of the axis, and of what names the epoch
            textcoords="offset points",
            ha="center",
            fontsize=style.LABEL_PT,
            color=style.POSITIVE,
        )
    _finish(axes, log, best_epoch, keep)
    style.style_legend(axes, columns=1, place="above")
    return figure


def regions(log: Log, names: Sequence[str], best_epoch: int | None, keep: Keep = "best") -> Figure:
    """Dice, precision and recall on validation, one panel each, a curve per region."""
    figure = style.new_figure(style.FULL_WIDTH, 3.5)
    first: Axes | None = None
    places = [(name, metric) for name in names for metric in DRAWN_METRICS]  # one axis must hold them all
    for place, metric in enumerate(DRAWN_METRICS):
        axes = figure.add_subplot(1, len(DRAWN_METRICS), place + 1, sharey=first)
        first = first or axes
        title = {"dice": "Dice", "precision": "Precision", "recall": "Recall (sensitivity)"}[metric]
        style.style_axes(axes, title=title, x="epoch")
        for number, name in enumerate(names):
            curve = own_series(log, "regions", name, metric)
            colour = style.region_ink(name, number) if len(names) > 1 else style.ACCENT
            draw_series(axes, curve, colour, style.plain(name, 24))
        _finish(axes, log, best_epoch, keep, name_it=place == 0)
        if place == 0:
            _share_axis(axes, np.concatenate([own_series(log, "regions", *place)[1] for place in places]))
            if len(names) > 1:
                handles, labels = axes.get_legend_handles_labels()
                figure.legend(
                    handles,
                    labels,
                    loc="outside lower center",
                    ncols=style.columns_that_fit(labels, style.FULL_WIDTH, 8, style.LABEL_PT),
                    frameon=False,
                    fontsize=style.LABEL_PT,
                    labelcolor=style.INK,
                )
        else:
            axes.tick_params(labelleft=False)
    return figure


def learning_rate(log: Log, best_epoch: int | None, keep: Keep = "best") -> Figure:
    """The learning rate at the end of each epoch."""
    figure = style.new_figure(style.HALF_WIDTH, 3.0)
    axes = style.style_axes(figure.add_subplot(), x="epoch", y="learning rate")
    epochs, rates = series(log, attrgetter("learning_rate"))
    axes.plot(epochs, rates, color=style.series_colour(3), linewidth=1.8, drawstyle="steps-mid")
    if epochs.size == 1:
        axes.plot(epochs, rates, "o", color=style.series_colour(3), markersize=5)
    positive = rates[rates > 0]
    if positive.size == rates.size and rates.size and rates.max() / rates.min() > _WIDE_RANGE:
        axes.set_yscale("log")
    else:
        axes.set_ylim(0, float(rates.max(initial=0.0)) * 1.12 or 1.0)
        axes.yaxis.set_major_locator(MaxNLocator(5))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.2g}"))
    _finish(axes, log, best_epoch, keep)
    return figure


def pace(log: Log) -> Figure:
    """Minutes since the start at the end of each epoch, and the validation Dice that was reached by then."""
    figure = style.new_figure(style.HALF_WIDTH, 3.0)
    axes = style.style_axes(figure.add_subplot(), x="minutes since the start", y="Dice on validation")
    timed = [(row.elapsed_s / 60, row.figure("val_dice")) for row in log if row.elapsed_s is not None]
    validated = [(minutes, dice) for minutes, dice in timed if dice is not None]
    x = np.asarray([minutes for minutes, _ in validated])
    y = np.asarray([dice for _, dice in validated])
    axes.plot(x, y, color=style.ACCENT_SOFT, linewidth=1.4, marker="o", markersize=3, markerfacecolor=style.ACCENT)
    if y.size:
        axes.plot(x, np.maximum.accumulate(y), color=style.ACCENT, linewidth=1.8, drawstyle="steps-post")
        _share_axis(axes, y)
    axes.set_xlim(0, max([minutes for minutes, _ in timed], default=1.0) * 1.03 or 1.0)
    return figure


def draw_series(axes: Axes, curve: Curve, colour: str, label: str) -> None:
    """A curve with dots where its epochs are few; one without values is not in the legend either."""
    epochs, values = curve
    if epochs.size:
        marker = "o" if epochs.size <= _FEW else ""
        axes.plot(epochs, values, color=colour, linewidth=1.8, marker=marker, markersize=3.5, label=label)


def _share_axis(axes: Axes, values: npt.NDArray[np.float64]) -> None:
    """From 0 to 1, or from a tenth below the lowest value where all are high."""
    low = float(values.min(initial=1.0)) if values.size else 0.0
    bottom = max(0.0, np.floor((low - 0.1) * 10) / 10) if low > 0.5 else min(0.0, low)
    top = 1.0 if not values.size or float(values.max()) > 0.6 else float(values.max()) * 1.25
    axes.set_ylim(bottom, max(top, bottom + 0.1))


def _finish(axes: Axes, log: Log, best_epoch: int | None, keep: Keep, *, name_it: bool = True) -> None:
    """Whole epochs along the axis, and a line at the one whose network was kept."""
    last = max((row.epoch + 1.0 for row in log), default=1.0)
    axes.set_xlim(0.5 if last < _FEW else 0, last + max(0.5, 0.02 * last))
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1))
    if best_epoch is None or best_epoch not in {row.epoch for row in log}:
        return
    x = best_epoch + 1
    axes.axvline(x, color=style.POSITIVE, linewidth=1.0, linestyle=(0, (4, 3)), zorder=1)
    if name_it:
        on_right = x < last * 0.7
        axes.annotate(
            f"{keep}: epoch {x}",
            (x, 0.985),
            (4 if on_right else -4, 0),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            ha="left" if on_right else "right",
            va="top",
            fontsize=style.TICK_PT,
            color=style.POSITIVE,
        )

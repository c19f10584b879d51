"""Charts of a search for settings: scores by trial, by epoch, and by the value of each setting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from glioseg.report import style

Choice = bool | int | float | str
Scale = Literal["linear", "log", "choices"]
MOST_CURVES = 40


@dataclass(frozen=True)
class Trial:
    """A trial as the charts need it.

    Args:
        number: from 0.
        pruned: whether it was stopped early.
        score: its best.
        by_epoch: epoch, from 0 -> score.
        settings: that were tried.
    """

    number: int
    pruned: bool
    score: float
    by_epoch: Mapping[int, float]
    settings: Mapping[str, Choice]


def by_trial(trials: Sequence[Trial], *, y: str) -> Figure:
    """The score of each trial, hollow where it was pruned, and the best so far of those that were not."""
    figure = style.new_figure(style.HALF_WIDTH, 3.8)
    axes = style.style_axes(figure.add_subplot(), x="trial", y=y, grid="y")
    for pruned, face, label in ((False, style.ACCENT, "trained to the end"), (True, style.PAPER, "pruned")):
        drawn = [trial for trial in trials if trial.pruned is pruned]
        if drawn:
            axes.plot(
                [trial.number + 1 for trial in drawn],
                [trial.score for trial in drawn],
                "o",
                color=style.ACCENT,
                markerfacecolor=face,
                markersize=6,
                label=label,
            )
    whole = [trial for trial in trials if not trial.pruned]
    if whole:
        best = np.maximum.accumulate([trial.score for trial in whole])
        axes.step(
            [trial.number + 1 for trial in whole],
            best,
            where="post",
            color=style.INK,
            linewidth=1.4,
            label="best so far",
        )
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    style.style_legend(axes, columns=3, place="above")
    return figure


def by_epoch(trials: Sequence[Trial], *, y: str) -> Figure:
    """The score of the ``MOST_CURVES`` best trials over their epochs, pruned ones in grey, the best one in black."""
    figure = style.new_figure(style.HALF_WIDTH, 3.8)
    axes = style.style_axes(figure.add_subplot(), x="epoch", y=y, grid="y")
    whole = [trial for trial in trials if not trial.pruned]
    best = max(whole, key=lambda trial: trial.score, default=None)
    for trial in sorted(trials, key=lambda trial: (trial is not best, -trial.score))[:MOST_CURVES]:
        colour = style.INK if trial is best else style.NEUTRAL if trial.pruned else style.ACCENT_SOFT
        epochs = sorted(trial.by_epoch)
        axes.plot(
            [epoch + 1 for epoch in epochs],
            [trial.by_epoch[epoch] for epoch in epochs],
            "-o",
            color=colour,
            linewidth=2.0 if trial is best else 1.1,
            markersize=3,
            zorder=3 if trial is best else 2,
        )
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    return figure


def by_setting(trials: Sequence[Trial], scales: Mapping[str, Scale], *, y: str) -> Figure:
    """The score against each setting's value, a panel for each setting."""
    names = list(scales)
    across = min(3, len(names))
    down = -(-len(names) // across)
    figure = style.new_figure(style.FULL_WIDTH, 3.0 * down)
    for place, name in enumerate(names):
        axes = figure.add_subplot(down, across, place + 1)
        style.style_axes(axes, x=style.plain(name, 40), y=y if place % across == 0 else "", grid="y")
        values = [trial.settings[name] for trial in trials]
        if scales[name] != "choices":
            x = [float(value) for value in values]
            if scales[name] == "log" and x:
                low, high = min(x) / 1.6, max(x) * 1.6
                axes.set(xscale="log", xlim=(low, high))
                style.log_ticks(axes.xaxis, low, high)
            elif all(isinstance(value, int) for value in values):
                axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
        else:
            words = sorted({str(value) for value in values})
            x = [float(words.index(str(value))) for value in values]
            axes.set_xticks(range(len(words)), [style.plain(word, 16) for word in words])
            axes.set_xlim(-0.5, len(words) - 0.5)
        for trial, at in zip(trials, x, strict=True):
            face = style.PAPER if trial.pruned else style.ACCENT
            axes.plot(at, trial.score, "o", color=style.ACCENT, markerfacecolor=face, markersize=6, alpha=0.85)
    return figure

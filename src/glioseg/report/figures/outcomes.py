"""Charts of how cases fared: Dice by case, and predicted against reference volumes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from glioseg.report import style

Floats = npt.NDArray[np.float64]
_ENOUGH_FOR_LIMITS = 5
_DIGIT = 0.008
"""A digit's width as a share of the axis of lesions."""
_LINES_APART = 0.24
"""How far the words beside two lines are apart at least, as a share of the axis' reach to either side."""


@dataclass(frozen=True, eq=False)
class Strip:
    """A region's scores in a part.

    Args:
        title: such as ``WT, test``.
        values: (N,) of the cases that have one.
        mean: over cases, under the rule for empty masks; None where undefined.
        interval: of the mean.
        colour: of the dots.
        baseline: a simple method's mean, to be marked in this row.
    """

    title: str
    values: Floats
    mean: float | None
    interval: tuple[float, float] | None
    colour: str
    baseline: tuple[str, float] | None = None


@dataclass(frozen=True, eq=False)
class Volumes:
    """A region's volumes, case by case.

    Args:
        title: the region.
        reference: (N,) in ``unit``.
        prediction: (N,) likewise.
        colour: of the dots.
    """

    title: str
    reference: Floats
    prediction: Floats
    colour: str


@dataclass(frozen=True)
class LesionCounts:
    """What became of the lesions of a region.

    Args:
        found: with a prediction on it or near it.
        missed: the others of the reference.
        false: predicted, near none.
        several: whether any case has more than one.
    """

    found: int
    missed: int
    false: int
    several: bool = False

    @property
    def says_nothing(self) -> bool:
        """Whether it is known from the Dice alone: each case has one at most, and all were found and nothing else."""
        return not (self.missed or self.false or self.several)


def lesion_bars(rows: Mapping[str, LesionCounts]) -> Figure:
    """Found, missed and false lesions side by side, a bar for each row; the numbers stand in it where there is room."""
    figure = style.new_figure(style.FULL_WIDTH, 1.2 + 0.5 * len(rows))
    axes = style.style_axes(figure.add_subplot(), x="lesions", grid="x")
    kinds = (
        ("found", style.ACCENT, "#ffffff"),
        ("missed", style.POSITIVE, "#ffffff"),
        ("false", style.NEGATIVE, style.INK),
    )
    longest = max(count.found + count.missed + count.false for count in rows.values()) or 1
    for place, count in enumerate(rows.values()):
        start = 0
        for name, colour, ink in kinds:
            n = int(getattr(count, name))
            axes.barh(place, n, left=start, height=0.62, color=colour, label=name if place == 0 else None)
            words = f"{n:,}"
            if n > _DIGIT * (len(words) + 1) * longest:
                middle = start + n / 2
                axes.text(middle, place, words, ha="center", va="center", fontsize=style.TICK_PT, color=ink)
            start += n
    axes.set_yticks(range(len(rows)), [style.plain(name, 30) for name in rows], fontsize=style.LABEL_PT)
    axes.set(ylim=(len(rows) - 0.5, -0.5), xlim=(0, 1.02 * longest))
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    style.grouped_ticks(axes.xaxis)
    style.style_legend(axes, columns=3, place="above")
    return figure


def strips(rows: Sequence[Strip], *, x: str = "Dice", most: float | None = 1.0) -> Figure:
    """A dot per case, a bar over the middle half with the median, and the mean with its interval below.

    Args:
        rows: from the top.
        x: what is shown.
        most: the end of the axis, which begins at 0; None: as far as the values reach.
    """
    figure = style.new_figure(style.FULL_WIDTH, 1.0 + 0.72 * len(rows))
    axes = style.style_axes(figure.add_subplot(), x=x, grid="x")
    for place, row in enumerate(rows):
        _strip(axes, place, row)
    axes.set_yticks(range(len(rows)), [style.plain(row.title, 30) for row in rows], fontsize=style.LABEL_PT)
    end = most or max((float(row.values.max(initial=0)) for row in rows), default=0.0) or 1.0
    end = max([end, *(row.interval[1] for row in rows if most is None and row.interval is not None)])
    axes.set(xlim=(-0.02 * end, 1.02 * end), ylim=(len(rows) - 0.42, -0.55))
    axes.xaxis.set_major_locator(MaxNLocator(11))
    return figure


def _strip(axes: Axes, place: float, row: Strip) -> None:
    values = row.values
    if values.size:
        # golden-ratio steps spread the dots evenly and the same way each time
        spread = 0.36 * ((np.arange(values.size) * 0.618034) % 1.0 - 0.5)
        size = 3.5 if values.size > 60 else 5.5
        y = place - 0.16 + spread
        axes.plot(values, y, "o", color=row.colour, alpha=0.65, markersize=size, markeredgewidth=0, clip_on=False)
    if values.size > 2:
        first, middle, third = np.percentile(values, (25, 50, 75))
        axes.plot((first, third), (place + 0.13,) * 2, color=row.colour, linewidth=3.5, solid_capstyle="butt")
        axes.plot(middle, place + 0.13, "|", color=style.INK, markersize=8, markeredgewidth=1.8)
    if row.mean is not None:
        if row.interval is not None:
            axes.plot(row.interval, (place + 0.29,) * 2, color=style.INK, linewidth=1.2)
            axes.plot(row.interval, (place + 0.29,) * 2, "|", color=style.INK, markersize=6)
        axes.plot(row.mean, place + 0.29, "D", color=style.INK, markersize=4.5)
    if row.baseline is not None:
        name, value = row.baseline
        axes.plot((value, value), (place - 0.42, place + 0.42), color=style.POSITIVE, linewidth=1.6, linestyle=":")
        axes.annotate(
            f"{style.plain(name)}: {value:.3f}",
            (value, place - 0.42),
            (5, 0) if value < 0.5 else (-5, 0),
            textcoords="offset points",
            ha="left" if value < 0.5 else "right",
            va="center",
            fontsize=style.TICK_PT,
            color=style.POSITIVE,
        )


def volumes(rows: Sequence[Volumes], *, unit: str) -> Figure:
    """Predicted against reference volume, a panel per region, both axes alike; on the diagonal they agree."""
    figure, panels = _panels(rows, 3.7)
    for axes, row, title in panels:
        style.style_axes(axes, title=title, x=f"reference ({unit})", y=f"prediction ({unit})", grid="both")
        positive = np.concatenate([row.reference, row.prediction])
        positive = positive[positive > 0]
        low, high = (positive.min() / 1.6, positive.max() * 1.6) if positive.size else (0.1, 10.0)
        low = max(low, high / 1e6)
        axes.plot((low, high), (low, high), color=style.NEUTRAL, linewidth=1, zorder=1)
        x, y = np.maximum(row.reference, low), np.maximum(row.prediction, low)
        axes.plot(x, y, "o", color=row.colour, alpha=0.75, markersize=5, markeredgewidth=0, clip_on=False, zorder=3)
        axes.set(xscale="log", yscale="log", xlim=(low, high), ylim=(low, high), aspect="equal")
        for axis in (axes.xaxis, axes.yaxis):
            style.log_ticks(axis, low, high)
    return figure


def differences(rows: Sequence[Volumes], *, unit: str) -> Figure:
    """Prediction minus reference against their mean (Bland and Altman 1986), with mean difference and limits."""
    figure, panels = _panels(rows, 3.2)
    for axes, row, title in panels:
        style.style_axes(axes, title=title, x=f"mean of both ({unit})", y=f"prediction − reference ({unit})", grid="")
        _difference(axes, row)
    return figure


def _panels(rows: Sequence[Volumes], height: float) -> tuple[Figure, list[tuple[Axes, Volumes, str]]]:
    """A figure with a panel for each row, three abreast; of several each has its title and ``height`` inches."""
    across, is_alone = min(3, len(rows)), len(rows) == 1
    down = -(-len(rows) // across)
    figure = style.new_figure(style.HALF_WIDTH if is_alone else style.FULL_WIDTH, (4.2 if is_alone else height) * down)
    titles = ["" if is_alone else style.plain(row.title, 24) for row in rows]
    axes = [figure.add_subplot(down, across, number + 1) for number in range(len(rows))]
    return figure, list(zip(axes, rows, titles, strict=True))


def _difference(axes: Axes, row: Volumes) -> None:
    apart = row.prediction - row.reference
    axes.axhline(0.0, color=style.NEUTRAL, linewidth=1, zorder=1)
    axes.plot(
        (row.prediction + row.reference) / 2, apart, "o", color=row.colour, alpha=0.75, markersize=5, markeredgewidth=0
    )
    reach = float(np.abs(apart).max(initial=0.0)) or 1.0
    if apart.size >= _ENOUGH_FOR_LIMITS:
        bias, limit = float(apart.mean()), 1.96 * float(apart.std(ddof=1))
        reach = max(reach, abs(bias) + limit)
        away = max(limit, _LINES_APART * reach)
        for value, height, words, dashes in (
            (bias, bias, "mean", (0, ())),
            (bias + limit, bias + away, "+1.96 SD", (0, (4, 3))),
            (bias - limit, bias - away, "−1.96 SD", (0, (4, 3))),
        ):
            axes.axhline(value, color=style.MUTED, linewidth=1, linestyle=dashes, zorder=1)
            axes.annotate(
                f"{words}\n{style.number(value)}".replace("\n-", "\n−"),
                (1.0, height),
                (3, 0),
                xycoords=("axes fraction", "data"),
                textcoords="offset points",
                ha="left",
                va="center",
                fontsize=style.TICK_PT - 0.5,
                color=style.MUTED,
            )
    axes.set_ylim(-1.2 * reach, 1.2 * reach)
    axes.set_xlim(left=0)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    style.grouped_ticks(axes.xaxis)
    style.grouped_ticks(axes.yaxis)

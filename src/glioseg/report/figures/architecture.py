"""A drawing of a network from the levels of its built module, in the manner of Ronneberger 2015, figure 1."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from glioseg.report import style
from glioseg.report.run_facts import Level

_DOWN = "#2a6f97"
_UP = "#2a9d8f"
_HEAD = style.POSITIVE
_GATE = "#e0a526"
_ROW = 1.55
_STEP = 1.75
_OUTER = 1.5
_SIDE = 0.8
"""Drawing units left and right of the outermost boxes."""


@dataclass(frozen=True)
class _Box:
    """A level's box: its centre, width and height in drawing units, and the row (0 on top) that it stands in."""

    level: Level
    x: float
    y: float
    width: float
    height: float
    row: int


def architecture(levels: Sequence[Level], outputs: str = "logits") -> Figure:
    """The levels as boxes: higher for larger grids, wider for more channels, each grid a row of its own.

    Full arrows lead from a level to the one that goes on from it, broken ones are skips.

    Args:
        levels: each after those that feed it, at least one.
        outputs: what the head gives, for the legend.
    """
    boxes = _boxes(levels)
    n_rows = 1 + max(box.row for box in boxes)
    left = min(box.x - box.width / 2 for box in boxes) - _SIDE
    right = max(box.x + box.width / 2 for box in boxes) + _SIDE
    figure = style.new_figure(style.FULL_WIDTH, 0.9 + min(1.02, 5.0 / n_rows) * n_rows)
    axes = figure.add_subplot()
    axes.set_axis_off()
    axes.set(xlim=(left, right), ylim=(-_ROW * (n_rows - 1) - 1.05, 0.95))
    for box in boxes:
        _draw_box(axes, box, is_lowest=box.row == n_rows - 1)
    for place, box in enumerate(boxes[1:], start=1):
        source, *skips = box.level.sources or (place - 1,)
        _flow(axes, boxes[source], box)
        for skip in skips:
            n_between = sum(other.row == box.row and boxes[skip].x < other.x < box.x for other in boxes)
            _skip(axes, boxes[skip], box, height=0.3 * n_between)
    _legend(axes, boxes, outputs)
    return figure


def _boxes(levels: Sequence[Level]) -> list[_Box]:
    """Columns as the levels say, or from left to right; a row for each size of grid, the finest on top."""
    sizes = [max(level.size, default=1) for level in levels]
    halvings = [round(math.log2(max(sizes) / size)) for size in sizes]
    rows = {halving: row for row, halving in enumerate(sorted(set(halvings)))}
    widest = max((level.channels for level in levels if level.kind in ("down", "up")), default=1)
    boxes: list[_Box] = []
    column, outer = -1, _outer(levels)
    for level, size, halving in zip(levels, sizes, halvings, strict=True):
        if level.kind == "input":
            x = -outer
        elif level.kind == "head":
            x = column * _STEP + outer
        else:
            column = column + 1 if level.column is None else level.column
            x = column * _STEP
        height = 0.36 + 0.66 * size / max(sizes)
        width = 0.24 if level.kind in ("input", "head") else 0.26 + 0.72 * math.sqrt(level.channels / widest)
        row = rows[halving]
        boxes.append(_Box(level, x, -_ROW * row, width, height, row))
    return boxes


def _outer(levels: Sequence[Level]) -> float:
    """From the first column to the input, and from the last to the head: the size of a grid stands between them."""
    inner = [level for level in levels if level.kind in ("down", "up")]
    columns = {number if level.column is None else level.column for number, level in enumerate(inner)}
    letters = max((len(_size_of(level)) for level in inner), default=0)
    share = 0.62 * style.TICK_PT * letters / (72 * style.FULL_WIDTH)  # of the width of the figure
    between = _STEP * max(len(columns) - 1, 0) + 2 * _SIDE
    return max(_OUTER, (share * between + 0.6) / (1 - 2 * share))


def _size_of(level: Level) -> str:
    return "×".join(map(str, level.size))


def _draw_box(axes: Axes, box: _Box, *, is_lowest: bool) -> None:
    colour = {"input": style.MUTED, "down": _DOWN, "up": _UP, "head": _HEAD}[box.level.kind]
    corner = (box.x - box.width / 2, box.y - box.height / 2)
    shape = "round,pad=0,rounding_size=0.05"
    axes.add_patch(
        FancyBboxPatch(corner, box.width, box.height, boxstyle=shape, facecolor=colour, edgecolor="none", zorder=3)
    )
    axes.text(
        box.x,
        box.y + box.height / 2 + 0.09,
        f"{box.level.channels}",
        ha="center",
        va="bottom",
        fontsize=style.LABEL_PT,
        fontweight="bold" if box.level.kind in ("down", "up") else "normal",
        color=style.INK,
    )
    _size_words(axes, box, is_lowest)
    if box.level.kind in ("input", "head"):
        words = "images" if box.level.kind == "input" else "logits"
        axes.text(box.x, box.y, words, ha="center", va="center", rotation=90, fontsize=7.5, color=style.PAPER, zorder=4)


def _size_words(axes: Axes, box: _Box, is_lowest: bool) -> None:
    """The size of a level's grid, on the outer side of the U, where no arrow runs."""
    words = _size_of(box.level)
    x, y, align, base = box.x, box.y - box.height / 2 - 0.07, "center", "top"
    if box.level.kind == "down" and not is_lowest:
        x, y, align, base = box.x - box.width / 2 - 0.07, box.y - box.height / 2, "right", "bottom"
    elif box.level.kind == "up":
        x, y, align, base = box.x + box.width / 2 + 0.07, box.y - box.height / 2, "left", "bottom"
    axes.text(x, y, words, ha=align, va=base, fontsize=style.TICK_PT, color=style.MUTED)


def _flow(axes: Axes, before: _Box, after: _Box) -> None:
    """The arrow from a level to the next one."""
    colour = {"input": style.MUTED, "down": _DOWN, "up": _UP, "head": _HEAD}[after.level.kind]
    start = (before.x + before.width / 2 + 0.04, before.y)
    end = (after.x - after.width / 2 - 0.04, after.y)
    if before.row != after.row:
        way = -1 if after.row > before.row else 1
        start = (before.x + before.width / 2 + 0.02, before.y + way * (before.height / 2 - 0.08))
        end = (after.x - after.width / 2 - 0.02, after.y - way * (after.height / 2 - 0.08))
    axes.add_patch(
        FancyArrowPatch(start, end, arrowstyle="-|>", mutation_scale=11, linewidth=1.6, color=colour, zorder=2)
    )


def _skip(axes: Axes, source: _Box, target: _Box, *, height: float) -> None:
    """The broken arrow of a skip, bent by a height over the levels that it passes by."""
    start, end = source.x + source.width / 2 + 0.05, target.x - target.width / 2 - 0.05
    axes.add_patch(
        FancyArrowPatch(
            (start, source.y),
            (end, target.y),
            arrowstyle="-|>",
            mutation_scale=10,
            linewidth=1.1,
            linestyle=(0, (4, 2.5)),
            connectionstyle=f"arc3,rad={-2 * height / (end - start)}",
            color=style.NEUTRAL,
            zorder=1,
        )
    )
    if target.level.attention:
        axes.plot(end - 0.32, target.y, "o", color=_GATE, markersize=13, zorder=3)
        axes.text(
            end - 0.32,
            target.y,
            "A",
            ha="center",
            va="center",
            fontsize=7,
            fontweight="bold",
            color=style.INK,
            zorder=4,
        )


def _legend(axes: Axes, boxes: Sequence[_Box], outputs: str) -> None:
    kinds = [box.level.kind for box in boxes]
    entries = [("encoder", _DOWN, "s")] if "down" in kinds else []
    entries += [("decoder", _UP, "s")] if "up" in kinds else []
    joined = {box.level.joined: None for box in boxes if len(box.level.sources) > 1}
    entries += [(f"skip, {words}", style.NEUTRAL, "_") for words in joined]
    if any(box.level.attention for box in boxes):
        entries.append(("A attention gate", _GATE, "o"))
    entries.append((outputs, _HEAD, "s"))
    for words, colour, marker in entries:
        axes.plot([], [], marker, color=colour, label=words, markersize=8)
    handles, _ = axes.get_legend_handles_labels()
    axes.legend(
        handles=handles,
        loc="upper center",
        bbox_to_anchor=(0.5, 0.0),
        ncols=len(entries),
        frameon=False,
        fontsize=style.TICK_PT,
        labelcolor=style.INK,
        handletextpad=0.3,
        columnspacing=1.6,
    )

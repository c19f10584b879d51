"""Draw the pictures of the concepts: python docs/make_concept_pictures.py. They show no scans."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse, FancyArrowPatch, Rectangle

IMAGES = Path(__file__).with_name("images")
TRAIN, TEST, INK = "#0072b2", "#e69f00", "#444444"
"""Okabe and Ito's blue and orange, told apart by all; the ink is readable on white, which pictures are on."""


def leaks() -> Figure:
    """Six patients of eight slices, divided by slice and by patient."""
    figure, axes = plt.subplots(2, 1, figsize=(7, 3.4))
    drawn = np.random.default_rng(1).random((6, 8)) < 0.3
    whole = np.zeros((6, 8), bool)
    whole[4:] = True
    for axis, in_test, title in zip(
        axes,
        (drawn, whole),
        ("by slice: neighbours on both sides", "by patient: no slice of a patient on the other side"),
        strict=True,
    ):
        for patient in range(6):
            for place in range(8):
                color = TEST if in_test[patient, place] else TRAIN
                axis.add_patch(Rectangle((patient * 10 + place, 0), 0.8, 1, color=color))
            axis.text(patient * 10 + 3.9, -0.15, f"patient {patient + 1}", ha="center", va="top", fontsize=8, color=INK)
        axis.set_title(title, fontsize=10, loc="left", color=INK)
        _bare(axis, (-0.5, 58.5), (-0.6, 1.1))
    figure.legend(
        handles=[Rectangle((0, 0), 1, 1, color=TRAIN), Rectangle((0, 0), 1, 1, color=TEST)],
        labels=["training", "test"],
        loc="lower right",
        ncols=2,
        fontsize=8,
        frameon=False,
    )
    return figure


def regions() -> Figure:
    """Regions within each other, and the labels that they are made of."""
    figure, axis = plt.subplots(figsize=(7, 2.9))
    for centre, named in ((2.2, "regions, as they are learnt"), (8.2, "labels, as they are stored")):
        axis.text(centre, 3.15, named, ha="center", fontsize=10, color=INK)
    for size, color, name, place in (
        ((3.8, 2.7), "#56b4e9", "WT", (2.2, 2.62)),
        ((2.4, 1.8), "#e69f00", "TC", (2.2, 2.2)),
        ((1.3, 1.0), "#d55e00", "ET", (2.2, 1.5)),
    ):
        axis.add_patch(Ellipse((2.2, 1.5), *size, facecolor=color, edgecolor="white", linewidth=2))
        axis.text(*place, name, ha="center", va="center", fontsize=10, color="black")
    for size, color in (((3.8, 2.7), "#56b4e9"), ((2.4, 1.8), "#999999"), ((1.3, 1.0), "#d55e00")):
        axis.add_patch(Ellipse((8.2, 1.5), *size, facecolor=color, edgecolor="white", linewidth=2))
    for place, name in (((8.2, 2.62), "oedema"), ((8.2, 2.2), "necrosis"), ((8.2, 1.5), "enhancing")):
        axis.text(*place, name, ha="center", va="center", fontsize=7.5, color="black")
    axis.add_patch(FancyArrowPatch((4.5, 1.75), (5.9, 1.75), arrowstyle="-|>", mutation_scale=14, color=INK))
    axis.text(5.2, 1.95, "paint", ha="center", fontsize=8, color=INK)
    axis.add_patch(FancyArrowPatch((5.9, 1.25), (4.5, 1.25), arrowstyle="-|>", mutation_scale=14, color=INK))
    axis.text(5.2, 0.9, "unite", ha="center", fontsize=8, color=INK)
    axis.set_aspect("equal")
    _bare(axis, (0, 10.4), (0, 3.5))
    return figure


def grids() -> Figure:
    """An uneven outline stored with its rows reversed, in the head, and cut for the network."""
    figure, axes = plt.subplots(1, 3, figsize=(7, 2.8))
    y, x = np.mgrid[-1.2:1.2:25j, -1.2:1.2:31j]
    head = (x / 0.9) ** 2 + (y / 1.05) ** 2 < 1
    lesion = ((x - 0.4) / 0.22) ** 2 + ((y - 0.45) / 0.28) ** 2 < 1
    shown = head.astype(float) + lesion
    for axis, picture, title in zip(
        axes,
        (shown[::-1, ::-1], shown, shown[2:23, 4:27]),
        ("as it is stored", "in the head (native grid)", "for the network (working grid)"),
        strict=True,
    ):
        axis.imshow(picture, cmap="cividis", origin="lower", vmin=0, vmax=2, aspect="equal")
        axis.set_title(title, fontsize=9, color=INK)
        axis.set_xticks([])
        axis.set_yticks([])
    axes[0].set_xlabel("rows and columns, no left or right", fontsize=7.5, color=INK)
    axes[1].set_xlabel("right of the patient → left", fontsize=7.5, color=INK)
    axes[2].set_xlabel("cut to the brain, one size", fontsize=7.5, color=INK)
    return figure


def resume() -> Figure:
    """A loss that falls, whole and interrupted."""
    figure, axes = plt.subplots(1, 2, figsize=(7, 2.6), sharey=True)
    step = np.arange(60)
    loss = 0.2 + 0.8 * np.exp(-step / 18) + 0.02 * np.random.default_rng(0).standard_normal(60)
    axes[0].plot(step, loss, color=TRAIN)
    axes[0].set_title("never stopped", fontsize=9, color=INK)
    axes[1].plot(step[:30], loss[:30], color=TRAIN)
    axes[1].plot(step[24:], loss[24:], color=TEST, linestyle="--")
    axes[1].plot([24], [loss[24]], "o", color=INK)
    axes[1].annotate(
        "checkpoint", (24, loss[24]), (30, 0.85), fontsize=8, color=INK, arrowprops={"arrowstyle": "-", "color": INK}
    )
    axes[1].plot([29], [loss[29]], "x", color=INK, markersize=9)
    axes[1].annotate(
        "killed", (29, loss[29]), (36, 0.62), fontsize=8, color=INK, arrowprops={"arrowstyle": "-", "color": INK}
    )
    axes[1].set_title("killed and continued: the same weights", fontsize=9, color=INK)
    for axis in axes:
        axis.set_xlabel("step", fontsize=8, color=INK)
        axis.tick_params(labelsize=7)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("loss", fontsize=8, color=INK)
    return figure


def conventions() -> Figure:
    """Empty masks, surfaces and lesions: where one word has several figures."""
    figure, axes = plt.subplots(3, 1, figsize=(7, 4.6))
    _rows(axes[0], "#" * 6 + "." * 20 + "....", "####" + "." * 22 + "###.")
    axes[0].annotate("", (24.6, 0.5), (5.4, 0.5), arrowprops={"arrowstyle": "<->", "color": INK})
    axes[0].text(15, 0.62, "hd95: all of this way, or 0 mm, by convention", ha="center", fontsize=8, color=INK)
    axes[0].set_title("surfaces: a small false blob far away", fontsize=9, loc="left", color=INK)
    _rows(axes[1], "######" + "." * 8 + "######" + "." * 10, "####" + "." * 22 + "##..")
    for place, words in ((2.5, "found, Dice 0.8"), (16.5, "missed, 0"), (26.5, "false, 0")):
        axes[1].text(place, -0.2, words, ha="center", va="top", fontsize=8, color=INK)
    title = "lesions: each counts alike, (0.8 + 0 + 0)/3; of all voxels the Dice is 0.44"
    axes[1].set_title(title, fontsize=9, loc="left", color=INK)
    cases = (("both empty", False, False, "left out, or 1"), ("one empty", True, False, "left out, or 0"))
    for number, (words, has_reference, has_prediction, answer) in enumerate(cases):
        left = number * 16
        for row, (inside, color) in enumerate(((has_prediction, TEST), (has_reference, TRAIN))):
            axes[2].add_patch(Rectangle((left, row), 6, 0.9, fill=False, edgecolor=INK, linewidth=0.8))
            if inside:
                axes[2].add_patch(Rectangle((left + 2, row + 0.15), 2, 0.6, color=color))
        axes[2].text(left + 6.6, 0.95, f"{words}:\n{answer}", va="center", fontsize=8, color=INK)
    axes[2].set_title("empty masks: the rule decides the mean", fontsize=9, loc="left", color=INK)
    for axis in axes:
        _bare(axis, (-0.5, 31), (-0.75, 2.1))
    figure.legend(
        handles=[Rectangle((0, 0), 1, 1, color=TRAIN), Rectangle((0, 0), 1, 1, color=TEST)],
        labels=["reference", "prediction"],
        loc="lower right",
        ncols=2,
        fontsize=8,
        frameon=False,
    )
    return figure


def _rows(axis: Axes, reference: str, prediction: str) -> None:
    """Two rows of voxels, ``#`` inside."""
    for row, (voxels, color) in enumerate(((prediction, TEST), (reference, TRAIN))):
        for place, voxel in enumerate(voxels):
            drawn = {"color": color} if voxel == "#" else {"facecolor": "#eeeeee"}
            axis.add_patch(Rectangle((place, row + (0.12 if row else -0.12)), 0.85, 0.8, **drawn))


def doubt() -> Figure:
    """What samples that disagree say, and what samples that agree cannot."""
    figure, axes = plt.subplots(1, 2, figsize=(7, 3), sharey=True)
    place = np.linspace(0, 10, 200)
    edges = ((6.2, 7.0, 7.8), (5.9, 6.0, 6.1))
    for axis, right_edges, reference, title in zip(
        axes,
        edges,
        (7.2, 8.6),
        ("samples disagree: the doubt is seen", "samples agree and are wrong: nothing is seen"),
        strict=True,
    ):
        samples = [1 / (1 + np.exp(-4 * (place - 2))) / (1 + np.exp(4 * (place - edge))) for edge in right_edges]
        mean = np.mean(samples, axis=0)
        for sample in samples:
            axis.plot(place, sample, color=TRAIN, linewidth=0.8, alpha=0.6)
        axis.plot(place, mean, color=TRAIN, linewidth=2)
        for height, threshold, words in ((-0.12, 0.5, "mask, above 0.5"), (-0.3, 0.2, "cautious, above 0.2")):
            inside = place[mean > threshold]
            axis.add_patch(Rectangle((inside[0], height), inside[-1] - inside[0], 0.1, color=TRAIN, alpha=0.5))
            axis.text(4.5, height + 0.05, words, ha="center", va="center", fontsize=7.5, color=INK)
        axis.add_patch(Rectangle((2, -0.48), reference - 2, 0.1, color=TEST))
        axis.text(4.5, -0.43, "the tumour", ha="center", va="center", fontsize=7.5, color=INK)
        axis.set(xlim=(0, 10), ylim=(-0.55, 1.08))
        axis.set_title(title, fontsize=9, color=INK)
        axis.set_xlabel("along a line through the brain", fontsize=8, color=INK)
        axis.set_xticks([])
        axis.set_yticks([0, 0.5, 1])
        axis.tick_params(labelsize=7)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("probability", fontsize=8, color=INK)
    return figure


def _bare(axis: Axes, xs: tuple[float, float], ys: tuple[float, float]) -> None:
    axis.set_xlim(*xs)
    axis.set_ylim(*ys)
    axis.axis("off")


_PICTURES = {
    "leaks": leaks,
    "regions": regions,
    "grids": grids,
    "resume": resume,
    "conventions": conventions,
    "doubt": doubt,
}

if __name__ == "__main__":
    mpl.rcParams["svg.hashsalt"] = "glioseg"  # the same file each time
    for name, draw in _PICTURES.items():
        picture = draw()
        picture.tight_layout()
        picture.savefig(IMAGES / f"concept-{name}.svg", metadata={"Date": None})
        plt.close(picture)

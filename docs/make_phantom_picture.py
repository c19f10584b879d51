"""Renders ``docs/images/phantom.png``: phantom patients in the four modalities, with the tumour drawn in.

Run from the root of the repository: ``python docs/make_phantom_picture.py``.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import Patch

from glioseg.cohorts.phantom import MODALITIES, PhantomOptions, PhantomPatient, generate_patient

PATIENTS = (7, 0, 4)
COLOURS = {"NCR": "#4c9be8", "ED": "#7bd88f", "ET": "#ff5c5c"}
HALF_WIDTH_MM = (76, 92)


def main() -> None:
    """Render the picture beside this script."""
    mpl.use("Agg")
    options = PhantomOptions(spacing_mm=1.0)
    size = (2.0 * (len(MODALITIES) + 1), 2.42 * len(PATIENTS) + 0.5)
    figure, rows = plt.subplots(len(PATIENTS), len(MODALITIES) + 1, figsize=size, facecolor="black")
    for row, index in zip(rows, PATIENTS, strict=True):
        _draw_patient(row, generate_patient(options, index))
    for axes, title in zip(rows[0], [*MODALITIES, "t2f + labels"], strict=True):
        axes.set_title(title, color="white", fontsize=11)
    handles = [Patch(color=colour, label=name) for name, colour in COLOURS.items()]
    figure.legend(handles=handles, loc="lower center", ncols=3, frameon=False, labelcolor="white", fontsize=10)
    figure.subplots_adjust(left=0.004, right=0.996, top=0.955, bottom=0.05, wspace=0.02, hspace=0.02)
    target = Path(__file__).parent / "images" / "phantom.png"
    target.parent.mkdir(exist_ok=True)
    figure.savefig(target, dpi=100, facecolor="black", pil_kwargs={"optimize": True})


def _draw_patient(row: npt.NDArray[np.object_], patient: PhantomPatient) -> None:
    """The axial slice with the most tumour, seen from below as radiologists do: the patient's right on the left."""
    labels = patient.labels.array
    z = int((labels > 0).sum(axis=(0, 1)).argmax())
    brain = np.argwhere(patient.image.array[0, :, :, z] > 0)
    middle = np.round((brain.min(axis=0) + brain.max(axis=0)) / 2).astype(int)
    x, y = (slice(max(0, int(c) - half), int(c) + half) for c, half in zip(middle, HALF_WIDTH_MM, strict=True))
    # The first axis runs to the left and the second to the back, so that a plain transpose is the usual view.
    for axes, channel in zip(row, [*patient.image.array, patient.image.array[-1]], strict=True):
        _draw_slice(axes, channel[x, y, z], channel)
    for value, name in enumerate(("NCR", "ED", "ET"), start=1):
        where = (labels[x, y, z] == value).T
        overlay = np.zeros((*where.shape, 4))
        overlay[where] = mpl.colors.to_rgba(COLOURS[name], 0.55)
        row[-1].imshow(overlay, interpolation="nearest")


def _draw_slice(axes: Axes, plane: npt.NDArray[np.generic], whole: npt.NDArray[np.generic]) -> None:
    signal = whole.astype(np.float64)
    axes.imshow(plane.T, cmap="gray", vmin=0.0, vmax=float(np.percentile(signal[signal > 0], 99.6)))
    axes.set_axis_off()


if __name__ == "__main__":
    main()

"""Render the pictures of docs/models.md: best, median and worst cases of shipped networks, reference and prediction.

Run from the root of the repository, with the folder of BRISC 2025 and the split of the run that made ``t1c-pictures``:
``python docs/make_models_pictures.py BRISC SPLIT.json``. The pictures of BRISC are CC BY 4.0, Fateh et al. 2025.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib import pyplot as plt

import glioseg
from glioseg.core import Case, Cohort
from glioseg.io import load_image, load_labels
from glioseg.io.text import read_json
from glioseg.report.figures.overlay import colours_of, outlined
from glioseg.report.gallery import telling_slice

IMAGES = Path(__file__).parent / "images"
REFERENCE, PREDICTION = "#2ca25f", "#e34a33"
N_EACH = 4
"""Best, median and worst cases, each."""


def main(brisc: Path, split: Path) -> None:
    """Both pictures, beside the others of the documents."""
    mpl.use("Agg")
    held_out = read_json(split)
    assert isinstance(held_out, dict)
    cohort = glioseg.read(brisc)
    cases = [case for case in cohort.cases if case.patient in set(held_out["test"]) and case.category != "no_tumor"]
    _draw("t1c-pictures", cohort, cases[:: max(1, len(cases) // 240)], "grey", "tumour")
    with tempfile.TemporaryDirectory() as folder:
        phantoms = glioseg.phantom(Path(folder) / "phantom", patients=12, seed=4243)
        _draw("phantom", phantoms, phantoms.cases, "t2f", "WT")


def _draw(name: str, cohort: Cohort, cases: Sequence[Case], modality: str, region: str) -> None:
    """Rows of best, median and worst cases by Dice: green the reference, red the prediction."""
    model = glioseg.load(f"model:{name}")
    assert cohort.scheme is not None
    values = cohort.scheme.values_of(region)
    drawn: list[tuple[float, str, npt.NDArray[np.uint8]]] = []
    for case in cases:
        image, labels = load_image(case), load_labels(case, cohort.scheme)
        prediction = model.members.predict(case)
        masks = [np.isin(found.array, values) for found in (labels, prediction.label_map)]  # type: ignore[attr-defined]
        dice = 2 * np.count_nonzero(masks[0] & masks[1]) / max(1, sum(map(np.count_nonzero, masks)))
        z = telling_slice(*masks)
        grey = image.array[image.modalities.index(modality), :, :, z].astype(np.float32).T
        low, high = np.percentile(grey, (0.5, 99.8))
        pixels = colours_of((255 * ((grey - low) / max(high - low, 1e-6)).clip(0, 1)).astype(np.uint8))
        for mask, colour in zip(masks, (REFERENCE, PREDICTION), strict=True):
            pixels = outlined(pixels, mask[:, :, z].T, colour, 1)
        drawn.append((dice, _words(case, prediction), pixels))
    _save(name, sorted(drawn, key=lambda item: -item[0]))


def _words(case: Case, prediction: object) -> str:
    if case.category is None:
        return ""
    labels = prediction.label_map  # type: ignore[attr-defined]
    said = next((kind for kind, value in labels.scheme.labels.items() if (labels.array == value).any()), "none")
    return f" {case.category}" if said == case.category else f" {case.category}, said {said}"


def _save(name: str, drawn: Sequence[tuple[float, str, npt.NDArray[np.uint8]]]) -> None:
    middle = len(drawn) // 2 - N_EACH // 2
    rows = {"best": drawn[:N_EACH], "median": drawn[middle : middle + N_EACH], "worst": drawn[-N_EACH:]}
    figure, axes = plt.subplots(len(rows), N_EACH, figsize=(2.4 * N_EACH, 2.65 * len(rows)), facecolor="black")
    for line, (title, cases) in zip(axes, rows.items(), strict=True):
        for panel, (dice, words, pixels) in zip(line, cases, strict=True):
            panel.imshow(pixels)
            panel.set_axis_off()
            panel.set_title(f"{title}: Dice {dice:.2f}{words}", color="white", fontsize=8)
    figure.text(0.01, 0.005, "green: reference; red: prediction", color="white", fontsize=8)
    figure.subplots_adjust(left=0.005, right=0.995, top=0.965, bottom=0.02, wspace=0.03, hspace=0.1)
    figure.savefig(IMAGES / f"model-{name}.png", dpi=90, facecolor="black", pil_kwargs={"optimize": True})


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

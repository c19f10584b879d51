"""The worked examples of ``docs/evaluation.md``: each figure that stands there is computed here."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from glioseg.evaluation import MaskPair, masks, probability_histogram, ratio
from glioseg.evaluation.calibration import N_BINS, brier, calibration_error
from glioseg.evaluation.metrics import REGION_METRICS
from tests.evaluation.drawing import drawn
from tests.evaluation.test_surfaces import UNIT, voxels

PAGE = " ".join((Path(__file__).parents[2] / "docs" / "evaluation.md").read_text(encoding="utf-8").split())


def says(*texts: str) -> None:
    """The page has these texts, whatever its line breaks."""
    for text in texts:
        assert text in PAGE, text


def test_the_page_names_every_metric_of_masks_and_of_probabilities() -> None:
    measured = [name for name, metric in REGION_METRICS.items() if metric.of_masks is not None]
    says(*(f"`{name}`" for name in (*measured, "brier", "ece")), f"{N_BINS:,} bins")


def test_two_voxels() -> None:
    far = [masks.hd95(MaskPair(voxels((1, 1, 1)), voxels(to), (3, 2, 1))) for to in ((3, 1, 1), (1, 3, 1), (1, 1, 3))]
    along_x, along_y, along_z = (value for value in far if value is not None)
    says(f"{along_x:g} mm along X, {along_y:g} mm along Y, {along_z:g} mm along Z")


def test_two_cubes() -> None:
    ours, theirs = np.zeros((2, 9, 7, 7), dtype=np.bool_)
    ours[0:5, 1:6, 1:6] = theirs[2:7, 1:6, 1:6] = True
    pair = MaskPair(ours, theirs, UNIT)
    says(f"`hd` {masks.hd(pair):g}, `hd95` {masks.hd95(pair):g}, ")
    says(f"`mean_surface_distance` {masks.mean_surface_distance(pair):.3f} (76/98), ")
    says(f"`nsd` {masks.nsd(pair):.3f} (72 of 98")


def test_a_blob_far_away() -> None:
    row = np.zeros((260, 2, 1), dtype=np.bool_)
    row[:94, 0] = True
    more = row.copy()
    more[93 + 150 : 93 + 156, 0] = True
    distances = MaskPair(row, more, UNIT).distances
    assert distances is not None
    sides = (distances.from_reference, distances.from_prediction)
    percentiles = [float(np.percentile(side, 95)) for side in sides]
    says(f"by area) | {max(percentiles):.2f} mm", f"some papers | {np.mean(percentiles):.3f} mm")
    says(f"MedPy `hd95` | {np.percentile(np.concatenate(sides), 95):g} mm")


def test_two_lesions() -> None:
    drawings = re.search(r"reference ([#.]+) prediction ([#.]+)", PAGE)
    assert drawings is not None
    ours, theirs = (drawn(f"{row} {'.' * len(row)}") > 0 for row in drawings.groups())
    pair = MaskPair(ours, theirs, (1.0, 2.0, 5.0))
    says(f"`lesion_dice` {masks.lesion_dice(pair):.3f}, `lesion_hd95` {masks.lesion_hd95(pair):.2f} mm")
    shares = {masks.lesion_sensitivity(pair), masks.lesion_precision(pair), masks.lesion_f1(pair)}
    assert shares == {0.5}
    both, false, missed = (int(mask.sum()) for mask in (ours & theirs, theirs & ~ours, ours & ~theirs))
    says(f"The Dice of all voxels is {float(ratio(np.array([both, false, missed, 0]), 'dice')):.3f}")


def test_four_voxels() -> None:
    histogram = probability_histogram(np.array([0.9, 0.4, 0.6, 0.1]), np.array([1, 1, 0, 0]))
    for text, figure in (("/ 4 = 0.185", brier(histogram)), ("ECE 0.35", calibration_error(histogram))):
        says(text)
        assert float(text.split()[-1]) == pytest.approx(figure.value, abs=figure.error_bound)

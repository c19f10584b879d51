"""The worked examples of ``docs/evaluation.md`` and ``uncertainty.md``: each figure that stands there is computed."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from glioseg.core.case import Facts
from glioseg.evaluation import CaseScores, EvaluateOptions, MaskPair, aggregate, masks, probability_histogram, ratio
from glioseg.evaluation.calibration import N_BINS, brier, calibration_error
from glioseg.evaluation.conformal import risk_threshold
from glioseg.evaluation.conventions import CONVENTIONS
from glioseg.evaluation.froc import THRESHOLDS, LesionDetections, froc_of
from glioseg.evaluation.metrics import REGION_METRICS
from glioseg.evaluation.uncertainty import uncertainty_maps
from tests.evaluation.drawing import counted, drawn
from tests.evaluation.test_named_conventions import evaluated, mean_of
from tests.evaluation.test_surfaces import UNIT, voxels

_DOCS = Path(__file__).parents[2] / "docs"
PAGE, DOUBT = (
    " ".join((_DOCS / name).read_text(encoding="utf-8").split()) for name in ("evaluation.md", "uncertainty.md")
)


def says(*texts: str, page: str = PAGE) -> None:
    """The page has these texts, whatever its line breaks."""
    for text in texts:
        assert text in page, text


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


# -- what follows from cases -------------------------------------------------------------------------------------------


def test_empty_masks_by_convention() -> None:
    means = {name: mean_of(evaluated(name), "dice") for name in CONVENTIONS}
    assert means["glioseg"] == means["nnunet"]
    assert means["brats2023"] == means["metrics-reloaded"]
    numbers = {3: "three", 2: "two", 4: "four"}
    of = {name: f"{mean:g} over {numbers[n]}" for name, (mean, n) in means.items() if mean is not None}
    says(f"The mean Dice is {of['glioseg']} cases (`glioseg`, `nnunet`), {of['monai']} (`monai`) and {of['brats2023']}")
    (alone, _), (all_four, _) = mean_of(evaluated("glioseg"), "hd95"), mean_of(evaluated("brats2023"), "hd95")
    says(f"HD95 {alone:g} mm over one case or {all_four:g} mm over four")


def _of_volume(name: str, reference: int, prediction: int) -> CaseScores:
    met = min(reference, prediction)
    return counted(name, (met, prediction - met, reference - met, 1000), voxel_ml=1.0)


def test_volumes_of_twice_the_reference() -> None:
    cases = [_of_volume(f"p{n}", 10 * n, 20 * n) for n in range(1, 6)]
    volumes = aggregate(cases, EvaluateOptions(n_resamples=0)).further.volumes["WT"]
    assert volumes.limits is not None
    low, high = (f"{limit:.2f}".replace("-", "−") for limit in volumes.limits)
    says(f"Pearson {volumes.pearson:g}, concordance {volumes.concordance:.3f}, bias {volumes.bias:g} ml, limits")
    says(f"{low} to {high} ml")


def test_what_twelve_patients_would_show() -> None:
    dice = [9] * 6 + [5, 7] * 3
    cases = [counted(f"p{n:02}", (hits, 10 - hits, 10 - hits, 980)) for n, hits in enumerate(dice)]
    sites: dict[str, Facts] = {f"p{n:02}": {"site": "A" if n < 6 else "B"} for n in range(12)}
    groups = aggregate(cases, EvaluateOptions(n_resamples=0), facts=sites).further.subgroups["WT"]
    (difference,) = {round(each.detectable, 3) for each in groups if each.fact == "site" and each.detectable}
    says(
        f"Six patients of site A with Dice 0.9, six of site B with 0.5 and 0.7 in turn: a difference below {difference}"
    )


def test_lesions_over_thresholds() -> None:
    low = np.array(THRESHOLDS) <= 0.5
    counts = ((4, 4, 3, 1), (2, 2, 2, 0), (0, 0, 1, 0))
    cases = [LesionDetections(n, np.where(low, k, k // 2), np.where(low, a, b)) for n, k, a, b in counts]
    curve = froc_of(cases, ["a", "b", "c"], n_resamples=0)
    assert curve is not None
    says(f"sensitivity {curve.sensitivity[0]:g} at {curve.false_per_case[0]:g} false a case")
    says(f"{curve.sensitivity[-1]:g} at {curve.false_per_case[-1]:.3f}")
    at = {point.false_per_case: point for point in curve.at}
    says(f"At 1 false a case the sensitivity is {at[1].sensitivity:g} (threshold {at[1].threshold:g}), at 2 it is")
    says(f"{at[2].sensitivity:g}, and at 0.25 there is none")
    assert at[0.25].sensitivity is None


# -- how far a mask can be trusted -------------------------------------------------------------------------------------


def test_three_voxels_and_two_samples() -> None:
    samples = [np.array(values, np.float32).reshape(1, 3, 1, 1) for values in ((0, 0.5, 1), (1, 0.5, 1))]
    maps = uncertainty_maps(samples)
    assert np.allclose(maps.probability.ravel(), (0.5, 0.5, 1))
    entropies = ", ".join(f"{value:.0f}" for value in maps.entropy.ravel()[:2])
    says("The means are ½, ½ and 1", f"their entropies {entropies} and {maps.entropy.ravel()[2]:.0f} bits", page=DOUBT)
    first, second, third = (f"{value:.0f}" for value in maps.mutual_information.ravel())
    says(f"mutual information {first}, {second} and {third}", page=DOUBT)


def test_four_patients_and_a_promise() -> None:
    """Misses that add up to 0, 0.2, 0.6, 1.6 and 4: all four patients alike."""
    thresholds, sums = np.array([0, 0.2, 0.4, 0.6, 0.8]), np.array([0, 0.2, 0.6, 1.6, 4])
    shares = ", ".join(f"{(total + 1) / 5:g}" for total in sums[:4])
    says(f"(sum + 1)/5 is {shares} and {(sums[4] + 1) / 5:g}", page=DOUBT)
    found = risk_threshold(np.tile(sums / 4, (4, 1)), thresholds, 0.32)
    says(f"A risk of 0.32 is kept up to the threshold {found:g}", page=DOUBT)

"""What programs of others do, and the named conventions that follow them; and metrics that do not fit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from glioseg.core import Grid, LabelMap, scheme_named
from glioseg.evaluation import EvaluateOptions, Evaluation, MaskPair, aggregate, masks
from glioseg.evaluation.cases import CaseScores, score_channels
from glioseg.evaluation.conventions import CONVENTIONS, ConventionName
from glioseg.evaluation.lesions import ANY_OVERLAP
from glioseg.evaluation.metrics import REGION_METRICS, region_metrics
from tests.evaluation.test_surfaces import random_pair

Voxels = np.ndarray[Any, Any]
_SHAPE = (12, 10, 8)


def block(*, x: int, width: int = 4) -> Voxels:
    mask = np.zeros(_SHAPE, np.bool_)
    mask[x : x + width, 2:8, 2:6] = True
    return mask


NOTHING = np.zeros(_SHAPE, np.bool_)
_PAIRS = {
    "shifted": (block(x=2), block(x=3)),
    "both empty": (NOTHING, NOTHING),
    "missed": (block(x=2), NOTHING),
    "false": (NOTHING, block(x=2)),
}


def evaluated(name: ConventionName, pairs: dict[str, tuple[Voxels, Voxels]] | None = None) -> Evaluation:
    """The four kinds of pairs, a case each, voxels of 1 mm, under a convention."""
    options = EvaluateOptions(n_resamples=0).under(name)
    cases = [scored(case, *pair, options) for case, pair in (pairs or _PAIRS).items()]
    return aggregate(cases, options, metrics=options.metrics())


def scored(
    case: str, reference: Voxels, prediction: Voxels, options: EvaluateOptions, *, mm: bool = True
) -> CaseScores:
    spacing, voxel = ((1.0, 1.0, 1.0), 0.001) if mm else (None, None)
    return score_channels(
        case, case, reference[None], prediction[None], ["WT"], None, voxel, "native", spacing, options.metrics()
    )


def _random(n: int) -> dict[str, tuple[Voxels, Voxels]]:
    return {str(seed): (pair.reference, pair.prediction) for seed in range(n) for pair in (random_pair(seed),)}


def mean_of(evaluation: Evaluation, metric: str) -> tuple[float | None, int]:
    summary = evaluation.regions["WT"][metric]
    return (None if summary.case_mean is None else round(summary.case_mean, 6)), summary.n_cases


def test_every_one_says_what_it_is() -> None:
    for name, convention in CONVENTIONS.items():
        protocol: Any = evaluated(name).to_json()["protocol"]
        assert (protocol["convention"], protocol["empty"]) == (name, convention.empty)
        assert protocol["convention_follows"] == convention.follows
        assert protocol["convention_differs"] == list(convention.differs)
        again = Evaluation.from_json(evaluated(name).to_json())
        assert again.to_json() == evaluated(name).to_json()


@pytest.mark.parametrize(
    ("name", "dice", "hd95"),
    [
        ("glioseg", (0.25, 3), (1.0, 1)),
        ("nnunet", (0.25, 3), (1.0, 1)),
        ("monai", (0.375, 2), (1.0, 1)),
        ("brats2023", (0.4375, 4), (187.25, 4)),
        ("metrics-reloaded", (0.4375, 4), (187.25, 4)),
    ],
)
def test_empty_masks(name: ConventionName, dice: tuple[float, int], hd95: tuple[float, int]) -> None:
    """Dice of the shifted 0.75; HD95 1 mm. BraTS: (0.75 + 1 + 0 + 0) / 4 and (1 + 0 + 374 + 374) / 4."""
    evaluation = evaluated(name)
    assert mean_of(evaluation, "dice") == dice
    assert mean_of(evaluation, "hd95") == hd95


def test_nnunet_is_its_formula() -> None:
    """2 tp / (2 tp + fp + fn) in numpy integers, where 0/0 is NaN, and the mean of those that are numbers."""
    pairs = {**_random(30), "empty": (NOTHING, NOTHING)}
    values = []
    for reference, prediction in pairs.values():
        tp = np.sum(reference & prediction)
        with np.errstate(invalid="ignore"):
            values.append(2 * tp / (2 * tp + np.sum(~reference & prediction) + np.sum(reference & ~prediction)))
    assert mean_of(evaluated("nnunet", pairs), "dice")[0] == pytest.approx(np.nanmean(values), abs=1e-6)


def test_monai_is_monai() -> None:
    import torch
    from monai.metrics import DiceMetric, MeanIoU

    pairs = {**_random(30), **_PAIRS}
    for metric, name in ((DiceMetric(), "dice"), (MeanIoU(), "iou")):
        for reference, prediction in pairs.values():
            metric(*(torch.from_numpy(mask[None, None].astype(np.float32)) for mask in (prediction, reference)))
        assert mean_of(evaluated("monai", pairs), name)[0] == pytest.approx(metric.aggregate().item(), abs=1e-5)


def test_metrics_reloaded_counts_lesions_by_any_overlap() -> None:
    """SciPy's components by faces; a true one that is met is found, a predicted one that meets none is false.

    Found over true and false ones is what its lesion-wise precision is, found over found and missed its sensitivity.
    """
    for number in range(200):
        rng = np.random.default_rng(number)
        reference, prediction = (rng.random((7, 6, 5)) < share for share in (0.25, 0.2))
        ours, n_ours = ndimage.label(reference)
        theirs, n_theirs = ndimage.label(prediction)
        found = len(np.unique(ours[prediction & reference]))
        false = n_theirs - len(np.unique(theirs[prediction & reference]))
        pair = MaskPair(reference, prediction, (1.0, 1.0, 1.0))
        assert masks.n_lesions(pair, ANY_OVERLAP) == n_ours
        assert masks.lesion_sensitivity(pair, ANY_OVERLAP) == (found / n_ours if n_ours else None)
        assert masks.lesion_precision(pair, ANY_OVERLAP) == (found / (found + false) if found + false else None)


def test_lesions_by_the_task_of_brats() -> None:
    """Two blocks 4 apart: three dilations join them for gliomas, one does not for meningioma and metastases."""
    reference = block(x=0) | block(x=8)
    pairs = {"a": (reference, block(x=0))}
    assert mean_of(evaluated("brats2023", pairs), "n_lesions")[0] == 1
    assert mean_of(evaluated("brats2023-men", pairs), "n_lesions")[0] == 2
    assert mean_of(evaluated("brats2023-met", pairs), "lesion_dice")[0] == 0.5
    assert mean_of(evaluated("metrics-reloaded", pairs), "lesion_sensitivity")[0] == 0.5
    assert region_metrics() == REGION_METRICS or list(region_metrics()) == list(REGION_METRICS)


def test_a_rule_that_is_named_beside_a_convention_holds() -> None:
    assert EvaluateOptions(convention="brats2023").empty == "both_empty_1"
    assert EvaluateOptions(convention="brats2023", empty="skip").empty == "skip"
    assert EvaluateOptions(n_resamples=7, seed=3).under("monai") == EvaluateOptions(
        n_resamples=7, seed=3, convention="monai", empty="skip_reference_empty"
    )


def test_pixels_on_request() -> None:
    """What has no millimetres has no distances, unless pixels are asked for; what has millimetres never has pixels."""
    plain = EvaluateOptions(n_resamples=0)
    asked = EvaluateOptions(n_resamples=0, pixels=True)
    pair = _PAIRS["shifted"]
    names = {
        (options.pixels, mm): {
            name
            for name in aggregate([scored("a", *pair, options, mm=mm)], options, metrics=options.metrics()).regions[
                "WT"
            ]
            if name.startswith("hd")
        }
        for options in (plain, asked)
        for mm in (True, False)
    }
    assert names == {
        (False, True): {"hd", "hd95"},
        (True, True): {"hd", "hd95"},
        (False, False): set(),
        (True, False): {"hd_pixels", "hd95_pixels"},
    }
    evaluation = aggregate([scored("a", *pair, asked, mm=False)], asked, metrics=asked.metrics())
    figure = evaluation.regions["WT"]["hd_pixels"].to_json()
    assert (figure["case_mean"], "unit" in figure) == (1.0, False)  # the name says the unit


# -- metrics that do not fit -------------------------------------------------------------------------------------------


def test_metrics_that_do_not_fit_are_called_so() -> None:
    """96 of 960 voxels are reference in one of two cases: 95 % are background. One case is missed."""
    fitness = evaluated(
        "glioseg", {name: _PAIRS[name] for name in ("shifted", "missed", "false", "both empty")}
    ).fitness
    assert fitness["WT"]["specificity"] == "95.0 % of the voxels are background, so it is near 1 whatever is drawn"
    assert fitness["WT"]["dice"] == "the median reference has 96 voxels: one more or less moves it by 0.005"
    assert "1 of 4 cases are missed and have no distance" in fitness["WT"]["hd95"]
    assert fitness["WT"]["hd"].startswith("one voxel decides it: read hd95; 1 of 4")
    assert "hd95" not in evaluated("brats2023").fitness["WT"]  # 374 mm: nothing is left out
    several = evaluated("brats2023-met", {"a": (block(x=0) | block(x=8), block(x=0))}).fitness
    assert (
        several["WT"]["dice"]
        == "half of the cases have two lesions or more, and a large one hides small ones: read lesion_dice"
    )


def test_nothing_is_said_of_what_fits() -> None:
    """Half of the image, one lesion of 480 voxels, without millimetres: no distances either."""
    half = np.zeros(_SHAPE, np.bool_)
    half[:6] = True
    options = EvaluateOptions(n_resamples=0)
    assert aggregate([scored("a", half, half, options, mm=False)], options, metrics=options.metrics()).fitness == {}


def test_a_scheme_of_tissues_has_no_lesions_under_any() -> None:
    from glioseg.evaluation.cases import score_case

    labels = LabelMap(block(x=1).astype(np.uint8), scheme_named("ibsr"), Grid(_SHAPE, np.eye(4)))
    options = EvaluateOptions(n_resamples=0).under("brats2023")
    assert not [
        name
        for name in score_case("a", "a", labels, labels, ["csf"], metrics=options.metrics()).measured
        if "lesion" in name
    ]

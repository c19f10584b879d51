"""The same figures from MONAI and scikit-learn on random masks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.metrics import ConfusionMatrixMetric, DiceMetric, MeanIoU
from sklearn import metrics as sk

from glioseg.core import Grid, LabelMap, scheme_named
from glioseg.core.labels import encode_regions
from glioseg.evaluation import CaseScores, EvaluateOptions, aggregate, score_case

REGIONS = ("WT", "TC", "ET")
SHAPE = (9, 8, 5)
SCHEME = scheme_named("brats2021")
SKLEARN = {
    "dice": sk.f1_score,
    "f1": sk.f1_score,
    "iou": sk.jaccard_score,
    "precision": sk.precision_score,
    "recall": sk.recall_score,
    "accuracy": sk.accuracy_score,
}


def random_maps(n: int, seed: int) -> list[tuple[LabelMap, LabelMap]]:
    """Label maps that agree in about half of their voxels; in some neither, or only one, has enhancing tumour."""
    rng = np.random.default_rng(seed)
    pairs = []
    for i in range(n):
        reference = rng.choice([0, 1, 2, 4], SHAPE, p=[0.5, 0.1, 0.25, 0.15]).astype(np.uint8)
        prediction = np.where(rng.random(SHAPE) < 0.6, reference, rng.permutation(reference.ravel()).reshape(SHAPE))
        if i % 4 in (1, 3):
            reference[reference == 4] = 0
        if i % 4 in (2, 3):
            prediction[prediction == 4] = 0
        grid = Grid(SHAPE, np.eye(4))
        pairs.append((LabelMap(reference, SCHEME, grid), LabelMap(prediction.astype(np.uint8), SCHEME, grid)))
    return pairs


PAIRS = random_maps(8, 0)
CASES: list[CaseScores] = [
    score_case(f"case{i}", f"patient{i}", one, other, REGIONS) for i, (one, other) in enumerate(PAIRS)
]


def tensors() -> tuple[torch.Tensor, torch.Tensor]:
    """(N, R, X, Y, Z) predictions and references."""
    reference, prediction = (
        torch.stack([torch.from_numpy(encode_regions(pair[side].array, SCHEME, REGIONS)) for pair in PAIRS])
        for side in (0, 1)
    )
    return prediction, reference


def test_dice_and_iou_of_monai() -> None:
    """MONAI leaves out cases whose reference is empty (``ignore_empty``): our rule of that name."""
    evaluation = aggregate(CASES, EvaluateOptions(empty="skip_reference_empty", n_resamples=0))
    for metric, oracle in (("dice", DiceMetric(reduction="mean_batch")), ("iou", MeanIoU(reduction="mean_batch"))):
        oracle(*tensors())
        expected = oracle.aggregate().tolist()
        assert [evaluation.regions[region][metric].case_mean for region in REGIONS] == pytest.approx(expected, abs=1e-6)


def test_dice_of_monai_where_both_empty_is_1() -> None:
    evaluation = aggregate(CASES, EvaluateOptions(empty="both_empty_1", n_resamples=0))
    oracle = DiceMetric(reduction="mean_batch", ignore_empty=False)
    oracle(*tensors())
    means = [evaluation.regions[region]["dice"].case_mean for region in REGIONS]
    assert means == pytest.approx(oracle.aggregate().tolist(), abs=1e-6)


@pytest.mark.parametrize(
    ("metric", "name"),
    [
        ("precision", "precision"),
        ("recall", "sensitivity"),
        ("specificity", "specificity"),
        ("accuracy", "accuracy"),
        ("f1", "f1 score"),
    ],
)
def test_confusion_matrix_of_monai(metric: str, name: str) -> None:
    """Pooled over voxels, region by region."""
    evaluation = aggregate(CASES, EvaluateOptions(n_resamples=0))
    for row, region in enumerate(REGIONS):
        oracle = ConfusionMatrixMetric(metric_name=name, reduction="sum_batch", include_background=True)
        prediction, reference = (tensor[:, row : row + 1] for tensor in tensors())
        oracle(prediction, reference)
        assert evaluation.regions[region][metric].pooled == pytest.approx(oracle.aggregate()[0].item(), abs=1e-6)


@pytest.mark.parametrize("metric", SKLEARN)
def test_pooled_figures_of_scikit_learn(metric: str) -> None:
    evaluation = aggregate(CASES, EvaluateOptions(n_resamples=0))
    prediction, reference = (tensor.numpy() for tensor in tensors())
    for row, region in enumerate(REGIONS):
        expected = SKLEARN[metric](reference[:, row].ravel(), prediction[:, row].ravel())
        assert evaluation.regions[region][metric].pooled == pytest.approx(expected)


@pytest.mark.parametrize("metric", ["dice", "iou", "precision", "recall"])
def test_slice_means_of_scikit_learn_where_0_by_0_is_0(metric: str) -> None:
    evaluation = aggregate(CASES, EvaluateOptions(empty="zero", n_resamples=0))
    prediction, reference = (tensor.numpy().transpose(0, 4, 1, 2, 3) for tensor in tensors())
    for row, region in enumerate(REGIONS):
        per_slice = [
            SKLEARN[metric](one[row].ravel(), other[row].ravel(), zero_division=0)
            for one, other in zip(reference.reshape(-1, 3, 72), prediction.reshape(-1, 3, 72), strict=True)
        ]
        assert evaluation.regions[region][metric].slice_mean == pytest.approx(np.mean(per_slice))


def test_pixel_accuracy_of_scikit_learn() -> None:
    one, other = (np.concatenate([pair[side].array.ravel() for pair in PAIRS]) for side in (0, 1))
    assert aggregate(CASES, EvaluateOptions(n_resamples=0)).pixel_accuracy.pooled == pytest.approx(
        sk.accuracy_score(one, other)
    )


def test_curves_of_scikit_learn() -> None:
    rng = np.random.default_rng(5)
    probabilities = [
        np.clip(0.6 * encode_regions(one.array, SCHEME, REGIONS) + 0.4 * rng.random((3, *SHAPE)), 0, 1).astype(
            np.float32
        )
        for one, _ in PAIRS
    ]
    cases = [score_case(f"case{i}", "p", one, other, REGIONS, probabilities[i]) for i, (one, other) in enumerate(PAIRS)]
    evaluation = aggregate(cases, EvaluateOptions(n_resamples=0))
    _, reference = (tensor.numpy() for tensor in tensors())
    stacked = np.stack(probabilities)
    for row, region in enumerate(REGIONS):
        inside, score = reference[:, row].ravel(), stacked[:, row].ravel()
        for metric, oracle in (("roc_auc", sk.roc_auc_score), ("average_precision", sk.average_precision_score)):
            figure = evaluation.regions[region][metric]
            assert figure.pooled_error_bound is not None
            assert figure.pooled == pytest.approx(oracle(inside, score), abs=figure.pooled_error_bound + 1e-9)
            assert figure.pooled_error_bound < 0.02

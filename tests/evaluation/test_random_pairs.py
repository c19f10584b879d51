"""Overlap, volumes and probabilities against scikit-learn on random masks: anisotropic, at the border, empty too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn import metrics as sk

from glioseg.evaluation import score_channels
from glioseg.evaluation.cases import scores_of
from glioseg.evaluation.metrics import COUNTED_METRICS
from glioseg.evaluation.score import Floats
from tests.evaluation.test_surfaces import random_pair

_RATIOS: dict[str, Callable[..., float]] = {
    "dice": sk.f1_score,
    "f1": sk.f1_score,
    "iou": sk.jaccard_score,
    "precision": sk.precision_score,
    "recall": sk.recall_score,
}


def _doubled_ece(inside: Floats, p: Floats) -> float:
    """Σ n_b / n · |mean p_b − share inside_b| over tenths of probability, bin by bin."""
    bins = np.minimum((10 * p).astype(int), 9)
    gaps = (abs(p[bins == b].sum() - inside[bins == b].sum()) for b in range(10))
    return float(sum(gaps) / p.size)


def _expected(inside: Any, drawn: Any, p: Any, voxel_ml: float) -> dict[str, float | None]:
    """What scikit-learn and counting give; None where there is nothing to divide by."""
    defined = {
        "dice": inside.any() or drawn.any(),
        "f1": inside.any() or drawn.any(),
        "iou": inside.any() or drawn.any(),
        "precision": drawn.any(),
        "recall": inside.any(),
    }
    found: dict[str, float | None] = {
        name: float(function(inside, drawn, zero_division=0)) if defined[name] else None
        for name, function in _RATIOS.items()
    }
    found["accuracy"] = float(sk.accuracy_score(inside, drawn))
    found["specificity"] = None if inside.all() else float(sk.recall_score(~inside, ~drawn, zero_division=0))
    apart = (int(drawn.sum()) - int(inside.sum())) * voxel_ml
    found |= {"volume_error_ml": apart, "volume_error_abs_ml": abs(apart)}
    found |= {"volume_reference_ml": inside.sum() * voxel_ml, "volume_prediction_ml": drawn.sum() * voxel_ml}
    found["volume_error_ratio"] = apart / (inside.sum() * voxel_ml) if inside.any() else None
    found["brier"] = float(sk.brier_score_loss(inside, p, pos_label=True)) if 0 < inside.sum() < inside.size else None
    found["ece"] = _doubled_ece(inside, p)
    both = inside.any() and not inside.all()
    found["roc_auc"] = float(sk.roc_auc_score(inside, p)) if both else None
    found["average_precision"] = float(sk.average_precision_score(inside, p)) if inside.any() else None
    return found


def check_against_scikit_learn(seed: int) -> None:
    """Probabilities lie in the middle of tenths, where bins of the two programs are the same."""
    pair, rng = random_pair(seed), np.random.default_rng(seed)
    assert pair.spacing_mm is not None
    voxel_ml = float(np.prod(pair.spacing_mm)) / 1000
    p = np.where(pair.prediction, rng.integers(4, 10, pair.prediction.shape), rng.integers(0, 6, pair.prediction.shape))
    p = (p / 10 + 0.05 + rng.uniform(-0.04, 0.04, p.shape)).astype(np.float32)
    case = score_channels(
        "a", "a", pair.reference[None], pair.prediction[None], ["WT"], p[None], voxel_ml, metrics=COUNTED_METRICS
    )
    figures = scores_of(case, "ml")["WT"]
    expected = _expected(pair.reference.ravel(), pair.prediction.ravel(), p.ravel().astype(np.float64), voxel_ml)
    for name, value in expected.items():
        found = figures[name].value
        if name in ("brier", "ece", "roc_auc", "average_precision"):
            assert case.histograms is not None
            figure = COUNTED_METRICS[name].of_probabilities(case.histograms[0])  # type: ignore[misc]
            if value is None:
                assert name == "brier" or figure is None, (seed, name)
            else:
                assert figure is not None, (seed, name)
                assert figure.value == pytest.approx(value, abs=figure.error_bound + 1e-6), (seed, name)
                assert figure.error_bound < 0.01 or name in ("roc_auc", "average_precision"), (seed, name)
        elif value is None:
            assert found is None, (seed, name)
        else:
            assert found == pytest.approx(value, rel=1e-9, abs=1e-9), (seed, name)


def test_scikit_learn_counts_the_same() -> None:
    for seed in range(30):
        check_against_scikit_learn(seed)


@pytest.mark.slow
def test_scikit_learn_counts_the_same_on_a_thousand_pairs() -> None:
    for seed in range(1000):
        check_against_scikit_learn(1000 + seed)

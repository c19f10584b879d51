"""Validation of a network that knows the answer, and of one that knows nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor, nn

from glioseg.core import Case
from glioseg.evaluation.masks import MaskPair
from glioseg.evaluation.protocol import EvaluateOptions
from glioseg.evaluation.published import PublishedProtocol, protocol_of_part
from glioseg.inference.options import PredictOptions
from glioseg.inference.predictor import Predictor
from glioseg.io import load_labels
from glioseg.preparation.border_cache import BorderMaps
from glioseg.preparation.cache import prepare
from glioseg.preparation.options import PrepareOptions
from glioseg.preparation.patches import PatchOptions
from glioseg.preparation.slices import SliceOptions
from glioseg.preparation.store import PreparedCase
from glioseg.tasks.segment.validation import Validator
from glioseg.training.losses import build_loss
from glioseg.training.terms import DiceOptions, LossOptions, WeightedBceOptions, loss_of
from tests.preparation.toys import SCHEME, toy_cohort

OPTIONS = PrepareOptions(normalise="none", brain_only=False, regions=("WT",))


class _Constant(nn.Module):
    """The same logit everywhere."""

    def __init__(self, logit: float) -> None:
        super().__init__()
        self.logit = nn.Parameter(torch.tensor(logit))

    def forward(self, images: Tensor) -> Tensor:
        return self.logit.expand(len(images), 1, *images.shape[2:])


@pytest.fixture
def cases(tmp_path: Path) -> list[tuple[PreparedCase, Case]]:
    cohort = toy_cohort(tmp_path, 2)
    prepared = prepare(cohort, OPTIONS, tmp_path / "cache", n_workers=1)
    return list(zip(prepared.cases, cohort.cases, strict=True))


def _validator(cases: list[tuple[PreparedCase, Case]], seen: list[Any], **changes: Any) -> Validator:
    slices = changes.pop("slices", SliceOptions())
    predictor = Predictor(nn.Identity(), ("t1c", "t2f"), ("WT",), SCHEME, OPTIONS, slices, PredictOptions())
    fields: dict[str, Any] = {
        "predictor": predictor,
        "cases": cases,
        "channels": (0, 1),
        "slices": slices,
        "loss": build_loss(loss_of("bce"), None),
        "borders": None,
        "batch_size": 16,
        "options": EvaluateOptions(),
        "score": "dice",
        "followed": None,
        "on_case": lambda done, total: seen.append((done, total)),
    }
    return Validator(**(fields | changes))


def test_all_tumour_is_scored_as_evaluation_does(cases: list[tuple[PreparedCase, Case]]) -> None:
    """Every slice that shows something (1 to 4) is predicted as tumour: 480 voxels of 12 x 10; 24 of them are."""
    seen: list[Any] = []
    found = _validator(cases, seen)(_Constant(3.0))
    n_tumour = [int((load_labels(case, SCHEME).array > 0).sum()) for _, case in cases]
    assert n_tumour == [24, 24]
    dice = 2 * 24 / (24 + 480)
    assert found.score == found.figures["val_dice"] == pytest.approx(dice)
    assert found.figures["regions"]["WT"] == pytest.approx({"dice": dice, "precision": 24 / 480, "recall": 1.0})
    assert seen == [(1, 2), (2, 2)]


def test_a_publication_s_own_rules_are_logged_beside_ours(cases: list[tuple[PreparedCase, Case]]) -> None:
    """All 6 slices count, in batches of 5; slices 0 and 5 are black: both masks are empty, which is Dice 1, and 0/0.

    The other four hold the 24 tumour voxels of each case; where every pixel is predicted, a slice of 120 with n of
    tumour has Dice 2n / (120 + n). Batches run through both cases: precision is that of all voxels of five slices.
    """
    rule = {"part": "val", "metric": "dice", "unit": "slice", "empty": "both_empty_1"}
    batches = {"part": "val", "metric": "precision", "unit": "batch", "empty": "zero"}
    of_test = {"metric": "recall", "unit": "case", "empty": "skip", "values": {"WT": 0.5}}
    protocol = PublishedProtocol.model_validate(
        {"source": "somebody", "grid": "working", "slices": "all", "batch": 5, "figures": [rule, batches, of_test]}
    )
    found = _validator(cases, [], followed=protocol_of_part(protocol, "val"))(_Constant(3.0))
    inside = np.concatenate([np.asarray(prepared.regions)[:, 0].sum(axis=(1, 2)) for prepared, _ in cases]).astype(int)
    seen = np.array([0, 120, 120, 120, 120, 0] * 2)
    dice = np.where(seen > 0, 2 * inside / (120 + inside), 1.0)
    precision = [inside[i : i + 5].sum() / seen[i : i + 5].sum() if seen[i : i + 5].any() else 0 for i in (0, 5, 10)]
    assert found.figures["as_published"] == {
        "dice by slice": pytest.approx({"WT": dice.mean(), "mean": dice.mean()}),
        "precision by batch": pytest.approx({"WT": np.mean(precision), "mean": np.mean(precision)}),
    }
    assert found.score == _validator(cases, [])(_Constant(3.0)).score  # it decides nothing
    assert "as_published" not in _validator(cases, [])(_Constant(3.0)).figures


def test_the_loss_is_that_of_the_slices_that_training_takes(cases: list[tuple[PreparedCase, Case]]) -> None:
    inside, outside = np.log1p(np.exp(-3.0)), np.log1p(np.exp(3.0))  # BCE of the logit 3
    everything = _validator(cases, [])(_Constant(3.0)).loss
    assert everything == pytest.approx((24 * inside + 456 * outside) / 480, rel=1e-5)
    tumour = _validator(cases, [], slices=SliceOptions(choice="tumour"))(_Constant(3.0)).loss
    assert tumour == pytest.approx((24 * inside + 216 * outside) / 240, rel=1e-5)


@dataclass(frozen=True)
class _Borders(BorderMaps):
    """A border term of 2 on every pixel of slice 2, and of no other."""

    def at(self, case: str, z: int) -> npt.NDArray[np.float16] | None:
        return np.full((1, 10, 12), 2, dtype=np.float16) if z == 2 else None


def test_the_loss_has_the_border_term_of_training(cases: list[tuple[PreparedCase, Case]]) -> None:
    """The pixels of slice 2 count three times as much as those of slices 1, 3 and 4."""
    prepared, _ = cases[0]
    assert prepared.regions is not None
    n_inside = prepared.regions[1:5, 0].sum(axis=(1, 2)).astype(int)
    inside, outside = np.log1p(np.exp(-3.0)), np.log1p(np.exp(3.0))
    of_slices = n_inside * inside + (120 - n_inside) * outside
    loss = build_loss(LossOptions(weighted_bce=WeightedBceOptions(class_weights="equal")), None)
    found = _validator(cases[:1], [], loss=loss, borders=_Borders({}, {}))(_Constant(3.0)).loss
    assert found == pytest.approx(float(of_slices @ (1, 3, 1, 1)) / 480, rel=1e-5)


@pytest.mark.parametrize(
    ("batch_size", "batches"), [(2, ((1, 3), (2, 4))), (3, ((1, 3), (2, 4))), (4, ((1, 2, 3, 4),))]
)
def test_one_dice_for_a_batch_is_so_in_validation_too(
    cases: list[tuple[PreparedCase, Case]], batch_size: int, batches: tuple[tuple[int, ...], ...]
) -> None:
    """1 − (2 p n + 1) / (p² N + n + 1) of each batch of N pixels with n of tumour, all of probability p."""
    prepared, _ = cases[0]
    assert prepared.regions is not None
    n_inside = prepared.regions[:, 0].sum(axis=(1, 2)).astype(int)
    p = 1 / (1 + np.exp(-3.0))
    expected = [
        1 - (2 * p * n_inside[list(batch)].sum() + 1) / (p**2 * 120 * len(batch) + n_inside[list(batch)].sum() + 1)
        for batch in batches
    ]
    options = LossOptions(dice=DiceOptions(over="batch", smoothing=1.0, denominator="squares"))
    changes = {"loss": build_loss(options, None), "batch_size": batch_size}
    assert _validator(cases[:1], [], **changes)(_Constant(3.0)).loss == pytest.approx(np.mean(expected), rel=1e-4)


def test_another_score_may_pick_the_best_model(cases: list[tuple[PreparedCase, Case]]) -> None:
    assert _validator(cases, [], score="recall")(_Constant(3.0)).score == 1.0
    assert _validator(cases, [], score="recall")(_Constant(-3.0)).score == 0.0


def test_a_score_that_no_case_has_counts_nothing(cases: list[tuple[PreparedCase, Case]]) -> None:
    """Nothing predicted: precision is 0/0 in every case."""
    found = _validator(cases, [], score="precision")(_Constant(-3.0))
    assert found.score == 0.0


class _Softmax(nn.Module):
    """Logits 0 of the background and 1 of the region everywhere."""

    def __init__(self) -> None:
        super().__init__()
        self.none = nn.Parameter(torch.zeros(()))

    def forward(self, images: Tensor) -> Tensor:
        return torch.tensor([0.0, 1.0]).view(1, 2, 1, 1).expand(len(images), 2, *images.shape[2:]) + self.none


def test_the_loss_of_softmax_is_that_of_its_logits(cases: list[tuple[PreparedCase, Case]]) -> None:
    options = PredictOptions(activation="softmax")
    predictor = Predictor(nn.Identity(), ("t1c", "t2f"), ("WT",), SCHEME, OPTIONS, SliceOptions(), options)
    found = _validator(cases, [], predictor=predictor, loss=build_loss(loss_of("ce"), None))(_Softmax())
    total = 1 + np.e
    assert found.loss == pytest.approx(-(24 * np.log(np.e / total) + 456 * np.log(1 / total)) / 480, rel=1e-5)
    assert found.score == pytest.approx(2 * 24 / (24 + 480))


def test_the_loss_of_a_volume_is_that_of_its_logits_too(cases: list[tuple[PreparedCase, Case]]) -> None:
    """All six slices of 120 voxels, of which the two black ones are of no probability: each is nothing for certain."""
    options = PredictOptions(activation="softmax")
    predictor = Predictor(
        nn.Identity(),
        ("t1c", "t2f"),
        ("WT",),
        SCHEME,
        OPTIONS,
        SliceOptions(),
        options,
        patches=PatchOptions(size=(8, 12, 12)),
    )
    found = _validator(cases, [], predictor=predictor, loss=build_loss(loss_of("ce"), None))(_SoftmaxOfVolumes())
    total = 1 + np.e
    assert found.loss == pytest.approx(-(24 * np.log(np.e / total) + 456 * np.log(1 / total)) / 720, rel=1e-3)


class _SoftmaxOfVolumes(_Softmax):
    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images[:, :, 0])[:, :, None].expand(-1, -1, *images.shape[2:])


def test_no_mask_is_measured_while_training(
    cases: list[tuple[PreparedCase, Case]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither surfaces nor lesions pick a model or stand in a log; they would cost seconds for each case and epoch."""

    def measure(pair: MaskPair, margin: int) -> None:
        raise AssertionError("a mask was measured")

    monkeypatch.setattr(MaskPair, "_box", measure)
    assert _validator(cases, [])(_Constant(9.0)).figures

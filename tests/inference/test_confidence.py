"""A fitted confidence as a bundle keeps it, what it says of a case, and how unlike the training a scan is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from glioseg.errors import FileError
from glioseg.evaluation.uncertainty import UncertaintyMaps
from glioseg.inference.bundle import BundleInfo, read_info
from glioseg.inference.confidence import (
    ConfidenceRecord,
    DiceRecord,
    RegionRecord,
    calibrated,
    features_of,
    judge,
    record_of,
    volume_bounds,
)
from glioseg.inference.familiarity import IntensityRecord, distances, fit_intensities, intensity_features
from glioseg.inference.shipped import SHIPPED
from glioseg.inference.uncertainty import RegionUncertainty, Uncertainty, UncertaintyOptions

_NONE = np.zeros((2, 1, 1, 1), dtype=np.float32)


def _record(**changes: Any) -> ConfidenceRecord:
    """Dice = 0.8 + 0.1 · (expected − 0.8) / 0.1 + 0.05 · (agreement − 0.9) / 0.1, nothing else."""
    fields: dict[str, Any] = {
        "options": UncertaintyOptions(),
        "fitted_on": "validation part of toys",
        "n_cases": 20,
        "n_patients": 20,
        "dice": DiceRecord(
            centre=(0.8, 0.9, 1.0, 0.0), scale=(0.1, 0.1, 1.0, 1.0), weights=(0.1, 0.05, 0, 0), offset=0.8, low=0.7
        ),
        "risk": 0.1,
        "level": 0.9,
        "volume_unit": "ml",
        "regions": {"WT": RegionRecord(), "ET": RegionRecord()},
        "intensities": {"t2f": IntensityRecord(mean=(0,) * 6, spread=(1,) * 6)},
    }
    return ConfidenceRecord(**(fields | changes))


def _uncertainty(expected: float | None, agreement: float | None) -> Uncertainty:
    region = RegionUncertainty(agreement, expected, (1, 1), (1, 1), 0.0, 0.0)
    return Uncertainty(("a", "b"), UncertaintyMaps(_NONE, _NONE, _NONE), {"WT": region, "ET": region})


def test_a_doubtful_mask_is_named_with_its_reasons() -> None:
    """0.8 + 0.1 · (0.7 − 0.8) / 0.1 + 0.05 · (0.6 − 0.9) / 0.1 = 0.8 − 0.1 − 0.15 = 0.55."""
    said = judge(_record(), _uncertainty(0.7, 0.6), [10.0, 1.0], ("t2f",), np.zeros((1, 6)))
    assert said.confidence == pytest.approx(0.55)
    assert said.is_low
    assert [reason.split()[0] for reason in said.reasons] == ["asked", "the"]  # the weightier first
    assert said.unlike == {}


def test_a_good_mask_has_nothing_against_it() -> None:
    said = judge(_record(), _uncertainty(0.9, 1.0), [10.0, 1.0], ("t2f",), np.zeros((1, 6)))
    assert said.confidence == pytest.approx(0.95)
    assert (said.is_low, said.reasons) == (False, ())


def test_an_unlike_modality_is_named() -> None:
    said = judge(_record(), _uncertainty(0.9, 1.0), [10.0, 1.0], ("t2f",), np.full((1, 6), 4.0))
    assert said.unlike == {"t2f": pytest.approx(4.0)}


def test_where_nothing_is_drawn_nothing_is_expected() -> None:
    """No region has a figure: 0 and 0; log₁₀(0 + 0.1) = −1, log₁₀(0.9 + 0.1) = 0."""
    features = features_of(_uncertainty(None, None).regions, [0.0, 0.0], 0.9)
    np.testing.assert_allclose(features, [0, 0, -1, 0], atol=1e-9)


def test_the_interval_of_a_volume_is_that_of_its_root() -> None:
    """Of 27 ml, whose root is 3, ± 1: 8 to 64; of 0.5 ml, ± 1: from nothing."""
    np.testing.assert_allclose(volume_bounds(27.0, 1.0), [8, 64])
    assert volume_bounds(0.5, 1.0)[0] == 0.0


def test_a_temperature_changes_probabilities_but_not_sides() -> None:
    """σ(logit(0.9) / 2) = 3 / (3 + 1) = 0.75: logit(0.9) is ln 9, half of it ln 3."""
    found = calibrated(np.array([0, 0.1, 0.5, 0.9, 1], dtype=np.float32), 2.0)
    np.testing.assert_allclose(found, [0, 0.25, 0.5, 0.75, 1], atol=1e-6)


def _info(**changes: Any) -> BundleInfo:
    info = read_info(SHIPPED["phantom"].folder)
    return info.model_copy(update={"regions": ("WT", "ET"), "confidence": None} | changes)


def test_a_bundle_gives_back_what_was_kept() -> None:
    assert record_of(_info()) is None
    record = _record()
    assert record_of(_info(confidence=record.model_dump(mode="json"))) == record


@pytest.mark.parametrize(
    ("changes", "match"),
    [({"kind": "masks-9"}, "kind"), ({"regions": {"WT": {}}}, "regions WT"), ({"dice": {}}, "dice.centre")],
)
def test_what_another_version_kept_is_refused(changes: dict[str, Any], match: str) -> None:
    block = _record().model_dump(mode="json") | changes
    with pytest.raises(FileError, match=match) as refusal:
        record_of(_info(confidence=block))
    assert "calibrate" in str(refusal.value)


def test_features_are_quantiles_of_what_is_filled() -> None:
    """Of the values 1 … 4 beside four zeros: quantiles 1.15, 1.75, 2.5, 3.25, 3.85; half is filled."""
    images = np.zeros((1, 2, 2, 4), dtype=np.float16)
    images[0, 0].flat[:4] = (1, 2, 3, 4)
    features = intensity_features(images)
    np.testing.assert_allclose(features[0], [1.15, 1.75, 2.5, 3.25, 3.85, 0.5])
    assert np.isnan(features[1]).all()


def test_distance_is_in_standard_deviations_of_the_training() -> None:
    """Two cases, 0 and 2 in every feature: mean 1, deviation 1. A case of 4 lies 3 apart; a lacking channel nowhere."""
    cases = [np.stack([np.full(6, value), np.full(6, np.nan)]) for value in (0.0, 2.0)]
    records = fit_intensities(("t2f", "t1c"), cases)
    assert set(records) == {"t2f"}
    found = distances(records, ("t2f", "t1c"), np.full((2, 6), 4.0))
    assert found == {"t2f": pytest.approx(3.0)}
    assert distances(records, ("t2f",), np.full((1, 6), np.nan)) == {}


def test_equal_training_cases_leave_some_room() -> None:
    records = fit_intensities(("t2f",), [np.zeros((1, 6))] * 3)
    assert distances(records, ("t2f",), np.full((1, 6), 0.02)) == {"t2f": pytest.approx(1.0)}

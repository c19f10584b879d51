"""What a threshold reaches: the score that a network must leave behind before its Dice means anything."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from glioseg.cohorts.phantom.generate import PhantomPatient
from glioseg.errors import LayoutError

_Z_LOW, _Z_HIGH, _Z_STEP = -4.0, 12.0, 0.02
_RAW_BINS = 32768


@dataclass(frozen=True)
class ThresholdBaseline:
    """Mean whole-tumour Dice over the patients of the best single threshold on FLAIR, chosen on the same patients.

    Args:
        raw_dice, raw_threshold: on intensities as they are.
        z_dice, z_threshold: after z-scoring each patient over the brain.
        n_patients: how many.
    """

    raw_dice: float
    raw_threshold: float
    z_dice: float
    z_threshold: float
    n_patients: int

    @property
    def dice(self) -> float:
        """The better of the two."""
        return max(self.raw_dice, self.z_dice)


def flair_and_tumour(patient: PhantomPatient) -> tuple[npt.NDArray[np.generic], npt.NDArray[np.bool_]]:
    """FLAIR (X, Y, Z) and the whole tumour (X, Y, Z) of a phantom patient, as ``threshold_baseline`` takes them."""
    channel = patient.image.modalities.index("t2f")
    return patient.image.array[channel], np.asarray(patient.labels.array > 0, dtype=bool)


def threshold_baseline(
    cases: Iterable[tuple[npt.NDArray[np.generic], npt.NDArray[np.bool_]]],
) -> ThresholdBaseline:
    """Score every threshold on FLAIR over a cohort in one pass.

    A histogram per patient gives the Dice at all thresholds at once; only their running sum is kept, so that memory
    does not grow with the cohort. Voxels at or above the threshold are predicted as tumour. A patient without tumour
    counts 1 where nothing is predicted and 0 elsewhere.

    Args:
        cases: FLAIR (X, Y, Z), non-negative with 0 outside the brain, and whole-tumour mask (X, Y, Z) of each patient.

    Raises:
        LayoutError: there is no case.
    """
    raw_sum = np.zeros(_RAW_BINS)
    z_sum = np.zeros(round((_Z_HIGH - _Z_LOW) / _Z_STEP))
    count = 0
    for flair, tumour in cases:
        signal = flair.astype(np.float64)
        brain = signal > 0
        values, inside = signal[brain], tumour[brain]
        missed = int(np.count_nonzero(tumour & ~brain))
        raw_sum += _dice_by_bin(np.clip(values, 0, _RAW_BINS - 1), inside, missed, _RAW_BINS)
        z = (values - values.mean()) / max(float(values.std()), 1e-12) if values.size else values
        place = np.clip((z - _Z_LOW) / _Z_STEP, 0, len(z_sum) - 1)
        z_sum += _dice_by_bin(place, inside, missed, len(z_sum))
        count += 1
    if count == 0:
        raise LayoutError("a threshold cannot be scored on no case", expected="at least one")
    raw, z_best = int(raw_sum.argmax()), int(z_sum.argmax())
    return ThresholdBaseline(
        float(raw_sum[raw] / count), float(raw), float(z_sum[z_best] / count), _Z_LOW + z_best * _Z_STEP, count
    )


def _dice_by_bin(
    places: npt.NDArray[np.float64], inside: npt.NDArray[np.bool_], missed: int, n_bins: int
) -> npt.NDArray[np.float64]:
    """Dice of predicting all voxels at or above each bin; (n_bins,)."""
    bins = places.astype(np.intp)
    predicted = np.bincount(bins, minlength=n_bins)[::-1].cumsum()[::-1]
    hit = np.bincount(bins[inside], minlength=n_bins)[::-1].cumsum()[::-1]
    both = predicted + np.count_nonzero(inside) + missed
    return np.asarray(np.where(both > 0, 2.0 * hit / np.maximum(both, 1), 1.0), dtype=np.float64)

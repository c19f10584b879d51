"""Where the line of a region is drawn: at one probability for all cases, or for each case where its Dice is best."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError, ValidatorFunctionWrapHandler, WrapValidator

EXPECTED_DICE: Final = "expected-dice"
LOWEST = 0.25
"""Below it the best mask is expected to have a Dice below 0.5: where there is nothing, noise would be drawn."""


def _in_words(value: Any, is_either: ValidatorFunctionWrapHandler) -> Any:  # noqa: ANN401 - whatever was given
    try:
        threshold = is_either(value)
    except ValidationError:
        threshold = None
    if threshold == EXPECTED_DICE or (threshold is not None and 0 <= threshold < 1):
        return threshold
    raise ValueError(f"found {value}, expected a number of at least 0 and below 1, or {EXPECTED_DICE}")


Threshold = Annotated[float | Literal["expected-dice"], WrapValidator(_in_words)]


def threshold_in(probabilities: npt.NDArray[Any], threshold: Threshold) -> float:
    """The probability above which a voxel of this case is inside.

    ``expected-dice``: a mask of n voxels that hold the sum s of probabilities has the expected Dice 2 s / (n + S),
    where S is the sum over the whole case (as the ratio of two expectations). Of all masks of n voxels, the n most
    probable are the best one, and of those the best has the threshold D / 2, where D is its own expected Dice: Lipton,
    Elkan & Naryanaswamy 2014, "Optimal thresholding of classifiers to maximize F1 measure". It is 0.5 where the network
    is sure of everything, and lower the less sure it is; never below ``LOWEST``.

    Args:
        probabilities: of one region, over the whole case: a part of it has another best threshold.
        threshold: of the options.
    """
    if threshold != EXPECTED_DICE:
        return threshold
    likely = np.sort(probabilities[probabilities > LOWEST].astype(np.float64))[::-1]
    expected = 2 * np.cumsum(likely) / (np.arange(1, len(likely) + 1) + probabilities.sum(dtype=np.float64))
    return max(LOWEST, float(expected.max(initial=0.0)) / 2)

"""A score that says what it is worth, and the named conventions for empty masks.

Dice, IoU, precision and recall are 0/0 where the masks they compare are empty. Software differs in what it then does
(1 in the BraTS challenge, left out in nnU-Net, 0 in scikit-learn), and a mean over cases or slices differs with it.
So a score carries its status, an undefined one has no value, and whoever averages names the rule.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np
import numpy.typing as npt

from glioseg.errors import ScoreError

Status = Literal["ok", "both_empty", "reference_empty", "prediction_empty", "reference_full", "undefined"]
EmptyRule = Literal["skip", "both_empty_1", "zero", "skip_reference_empty"]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]
Interval = tuple[float, float] | None
"""Lower and upper end; None where it is not known."""

EMPTY_RULES: Mapping[EmptyRule, str] = MappingProxyType(
    {
        "skip": "where a ratio is 0/0 it is left out of means; a mask predicted where the reference is empty scores 0",
        "both_empty_1": "where both masks are empty a ratio that is 0/0 counts as 1, where only one is empty as 0",
        "zero": "a ratio that is 0/0 counts as 0, also where both masks are empty",
        "skip_reference_empty": "where the reference is empty nothing counts; other ratios that are 0/0 are left out",
    }
)
"""What each rule means, in words that stand beside the figures.

``skip`` is nnU-Net's, ``both_empty_1`` the BraTS challenge's, ``zero`` scikit-learn's (``zero_division=0``) and
``skip_reference_empty`` MONAI's (``ignore_empty=True``).
"""
EMPTY_WORDS: Mapping[EmptyRule, str] = MappingProxyType(
    {
        "skip": "0/0 left out",
        "both_empty_1": "both empty = 1",
        "zero": "0/0 = 0",
        "skip_reference_empty": "no reference: left out",
    }
)
"""The same in a word or two, for tables."""


def interval_from_json(pair: Sequence[float] | None) -> Interval:
    """``[low, high]`` or null, as files have it."""
    return None if pair is None else (float(pair[0]), float(pair[1]))


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Turns what a damaged file makes of ``from_json`` into an error that names the key or the value.

    Raises:
        ScoreError: a key is missing, or a value is not what it should be.
    """
    try:
        yield
    except KeyError as error:
        raise ScoreError(f"not {what}: it has no {error.args[0]}") from error
    except (TypeError, ValueError, AttributeError) as error:
        raise ScoreError(f"not {what}", found=error) from error


@dataclass(frozen=True)
class EmptyValues:
    """What a rule gives a figure that is undefined since a mask is empty, in the figure's own unit.

    Args:
        both_empty: where both masks are empty, which is as good as it gets: 1 for a ratio, 0 for a distance.
        one_empty: where one of them is, as bad as it gets: 0 for a ratio, 374 for a distance in mm in the challenge
            BraTS 2023.
    """

    both_empty: float
    one_empty: float


OF_RATIOS = EmptyValues(both_empty=1.0, one_empty=0.0)


@dataclass(frozen=True)
class Score:
    """A figure of one case and region.

    Args:
        value: finite; None where the figure is undefined (0/0).
        unit: of its metric, such as ``ratio``, ``ml`` or ``voxels``.
        status: which mask was empty, whether or not the value is defined. ``reference_full``: the reference fills the
            image, so that figures about the background (specificity, ROC-AUC) have no voxel to count. ``undefined``:
            neither is empty, and there is nothing to count all the same, as where all lesions are too small.

    Raises:
        ScoreError: a value that is not finite, or none at all with status ok.
    """

    value: float | None
    unit: str
    status: Status

    def __post_init__(self) -> None:
        if self.value is None:
            if self.status == "ok":
                raise ScoreError("a score with status ok needs a value")
        elif not math.isfinite(self.value):
            raise ScoreError("a score is finite or None", found=self.value)

    def to_json(self) -> dict[str, str | float | None]:
        """``{"value", "unit", "status"}``; an undefined value is null."""
        return {"value": self.value, "unit": self.unit, "status": self.status}


def mask_status(reference: int, prediction: int, total: int) -> Status:
    """The status of two masks from their sizes, in voxels, and the image's."""
    if reference == 0:
        return "both_empty" if prediction == 0 else "reference_empty"
    if prediction == 0:
        return "prediction_empty"
    return "reference_full" if reference == total else "ok"


def apply_rule(
    values: Floats,
    reference_empty: Flags,
    prediction_empty: Flags,
    rule: EmptyRule,
    empty: EmptyValues = OF_RATIOS,
) -> Floats:
    """What a mean is to be taken over.

    A rule speaks of ratios, whose best value is 1 and whose worst is 0. Where 0 is the best, as for distances, its
    words are of the best and the worst: ``zero`` must not give a missed lesion a distance of 0 mm.

    Args:
        values: (...) figures, NaN where they are undefined (0/0, no surface).
        reference_empty: (...) whether the reference has no voxel.
        prediction_empty: (...) whether the prediction has none.
        rule: the convention.
        empty: the best and the worst value.

    Returns:
        (...) values; NaN where the rule leaves one out.
    """
    undefined = np.isnan(values)
    if rule == "zero":
        return np.where(undefined, empty.one_empty, values)
    if rule == "both_empty_1":
        return np.where(
            undefined, np.where(reference_empty & prediction_empty, empty.both_empty, empty.one_empty), values
        )
    if rule == "skip_reference_empty":
        return np.where(reference_empty, np.nan, values)
    return values

"""What is told of the uncertainty of a mask: figures by region, maps beside it, one confidence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from glioseg.core import Grid
from glioseg.evaluation.uncertainty import mean_defined
from glioseg.inference.predictor import Prediction
from glioseg.inference.uncertainty import Uncertainty
from glioseg.io.nifti import write_nifti
from glioseg.io.tiff import write_float_stack
from glioseg.report.maps import TitledMap

MAPS = ("probability", "entropy", "mutual_information")
_STEPS = np.float32(1024)
_MOST_INFORMATION = 0.25
"""Bits that are drawn as the most: two samples of 0.05 and 0.7 have 0.37, four that waver 0.05."""
_CONTRADICTS = 0.7
"""Samples whose masks agree less than this are not one opinion."""


def map_files(stem: str) -> list[str]:
    """Names of all files of maps that a case may have, of volumes and of pictures."""
    return [f"{stem}_{name}{ending}" for name in MAPS for ending in (".nii.gz", ".tif")] + [f"{stem}_uncertainty.png"]


def write_maps(uncertainty: Uncertainty, grid: Grid, folder: Path, stem: str) -> dict[str, str]:
    """Write the maps, one channel (of pictures: page) for each region in order; kind of map -> name of its file.

    Values are rounded to 1/1024: what lies below that says nothing, and would make the files ten times as large.
    """
    written = {}
    for name in MAPS:
        values: npt.NDArray[np.float32] = np.rint(getattr(uncertainty.maps, name) * _STEPS) / _STEPS
        if grid.has_mm:
            path = folder / f"{stem}_{name}.nii.gz"
            write_nifti(path, np.moveaxis(values, 0, 3) if len(values) > 1 else values[0], grid)
        else:
            path = folder / f"{stem}_{name}.tif"
            write_float_stack(path, values)
        written[name] = path.name
    return written


def uncertainty_facts(uncertainty: Uncertainty, voxel: float, unit: str) -> dict[str, Any]:
    """The uncertainty's part of a case's sidecar.

    Args:
        uncertainty: of the case.
        voxel: what a voxel counts,
        unit: in this unit.
    """
    regions = {
        name: {
            "agreement": _rounded(region.agreement),
            "expected_dice": _rounded(region.expected_dice),
            "volume_interval": [round(n * voxel, 4) for n in region.interval],
            "entropy": _rounded(region.entropy),
            "mutual_information": _rounded(region.mutual_information),
        }
        for name, region in uncertainty.regions.items()
    }
    return {
        "samples": list(uncertainty.samples),
        "confidence": _rounded(confidence_of(uncertainty)),
        "confidence_is": f"mean Dice of the masks of {len(uncertainty.samples)} samples with each other: how far the "
        "networks agree with themselves, fitted to no reference",
        "volume_unit": unit,
        "volume_interval_is": "smallest and largest volume of a sample, the mask's own included",
        "entropy_unit": "bits",
        "regions": regions,
    }


def confidence_of(uncertainty: Uncertainty) -> float | None:
    """The mean agreement over regions; None where every sample of every region is empty."""
    return mean_defined(region.agreement for region in uncertainty.regions.values())


def contradictions(uncertainty: Uncertainty) -> tuple[str, ...]:
    """A sentence where the samples are not of one opinion."""
    confidence = confidence_of(uncertainty)
    if confidence is None or confidence >= _CONTRADICTS:
        return ()
    asked = f"Asked {len(uncertainty.samples)} times (mirrored, scaled, …)"
    return (f"{asked}, the prediction changes: the masks agree at a Dice of {confidence:.2f} only",)


def uncertainty_maps_shown(uncertainty: Uncertainty, prediction: Prediction) -> list[TitledMap]:
    """What the figure shows: of each voxel the least certain region, and where samples contradict each other."""
    maps, main = uncertainty.maps, prediction.regions[0]
    largest = "" if len(prediction.regions) == 1 else ", largest of the regions"
    return [
        TitledMap(f"probability of {main}", "mean of the samples, 0 blue to 1 red", maps.probability[0]),
        TitledMap("uncertainty", f"entropy{largest}, 0 blue to 1 bit red", maps.entropy.max(axis=0)),
        TitledMap(
            "contradiction",
            f"mutual information{largest}, 0 blue to {_MOST_INFORMATION} bit red",
            np.clip(maps.mutual_information.max(axis=0) / _MOST_INFORMATION, 0, 1),
        ),
    ]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)

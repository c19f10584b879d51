"""What is told of the uncertainty of a mask: figures by region, maps beside it, one confidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from glioseg.core import Grid
from glioseg.evaluation.conformal import share_words
from glioseg.evaluation.uncertainty import mean_defined
from glioseg.inference.confidence import ConfidenceRecord, Judgement, calibrated, volume_bounds
from glioseg.inference.predictor import Prediction
from glioseg.inference.uncertainty import Uncertainty
from glioseg.report import style
from glioseg.report.maps import TitledMap
from glioseg.tasks.predicted import kept_words
from glioseg.tasks.segment.maps import rounded, write_map

MAPS = ("probability", "entropy", "mutual_information", "cautious")
_MOST_INFORMATION = 0.25
"""Bits that are drawn as the most: two samples of 0.05 and 0.7 have 0.37, four that waver 0.05."""
_CONTRADICTS = 0.7
"""Samples whose masks agree less than this are not one opinion."""


@dataclass(frozen=True, eq=False)
class Doubted:
    """A mask with how far it can be trusted.

    Args:
        uncertainty: by samples.
        record: what the bundle keeps, where it was fitted to the same samples; None else,
        judgement: and what follows from it.
        kept: where modalities were missing, the share of its Dice that the network keeps without them; None where
            nobody measured it.
        expected: the expected Dice then, by a confidence that was fitted on cases with all modalities.
    """

    uncertainty: Uncertainty
    record: ConfidenceRecord | None = None
    judgement: Judgement | None = None
    kept: float | None = 1.0
    expected: float | None = None

    @property
    def confidence(self) -> float | None:
        """The expected Dice where the network's confidence was fitted, else how far samples agree, times ``kept``: that
        networks agree with themselves says nothing of what they were not shown.
        """
        if self.judgement is not None:
            return self.judgement.confidence
        whole = agreement_of(self.uncertainty) if self.expected is None else self.expected
        return None if whole is None or self.kept is None else whole * self.kept


def map_files(stem: str) -> list[str]:
    """Names of all files of maps that a case may have, of volumes and of pictures."""
    return [f"{stem}_{name}{ending}" for name in MAPS for ending in (".nii.gz", ".tif")] + [f"{stem}_uncertainty.png"]


def write_maps(doubted: Doubted, grid: Grid, folder: Path, stem: str) -> dict[str, str]:
    """Write the maps, one channel (of pictures: page) for each region in order; kind of map -> name of its file."""
    maps = doubted.uncertainty.maps
    arrays = {
        "probability": probability_of(doubted),
        "entropy": maps.entropy,
        "mutual_information": maps.mutual_information,
    }
    written = {}
    for name, values in arrays.items():
        written[name] = write_map(rounded(values), grid, folder / f"{stem}_{name}")
    cautious = cautious_masks(doubted)
    if cautious is not None:
        written["cautious"] = write_map(cautious, grid, folder / f"{stem}_cautious")
    return written


def probability_of(doubted: Doubted) -> npt.NDArray[np.float32]:
    """(R, X, Y, Z) mean probability of the samples, at the fitted temperature where there is one."""
    mean = doubted.uncertainty.maps.probability
    if doubted.record is None:
        return mean
    temperatures = [doubted.record.regions[name].temperature for name in doubted.uncertainty.regions]
    return np.stack([calibrated(row, temperature) for row, temperature in zip(mean, temperatures, strict=True)])


def cautious_masks(doubted: Doubted) -> npt.NDArray[np.uint8] | None:
    """(R, X, Y, Z) what keeps the promised risk; None where nothing is promised of some region."""
    thresholds = _thresholds(doubted)
    if thresholds is None:
        return None
    limits = np.array(thresholds, dtype=np.float32).reshape(-1, 1, 1, 1)
    return np.asarray(doubted.uncertainty.maps.probability >= limits, dtype=np.uint8)


def _thresholds(doubted: Doubted) -> list[float] | None:
    if doubted.record is None:
        return None
    thresholds = [doubted.record.regions[name].risk_threshold for name in doubted.uncertainty.regions]
    known_thresholds = [threshold for threshold in thresholds if threshold is not None]
    return known_thresholds if len(known_thresholds) == len(thresholds) else None


def uncertainty_facts(doubted: Doubted, volumes: Mapping[str, float], voxel: float, unit: str) -> dict[str, Any]:
    """The uncertainty's part of a case's sidecar.

    Args:
        doubted: the case.
        volumes: of the mask, by region.
        voxel: what a voxel counts,
        unit: in this unit.
    """
    uncertainty, record = doubted.uncertainty, doubted.record
    cautious = cautious_masks(doubted)
    regions = {}
    for row, (name, region) in enumerate(uncertainty.regions.items()):
        regions[name] = {
            "agreement": _rounded(region.agreement),
            "expected_dice": _rounded(region.expected_dice),
            "volume_interval": _interval(doubted, name, volumes[name], voxel),
            "entropy": _rounded(region.entropy),
            "mutual_information": _rounded(region.mutual_information),
        }
        if cautious is not None:
            regions[name]["cautious_volume"] = round(int(cautious[row].sum()) * voxel, 4)
    facts = {
        "samples": list(uncertainty.samples),
        **_confidence_facts(doubted),
        "volume_unit": unit,
        "volume_interval_is": _interval_words(doubted),
        "entropy_unit": "bits",
        "regions": regions,
    }
    if cautious is not None and record is not None:
        facts["cautious_is"] = (
            f"misses at most {share_words(record.risk)} of a region, on average over patients like those fitted"
        )
    return facts


def _confidence_facts(doubted: Doubted) -> dict[str, Any]:
    n_samples, record, judgement = len(doubted.uncertainty.samples), doubted.record, doubted.judgement
    if record is None or judgement is None:
        return {
            "confidence": _rounded(doubted.confidence),
            "confidence_is": _unfitted_words(n_samples, doubted),
            "fitted": False,
        }
    return {
        "confidence": _rounded(doubted.confidence),
        "confidence_is": f"expected mean Dice over the regions, fitted on {record.fitted_on} ({record.n_cases} cases "
        f"of {record.n_patients} patients)",
        "fitted": True,
        "low": judgement.is_low,
        "reasons": list(judgement.reasons),
        "unlike_training": {name: round(distance, 2) for name, distance in judgement.unlike.items()},
    }


def _unfitted_words(n_samples: int, doubted: Doubted) -> str:
    words = (
        f"mean Dice of the masks of {n_samples} samples with each other: how far the networks agree with themselves, "
        "fitted to no reference"
    )
    if doubted.expected is not None:
        words = "expected mean Dice over the regions, fitted on cases with all modalities"
    return kept_words(words, doubted.kept, "Dice")


def _interval(doubted: Doubted, region: str, volume: float, voxel: float) -> list[float]:
    record = doubted.record
    error = None if record is None else record.regions[region].volume_error
    if error is None:
        low, high = (n * voxel for n in doubted.uncertainty.regions[region].interval)
    else:
        low, high = volume_bounds(volume, error)
    return [round(low, 4), round(high, 4)]


def _interval_words(doubted: Doubted) -> str:
    record = doubted.record
    if record is None or any(region.volume_error is None for region in record.regions.values()):
        return "smallest and largest volume of a sample, the mask's own included"
    return f"holds the true volume in {share_words(record.level)} of patients like those it was fitted on"


def agreement_of(uncertainty: Uncertainty) -> float | None:
    """The mean agreement over regions; None where every sample of every region is empty."""
    return mean_defined(region.agreement for region in uncertainty.regions.values())


def low_confidence(doubted: Doubted) -> tuple[str, ...]:
    """Sentences where the mask is not to be trusted, the weightiest first."""
    judgement = doubted.judgement
    if judgement is None:
        return _contradictions(doubted.uncertainty)
    unlike = [
        f"{style.modality_title(name)} is unlike that of the training: its intensities lie {distance:.1f} standard "
        "deviations apart. It may be another sequence, show the skull, or have been processed"
        for name, distance in judgement.unlike.items()
    ]
    if not judgement.is_low:
        return tuple(unlike)
    because = f": {'; '.join(judgement.reasons)}" if judgement.reasons else ""
    expected = f"the expected Dice is {judgement.confidence:.2f}, lower than of nine in ten cases it was fitted on"
    return (f"Low confidence, check this one ({expected}){because}", *unlike)


def _contradictions(uncertainty: Uncertainty) -> tuple[str, ...]:
    agreed = agreement_of(uncertainty)
    if agreed is None or agreed >= _CONTRADICTS:
        return ()
    asked = f"Asked {len(uncertainty.samples)} times (mirrored, scaled, …)"
    return (f"{asked}, the prediction changes: the masks agree at a Dice of {agreed:.2f} only",)


def shown_maps(doubted: Doubted, prediction: Prediction) -> list[TitledMap]:
    """What the figure shows: of each voxel the least certain region, and where samples contradict each other."""
    maps, main = doubted.uncertainty.maps, prediction.regions[0]
    largest = "" if len(prediction.regions) == 1 else ", largest of the regions"
    shown = [
        TitledMap(f"probability of {main}", "mean of the samples, 0 blue to 1 red", probability_of(doubted)[0]),
        TitledMap("uncertainty", f"entropy{largest}, 0 blue to 1 bit red", maps.entropy.max(axis=0)),
        TitledMap(
            "contradiction",
            f"mutual information{largest}, 0 blue to {_MOST_INFORMATION} bit red",
            np.clip(maps.mutual_information.max(axis=0) / _MOST_INFORMATION, 0, 1),
        ),
    ]
    cautious = cautious_masks(doubted)
    if cautious is not None and doubted.record is not None:
        words = f"at most {share_words(doubted.record.risk)} missed on average over patients"
        shown.append(TitledMap(f"cautious mask of {main}", words, cautious[0].astype(np.float32)))
    return shown


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)

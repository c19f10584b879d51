"""How unlike the training cases a scan's intensities are, modality by modality, as a network sees them.

Each modality of a prepared case is described by five quantiles of what is not 0 in it, and by the share of that. How
many standard deviations of the training cases these lie apart, root mean square over the six, is the distance: about 1
of a scan like those, several of one that was stretched, clipped, inverted or taken for another sequence. It sees
histograms and no shapes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from glioseg.evaluation.score import Floats
from glioseg.frozen import Frozen

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_LEAST_SPREAD = 0.02
"""Of features: smaller standard deviations are those of too few or too equal cases."""


class IntensityRecord(Frozen):
    """What a modality looks like in training: mean and standard deviation of its features over cases."""

    mean: tuple[float, ...]
    spread: tuple[float, ...]


def intensity_features(images: npt.NDArray[np.floating]) -> Floats:
    """(Z, C, Y, X) prepared images -> (C, 6): quantiles of what is not 0, and its share; NaN of a channel of zeros."""
    rows = []
    for channel in range(images.shape[1]):
        values = images[:, channel]
        filled = values[values != 0].astype(np.float64)
        if not filled.size:
            rows.append(np.full(len(QUANTILES) + 1, np.nan))
            continue
        rows.append(np.append(np.quantile(filled, QUANTILES), filled.size / values.size))
    return np.stack(rows)


def fit_intensities(modalities: Sequence[str], cases: Iterable[Floats]) -> dict[str, IntensityRecord]:
    """Modality -> its record, from the features (C, 6) of cases; those that no case has are left out."""
    features = np.stack(list(cases))
    records = {}
    for channel, name in enumerate(modalities):
        of_modality = features[:, channel]
        of_modality = of_modality[~np.isnan(of_modality).any(axis=1)]
        if len(of_modality):
            spread = np.maximum(of_modality.std(axis=0), _LEAST_SPREAD)
            records[name] = IntensityRecord(
                mean=tuple(of_modality.mean(axis=0).tolist()), spread=tuple(spread.tolist())
            )
    return records


def distances(records: Mapping[str, IntensityRecord], modalities: Sequence[str], features: Floats) -> dict[str, float]:
    """Modality -> distance of a case with these features (C, 6); without modalities that it or the training lacks."""
    by_modality = {}
    for channel, name in enumerate(modalities):
        if name in records and not np.isnan(features[channel]).any():
            record = records[name]
            apart = (features[channel] - np.array(record.mean)) / np.array(record.spread)
            by_modality[name] = float(np.sqrt((apart**2).mean()))
    return by_modality

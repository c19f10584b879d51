"""An expert's mask beside a case, and how the network's mask and the last one drawn compare with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from glioseg.app.masks import kept_mask, scheme_in, sent_mask
from glioseg.app.places import CasePlaces
from glioseg.core import LabelMap, scheme_named
from glioseg.core.labels import convert_labels
from glioseg.io.files import write_json
from glioseg.io.nifti import write_nifti
from glioseg.io.text import read_json_object

_SHOWN = ("dice", "iou", "precision", "recall", "hd95", "nsd", "volume_error")
"""Of the metrics that there are, those that a page has room for."""


def keep_reference(content: bytes, places: CasePlaces, scheme: str | None) -> None:
    """Keep a NIfTI file as the reference of a case.

    Args:
        content: the file.
        places: of the case.
        scheme: what its integers mean, where they are not the network's.

    Raises:
        FileError, GeometryError, LabelError: as ``sent_mask``; labels that the network's cannot say.
    """
    predicted_scheme = scheme_in(places)
    put_reference(sent_mask(content, places, predicted_scheme if scheme is None else scheme_named(scheme)), places)


def put_reference(labels: LabelMap, places: CasePlaces) -> None:
    """Write a reference with the labels of the network; a LabelError tells one that they cannot say."""
    predicted_scheme = scheme_in(places)
    is_own = dict(labels.scheme.labels) == dict(predicted_scheme.labels)
    array = labels.array if is_own else convert_labels(labels.array, labels.scheme, predicted_scheme)
    write_nifti(places.reference, array.astype(np.uint8), labels.grid)


def score_masks(places: CasePlaces, n_corrections: int) -> dict[str, Any]:
    """Compare the network's mask and the last one drawn with the reference, and remember it.

    Returns:
        ``scores`` of the network's and ``corrected`` of the drawn one, region -> metric -> value; None where there is
        none.
    """
    corrected = _scores(places, places.correction(n_corrections)) if n_corrections else None
    scores = {"scores": _scores(places, places.mask), "corrected": corrected}
    write_json(places.scores, scores)
    return scores


def scores_in(places: CasePlaces) -> dict[str, Any] | None:
    """The scores of a case; None where it has no reference."""
    return read_json_object(places.scores) if places.scores.exists() else None


def _scores(places: CasePlaces, mask: Path) -> dict[str, dict[str, float | None]]:
    from glioseg.api.masks import score  # what it works with takes a second to import

    reference, drawn = kept_mask(places.reference, places), kept_mask(mask, places)
    regions = score(reference, drawn, regions=list(drawn.scheme.regions)).to_json()["regions"]
    return {
        region: {name: metrics[name]["case_mean"] for name in _SHOWN if name in metrics}
        for region, metrics in regions.items()
    }

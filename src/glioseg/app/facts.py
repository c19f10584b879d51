"""What is measured of a mask (volumes, lesions, largest cross-sections, diameters), and the words of the networks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from glioseg.core import Grid, LabelMap
from glioseg.core.components import label_components
from glioseg.core.grid import PLANE_OF_AXIS
from glioseg.evaluation.diameters import measure_diameters
from glioseg.report.style import region_colour

_MOST_LESIONS = 40


def facts_of(sidecar: Mapping[str, Any], labels: LabelMap) -> dict[str, Any]:
    """What is shown of the network's own mask.

    Args:
        sidecar: the JSON that ``predict`` wrote.
        labels: the mask.
    """
    regions = tuple(sidecar["regions"])
    intervals = {
        name: region["volume_interval"] for name, region in sidecar.get("uncertainty", {}).get("regions", {}).items()
    }
    return {
        "unit": "ml" if labels.grid.has_mm else "voxels",
        "labels": [
            {"value": value, "name": name, "colour": region_colour(name, row)}
            for row, (name, value) in enumerate(labels.scheme.labels.items())
        ],
        "scheme": {"labels": sidecar["labels"], "regions": sidecar["regions"]},
        "model_id": sidecar["model_id"],
        "use": sidecar["use"],
        "confidence": confidence_of(sidecar),
        "maps": _maps(sidecar),
        "warnings": list(sidecar["warnings"]),
        "terms": list(sidecar["terms"]),
        "intervals": intervals,
        **_measured(labels, regions, sidecar.get("diameters")),
    }


def measured(labels: LabelMap) -> dict[str, Any]:
    """What is measured of a mask that was drawn, as of the network's: see ``_measured``."""
    diameters = measure_diameters(labels).to_json() if labels.grid.has_mm else None
    return _measured(labels, tuple(labels.scheme.regions), diameters)


def _measured(labels: LabelMap, regions: Sequence[str], diameters: Mapping[str, Any] | None) -> dict[str, Any]:
    """Volumes and lesions by region, where most of the mask is seen, and the diameters of what is measurable.

    Args:
        labels: the mask, whoever drew it.
        regions: that are told.
        diameters: as the JSON of ``predict`` has them; None of pictures.
    """
    measurements = {"region": None, "lesions": []} if diameters is None else diameters
    return {
        "volumes_ml": volumes_in(labels, regions),
        "lesions": [lesion for region in regions for lesion in _lesions(labels, region)],
        "largest": largest_sections(labels),
        "diameters": [{"region": measurements["region"], **lesion} for lesion in measurements["lesions"]],
    }


def volumes_in(labels: LabelMap, regions: Sequence[str]) -> dict[str, float]:
    """Region -> its volume, as ``predict`` states it."""
    from glioseg.tasks.segment.prediction import volumes_of  # which knows networks, and takes seconds to import

    return volumes_of(labels, regions)


def confidence_of(sidecar: Mapping[str, Any]) -> dict[str, Any] | None:
    """How far the mask can be trusted, and why not further; None where it was not asked."""
    asked = sidecar.get("uncertainty")
    if asked is None:
        return None
    return {
        "value": asked["confidence"],
        "low": bool(asked.get("low", False)),
        "words": asked["confidence_is"],
        "reasons": list(asked.get("reasons", ())),
    }


def _maps(sidecar: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The maps that ``predict`` wrote beside the mask, one for each region; pictures have none that are shown."""
    maps = []
    regions = list(sidecar["regions"])
    forms, asked = sidecar.get("forms", {}), sidecar.get("uncertainty", {}).get("maps", {})
    probability = asked.get("probability") or forms.get("probabilities", {}).get("file")
    explained = sidecar.get("explanation", {})
    for kind, file, title, most in (
        ("probability", probability, "probability", 1.0),
        ("uncertainty", asked.get("entropy"), "entropy, in bits", 1.0),
        ("explanation", explained.get("maps", {}).get("grad_cam"), explained.get("maps_are", {}).get("grad_cam"), 1.0),
    ):
        if file is not None and file.endswith(".nii.gz"):
            maps += [
                {"kind": kind, "region": region, "file": file, "frame": frame, "title": title, "range": [0.0, most]}
                for frame, region in enumerate(regions)
            ]
    return maps


def largest_sections(labels: LabelMap) -> dict[str, int] | None:
    """Plane -> index, along the voxel axis that it is stepped through, of the slice with most of the mask."""
    inside = labels.array > 0
    if not inside.any():
        return None
    axes = _axes(labels.grid)
    return {
        plane: int(inside.sum(axis=tuple(other for other in range(3) if other != axis)).argmax())
        for plane, axis in axes.items()
    }


def _axes(grid: Grid) -> dict[str, int]:
    """Plane -> the voxel axis that it is stepped through; pictures have one."""
    if not grid.has_mm:
        return {"axial": 2}
    return {PLANE_OF_AXIS[world]: axis for axis, (world, _) in enumerate(grid.axis_directions)}


def _lesions(labels: LabelMap, region: str) -> Iterator[dict[str, Any]]:
    """The separate pieces of a region, the largest first."""
    components, n = label_components(np.isin(labels.array, labels.scheme.values_of(region)))
    sizes = np.bincount(components.ravel(), minlength=n + 1)[1:]
    voxel, boxes = labels.grid.voxel_ml if labels.grid.has_mm else 1.0, ndimage.find_objects(components)
    for piece in np.argsort(-sizes, kind="stable")[:_MOST_LESIONS]:
        corner = [span.start for span in boxes[piece]]
        centre = _middle_voxel(np.argwhere(components[boxes[piece]] == piece + 1)) + corner
        place = labels.grid.affine @ np.append(centre, 1.0)
        yield {
            "region": region,
            "centre_voxel": [int(index) for index in centre],
            "centre_mm": [round(float(mm), 2) for mm in place[:3]] if labels.grid.has_mm else None,
            "volume_ml": round(int(sizes[piece]) * voxel, 4),
        }


def _middle_voxel(voxels: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """Of a piece, the voxel nearest to its middle: the middle itself may lie outside of it."""
    apart = ((voxels - voxels.mean(axis=0)) ** 2).sum(axis=1)
    nearest: npt.NDArray[np.intp] = voxels[apart.argmin()]
    return nearest

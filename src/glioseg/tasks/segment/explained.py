"""What is told of what a network looked at: maps beside the mask, a figure for each region, modalities left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from glioseg.core import Image, LabelMap
from glioseg.evaluation.contributions import CHANGES, CHANGES_ARE, Change
from glioseg.inference.contributions import Effects
from glioseg.inference.ensemble import Ensemble
from glioseg.inference.explained import Explanation
from glioseg.io.files import write_bytes
from glioseg.report.figures.render import png_of
from glioseg.report.maps import TitledMap, maps_figure
from glioseg.tasks.members import named_as_files
from glioseg.tasks.segment.maps import write_map

MAPS = ("grad_cam", "gradients", "attention")
_WORDS = {
    "grad_cam": "Grad-CAM on a grid of an eighth: which places spoke for the region",
    "gradients": "integrated gradients from an image of zeros: what spoke for the region, and against it",
    "attention": "coefficients of the finest attention gate: what it let through",
}


def explanation_files(stem: str, regions: Sequence[str]) -> list[str]:
    """Names of all files of explanations that a case may have."""
    maps = [f"{stem}_{name}{ending}" for name in MAPS for ending in (".nii.gz", ".tif")]
    return [*maps, *_figure_names(stem, regions).values()]


def _figure_names(stem: str, regions: Sequence[str]) -> dict[str, str]:
    return {region: f"{stem}_explained_{name}.png" for region, name in named_as_files(regions).items()}


def save_explanation(
    explanation: Explanation, case: tuple[Image, LabelMap], ensemble: Ensemble, place: tuple[Path, str]
) -> dict[str, Any]:
    """Write maps and figures of a case, and give its part of the sidecar.

    Args:
        explanation: of the case.
        case: its image and mask.
        ensemble: the networks; regions that they do not draw have a channel of 0 in the maps.
        place: folder and stem.
    """
    image, labels = case
    folder, stem = place
    plane = _shown_plane(ensemble)
    maps: dict[str, str] = {}
    for name in MAPS:
        by_region = getattr(explanation, name)
        if by_region:
            nothing = np.zeros(image.grid.shape, dtype=np.float32)
            stack = np.stack([by_region.get(region, nothing) for region in ensemble.regions])
            maps[name] = write_map(stack, image.grid, folder / f"{stem}_{name}")
    names = _figure_names(stem, ensemble.regions)
    figures = {region: names[region] for region in explanation.slices}
    for region, name in figures.items():
        write_bytes(folder / name, _figure(explanation, image, labels, plane, region))
    return {
        "of": f"the mean logit of each region over what is drawn, {_where(ensemble)}",
        "slices": {region: z + 1 for region, z in explanation.slices.items()},
        "maps": maps,
        "maps_are": {name: _WORDS[name] for name in maps},
        "figures": figures,
        **{KEYS[change]: _changes(explanation.effects, change) for change in CHANGES},
        **{
            f"{KEYS[change]}_is": "change of the mean probability inside the region, and of its volume as a share of "
            f"itself, with {CHANGES_ARE[change]}"
            for change in CHANGES
        },
    }


KEYS: Mapping[Change, str] = {"removed": "without", "permuted": "permuted"}
"""What was done to a modality -> key of the sidecar."""


def _changes(effects: Effects, change: Change) -> dict[str, dict[str, dict[str, float]]]:
    return {
        region: {
            name: {
                "probability_change": round(effect[change].probability, 4),
                "volume_change": round(effect[change].volume, 4),
            }
            for name, effect in by_modality.items()
        }
        for region, by_modality in effects.items()
    }


def _where(ensemble: Ensemble) -> str:
    """What the networks were asked about, in words."""
    members = ensemble.members
    places = {"window" if member.patches else "slice" for member in members}
    where = "the window or slice" if len(places) > 1 else f"the {places.pop()}"
    mean = "" if len(members) == 1 else f", mean of {len(members)} networks"
    return f"{'in' if 'window' in where else 'on'} {where} with most of it{mean}"


def _shown_plane(ensemble: Ensemble) -> str | None:
    """The plane of the networks' slices, where they have one in common; None of volumes and of several planes."""
    planes = {None if member.patches else member.prepare.plane for member in ensemble.members}
    return planes.pop() if len(planes) == 1 else None


def _figure(explanation: Explanation, image: Image, labels: LabelMap, plane: str | None, region: str) -> bytes:
    inside = np.isin(labels.array, labels.scheme.values_of(region))
    drawn: npt.NDArray[np.uint8] = np.where(inside, labels.array, 0).astype(np.uint8)
    only = LabelMap(drawn, labels.scheme, labels.grid)
    maps = [
        TitledMap("Grad-CAM", "blue 0, red most", explanation.grad_cam[region]),
        TitledMap("integrated gradients", "red for, blue against", explanation.gradients[region], two_sided=True),
    ]
    if region in explanation.attention:
        maps.append(TitledMap("attention", "finest gate, 0 blue to 1 red", explanation.attention[region]))
    return png_of(maps_figure(image, only, [region], maps, region, plane=plane))

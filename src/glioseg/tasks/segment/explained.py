"""What is told of what a network looked at: maps beside the mask, a figure for each region, modalities left out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from glioseg.core import Image, LabelMap
from glioseg.errors import OptionError
from glioseg.inference.ensemble import Ensemble
from glioseg.inference.explained import Explanation
from glioseg.io.files import write_bytes
from glioseg.report.figures.render import png_of
from glioseg.report.maps import TitledMap, maps_figure
from glioseg.tasks.segment.uncertain import write_map

MAPS = ("grad_cam", "gradients", "attention")
_WORDS = {
    "grad_cam": "Grad-CAM on a grid of an eighth: which places spoke for the region",
    "gradients": "integrated gradients from an image of zeros: what spoke for the region, and against it",
    "attention": "coefficients of the finest attention gate: what it let through",
}


def explanation_files(stem: str, regions: Sequence[str]) -> list[str]:
    """Names of all files of explanations that a case may have."""
    maps = [f"{stem}_{name}{ending}" for name in MAPS for ending in (".nii.gz", ".tif")]
    return [*maps, *(f"{stem}_explained_{region}.png" for region in regions)]


def require_explainable(ensemble: Ensemble) -> None:
    """Refuse several networks, whose mean nobody looked at, and networks of volumes.

    Raises:
        OptionError: the networks are such.
    """
    if len(ensemble.members) > 1:
        raise OptionError(
            "one network is explained at a time", found=f"{len(ensemble.members)}", remedy="Leave `--explain` out"
        )
    if ensemble.members[0].patches is not None:
        raise OptionError("networks of slices are explained", found="a 3-D network", remedy="Leave `--explain` out")


def save_explanation(
    explanation: Explanation, case: tuple[Image, LabelMap], plane: str, regions: Sequence[str], place: tuple[Path, str]
) -> dict[str, Any]:
    """Write maps and figures of a case, and give its part of the sidecar.

    Args:
        explanation: of the case.
        case: its image and mask.
        plane: of the network's slices.
        regions: in the order of the maps' channels; those that are not drawn have a channel of 0.
        place: folder and stem.
    """
    image, labels = case
    folder, stem = place
    maps: dict[str, str] = {}
    for name in MAPS:
        own = getattr(explanation, name)
        if own:
            nothing = np.zeros(image.grid.shape, dtype=np.float32)
            stack = np.stack([own.get(region, nothing) for region in regions])
            maps[name] = write_map(stack, image.grid, folder / f"{stem}_{name}")
    figures = {}
    for region in explanation.slices:
        file = folder / f"{stem}_explained_{region}.png"
        write_bytes(file, _figure(explanation, image, labels, plane, region))
        figures[region] = file.name
    return {
        "of": "the mean logit of each region over what is drawn, on the slice with most of it",
        "slices": {region: z + 1 for region, z in explanation.slices.items()},
        "maps": maps,
        "maps_are": {name: _WORDS[name] for name in maps},
        "figures": figures,
        "without": {
            region: {
                name: {"probability_change": round(effect.probability, 4), "volume_change": round(effect.voxels, 4)}
                for name, effect in effects.items()
            }
            for region, effects in explanation.effects.items()
        },
        "without_is": "change of the mean probability inside the region, and of its volume as a share of itself, with "
        "the modality set to 0",
    }


def _figure(explanation: Explanation, image: Image, labels: LabelMap, plane: str, region: str) -> bytes:
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

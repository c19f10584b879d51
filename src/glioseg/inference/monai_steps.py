"""What stands around a network of glioseg's, for MONAI: written into its bundles as ``scripts``, and needs no glioseg.

Orientation, inference and saving are MONAI's own. For research use only; not a medical device.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from monai.data import MetaTensor
from monai.transforms import MapTransform
from torch import Tensor

from glioseg.inference.standalone import normalised, resized, visible
from glioseg.inference.standalone_components import painted

Description = Mapping[str, Any]
"""What of ``bundle.json`` of glioseg decides how slices are prepared: ``prepare slices predict shape``."""
VIEWS: Mapping[str, tuple[tuple[int, ...], ...]] = {
    "none": ((),),
    "lr": ((), (3,)),
    "all": ((), (3,), (2,), (2, 3)),
}


def find_cases(folder: str, modalities: Sequence[str]) -> list[dict[str, str]]:
    """Modality -> file, for each folder that has all: ``CASE/CASE-t1n.nii.gz`` or ``CASE/t1n.nii.gz``.

    Raises:
        FileNotFoundError: there is none.
        ValueError: a folder holds files of several cases, which nobody may mix.
    """
    cases = []
    for place in [Path(folder), *sorted(path for path in Path(folder).rglob("*") if path.is_dir())]:
        files = sorted(place.glob("*.nii.gz")) + sorted(place.glob("*.nii"))
        stems = {file: file.name.removesuffix(".gz").removesuffix(".nii") for file in files}
        case = {name: [file for file in files if _is_called(stems[file], name)] for name in modalities}
        if not all(case.values()):
            continue
        beginnings = {stems[file].removesuffix(name).rstrip("-_.") for name, each in case.items() for file in each}
        if len(beginnings) > 1 or any(len(each) > 1 for each in case.values()):
            names = ", ".join(file.name for each in case.values() for file in each)
            raise ValueError(f"{place} holds files of several cases ({names}): give each case a folder of its own")
        cases.append({name: str(file) for name, (file,) in case.items()})
    if not cases:
        raise FileNotFoundError(f"{folder} holds no case: a folder with a NIfTI file for each of {list(modalities)}")
    return cases


def _is_called(stem: str, modality: str) -> bool:
    return stem == modality or stem.endswith(tuple(f"{mark}{modality}" for mark in "-_."))


def case_name(meta: Mapping[str, Any], saver: Any) -> dict[str, Any]:  # noqa: ANN401 - as MONAI calls it
    """What the mask of a case is called: as its folder."""
    return {"subject": Path(meta["filename_or_obj"]).absolute().parent.name, "idx": None}


class ShownSlicesd(MapTransform):  # type: ignore[misc]
    """Modalities (1, X, Y, Z) -> ``slices`` (C, rows, columns, Z), what the network is shown; ``place``, the way back.

    Args:
        keys: the modalities, in the network's order, oriented so that X are columns and Y rows.
        description: of the network.
    """

    def __init__(self, keys: Sequence[str], description: Description) -> None:
        super().__init__(keys)
        self.description = description

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """The same with ``slices`` and ``place``."""
        d, p = dict(data), self.description["prepare"]
        raw = [np.asarray(d[key][0], dtype=np.float32).T for key in self.keys]  # (Z, Y, X)
        brain = np.any([visible(v.T).T for v in raw], axis=0)
        within, pads = _box(brain, crop=p["crop_to_brain"], square=p["size"] is not None)
        inside = np.pad(brain[within], pads)
        size = [p["size"] or n for n in inside.shape[1:]]
        images = np.zeros((len(raw), len(inside), *size), np.float16)
        for row, v in enumerate(raw):
            cut, counted = np.pad(v[within], pads), inside | (not p["brain_only"])
            if counted.any():
                cut[counted] = normalised(cut[counted], p["clip_percentiles"], p["normalise"])
            images[row] = resized(np.where(counted, cut, 0), *size)
        shows = np.asarray(images.any(axis=(0, 2, 3)))[:, None, None]
        if self.description["predict"]["black_is_background"]:
            shows = np.asarray(images.any(axis=0))
        extra = [max(m, n) - n for m, n in zip(self.description["shape"] or size, size, strict=True)]
        wide = np.pad(images, [(0, 0), (0, 0), *((n // 2, n - n // 2) for n in extra)]).astype(np.float32)
        around = self.description["slices"]["n_neighbours"]
        shown = [np.arange(len(inside)) + k for k in range(-around, around + 1)]
        slices = np.concatenate([wide[:, each.clip(0, len(inside) - 1)] for each in shown])
        d["slices"] = torch.from_numpy(slices).permute(0, 2, 3, 1)
        kept = tuple(slice(n // 2, n // 2 + length) for n, length in zip(extra, size, strict=True))
        affine = np.asarray(MetaTensor(d[self.keys[0]]).affine)
        d["place"] = {
            "within": within,
            "pads": pads,
            "whole": brain.shape,
            "kept": kept,
            "shows": shows,
            "affine": affine,
        }
        return d


def _box(brain: np.ndarray[Any, Any], *, crop: bool, square: bool) -> tuple[tuple[slice, ...], list[tuple[int, int]]]:
    """What of (Z, Y, X) is kept, and what is added around it where the scan ends."""
    crop = crop and bool(brain.any())  # of a scan that shows nothing all is kept
    seen = brain | (not crop)
    box = [np.flatnonzero(seen.any(axis=axes))[[0, -1]] + [0, 1] for axes in ((1, 2), (0, 2), (0, 1))]
    if crop and square:
        side = max(high - low for low, high in box[1:])
        box[1:] = [np.array([(low + high - side) // 2, (low + high - side) // 2 + side]) for low, high in box[1:]]
    within = tuple(slice(max(int(low), 0), int(high)) for low, high in box)
    return within, [(max(-int(low), 0), max(int(high) - n, 0)) for (low, high), n in zip(box, brain.shape, strict=True)]


class Views(torch.nn.Module):
    """The program of a network, for images of any size, its probabilities averaged over flipped views.

    Args:
        program: takes (B, C, rows, columns) of a multiple of ``step``, twice or more.
        step: see there.
        flips: ``none``, ``lr`` or ``all``.
    """

    def __init__(self, program: Callable[[Tensor], Tensor], step: int, flips: str) -> None:
        super().__init__()
        self.program = program
        self.step = step
        self.views = VIEWS[flips]

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, rows, columns) -> probabilities (B, R, rows, columns)."""
        total = [torch.flip(self._one(torch.flip(images, axes)), axes) for axes in self.views]
        return torch.stack(total).mean(dim=0)

    def _one(self, images: Tensor) -> Tensor:
        rows, columns = (max(2, -(-n // self.step)) * self.step - n for n in images.shape[2:])
        wide = F.pad(images, (0, columns, 0, rows), mode="replicate") if rows or columns else images
        return self.program(wide.contiguous())[..., : images.shape[2], : images.shape[3]]


class PaintLabelsd(MapTransform):  # type: ignore[misc]
    """Probabilities (R, rows, columns, Z) of the slices -> labels (1, X, Y, Z), from the largest region on.

    Args:
        keys: of the probabilities.
        painting: label, row of its region, threshold (or expected-dice), the labels that it is painted over, voxels
            and millilitres of the smallest component, and whether the largest is kept alone.
    """

    def __init__(
        self,
        keys: Sequence[str] | str,
        painting: Sequence[tuple[int, int, float | str, Sequence[int], int, float, bool]],
    ) -> None:
        super().__init__(keys)
        self.painting = painting

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """The same with labels in the place of probabilities."""
        d, place = dict(data), data["place"]
        within, pads = place["within"], place["pads"]
        for key in self.keys:
            probabilities = (
                np.moveaxis(np.asarray(d[key], dtype=np.float32), 3, 1)[:, :, *place["kept"]] * place["shows"]
            )
            labels = np.zeros(place["whole"], np.uint8)
            inner = labels[within]
            padded = [before + n + after for (before, after), n in zip(pads, inner.shape, strict=True)]
            probabilities = resized(probabilities, *padded[1:])
            probabilities = probabilities[
                :, *(slice(before, before + n) for (before, _), n in zip(pads, inner.shape, strict=True))
            ]
            for value, row, threshold, over, voxels, ml, alone in self.painting:
                inside = painted(probabilities[row], threshold, voxels, ml, alone, place["affine"])
                inner[inside & np.isin(inner, over)] = value
            d[key] = MetaTensor(labels.T[None].copy())
        return d


@torch.inference_mode()
def predict(
    cases: Sequence[Mapping[str, str]],
    preprocessing: Callable[[Any], dict[Hashable, Any]],
    inferer: Callable[[Tensor, torch.nn.Module], Tensor],
    network: torch.nn.Module,
    postprocessing: Callable[[Any], Any],
    device: torch.device,
) -> None:
    """Every case, one after the other: read, prepared, predicted, painted, turned back and saved."""
    for case in cases:
        data = preprocessing(dict(case))
        data["pred"] = inferer(data["slices"][None].to(device), network)[0].cpu()
        postprocessing(data)

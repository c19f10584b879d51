"""Several opinions of the same networks on one case: each member, views at test time, draws of dropout.

A sample is the network behind a small module that turns what it is shown and turns its logits back, or that draws
dropout; everything else (windows, grids, thresholds) is the predictor's own. The mask of a case stays what the
networks say without samples: these tell how far it can be trusted.

References:
    [1] Gal Y, Ghahramani Z. Dropout as a Bayesian approximation. ICML 2016.
    [2] Wang G et al. Aleatoric uncertainty estimation with test-time augmentation for medical image segmentation with
        convolutional neural networks. Neurocomputing 338, 2019.
    [3] Lakshminarayanan B et al. Simple and scalable predictive uncertainty estimation using deep ensembles. NIPS 2017.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F  # noqa: N812
from pydantic import Field
from torch import Tensor, nn

from glioseg.core import Grid
from glioseg.errors import OptionError
from glioseg.evaluation.uncertainty import UncertaintyMaps, agreement, expected_dice, hull, uncertainty_maps
from glioseg.inference.backends import layout_of, own_network
from glioseg.inference.ensemble import Ensemble
from glioseg.inference.predictor import Array, Prediction, Predictor, paint, to_native
from glioseg.inference.slices import FLIPS
from glioseg.inference.window import FLIPS_3D
from glioseg.options import Options
from glioseg.preparation.case import PreparedArrays

_DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout)


class UncertaintyOptions(Options):
    """Which samples are taken of each network.

    Attributes:
        flips: views as of ``predict.flips``, each a sample of its own.
        scales: factors by which the network's images are also shown enlarged or reduced.
        dropout: draws of a network that has dropout; 0 for none.
    """

    flips: Literal["none", "lr", "all"] = "lr"
    scales: tuple[Annotated[float, Field(ge=0.5, le=2)], ...] = (0.9, 1.1)
    dropout: int = Field(4, ge=0, le=100)


@dataclass(frozen=True)
class SampleView:
    """How a network is asked for a sample.

    Args:
        words: for people.
        axes: of (B, C, *S) that are flipped.
        scale: factor of all spatial axes.
        seed: of the draw of dropout; None without one.
    """

    words: str
    axes: tuple[int, ...] = ()
    scale: float = 1.0
    seed: int | None = None


class Viewed(nn.Module):
    """A network that is asked by a view: (B, C, *S) -> logits of the same shape as the network's own."""

    def __init__(self, model: nn.Module, view: SampleView) -> None:
        super().__init__()
        self.model = model
        self.view = view

    def forward(self, images: Tensor) -> Tensor:
        """Logits (B, L, *S), or (B, K) of a classifier, which knows nothing of places."""
        view, size = self.view, tuple(images.shape[2:])
        turned = _scaled(torch.flip(images, view.axes), tuple(max(1, round(n * view.scale)) for n in size))
        model = self.model if view.seed is None else own_network(self.model)  # which alone has dropout
        with drawing_dropout(model, view.seed):
            logits: Tensor = model(turned.contiguous(memory_format=layout_of(model, images.dim() - 2)))
        return torch.flip(_scaled(logits, size), view.axes) if logits.dim() == images.dim() else logits


def _scaled(tensor: Tensor, size: tuple[int, ...]) -> Tensor:
    if tuple(tensor.shape[2:]) == size:
        return tensor
    mode = "trilinear" if tensor.dim() == 5 else "bilinear"
    return F.interpolate(tensor, size=size, mode=mode, align_corners=False)


@contextmanager
def drawing_dropout(model: nn.Module, seed: int | None) -> Iterator[None]:
    """Let the network's dropout draw, from a seed of its own, and nothing else change; PyTorch's generator is put back.

    Every batch draws from the same seed, so that a sample depends on the seed and not on how slices are batched.
    """
    if seed is None:
        yield
        return
    parts = [part for part in model.modules() if isinstance(part, _DROPOUTS)]
    device = next(model.parameters()).device
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        try:
            for part in parts:
                part.train()
            yield
        finally:
            for part in parts:
                part.eval()


def has_dropout(model: nn.Module) -> bool:
    """Whether a network can be asked for draws."""
    return any(isinstance(part, _DROPOUTS) and part.p > 0 for part in model.modules())


def views_of(model: nn.Module, dims: int, options: UncertaintyOptions) -> tuple[SampleView, ...]:
    """The samples that are taken of a network, the plain view first.

    Args:
        model: the network.
        dims: spatial axes of its images.
        options: what is wanted.
    """
    flips = (FLIPS if dims == 2 else FLIPS_3D)[options.flips]
    names = dict(zip(range(1 + dims, 1, -1), ("columns", "rows", "slices"), strict=False))
    views = [
        SampleView("as it is" if not axes else f"mirrored along {' and '.join(names[axis] for axis in axes)}", axes)
        for axes in flips
    ]
    views += [SampleView(f"at {scale:g} of its size", scale=scale) for scale in options.scales if scale != 1]
    if has_dropout(model):
        views += [SampleView(f"dropout, draw {draw + 1}", seed=draw) for draw in range(options.dropout)]
    return tuple(views)


def views_of_members(ensemble: Ensemble, options: UncertaintyOptions) -> list[tuple[SampleView, ...]]:
    """``views_of`` each network of an ensemble."""
    return [views_of(member.model, 3 if member.patches else 2, options) for member in ensemble.members]


@dataclass(frozen=True, eq=False)
class Shown:
    """A case as one network sees it.

    Args:
        images: (Z, C, Y, X).
        non_black: (Z,) see ``PreparedArrays``.
        working: grid of the images.
        native: grid of the scan.
    """

    images: npt.NDArray[np.float16]
    non_black: npt.NDArray[np.float32]
    working: Grid
    native: Grid

    @classmethod
    def of(cls, arrays: PreparedArrays) -> Shown:
        """What was prepared of an image at hand."""
        return cls(arrays.images, arrays.non_black, arrays.working, arrays.native)


@dataclass(frozen=True)
class RegionUncertainty:
    """What samples say of one region.

    Args:
        agreement: mean Dice of pairs of samples; None where all are empty, or of one sample.
        expected_dice: of the mask, were the mean probabilities true; None of an empty mask.
        volumes: voxels of each sample's mask.
        interval: voxels, from the smallest to the largest of the samples' masks and the mask itself.
        entropy: mean over the mask's voxels, in bits; 0 of an empty one.
        mutual_information: the same.
    """

    agreement: float | None
    expected_dice: float | None
    volumes: tuple[int, ...]
    interval: tuple[int, int]
    entropy: float
    mutual_information: float


@dataclass(frozen=True, eq=False)
class Uncertainty:
    """How far the mask of one case can be trusted, on its native grid.

    Args:
        samples: what each is, in words.
        maps: (R, X, Y, Z) each.
        regions: by name, in the order of the maps.
    """

    samples: tuple[str, ...]
    maps: UncertaintyMaps
    regions: dict[str, RegionUncertainty]


def estimate(
    ensemble: Ensemble,
    shown: Sequence[Shown],
    prediction: Prediction,
    options: UncertaintyOptions,
    names: Sequence[str] = (),
) -> Uncertainty:
    """Ask the networks again by every view, and say how far their answers lie apart.

    A sample's mask is painted as the prediction's is, with the same thresholds.

    Args:
        ensemble: one network or several.
        shown: the case as each of them sees it.
        prediction: what they say together, whose mask is judged.
        options: which samples are taken.
        names: of the networks, for words; not needed of one.

    Raises:
        OptionError: the options leave one sample, which cannot disagree with itself.
    """
    views = views_of_members(ensemble, options)
    if sum(map(len, views)) < 2:
        raise OptionError(
            "uncertainty needs two samples or more",
            found="one network and one view",
            remedy="Allow flips or scales, or add networks with `--with`",
        )
    masks: list[npt.NDArray[np.uint8]] = []  # a bit for each voxel
    words: list[str] = []

    def samples() -> Iterator[Array]:
        for number, (member, case, member_views) in enumerate(zip(ensemble.members, shown, views, strict=True)):
            rows = [member.regions.index(region) for region in ensemble.regions]
            for view in member_views:
                probabilities = sample(member, case, view)[rows]
                inside = _inside(ensemble, probabilities, prediction)
                masks.append(np.packbits(inside.reshape(len(rows), -1), axis=1))
                words.append(f"{names[number]}: {view.words}" if len(ensemble.members) > 1 and names else view.words)
                yield probabilities

    maps = uncertainty_maps(samples())
    regions = {region: _region(row, region, maps, masks, prediction) for row, region in enumerate(ensemble.regions)}
    return Uncertainty(tuple(words), maps, regions)


def sample(member: Predictor, case: Shown, view: SampleView) -> Array:
    """(R, X, Y, Z) probabilities on the native grid, by one view."""
    plain = member.options.model_copy(update={"flips": "none"})
    asked = replace(member, model=Viewed(member.model, view), options=plain)
    return to_native(asked.probabilities(case.images, case.non_black), case.working, case.native)


def _inside(ensemble: Ensemble, probabilities: Array, prediction: Prediction) -> npt.NDArray[np.bool_]:
    """(R, X, Y, Z) the regions as a sample would be painted."""
    scheme, grid = prediction.label_map.scheme, prediction.label_map.grid
    painted = paint(probabilities, ensemble.regions, scheme, grid, ensemble.options).array
    return np.stack([np.isin(painted, scheme.values_of(region)) for region in ensemble.regions])


def _region(
    row: int,
    region: str,
    maps: UncertaintyMaps,
    masks: Sequence[npt.NDArray[np.uint8]],
    prediction: Prediction,
) -> RegionUncertainty:
    labels = prediction.label_map
    inside = np.isin(labels.array, labels.scheme.values_of(region))
    region_masks = [mask[row] for mask in masks]
    volumes = tuple(int(np.bitwise_count(mask).sum()) for mask in region_masks)
    overlaps = [int(np.bitwise_count(one & other).sum()) for one, other in combinations(region_masks, 2)]
    low, high = hull([*volumes, int(inside.sum())])
    entropy, information = (
        float(values[row][inside].mean()) if inside.any() else 0.0 for values in (maps.entropy, maps.mutual_information)
    )
    return RegionUncertainty(
        agreement(volumes, overlaps),
        expected_dice(maps.probability[row], inside),
        volumes,
        (int(low), int(high)),
        entropy,
        information,
    )

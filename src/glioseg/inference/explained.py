"""What a network that segments looked at: Grad-CAM, integrated gradients, its attention gates, modalities left out.

Of each region the slice is explained in which the network draws most of it; the question is what raised the mean logit
of the region over what is drawn there.

References:
    [1] Vinogradova K, Dibrov A, Myers G. Towards interpretable semantic segmentation via gradient-weighted class
        activation mapping. AAAI 2020 (Grad-CAM of a mask).
    [2] Sundararajan M, Taly A, Yan Q. Axiomatic attribution for deep networks. ICML 2017 (integrated gradients).
    [3] Adebayo J et al. Sanity checks for saliency maps. NeurIPS 2018.
    [4] Oktay O et al. Attention U-Net: learning where to look for the pancreas. MIDL 2018.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from glioseg.errors import OptionError
from glioseg.inference.activation import probabilities_of
from glioseg.inference.backends import own_network
from glioseg.inference.predictor import Array, Predictor, inside_regions, to_native
from glioseg.inference.uncertainty import Shown
from glioseg.networks.blocks import AttentionGate
from glioseg.preparation.slices import with_margins, with_neighbours, without_margins

_STEPS = 16
_COARSEST = 8
_HIGHEST = 99.5
"""Percentile of a map that is drawn as its most: single pixels say little."""
_CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d)


@dataclass(frozen=True)
class ModalityEffect:
    """What becomes of a region without a modality (its channel set to 0, as a missing one is).

    Args:
        probability: change of the mean probability inside the region as it was drawn with all modalities.
        voxels: change of its size on the network's grid, as a share of what it was.
    """

    probability: float
    voxels: float


@dataclass(frozen=True, eq=False)
class Explanation:
    """What spoke for each region that was drawn; maps are (X, Y, Z) on the native grid, 0 on slices not explained.

    Args:
        slices: region -> the slice of the network's grid that is explained, from 0.
        grad_cam: region -> 0..1.
        gradients: region -> integrated gradients, −1..1: above 0 speaks for, below 0 against.
        attention: region -> mean of the finest gate's coefficients, 0..1; empty without gates.
        effects: region -> modality -> what becomes of it without; empty of a network that sees one.
    """

    slices: dict[str, int]
    grad_cam: dict[str, Array]
    gradients: dict[str, Array]
    attention: dict[str, Array]
    effects: dict[str, dict[str, ModalityEffect]]


def explain(predictor: Predictor, shown: Shown) -> Explanation:
    """Explain every region that a network draws in a case.

    Args:
        predictor: the network.
        shown: the case as it sees it.

    Raises:
        OptionError: a 3-D network.
    """
    if predictor.patches is not None:
        raise OptionError("networks of slices are explained", found="a 3-D network", remedy="Leave `--explain` out")
    network, before = own_network(predictor.model), predictor.probabilities(shown.images, shown.non_black)
    inside = inside_regions(before, predictor.regions, predictor.options)
    found = Explanation({}, {}, {}, {}, {})
    for row, region in enumerate(predictor.regions):
        areas = inside[row].sum(axis=(1, 2))
        if not areas.any():
            continue
        z = int(areas.argmax())
        found.slices[region] = z
        images, objective = _question(predictor, shown, row, z)
        place = _placing(predictor, shown, z)
        found.grad_cam[region] = place(_of_largest(region_grad_cam(network, images, objective)))
        gradients = integrated_gradients(network, images, objective).sum(dim=1)[0]
        found.gradients[region] = place(_of_largest(gradients))
        gate = attention_map(network, images)
        if gate is not None:
            found.attention[region] = place(gate)
    if len(predictor.modalities) > 1:
        found.effects.update(_effects(predictor, shown, before, inside, tuple(found.slices)))
    return found


Objective = Callable[[Tensor], Tensor]
"""Logits (B, L, Y, X) -> what is to be explained, (B,)."""


def _question(predictor: Predictor, shown: Shown, row: int, z: int) -> tuple[Tensor, Objective]:
    """The slice as the network sees it, (1, C, Y, X), and the mean logit of a region over what it draws there."""
    wide = shown.images if predictor.shape is None else with_margins(shown.images, predictor.shape)
    device = next(predictor.model.parameters()).device
    images = torch.from_numpy(with_neighbours(wide, np.array([z]), predictor.slices.n_neighbours)).float().to(device)
    options = predictor.options
    with torch.no_grad():
        probabilities = probabilities_of(own_network(predictor.model)(images), options.activation)[0]
    drawn = torch.from_numpy(inside_regions(probabilities.cpu().numpy(), predictor.regions, options)[row]).to(device)
    if not bool(drawn.any()):  # it was the mean of views that drew something: what comes nearest
        drawn = probabilities[row] >= probabilities[row].max()
    logit = row + 1 if options.activation == "softmax" else row
    return images, lambda logits: logits[:, logit][:, drawn].mean(dim=1)


def _placing(predictor: Predictor, shown: Shown, z: int) -> Callable[[Tensor], Array]:
    """What brings a map (Y, X) of slice ``z`` to the native grid."""

    def place(values: Tensor) -> Array:
        n_slices, size = len(shown.images), shown.images.shape[2:]
        stack = np.zeros((1, n_slices, *values.shape), dtype=np.float32)
        stack[0, z] = values.detach().cpu().numpy()
        return to_signed_native(without_margins(stack, size), shown)

    return place


def to_signed_native(stack: Array, shown: Shown) -> Array:
    """(1, Z, Y, X) in −1..1 -> (X, Y, Z); the way to the native grid is made for 0..1, so that the sides go apart."""
    up, down = (to_native(part, shown.working, shown.native)[0] for part in (stack.clip(0), (-stack).clip(0)))
    return np.asarray(up - down, dtype=np.float32)


def region_grad_cam(model: nn.Module, images: Tensor, objective: Objective) -> Tensor:
    """Grad-CAM [1] on the last convolution of a grid of an eighth: (1, C, Y, X) -> (Y, X), 0 and above.

    The channels are summed, each weighted by the mean of the objective's gradient; what speaks against is cut off.
    """
    layer = _layer(model, images)
    kept: list[Tensor] = []
    handle = layer.register_forward_hook(lambda module, inputs, output: kept.append(output))
    try:
        with torch.enable_grad():
            asked = images.detach().clone().requires_grad_()
            value = objective(model(asked)).sum()
            (gradient,) = torch.autograd.grad(value, kept[0])
    finally:
        handle.remove()
    weights = gradient.mean(dim=(2, 3), keepdim=True)
    spoken = F.relu((weights * kept[0].detach()).sum(dim=1, keepdim=True))
    return F.interpolate(spoken, size=images.shape[2:], mode="bilinear", align_corners=False)[0, 0]


def integrated_gradients(model: nn.Module, images: Tensor, objective: Objective, n_steps: int = _STEPS) -> Tensor:
    """The gradients of the objective on the straight way from 0 to the images, times the images [2]: (1, C, Y, X).

    They add up to the objective of the images less that of zeros, but for the steps (midpoints of equal parts).
    """
    total = torch.zeros_like(images)
    for step in range(n_steps):
        with torch.enable_grad():
            asked = (images * ((step + 0.5) / n_steps)).detach().requires_grad_()
            (gradient,) = torch.autograd.grad(objective(model(asked)).sum(), asked)
        total += gradient
    return images * total / n_steps


def attention_map(model: nn.Module, images: Tensor) -> Tensor | None:
    """(Y, X) coefficients of the finest attention gate [4], 0..1; None of a network without gates."""
    found: list[Tensor] = []
    gates = [part for part in model.modules() if isinstance(part, AttentionGate)]
    handles = [
        gate.register_forward_pre_hook(lambda module, inputs: found.append(module.coefficients(*inputs)))
        for gate in gates
    ]
    _watched(model, images, handles)
    if not found:
        return None
    finest = max(found, key=lambda values: values.shape[-1])
    return F.interpolate(finest, size=images.shape[2:], mode="bilinear", align_corners=False)[0, 0]


def _watched(model: nn.Module, images: Tensor, handles: Sequence[RemovableHandle]) -> None:
    """Show a network the images once while hooks look on; they are gone afterwards."""
    try:
        with torch.no_grad():
            model(images)
    finally:
        for handle in handles:
            handle.remove()


def _layer(model: nn.Module, images: Tensor) -> nn.Module:
    """The last convolution on the coarsest grid whose pixels are at most eight of the image's wide.

    Coarser ones, a handful of pixels, tell no places; finer ones see edges.
    """
    sizes: list[tuple[int, nn.Module]] = []
    handles = [
        part.register_forward_hook(lambda module, inputs, output: sizes.append((output[0, 0].numel(), module)))
        for part in model.modules()
        if isinstance(part, _CONVOLUTIONS)
    ]
    _watched(model, images, handles)
    places = [size for size, _ in sizes if size >= images[0, 0].numel() / _COARSEST**2]
    if not places:
        raise OptionError("a network without convolutions has no maps to be explained by", found=type(model).__name__)
    return [module for size, module in sizes if size == min(places)][-1]


def _of_largest(values: Tensor) -> Tensor:
    """Values as shares of their most, in −1..1."""
    most = float(np.percentile(values.detach().abs().cpu().numpy(), _HIGHEST))
    most = most or float(values.detach().abs().max())
    return (values / most).clip(-1, 1) if most else values


def _effects(
    predictor: Predictor, shown: Shown, before: Array, inside: npt.NDArray[np.bool_], regions: tuple[str, ...]
) -> dict[str, dict[str, ModalityEffect]]:
    found: dict[str, dict[str, ModalityEffect]] = {region: {} for region in regions}
    for channel, name in enumerate(predictor.modalities):
        images = shown.images.copy()
        images[:, channel] = 0
        after = predictor.probabilities(images, shown.non_black)
        left = inside_regions(after, predictor.regions, predictor.options)
        for region in regions:
            row = predictor.regions.index(region)
            own = inside[row]
            n_before = int(own.sum())
            change = float((after[row][own] - before[row][own]).mean())
            found[region][name] = ModalityEffect(change, (int(left[row].sum()) - n_before) / n_before)
    return found

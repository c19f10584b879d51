"""What networks that segment looked at: Grad-CAM, integrated gradients, attention gates.

Of each region a network of slices is asked about the slice, and one of volumes about the window, that holds most of
what all networks together draw of it; the question is what raised the mean logit of the region over what is drawn
there. Maps of several networks are averaged on the native grid; of modalities ``inference.contributions`` tells.

References:
    [1] Vinogradova K, Dibrov A, Myers G. Towards interpretable semantic segmentation via gradient-weighted class
        activation mapping. AAAI 2020 (Grad-CAM of a mask).
    [2] Sundararajan M, Taly A, Yan Q. Axiomatic attribution for deep networks. ICML 2017 (integrated gradients).
    [3] Adebayo J et al. Sanity checks for saliency maps. NeurIPS 2018.
    [4] Oktay O et al. Attention U-Net: learning where to look for the pancreas. MIDL 2018.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from glioseg.errors import OptionError
from glioseg.inference.backends import own_network
from glioseg.inference.contributions import Effects, modality_effects
from glioseg.inference.ensemble import Ensemble
from glioseg.inference.predictor import Array, Prediction, Predictor, to_native
from glioseg.inference.uncertainty import Shown
from glioseg.networks.blocks import AttentionGate
from glioseg.preparation.case import nearest_slices
from glioseg.preparation.oblique import brought
from glioseg.preparation.patches import Voxels
from glioseg.preparation.slices import with_margins, with_neighbours, without_margins

_STEPS = 16
_COARSEST = 8
_HIGHEST = 99.5
"""Percentile of a map that is drawn as its most: single pixels say little."""
_CONVOLUTIONS = (nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_LINEAR = {2: "bilinear", 3: "trilinear"}

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Explanation:
    """What spoke for each region that was drawn; maps are (X, Y, Z) on the native grid, 0 on what is not explained.

    Args:
        slices: region -> the slice of the scan that is explained, from 0, along the axis across which the first network
            looks at slices; of a network of volumes the slice with most of the region in its window.
        grad_cam: region -> 0..1.
        gradients: region -> integrated gradients, −1..1: above 0 speaks for, below 0 against.
        attention: region -> mean of the finest gate's coefficients, 0..1; empty where no network has gates.
        effects: region -> modality -> what becomes of it without; empty of networks that see one.
    """

    slices: dict[str, int] = field(default_factory=dict)
    grad_cam: dict[str, Array] = field(default_factory=dict)
    gradients: dict[str, Array] = field(default_factory=dict)
    attention: dict[str, Array] = field(default_factory=dict)
    effects: Effects = field(default_factory=dict)


def explain(ensemble: Ensemble, shown: Sequence[Shown], prediction: Prediction) -> Explanation:
    """Explain every region that networks draw in a case.

    Args:
        ensemble: one network or several.
        shown: the case as each of them sees it.
        prediction: what they say together.
    """
    explanation = Explanation()
    drawn = [_drawn(case, prediction) for case in shown]
    for row, region in enumerate(prediction.regions):
        maps: dict[str, list[Array]] = {}
        for member, case, inside in zip(ensemble.members, shown, drawn, strict=True):
            if not inside[row].any():
                continue
            question = _question(member, case, inside[row], region)
            explanation.slices.setdefault(region, int(nearest_slices(case.native, case.working)[question.z]))
            for kind, values in _maps(question).items():
                maps.setdefault(kind, []).append(to_signed_native(question.place(values), case))
        for kind, of_members in maps.items():
            getattr(explanation, kind)[region] = _together(of_members)
    if explanation.slices and len(ensemble.modalities) > 1:
        explanation.effects.update(modality_effects(ensemble, shown, prediction, tuple(explanation.slices)))
    return explanation


def _drawn(case: Shown, prediction: Prediction) -> Mask:
    """(R, Z, Y, X) on a network's grid, what all networks together draw of each region.

    Of what is too small for that grid the voxel is taken that holds most of it.
    """
    labels = prediction.label_map
    painted = np.stack([np.isin(labels.array, labels.scheme.values_of(region)) for region in prediction.regions])
    shares = brought(painted.astype(np.float32), case.native, case.working).transpose(0, 3, 2, 1)
    most = shares.max(axis=(1, 2, 3), keepdims=True)
    return np.asarray((shares >= np.minimum(most, 0.5)) & (most > 0))


def _together(maps: Sequence[Array]) -> Array:
    """The mean of maps, as shares of its most; a network that explains another plane says nothing of a voxel, which
    counts as 0.
    """
    if len(maps) == 1:
        return maps[0]
    mean = np.mean(maps, axis=0, dtype=np.float32)
    most = float(np.abs(mean).max())
    return np.asarray(mean / most if most else mean, dtype=np.float32)


Objective = Callable[[Tensor], Tensor]
"""Logits (B, L, *S) -> what is to be explained, (B,)."""


@dataclass(frozen=True, eq=False)
class _Question:
    """What is explained.

    Args:
        model: PyTorch's own network.
        images: (1, C, *S) as it sees them, a slice or a window.
        objective: the mean logit of a region over what is drawn there.
        z: the slice of the network's grid with most of the region.
        place: map (*S) -> stack (1, Z, Y, X) on the network's grid.
    """

    model: nn.Module
    images: Tensor
    objective: Objective
    z: int
    place: Callable[[Tensor], Array]


def _question(member: Predictor, case: Shown, inside: Mask, region: str) -> _Question:
    """The slice or window of a network that holds most of a region (Z, Y, X)."""
    z = int(inside.sum(axis=(1, 2)).argmax())
    if member.patches is None:
        seen = case.images if member.shape is None else with_margins(case.images, member.shape)
        images = with_neighbours(seen, np.array([z]), member.slices.n_neighbours)[0]
        part = (slice(z, z + 1), slice(None), slice(None))
        asked = with_margins(inside[part], images.shape[1:])[0]
    else:
        part = fullest_window(inside, member.patches.voxels)
        images = _in_middle(case.images.transpose(1, 0, 2, 3)[(slice(None), *part)], member.patches.voxels)
        asked = _in_middle(inside[part], member.patches.voxels)
    device = next(member.model.parameters()).device
    drawn = torch.from_numpy(np.ascontiguousarray(asked)).to(device)
    logit = member.regions.index(region) + (member.options.activation == "softmax")

    def place(values: Tensor) -> Array:
        stack = np.zeros((1, *inside.shape), dtype=np.float32)
        array = values.detach().cpu().numpy()
        if array.ndim == 3:
            stack[(0, *part)] = _out_of_middle(array, stack[(0, *part)].shape)
        else:
            stack[0, z] = without_margins(array, inside.shape[1:])
        return stack

    return _Question(
        own_network(member.model),
        torch.from_numpy(np.ascontiguousarray(images[None], dtype=np.float32)).to(device),
        lambda logits: logits[:, logit][:, drawn].mean(dim=1),
        z,
        place,
    )


def fullest_window(inside: Mask, size: Voxels) -> tuple[slice, slice, slice]:
    """Where a window of at most ``size`` holds most of a mask, axis after axis; of equally full ones the middle one."""
    window: list[slice] = []
    left = inside
    for axis, length in enumerate(size):
        counts = left.sum(axis=tuple(other for other in range(3) if other != axis))
        width = min(length, len(counts))
        held = np.convolve(counts, np.ones(width, dtype=np.int64), mode="valid")
        fullest = np.flatnonzero(held == held.max())
        start = int(fullest[len(fullest) // 2])
        window.append(slice(start, start + width))
        left = left.take(range(start, start + width), axis=axis)
    return window[0], window[1], window[2]


def _in_middle(array: npt.NDArray[np.generic], size: Voxels) -> npt.NDArray[np.generic]:
    """(…, Z, Y, X) in the middle of zeros, as windows of small volumes are shown."""
    short = [max(0, want - have) for want, have in zip(size, array.shape[-3:], strict=True)]
    margins = [(n // 2, n - n // 2) for n in short]
    return np.pad(array, [(0, 0)] * (array.ndim - 3) + margins)


def _out_of_middle(array: npt.NDArray[np.float32], shape: Sequence[int]) -> npt.NDArray[np.float32]:
    """What ``_in_middle`` put around is taken away."""
    starts = [(have - want) // 2 for have, want in zip(array.shape, shape, strict=True)]
    return array[tuple(slice(start, start + n) for start, n in zip(starts, shape, strict=True))]


def _maps(question: _Question) -> dict[str, Tensor]:
    """Kind of map -> (*S), in −1..1."""
    model, images, objective = question.model, question.images, question.objective
    gradients = integrated_gradients(model, images, objective).sum(dim=1)[0]
    maps = {
        "grad_cam": _of_largest(region_grad_cam(model, images, objective)),
        "gradients": _of_largest(gradients),
    }
    gate = attention_map(model, images)
    return maps if gate is None else maps | {"attention": gate}


def to_signed_native(stack: Array, shown: Shown) -> Array:
    """(1, Z, Y, X) in −1..1 -> (X, Y, Z); the way to the native grid is made for 0..1, so that the sides go apart."""
    up, down = (to_native(part, shown.working, shown.native)[0] for part in (stack.clip(0), (-stack).clip(0)))
    return np.asarray(up - down, dtype=np.float32)


def region_grad_cam(model: nn.Module, images: Tensor, objective: Objective) -> Tensor:
    """Grad-CAM [1] on the last convolution of a grid of an eighth: (1, C, *S) -> (*S), 0 and above.

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
    weights = gradient.flatten(2).mean(dim=2).reshape(*gradient.shape[:2], *[1] * (gradient.dim() - 2))
    return _enlarged(F.relu((weights * kept[0].detach()).sum(dim=1, keepdim=True)), images)


def integrated_gradients(model: nn.Module, images: Tensor, objective: Objective, n_steps: int = _STEPS) -> Tensor:
    """The gradients of the objective on the straight way from 0 to the images, times the images [2]: (1, C, *S).

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
    """(*S) coefficients of the finest attention gate [4], 0..1; None of a network without gates."""
    coefficients: list[Tensor] = []
    gates = [part for part in model.modules() if isinstance(part, AttentionGate)]
    handles = [
        gate.register_forward_pre_hook(lambda module, inputs: coefficients.append(module.coefficients(*inputs)))
        for gate in gates
    ]
    _watched(model, images, handles)
    return _enlarged(max(coefficients, key=lambda values: values.shape[-1]), images) if coefficients else None


def _enlarged(values: Tensor, images: Tensor) -> Tensor:
    """(1, 1, *s) -> (*S) of the images."""
    mode = _LINEAR[images.dim() - 2]
    return F.interpolate(values, size=images.shape[2:], mode=mode, align_corners=False)[0, 0]


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
    places = [size for size, _ in sizes if size >= images[0, 0].numel() / _COARSEST ** (images.dim() - 2)]
    if not places:
        raise OptionError("a network without convolutions has no maps to be explained by", found=type(model).__name__)
    return [module for size, module in sizes if size == min(places)][-1]


def _of_largest(values: Tensor) -> Tensor:
    """Values as shares of their most, in −1..1."""
    most = float(np.percentile(values.detach().abs().cpu().numpy(), _HIGHEST))
    most = most or float(values.detach().abs().max())
    return (values / most).clip(-1, 1) if most else values

"""Losses of regions that may overlap, each a yes/no question of its own, and of regions that exclude each other.

A loss is a sum of named terms, each with options and a weight of its own (``terms``). Regions are ``(B, R, *S)``, and
so are logits; with ``ce``, for regions that exclude each other, they have one logit more, the background's, which comes
first (see ``predict.activation``). Whatever the precision of the network, losses are computed in float32. They agree
with MONAI's where both say the same thing, which the tests check; importing MONAI would cost each start seconds.

References:
    [1] Milletari F, Navab N, Ahmadi S-A. V-Net. 3DV 2016 (soft Dice).
    [2] Lin T-Y et al. Focal loss for dense object detection. ICCV 2017.
    [3] Salehi SSM, Erdogmus D, Gholipour A. Tversky loss function for image segmentation. MLMI 2017.
    [4] Ronneberger O, Fischer P, Brox T. U-Net. MICCAI 2015 (weight maps).
    [5] Patsatzi FA, Whiteley Tscherniak I. Report on brain tumour segmentation in LGG, TU Munich 2023.
    [6] Lee C-Y et al. Deeply-supervised nets. AISTATS 2015.
    [7] Wu Z, Shen C, van den Hengel A. Bridging category-level and instance-level semantic image segmentation.
        arXiv:1605.06885, 2016 (online bootstrapping).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from glioseg.errors import GeometryError, OptionError
from glioseg.inference.activation import n_logits, probabilities_of
from glioseg.training.terms import (
    CeOptions,
    DiceOptions,
    FocalOptions,
    LossOptions,
    TermOptions,
    TopKOptions,
    TverskyOptions,
)

ClassWeights = Sequence[tuple[float, float]]
"""For each region: the weight of the voxels outside it and of those inside."""


def balanced_class_weights(n_inside: Sequence[int], n_voxels: int) -> tuple[tuple[float, float], ...]:
    """Weights by which the voxels outside and inside each region count alike in sum, their mean over all voxels 1.

    A region that holds no voxel, or every one, has no balance: its weights are 1.

    Args:
        n_inside: voxels of the training part inside each region.
        n_voxels: all voxels of the training part.

    Returns:
        (outside, inside) for each region: ``n / 2 n_outside`` and ``n / 2 n_inside``.

    Raises:
        OptionError: more voxels inside than there are.
    """
    if any(not 0 <= n <= n_voxels for n in n_inside):
        raise OptionError("a region holds more voxels than there are", found=list(n_inside), expected=n_voxels)
    return tuple(
        (n_voxels / (2 * (n_voxels - n)), n_voxels / (2 * n)) if 0 < n < n_voxels else (1.0, 1.0) for n in n_inside
    )


@dataclass(frozen=True)
class Loss:
    """A loss ready for use; ``build_loss`` makes it.

    Args:
        options: what decides it.
        class_weights: (R, 2) outside and inside, on the device of the logits; None for 1.
    """

    options: LossOptions
    class_weights: Tensor | None = None

    @property
    def is_mean(self) -> bool:
        """Whether the loss of a batch is the mean of those of its items, each taken by itself."""
        return all(_is_mean(options) for options in self.options.terms.values())

    def __call__(self, logits: Tensor | Sequence[Tensor], regions: Tensor, border: Tensor | None = None) -> Tensor:
        """The loss of a batch.

        Args:
            logits: (B, L, *S) of any floating type, with L = R, or R + 1 for softmax; or several of them, as a network
                with deep supervision gives: the loss of each, with weights 1, 1/2, 1/4, … divided by their sum [6].
            regions: (B, R, *S), 0 or 1, of any type.
            border: border term of the weight map, (B, R, *S) or (B, 1, *S); None where no item has any.

        Returns:
            float32 scalar.

        Raises:
            GeometryError: shapes that do not fit.
            OptionError: a border term for a loss that has no weight map.
        """
        several = (logits,) if isinstance(logits, Tensor) else tuple(logits)
        self._check(several, regions, border)
        with torch.autocast(regions.device.type, enabled=False):
            target = regions.float()
            costs = [self._single(level_logits.float(), target, border) for level_logits in several]
        shares = [0.5**step for step in range(len(costs))]
        total = sum(share * cost for share, cost in zip(shares, costs, strict=True)) / sum(shares)
        return torch.as_tensor(total)

    def _single(self, logits: Tensor, regions: Tensor, border: Tensor | None) -> Tensor:
        terms = [
            _weighted(options.weight, _TERMS[name](self, options, logits, regions, border))
            for name, options in self.options.terms.items()
        ]
        return torch.stack(terms).sum()

    def _check(self, logits: tuple[Tensor, ...], regions: Tensor, border: Tensor | None) -> None:
        wanted = n_logits(regions.shape[1], self.options.activation)
        expected = (len(regions), wanted, *regions.shape[2:])
        if not logits or any(tuple(level_logits.shape) != expected for level_logits in logits):
            raise GeometryError(
                "logits and regions differ in shape",
                found=[tuple(level_logits.shape) for level_logits in logits],
                expected=expected,
            )
        weights = None if self.options.ce is None else self.options.ce.weights
        if weights is not None and len(weights) != wanted:
            raise OptionError(
                "loss.ce.weights needs one weight for the background and one for each region",
                found=len(weights),
                expected=wanted,
            )
        if self.class_weights is not None and len(self.class_weights) != regions.shape[1]:
            raise GeometryError(
                "one pair of class weights per region is needed",
                found=len(self.class_weights),
                expected=regions.shape[1],
            )
        if border is None:
            return
        if not self.options.needs_border:
            raise OptionError("this loss has no weight map", found=f"a border term for {self.options.kind}")
        if border.shape not in (regions.shape, (regions.shape[0], 1, *regions.shape[2:])):
            raise GeometryError("border term and regions differ in shape", found=border.shape, expected=regions.shape)


def build_loss(
    options: LossOptions, class_weights: ClassWeights | None = None, *, device: torch.device | str = "cpu"
) -> Loss:
    """The loss that ``options`` describe.

    Args:
        options: what decides it.
        class_weights: (outside, inside) of each region, where ``options.needs_class_weights``; else None.
        device: where the logits will be.

    Raises:
        OptionError: class weights are missing, not needed, or not positive.
    """
    if options.needs_class_weights != (class_weights is not None):
        raise OptionError(
            "class weights belong to a balanced weight map, and only to it",
            found="none" if class_weights is None else f"some for {options.kind}",
            remedy="Take them from the training part with balanced_class_weights",
        )
    if class_weights is None:
        return Loss(options)
    if any(not 0 < weight < float("inf") for pair in class_weights for weight in pair):
        raise OptionError("class weights are positive numbers", found=class_weights)
    return Loss(options, torch.tensor([list(pair) for pair in class_weights], dtype=torch.float32, device=device))


def weight_map(loss: Loss, regions: Tensor, border: Tensor | None) -> Tensor | None:
    """w(x) = w_c(x) + border term [4, 5]: (B, R, *S) float32, or None where it is 1 everywhere."""
    weights = None
    if loss.class_weights is not None:
        outside, inside = (
            column.view(1, -1, *(1,) * (regions.dim() - 2)) for column in loss.class_weights.unbind(dim=1)
        )
        weights = outside + (inside - outside) * regions.float()
    if border is None:
        return weights
    return border.float() + (1.0 if weights is None else weights)


def _weighted(weight: float, cost: Tensor) -> Tensor:
    """The weight times the cost, which a weight of 1 leaves as it is."""
    return cost if weight == 1.0 else weight * cost


def _bce(loss: Loss, options: TermOptions, logits: Tensor, regions: Tensor, border: Tensor | None) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits, regions)


def _weighted_bce(loss: Loss, options: TermOptions, logits: Tensor, regions: Tensor, border: Tensor | None) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits, regions, weight=weight_map(loss, regions, border))


def _dice(loss: Loss, options: DiceOptions, logits: Tensor, regions: Tensor, border: Tensor | None) -> Tensor:
    """1 − (2 Σ p r + s) / (Σ p² + Σ r² + s) [1], mean over the regions (and the items)."""
    probabilities = probabilities_of(logits, loss.options.activation)
    axes = _summed_axes(logits, options)
    overlap = (probabilities * regions).sum(axes)
    in_both = probabilities.square() if options.denominator == "squares" else probabilities
    total = in_both.sum(axes) + regions.sum(axes)  # regions are 0 or 1 and their own squares
    return (1 - (2 * overlap + options.smoothing) / (total + options.smoothing)).mean()


def _ce(loss: Loss, options: CeOptions, logits: Tensor, regions: Tensor, border: Tensor | None) -> Tensor:
    """−w_c log p_c of the class c of each voxel, background or region, over the sum of the weights."""
    target = torch.cat([1 - regions.sum(dim=1, keepdim=True), regions], dim=1)
    cost = -F.log_softmax(logits, dim=1) * target
    if options.weights is None:
        return cost.sum(dim=1).mean()
    weights = logits.new_tensor(options.weights).view(1, -1, *(1,) * (logits.dim() - 2))
    return (cost * weights).sum() / (target * weights).sum()


def _focal(loss: Loss, options: FocalOptions, logits: Tensor, regions: Tensor, border: Tensor | None) -> Tensor:
    """−α_t (1 − p_t)^γ log p_t [2], mean over the voxels."""
    entropy = F.binary_cross_entropy_with_logits(logits, regions, reduction="none")
    # log(1 − p_t) is the log-sigmoid of the logit turned away from the region; its exponential has no infinite slope
    away = F.logsigmoid(logits * (1 - 2 * regions))
    cost = torch.exp(options.gamma * away) * entropy
    if options.alpha is not None:
        cost = cost * (regions * options.alpha + (1 - regions) * (1 - options.alpha))
    return cost.mean()


def _topk(loss: Loss, options: TopKOptions, logits: Tensor, regions: Tensor, border: Tensor | None) -> Tensor:
    """The mean of the k largest −log p_t of each region [7], k the share of the batch's voxels, at least one."""
    entropy = F.binary_cross_entropy_with_logits(logits, regions, reduction="none")
    by_region = entropy.transpose(0, 1).flatten(1)
    return by_region.topk(max(1, round(options.share * by_region.shape[1])), dim=1).values.mean()


def _tversky(loss: Loss, options: TverskyOptions, logits: Tensor, regions: Tensor, border: Tensor | None) -> Tensor:
    """1 − (TP + s) / (TP + α FP + β FN + s) [3], mean over the regions (and the items)."""
    probabilities = torch.sigmoid(logits)
    axes = _summed_axes(logits, options)
    hit = (probabilities * regions).sum(axes)
    false_positive = probabilities.sum(axes) - hit
    false_negative = regions.sum(axes) - hit
    wrong = options.alpha * false_positive + options.beta * false_negative
    return (1 - (hit + options.smoothing) / (hit + wrong + options.smoothing)).mean()


def _is_mean(options: TermOptions) -> bool:
    """Whether a term looks at each item by itself."""
    match options:
        case DiceOptions() | TverskyOptions():
            return options.over == "item"
        case CeOptions():
            return options.weights is None
        case _:
            return not isinstance(options, TopKOptions)


def _summed_axes(logits: Tensor, options: DiceOptions | TverskyOptions) -> tuple[int, ...]:
    """Voxels, and with one Dice per batch the items too; the regions are never mixed."""
    voxels = tuple(range(2, logits.dim()))
    return (0, *voxels) if options.over == "batch" else voxels


_Term = Callable[[Loss, Any, Tensor, Tensor, Tensor | None], Tensor]
_TERMS: Mapping[str, _Term] = {
    "bce": _bce,
    "ce": _ce,
    "dice": _dice,
    "focal": _focal,
    "topk": _topk,
    "tversky": _tversky,
    "weighted_bce": _weighted_bce,
}
"""Term -> what computes it; ``cross_entropy`` is of pictures, not of voxels: ``tasks.classify.loss``."""

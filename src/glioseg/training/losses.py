"""Losses of regions that may overlap, each a yes/no question of its own, and of regions that exclude each other.

Regions are ``(B, R, *S)``, and so are logits; ``ce`` and ``ce+dice``, for regions that exclude each other, take one
logit more, the background's, which comes first (see ``predict.activation``). Whatever the precision of the network,
losses are computed in float32. They agree with MONAI's where both say the same thing, which the tests check; importing
MONAI would cost each start seconds.

References:
    [1] Milletari F, Navab N, Ahmadi S-A. V-Net. 3DV 2016 (soft Dice).
    [2] Lin T-Y et al. Focal loss for dense object detection. ICCV 2017.
    [3] Salehi SSM, Erdogmus D, Gholipour A. Tversky loss function for image segmentation. MLMI 2017.
    [4] Ronneberger O, Fischer P, Brox T. U-Net. MICCAI 2015 (weight maps).
    [5] Patsatzi A, Whiteley Tscherniak P. Brain tumour segmentation with a U-Net, report, TU Munich 2023.
    [6] Lee C-Y et al. Deeply-supervised nets. AISTATS 2015.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Self

import torch
import torch.nn.functional as F  # noqa: N812
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor

from glioseg.core.targets import TaskName
from glioseg.errors import GeometryError, OptionError
from glioseg.inference.activation import n_logits, probabilities_of
from glioseg.inference.options import Activation
from glioseg.preparation.border import BorderOptions

LossKind = Literal[
    "bce",
    "dice",
    "bce+dice",
    "dice+focal",
    "focal",
    "tversky",
    "weighted-bce",
    "combined",
    "ce",
    "ce+dice",
    "cross-entropy",
]
DEFAULT_LOSS: Mapping[TaskName, LossKind] = {"segment": "bce+dice", "classify": "cross-entropy"}
"""Task -> the loss that suits it where nothing else is asked for."""
ClassWeights = Sequence[tuple[float, float]]
"""For each region: the weight of the voxels outside it and of those inside."""


class LossOptions(BaseModel):
    """What decides a loss; kinds named with a ``+``, and ``combined``, are sums of their parts, 1:1.

    Attributes:
        kind: ``bce`` binary cross-entropy; ``dice`` soft Dice [1]; ``focal`` [2]; ``tversky`` [3]; ``weighted-bce`` the
            mean of weight × cross-entropy of a voxel with the border-weighted map of [5]; ``combined`` soft Dice and
            weighted cross-entropy. For softmax: ``ce`` cross-entropy of background and regions, ``ce+dice`` with the
            soft Dice of the regions. For classifiers, and only for them, ``cross-entropy`` of a picture's class
            (``tasks.classify.loss``).
        smoothing: added to numerator and denominator of Dice and Tversky, so that a region that is absent and not
            predicted costs nothing.
        dice_over: one Dice (Tversky) per region over all voxels of the ``batch``, or one for each ``item`` of it.
        dice_denominator: ``squares`` of probabilities and regions as in [1], or plain ``sums``.
        focal_gamma: how much less voxels count that are right already.
        focal_alpha: weight of voxels inside a region, 1 − alpha of those outside; None weighs them alike.
        tversky_alpha: weight of false positives.
        tversky_beta: weight of false negatives.
        class_weights: w_c of the weight map: ``balanced`` by the frequency of each region in the training part, or
            ``equal``, 1 for all voxels. Of ``cross-entropy``: by the frequency of each class.
        ce_weights: of the voxels of the background and of each region in ``ce``, whose mean is a weighted one; None
            weighs them alike.
        label_smoothing: share of the target that ``cross-entropy`` spreads evenly over all classes.
        border: the border term of the weight map.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: LossKind = "bce+dice"
    smoothing: float = Field(default=1.0, gt=0.0, allow_inf_nan=False)
    dice_over: Literal["batch", "item"] = "item"
    dice_denominator: Literal["squares", "sums"] = "squares"
    focal_gamma: float = Field(default=2.0, ge=0.0, allow_inf_nan=False)
    focal_alpha: float | None = Field(default=None, ge=0.0, le=1.0)
    tversky_alpha: float = Field(default=0.3, ge=0.0, allow_inf_nan=False)
    tversky_beta: float = Field(default=0.7, ge=0.0, allow_inf_nan=False)
    class_weights: Literal["balanced", "equal"] = "balanced"
    ce_weights: tuple[float, ...] | None = None
    label_smoothing: float = Field(default=0.0, ge=0.0, lt=1.0)
    border: BorderOptions = BorderOptions()

    @model_validator(mode="after")
    def _weights_belong_to_softmax(self) -> Self:
        if self.ce_weights is None:
            return self
        if self.activation != "softmax":
            raise ValueError(f"ce_weights belong to ce and ce+dice, and kind is {self.kind}")
        if not all(0 < weight < float("inf") for weight in self.ce_weights):
            raise ValueError("ce_weights are numbers above 0")
        return self

    @property
    def task(self) -> TaskName:
        """The task that it trains."""
        return "classify" if self.kind == DEFAULT_LOSS["classify"] else "segment"

    @property
    def activation(self) -> Activation:
        """What the loss takes logits for."""
        return "softmax" if _cross_entropy in _PARTS[self.kind] else "sigmoid"

    @property
    def needs_border(self) -> bool:
        """Whether the loss takes weight maps, which the prepared cache then has to hold."""
        return _weighted_bce in _PARTS[self.kind]

    @property
    def needs_class_weights(self) -> bool:
        """Whether the regions' frequencies in the training part are needed."""
        return self.needs_border and self.class_weights == "balanced"


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
            costs = [self._single(one.float(), target, border) for one in several]
        shares = [0.5**step for step in range(len(costs))]
        total = sum(share * cost for share, cost in zip(shares, costs, strict=True)) / sum(shares)
        return torch.as_tensor(total)

    def _single(self, logits: Tensor, regions: Tensor, border: Tensor | None) -> Tensor:
        parts = [part(self, logits, regions, border) for part in _PARTS[self.options.kind]]
        return torch.stack(parts).sum()

    def _check(self, logits: tuple[Tensor, ...], regions: Tensor, border: Tensor | None) -> None:
        wanted = n_logits(regions.shape[1], self.options.activation)
        expected = (len(regions), wanted, *regions.shape[2:])
        if not logits or any(tuple(one.shape) != expected for one in logits):
            raise GeometryError(
                "logits and regions differ in shape", found=[tuple(one.shape) for one in logits], expected=expected
            )
        weights = self.options.ce_weights
        if weights is not None and len(weights) != wanted:
            raise OptionError(
                "loss.ce_weights needs one weight for the background and one for each region",
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
            found="none" if class_weights is None else f"some for {options.kind}, {options.class_weights}",
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


def _bce(_: Loss, logits: Tensor, regions: Tensor, __: Tensor | None) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits, regions)


def _weighted_bce(loss: Loss, logits: Tensor, regions: Tensor, border: Tensor | None) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits, regions, weight=weight_map(loss, regions, border))


def _dice(loss: Loss, logits: Tensor, regions: Tensor, _: Tensor | None) -> Tensor:
    """1 − (2 Σ p r + s) / (Σ p² + Σ r² + s) [1], mean over the regions (and the items)."""
    options = loss.options
    probabilities = probabilities_of(logits, options.activation)
    axes = _summed_axes(logits, options)
    overlap = (probabilities * regions).sum(axes)
    in_both = probabilities.square() if options.dice_denominator == "squares" else probabilities
    total = in_both.sum(axes) + regions.sum(axes)  # regions are 0 or 1 and their own squares
    return (1 - (2 * overlap + options.smoothing) / (total + options.smoothing)).mean()


def _cross_entropy(loss: Loss, logits: Tensor, regions: Tensor, _: Tensor | None) -> Tensor:
    """−w_c log p_c of the class c of each voxel, background or region, over the sum of the weights."""
    target = torch.cat([1 - regions.sum(dim=1, keepdim=True), regions], dim=1)
    cost = -F.log_softmax(logits, dim=1) * target
    if loss.options.ce_weights is None:
        return cost.sum(dim=1).mean()
    weights = logits.new_tensor(loss.options.ce_weights).view(1, -1, *(1,) * (logits.dim() - 2))
    return (cost * weights).sum() / (target * weights).sum()


def _focal(loss: Loss, logits: Tensor, regions: Tensor, _: Tensor | None) -> Tensor:
    """−α_t (1 − p_t)^γ log p_t [2], mean over the voxels."""
    options = loss.options
    entropy = F.binary_cross_entropy_with_logits(logits, regions, reduction="none")
    # log(1 − p_t) is the log-sigmoid of the logit turned away from the region; its exponential has no infinite slope
    away = F.logsigmoid(logits * (1 - 2 * regions))
    cost = torch.exp(options.focal_gamma * away) * entropy
    if options.focal_alpha is not None:
        cost = cost * (regions * options.focal_alpha + (1 - regions) * (1 - options.focal_alpha))
    return cost.mean()


def _tversky(loss: Loss, logits: Tensor, regions: Tensor, _: Tensor | None) -> Tensor:
    """1 − (TP + s) / (TP + α FP + β FN + s) [3], mean over the regions (and the items)."""
    options = loss.options
    probabilities = torch.sigmoid(logits)
    axes = _summed_axes(logits, options)
    hit = (probabilities * regions).sum(axes)
    false_positive = probabilities.sum(axes) - hit
    false_negative = regions.sum(axes) - hit
    wrong = options.tversky_alpha * false_positive + options.tversky_beta * false_negative
    return (1 - (hit + options.smoothing) / (hit + wrong + options.smoothing)).mean()


def _summed_axes(logits: Tensor, options: LossOptions) -> tuple[int, ...]:
    """Voxels, and with one Dice per batch the items too; the regions are never mixed."""
    voxels = tuple(range(2, logits.dim()))
    return (0, *voxels) if options.dice_over == "batch" else voxels


_Part = Callable[[Loss, Tensor, Tensor, Tensor | None], Tensor]
_PARTS: Mapping[LossKind, tuple[_Part, ...]] = {
    "bce": (_bce,),
    "dice": (_dice,),
    "bce+dice": (_bce, _dice),
    "dice+focal": (_dice, _focal),
    "focal": (_focal,),
    "tversky": (_tversky,),
    "weighted-bce": (_weighted_bce,),
    "combined": (_dice, _weighted_bce),
    "ce": (_cross_entropy,),
    "ce+dice": (_cross_entropy, _dice),
    "cross-entropy": (),  # of pictures, not of voxels: classify.ClassLoss
}

"""From logits to the probabilities of regions and back: the one place that knows sigmoid from softmax.

``sigmoid`` asks of each region a yes/no question of its own, so that regions may overlap; a network has one logit per
region. ``softmax`` asks once to which of several regions that exclude each other a voxel belongs, or to none: a network
has one logit more, the background's, which comes first. Whatever is downstream sees the probabilities of the R regions
alone; that of the background is what they leave to 1.
"""

from __future__ import annotations

import torch
from torch import Tensor

from glioseg.errors import NetworkError
from glioseg.inference.options import Activation

_NEAREST = 1e-6
"""How near to 0 or 1 a probability may be whose logit is taken."""


def n_logits(n_regions: int, activation: Activation) -> int:
    """Logits per voxel of a network for that many regions."""
    return n_regions + 1 if activation == "softmax" else n_regions


def finite(logits: Tensor) -> Tensor:
    """The logits, once it is certain that they are numbers: an infinite one would pass for a probability of 0 or 1.

    Raises:
        NetworkError: they are not.
    """
    if not bool(torch.isfinite(logits).all()):
        found = "NaN" if bool(torch.isnan(logits).any()) else "infinite values"
        raise NetworkError(
            "the network's answer is not a number",
            found=found,
            remedy="Its weights are damaged or their training diverged: train with a lower train.lr, or take another "
            "network",
        )
    return logits


def probabilities_of(logits: Tensor, activation: Activation) -> Tensor:
    """Logits (B, L, *S) of any floating type -> probabilities of the regions (B, R, *S), float32."""
    if activation == "softmax":
        return torch.softmax(logits.float(), dim=1)[:, 1:]
    return torch.sigmoid(logits.float())


def logits_of(probabilities: Tensor, activation: Activation) -> Tensor:
    """Logits (B, L, *S) whose probabilities are those given (B, R, *S), none nearer to 0 or 1 than a millionth."""
    if activation == "softmax":
        background = 1 - probabilities.sum(dim=1, keepdim=True)
        return torch.cat([background, probabilities], dim=1).clamp(_NEAREST, 1 - _NEAREST).log()
    return torch.logit(probabilities, eps=_NEAREST)

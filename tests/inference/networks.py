"""Networks whose logits can be written down."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Sees(nn.Module):
    """Logits of region r: ``scale`` times channel r of the image."""

    def __init__(self, n_regions: int, scale: float = 1.0) -> None:
        super().__init__()
        self.n_regions = n_regions
        self.scale = nn.Parameter(torch.tensor(scale))
        self.seen: list[int] = []

    def forward(self, images: Tensor) -> Tensor:
        self.seen.append(len(images))
        logits: Tensor = self.scale * images[:, : self.n_regions]
        return logits


class Measures(nn.Module):
    """Logits that are the rows that it is shown, less 10 for each column."""

    def __init__(self) -> None:
        super().__init__()
        self.none = nn.Parameter(torch.zeros(()))

    def forward(self, images: Tensor) -> Tensor:
        rows, columns = images.shape[2:]
        return torch.full_like(images[:, :1], rows - 10.0 * columns) + self.none


class LooksLeft(nn.Module):
    """Logits 10 in the left half of what it is shown, -10 in the right one, whatever is there."""

    def __init__(self) -> None:
        super().__init__()
        self.none = nn.Parameter(torch.zeros(()))

    def forward(self, images: Tensor) -> Tensor:
        logits = torch.full_like(images[:, :1], -10.0)
        logits[..., : images.shape[-1] // 2] = 10.0
        return logits + self.none

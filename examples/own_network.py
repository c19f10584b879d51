"""A network and a loss of your own, passed as objects.

python examples/own_network.py DATA RUN        # DATA: a cohort with masks, such as a phantom's
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

import glioseg


class PlainNet(nn.Module):
    """Three convolutions: (B, C, H, W) -> logits (B, R, H, W)."""

    def __init__(self, n_channels: int, n_regions: int, width: int = 8) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(n_channels, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, n_regions, 1),
        )

    def forward(self, images: Tensor) -> Tensor:
        """The logits of each pixel."""
        logits: Tensor = self.layers(images)
        return logits


def generous_loss(logits: Tensor | Sequence[Tensor], targets: Tensor, weights: Tensor | None) -> Tensor:
    """Binary cross-entropy in which a missed pixel costs four times a false one."""
    finest = logits if isinstance(logits, Tensor) else logits[0]  # several come from deep supervision alone
    four = torch.full((), 4.0, device=finest.device)
    return nn.functional.binary_cross_entropy_with_logits(finest.float(), targets.float(), pos_weight=four)


def new_network() -> PlainNet:
    """The network as training begins with it, and as its weights are loaded into."""
    torch.manual_seed(0)
    return PlainNet(n_channels=2, n_regions=1)


def main(data: Path, run: Path) -> glioseg.Model:
    """Train, and load what was trained."""
    changes = {
        "data.modalities": ["t2f", "t1c"],
        "prepare.regions": ["WT"],
        "prepare.size": 48,
        "train.epochs": 2,
        "train.batch_size": 8,
        "slices.n_neighbours": 0,
        "evaluate.n_resamples": 100,
    }
    glioseg.train("brats-2d", data, run, changes=changes, network=new_network(), loss=generous_loss)
    return glioseg.load(run, network=new_network())


if __name__ == "__main__":
    sys.stdout.write(f"{main(Path(sys.argv[1]), Path(sys.argv[2])).modalities}\n")

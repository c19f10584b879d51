"""A training step of this loop against a plain fp32 PyTorch step, and against MONAI's BasicUNet in this loop.

python benchmarks/train_step.py [--rounds 5] [--width 32]

2-D U-Net, 128x128, batch 16, augmentation of the recipe `lgg` included on our side. The variants take turns within each
round; figures are medians over the rounds, and ratios are what to read on a machine that does other things too.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import nn

from glioseg.config import read_recipe
from glioseg.machine.device import autocast, cpu_is_faster_in_bf16
from glioseg.networks.build import build_model
from glioseg.networks.unet import UNetOptions
from glioseg.training.augment import ChannelLayout, augment
from glioseg.training.losses import build_loss
from glioseg.training.randomness import DrawKey
from glioseg.training.terms import loss_of

BATCH, SIZE, CHANNELS = 16, 128, 3
STEPS = 3


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    """Images and regions that look like nothing, of the right size."""
    made = torch.Generator().manual_seed(0)
    images = torch.randn(BATCH, CHANNELS, SIZE, SIZE, generator=made)
    return images, (images[:, :1] > 1).to(torch.uint8)


def plain_step(model: nn.Module) -> Callable[[int], None]:
    """What a tutorial writes: fp32, default layout, no augmentation."""
    optimiser = torch.optim.Adam(model.parameters(), 1e-3)
    loss = nn.BCEWithLogitsLoss()
    images, regions = batch()

    def step(number: int) -> None:
        optimiser.zero_grad()
        loss(model(images), regions.float()).backward()
        optimiser.step()

    return step


def our_step(model: nn.Module, *, augmented: bool = True) -> Callable[[int], None]:
    """bfloat16 where it is fast, channels last, augmentation on the batch."""
    model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.AdamW(model.parameters(), 1e-3, foreach=True)
    loss = build_loss(loss_of("bce+dice", dice={"over": "batch"}))
    images, regions = batch()
    options, channels = read_recipe("lgg").augment, ChannelLayout(CHANNELS, 1, 1)

    def step(number: int) -> None:
        changed, targets = images, regions
        if augmented:
            key = DrawKey(0, "augment", 0, number)
            changed, targets, _ = augment(images, regions, None, key, options=options, channels=channels)
        with autocast(torch.device("cpu"), bf16=cpu_is_faster_in_bf16()):
            logits = model(changed.contiguous(memory_format=torch.channels_last))
            cost = loss(logits, targets)
        optimiser.zero_grad()
        cost.backward()
        optimiser.step()

    return step


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--width", type=int, default=32)
    asked = parser.parse_args()
    from monai.networks.nets import BasicUNet

    def ours() -> nn.Module:
        return build_model(UNetOptions(width=asked.width, depth=4), CHANNELS, 1, seed=0)

    widths = tuple(asked.width * factor for factor in (1, 2, 4, 8, 16, 1))
    basic = BasicUNet(spatial_dims=2, in_channels=CHANNELS, out_channels=1, features=widths, norm="batch", act="relu")
    variants = {
        "plain fp32 loop, same network": plain_step(ours()),
        "this loop": our_step(ours()),
        "this loop, no augmentation": our_step(ours(), augmented=False),
        "this loop, MONAI BasicUNet": our_step(basic),
    }
    times: dict[str, list[float]] = {name: [] for name in variants}
    for step in variants.values():
        step(0)
    for number in range(asked.rounds):
        for name, step in variants.items():
            started = time.perf_counter()
            for _ in range(STEPS):
                step(number)
            times[name].append((time.perf_counter() - started) / STEPS)
    base = statistics.median(times["plain fp32 loop, same network"])
    for name, values in times.items():
        median = statistics.median(values)
        print(f"{name:<32} {BATCH / median:7.1f} images/s   {base / median:.2f} x the plain loop")
    with_it, without = (statistics.median(times[name]) for name in ("this loop", "this loop, no augmentation"))
    print(f"augmentation takes {max(0.0, 1 - without / with_it):.1%} of a step")


if __name__ == "__main__":
    main()

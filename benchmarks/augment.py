"""How long augmentation takes beside a training step: `python benchmarks/augment.py [--size 128] [--threads 1]`.

Prints milliseconds per batch for each change alone, for a usual choice and for everything at once, then the share of a
training step (U-Net of width 32, channels last, bfloat16 autocast) measured in the same run. The figures are the least
of several rounds, taken in turn, so that another job on the machine falls on all of them alike; where there is one, a
single thread gives the fairer ratio.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from glioseg.networks.build import build_model
from glioseg.networks.unet import UNetOptions
from glioseg.training.augment import AugmentOptions, ChannelLayout, augment
from glioseg.training.losses import build_loss
from glioseg.training.randomness import DrawKey
from glioseg.training.terms import loss_of

_CHANGES = [name for name in AugmentOptions.model_fields if name != "missing"]


def _options(probability: float, *names: str) -> AugmentOptions:
    chosen: dict[str, dict[str, float]] = {name: {"probability": probability} for name in names if name != "missing"}
    if "missing" in names:
        chosen["missing"] = {"zero": probability / 2, "flair": probability / 2}
    return AugmentOptions.model_validate(chosen)


def _batch(n_items: int, size: int) -> tuple[Tensor, Tensor, Tensor]:
    source = torch.Generator().manual_seed(0)
    images = torch.randn(n_items, 3, size, size, generator=source)
    regions = (torch.rand(n_items, 1, size, size, generator=source) > 0.9).to(torch.uint8)
    return images, regions, torch.rand(n_items, 1, size, size, generator=source)


def _step(images: Tensor, regions: Tensor) -> Callable[[int], None]:
    model = build_model(UNetOptions(width=32, depth=4), 3, 1, seed=0)
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.AdamW(model.parameters())
    loss = build_loss(loss_of("bce+dice"))

    def step(_: int) -> None:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = model(images.contiguous(memory_format=torch.channels_last))
        loss(logits, regions).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        optimiser.zero_grad()

    return step


def _seconds(work: Callable[[int], object], number: int) -> float:
    start = time.perf_counter()
    work(number)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    images, regions, weights = _batch(arguments.batch, arguments.size)
    channels = ChannelLayout(3, flair=1)

    def augmented(number: int, options: AugmentOptions, *, with_weights: bool = False) -> None:
        key = DrawKey(0, "augment", step=number)
        augment(images, regions, weights if with_weights else None, key, options=options, channels=channels)

    works: dict[str, Callable[[int], object]] = {
        name: partial(augmented, options=_options(1.0, name)) for name in (*_CHANGES, "missing")
    }
    works["nothing"] = partial(augmented, options=AugmentOptions())
    works["usual (each at 0.3)"] = partial(augmented, options=_options(0.3, *_CHANGES, "missing"))
    works["everything, always"] = partial(augmented, options=_options(1.0, *_CHANGES, "missing"), with_weights=True)
    works["training step"] = _step(images, regions)
    least = dict.fromkeys(works, float("inf"))
    for number in range(arguments.rounds + 1):
        for name, work in works.items():
            taken = _seconds(work, number)
            if number:  # the first round warms up
                least[name] = min(least[name], taken)
    print(f"batch {arguments.batch} x 3 x {arguments.size} x {arguments.size}, {torch.get_num_threads()} threads")
    for name, taken in least.items():
        print(f"{name:24s} {1000 * taken:8.1f} ms  {100 * taken / least['training step']:6.1f} % of a step")


if __name__ == "__main__":
    main()

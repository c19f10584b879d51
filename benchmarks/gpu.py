"""Training on a GPU beside a plain loop.

python benchmarks/gpu.py [--device cuda] [--steps 30] [--peak 989]

For a 2-D and a 3-D U-Net: images per second, the share of the device's bfloat16 peak that its convolutions reach, how
busy the GPU was (as its driver says, sampled in the middle of the steps), and the most memory. The plain loop is what a
tutorial writes: fp32, the default layout, Adam, batches made when they are needed, the loss read after each step; ours
is the step of a training, with the augmentation of the recipe, ahead of which a thread makes batches. Both see the same
numbers of images. `--peak` is what the maker promises in TFLOP/s of dense bfloat16: without it there is no share. How
busy the GPU was is asked by `nvidia-ml-py`, which is not among glioseg's libraries: without it that column is empty.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from lightning_fabric import Fabric
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from glioseg.config import read_recipe
from glioseg.machine.device import pick_device, uses_bf16
from glioseg.machine.memory import peak_mb, reset_peak
from glioseg.networks.build import build_model
from glioseg.networks.unet import UNetOptions
from glioseg.training.augment import ChannelLayout, augment
from glioseg.training.batches import BatchMaker, ahead
from glioseg.training.checkpoint import Identity
from glioseg.training.job import Batch, Job, Validation
from glioseg.training.losses import build_loss
from glioseg.training.options import TrainOptions
from glioseg.training.randomness import DrawKey
from glioseg.training.step import Stepper
from glioseg.training.team import ALONE
from glioseg.training.terms import loss_of


@dataclass(frozen=True)
class Setup:
    """A network and the batches that it sees.

    Args:
        name: for the table.
        options: of the network.
        n_channels: of the images,
        size: and their voxels.
        batch_size: images of a step.
        recipe: whose augmentation is used.
    """

    name: str
    options: UNetOptions
    n_channels: int
    size: tuple[int, ...]
    batch_size: int
    recipe: str

    def network(self) -> nn.Module:
        """With one region."""
        return build_model(self.options, self.n_channels, 1, seed=0)


SETUPS = (
    Setup("2-D U-Net, width 32, 16 x 192²", UNetOptions(width=32), 3, (192, 192), 16, "lgg"),
    Setup(
        "3-D U-Net, width 32, 2 x 128³",
        UNetOptions(dims=3, width=32, normalisation="instance"),
        4,
        (128, 128, 128),
        2,
        "brats-3d",
    ),
)


@dataclass(frozen=True)
class Figures:
    """What a loop reached.

    Args:
        images_per_s: images through forward, backward and optimiser.
        tflops: of the network's multiplications and additions, 10^12 a second.
        utilisation: share of the time in which the GPU was busy; None where nobody says.
        memory_mb: the most.
    """

    images_per_s: float
    tflops: float
    utilisation: float | None
    memory_mb: float | None

    def row(self, name: str, peak_tflops: float | None) -> str:
        """A line of the table."""
        share = "-" if peak_tflops is None else f"{100 * self.tflops / peak_tflops:.1f} %"
        busy = "-" if self.utilisation is None else f"{100 * self.utilisation:.0f} %"
        memory = "-" if self.memory_mb is None else f"{self.memory_mb:.0f} MiB"
        return f"{name:<44} {self.images_per_s:>9.1f} {self.tflops:>8.2f} {share:>8} {busy:>6} {memory:>10}"


@dataclass(frozen=True)
class MadeItems:
    """Items that look like nothing, made once, and handed out in half precision as the cache has them."""

    images: npt.NDArray[np.float16]
    regions: npt.NDArray[np.uint8]

    @property
    def is_positive(self) -> npt.NDArray[np.bool_]:
        """(N,) all of them."""
        return np.ones(len(self.images), dtype=bool)

    def take(self, indices: npt.NDArray[np.int64], key: DrawKey) -> Batch:
        """Copies, as from the cache."""
        return Batch(self.images[indices], self.regions[indices])

    def name(self, index: int) -> str:
        """Its number."""
        return str(index)


def made_items(setup: Setup, n_batches: int) -> MadeItems:
    """Noise, a sixth of it marked."""
    source = np.random.default_rng(0)
    shape = (n_batches * setup.batch_size, setup.n_channels, *setup.size)
    images = source.standard_normal(shape, dtype=np.float32).astype(np.float16)
    return MadeItems(images, (images[:, :1] > 1).astype(np.uint8))


def flops_of_step(setup: Setup) -> float:
    """Of forward and backward of a batch, counted by PyTorch on shapes alone."""
    with torch.device("meta"):
        network = setup.network()
        images = torch.empty(1, setup.n_channels, *setup.size)
    with FlopCounterMode(display=False) as counter:
        network(images).sum().backward()
    return float(counter.get_total_flops()) * setup.batch_size


def plain_loop(setup: Setup, device: torch.device) -> Callable[[int], object]:
    """What a tutorial writes."""
    model = setup.network().to(device)
    optimiser = torch.optim.Adam(model.parameters(), 1e-3)
    loss, items = nn.BCEWithLogitsLoss(), made_items(setup, 2)

    def step(number: int) -> float:
        indices = np.arange(setup.batch_size) + (number % 2) * setup.batch_size
        batch = items.take(indices, DrawKey(0, "patches"))
        images, regions = torch.from_numpy(batch.images).float().to(device), torch.from_numpy(batch.targets).to(device)
        optimiser.zero_grad()
        cost = loss(model(images), regions.float())
        cost.backward()
        optimiser.step()
        return float(cost.detach())

    return step


def our_loop(
    setup: Setup, device: torch.device, n_steps: int, changes: Mapping[str, bool | str]
) -> Callable[[int], object]:
    """The step of a training; the loss is read a step later, as a training does."""
    options = TrainOptions.model_validate({"batch_size": setup.batch_size, **changes})
    precision = "bf16-mixed" if uses_bf16("auto", device) else "32-true"
    fabric = Fabric(accelerator=device.type, devices=1, precision=precision)
    layout, loss = ChannelLayout(setup.n_channels, flair=1), build_loss(loss_of("bce+dice"), device=device)
    job = Job(
        options=options,
        items=made_items(setup, 2),
        augment=partial(augment, options=read_recipe(setup.recipe).augment, channels=layout),
        loss=loss,
        validate=lambda model: Validation(0.0, 0.0, {}),
        identity=Identity({}, "", ""),
        run=Path(),
        on_epoch=lambda row: None,
        on_step=lambda place: None,
        on_start=lambda place: None,
    )
    stepper, maker = Stepper(fabric, ALONE, setup.network(), job), BatchMaker(job, ALONE, device, augments=False)
    order, pending = np.arange(2 * setup.batch_size), [torch.zeros(())]

    def steps() -> Callable[[int], object]:
        following = ahead(lambda number: maker.batch(order, number, number % 2), 0, n_steps)
        take = following.__enter__()

        def step(number: int) -> None:
            loss_of_step = stepper.gradients(maker.augmented(take()), 1e-3)
            float(pending.pop())
            pending.append(loss_of_step)
            stepper.move()
            if number == n_steps - 1:
                following.__exit__(None, None, None)

        return step

    stepper.network.train()
    return steps()


def measured(step: Callable[[int], object], setup: Setup, device: torch.device, n_steps: int, n_warm: int) -> Figures:
    """Time ``n_steps`` after ``n_warm``."""
    is_known = reset_peak(device)
    for number in range(n_warm):
        step(number)
    _wait(device)
    busy: list[float | None] = []
    started = time.perf_counter()
    for number in range(n_warm, n_warm + n_steps):
        step(number)
        if device.type == "cuda" and number % 5 == 0:
            busy.append(_busy(device))
    _wait(device)
    elapsed_s = time.perf_counter() - started
    told = [share for share in busy if share is not None]
    return Figures(
        images_per_s=n_steps * setup.batch_size / elapsed_s,
        tflops=n_steps * flops_of_step(setup) / elapsed_s / 1e12,
        utilisation=sum(told) / len(told) if told else None,
        memory_mb=peak_mb(device) if is_known else None,
    )


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _busy(device: torch.device) -> float | None:
    """Share of the last moments in which the GPU worked, as its driver says; None without what asks it."""
    try:
        return torch.cuda.utilization(device) / 100
    except (ModuleNotFoundError, RuntimeError):  # a library that glioseg itself does not need, or a driver without it
        return None


def table(
    setups: tuple[Setup, ...], device: torch.device, n_steps: int, n_warm: int, peak_tflops: float | None
) -> list[str]:
    """A line for each loop of each network."""
    lines = [f"{'':<44} {'images/s':>9} {'TFLOP/s':>8} {'of peak':>8} {'busy':>6} {'memory':>10}"]
    for setup in setups:
        loops: dict[str, Callable[[], Callable[[int], object]]] = {
            "plain loop": partial(plain_loop, setup, device),
            "glioseg": partial(our_loop, setup, device, n_warm + n_steps, {}),
            "glioseg, train.recompute": partial(our_loop, setup, device, n_warm + n_steps, {"recompute": True}),
        }
        if device.type == "cuda":
            for how in ("kernels", "graphs"):
                changes = {"compile": how}
                loops[f"glioseg, train.compile={how}"] = partial(our_loop, setup, device, n_warm + n_steps, changes)
        lines.append(setup.name)
        for name, make in loops.items():
            if device.type == "cuda":
                torch.cuda.empty_cache()
            lines.append(measured(make(), setup, device, n_steps, n_warm).row(f"  {name}", peak_tflops))
    return lines


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--warm", type=int, default=5)
    parser.add_argument("--peak", type=float, help="TFLOP/s of dense bfloat16, as the maker promises")
    arguments = parser.parse_args()
    device = pick_device(arguments.device)
    if device.type == "cuda":
        torch.use_deterministic_algorithms(True)
        print(torch.cuda.get_device_name(device), f"PyTorch {torch.__version__}")
    for line in table(SETUPS, device, arguments.steps, arguments.warm, arguments.peak):
        print(line)


if __name__ == "__main__":
    main()

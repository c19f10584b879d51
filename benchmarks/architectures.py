"""Every network at settings of comparable cost: parameters, operations, speed and memory, as a table in Markdown.

python benchmarks/architectures.py [--rounds 3] [--only KIND ...]

Slices of 128x128, 3 channels, 1 region, batch 16; volumes of 64x64x64, 4 channels, 3 regions, batch 2. GFLOPs are those
of the forward pass on one image, two operations for each multiplication and addition (torch.utils.flop_counter). Speeds
are those of this package's loop (bfloat16 where the processor has it, channels last; loss, backward pass and AdamW, but
no augmentation) and of its prediction; medians over the rounds. Memory is what the training steps add to the process at
its peak. Each network runs in a process of its own. Where there is a GPU, the speeds there stand beside.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from glioseg.machine.device import autocast, uses_bf16
from glioseg.machine.memory import peak_of_process_mib
from glioseg.networks.build import OPTIONS, build_model
from glioseg.networks.summary import n_parameters, network_name
from glioseg.training.losses import build_loss
from glioseg.training.terms import loss_of

SETTINGS: dict[str, dict[str, Any]] = {
    "unet": {"width": 16},
    "attention-unet": {"width": 16},
    "resunet": {"width": 16},
    "unet++": {"width": 16},
    "deeplabv3plus": {"width": 32, "pyramid_width": 96},
    "segresnet": {"width": 16},
    "dynunet": {"width": 16},
    "swinunetr": {"feature_size": 12},
}
"""Kind -> what differs from its defaults, for two CPU cores."""
IN_3D: dict[str, dict[str, Any]] = {
    "unet": {"width": 16, "depth": 3},
    "unet++": {"width": 8},
    "segresnet": {"width": 8},
    "dynunet": {"width": 16, "depth": 3},
    "swinunetr": {"feature_size": 12},
}
"""The same for volumes."""
SHAPES = {2: (16, 3, 128, 128), 3: (2, 4, 64, 64, 64)}
REGIONS = {2: 1, 3: 3}
COLUMNS = (
    "network",
    "settings",
    "parameters, M",
    "GFLOPs",
    "training, images/s",
    "prediction, images/s",
    "training memory, MB",
    "GPU training, images/s",
    "GPU prediction, images/s",
)


def speed(step: Callable[[], None], device: torch.device, batch: int, rounds: int) -> float:
    """Images per second, the median over the rounds after one that is not counted."""
    taken = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        step()
        if device.type == "cuda":
            torch.cuda.synchronize()
        taken.append(time.perf_counter() - start)
    return batch / statistics.median(taken[1:])


def training_step(model: nn.Module, images: torch.Tensor, n_regions: int) -> Callable[[], None]:
    """A step as the loop takes it."""
    optimiser = torch.optim.AdamW(model.parameters(), 1e-3, foreach=True)
    device = images.device
    loss = build_loss(loss_of("bce+dice", dice={"over": "batch"}), device=device)
    regions = (images[:, :1] > 1).to(torch.uint8).repeat(1, n_regions, *[1] * (images.dim() - 2))

    def step() -> None:
        model.train()
        with autocast(device, bf16=uses_bf16("auto", device)):
            cost = loss(model(images), regions)
        optimiser.zero_grad()
        cost.backward()
        optimiser.step()

    return step


def prediction(model: nn.Module, images: torch.Tensor) -> Callable[[], None]:
    """A batch as the predictor takes it."""
    device = images.device

    def step() -> None:
        model.eval()
        with torch.inference_mode(), autocast(device, bf16=uses_bf16("auto", device)):
            torch.sigmoid(model(images).float())

    return step


def peak_mb() -> float:
    """The most memory that this process has held so far, in MB."""
    return (peak_of_process_mib() or 0.0) * 2**20 / 1e6


def measure(kind: str, dims: int, rounds: int) -> dict[str, Any]:
    """One network, in this process."""
    settings = (SETTINGS if dims == 2 else IN_3D)[kind]
    options: Any = OPTIONS[kind].model_validate({"dims": dims, **settings})
    shape, n_regions = SHAPES[dims], REGIONS[dims]
    layout = torch.channels_last if dims == 2 else torch.channels_last_3d
    model = build_model(options, shape[1], n_regions, seed=0)
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        model.eval()(torch.zeros(1, *shape[1:]))
    found: dict[str, Any] = {
        "network": network_name(options),
        "settings": ", ".join(f"{name} {value}" for name, value in settings.items()),
        "parameters": n_parameters(model) / 1e6,
        "gflops": counter.get_total_flops() / 1e9,
    }
    devices = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    for name in devices:
        device = torch.device(name)
        images = torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(device)
        images = images.contiguous(memory_format=layout)
        model = model.to(device).to(memory_format=layout)  # type: ignore[call-overload]
        before = peak_mb()
        found[f"{name} training"] = speed(training_step(model, images, n_regions), device, shape[0], rounds)
        found.setdefault("memory", peak_mb() - before)
        found[f"{name} prediction"] = speed(prediction(model, images), device, shape[0], rounds)
    return found


def row(found: dict[str, Any]) -> tuple[str, ...]:
    """A line of the table."""
    gpu = [f"{found[name]:.0f}" if name in found else "–" for name in ("cuda training", "cuda prediction")]
    return (
        found["network"],
        found["settings"],
        f"{found['parameters']:.2f}",
        f"{found['gflops']:.2f}",
        f"{found['cpu training']:.1f}",
        f"{found['cpu prediction']:.1f}",
        f"{found['memory']:.0f}",
        *gpu,
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="*", default=list(SETTINGS), choices=list(SETTINGS))
    parser.add_argument("--one", nargs=2, metavar=("KIND", "DIMS"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        print(json.dumps(measure(asked.one[0], int(asked.one[1]), asked.rounds)))
        return
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}\n")
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}", flush=True)
    for dims, table in ((2, SETTINGS), (3, IN_3D)):
        for kind in table:
            if kind in asked.only:
                command = [sys.executable, __file__, "--rounds", str(asked.rounds), "--one", kind, str(dims)]
                ran = subprocess.run(command, capture_output=True, text=True, check=True)
                print(f"| {' | '.join(row(json.loads(ran.stdout.splitlines()[-1])))} |", flush=True)


if __name__ == "__main__":
    main()

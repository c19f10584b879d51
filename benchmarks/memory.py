"""Memory of a training step beside what ``glioseg plan`` counts with: `python benchmarks/memory.py [--device cuda]`.

Each network takes two steps in a process of its own. On a CPU the peak is that of the whole process (Linux), libraries
included; on a GPU what PyTorch has taken. Printed is the count, the peak, and how far the count lies above it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from dataclasses import asdict

import torch

from glioseg.machine.device import autocast
from glioseg.machine.memory import peak_of_process_mib
from glioseg.networks.build import build_model
from glioseg.networks.unet import UNetOptions
from glioseg.planning.memory import PlannedNetwork, training_bytes
from glioseg.training.losses import build_loss
from glioseg.training.recompute import recompute_activations
from glioseg.training.terms import loss_of

_CASES = (
    (PlannedNetwork(3, 16, 3, 4, 3), (48, 64, 48), 2, True),
    (PlannedNetwork(3, 16, 3, 4, 3), (48, 64, 48), 2, False),
    (PlannedNetwork(3, 8, 3, 4, 3, deep_supervision=True), (64, 64, 64), 2, True),
    (PlannedNetwork(3, 16, 3, 4, 3, deep_supervision=True), (64, 64, 64), 2, True),
    (PlannedNetwork(3, 32, 3, 4, 3, deep_supervision=True), (64, 64, 64), 2, True),
    (PlannedNetwork(3, 16, 3, 4, 3, deep_supervision=True), (64, 64, 64), 2, False),
    (PlannedNetwork(3, 16, 4, 4, 3, deep_supervision=True), (96, 96, 96), 1, True),
    (PlannedNetwork(2, 24, 4, 12, 3), (128, 128), 16, True),
    (PlannedNetwork(2, 24, 4, 12, 3), (128, 128), 16, False),
)


def _peak(
    network: PlannedNetwork, size: tuple[int, ...], batch_size: int, bf16: bool, name: str, *, recompute: bool
) -> tuple[float, float]:
    """Bytes at the peak of two training steps, in this process, and the seconds of the second one."""
    device = torch.device(name)
    layout = torch.channels_last_3d if network.dims == 3 else torch.channels_last
    options = UNetOptions(
        dims=3 if network.dims == 3 else 2,
        width=network.width,
        depth=network.depth,
        normalisation="instance" if network.dims == 3 else "batch",
        deep_supervision=network.deep_supervision,
    )
    model = build_model(options, network.n_channels, network.n_regions, seed=0).to(device)
    model.to(memory_format=layout)  # type: ignore[call-overload]
    if recompute:
        recompute_activations(model)
    optimiser = torch.optim.AdamW(model.parameters())
    loss = build_loss(loss_of("bce+dice", dice={"over": "batch"}))
    images = torch.randn(batch_size, network.n_channels, *size, device=device).contiguous(memory_format=layout)
    regions = (torch.rand(batch_size, network.n_regions, *size, device=device) > 0.9).to(torch.uint8)
    elapsed_s = 0.0
    for _ in range(2):
        started = time.perf_counter()
        with autocast(device, bf16=bf16):
            logits = model(images)
        loss(logits, regions).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        optimiser.zero_grad()
        elapsed_s = time.perf_counter() - started
    if device.type == "cuda":
        return float(torch.cuda.max_memory_reserved(device)), elapsed_s
    return (peak_of_process_mib() or 0.0) * 2**20, elapsed_s


def main() -> None:
    """Measure each case in a process of its own, or one case in this process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--case", type=int)
    parser.add_argument("--recompute", action="store_true", help="with train.recompute, which the count leaves out")
    given = parser.parse_args()
    if given.case is not None:
        sys.stdout.write(json.dumps(_peak(*_CASES[given.case], given.device, recompute=given.recompute)))
        return
    for number, (network, size, batch_size, bf16) in enumerate(_CASES):
        command = [sys.executable, __file__, "--device", given.device, "--case", str(number)]
        command += ["--recompute"] if given.recompute else []
        peak, elapsed_s = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        count = training_bytes(network, size, batch_size, bf16=bf16)
        words = f"{'x'.join(map(str, size))} x {batch_size}, {'bf16' if bf16 else 'fp32'}, {asdict(network)}"
        found = f"counted {count / 1e9:5.2f} GB, peak {peak / 1e9:5.2f} GB, {count / peak - 1:+.0%}"
        found += f", {elapsed_s:.1f} s a step"
        sys.stdout.write(f"{found}: {words}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()

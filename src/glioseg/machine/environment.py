"""What a training ran on: versions, device, threads; for ``environment.json`` and ``glioseg doctor``."""

from __future__ import annotations

import os
import platform
from importlib import metadata

import torch

from glioseg import __version__
from glioseg.machine.device import Precision, pick_device, uses_bf16

_LIBRARIES = ("numpy", "scipy", "monai", "lightning-fabric", "nibabel", "SimpleITK", "pillow", "h5py")


def environment(device: str = "auto", precision: Precision = "auto") -> dict[str, str | int | bool]:
    """Facts by name, plain values; ``device`` and ``precision`` as the user or the recipe gives them."""
    torch_device = pick_device(device)
    facts: dict[str, str | int | bool] = {
        "glioseg": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "device": str(torch_device),
        "device_name": torch.cuda.get_device_name(torch_device) if torch_device.type == "cuda" else _processor(),
        "precision": "bf16" if uses_bf16(precision, torch_device) else "fp32",
        "threads": torch.get_num_threads(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        "cuda": torch.version.cuda or "none",
        "torch": str(torch.__version__),  # with its build, which the package's own version may lack
    }
    return facts | {name: metadata.version(name) for name in _LIBRARIES}


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:  # noqa: PTH123 - read line by line
            return next(line.partition(":")[2].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or "unknown"

"""Which device and which number format: decided here for training and prediction alike."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Literal

import torch

from glioseg.errors import OptionError
from glioseg.machine.control_groups import memory_left
from glioseg.machine.processors import processors

Precision = Literal["auto", "fp32", "bf16"]


def pick_device(name: str) -> torch.device:
    """``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps`` -> the device, which is there.

    Raises:
        OptionError: an unknown name, or a device that this machine does not have.
    """
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda:0")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise OptionError("unknown device", found=name, expected="auto, cpu, cuda, cuda:N or mps") from error
    present = {
        "cpu": 1,
        "cuda": torch.cuda.device_count() if torch.cuda.is_available() else 0,
        "mps": int(torch.backends.mps.is_available()),
    }
    if device.type not in present or (device.index or 0) >= present[device.type]:
        raise OptionError(
            f"this machine has no device {name}",
            expected=", ".join(kind for kind, n in present.items() if n),
            remedy="Leave `--device` out, or say `--device cpu`",
        )
    return device


def uses_bf16(precision: Precision, device: torch.device) -> bool:
    """Whether bfloat16 autocast is on: as asked for, or, for ``auto``, where the device is faster in it.

    Where bfloat16 is emulated it is several times slower than fp32.
    """
    if precision != "auto":
        return precision == "bf16"
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device)[0] >= 8
    return device.type == "cpu" and cpu_is_faster_in_bf16()


def cpu_is_faster_in_bf16() -> bool:
    """Whether the processor multiplies bfloat16 faster than fp32 (Linux; elsewhere not known, hence no).

    Any with AMX does, and AMD's with AVX512-BF16. Intel's with AVX512-BF16 alone do not: its products are made on one
    port where those of fp32 have two, and the conversions come on top (docs/results.md has what was measured).
    """
    if platform.machine() not in ("x86_64", "AMD64"):
        return False
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return False
    flags = next((line for line in text.splitlines() if line.startswith("flags")), "").split()
    return "amx_bf16" in flags or ("avx512_bf16" in flags and "AuthenticAMD" in text)


def memory_at_hand(device: torch.device) -> float:
    """Free memory of a device in 10^9 bytes: of a GPU its own, else that of the computer that no program uses.

    A container, or a job of a queue, has no more than its limit leaves it. Where the system does not say what is free,
    half of what is built in; where it says neither, 4.
    """
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0] / 1e9
    left = memory_left()
    return _free_gb() if left is None else min(_free_gb(), left / 1e9)


def _free_gb() -> float:
    try:
        text = Path("/proc/meminfo").read_text(encoding="utf-8")
        return int(next(line for line in text.splitlines() if line.startswith("MemAvailable")).split()[1]) * 1024 / 1e9
    except (OSError, StopIteration):
        pass
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2e9
    except (AttributeError, OSError, ValueError):  # Windows has no sysconf
        return 4.0


@contextmanager
def on_free_processors() -> Iterator[None]:
    """Let PyTorch use no more threads than there are processors free; afterwards as many as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(min(before, processors().threads))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def autocast(device: torch.device, *, bf16: bool) -> AbstractContextManager[object]:
    """bfloat16 autocast where ``bf16``, else nothing."""
    return torch.autocast(device.type, dtype=torch.bfloat16) if bf16 else nullcontext()

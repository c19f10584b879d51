"""The most memory that a stretch of work needed."""

from __future__ import annotations

import ctypes
import gc
import sys
from pathlib import Path

import torch

_CLEAR, _STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")
_MB = 1 << 20


def reset_peak(device: torch.device) -> bool:
    """Start to measure anew; whether that is possible here (on CUDA, and where the system is Linux)."""
    gc.collect()  # what earlier work left behind is not this one's
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return True
    try:
        _return_freed_memory()
        _CLEAR.write_text("5", encoding="ascii")  # sets VmHWM back to what is in use now, see proc(5)
    except OSError:
        return False
    return _high_water_mib() is not None


def _return_freed_memory() -> None:
    """Hand freed memory back to the system where the C library keeps it (glibc), since it would count as in use."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)


def peak_mb(device: torch.device) -> float | None:
    """The peak since ``reset_peak`` in MiB: of the GPU's memory on CUDA, else of this process; None if unknown."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / _MB
    return peak_of_process_mib()


def peak_of_process_mib() -> float | None:
    """The most memory that this process has held since it started, or since ``reset_peak``; None on Windows.

    Linux is asked by its own file: what ``getrusage`` tells is that of the parent where that had held more when it
    started this process, since the kernel keeps the number over ``exec``.
    """
    high_water = _high_water_mib()
    if high_water is not None:
        return high_water
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (_MB if sys.platform == "darwin" else 1024)  # bytes on macOS, KiB elsewhere


def _high_water_mib() -> float | None:
    """What Linux says of this process, see proc(5)."""
    try:
        lines = _STATUS.read_text(encoding="ascii", errors="replace").splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:"))
    except (OSError, StopIteration, ValueError):
        return None

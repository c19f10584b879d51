"""The benchmark for GPUs, on a CPU: what it counts, and that both of its loops run."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest
import torch

from glioseg.networks.unet import UNetOptions


@pytest.fixture(scope="module")
def gpu() -> dict[str, Any]:
    """The script's names."""
    return runpy.run_path(str(Path(__file__).parents[1] / "benchmarks" / "gpu.py"))


def _setup(gpu: dict[str, Any], **changes: Any) -> Any:
    values = {"name": "tiny", "n_channels": 3, "size": (16, 16), "batch_size": 2, "recipe": "lgg"}
    return gpu["Setup"](**{**values, "options": UNetOptions(width=2, depth=1), **changes})


def test_operations_are_those_of_the_convolutions_by_hand(gpu: dict[str, Any]) -> None:
    """A convolution costs 2·k²·n_in·n_out for each voxel of its result forwards, and as much again for each gradient.

    The images need no gradient, so that the first convolution costs twice its forward pass and all others three times.
    """
    full, half = 16 * 16, 8 * 8
    first = 2 * 9 * 3 * 2 * full
    others = 2 * 9 * 2 * 2 * full  # the second of the first level
    others += 2 * 9 * (2 * 4 + 4 * 4) * half  # the lower level
    others += 2 * 4 * 2 * half  # the 1x1 before it is enlarged
    others += 2 * 9 * (4 * 2 + 2 * 2) * full  # the expanding path
    others += 2 * 2 * 1 * full  # the head
    assert gpu["flops_of_step"](_setup(gpu)) == 2 * (2 * first + 3 * others)


def test_a_row_says_share_and_pace(gpu: dict[str, Any]) -> None:
    row = gpu["Figures"](images_per_s=12.34, tflops=98.9, utilisation=0.5, memory_mb=2048.0).row("ours", 989.0)
    assert row.split() == ["ours", "12.3", "98.90", "10.0", "%", "50", "%", "2048", "MiB"]
    unknown = gpu["Figures"](1.0, 1.0, None, None).row("ours", None)
    assert unknown.split() == ["ours", "1.0", "1.00", "-", "-", "-"]


def test_both_loops_run_in_two_and_three_dimensions(gpu: dict[str, Any]) -> None:
    volume = UNetOptions(dims=3, width=2, depth=1, normalisation="instance")
    setups = (_setup(gpu), _setup(gpu, name="volume", options=volume, size=(8, 8, 8), recipe="brats-3d"))
    lines = gpu["table"](setups, torch.device("cpu"), 2, 1, 1.0)
    loops = ["plain", "glioseg", "glioseg,"]
    assert [line.split()[0] for line in lines] == ["images/s", "tiny", *loops, "volume", *loops]
    assert all(float(line[44:54]) > 0 for line in lines[1:] if line.startswith("  "))


@pytest.mark.parametrize(("error", "share"), [(None, 0.5), (ModuleNotFoundError, None), (RuntimeError, None)])
def test_without_what_asks_the_driver_the_column_is_empty(
    gpu: dict[str, Any], error: type[Exception] | None, share: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def utilization(device: torch.device) -> int:
        if error is not None:
            raise error("nvidia-ml-py does not seem to be installed or it can't be imported.")
        return 50

    monkeypatch.setattr(torch.cuda, "utilization", utilization)
    assert gpu["_busy"](torch.device("cuda")) == share

"""The demonstration, and what this machine has."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from glioseg.api.common import Progress, StrPath, reporter_of

if TYPE_CHECKING:
    from glioseg.runs.demo import DemoResult


def demo(out: StrPath = "demo", *, progress: Progress | None = None) -> DemoResult:
    """All of it on synthetic patients, in about four minutes: inspect, train, evaluate, predict, report.

    Args:
        out: where everything goes; what an earlier call has written there is used again.
        progress: told how far it is.

    Returns:
        Where everything is, and the figures to look at.

    Raises:
        FileError: ``out`` cannot be written to.
    """
    from glioseg.runs import demo as demonstration

    return demonstration.demo(Path(out), reporter_of(progress))


def doctor(device: str = "auto") -> dict[str, str | int | bool]:
    """Device, precision, threads and versions in use, by name.

    Args:
        device: ``auto``, ``cpu``, ``cuda:N``, ``mps``.

    Raises:
        OptionError: no such device.
    """
    from glioseg.machine.environment import environment

    return environment(device)

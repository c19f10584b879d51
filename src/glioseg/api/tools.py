"""The demonstration, and what this machine has."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from glioseg.api.addresses import require_here
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

    require_here(out)
    return demonstration.demo(Path(out), reporter_of(progress))


def doctor(device: str = "auto", *, backends: bool = False, progress: Progress | None = None) -> dict[str, Any]:
    """What this machine has and what of it is free, by name.

    Args:
        device: ``auto``, ``cpu``, ``cuda:N``, ``mps``.
        backends: also measure what can compute networks, with ``model:phantom``, and say which to take.
        progress: told how far that is.

    Returns:
        Device, precision, threads and versions; ``processors`` (``present``; ``allowed`` to this process; ``quota`` of
        its container; ``idle``, not in use by others; ``predict_threads``, how many threads ``predict`` takes);
        ``extras``, what each lacks; ``models``; ``backends`` and ``quickest_backend``.

    Raises:
        OptionError: no such device.
    """
    from glioseg.runs import doctor as examining

    return examining.doctor(device, backends=backends, reporter=reporter_of(progress))

"""What a command costs: processor seconds and the largest process, whatever else the machine does meanwhile. Linux."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ONE_THREAD = {
    **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_MAX_THREADS"), "1"),
    "OMP_WAIT_POLICY": "PASSIVE",  # a thread that waits for another costs nothing
}
"""``OMP_THREAD_LIMIT`` would hang who asks for more threads later, as nnU-Net does: oneDNN waits for all of them."""


@dataclass(frozen=True)
class Cost:
    """Of a command and all processes that it started.

    Args:
        processor_s: user and system time.
        peak_mb: resident memory of the largest of the processes.
    """

    processor_s: float
    peak_mb: float


def measured(
    command: Sequence[str],
    log: Path,
    environment: Mapping[str, str] | None = None,
    meanwhile: Callable[[], None] = lambda: None,
) -> Cost:
    """Run a command, its words into ``log``; ``meanwhile`` is called twice a second.

    Raises:
        SystemExit: it failed; the log says why.
    """
    with log.open("ab") as stream:
        process = subprocess.Popen(
            command, stdout=stream, stderr=stream, env={**os.environ, **ONE_THREAD, **(environment or {})}
        )
        ended = 0
        while not ended:
            time.sleep(0.5)
            meanwhile()
            ended, status, usage = os.wait4(process.pid, os.WNOHANG)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}; see {log}")
    return Cost(round(usage.ru_utime + usage.ru_stime, 1), round(usage.ru_maxrss * 1024 / 1e6))

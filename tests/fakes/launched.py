"""Processes as a launcher starts them: on this machine, and gone in the end."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


def environment(**more: str) -> dict[str, str]:
    """Of a process that nothing has launched yet, which meets others on this machine."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM_", "TORCHELASTIC_"))}
    return own | {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"} | more


def free_port() -> int:
    """Of this machine, for a meeting."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


@dataclass(frozen=True)
class Started:
    """A process that writes to a file, so that nobody waits for what its own processes still hold open."""

    process: subprocess.Popen[bytes]
    file: Path

    @property
    def said(self) -> str:
        """What it has said so far."""
        return self.file.read_text()


@contextmanager
def started(
    folder: Path, commands: Sequence[Sequence[str]], environments: Sequence[Mapping[str, str]]
) -> Iterator[list[Started]]:
    """Processes of this Python, which have ended at the end of the block, whatever became of them.

    Args:
        folder: where they write what they say.
        commands: what stands behind ``python``, and
        environments: of each.
    """
    processes = []
    for number, (command, environment) in enumerate(zip(commands, environments, strict=True)):
        with (folder / f"said-{number}").open("wb") as file:
            process = subprocess.Popen([sys.executable, *command], env=environment, stdout=file, stderr=file)
        processes.append(Started(process, folder / f"said-{number}"))
    try:
        yield processes
    finally:
        for each in processes:
            each.process.terminate()  # which a launcher passes on to its workers
        for each in processes:
            try:
                each.process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                each.process.kill()
                each.process.wait()

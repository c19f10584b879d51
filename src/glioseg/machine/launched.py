"""Whether this process was started as one of several, by ``torchrun`` or ``srun``, and which of them it is.

Both say it in the environment, and nothing else is read from there: number, place and addresses are theirs.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from glioseg.errors import OptionError

Launcher = Literal["torchrun", "srun"]


@dataclass(frozen=True)
class Launched:
    """A process among several that were started together.

    Args:
        by: what started them.
        rank: which of them this is, from 0.
        size: how many they are,
        n_local: and how many of them on each machine.
    """

    by: Launcher
    rank: int
    size: int
    n_local: int

    @property
    def n_machines(self) -> int:
        """How many machines they are on."""
        return self.size // self.n_local


def launched(environment: Mapping[str, str] | None = None) -> Launched | None:
    """What started this process together with others; None where it was started by itself.

    A script that SLURM runs is not one of several, whatever it has reserved: the steps that ``srun`` starts are.

    Raises:
        OptionError: machines with different numbers of processes.
    """
    values = os.environ if environment is None else environment
    by = launcher(values)
    if by == "torchrun":
        size, n_local = int(values["WORLD_SIZE"]), int(values["LOCAL_WORLD_SIZE"])
        process = Launched("torchrun", int(values["RANK"]), size, n_local)
        return _checked(process, "torchrun with as many processes on each machine (`nproc-per-node`)")
    if by == "srun":
        size, n_local = int(values["SLURM_STEP_NUM_TASKS"]), int(values.get("SLURM_NTASKS_PER_NODE", "0"))
        process = Launched("srun", int(values["SLURM_PROCID"]), size, n_local)
        return _checked(process, "srun with as many tasks on each machine (`ntasks-per-node`)")
    return None


def launcher(environment: Mapping[str, str] | None = None) -> Launcher | None:
    """What started this process as one of several; None where it was started by itself."""
    values = os.environ if environment is None else environment
    if "TORCHELASTIC_RUN_ID" in values:
        return "torchrun"
    return "srun" if int(values.get("SLURM_STEP_NUM_TASKS", "1")) > 1 else None


def _checked(process: Launched, expected: str) -> Launched:
    if process.n_local < 1 or process.size % process.n_local:
        raise OptionError(
            "processes that train together are the same number on each machine",
            found=f"{process.size} processes, {process.n_local or 'nobody says how many'} on each machine",
            expected=expected,
        )
    return process

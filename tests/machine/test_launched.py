"""What launchers say in the environment."""

from __future__ import annotations

import pytest

from glioseg.errors import OptionError
from glioseg.machine.launched import Launched, launched, launcher

_TORCHRUN = {
    "TORCHELASTIC_RUN_ID": "none",
    "RANK": "3",
    "LOCAL_RANK": "1",
    "WORLD_SIZE": "4",
    "LOCAL_WORLD_SIZE": "2",
}
_SRUN = {
    "SLURM_NTASKS": "4",
    "SLURM_STEP_NUM_TASKS": "4",
    "SLURM_NTASKS_PER_NODE": "2",
    "SLURM_PROCID": "2",
    "SLURM_LOCALID": "0",
}


def test_torchrun_and_srun_say_which_process_this_is() -> None:
    assert launched(_TORCHRUN) == Launched("torchrun", 3, 4, 2)
    assert launched(_SRUN) == Launched("srun", 2, 4, 2)
    assert (launcher(_TORCHRUN), launcher(_SRUN), launcher({})) == ("torchrun", "srun", None)
    process = launched(_TORCHRUN)
    assert process is not None
    assert process.n_machines == 2


def test_a_process_by_itself_is_none_of_several() -> None:
    assert launched({}) is None
    # a script that sbatch runs, though the job has reserved four tasks: nobody else will come
    assert launched({"SLURM_NTASKS": "4", "SLURM_PROCID": "0", "SLURM_NTASKS_PER_NODE": "2"}) is None
    assert launched(_SRUN | {"SLURM_STEP_NUM_TASKS": "1"}) is None  # one of a job array


@pytest.mark.parametrize(
    "environment",
    [
        {name: value for name, value in _SRUN.items() if name != "SLURM_NTASKS_PER_NODE"},
        _SRUN | {"SLURM_NTASKS_PER_NODE": "3"},
        _TORCHRUN | {"WORLD_SIZE": "5"},
    ],
)
def test_machines_with_different_numbers_are_refused(environment: dict[str, str]) -> None:
    with pytest.raises(OptionError, match="the same number on each machine"):
        launched(environment)

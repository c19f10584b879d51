"""One training on several processes: as torchrun and srun start them, as they die, and as they hang."""

from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from glioseg.errors import GliosegError, OptionError, ToldElsewhereError
from glioseg.runs.together import Together
from glioseg.training.log import read_log
from glioseg.training.team import Team
from tests.fakes.launched import environment, free_port, started
from tests.training.test_shared import in_each

# -- before a training -------------------------------------------------------------------------------------------------


class _Unwatched(Together):
    """Threads in the place of processes give no signs of life."""

    def _watched(self) -> Any:
        return nullcontext()


def _in_two(do: Any) -> list[Any]:
    def caught(team: Team) -> Any:
        try:
            return do(_Unwatched(team, fabric=object()))  # type: ignore[arg-type]
        except GliosegError as error:
            return error

    return in_each(2, caught)


def test_the_first_goes_before_the_others() -> None:
    order: list[int] = []

    def each(together: Together) -> int:
        def note() -> int:
            order.append(together.team.rank)
            return together.team.rank

        return together.each(note)

    assert _in_two(each) == [0, 1]
    assert order == [0, 1]
    assert _in_two(lambda together: together.first(lambda: f"from {together.team.rank}")) == ["from 0", "from 0"]


@pytest.mark.parametrize("at_fault", [0, 1])
def test_a_fault_of_one_ends_all_and_is_told_once(at_fault: int) -> None:
    def work(together: Together) -> None:
        if together.team.rank == at_fault:
            raise OptionError("no such setting")

    said = _in_two(lambda together: together.each(lambda: work(together)))
    assert isinstance(said[at_fault], OptionError)
    assert isinstance(said[1 - at_fault], ToldElsewhereError)
    assert said[1 - at_fault].is_misuse
    assert "no such setting" in said[1 - at_fault].text


def test_processes_that_see_other_data_are_refused() -> None:
    said = _in_two(lambda together: together.require_same("data", f"seen by {together.team.rank}"))
    assert isinstance(said[0], OptionError)
    assert "differ in data" in str(said[0])
    assert isinstance(said[1], ToldElsewhereError)
    assert _in_two(lambda together: together.require_same("data", "the same")) == [None, None]


def test_alone_nothing_is_asked() -> None:
    assert Together().each(lambda: 1) == Together().first(lambda: 1) == 1
    Together().require_same("data", "any")


# -- real processes ----------------------------------------------------------------------------------------------------

_RECIPE = """
name = "toy"
[data]
modalities = ["t2f"]
[split]
train = 0.6
val = 0.2
test = 0.2
[prepare]
size = 32
regions = ["WT"]
[model]
width = 4
depth = 2
dropout = 0.2
[loss]
kind = "bce+dice"
[loss.dice]
over = "batch"
[augment]
flip = { probability = 0.5, axes = ["width"] }
rotation = { probability = 0.5 }
noise = { probability = 0.5 }
[train]
epochs = 2
batch_size = 16
lr = 0.01
optimiser = "sgd"
ema = 0.9
clip_norm = 1.0
checkpoint_every = 1
precision = "fp32"
"""


_FALLS = """
import os, sys
from glioseg.cli.app import main
from glioseg.training.step import Stepper

number, move, n_moves = int(sys.argv.pop(1)), Stepper.move, [0]

def move_or_fall(stepper):
    n_moves[0] += 1
    if n_moves[0] == 3 and os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") == "0":
        os.kill(os.getpid(), number)
    return move(stepper)

Stepper.move = move_or_fall
main()
"""
"""A process that gets a signal in its third step, when the checkpoint of the second has been written."""


_LIMIT_S = 240
"""Of a machine that does much else; a quiet one takes a tenth."""


def _arguments(data: Path, folder: Path, run: str, *more: str) -> list[str]:
    (folder / "toy.toml").write_text(_RECIPE)
    places = ["--data", str(data), "--out", str(folder / run), "--cache", str(folder / "cache"), "--device", "cpu"]
    return ["train", str(folder / "toy.toml"), *places, "--no-evaluate", *more]


def _falling(folder: Path, number: signal.Signals) -> list[str]:
    """What takes the place of ``-m glioseg``."""
    script = folder / "falls.py"
    script.write_text(_FALLS)
    return [str(script), str(int(number))]


def _model(run: Path) -> dict[str, torch.Tensor]:
    model: dict[str, torch.Tensor] = torch.load(run / "latest_checkpoint.pth", weights_only=True)["model"]
    return model


@pytest.mark.slow
def test_two_hosts_lose_a_worker_and_go_on_by_themselves(phantom_data: Path, tmp_path: Path) -> None:
    """Two launchers on the loopback; a worker is killed once there are checkpoints, and both launchers start anew.

    In the end stands what one process alone makes, and its validation, but for the order of sums. PyTorch's own sums
    over a batch of 16,384 voxels are off by 4e-6 of their value, which ten steps raise to less than 1e-4 of weights and
    4e-4 of running statistics (of some 3).
    """
    alone = ["-m", "glioseg", *_arguments(phantom_data, tmp_path, "alone")]
    subprocess.run([sys.executable, *alone], env=environment(), check=True, timeout=_LIMIT_S)
    meeting = [f"--rdzv-endpoint=127.0.0.1:{free_port()}", "--rdzv-backend=c10d", "--rdzv-id=toy"]
    torchrun = ["-m", "torch.distributed.run", "--nnodes=2", "--nproc-per-node=1", "--max-restarts=2", *meeting]
    arguments = _arguments(phantom_data, tmp_path, "two")
    commands = [
        [*torchrun, *what, *arguments] for what in (["-m", "glioseg"], _falling(tmp_path, signal.Signals.SIGKILL))
    ]
    with started(tmp_path, commands, [environment()] * 2) as hosts:
        codes = [host.process.wait(timeout=_LIMIT_S) for host in hosts]
        said = "".join(host.said for host in hosts)
    assert codes == [0, 0], said
    assert "Continuing at epoch 1, step" in said
    expected, found = _model(tmp_path / "alone"), _model(tmp_path / "two")
    for name, weights in expected.items():
        atol = 1e-3 if "running" in name else 1e-4
        torch.testing.assert_close(found[name], weights, rtol=1e-4, atol=atol, msg=partial("{}: {}".format, name))
    rows = [read_log(tmp_path / run / "log.jsonl") for run in ("alone", "two")]
    for one, other in zip(*rows, strict=True):
        assert other.train_loss == pytest.approx(one.train_loss, abs=1e-4)
        assert other.val_loss == pytest.approx(one.val_loss, abs=1e-4)
        assert other.val_score == pytest.approx(one.val_score, abs=1e-3)


def _srun(rank: int, size: int, port: int) -> dict[str, str]:
    """What srun says to a task, all on one machine."""
    return environment(
        SLURM_JOB_ID="7",
        SLURM_NTASKS=str(size),
        SLURM_STEP_NUM_TASKS=str(size),
        SLURM_NTASKS_PER_NODE=str(size),
        SLURM_NNODES="1",
        SLURM_NODEID="0",
        SLURM_NODELIST="127.0.0.1",
        SLURM_PROCID=str(rank),
        SLURM_LOCALID=str(rank),
        MASTER_ADDR="127.0.0.1",
        MASTER_PORT=str(port),
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "patience_min"),
    [
        pytest.param(signal.SIGKILL, 10, id="killed"),  # which the connection tells at once
        pytest.param(signal.SIGSTOP, 0.4, id="out of reach"),
    ],
)
def test_a_process_of_srun_is_lost(
    phantom_data: Path, tmp_path: Path, number: signal.Signals, patience_min: float
) -> None:
    """Without a launcher that would end the others: they end by themselves, with a sentence; what is kept is whole."""
    arguments = _arguments(phantom_data, tmp_path, "run", "--set", f"train.patience_minutes={patience_min}")
    commands = [[*what, *arguments] for what in (["-m", "glioseg"], _falling(tmp_path, number))]
    port = free_port()
    with started(tmp_path, commands, [_srun(rank, 2, port) for rank in range(2)]) as (first, _):
        code, said = first.process.wait(timeout=_LIMIT_S), first.said
    assert code == 1, said
    assert "another process of this training has ended, or does not answer" in said
    assert "Traceback" not in said
    assert _model(tmp_path / "run")

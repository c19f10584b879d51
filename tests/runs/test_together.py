"""One training on several processes: as torchrun and srun start them, as they die, and as they hang."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch

from glioseg.errors import GliosegError, OptionError, ToldElsewhereError
from glioseg.runs.together import Together
from glioseg.training.log import read_log
from glioseg.training.team import Team
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


def _command(data: Path, folder: Path, run: str, *more: str) -> list[str]:
    (folder / "toy.toml").write_text(_RECIPE)
    places = ["--data", str(data), "--out", str(folder / run), "--cache", str(folder / "cache"), "--device", "cpu"]
    return ["-m", "glioseg", "train", str(folder / "toy.toml"), *places, "--no-evaluate", *more]


def _environment(**more: str) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM_", "TORCHELASTIC_"))}
    return own | {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"} | more


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def _children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _wait_for(path: Path, processes: list[subprocess.Popen[str]]) -> None:
    limit = time.monotonic() + 300
    while not path.exists():
        assert time.monotonic() < limit
        assert all(process.poll() is None for process in processes), [each.communicate() for each in processes]
        time.sleep(0.01)


@contextmanager
def _started(commands: list[list[str]], environments: list[Mapping[str, str]]) -> Iterator[list[subprocess.Popen[str]]]:
    processes = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for command, environment in zip(commands, environments, strict=True)
    ]
    try:
        yield processes
    finally:
        for process in processes:
            if process.poll() is None:
                for child in _children(process.pid):
                    os.kill(child, signal.SIGKILL)
                process.kill()
            process.communicate()


def _model(run: Path) -> dict[str, torch.Tensor]:
    model: dict[str, torch.Tensor] = torch.load(run / "latest_checkpoint.pth", weights_only=True)["model"]
    return model


@pytest.mark.slow
def test_two_hosts_lose_a_worker_and_go_on_by_themselves(phantom_data: Path, tmp_path: Path) -> None:
    """Two launchers on the loopback; one worker is killed once there is a checkpoint, and both launchers start anew.

    In the end stands what one process alone makes, to within 1e-4; and its validation, of the same figures.
    """
    subprocess.run([sys.executable, *_command(phantom_data, tmp_path, "alone")], env=_environment(), check=True)
    meeting = [f"--rdzv-endpoint=127.0.0.1:{_free_port()}", "--rdzv-backend=c10d", "--rdzv-id=toy"]
    torchrun = ["-m", "torch.distributed.run", "--nnodes=2", "--nproc-per-node=1", "--max-restarts=2", *meeting]
    command = [sys.executable, *torchrun, *_command(phantom_data, tmp_path, "two")]
    with _started([command, command], [_environment()] * 2) as hosts:
        _wait_for(tmp_path / "two" / "latest_checkpoint.pth", hosts)
        os.kill(_children(hosts[1].pid)[0], signal.SIGKILL)
        said = [host.communicate(timeout=300) for host in hosts]
    assert [host.returncode for host in hosts] == [0, 0], said
    assert "Continuing at epoch" in said[0][1] + said[1][1]
    alone, two = _model(tmp_path / "alone"), _model(tmp_path / "two")
    for name, weights in alone.items():
        torch.testing.assert_close(two[name], weights, rtol=1e-4, atol=1e-4, msg=name)
    rows = [read_log(tmp_path / run / "log.jsonl") for run in ("alone", "two")]
    for one, other in zip(*rows, strict=True):
        assert other.val_score == pytest.approx(one.val_score, abs=1e-3)
        assert other.train_loss == pytest.approx(one.train_loss, abs=1e-4)


def _srun(rank: int, size: int, port: int) -> dict[str, str]:
    """What srun says to a task, all on one machine."""
    return _environment(
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
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "out of reach"])
def test_a_process_of_srun_is_lost(phantom_data: Path, tmp_path: Path, number: signal.Signals) -> None:
    """Without a launcher that would end the others: they end by themselves, with a sentence; what is kept is whole."""
    command = [sys.executable, *_command(phantom_data, tmp_path, "run", "--set", "train.patience_minutes=0.5")]
    port = _free_port()
    with _started([command, command], [_srun(rank, 2, port) for rank in range(2)]) as processes:
        _wait_for(tmp_path / "run" / "latest_checkpoint.pth", processes)
        os.kill(processes[1].pid, number)
        before = time.monotonic()
        _, said = processes[0].communicate(timeout=120)
        assert time.monotonic() - before < 60
    assert processes[0].returncode == 1
    assert "another process of this training has ended, or does not answer" in said
    assert "Traceback" not in said
    assert _model(tmp_path / "run")

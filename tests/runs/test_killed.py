"""A real process that is killed without warning, and gone on with, ends as the tiny run, which was never disturbed.

Killed several times, wherever it is by then: ``tests/training/test_kill.py``.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from glioseg.training.log import read_log
from tests.cli.command import glioseg
from tests.runs.conftest import TinyRun

_KILLED = """
import os, signal, sys
import torch
from glioseg.cli.app import main
from glioseg.runs.progress_table import ProgressTable

torch.set_num_threads(1)
real, n_steps = ProgressTable.on_step, [0]

def on_step(table, place):
    n_steps[0] += 1
    if n_steps[0] == 7:  # in the second of two epochs of five steps
        os.kill(os.getpid(), signal.SIGKILL)
    return real(table, place)

ProgressTable.on_step = on_step
main()
"""


def _plain(value: Any) -> Any:
    """Without what may differ: times and the size of a log that holds them; tensors as bytes."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items() if not str(key).endswith("_s") and key != "log_size"}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return (value.dtype, tuple(value.shape), value.numpy().tobytes()) if isinstance(value, Tensor) else value


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no such signal here")
def test_killed_and_gone_on_with_ends_bit_for_bit_the_same(tiny: TinyRun, tmp_path: Path) -> None:
    run = tmp_path / "run"
    places = ["--data", tiny.data, "--out", run, "--cache", tiny.cache, "--device", "cpu", "--quiet", "--no-evaluate"]
    train = ["train", tiny.recipe_file, *places, "--set", "train.checkpoint_every=1"]
    command = [sys.executable, "-c", _KILLED, *map(str, train)]
    assert subprocess.run(command, check=False, capture_output=True).returncode == -signal.SIGKILL
    assert torch.load(run / "latest_checkpoint.pth", weights_only=True)["progress"]["n_updates"] == 6
    ran = glioseg(*train)
    assert ran.code == 0, ran.err
    for name in ("latest_checkpoint.pth", "best_model.pth"):
        undisturbed, killed = (torch.load(path / name, weights_only=True) for path in (tiny.run, run))
        assert _plain(undisturbed) == _plain(killed), name
    weights = [(path / "bundle" / "model.safetensors").read_bytes() for path in (tiny.run, run)]
    assert weights[0] == weights[1]
    logs = [[_plain(row.to_json()) for row in read_log(path / "log.jsonl")] for path in (tiny.run, run)]
    assert logs[0] == logs[1]
    assert len(logs[0]) == 2

"""A real `glioseg train` process, killed without warning several times, ends as one that was never disturbed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from glioseg.cohorts.phantom import PhantomOptions
from glioseg.cohorts.write import write_phantom
from glioseg.training.log import read_log
from tests.training.test_events import read_points

_RECIPE = """
name = "toy"
[data]
modalities = ["t2f", "t1c"]
[split]
train = 0.6
val = 0.2
test = 0.2
[prepare]
size = 32
regions = ["WT", "ET"]
[slices]
n_neighbours = 1
[model]
width = 4
depth = 2
dropout = 0.2
[loss]
kind = "combined"
[augment]
flip = { probability = 0.5, axes = ["width"] }
turn = { probability = 0.5 }
rotation = { probability = 0.5 }
elastic = { probability = 0.5 }
noise = { probability = 0.5 }
missing = { zero = 0.2, flair = 0.2 }
[train]
epochs = 2
batch_size = 16
schedule = "one-cycle"
optimiser = "adamw"
ema = 0.9
clip_norm = 1.0
tumour_share = 0.5
checkpoint_every = 1
[predict]
tune = true
[evaluate]
n_resamples = 100
"""


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kill")
    write_phantom(PhantomOptions(n_patients=5, spacing_mm=6.0, seed=1), folder / "data", "brats2023", n_workers=1)
    (folder / "toy.toml").write_text(_RECIPE)
    return folder


def _command(cohort: Path, run: Path) -> list[str]:
    train = [sys.executable, "-m", "glioseg", "train", str(cohort / "toy.toml"), "--data", str(cohort / "data")]
    return [*train, "--out", str(run), "--cache", str(cohort / "cache"), "--device", "cpu", "--quiet", "--tensorboard"]


def _undisturbed(cohort: Path, run: Path) -> None:
    subprocess.run(_command(cohort, run), check=True, capture_output=True)


def _killed_after(cohort: Path, run: Path, n_checkpoints: int) -> None:
    """Start the training and kill it once it has replaced its checkpoint so many times, wherever it is by then."""
    latest = run / "latest_checkpoint.pth"
    process = subprocess.Popen(_command(cohort, run), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    seen, changes = (latest.stat().st_mtime_ns if latest.exists() else 0), 0
    limit = time.monotonic() + 120
    while changes < n_checkpoints:
        assert process.poll() is None, process.communicate()[1].decode()
        assert time.monotonic() < limit
        now = latest.stat().st_mtime_ns if latest.exists() else 0
        changes += now != seen
        seen = now
        time.sleep(0.001)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL


def _plain(value: Any) -> Any:
    """Without what may differ: times and the size of a log that holds them; tensors as bytes."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items() if not str(key).endswith("_s") and key != "log_size"}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return (value.dtype, tuple(value.shape), value.numpy().tobytes()) if isinstance(value, Tensor) else value


def _points(run: Path) -> dict[str, list[tuple[int, float]]]:
    found = read_points(run / "tensorboard")
    return {tag: points for tag, points in found.items() if not tag.endswith("_s")}


@pytest.mark.slow  # killed once: tests/runs/test_killed.py
def test_killed_several_times_ends_bit_for_bit_the_same(cohort: Path, tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    _undisturbed(cohort, whole)
    dice = random.Random(20)
    for _ in range(3):
        _killed_after(cohort, broken, dice.randint(1, 3))
    _undisturbed(cohort, broken)
    for name in ("latest_checkpoint.pth", "best_model.pth"):
        one, other = (torch.load(run / name, weights_only=True) for run in (whole, broken))
        assert _plain(one) == _plain(other), name
    for name in ("recipe.toml", "split.json", "evaluation-val.json", "evaluation-test.json", "cases-test.csv"):
        assert (whole / name).read_bytes() == (broken / name).read_bytes(), name
    for name in ("model.safetensors", "bundle.json"):
        assert (whole / "bundle" / name).read_bytes() == (broken / "bundle" / name).read_bytes(), name
    logs = [[_plain(row.to_json()) for row in read_log(run / "log.jsonl")] for run in (whole, broken)]
    assert logs[0] == logs[1]
    assert len(logs[0]) == 2
    points = [_points(run) for run in (whole, broken)]
    assert points[0] == points[1]
    assert [step for step, _ in points[0]["loss/training"]] == [1, 2]

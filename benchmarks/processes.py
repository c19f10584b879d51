"""One training on 1, 2 and 4 processes, repeated, stopped and continued, and continued on another number of them.

python benchmarks/processes.py [--folder DIR]

A U-Net of width 4 with dropout and batch normalisation learns by SGD in float32 from phantom patients at 6 mm, for
three epochs, started by torchrun on this machine. What stands in the table is the largest difference of any weight, of
any running statistic of batch normalisation, and of any loss or score, to the training beside which it is put. Times
are no part of it.
"""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from glioseg.training.checkpoint import LATEST, load_checkpoint
from glioseg.training.log import read_log

_RECIPE = """
name = "processes"
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
epochs = 3
batch_size = 16
lr = 0.01
optimiser = "sgd"
ema = 0.9
clip_norm = 1.0
precision = "fp32"
"""
_STOP = 4
"""Steps after which a training is stopped."""


@dataclass(frozen=True)
class Difference:
    """How far two trainings are from each other.

    Args:
        weights: the largest difference of any weight,
        statistics: of any running mean or variance,
        losses: of the losses and the score of any epoch.
        is_same: whether all of them are equal to the bit.
    """

    weights: float
    statistics: float
    losses: float
    is_same: bool

    def row(self, name: str) -> str:
        """A line of the table."""
        if self.is_same:
            return f"{name:<44} equal to the bit"
        return f"{name:<44} {self.weights:>9.1e} {self.statistics:>11.1e} {self.losses:>9.1e}"


def difference(one: Path, other: Path) -> Difference:
    """Between the last states of two runs."""
    first, second = (load_checkpoint(run / LATEST)["model"] for run in (one, other))
    apart = {name: float((first[name].double() - second[name].double()).abs().max()) for name in first}
    told = [
        [value for row in read_log(run / "log.jsonl") for value in (row.train_loss, row.val_loss, row.val_score)]
        for run in (one, other)
    ]
    losses = max(abs((a or 0) - (b or 0)) for a, b in zip(*told, strict=True))
    return Difference(
        weights=max(value for name, value in apart.items() if "running" not in name),
        statistics=max(value for name, value in apart.items() if "running" in name),
        losses=losses,
        is_same=not any(apart.values()) and losses == 0,
    )


class Trainings:
    """Runs in a folder, all of one recipe and cohort."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        (folder / "recipe.toml").write_text(_RECIPE, encoding="utf-8")
        options = ("--patients", "10", "--spacing", "6", "--layout", "brats2023", "--quiet")
        self._run(["-m", "glioseg", "phantom", str(folder / "data"), *options])

    def train(self, name: str, *stretches: tuple[int, int | None]) -> Path:
        """A run on so many processes up to so many steps, and then on others; None is to its end."""
        run = self._folder / name
        for n_processes, n_steps in stretches:
            places = ["--data", str(self._folder / "data"), "--out", str(run), "--cache", str(self._folder / "cache")]
            limit = [] if n_steps is None else ["--set", f"train.max_steps={n_steps}"]
            command = ["train", str(self._folder / "recipe.toml"), *places, *limit, "--device", "cpu", "--no-evaluate"]
            launcher = ["-m", "torch.distributed.run", f"--nproc-per-node={n_processes}"]
            launcher += [f"--master-port={_free_port()}"]
            self._run([*(launcher if n_processes > 1 else []), "-m", "glioseg", *command])
        return run

    def _run(self, command: list[str]) -> None:
        own = os.environ | {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
        ran = subprocess.run([sys.executable, *command], env=own, capture_output=True, text=True, check=False)
        if ran.returncode != 0:
            raise SystemExit(f"{' '.join(command)}:\n{ran.stderr[-3000:]}")


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def table(trainings: Trainings) -> None:
    """Print a line for each claim, as it is found."""
    one = trainings.train("one", (1, None))
    state = load_checkpoint(one / LATEST)
    largest = max(float(value.abs().max()) for name, value in state["model"].items() if "running" in name)
    print(f"-- {state['progress']['n_updates']} steps; statistics up to {largest:.2g}")
    print(f"{'':<44} {'weights':>9} {'statistics':>11} {'losses':>9}")
    several = {1: one} | {number: trainings.train(f"{number}", (number, None)) for number in (2, 4)}

    def show(name: str, found: Path, beside: Path) -> None:
        print(difference(found, beside).row(name), flush=True)

    for number in (2, 4):
        show(f"{number} processes beside 1", several[number], one)
    show("4 processes beside 2", several[4], several[2])
    for number, run in several.items():
        words = f"{number} process{'es' * (number > 1)}"
        show(f"{words}, again", trainings.train(f"{number}-again", (number, None)), run)
        torn = trainings.train(f"{number}-torn", (number, _STOP), (number, None))
        show(f"{words}, stopped after {_STOP} steps and continued", torn, run)
    for before, after in ((1, 4), (2, 4), (4, 2), (4, 1)):
        moved = trainings.train(f"{before}-to-{after}", (before, _STOP), (after, None))
        show(f"{before}, continued on {after}, beside 1", moved, one)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="where to work; what is written there is deleted afterwards")
    with tempfile.TemporaryDirectory(dir=parser.parse_args().folder) as folder:
        table(Trainings(Path(folder)))


if __name__ == "__main__":
    main()

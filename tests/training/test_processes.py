"""Several processes train as one does: the same batches, dealt out, and the mean of their gradients."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies.ddp import DDPStrategy
from torch import Tensor, nn

from glioseg.training.checkpoint import LATEST, load_checkpoint
from glioseg.training.loop import fit
from glioseg.training.options import SgdOptions, TrainOptions
from glioseg.training.randomness import DrawKey
from tests.training.test_loop import _job, _Toy

_STEPS = 6  # two epochs of 18 pictures in batches of 6: halves of 3, and of four processes 2, 2, 1 and 1 of them


def _network() -> nn.Module:
    """Group norm looks at each picture by itself, so that halving a batch changes nothing; batch norm would."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.GroupNorm(2, 4), nn.ReLU(), nn.Conv2d(4, 1, 1))


def _as_they_are(
    images: Tensor, regions: Tensor, weights: Tensor | None, key: DrawKey
) -> tuple[Tensor, Tensor, Tensor | None]:
    return images, regions, weights


def _nothing(*values: object) -> None:
    """Nobody watches."""


def _training(fabric: Fabric, run: str, max_steps: int) -> None:
    torch.set_num_threads(1)
    options = TrainOptions(
        epochs=4, batch_size=6, lr=0.1, optimiser=SgdOptions(momentum=0.5), checkpoint_every=1, max_steps=max_steps
    )
    job = _job(
        Path(run), options, _Toy(n=18), augment=_as_they_are, on_epoch=_nothing, on_step=_nothing, on_start=_nothing
    )
    fit(fabric, _network(), job)
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def _state(run: Path, *stretches: tuple[int, int]) -> dict[str, Any]:
    """The checkpoint of a training on so many processes up to so many steps, and then on others, all of them new."""
    run.mkdir()
    for n_processes, stop in stretches:
        # as runs.launch has it: gradients in the same groups from the first step on, or sums of three would differ
        together = DDPStrategy(process_group_backend="gloo", start_method="spawn", find_unused_parameters=True)
        strategy = together if n_processes > 1 else "auto"
        fabric = Fabric(accelerator="cpu", devices=n_processes, precision="32-true", strategy=strategy)
        if n_processes == 1:
            _training(fabric, str(run), stop)
        else:
            fabric.launch(partial(_training, run=str(run), max_steps=stop))
    return load_checkpoint(run / LATEST)


def _require_close(found: dict[str, Any], expected: dict[str, Any]) -> None:
    """Sums in another order differ in the last bits of float32 (6e-8), which six steps cannot raise to 1e-4."""
    assert found["progress"]["n_updates"] == expected["progress"]["n_updates"] == _STEPS
    before = _network().state_dict()
    for name, weights in expected["model"].items():
        assert not torch.allclose(weights, before[name], rtol=1e-3, atol=1e-4), f"{name} has not been trained"
        torch.testing.assert_close(found["model"][name], weights, rtol=1e-4, atol=1e-6, msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("n", [2, 4])
def test_several_processes_take_the_steps_of_one_and_resume_exactly(tmp_path: Path, n: int) -> None:
    one, several = _state(tmp_path / "one", (1, _STEPS)), _state(tmp_path / "several", (n, _STEPS))
    _require_close(several, one)
    torn = _state(tmp_path / "torn", (n, 2), (n, _STEPS))
    for name, weights in several["model"].items():
        assert torch.equal(torn["model"][name], weights), name
    assert torn["progress"]["loss_sums"] == several["progress"]["loss_sums"]


@pytest.mark.slow
@pytest.mark.parametrize(("before", "after"), [(2, 1)])
def test_a_training_goes_on_with_another_number_of_processes(tmp_path: Path, before: int, after: int) -> None:
    one = _state(tmp_path / "one", (1, _STEPS))
    _require_close(_state(tmp_path / "moved", (before, 2), (after, _STEPS)), one)

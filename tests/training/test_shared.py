"""What processes share of a step, with threads in the place of processes: the same arithmetic, without starting any."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from lightning_fabric import Fabric
from torch import Tensor, nn

from glioseg.training.batches import BatchMaker
from glioseg.training.job import CaseValidation, Job, Validation
from glioseg.training.losses import build_loss
from glioseg.training.randomness import DrawKey, Rows, generator
from glioseg.training.sampler import epoch_order
from glioseg.training.share import own_places, parts_of
from glioseg.training.shared_layers import Shared, share_layers
from glioseg.training.step import Stepper
from glioseg.training.team import LostProcessError, Team
from glioseg.training.terms import LossOptions, loss_of
from glioseg.training.validation import validated
from tests.training.test_loop import _job, _options, _Toy

T = TypeVar("T")


@dataclass
class _Table:
    """Where threads put what they say to each other."""

    size: int
    values: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.values = [None] * self.size
        self.barrier = threading.Barrier(self.size, timeout=60)

    def exchanged(self, rank: int, value: object) -> list[Any]:
        self.values[rank] = value
        self.barrier.wait()
        said = list(self.values)
        self.barrier.wait()
        return said


@dataclass(frozen=True)
class _Threads(Team):
    """A team of threads."""

    table: _Table = field(default_factory=lambda: _Table(1))

    def stacked(self, tensor: Tensor) -> Tensor:
        return torch.stack(self.table.exchanged(self.rank, tensor))

    def gathered(self, value: T) -> list[T]:
        return self.table.exchanged(self.rank, value)

    def told(self, value: T | None) -> T:
        said: T = self.table.exchanged(self.rank, value)[0]
        return said


def in_each(size: int, do: Callable[[Team], T]) -> list[T]:
    """What ``do`` gives in each process of a team."""
    table = _Table(size)
    with ThreadPoolExecutor(size) as pool:
        return list(pool.map(do, [_Threads(rank, size, table=table) for rank in range(size)]))


# -- who has what ------------------------------------------------------------------------------------------------------


@given(st.integers(1, 40), st.integers(1, 4), st.integers(2, 5))
def test_a_batch_is_dealt_out_whole(n: int, n_parts: int, size: int) -> None:
    """Each item once; or, of a part that is smaller than the team, by everybody."""
    of_each = [parts_of(n, n_parts, rank, size) for rank in range(size)]
    alone = parts_of(n, n_parts)
    for number, whole in enumerate(alone):
        parts = [parts[number] for parts in of_each]
        assert {part.n for part in parts} == {whole.n}
        if whole.n < size:
            assert all(part.places == whole.places and not part.is_shared for part in parts)
        else:
            assert sorted(place for part in parts for place in part.places) == list(whole.places)
            assert max(len(part.places) for part in parts) - min(len(part.places) for part in parts) <= 1
    assert own_places(alone) == tuple(range(n))


# -- a step ------------------------------------------------------------------------------------------------------------


def _network() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.Conv2d(4, 4, 3, padding=1),
            nn.BatchNorm2d(4, affine=False),
            nn.ReLU(),
            nn.Conv2d(4, 1, 1),
        )


def _brighter(
    images: Tensor, regions: Tensor, weights: Tensor | None, key: DrawKey
) -> tuple[Tensor, Tensor, Tensor | None]:
    """By a number for each item of the whole batch."""
    rows = key.rows or Rows(tuple(range(len(images))), len(images))
    drawn = torch.from_numpy(generator(key).random(rows.n, dtype=np.float32))[list(rows.own)]
    return images + drawn.view(-1, 1, 1, 1), regions, weights


@dataclass
class _Step:
    """What a process has after a step."""

    loss: float
    gradients: list[Tensor]
    statistics: list[Tensor]


def _step(team: Team, job: Job, step: int, network: nn.Module) -> _Step:
    stepper = Stepper(Fabric(accelerator="cpu", devices=1), team, deepcopy(network), job)
    stepper.network.train()
    maker = BatchMaker(job, team, torch.device("cpu"), augments=True)
    order = epoch_order(job.items.is_positive, None, np.random.default_rng(1))
    loss = stepper.gradients(maker.batch(order, 0, step), 0.1)
    gradients = [parameter.grad for parameter in stepper.network.parameters() if parameter.grad is not None]
    statistics = [value for name, value in stepper.network.named_buffers() if "running" in name]
    return _Step(float(loss), gradients, statistics)


@pytest.mark.parametrize("kind", [nn.Dropout, nn.Dropout2d])
@pytest.mark.parametrize("of_item", [1, 2])
def test_dropout_drops_what_it_drops_in_one_process(kind: type[nn.Module], of_item: int) -> None:
    """Also where a network makes several rows of an item, and whatever the layout in memory."""
    images = torch.randn(5 * of_item, 3, 4, 4).contiguous(memory_format=torch.channels_last)
    torch.manual_seed(7)
    whole = kind(0.4)(images)
    for rank in range(2):
        shared = Shared(Team(rank, 2))
        (shared.part,) = parts_of(5, 1, rank, 2)
        layer = nn.Sequential(kind(0.4))
        share_layers(layer, shared)
        rows = [place * of_item + row for place in shared.part.places for row in range(of_item)]
        torch.manual_seed(7)
        assert torch.equal(layer(images[rows].contiguous(memory_format=torch.channels_last)), whole[rows])
        assert torch.equal(layer.eval()(images), images)


_LOSSES: dict[str, LossOptions] = {
    "a mean of items": loss_of("bce+dice"),
    "one Dice for the batch": loss_of("bce+dice", dice={"over": "batch"}),
    "the hardest voxels of the batch": loss_of("topk", topk={"share": 0.2}),
}


@pytest.mark.parametrize("step", [0, 2], ids=["a whole batch", "the rest of an epoch"])
@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize("kind", _LOSSES)
def test_processes_take_the_step_of_one(tmp_path: Path, kind: str, size: int, accumulate: int, step: int) -> None:
    """Losses of the batch, statistics of normalisations, and the mean of the gradients, which DDP would take.

    Eighteen pictures in batches of 8: the last has 2, fewer than three processes.
    """
    loss = build_loss(_LOSSES[kind])
    options = _options(batch_size=8, accumulate=accumulate, ema=None, clip_norm=None)
    job = _job(tmp_path, options, _Toy(n=18), loss=loss, augment=_brighter, loss_is_mean=loss.is_mean)
    network = _network()  # before there are threads, which share PyTorch's generator
    one = _step(Team(), job, step, network)
    several = in_each(size, lambda team: _step(team, job, step, network))
    assert sum(each.loss for each in several) == pytest.approx(one.loss, rel=1e-5)
    for number, expected in enumerate(one.gradients):
        mean = torch.stack([each.gradients[number] for each in several]).mean(dim=0)
        torch.testing.assert_close(mean, expected, rtol=1e-4, atol=1e-6)
    for number, expected in enumerate(one.statistics):
        for each in several:
            torch.testing.assert_close(each.statistics[number], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", ["bce", "ce", "dice", "focal", "tversky", "weighted-bce", "topk"])
def test_a_loss_that_says_so_is_the_mean_of_its_items(kind: str) -> None:
    for over in ("item", "batch") if kind in ("dice", "tversky") else (None,):
        given = {kind: {"over": over}} if over else {}
        options = loss_of(kind, **given)
        loss = build_loss(options, [(1.0, 2.0)] if options.needs_class_weights else None)
        made = torch.Generator().manual_seed(0)
        logits = torch.randn(3, 2 if kind == "ce" else 1, 6, 6, generator=made)
        regions = (torch.rand(3, 1, 6, 6, generator=made) > torch.tensor([0.2, 0.5, 0.9]).view(3, 1, 1, 1)).float()
        items = torch.stack([loss(logits[[n]], regions[[n]]) for n in range(3)]).mean()
        assert loss.is_mean == torch.isclose(items, loss(logits, regions), rtol=1e-5).item(), over


# -- a connection that is lost -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("[../third_party/gloo/gloo/transport/tcp/pair.cc:534] Connection closed by peer [127.0.0.1]:4711"),
        RuntimeError("Application timeout caused pair closure"),
        RuntimeError("Timed out waiting 30000ms for recv operation to complete"),
        RuntimeError("Socket Timeout"),
        RuntimeError("Pair is not connected ([127.0.0.1]:4711)"),
        torch.distributed.DistNetworkError("The client socket has failed to connect to any address"),
        torch.distributed.DistBackendError("watchdog"),
    ],
    ids=str,
)
def test_an_error_of_the_connection_is_a_lost_process(error: RuntimeError) -> None:
    """In the words in which gloo, the store and NCCL say it; alone there is no process to be lost."""
    with pytest.raises(LostProcessError, match="has ended, or does not answer") as raised, Team(0, 2).watched():
        raise error
    assert str(error) in str(raised.value)
    with pytest.raises(type(error)), Team().watched():
        raise error


def test_an_error_of_the_network_is_none_of_the_connection() -> None:
    with pytest.raises(RuntimeError, match="shape"), Team(0, 2).watched():
        raise RuntimeError("The size of tensor a (3) must match: invalid shape")


# -- validation --------------------------------------------------------------------------------------------------------


@dataclass
class _Letters(CaseValidation[str]):
    seen: list[int] = field(default_factory=list)

    @property
    def n_cases(self) -> int:
        return 5

    def on_case(self, n_done: int, n_cases: int) -> None:
        self.seen.append(n_done)

    def look(self, model: nn.Module, number: int) -> str:
        assert not model.training
        return "abcde"[number]

    def conclude(self, looks: Sequence[str]) -> Validation:
        return Validation(1.0, 2.0, {"all": "".join(looks)})


def test_each_process_looks_at_some_cases_and_all_hear_of_all() -> None:
    validators = [_Letters() for _ in range(2)]
    said = in_each(2, lambda team: validated(validators[team.rank], nn.Linear(1, 1), team))
    assert [each.figures for each in said] == [{"all": "abcde"}, {"all": "abcde"}]
    assert [each.seen for each in validators] == [[1, 2, 3], [1, 2]]
    alone = _Letters()
    assert alone(nn.Linear(1, 1).eval()) == said[0]


def test_a_function_validates_in_the_first_process() -> None:
    def validate(model: nn.Module) -> Validation:
        called.append(threading.get_ident())
        return Validation(0.0, 1.0, {})

    called: list[int] = []
    said = in_each(2, lambda team: validated(validate, nn.Linear(1, 1), team))
    assert [each.score for each in said] == [1.0, 1.0]
    assert len(called) == 1

"""Batches as the steps of an epoch take them, made ready ahead of the step that needs them.

A batch is a function of (seed, epoch, step), so that nothing of what was made ready has to be remembered: a training
that is stopped drops it, and makes it again when it goes on. A thread reads the next batch from the cache while the
network is at work; on a CPU that has a processor to spare it augments it as well, on a GPU the GPU does.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from glioseg.training.job import Job
from glioseg.training.randomness import DrawKey, Rows
from glioseg.training.sampler import Indices, batch_of
from glioseg.training.share import BatchShare, own_places, parts_of
from glioseg.training.team import Team


@dataclass(frozen=True, eq=False)
class OwnBatch:
    """What one process has of a batch.

    Args:
        key: the place in the training.
        n: items of the whole batch.
        indices: of the items at hand.
        parts: in which they pass through the network.
        tensors: images, targets, and weights where there are some.
        is_augmented: whether that is done.
    """

    key: DrawKey
    n: int
    indices: Indices
    parts: tuple[BatchShare, ...]
    tensors: tuple[Tensor, Tensor, Tensor | None]
    is_augmented: bool = False


@dataclass(frozen=True)
class BatchMaker:
    """Makes the batches of an epoch.

    Args:
        job: items and augmentation.
        team: among whom a batch is shared.
        device: where it is used.
        augments: whether it is augmented here, before it is on the device.
    """

    job: Job
    team: Team
    device: torch.device
    augments: bool

    def batch(self, order: Indices, epoch: int, step: int) -> OwnBatch:
        """The items that this process takes in a step, in page-locked memory where a GPU waits for them."""
        options = self.job.options
        whole = batch_of(order, step, options.batch_size)
        parts = parts_of(len(whole), options.accumulate, self.team.rank, self.team.size)
        places = own_places(parts)
        rows = None if self.team.size == 1 else Rows(places, len(whole))
        key = DrawKey(options.seed, "augment", epoch, step, rows)
        indices = whole[list(places)]
        taken = self.job.items.take(indices, key.of("patches"))
        weights = None if taken.weights is None else self._host(taken.weights)
        made = OwnBatch(key, len(whole), indices, parts, (self._host(taken.images), self._host(taken.targets), weights))
        return self.augmented(made) if self.augments else made

    def augmented(self, batch: OwnBatch) -> OwnBatch:
        """The batch on the device and augmented; what is that already is given back."""
        if batch.is_augmented:
            return batch
        images, targets, weights = batch.tensors
        there = None if weights is None else self._there(weights)
        changed = self.job.augment(self._there(images).float(), self._there(targets), there, batch.key)
        return OwnBatch(batch.key, batch.n, batch.indices, batch.parts, changed, is_augmented=True)

    def _host(self, array: npt.NDArray[Any]) -> Tensor:
        tensor = torch.from_numpy(np.ascontiguousarray(array))
        return tensor.pin_memory() if self.device.type == "cuda" else tensor

    def _there(self, tensor: Tensor) -> Tensor:
        return tensor.to(self.device, non_blocking=True)


@contextmanager
def ahead(make: Callable[[int], OwnBatch], first: int, n: int) -> Iterator[Callable[[], OwnBatch]]:
    """Each call gives what ``make`` makes of the next number of ``first … n - 1``, made while the last one was used.

    One thread makes them, one after the other; what it raises is raised by the call that would have given it.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="batches") as pool:
        coming: Iterator[Future[OwnBatch]] = (pool.submit(make, number) for number in range(first, n))
        begun = deque(islice(coming, 1))

        def following() -> OwnBatch:
            batch = begun.popleft().result()
            begun.extend(islice(coming, 1))
            return batch

        yield following

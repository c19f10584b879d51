"""The processes that train together, and all that they tell each other.

Gradients travel by PyTorch's DistributedDataParallel; what is here is what else a training needs to agree on: stops,
losses, statistics of normalisations, scores. Numbers and objects for the host go over gloo, on a GPU too, so that no
process waits for its GPU to say them. Sums are made from what each process said, in the order of the processes: the
same bits in all of them, and in each repetition.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import torch
import torch.distributed as dist
from lightning_fabric import Fabric
from torch import Tensor

from glioseg.errors import GliosegError

T = TypeVar("T")

_LOST = re.compile(
    r"gloo|nccl|c10d|TCPStore|connection (closed|reset|refused)|closed the connection|pair closure|not connected"
    r"|broken pipe|timed? ?out",
    re.IGNORECASE,
)
"""What PyTorch says of a lost connection: mostly it names the library, but not always, nor by the type of error."""


class LostProcessError(GliosegError):
    """Another process of a training has ended, or does not answer."""


@dataclass(frozen=True)
class Team:
    """The processes of one training, seen from one of them.

    Args:
        rank: which of them this is, from 0.
        size: how many they are.
        patience_min: how long one waits for the others.
    """

    rank: int = 0
    size: int = 1
    patience_min: float = 10.0

    @classmethod
    def of(cls, fabric: Fabric, patience_min: float) -> Team:
        """Those that Fabric has launched."""
        return cls(fabric.global_rank, fabric.world_size, patience_min)

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes and speaks."""
        return self.rank == 0

    @property
    def name(self) -> str:
        """What this process is called in messages."""
        return f"process {self.rank + 1} of {self.size} ({socket.gethostname()}, {os.getpid()})"

    def sums(self, *values: float) -> tuple[float, ...]:
        """The sum of each number over the processes."""
        if self.size == 1:
            return values
        return tuple(self.stacked(torch.tensor(values, dtype=torch.float64)).sum(dim=0).tolist())

    def stacked(self, tensor: Tensor) -> Tensor:
        """(…) -> (size, …): that of every process, all of one shape, on the device where it is."""
        if self.size == 1:
            return tensor[None]
        whole = tensor.new_empty((self.size, *tensor.shape))
        dist.all_gather(list(whole.unbind()), tensor.contiguous())
        return whole

    def rows(self, tensor: Tensor, rows: Sequence[Sequence[int]]) -> Tensor:
        """The items of every process in their order in the batch; this process's own are ``tensor`` itself.

        Args:
            tensor: (B', …) items of this process; what it is made from gets its gradient, other processes' items none.
            rows: of each process, the places of its items in the batch.
        """
        most = max(map(len, rows))
        sent = tensor.detach().new_zeros((most, *tensor.shape[1:]))
        sent[: len(tensor)] = tensor.detach()
        theirs = self.stacked(sent.float() if sent.dtype == torch.bfloat16 else sent)
        several = [
            tensor if rank == self.rank else theirs[rank, : len(of_rank)].to(tensor.dtype)
            for rank, of_rank in enumerate(rows)
        ]
        places = torch.tensor([place for of_rank in rows for place in of_rank], device=tensor.device).argsort()
        return torch.cat(several).index_select(0, places)

    def gathered(self, value: T) -> list[T]:
        """What every process says; plain values, sent to processes of this training alone."""
        if self.size == 1:
            return [value]
        values: list[Any] = [None] * self.size
        dist.all_gather_object(values, value)
        return values

    def told(self, value: T | None) -> T:
        """What the first process says."""
        if self.size == 1:
            return cast(T, value)
        values = [value if self.is_first else None]
        dist.broadcast_object_list(values, src=0)
        return cast(T, values[0])

    def wait(self) -> None:
        """Go on once all are here."""
        self.sums(0.0)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Within it an error of the connection is said as what it means.

        Raises:
            LostProcessError: another process has ended, or did not answer in time.
        """
        try:
            yield
        except RuntimeError as error:
            is_of_connection = isinstance(error, dist.DistError) or _LOST.search(str(error))
            if self.size == 1 or not is_of_connection:
                raise
            raise self.lost(error) from error

    def lost(self, error: RuntimeError) -> LostProcessError:
        """What an error of the connection means."""
        first_line = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        return LostProcessError(
            f"another process of this training has ended, or does not answer: {self.name} stops",
            found=first_line.strip()[:200],
            expected=f"an answer within {self.patience_min:g} min (train.patience_minutes)",
            remedy="The last checkpoint is whole: the same command goes on from it, and `torchrun --max-restarts` does "
            "so by itself",
        )


ALONE = Team()
"""One process by itself."""

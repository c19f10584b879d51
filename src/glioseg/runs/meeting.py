"""How the processes that ``torchrun`` starts find each other, the first time and each time that it starts them again.

``torchrun`` keeps one store over all of its starts, and its count of them is not the same on all machines. What an
earlier start has written there, such as the addresses of processes that are dead by now, would be taken for what the
present one writes. So the first process chooses a name that no other start has, under which they then meet, and answers
each of the others with the word that only a living one can have said.
"""

from __future__ import annotations

import secrets
import time
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous

_PLACE = "glioseg/meeting"
_LOOK_EVERY_S = 0.05


def meet(backend: str, device: torch.device, patience_min: float) -> None:
    """Begin the process group of this start.

    Raises:
        RuntimeError: of PyTorch, or the others did not come.
    """
    patience = timedelta(minutes=patience_min)
    store, rank, size = next(rendezvous("env://", timeout=patience))
    limit = time.monotonic() + patience.total_seconds()
    name = _welcome(store, size, limit) if rank == 0 else _be_welcomed(store, rank, limit)
    dist.init_process_group(
        backend,
        store=PrefixStore(name, store),
        rank=rank,
        world_size=size,
        timeout=patience,
        device_id=device if device.type == "cuda" else None,
    )


def _welcome(store: Any, size: int, limit: float) -> str:  # noqa: ANN401 - any of torch's stores
    """The first process: answer whoever says something new, until all have come to the new place."""
    name, answered = secrets.token_hex(8), dict[int, str]()
    while not store.check([f"{name}/here/{rank}" for rank in range(1, size)]):
        for rank in range(1, size):
            if store.check([f"{_PLACE}/word/{rank}"]):
                word = store.get(f"{_PLACE}/word/{rank}").decode()
                if answered.get(rank) != word:
                    store.set(f"{_PLACE}/answer/{rank}", f"{word} {name}")
                    answered[rank] = word
        _wait(limit)
    return name


def _be_welcomed(store: Any, rank: int, limit: float) -> str:  # noqa: ANN401
    """The others: say a word, and go where the answer to it points."""
    own_word = secrets.token_hex(8)
    store.set(f"{_PLACE}/word/{rank}", own_word)
    while True:
        if store.check([f"{_PLACE}/answer/{rank}"]):
            word, name = store.get(f"{_PLACE}/answer/{rank}").decode().split()
            if word == own_word:
                store.set(f"{name}/here/{rank}", "")
                return str(name)
        _wait(limit)


def _wait(limit: float) -> None:
    if time.monotonic() > limit:
        raise RuntimeError("timed out: not all processes have come")
    time.sleep(_LOOK_EVERY_S)

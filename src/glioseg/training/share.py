"""How the items of a batch are shared among processes, so that a step means the same however many they are.

A batch is taken in parts (``train.accumulate``), and each part is dealt out like cards: process r of n takes items r,
r + n, … of it. A part that has fewer items than there are processes is taken whole by each of them, and the mean of
their gradients, all the same, is that of one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np


@dataclass(frozen=True)
class BatchShare:
    """A part of a batch, as one process has it.

    Args:
        n: items of the part,
        n_batch: and of the batch.
        rows: of each process, the places of its items in the part; one entry, of all places, where each has all.
        own: which entry is this process's.
        places: of this process's items in the batch.
    """

    n: int
    n_batch: int
    rows: tuple[tuple[int, ...], ...]
    own: int
    places: tuple[int, ...]

    @property
    def is_shared(self) -> bool:
        """Whether each process has some of the items only."""
        return len(self.rows) > 1

    @property
    def share(self) -> float:
        """Of the batch."""
        return self.n / self.n_batch


def parts_of(n_batch: int, n_parts: int, rank: int = 0, size: int = 1) -> tuple[BatchShare, ...]:
    """The parts of a batch of ``n_batch`` items, for process ``rank`` of ``size``."""
    edges = np.linspace(0, n_batch, min(n_parts, n_batch) + 1).round().astype(int).tolist()
    parts = []
    for low, high in pairwise(edges):
        n = high - low
        deals = size if n >= size else 1
        rows = tuple(tuple(range(first, n, deals)) for first in range(deals))
        own_row = rank if deals > 1 else 0
        parts.append(BatchShare(n, n_batch, rows, own_row, tuple(low + row for row in rows[own_row])))
    return tuple(parts)


def own_places(parts: Sequence[BatchShare]) -> tuple[int, ...]:
    """The places in the batch of all items that a process has, part by part."""
    return tuple(place for part in parts for place in part.places)

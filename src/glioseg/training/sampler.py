"""Which items (slices, patches) each step of an epoch takes: a function of seed and epoch, nothing remembered."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.int64]


def epoch_order(has_tumour: npt.NDArray[np.bool_], tumour_share: float | None, rng: np.random.Generator) -> Indices:
    """The items of one epoch in the order in which they are taken.

    Args:
        has_tumour: (N,) whether an item holds tumour.
        tumour_share: None: every item once. Else N items of which this share holds tumour, each kind gone through in
            random order, again and again where the share asks for more than there are.
        rng: the epoch's own generator.

    Returns:
        (N,) indices into the items. Where one kind is missing the other fills its place.
    """
    n = len(has_tumour)
    if tumour_share is None:
        return rng.permutation(n)
    with_tumour, tumour_free = np.flatnonzero(has_tumour), np.flatnonzero(~has_tumour)
    n_tumour = round(tumour_share * n) if len(tumour_free) else n
    n_tumour = n_tumour if len(with_tumour) else 0
    parts = [_cycled(with_tumour, n_tumour, rng), _cycled(tumour_free, n - n_tumour, rng)]
    return rng.permutation(np.concatenate(parts))


def batch_of(order: Indices, step: int, batch_size: int) -> Indices:
    """The items that ``step`` of an epoch takes; the last batch holds what is left."""
    return order[step * batch_size : (step + 1) * batch_size]


def n_steps_of(n_items: int, batch_size: int) -> int:
    """Steps in an epoch of ``n_items``."""
    return -(-n_items // batch_size)


def _cycled(items: Indices, n: int, rng: np.random.Generator) -> Indices:
    if n == 0:
        return items[:0]
    rounds = [rng.permutation(items) for _ in range(-(-n // len(items)))]
    return np.concatenate(rounds)[:n]

"""How far networks are that look at a case several times: each for itself, and once more for every sample."""

from __future__ import annotations

from collections.abc import Callable


class Looks:
    """Told of the slices or windows of one look after the other; tells which share of all looks is done.

    Args:
        n: looks that there will be.
        told: of the share, 0 to 1, which never falls: 0 at once, before the first slice.
    """

    def __init__(self, n: int, told: Callable[[float], None]) -> None:
        self._n = n
        self._n_ended = 0
        self._told = told
        told(0.0)

    def __call__(self, done: int, of: int) -> None:
        """Of one look, so many of its slices or windows are done; a stack that shows nothing has none."""
        within = done / of if done < of else 0.0
        self._n_ended += done >= of
        self._told(min(1.0, (self._n_ended + within) / self._n))

"""An array on disk, slice axis first, whose slices are compared with their checksums when they are first read."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from glioseg.errors import CacheError
from glioseg.preparation.records import ArrayRecord


class SliceArray:
    """(Z, ...) mapped read-only. What is indexed is checked first, each slice once for each ``checked``.

    Args:
        path: a .npy file.
        record: what it must hold.
        checked: (Z,) which slices were found to be right; shared by all arrays of the file in this process.
        mend: writes the file anew; None where there is nobody who could.
    """

    def __init__(
        self,
        path: Path,
        record: ArrayRecord,
        checked: npt.NDArray[np.bool_],
        mend: Callable[[], object] | None = None,
    ) -> None:
        self._path = path
        self._record = record
        self._checked = checked
        self._mend = mend
        self._mapped: npt.NDArray[Any] | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """(Z, ...)."""
        return self._record.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of its values."""
        return np.dtype(self._record.dtype)

    def __len__(self) -> int:
        return self._record.shape[0]

    def __getitem__(self, key: Any) -> npt.NDArray[Any]:  # noqa: ANN401 - whatever numpy takes
        """As numpy does it.

        Raises:
            CacheError: a slice is damaged, and the file cannot be made anew.
        """
        part: npt.NDArray[Any] = self._sound(key[0] if isinstance(key, tuple) else key)[key]
        return part

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> npt.NDArray[Any]:
        """All of it, mapped; errors as indexing."""
        return np.array(self._sound(slice(None)), dtype=dtype, copy=copy)

    def _sound(self, slices: Any) -> npt.NDArray[Any]:  # noqa: ANN401 - whatever numpy takes
        """The mapped array, once it is certain that these slices are as they were written."""
        places = np.atleast_1d(np.arange(len(self))[slices])
        unseen = places[~self._checked[places]]
        fault = self._fault(unseen)
        if fault is not None and self._mend is not None:
            self._mend()
            self._mapped = None
            fault = self._fault(unseen)
        if fault is not None or self._mapped is None:
            raise CacheError(
                "a file of the prepared cache is gone or damaged",
                path=self._path,
                found=fault,
                remedy="Start again: damaged cases are prepared anew",
            )
        self._checked[unseen] = True
        return self._mapped

    def _fault(self, places: npt.NDArray[np.integer[Any]]) -> str | None:
        """Map the file, if it is not yet, and compare slices with their checksums; what is wrong."""
        try:
            if self._mapped is None:
                self._mapped = np.load(self._path, mmap_mode="r")
        except (OSError, ValueError) as error:
            return f"{type(error).__name__}: {error}"
        if self._mapped.shape != self.shape or self._mapped.dtype != self.dtype:
            return "another array"
        sums = self._record.checksums
        damaged = [int(z) for z in places if checksum(self._mapped[z]) != sums[z]]
        return f"another content in slice {damaged[0] + 1} of {len(self)}" if damaged else None


def checksum(values: npt.NDArray[Any]) -> int:
    """CRC-32 of an array's bytes."""
    return int(zlib.crc32(np.ascontiguousarray(values).data))

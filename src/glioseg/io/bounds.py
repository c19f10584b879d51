"""What a file may ask for before anything of it is believed: memory for what it declares, and time to read it.

A header of a hundred bytes can declare terabytes, and a few megabytes of deflate can unpack to gigabytes. So what is
declared is compared with the file and with a limit first, and a stream is read up to there and no further.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from glioseg.core import MAX_VOXELS
from glioseg.errors import FileError, GliosegError
from glioseg.io.files import cannot_read
from glioseg.io.text import file_size

DEFLATE = 1032
"""The most bytes that one byte of deflate (gzip, zlib, PNG) can become."""

_CHUNK = 1 << 20

_EXCESS = 1 << 24


class Stream(Protocol):
    """A file, or what unpacks one."""

    def read(self, size: int = ..., /) -> bytes:
        """The next bytes."""
        ...

    def readinto(self, buffer: Any, /) -> int | None:  # noqa: ANN401 - whatever has a buffer
        """Fill a buffer with the next bytes; how many there were."""
        ...


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Whatever a library meets while it reads ``path`` is the file's fault, and said so.

    What libraries raise for damage is no closed list; so nothing is let through but our own errors.

    Raises:
        FileError: not a regular file, or any error but a ``GliosegError`` inside the block.
    """
    file_size(path)
    try:
        yield
    except GliosegError:
        raise
    except Exception as error:
        raise cannot_read(path, error) from error


def require_room(
    path: Path | str, shape: Sequence[int], limit: int = MAX_VOXELS, *, n_bytes: int = 0, most_bytes: int | None = None
) -> None:
    """Refuse a file that declares more than is read, or more than can be in it.

    Args:
        path: the file, or what messages call it.
        shape: what its header declares, channels included.
        limit: the most voxels that are read.
        n_bytes: that the voxels take,
        most_bytes: and that the file can hold, unpacked; None where that is not known.

    Raises:
        FileError: either.
    """
    declared = "x".join(map(str, shape))
    if math.prod(shape) > limit:
        raise FileError(
            "the file declares more voxels than are read",
            path=path,
            found=declared,
            expected=f"at most {limit:,} voxels",
            remedy="If it is damaged, download or copy it again; if it is that large, say so with `--max-voxels`",
        )
    if most_bytes is not None and n_bytes > most_bytes:
        raise FileError(
            "the file is damaged or cut off",
            path=path,
            found=f"{file_size(Path(path)):,} bytes",
            expected=f"those of {declared} voxels, as its header declares",
            remedy="Download or copy it again",
        )


def filled_from(stream: Stream, shape: Sequence[int], dtype: npt.DTypeLike) -> npt.NDArray[np.generic]:
    """An array of that shape, first axis first in memory, from the next bytes of a stream.

    Raises:
        EOFError: the stream ends before.
    """
    array = np.empty(shape[::-1], dtype=dtype)
    room = memoryview(array.reshape(-1).view(np.uint8))  # type: ignore[arg-type]
    done = 0
    while done < len(room):
        n = stream.readinto(room[done:])
        if not n:
            raise EOFError(f"{done:,} of {len(room):,} bytes of voxels are there")
        done += n
    return array.T


def require_end(stream: Stream, n_bytes: int) -> None:
    """Read a stream to its end, where its check sum stands; what lies behind the voxels may be no more than they are.

    Raises:
        ValueError: it is more than ``n_bytes`` and 16 MiB.
    """
    excess = 0
    while part := stream.read(_CHUNK):
        excess += len(part)
        if excess > n_bytes + _EXCESS:
            raise ValueError("far more lies behind the voxels than the header declares")

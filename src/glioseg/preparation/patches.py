"""Patches of volumes for 3-D networks: where they lie, and reading them, and no more than them, from the cache.

Positions are drawn anew in each epoch. A share of the patches is centred on a voxel of a region, as in nnU-Net [1]; the
region is drawn first, each one that the case shows as likely, so that small ones are seen as often as large ones; then
a slice by the number of its voxels in the region, then one of these. What is read for it is one slice of one region:
no list of voxels is kept, of a case or of a cohort.

References:
    [1] Isensee F et al. nnU-Net: a self-configuring method for deep learning-based biomedical image segmentation.
        Nature Methods 18, 2021.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from glioseg.errors import CacheError, GeometryError, OptionError
from glioseg.frozen import Frozen
from glioseg.preparation.store import PreparedCase

Voxels = tuple[int, int, int]
"""Slices, rows and columns (D, H, W)."""

SMALLEST = 8
"""Voxels along an axis of the smallest patch."""


class PatchOptions(Frozen):
    """What a 3-D network sees of a volume at a time.

    Attributes:
        size: slices, rows and columns of a patch, in voxels of the working grid; ``auto`` lets the run choose it when
            it begins, from the volumes and the memory that is there (``planning``). Where a volume is smaller than
            the patch it stands in the middle of zeros, which are the background of prepared images.
        foreground: share of the patches of an epoch that are centred on a voxel of a region.
        per_case: patches of each case in an epoch.
        overlap: share of a window's length that it has in common with the next one, when volumes are predicted.
        validation_overlap: the same when they are validated during the training, where time counts more.
    """

    size: Voxels | Literal["auto"] = "auto"
    foreground: float = Field(0.5, ge=0, le=1)
    per_case: int = Field(4, ge=1)
    overlap: float = Field(0.5, ge=0, le=0.9)
    validation_overlap: float = Field(0.25, ge=0, le=0.9)

    @model_validator(mode="after")
    def _large_enough(self) -> Self:
        if self.size != "auto" and min(self.size) < SMALLEST:
            raise ValueError(f"a patch has at least {SMALLEST} voxels along each axis")
        return self

    @property
    def voxels(self) -> Voxels:
        """The size, decided.

        Raises:
            OptionError: it is still ``auto``.
        """
        if self.size == "auto":
            raise OptionError(
                "the size of the patches is not decided yet",
                found='patches.size = "auto"',
                remedy="`glioseg train` decides it when a run begins; elsewhere give three numbers",
            )
        return self.size


def require_depth(n_slices: int, size: Voxels, case: str | None = None) -> None:
    """See that a volume is one: a patch that would be more than three quarters zeros across the slices is refused.

    Raises:
        GeometryError: the volume has fewer slices than a quarter of the patch's.
    """
    if 4 * n_slices >= size[0]:
        return
    single = n_slices == 1
    raise GeometryError(
        f"{'the input' if case is None else f'case {case}'} is too thin for a 3-D network",
        found="a single slice" if single else f"{n_slices} slices",
        expected=f"a volume of {-(-size[0] // 4)} slices or more, a quarter of the patch's {size[0]}",
        remedy="Use a network of slices: model.dims = 2, without [patches]"
        if single
        else "Use thinner patches (patches.size), or a network of slices: model.dims = 2, without [patches]",
    )


def shows_regions(case: PreparedCase) -> bool:
    """Whether the reference has a voxel in any region."""
    return case.region_voxels is not None and bool(case.region_voxels.any())


def draw_start(case: PreparedCase, size: Voxels, rng: np.random.Generator, *, foreground: bool) -> Voxels:
    """Where a patch begins: (z, y, x) of its first voxel, negative where the volume is padded.

    Args:
        case: the volume.
        size: of the patch.
        rng: decides.
        foreground: centre it on a voxel of a region, as far as the volume's border allows; of no effect where the
            case shows none. Else every position within the volume is as likely.
    """
    columns, rows, n_slices = case.working.shape
    lengths = (n_slices, rows, columns)
    if foreground and shows_regions(case):
        starts = [place - length // 2 for place, length in zip(draw_voxel(case, rng), size, strict=True)]
    else:
        starts = [int(rng.integers(max(n - length, 0) + 1)) for n, length in zip(lengths, size, strict=True)]
    z, y, x = (
        min(max(start, 0), n - length) if n >= length else -((length - n) // 2)
        for start, n, length in zip(starts, lengths, size, strict=True)
    )
    return z, y, x


def draw_voxel(case: PreparedCase, rng: np.random.Generator) -> Voxels:
    """(z, y, x) of a voxel of a region: regions that are there are as likely, and so are the voxels of one.

    Raises:
        CacheError: the reference shows no region, or there is none.
    """
    regions, counts = case.regions, case.region_voxels
    if regions is None or counts is None or not counts.any():
        raise CacheError(f"case {case.id} shows no region", remedy="Draw a voxel of cases that show one")
    row = int(rng.choice(np.flatnonzero(counts.any(axis=0))))
    # the n-th voxel of the region, counted slice by slice
    before = np.cumsum(counts[:, row])
    number = int(rng.integers(before[-1]))
    z = int(np.searchsorted(before, number, side="right"))
    inside = np.flatnonzero(regions[z, row])
    y, x = divmod(int(inside[number - (before[z] - counts[z, row])]), regions.shape[3])
    return z, y, x


def take_patch(
    case: PreparedCase, start: Voxels, size: Voxels, channels: Sequence[int], *, as_kept: bool = False
) -> tuple[npt.NDArray[Any], npt.NDArray[np.uint8]]:
    """Images (C, D, H, W) and regions (R, D, H, W) of a patch, zeros beyond the volume.

    Images are float32 or, ``as_kept``, float16 as the cache has them, half as large to send to a GPU.

    Raises:
        CacheError: the case has no reference.
    """
    images, regions = case.images, case.regions
    if regions is None:
        raise CacheError(f"case {case.id} has no reference", remedy="Leave it out of training and evaluation")
    source, target = _overlap(start, size, (images.shape[0], *images.shape[2:]))
    patch = np.zeros((len(channels), *size), dtype=np.float16 if as_kept else np.float32)
    for row, channel in enumerate(channels):
        patch[row][target] = images[source[0], channel, source[1], source[2]]
    inside = np.zeros((regions.shape[1], *size), dtype=np.uint8)
    for row in range(regions.shape[1]):
        inside[row][target] = regions[source[0], row, source[1], source[2]]
    return patch, inside


def _overlap(start: Voxels, size: Voxels, lengths: Sequence[int]) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """The part of the patch that lies in the volume: where to cut it from, and where it stands in the patch."""
    source, target = [], []
    for first, length, n in zip(start, size, lengths, strict=True):
        low, high = max(first, 0), min(first + length, n)
        source.append(slice(low, high))
        target.append(slice(low - first, high - first))
    return tuple(source), tuple(target)

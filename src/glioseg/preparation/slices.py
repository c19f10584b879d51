"""Which slices a network sees, and batches of them: views of the prepared arrays, made at load time.

Nothing here is part of the cache's key: another choice of slices, modalities or neighbours costs nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from glioseg.cohorts.dark import is_dark
from glioseg.errors import CacheError, OptionError, name_some
from glioseg.frozen import Frozen
from glioseg.preparation.store import PreparedCase, PreparedCohort

Indices = npt.NDArray[np.int64]


class SliceOptions(Frozen):
    """Which slices a 2-D network sees, and how much around each.

    Attributes:
        choice: ``all``, or ``tumour`` for slices with some tumour only (which a reference must show: for training and
            for scoring as some publications do; prediction never knows).
        dark_below: leave out slices whose share of non-black values, over all modalities, is below this
            (``cohorts.dark``); None leaves out none but slices that are black all over, which show nothing.
        n_neighbours: slices on each side that become channels too (2.5-D); outside the stack its outer slice goes on.
    """

    choice: Literal["all", "tumour"] = "all"
    dark_below: float | None = Field(None, ge=0, le=1)
    n_neighbours: int = Field(0, ge=0, le=16)

    @property
    def n_shown(self) -> int:
        """Slices that the network sees of one: itself and its neighbours."""
        return 2 * self.n_neighbours + 1

    def n_channels(self, n_modalities: int) -> int:
        """Channels of the network: each modality once for every slice shown."""
        return n_modalities * self.n_shown

    def keeps(self, non_black: npt.NDArray[np.floating]) -> npt.NDArray[np.bool_]:
        """(Z,) which slices are shown to the network, by their shares of non-black pixels."""
        return ~is_dark(non_black, self.dark_below or 0.0)


@dataclass(frozen=True, eq=False)
class SliceIndex:
    """The slices that a network sees, in the order of the cases.

    Args:
        cases: (N,) position in ``PreparedCohort.cases``.
        slices: (N,) Z index on that case's working grid.
        has_tumour: (N,) whether the reference shows tumour there; False without reference.
    """

    cases: Indices
    slices: Indices
    has_tumour: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.cases)


def index_slices(prepared: PreparedCohort, options: SliceOptions) -> SliceIndex:
    """The slices of all cases that ``options`` choose.

    Raises:
        CacheError: none is left, or tumour slices are asked of cases without reference.
    """
    cases, slices, tumours = [], [], []
    for position, case in enumerate(prepared.cases):
        tumour = tumour_slices(case)
        is_kept = options.keeps(case.non_black)
        if options.choice == "tumour":
            if case.region_voxels is None:
                raise CacheError(
                    f"case {case.id} has no reference, so that its tumour slices are not known",
                    remedy='Leave the case out, or take all slices: slices.choice = "all"',
                )
            is_kept &= tumour
        indices = np.flatnonzero(is_kept).astype(np.int64)
        cases.append(np.full(len(indices), position, dtype=np.int64))
        slices.append(indices)
        tumours.append(tumour[indices])
    if not sum(map(len, slices)):
        names = name_some(case.id for case in prepared.cases)
        raise CacheError(
            "no slice is left",
            path=prepared.folder,
            found=f"slices chosen by {options!r} of {names}",
            remedy="Try `--set slices.choice=all --set slices.dark_below=none`",
        )
    return SliceIndex(np.concatenate(cases), np.concatenate(slices), np.concatenate(tumours))


def tumour_slices(case: PreparedCase) -> npt.NDArray[np.bool_]:
    """(Z,) whether any region has voxels there, the resection cavity (RC) not counted; all False without reference."""
    if case.region_voxels is None:
        return np.zeros(case.n_slices, dtype=bool)
    counted = [row for row, name in enumerate(case.region_names) if name != "RC" or case.region_names == ("RC",)]
    return np.asarray(case.region_voxels[:, counted].any(axis=1))


def channels_of(prepared: PreparedCohort, modalities: Sequence[str] | None) -> tuple[int, ...]:
    """The channels of ``images`` that hold the named modalities, in that order; all of them for None.

    Raises:
        OptionError: the cohort has no modality of that name.
    """
    names = prepared.modalities if modalities is None else tuple(modalities)
    unknown = [name for name in names if name not in prepared.modalities]
    if unknown:
        raise OptionError(
            f"the cohort has no modality {', '.join(unknown)}",
            found=", ".join(prepared.modalities),
            expected=", ".join(names),
            remedy="Use data that has them, or a network of those that it has (data.modalities)",
        )
    return tuple(prepared.modalities.index(name) for name in names)


def largest_slice(prepared: PreparedCohort) -> tuple[int, int]:
    """(rows, columns) that hold the slices of every case."""
    return max(case.working.shape[1] for case in prepared.cases), max(case.working.shape[0] for case in prepared.cases)


def anything_shown(images: npt.NDArray[np.float16]) -> npt.NDArray[np.bool_]:
    """(Z, C, Y, X) -> (Z, Y, X): where any channel is not 0."""
    # bit by bit: NumPy takes six times as long to compare numbers of 16 bits. The bit of the sign is that of -0.0
    bits: npt.NDArray[np.uint16] = np.bitwise_or.reduce(images.view(np.uint16), axis=1)
    return np.asarray(bits & 0x7FFF != 0)


def with_margins(images: npt.NDArray[Any], shape: Sequence[int]) -> npt.NDArray[Any]:
    """(…, Y, X) in the middle of zeros, as ``take_images`` sets smaller slices; what is as large stays as it is."""
    have = images.shape[-2:]
    want = [max(n, m) for n, m in zip(have, shape, strict=True)]
    if list(have) == want:
        return images
    padded = np.zeros((*images.shape[:-2], *want), dtype=images.dtype)
    rows, columns = _centred(have, want)[1]
    padded[..., rows, columns] = images
    return padded


def without_margins(array: npt.NDArray[Any], shape: Sequence[int]) -> npt.NDArray[Any]:
    """(…, Y', X') -> (…, *shape): what ``with_margins`` put around is taken away."""
    rows, columns = _centred(array.shape[-2:], shape)[0]
    return array[..., rows, columns]


def with_neighbours(images: npt.NDArray[Any], indices: Indices, n_neighbours: int) -> npt.NDArray[np.float32]:
    """Slices with those around them as channels.

    Args:
        images: (Z, C, Y, X), mapped or not.
        indices: (B,) slices.
        n_neighbours: n slices on each side.

    Returns:
        (B, (2n + 1) · C, Y, X) float32: all channels of slice z - n first, those of z + n last.
    """
    n_channels, steps = images.shape[1], 2 * n_neighbours + 1
    batch = np.empty((len(indices), steps, *images.shape[1:]), dtype=np.float32)
    for item, z in enumerate(indices):
        for step in range(steps):
            slice_index = min(max(int(z) + step - n_neighbours, 0), len(images) - 1)
            _copy(images[slice_index], range(n_channels), batch[item, step])
    return batch.reshape(len(indices), steps * n_channels, *images.shape[2:])


def take_images(
    prepared: PreparedCohort,
    index: SliceIndex,
    items: Indices,
    *,
    n_neighbours: int = 0,
    channels: Sequence[int] | None = None,
    shape: tuple[int, int] | None = None,
    as_kept: bool = False,
) -> npt.NDArray[Any]:
    """A batch of slices, copied once, from the map into the batch.

    Args:
        prepared: where they are.
        index: the slices to choose from.
        items: (B,) positions in ``index``.
        n_neighbours: as ``with_neighbours``.
        channels: C' channels of the images, in that order; None for all.
        shape: rows and columns; smaller slices are set in the middle of zeros, larger ones are cut on all sides. None
            for slices that are of one size.
        as_kept: leave them in the number format of the cache, half as large to send to a GPU.

    Returns:
        (B, (2n + 1) · C', Y, X) float32; ``as_kept``, float16.

    Raises:
        OptionError: slices of different size and no ``shape``.
    """
    selected = tuple(range(len(prepared.modalities))) if channels is None else tuple(channels)
    steps = 2 * n_neighbours + 1
    rows, columns = shape or _common_shape(prepared, index, items)
    dtype = np.float16 if as_kept else np.float32
    batch = np.zeros((len(items), steps, len(selected), rows, columns), dtype=dtype)
    for item, (position, z) in enumerate(zip(index.cases[items], index.slices[items], strict=True)):
        images = prepared.cases[position].images
        source, target = _centred(images.shape[2:], (rows, columns))
        for step in range(steps):
            slice_index = min(max(int(z) + step - n_neighbours, 0), len(images) - 1)
            _copy(images[slice_index][:, *source], selected, batch[item, step][:, *target])
    return batch.reshape(len(items), steps * len(selected), rows, columns)


def take_regions(
    prepared: PreparedCohort, index: SliceIndex, items: Indices, *, shape: tuple[int, int] | None = None
) -> npt.NDArray[np.uint8]:
    """The regions of a batch of slices, (B, R, Y, X) uint8 0/1; arguments and errors as ``take_images``.

    Raises:
        CacheError: a case has no reference.
    """
    rows, columns = shape or _common_shape(prepared, index, items)
    batch = np.zeros((len(items), len(prepared.region_names), rows, columns), dtype=np.uint8)
    for item, (position, z) in enumerate(zip(index.cases[items], index.slices[items], strict=True)):
        case = prepared.cases[position]
        regions = case.regions
        if regions is None:
            raise CacheError(f"case {case.id} has no reference", remedy="Leave it out of training and evaluation")
        source, target = _centred(regions.shape[2:], (rows, columns))
        batch[item][:, *target] = regions[z][:, *source]
    return batch


def _copy(image: npt.NDArray[Any], channels: Sequence[int], target: npt.NDArray[Any]) -> None:
    """(C, Y, X) -> (C', Y, X), channel by channel: no array in between."""
    for row, channel in enumerate(channels):
        target[row] = image[channel]


def _centred(lengths: Sequence[int], target_lengths: Sequence[int]) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Where to cut from the source and where to put it in the target, so that their middles meet."""
    source, target = [], []
    for n, m in zip(lengths, target_lengths, strict=True):
        size = min(n, m)
        source.append(slice((n - size) // 2, (n - size) // 2 + size))
        target.append(slice((m - size) // 2, (m - size) // 2 + size))
    return tuple(source), tuple(target)


def _common_shape(prepared: PreparedCohort, index: SliceIndex, items: Indices) -> tuple[int, int]:
    shapes = {prepared.cases[position].working.shape[:2] for position in set(index.cases[items].tolist())}
    if len(shapes) != 1:
        raise OptionError(
            "the slices of the cases differ in size",
            found=", ".join(f"{rows}x{columns}" for columns, rows in sorted(shapes)),
            remedy="Set prepare.size, or say the size of a batch's slices",
        )
    columns, rows = shapes.pop()
    return rows, columns

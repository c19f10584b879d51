"""Pictures, or slices of scans, with their classes, taken from the prepared cache batch by batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from torch import Tensor

from glioseg.preparation.classes import slice_classes
from glioseg.preparation.slices import SliceIndex, SliceOptions, channels_of, index_slices, largest_slice, take_images
from glioseg.preparation.store import PreparedCohort
from glioseg.training.augment import AugmentOptions, ChannelLayout, augment
from glioseg.training.job import Batch
from glioseg.training.randomness import DrawKey


@dataclass(frozen=True, eq=False)
class ClassItems:
    """Pictures, or slices of scans, with their classes.

    Args:
        prepared: the training part.
        index: its slices; ``has_tumour`` says which are of another class than the first.
        classes: (N,) class of each.
        n_classes: K.
        n_neighbours: slices shown on each side.
        channels: of the prepared images.
        shape: rows and columns of every item.
        as_kept: images are taken in the number format of the cache, which a GPU turns into its own.
    """

    prepared: PreparedCohort
    index: SliceIndex
    classes: npt.NDArray[np.int64]
    n_classes: int
    n_neighbours: int
    channels: tuple[int, ...]
    shape: tuple[int, int]
    as_kept: bool = False

    @property
    def is_positive(self) -> npt.NDArray[np.bool_]:
        """(N,) whether each item is of another class than the first, which is the one without tumour."""
        return self.index.has_tumour

    def take(self, indices: npt.NDArray[np.int64], key: DrawKey) -> Batch:
        """The pictures of a batch, the same in every epoch; their classes are (B, K) 0/1."""
        images = take_images(
            self.prepared,
            self.index,
            indices,
            n_neighbours=self.n_neighbours,
            channels=self.channels,
            shape=self.shape,
            as_kept=self.as_kept,
        )
        return Batch(images, np.eye(self.n_classes, dtype=np.uint8)[self.classes[indices]])

    def name(self, index: int) -> str:
        """The case, and which of its slices where it has several (counted from 1)."""
        case = self.prepared.cases[int(self.index.cases[index])]
        return case.id if case.n_slices == 1 else f"{case.id} slice {int(self.index.slices[index]) + 1}"


def class_items(
    prepared: PreparedCohort,
    options: SliceOptions,
    modalities: Sequence[str],
    classes: Sequence[str],
    *,
    as_kept: bool = False,
) -> ClassItems:
    """The pictures or slices of a part that ``options`` choose; errors as ``index_slices`` and ``slice_classes``."""
    index = index_slices(prepared, options)
    of_case = [slice_classes(case, classes) for case in prepared.cases]
    labels = np.array([of_case[case][z] for case, z in zip(index.cases, index.slices, strict=True)], dtype=np.int64)
    return ClassItems(
        prepared=prepared,
        index=replace(index, has_tumour=labels > 0),
        classes=labels,
        n_classes=len(classes),
        n_neighbours=options.n_neighbours,
        channels=channels_of(prepared, modalities),
        shape=largest_slice(prepared),
        as_kept=as_kept,
    )


def augment_pictures(
    images: Tensor,
    classes: Tensor,
    weights: Tensor | None,
    key: DrawKey,
    *,
    options: AugmentOptions,
    channels: ChannelLayout,
) -> tuple[Tensor, Tensor, Tensor | None]:
    """``augment`` for pictures whose class has no place in them and stays what it is."""
    no_regions = images.new_zeros((len(images), 0, *images.shape[2:]))
    changed, _, _ = augment(images, no_regions, None, key, options=options, channels=channels)
    return changed, classes, weights

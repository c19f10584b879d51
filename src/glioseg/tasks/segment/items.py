"""The slices or patches of the training part, taken from the prepared cache batch by batch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from glioseg.config import Recipe
from glioseg.core import PartName
from glioseg.preparation.border_cache import BorderMaps, border_maps
from glioseg.preparation.patches import PatchOptions, draw_start, require_depth, shows_regions, take_patch
from glioseg.preparation.slices import (
    SliceIndex,
    SliceOptions,
    channels_of,
    index_slices,
    largest_slice,
    take_images,
    take_regions,
)
from glioseg.preparation.store import PreparedCohort
from glioseg.tasks.data import TrainingData
from glioseg.training.job import Batch
from glioseg.training.losses import ClassWeights, balanced_class_weights
from glioseg.training.randomness import DrawKey, generator


@dataclass(frozen=True, eq=False)
class SliceItems:
    """Slices with their regions; smaller ones stand in the middle of zeros (see ``take_images``).

    Args:
        prepared: the training part.
        index: its slices.
        n_neighbours: slices shown on each side.
        channels: of the prepared images.
        shape: rows and columns of every item.
        borders: border terms, for losses with a weight map.
        as_kept: images are taken in the number format of the cache, which a GPU turns into its own.
    """

    prepared: PreparedCohort
    index: SliceIndex
    n_neighbours: int
    channels: tuple[int, ...]
    shape: tuple[int, int]
    borders: BorderMaps | None = None
    as_kept: bool = False

    @property
    def is_positive(self) -> npt.NDArray[np.bool_]:
        """(N,) whether each slice shows tumour."""
        return self.index.has_tumour

    def take(self, indices: npt.NDArray[np.int64], key: DrawKey) -> Batch:
        """The slices of a batch; the same in every epoch."""
        images = take_images(
            self.prepared,
            self.index,
            indices,
            n_neighbours=self.n_neighbours,
            channels=self.channels,
            shape=self.shape,
            as_kept=self.as_kept,
        )
        regions = take_regions(self.prepared, self.index, indices, shape=self.shape)
        return Batch(images, regions, self._borders(indices, regions.shape))

    def name(self, index: int) -> str:
        """``case slice 12`` (counted from 1)."""
        return f"{self.prepared.cases[int(self.index.cases[index])].id} slice {int(self.index.slices[index]) + 1}"

    def _borders(self, indices: npt.NDArray[np.int64], shape: tuple[int, ...]) -> npt.NDArray[np.float32] | None:
        if self.borders is None:
            return None
        maps = np.zeros(shape, dtype=np.float32)
        for item, index in enumerate(indices):
            case = self.prepared.cases[int(self.index.cases[index])]
            border = self.borders.at(case.id, int(self.index.slices[index]))
            if border is not None:
                rows, columns = (
                    slice((n - m) // 2, (n - m) // 2 + m) for n, m in zip(shape[2:], border.shape[1:], strict=True)
                )
                maps[item][:, rows, columns] = border
        return maps


def slice_items(
    prepared: PreparedCohort,
    options: SliceOptions,
    modalities: tuple[str, ...] | None = None,
    borders: BorderMaps | None = None,
    *,
    as_kept: bool = False,
) -> SliceItems:
    """The slices of a part that ``options`` choose; errors as ``index_slices`` and ``channels_of``."""
    return SliceItems(
        prepared=prepared,
        index=index_slices(prepared, options),
        n_neighbours=options.n_neighbours,
        channels=channels_of(prepared, modalities),
        shape=largest_slice(prepared),
        borders=borders,
        as_kept=as_kept,
    )


@dataclass(frozen=True, eq=False)
class PatchItems:
    """Patches, ``per_case`` of each case, that lie elsewhere in each epoch (see ``prepare.patches``).

    Args:
        prepared: the training part.
        options: size of the patches, how many, and where.
        channels: of the prepared images.
        as_kept: as of ``SliceItems``.
    """

    prepared: PreparedCohort
    options: PatchOptions
    channels: tuple[int, ...]
    as_kept: bool = False

    def __len__(self) -> int:
        return len(self.prepared.cases) * self.options.per_case

    @property
    def is_positive(self) -> npt.NDArray[np.bool_]:
        """(N,) whether the case of each patch shows any region."""
        return np.repeat([shows_regions(case) for case in self.prepared.cases], self.options.per_case)

    def take(self, indices: npt.NDArray[np.int64], key: DrawKey) -> Batch:
        """The patches of a batch, a function of seed, epoch and index: steps and processes change nothing."""
        epoch = DrawKey(key.seed, "patches", key.epoch)
        centred = self._centred(epoch)
        images, regions = [], []
        for index in map(int, indices):
            case = self.prepared.cases[index // self.options.per_case]
            size, rng = self.options.voxels, generator(epoch, 1, index)
            start = draw_start(case, size, rng, foreground=bool(centred[index]))
            image, inside = take_patch(case, start, size, self.channels, as_kept=self.as_kept)
            images.append(image)
            regions.append(inside)
        return Batch(np.stack(images), np.stack(regions))

    def name(self, index: int) -> str:
        """``case patch 2`` (of the epoch, counted from 1)."""
        case, patch = divmod(index, self.options.per_case)
        return f"{self.prepared.cases[case].id} patch {patch + 1}"

    def _centred(self, epoch: DrawKey) -> npt.NDArray[np.bool_]:
        """(N,) which patches of an epoch are centred on a region: exactly the share that is asked for."""
        return np.asarray(generator(epoch, 0).permutation(len(self)) < round(self.options.foreground * len(self)))


def patch_items(
    prepared: PreparedCohort,
    options: PatchOptions,
    modalities: tuple[str, ...] | None = None,
    *,
    as_kept: bool = False,
) -> PatchItems:
    """The patches of a part; errors as ``require_depth`` and ``channels_of``."""
    for case in prepared.cases:
        require_depth(case.n_slices, options.voxels, case.id)
    return PatchItems(prepared, options, channels_of(prepared, modalities), as_kept)


def training_items(
    recipe: Recipe, data: TrainingData, *, as_kept: bool = False
) -> tuple[SliceItems | PatchItems, ClassWeights | None]:
    """What batches are taken from, and the class weights of its voxels where the loss has them."""
    part = data.prepared_part("train")
    if recipe.patches is not None:
        return patch_items(part, recipe.patches, data.modalities, as_kept=as_kept), None
    borders = borders_of(recipe, data, "train")
    items = slice_items(part, recipe.slices, data.modalities, borders, as_kept=as_kept)
    return items, voxel_weights(items) if recipe.loss.needs_class_weights else None


def borders_of(recipe: Recipe, data: TrainingData, part: PartName) -> BorderMaps | None:
    """The border terms of the slices of a part; None for a loss that has none, and for patches."""
    weighted = recipe.loss.weighted_bce
    if weighted is None or recipe.patches is not None:
        return None
    return border_maps(data.prepared_part(part), weighted.border)


def voxel_weights(items: SliceItems) -> tuple[tuple[float, float], ...]:
    """For each region the balanced weights of voxels outside and inside it, from the training part's slices."""
    index, n_inside, n_voxels = items.index, [0] * len(items.prepared.region_names), 0
    for position, case in enumerate(items.prepared.cases):
        slices = index.slices[index.cases == position]
        n_voxels += len(slices) * case.working.shape[0] * case.working.shape[1]
        if case.region_voxels is not None:
            for row, n in enumerate(case.region_voxels[slices].sum(axis=0)):
                n_inside[row] += int(n)
    return balanced_class_weights(n_inside, n_voxels)

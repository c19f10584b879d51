"""Whether scans of a brain are the sequences that they were given as: T1, T1 with contrast, T2 and FLAIR exchanged.

Each scan is described by its histogram and by how bright it is at which depth below the brain's surface (fluid and
cortex without, white matter and ventricles within), each two scans by how they go together voxel by voxel. Only what
all of them show is looked at, without its outermost voxels: these are as dark as slices are thick, which differs
between the series of a study and says nothing of their contrast. Both are compared with what phantom patients look
like [1]: the names are given to the scans in every order, and where another order fits better by far, the scans look
exchanged. One or two scans alone are not judged: a T1 with and one without contrast, or a T1 with contrast and a
FLAIR, are told apart by the others.

References:
    [1] Fisher RA. The use of multiple measurements in taxonomic problems. Annals of Eugenics 7, 1936 (Gaussians of one
        covariance).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from itertools import pairwise, permutations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from glioseg import weights
from glioseg.core import Image
from glioseg.core.modalities import MODALITY_ORDER
from glioseg.errors import name_some
from glioseg.evaluation.confidence import rank_correlation
from glioseg.evaluation.score import Flags, Floats
from glioseg.frozen import Frozen
from glioseg.preparation.ready.skull import WITH_SKULL, skull_share

FILE = "contrasts.json"
_STEP_MM = 3.0
_FEWEST_SCANS, _FEWEST_SLICES, _FEWEST_VOXELS = 3, 8, 500
_PERCENTILES = (1, 5, 25, 50, 75, 95, 99)
_DEPTHS_MM = (0.0, 4.5, 9.0, 15.0, 25.0, np.inf)
_APART = (0.5, 5, 95, 99.5)
_SHRINKAGE = 0.3
"""Share of the covariances that is taken from between features."""
BETTER = 3.0
"""Logarithm of how much better another order has to fit (docs/results.md: no set of scans in order is then named)."""


class Gaussians(Frozen):
    """Means of features by name, and the inverse of their common covariance."""

    means: Mapping[str, tuple[float, ...]]
    precision: tuple[tuple[float, ...], ...]

    def log_likelihood(self, name: str, features: Floats) -> float:
        """Of features, but for a constant that all names share."""
        apart = features - np.array(self.means[name])
        return float(-0.5 * apart @ np.array(self.precision) @ apart)


class ContrastModel(Frozen):
    """What scans and pairs of scans look like.

    Attributes:
        fitted_on: whom, in words.
        scans: by modality.
        pairs: by two modalities, ``t1n t1c``.
    """

    fitted_on: str
    scans: Gaussians
    pairs: Gaussians


@dataclass(frozen=True, eq=False)
class ScanFeatures:
    """A scan, described.

    Args:
        own: (F,) features of it alone.
        values: (X, Y, Z) on coarse voxels, 0 at the median, 1 as far as the 5th and the 95th percentile lie apart.
        shown: (X, Y, Z) where it shows something.
    """

    own: Floats
    values: npt.NDArray[np.float32]
    shown: Flags


def shipped_contrasts() -> ContrastModel:
    """What comes with the package: learnt from phantom patients alone."""
    text = resources.files(weights).joinpath(FILE).read_text(encoding="utf-8")
    return ContrastModel.model_validate_json(text)


def exchanged(image: Image, model: ContrastModel) -> dict[str, str]:
    """Modality -> what the scan that was given as it looks like, of those that look exchanged; empty where all is well.

    Nothing is said of pictures, of fewer than three of T1, T1c, T2 and FLAIR, of scans with the skull (the phantoms
    have none), and of what shows nothing.

    Args:
        image: (C, X, Y, Z) as it was given.
        model: what scans look like.
    """
    names = [name for name in image.modalities if name in MODALITY_ORDER]
    if len(names) < _FEWEST_SCANS or not image.grid.has_mm or image.grid.shape[2] < _FEWEST_SLICES:
        return {}
    arrays = [image.array[image.modalities.index(name)] for name in names]
    described = scan_features(arrays, image.grid.spacing_mm)
    scans = [scan for scan in described if scan is not None]
    if len(scans) < len(names) or any(_has_skull(array, image) for array in arrays):
        return {}
    order = likeliest_order(scans, names, model)
    return {given: likely for given, likely in zip(names, order, strict=True) if given != likely}


def likeliest_order(scans: Sequence[ScanFeatures], names: Sequence[str], model: ContrastModel) -> tuple[str, ...]:
    """The names of the scans, in their order: those given, unless another order fits better by far."""
    places = range(len(scans))
    pairs = {(i, j): pair_features(scans[i], scans[j]) for i, j in permutations(places, 2)}

    def fit(order: Sequence[str]) -> float:
        alone = sum(model.scans.log_likelihood(order[i], scans[i].own) for i in places)
        together = sum(
            model.pairs.log_likelihood(f"{order[i]} {order[j]}", features) for (i, j), features in pairs.items()
        )
        return alone + together / 2  # each pair is there both ways round

    fits = {order: fit(order) for order in permutations(names)}
    best = max(fits, key=lambda order: fits[order])
    return best if fits[best] > fits[tuple(names)] + BETTER else tuple(names)


def scan_features(
    arrays: Sequence[npt.NDArray[np.generic]], spacing_mm: Sequence[float]
) -> tuple[ScanFeatures | None, ...]:
    """Describe the scans of a case; None of one that shows nothing, or the same everywhere.

    Args:
        arrays: each (X, Y, Z), on one grid, 0 outside the brain.
        spacing_mm: of its voxels.
    """
    steps = [max(1, round(_STEP_MM / spacing)) for spacing in spacing_mm]
    size_mm = [spacing * step for spacing, step in zip(spacing_mm, steps, strict=True)]
    coarse = [np.asarray(array[:: steps[0], :: steps[1], :: steps[2]], dtype=np.float32) for array in arrays]
    brain = np.logical_and.reduce([ndimage.binary_opening(scan != 0) for scan in coarse])
    inner = ndimage.binary_erosion(ndimage.binary_fill_holes(brain))
    return tuple(_features(np.where(inner, scan, 0), size_mm) for scan in coarse)


def _features(coarse: npt.NDArray[np.float32], size_mm: Sequence[float]) -> ScanFeatures | None:
    shown = ndimage.binary_opening(coarse != 0)
    if np.count_nonzero(shown) < _FEWEST_VOXELS:
        return None
    percentiles = np.percentile(coarse[shown], _PERCENTILES)
    middle, width = percentiles[3], percentiles[5] - percentiles[1]
    if not width > 0:
        return None
    values = np.clip((coarse - middle) / width, -2, 2)
    filled = np.pad(ndimage.binary_fill_holes(shown), 1)
    depth = ndimage.distance_transform_edt(filled, sampling=size_mm)[1:-1, 1:-1, 1:-1]
    layers = [shown & (depth > low) & (depth <= high) for low, high in pairwise(_DEPTHS_MM)]
    deep = shown & (depth > _DEPTHS_MM[3])
    features = [
        *((np.delete(percentiles, 3) - middle) / width),
        *(values[layer].mean() if layer.any() else 0.0 for layer in layers),
        values[shown].std(),
        values[deep].std() if deep.any() else 0.0,
    ]
    return ScanFeatures(np.array(features, dtype=np.float64), values, shown)


def pair_features(first: ScanFeatures, second: ScanFeatures) -> Floats:
    """(9,) how two scans of a brain go together: rank correlation, percentiles of their difference, and how bright one
    is where the other is darkest and brightest.
    """
    both = first.shown & second.shown
    if np.count_nonzero(both) < _FEWEST_VOXELS:
        return np.zeros(9)
    one, other = first.values[both].astype(np.float64), second.values[both].astype(np.float64)
    ends = []
    for values, of in ((one, other), (other, one)):
        low, high = np.percentile(values, (10, 90))
        ends += [of[values <= low].mean(), of[values >= high].mean()]
    correlation = rank_correlation(one, other) or 0.0
    return np.array([correlation, *np.percentile(one - other, _APART), *ends])


def fit_contrasts(cases: Sequence[Sequence[ScanFeatures]], names: Sequence[str], fitted_on: str) -> ContrastModel:
    """Fit the Gaussians to cases, each with a scan of every modality.

    Args:
        cases: of each the scans,
        names: which are these modalities.
        fitted_on: whom, in words.
    """
    scans = {name: np.stack([case[place].own for case in cases]) for place, name in enumerate(names)}
    pairs = {
        f"{names[i]} {names[j]}": np.stack([pair_features(case[i], case[j]) for case in cases])
        for i, j in permutations(range(len(names)), 2)
    }
    return ContrastModel(fitted_on=fitted_on, scans=_gaussians(scans), pairs=_gaussians(pairs))


def _gaussians(groups: Mapping[str, Floats]) -> Gaussians:
    means = {name: values.mean(axis=0) for name, values in groups.items()}
    apart = np.concatenate([values - means[name] for name, values in groups.items()])
    covariance = apart.T @ apart / len(apart)
    diagonal = np.diag(np.diag(covariance))
    shrunk = (1 - _SHRINKAGE) * covariance + _SHRINKAGE * diagonal + 1e-4 * np.eye(len(diagonal))
    precision = np.linalg.inv(shrunk)
    return Gaussians(
        means={name: tuple(np.round(mean, 5).tolist()) for name, mean in means.items()},
        precision=tuple(tuple(row) for row in np.round(precision, 3).tolist()),
    )


def _has_skull(array: npt.NDArray[np.generic], image: Image) -> bool:
    share = skull_share(array, image.grid)
    return share is not None and share >= WITH_SKULL


def exchanged_words(image: Image) -> tuple[str, ...]:
    """A sentence where scans look exchanged; none else. See ``exchanged``."""
    exchanges = exchanged(image, shipped_contrasts())
    if not exchanges:
        return ()
    like = name_some([f"what was given as {given} looks like {name}" for given, name in exchanges.items()])
    return (f"The scans look exchanged: {like}. See which file is which",)

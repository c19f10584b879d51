"""Bundle + image -> prediction on the native grid. Validation, evaluation and prediction all come through here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypedDict

import numpy as np
import numpy.typing as npt
from torch import nn

from glioseg.console import Step
from glioseg.core import Case, Grid, Image, LabelMap, LabelScheme
from glioseg.core.components import bounding_box, largest_component, remove_small_components
from glioseg.core.labels import decode_kinds, decode_regions, paint_most_probable, whole_of_kinds
from glioseg.inference.backends import boxed_of
from glioseg.inference.modalities import ModalitySets, only_shown, shown_modalities
from glioseg.inference.options import Activation, PredictOptions
from glioseg.inference.slices import FLIPS, predict_boxes, predict_slices, to_nobody
from glioseg.inference.thresholds import threshold_in
from glioseg.inference.window import FLIPS_3D, predict_volume
from glioseg.preparation.case import PreparedArrays, prepare_arrays
from glioseg.preparation.oblique import brought
from glioseg.preparation.options import PrepareOptions
from glioseg.preparation.patches import PatchOptions, require_depth
from glioseg.preparation.resample import are_parallel, is_exact, resample_array
from glioseg.preparation.slices import SliceOptions, anything_shown, with_margins, with_neighbours, without_margins

Array = npt.NDArray[np.float32]


class _How(TypedDict):
    bf16: bool
    flips: Sequence[tuple[int, ...]]
    activation: Activation
    told: Step


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a network says of one case, on the case's native grid.

    Args:
        probabilities: (R, X, Y, Z) float32 in 0..1.
        regions: names of the R regions.
        label_map: painted from the probabilities (see ``core.labels.decode_regions``).
    """

    probabilities: Array
    regions: tuple[str, ...]
    label_map: LabelMap


@dataclass(frozen=True, eq=False)
class Predictor:
    """A network with everything that stands between a case and its label map.

    Args:
        model: in evaluation mode, on its device.
        modalities: its channels, in order.
        regions: what it gives probabilities of.
        scheme: of the label maps it writes.
        prepare: how a case becomes its input.
        slices: which slices it looks at, with how many neighbours.
        options: how probabilities become a label map.
        bf16: run under bfloat16 autocast.
        patches: the windows of a 3-D network; None for a network of slices.
        shape: rows and columns of the slices that the network was trained on; smaller ones are set in the middle of
            zeros, as they were in training. None where any size is shown as it is.
        modality_sets: sets of its modalities that it can do with alone.
        told: how many slices or windows are done, of how many.
    """

    model: nn.Module
    modalities: tuple[str, ...]
    regions: tuple[str, ...]
    scheme: LabelScheme
    prepare: PrepareOptions
    slices: SliceOptions
    options: PredictOptions
    bf16: bool = False
    patches: PatchOptions | None = None
    shape: tuple[int, int] | None = None
    modality_sets: ModalitySets = ()
    told: Step = to_nobody

    def predict(self, image: Image, native: Grid | None = None) -> Prediction:
        """The prediction for an image that has the modalities that the network needs.

        Args:
            image: what the network sees.
            native: where the mask shall lie; None for the image's own grid.

        Raises:
            GeometryError: a modality is lacking that the network cannot do without; see also ``prepare_arrays``.
            NetworkError: the network gives values that are not finite.
        """
        return self.predict_prepared(self.prepared(image, native))

    def prepared(self, image: Image, native: Grid | None = None) -> PreparedArrays:
        """An image as the network is shown it; arguments and errors as of ``predict``."""
        shown = only_shown(image, self.shown(image.modalities))
        arrays = prepare_arrays(shown, None, self.modalities, (), self.prepare)
        return arrays if native is None else replace(arrays, native=native)

    def predict_prepared(self, arrays: PreparedArrays) -> Prediction:
        """The prediction for an image that is prepared."""
        return self.on_native_grid(self.probabilities(arrays.images, arrays.non_black), arrays.working, arrays.native)

    def shown(self, present: Sequence[str], case: Case | None = None) -> tuple[str, ...]:
        """Those of a case's modalities that the network is shown; errors as ``shown_modalities``."""
        return shown_modalities(self.modalities, present, self.prepare.missing, self.modality_sets, case)

    def probabilities(self, images: npt.NDArray[np.float16], non_black: npt.NDArray[np.float32]) -> Array:
        """(R, Z, Y, X) on the working grid from prepared images (Z, C, Y, X); 0 on slices that show nothing.

        Raises:
            GeometryError: the network is 3-D and there are too few slices for it.
        """
        shown = anything_shown(images) if self.options.black_is_background else None
        if self.patches is not None:
            return _black_is_0(self._volume(images, non_black, self.patches), shown)
        return self._slices(images, non_black, shown)

    def _slices(
        self,
        images: npt.NDArray[np.float16],
        non_black: npt.NDArray[np.float32],
        shown: npt.NDArray[np.bool_] | None,
    ) -> Array:
        slices = np.flatnonzero(self.slices.keeps(non_black)).astype(np.int64)
        size, around = self.shape or (0, 0), self.slices.n_neighbours
        wide, boxed = with_margins(images, size), boxed_of(self.model)
        how: _How = {
            "bf16": self.bf16,
            "flips": FLIPS[self.options.flips],
            "activation": self.options.activation,
            "told": self.told,
        }
        if boxed is not None and shown is not None and boxed.takes(wide.shape[2:]):
            probabilities = predict_boxes(boxed, wide, with_margins(shown, size), slices, n_neighbours=around, **how)
        else:
            probabilities = predict_slices(
                self.model,
                lambda indices: with_neighbours(wide, indices, around),
                slices,
                n_slices=len(images),
                batch_size=self.options.batch_size,
                **how,
            )
            probabilities = _black_is_0(probabilities, None if shown is None else with_margins(shown, size))
        return without_margins(probabilities, images.shape[2:])

    def _volume(
        self, images: npt.NDArray[np.float16], non_black: npt.NDArray[np.float32], patches: PatchOptions
    ) -> Array:
        require_depth(len(images), patches.voxels)
        probabilities = predict_volume(
            self.model,
            images,
            patches,
            n_regions=len(self.regions),
            bf16=self.bf16,
            batch_size=self.options.batch_size,
            flips=FLIPS_3D[self.options.flips],
            activation=self.options.activation,
            told=self.told,
        )
        probabilities[:, ~self.slices.keeps(non_black)] = 0
        return probabilities

    def on_native_grid(self, probabilities: Array, working: Grid, native: Grid) -> Prediction:
        """Bring probabilities (R, Z, Y, X) from the working grid to the native one, linearly, and paint the labels."""
        on_native = to_native(probabilities, working, native)
        return Prediction(on_native, self.regions, self.label_map(on_native, native))

    def label_map(self, probabilities: Array, grid: Grid) -> LabelMap:
        """Paint the label map, small components removed."""
        return paint(probabilities, self.regions, self.scheme, grid, self.options)


def _black_is_0(probabilities: Array, shown: npt.NDArray[np.bool_] | None) -> Array:
    """(R, Z, Y, X) in place; an index of voxels would take five times as long. None for what may be anywhere."""
    if shown is not None:
        probabilities *= shown
    return probabilities


def paint(
    probabilities: Array, regions: Sequence[str], scheme: LabelScheme, grid: Grid, options: PredictOptions
) -> LabelMap:
    """Probabilities (R, X, Y, Z) -> label map: components of each region chosen, then painted.

    With sigmoid a region is painted above its threshold, kinds of one region by their sums; with softmax the most
    probable of background and regions.
    """
    if options.activation == "softmax":
        return LabelMap(_most_probable(probabilities, regions, scheme, options, grid), scheme, grid)
    limits = _thresholds_in(probabilities, regions, options)
    marked = np.logical_or.reduce(_above(probabilities, limits))
    box = bounding_box(marked) if marked.any() else (slice(0, 1),) * 3  # all else is background
    labels = np.zeros(marked.shape, dtype=np.uint8)
    labels[box] = _painted(probabilities[(slice(None), *box)], limits, regions, scheme, options, grid)
    return LabelMap(labels, scheme, grid)


def _painted(
    probabilities: Array,
    limits: Sequence[float],
    regions: Sequence[str],
    scheme: LabelScheme,
    options: PredictOptions,
    grid: Grid,
) -> npt.NDArray[np.uint8]:
    """Integers (X, Y, Z), of a box that holds all that is inside some region; ``limits`` are the regions' own."""
    filtered = probabilities
    for row, region in enumerate(regions):
        if _chooses_components(region, options, grid):
            inside = probabilities[row] > limits[row]
            filtered = filtered.copy() if filtered is probabilities else filtered  # the caller's own stay as they are
            filtered[row][inside & ~_chosen_components(inside, region, options, grid)] = 0.0
    if options.kinds:
        threshold = limits[list(regions).index(whole_of_kinds(scheme, regions, options.kinds))]
        return decode_kinds(filtered, scheme, regions, options.kinds, threshold)
    return decode_regions(filtered, scheme, regions, limits)


def _chooses_components(region: str, options: PredictOptions, grid: Grid) -> bool:
    return options.smallest_component(region, grid) > 1 or region in options.largest_component


def _chosen_components(
    inside: npt.NDArray[np.bool_], region: str, options: PredictOptions, grid: Grid
) -> npt.NDArray[np.bool_]:
    """What is left of a region without its small components or, where that is asked for, with its largest alone."""
    large = remove_small_components(inside, options.smallest_component(region, grid))
    return largest_component(large) if region in options.largest_component else large


def _most_probable(
    probabilities: Array, regions: Sequence[str], scheme: LabelScheme, options: PredictOptions, grid: Grid
) -> npt.NDArray[np.uint8]:
    """Integers (X, Y, Z); the voxels of small components go to what is the most probable there but for their region."""
    scores = with_background(probabilities)
    winner = scores.argmax(axis=0)
    for row, region in enumerate(regions):
        if _chooses_components(region, options, grid):
            inside = winner == row + 1
            scores[row + 1][inside & ~_chosen_components(inside, region, options, grid)] = -1.0
    return paint_most_probable(scores, scheme, regions)


def with_background(probabilities: Array) -> Array:
    """(R, ...) probabilities of regions that exclude each other -> (R + 1, ...), that of the background first."""
    return np.concatenate([1 - probabilities.sum(axis=0, keepdims=True), probabilities])


def inside_regions(probabilities: Array, regions: Sequence[str], options: PredictOptions) -> npt.NDArray[np.bool_]:
    """(R, ...) whether a voxel of a whole case is inside each region, each judged on its own; small components stay."""
    if options.activation == "softmax":
        winner = with_background(probabilities).argmax(axis=0)
        return np.stack([winner == row + 1 for row in range(len(regions))])
    return _above(probabilities, _thresholds_in(probabilities, regions, options))


def _thresholds_in(probabilities: Array, regions: Sequence[str], options: PredictOptions) -> list[float]:
    """The threshold of each region that is in force in a case."""
    return [
        threshold_in(of_region, options.threshold_of(region))
        for of_region, region in zip(probabilities, regions, strict=True)
    ]


def _above(probabilities: Array, limits: Sequence[float]) -> npt.NDArray[np.bool_]:
    column = np.array(limits, dtype=np.float32).reshape(-1, *(1,) * (probabilities.ndim - 1))
    return np.asarray(probabilities > column)


def to_native(probabilities: Array, working: Grid, native: Grid) -> Array:
    """(R, Z, Y, X) on the working grid -> (R, X, Y, Z) on the native grid; 0 outside the working grid.

    The weights of linear interpolation add up to 1 but for rounding: between voxels of 1, the result may be 1.0000001.
    """
    turned = probabilities.transpose(0, 3, 2, 1)
    if not are_parallel(working, native):
        return brought(turned, working, native).clip(0, 1)
    resampled: Array = resample_array(turned, working, native, "linear")
    return resampled if is_exact(working, native) else resampled.clip(0, 1, out=resampled)

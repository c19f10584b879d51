"""The table: every random parameter of one batch, drawn before anything is changed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from glioseg.errors import OptionError
from glioseg.training.augment.options import AugmentOptions, Missing, OneModality, RandomChange, RangedChange
from glioseg.training.randomness import DrawKey, generator, torch_seed

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]

BIAS_CELLS = 2
"""Distances of control points of a bias field in the length of an axis: coils are smooth."""
SPLINE_REACH = 3
"""Control points of a cubic B-spline are as many as its cells and three more."""
_NAMES = tuple(AugmentOptions.model_fields)


@dataclass(frozen=True)
class ChannelLayout:
    """What the channels of an image are: all modalities of one slice, then all of the next (2.5-D).

    Args:
        n_modalities: modalities of one slice.
        n_slices: slices of an image; 1 but for 2.5-D.
        flair: which of the modalities is FLAIR, from 0; None where none is.

    Raises:
        OptionError: numbers below 1, or a FLAIR that is not one of the modalities.
    """

    n_modalities: int
    n_slices: int = 1
    flair: int | None = None

    def __post_init__(self) -> None:
        if self.n_modalities < 1 or self.n_slices < 1:
            raise OptionError("an image has at least one modality and one slice", found=self)
        if self.flair is not None and not 0 <= self.flair < self.n_modalities:
            raise OptionError("FLAIR is not one of the modalities", found=self.flair, expected=range(self.n_modalities))

    @property
    def n_channels(self) -> int:
        """Channels of an image."""
        return self.n_modalities * self.n_slices


@dataclass(frozen=True, eq=False)
class AugmentTable:
    """The parameters of one batch of B items with C channels and n spatial axes, in the order of a tensor's axes.

    Sizes that leave an item as it is (0, or 1 for factors) stand where nothing was drawn.

    Args:
        size: voxels along each spatial axis, (H, W) or (D, H, W).
        flips: (B, n) whether each axis is mirrored.
        turns: (B,) quarter turns, 0 … 3, counter-clockwise, made after the mirroring.
        angles: (B, 1) degrees in the plane of H and W, or (B, 3) those in the planes H W, D W, D H.
        scales: (B,) factors.
        shifts: (B, n) shares of the axes.
        bends: (B, n, k, …) movement of the control points of the elastic B-spline, shares of the axes.
        gammas: (B, C) powers.
        biases: (B, C, k, …) control points of the logarithm of the bias field.
        contrasts: (B, C) factors.
        brightnesses: (B, C) standard deviations.
        blurs: (B, C) sigmas in voxels.
        low_resolutions: (B, C) factors.
        noises: (B, C) standard deviations.
        noise_seed: from which the noise is drawn.
        sources: (B, C) the channel that each channel is a copy of in the end: itself, FLAIR's or that of the one
            modality that is shown; -1 for zeros.
        noise_places: (B, C) of items of a larger batch, the place of each noisy channel among those of that batch;
            None for a batch by itself.
        n_noises: noisy channels of that batch.
    """

    size: tuple[int, ...]
    flips: npt.NDArray[np.bool_]
    turns: Integers
    angles: Floats
    scales: Floats
    shifts: Floats
    bends: Floats
    gammas: Floats
    biases: Floats
    contrasts: Floats
    brightnesses: Floats
    blurs: Floats
    low_resolutions: Floats
    noises: Floats
    noise_seed: int
    sources: Integers
    noise_places: Integers | None = None
    n_noises: int = 0

    def taken(self, items: Sequence[int]) -> AugmentTable:
        """The table of some items of the batch, by their places in it: what is drawn for each stays what it is."""
        rows, noisy = np.asarray(items, dtype=np.intp), (self.noises != 0).ravel()
        columns: dict[str, Any] = {
            name: value[rows] for name, value in vars(self).items() if isinstance(value, np.ndarray)
        }
        places = np.where(noisy, noisy.cumsum() - 1, -1).reshape(self.noises.shape)
        return replace(self, **columns, noise_places=places[rows], n_noises=int(noisy.sum()))

    @property
    def n_items(self) -> int:
        """B."""
        return len(self.turns)

    @property
    def n_channels(self) -> int:
        """C."""
        return int(self.sources.shape[1])

    @property
    def resampled(self) -> npt.NDArray[np.bool_]:
        """(B,) which items are rotated, scaled, shifted or bent; flips and turns only permute voxels."""
        return (
            differing(self.angles, 0) | differing(self.scales, 1) | differing(self.shifts, 0) | differing(self.bends, 0)
        )


def differing(values: npt.NDArray[np.generic], neutral: float) -> npt.NDArray[np.bool_]:
    """(B, …) -> (B,) whether anything of an item is not ``neutral``."""
    return np.asarray((values != neutral).reshape(len(values), -1).any(axis=1))


def draw(
    options: AugmentOptions, key: DrawKey, *, n_items: int, size: Sequence[int], channels: ChannelLayout
) -> AugmentTable:
    """The parameters of one batch, a function of the arguments and nothing else.

    Each change has a stream of random numbers of its own: switching one on leaves what others draw as it was.

    Args:
        options: what may be drawn.
        key: the place in the training.
        n_items: B.
        size: (H, W) or (D, H, W).
        channels: what the channels are.

    Raises:
        OptionError: quarter turns of images that are not square, flips of an axis that is not there, modalities taken
            away where there is one only, or replaced by a FLAIR that is not there.
    """
    size = tuple(size)
    _refuse_the_impossible(options, size, channels)
    streams = {name: generator(key, number) for number, name in enumerate(_NAMES)}
    n_axes = len(size)

    def each_item(change: RangedChange, name: str, neutral: float, *axes: int) -> Floats:
        return _draw_sizes(change, streams[name], (n_items, *axes), neutral)

    def each_channel(change: RangedChange, name: str, neutral: float) -> Floats:
        return np.tile(_draw_sizes(change, streams[name], (n_items, channels.n_modalities), neutral), channels.n_slices)

    return AugmentTable(
        size=size,
        flips=_draw_flips(options, streams["flip"], n_items, n_axes),
        turns=_draw_turns(options, streams["turn"], n_items),
        angles=each_item(options.rotation, "rotation", 0, 1 if n_axes == 2 else 3),
        scales=each_item(options.scale, "scale", 1),
        shifts=each_item(options.shift, "shift", 0, n_axes),
        bends=_draw_spline(options.elastic, streams["elastic"], (n_items, n_axes), options.elastic.cells, n_axes),
        gammas=each_channel(options.gamma, "gamma", 1),
        biases=np.tile(
            _draw_spline(options.bias, streams["bias"], (n_items, channels.n_modalities), BIAS_CELLS, n_axes),
            (1, channels.n_slices, *(1,) * n_axes),
        ),
        contrasts=each_channel(options.contrast, "contrast", 1),
        brightnesses=each_channel(options.brightness, "brightness", 0),
        blurs=each_channel(options.blur, "blur", 0),
        low_resolutions=each_channel(options.low_resolution, "low_resolution", 1),
        noises=each_channel(options.noise, "noise", 0),
        noise_seed=torch_seed(key, _NAMES.index("noise")),
        sources=_in_each_slice(
            _draw_one_modality(
                options.one_modality,
                streams["one_modality"],
                _draw_missing(options.missing, streams["missing"], n_items, channels),
            ),
            channels,
        ),
    )


def _refuse_the_impossible(options: AugmentOptions, size: tuple[int, ...], channels: ChannelLayout) -> None:
    if len(size) not in (2, 3):
        raise OptionError("images have two or three spatial axes", found=size)
    if options.turn.probability > 0 and size[-1] != size[-2]:
        raise OptionError(
            "quarter turns need images as wide as high",
            found=" x ".join(map(str, size)),
            remedy="Set augment.turn.probability to 0, or prepare square slices (prepare.size)",
        )
    if options.flip.probability > 0 and "depth" in options.flip.axes and len(size) == 2:
        raise OptionError("slices have no depth along which to flip", remedy="Take depth out of augment.flip.axes")
    if options.missing.probability > 0 and channels.n_modalities == 1:
        raise OptionError(
            "the only modality cannot be missing", remedy="Set augment.missing.zero and augment.missing.flair to 0"
        )
    if options.missing.flair > 0 and channels.flair is None:
        raise OptionError("no modality is FLAIR, which should replace others", remedy="Set augment.missing.flair to 0")


def _draw_items(change: RandomChange, stream: np.random.Generator, n_items: int) -> npt.NDArray[np.bool_]:
    return stream.random(n_items) < change.probability


def _draw_sizes(change: RangedChange, stream: np.random.Generator, shape: tuple[int, ...], neutral: float) -> Floats:
    """Sizes of ``shape`` (B, …): ``neutral`` for items that are left out; factors are uniform in their logarithm."""
    changes = _draw_items(change, stream, shape[0])
    low, high = change.range
    shares = stream.random(shape)
    if neutral == 1 and low > 0:
        sizes = np.exp(math.log(low) + shares * (math.log(high) - math.log(low)))
    else:
        sizes = low + shares * (high - low)
    return np.where(changes.reshape(-1, *(1,) * (len(shape) - 1)), sizes, neutral).astype(np.float32)


def _draw_flips(
    options: AugmentOptions, stream: np.random.Generator, n_items: int, n_axes: int
) -> npt.NDArray[np.bool_]:
    is_flipped = stream.random((n_items, 3)) < options.flip.probability
    allowed = [axis in options.flip.axes for axis in ("depth", "height", "width")]
    return np.asarray((is_flipped & allowed)[:, 3 - n_axes :])


def _draw_turns(options: AugmentOptions, stream: np.random.Generator, n_items: int) -> Integers:
    turns = _draw_items(options.turn, stream, n_items)
    return np.where(turns, stream.integers(1, 4, n_items), 0)


def _draw_spline(
    change: RangedChange, stream: np.random.Generator, shape: tuple[int, int], cells: int, n_axes: int
) -> Floats:
    """(*shape, k, …) control points, uniform between minus and plus a size that is drawn for each of ``shape``."""
    heights = _draw_sizes(change, stream, shape, 0).reshape(*shape, *(1,) * n_axes)
    points = stream.uniform(-1, 1, (*shape, *(cells + SPLINE_REACH,) * n_axes))
    return (heights * points).astype(np.float32)


def _draw_missing(missing: Missing, stream: np.random.Generator, n_items: int, channels: ChannelLayout) -> Integers:
    """(B, modalities) which modality each is a copy of, -1 for none."""
    n = channels.n_modalities
    which, order, count = stream.random(n_items), stream.random((n_items, n)), stream.random(n_items)
    sources = np.tile(np.arange(n), (n_items, 1))
    if n > 1:
        n_most = n - 1 if missing.at_most is None else min(missing.at_most, n - 1)
        n_lost = 1 + np.minimum((count * n_most).astype(np.int64), n_most - 1)
        filled = (which >= missing.zero) & (which < missing.probability)
        if channels.flair is not None:
            order[filled, channels.flair] = np.inf  # FLAIR is the last that would be replaced, so it never is
        lost = order.argsort(axis=1).argsort(axis=1) < n_lost[:, None]
        sources[lost & (which < missing.zero)[:, None]] = -1
        sources[lost & filled[:, None]] = -1 if channels.flair is None else channels.flair
    return sources


def _draw_one_modality(change: OneModality, stream: np.random.Generator, sources: Integers) -> Integers:
    """``sources``, but for the items of which one modality is shown alone."""
    n_items, n = sources.shape
    is_single, modality = _draw_items(change, stream, n_items), stream.integers(0, n, (n_items, 1))
    return np.where(is_single[:, None], modality, sources)


def _in_each_slice(sources: Integers, channels: ChannelLayout) -> Integers:
    """(B, modalities) -> (B, C): a modality is replaced in each slice by what the same slice has."""
    slices = np.arange(channels.n_slices)[None, :, None] * channels.n_modalities
    shifted = np.where(sources[:, None] < 0, -1, sources[:, None] + slices)
    return shifted.reshape(len(sources), channels.n_channels).astype(np.int64)

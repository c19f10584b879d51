"""Which changes a training makes to its images, how often, and how far."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from glioseg.frozen import Frozen

Range = tuple[float, float]
Axis = Literal["width", "height", "depth"]


class RandomChange(Frozen):
    """A change that an item of a batch undergoes with a probability.

    Attributes:
        probability: 0 (never) to 1 (always), for each item on its own.
    """

    probability: float = Field(default=0.0, ge=0.0, le=1.0)


class RangedChange(RandomChange):
    """A change of a size that is drawn from a range.

    Attributes:
        range: smallest and largest size.
    """

    limits: ClassVar[Range]
    range: Range

    @model_validator(mode="after")
    def _range_is_sound(self) -> Self:
        (low, high), (lowest, highest) = self.range, self.limits
        if not lowest <= low <= high <= highest:
            raise ValueError(f"range {low:g} to {high:g} is not a range within {lowest:g} to {highest:g}")
        return self


class Flip(RandomChange):
    """Mirror the item along each of ``axes``, each with the probability on its own.

    The width of axial and coronal slices runs from right to left, that of sagittal ones from front to back: there it is
    no mirror image that anatomy knows, and the probability is better set to 0.
    """

    axes: tuple[Axis, ...] = Field(
        default=("width", "height"), min_length=1, description="along which an item may be mirrored"
    )


class Turn(RandomChange):
    """Turn by 90, 180 or 270 degrees, each as likely, in the plane of height and width, which have to be equal."""


class Rotation(RangedChange):
    """Turn by an angle in degrees, counter-clockwise; in 3-D about each of the three axes."""

    limits: ClassVar[Range] = (-180.0, 180.0)
    range: Range = (-15.0, 15.0)


class Scale(RangedChange):
    """Enlarge by a factor about the centre; its logarithm is drawn uniformly."""

    limits: ClassVar[Range] = (0.25, 4.0)
    range: Range = (0.85, 1.2)


class Shift(RangedChange):
    """Move along each axis by a share of its length."""

    limits: ClassVar[Range] = (-0.5, 0.5)
    range: Range = (-0.08, 0.08)


class Elastic(RangedChange):
    """Bend by a cubic B-spline; each of its control points moves along each axis by at most a share of its length.

    The share is drawn from the range. Above 0.4 of the distance of control points the image could fold (Choi & Lee,
    Injectivity conditions of 2D and 3D uniform cubic B-spline functions, 2000), which is refused.

    Attributes:
        cells: distances of control points in the length of an axis: the larger, the finer the bends.
    """

    limits: ClassVar[Range] = (0.0, 0.4)
    range: Range = (0.01, 0.05)
    cells: int = Field(default=5, ge=1, le=32)

    @model_validator(mode="after")
    def _does_not_fold(self) -> Self:
        if self.range[1] * self.cells > 0.4:
            raise ValueError(
                f"a share of {self.range[1]:g} with {self.cells} cells could fold the image; at most 0.4 / cells"
            )
        return self


class Gamma(RangedChange):
    """Raise to a power, between the channel's smallest and largest value; the power's logarithm is drawn uniformly."""

    limits: ClassVar[Range] = (0.1, 10.0)
    range: Range = (0.7, 1.5)


class Bias(RangedChange):
    """Multiply what lies above the channel's smallest value by a smooth field, as an uneven coil would.

    The logarithm of the field is a B-spline with values between minus and plus a size that is drawn from the range.
    """

    limits: ClassVar[Range] = (0.0, 2.0)
    range: Range = (0.1, 0.4)


class Contrast(RangedChange):
    """Multiply the distance from the channel's mean by a factor; its logarithm is drawn uniformly."""

    limits: ClassVar[Range] = (0.1, 10.0)
    range: Range = (0.75, 1.3)


class Brightness(RangedChange):
    """Add a multiple of the channel's standard deviation."""

    limits: ClassVar[Range] = (-5.0, 5.0)
    range: Range = (-0.3, 0.3)


class Blur(RangedChange):
    """Blur by a Gaussian with a sigma in voxels."""

    limits: ClassVar[Range] = (0.0, 20.0)
    range: Range = (0.5, 1.2)


class LowResolution(RangedChange):
    """Average to voxels larger by a factor and interpolate linearly back; the factor's logarithm is drawn uniformly."""

    limits: ClassVar[Range] = (1.0, 8.0)
    range: Range = (1.0, 2.0)


class Noise(RangedChange):
    """Add Gaussian noise with a deviation in multiples of the channel's standard deviation."""

    limits: ClassVar[Range] = (0.0, 5.0)
    range: Range = (0.02, 0.15)


class Missing(Frozen):
    """Take modalities away, both ways in which that happens; at least one always stays.

    Attributes:
        zero: probability that modalities are set to 0.
        flair: probability that modalities other than FLAIR are replaced by a copy of FLAIR, as the publisher of LGG did
            where a sequence had not been acquired (Buda 2019).
        at_most: how many; None for all but one. The number is drawn uniformly from 1 to this.
    """

    zero: float = Field(default=0.0, ge=0.0, le=1.0)
    flair: float = Field(default=0.0, ge=0.0, le=1.0)
    at_most: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _exclude_each_other(self) -> Self:
        if self.zero + self.flair > 1:
            raise ValueError("an item's missing modality is zero or FLAIR: their probabilities add up to 1 at most")
        return self

    @property
    def probability(self) -> float:
        """That an item lacks a modality in either way."""
        return self.zero + self.flair


class OneModality(RandomChange):
    """Show one modality, drawn for each item, in the place of all; of such an item no other is missing.

    So scans of known contrasts teach a network for pictures, which are of one contrast and do not say of which.
    """


class AugmentOptions(Frozen):
    """All changes, in the order in which they are made; without a probability a change is never made.

    Sizes are drawn for each item, those of intensities for each modality of it. Statistics of a channel are taken over
    its voxels that are not 0: what is exactly 0 was put outside the brain by preparation, and stays 0 whatever happens
    to intensities. Lengths are in voxels, which geometry takes to be as wide as high.
    """

    flip: Flip = Flip()
    turn: Turn = Turn()
    rotation: Rotation = Rotation()
    scale: Scale = Scale()
    shift: Shift = Shift()
    elastic: Elastic = Elastic()
    gamma: Gamma = Gamma()
    bias: Bias = Bias()
    contrast: Contrast = Contrast()
    brightness: Brightness = Brightness()
    blur: Blur = Blur()
    low_resolution: LowResolution = LowResolution()
    noise: Noise = Noise()
    missing: Missing = Missing()
    one_modality: OneModality = OneModality()

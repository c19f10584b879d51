"""What decides how a cohort is prepared."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, Self

from pydantic import Field, model_validator

from glioseg.frozen import Frozen

Plane = Literal["axial", "coronal", "sagittal"]
PLANE_ORIENTATIONS: Mapping[Plane, str] = MappingProxyType({"axial": "LPS", "coronal": "LIP", "sagittal": "PIL"})
"""Where columns, rows and slices run to, as radiologists look at them."""
Method = Literal["none", "min-max", "z-score"]


class PrepareOptions(Frozen):
    """Options of the prepared cache; a change of any of them prepares anew.

    Which slices, which modalities and how many neighbouring slices a network sees is chosen at load time
    (``SliceOptions``) and costs nothing.

    Attributes:
        plane: the plane of the slices. Volumes are turned so that slices look as on a radiologist's screen: axial with
            the patient's left to the right and posterior at the bottom, coronal and sagittal with the head up. Pictures
            have no known orientation: axial leaves them as they are, the other planes are refused.
        crop_to_brain: keep the bounding box of the brain only; with ``size`` the box is made square in the plane first,
            so that nothing is stretched. The brain is what stands out from black and its noise in some modality that
            the case has (``cohorts.dark.visible`` at ``NOISE``); a head with its skull is brain in this sense. What
            lies outside the box is predicted as background, even where the reference says otherwise.
        size: resize every slice to ``size`` x ``size`` pixels over the same extent.
        spacing_mm: resample to this spacing instead: two numbers for columns and rows of the slices, three to resample
            across the slices too. Neither: the native resolution.
        clip_percentiles: cut intensities off at these percentiles before they are normalised.
        normalise: ``min-max`` to 0..1, ``z-score`` to zero mean and unit variance (see ``intensity``), or ``none``.
        normalise_over: whether range, mean and percentiles are those of each slice or of the whole case.
        brain_only: take range, mean and percentiles over the brain only, and set all else to 0.
        regions: names of the regions that become channels, overlapping (WT, TC, ET) or exclusive (NCR, ED, ET); None
            for the scheme's own.
        missing: what stands in for a modality that a case lacks: ``zero``, or the name of another modality (the
            publisher of LGG put ``flair`` there); where that is lacking too, zero.
    """

    plane: Plane = "axial"
    crop_to_brain: bool = False
    size: int | None = Field(None, ge=8, le=4096)
    spacing_mm: tuple[float, ...] | None = None
    clip_percentiles: tuple[float, float] | None = None
    normalise: Method = "z-score"
    normalise_over: Literal["case", "slice"] = "case"
    brain_only: bool = True
    regions: tuple[str, ...] | None = Field(None, min_length=1)
    missing: str = "zero"

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if self.size is not None and self.spacing_mm is not None:
            raise ValueError("size and spacing_mm exclude each other: give one of them")
        if self.spacing_mm is not None and (len(self.spacing_mm) not in (2, 3) or min(self.spacing_mm) <= 0):
            raise ValueError("spacing_mm needs two or three numbers above 0: columns, rows and, if wanted, slices")
        if self.clip_percentiles is not None:
            low, high = self.clip_percentiles
            if not 0 <= low < high <= 100:
                raise ValueError("clip_percentiles are two rising numbers from 0 to 100, such as 0.5 and 99.5")
        if self.regions is not None and len(set(self.regions)) != len(self.regions):
            raise ValueError("regions name each region once")
        return self

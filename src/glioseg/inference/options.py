"""What decides how probabilities become a label map."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from glioseg.core.grid import Grid
from glioseg.core.targets import TaskName
from glioseg.frozen import Frozen
from glioseg.inference.thresholds import Threshold

Activation = Literal["sigmoid", "softmax"]


class PredictOptions(Frozen):
    """Options of prediction, kept in the bundle.

    Attributes:
        activation: what turns logits into probabilities: ``sigmoid`` for each region on its own, ``softmax`` for
            regions that exclude each other (see ``predict.activation``). With softmax each voxel is painted with the
            most probable of background and regions, and there are no thresholds to be set or tuned.
        threshold: a voxel is inside a region above this probability, unless the region has one of its own;
            ``expected-dice`` takes for each case the one by which the Dice of its mask is expected to be best.
        thresholds: the same for single regions.
        min_voxels: smaller components (26-connected, native voxels) of a region are removed; by region.
        min_ml: components of less than so many millilitres are removed too, where millimetres are known; by region. Not
            together with ``tune``.
        largest_component: regions of which only the largest component is kept, for what comes one to a patient; not
            together with ``tune``, whose search knows nothing of it.
        kinds: regions that are kinds of the one other region (``glioma``, ``meningioma``, ``pituitary`` of ``tumour``),
            where a case shows one of them: whatever of the other region is painted is painted as the kind whose
            probabilities add up to most there. A case without any of it is of no kind. Kinds have no ``thresholds``,
            ``min_voxels``, ``min_ml`` or ``largest_component`` of their own.
        flips: views that are averaged at test time: ``none``, ``lr`` (as is and mirrored along the columns, which swaps
            left and right in axial and coronal slices, front and back in sagittal ones), ``all`` (both in-plane axes:
            four views; all three axes of a 3-D network: eight). A view should be one that training shows too
            (``augment.flip``).
        black_is_background: predict nothing where all modalities are exactly 0 in the network's input, which is outside
            the brain if the preparation is ``brain_only`` and ``z-score`` (``min-max`` puts the darkest of the brain
            at 0 too). On the scan's own grid this holds up to a voxel of the network's.
        tune: choose thresholds and min_voxels on the validation part after training.
        batch_size: slices, or windows of a 3-D network, at a time.
    """

    activation: Activation = "sigmoid"
    threshold: Threshold = 0.5
    thresholds: Mapping[str, Threshold] = Field(default_factory=dict)
    min_voxels: Mapping[str, Annotated[int, Field(ge=0)]] = Field(default_factory=dict)
    min_ml: Mapping[str, Annotated[float, Field(ge=0)]] = Field(default_factory=dict)
    largest_component: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    flips: Literal["none", "lr", "all"] = "none"
    black_is_background: bool = False
    tune: bool = False
    batch_size: int = Field(16, ge=1)

    @model_validator(mode="after")
    def _search_knows_other_components(self) -> Self:
        if self.tune and (self.largest_component or self.min_ml):
            other = "largest_component" if self.largest_component else "min_ml"
            raise ValueError(f"tune chooses thresholds without {other}: set one of them")
        return self

    @model_validator(mode="after")
    def _kinds_are_chosen_by_sums(self) -> Self:
        if self.kinds and (self.tune or self.activation == "softmax"):
            raise ValueError("kinds share one outline: leave out tune, and activation = softmax, or leave out kinds")
        set_for_kinds = {*self.thresholds, *self.min_voxels, *self.min_ml, *self.largest_component} & {*self.kinds}
        if set_for_kinds:
            raise ValueError(
                f"kinds share one outline: leave {', '.join(sorted(set_for_kinds))} out of thresholds, min_voxels, "
                "min_ml and largest_component, or set them for the region that holds the kinds"
            )
        return self

    @property
    def task(self) -> TaskName | None:
        """The task that alone can do what is set here; None where any can."""
        return "segment" if self.tune else None

    def threshold_of(self, region: str) -> Threshold:
        """What is set for a region; ``threshold_in`` is the threshold in force in a case."""
        return self.thresholds.get(region, self.threshold)

    def smallest_component(self, region: str, grid: Grid) -> int:
        """How many voxels of a grid a component of a region must have to stay."""
        voxels, ml = self.min_voxels.get(region, 0), self.min_ml.get(region, 0.0)
        # 0.5 ml are 500 voxels of 1 mm, which floating point makes 500.00000000000006 of
        return max(voxels, math.ceil(ml / grid.voxel_ml - 1e-6)) if ml and grid.has_mm else voxels

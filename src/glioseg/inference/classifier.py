"""Pictures, or the slices of a scan, through a classifier: logits, calibrated probabilities, the class that is said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from glioseg.core import Case, Image
from glioseg.errors import GeometryError
from glioseg.evaluation.reliability import probabilities_at
from glioseg.inference.activation import finite
from glioseg.inference.backends import layout_of
from glioseg.inference.modalities import ModalitySets, only_shown, shown_modalities
from glioseg.inference.slices import FLIPS, Take
from glioseg.machine.device import autocast
from glioseg.preparation.case import PreparedArrays, nearest_slices, prepare_arrays
from glioseg.preparation.options import PrepareOptions
from glioseg.preparation.slices import SliceOptions, with_neighbours

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Classification:
    """What a network says of one case.

    Args:
        classes: names of the K classes.
        probabilities: (Z, K) of each slice that the network was shown; a picture has one.
        arrays: what the network was shown.
    """

    classes: tuple[str, ...]
    probabilities: Floats
    arrays: PreparedArrays

    @property
    def telling_slice(self) -> int:
        """The slice that speaks for the case, of those shown: the one least like the first class (``no``)."""
        return telling_slice(self.probabilities)

    @property
    def numbers(self) -> npt.NDArray[np.int64]:
        """(Z,) which slice of the scan each is, from 1: those that a crop cut off are counted too."""
        return nearest_slices(self.arrays.native, self.arrays.working) + 1

    @property
    def decided(self) -> int:
        """The class that is said of the case: the most probable one of its telling slice."""
        return int(self.probabilities[self.telling_slice].argmax())

    @property
    def confidence(self) -> float:
        """The probability of that class."""
        return float(self.probabilities[self.telling_slice].max())


@dataclass(frozen=True, eq=False)
class Classifier:
    """A network with everything that stands between a case and its class.

    Args:
        model: in evaluation mode, on its device; (B, C, Y, X) -> logits (B, K).
        modalities: its channels, in order.
        classes: names, in index order.
        prepare: how a case becomes its input.
        slices: how many neighbours a slice is shown with.
        temperature: that divides logits, found on the validation part.
        flips: views at test time whose logits are averaged: ``none``, ``lr``, ``all``.
        batch_size: slices at a time.
        bf16: run under bfloat16 autocast.
        modality_sets: sets of its modalities that it can do with alone.
    """

    model: nn.Module
    modalities: tuple[str, ...]
    classes: tuple[str, ...]
    prepare: PrepareOptions
    slices: SliceOptions
    temperature: float = 1.0
    flips: str = "none"
    batch_size: int = 16
    bf16: bool = False
    modality_sets: ModalitySets = ()

    def classify(self, image: Image) -> Classification:
        """What is said of an image that has the modalities that the network needs.

        Raises:
            GeometryError: a modality is lacking, or the image is black all over; see also ``prepare_arrays``.
            NetworkError: the network gives values that are not finite.
        """
        shown = only_shown(image, self.shown(image.modalities))
        arrays = prepare_arrays(shown, None, self.modalities, (), self.prepare)
        if not arrays.non_black.any():
            raise GeometryError("the picture is black all over: there is nothing to classify")
        return Classification(self.classes, self.probabilities(arrays.images), arrays)

    def shown(self, present: Sequence[str], case: Case | None = None) -> tuple[str, ...]:
        """Those of a case's modalities that the network is shown; errors as ``shown_modalities``."""
        return shown_modalities(self.modalities, present, self.prepare.missing, self.modality_sets, case)

    def probabilities(self, images: npt.NDArray[np.floating]) -> Floats:
        """(Z, K) calibrated probabilities from prepared images (Z, C, Y, X)."""
        return probabilities_at(self.logits(images), self.temperature)

    def logits(self, images: npt.NDArray[np.floating]) -> Floats:
        """(Z, K) from prepared images (Z, C, Y, X), of every slice, dark ones too."""
        n_neighbours = self.slices.n_neighbours
        return classify_slices(
            self.model,
            lambda indices: with_neighbours(images, indices, n_neighbours),
            len(images),
            bf16=self.bf16,
            batch_size=self.batch_size,
            flips=FLIPS[self.flips],
        )


def mean_of(classifications: Sequence[Classification]) -> Classification:
    """What several networks say of one case together: the mean of their probabilities.

    Args:
        classifications: of networks with the same classes and preparation, so that they were shown the same.
    """
    probabilities = np.mean([classification.probabilities for classification in classifications], axis=0)
    return replace(classifications[0], probabilities=probabilities)


def telling_slice(probabilities: npt.NDArray[np.floating]) -> int:
    """(Z, K) -> the slice least like the first class; the first of several."""
    return int(probabilities[:, 0].argmin())


@torch.inference_mode()
def classify_slices(
    model: nn.Module,
    take: Take,
    n_slices: int,
    *,
    bf16: bool = False,
    batch_size: int = 16,
    flips: Sequence[tuple[int, ...]] = ((),),
) -> Floats:
    """(Z, K) logits, the mean over flipped views.

    Args:
        model: in evaluation mode; (B, C, Y, X) -> logits (B, K).
        take: slice indices (B,) -> images (B, C, Y, X).
        n_slices: Z.
        bf16: run under bfloat16 autocast.
        batch_size: slices at a time.
        flips: views, by the axes of (B, C, Y, X) that are flipped.
    """
    device = next(model.parameters()).device
    batches = []
    for start in range(0, n_slices, batch_size):
        indices = np.arange(start, min(start + batch_size, n_slices))
        images, layout = torch.from_numpy(take(indices)).to(device), layout_of(model, 2)
        with autocast(device, bf16=bf16):
            turned = (torch.flip(images, axes).contiguous(memory_format=layout) for axes in flips)
            views = [finite(model(view).float()) for view in turned]
        batches.append(torch.stack(views).mean(dim=0).cpu().numpy())
    return np.concatenate(batches).astype(np.float64)

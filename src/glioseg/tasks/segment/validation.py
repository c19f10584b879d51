"""Validation on whole cases, with the code of prediction and evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from glioseg.console import Step
from glioseg.core import Case
from glioseg.evaluation.cases import CaseScores
from glioseg.evaluation.protocol import EvaluateOptions, Evaluation, aggregate, mean_over_regions
from glioseg.evaluation.published import AsPublished, PublishedProtocol
from glioseg.inference.activation import logits_of
from glioseg.inference.predictor import Array, Predictor
from glioseg.inference.scoring import score_prepared
from glioseg.preparation.border_cache import BorderMaps
from glioseg.preparation.slice_array import SliceArray
from glioseg.preparation.slices import SliceOptions, tumour_slices
from glioseg.preparation.store import PreparedCase
from glioseg.tasks.segment.score import PartScored, as_published
from glioseg.training.job import CaseValidation, Loss, Validation

AS_PUBLISHED = "as_published"
"""Where the log has what a publication's own rules give."""
_LOGGED = ("dice", "precision", "recall")


@dataclass(frozen=True)
class ValidatedCase:
    """What is kept of a case: its scores on both grids, its slices that count, its loss and over how many items."""

    native: CaseScores
    working: CaseScores
    kept: npt.NDArray[np.bool_]
    loss: float
    n_items: int


@dataclass(frozen=True)
class Validator(CaseValidation[ValidatedCase]):
    """Called by the loop with the network in evaluation mode.

    Args:
        predictor: how cases are predicted; its model is replaced by the one to be validated.
        cases: the validation part: prepared, and as in the cohort for the reference.
        channels: of the prepared images.
        slices: which slices the loss is taken over: the same choice as in training.
        loss: the training's.
        borders: the border terms of the cases' slices, for losses that have them.
        batch_size: of the training; a loss that is one Dice for a batch is so here too.
        options: how scores are averaged.
        score: name of the score that picks the best model.
        followed: how a publication scored its validation part; logged beside our figures, and decides nothing.
        on_case: called with (cases done, cases).
    """

    predictor: Predictor
    cases: Sequence[tuple[PreparedCase, Case]]
    channels: tuple[int, ...]
    slices: SliceOptions
    loss: Loss
    borders: BorderMaps | None
    batch_size: int
    options: EvaluateOptions
    score: str
    followed: PublishedProtocol | None
    on_case: Step

    @property
    def n_cases(self) -> int:
        """Cases of the validation part."""
        return len(self.cases)

    def look(self, model: nn.Module, number: int) -> ValidatedCase:
        """Scores and loss of a case."""
        prepared, case = self.cases[number]
        predictor = replace(self.predictor, model=model)
        scored = score_prepared(predictor, prepared, case, self.channels, predictor.scheme)
        loss, n_items = self._loss_of(prepared, scored.working_probabilities)
        return ValidatedCase(scored.scores, scored.working, self.slices.keeps(prepared.non_black), loss, n_items)

    def conclude(self, looks: Sequence[ValidatedCase]) -> Validation:
        """Loss, score and figures; the loss weighs each slice (volume) alike, the scores each case."""
        evaluation = aggregate([look.native for look in looks], self.options.model_copy(update={"n_resamples": 0}))
        n_items = sum(look.n_items for look in looks)
        loss = sum(look.loss * look.n_items for look in looks) / n_items if n_items else 0.0
        figures = _figures(evaluation)
        if self.followed is not None:
            figures[AS_PUBLISHED] = _published_figures(as_published(self._scored(looks), self.followed))
        return Validation(loss, score_of(evaluation, self.score), figures)

    def _scored(self, looks: Sequence[ValidatedCase]) -> PartScored:
        kept = {prepared.id: look.kept for (prepared, _), look in zip(self.cases, looks, strict=True)}
        return PartScored([look.native for look in looks], [look.working for look in looks], kept)

    def _loss_of(self, prepared: PreparedCase, probabilities: Array) -> tuple[float, int]:
        """The loss on what training would take, from probabilities (R, Z, Y, X), and how many items that is.

        Of a network of slices these are slices; of a 3-D network it is the volume, one item.
        """
        if self.predictor.patches is not None:
            return self._loss_of_volume(prepared, probabilities)
        is_seen = self.slices.keeps(prepared.non_black)
        if self.slices.choice == "tumour":
            is_seen = is_seen & tumour_slices(prepared)
        slices = np.flatnonzero(is_seen)
        regions = prepared.regions
        if not len(slices) or regions is None:
            return 0.0, 0
        n_batches = -(-len(slices) // self.batch_size)
        batches = [slices[first::n_batches] for first in range(n_batches)]  # from all over the case, as training's are
        total = sum(self._loss_of_slices(prepared, regions, probabilities, batch) * len(batch) for batch in batches)
        return total / len(slices), len(slices)

    def _loss_of_slices(
        self,
        prepared: PreparedCase,
        regions: SliceArray,
        probabilities: Array,
        slices: npt.NDArray[np.intp],
    ) -> float:
        """The loss of a batch of slices, its weights included: what training would have said of it."""
        on_slices = torch.from_numpy(np.moveaxis(probabilities[:, slices], 1, 0).copy())
        logits = logits_of(on_slices, self.predictor.options.activation)
        inside = torch.from_numpy(np.array(regions[slices]))
        return float(self.loss(logits, inside, self._border_of(prepared, slices, inside)))

    def _border_of(self, prepared: PreparedCase, slices: npt.NDArray[np.intp], inside: Tensor) -> Tensor | None:
        if self.borders is None:
            return None
        border = torch.zeros(inside.shape)
        for row, z in enumerate(slices):
            term = self.borders.at(prepared.id, int(z))
            if term is not None:
                border[row] = torch.from_numpy(np.array(term, dtype=np.float32))
        return border

    def _loss_of_volume(self, prepared: PreparedCase, probabilities: Array) -> tuple[float, int]:
        regions = prepared.regions
        if regions is None:
            return 0.0, 0
        logits = logits_of(torch.from_numpy(probabilities[None].copy()), self.predictor.options.activation)
        array = np.array(np.asarray(regions).transpose(1, 0, 2, 3)[None], order="C")  # what is cached is read-only
        inside = torch.from_numpy(array)
        return float(self.loss(logits, inside, None)), 1


def score_of(evaluation: Evaluation, name: str) -> float:
    """The mean over regions of the case mean of a score; 0 where no case has one."""
    return mean_over_regions(evaluation, name) or 0.0


def _figures(evaluation: Evaluation) -> dict[str, Any]:
    return {
        "val_dice": score_of(evaluation, "dice"),
        "regions": {
            region: {name: metrics[name].case_mean for name in _LOGGED}
            for region, metrics in evaluation.regions.items()
        },
    }


def _published_figures(block: AsPublished) -> dict[str, Any]:
    return {result.figure.name: dict(result.obtained) for result in block.results}

"""A task of your own: the volume of tumour on a slice, as one number, without touching the package.

    python examples/own_task.py DATA RUN        # DATA: a cohort with masks and millimetres, such as a phantom's

The seam is ``glioseg.tasks.task.Task``. What a task does not say here it has from there: the cohort's description, the
drawing of the network, a plain page. It makes no bundle, so that it is used from Python: the run is evaluated again
with ``evaluate(run, …, task=VolumeTask())``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from glioseg.config import DataOptions, Recipe, read_recipe
from glioseg.console import Reporter, Step
from glioseg.core import Cohort
from glioseg.core.targets import RegionTargets
from glioseg.errors import LabelError
from glioseg.inference.classifier import classify_slices
from glioseg.networks.build import build_model
from glioseg.preparation.slices import (
    SliceIndex,
    channels_of,
    index_slices,
    largest_slice,
    take_images,
    with_neighbours,
)
from glioseg.preparation.store import PreparedCase, PreparedCohort
from glioseg.runs.options import RunOptions
from glioseg.runs.read import Data
from glioseg.runs.train import TrainResult, train
from glioseg.tasks.channels import channel_layout
from glioseg.tasks.classify.items import augment_pictures
from glioseg.tasks.data import CohortPart, TrainingData
from glioseg.tasks.scores import Scores
from glioseg.tasks.scoring import Scoring
from glioseg.tasks.segment.cohort import with_references
from glioseg.tasks.task import FinishedRun, LogColumns, Task, TrainingParts
from glioseg.training.checkpoint import BEST, load_checkpoint
from glioseg.training.job import Batch, Validation
from glioseg.training.randomness import DrawKey

REGION = 0
"""The region whose volume is learnt: the first that the recipe prepares."""


def volumes_ml(case: PreparedCase) -> npt.NDArray[np.float32]:
    """(Z,) volume of the region on each slice, from the voxels of the working grid."""
    if case.region_voxels is None or not case.working.has_mm:
        raise LabelError(f"case {case.id} has no volume in ml", expected="a reference, and millimetres")
    return (case.region_voxels[:, REGION] * case.working.voxel_ml).astype(np.float32)


@dataclass(frozen=True, eq=False)
class VolumeItems:
    """Slices with the volume of tumour on each."""

    prepared: PreparedCohort
    index: SliceIndex
    volumes: npt.NDArray[np.float32]
    channels: tuple[int, ...]
    n_neighbours: int

    @property
    def is_positive(self) -> npt.NDArray[np.bool_]:
        """(N,) whether each slice shows tumour."""
        return self.index.has_tumour

    def take(self, indices: npt.NDArray[np.int64], key: DrawKey) -> Batch:
        """The slices of a batch; targets are (B, 1) ml."""
        images = take_images(
            self.prepared,
            self.index,
            indices,
            n_neighbours=self.n_neighbours,
            channels=self.channels,
            shape=largest_slice(self.prepared),
        )
        return Batch(images, self.volumes[indices][:, None])

    def name(self, index: int) -> str:
        """The case and slice of an item."""
        return f"{self.prepared.cases[int(self.index.cases[index])].id} slice {int(self.index.slices[index]) + 1}"


def volume_loss(logits: Any, targets: Tensor, weights: Tensor | None) -> Tensor:  # noqa: ANN401 - as the loop gives them
    """Mean absolute error in ml, smooth below 1 ml (Huber)."""
    return nn.functional.smooth_l1_loss(logits.float(), targets.float())


@dataclass(frozen=True, eq=False)
class VolumeNetwork:
    """What predicts: a network with the channels and neighbours that it sees."""

    model: nn.Module
    channels: tuple[int, ...]
    n_neighbours: int

    def volumes(self, case: PreparedCase) -> npt.NDArray[np.float64]:
        """(Z,) ml on each slice, never below 0."""
        images = case.images[:, list(self.channels)]
        logits = classify_slices(
            self.model, partial(with_neighbours, images, n_neighbours=self.n_neighbours), case.n_slices
        )
        return logits[:, 0].clip(min=0)


@dataclass(frozen=True)
class VolumeFigures:
    """The figures of a part: mean absolute error over slices, and the correlation of volumes."""

    mean_error_ml: float
    correlation: float | None
    n_slices: int

    def to_json(self) -> dict[str, Any]:
        """What ``evaluation-PART.json`` holds."""
        return {"n_slices": self.n_slices, "mean_error_ml": self.mean_error_ml, "correlation": self.correlation}

    def summary_rows(self) -> list[dict[str, Any]]:
        """The same as a table of one row."""
        return [self.to_json()]


def figures_of(reference: npt.NDArray[np.floating], prediction: npt.NDArray[np.floating]) -> VolumeFigures:
    """Figures of volumes (N,) in ml; no correlation where one of them does not vary."""
    varies = min(float(reference.std()), float(prediction.std())) > 0
    correlation = float(np.corrcoef(reference, prediction)[0, 1]) if varies else None
    return VolumeFigures(float(np.abs(reference - prediction).mean()), correlation, len(reference))


class VolumeTask(Task[VolumeNetwork]):
    """The volume of tumour on a slice: a regression."""

    name = "volume"
    columns = LogColumns(
        ("error (ml)",), lambda row: (f"{row.figures['mean_error_ml']:.3f}" if row.figures else "-",), (10,)
    )

    def usable(self, cohort: Cohort, options: DataOptions, reporter: Reporter) -> Cohort:
        """The cases with a reference."""
        return with_references(cohort, options.max_patients, reporter)

    def targets(self, recipe: Recipe, cohort: Cohort, prepared: PreparedCohort) -> RegionTargets:
        """The region whose volume is learnt."""
        if prepared.scheme is None:
            raise LabelError("the meaning of the labels is not known", path=cohort.name)
        return RegionTargets(prepared.region_names[: REGION + 1], prepared.scheme)

    def network(self, recipe: Recipe, data: TrainingData) -> nn.Module:
        """The recipe's classifier with one logit, the volume."""
        n_channels = recipe.slices.n_channels(len(data.modalities))
        return build_model(recipe.model, n_channels, 1, seed=recipe.train.seed, size=recipe.prepare.size)

    def training_parts(self, recipe: Recipe, data: TrainingData, device: torch.device) -> TrainingParts:
        """Slices of the training part with their volumes."""
        part = data.prepared_part("train")
        index = index_slices(part, recipe.slices)
        by_case = [volumes_ml(case) for case in part.cases]
        volumes = np.array([by_case[case][z] for case, z in zip(index.cases, index.slices, strict=True)], np.float32)
        channels = channels_of(part, data.modalities)
        items = VolumeItems(part, index, volumes, channels, recipe.slices.n_neighbours)
        layout = channel_layout(data.modalities, recipe.slices)
        augment = partial(augment_pictures, options=recipe.augment, channels=layout)
        return TrainingParts(items, augment, volume_loss, volume_loss)

    def validator(
        self, recipe: Recipe, data: TrainingData, parts: TrainingParts, device: torch.device, on_case: Step
    ) -> Callable[[nn.Module], Validation]:
        """The error on the slices of the validation part; the smaller the better."""
        cases = data.prepared_part("val").cases
        channels = channels_of(data.prepared, data.modalities)

        def validate(model: nn.Module) -> Validation:
            network = VolumeNetwork(model, channels, recipe.slices.n_neighbours)
            reference = np.concatenate([volumes_ml(case) for case in cases])
            figures = figures_of(reference, np.concatenate([network.volumes(case) for case in cases]))
            return Validation(figures.mean_error_ml, -figures.mean_error_ml, figures.to_json())

        return validate

    def predictor_of_run(self, run: FinishedRun) -> VolumeNetwork:
        """The best model of the run folder."""
        model = self.network(run.recipe, run.data)
        model.load_state_dict(load_checkpoint(run.folder / BEST)["model"])
        channels = channels_of(run.data.prepared, run.data.modalities)
        return VolumeNetwork(model.eval(), channels, run.recipe.slices.n_neighbours)

    def score(self, predictor: VolumeNetwork, part: CohortPart, scoring: Scoring, step: Step) -> Scores:
        """A row for each slice, and the figures of all of them."""
        rows: list[dict[str, Any]] = []
        for done, case in enumerate(part.prepared.cases, start=1):
            for z, (reference, prediction) in enumerate(zip(volumes_ml(case), predictor.volumes(case), strict=True), 1):
                row = {"case": case.id, "patient": case.patient, "slice": z}
                rows.append(row | {"reference_ml": float(reference), "prediction_ml": float(prediction)})
            step(done, len(part.prepared.cases))
        reference, prediction = (np.array([row[name] for row in rows]) for name in ("reference_ml", "prediction_ml"))
        figures = figures_of(reference, prediction)
        return Scores(part.name, figures, rows, f"{part.name}: mean error {figures.mean_error_ml:.3f} ml a slice")


def main(data: Path, run: Path) -> TrainResult:
    """Train, evaluate and report on a small recipe."""
    recipe = read_recipe("classifier", ["prepare.size=48", "model.width=8", "train.epochs=4", "train.validate_every=1"])
    return train(recipe, Data(data), RunOptions(run), Reporter(), task=VolumeTask())


if __name__ == "__main__":
    for scores in main(Path(sys.argv[1]), Path(sys.argv[2])).scores.values():
        sys.stdout.write(f"{scores.text}\n")

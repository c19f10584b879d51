"""Segmenting: what the seam asks, answered for regions of each voxel."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from glioseg.config import DataOptions, Recipe
from glioseg.console import Reporter, Step
from glioseg.core import Cohort
from glioseg.core.labels import require_exclusive, whole_of_kinds
from glioseg.core.targets import RegionTargets
from glioseg.evaluation.metric import OwnMetrics, with_own
from glioseg.evaluation.metrics import CLASS_METRICS, REGION_METRICS
from glioseg.evaluation.protocol import Evaluation
from glioseg.inference.activation import n_logits, probabilities_of
from glioseg.inference.bundle import Bundle, BundleInfo
from glioseg.inference.ensemble import Ensemble
from glioseg.inference.predictor import Predictor
from glioseg.machine.device import uses_bf16
from glioseg.networks.build import build_model
from glioseg.preparation.options import PrepareOptions
from glioseg.preparation.records import SchemeRecord
from glioseg.preparation.slices import channels_of, largest_slice
from glioseg.preparation.store import PreparedCohort
from glioseg.report.run import RunPage
from glioseg.report.run_facts import CohortFacts, PartCounts, RunFacts
from glioseg.tasks.channels import channel_layout
from glioseg.tasks.confidence import Calibration, CalibrationParts, Promises
from glioseg.tasks.data import CohortPart, TrainingData
from glioseg.tasks.members import require_once_each
from glioseg.tasks.scores import Scores
from glioseg.tasks.scoring import Scoring
from glioseg.tasks.segment import report
from glioseg.tasks.segment.calibrate import calibrate_masks
from glioseg.tasks.segment.cohort import scheme_of, with_references
from glioseg.tasks.segment.detect import detect_part
from glioseg.tasks.segment.items import borders_of, training_items
from glioseg.tasks.segment.log import OWN_COLUMNS, followed_in_validation, published_columns
from glioseg.tasks.segment.predict import SegmentMembers
from glioseg.tasks.segment.predictor import predictor_of
from glioseg.tasks.segment.score import PartScored, score_one, scores_of_part, tune_options
from glioseg.tasks.segment.validation import Validator
from glioseg.tasks.task import FinishedRun, LogColumns, Task, TrainingParts
from glioseg.training.augment import augment
from glioseg.training.job import Validation
from glioseg.training.losses import build_loss


class SegmentTask(Task[Predictor]):
    """Regions of each voxel."""

    name: ClassVar[str] = "segment"
    outputs: ClassVar[str] = "logits, one per region"
    columns: ClassVar[LogColumns] = OWN_COLUMNS

    def log_columns(self, recipe: Recipe) -> LogColumns:
        """Those of the publication that the recipe follows, where it prints a validation's figures by epoch."""
        followed = followed_in_validation(recipe)
        return OWN_COLUMNS if followed is None else published_columns(followed)

    def usable(self, cohort: Cohort, options: DataOptions, reporter: Reporter) -> Cohort:
        """The cases with a reference."""
        return with_references(cohort, options.max_patients, reporter)

    def check(self, recipe: Recipe, cohort: Cohort) -> None:
        """With softmax, regions must exclude each other; kinds must be kinds of one: a LabelError says which do not."""
        if cohort.scheme is None:
            return
        regions = recipe.prepare.regions or cohort.scheme.default_regions
        if recipe.predict.activation == "softmax":
            require_exclusive(cohort.scheme, regions)
        if recipe.predict.kinds:
            whole_of_kinds(cohort.scheme, regions, recipe.predict.kinds)

    def targets(self, recipe: Recipe, cohort: Cohort, prepared: PreparedCohort) -> RegionTargets:
        """The prepared regions, and the scheme whose labels they are unions of."""
        return RegionTargets(prepared.region_names, scheme_of(prepared))

    # -- training -------------------------------------------------------------------------------------------------

    def network(self, recipe: Recipe, data: TrainingData) -> nn.Module:
        """One logit for each region or, with softmax, one more, the background's."""
        n_channels = recipe.slices.n_channels(len(data.modalities))
        n_targets = n_logits(len(data.targets.names), recipe.predict.activation)
        return build_model(recipe.model, n_channels, n_targets, seed=recipe.train.seed, size=recipe.prepare.size)

    def training_parts(self, recipe: Recipe, data: TrainingData, device: torch.device) -> TrainingParts:
        """Slices or patches with their regions."""
        items, weights = training_items(recipe, data, as_kept=device.type == "cuda")
        channels = channel_layout(data.modalities, recipe.slices)
        loss = build_loss(recipe.loss, weights, device=device)
        return TrainingParts(
            items,
            partial(augment, options=recipe.augment, channels=channels),
            loss,
            build_loss(recipe.loss, weights),
            loss.is_mean,
        )

    def validator(
        self, recipe: Recipe, data: TrainingData, parts: TrainingParts, device: torch.device, on_case: Step
    ) -> Callable[[nn.Module], Validation]:
        """Whole cases of the validation part, predicted and scored on their native grids."""
        cases = {case.id: case for case in data.cohort.cases}
        patches = recipe.patches
        quicker = None if patches is None else patches.model_copy(update={"overlap": patches.validation_overlap})
        predictor = Predictor(
            model=nn.Identity(),
            modalities=data.modalities,
            regions=data.prepared.region_names,
            scheme=scheme_of(data.prepared),
            prepare=data.prepared.options,
            slices=recipe.slices,
            options=recipe.predict.model_copy(update={"flips": "none"}),  # views cost too much at each epoch
            bf16=uses_bf16(recipe.train.precision, device),
            patches=quicker,
            shape=largest_slice(data.prepared_part("train")) if patches is None else None,
        )
        return Validator(
            predictor=predictor,
            cases=[(case, cases[case.id]) for case in data.prepared_part("val").cases],
            channels=channels_of(data.prepared, data.modalities),
            slices=recipe.slices,
            loss=parts.validation_loss,
            borders=borders_of(recipe, data, "val"),
            batch_size=recipe.train.batch_size,
            options=recipe.evaluate,
            score=recipe.train.score,  # the recipe has seen to it
            followed=followed_in_validation(recipe),
            on_case=on_case,
        )

    # -- what it becomes ------------------------------------------------------------------------------------------

    def bundle_fields(self, recipe: Recipe, data: TrainingData) -> dict[str, Any]:
        """Regions, the meaning of labels, and the size of slices that it was trained on."""
        return {
            "regions": data.prepared.region_names,
            "scheme": SchemeRecord.of(scheme_of(data.prepared)),
            "shape": largest_slice(data.prepared_part("train")) if recipe.patches is None else None,
        }

    def calibrate(
        self, bundle: Bundle, recipe: Recipe, data: TrainingData, device: str, reporter: Reporter
    ) -> dict[str, Any]:
        """Thresholds and smallest components, where the recipe has them chosen on validation."""
        if not recipe.predict.tune:
            return {}
        with reporter.progress("Choosing thresholds on validation") as step:
            return {"predict": tune_options(predictor_of(bundle, device), data.part("val"), step)}

    def predictor(self, bundle: Bundle, device: str) -> Predictor:
        """The bundle's network on a device."""
        return predictor_of(bundle, device)

    def members(self, folders: Sequence[Path], bundles: Sequence[Bundle], device: str) -> SegmentMembers:
        """Bundles as one; an OptionError for regions or labels that do not mean the same."""
        require_once_each(folders, bundles)
        ensemble = Ensemble(tuple(predictor_of(bundle, device) for bundle in bundles))
        return SegmentMembers(ensemble, tuple(bundle.info for bundle in bundles))

    def prepare_options(self, info: BundleInfo) -> PrepareOptions:
        """With the network's own regions, not those that other data's scheme would choose."""
        return info.prepare.model_copy(update={"regions": info.regions})

    def activation(self, info: BundleInfo) -> Callable[[Tensor], Tensor]:
        """Sigmoid of each region, or softmax without the background."""
        return partial(probabilities_of, activation=info.predict.activation)

    # -- scoring --------------------------------------------------------------------------------------------------

    def score_case(self, predictor: Predictor, part: CohortPart, number: int, scoring: Scoring) -> PartScored:
        """Overlap on the native grid and on the network's."""
        return score_one(predictor, part, number, scoring)

    def scores_of(
        self, predictor: Predictor, part: CohortPart, scored: Sequence[PartScored], scoring: Scoring
    ) -> Scores:
        """Overlap on the native grid, and by the publication's protocol."""
        return scores_of_part(predictor, part, scored, scoring)

    def fit_confidence(
        self, bundle: Bundle, parts: CalibrationParts, promises: Promises, page: Path, device: str, reporter: Reporter
    ) -> Calibration:
        """The expected Dice, thresholds of a promised risk, intervals of volumes and temperatures."""
        return calibrate_masks(bundle, parts, promises, page, device, reporter)

    def require_confidence(self) -> None:
        """Whatever segments can be foretold."""

    def require_contributions(self) -> None:
        """Of masks it is said."""

    def require_scores(self, own: OwnMetrics = (), *, detect: bool = False) -> None:
        """Whatever segments can be read as a detector, whose figures are those of classes."""
        with_own(CLASS_METRICS if detect else REGION_METRICS, own)

    def detect(self, predictor: Predictor, part: CohortPart, scoring: Scoring, step: Step) -> Scores:
        """Tumour or none, of each slice and case."""
        return detect_part(predictor, part, scoring, step)

    def read_figures(self, block: Mapping[str, Any]) -> Evaluation:
        """Figures by region."""
        return Evaluation.from_json(block)

    # -- pages ----------------------------------------------------------------------------------------------------

    def describe(self, data: TrainingData) -> CohortFacts:
        """The cohort, its regions and the meaning of its labels."""
        return report.describe(data.cohort, data.prepared, data.modalities)

    def count(self, data: TrainingData, part: str) -> PartCounts:
        """What is in a part, and how much of it is marked."""
        return report.count(data.prepared_part(part), data.cohort)

    def page(self, facts: RunFacts, run: FinishedRun, figures: Path) -> RunPage:
        """Overlap by region, scans, curves, cases."""
        return report.page(facts, run, figures)

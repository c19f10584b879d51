"""Classifying: what the seam asks, answered for a class of each picture or slice."""

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
from glioseg.core.targets import ClassTargets
from glioseg.errors import LabelError, OptionError
from glioseg.evaluation.class_protocol import CaseClasses, ClassEvaluation
from glioseg.evaluation.metric import OwnMetrics, with_own
from glioseg.evaluation.metrics import CLASS_METRICS
from glioseg.inference.bundle import Bundle, BundleInfo
from glioseg.inference.classifier import Classifier
from glioseg.machine.device import uses_bf16
from glioseg.networks.build import build_model
from glioseg.preparation.classes import class_names, require_classes
from glioseg.preparation.slices import channels_of
from glioseg.preparation.store import PreparedCohort
from glioseg.report.run import RunPage
from glioseg.report.run_facts import RunFacts
from glioseg.tasks.channels import channel_layout
from glioseg.tasks.classify import report
from glioseg.tasks.classify.cohort import in_colours
from glioseg.tasks.classify.items import augment_pictures, class_items
from glioseg.tasks.classify.loss import class_loss
from glioseg.tasks.classify.predict import ClassifyMembers, class_members
from glioseg.tasks.classify.predictor import classifier_of
from glioseg.tasks.classify.score import score_one, scores_of_part, temperature_of
from glioseg.tasks.classify.validation import ClassValidator
from glioseg.tasks.data import CohortPart, TrainingData, first_patients
from glioseg.tasks.scores import Scores
from glioseg.tasks.scoring import Scoring
from glioseg.tasks.segment.cohort import with_references
from glioseg.tasks.task import FinishedRun, LogColumns, Task, TrainingParts
from glioseg.training.job import Validation
from glioseg.training.log import LogRow


def log_cells(row: LogRow) -> tuple[str, ...]:
    """Accuracy, recall by class, balanced accuracy and AUC of a row of the log."""
    figures = row.figures.get("classes")
    if figures is None:
        return ("-", "", "-", "-")
    recalls = " ".join(f"{name} {_number(value)}" for name, value in figures["recall"].items())
    return _number(figures["accuracy"]), recalls, _number(figures["balanced_accuracy"]), _number(figures["auc"])


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def class_probabilities(logits: Tensor, temperature: float) -> Tensor:
    """Logits (B, K) -> calibrated probabilities: softmax of logits / temperature (Guo 2017)."""
    return torch.softmax(logits.float() / temperature, dim=1)


class ClassifyTask(Task[Classifier]):
    """A class of each picture or slice."""

    name: ClassVar[str] = "classify"
    outputs: ClassVar[str] = "logits, one per class"
    draws_copies: ClassVar[bool] = True
    columns: ClassVar[LogColumns] = LogColumns(
        ("acc.", "recall by class", "balanced", "AUC"), log_cells, (5, 9, 8, 5), spare=("balanced", "recall by class")
    )

    def usable(self, cohort: Cohort, options: DataOptions, reporter: Reporter) -> Cohort:
        """Pictures of known class, in the colours that the network sees; or cases with a reference."""
        coloured = in_colours(cohort, options.modalities)
        if coloured.categories:
            return first_patients(coloured, coloured.cases, options.max_patients)
        if all(case.labels is None for case in coloured.cases):
            raise LabelError(
                "the cases have neither classes nor masks",
                path=coloured.name,
                expected="a folder for each class, or masks, which say whether a slice shows tumour",
                remedy="Name the folder that holds the folders of all classes",
            )
        return with_references(coloured, options.max_patients, reporter)

    def targets(self, recipe: Recipe, cohort: Cohort, prepared: PreparedCohort) -> ClassTargets:
        """The classes of folders, or ``no`` and ``yes`` of slices with references."""
        return ClassTargets(class_names(cohort))

    def require(self, data: TrainingData) -> None:
        """Every class must occur in the training and in the validation part."""
        for name in ("train", "val"):
            require_classes(data.prepared_part(name), data.targets.names, name)

    # -- training -------------------------------------------------------------------------------------------------

    def network(self, recipe: Recipe, data: TrainingData) -> nn.Module:
        """One logit for each class."""
        n_channels = recipe.slices.n_channels(len(data.modalities))
        n_classes = len(data.targets.names)
        return build_model(recipe.model, n_channels, n_classes, seed=recipe.train.seed, size=recipe.prepare.size)

    def training_parts(self, recipe: Recipe, data: TrainingData, device: torch.device) -> TrainingParts:
        """Pictures with their classes."""
        part, as_kept = data.prepared_part("train"), device.type == "cuda"
        items = class_items(part, recipe.slices, data.modalities, data.targets.names, as_kept=as_kept)
        channels = channel_layout(data.modalities, recipe.slices)
        return TrainingParts(
            items,
            partial(augment_pictures, options=recipe.augment, channels=channels),
            class_loss(recipe.loss, items, device=device),
            class_loss(recipe.loss, items),
            loss_is_mean=True,
        )

    def validator(
        self, recipe: Recipe, data: TrainingData, parts: TrainingParts, device: torch.device, on_case: Step
    ) -> Callable[[nn.Module], Validation]:
        """Every slice of the validation part, each counting alike."""
        classifier = Classifier(
            model=nn.Identity(),
            modalities=data.modalities,
            classes=data.targets.names,
            prepare=data.prepared.options,
            slices=recipe.slices,
            batch_size=recipe.predict.batch_size,
            bf16=uses_bf16(recipe.train.precision, device),
        )
        return ClassValidator(
            classifier=classifier,
            cases=data.prepared_part("val").cases,
            channels=channels_of(data.prepared, data.modalities),
            loss=parts.validation_loss,
            score=recipe.train.score,  # the recipe has seen to it
            on_case=on_case,
        )

    # -- what it becomes ------------------------------------------------------------------------------------------

    def bundle_fields(self, recipe: Recipe, data: TrainingData) -> dict[str, Any]:
        """The classes, in index order."""
        return {"classes": data.targets.names}

    def calibrate(
        self, bundle: Bundle, recipe: Recipe, data: TrainingData, device: str, reporter: Reporter
    ) -> dict[str, Any]:
        """The temperature that divides the logits."""
        return {"temperature": temperature_of(classifier_of(bundle, device), data.part("val"))}

    def predictor(self, bundle: Bundle, device: str) -> Classifier:
        """The bundle's network on a device."""
        return classifier_of(bundle, device)

    def members(self, folders: Sequence[Path], bundles: Sequence[Bundle], device: str) -> ClassifyMembers:
        """Bundles as one; an OptionError for other classes, or networks that are shown other things."""
        return class_members(folders, bundles, device)

    def activation(self, info: BundleInfo) -> Callable[[Tensor], Tensor]:
        """Softmax over classes, at the bundle's temperature."""
        return partial(class_probabilities, temperature=info.temperature)

    # -- scoring --------------------------------------------------------------------------------------------------

    def score_case(self, predictor: Classifier, part: CohortPart, number: int, scoring: Scoring) -> CaseClasses:
        """What is said of a case's slices."""
        return score_one(predictor, part, number, scoring)

    def scores_of(
        self, predictor: Classifier, part: CohortPart, scored: Sequence[CaseClasses], scoring: Scoring
    ) -> Scores:
        """How well classes are told apart, and how far confidences can be trusted."""
        return scores_of_part(predictor, part, scored, scoring)

    def require_confidence(self) -> None:
        """A classifier's probability is its confidence."""
        raise OptionError(
            "a classifier's confidence is the probability of its class, calibrated when its training ended",
            expected="a network that segments",
            remedy="See how well it fits: `glioseg evaluate`",
        )

    def require_contributions(self) -> None:
        """Of classes it is said."""

    def require_scores(self, own: OwnMetrics = (), *, detect: bool = False) -> None:
        """A classifier says whether there is tumour already."""
        if detect:
            raise OptionError(
                "a classifier says classes already",
                found="`--detect`",
                expected="a network that segments",
                remedy="Leave `--detect` out",
            )
        with_own(CLASS_METRICS, own)

    def read_figures(self, block: Mapping[str, Any]) -> ClassEvaluation:
        """Figures by class."""
        return ClassEvaluation.from_json(block)

    # -- pages ----------------------------------------------------------------------------------------------------

    def page(self, facts: RunFacts, run: FinishedRun, figures: Path) -> RunPage:
        """Decisions and confidence, pictures, curves, cases."""
        return report.page(facts, run, figures)

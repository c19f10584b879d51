"""The seam: what a task decides, and nothing else does.

``runs`` reads, splits, trains, scores and reports without knowing what a network is asked for; it has a task, chosen
once from the recipe (``tasks.choose``), and calls it where the answer depends on that. A task of one's own is a
subclass, given to ``runs.train.train(…, task=…)``; ``examples/own_task.py`` is one. Tasks hold no state and are sent to
other processes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Generic, NoReturn, TypeVar

import torch
from torch import Tensor, nn

from glioseg.config import DataOptions, Recipe
from glioseg.console import Reporter, Step
from glioseg.core import Cohort
from glioseg.core.targets import Targets
from glioseg.errors import OptionError, name_some
from glioseg.evaluation.metric import OwnMetrics
from glioseg.inference.bundle import Bundle, BundleInfo, load_bundle
from glioseg.networks.summary import LevelSummary, n_parameters, network_name, option_facts, summarise_levels
from glioseg.preparation.options import PrepareOptions
from glioseg.preparation.slices import largest_slice
from glioseg.preparation.store import PreparedCohort
from glioseg.report.plain import plain_page
from glioseg.report.run import RunPage
from glioseg.report.run_facts import CohortFacts, Level, NetworkFacts, PartCounts, RunFacts, assumptions_of
from glioseg.tasks.confidence import Calibration, CalibrationParts, Promises
from glioseg.tasks.data import CohortPart, TrainingData
from glioseg.tasks.prediction import Members
from glioseg.tasks.scores import Scores
from glioseg.tasks.scoring import (
    ReadFigures,
    Scoring,
)
from glioseg.training.job import Augment, Items, Loss, Validation
from glioseg.training.log import LogRow

P = TypeVar("P")
"""What a task predicts with: a network and all that stands between a case and its answer."""


@dataclass(frozen=True, eq=False)
class TrainingParts:
    """What the loop is given.

    Args:
        items: where batches come from.
        augment: how they are changed, on the device.
        loss: on the device,
        validation_loss: and the same on the CPU, where validation computes it.
        loss_is_mean: whether the loss of a batch is the mean of those of its items, so that several processes need not
            send each other what their networks say.
    """

    items: Items
    augment: Augment
    loss: Loss
    validation_loss: Loss
    loss_is_mean: bool = False


@dataclass(frozen=True)
class LogColumns:
    """The columns of a training's live table that are a task's own: titles, and the cells of a row of the log.

    ``widths`` are what they take at least; those of ``spare`` can be left out where there is no room, the first first.
    ``words`` are said before the first row, where the figures are not what one would take them for.
    """

    titles: tuple[str, ...] = ("score",)
    cells: Callable[[LogRow], tuple[str, ...]] = field(
        default=lambda row: ("-" if row.val_score is None else f"{row.val_score:.3f}",)
    )
    widths: tuple[int, ...] = (9,)
    spare: tuple[str, ...] = ()
    words: str = ""


@dataclass(frozen=True, eq=False)
class FinishedRun:
    """A run whose training has ended, as its figures and report are made from it.

    Args:
        folder: of the run.
        recipe: what decided the training.
        data: what it worked on.
        device: where it is predicted.
        network: the module, where it was one of the caller's own.
    """

    folder: Path
    recipe: Recipe
    data: TrainingData
    device: str
    network: nn.Module | None = None

    def bundle(self) -> Bundle:
        """What was trained."""
        return load_bundle(self.folder, self.network)


class Task(ABC, Generic[P]):
    """What a network is asked for. Methods come in the order in which a run needs them."""

    name: ClassVar[str]
    outputs: ClassVar[str] = "logits"
    """What the network's last layer gives, as reports say it."""
    draws_copies: ClassVar[bool] = False
    """Whether intervals need to know which cases show the same: single pictures, whose patients are not known."""
    columns: ClassVar[LogColumns] = LogColumns()

    def log_columns(self, recipe: Recipe) -> LogColumns:
        """The columns that a training with this recipe shows: ``columns``, unless the recipe wants others."""
        return self.columns

    # -- what it is trained on ------------------------------------------------------------------------------------

    @abstractmethod
    def usable(self, cohort: Cohort, options: DataOptions, reporter: Reporter) -> Cohort:
        """The cases that can be trained on and scored; an error says what they lack."""

    def check(self, recipe: Recipe, cohort: Cohort) -> None:
        """Refuse a cohort that the recipe does not fit, before it is prepared."""

    @abstractmethod
    def targets(self, recipe: Recipe, cohort: Cohort, prepared: PreparedCohort) -> Targets:
        """What the network is asked for."""

    def require(self, data: TrainingData) -> None:
        """Refuse data from which nothing could be learnt."""

    # -- training -------------------------------------------------------------------------------------------------

    @abstractmethod
    def network(self, recipe: Recipe, data: TrainingData) -> nn.Module:
        """The network as training begins with it, on the CPU, decided by the recipe's seed."""

    @abstractmethod
    def training_parts(self, recipe: Recipe, data: TrainingData, device: torch.device) -> TrainingParts:
        """Items of the training part, augmentation and loss on a device."""

    @abstractmethod
    def validator(
        self, recipe: Recipe, data: TrainingData, parts: TrainingParts, device: torch.device, on_case: Step
    ) -> Callable[[nn.Module], Validation]:
        """What validates the network; picklable is not asked, it is made where it is used."""

    # -- what it becomes ------------------------------------------------------------------------------------------

    def bundle_fields(self, recipe: Recipe, data: TrainingData) -> dict[str, Any] | None:
        """The task's own fields of the bundle; None where it makes none."""
        return None

    def calibrate(
        self, bundle: Bundle, recipe: Recipe, data: TrainingData, device: str, reporter: Reporter
    ) -> dict[str, Any]:
        """Fields of the bundle that are found on the validation part; empty where there is nothing to find."""
        return {}

    def predictor(self, bundle: Bundle, device: str) -> P:
        """The bundle's network on a device."""
        raise self._no_bundle(bundle.info.name)

    def members(self, folders: Sequence[Path], bundles: Sequence[Bundle], device: str) -> Members:
        """Bundles as one; OptionError for networks that do not mean the same."""
        raise self._no_bundle(bundles[0].info.name)

    def prepare_options(self, info: BundleInfo) -> PrepareOptions:
        """How other data is prepared for a bundle."""
        return info.prepare

    def activation(self, info: BundleInfo) -> Callable[[Tensor], Tensor]:
        """What turns the network's logits into the probabilities that ``predict`` states."""
        raise self._no_bundle(info.name)

    # -- scoring --------------------------------------------------------------------------------------------------

    def predictor_of_run(self, run: FinishedRun) -> P:
        """What a run has trained: its bundle, unless the task makes none."""
        return self.predictor(run.bundle(), run.device)

    def score_case(self, predictor: P, part: CohortPart, number: int, scoring: Scoring) -> Any:  # noqa: ANN401 - its own
        """Predict and score one case of a part: the little that it adds, which may come from another process.

        Raises:
            OptionError: the task scores all cases together, by a ``score`` of its own.
        """
        raise OptionError(
            f"the task {self.name} scores all cases together",
            found="`--on`",
            remedy="Leave `--on` out, or override Task.score_case and Task.scores_of in place of Task.score",
        )

    def scores_of(self, predictor: P, part: CohortPart, scored: Sequence[Any], scoring: Scoring) -> Scores:
        """The scores of a part, from what ``score_case`` gave of each of its cases, in their order."""
        raise NotImplementedError

    def score(self, predictor: P, part: CohortPart, scoring: Scoring, step: Step) -> Scores:
        """Predict and score every case of a part."""
        scored = []
        for number in range(len(part.prepared.cases)):
            scored.append(self.score_case(predictor, part, number, scoring))
            step(number + 1, len(part.prepared.cases))
        return self.scores_of(predictor, part, scored, scoring)

    def detect(self, predictor: P, part: CohortPart, scoring: Scoring, step: Step) -> Scores:
        """Score by whether tumour is found at all."""
        return self._cannot_detect()

    def fit_confidence(
        self, bundle: Bundle, parts: CalibrationParts, promises: Promises, page: Path, device: str, reporter: Reporter
    ) -> Calibration:
        """A confidence in the network's answers, fitted on cases with references."""
        raise self._no_confidence()

    def require_confidence(self) -> None:
        """Refuse to fit a confidence before any work, where the task has none."""
        raise self._no_confidence()

    def require_contributions(self) -> None:
        """Refuse before any work to say what each modality contributed, where ``score`` does not."""
        raise OptionError(
            f"the task {self.name} does not say what each modality contributed",
            remedy="Leave `--contributions` out, or override Task.require_contributions and tell it in Task.score",
        )

    def require_scores(self, own: OwnMetrics = (), *, detect: bool = False) -> None:
        """Refuse before any work what the task has no scores of: detection, or metrics of one's own."""
        if detect:
            self._cannot_detect()
        if own:
            raise OptionError(
                f"the task {self.name} takes no metrics beside its own",
                found=name_some(metric.name for metric in own),
                remedy="Override Task.require_scores, and compute them in Task.score",
            )

    def read_figures(self, block: Mapping[str, Any]) -> ReadFigures:
        """The figures that stand in an ``evaluation-PART.json``; a ScoreError for another file."""
        raise OptionError(f"the task {self.name} reads no figures back", remedy="Override Task.read_figures")

    # -- pages ----------------------------------------------------------------------------------------------------

    def describe(self, data: TrainingData) -> CohortFacts:
        """The cohort and its channels, for the report."""
        return CohortFacts(
            cohort=data.cohort.name,
            layout=data.cohort.layout,
            modalities=data.modalities,
            regions={},
            has_mm=all(case.native.has_mm for case in data.prepared.cases),
            assumptions=assumptions_of(data.cohort),
        )

    def count(self, data: TrainingData, part: str) -> PartCounts:
        """What is in a part of the split: patients, cases and slices."""
        cases = data.prepared_part(part).cases
        return PartCounts(len({case.patient for case in cases}), len(cases), sum(case.n_slices for case in cases))

    def network_facts(self, recipe: Recipe, data: TrainingData) -> NetworkFacts:
        """The network as drawn in the report."""
        network = self.network(recipe, data)
        levels = summarise_levels(network, image_size(recipe, data))
        return facts_of_network(
            network_name(recipe.model), network, levels, option_facts(recipe.model), outputs=self.outputs
        )

    def page(self, facts: RunFacts, run: FinishedRun, figures: Path) -> RunPage:
        """The task's page: key figures and sections; their pictures are saved into ``figures``."""
        return plain_page(facts, figures)

    def _no_confidence(self) -> OptionError:
        return OptionError(f"the task {self.name} has no confidence to be fitted", expected="a network that segments")

    def _no_bundle(self, name: str) -> OptionError:
        return OptionError(
            f"the task {self.name} makes no bundles", found=name, remedy="Use the run folder, from Python"
        )

    def _cannot_detect(self) -> NoReturn:
        raise OptionError(
            f"the task {self.name} does not segment",
            found="`--detect`",
            expected="a network that segments",
            remedy="Leave `--detect` out",
        )


AnyTask = Task[Any]


def image_size(recipe: Recipe, data: TrainingData) -> tuple[int, ...]:
    """The size of the images of a training, as its network is drawn for."""
    return largest_slice(data.prepared) if recipe.patches is None else recipe.patches.voxels


def facts_of_network(
    name: str, network: nn.Module, levels: Sequence[LevelSummary], options: Mapping[str, str], *, outputs: str
) -> NetworkFacts:
    """A network and its levels, as a report draws them."""
    return NetworkFacts(
        name=name,
        levels=tuple(
            Level(
                kind=level.kind,
                channels=level.channels,
                size=level.size,
                name=level.words,
                attention=level.attention,
                sources=level.sources,
                joined=level.joined,
                column=level.column,
            )
            for level in levels
        ),
        n_parameters=n_parameters(network),
        facts=options,
        outputs=outputs,
    )

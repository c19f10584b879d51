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
from typing import Any, ClassVar, Generic, NoReturn, Protocol, TypeVar

import torch
from torch import Tensor, nn

from glioseg.config import DataOptions, Recipe
from glioseg.console import Reporter, Step
from glioseg.core import Case, Cohort, Image
from glioseg.core.case import Counted
from glioseg.core.targets import Targets
from glioseg.errors import OptionError, name_some
from glioseg.evaluation.comparable import Reason
from glioseg.evaluation.metric import OwnMetrics
from glioseg.evaluation.protocol import EvaluateOptions
from glioseg.evaluation.published import PublishedRow
from glioseg.evaluation.table import Row
from glioseg.inference.bundle import Bundle, BundleInfo, load_bundle
from glioseg.inference.uncertainty import UncertaintyOptions
from glioseg.networks.summary import LevelSummary, n_parameters, network_name, option_facts, summarise_levels
from glioseg.preparation.options import PrepareOptions
from glioseg.preparation.ready.result import ReadyScan
from glioseg.preparation.slices import largest_slice
from glioseg.preparation.store import PreparedCohort
from glioseg.report.plain import plain_page
from glioseg.report.predictions import PredictedCase, PredictionsPage
from glioseg.report.run import RunPage
from glioseg.report.run_facts import DataFacts, Level, NetworkFacts, PartCounts, RunFacts, assumptions_of
from glioseg.tasks.data import Part, TrainingData
from glioseg.tasks.members import stem_of
from glioseg.tasks.scores import Figures as Figures
from glioseg.tasks.scores import Scores as Scores
from glioseg.tasks.wanted import NOTHING_MORE, Wanted
from glioseg.training.job import Augment, Items, Loss, Validation
from glioseg.training.log import LogRow

P = TypeVar("P")
"""What a task predicts with: a network and all that stands between a case and its answer."""


class PublishedFigures(Protocol):
    """Published and obtained figures side by side."""

    @property
    def not_comparable(self) -> tuple[str, ...]:
        """Why the two must not be read against each other; empty where they may."""

    def rows(self, part: str) -> list[PublishedRow]:
        """Those that are of a part."""


class ReadFigures(Protocol):
    """Figures as a study reads them back."""

    @property
    def as_published(self) -> PublishedFigures | None:
        """Those of the publication that the recipe follows."""


@dataclass(frozen=True)
class Publication:
    """What a recipe follows, and in what a run is not as it was there, beyond what the figures themselves tell."""

    protocol: Any = None
    reasons: tuple[Reason, ...] = ()


NOBODY = Publication()


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


@dataclass(frozen=True)
class WrittenCase:
    """What ``predict`` wrote for one case.

    Args:
        case: its id.
        file: the mask or picture; the JSON file where no mask was asked for.
        row: of ``summary.csv``.
        text: a line for people.
        facts: what ``predict --json`` prints of it.
        warnings: why it should be looked at with care, a sentence each; options as messages write them (``faces``).
        sidecar: what the JSON file of the case says,
        picture: and its picture, a file; the page is made of the two.
        files: that must all be there, or the case has to be predicted again.
    """

    case: str
    file: Path
    row: Row
    text: str
    facts: Mapping[str, Any]
    sidecar: Mapping[str, Any]
    picture: Path
    files: tuple[Path, ...] = ()
    warnings: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """In a line."""
        return f"WrittenCase({self.text})"


@dataclass(frozen=True)
class Scoring:
    """How a part is scored.

    Args:
        options: how figures are averaged.
        publication: what the recipe follows, and is also scored by.
        metrics: of the caller's own, besides those of ``evaluation.metrics``.
        contributions: whether it is also scored with each modality removed and permuted.
    """

    options: EvaluateOptions
    publication: Publication = NOBODY
    metrics: OwnMetrics = ()
    contributions: bool = False


@dataclass(frozen=True, eq=False)
class ScoredCohort:
    """What an ensemble is scored on.

    Args:
        cohort: all of it, which is what is prepared, so that what a training has prepared serves again.
        part: what the figures are called,
        patients: and who is in it.
        is_other: whether it is data that the networks did not grow up with: its damaged cases are left out.
    """

    cohort: Cohort
    part: str
    patients: frozenset[str]
    is_other: bool = False

    @property
    def cases(self) -> tuple[Case, ...]:
        """The cases that are scored."""
        return tuple(case for case in self.cohort.cases if case.patient in self.patients)


@dataclass(frozen=True)
class ScoringPlace:
    """Where an ensemble is scored: the folder of prepared data, groups of cases that show the same, and who is told."""

    cache: Path
    copies: tuple[frozenset[str], ...]
    reporter: Reporter


@dataclass(frozen=True)
class Promises:
    """What a calibration promises of patients not seen.

    Args:
        risk: expected share of a region that is missed, at most.
        level: how often an interval holds a volume, at least.
    """

    risk: float = 0.1
    level: float = 0.9


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Cases with references, and the network that is asked about them, which was not trained on them.

    Args:
        part: the cases.
        bundle: the network.
    """

    part: Part
    bundle: Bundle


@dataclass(frozen=True, eq=False)
class CalibrationParts:
    """What a confidence is fitted and checked on.

    Args:
        fitted: cases that the network was not trained on; of a network that was trained on all there are, the held-out
            cases of its folds, each judged by the fold's own network.
        words: what they are.
        checked: others, that have no part in the fitting; None where there are none.
        checked_words: what these are.
        checked_is_other: whether they are other data, whose patients are no fellows of those fitted.
        training: what the network was trained on, for what scans look like there; None where that is not at hand.
        counted: what the cases are counted in.
    """

    fitted: tuple[HeldOut, ...]
    words: str
    checked: Part | None = None
    checked_words: str = ""
    checked_is_other: bool = False
    training: Part | None = None
    counted: Counted = "patient"


@dataclass(frozen=True)
class Calibration:
    """A fitted confidence.

    Args:
        block: what the bundle keeps.
        figures: how well it does, as ``calibration.json`` holds it.
        text: the figures in a few lines for people.
        page: that shows them.
    """

    block: Mapping[str, Any]
    figures: Mapping[str, Any]
    text: str
    page: Path


Scans = Image | ReadyScan
"""What networks see: scans as they were acquired, on one grid, or made ready."""


class CasePrediction(ABC):
    """What networks say of one case."""

    name: str
    """What the case is called."""

    @abstractmethod
    def save(self, out: str | Path) -> WrittenCase:
        """Write the files of the case into a folder, which is made where it is absent.

        Raises:
            FileError: they cannot be written.
        """

    @abstractmethod
    def _repr_html_(self) -> str:
        """A picture and the figures, for notebooks."""


class Members(ABC):
    """One network or several whose probabilities are averaged, ready for cases as they come.

    Args:
        infos: what the bundle of each says.
    """

    infos: tuple[BundleInfo, ...]

    @property
    @abstractmethod
    def modalities(self) -> tuple[str, ...]:
        """What a case must have."""

    @abstractmethod
    def require(self, case: Case, wanted: Wanted = NOTHING_MORE) -> None:
        """Raise a GeometryError unless each network can see the case, an OptionError for what cannot be had of it."""

    @abstractmethod
    def read(self, case: Case, wanted: Wanted = NOTHING_MORE) -> Scans:
        """The scans of a case, as the networks want them; errors name its files."""

    @abstractmethod
    def predict(self, case: Case, wanted: Wanted = NOTHING_MORE, scans: Scans | None = None) -> CasePrediction:
        """Predict a case; errors name its files.

        Args:
            case: where its scans are.
            wanted: what is asked beside the answer.
            scans: what ``read`` gave; None reads them.
        """

    @abstractmethod
    def predict_image(self, name: str, image: Image, wanted: Wanted = NOTHING_MORE) -> CasePrediction:
        """Predict an image that is at hand.

        Raises:
            GeometryError: it lacks a modality that a network needs.
        """

    @abstractmethod
    def files(self, case: Case) -> list[str]:
        """Names of all files that ``predict`` may write for a case."""

    def claims(self, case: Case, wanted: Wanted) -> frozenset[str]:
        """What no other case in the folder may have: the name of its files."""
        return frozenset({stem_of(case)})

    @property
    def samples(self) -> UncertaintyOptions:
        """How the networks are asked again where it is not said how."""
        return UncertaintyOptions()

    @property
    @abstractmethod
    def model_id(self) -> str:
        """The networks' ids, joined."""

    @abstractmethod
    def written(self, sidecar: Mapping[str, Any], folder: Path) -> WrittenCase:
        """What was written for a case into a folder, from its JSON file; a KeyError where that is another's."""

    @abstractmethod
    def page(self, cases: Sequence[PredictedCase]) -> PredictionsPage:
        """What the page of ``predict`` shows of the cases, whatever the order in which they were predicted."""

    @abstractmethod
    def score(self, scored: ScoredCohort, scoring: Scoring, place: ScoringPlace) -> Scores:
        """Score the mean of the networks on a part of a cohort, each network beside it."""

    @abstractmethod
    def part(self, scored: ScoredCohort, place: ScoringPlace) -> Part:
        """What is scored, prepared as the first network sees it."""

    def facts_of(self, scored: ScoredData) -> tuple[DataFacts, PartCounts]:
        """The data that was scored, and what is in it, for the page."""
        cohort, cases = scored.cohort, scored.part.prepared.cases
        about = DataFacts(
            cohort.name,
            cohort.layout,
            self.modalities,
            {},
            has_mm=all(case.native.has_mm for case in cases),
            assumptions=assumptions_of(cohort),
        )
        patients = {case.patient for case in cases}
        return about, PartCounts(len(patients), len(cases), sum(case.n_slices for case in cases))

    @abstractmethod
    def page_of_scores(self, facts: RunFacts, scored: ScoredData, figures: Path) -> RunPage:
        """Key figures and sections of data that was scored; their pictures are saved into ``figures``."""


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


@dataclass(frozen=True, eq=False)
class ScoredData:
    """Data that one or several networks were scored on as one, and how they did there.

    Args:
        infos: of the networks.
        cohort: as read.
        part: what was scored of it, prepared.
        scores: of the networks on it.
    """

    infos: tuple[BundleInfo, ...]
    cohort: Cohort
    part: Part
    scores: Scores


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

    def score_case(self, predictor: P, part: Part, number: int, scoring: Scoring) -> Any:  # noqa: ANN401 - its own
        """Predict and score one case of a part: the little that it adds, which may come from another process.

        Raises:
            OptionError: the task scores all cases together, by a ``score`` of its own.
        """
        raise OptionError(
            f"the task {self.name} scores all cases together",
            found="`--on`",
            remedy="Leave `--on` out, or override Task.score_case and Task.scores_of in place of Task.score",
        )

    def scores_of(self, predictor: P, part: Part, scored: Sequence[Any], scoring: Scoring) -> Scores:
        """The scores of a part, from what ``score_case`` gave of each of its cases, in their order."""
        raise NotImplementedError

    def score(self, predictor: P, part: Part, scoring: Scoring, step: Step) -> Scores:
        """Predict and score every case of a part."""
        scored = []
        for number in range(len(part.prepared.cases)):
            scored.append(self.score_case(predictor, part, number, scoring))
            step(number + 1, len(part.prepared.cases))
        return self.scores_of(predictor, part, scored, scoring)

    def detect(self, predictor: P, part: Part, scoring: Scoring, step: Step) -> Scores:
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

    def describe(self, data: TrainingData) -> DataFacts:
        """The cohort and its channels, for the report."""
        return DataFacts(
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

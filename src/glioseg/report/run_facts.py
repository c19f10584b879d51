"""What the report of a training run is told: plain data, so that whoever trains fills it and the report draws it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, Literal, TypeVar

import numpy as np
import numpy.typing as npt

from glioseg.core import HEADLINE_ORDER, Cohort
from glioseg.errors import GeometryError
from glioseg.evaluation.class_protocol import ClassEvaluation
from glioseg.evaluation.confidence import CheckRecord
from glioseg.evaluation.protocol import Evaluation
from glioseg.evaluation.published import PublishedProtocol
from glioseg.evaluation.table import Row
from glioseg.faces import on_command_line
from glioseg.report.classified import ClassifiedPicture
from glioseg.report.figures.views import Cut
from glioseg.report.predictions import NetworkCard
from glioseg.training.log import LogRow

GalleryKind = Literal["best", "median", "worst", "no-tumour"]
LevelKind = Literal["input", "down", "up", "head"]
SplitUnit = Literal["patient", "slice", "picture", "case"]
Mask = npt.NDArray[np.bool_]
FiguresT = TypeVar("FiguresT", covariant=True)
"""The figures of a part, as its task reads them: ``Evaluation`` or ``ClassEvaluation``."""


@dataclass(frozen=True)
class RecipeFacts:
    """The recipe of the run.

    Args:
        name: what ``glioseg train`` calls it.
        text: the resolved TOML.
        about: one sentence.
        after: the publication it follows, if any.
        notes: what was chosen where the publication is ambiguous.
    """

    name: str
    text: str
    about: str = ""
    after: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class CohortFacts:
    """A cohort that was trained or scored on, as pages tell of it.

    Args:
        cohort: its name.
        layout: as which it was recognised.
        modalities: channels of the network, in order.
        regions: region -> the labels it is the union of, in the order that they are scored.
        scheme: name of the label scheme.
        labels: the scheme in words.
        has_mm: whether millimetres are known.
        marked: what the regions mark, in a word.
        assumptions: what was assumed of the data and must be said.
    """

    cohort: str
    layout: str
    modalities: tuple[str, ...]
    regions: Mapping[str, tuple[str, ...]]
    scheme: str = ""
    labels: str = ""
    has_mm: bool = True
    marked: Literal["tumour", "tissue"] = "tumour"
    assumptions: tuple[str, ...] = ()


def assumptions_of(cohort: Cohort) -> tuple[str, ...]:
    """What a reader has assumed of a cohort, as its findings say it."""
    return tuple(on_command_line(finding.message) for finding in cohort.findings if finding.kind.startswith("assumed"))


@dataclass(frozen=True)
class PartCounts:
    """One part of the split.

    Args:
        n_patients, n_cases, n_slices: how many; where slices are cases, the patients are still those whose they are.
        n_marked_slices: slices whose reference marks any voxel; None where that is not known.
        marked_share: voxels of any region / all voxels; None where that is not known.
    """

    n_patients: int
    n_cases: int
    n_slices: int
    n_marked_slices: int | None = None
    marked_share: float | None = None


@dataclass(frozen=True)
class SplitFacts:
    """How the cohort was divided.

    Args:
        parts: ``train``, ``val``, ``test`` (where there is one) -> counts.
        unit: what was drawn; ``slice`` leaks, ``picture`` and ``case`` mean that patients are not known.
        seed: of the draw; None for a split that was given.
        hash: names the split.
        fold: which of how many folds, counted from 1; None without folds.
    """

    parts: Mapping[str, PartCounts]
    unit: SplitUnit = "patient"
    seed: int | None = None
    hash: str = ""
    fold: tuple[int, int] | None = None


@dataclass(frozen=True)
class PartScores(Generic[FiguresT]):
    """An evaluated part.

    Args:
        evaluation: its figures, as ``evaluation-PART.json`` holds them.
        rows: its cases, as ``cases-PART.csv`` holds them.
    """

    evaluation: FiguresT
    rows: Sequence[Row] = ()


@dataclass(frozen=True, eq=False)
class GalleryItem:
    """A slice with its reference and its prediction; see ``gallery.gallery_item``, which cuts one from volumes.

    Args:
        case: its id.
        z: the slice, counted from 0.
        n_slices: of the case.
        part: of the split.
        kind: why it is shown.
        pictures: modality -> (rows, columns) uint8, or ``picture`` -> (rows, columns, 3); the right way up, all alike.
        reference: region -> (rows, columns) bool.
        prediction: the same regions.
        dice: of the case, the mean over the regions that cases are ranked by; None where it is undefined.
        spacing: distance between rows and between columns.
        marks: letters at the left, right, top and bottom edge; None where the orientation is unknown.

    Raises:
        GeometryError: nothing to show, other regions in the prediction than in the reference, or differing sizes.
    """

    case: str
    z: int
    n_slices: int
    part: str
    kind: GalleryKind
    pictures: Mapping[str, npt.NDArray[np.uint8]]
    reference: Mapping[str, Mask]
    prediction: Mapping[str, Mask]
    dice: float | None = None
    spacing: tuple[float, float] = (1.0, 1.0)
    marks: tuple[str, str, str, str] | None = None

    def __post_init__(self) -> None:
        if not self.pictures or not self.reference or list(self.reference) != list(self.prediction):
            raise GeometryError(
                f"slice {self.z} of case {self.case} needs a picture and the same regions twice",
                found=f"pictures {list(self.pictures)}, prediction {list(self.prediction)}",
                expected=f"prediction {list(self.reference)}",
            )
        size = self.size
        for array in (*self.pictures.values(), *self.reference.values(), *self.prediction.values()):
            if array.shape[:2] != size:
                raise GeometryError(
                    f"pictures and masks of slice {self.z} of case {self.case} differ in size",
                    found=array.shape,
                    expected=size,
                )

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns."""
        rows, columns = next(iter(self.pictures.values())).shape[:2]
        return int(rows), int(columns)

    def cut(self, modality: str) -> Cut:
        """A picture with what is needed to draw it in proportion."""
        return Cut(self.pictures[modality], self.spacing, self.marks)


@dataclass(frozen=True, eq=False)
class WeightMap:
    """A slice's reference and the weights that the loss gives its pixels.

    Args:
        case: its id.
        z: the slice, counted from 0.
        mask: (rows, columns) bool, as it is displayed.
        weights: (rows, columns), not negative.
        region: whose mask it is; may be empty where there is but one.

    Raises:
        GeometryError: the sizes differ.
    """

    case: str
    z: int
    mask: Mask
    weights: npt.NDArray[np.floating]
    region: str = ""

    def __post_init__(self) -> None:
        if self.mask.shape != self.weights.shape or self.mask.ndim != 2:
            raise GeometryError(
                f"the weight map of case {self.case} does not fit its mask",
                found=self.weights.shape,
                expected=self.mask.shape,
            )


@dataclass(frozen=True)
class Level:
    """One level of a network, as the built module has it, after those that feed it.

    Args:
        kind: ``input`` and ``head`` once each; ``down`` up to and with the lowest; ``up``.
        channels: at its end.
        size: of its grid; empty where there is none.
        name: in words, such as ``2 × (conv 3×3, batch norm, ReLU)``.
        attention: whether the skip that enters it is gated.
        sources: the levels that feed it, by their place from 0: first the one it goes on from, then skips. Empty for
            the level before, alone.
        joined: how the skips come in, such as ``concatenated``.
        column: where it is drawn, from 0 on the left, input and head aside; None for one further than the level before.
    """

    kind: LevelKind
    channels: int
    size: tuple[int, ...]
    name: str = ""
    attention: bool = False
    sources: tuple[int, ...] = ()
    joined: str = ""
    column: int | None = None


@dataclass(frozen=True)
class NetworkFacts:
    """The network, from its module.

    Args:
        name: such as ``U-Net``.
        levels: the input first, the head last, each after those that feed it.
        n_parameters: that are trained.
        facts: name -> value of what else is worth saying (normalisation, up-sampling, dropout).
        outputs: what its last layer gives, such as ``logits, one per region``.
    """

    name: str
    levels: tuple[Level, ...]
    n_parameters: int | None = None
    facts: Mapping[str, str] = field(default_factory=dict)
    outputs: str = "logits"


@dataclass(frozen=True)
class Baseline:
    """What a simple method reaches on the same patients, to be read beside the network.

    Args:
        name: such as ``best threshold on FLAIR``.
        dice: mean over cases.
        region: of which region.
        part: on which part.
    """

    name: str
    dice: float
    region: str
    part: str


@dataclass(frozen=True)
class Timing:
    """How long things took; None where that was not measured.

    Args:
        training_s: the whole training, validation included.
        images_per_s: slices or patches that training steps got through; median over epochs.
        evaluation_s: predicting and scoring after the training.
        peak_memory_mib: the most that the process held, from its start to the end of the evaluation.
    """

    training_s: float | None = None
    images_per_s: float | None = None
    evaluation_s: float | None = None
    peak_memory_mib: float | None = None


@dataclass(frozen=True)
class ScoredNetwork:
    """A network that was scored on other data: what its page says of it and, of one among several, its own figures."""

    card: NetworkCard
    figures: Mapping[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class RunFacts:
    """What the report of every run shows, whatever its task; all but recipe, data and split may be empty.

    Args:
        recipe: the recipe.
        data: the cohort.
        split: its division.
        log: the rows of ``log.jsonl``.
        best_epoch: of the model that was kept, from 0 as in the log; None before the first validation.
        keep: whether that was the ``best`` on validation, or the ``last``.
        n_epochs: how many the recipe asks for; None where unknown.
        score: what ``val_score`` is.
        network: what was trained.
        networks: on the page of other data, whose figures stand there.
        environment: facts by name.
        timing: how long it took.
        baseline: a simple method's figure.
        methods: what a paper would say, paragraph by paragraph, and then what it would cite.
    """

    recipe: RecipeFacts
    data: CohortFacts
    split: SplitFacts
    log: Sequence[LogRow] = ()
    best_epoch: int | None = None
    keep: Literal["best", "last"] = "best"
    n_epochs: int | None = None
    score: str = "dice"
    network: NetworkFacts | None = None
    networks: tuple[ScoredNetwork, ...] = ()
    environment: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    timing: Timing = Timing()
    baseline: Baseline | None = None
    methods: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class ScoredFacts(RunFacts, Generic[FiguresT]):
    """A run whose evaluated parts the report shows.

    Args:
        parts: ``test``, ``val``, ``train``, as far as they were evaluated.
    """

    parts: Mapping[str, PartScores[FiguresT]] = field(default_factory=dict)

    @property
    def headline(self) -> str | None:
        """The part whose figures stand on top: test, else validation, else training; None before any evaluation."""
        return next((name for name in HEADLINE_ORDER if name in self.parts), next(iter(self.parts), None))

    @property
    def ordered_parts(self) -> tuple[str, ...]:
        """The evaluated parts, that of the headline first."""
        usual = [name for name in HEADLINE_ORDER if name in self.parts]
        return (*usual, *(name for name in self.parts if name not in usual))


@dataclass(frozen=True, eq=False)
class SegmentationFacts(ScoredFacts[Evaluation]):
    """What the report of a network that segments shows besides.

    Args:
        gallery: slices to be shown.
        outlined: the regions whose union is outlined over scans; all where empty.
        followed: how the publication that the recipe follows scored its validation part, by epoch.
        weight_maps: for losses that have them.
        parts_are: what ``parts`` are, in the tables of several.
        confidence_on: on whom a confidence in the masks was fitted, in words; empty where none was.
        confidence_checks: how well it foretold the Dice of others, the check that counts first.
    """

    gallery: Sequence[GalleryItem] = ()
    outlined: tuple[str, ...] = ()
    followed: PublishedProtocol | None = None
    weight_maps: Sequence[WeightMap] = ()
    parts_are: str = "Part"
    confidence_on: str = ""
    confidence_checks: tuple[CheckRecord, ...] = ()


@dataclass(frozen=True, eq=False)
class ClassificationFacts(ScoredFacts[ClassEvaluation]):
    """What the report of a classifier shows besides.

    Args:
        names: the classes, in index order.
        counts: part -> class -> pictures (slices).
        right: pictures that were said rightly,
        wrong: and wrongly, the surest first.
        temperatures: that divide the logits, of each network.
    """

    names: tuple[str, ...] = ()
    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    right: Sequence[ClassifiedPicture] = ()
    wrong: Sequence[ClassifiedPicture] = ()
    temperatures: tuple[float, ...] = (1.0,)

"""Networks ready for cases as they come, what they say of one, and what is written of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glioseg.core import Case, Image
from glioseg.evaluation.table import Row
from glioseg.inference.bundle import BundleInfo
from glioseg.inference.uncertainty import UncertaintyOptions
from glioseg.preparation.ready.result import ReadyScan
from glioseg.report.predictions import PredictedCase, PredictionsPage
from glioseg.report.run import RunPage
from glioseg.report.run_facts import CohortFacts, PartCounts, RunFacts, assumptions_of
from glioseg.tasks.data import CohortPart
from glioseg.tasks.members import stem_of
from glioseg.tasks.scores import Scores
from glioseg.tasks.scoring import (
    ScoredCohort,
    ScoredData,
    Scoring,
    ScoringPlace,
)
from glioseg.tasks.wanted import NOTHING_MORE, Wanted


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
    def part(self, scored: ScoredCohort, place: ScoringPlace) -> CohortPart:
        """What is scored, prepared as the first network sees it."""

    def facts_of(self, scored: ScoredData) -> tuple[CohortFacts, PartCounts]:
        """The data that was scored, and what is in it, for the page."""
        cohort, cases = scored.cohort, scored.part.prepared.cases
        about = CohortFacts(
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

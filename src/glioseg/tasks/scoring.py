"""How cases are scored, and on what: what every task is told alike."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from glioseg.console import Reporter
from glioseg.core import Case, Cohort
from glioseg.evaluation.comparable import Reason
from glioseg.evaluation.metric import OwnMetrics
from glioseg.evaluation.protocol import EvaluateOptions
from glioseg.evaluation.published import PublishedRow
from glioseg.inference.bundle import BundleInfo
from glioseg.tasks.data import CohortPart
from glioseg.tasks.scores import Scores


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
    part: CohortPart
    scores: Scores

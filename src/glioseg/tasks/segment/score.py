"""A network that segments on a part of a cohort: scores, tables, and the thresholds that suit it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from glioseg.console import Step
from glioseg.core import Facts
from glioseg.core.labels import encode_regions
from glioseg.evaluation.cases import CaseScores
from glioseg.evaluation.comparable import Reason
from glioseg.evaluation.lesions import LesionRule
from glioseg.evaluation.metric import RegionMetrics
from glioseg.evaluation.metrics import COUNTED_METRICS
from glioseg.evaluation.protocol import aggregate
from glioseg.evaluation.published import AsPublished, PublishedProtocol, protocol_of, published
from glioseg.evaluation.table import case_rows
from glioseg.evaluation.threshold import CaseSearch, ThresholdOptions, choose, search_case
from glioseg.inference.options import PredictOptions
from glioseg.inference.predictor import Predictor
from glioseg.inference.scoring import ScoredCase, score_prepared
from glioseg.preparation.slices import SliceOptions, channels_of
from glioseg.preparation.store import PreparedCase
from glioseg.tasks.data import CohortPart
from glioseg.tasks.scores import Scores
from glioseg.tasks.scoring import Scoring
from glioseg.tasks.segment.cohort import scheme_of
from glioseg.tasks.texts import regions_text


def score_cases(
    predictor: Predictor,
    part: CohortPart,
    *,
    step: Step,
) -> Iterator[tuple[PreparedCase, ScoredCase]]:
    """Every case of a part, predicted and scored by what is made of counts, one after the other."""
    for number, case in enumerate(part.prepared.cases, start=1):
        yield case, _scored(predictor, part, case, curves=False, metrics=COUNTED_METRICS)
        step(number, len(part.prepared.cases))


def _scored(
    predictor: Predictor,
    part: CohortPart,
    case: PreparedCase,
    *,
    curves: bool,
    metrics: RegionMetrics,
    detect_by: LesionRule | None = None,
    contributions: bool = False,
) -> ScoredCase:
    return score_prepared(
        predictor,
        case,
        part.cases[case.id],
        channels_of(part.prepared, predictor.modalities),
        scheme_of(part.prepared),
        curves=curves,
        metrics=metrics,
        detect_by=detect_by,
        contributions=contributions,
    )


@dataclass(frozen=True, eq=False)
class PartScored:
    """The scores of the cases of a part, as they come in.

    Args:
        native: on the native grids, and
        working: on the network's.
        kept: case id -> (S,) the slices of the network's grid that the recipe keeps.
    """

    native: list[CaseScores] = field(default_factory=list)
    working: list[CaseScores] = field(default_factory=list)
    kept: dict[str, npt.NDArray[np.bool_]] = field(default_factory=dict)

    def add(self, case: PreparedCase, result: ScoredCase, slices: SliceOptions) -> None:
        """One more case."""
        self.native.append(result.scores)
        self.working.append(result.working)
        self.kept[case.id] = slices.keeps(case.non_black)

    def join(self, other: PartScored) -> None:
        """The cases of another, behind those that there are."""
        self.native.extend(other.native)
        self.working.extend(other.working)
        self.kept.update(other.kept)


def as_published(scored: PartScored, protocol: PublishedProtocol, reasons: Sequence[Reason] = ()) -> AsPublished:
    """A part by a publication's protocol, on the grid that it names; errors as of ``evaluation.published``."""
    on_working = protocol.grid == "working"
    return published(
        scored.working if on_working else scored.native,
        protocol,
        kept_slices=scored.kept if on_working else None,
        reasons=reasons,
    )


def score_one(predictor: Predictor, part: CohortPart, number: int, scoring: Scoring) -> PartScored:
    """One case of a part, predicted and scored.

    Args:
        predictor: the network.
        part: its cases need references.
        number: of the case, from 0.
        scoring: how scores are averaged, and metrics of the caller's own.
    """
    metrics, lesions = scoring.options.metrics(scoring.metrics), scoring.options.lesions
    case, scored = part.prepared.cases[number], PartScored()
    result = _scored(
        predictor,
        part,
        case,
        curves=True,
        metrics=metrics,
        detect_by=lesions,
        contributions=scoring.contributions,
    )
    scored.add(case, result, predictor.slices)
    return scored


def scores_of_part(predictor: Predictor, part: CohortPart, cases: Sequence[PartScored], scoring: Scoring) -> Scores:
    """The scores of a part on the native grid and, where the recipe follows a publication, by its protocol.

    Args:
        predictor: the network.
        part: what was scored,
        cases: and the scores of each of its cases, in order.
        scoring: how scores are averaged, what the recipe follows, and metrics of the caller's own.
    """
    scored, publication = PartScored(), scoring.publication
    for case in cases:
        scored.join(case)
    block = None
    if isinstance(publication.protocol, PublishedProtocol):
        protocol, reasons = protocol_of(publication.protocol, part.name)
        block = as_published(scored, protocol, (*reasons, *publication.reasons))
    facts = {name: case.facts for name, case in part.cases.items()}
    return scores_of(part.name, scored.native, scoring, block, predictor.options.kinds, facts)


def scores_of(
    part: str,
    cases: list[CaseScores],
    scoring: Scoring,
    block: AsPublished | None = None,
    kinds: Sequence[str] = (),
    facts: Mapping[str, Facts] | None = None,
) -> Scores:
    """Figures and table of a part, from the scores of its cases; see ``aggregate`` for the arguments."""
    metrics = scoring.options.metrics(scoring.metrics)
    evaluation = aggregate(cases, scoring.options, block, metrics, kinds, facts)
    text = regions_text(part, evaluation, own=scoring.metrics)
    return Scores(part, evaluation, case_rows(cases, metrics), text, more=evaluation.further.tables())


def tune_options(predictor: Predictor, part: CohortPart, step: Step) -> PredictOptions:
    """Thresholds and smallest components chosen on a part, which must be the validation part."""
    options = ThresholdOptions()
    searches: list[CaseSearch] = []
    for case, result in score_cases(predictor, part, step=step):
        reference = encode_regions(result.reference.array, result.reference.scheme, predictor.regions)
        searches.append(search_case(case.id, result.prediction.probabilities, reference, predictor.regions, options))
    choices = choose(searches, options)
    return predictor.options.model_copy(
        update={
            "thresholds": {region: choice.threshold for region, choice in choices.items()},
            "min_voxels": {region: choice.min_voxels for region, choice in choices.items()},
        }
    )

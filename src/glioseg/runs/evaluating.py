"""A trained network on a part of a cohort: scores, tables and what the report shows of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from glioseg.core import Case, Cohort
from glioseg.core.labels import encode_regions
from glioseg.evaluation.cases import CaseScores
from glioseg.evaluation.protocol import EvaluateOptions, Evaluation, aggregate
from glioseg.evaluation.published import PublishedProtocol, published
from glioseg.evaluation.table import case_rows, rows_to_csv
from glioseg.evaluation.threshold import CaseSearch, ThresholdOptions, choose, search_case
from glioseg.inference.options import PredictOptions
from glioseg.inference.predictor import Predictor
from glioseg.inference.scoring import ScoredCase, score_prepared
from glioseg.io.files import write_json, write_text
from glioseg.preparation.slices import channels_of
from glioseg.preparation.store import PreparedCase, PreparedCohort

Step = Callable[[int, int], None]


@dataclass(frozen=True)
class Part:
    """A part of a cohort: prepared, and as it was read."""

    name: str
    prepared: PreparedCohort
    cases: Mapping[str, Case]

    @classmethod
    def of(cls, name: str, prepared: PreparedCohort, cohort: Cohort) -> Part:
        """The cases of ``prepared`` with their sources in ``cohort``."""
        wanted = {case.id for case in prepared.cases}
        return cls(name, prepared, {case.id: case for case in cohort.cases if case.id in wanted})


def scored(predictor: Predictor, part: Part, *, curves: bool, step: Step) -> Iterator[tuple[PreparedCase, ScoredCase]]:
    """Every case of a part, predicted and scored, one after the other."""
    channels = channels_of(part.prepared, predictor.modalities)
    scheme = part.prepared.scheme
    assert scheme is not None, "cohorts without a scheme are refused before"
    for done, case in enumerate(part.prepared.cases):
        yield case, score_prepared(predictor, case, part.cases[case.id], channels, scheme, curves=curves)
        step(done + 1, len(part.prepared.cases))


@dataclass(frozen=True, eq=False)
class Evaluated:
    """A part's figures and the scores of its cases."""

    evaluation: Evaluation
    cases: tuple[CaseScores, ...]


def evaluate_part(
    predictor: Predictor,
    part: Part,
    options: EvaluateOptions,
    protocol: PublishedProtocol | None,
    reasons: Sequence[str],
    step: Step,
) -> Evaluated:
    """Score a part on the native grid and, where the recipe follows a publication, by its protocol.

    Args:
        predictor: the network.
        part: its cases need references.
        options: how scores are averaged.
        protocol: of the publication.
        reasons: why figures are not comparable with the published ones, beyond what the figures themselves tell.
        step: called with (cases done, cases).
    """
    native: list[CaseScores] = []
    other: list[CaseScores] = []
    kept: dict[str, npt.NDArray[np.bool_]] = {}
    for case, found in scored(predictor, part, curves=True, step=step):
        native.append(found.scores)
        other.append(found.working)
        kept[case.id] = predictor.slices.keeps(case.non_black)
    as_published = None
    if protocol is not None:
        on_grid = other if protocol.grid == "working" else native
        as_published = published(on_grid, protocol, kept=kept if protocol.grid == "working" else None, reasons=reasons)
    return Evaluated(aggregate(native, options, as_published), tuple(native))


def write_evaluation(evaluated: Evaluated, folder: Path, part: str) -> None:
    """``evaluation-PART.json`` and ``cases-PART.csv``."""
    write_json(folder / f"evaluation-{part}.json", evaluated.evaluation.to_json())
    write_text(folder / f"cases-{part}.csv", rows_to_csv(case_rows(evaluated.cases)))


def tuned(predictor: Predictor, part: Part, step: Step, options: ThresholdOptions | None = None) -> PredictOptions:
    """Thresholds and smallest components chosen on a part, which must be the validation part."""
    options = options or ThresholdOptions()
    searches: list[CaseSearch] = []
    for case, found in scored(predictor, part, curves=False, step=step):
        reference = encode_regions(found.reference.array, found.reference.scheme, predictor.regions)
        searches.append(search_case(case.id, found.prediction.probabilities, reference, predictor.regions, options))
    chosen = choose(searches, options)
    return predictor.options.model_copy(
        update={
            "thresholds": {region: choice.threshold for region, choice in chosen.items()},
            "min_voxels": {region: choice.min_voxels for region, choice in chosen.items()},
        }
    )

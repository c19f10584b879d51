"""Several networks that segment as one: what each contributes, and how they score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glioseg.core import Case, Cohort, Image
from glioseg.evaluation.cases import CaseScores, score_case
from glioseg.evaluation.protocol import Evaluation, aggregate
from glioseg.evaluation.table import case_rows
from glioseg.inference.bundle import BundleInfo
from glioseg.inference.ensemble import Ensemble, MemberPrediction, dissent
from glioseg.inference.predictor import Prediction, Predictor
from glioseg.inference.scoring import probabilities_of
from glioseg.io import load_image, load_labels
from glioseg.io.files import write_bytes
from glioseg.preparation.cache import prepare
from glioseg.preparation.slices import channels_of
from glioseg.preparation.store import PreparedCase, PreparedCohort
from glioseg.report.figures.render import render
from glioseg.report.members import TitledLabelMap, members_figure
from glioseg.tasks.data import with_modalities
from glioseg.tasks.members import require_modalities
from glioseg.tasks.scores import Scores
from glioseg.tasks.scoring import ScoredCohort, Scoring, ScoringPlace
from glioseg.tasks.segment.cohort import scheme_of
from glioseg.tasks.texts import regions_text

RULE = (
    "mean of the members' probabilities on the native grid; a region's threshold and smallest component are the means "
    "of the members' own, and the largest component alone where all keep no other; where all members are softmax, the "
    "most probable of background and regions"
)


def load_for(ensemble: Ensemble, case: Case) -> Image:
    """The modalities of a case that some member sees."""
    return load_image(case, [name for name in ensemble.modalities if name in case.images])


def ensemble_facts(
    ensemble: Ensemble,
    infos: Sequence[BundleInfo],
    prediction: Prediction,
    contributions: Sequence[MemberPrediction],
    volumes: Sequence[Mapping[str, float]],
) -> dict[str, Any]:
    """The ensemble's part of a case's sidecar: its rule, its members with volumes and agreement, what is in dispute.

    Args:
        ensemble: the members,
        infos: and what their bundles say of them.
        prediction: the ensemble's.
        contributions: the members'.
        volumes: by region, of the ensemble first, then of each member.
    """
    volumes_together, *volumes_alone = volumes
    options = ensemble.options
    n_disputed = int((dissent(prediction.label_map, contributions) > 0).sum())
    n_predicted = int((prediction.label_map.array > 0).sum())
    return {
        "rule": RULE,
        "activation": options.activation,
        "thresholds": dict(options.thresholds),
        "min_voxels": dict(options.min_voxels),
        "min_ml": dict(options.min_ml),
        "largest_component": list(options.largest_component),
        "disputed_voxels": n_disputed,
        "predicted_voxels": n_predicted,
        "volumes": dict(volumes_together),
        "members": [
            _member_facts(info, contribution, volume)
            for info, contribution, volume in zip(infos, contributions, volumes_alone, strict=True)
        ],
    }


def _member_facts(info: BundleInfo, contribution: MemberPrediction, volumes: Mapping[str, float]) -> dict[str, Any]:
    return {
        "model_id": info.model_id,
        "recipe": info.name,
        "plane": info.prepare.plane,
        "volumes": dict(volumes),
        "dice_with_ensemble": contribution.dice,
    }


def write_members_figure(
    path: Path,
    image: Image,
    prediction: Prediction,
    contributions: Sequence[MemberPrediction],
    names: Sequence[str],
    facts: dict[str, Any],
) -> None:
    """The figure of what each member contributes, from the facts of ``ensemble_facts``."""
    unit = "ml" if image.grid.has_mm else "voxels"
    rows = []
    for name, contribution, member in zip(names, contributions, facts["members"], strict=True):
        words = (
            f"{region} {_volume(member['volumes'][region])} ({_dice(value)})"
            for region, value in contribution.dice.items()
        )
        rows.append(TitledLabelMap(name, f"{', '.join(words)} {unit}", contribution.label_map))
    share = facts["disputed_voxels"] / max(facts["predicted_voxels"], 1)
    note = f"{facts['disputed_voxels']:,} voxels in dispute, {share:.1%} of those predicted"
    together = ", ".join(f"{region} {_volume(value)}" for region, value in facts["volumes"].items())
    title = f"mean of the {len(rows)} (in brackets: Dice with it)"
    ensemble = TitledLabelMap(title, f"{together} {unit}", prediction.label_map)
    figure = members_figure(
        image, rows, ensemble, dissent(prediction.label_map, contributions), note, prediction.regions
    )
    write_bytes(path, render(figure, "scan").png)


def _volume(value: float) -> str:
    return f"{value:.0f}" if value >= 1000 else f"{value:.3g}"


def _dice(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


@dataclass(frozen=True, eq=False)
class EnsembleFigures:
    """An ensemble's figures on a cohort, and those of each member."""

    evaluation: Evaluation
    members: tuple[Evaluation, ...]
    infos: tuple[BundleInfo, ...]

    def to_json(self) -> dict[str, Any]:
        """``Evaluation.to_json`` of the ensemble with its rule and its members' Dice."""
        members = [
            {
                "model_id": info.model_id,
                "recipe": info.name,
                "plane": info.prepare.plane,
                "dice": {region: metrics["dice"].case_mean for region, metrics in member.regions.items()},
            }
            for info, member in zip(self.infos, self.members, strict=True)
        ]
        return self.evaluation.to_json() | {"ensemble": {"rule": RULE, "members": members}}

    def summary_rows(self) -> list[dict[str, Any]]:
        """Those of the ensemble."""
        return self.evaluation.summary_rows()


def score_ensemble(
    ensemble: Ensemble,
    infos: tuple[BundleInfo, ...],
    scored: ScoredCohort,
    scoring: Scoring,
    place: ScoringPlace,
) -> Scores:
    """Score an ensemble on the native grid, every slice. Cases are prepared once for members that see them alike.

    Args:
        ensemble: the members,
        infos: and what their bundles say of them.
        scored: the cohort, all cases with references, and which part of it is scored.
        scoring: how scores are averaged, and metrics of the caller's own.
        place: where prepared data is kept, and who is told.

    Raises:
        LabelError: the meaning of the references is not known.
        GeometryError: a case lacks a modality.
    """
    scheme = scheme_of(scored.cohort)
    for case in scored.cases:
        require_modalities(ensemble.members, case)
    metrics = scoring.options.metrics(scoring.metrics)
    views = [_view(member, scored.cohort, place) for member in ensemble.members]
    whole: list[CaseScores] = []
    by_member: list[list[CaseScores]] = [[] for _ in ensemble.members]
    with place.reporter.progress("Evaluating") as step:
        for number, case in enumerate(scored.cases, start=1):
            prediction, contributions = ensemble.together(view.predict(case.id) for view in views)
            case_facts = (case.id, case.patient, load_labels(case, scheme))
            whole.append(
                score_case(
                    *case_facts,
                    prediction.label_map,
                    ensemble.regions,
                    prediction.probabilities,
                    metrics=metrics,
                    detect_by=scoring.options.lesions,
                )
            )
            for scores, contribution in zip(by_member, contributions, strict=True):
                scores.append(score_case(*case_facts, contribution.label_map, ensemble.regions, metrics=metrics))
            step(number, len(scored.cases))
    members = tuple(aggregate(scores, scoring.options, metrics=metrics) for scores in by_member)
    facts = {case.id: case.facts for case in scored.cases}
    evaluation = aggregate(whole, scoring.options, metrics=metrics, kinds=ensemble.options.kinds, facts=facts)
    names = [f"{info.name}, {info.prepare.plane}, {info.model_id}" for info in infos]
    text = regions_text(scored.part, evaluation, list(zip(names, members, strict=True)), scoring.metrics)
    figures = EnsembleFigures(evaluation, members, infos)
    return Scores(scored.part, figures, case_rows(whole, metrics), text, more=evaluation.further.tables())


@dataclass(frozen=True, eq=False)
class _View:
    """A member with the cases as it sees them."""

    member: Predictor
    cases: Mapping[str, PreparedCase]
    channels: tuple[int, ...]

    def predict(self, case: str) -> Prediction:
        prepared = self.cases[case]
        probabilities = probabilities_of(self.member, prepared, self.channels)
        return self.member.on_native_grid(probabilities, prepared.working, prepared.native)


def prepared_for(member: Predictor, cohort: Cohort, place: ScoringPlace) -> PreparedCohort:
    """The cohort prepared for a member; opened where the cache has it."""
    options = member.prepare.model_copy(update={"regions": member.regions})
    with place.reporter.progress("Preparing") as step:
        return prepare(with_modalities(cohort, member.modalities), options, place.cache, progress=step)


def _view(member: Predictor, cohort: Cohort, place: ScoringPlace) -> _View:
    prepared = prepared_for(member, cohort, place)
    return _View(member, {case.id: case for case in prepared.cases}, channels_of(prepared, member.modalities))

"""Several runs as one network: loaded, told apart, scored, and what each contributes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glioseg.console import Reporter
from glioseg.core import Case, Cohort, Image
from glioseg.errors import OptionError, SplitError, name_some
from glioseg.evaluation.cases import CaseScores, score_case
from glioseg.evaluation.protocol import EvaluateOptions, Evaluation, aggregate
from glioseg.evaluation.table import case_rows, rows_to_csv
from glioseg.inference.bundle import Bundle, BundleInfo
from glioseg.inference.classifier import Classifier
from glioseg.inference.ensemble import Ensemble, Voice, dissent
from glioseg.inference.predictor import Prediction, Predictor, lacks
from glioseg.io import load_image, load_labels
from glioseg.io.files import read_json, replacing, write_json, write_text
from glioseg.report.figures.render import render
from glioseg.report.members import Shown, members_figure
from glioseg.runs import run_folder

RULE = (
    "mean of the members' probabilities on the native grid; a region's threshold and smallest component are the means "
    "of the members' own, and the largest component alone where all keep no other; where all members are softmax, the "
    "most probable of background and regions"
)


@dataclass(frozen=True, eq=False)
class Ensembled:
    """An ensemble with what its members' bundles say of them, in the same order."""

    ensemble: Ensemble
    infos: tuple[BundleInfo, ...]

    @property
    def model_id(self) -> str:
        """The members' ids, joined."""
        return "+".join(info.model_id for info in self.infos)

    @property
    def names(self) -> tuple[str, ...]:
        """What tells the members apart: recipe, plane and id."""
        return tuple(f"{info.name}, {info.prepare.plane}, {info.model_id}" for info in self.infos)


def ensemble_of(folders: Sequence[Path], bundles: Sequence[Bundle], predictors: Sequence[Predictor]) -> Ensembled:
    """The networks of several runs or bundles as one.

    Raises:
        OptionError: a network twice, or networks that do not mean the same (see ``Ensemble``).
    """
    once_each(folders, bundles)
    return Ensembled(Ensemble(tuple(predictors)), tuple(bundle.info for bundle in bundles))


def once_each(folders: Sequence[Path], bundles: Sequence[Bundle]) -> None:
    """Refuse an ensemble that holds a network twice.

    Raises:
        OptionError: two bundles with the same weights.
    """
    seen: dict[str, Path] = {}
    for folder, bundle in zip(folders, bundles, strict=True):
        same = seen.setdefault(bundle.info.model_id, folder)
        if same is not folder:
            raise OptionError(
                "an ensemble holds each network once",
                found=f"{same} and {folder} hold the same weights",
                remedy="Leave one of them out",
            )


def require_modalities(networks: Iterable[Predictor | Classifier], case: Case) -> None:
    """Raise a GeometryError unless each network can see the case."""
    for member in networks:
        missing = [name for name in member.modalities if name not in case.images]
        if missing and not member.can_do_without(missing, tuple(case.images)):
            raise lacks(missing, member.modalities, tuple(case.images), case)


def load_for(ensemble: Ensemble, case: Case) -> Image:
    """The modalities of a case that some member sees."""
    return load_image(case, [name for name in ensemble.modalities if name in case.images])


# -- what each contributes ---------------------------------------------------------------------------------------------


def contributions(
    ensembled: Ensembled, prediction: Prediction, voices: Sequence[Voice], volumes: Sequence[Mapping[str, float]]
) -> dict[str, Any]:
    """The ensemble's part of a case's sidecar: its rule, its members with volumes and agreement, what is in dispute.

    Args:
        ensembled: the members.
        prediction: the ensemble's.
        voices: the members'.
        volumes: by region, of the ensemble first, then of each member.
    """
    whole, *own = volumes
    options = ensembled.ensemble.options
    disputed = int((dissent(prediction.label_map, voices) > 0).sum())
    decided = int((prediction.label_map.array > 0).sum())
    return {
        "rule": RULE,
        "activation": options.activation,
        "thresholds": dict(options.thresholds),
        "min_voxels": dict(options.min_voxels),
        "largest_component": list(options.largest_component),
        "disputed_voxels": disputed,
        "predicted_voxels": decided,
        "volumes": dict(whole),
        "members": [
            {
                "model_id": info.model_id,
                "recipe": info.name,
                "plane": info.prepare.plane,
                "volumes": dict(volume),
                "dice_with_ensemble": voice.dice,
            }
            for info, voice, volume in zip(ensembled.infos, voices, own, strict=True)
        ],
    }


def write_members(
    path: Path,
    image: Image,
    prediction: Prediction,
    voices: Sequence[Voice],
    names: Sequence[str],
    facts: dict[str, Any],
) -> None:
    """The figure of what each member contributes, from the facts of ``contributions``."""
    unit = "ml" if image.grid.has_mm else "voxels"
    members = []
    for name, voice, one in zip(names, voices, facts["members"], strict=True):
        said = (f"{region} {_volume(one['volumes'][region])} ({_dice(value)})" for region, value in voice.dice.items())
        members.append(Shown(name, f"{', '.join(said)} {unit}", voice.label_map))
    share = facts["disputed_voxels"] / max(facts["predicted_voxels"], 1)
    note = f"{facts['disputed_voxels']:,} voxels in dispute, {share:.1%} of those predicted"
    together = ", ".join(f"{region} {_volume(value)}" for region, value in facts["volumes"].items())
    title = f"mean of the {len(members)} (in brackets: Dice with it)"
    ensemble = Shown(title, f"{together} {unit}", prediction.label_map)
    figure = members_figure(image, members, ensemble, dissent(prediction.label_map, voices), note, prediction.regions)
    with replacing(path) as temporary:
        temporary.write_bytes(render(figure, "scan").png)


def _volume(value: float) -> str:
    return f"{value:.0f}" if value >= 1000 else f"{value:.3g}"


def _dice(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


# -- scores ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class EnsembleScores:
    """An ensemble's figures on a cohort, and those of each member."""

    ensembled: Ensembled
    evaluation: Evaluation
    members: tuple[Evaluation, ...]
    cases: tuple[CaseScores, ...]

    def to_json(self) -> dict[str, Any]:
        """``Evaluation.to_json`` of the ensemble with its rule and its members' Dice."""
        members = [
            {
                "model_id": info.model_id,
                "recipe": info.name,
                "plane": info.prepare.plane,
                "dice": {region: metrics["dice"].case_mean for region, metrics in one.regions.items()},
            }
            for info, one in zip(self.ensembled.infos, self.members, strict=True)
        ]
        return self.evaluation.to_json() | {"ensemble": {"rule": RULE, "members": members}}


def score_ensemble(
    ensembled: Ensembled, cohort: Cohort, patients: frozenset[str] | None, options: EvaluateOptions, reporter: Reporter
) -> EnsembleScores:
    """Score an ensemble on the native grid, every slice.

    Args:
        ensembled: the members.
        cohort: its cases need references.
        patients: who is scored; None for all.
        options: how scores are averaged.
        reporter: shows progress.
    """
    ensemble, scheme = ensembled.ensemble, cohort.scheme
    assert scheme is not None, "cohorts without a scheme are refused before"
    chosen = [case for case in cohort.cases if patients is None or case.patient in patients]
    for case in chosen:
        require_modalities(ensemble.members, case)
    whole: list[CaseScores] = []
    parts: list[list[CaseScores]] = [[] for _ in ensemble.members]
    with reporter.progress("Evaluating") as step:
        for done, case in enumerate(chosen):
            prediction, voices = ensemble.predict(load_for(ensemble, case))
            reference = load_labels(case, scheme)
            about = (case.id, case.patient, reference)
            whole.append(score_case(*about, prediction.label_map, ensemble.regions, prediction.probabilities))
            for own, voice in zip(parts, voices, strict=True):
                own.append(score_case(*about, voice.label_map, ensemble.regions))
            step(done + 1, len(chosen))
    return EnsembleScores(
        ensembled, aggregate(whole, options), tuple(aggregate(own, options) for own in parts), tuple(whole)
    )


def write_ensemble_scores(found: EnsembleScores, folder: Path, part: str) -> None:
    """``evaluation-PART-ensemble.json`` and ``cases-PART-ensemble.csv``."""
    write_json(folder / f"evaluation-{part}-ensemble.json", found.to_json())
    write_text(folder / f"cases-{part}-ensemble.csv", rows_to_csv(case_rows(found.cases)))


def require_unseen(folders: Iterable[Path], patients: Iterable[str], data: Path, reporter: Reporter) -> None:
    """No member may be scored on patients it was trained on.

    Members that are bundles outside of their run do not say whom they know; nor does a patient's name say it where a
    member was trained on other data: both are said on stderr.

    Raises:
        SplitError: a member was trained on some of the patients, in the same data.
    """
    wanted = set(patients)
    for folder in folders:
        home = run_folder.home_of(folder)
        if not (home / run_folder.SPLIT).exists():
            reporter.say(f"Whom {folder} was trained on is not known: a bundle does not say it. Figures may flatter it")
            continue
        split = read_json(home / run_folder.SPLIT)
        known = sorted(wanted & set(split.get("train", ()))) if isinstance(split, dict) else []
        if not known:
            continue
        if Path(run_folder.RunFolder(home).data["path"]) == data.absolute():
            raise SplitError(
                "a member of the ensemble was trained on patients that would be scored",
                path=home,
                found=name_some(known),
                remedy="Score an ensemble of folds on patients whom none of them has seen: hold out a test part with "
                "split.test, or name other data with --data",
            )
        reporter.say(f"{home} was trained on patients of these names, in other data: {name_some(known)}")

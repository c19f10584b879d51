"""The confidence in masks, fitted on cases with references and checked on others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from glioseg.console import Reporter
from glioseg.errors import ScoreError
from glioseg.evaluation.calibration import (
    ProbabilityHistogram,
    at_temperature,
    brier,
    calibration_error,
    fit_voxel_temperature,
    merged,
)
from glioseg.evaluation.confidence import (
    CheckRecord,
    cross_fitted,
    fit_dice,
    folds_of,
    rank_correlation,
    rank_interval,
    risk_coverage,
)
from glioseg.evaluation.conformal import (
    by_patients,
    check_coverage,
    check_risk,
    conformal_quantile,
    fewest_patients,
    missed_shares,
    risk_threshold,
    risk_thresholds,
    share_words,
)
from glioseg.evaluation.metric import VolumeUnit
from glioseg.evaluation.score import Floats
from glioseg.inference.bundle import Bundle
from glioseg.inference.confidence import FEATURES, ConfidenceRecord, DiceRecord, RegionRecord, features_of
from glioseg.inference.familiarity import IntensityRecord, distances, fit_intensities
from glioseg.inference.predictor import Predictor
from glioseg.inference.uncertainty import UncertaintyOptions
from glioseg.report.calibration import ConfidenceCheck, Promised, write_calibration
from glioseg.report.html import FIGURES
from glioseg.tasks.confidence import Calibration, CalibrationParts, Promises
from glioseg.tasks.data import CohortPart
from glioseg.tasks.segment.checked import CheckedCase, collect, training_intensities
from glioseg.tasks.segment.predictor import predictor_of

_LOW = 0.1
"""Share of the fitted cases whose confidence counts as low."""


def calibrate_masks(
    bundle: Bundle, parts: CalibrationParts, promises: Promises, page: Path, device: str, reporter: Reporter
) -> Calibration:
    """Fit on some cases, check on others or, where there are none, by leaving patients out.

    Args:
        bundle: the network.
        parts: what is fitted and checked on.
        promises: what is promised.
        page: the file that shows it.
        device: ``auto``, ``cpu``, ``cuda:N``, ``mps``.
        reporter: shows progress.

    Raises:
        ScoreError: too few cases.
    """
    options, predictor, name = UncertaintyOptions(), predictor_of(bundle, device), bundle.info.name
    modalities = predictor.modalities
    fitted: list[CheckedCase] = []
    for held in parts.fitted:
        fold_predictor = predictor if held.bundle is bundle else predictor_of(held.bundle, device)
        fitted += _collected(fold_predictor, held.part, options, reporter)
    others = [] if parts.checked is None else _collected(predictor, parts.checked, options, reporter)
    intensities = (
        fit_intensities(modalities, [case.intensities for case in fitted])
        if parts.training is None
        else training_intensities(predictor, parts.training)
    )
    record = fit(fitted, modalities, intensities, options, promises, parts)
    checks = []
    if others:
        checks.append(check_fitted(record, others, modalities, parts.checked_words))
    left_out = check_left_out(record, fitted, modalities, f"{parts.words}, {parts.counted}s left out in turn")
    checks += [left_out] if left_out is not None else []
    regions = region_checks(record, fitted, others, are_fellows=not parts.checked_is_other)
    record = with_checks(record, checks, regions)
    promised = Promised(parts.words, parts.counted, promises.risk, promises.level)
    write_calibration(name, promised, checks, regions, page, page.parent / FIGURES)
    figures = {
        "network": name,
        "fitted_on": parts.words,
        "n_cases": record.n_cases,
        "n_patients": record.n_patients,
        "counted": record.counted,
        "promised": {"risk": promises.risk, "level": promises.level},
        "volume_unit": record.volume_unit,
        "low_confidence": record.dice.low,
        "features": dict(zip(FEATURES, record.dice.weights, strict=True)),
        "checks": [check.to_json() for check in checks],
        "regions": regions,
    }
    return Calibration(record.model_dump(mode="json"), figures, calibration_text(record, checks, regions), page)


def _collected(
    predictor: Predictor, part: CohortPart, options: UncertaintyOptions, reporter: Reporter
) -> list[CheckedCase]:
    with reporter.progress(f"Predicting {part.name} in several ways") as step:
        return collect(predictor, part, options, step)


def with_checks(
    record: ConfidenceRecord, checks: Sequence[ConfidenceCheck], regions: Mapping[str, Mapping[str, Any]]
) -> ConfidenceRecord:
    """The record with how well it was found to hold, for the model's card."""
    checked_regions = {
        name: region.model_copy(
            update={
                "ece": tuple(regions[name]["ece"]),
                "missed": _mean_of(regions[name]["missed_over_splits"]),
                "covered": _mean_of(regions[name]["covered_over_splits"]),
            }
        )
        for name, region in record.regions.items()
    }
    return record.model_copy(update={"regions": checked_regions, "checks": tuple(check.record for check in checks)})


def _mean_of(check: Mapping[str, Any] | None) -> float | None:
    return None if check is None else float(check["mean"])


def calibration_text(
    record: ConfidenceRecord, checks: Sequence[ConfidenceCheck], regions: Mapping[str, Mapping[str, Any]]
) -> str:
    """A few lines for people."""
    lines = [f"Confidence fitted on {record.fitted_on}: {record.cases_words}."]
    lines += [f"  {check.record.on}: {_check_words(check.record)}" for check in checks]
    lines += [
        f"  {name}: temperature {figures['temperature']:.2f}; {_risk_words(figures, record)}"
        for name, figures in regions.items()
    ]
    return "\n".join(lines)


def _check_words(check: CheckRecord) -> str:
    areas = f"{check.area:.3f} (best {check.area_best:.3f}, no order {check.area_chance:.3f})"
    return f"rank correlation with the Dice {check.correlation_words}, area of risk over coverage {areas}"


def _risk_words(figures: Mapping[str, Any], record: ConfidenceRecord) -> str:
    risk, threshold, missed = record.risk, figures["risk_threshold"], figures["missed_over_splits"]
    if threshold is None:
        needed = f"{fewest_patients(risk)} are needed"
        return f"too few {record.counted}s to promise that at most {share_words(risk)} is missed ({needed})"
    words = f"at most {share_words(risk)} missed on average above {threshold:.3g}"
    return words if missed is None else f"{words} (in {missed['n_splits']} halves {missed['mean']:.1%})"


# -- fitting -----------------------------------------------------------------------------------------------------------


def fit(
    cases: Sequence[CheckedCase],
    modalities: Sequence[str],
    intensities: Mapping[str, IntensityRecord],
    options: UncertaintyOptions,
    promises: Promises,
    parts: CalibrationParts,
) -> ConfidenceRecord:
    """The record that a bundle keeps of the cases of ``parts``.

    Raises:
        ScoreError: too few cases with a Dice.
    """
    unit = _unit_of(cases)
    features, scores, units = _table(cases, modalities, intensities, unit)
    model = fit_dice(features, scores)
    return ConfidenceRecord(
        options=options,
        fitted_on=parts.words,
        n_cases=len(scores),
        n_patients=len(set(units)),
        counted=parts.counted,
        dice=DiceRecord(
            centre=model.centre,
            scale=model.scale,
            weights=model.weights,
            offset=model.offset,
            low=float(np.quantile(model.expected(features), _LOW)),
        ),
        risk=promises.risk,
        level=promises.level,
        volume_unit=unit,
        regions={name: _region(name, cases, promises, unit) for name in cases[0].dice},
        intensities=intensities,
    )


def _region(name: str, cases: Sequence[CheckedCase], promises: Promises, unit: VolumeUnit) -> RegionRecord:
    missed = missed_by_patients(cases, name)
    enough = missed is not None and len(missed) >= fewest_patients(promises.risk)
    return RegionRecord(
        temperature=fit_voxel_temperature(merged(case.histograms[name] for case in cases)),
        risk_threshold=risk_threshold(missed, risk_thresholds(), promises.risk)
        if enough and missed is not None
        else None,
        volume_error=conformal_quantile(root_errors(cases, name, unit), promises.level),
    )


def missed_by_patients(cases: Sequence[CheckedCase], region: str) -> Floats | None:
    """(P, T) what each patient's mask misses of a region at each threshold; of patients who have it, else None."""
    having = [(case.unit, curve) for case in cases if (curve := missed_shares(case.histograms[region])) is not None]
    return by_patients([curve for _, curve in having], [unit for unit, _ in having]) if having else None


def root_errors(cases: Sequence[CheckedCase], region: str, unit: VolumeUnit) -> Floats:
    """(P,) the largest error of the cube root of a volume among each patient's cases.

    Errors of roots are alike for small and large tumours, as those of a radius are; those of volumes are not.
    """
    worst: dict[str, float] = {}
    for case in cases:
        factor = case.voxel_ml if unit == "ml" and case.voxel_ml is not None else 1.0
        roots = np.cbrt([case.voxels[region] * factor, case.reference_voxels[region] * factor])
        worst[case.unit] = max(worst.get(case.unit, 0.0), abs(float(roots[0] - roots[1])))
    return np.array(list(worst.values()))


def _unit_of(cases: Sequence[CheckedCase]) -> VolumeUnit:
    return "ml" if all(case.voxel_ml is not None for case in cases) else "voxels"


def _table(
    cases: Sequence[CheckedCase],
    modalities: Sequence[str],
    intensities: Mapping[str, IntensityRecord],
    unit: VolumeUnit,
) -> tuple[Floats, Floats, list[str]]:
    """Features (N, F), Dice (N,) and units of the cases that have a Dice.

    Raises:
        ScoreError: none has.
    """
    rows, scores, units = [], [], []
    for case in cases:
        if case.mean_dice is None:
            continue
        factor = case.voxel_ml if unit == "ml" and case.voxel_ml is not None else 1.0
        apart = distances(intensities, modalities, case.intensities)
        sizes = [n * factor for n in case.voxels.values()]
        rows.append(features_of(case.regions, sizes, max(apart.values(), default=0.0)))
        scores.append(case.mean_dice)
        units.append(case.unit)
    if not rows:
        raise ScoreError("no case has a Dice: every reference and every mask is empty")
    return np.stack(rows), np.array(scores), units


# -- checking ----------------------------------------------------------------------------------------------------------


def check_fitted(
    record: ConfidenceRecord, cases: Sequence[CheckedCase], modalities: Sequence[str], checked_on: str
) -> ConfidenceCheck:
    """The confidence on cases that had no part in it."""
    features, scores, units = _table(cases, modalities, record.intensities, record.volume_unit)
    return _judged(checked_on, cases, record.dice.model().expected(features), scores, units)


def check_left_out(
    record: ConfidenceRecord, cases: Sequence[CheckedCase], modalities: Sequence[str], checked_on: str
) -> ConfidenceCheck | None:
    """The confidence of each case by models fitted without its patient; None with too few cases for that."""
    features, scores, units = _table(cases, modalities, record.intensities, record.volume_unit)
    try:
        expected = cross_fitted(features, scores, units)
    except ScoreError:
        return None
    return _judged(checked_on, cases, expected, scores, units)


def _judged(
    checked_on: str, cases: Sequence[CheckedCase], expected: Floats, scores: Floats, units: Sequence[str]
) -> ConfidenceCheck:
    curve = risk_coverage(expected, scores)
    record = CheckRecord(
        on=checked_on,
        n_cases=len(scores),
        n_patients=len(set(units)),
        rank_correlation=rank_correlation(expected, scores),
        ci95=rank_interval(expected, scores, units),
        area=curve.area,
        area_best=curve.area_best,
        area_chance=curve.area_chance,
    )
    names = tuple(case.case for case in cases if case.mean_dice is not None)
    return ConfidenceCheck(record, names, tuple(map(float, expected)), tuple(map(float, scores)), curve)


def region_checks(
    record: ConfidenceRecord,
    fitted: Sequence[CheckedCase],
    others: Sequence[CheckedCase],
    *,
    are_fellows: bool = True,
) -> dict[str, dict[str, Any]]:
    """By region: temperature before and after, and both promises over random halves of all patients.

    Args:
        record: fitted on
        fitted: these cases.
        others: that had no part in it; where there are none, temperatures are judged by leaving patients out in turn.
        are_fellows: whether these come from where those fitted come from; else halves are of the fitted ones alone.
    """
    everybody = [*fitted, *others] if are_fellows else [*fitted]
    by_region: dict[str, dict[str, Any]] = {}
    for name, region in record.regions.items():
        before = merged(case.histograms[name] for case in (others or fitted))
        after = at_temperature(before, region.temperature) if others else _at_temperatures_of_others(fitted, name)
        missed = missed_by_patients(everybody, name)
        risk = None if missed is None else check_risk(missed, risk_thresholds(), record.risk)
        coverage = check_coverage(root_errors(everybody, name, record.volume_unit), record.level)
        by_region[name] = {
            "temperature": round(region.temperature, 4),
            "ece": [calibration_error(before).value, calibration_error(after).value],
            "brier": [brier(before).value, brier(after).value],
            "risk_threshold": region.risk_threshold,
            "missed_over_splits": None if risk is None else asdict(risk),
            "missed_of_checked": _missed_at(region.risk_threshold, others, name),
            "volume_error": region.volume_error,
            "covered_over_splits": None if coverage is None else asdict(coverage),
            "covered_of_checked": _covered_by(region.volume_error, others, name, record.volume_unit),
        }
    return by_region


def _at_temperatures_of_others(cases: Sequence[CheckedCase], region: str) -> ProbabilityHistogram:
    """The histogram of a region, each case's at the temperature of the cases of other folds of patients."""
    folds = folds_of([case.unit for case in cases])
    parts = []
    for fold in np.unique(folds):
        held = [case.histograms[region] for case, case_fold in zip(cases, folds, strict=True) if case_fold == fold]
        others = [case.histograms[region] for case, case_fold in zip(cases, folds, strict=True) if case_fold != fold]
        parts.append(at_temperature(merged(held), fit_voxel_temperature(merged(others))))
    return merged(parts)


def _missed_at(threshold: float | None, others: Sequence[CheckedCase], region: str) -> float | None:
    """The share of a region that the cautious mask misses, mean over patients who had no part in its threshold."""
    missed = missed_by_patients(others, region)
    if threshold is None or missed is None:
        return None
    return float(missed[:, int(np.searchsorted(risk_thresholds(), threshold))].mean())


def _covered_by(error: float | None, others: Sequence[CheckedCase], region: str, unit: VolumeUnit) -> float | None:
    """The share of such patients whose volume lies in its interval."""
    return None if error is None or not others else float((root_errors(others, region, unit) <= error).mean())

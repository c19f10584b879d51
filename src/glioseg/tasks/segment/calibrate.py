"""The confidence in masks, fitted on cases with references and checked on others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from glioseg.console import Reporter, Step
from glioseg.core import LabelScheme
from glioseg.errors import ScoreError
from glioseg.evaluation.calibration import (
    ProbabilityHistogram,
    at_temperature,
    brier,
    calibration_error,
    fit_voxel_temperature,
    merged,
    probability_histogram,
)
from glioseg.evaluation.confidence import (
    cross_fitted,
    fit_dice,
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
)
from glioseg.evaluation.metric import VolumeUnit
from glioseg.evaluation.overlap import FP, TP, count_labels, dice
from glioseg.evaluation.score import Floats
from glioseg.inference.confidence import FEATURES, ConfidenceRecord, DiceRecord, RegionRecord, features_of
from glioseg.inference.ensemble import Ensemble
from glioseg.inference.familiarity import IntensityRecord, distances, fit_intensities, intensity_features
from glioseg.inference.predictor import Predictor
from glioseg.inference.uncertainty import RegionUncertainty, Shown, UncertaintyOptions, estimate
from glioseg.io import load_labels
from glioseg.preparation.slices import channels_of
from glioseg.preparation.store import PreparedCase
from glioseg.report.calibration import ConfidenceCheck, write_calibration
from glioseg.report.html import FIGURES
from glioseg.tasks.data import Part
from glioseg.tasks.segment.score import scheme_of
from glioseg.tasks.task import Calibration, CalibrationParts, Promises

_LOW = 0.1
"""Share of the fitted cases whose confidence counts as low."""
_MOST_TRAINING_CASES = 200


@dataclass(frozen=True, eq=False)
class CheckedCase:
    """What a case with a reference adds: features of its prediction, and how good it was.

    Args:
        case: its id.
        unit: what is drawn and promised to: its patient, or group of copies.
        regions: what samples say of each.
        dice: by region; None where both masks are empty.
        histograms: of the mean probability, by region.
        voxels: of the mask, by region,
        reference_voxels: and of the reference.
        voxel_ml: volume of a voxel; None where millimetres are unknown.
        intensities: (C, 6), see ``inference.familiarity``.
    """

    case: str
    unit: str
    regions: Mapping[str, RegionUncertainty]
    dice: Mapping[str, float | None]
    histograms: Mapping[str, ProbabilityHistogram]
    voxels: Mapping[str, int]
    reference_voxels: Mapping[str, int]
    voxel_ml: float | None
    intensities: Floats

    @property
    def mean_dice(self) -> float | None:
        """Over the regions that have one."""
        defined = [value for value in self.dice.values() if value is not None]
        return float(np.mean(defined)) if defined else None


def collect(predictor: Predictor, part: Part, options: UncertaintyOptions, step: Step) -> list[CheckedCase]:
    """Predict every case of a part by samples, and compare it with its reference."""
    channels = channels_of(part.prepared, predictor.modalities)
    scheme = scheme_of(part.prepared)
    found = []
    for number, prepared in enumerate(part.prepared.cases, start=1):
        found.append(_checked(predictor, part, prepared, channels, scheme, options))
        step(number, len(part.prepared.cases))
    return found


def training_intensities(predictor: Predictor, part: Part) -> dict[str, IntensityRecord]:
    """What each modality looks like, in up to 200 cases of a part."""
    channels = channels_of(part.prepared, predictor.modalities)
    cases = part.prepared.cases
    shown = cases[:: max(1, len(cases) // _MOST_TRAINING_CASES)]
    return fit_intensities(predictor.modalities, (intensity_features(case.images[:, list(channels)]) for case in shown))


def _checked(
    predictor: Predictor,
    part: Part,
    prepared: PreparedCase,
    channels: Sequence[int],
    scheme: LabelScheme,
    options: UncertaintyOptions,
) -> CheckedCase:
    images = prepared.images[:, list(channels)]
    shown = Shown(images, prepared.non_black, prepared.working, prepared.native)
    prediction = predictor.on_native_grid(
        predictor.probabilities(images, prepared.non_black), prepared.working, prepared.native
    )
    uncertainty = estimate(Ensemble((predictor,)), [shown], prediction, options)
    reference = load_labels(part.cases[prepared.id], scheme)
    regions = predictor.regions
    counts = count_labels(reference, prediction.label_map, regions).regions.sum(axis=0)
    truth = {name: np.isin(reference.array, scheme.values_of(name)) for name in regions}
    scores = dice(counts)
    return CheckedCase(
        prepared.id,
        part.units[prepared.id],
        uncertainty.regions,
        {name: None if np.isnan(value) else float(value) for name, value in zip(regions, scores, strict=True)},
        {
            name: probability_histogram(uncertainty.maps.probability[row], truth[name])
            for row, name in enumerate(regions)
        },
        {name: int(counts[row, TP] + counts[row, FP]) for row, name in enumerate(regions)},
        {name: int(truth[name].sum()) for name in regions},
        reference.grid.voxel_ml if reference.grid.has_mm else None,
        intensity_features(images),
    )


def calibrate_masks(
    predictor: Predictor,
    name: str,
    parts: CalibrationParts,
    promises: Promises,
    page: Path,
    reporter: Reporter,
) -> Calibration:
    """Fit on one part, check on another or, where there is none, by leaving patients out.

    Args:
        predictor: the network.
        name: of it.
        parts: what is fitted and checked on.
        promises: what is promised.
        page: the file that shows it.
        reporter: shows progress.

    Raises:
        ScoreError: too few cases.
    """
    options, modalities = UncertaintyOptions(), predictor.modalities
    with reporter.progress(f"Predicting {parts.fitted.name} in several ways") as step:
        fitted = collect(predictor, parts.fitted, options, step)
    others: list[CheckedCase] = []
    if parts.checked is not None:
        with reporter.progress(f"Predicting {parts.checked.name} in several ways") as step:
            others = collect(predictor, parts.checked, options, step)
    known = parts.training
    intensities = (
        fit_intensities(modalities, [case.intensities for case in fitted])
        if known is None
        else training_intensities(predictor, known)
    )
    record = fit(fitted, modalities, intensities, options, promises, parts.words)
    checks = []
    if others:
        checks.append(check_fitted(record, others, modalities, f"the {parts.checked_words}"))
    left_out = check_left_out(record, fitted, modalities, f"{parts.words}, patients left out in turn")
    checks += [left_out] if left_out is not None else []
    regions = region_checks(record, fitted, others)
    write_calibration(name, parts.words, checks, regions, (promises.risk, promises.level), page, page.parent / FIGURES)
    figures = {
        "network": name,
        "fitted_on": parts.words,
        "n_cases": record.n_cases,
        "n_patients": record.n_patients,
        "promised": {"risk": promises.risk, "level": promises.level},
        "volume_unit": record.volume_unit,
        "low_confidence": record.dice.low,
        "features": dict(zip(FEATURES, record.dice.weights, strict=True)),
        "checks": [check.to_json() for check in checks],
        "regions": regions,
    }
    return Calibration(record.model_dump(mode="json"), figures, calibration_text(record, checks, regions), page)


def calibration_text(
    record: ConfidenceRecord, checks: Sequence[ConfidenceCheck], regions: Mapping[str, Mapping[str, Any]]
) -> str:
    """A few lines for people."""
    lines = [f"Confidence fitted on {record.fitted_on}: {record.n_cases} cases of {record.n_patients} patients."]
    lines += [f"  {check.checked_on}: {_check_words(check)}" for check in checks]
    lines += [
        f"  {name}: temperature {figures['temperature']:.2f}; {_risk_words(figures, record.risk)}"
        for name, figures in regions.items()
    ]
    return "\n".join(lines)


def _check_words(check: ConfidenceCheck) -> str:
    curve = check.curve
    areas = f"{curve.area:.3f} (best {curve.area_best:.3f}, no order {curve.area_chance:.3f})"
    return f"rank correlation with the Dice {check.correlation_words}, area of risk over coverage {areas}"


def _risk_words(figures: Mapping[str, Any], risk: float) -> str:
    threshold, found = figures["risk_threshold"], figures["missed_over_splits"]
    if threshold is None:
        return f"too few patients to promise that at most {risk:.0%} is missed ({fewest_patients(risk)} are needed)"
    words = f"at most {risk:.0%} missed on average above {threshold:.3g}"
    return words if found is None else f"{words} (in {found['n_splits']} halves {found['mean']:.1%})"


# -- fitting -----------------------------------------------------------------------------------------------------------


def fit(
    cases: Sequence[CheckedCase],
    modalities: Sequence[str],
    intensities: Mapping[str, IntensityRecord],
    options: UncertaintyOptions,
    promises: Promises,
    fitted_on: str,
) -> ConfidenceRecord:
    """The record that a bundle keeps.

    Raises:
        ScoreError: too few cases with a Dice.
    """
    unit = _unit_of(cases)
    features, scores, units = _table(cases, modalities, intensities, unit)
    model = fit_dice(features, scores)
    return ConfidenceRecord(
        options=options,
        fitted_on=fitted_on,
        n_cases=len(scores),
        n_patients=len(set(units)),
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
    return ConfidenceCheck(
        checked_on,
        tuple(case.case for case in cases if case.mean_dice is not None),
        tuple(map(float, expected)),
        tuple(map(float, scores)),
        len(set(units)),
        rank_correlation(expected, scores),
        rank_interval(expected, scores, units),
        risk_coverage(expected, scores),
    )


def region_checks(
    record: ConfidenceRecord, fitted: Sequence[CheckedCase], others: Sequence[CheckedCase]
) -> dict[str, dict[str, Any]]:
    """By region: temperature before and after, and both promises over random halves of all patients.

    Args:
        record: fitted on
        fitted: these cases.
        others: that had no part in it; where there are none, temperatures are judged on the fitted ones themselves.
    """
    everybody = [*fitted, *others]
    found: dict[str, dict[str, Any]] = {}
    for name, region in record.regions.items():
        before = merged(case.histograms[name] for case in (others or fitted))
        after = at_temperature(before, region.temperature)
        missed = missed_by_patients(everybody, name)
        risk = None if missed is None else check_risk(missed, risk_thresholds(), record.risk)
        coverage = check_coverage(root_errors(everybody, name, record.volume_unit), record.level)
        found[name] = {
            "temperature": round(region.temperature, 4),
            "ece": [calibration_error(before).value, calibration_error(after).value],
            "brier": [brier(before).value, brier(after).value],
            "risk_threshold": region.risk_threshold,
            "missed_over_splits": None if risk is None else asdict(risk),
            "volume_error": region.volume_error,
            "covered_over_splits": None if coverage is None else asdict(coverage),
        }
    return found

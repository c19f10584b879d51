"""What a cohort's figures say beyond means: volumes, reliability, lesions over thresholds, subgroups, contributions.

References:
    [1] Bland JM, Altman DG. Statistical methods for assessing agreement between two methods of clinical measurement.
        Lancet 1986.
    [2] Lin LI. A concordance correlation coefficient to evaluate reproducibility. Biometrics 1989.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from glioseg.core.case import Facts
from glioseg.evaluation.calibration import merged, reliability_of
from glioseg.evaluation.cases import CaseScores, volume_unit_of
from glioseg.evaluation.contributions import Contribution, contribution_of
from glioseg.evaluation.froc import Froc, froc_of
from glioseg.evaluation.metric import VolumeUnit
from glioseg.evaluation.metrics import ruled_ratio
from glioseg.evaluation.overlap import FN, FP, TP
from glioseg.evaluation.reliability import Reliability
from glioseg.evaluation.score import EmptyRule, Floats, Interval, interval_from_json
from glioseg.evaluation.statistics import bootstrap_intervals, by_patient, spread

_FEWEST_FOR_LIMITS = 5
_MOST_GROUPS = 8
_THIRDS = ("smallest third", "middle third", "largest third")
FEW_PATIENTS = 10
"""A group of fewer says little."""
UNTESTED = "The groups were not chosen beforehand and are not tested: a difference is a question, not an answer."
DETECTABLE = (
    "Detectable: the difference in Dice between this group and the fact's other groups that so many patients would "
    "show in four of five tries (p < 0.05)."
)
_OF_FILES = frozenset({"n_slices", "first_slice", "last_slice", "of_patient", "part"})
"""Facts that say where pixels are, and nothing of the patient."""
_NEEDED = 2.8
"""Standard errors that a difference must have to be found in four of five tries at p < 0.05: 1.96 + 0.84."""


@dataclass(frozen=True)
class VolumeAgreement:
    """Predicted against reference volumes over cases, empty masks in; None where too few say it.

    Args:
        unit: ``ml``, or ``voxels`` where millimetres are unknown.
        n_cases: cases.
        pearson: correlation; a prediction that is twice the reference throughout has 1.
        concordance: Lin's coefficient [2], which it lowers: 1 where prediction and reference are the same.
        bias: mean of prediction − reference.
        limits: bias ∓ 1.96 standard deviations, between which 95 % of differences are expected [1].
    """

    unit: VolumeUnit
    n_cases: int
    pearson: float | None
    concordance: float | None
    bias: float
    limits: tuple[float, float] | None

    def to_json(self) -> dict[str, object]:
        """Its fields; null for None."""
        return {
            "unit": self.unit,
            "n_cases": self.n_cases,
            "pearson": self.pearson,
            "concordance": self.concordance,
            "bias": self.bias,
            "limits_of_agreement": None if self.limits is None else list(self.limits),
        }

    @classmethod
    def from_json(cls, block: Mapping[str, Any]) -> Self:
        """What ``to_json`` wrote."""
        limits = interval_from_json(block["limits_of_agreement"])
        numbers = (block["pearson"], block["concordance"], block["bias"])
        return cls(block["unit"], int(block["n_cases"]), *numbers, limits)


@dataclass(frozen=True)
class Subgroup:
    """The Dice of a part of the cases.

    Args:
        fact: by which cases are told apart: ``size of WT``, ``site``, ``grade``, …
        group: its value.
        n_cases: cases that count under the rule for empty masks,
        n_patients: and their patients.
        mean: over cases.
        ci95: its interval, over patients.
        detectable: the difference from the other groups' patients that so many would show in four of five tries; None
            where one side has fewer than two.
        values: (N,) by case.
    """

    fact: str
    group: str
    n_cases: int
    n_patients: int
    mean: float | None
    ci95: Interval
    detectable: float | None
    values: tuple[float, ...] = ()

    def to_json(self) -> dict[str, object]:
        """Its fields; null for None."""
        return {
            "fact": self.fact,
            "group": self.group,
            "n_cases": self.n_cases,
            "n_patients": self.n_patients,
            "dice_mean": self.mean,
            "dice_ci95": None if self.ci95 is None else list(self.ci95),
            "detectable_difference": self.detectable,
            "dice": list(self.values),
        }

    @classmethod
    def from_json(cls, block: Mapping[str, Any]) -> Self:
        """What ``to_json`` wrote."""
        counts = (int(block["n_cases"]), int(block["n_patients"]))
        interval = interval_from_json(block["dice_ci95"])
        values = tuple(float(value) for value in block["dice"])
        return cls(
            block["fact"], block["group"], *counts, block["dice_mean"], interval, block["detectable_difference"], values
        )


def power_words(groups: Iterable[tuple[str, str, int]]) -> str:
    """What to think of small groups (fact, group, patients), each of which may stand there for several regions.

    Empty where none is small.
    """
    n_small = len({(fact, group) for fact, group, n_patients in groups if n_patients < FEW_PATIENTS})
    if not n_small:
        return ""
    have = "1 group has" if n_small == 1 else f"{n_small} groups have"
    return (
        f"{have} fewer than {FEW_PATIENTS} patients: a difference there may be chance, and a real one may not show. "
        "Detectable says how large a difference would have to be."
    )


@dataclass(frozen=True, eq=False)
class Further:
    """By region: agreement of volumes, subgroups and, of probabilities, reliability and lesions over thresholds.

    ``contributions`` are those of the modalities, where they were asked for.
    """

    volumes: Mapping[str, VolumeAgreement] = field(default_factory=dict)
    reliability: Mapping[str, Reliability] = field(default_factory=dict)
    subgroups: Mapping[str, tuple[Subgroup, ...]] = field(default_factory=dict)
    froc: Mapping[str, Froc] = field(default_factory=dict)
    contributions: Mapping[str, tuple[Contribution, ...]] = field(default_factory=dict)

    def __eq__(self, other: object) -> bool:
        """As files have them; arrays with NaN in them are not equal to themselves."""
        return isinstance(other, Further) and self.to_json() == other.to_json()

    def __hash__(self) -> int:
        return hash(tuple(self.volumes.items()))

    def to_json(self) -> dict[str, object]:
        """Its fields, by region; those that are empty are absent."""
        blocks: dict[str, dict[str, object]] = {
            "volumes": {region: each.to_json() for region, each in self.volumes.items()},
            "reliability": {region: each.to_json() for region, each in self.reliability.items()},
            "subgroups": {region: [each.to_json() for each in groups] for region, groups in self.subgroups.items()},
            "froc": {region: each.to_json() for region, each in self.froc.items()},
            "contributions": {
                region: [each.to_json() for each in contributions]
                for region, contributions in self.contributions.items()
            },
        }
        return {name: block for name, block in blocks.items() if block}

    def tables(self) -> dict[str, list[dict[str, str | int | float | None]]]:
        """What is told in files of its own, name -> rows: ``froc``, a row for each region and threshold."""
        rows = [row for region, curve in self.froc.items() for row in curve.rows(region)]
        return {"froc": rows} if rows else {}

    @classmethod
    def from_json(cls, block: Mapping[str, Any]) -> Self:
        """What ``to_json`` wrote, among other keys; evaluations of earlier versions have none of it."""
        return cls(
            {region: VolumeAgreement.from_json(each) for region, each in block.get("volumes", {}).items()},
            {region: Reliability.from_json(each) for region, each in block.get("reliability", {}).items()},
            {
                region: tuple(Subgroup.from_json(each) for each in groups)
                for region, groups in block.get("subgroups", {}).items()
            },
            {region: Froc.from_json(each) for region, each in block.get("froc", {}).items()},
            {
                region: tuple(Contribution.from_json(each) for each in contributions)
                for region, contributions in block.get("contributions", {}).items()
            },
        )


def further_of(
    cases: Sequence[CaseScores], facts: Mapping[str, Facts], rule: EmptyRule, n_resamples: int, seed: int
) -> Further:
    """All of it.

    Args:
        cases: of the cohort, the same regions in each.
        facts: case -> what is known of it; cases may be absent.
        rule: for empty masks.
        n_resamples: bootstrap draws of intervals; 0 for none.
        seed: of the draws.
    """
    regions = cases[0].regions
    reliability = {}
    if cases[0].histograms is not None:
        for row, region in enumerate(regions):
            reliability[region] = reliability_of(merged(c.histograms[row] for c in cases if c.histograms is not None))
    patients = [case.patient for case in cases]
    groups: dict[str, tuple[Subgroup, ...]] = {}
    for row, region in enumerate(regions):
        dice = ruled_ratio(np.stack([case.counts[row] for case in cases]), "dice", rule)
        groups[region] = tuple(
            _subgroup(fact, group, places, dice, patients, (n_resamples, seed))
            for fact, by_group in _groupings(cases, row, region, facts).items()
            for group, places in by_group.items()
        )
    return Further(
        {region: _volumes(cases, row) for row, region in enumerate(regions)},
        reliability,
        {region: subgroups for region, subgroups in groups.items() if subgroups},
        _froc(cases, patients, n_resamples, seed),
        _contributions(cases, patients, rule, (n_resamples, seed)),
    )


def _contributions(
    cases: Sequence[CaseScores], patients: Sequence[str], rule: EmptyRule, draws: tuple[int, int]
) -> dict[str, tuple[Contribution, ...]]:
    changes = [each.changed for each in cases[0].changed]
    by_region: dict[str, tuple[Contribution, ...]] = {}
    for row, region in enumerate(cases[0].regions if changes else ()):
        before = ruled_ratio(np.stack([case.counts[row] for case in cases]), "dice", rule)
        of_region = []
        for number, changed in enumerate(changes):
            after = ruled_ratio(np.stack([case.changed[number].counts[row] for case in cases]), "dice", rule)
            probability = np.array([case.changed[number].probability[row] for case in cases])
            of_region.append(contribution_of(changed, "dice", (before, after), probability, patients, draws))
        by_region[region] = tuple(of_region)
    return by_region


def _froc(cases: Sequence[CaseScores], patients: Sequence[str], n_resamples: int, seed: int) -> dict[str, Froc]:
    curves = {}
    for row, region in enumerate(cases[0].regions):
        detections = [case.detections[row] for case in cases if case.detections is not None]
        curve = froc_of(detections, patients, n_resamples=n_resamples, seed=seed) if detections else None
        if curve is not None:
            curves[region] = curve
    return curves


def _volumes(cases: Sequence[CaseScores], row: int) -> VolumeAgreement:
    unit = volume_unit_of(cases)
    sizes = np.array([(case.voxel_ml if unit == "ml" else 1.0) or 1.0 for case in cases])
    counts = np.stack([case.counts[row] for case in cases])
    reference, prediction = ((counts[:, TP] + counts[:, other]) * sizes for other in (FN, FP))
    apart = prediction - reference
    bias, n = float(apart.mean()), len(cases)
    limits = None
    if n >= _FEWEST_FOR_LIMITS:
        reach = 1.96 * float(apart.std(ddof=1))
        limits = (bias - reach, bias + reach)
    return VolumeAgreement(unit, n, *_correlations(reference, prediction), bias, limits)


def _correlations(reference: Floats, prediction: Floats) -> tuple[float | None, float | None]:
    """Pearson's and Lin's; None with fewer than three cases, or where all volumes of a side are the same."""
    if len(reference) < 3 or not reference.std() or not prediction.std():
        return None, None
    together = float(((reference - reference.mean()) * (prediction - prediction.mean())).mean())
    spreads = float(reference.std() * prediction.std())
    apart = float((reference.mean() - prediction.mean()) ** 2)
    return together / spreads, 2 * together / (float(reference.var() + prediction.var()) + apart)


def _groupings(
    cases: Sequence[CaseScores], row: int, region: str, facts: Mapping[str, Facts]
) -> dict[str, dict[str, list[int]]]:
    """Fact -> group -> places of its cases: thirds by the size of the reference, and what is known of the cases."""
    sizes = {place: float(case.counts[row, TP] + case.counts[row, FN]) for place, case in enumerate(cases)}
    groupings = {f"size of {region}": _thirds({place: size for place, size in sizes.items() if size > 0})}
    names = dict.fromkeys(name for case in cases for name in facts.get(case.case, {}) if name not in _OF_FILES)
    for name in names:
        fact_by_place = {place: facts.get(case.case, {}).get(name) for place, case in enumerate(cases)}
        values = {place: value for place, value in fact_by_place.items() if value is not None}
        distinct = set(values.values())
        if 2 <= len(distinct) <= _MOST_GROUPS:
            groups: dict[str, list[int]] = {str(value): [] for value in sorted(distinct, key=str)}
            for place, value in values.items():
                groups[str(value)].append(place)
            groupings[name] = groups
        elif len(distinct) > _MOST_GROUPS and all(isinstance(value, int | float) for value in distinct):
            groupings[name] = _thirds({place: float(value) for place, value in values.items()})
    return {fact: groups for fact, groups in groupings.items() if len(groups) > 1 and len(cases) > len(groups)}


def _thirds(values: Mapping[int, float]) -> dict[str, list[int]]:
    """Places in three parts by rising value; of fewer than six nothing."""
    if len(values) < 6:
        return {}
    ordered = sorted(values, key=lambda place: (values[place], place))
    parts = np.array_split(np.array(ordered), len(_THIRDS))
    return {name: part.tolist() for name, part in zip(_THIRDS, parts, strict=True)}


def _subgroup(
    fact: str, group: str, places: Sequence[int], dice: Floats, patients: Sequence[str], draws: tuple[int, int]
) -> Subgroup:
    """The Dice (N,) of some of the cases; ``draws`` are the bootstrap's number and seed."""
    inside = np.zeros(len(dice), np.bool_)
    inside[list(places)] = True
    names, dice_inside = np.array(patients), dice[inside]
    n_resamples, seed = draws
    (interval,) = bootstrap_intervals(dice_inside[:, None], names[inside].tolist(), n_resamples=n_resamples, seed=seed)
    of_group, of_others = (_patient_means(dice[side], names[side].tolist()) for side in (inside, ~inside))
    over, finite = spread(dice_inside), tuple(float(value) for value in dice_inside[~np.isnan(dice_inside)])
    return Subgroup(fact, group, over.n, len(of_group), over.mean, interval, _detectable(of_group, of_others), finite)


def _patient_means(values: Floats, patients: Sequence[str]) -> Floats:
    """(P,) of those patients who have any."""
    if not len(values):
        return values
    _, sums, counts = by_patient(values[:, None], patients)
    has = counts[:, 0] > 0
    means: Floats = sums[has, 0] / counts[has, 0]
    return means


def _detectable(inside: Floats, others: Floats) -> float | None:
    if len(inside) < 2 or len(others) < 2:
        return None
    return _NEEDED * float(np.sqrt(inside.var(ddof=1) / len(inside) + others.var(ddof=1) / len(others)))

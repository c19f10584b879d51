"""A cohort's evaluation by classes: every picture, or every slice and every patient's case, and the rows of a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np

from glioseg.errors import FileError
from glioseg.evaluation.class_items import ItemClasses
from glioseg.evaluation.classification import ClassFigures, score_classes
from glioseg.evaluation.contributions import Changed, Contribution, contribution_of
from glioseg.evaluation.metric import OwnMetrics, with_own
from glioseg.evaluation.metrics import CLASS_METRICS
from glioseg.evaluation.protocol import LEVEL, EvaluateOptions
from glioseg.evaluation.published_classes import ClassesAsPublished
from glioseg.evaluation.reliability import N_BINS
from glioseg.evaluation.score import Floats, Integers, reading
from glioseg.evaluation.table import Cell
from glioseg.io.text import csv_rows

_TEXT = ("case", "patient", "reference", "predicted")
_WHOLE = ("slice", "right")
_NEEDED = {*_TEXT, *_WHOLE, "confidence"}
CLASSIFIER_WORDS: Mapping[str, str] = {
    "decided": "the most probable class",
    "reference": "the picture's folder; of a slice, whether its reference shows tumour on the network's grid",
    "case": "a case with several slices is what is said of the slice least like the first class",
}
"""How a classifier's evaluation is to be read."""
UNDEFINED = "a figure that is 0/0 is null and left out of means over classes"
INTERVAL_METHOD = "BCa bootstrap of whole patients, or of groups of copies where patients are not known"


@dataclass(frozen=True, eq=False)
class CaseClasses:
    """One case: its slices' classes, and what was said of them. A picture has one slice.

    Args:
        case: its id.
        patient: whose it is.
        unit: what the bootstrap draws: the patient, or the group of copies that the case is in.
        reference: (Z,) classes.
        probabilities: (Z, K), rows summing to 1.
        decided: (Z,) classes that were said.
        changed: what was done to a modality -> probabilities (Z, K) then, where that was asked for.
        numbers: (Z,) which slice of the scan each is, from 1; None where they are all of it, in order.
    """

    case: str
    patient: str
    unit: str
    reference: Integers
    probabilities: Floats
    decided: Integers
    changed: Mapping[Changed, Floats] = field(default_factory=dict)
    numbers: Integers | None = None


@dataclass(frozen=True, eq=False)
class ClassEvaluation:
    """The figures of a part.

    Args:
        options: of the intervals.
        n_cases: cases scored.
        items: figures over pictures, or over slices where some case has several.
        cases: then also over cases.
        words: how items are decided, what their reference is, what is said of a case.
        as_published: published figures and those obtained, where the recipe follows a publication.
        contributions: of the modalities, over items, where they were asked for.
    """

    options: EvaluateOptions
    n_cases: int
    items: ClassFigures
    cases: ClassFigures | None
    words: Mapping[str, str]
    as_published: ClassesAsPublished | None = None
    contributions: tuple[Contribution, ...] = ()

    @property
    def unit(self) -> str:
        """What ``items`` are: ``picture`` or ``slice``."""
        return "picture" if self.cases is None else "slice"

    @property
    def average(self) -> str:
        """What precision, recall, specificity, F1 and areas are of, in words."""
        classes = self.items.classes
        return f"of {classes[1]}" if len(classes) == 2 else "mean over classes, each against all others"

    def to_json(self) -> dict[str, Any]:
        """What ``evaluate --json`` prints; strict JSON, undefined figures are null."""
        block: dict[str, Any] = {
            "protocol": {
                "unit": self.unit,
                "average": self.average,
                "words": dict(self.words),
                "undefined": UNDEFINED,
                "reliability": f"{N_BINS} bins of confidence",
                "interval": {
                    "level": LEVEL,
                    "method": INTERVAL_METHOD,
                    "n_resamples": self.options.n_resamples,
                    "seed": self.options.seed,
                },
            },
            "n_cases": self.n_cases,
            **self.items.to_json(),
        }
        if self.cases is not None:
            block["by_case"] = self.cases.to_json()
        if self.contributions:
            block["contributions"] = [each.to_json() for each in self.contributions]
        if self.as_published is not None:
            block["as_published"] = self.as_published.to_json()
        return block

    def summary_rows(self) -> list[dict[str, Any]]:
        """A row for each figure over items, and over cases where these have several."""
        units = {"items": self.items, "cases": self.cases}
        return [
            {
                "over": unit,
                "metric": name,
                "value": figure.value,
                "ci95_low": None if figure.ci95 is None else figure.ci95[0],
                "ci95_high": None if figure.ci95 is None else figure.ci95[1],
            }
            for unit, figures in units.items()
            if figures is not None
            for name, figure in figures.metrics.items()
        ]

    @classmethod
    def from_json(cls, block: Mapping[str, Any]) -> Self:
        """What ``to_json`` wrote, as ``evaluation-PART.json`` has it; keys that others have added are left alone.

        Raises:
            ScoreError: not an evaluation by classes.
        """
        with reading("an evaluation by classes"):
            protocol, by_case, published_block = block["protocol"], block.get("by_case"), block.get("as_published")
            interval = protocol["interval"]
            return cls(
                options=EvaluateOptions(n_resamples=interval["n_resamples"], seed=interval["seed"]),
                n_cases=int(block["n_cases"]),
                items=ClassFigures.from_json(block),
                cases=None if by_case is None else ClassFigures.from_json(by_case),
                words=dict(protocol["words"]),
                as_published=None if published_block is None else ClassesAsPublished.from_json(published_block),
                contributions=tuple(Contribution.from_json(each) for each in block.get("contributions", ())),
            )


def evaluate_classes(
    cases: Sequence[CaseClasses],
    classes: Sequence[str],
    options: EvaluateOptions,
    words: Mapping[str, str],
    own: OwnMetrics = (),
) -> ClassEvaluation:
    """The figures of a part, over its pictures or slices and, where cases have several slices, over cases.

    Args:
        cases: what was said of them.
        classes: their names.
        options: of the intervals.
        words: how items are decided, what their reference is, what is said of a case.
        own: metrics of the caller's own, behind those of the table.

    Raises:
        ScoreError: no case, a case twice, or numbers that do not fit.
    """
    ordered = sorted(cases, key=lambda case: case.case)
    several = any(len(case.reference) > 1 for case in ordered)
    metrics = with_own(CLASS_METRICS, own)

    def scored(items: ItemClasses) -> ClassFigures:
        return score_classes(items, n_resamples=options.n_resamples, seed=options.seed, metrics=metrics)

    items = scored(_of_slices(ordered, classes))
    whole = scored(_of_cases(ordered, classes)) if several else None
    contributions = _contributions(ordered, options)
    return ClassEvaluation(options, len(ordered), items, whole, words, contributions=contributions)


def _contributions(cases: Sequence[CaseClasses], options: EvaluateOptions) -> tuple[Contribution, ...]:
    """Of each change of a modality: whether each item is right, and the probability of its true class."""
    reference = np.concatenate([case.reference for case in cases])
    places = np.arange(len(reference))
    before = np.concatenate([case.probabilities for case in cases])
    right = (np.concatenate([case.decided for case in cases]) == reference).astype(np.float64)
    units = [case.unit for case in cases for _ in case.reference]
    contributions = []
    for changed in cases[0].changed:
        after = np.concatenate([case.changed[changed] for case in cases])
        still = (after.argmax(axis=1) == reference).astype(np.float64)
        apart = after[places, reference] - before[places, reference]
        draws = (options.n_resamples, options.seed)
        contributions.append(contribution_of(changed, "accuracy", (right, still), apart, units, draws))
    return tuple(contributions)


def _of_slices(cases: Sequence[CaseClasses], classes: Sequence[str]) -> ItemClasses:
    return ItemClasses(
        classes=tuple(classes),
        items=tuple(f"{case.case} {z}" for case in cases for z in range(len(case.reference))),
        units=tuple(case.unit for case in cases for _ in case.reference),
        reference=np.concatenate([case.reference for case in cases]) if cases else np.zeros(0, dtype=np.int64),
        probabilities=np.concatenate([case.probabilities for case in cases]) if cases else np.zeros((0, len(classes))),
        decided=np.concatenate([case.decided for case in cases]) if cases else np.zeros(0, dtype=np.int64),
    )


def _of_cases(cases: Sequence[CaseClasses], classes: Sequence[str]) -> ItemClasses:
    """Each case by its slice that is least like the first class; its reference is the highest class on any slice."""
    telling = [int(case.probabilities[:, 0].argmin()) for case in cases]
    return ItemClasses(
        classes=tuple(classes),
        items=tuple(case.case for case in cases),
        units=tuple(case.unit for case in cases),
        reference=np.array([case.reference.max() for case in cases], dtype=np.int64),
        probabilities=np.stack([case.probabilities[z] for case, z in zip(cases, telling, strict=True)]),
        decided=np.array([case.decided[z] for case, z in zip(cases, telling, strict=True)], dtype=np.int64),
    )


def class_rows(cases: Sequence[CaseClasses], classes: Sequence[str]) -> list[dict[str, Cell]]:
    """A row per picture or slice (of its scan, from 1): classes in words, confidence, probabilities as ``p.CLASS``."""
    rows: list[dict[str, Cell]] = []
    for case in sorted(cases, key=lambda case: case.case):
        numbers = np.arange(1, len(case.decided) + 1) if case.numbers is None else case.numbers
        for z, (reference, decided) in enumerate(zip(case.reference, case.decided, strict=True)):
            row: dict[str, Cell] = {"case": case.case, "patient": case.patient, "slice": int(numbers[z])}
            row |= {"reference": classes[reference], "predicted": classes[decided], "right": int(reference == decided)}
            row["confidence"] = float(case.probabilities[z, decided])
            row |= {f"p.{name}": float(p) for name, p in zip(classes, case.probabilities[z], strict=True)}
            rows.append(row)
    return rows


def is_class_table(text: str) -> bool:
    """Whether a table of cases is a classifier's, by its columns."""
    return set(text.partition("\n")[0].strip().split(",")) >= _NEEDED


def class_rows_from_csv(text: str, path: str) -> list[dict[str, Cell]]:
    """What ``table.rows_to_csv`` made of ``class_rows``.

    Raises:
        FileError: not such a table.
    """
    if not is_class_table(text):
        columns = text.partition("\n")[0][:80]
        raise FileError("not a table of classified cases", path=path, found=columns, expected=sorted(_NEEDED))
    try:
        return [{name: _parsed(name, cell) for name, cell in row.items()} for row in csv_rows(text)[1]]
    except (ValueError, TypeError) as error:
        raise FileError("the table of classified cases is damaged", path=path, found=error) from error


def _parsed(column: str, cell: str) -> Cell:
    if column in _TEXT:
        return cell
    return int(cell) if column in _WHOLE else float(cell)

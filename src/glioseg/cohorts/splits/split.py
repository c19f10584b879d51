"""Training, validation and test part: by patient, nothing on two sides, tumour burden and site alike in all parts.

What may not be torn apart is a *unit*: a patient with all time points, joined with every patient who shows the same
(duplicates). For pictures of unknown patients each counts as a patient, so that the unit is the duplicate group.

How units are stratified and dealt out is in ``stratify``; splits as files in ``split_file``.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, Self

from pydantic import Field, model_validator

from glioseg.cohorts.splits.slicewise import is_by_slices
from glioseg.cohorts.splits.stratify import Groups, Unit, deal, units_of
from glioseg.core import PARTS, Cohort
from glioseg.core.case import Counted
from glioseg.errors import SplitError, name_some
from glioseg.frozen import Frozen

Kept = Literal["patient", "duplicate group", "slice"]
"""What a split keeps together."""


class SplitOptions(Frozen):
    """How a cohort is split.

    Attributes:
        protocol: ``patient``; or ``slice``, which some publications used: each slice is then a case and a patient of
            its own before anything else happens (``slicewise.by_slices``), and all figures leak.
        train: share of the training part.
        val: share of the validation part.
        test: share of the test part, which is held out first, with folds too; they sum to 1.
        n_folds: cross-validation: what the test part leaves is divided into so many folds, one of which is the
            validation part and the others the training part, whatever ``train`` and ``val`` say.
        fold: which of the folds is the validation part, from 0.
        burden_levels: strata of tumour burden, with as many patients each; 1 does not stratify by it.
        seed: number from which the hash follows that decides who is where.
    """

    protocol: Literal["patient", "slice"] = "patient"
    train: float = Field(0.7, gt=0, le=1)
    val: float = Field(0.15, ge=0, lt=1)
    test: float = Field(0.15, ge=0, lt=1)
    n_folds: int | None = Field(None, ge=2)
    fold: int = Field(0, ge=0)
    burden_levels: int = Field(4, ge=1, le=20)
    seed: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        total = self.train + self.val + self.test
        if abs(total - 1) > 1e-6:
            raise ValueError(f"train, val and test are shares of the whole: they sum to {total:.4g}, not to 1")
        if self.n_folds is None and self.fold != 0:
            raise ValueError(
                f"fold {self.fold} is one of a cross-validation: set split.n_folds=5, or as many as there are"
            )
        if self.n_folds is not None and self.fold >= self.n_folds:
            raise ValueError(f"fold {self.fold} of {self.n_folds}: folds count from 0 to {self.n_folds - 1}")
        return self


@dataclass(frozen=True)
class Split:
    """Who is in which part.

    Args:
        train: patients, sorted, as are
        val: and
        test: (either may be empty).
        unit: what was kept together; ``slice`` where each patient here is a slice, and all figures leak.
        seed: that drew it; None where the split came as a file without one.
        unused: patients of the cohort who are in no part, sorted.
    """

    train: tuple[str, ...]
    val: tuple[str, ...]
    test: tuple[str, ...]
    unit: Kept = "patient"
    seed: int | None = None
    unused: tuple[str, ...] = ()

    @property
    def sha256(self) -> str:
        """Hash of who is in which part: the same for the same split, whoever drew it."""
        parts = [sorted(self.train), sorted(self.val), sorted(self.test)]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    @property
    def parts(self) -> dict[str, tuple[str, ...]]:
        """Name of each part -> its patients, in the order of ``PARTS``."""
        return {name: getattr(self, name) for name in PARTS}

    def part(self, name: str) -> tuple[str, ...]:
        """The patients of ``train``, ``val``, ``test`` or ``all``.

        Raises:
            SplitError: another name, or a part that is empty.
        """
        parts = self.parts
        parts["all"] = tuple(sorted((*self.train, *self.val, *self.test)))
        if name not in parts:
            raise SplitError(
                "there is no such part of a split", found=name, expected=", ".join(parts), remedy="Name one of these"
            )
        if not parts[name]:
            raise SplitError(f"the {name} part of the split is empty", remedy=f"Give {name} a share of the patients")
        return parts[name]


def split(
    cohort: Cohort, options: SplitOptions, *, burden: Mapping[str, float] | None = None, groups: Groups = ()
) -> Split:
    """Split a cohort.

    Args:
        cohort: whole cases; for the protocol ``slice`` what ``by_slices`` made of them.
        options: shares or folds, and the seed.
        burden: case id -> tumour volume, in any one unit; a patient's is the largest of the cases. Cases without one
            form a stratum of their own. None does not stratify by it.
        groups: groups of cases that show the same, such as ``duplicates`` finds; they stay together.

    Raises:
        SplitError: fewer units than parts or folds, or a cohort that does not fit the protocol.
    """
    if is_by_slices(cohort) != (options.protocol == "slice"):
        raise SplitError(
            "the cohort does not fit the protocol of the split",
            found=f"protocol {options.protocol}, cases that are {'' if is_by_slices(cohort) else 'not '}slices",
            remedy=f"Try `--set split.protocol={'slice' if is_by_slices(cohort) else 'patient'}`",
        )
    units = units_of(cohort, groups, burden, options.burden_levels)
    if options.n_folds is None:
        train, val, test = deal(units, (options.train, options.val, options.test), f"parts {options.seed}")
    else:
        rest, test = deal(units, (1 - options.test, options.test), f"test {options.seed}")
        folds = deal(rest, (1 / options.n_folds,) * options.n_folds, f"folds {options.seed}")
        val = folds[options.fold]
        train = [unit for number, fold in enumerate(folds) if number != options.fold for unit in fold]
    return Split(_patients(train), _patients(val), _patients(test), unit_of(cohort), options.seed)


def unit_of(cohort: Cohort) -> Kept:
    """What is kept together in a split of this cohort."""
    if is_by_slices(cohort):
        return "slice"
    unknown = any(finding.kind == "unknown-patients" for finding in cohort.findings)
    return "duplicate group" if unknown else "patient"


def counted_in(cohort: Cohort) -> Counted:
    """What figures of this cohort are counted in: single pictures do not say whom they show."""
    return "picture" if unit_of(cohort) == "duplicate group" else "patient"


def verified(split: Split, cohort: Cohort, *, groups: Groups = (), path: str | None = None) -> Split:
    """The split, once it is certain that it fits the cohort and does not leak; its unit and ``unused`` filled in.

    Args:
        split: from a file, say.
        cohort: what it should split.
        groups: groups of cases that show the same.
        path: named in errors.

    Raises:
        SplitError: an empty training part, an unknown patient, a patient in two parts, or cases that show the same in
            two parts.
    """
    parts = split.parts
    counts = Counter(patient for part in parts.values() for patient in part)
    twice = sorted(patient for patient, count in counts.items() if count > 1)
    if twice:
        raise SplitError("a patient is in two parts of the split, or twice in one", path=path, found=name_some(twice))
    where = {patient: name for name, part in parts.items() for patient in part}
    if not split.train:
        raise SplitError("the train part of the split is empty", path=path)
    unknown = sorted(set(where) - set(cohort.patients))
    if unknown:
        raise SplitError(
            "the split names patients that the cohort lacks",
            path=path,
            found=f"{len(unknown)}: {name_some(unknown)}",
            expected=f"patients of {cohort.name}, such as {cohort.patients[0]}",
        )
    _require_no_leak(cohort, groups, where, path)
    unused = tuple(patient for patient in cohort.patients if patient not in where)
    train, val, test = (tuple(sorted(part)) for part in parts.values())
    return Split(train, val, test, unit_of(cohort), split.seed, unused)


def _require_no_leak(cohort: Cohort, groups: Groups, where: Mapping[str, str], path: str | None) -> None:
    of_case = {case.id: case.patient for case in cohort.cases}
    for group in groups:
        parts = {where[of_case[name]]: name for name in sorted(group, reverse=True) if of_case.get(name) in where}
        if len(parts) > 1:
            raise SplitError(
                "cases that show the same are in different parts of the split, so that its figures leak",
                path=path,
                found=", ".join(
                    f"{name} in {part}" for name, part in sorted((name, part) for part, name in parts.items())
                ),
                remedy="Put them into one part, or leave all but one out",
            )


def _patients(units: Iterable[Unit]) -> tuple[str, ...]:
    return tuple(sorted(patient for unit in units for patient in unit.patients))

"""What a training works on, and the parts of it that are scored: plain data, shared by all tasks."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace

from glioseg.cohorts.splits.split import Split
from glioseg.core import Case, Cohort
from glioseg.core.modalities import named_among
from glioseg.core.targets import Targets
from glioseg.errors import GeometryError, GliosegError, OptionError
from glioseg.inference.bundle import BundleInfo
from glioseg.inference.modalities import missing_modality_error, shown_modalities
from glioseg.preparation.store import PreparedCohort, of_patients


@dataclass(frozen=True, eq=False)
class CohortPart:
    """A part of a cohort: prepared, and as it was read.

    Args:
        name: ``train``, ``val``, ``test``, ``all``, or ``on-NAME`` for other data.
        prepared: the arrays.
        cases: by id.
        units: case -> what the bootstrap draws: its patient, or the group of copies that the case is in.
    """

    name: str
    prepared: PreparedCohort
    cases: Mapping[str, Case]
    units: Mapping[str, str]

    @classmethod
    def of(
        cls, name: str, prepared: PreparedCohort, cohort: Cohort, copies: Sequence[frozenset[str]] = ()
    ) -> CohortPart:
        """The cases of ``prepared`` with their sources in ``cohort``; ``copies`` are groups of cases that are alike."""
        names = {case.id for case in prepared.cases}
        cases = {case.id: case for case in cohort.cases if case.id in names}
        return cls(name, prepared, cases, unit_names(cohort, copies))


@dataclass(frozen=True, eq=False)
class TrainingData:
    """The cohort as read and prepared, who is in which part, and what a network is asked of it.

    Args:
        cohort: the usable cases.
        prepared: the same, as arrays.
        split: of the patients.
        modalities: channels of the network, in order.
        targets: regions or classes.
        copies: groups of cases that show the same; empty where they were not looked for.
    """

    cohort: Cohort
    prepared: PreparedCohort
    split: Split
    modalities: tuple[str, ...]
    targets: Targets
    copies: tuple[frozenset[str], ...] = ()

    def part(self, name: str) -> CohortPart:
        """A part by name; a SplitError where it is empty."""
        return CohortPart.of(name, self.prepared_part(name), self.cohort, self.copies)

    def prepared_part(self, name: str) -> PreparedCohort:
        """The arrays of a part; a SplitError where it is empty."""
        return of_patients(self.prepared, frozenset(self.split.part(name)))


def unit_names(cohort: Cohort, copies: Sequence[frozenset[str]]) -> dict[str, str]:
    """Case -> what the bootstrap draws: its patient or, where cases of several show the same, all of these together."""
    patients = {case.id: case.patient for case in cohort.cases}
    unit_of = {patient: patient for patient in patients.values()}
    members = {patient: [patient] for patient in unit_of}
    for group in copies:
        together = sorted({unit_of[patients[name]] for name in group if name in patients})
        for unit in together[1:]:
            for patient in members.pop(unit):
                unit_of[patient] = together[0]
                members[together[0]].append(patient)
    return {case: unit_of[patient] for case, patient in patients.items()}


def with_modalities(cohort: Cohort, modalities: Sequence[str] | None) -> Cohort:
    """The cohort with the modalities that a network sees, and no others.

    What is brain, and what is cropped, is decided by all modalities that are prepared: so that a scan is prepared alike
    for training and for a prediction, which has no others, these must be the network's own.

    Raises:
        OptionError: the cohort has no modality of that name.
        GeometryError: a case has none of them.
    """
    if modalities is None:
        return cohort
    unknown = [name for name in modalities if named_among(name, cohort.modalities) not in cohort.modalities]
    if unknown:
        raise OptionError(
            f"the cohort has no modality {', '.join(unknown)}",
            path=cohort.name,
            found=", ".join(cohort.modalities),
            expected=", ".join(modalities),
            remedy="Use data that has them, or a network of those that it has (data.modalities)",
        )
    cohort = _called(cohort, modalities)
    if set(modalities) == set(cohort.modalities):
        return cohort
    for case in cohort.cases:
        if not set(modalities) & set(case.images):
            raise missing_modality_error(modalities, tuple(case.images), case=case)
    cases = tuple(
        replace(case, images={name: source for name, source in case.images.items() if name in modalities})
        for case in cohort.cases
    )
    return replace(cohort, cases=cases, modalities=tuple(name for name in cohort.modalities if name in modalities))


def showing_only(cohort: Cohort, only: Sequence[str], modalities: Sequence[str]) -> Cohort:
    """The cohort as if nothing but some modalities had been acquired.

    Args:
        cohort: its cases have their images by the names of ``modalities``.
        only: the modalities to be shown, by these names or older ones.
        modalities: channels of the network.

    Raises:
        OptionError: a name that is none of the network's, or one that no case has.
    """
    names = [named_among(name, modalities) for name in only]
    unknown = [name for name in names if name not in modalities or name not in cohort.modalities]
    if unknown:
        possible = [name for name in modalities if name in cohort.modalities]
        raise OptionError(
            "only modalities that the network and the scans have can be shown",
            found=", ".join(unknown),
            expected=f"some of {', '.join(possible)}",
            remedy=f"Try `--only {possible[0]}`" if possible else None,
        )
    cases = (
        replace(case, images={name: source for name, source in case.images.items() if name in names})
        for case in cohort.cases
    )
    return replace(cohort, cases=tuple(case for case in cases if case.images))


def require_asked(cohort: Cohort, asked: Sequence[str] | None) -> None:
    """Refuse names of ``data.modalities`` that a cohort does not have.

    Raises:
        OptionError: the setting is at fault; the message ends in one that would do.
    """
    unknown = [name for name in asked or () if named_among(name, cohort.modalities) not in cohort.modalities]
    if unknown:
        possible = [name for name in asked or () if name not in unknown] or list(cohort.modalities)
        raise OptionError(
            f"data.modalities names what {cohort.name} does not have",
            found=", ".join(unknown),
            expected=f"some of {', '.join(cohort.modalities)}",
            remedy=f"Try `--set 'data.modalities={json.dumps(possible)}'`",
        )


def seen_by(cohort: Cohort, infos: Sequence[BundleInfo]) -> tuple[Cohort, dict[str, GliosegError]]:
    """The cases that have what each network must see, or what stands in for it; and what the others lack.

    Raises:
        GeometryError: there is none.
    """
    lacking: dict[str, GliosegError] = {}
    for case in cohort.cases:
        for info in infos:
            present = [name for name in info.modalities if named_among(name, case.images) in case.images]
            try:
                shown_modalities(info.modalities, present, info.prepare.missing, info.modality_sets, case)
            except GeometryError as error:
                lacking[case.id] = error
    if len(lacking) == len(cohort.cases):
        raise next(iter(lacking.values()))
    return without(cohort, lacking), lacking


def without(cohort: Cohort, left_out: Container[str]) -> Cohort:
    """The cohort without the cases of these ids."""
    return replace(cohort, cases=tuple(case for case in cohort.cases if case.id not in left_out))


def _called(cohort: Cohort, names: Sequence[str]) -> Cohort:
    """The cohort with its modalities called as in ``names``, where these are aliases of its own."""
    ours = {named_among(name, cohort.modalities): name for name in names}
    if all(ours.get(name, name) == name for name in cohort.modalities):
        return cohort
    cases = tuple(
        replace(case, images={ours.get(name, name): source for name, source in case.images.items()})
        for case in cohort.cases
    )
    return replace(cohort, cases=cases, modalities=tuple(ours.get(name, name) for name in cohort.modalities))


def first_patients(cohort: Cohort, cases: Sequence[Case], max_patients: int | None) -> Cohort:
    """The cohort with these cases, or those of the first patients by name; of classes the first of each in turn."""
    if max_patients is None:
        return replace(cohort, cases=tuple(cases))
    turns: Counter[str | None] = Counter()
    order: dict[str, int] = {}
    for case in sorted(cases, key=lambda case: case.patient):
        turns[case.category] += case.patient not in order
        order.setdefault(case.patient, turns[case.category])
    patients = frozenset(sorted(order, key=lambda patient: (order[patient], patient))[:max_patients])
    return replace(cohort, cases=tuple(case for case in cases if case.patient in patients))

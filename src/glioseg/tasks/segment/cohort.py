"""Which cases a network that segments can be trained on and scored by."""

from __future__ import annotations

from glioseg.console import Reporter
from glioseg.core import Cohort, LabelScheme
from glioseg.errors import LabelError, name_some
from glioseg.preparation.store import PreparedCohort
from glioseg.tasks.data import first_patients


def scheme_of(cohort: Cohort | PreparedCohort) -> LabelScheme:
    """The meaning of a cohort's references.

    Raises:
        LabelError: it is not known.
    """
    if cohort.scheme is None:
        raise LabelError(
            "the meaning of the labels is not known", path=cohort.name, remedy="Say it with `--scheme` or `--labels`"
        )
    return cohort.scheme


def with_references(cohort: Cohort, max_patients: int | None, reporter: Reporter) -> Cohort:
    """The cases that have a reference, of at most ``max_patients`` patients; those left out are said.

    Raises:
        LabelError: no case has a reference, or the meaning of the labels is not known.
    """
    if all(case.labels is None for case in cohort.cases):
        raise LabelError(
            "no case has a reference", path=cohort.name, remedy="Training and scoring need masks beside the images"
        )
    scheme_of(cohort)
    unmarked = [case.id for case in cohort.cases if case.labels is None]
    if unmarked:
        reporter.say(f"Left out, for want of a reference: {name_some(unmarked)}")
    return first_patients(cohort, [case for case in cohort.cases if case.labels is not None], max_patients)

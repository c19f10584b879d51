"""Which cases a network that segments can be trained on and scored by."""

from __future__ import annotations

from glioseg.console import Reporter
from glioseg.core import Cohort
from glioseg.errors import LabelError, name_some
from glioseg.tasks.data import first_patients


def with_references(cohort: Cohort, max_patients: int | None, reporter: Reporter) -> Cohort:
    """The cases that have a reference, of at most ``max_patients`` patients; those left out are said.

    Raises:
        LabelError: no case has a reference, or the meaning of the labels is not known.
    """
    has_masks = any(case.labels is not None for case in cohort.cases)
    if cohort.scheme is None or not has_masks:
        raise LabelError(
            "the meaning of the labels is not known" if has_masks else "no case has a reference",
            path=cohort.name,
            remedy="Say it with --scheme" if has_masks else "Training needs masks beside the images",
        )
    without = [case.id for case in cohort.cases if case.labels is None]
    if without:
        reporter.say(f"Left out, for want of a reference: {name_some(without)}")
    return first_patients(cohort, [case for case in cohort.cases if case.labels is not None], max_patients)

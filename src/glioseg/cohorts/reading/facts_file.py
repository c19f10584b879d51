"""What the user tells in a ``facts.csv`` of data whose files do not say it: patients and other facts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from glioseg.cohorts.reading.listing import Listing
from glioseg.cohorts.reading.tables import FACTS_TABLE, nearest_facts
from glioseg.core import Case, Finding
from glioseg.errors import name_some, plural


def with_facts_file(
    cases: Sequence[Case], listing: Listing, *, noun: str = "case"
) -> tuple[tuple[Case, ...], list[Finding]]:
    """Cases of unknown patients, with patient and facts where a ``facts.csv`` gives them, and what is to be said.

    Args:
        cases: each its own patient.
        listing: where the table is looked for.
        noun: what a case is called in the findings.
    """
    facts, patients, findings = nearest_facts(listing)
    with_facts = tuple(
        replace(case, patient=patients.get(case.id, case.patient), facts={**case.facts, **facts.get(case.id, {})})
        for case in cases
    )
    strangers = sorted(set(facts) - {case.id for case in cases})
    if strangers:
        cases_are = plural(len(strangers), "case that is", "cases that are")
        message = f"{FACTS_TABLE} names {cases_are} not here: {name_some(strangers)}"
        findings.append(Finding("warning", "unknown-case", message))
    unknown = sum(case.id not in patients for case in cases)
    if unknown:
        message = (
            f"the files do not say whom {unknown} of the {len(cases)} {noun}s show: each is a patient of its own "
            f"and a split can only keep duplicates together; a {FACTS_TABLE} with the columns case and patient says it"
        )
        findings.append(Finding("note", "unknown-patients", message))
    return with_facts, findings

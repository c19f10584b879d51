"""What the labels of a BraTS cohort mean: by the names of its cases, and by a few masks where names leave it open."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Literal

from glioseg.core import Case, Finding, LabelScheme, Source, scheme_named
from glioseg.core.labels import distinct
from glioseg.errors import GliosegError, name_some
from glioseg.io.load import read_labels

Family = Literal["2015", "2017-2021", "GLI", "GLI post-treatment", "other tumours"]
"""Which challenges a case's name belongs to."""

N_MASKS_READ = 5
_NAMES: tuple[tuple[Family, re.Pattern[str]], ...] = (
    ("2015", re.compile(r"brats_(?:2013|tcia)_pat\w+", re.IGNORECASE)),
    ("2017-2021", re.compile(r"brats(?:1[789]|20|2021)_\w+", re.IGNORECASE)),
)
_SINCE_2023 = re.compile(r"(?P<patient>brats-(?P<tumour>[a-z]+)-\d+)-(?P<time>\d+)", re.IGNORECASE)
_POST_TREATMENT_FOLDER = re.compile(r"brats[-_ ]?(?:20)?24|post[-_ ]?treat", re.IGNORECASE)
_TIME_PATIENT = re.compile(r"(?P<patient>brats_tcia_pat\d+)_\d+", re.IGNORECASE)
_FIRST_POST_TREATMENT = 100
_WHOLE_TUMOUR = "every mask read holds 0 and 1 alone, where BraTS has several labels: a mask of the whole tumour"


def family_of(case_id: str, folders: Iterable[str] = ()) -> Family | None:
    """The challenges that name their cases so; None where the name is nobody's.

    BraTS 2023 and 2024 share the names ``BraTS-GLI-00000-000``; the post-treatment cases of 2024 count their time
    points from 100, and folders may say ``BraTS2024`` or ``PostTreatment``. BraTS-Africa (SSA) is labelled as GLI.
    """
    parts = _SINCE_2023.fullmatch(case_id)
    if parts is None:
        return next((family for family, pattern in _NAMES if pattern.fullmatch(case_id)), None)
    if parts["tumour"].upper() not in ("GLI", "SSA"):
        return "other tumours"
    is_folder_of_2024 = any(_POST_TREATMENT_FOLDER.search(name) for name in folders)
    late = int(parts["time"]) >= _FIRST_POST_TREATMENT
    return "GLI post-treatment" if late or (is_folder_of_2024 and parts["tumour"].upper() == "GLI") else "GLI"


def patient_of(case_id: str) -> str:
    """The patient whose case this is: the name without the time point where it has one, else the name."""
    parts = _SINCE_2023.fullmatch(case_id) or _TIME_PATIENT.fullmatch(case_id)
    return parts["patient"] if parts is not None else case_id


def decide_scheme(
    cases: Sequence[Case], families: Iterable[Family | None]
) -> tuple[LabelScheme | None, tuple[Finding, ...]]:
    """The scheme of a cohort and what there is to say of it; None where no case has labels or the user must say.

    Args:
        cases: the cases of the cohort.
        families: of those cases that have labels.

    At most five masks are read, spread over the cohort: names do not tell a whole-tumour mask from the published
    labels, nor labels of 2024 that lie under names of 2023.
    """
    references = [case.labels for case in cases if case.labels is not None]
    named_families = {family for family in families if family is not None}
    if not references:
        return None, ()
    if len(named_families) > 1:
        names = name_some(sorted(named_families))
        return None, (_unknown_scheme(f"cases of several challenges, whose labels differ, lie together: {names}"),)
    family = next(iter(named_families), None)
    values = _values_of_some(references)
    if values == {0, 1}:
        severity: Literal["note", "warning"] = "warning" if family in (None, "other tumours") else "note"
        return scheme_named("whole-tumour"), (Finding(severity, "whole-tumour-masks", _WHOLE_TUMOUR),)
    return _by_family(family, values)


def _by_family(family: Family | None, values: set[int]) -> tuple[LabelScheme | None, tuple[Finding, ...]]:
    if family == "2015":
        return scheme_named("brats2015"), ()
    if family == "2017-2021":
        return scheme_named("brats2021"), ()
    if family == "GLI post-treatment":
        return scheme_named("brats2024"), ()
    if family == "GLI" and 4 in values:
        message = "masks under names of BraTS 2023 hold label 4, the resection cavity of BraTS 2024"
        return scheme_named("brats2024"), (Finding("note", "scheme-by-labels", message),)
    if family == "GLI":
        return scheme_named("brats2023"), ()
    if family is None and {2, 4} <= values and 3 not in values:
        message = "the names do not say which BraTS this is; masks hold 4 and no 3, which is BraTS 2017-2021 alone"
        return scheme_named("brats2021"), (Finding("note", "scheme-by-labels", message),)
    listed = ", ".join(map(str, sorted(values))) or "none that can be read"
    return None, (_unknown_scheme(f"the names do not say what the labels mean; values found: {listed}"),)


def _unknown_scheme(what: str) -> Finding:
    return Finding("warning", "unknown-scheme", f"{what}. Say it with --scheme (or point to one of them)")


def _values_of_some(references: Sequence[Source]) -> set[int]:
    """The values of a few masks, spread over the cohort; masks that cannot be read are left to the check."""
    n = min(N_MASKS_READ, len(references))
    sources = [references[i * len(references) // n] for i in range(n)]
    values: set[int] = set()
    for source in sources:
        try:
            values |= set(distinct(read_labels(source, scheme_named("brats2024")).array))
        except GliosegError:
            continue
        if 4 in values:
            break
    return values

"""What the labels of a BraTS cohort mean: by the names of its cases, and by a few masks where names leave it open."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import Literal

from glioseg.core import Case, Finding, LabelScheme, Source, scheme_named
from glioseg.core.labels import distinct
from glioseg.errors import GliosegError, name_some
from glioseg.io.load import read_labels

Family = Literal[
    "2015", "2017-2021", "GLI", "GLI post-treatment", "PED", "PED 2023", "PED since 2024", "MEN or MET", "MEN-RT"
]
"""Which challenges a case's name belongs to."""

N_MASKS_READ = 5
_NAMES: tuple[tuple[Family, re.Pattern[str]], ...] = (
    ("2015", re.compile(r"brats_(?:2013|tcia)_pat\w+", re.IGNORECASE)),
    ("2017-2021", re.compile(r"brats(?:1[789]|20|2021)_\w+", re.IGNORECASE)),
)
_RADIOTHERAPY = re.compile(r"(?P<patient>brats-men-rt-\d+)-\d+", re.IGNORECASE)
_SINCE_2023 = re.compile(r"(?P<patient>brats-(?P<tumour>[a-z]+)-\d+)-(?P<time>\d+)", re.IGNORECASE)
_FOLDER_SINCE_2024 = re.compile(r"20(?:24|25)|brats[-_ ]?2[45]", re.IGNORECASE)
_FOLDER_OF_2023 = re.compile(r"2023|brats[-_ ]?23", re.IGNORECASE)
_POST_TREATMENT_FOLDER = re.compile(r"brats[-_ ]?(?:20)?24|post[-_ ]?treat", re.IGNORECASE)
_TIME_PATIENT = re.compile(r"(?P<patient>brats_tcia_pat\d+)_\d+", re.IGNORECASE)
_FIRST_POST_TREATMENT = 100
_GLIOMAS: tuple[Family, ...] = ("2015", "2017-2021", "GLI", "GLI post-treatment")
_CERTAIN: Mapping[Family | None, str] = MappingProxyType(
    {
        "2015": "brats2015",
        "2017-2021": "brats2021",
        "GLI post-treatment": "brats2024",
        "PED 2023": "brats2023",
        "PED since 2024": "brats2024-ped",
        "MEN-RT": "brats2024-men-rt",
    }
)
"""Challenges whose names say what their labels mean."""
_WHOLE_TUMOUR = "every mask read holds 0 and 1 alone, where BraTS has several labels: a mask of the whole tumour"


@lru_cache(maxsize=256)  # a case is asked about for each of its files
def family_of(case_id: str, folders: tuple[str, ...] = ()) -> Family | None:
    """The challenges that name their cases so; None where the name is nobody's.

    BraTS 2023 and 2024 share the names ``BraTS-GLI-00000-000``; the post-treatment cases of 2024 count their time
    points from 100, and folders may say ``BraTS2024`` or ``PostTreatment``. BraTS-Africa (SSA) is labelled as GLI, as
    meningiomas (MEN) and metastases (MET) are, which since 2025 may have a resection cavity.
    """
    if _RADIOTHERAPY.fullmatch(case_id):
        return "MEN-RT"
    parts = _SINCE_2023.fullmatch(case_id)
    if parts is None:
        return next((family for family, pattern in _NAMES if pattern.fullmatch(case_id)), None)
    if parts["tumour"].upper() not in ("GLI", "SSA"):
        return _family_of_children(folders) if parts["tumour"].upper() in ("PED", "PEDS") else "MEN or MET"
    is_folder_of_2024 = any(_POST_TREATMENT_FOLDER.search(name) for name in folders)
    late = int(parts["time"]) >= _FIRST_POST_TREATMENT
    return "GLI post-treatment" if late or (is_folder_of_2024 and parts["tumour"].upper() == "GLI") else "GLI"


def _family_of_children(folders: Iterable[str]) -> Family:
    """The names are the same in all years, and 1, 2 and 3 mean something else since 2024."""
    for folder in folders:
        if _FOLDER_SINCE_2024.search(folder):
            return "PED since 2024"
        if _FOLDER_OF_2023.search(folder):
            return "PED 2023"
    return "PED"


def patient_of(case_id: str) -> str:
    """The patient whose case this is: the name without the time point where it has one, else the name."""
    parts = _RADIOTHERAPY.fullmatch(case_id) or _SINCE_2023.fullmatch(case_id) or _TIME_PATIENT.fullmatch(case_id)
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
    references = [case.labels for case in cases if case.labels is not None and not case.labels.layers]
    named_families = {family for family in families if family is not None}
    if not references:
        return None, ()
    if len(named_families) > 1:
        names = name_some(sorted(named_families))
        return None, (_unknown_scheme(f"cases of several challenges, whose labels differ, lie together: {names}"),)
    family = next(iter(named_families), None)
    if family == "MEN-RT":
        return scheme_named("brats2024-men-rt"), ()
    values = _values_of_some(references)
    if values == {0, 1}:
        severity: Literal["note", "warning"] = "note" if family in _GLIOMAS else "warning"
        return scheme_named("whole-tumour"), (Finding(severity, "whole-tumour-masks", _WHOLE_TUMOUR),)
    return _by_family(family, values)


def _by_family(family: Family | None, values: set[int]) -> tuple[LabelScheme | None, tuple[Finding, ...]]:
    if family in _CERTAIN:
        return scheme_named(_CERTAIN[family]), ()
    if family in ("GLI", "MEN or MET"):
        message = "masks under names of BraTS 2023 hold label 4, the resection cavity of later years"
        findings = (Finding("note", "scheme-by-labels", message),) if 4 in values else ()
        return scheme_named("brats2024" if 4 in values else "brats2023"), findings
    if family == "PED" and 4 in values:
        message = "masks of BraTS-PEDs hold label 4, the oedema of 2024 and later"
        return scheme_named("brats2024-ped"), (Finding("note", "scheme-by-labels", message),)
    if family == "PED":
        words = "1, 2 and 3 are NCR, ED and ET in BraTS-PEDs 2023 (brats2023), ET, NET and CC since (brats2024-ped)"
        return None, (_unknown_scheme(words),)
    if family is None and {2, 4} <= values and 3 not in values:
        message = "the names do not say which BraTS this is; masks hold 4 and no 3, which is BraTS 2017-2021 alone"
        return scheme_named("brats2021"), (Finding("note", "scheme-by-labels", message),)
    listed = ", ".join(map(str, sorted(values))) or "none that can be read"
    return None, (_unknown_scheme(f"the names do not say what the labels mean; values found: {listed}"),)


def _unknown_scheme(what: str) -> Finding:
    return Finding(
        "warning", "unknown-scheme", f"{what}. Say it with `--scheme` or `--labels` (or point to one of them)"
    )


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

"""Writers of one folder per case: BraTS 2021, BraTS 2023 and ``volumes``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from glioseg.cohorts.reading.tables import FACTS_TABLE, fact_columns, write_rows
from glioseg.cohorts.write.case import (
    CohortPlace,
    LoadedCase,
    WriteOptions,
    Written,
    labels_in,
    require_modalities,
    safe_name,
    write_volume,
)
from glioseg.core import LabelScheme, scheme_named
from glioseg.errors import GeometryError

_BRATS_2021: Mapping[str, str] = MappingProxyType({"t1n": "t1", "t1c": "t1ce", "t2w": "t2", "t2f": "flair"})
_BRATS_2023: Mapping[str, str] = MappingProxyType({name: name for name in _BRATS_2021})
_SURVIVAL_COLUMNS = ("Age", "Survival_days", "Extent_of_Resection")


def write_brats_2021(case: LoadedCase, place: CohortPlace, out: Path, options: WriteOptions) -> Written:
    """``BraTS2021_00001/BraTS2021_00001_flair.nii.gz`` with t1, t1ce, t2 and seg.

    Every case has a number of its own: names of 2021 cannot say that two are of one patient.
    """
    name = f"BraTS2021_{place.case:05d}"
    return _write_brats(case, name, name, out, scheme_named("brats2021"), _BRATS_2021, "_")


def write_brats_2023(case: LoadedCase, place: CohortPlace, out: Path, options: WriteOptions) -> Written:
    """``BraTS-GLI-00001-000/BraTS-GLI-00001-000-t2f.nii.gz`` with t1n, t1c, t2w and seg; -001 is the second time."""
    patient = f"BraTS-GLI-{place.patient:05d}"
    name = f"{patient}-{place.time_point:03d}"
    return _write_brats(case, name, patient, out, scheme_named("brats2023"), _BRATS_2023, "-")


def write_brats_tables(written: Sequence[Written], out: Path, options: WriteOptions) -> None:
    """``survival_info.csv`` and ``name_mapping.csv`` with the columns of BraTS 2020; other facts have columns of their
    own in the latter. They are left out where nothing is known.
    """
    write_clinical_tables([(case.id, case) for case in written], out, "BraTS_2021_subject_ID")


def write_clinical_tables(cases: Sequence[tuple[str, Written]], out: Path, id_column: str) -> None:
    """The same for cases that the tables know under a name of their own."""
    clinical = [(name, case.facts) for name, case in cases if {"age", "survival_days"} & set(case.facts)]
    if clinical:
        rows = [
            {
                "Brats20ID": name,
                "Age": facts.get("age", "NA"),
                "Survival_days": _survival(facts),
                "Extent_of_Resection": facts.get("resection", "NA"),
            }
            for name, facts in clinical
        ]
        write_rows(out / "survival_info.csv", ("Brats20ID", *_SURVIVAL_COLUMNS), rows)
    published = {"age", "survival_days", "death", "resection", "grade", "part"}
    others = [name for name in fact_columns(case.facts for _, case in cases) if name not in published]
    if others or any("grade" in case.facts for _, case in cases):
        rows = [{**case.facts, "Grade": case.facts.get("grade", "NA"), id_column: name} for name, case in cases]
        write_rows(out / "name_mapping.csv", ("Grade", *others, id_column), rows)


def write_volumes(case: LoadedCase, place: CohortPlace, out: Path, options: WriteOptions) -> Written:
    """``CASE/CASE_t2f.nii.gz`` for each modality and ``CASE/CASE_seg.nii.gz``, labels as they are.

    T1 with tissue labels alone is written as IBSR is: ``IBSR_01/IBSR_01.nii.gz``.
    """
    scheme = case.labels.scheme if case.labels is not None else None
    as_ibsr = scheme is not None and scheme.name == "ibsr" and case.image.modalities == ("t1n",)
    name = f"IBSR_{place.case:02d}" if as_ibsr else safe_name(case.id)
    for modality, volume in zip(case.image.modalities, case.image.array, strict=True):
        ending = "" if as_ibsr or modality == "image" else f"_{safe_name(modality)}"
        write_volume(out / name / f"{name}{ending}{options.volume_ending}", volume, case.image.grid)
    if case.labels is not None:
        write_volume(out / name / f"{name}_seg{options.volume_ending}", case.labels.array, case.image.grid)
    return Written(name, case.id, case.patient, case.facts, case.image.modalities, scheme)


def write_facts(written: Sequence[Written], out: Path, options: WriteOptions) -> None:
    """``facts.csv``: case, patient and what is known of it; a row for each picture that is read as a case."""
    columns = ("case", "patient", *fact_columns(case.facts for case in written))
    rows = [
        {**case.facts, "case": name, "patient": case.patient}
        for case in written
        for name in ((case.id,) if case.pictures is None else case.pictures)
    ]
    write_rows(out / FACTS_TABLE, columns, rows)


def _write_brats(
    case: LoadedCase, name: str, patient: str, out: Path, scheme: LabelScheme, words: Mapping[str, str], dash: str
) -> Written:
    present = tuple(modality for modality in words if modality in case.image.modalities)
    foreign = [modality for modality in case.image.modalities if modality not in words]
    if foreign or not present:
        raise GeometryError(
            f"case {case.id} cannot be written as BraTS",
            found=", ".join(foreign),
            expected=f"some of {', '.join(words)}",
            remedy="Say what the modalities are with `--modalities`, or write another layout with `--to volumes`",
        )
    labels = labels_in(case, scheme)
    for modality, volume in zip(present, require_modalities(case, present, "BraTS"), strict=True):
        write_volume(out / name / f"{name}{dash}{words[modality]}.nii.gz", volume, case.image.grid)
    if labels is not None:
        write_volume(out / name / f"{name}{dash}seg.nii.gz", labels, case.image.grid)
    return Written(name, case.id, patient, case.facts, present, scheme if labels is not None else None)


def _survival(facts: Mapping[str, str | float | int]) -> str | float | int:
    days = facts.get("survival_days", "NA")
    return f"ALIVE ({days} days later)" if facts.get("death") == 0 and days != "NA" else days

"""``data.csv`` of LGG: what is known of its patients.

The publisher writes numbers and ships no key to them. They follow the alphabetical order of TCGA's own terms (sex:
FEMALE, MALE; grade: G2, G3; type: astrocytoma, oligoastrocytoma, oligodendroglioma; side: Left, Midline, Right), which
is what is read here; columns whose key is less certain keep their numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from glioseg.cohorts.reading.listing import Listing
from glioseg.cohorts.reading.tables import fact_value, no_such_column, read_rows
from glioseg.core import Facts, Finding
from glioseg.errors import name_some, plural

_COLUMNS: Mapping[str, str] = MappingProxyType(
    {
        "age_at_initial_pathologic": "age",
        "gender": "sex",
        "neoplasm_histologic_grade": "grade",
        "death01": "death",
        "histological_type": "histology",
        "laterality": "side",
        "tumor_location": "lobe_code",
        "race": "race_code",
        "ethnicity": "ethnicity_code",
        "rnaseqcluster": "rnaseq_cluster",
        "methylationcluster": "methylation_cluster",
        "mirnacluster": "mirna_cluster",
        "cncluster": "cn_cluster",
        "rppacluster": "rppa_cluster",
        "oncosigncluster": "oncosign_cluster",
        "coccluster": "coc_cluster",
    }
)
_IGNORED = frozenset({"patient", "tumor_tissue_site"})
_CODES: Mapping[str, Mapping[float, str]] = MappingProxyType(
    {
        "sex": {1: "F", 2: "M"},
        "grade": {1: "II", 2: "III"},
        "histology": {1: "astrocytoma", 2: "oligoastrocytoma", 3: "oligodendroglioma"},
        "side": {1: "left", 2: "middle", 3: "right"},
    }
)


def read_facts(listing: Listing) -> tuple[dict[str, Facts], list[Finding]]:
    """Patient (upper case) -> facts, from the ``data.csv`` nearest to the root or from the folder above it.

    A table that is absent or cannot be read is a finding, never an error: the scans are good without it.
    """
    above = listing.root.parent / "data.csv"
    for path in [*listing.named("data.csv"), *([above] if above.is_file() else [])]:
        rows, findings = read_rows(path)
        facts = {row["Patient"].upper(): _facts(row) for row in rows if row.get("Patient")}
        if facts:
            message = (
                f"the numbers in {path.name} are read in the alphabetical order of TCGA's terms: sex 1 is F, 2 is M"
            )
            return facts, [Finding("note", "assumed-codes", message)]
        if path != above:
            return {}, findings or [no_such_column(path, "Patient")]
    return {}, [Finding("note", "missing-table", "no data.csv: ages, grades and other facts are not known")]


def without_row(table: Mapping[str, Facts], patients: Iterable[str]) -> list[Finding]:
    """A note where a table was found and lacks some of the patients."""
    absent = sorted({patient for patient in patients if patient.upper() not in table}) if table else []
    if not absent:
        return []
    return [Finding("note", "missing-facts", f"data.csv lacks {plural(len(absent), 'patient')}: {name_some(absent)}")]


def _facts(row: Mapping[str, str]) -> Facts:
    facts: dict[str, str | float | int] = {}
    for column, text in row.items():
        value = fact_value(text)
        if value is None or column.lower() in _IGNORED:
            continue
        name = _COLUMNS.get(column.lower(), column.lower().replace(" ", "_"))
        codes = _CODES.get(name)
        facts[name] = codes.get(value, value) if codes is not None and not isinstance(value, str) else value
    return facts

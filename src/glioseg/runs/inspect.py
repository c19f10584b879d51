"""``glioseg inspect``: recognise, check and describe a cohort."""

from __future__ import annotations

import html
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from glioseg.cohorts.checks.check import check
from glioseg.cohorts.description import CohortDescription
from glioseg.cohorts.explore.describe import describe
from glioseg.console import QUIET, Reporter
from glioseg.core import Cohort, Finding
from glioseg.errors import plural
from glioseg.faces import in_python
from glioseg.io.files import require_folder
from glioseg.report.cohort import write_cohort_report
from glioseg.runs.read import Data, read

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class InspectResult:
    """What ``inspect`` found, and where its report is."""

    cohort: Cohort
    description: CohortDescription
    report: Path | None

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What is wrong or odd, of the cohort and of its cases."""
        return self.description.findings

    def __repr__(self) -> str:
        """In a line: ``findings`` and ``table()`` have the rest."""
        return f"InspectResult({self.cohort!r}; {plural(len(self.findings), 'finding')}; report {self.report})"

    def table(self) -> pd.DataFrame:
        """A row for each case: patient, class, voxels along X, Y, Z, spacing (mm where known), tumour (ml, voxels)."""
        import pandas as pd

        return pd.DataFrame(
            {
                "case": case.case,
                "patient": case.patient,
                "class": case.category,
                "shape": case.shape,
                "spacing": case.spacing,
                "modalities": ", ".join(case.modalities),
                "tumour_ml": case.tumour_ml,
                "tumour_voxels": case.tumour_voxels,
                "findings": len(case.findings),
            }
            for case in self.description.cases
        )

    def _repr_html_(self) -> str:
        """Findings and table, for notebooks."""
        items = "".join(
            f"<li>{html.escape(f'{finding.severity}: {in_python(finding.message)}')}</li>" for finding in self.findings
        )
        return f"<b>{html.escape(self.description.name)}</b><ul>{items}</ul>{self.table().to_html(index=False)}"


def inspect(data: Data | Cohort, out: Path | None = None, reporter: Reporter = QUIET) -> InspectResult:
    """Recognise, check and describe a cohort; write the report into ``out`` unless that is None.

    Raises:
        FileError: ``out`` cannot be written to, which is said before anything is looked at; or see ``read``.
    """
    if out is not None:
        require_folder(out)
    cohort = read(data, reporter, says_errors=False)
    with reporter.progress("Looking at cases") as step:
        description = describe(cohort, check(cohort, progress=step))
    report = None
    if out is not None:
        with reporter.progress("Drawing figures") as step:
            report = write_cohort_report(cohort, description, out, progress=step)
    return InspectResult(cohort, description, report)

"""Reports of real scans: every layout that lies beside the checkout gets its page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from glioseg.cohorts.checks.check import check
from glioseg.cohorts.explore.describe import describe
from glioseg.cohorts.recognise import read_cohort
from glioseg.report.cohort import write_cohort_report

_VOLUME = {
    "planes",
    "modalities",
    "regions",
    "gallery-positive",
    "gallery-negative",
    "imbalance",
    "intensities",
    "dark-slices",
}
_EXPECTED = {
    "brats2021": _VOLUME | {"region-sizes", "tumour-places", "correlation"},
    "brats2015_flair_t1c": _VOLUME | {"region-sizes", "tumour-sizes", "intensities-by-case"},
    "navoneel": {"class-1", "class-2", "classes", "picture-sizes", "duplicates"},
}


@pytest.mark.realdata
@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(_EXPECTED))
def test_reports_of_real_cohorts(real_data: Path, tmp_path: Path, name: str) -> None:
    cohort = read_cohort(real_data / name)
    page = write_cohort_report(cohort, describe(cohort, check(cohort, n_workers=1)), tmp_path)
    text = page.read_text(encoding="utf-8")
    assert set(re.findall(r'id="figure-([a-z0-9-]+)"', text)) >= _EXPECTED[name]
    assert len(text) < 6_000_000

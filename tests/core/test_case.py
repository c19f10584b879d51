from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import pytest

from glioseg.core import Case, Cohort, Source, scheme_named
from glioseg.core.case import allowing
from glioseg.core.series import SeriesRow
from glioseg.errors import GliosegError, LayoutError, SplitError, name_some

ONE = Source((Path("a.nii"),), "nifti")


def cohort_of(*cases: Case) -> Cohort:
    return Cohort("toy", "brats", "because", cases, ("t1c",), scheme_named("brats2021"))


def test_sources_without_meaning() -> None:
    with pytest.raises(LayoutError, match="at least one file"):
        Source((), "raster")
    with pytest.raises(LayoutError, match=r"a\.nii.*stacked; found nifti"):
        Source((Path("a.nii"), Path("b.nii")), "nifti")
    for kind, index in (("raster", 0), ("hdf5", 0), ("nifti", -1)):
        with pytest.raises(LayoutError, match="named by their index"):
            Source((Path("a"),), kind, slice_index=index)  # type: ignore[arg-type]
    assert Source((Path("a.nii"),), "nifti", slice_index=0).slice_index == 0
    with pytest.raises(LayoutError, match=r"a\.nii.*stand for one label each; found nifti"):
        Source((Path("a.nii"),), "nifti", value=1)


def test_what_may_be_read_holds_for_all_files_of_a_case() -> None:
    case = Case("a", "a", {"t1c": ONE, "t2f": Source((Path("b.nii"),), "nifti")}, labels=ONE)
    allowed = allowing(case, 7)
    assert allowed.labels == Source(ONE.paths, "nifti", max_voxels=7)
    assert {name: source.max_voxels for name, source in allowed.images.items()} == {"t1c": 7, "t2f": 7}
    assert allowing(Case("a", "a", {}), 7) == Case("a", "a", {})


def test_a_row_of_a_series_says_why_and_its_plain_values() -> None:
    row = SeriesRow("c", "7", "t1 mprage", "sagittal", (1.00004, 0.5, 0.33338), 9, "no", "t1n", 0.9, "TR 9 ms", True)
    assert row.reason == "t1 mprage; TR 9 ms"
    assert replace(row, why="named t1 mprage", remarks=("odd",)).reason == "named t1 mprage; odd"
    assert row.to_json()["spacing_mm"] == [1.0, 0.5, 0.3334]
    assert replace(row, spacing_mm=None, remarks=("odd",)).to_json()["spacing_mm"] is None
    assert replace(row, remarks=("odd",)).to_json()["remarks"] == ["odd"]


def test_a_cohort_knows_its_patients() -> None:
    cases = (Case("b-1", "b", {"t1c": ONE}), Case("a-0", "a", {"t1c": ONE}), Case("b-0", "b", {}))
    assert cohort_of(*cases).patients == ("a", "b")
    assert repr(cohort_of(*cases)) == "Cohort('toy', layout brats: 3 cases of 2 patients; t1c)"


def test_cohorts_that_cannot_be() -> None:
    with pytest.raises(LayoutError, match="empty"):
        cohort_of()
    with pytest.raises(LayoutError, match="same id; found a"):
        cohort_of(Case("a", "a", {}), Case("a", "b", {}))
    with pytest.raises(LayoutError, match="its cohort lacks; found t2f"):
        cohort_of(Case("a", "a", {"t2f": ONE}))


def test_errors_cross_processes_with_all_they_say() -> None:
    error = SplitError("it leaks.", path=Path("split.json"), found=3, expected=0, remedy="Mend it.")
    assert str(error) == "split.json: it leaks; found 3; expected 0. Mend it."
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is SplitError
    assert (str(again), again.path, again.remedy) == (str(error), error.path, error.remedy)
    assert str(GliosegError("plain")) == "plain."


def test_names_for_messages() -> None:
    assert name_some("abc") == "a, b, c"
    assert name_some(range(9)) == "0, 1, 2, 3, 4, 5 and 3 more"

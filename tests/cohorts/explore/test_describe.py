"""Descriptions of cohorts, with counts that can be read off the cohorts written here."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from glioseg.cohorts.checks.findings import gathered
from glioseg.cohorts.dark import LGG_THRESHOLD
from glioseg.cohorts.description import CohortDescription, Diagnoses
from glioseg.cohorts.explore.describe import explore, normalised, rebinned
from glioseg.cohorts.explore.gallery import spread
from glioseg.cohorts.recognise import read_cohort
from glioseg.cohorts.summary import Distribution, Histogram
from glioseg.core import Finding
from tests.cohorts.hand_made import SHAPE, cohort, head, picture_case, tumour, volume_case


def three_patients(folder: Path) -> CohortDescription:
    """Patient p: case a with 3 voxels of tumour in two slices, case b with an empty mask; q: an empty mask; r: none."""
    painted = tumour((3, 4, 2), (3, 5, 2), value=2) + tumour((3, 4, 3), value=3)
    cases = (
        volume_case(folder, "a", {"t1c": head(1), "t2f": head(2)}, painted, patient="p", facts={"age": 40, "sex": "F"}),
        volume_case(folder, "b", {"t1c": head(3), "t2f": head(4)}, tumour(), patient="p", facts={"age": 41}),
        volume_case(folder, "c", {"t1c": head(5), "t2f": head(6)}, tumour(), patient="q"),
        volume_case(folder, "d", {"t1c": head(7), "t2f": head(8)}, patient="r"),
    )
    return explore(cohort(*cases), n_workers=1)


def test_counts(tmp_path: Path) -> None:
    description = three_patients(tmp_path)
    assert description.patients == ("p", "q", "r")
    assert description.n_slices == 24
    assert description.n_tumour_slices == 2
    assert description.diagnoses == Diagnoses(
        positive_slices=2, negative_slices=16, positive_patients=1, negative_patients=1
    )
    assert description.labels == {"NCR": 0, "ED": 2, "ET": 1}
    assert description.regions == {"WT": 3, "TC": 1, "ET": 1, "NCR": 0, "ED": 2, "tumour": 3}
    assert description.region_cases["WT"] == description.region_cases["TC"] == 1
    assert description.region_cases["NCR"] == 0
    assert (description.imbalance.n_tumour, description.imbalance.n_brain, description.imbalance.n_voxels) == (
        3,
        3 * 480,
        3 * 720,
    )
    assert description.imbalance.share_of_voxels == pytest.approx(3 / 2160)
    assert description.imbalance.share_of_brain == pytest.approx(3 / 1440)


def test_findings_of_the_cohort(tmp_path: Path) -> None:
    description = three_patients(tmp_path)
    assert [(finding.severity, finding.kind, finding.case) for finding in description.findings] == [
        ("warning", "missing-mask", "d"),
        ("note", "empty-mask", None),
    ]
    assert description.findings[1].message == "2 of 3 masks are empty: b, c"
    assert not description.has_errors


def test_findings_of_the_reader_come_along(tmp_path: Path) -> None:
    finding = Finding("error", "mask-without-image", "a mask is alone")
    description = explore(cohort(volume_case(tmp_path, "a", {"t2f": head()}), findings=(finding,)), n_workers=1)
    assert description.findings == (finding,)
    assert description.has_errors


def test_json_has_what_is_promised_and_no_nan(tmp_path: Path) -> None:
    description = three_patients(tmp_path)
    printed = json.loads(json.dumps(description.to_json(), allow_nan=False))
    assert {key: printed[key] for key in ("layout", "scheme", "cases", "patients", "slices", "tumour_slices")} == {
        "layout": "volumes",
        "scheme": "brats2023",
        "cases": 4,
        "patients": 3,
        "slices": 24,
        "tumour_slices": 2,
    }
    assert printed["modalities"] == ["t1c", "t2f"]
    assert printed["labels"] == {"NCR": 0, "ED": 2, "ET": 1}
    assert printed["findings"][0] == {
        "severity": "warning",
        "kind": "missing-mask",
        "case": "d",
        "message": "there is no mask",
    }


def test_json_of_a_cohort_that_cannot_be_read(tmp_path: Path) -> None:
    case = volume_case(tmp_path, "a", {"t2f": head()}, tumour((3, 4, 2)))
    for source in (case.images["t2f"], case.labels):
        assert source is not None
        source.paths[0].write_text("no scan")
    description = explore(cohort(case), n_workers=1)
    printed = json.loads(json.dumps(description.to_json(), allow_nan=False))
    assert (printed["slices"], printed["labels"]) == (0, {})
    assert [finding["severity"] for finding in printed["findings"]] == ["error", "error"]
    assert description.gallery == ()
    assert description.heat == ()


def test_json_of_nan_volumes(tmp_path: Path) -> None:
    flat = np.full(SHAPE, np.nan, dtype=np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        description = explore(cohort(volume_case(tmp_path, "a", {"t2f": flat})), n_workers=1)
    json.dumps(description.to_json(), allow_nan=False)
    assert description.has_errors


def test_facts_become_columns(tmp_path: Path) -> None:
    columns = {column.name: column for column in three_patients(tmp_path).facts}
    assert columns["age"].values == {"a": 40, "b": 41}
    assert columns["age"].numeric
    assert columns["sex"].values == {"a": "F"}
    assert not columns["sex"].numeric


# --- intensities ------------------------------------------------------------------------------------------------------


def test_rebinning_keeps_shares_where_they_lie() -> None:
    histogram = rebinned(Histogram(0.0, 4.0, np.array([1, 1, 4, 2])), 0.0, 4.0, 2)
    assert histogram.counts.tolist() == [0.25, 0.75]
    wider = rebinned(Histogram(0.0, 4.0, np.array([1, 1, 4, 2])), -4.0, 8.0, 3)
    assert wider.counts.tolist() == [0.0, 1.0, 0.0]
    narrower = rebinned(Histogram(0.0, 4.0, np.array([1, 1, 4, 2])), 1.0, 3.0, 2)
    assert narrower.counts.tolist() == [0.25, 0.75]  # what lies beyond goes to the ends


def test_normalised_is_the_z_score() -> None:
    raw = Histogram(-0.5, 3.5, np.array([2, 0, 0, 2]))  # values 0 and 3: mean 1.5, std 1.5, so -1 and 1
    case = Distribution(4, 1.5, 1.5, 0.0, 3.0, (0.0,) * 9, raw, np.empty((0, 9), dtype=np.float32))
    histogram = normalised(case, -2.0, 2.0)
    assert histogram is not None
    assert float((histogram.centres * histogram.counts).sum()) == pytest.approx(0.0, abs=1e-9)
    assert histogram.counts[histogram.centres < 0].sum() == pytest.approx(0.5)
    assert normalised(replace(case, std=0.0)) is None


def test_each_case_weighs_the_same(tmp_path: Path) -> None:
    """One case has values of 10, the other, with four times the brain, of 20."""
    small, large = np.zeros((10, 8, 4), dtype=np.uint8), np.zeros((10, 8, 4), dtype=np.uint8)
    small[1:3, 1:5], large[1:9, 1:5] = 20, 40
    small[1, 1, 0], large[1, 1, 0] = 30, 30  # not constant
    description = explore(
        cohort(volume_case(tmp_path, "a", {"t2f": small}), volume_case(tmp_path, "b", {"t2f": large})), n_workers=1
    )
    raw = description.raw["t2f"]
    assert float(raw.counts.sum()) == pytest.approx(1.0)
    assert raw.counts[20] == pytest.approx(0.5 * 31 / 32)
    assert raw.counts[40] == pytest.approx(0.5 * 127 / 128)


def test_correlations_are_averaged_over_the_cases_that_have_both(tmp_path: Path) -> None:
    image = head(1)
    opposite = np.where(image > 0, 1100 - image, 0).astype(np.int16)
    cases = (
        volume_case(tmp_path, "a", {"t1c": image, "t2f": (image * 2).astype(np.int16)}),
        volume_case(tmp_path, "b", {"t1c": image, "t2f": opposite}, patient="a"),
        volume_case(tmp_path, "c", {"t1c": head(3)}),
    )
    description = explore(cohort(*cases), n_workers=1)
    assert description.correlation == pytest.approx(np.array([[1.0, 0.0], [0.0, 1.0]]), abs=1e-5)


# --- heat, dark slices, gallery ---------------------------------------------------------------------------------------


def test_heat_is_the_share_of_cases_with_tumour(tmp_path: Path) -> None:
    left, right = tumour((1, 4, 2)), tumour((10, 4, 2))
    cases = [
        volume_case(tmp_path, name, {"t2f": head(row)}, labels)
        for row, (name, labels) in enumerate((("a", left), ("b", left), ("c", right), ("d", tumour())))
    ]
    description = explore(cohort(*cases), n_workers=1)
    axial = next(heat for heat in description.heat if heat.plane == "axial")
    # the brain is 10 voxels wide: the first is cells 0 to 6, the last cells 57 to 63
    assert float(axial.values[:6].max()) == pytest.approx(2 / 3)
    assert float(axial.values[58:].max()) == pytest.approx(1 / 3)
    assert float(axial.values[10:50].max()) == 0.0


def stack_with_dark_slices(folder: Path) -> CohortDescription:
    """Slices of 10 x 10 with 0, 10, 20, 30 and 100 pixels that are not black; tumour on the last three."""
    slices = [np.zeros((10, 10), dtype=np.uint8) for _ in range(5)]
    for pixels, columns in zip(slices, (0, 1, 2, 3, 10), strict=True):
        pixels[:columns] = np.random.default_rng(columns).integers(50, 255, (columns, 10))
    masks = [np.zeros((10, 10), dtype=np.uint8) for _ in range(5)]
    for mask in masks[2:]:
        mask[0, :4] = 255
    return explore(cohort(picture_case(folder, "a", slices, masks), scheme="lgg", layout="lgg"), n_workers=1)


def test_what_dark_scan_filters_remove(tmp_path: Path) -> None:
    description = stack_with_dark_slices(tmp_path)
    rows = {row.threshold: (row.n_removed, row.n_positive, row.n_negative) for row in description.dark}
    assert rows[0.0] == (1, 0, 1)  # the one that is black all over
    assert rows[0.1] == (1, 0, 1)  # a tenth is not below a tenth
    assert rows[0.15] == (2, 0, 2)
    assert rows[0.25] == (3, 1, 2)
    assert description.dark_threshold == LGG_THRESHOLD == 75_000 / (256 * 256 * 3)
    assert description.dark_slices == {"a": (0, 1, 2, 3)}
    (note,) = [finding for finding in description.findings if finding.kind == "dark-slices"]
    assert note.severity == "note"
    assert note.message.startswith("4 slices are dark: 2 without and 2 with tumour; less than 38.1 %")


def test_a_stated_threshold_is_used(tmp_path: Path) -> None:
    case = volume_case(tmp_path, "a", {"t2f": head()})
    description = explore(cohort(case), dark_threshold=0.7, n_workers=1)
    assert description.dark_threshold == 0.7
    assert description.dark_slices == {"a": (0, 1, 2, 3, 4, 5)}  # 80 of 120 pixels are not black
    assert 0.7 in [row.threshold for row in description.dark]
    assert explore(cohort(case), n_workers=1).dark_slices == {}


def test_the_gallery_shows_each_kind(tmp_path: Path) -> None:
    description = stack_with_dark_slices(tmp_path)
    assert [(shown.kind, shown.z) for shown in description.gallery] == [
        ("positive", 2),  # all have four voxels: the first
        ("negative", 1),  # the fullest without
        ("dark", 0),
        ("dark", 1),
        ("dark", 2),
        ("dark", 3),
    ]
    assert description.gallery[0].tumour_voxels == 4
    assert description.gallery[0].non_black == pytest.approx(0.2)


def test_views_go_through_the_tumour(tmp_path: Path) -> None:
    views = three_patients(tmp_path).views
    assert [view.case for view in views] == ["a"]
    assert views[0].index in {(3, 4, 2), (3, 5, 2)}


def test_views_of_healthy_volumes_go_through_the_middle(tmp_path: Path) -> None:
    (view,) = explore(cohort(volume_case(tmp_path, "a", {"t1n": head()})), n_workers=1).views
    assert view.index == (6, 5, 3)


def test_pictures_have_no_views(tmp_path: Path) -> None:
    assert stack_with_dark_slices(tmp_path).views == ()


def test_spread_takes_both_ends() -> None:
    assert spread("abcdefg", 3) == ["a", "d", "g"]
    assert spread("ab", 3) == ["a", "b"]
    assert spread("", 3) == []


# --- duplicates and findings ------------------------------------------------------------------------------------------


def test_duplicates_across_classes_are_told_apart(tmp_path: Path) -> None:
    pictures = [np.random.default_rng(seed).integers(30, 255, (40, 30)).astype(np.uint8) for seed in range(3)]
    cases = [
        picture_case(tmp_path, name, [pictures[row]], category=category)
        for name, row, category in (("a", 0, "no"), ("b", 0, "yes"), ("c", 1, "yes"), ("d", 1, "yes"), ("e", 2, "no"))
    ]
    description = explore(cohort(*cases, scheme=None, layout="classes"), n_workers=1)
    assert description.categories == {"no": 2, "yes": 3}
    by_kind = {finding.kind: finding for finding in description.findings}
    assert set(by_kind) == {"duplicates-across-classes", "exact-duplicates"}
    assert by_kind["duplicates-across-classes"].message.endswith("a = b")
    assert by_kind["exact-duplicates"].message == "2 cases in 1 group: equal voxel for voxel: c = d"
    assert all(finding.severity == "warning" for finding in by_kind.values())
    duplicates = cast("list[dict[str, object]]", description.to_json()["duplicates"])
    assert duplicates[0] == {"cases": ["a", "b"], "kind": "exact", "correlation": 1.0}


def test_many_findings_alike_become_one() -> None:
    many = [Finding("note", "grey-as-colour", "grey", f"p{row}") for row in range(9)]
    few = [Finding("warning", "constant-image", f"black {row}", f"q{row}") for row in range(2)]
    fault = Finding("error", "unreadable-file", "cut off", "z")
    findings = gathered([*many, *few, fault, fault])
    assert findings[0] == fault
    assert findings[1:3] == tuple(few)
    assert findings[3] == Finding("note", "grey-as-colour", "grey (9 cases: p0, p1, p2, p3, p4, p5 and 3 more)")


def test_many_findings_that_differ_quote_the_first() -> None:
    many = [Finding("warning", "constant-image", f"black {row}", f"q{row}") for row in range(11)]
    (finding,) = gathered(many)
    assert finding.case is None
    assert finding.message == "11 cases (q0, q1, q2, q3, q4, q5 and 5 more); the first of them: black 0"


def test_errors_are_named_one_by_one_as_long_as_anybody_reads_them() -> None:
    errors = [Finding("error", "unreadable-file", f"file {row}", f"c{row}") for row in range(51)]
    assert gathered(errors[:50]) == tuple(errors[:50])
    assert len(gathered(errors)) == 1


# --- real scans -------------------------------------------------------------------------------------------------------


@pytest.mark.realdata
@pytest.mark.slow
def test_lgg(kaggle_3m: Path) -> None:
    description = explore(read_cohort(kaggle_3m), n_workers=2)
    assert (len(description.cases), len(description.patients), description.n_slices, description.n_tumour_slices) == (
        66,
        66,
        2268,
        820,
    )
    assert description.diagnoses == Diagnoses(820, 1448, 66, 0)
    assert description.duplicates == ()
    assert description.labels == {"tumour": 1572779}
    row = next(row for row in description.dark if row.threshold == description.dark_threshold)
    assert (row.n_removed, row.n_negative, row.n_positive) == (37, 34, 3)  # of the 50 published: 47 and 3
    assert {finding.kind for finding in description.findings if finding.severity == "warning"} == {"missing-modality"}
    assert not description.has_errors


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("folder", "scheme", "n_cases", "n_slices", "n_tumour_slices"),
    [
        ("brats2021", "brats2021", 1, 155, 68),
        ("brats2023", "brats2023", 1, 155, 47),
        pytest.param("brats2015_flair_t1c", "brats2015", 4, 620, 292, marks=pytest.mark.slow),
        pytest.param("brats2018_flair", "whole-tumour", 7, 1085, 506, marks=pytest.mark.slow),
    ],
)
def test_brats(real_data: Path, folder: str, scheme: str, n_cases: int, n_slices: int, n_tumour_slices: int) -> None:
    description = explore(read_cohort(real_data / folder), n_workers=1)
    assert description.scheme is not None
    assert (description.scheme.name, len(description.cases)) == (scheme, n_cases)
    assert (description.n_slices, description.n_tumour_slices) == (n_slices, n_tumour_slices)
    assert not [finding for finding in description.findings if finding.severity != "note"]
    assert description.duplicates == ()

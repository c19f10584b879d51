"""``glioseg timeline``: predicted cases of one patient in order of time, with changes worked out by hand."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import glioseg
from glioseg.cohorts.phantom import PhantomOptions, generate_patient
from glioseg.console import QUIET
from glioseg.core import Grid
from glioseg.errors import FileError, OptionError
from glioseg.evaluation.course import SUM, TimePoint, changes
from glioseg.io.nifti import write_nifti
from glioseg.report.figures.render import draw
from glioseg.report.timeline import TimelineFacts, _chart, _table
from glioseg.runs.predicted_masks import predicted_masks
from glioseg.runs.timeline import _overlay
from tests.cli.command import glioseg as command

SHAPE = (40, 40, 12)
LABELS = {"NCR": 1, "ED": 2, "ET": 3}
REGIONS = {"WT": ["NCR", "ED", "ET"], "ET": ["ET"]}


def write_time_point(folder: Path, name: str, side: int, enhancing: int = 0, **more: Any) -> Path:
    """A predicted case: a square of oedema of so many mm, a smaller one that enhances in it, three slices of 1 mm."""
    labels = np.zeros(SHAPE, np.uint8)
    labels[5 : 5 + side, 5 : 5 + side, 4:7] = LABELS["ED"]
    labels[5 : 5 + enhancing, 5 : 5 + enhancing, 4:7] = LABELS["ET"]
    grid = Grid(SHAPE, more.pop("affine", np.eye(4)))
    write_nifti(folder / f"{name}.nii.gz", labels, grid)
    scan = folder / "scans" / f"{name}_flair.nii.gz"
    write_nifti(scan, (labels.astype(np.int16) + 1) * 100, grid)
    facts: dict[str, object] = {
        "case": name, "patient": "p", "day": None, "model_id": "m", "mask": f"{name}.nii.gz", "labels": LABELS,
        "regions": REGIONS, "inputs": {"t2f": {"files": [str(scan)], "channel": None}}, "warnings": [], "terms": [],
        "volumes": {"unit": "ml", "WT": side**2 * 3 / 1000, "ET": enhancing**2 * 3 / 1000},
    }  # fmt: skip
    path = folder / f"{name}.json"
    path.write_text(json.dumps({**facts, **more}), encoding="utf-8")
    return path


def _figures(facts: Mapping[str, Any], name: str) -> list[tuple[float, float | None, float | None]]:
    return [
        (
            point["figures"][name]["value"],
            point["figures"][name]["change_from_first_percent"],
            point["figures"][name]["change_from_smallest_percent"],
        )
        for point in facts["time_points"]
    ]


def test_changes() -> None:
    """From the first: 4 to 2 is −50 %, to 3 is −25 %; from the smallest before, 2, 3 is +50 %. From nothing: none."""
    found = [(change.from_first, change.from_smallest) for change in changes([4, 2, 3])]
    assert found == [(None, None), (-0.5, -0.5), (-0.25, 0.5)]
    assert [change.from_smallest for change in changes([0, 5, 10])] == [None, None, None]
    assert [change.from_first for change in changes([2, 0])] == [None, -1]


def test_by_dates_whatever_the_order(tmp_path: Path) -> None:
    """Enhancing squares of 20, 10 and 16 mm: products of diagonals are twice the areas, 800, 200 and 512 mm²."""
    first, second, third = (
        write_time_point(tmp_path, name, 24, side) for name, side in (("a", 20), ("b", 10), ("c", 16))
    )
    found = glioseg.timeline(
        third, first, second, dates=["2024-07-01", "2024-01-31", "2024-05-02"], out=tmp_path / "out"
    )
    assert [(point.name, point.day) for point in found.points] == [("a", 0), ("b", 92), ("c", 152)]
    facts = json.loads((tmp_path / "out" / "timeline.json").read_text(encoding="utf-8"))
    assert facts["measured"] == "ET"
    assert _figures(facts, "sum of products") == [(800, None, None), (200, -75, -75), (512, -36, 156)]
    assert _figures(facts, "WT") == [(1.728, None, None), (1.728, 0, 0), (1.728, 0, 0)]
    with (tmp_path / "out" / "timeline.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["case"], row["day"], row["sum_of_products_mm2_change_from_smallest"]) for row in rows] == [
        ("a", "0", ""),
        ("b", "92", "-75.0"),
        ("c", "152", "156.0"),
    ]
    page = found.page.read_text(encoding="utf-8")
    assert "3 time points in 152 days" in page
    assert "figure-overlay" in page
    assert "2024" not in page.replace(page[page.rindex("Written by") :], ""), "no date is written"
    assert list(found.table()["day"]) == [0, 92, 152]


def test_by_the_days_of_the_scans(tmp_path: Path) -> None:
    """On the patient's own calendar, where only differences mean anything."""
    later, earlier = write_time_point(tmp_path, "a", 20, day=700_040), write_time_point(tmp_path, "b", 10, day=700_000)
    found = glioseg.timeline(later, earlier, out=tmp_path / "out")
    assert [(point.name, point.day) for point in found.points] == [("b", 0), ("a", 40)]
    assert "700" not in found.page.read_text(encoding="utf-8").partition("<main")[2].partition("figure-")[0]


def test_folders_and_masks_and_an_order_alone(tmp_path: Path) -> None:
    write_time_point(tmp_path / "x", "a", 20, patient="p")
    write_time_point(tmp_path / "y", "b", 10, patient="q", model_id="n")
    ran = command("timeline", tmp_path / "x", tmp_path / "y" / "b.nii.gz", "--out", tmp_path / "out")
    assert ran.code == 0, ran.err
    assert "a     –    1.2" in ran.out
    assert "-75 %" in ran.out
    said = [
        words
        for words in ("different patients (p, q)", "different networks", "No dates are known")
        if words not in ran.err
    ]
    assert said == []
    both = command("timeline", tmp_path / "x", tmp_path / "y", "--out", tmp_path / "out", "--json", "--quiet")
    assert [point["case"] for point in both.json["time_points"]] == ["a", "b"]


def test_no_overlay_without_scans(tmp_path: Path) -> None:
    first, second = (
        write_time_point(tmp_path, "a", 20),
        write_time_point(tmp_path, "b", 20, inputs={"t2f": {"files": ["case-b series 4"], "channel": None}}),
    )
    page = glioseg.timeline(first, second, out=tmp_path / "out").page.read_text(encoding="utf-8")
    assert "names of DICOM files are not kept" in page
    assert "with --scans" in page
    (tmp_path / "scans" / "a_flair.nii.gz").unlink()
    page = glioseg.timeline(second, first, out=tmp_path / "out").page.read_text(encoding="utf-8")
    assert "Not shown" in page
    scans = [tmp_path / "scans" / "b_flair.nii.gz"] * 2
    page = glioseg.timeline(first, second, scans=scans, out=tmp_path / "out").page.read_text(encoding="utf-8")
    assert "share a grid" in page


@pytest.mark.slow
@pytest.mark.parametrize("by", ["header", "voxels"])
def test_the_first_scan_is_registered_to_the_last(by: str, tmp_path: Path) -> None:
    """The same head, 12 mm to the right and 8 to the front: 14.4 mm off, as its header says, or on the same grid."""
    patient = generate_patient(PhantomOptions(n_patients=1, spacing_mm=4.0, seed=1), 0)
    flair = patient.image.array[patient.image.modalities.index("t2f")]
    affine = patient.image.grid.affine.copy()
    affine[:2, 3] += (12, 8) if by == "header" else (0, 0)
    aside = Grid(patient.image.grid.shape, affine)
    steps = (0, 0) if by == "header" else tuple(np.rint((12, 8) / np.diag(affine)[:2]).astype(int))
    for name, grid, by_voxels in (("a", aside, steps), ("b", patient.image.grid, (0, 0))):
        path = write_time_point(tmp_path, name, 20)
        facts = json.loads(path.read_text(encoding="utf-8"))
        scan = tmp_path / f"{name}_flair.nii.gz"
        write_nifti(scan, np.roll(flair, by_voxels, (0, 1)), grid)
        labels = np.roll(patient.labels.array.astype(np.uint8), by_voxels, (0, 1))
        write_nifti(tmp_path / f"{name}.nii.gz", labels, grid)
        facts["inputs"]["t2f"]["files"] = [str(scan)]
        path.write_text(json.dumps(facts), encoding="utf-8")
    predictions = [predicted_masks(tmp_path / f"{name}.json") for name in ("a", "b")]
    first, last = (next(found) for found in predictions)
    overlay, why_not = _overlay([first, last], [first.mask(), last.mask()], [], QUIET)
    assert overlay is not None, why_not
    shared = 2 * (overlay.first & overlay.last).sum() / (overlay.first.sum() + overlay.last.sum())
    assert shared > 0.85
    moved_by = re.search(r"moved by ([\d.]+) mm", overlay.words[0])
    assert moved_by is not None
    assert float(moved_by[1]) == pytest.approx(14.4, abs=1.5)


def test_refusals(tmp_path: Path) -> None:
    one, two = write_time_point(tmp_path, "a", 20), write_time_point(tmp_path, "b", 10)
    other = write_time_point(tmp_path, "c", 10, regions={"WT": ["ED"]})
    pictures = write_time_point(tmp_path, "d", 10, volumes={"unit": "voxels", "WT": 3, "ET": 0})
    no_mask = write_time_point(tmp_path, "e", 10, mask=None)
    (tmp_path / "empty").mkdir()
    (tmp_path / "half.json").write_text(json.dumps({"model_id": "m", "case": "half", "unfinished": True}))
    refused: tuple[tuple[tuple[Path, ...], tuple[str, ...], type[Exception], str], ...] = (
        ((one,), (), OptionError, "needs two time points"),
        ((one, one), (), OptionError, "a case is named twice"),
        ((one, two), ("2024-01-01",), OptionError, "a date for each time point"),
        ((one, two), ("2024-01-01", "yesterday"), OptionError, "not a date; found yesterday"),
        ((one, other), (), OptionError, "other regions"),
        ((one, pictures), (), OptionError, "pictures have no volumes"),
        ((one, no_mask), (), FileError, "nifti among"),
        ((one, tmp_path / "empty"), (), FileError, "there is no predicted mask"),
        ((one, tmp_path / "half.json"), (), FileError, "there is no predicted mask"),
        ((one, tmp_path / "nothing.nii.gz"), (), FileError, "there is no such file or folder"),
    )
    for cases, dates, kind, words in refused:
        with pytest.raises(kind, match=words):
            glioseg.timeline(*cases, dates=dates, out=tmp_path / "out")
    with pytest.raises(OptionError, match="a scan for each time point"):
        glioseg.timeline(one, two, scans=[one], out=tmp_path / "out")
    with pytest.raises(FileError, match=r"nowhere.nii.gz: there is no such file or folder"):
        glioseg.timeline(one, two, scans=[tmp_path / "scans" / "a_flair.nii.gz", tmp_path / "nowhere.nii.gz"])
    renamed = write_time_point(tmp_path, "f", 10, labels={"NCR": 1, "ED": 3, "ET": 2})
    with pytest.raises(OptionError, match="found 1 NCR, 2 ED, 3 ET and 1 NCR, 2 ET, 3 ED"):
        glioseg.timeline(one, renamed, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"volumes": 3}, "volumes: Input should be a valid dictionary"),
        ({"volumes": {"unit": "ml", "WT": 1.0}}, "the volume of ET is no number from 0"),
        ({"volumes": {"WT": 1.0, "ET": 0.0}}, "volumes have no unit"),
        ({"volumes": {"unit": "ml", "WT": "much", "ET": 0}}, "the volume of WT is no number from 0"),
        ({"volumes": {"unit": "ml", "WT": -1.0, "ET": 0}}, "the volume of WT is no number from 0"),
        ({"volumes": {"unit": "ml", "WT": float("nan"), "ET": 0}}, "volumes.WT"),
        ({"mask": 5}, "mask: Input should be a valid string"),
        ({"labels": ["ED"]}, "labels: Input should be a valid dictionary"),
        ({"labels": {**LABELS, "ED": "2"}}, "labels.ED: Input should be a valid integer"),
        ({"regions": {"WT": ["XX"], "ET": ["ET"]}}, "region WT of scheme predicted names unknown labels"),
        ({"inputs": {"t2f": {"files": [], "channel": None}}}, "inputs.t2f.files"),
        ({"warnings": 4}, "warnings: Input should be a valid list"),
        ({"terms": [{}]}, "terms.0: Input should be a valid string"),
        ({"case": {"a": 1}}, "case: Input should be a valid string"),
        ({"day": "monday"}, "day: Input should be a valid integer"),
    ],
)
def test_a_record_that_was_changed(changed: dict[str, Any], said: str, tmp_path: Path) -> None:
    one, two = write_time_point(tmp_path, "a", 20), write_time_point(tmp_path, "b", 10)
    two.write_text(json.dumps(json.loads(two.read_text(encoding="utf-8")) | changed), encoding="utf-8")
    ran = command("timeline", two, one, "--out", tmp_path / "out")
    assert ran.code == 1, ran.err
    missing = [
        words for words in ("b.json", "changed or damaged", said, "Predict the scan again") if words not in ran.err
    ]
    assert missing == [], ran.err


def test_nothing_measurable_is_drawn_from_0_to_1() -> None:
    """Not to a millionth, as an axis that follows its values would have it."""
    points = [TimePoint(name, None, {"ET": value, SUM: 0.0}) for name, value in (("a", 2.0), ("b", 1.0))]
    facts = TimelineFacts(points, ("ET",), "ET", (), (), None, "")
    assert _chart(facts, (SUM,), "mm²", "days").axes[0].get_ylim() == (0, 1)
    assert _chart(facts, ("ET",), "ml", "days").axes[0].get_ylim() == pytest.approx((0, 2.44))


def test_a_page_where_a_file_lies(tmp_path: Path) -> None:
    one, two = write_time_point(tmp_path, "a", 20), write_time_point(tmp_path, "b", 10)
    ran = command("timeline", one, two, "--out", one)
    assert ran.code == 1
    assert "a folder is needed; found a file" in ran.err
    assert json.loads(one.read_text(encoding="utf-8"))["case"] == "a"


def test_why_there_is_no_overlay_is_said(tmp_path: Path) -> None:
    one, two = write_time_point(tmp_path, "a", 20), write_time_point(tmp_path, "b", 20)
    (tmp_path / "scans" / "a_flair.nii.gz").unlink()
    ran = command("timeline", one, two, "--out", tmp_path / "out")
    assert ran.code == 0
    assert "The masks are not shown on the scan" in ran.err
    assert "a_flair.nii.gz: the scan is not where it was" in ran.err


def _cells(*values: float) -> Sequence[tuple[str, str]]:
    """Of each time point after the first, how the change from the smallest value is told, and whether it is marked."""
    points = [TimePoint(str(number), None, {"ET": value, SUM: 0.0}) for number, value in enumerate(values)]
    table = _table(TimelineFacts(points, ("ET",), "ET", (), (), None, ""))
    return [(row[5].text, row[5].tone) for row in table.rows if row[2].text == "ET"][1:]


def test_a_change_below_a_limit_is_not_told_as_one_that_reaches_it() -> None:
    """The limit is +40 %: 14 ml of 10 ml reach it, 13.96 and 13.996 do not."""
    assert _cells(10.0, 14.0) == [("+40 %", "warning")]
    assert _cells(10.0, 13.96) == [("+39.6 %", "")]
    assert _cells(10.0, 13.996) == [("+39.96 %", "")]
    points = [TimePoint(name, None, {"ET": value, SUM: 0.0}) for name, value in (("a", 10.0), ("b", 13.96))]
    row = _table(TimelineFacts(points, ("ET",), "ET", (), (), None, "")).rows[2]
    assert (row[4].text, row[5].text) == ("+39.6 %", "+39.6 %"), "one change, told once"
    assert _cells(10.0, 11.2) == [("+12 %", "")]
    assert _cells(10.0, 9.999) == [("0 %", "")]


def test_what_grows_from_nothing_is_marked() -> None:
    assert _cells(0.0, 0.0, 3.0) == [("–", ""), ("from 0", "warning")]
    assert _cells(5.0, 0.0, 3.0) == [("−100 %", ""), ("from 0", "warning")]


def test_names_of_regions_are_no_formulas_and_have_letters_that_are_drawn() -> None:
    points = [TimePoint(name, None, {"$a^{$": 1.0, "腫瘍": 2.0, SUM: 0.0}) for name in ("a", "b")]
    figure = _chart(TimelineFacts(points, ("$a^{$", "腫瘍"), "ET", (), (), None, ""), ("$a^{$", "腫瘍"), "ml", "days")
    assert draw(figure).size > 0

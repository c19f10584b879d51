"""``glioseg compare``: tables of cases side by side."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from glioseg.evaluation import case_rows, rows_to_csv
from glioseg.evaluation.comparison import CompareOptions
from glioseg.runs.compare import compare_runs
from tests.cli.command import Ran, glioseg
from tests.evaluation.drawing import counted

Regions = tuple[str, ...]


def _evaluated(folder: Path, hits: Sequence[int], part: str = "test", n: int = 10, regions: Regions = ("WT",)) -> Path:
    """A run folder whose cases have ``n`` reference and 10 predicted voxels, so many of them shared."""
    folder.mkdir(parents=True, exist_ok=True)
    cases = [
        counted(f"case{i}", (tp, 10 - tp, n - tp, 90 - n + tp), regions=regions, voxel_ml=0.5)
        for i, tp in enumerate(hits)
    ]
    (folder / f"cases-{part}.csv").write_text(rows_to_csv(case_rows(cases)), encoding="utf-8")
    return folder


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, Path]:
    """Dice 0.5 five times, and 0.6 0.7 0.8 0.9 1.0: differences -0.1 ... -0.5, p = 2 / 2^5 = 0.0625."""
    return _evaluated(tmp_path / "plain", [5] * 5), _evaluated(tmp_path / "better", [6, 7, 8, 9, 10])


def _refused(ran: Ran, code: int, *words: str) -> None:
    assert ran.code == code, ran.err
    assert [word for word in words if word not in ran.err] == []
    assert ran.out == ""


def test_two_runs_by_hand(two: tuple[Path, Path]) -> None:
    ran = glioseg("compare", *two, "--json")
    assert ran.code == 0, ran.err
    (result,) = ran.json["results"]
    assert (ran.json["part"], ran.json["runs"], ran.json["n_patients"]) == ("test", ["plain", "better"], 5)
    assert result["runs"]["better"]["case_mean"] == pytest.approx(0.8)
    assert result["runs"]["better"]["case_median"] == pytest.approx(0.8)
    (pair,) = result["pairs"]
    assert pair["mean_difference"] == pytest.approx(-0.3)
    assert (pair["p"], pair["p_holm"]) == (0.0625, 0.0625)


def test_people_read_runs_and_pairs(two: tuple[Path, Path]) -> None:
    ran = glioseg("compare", *two, "--metric", "dice", "--metric", "iou")
    assert ran.code == 0, ran.err
    assert ran.out.startswith("test: 5 cases of 5 patients, the same for all runs")
    assert "WT dice" in ran.out
    assert "WT iou" in ran.out
    assert "plain - better: mean difference -0.300" in ran.out
    assert "p 0.0625, Holm 0.0625, 5 patients" in ran.out


def test_a_page_with_figures(two: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert glioseg("compare", *two, "--metric", "iou", "--out", out).code == 0
    ran = glioseg("compare", *two, "--out", out, "--json")
    assert json.loads((out / "comparison.json").read_text(encoding="utf-8")) == ran.json
    page = (out / "comparison.html").read_text(encoding="utf-8")
    for words in (
        "0.800",
        "-0.300",
        "0.0625",
        "no p below 0.062",
        "research use only",
    ):
        assert words in page
    assert {path.name for path in (out / "figures").iterdir()} == {"wt-dice-paired.png", "wt-dice-differences.png"}


def test_the_part_that_all_have_test_first(tmp_path: Path) -> None:
    a, b = _evaluated(tmp_path / "a", [5, 6], "val"), _evaluated(tmp_path / "b", [7, 8], "val")
    _evaluated(a, [9, 9], "test")
    assert glioseg("compare", a, b, "--json").json["part"] == "val"
    _evaluated(b, [9, 8], "test")
    assert glioseg("compare", a, b, "--json").json["part"] == "test"
    assert glioseg("compare", a, b, "--part", "val", "--json").json["part"] == "val"


def test_folders_of_one_name_are_told_apart(tmp_path: Path) -> None:
    runs = [_evaluated(tmp_path / above / "run", [5, 6]) for above in ("a", "b")]
    assert glioseg("compare", *runs, "--json").json["runs"] == ["a/run", "b/run"]


def test_what_cannot_be_compared(two: tuple[Path, Path], tmp_path: Path) -> None:
    plain, better = two
    _refused(glioseg("compare", plain), 2, "two runs or more")
    _refused(glioseg("compare", plain, plain.parent / "." / "plain"), 2, "named twice")
    _refused(glioseg("compare", plain, tmp_path / "typo"), 1, "typo", "no such run folder")
    on_val = _evaluated(tmp_path / "on-val", [5], "val")
    _refused(glioseg("compare", plain, on_val), 1, "no part that all", "plain: test; on-val: val", "glioseg evaluate")
    _refused(glioseg("compare", plain, better, "--part", "val"), 1, "not evaluated on part val", "test")
    other = _evaluated(tmp_path / "other", [5] * 5, n=20)
    _refused(glioseg("compare", plain, other), 1, "case0", "reference of WT differs", "found 20; expected 10")
    _refused(glioseg("compare", plain, better, "--metric", "beauty"), 1, "no metric beauty", "dice")
    (better / "cases-test.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    _refused(glioseg("compare", plain, better), 1, "not a table of cases")


def test_runs_of_different_conventions_are_refused(two: tuple[Path, Path]) -> None:
    for run, name in zip(two, ("glioseg", "brats2023"), strict=True):
        (run / "evaluation-test.json").write_text(json.dumps({"protocol": {"convention": name}}), encoding="utf-8")
    _refused(glioseg("compare", *two), 1, "different conventions", "plain: glioseg; better: brats2023", "--convention")


def test_runs_of_different_tasks_are_refused(two: tuple[Path, Path]) -> None:
    plain, better = two
    table = "case,patient,slice,reference,predicted,confidence,right\na,a,1,no,no,0.9,1\n"
    (better / "cases-test.csv").write_text(table, encoding="utf-8")
    _refused(glioseg("compare", plain, better), 1, "plain and better are of different tasks", "asked for the same")


def test_regions_in_other_letters_have_figures_of_their_own(tmp_path: Path) -> None:
    regions = ("腫瘍", "浮腫", "ET", "et+")
    two = [
        _evaluated(tmp_path / name, hits, regions=regions) for name, hits in (("a", [5] * 5), ("b", [6, 7, 8, 9, 10]))
    ]
    ran = glioseg("compare", *two, "--metric", "dice", "--out", tmp_path / "out")
    assert ran.code == 0, ran.err
    names = {"dice", "dice2", "et-dice", "et-dice2"}
    assert {path.stem for path in (tmp_path / "out" / "figures").iterdir()} == {
        f"{name}-{what}" for name in names for what in ("paired", "differences")
    }
    page = (tmp_path / "out" / "comparison.html").read_text(encoding="utf-8")
    assert set(re.findall(r'<section class="part" id="([^"]*)"', page)) == {*names, "conventions"}


def test_a_page_without_intervals_says_so(two: tuple[Path, Path], tmp_path: Path) -> None:
    compare_runs(two, options=CompareOptions(n_resamples=0), out=tmp_path / "out")
    page = (tmp_path / "out" / "comparison.html").read_text(encoding="utf-8")
    assert "none were asked for" in page
    assert "0 draws" not in page
    assert '<span class="note">plain</span>' in page

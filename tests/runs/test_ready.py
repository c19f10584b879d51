"""``glioseg predict … --prepare-only``: whose files are written, and what becomes of a case that fails."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from glioseg.core import Grid
from glioseg.io.nifti import write_nifti
from glioseg.runs.own_results import ignores_case
from tests.cli.command import Ran, glioseg


def _write_case(root: Path, name: str, *modalities: str) -> Path:
    """A ball of 1 mm voxels, brighter in each modality."""
    place = np.indices((16, 16, 16)) - 7.5
    ball = ((place**2).sum(axis=0) < 40).astype(np.int16)
    for number, modality in enumerate(modalities, start=1):
        write_nifti(root / name / f"{name}-{modality}.nii.gz", ball * 100 * number, Grid(ball.shape, np.eye(4)))
    return root / name


def _ready(*arguments: str | Path) -> Ran:
    return glioseg("predict", *arguments, "--prepare-only", "--quiet")


def _files(out: Path) -> list[str]:
    return sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())


def test_what_an_earlier_call_has_written_of_a_case_goes(tmp_path: Path) -> None:
    """It lacks a sequence now, whose file of before would pass for one of the study."""
    case, out = _write_case(tmp_path / "data", "p1", "t1c", "t2f"), tmp_path / "out"
    assert _ready(case, "--out", out).code == 0
    assert _files(out) == ["p1.json", "p1/p1-t1c.nii.gz", "p1/p1-t2f.nii.gz"]
    (case / "p1-t1c.nii.gz").unlink()
    assert _ready(case, "--out", out).code == 0
    assert _files(out) == ["p1.json", "p1/p1-t2f.nii.gz"]
    assert list(json.loads((out / "p1.json").read_text(encoding="utf-8"))["files"]) == ["t2f"]


def test_results_below_the_scans_are_no_scans(tmp_path: Path) -> None:
    """The same command twice. Whoever names the folder of results means it."""
    _write_case(tmp_path / "data", "p1", "t1c", "t2f")
    out = tmp_path / "data" / "ready"
    for _ in range(2):
        ran = _ready(tmp_path / "data", "--out", out)
        assert (ran.code, ran.out.splitlines()[0]) == (0, f"{out / 'p1'}: t1c, t2f")
        assert _files(out) == ["p1.json", "p1/p1-t1c.nii.gz", "p1/p1-t2f.nii.gz"]
    assert _ready(out, "--out", tmp_path / "again").code == 0
    assert _files(tmp_path / "again") == _files(out)


@pytest.mark.parametrize("name", ["p1.json", "p1_ready.png", "p1/p1-t1n.nii.gz"])
def test_nothing_is_written_over_that_is_somebody_elses(tmp_path: Path, name: str) -> None:
    """Neither a stranger's file nor the record of a prediction; the other case is made ready all the same."""
    for case in ("p1", "p2"):
        _write_case(tmp_path / "data", case, "t2f")
    theirs = tmp_path / "out" / name
    theirs.parent.mkdir(parents=True)
    theirs.write_text('{"case": "p1", "model_id": "m", "mask": "p1.nii.gz"}', encoding="utf-8")
    ran = _ready(tmp_path / "data", "--out", tmp_path / "out")
    assert ran.code == 1
    assert [word for word in ("p1", "no preparation has written", "--out") if word not in ran.err] == []
    assert "mask" in theirs.read_text(encoding="utf-8")
    assert _files(tmp_path / "out") == sorted([name, "p2.json", "p2/p2-t2f.nii.gz"])


def test_two_cases_of_one_file_name(tmp_path: Path) -> None:
    """What no file's name may hold is replaced, and then they are called alike."""
    first, second = (_write_case(tmp_path / "data", name, "t2f") for name in ("p?1", "p*1"))
    ran = _ready(first, second, "--out", tmp_path / "out")
    assert ran.code == 2
    assert "two inputs would be written to the same files" in ran.err
    assert _files(tmp_path / "out") == []


@pytest.mark.parametrize("alike", [True, False])
def test_two_cases_that_differ_in_the_case_of_letters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, alike: bool
) -> None:
    """On Windows and macOS the second would be written over the first."""
    monkeypatch.setattr("glioseg.runs.own_results.ignores_case", lambda folder: alike)
    first, second = (_write_case(tmp_path / "data", name, "t2f") for name in ("p1", "P1"))
    ran = _ready(first, second, "--out", tmp_path / "out")
    assert ran.code == (2 if alike else 0)
    assert ("two inputs would be written to the same files" in ran.err) == alike
    assert len(_files(tmp_path / "out")) == (0 if alike else 4)


def test_a_folder_that_ignores_the_case_of_letters(tmp_path: Path) -> None:
    """As one does whose other spelling leads to it; of a folder that is not there yet, the one that it will lie in."""
    folder, other = tmp_path / "Folder", tmp_path / "fOLDER"
    folder.mkdir()
    assert not ignores_case(folder / "2024" / "out")
    other.symlink_to(folder, target_is_directory=True)
    assert ignores_case(folder / "2024" / "out")
    other.unlink()
    other.mkdir()
    assert not ignores_case(folder)


def test_whatever_fails_while_a_case_is_written_costs_it_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for case in ("p1", "p2"):
        _write_case(tmp_path / "data", case, "t1c", "t2f")

    def failing(path: Path, *more: object) -> None:
        if path.name == "p1-t2f.nii.gz":
            raise ZeroDivisionError("in the middle")
        write_nifti(path, *more)  # type: ignore[arg-type]

    monkeypatch.setattr("glioseg.runs.ready.write_nifti", failing)
    ran = _ready(tmp_path / "data", "--out", tmp_path / "out", "--json")
    assert ran.code == 1
    assert "ZeroDivisionError: in the middle" in ran.json["failed"]["p1"]
    assert _files(tmp_path / "out") == ["p2.json", "p2/p2-t1c.nii.gz", "p2/p2-t2f.nii.gz"]

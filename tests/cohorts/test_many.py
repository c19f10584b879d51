"""Reading grows with the number of patients, and not with its square: a cohort of thousands is a matter of seconds."""

from __future__ import annotations

import cProfile
import pstats
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from glioseg.cohorts.layouts import brats, pairs, volumes
from glioseg.cohorts.layouts.dicom import _Names
from glioseg.cohorts.reading.listing import Listing, list_folder
from glioseg.cohorts.recognise import read_cohort
from glioseg.io.dicom.header import Unread


def _calls(folder: Path, n_patients: int) -> int:
    """How many functions are called to read so many patients, whose files are not opened for it."""
    for number in range(n_patients):
        case = folder / f"BraTS-GLI-{number:05d}-000"
        case.mkdir(parents=True)
        for name in ("t1n", "t1c", "t2w", "t2f", "seg"):
            (case / f"{case.name}-{name}.nii.gz").touch()
    profile = cProfile.Profile()
    cohort = profile.runcall(read_cohort, folder)
    assert len(cohort.cases) == n_patients
    return int(pstats.Stats(profile).total_calls)  # type: ignore[attr-defined]


def test_twice_the_patients_are_twice_the_work(tmp_path: Path) -> None:
    _calls(tmp_path / "first", 2)  # what is made once, such as patterns
    assert _calls(tmp_path / "many", 100) < 2.2 * _calls(tmp_path / "few", 50)


def test_folders_of_a_listing(tmp_path: Path) -> None:
    for name in ("b/2", "b/deep/1", "a/1", "alone"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    folders = list_folder(tmp_path).folders()
    assert [folder.root.name for folder in folders] == ["a", "b"]
    assert [[folder.relative(path) for path in folder.files] for folder in folders] == [["1"], ["2", "deep/1"]]


_DATA = Path("/data").absolute()
_MODALITIES = ("t1.nii.gz", "t1ce.nii.gz", "t2.nii.gz", "flair.nii.gz")


def _listing(*names: str) -> Listing:
    return Listing(_DATA, tuple(_DATA / name for name in names))


def _steps(work: Callable[[], object]) -> int:
    """How many steps of Python's machine some work takes, comparisons in a comprehension included."""
    n_steps = 0

    def count(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal n_steps
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        n_steps += event == "opcode"
        return count

    before = sys.gettrace()
    sys.settrace(count)
    try:
        work()
    finally:
        sys.settrace(before)
    return n_steps


@pytest.mark.parametrize(
    ("match", "names"),
    [
        (volumes.match, [*(f"p{{0}}_{name}" for name in _MODALITIES), "p{0}_seg.nii.gz"]),
        (volumes.match, ["p{0}.nii.gz", "p{0}_seg_R1.nii.gz", "p{0}_seg_R2.nii.gz"]),
        (pairs.match, ["tumor/{0}.png", "healthy/{0}.png"]),
        (brats.match, [*(f"BraTS2021_{{0:05d}}_{name}" for name in _MODALITIES), "BraTS2021_{0:05d}_WT.nii.gz"]),
    ],
    ids=["flat volumes", "two raters", "folders named tumour", "regions beside BraTS"],
)
def test_twice_the_files_are_twice_the_steps(match: Callable[[Listing], str | None], names: list[str]) -> None:
    def steps(n: int) -> int:
        listing = _listing(*(name.format(number) for number in range(n) for name in names))
        return _steps(lambda: match(listing))

    steps(2)  # what is made once
    assert steps(300) < 2.2 * steps(150)


def test_files_are_numbered_once() -> None:
    """Of files that cannot be read only their number is said."""
    names = _Names(b"", _listing(*(f"{number:04d}" for number in range(3000))), keep_ids=False)
    unread = [Unread(path, "") for path in names.listing.files]
    assert names.file(unread[-1]) == "file 3000 of 3000"
    profile = cProfile.Profile()
    profile.runcall(lambda: [names.file(each) for each in unread])
    assert int(pstats.Stats(profile).total_calls) < 10 * len(unread)  # type: ignore[attr-defined]

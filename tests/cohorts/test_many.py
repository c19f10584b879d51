"""Reading grows with the number of patients, and not with its square: a cohort of thousands is a matter of seconds."""

from __future__ import annotations

import cProfile
import pstats
from pathlib import Path

from glioseg.cohorts.reading.listing import list_folder
from glioseg.cohorts.recognise import read_cohort


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

"""A case is called after its patient, and two patients are never called the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from glioseg.cohorts.reading.case_names import case_name, distinct_names

_NAMES: dict[tuple[str, ...], str] = {
    ("/scans/BraTS-GLI-00001-000-t1c.nii.gz", "/scans/BraTS-GLI-00001-000-t2f.nii.gz"): "BraTS-GLI-00001-000",
    ("/scans/BraTS20_Training_001_t1ce.nii", "/scans/BraTS20_Training_001_flair.nii"): "BraTS20_Training_001",
    ("/scans/glioma_007_0000.nii.gz", "/scans/glioma_007_0003.nii.gz"): "glioma_007",
    ("/scans/smith/T1.nii.gz",): "smith",
    ("/scans/smith/T1.nii.gz", "/scans/smith/T1c.nii.gz", "/scans/smith/FLAIR_ax.nii.gz"): "smith",
    ("/scans/smith/anat/t1_post.nii.gz",): "smith",
    ("/scans/smith/image.nii.gz",): "smith",
    ("/scans/p1_flair.nii.gz",): "p1_flair",  # a single file: its name says whose it is
    ("/scans/p1/before_t1.nii.gz", "/scans/p1/after_t1c.nii.gz"): "p1",  # nothing in common but the folder
    ("/T1.nii.gz",): "T1",  # there is no other name
}


@pytest.mark.parametrize("paths", _NAMES, ids=lambda paths: paths[0])
def test_names(paths: tuple[str, ...]) -> None:
    assert case_name([Path(path) for path in paths]) == _NAMES[paths]


def test_equal_names_get_their_folders_in_front() -> None:
    paths = [Path(f"/a/{folder}/x/p.nii.gz") for folder in ("one", "two")]
    assert distinct_names(["p", "p"], paths) == ["one_x_p", "two_x_p"]
    assert distinct_names(["p", "q"], paths) == ["p", "q"]
    assert distinct_names(["p", "P"], paths) == ["one_x_p", "two_x_P"]  # one file on macOS and Windows


def test_one_file_named_twice_stays_one() -> None:
    assert distinct_names(["p", "p"], [Path("/a/p.nii.gz")] * 2) == ["p", "p"]

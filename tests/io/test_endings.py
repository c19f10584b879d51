"""The table of file endings."""

from __future__ import annotations

from pathlib import Path

import pytest

from glioseg.io.endings import ENDINGS, SCAN_ENDINGS, file_ending, file_kind, file_stem


@pytest.mark.parametrize(
    ("name", "kind", "stem", "ending"),
    [
        ("scan.nii.gz", "nifti", "scan", ".nii.gz"),
        ("SCAN.NII.GZ", "nifti", "SCAN", ".nii.gz"),
        ("p1.2020.nii", "nifti", "p1.2020", ".nii"),
        ("VSD.Brain.MR_T1.54512.mha", "metaimage", "VSD.Brain.MR_T1.54512", ".mha"),
        ("head.nhdr", "metaimage", "head", ".nhdr"),
        ("slice.JPG", "raster", "slice", ".jpg"),
        ("volume_1_slice_0.h5", "hdf5", "volume_1_slice_0", ".h5"),
        ("table.csv", None, "table", ".csv"),
        ("data.tar.gz", None, "data.tar", ".gz"),
        ("README", None, "README", ""),
    ],
)
def test_name_says_kind_stem_and_ending(name: str, kind: str | None, stem: str, ending: str) -> None:
    path = Path("folder.nii") / name
    assert (file_kind(path), file_stem(path), file_ending(path)) == (kind, stem, ending)


def test_no_ending_stands_for_two_kinds() -> None:
    assert len(set(SCAN_ENDINGS)) == len(SCAN_ENDINGS) == sum(map(len, ENDINGS.values()))

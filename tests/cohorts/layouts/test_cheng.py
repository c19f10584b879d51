"""Cheng's data set: a MATLAB file for each slice, with patient, kind of tumour and outline."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np
import pytest

from glioseg.cohorts.reading.layout import ReadOptions
from glioseg.cohorts.recognise import read_cohort
from glioseg.core import scheme_named
from glioseg.errors import OptionError
from glioseg.io import load_image, load_labels

COLUMNS, ROWS = 6, 4
MASK = np.zeros((COLUMNS, ROWS), dtype=np.uint8)
MASK[1:3, 2] = 1


def pixels(number: int) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 900, (COLUMNS, ROWS)).astype(np.int16)


def write(root: Path, kinds: Mapping[int, tuple[int, str]]) -> Path:
    """Number of a file -> (its kind, its patient), as MATLAB writes them: columns first, texts as numbers."""
    root.mkdir(parents=True, exist_ok=True)
    for number, (kind, patient) in kinds.items():
        with h5py.File(root / f"{number}.mat", "w") as file:
            group = file.create_group("cjdata")
            group["image"] = pixels(number)
            group["tumorMask"] = MASK
            group["label"] = np.array([[float(kind)]])
            group["PID"] = np.array([[ord(letter)] for letter in patient], dtype=np.uint16)
    return root


def test_patients_kinds_and_outlines(tmp_path: Path) -> None:
    cohort = read_cohort(write(tmp_path, {1: (1, "100360"), 2: (2, "100360"), 10: (3, "MR017260F")}))
    assert cohort.layout == "cheng"
    assert [(case.id, case.patient, case.category) for case in cohort.cases] == [
        ("1", "100360", "meningioma"),
        ("2", "100360", "glioma"),
        ("10", "MR017260F", "pituitary"),
    ]
    assert (cohort.categories, cohort.modalities) == (("glioma", "meningioma", "pituitary"), ("grey",))
    image = load_image(cohort.cases[0])
    np.testing.assert_array_equal(image.array[0, :, :, 0], pixels(1))
    assert not image.grid.has_mm
    for case, value in zip(cohort.cases, (2, 1, 3), strict=True):
        labels = load_labels(case, scheme_named("brisc"))
        np.testing.assert_array_equal(labels.array[:, :, 0], MASK * value)


def test_a_damaged_file_does_not_cost_the_others(tmp_path: Path) -> None:
    write(tmp_path, {1: (1, "a"), 2: (2, "b"), 3: (7, "c")})
    (tmp_path / "2.mat").write_bytes(b"MATLAB 5.0 MAT-file")
    cohort = read_cohort(tmp_path)
    assert [case.id for case in cohort.cases] == ["1"]
    assert [(finding.kind, finding.case) for finding in cohort.findings if finding.severity == "error"] == [
        ("unreadable-file", "2"),
        ("unreadable-file", "3"),
    ]


def test_what_cannot_be_said_of_it(tmp_path: Path) -> None:
    write(tmp_path, {1: (1, "a")})
    with pytest.raises(OptionError, match="the channel is known"):
        read_cohort(tmp_path, options=ReadOptions(modalities=("t1c",)))
    with pytest.raises(OptionError, match="does not have the kinds of tumour"):
        read_cohort(tmp_path, options=ReadOptions(scheme=scheme_named("brats2021")))


def test_other_matlab_files_are_not_it(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "1.mat", "w") as file:
        file["x"] = np.zeros(3)
    with pytest.raises(Exception, match="no layout fits"):
        read_cohort(tmp_path)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("label", np.array([[np.nan]]), "no kind of tumour has that number; found nan"),
        ("label", np.zeros((0, 1)), "no kind of tumour has that number; found nothing"),
        ("label", np.array([[1.5]]), "no kind of tumour has that number; found 1.5"),
        ("PID", np.array([[-5.0]]), "the patient's name is no text; found -5"),
        ("PID", np.zeros((0, 1)), "the patient's name is no text; found nothing"),
        ("PID", np.array([[np.inf]]), "the patient's name is no text; found inf"),
    ],
)
def test_a_damaged_file_costs_itself_alone(tmp_path: Path, name: str, value: np.ndarray, words: str) -> None:
    write(tmp_path, {1: (1, "100360"), 2: (2, "100360")})
    with h5py.File(tmp_path / "2.mat", "r+") as file:
        del file["cjdata"][name]
        file["cjdata"][name] = value
    cohort = read_cohort(tmp_path)
    assert [case.id for case in cohort.cases] == ["1"]
    (finding,) = [each for each in cohort.findings if each.severity == "error"]
    assert words in finding.message

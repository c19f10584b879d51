"""The Brain Imaging Data Structure."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from glioseg.cohorts.layouts import bids
from glioseg.cohorts.reading.layout import ReadOptions
from glioseg.cohorts.reading.listing import list_folder
from glioseg.cohorts.recognise import read_cohort
from glioseg.core import Cohort, scheme_named
from glioseg.errors import LayoutError, OptionError
from glioseg.io import load_image, load_labels
from tests.fakes.bids import write_bids
from tests.fakes.volumes import labels, noise, save_volume


def _read(root: Path, options: ReadOptions | None = None) -> Cohort:
    return bids.read(list_folder(root), options or ReadOptions())


@pytest.mark.parametrize("level", ["", "..", "sub-01/ses-pre"])
def test_it_is_recognised_at_any_level(tmp_path: Path, level: str) -> None:
    write_bids(tmp_path / "set" / "toy")
    assert read_cohort(tmp_path / "set" / "toy" / level).layout == "bids"


def test_a_session_is_a_case_and_a_subject_the_patient(tmp_path: Path) -> None:
    cohort = _read(write_bids(tmp_path))
    assert [(case.id, case.patient, case.facts.get("session")) for case in cohort.cases] == [
        ("sub-01_ses-post", "sub-01", "post"),
        ("sub-01_ses-pre", "sub-01", "pre"),
        ("sub-02", "sub-02", None),
    ]
    assert cohort.modalities == ("t1n", "t1c", "t2w", "t2f")
    assert tuple(cohort.cases[2].images) == ("t1n", "t1c", "t2f")


def test_contrast_is_told_by_its_entity(tmp_path: Path) -> None:
    case = _read(write_bids(tmp_path)).cases[1]
    image = load_image(case, ["t1n", "t1c"])
    np.testing.assert_array_equal(image.array, np.stack([noise(0), noise(1)]))


def test_the_segmentation_is_the_mask_and_the_brain_is_not(tmp_path: Path) -> None:
    cohort = _read(write_bids(tmp_path), ReadOptions(scheme=scheme_named("binary")))
    assert all(case.labels is not None and "dseg" in case.labels.paths[0].name for case in cohort.cases)
    np.testing.assert_array_equal(load_labels(cohort.cases[0], scheme_named("binary")).array, labels(1))


@pytest.mark.parametrize(
    "name",
    [
        "readers/{}/anat/{}_space-orig_desc-aseg_dseg.nii.gz",
        "readers/{}/anat/{}_label-GM_mask.nii.gz",
        "fmriprep/{}/anat/{}_dseg.nii.gz",
        "fMRIPrep-23.1.3/{}/anat/{}_space-MNI152NLin2009cAsym_dseg.nii.gz",
        "freesurfer/{}/anat/{}_mask.nii.gz",
    ],
)
def test_tissues_of_preprocessing_are_no_masks(tmp_path: Path, name: str) -> None:
    for subject in ("sub-01", "sub-02"):
        save_volume(tmp_path / subject / "anat" / f"{subject}_FLAIR.nii.gz", noise(1))
        save_volume(tmp_path / "derivatives" / name.format(subject, subject), labels(1))
    cohort = _read(tmp_path)
    assert all(case.labels is None for case in cohort.cases)
    (finding,) = [finding for finding in cohort.findings if finding.kind == "anatomy-mask"]
    assert "2 masks" in finding.message
    drawn = tmp_path / "derivatives" / "readers" / "sub-02" / "anat" / "sub-02_label-WT_mask.nii.gz"
    save_volume(drawn, labels(1))
    assert [case.labels and case.labels.paths for case in _read(tmp_path).cases] == [None, (drawn,)]


def test_a_folder_above_says_nothing_of_its_masks(tmp_path: Path) -> None:
    cohort = _read(write_bids(tmp_path / "fmriprep" / "toy"), ReadOptions(scheme=scheme_named("binary")))
    assert all(case.labels is not None for case in cohort.cases)


def test_what_the_labels_mean_is_asked(tmp_path: Path) -> None:
    cohort = _read(write_bids(tmp_path))
    assert cohort.scheme is None
    assert [found.severity for found in cohort.findings if found.kind == "unknown-scheme"] == ["warning"]
    known = _read(tmp_path, ReadOptions(scheme=scheme_named("binary")))
    assert not [found for found in known.findings if found.kind == "unknown-scheme"]


def test_second_files_are_left_aside_and_said(tmp_path: Path) -> None:
    root = write_bids(tmp_path)
    save_volume(root / "sub-02" / "anat" / "sub-02_run-2_FLAIR.nii.gz", noise(99))
    (finding,) = [finding for finding in _read(root).findings if "run-2" in finding.message]
    assert (finding.kind, finding.case) == ("repeated-file", "sub-02")


def test_a_mask_without_its_image_is_an_error(tmp_path: Path) -> None:
    root = write_bids(tmp_path)
    save_volume(root / "derivatives" / "readers" / "sub-03" / "anat" / "sub-03_dseg.nii.gz", labels(1))
    (finding,) = [finding for finding in _read(root).findings if finding.severity == "error"]
    assert (finding.kind, finding.case) == ("mask-without-image", "sub-03")


def test_what_is_no_bids_is_not_taken_for_it(tmp_path: Path) -> None:
    save_volume(tmp_path / "patient" / "T1w.nii.gz", noise(1))
    save_volume(tmp_path / "other" / "sub-01_T1w.nii.gz", noise(1))  # not in a folder of its subject
    assert bids.match(list_folder(tmp_path)) is None
    with pytest.raises(LayoutError, match="no BIDS images"):
        _read(tmp_path)
    with pytest.raises(OptionError, match="BIDS states its modalities"):
        _read(tmp_path, ReadOptions(modalities=("t1n",)))

"""The Medical Segmentation Decathlon's layout."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from glioseg.cohorts.layouts import msd, nnunet
from glioseg.cohorts.reading.layout import ReadOptions
from glioseg.cohorts.reading.listing import list_folder
from glioseg.core import Cohort, Finding, scheme_named
from glioseg.errors import FileError, LayoutError, OptionError
from glioseg.io import load_image, load_labels
from tests.fakes.cases import MODALITIES, toy_case
from tests.fakes.damage import as_text
from tests.fakes.datasets import change_table, write_msd, write_nnunet

ORDER = ("t2f", "t1n", "t1c", "t2w")


def read(root: Path, options: ReadOptions | None = None) -> Cohort:
    return msd.read(list_folder(root), options or ReadOptions())


def findings_of(cohort: Cohort, kind: str) -> list[Finding]:
    return [finding for finding in cohort.findings if finding.kind == kind]


@pytest.mark.parametrize(
    "level", ["", "Task01_BrainTumour", "Task01_BrainTumour/imagesTr", "Task01_BrainTumour/labelsTr"]
)
def test_any_level(tmp_path: Path, level: str) -> None:
    write_msd(tmp_path / "Task01_BrainTumour")
    assert msd.match(list_folder(tmp_path / level)) is not None
    cohort = read(tmp_path / level)
    assert (cohort.name, cohort.layout, cohort.modalities) == ("Task01_BrainTumour", "msd", ORDER)
    assert cohort.scheme == scheme_named("msd")
    assert [(case.id, case.facts["part"], case.labels is not None) for case in cohort.cases] == [
        ("BRATS_001", "train", True),
        ("BRATS_002", "train", True),
        ("BRATS_003", "test", False),
    ]
    assert not cohort.findings


def test_voxels_and_labels(tmp_path: Path) -> None:
    """Values 1, 2, 3 of BraTS 2023 are NCR, ED, ET; the Decathlon's are ED, NET, ET."""
    case = read(write_msd(tmp_path / "set")).cases[1]
    image = load_image(case, MODALITIES)
    np.testing.assert_array_equal(image.array, toy_case(2).image.array)
    assert image.grid == toy_case(2).image.grid
    assert load_labels(case, scheme_named("msd")).array[1:4, 2, 1].tolist() == [2, 1, 3]


def test_facts_and_patients(tmp_path: Path) -> None:
    case = read(write_msd(tmp_path / "set")).cases[0]
    assert (case.patient, case.facts["age"]) == ("toy-1", 41)


def test_a_task_with_one_modality(tmp_path: Path) -> None:
    write_msd(tmp_path)
    change_table(tmp_path, lambda table: table.update(modality={"0": "T2"}))
    cohort = read(tmp_path)
    assert cohort.modalities == ("t2w",)
    assert cohort.cases[0].images["t2w"].channel is None


def test_labels_of_another_task_are_a_scheme_of_their_own(tmp_path: Path) -> None:
    write_msd(tmp_path / "Task03_Liver")
    labels = {"0": "background", "1": "liver", "2": "cancer", "3": "vessel"}
    change_table(tmp_path / "Task03_Liver", lambda table: table.update(labels=labels))
    scheme = read(tmp_path).scheme
    assert scheme is not None
    assert (scheme.name, dict(scheme.labels)) == ("Task03_Liver", {"liver": 1, "cancer": 2, "vessel": 3})
    assert scheme.default_regions == ("liver", "cancer", "vessel")


@pytest.mark.parametrize("labels", [None, [], {"0": "background"}, {"edema": "one"}])
def test_labels_that_the_table_does_not_state(tmp_path: Path, labels: object) -> None:
    write_msd(tmp_path)
    change_table(tmp_path, lambda table: table.update(labels=labels))
    cohort = read(tmp_path)
    assert cohort.scheme is None
    assert "--scheme" in findings_of(cohort, "unknown-scheme")[0].message
    with_scheme = read(tmp_path, ReadOptions(scheme=scheme_named("brats2023")))
    assert with_scheme.scheme == scheme_named("brats2023")
    assert not with_scheme.findings


def test_files_of_the_mac_are_ignored(tmp_path: Path) -> None:
    write_msd(tmp_path)
    for folder in ("imagesTr", "labelsTr"):
        (tmp_path / folder / "._BRATS_001.nii.gz").write_bytes(b"\x00\x05\x16\x07")
    assert not read(tmp_path).findings


def test_missing_image_and_missing_mask(tmp_path: Path) -> None:
    write_msd(tmp_path)
    (tmp_path / "imagesTr" / "BRATS_001.nii.gz").unlink()
    (tmp_path / "labelsTr" / "BRATS_002.nii.gz").unlink()
    cohort = read(tmp_path)
    assert [case.id for case in cohort.cases] == ["BRATS_002", "BRATS_003"]
    assert {(finding.severity, finding.kind, finding.case) for finding in cohort.findings} == {
        ("warning", "missing-file", None),
        ("warning", "missing-mask", "BRATS_002"),
        ("note", "missing-mask", None),
    }


def test_images_that_are_not_listed(tmp_path: Path) -> None:
    write_msd(tmp_path)
    shutil.copy(tmp_path / "imagesTr" / "BRATS_001.nii.gz", tmp_path / "imagesTr" / "BRATS_009.nii.gz")
    cohort = read(tmp_path)
    assert len(cohort.cases) == 3
    assert "BRATS_009" in findings_of(cohort, "unlisted-file")[0].message


def test_none_of_the_images_is_there(tmp_path: Path) -> None:
    write_msd(tmp_path)
    for path in tmp_path.rglob("images*/*.gz"):
        path.unlink()
    (tmp_path / "imagesTr" / "readme.txt").touch()
    with pytest.raises(LayoutError, match="none of the images"):
        read(tmp_path)


def test_the_user_names_the_channels(tmp_path: Path) -> None:
    write_msd(tmp_path)
    assert read(tmp_path, ReadOptions(modalities=MODALITIES)).modalities == MODALITIES
    with pytest.raises(OptionError, match="4 different names"):
        read(tmp_path, ReadOptions(modalities=("t1n",)))


def test_several_tasks_are_not_one_cohort(tmp_path: Path) -> None:
    write_msd(tmp_path / "Task01_BrainTumour")
    write_msd(tmp_path / "Task02_Heart")
    with pytest.raises(LayoutError, match=r"Task01_BrainTumour, Task02_Heart.*Point to one"):
        read(tmp_path)


def test_a_table_that_is_no_json(tmp_path: Path) -> None:
    write_msd(tmp_path)
    as_text(tmp_path / "dataset.json")
    assert msd.match(list_folder(tmp_path)) is None
    with pytest.raises(FileError, match="not a JSON file"):
        read(tmp_path)


def test_a_table_that_is_a_list(tmp_path: Path) -> None:
    write_msd(tmp_path)
    (tmp_path / "dataset.json").write_text("[]")
    with pytest.raises(LayoutError, match="JSON object"):
        read(tmp_path)


def test_no_data_set(tmp_path: Path) -> None:
    (tmp_path / "dataset.json").write_text("{}")
    with pytest.raises(LayoutError, match="no data set"):
        read(tmp_path)


def test_the_decathlon_is_not_nnunet(tmp_path: Path) -> None:
    write_msd(tmp_path / "msd")
    write_nnunet(tmp_path / "nnunet")
    listings = {name: list_folder(tmp_path / name) for name in ("msd", "nnunet")}
    assert msd.match(listings["nnunet"]) is None
    assert nnunet.match(listings["msd"]) is None


def test_an_image_of_the_test_part_does_not_replace_one_of_its_name(tmp_path: Path) -> None:
    root = write_msd(tmp_path / "set")
    (root / "imagesTs" / "BRATS_003.nii.gz").rename(root / "imagesTs" / "BRATS_001.nii.gz")
    change_table(root, lambda content: content.update(test=["./imagesTs/BRATS_001.nii.gz"]))
    cohort = read(root)
    assert [(case.id, case.facts["part"], case.labels is not None) for case in cohort.cases] == [
        ("BRATS_001", "train", True),
        ("BRATS_002", "train", True),
    ]
    (finding,) = findings_of(cohort, "repeated-file")
    assert "imagesTs/BRATS_001.nii.gz" in finding.message
    assert not findings_of(cohort, "unlisted-file")

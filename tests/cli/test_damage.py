"""Damaged input: a message that says what and where, exit code 1, the rest goes on, and never a traceback."""

from __future__ import annotations

import builtins
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from PIL import Image as Pillow

from glioseg.cohorts.write import WRITTEN_LAYOUTS
from tests.cli.command import Ran, glioseg, look
from tests.cli.conftest import Cohorts
from tests.fakes.damage import as_empty, as_text, truncate

IMAGE = {
    "brats2021": "BraTS2021_00001/BraTS2021_00001_t1ce.nii.gz",
    "brats2023": "BraTS-GLI-00001-000/BraTS-GLI-00001-000-t1c.nii.gz",
    "brats-h5": "volume_1_slice_1.h5",
    "lgg": "TCGA_PH_0001_20000101/TCGA_PH_0001_20000101_2.tif",
    "msd": "imagesTr/BRATS_001.nii.gz",
    "nnunet": "imagesTr/toy-1_0001.nii.gz",
    "pairs": "images/toy-1_001.png",
    "classes": "yes/toy-1_001.png",
    "volumes": "toy-1/toy-1_t1c.nii.gz",
}
MASK = {
    "brats2021": "BraTS2021_00001/BraTS2021_00001_seg.nii.gz",
    "brats2023": "BraTS-GLI-00001-000/BraTS-GLI-00001-000-seg.nii.gz",
    "lgg": "TCGA_PH_0001_20000101/TCGA_PH_0001_20000101_2_mask.tif",
    "msd": "labelsTr/BRATS_001.nii.gz",
    "nnunet": "labelsTr/toy-1.nii.gz",
    "pairs": "masks/toy-1_001.png",
    "volumes": "toy-1/toy-1_seg.nii.gz",
}


def the_error(ran: Ran) -> dict[str, Any]:
    """The one finding that is an error."""
    (found,) = [each for each in ran.json["findings"] if each["severity"] == "error"]
    assert ran.code == 1
    return dict(found)


@pytest.mark.parametrize("damage", [truncate, as_text, as_empty])
@pytest.mark.parametrize(("layout", "name"), [*IMAGE.items(), *MASK.items()])
def test_a_damaged_file_is_named(toys: Cohorts, layout: str, name: str, damage: Callable[[Path], None]) -> None:
    folder = toys(layout)
    damage(folder / name)
    ran = look(folder)
    error = the_error(ran)
    assert error["kind"] == "unreadable-file"
    assert str(folder / name) in error["message"]
    assert ran.json["cases"] == (8 if layout in ("pairs", "classes") else 2)
    assert ran.json["patients"] == 2
    if layout != "classes":
        # The mask of a damaged image still counts, that of a damaged mask does not; HDF5 slices hold both.
        assert ran.json["tumour_slices"] == (2 if name == IMAGE[layout] and layout != "brats-h5" else 1)


@pytest.mark.parametrize("layout", WRITTEN_LAYOUTS)
def test_a_cohort_of_nothing_but_damage(toys: Cohorts, tmp_path: Path, layout: str) -> None:
    """The report is written even so."""
    folder = toys(layout)
    for path in folder.rglob("*"):
        if path.is_file() and path.suffix not in (".csv", ".json"):
            as_text(path)
    ran = glioseg("inspect", folder, "--json", "--out", tmp_path / "report")
    assert ran.code == 1
    assert {kind for kind, _ in ran.findings("error")} == {"unreadable-file"}
    assert ran.json["tumour_slices"] == 0
    assert (tmp_path / "report" / "report.html").is_file()


def test_people_read_it_too(toys: Cohorts) -> None:
    folder = toys("lgg")
    as_empty(folder / IMAGE["lgg"])
    ran = glioseg("inspect", folder, "--no-report")
    assert ran.code == 1
    assert (
        f"  error   unreadable-file: TCGA_PH_0001_20000101: {folder / IMAGE['lgg']}: the file is damaged or of another "
        "format than its name says; found an empty file (0 bytes). Download or copy it again.\n"
    ) in ran.out


# --- what cannot be used though it can be read ------------------------------------------------------------------------


def rewrite(path: Path, change: Callable[[np.ndarray], np.ndarray]) -> None:
    """A NIfTI file with other voxels."""
    image = nibabel.load(path)
    nibabel.Nifti1Image(change(np.asarray(image.dataobj)), image.affine).to_filename(path)


@pytest.mark.parametrize(("value", "layout"), [(np.nan, "brats2023"), (np.inf, "msd"), (np.nan, "nnunet")])
def test_nan_and_infinity(toys: Cohorts, value: float, layout: str) -> None:
    def with_value(array: np.ndarray) -> np.ndarray:
        array = array.astype(np.float32)
        array[3, 3, 2] = value
        return array

    folder = toys(layout)
    rewrite(folder / IMAGE[layout], with_value)
    ran = look(folder)
    assert ran.code == 1
    assert {kind for kind, _ in ran.findings("error")} == {"nan-or-inf"}
    assert Path(IMAGE[layout]).name in ran.json["findings"][0]["message"]


def test_nan_in_a_mask(toys: Cohorts) -> None:
    folder = toys("brats2023")
    rewrite(folder / MASK["brats2023"], lambda array: np.full(array.shape, np.nan, dtype=np.float32))
    error = the_error(look(folder))
    assert (error["kind"], error["case"]) == ("unknown-labels", "BraTS-GLI-00001-000")
    assert "not whole numbers" in error["message"]


@pytest.mark.parametrize("layout", ["brats2021", "msd", "nnunet", "volumes"])
def test_a_mask_of_another_size(toys: Cohorts, layout: str) -> None:
    folder = toys(layout)
    rewrite(folder / MASK[layout], lambda array: np.concatenate([array, array]))
    error = the_error(look(folder))
    assert error["kind"] == "mask-geometry"
    assert "shape 6x5x4 against 12x5x4" in error["message"]


@pytest.mark.parametrize(("layout", "kind"), [("lgg", "file-geometry"), ("pairs", "mask-size")])
def test_a_picture_of_a_mask_of_another_size(toys: Cohorts, layout: str, kind: str) -> None:
    folder = toys(layout)
    Pillow.new("L", (9, 7)).save(folder / MASK[layout])
    error = the_error(look(folder))
    assert error["kind"] == kind
    assert Path(MASK[layout]).name in error["message"]


@pytest.mark.parametrize("content", ["{", "[]", ""])
@pytest.mark.parametrize("layout", ["msd", "nnunet"])
def test_a_damaged_dataset_json(toys: Cohorts, layout: str, content: str) -> None:
    folder = toys(layout)
    (folder / "dataset.json").write_text(content)
    ran = glioseg("inspect", folder, "--no-report")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.splitlines()[-1].startswith(f"glioseg: {folder / 'dataset.json'}: ")


@pytest.mark.parametrize("name", ["meta_data.csv", "survival_info.csv", "name_mapping.csv"])
def test_damaged_tables_do_not_stand_in_the_way(toys: Cohorts, name: str) -> None:
    """The scans are good without them."""
    folder = toys("brats-h5")
    (folder / name).write_bytes(b"\xff\xfe\x00 no table")
    ran = look(folder)
    assert ran.code == 0
    assert "unreadable-table" in {kind for kind, _ in ran.findings("warning")}


# --- links and permissions --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["..", ".", "loop"])
def test_a_link_that_loops(toys: Cohorts, target: str) -> None:
    folder = toys("brats2023")
    (folder / "BraTS-GLI-00001-000" / "loop").symlink_to(target)
    ran = look(folder)
    error = the_error(ran)
    assert error["kind"] == "link-loop"
    assert "BraTS-GLI-00001-000/loop" in error["message"]
    assert (ran.json["cases"], ran.json["tumour_slices"]) == (2, 2)


@pytest.mark.parametrize("layout", ["brats2023", "lgg", "brats-h5", "pairs"])
@pytest.mark.parametrize("loops", [False, True])
def test_a_scan_that_is_a_link_to_nothing(toys: Cohorts, layout: str, loops: bool) -> None:
    folder = toys(layout)
    path = folder / IMAGE[layout]
    path.unlink()
    path.symlink_to(path.name if loops else "elsewhere")
    ran = look(folder)
    assert ran.code == 1
    (message,) = [each["message"] for each in ran.json["findings"] if each["kind"] == "unreadable-file"]
    assert message.startswith(f"{path}: the link leads nowhere")


def test_a_folder_that_is_a_loop(tmp_path: Path) -> None:
    (tmp_path / "set").symlink_to("set")
    ran = glioseg("inspect", tmp_path / "set", "--json", "--quiet")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith(f"glioseg: {tmp_path / 'set'}: ")


@pytest.mark.parametrize("layout", ["brats2023", "lgg", "pairs", "msd"])
def test_a_file_that_may_not_be_read(toys: Cohorts, layout: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is forbidden to root, as whom tests may run, so that opening is made to fail."""
    folder = toys(layout)
    opened = builtins.open

    def refusing(file: Any, *given: Any, **named: Any) -> Any:
        if str(file) == str(folder / IMAGE[layout]):
            raise PermissionError(13, "Permission denied", str(file))
        return opened(file, *given, **named)

    for module in (builtins, io):
        monkeypatch.setattr(module, "open", refusing)
    error = the_error(look(folder))
    assert error["kind"] == "unreadable-file"
    assert f"{folder / IMAGE[layout]}: the file may not be read; found Permission denied." in error["message"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="no permission stops root")
@pytest.mark.parametrize("layout", WRITTEN_LAYOUTS)
def test_real_permissions(toys: Cohorts, layout: str) -> None:
    folder = toys(layout)
    (folder / IMAGE[layout]).chmod(0)
    assert "may not be read" in the_error(look(folder))["message"]


def test_a_folder_that_may_not_be_entered(toys: Cohorts, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = toys("brats2023")
    scandir = os.scandir

    def refusing(path: Any) -> Any:
        if Path(path).name == "BraTS-GLI-00001-000":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    ran = look(folder)
    assert the_error(ran)["kind"] == "unreadable-folder"
    assert ran.json["cases"] == 1


# --- folders that are no data set -------------------------------------------------------------------------------------


def refused(path: Path) -> str:
    """What is said on stderr, in one line, where nothing can be looked at."""
    ran = glioseg("inspect", path, "--json", "--quiet")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith(f"glioseg: {path}: ")
    return ran.err.removeprefix(f"glioseg: {path}: ")


def test_an_empty_folder(tmp_path: Path) -> None:
    assert refused(tmp_path).startswith("the folder is empty; ")


def test_a_folder_of_empty_folders(tmp_path: Path) -> None:
    (tmp_path / "train" / "images").mkdir(parents=True)
    assert refused(tmp_path).startswith("the folder is empty; ")


def test_no_such_folder(tmp_path: Path) -> None:
    assert refused(tmp_path / "nowhere") == "there is no such file or folder. Check the path for a typing error.\n"


def test_a_file_in_place_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "scan.nii.gz").write_bytes(b"")
    said = "a folder is needed; found a file. Name the folder that holds it.\n"
    assert refused(tmp_path / "scan.nii.gz") == said


def test_an_archive(tmp_path: Path) -> None:
    """Without its name, which may be a patient's."""
    (tmp_path / "kaggle_3m.zip").write_bytes(b"PK")
    ran = glioseg("inspect", tmp_path / "kaggle_3m.zip", "--json", "--quiet")
    said = "an archive is not read as it is, unless it is a whole zip of DICOM files. Unpack it and name the folder.\n"
    assert (ran.code, ran.out, ran.err) == (1, "", f"glioseg: {said}")


def test_a_folder_of_other_things(tmp_path: Path) -> None:
    """What was seen, and what each layout needs."""
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "aunt.docx").write_text("Dear aunt")
    (tmp_path / "song.mp3").write_text("la la")
    said = refused(tmp_path)
    assert said.startswith("no layout fits this folder; found 2 files (1 .docx, 1 .mp3), such as letters/aunt.docx, ")
    for layout in ("brats", "brats-h5", "classes", "lgg", "msd", "nnunet", "pairs", "volumes"):
        assert f"\n  {layout}: " in said
    assert said.endswith("Name the folder that holds the data set, or choose with --layout.\n")


def test_a_layout_that_the_folder_does_not_have(toys: Cohorts) -> None:
    ran = glioseg("inspect", toys("brats2023"), "--layout", "lgg", "--quiet")
    assert (ran.code, ran.out) == (1, "")
    assert "no LGG slices; expected TCGA_SITE_PATIENT_DATE_SLICE" in ran.err

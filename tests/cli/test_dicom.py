"""The commands on DICOM studies: the same masks as of NIfTI, and nobody's name anywhere."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import highdicom
import nibabel
import numpy as np
import pydicom
import pytest

from glioseg.core import Case, Source
from glioseg.errors import OptionError
from glioseg.io.dicom.library import silenced
from glioseg.tasks.classify.predict import ClassifyMembers
from glioseg.tasks.wanted import Wanted
from tests.cli.command import Ran, glioseg
from tests.fakes.dicom import BIRTH, BY_MODALITY, LPS, NAME, PATIENT, T1N, Voxels, write_series, write_study, zipped

FOLDER, FILE, WORDS = "Plantedfolder_Jane", "Plantedfile_Doe", "t1_mprage Plantedwords KM"
PLANTED = (*NAME.split("^"), PATIENT, BIRTH, "ACC-PLANTED", "Planteddoctor", "Planted", "1.2.999.4711")


@pytest.fixture(scope="module")
def images(phantom_data: Path) -> tuple[dict[str, Voxels], np.ndarray[tuple[int, int], np.dtype[np.float64]], Path]:
    """The scans of a phantom patient at 6 mm, modality by modality, and where they lie."""
    folder = next(path for path in sorted(phantom_data.iterdir()) if path.is_dir())
    files = {name: nibabel.load(next(folder.glob(f"*-{name}.nii.gz"))) for name in BY_MODALITY}
    return {name: np.asarray(file.dataobj) for name, file in files.items()}, next(iter(files.values())).affine, folder


@pytest.fixture(scope="module")
def study(images: tuple[dict[str, Voxels], Voxels, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """That patient as DICOM, with a second T1 of which files are cut off, and names wherever names may be."""
    arrays, affine, _ = images
    folder = tmp_path_factory.mktemp("dicom") / FOLDER
    write_study(folder, arrays, affine)
    first, second, *_ = write_series(folder / FOLDER, arrays["t1n"], affine, replace(T1N, number=9, description=WORDS))
    for path, n_bytes, name in ((first, -9, FILE), (second, 400, f"{FILE}_2")):
        path.with_name(name).write_bytes(path.read_bytes()[:n_bytes])
        path.unlink()
    return folder


def _texts(folder: Path) -> str:
    """Names and contents of all files below a folder."""
    names = "\n".join(path.relative_to(folder).as_posix() for path in folder.rglob("*"))
    return names + "\n".join(path.read_bytes().decode("latin-1") for path in folder.rglob("*") if path.is_file())


def _require_nobody(ran: Ran, folder: Path) -> None:
    said = f"{ran.out}{ran.err}{_texts(folder)}".lower()
    assert not [planted for planted in PLANTED if planted.lower() in said]


def test_inspect_shows_the_series_and_nobody(study: Path, tmp_path: Path) -> None:
    ran = glioseg("inspect", study, "--out", tmp_path / "report")
    assert ran.code == 1, "a file is cut off"
    assert "TR 1900, TE 2.3, TI 900 ms; called t1 mprage km; an agent in the header" in ran.out
    assert "cannot be read, and costs its series" in ran.out
    page = (tmp_path / "report" / "report.html").read_text()
    assert "Taken for" in page
    table = json.loads((tmp_path / "report" / "inspect.json").read_text())["series"]
    assert [(row["label"], row["taken_for"], row["is_used"]) for row in table] == [
        ("2", "t1n", True),
        ("3", "t2w", True),
        ("4", "t2f", True),
        ("5", "t1c", True),
        ("9", None, False),
    ]
    _require_nobody(ran, tmp_path)


def test_the_report_is_not_called_as_the_folder(study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ran = glioseg("inspect", study, "--quiet")
    assert [path.name for path in tmp_path.iterdir()] == ["dicom-report"]
    _require_nobody(ran, tmp_path)


@pytest.fixture(scope="module")
def predicted(study: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Ran, Path]:
    """Its mask in every form, and what the command said."""
    out = tmp_path_factory.mktemp("predicted")
    forms = ("--write", "nifti,report,seg,stl,probabilities,bids", "--deidentify")
    return glioseg("predict", "model:phantom", study, "--out", out, *forms), out


def test_masks_are_those_of_nifti(
    predicted: tuple[Ran, Path], study: Path, images: tuple[dict[str, Voxels], Voxels, Path], tmp_path: Path
) -> None:
    ran, out = predicted
    assert ran.code == 0, ran.err
    glioseg("predict", "model:phantom", images[2], "--out", tmp_path, "--write", "nifti", "--quiet")
    ours, theirs = next(out.glob("*[0-9a-f].nii.gz")), next(tmp_path.glob("*.nii.gz"))
    assert ours.name.startswith("case-")
    ours, theirs = (nibabel.as_closest_canonical(nibabel.load(path)) for path in (ours, theirs))
    np.testing.assert_array_equal(ours.dataobj, theirs.dataobj)
    np.testing.assert_allclose(ours.affine, theirs.affine, atol=1e-3)
    again = glioseg("predict", "model:phantom", study, "--out", out, "--skip-done")
    assert "1 of 1 cases are done already" in again.err
    named = glioseg("predict", "model:phantom", study, "--out", tmp_path / "named", "--write", "nifti,seg", "--quiet")
    assert named.code == 0, named.err
    nobody = ("--write", "nifti,seg", "--deidentify", "--skip-done")
    assert "done already" not in glioseg("predict", "model:phantom", study, "--out", tmp_path / "named", *nobody).err
    (written,) = (tmp_path / "named").glob("*.seg.dcm")
    with silenced():
        assert pydicom.dcmread(written).PatientID.startswith("patient-")


def test_an_archive_gives_the_same_mask(predicted: tuple[Ran, Path], study: Path, tmp_path: Path) -> None:
    given = zipped(study, tmp_path / f"{FOLDER}.zip")
    ran = glioseg("predict", "model:phantom", given, "--out", tmp_path / "out", "--write", "nifti")
    assert ran.code == 0, ran.err
    (mask,) = (tmp_path / "out").glob("*.nii.gz")
    assert mask.read_bytes() == (predicted[1] / mask.name).read_bytes()
    _require_nobody(ran, tmp_path / "out")


def test_more_forms_of_a_mask_and_nobody_in_them(predicted: tuple[Ran, Path]) -> None:
    ran, out = predicted
    (record,) = out.glob("case-*.json")
    facts = json.loads(record.read_text())
    assert list(facts["forms"]) == ["nifti", "report", "seg", "stl", "bids", "probabilities"]
    assert facts["deidentified"]
    mask = nibabel.load(record.with_suffix(".nii.gz"))
    labels = np.asarray(mask.dataobj)
    with silenced():
        data = highdicom.seg.segread(str(record.with_suffix(".seg.dcm")))
        volume = data.get_volume(combine_segments=False)
    whole = np.argwhere(np.asarray(volume.array)[..., 0] > 0) @ (LPS @ volume.affine)[:3, :3].T
    whole += (LPS @ volume.affine)[:3, 3]
    expected = np.argwhere(labels > 0) @ mask.affine[:3, :3].T + mask.affine[:3, 3]
    np.testing.assert_allclose(sorted(map(tuple, whole.round(2))), sorted(map(tuple, expected.round(2))), atol=0.02)
    assert nibabel.load(out / f"{record.stem}_probabilities.nii.gz").shape == (*labels.shape, 3)
    assert {path.name for path in out.glob("*.stl")} == {f"{record.stem}_{name}.stl" for name in ("WT", "TC", "ET")}
    assert (str(data.PatientName), data.PatientBirthDate) == (data.PatientID, "")
    _require_nobody(ran, out)


REFUSED: dict[str, tuple[tuple[str, ...], str]] = {
    "another form": (("--write", "rtstruct"), "there is no such form of a mask"),
    "nothing to deidentify": (("--deidentify",), "Add seg to --write"),
    "of NIfTI": (("--write", "seg"), "needs a DICOM series"),
    "none": (("--write", ","), "nothing is to be written"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_forms_that_there_cannot_be(name: str, images: tuple[dict[str, Voxels], Voxels, Path], tmp_path: Path) -> None:
    arguments, words = REFUSED[name]
    ran = glioseg("predict", "model:phantom", images[2], "--out", tmp_path / "out", *arguments)
    assert ran.code in (1, 2)
    assert words in ran.err
    assert not list(tmp_path.rglob("*.nii.gz"))


def test_a_classifier_has_no_forms(tmp_path: Path) -> None:
    wanted = Wanted(write=("stl",))
    case = Case("a", "a", {"grey": Source((tmp_path / "a.png",), "raster")})
    with pytest.raises(OptionError, match="draws no mask"):
        ClassifyMembers((), ()).require(case, wanted)


def test_identifiers_are_kept_on_request(study: Path, tmp_path: Path) -> None:
    ran = glioseg("predict", "model:phantom", study, "--out", tmp_path, "--keep-ids", "--write", "nifti")
    assert ran.code == 0, ran.err
    assert (tmp_path / f"{PATIENT}_20240131.nii.gz").is_file()


def test_a_modality_is_named_by_its_series(study: Path, tmp_path: Path) -> None:
    named = ("--modality", "t1c=2", "--modality", "t1n=5", "--write", "nifti")
    ran = glioseg("predict", "model:phantom", study, *named, "--out", tmp_path)
    assert ran.code == 0, ran.err
    (record,) = tmp_path.glob("case-*.json")
    inputs = json.loads(record.read_text())["inputs"]
    assert [inputs[name]["files"][0].partition(" ")[2] for name in ("t1n", "t1c")] == ["series 5", "series 2"]


def test_errors_name_nobody(study: Path, tmp_path: Path) -> None:
    ran = glioseg("predict", "model:phantom", study, "--modality", "t1c=9", "--out", tmp_path / "out")
    assert ran.code == 2
    assert "--modality t1c=9 names no series that can be used" in ran.err
    assert not (tmp_path / "out").exists()
    _require_nobody(ran, tmp_path)


def test_a_study_that_lacks_a_modality_is_named_by_its_digest(
    images: tuple[dict[str, Voxels], Voxels, Path], tmp_path: Path
) -> None:
    arrays, affine, _ = images
    write_study(tmp_path / FOLDER, {"t2f": arrays["t2f"]}, affine)
    ran = glioseg("predict", "model:phantom", tmp_path / FOLDER, "--out", tmp_path / "out")
    assert ran.code != 0
    assert "lacks t1n, t1c, t2w" in ran.err
    _require_nobody(ran, tmp_path / "out")

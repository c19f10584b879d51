"""The documents speak of commands that there are, and what ``docs/own-data.md`` tells to type works as it stands."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest
import typer
from typer.core import TyperGroup

from glioseg.cli.app import app
from glioseg.cohorts.phantom import PhantomOptions, generate_patient
from glioseg.cohorts.recognise import LAYOUTS
from glioseg.config import shipped_recipes
from glioseg.io.nifti import write_nifti
from tests.cli.command import glioseg
from tests.fakes.dicom import BY_MODALITY, T1N, write_series, zipped
from tests.fakes.heads import patient, rigid, study, with_skull
from tests.runs.conftest import _one_thread, plain_reports

__all__ = ["_one_thread"]

_ROOT = Path(__file__).parents[1]
_OWN_DATA = _ROOT / "docs" / "own-data.md"
_PREDICT = _ROOT / "docs" / "predict.md"
_DEPLOY = _ROOT / "docs" / "deploy.md"
_UsageError: type[Exception] = typer.BadParameter.__mro__[1]
"""What a line that the command does not understand raises: the base of all such errors, which has no public name."""
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_NAMES = ("t1c", "t1n", "t2f", "t2w")
_SHORT = ("train.epochs=1", "model.width=4", "model.depth=2", "evaluate.n_resamples=50")
"""What makes the trainings of the document short; nothing else of its commands is changed."""


def commands_of(document: Path) -> Iterator[list[str]]:
    """The arguments of each ``glioseg …`` line of a document's blocks, in their order; those with … are no commands."""
    for _, block in _BLOCK.findall(document.read_text(encoding="utf-8")):
        for line in block.splitlines():
            if line.startswith("glioseg ") and "…" not in line:
                yield shlex.split(line, comments=True)[1:]


@pytest.mark.parametrize(
    "document",
    [
        "README.md",
        "CONTRIBUTING.md",
        *sorted(page.relative_to(_ROOT).as_posix() for page in (_ROOT / "docs").rglob("*.md")),
    ],
)
def test_commands_of_documents_are_commands(document: str) -> None:
    """Names, options and numbers of arguments are those of the command line; nothing is run."""
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    wrong = []
    for arguments in commands_of(_ROOT / document):
        try:
            group.commands[arguments[0]].make_context(arguments[0], arguments[1:])
        except (_UsageError, KeyError) as error:
            wrong.append((" ".join(arguments), str(error)))
    assert wrong == []


def _write_patients(root: Path) -> None:
    """What the document's reader has: phantom patients under the names that it shows, one of them new."""
    options = PhantomOptions(n_patients=9, spacing_mm=6.0, seed=1)
    for number in range(9):
        patient = generate_patient(options, number)
        labels, names = patient.labels.array.astype(np.uint8), patient.image.modalities
        flair, t1c = (patient.image.array[names.index(name)] for name in ("t2f", "t1c"))
        tumour = (labels > 0).astype(np.uint8)
        folder = f"p{number + 1:02d}" if number < 8 else "p20"
        sets = {"mine": {"flair": flair, "mask": tumour}, "theirs": {"flair": flair, "t1c": t1c, "mask": labels}}
        if number == 8:
            sets = {"new": {"flair": flair}, "elsewhere": {"flair": flair, "mask": tumour}}
        for name, files in sets.items():
            for file, array in files.items():
                write_nifti(root / name / folder / f"{file}.nii.gz", array, patient.image.grid)


def _rows(document: str, header: str) -> set[str]:
    """What stands between backquotes in the first column of the table under ``header``."""
    lines = (_ROOT / document).read_text(encoding="utf-8").splitlines()
    rows = lines[lines.index(header) + 2 :]
    table = rows[: next((number for number, row in enumerate(rows) if not row.startswith("|")), len(rows))]
    return {name for row in table for name in re.findall("`([^`]+)`", row.split("|")[1])}


def test_the_readme_names_every_recipe_and_every_layout() -> None:
    assert _rows("README.md", "| recipe | after |") == set(shipped_recipes())
    assert _rows("README.md", "| layout | data |") == {layout.name for layout in LAYOUTS}


@pytest.mark.slow
def test_own_data_from_the_first_command_to_the_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _write_patients(tmp_path)
    (labels,) = [block for kind, block in _BLOCK.findall(_OWN_DATA.read_text(encoding="utf-8")) if kind == "toml"]
    (tmp_path / "theirs" / "labels.toml").write_text(labels, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    with plain_reports():
        for arguments in commands_of(_OWN_DATA):
            short = [part for change in _SHORT for part in ("--set", change)]
            trains = arguments[0] in ("train", "study")
            ran = glioseg(*arguments, *(short if trains else ()), "--quiet")
            assert ran.code == 0, (arguments, ran.err)
    assert {path.name for path in Path("masks").glob("*.nii.gz")} == {"p20.nii.gz"}
    assert {path.name for path in Path("their-masks").glob("*.nii.gz")} == {"p01.nii.gz"}
    assert "lesion" in Path("their-masks/predictions.html").read_text(encoding="utf-8")
    assert Path("runs/mine/report-on-elsewhere.html").exists()
    assert Path("folds/study.html").exists()


def _write_study(folder: Path, day: str = "20240131") -> Path:
    """A phantom patient as a scanner would give it on some day, with a localiser."""
    patient = generate_patient(PhantomOptions(n_patients=1, spacing_mm=6.0, seed=1), 0)
    affine, arrays = patient.image.grid.affine, dict(zip(patient.image.modalities, patient.image.array, strict=True))
    kind = {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}
    localizer = replace(T1N, number=1, description="localizer", tags={**T1N.tags, **kind})
    planned = [(BY_MODALITY[name], array) for name, array in arrays.items()]
    for series, array in (*planned, (localizer, arrays["t1n"][:, :, :3])):
        write_series(folder, array, affine, replace(series, study=day, tags={**series.tags, "StudyDate": day}))
    return folder


def _write_grids(root: Path) -> None:
    """A patient whose series lie on four grids, without skull and with it."""
    image = patient(3.0)
    for name, head in {"grids": image, "heads": with_skull(image)}.items():
        for modality, voxels in study(head, {"t1n": rigid((3.0, -4.0, 5.0), (4.0, 2.0, -3.0))}).items():
            write_nifti(root / name / "P1" / f"P1-{modality}.nii.gz", voxels.array, voxels.grid)


@pytest.mark.slow
def test_from_a_study_to_a_mask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zipped(_write_study(tmp_path / "study"), tmp_path / "study.zip")
    _write_grids(tmp_path)
    _write_study(tmp_path / "later", "20240502")
    monkeypatch.chdir(tmp_path)
    said = {}
    for arguments in commands_of(_PREDICT):
        ran = glioseg(*arguments, "--quiet")
        assert ran.code == 0, (arguments, ran.err)
        said[arguments[0]] = ran.out
    shown = re.findall(r"^  [* ] \d.*$", _PREDICT.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(shown) == 5
    assert [row for row in shown if row not in said["inspect"].splitlines()] == []
    (mask,) = Path("masks").glob("case-*.nii.gz")
    for folder in ("masks-of-zip", "masks-named", "forms", "nobody"):
        np.testing.assert_array_equal(nibabel.load(mask).dataobj, nibabel.load(Path(folder) / mask.name).dataobj)
    stem = mask.name.removesuffix(".nii.gz")
    ends = (".pdf", ".html", ".seg.dcm", "_WT.stl", "_TC.stl", "_ET.stl", "_probabilities.nii.gz", "_entropy.nii.gz")
    assert all((Path("forms") / f"{stem}{end}").is_file() for end in ends)
    assert len(list(Path("forms/bids").glob("sub-*/ses-*/anat/*_dseg.nii.gz"))) == 1
    points = json.loads(Path("course/timeline.json").read_text(encoding="utf-8"))["time_points"]
    assert [point["day"] for point in points] == [0, 92], "31 January to 2 May 2024"
    assert "2024" not in Path("course/timeline.csv").read_text(encoding="utf-8")
    assert list(Path("nobody").glob("*.seg.dcm"))
    for folder in ("masks-of-grids", "masks-of-heads", "masks-by-atlas"):
        facts = json.loads((Path(folder) / "P1.json").read_text(encoding="utf-8"))["ready"]
        assert (Path(folder) / facts["figure"]).is_file()
        assert "What was done to the scans" in (Path(folder) / "predictions.html").read_text(encoding="utf-8")
    on_t1c = nibabel.load(Path("heads") / "P1" / "P1-t1c.nii.gz")
    assert nibabel.load(Path("masks-of-heads") / "P1.nii.gz").shape == on_t1c.shape
    assert sorted(path.name for path in Path("ready/P1").iterdir()) == [f"P1-{name}.nii.gz" for name in _NAMES]


@pytest.mark.slow
def test_what_is_deployed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every command of the page, on a phantom patient; masks of all backends nearly agree."""
    patient = generate_patient(PhantomOptions(n_patients=1, spacing_mm=3.0), 0)
    for name, array in zip(patient.image.modalities, patient.image.array, strict=True):
        write_nifti(tmp_path / "patient" / f"{name}.nii.gz", array, patient.image.grid)
    for channel, array in enumerate(patient.image.array):
        write_nifti(tmp_path / "imagesTs" / f"BRATS_001_{channel:04d}.nii.gz", array, patient.image.grid)
    monkeypatch.chdir(tmp_path)
    for arguments in commands_of(_DEPLOY):
        ran = glioseg(*arguments, "--quiet")
        assert ran.code == 0, (arguments, ran.err)
    lines = _DEPLOY.read_text(encoding="utf-8").splitlines()
    (program,) = [line for line in lines if line.startswith("python deployed/")]
    subprocess.run([sys.executable, "-Es", *shlex.split(program)[1:]], check=True)
    by_program = np.asarray(nibabel.load("mask.nii.gz").dataobj)
    found = np.asarray(nibabel.load(Path("masks") / "patient.nii.gz").dataobj)
    assert (by_program == found).mean() > 0.999
    (by_monai,) = [line for line in lines if line.startswith("python -m monai.bundle run ")]
    words = shlex.split(by_monai)[4:]  # without fire, of which MONAI's command line is made
    given = dict(zip((word.removeprefix("--") for word in words[::2]), words[1::2], strict=True))
    given["output_dir"] = "by-monai"
    Path("scans").mkdir()
    Path("patient").rename("scans/patient")
    subprocess.run([sys.executable, "-c", f"import monai.bundle; monai.bundle.run(**{given!r})"], check=True)
    assert (np.asarray(nibabel.load("by-monai/patient.nii.gz").dataobj) == found).mean() > 0.999
    assert (np.asarray(nibabel.load("predsTs/BRATS_001.nii.gz").dataobj) == found).mean() > 0.999
    assert ((found > 0) == (patient.labels.array > 0)).mean() > 0.95

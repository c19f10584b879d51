"""``glioseg predict``: scans in, masks on the scan's own grid, volumes and pictures out."""

from __future__ import annotations

import csv
import gzip
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from PIL import Image as Pillow

from glioseg.cohorts.phantom import PhantomOptions
from glioseg.cohorts.write import write_phantom
from glioseg.core import Case
from glioseg.errors import FileError
from glioseg.io.lock import locked
from glioseg.io.stl import write_stl
from glioseg.tasks.classify.predict import ClassifyMembers
from glioseg.tasks.prediction import Members
from glioseg.tasks.segment.predict import SegmentMembers
from glioseg.tasks.segment.prediction import SegmentPrediction
from tests.cli.command import Ran, glioseg
from tests.io.test_bounds import nifti_header
from tests.runs.conftest import Task, TinyRun
from tests.runs.toy import write_toy

ENDINGS = (".nii.gz", ".json", ".png", ".html", ".pdf")
"""Of what is written of a volume."""


def _predict(run: Path, *arguments: str | Path | int) -> Ran:
    return glioseg("predict", run, *arguments, "--device", "cpu", "--quiet")


def _case(tiny: TinyRun) -> str:
    (patient,) = json.loads((tiny.run / "split.json").read_text(encoding="utf-8"))["test"]
    return f"{patient}-000"


def _dice(one: np.ndarray[Any, Any], other: np.ndarray[Any, Any]) -> float:
    return float(2 * (one & other).sum() / (one.sum() + other.sum()))


@pytest.fixture(scope="module")
def predicted(tiny: TinyRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the test patient, predicted."""
    out = tmp_path_factory.mktemp("predicted")
    ran = _predict(tiny.run, tiny.data / _case(tiny), "--out", out)
    assert ran.code == 0, ran.err
    assert ran.out.startswith(f"{out / _case(tiny)}.nii.gz: WT ")
    return out


def test_the_files_of_a_case(tiny: TinyRun, predicted: Path) -> None:
    name = _case(tiny)
    assert {path.name for path in predicted.iterdir()} == {
        f"{name}.nii.gz",
        f"{name}.json",
        f"{name}.png",
        f"{name}.html",
        f"{name}.pdf",
        "summary.csv",
        "predictions.html",
    }
    with Pillow.open(predicted / f"{name}.png") as picture:
        picture.load()
        assert picture.width > 1200  # three planes of 40 x 40 x 26 voxels, large enough to be read


def test_the_mask_lies_on_the_scan(tiny: TinyRun, predicted: Path) -> None:
    name = _case(tiny)
    mask, scan = nib.load(predicted / f"{name}.nii.gz"), nib.load(tiny.data / name / f"{name}-t2f.nii.gz")
    assert mask.shape == scan.shape
    np.testing.assert_array_equal(mask.affine, scan.affine)
    assert mask.get_data_dtype() == np.uint8
    assert set(np.unique(mask.dataobj)) <= {0, 1, 2, 3}


def test_the_mask_lies_on_a_scan_that_states_two_places(tiny: TinyRun, tmp_path: Path) -> None:
    """In programs that go by the sform and in those that go by the qform, and the person is told."""
    case = tmp_path / _case(tiny)
    shutil.copytree(tiny.data / _case(tiny), case)
    for path in case.glob("*.nii.gz"):
        image = nib.load(path)
        moved = image.affine.copy()
        moved[1, 3] -= 25
        image.set_sform(image.affine, code=4)
        image.set_qform(moved, code=1)
        nib.save(image, path)
    ran = _predict(tiny.run, case, "--out", tmp_path / "out")
    assert ran.code == 0, ran.err
    mask, scan = nib.load(tmp_path / "out" / f"{case.name}.nii.gz"), nib.load(next(case.glob("*-t2f.nii.gz")))
    for form in ("get_sform", "get_qform"):
        (ours, code), (theirs, their_code) = (getattr(image, form)(coded=True) for image in (mask, scan))
        np.testing.assert_allclose(ours, theirs, atol=1e-4)
        assert code == their_code
    assert "sform and qform of the scan put it up to 25 mm apart" in " ".join(
        json.loads((tmp_path / "out" / f"{case.name}.json").read_text(encoding="utf-8"))["warnings"]
    )


def test_a_prediction_scores_what_the_evaluation_says(tiny: TinyRun, predicted: Path) -> None:
    name = _case(tiny)
    mask = np.asarray(nib.load(predicted / f"{name}.nii.gz").dataobj)
    reference = np.asarray(nib.load(tiny.data / name / f"{name}-seg.nii.gz").dataobj)
    figures = tiny.ran.json["test"]["regions"]
    assert _dice(mask > 0, reference > 0) == pytest.approx(figures["WT"]["dice"]["case_mean"], abs=1e-12)
    assert _dice(mask == 3, reference == 3) == pytest.approx(figures["ET"]["dice"]["case_mean"], abs=1e-12)


def test_what_stands_beside_a_mask(tiny: TinyRun, predicted: Path) -> None:
    name = _case(tiny)
    facts = json.loads((predicted / f"{name}.json").read_text(encoding="utf-8"))
    mask = np.asarray(nib.load(predicted / f"{name}.nii.gz").dataobj)
    bundle = json.loads((tiny.run / "bundle" / "bundle.json").read_text(encoding="utf-8"))
    assert facts["case"] == name
    assert facts["mask"] == f"{name}.nii.gz"
    assert facts["volumes"]["unit"] == "ml"
    assert facts["volumes"]["WT"] == pytest.approx((mask > 0).sum() * 6.0**3 / 1000, rel=1e-6)
    assert facts["volumes"]["ET"] == pytest.approx((mask == 3).sum() * 6.0**3 / 1000, rel=1e-6)
    assert facts["labels"] == {"NCR": 1, "ED": 2, "ET": 3}
    assert facts["regions"] == {"WT": ["NCR", "ED", "ET"], "ET": ["ET"]}
    assert facts["model_id"] == bundle["model_id"]
    assert facts["filled"] == []
    assert facts["inputs"]["t1c"] == {"files": [str(tiny.data / name / f"{name}-t1c.nii.gz")], "channel": None}
    assert "research use only" in facts["use"]


def test_a_whole_cohort(tiny: TinyRun, predicted: Path, tmp_path: Path) -> None:
    ran = _predict(tiny.run, tiny.data, "--out", tmp_path, "--json")
    assert ran.code == 0, ran.err
    with (tmp_path / "summary.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["case"] for row in rows] == [f"BraTS-GLI-{number:05d}-000" for number in range(1, 6)]
    assert {row["unit"] for row in rows} == {"ml"}
    assert [case["volumes"]["WT"] for case in ran.json["cases"]] == [float(row["WT"]) for row in rows]
    one = f"{_case(tiny)}.nii.gz"
    np.testing.assert_array_equal(nib.load(tmp_path / one).dataobj, nib.load(predicted / one).dataobj)


def test_file_by_file(tiny: TinyRun, predicted: Path, tmp_path: Path) -> None:
    name = _case(tiny)
    files = {modality: tiny.data / name / f"{name}-{modality}.nii.gz" for modality in ("t1c", "t2f")}
    given = [part for modality, path in files.items() for part in ("--modality", f"{modality}={path}")]
    ran = _predict(tiny.run / "bundle", *given, "--out", tmp_path)
    assert ran.code == 0, ran.err
    (mask,) = tmp_path.glob("*.nii.gz")
    np.testing.assert_array_equal(nib.load(mask).dataobj, nib.load(predicted / f"{name}.nii.gz").dataobj)


def test_older_names_of_modalities(tiny: TinyRun, predicted: Path, tmp_path: Path) -> None:
    name = _case(tiny)
    given = {"T1Gd": "t1c", "flair": "t2f"}
    files = [f"{older}={tiny.data / name / f'{name}-{ours}.nii.gz'}" for older, ours in given.items()]
    ran = _predict(tiny.run / "bundle", *(part for file in files for part in ("--modality", file)), "--out", tmp_path)
    assert ran.code == 0, ran.err
    (mask,) = tmp_path.glob("*.nii.gz")
    np.testing.assert_array_equal(nib.load(mask).dataobj, nib.load(predicted / f"{name}.nii.gz").dataobj)


def test_a_case_is_named_after_its_patient(tiny: TinyRun, predicted: Path, tmp_path: Path) -> None:
    """Two patients whose files are called T1Gd.nii.gz and FLAIR.nii.gz: neither result is, and neither is lost."""
    name = _case(tiny)
    for patient in ("smith", "jones"):
        folder = tmp_path / patient / "anat"
        folder.mkdir(parents=True)
        for ours, theirs in (("t1c", "T1Gd"), ("t2f", "FLAIR")):
            shutil.copy(tiny.data / name / f"{name}-{ours}.nii.gz", folder / f"{theirs}.nii.gz")
        given = [f"{theirs}={folder / f'{theirs}.nii.gz'}" for theirs in ("T1Gd", "FLAIR")]
        options = [part for one in given for part in ("--modality", one)]
        assert _predict(tiny.run, *options, "--out", tmp_path / "out").code == 0
    assert {path.name for path in (tmp_path / "out").glob("*.nii.gz")} == {"smith.nii.gz", "jones.nii.gz"}


def test_a_folder_as_a_hospital_names_it(tiny: TinyRun, predicted: Path, tmp_path: Path) -> None:
    """No masks, modalities by other names, and another image beside them."""
    name = _case(tiny)
    scans = {"FLAIR_ax": "t2f", "T1_post": "t1c", "T2": "t2w"}
    folder = tmp_path / "scans" / "mueller"
    folder.mkdir(parents=True)
    for called, ours in scans.items():
        shutil.copy(tiny.data / name / f"{name}-{ours}.nii.gz", folder / f"{called}.nii.gz")
    ran = glioseg("predict", tiny.run, tmp_path / "scans", "--out", tmp_path / "out", "--device", "cpu")
    assert ran.code == 0, ran.err
    (mask,) = (tmp_path / "out").glob("*.nii.gz")
    np.testing.assert_array_equal(nib.load(mask).dataobj, nib.load(predicted / f"{name}.nii.gz").dataobj)
    files = {"t2f": f"{folder / 'FLAIR_ax'}.nii.gz", "t1c": f"{folder / 'T1_post'}.nii.gz"}
    inputs = json.loads(mask.with_name("mueller.json").read_text(encoding="utf-8"))["inputs"]
    assert {name: source["files"] for name, source in inputs.items()} == {name: [path] for name, path in files.items()}
    assert f"mueller: t2f = {files['t2f']}, t1c = {files['t1c']}" in ran.err


def test_the_channels_of_one_file(tiny: TinyRun, predicted: Path, tmp_path: Path) -> None:
    name = _case(tiny)
    scans = [nib.load(tiny.data / name / f"{name}-{ours}.nii.gz") for ours in ("t1n", "t1c", "t2w", "t2f")]
    channels = np.stack([np.asarray(scan.dataobj) for scan in scans], axis=-1)
    nib.save(nib.Nifti1Image(channels, scans[0].affine), tmp_path / "all.nii.gz")
    ran = _predict(tiny.run, tmp_path / "all.nii.gz", "--modalities", "t1,t1ce,t2,flair", "--out", tmp_path / "out")
    assert ran.code == 0, ran.err
    expected = nib.load(predicted / f"{name}.nii.gz").dataobj
    np.testing.assert_array_equal(nib.load(tmp_path / "out" / "all.nii.gz").dataobj, expected)


# -- pictures ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pictures:
    """Grey pictures with masks, and a network trained on them."""

    data: Path
    run: Path


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Pictures:
    folder = tmp_path_factory.mktemp("pictures")
    write_phantom(PhantomOptions(n_patients=3, spacing_mm=6.0, seed=1), folder / "data", "pairs", n_workers=1)
    changes = ["data.modalities=none", 'prepare.regions=["tumour"]', "slices.n_neighbours=0", "train.epochs=1"]
    recipe = write_toy(folder / "toy.toml", *changes, "split.train=0.34", "split.val=0.33", "split.test=0.33")
    ran = glioseg("train", recipe, "--data", folder / "data", "--out", folder / "run", "--no-evaluate", "--quiet")
    assert ran.code == 0, ran.err
    return Pictures(folder / "data", folder / "run")


def test_a_training_that_is_not_evaluated_has_a_bundle(pictures: Pictures) -> None:
    names = {path.name for path in pictures.run.iterdir()}
    assert "bundle" in names
    assert not {name for name in names if name.startswith(("evaluation", "report", "cases"))}


def test_a_picture(pictures: Pictures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Named as whoever stands in its folder would; its record names it wherever that is read."""
    picture = next(path for path in sorted((pictures.data / "images").iterdir()) if path.stem.endswith("_012"))
    monkeypatch.chdir(picture.parent)
    ran = _predict(pictures.run, picture.name, "--out", tmp_path / "out")
    assert ran.code == 0, ran.err
    with Pillow.open(tmp_path / "out" / f"{picture.stem}_mask.png") as mask, Pillow.open(picture) as original:
        assert (mask.size, mask.mode) == (original.size, "L")
        pixels = np.asarray(mask)
    assert set(np.unique(pixels)) <= {0, 255}
    facts = json.loads((tmp_path / "out" / f"{picture.stem}.json").read_text(encoding="utf-8"))
    assert facts["volumes"] == {"unit": "voxels", "tumour": (pixels == 255).sum()}
    assert facts["grid"]["spacing_mm"] is None
    assert facts["inputs"]["grey"]["files"] == [str(picture)]
    assert (tmp_path / "out" / f"{picture.stem}.png").exists()


def test_a_flat_folder_of_pictures_stored_in_colours(pictures: Pictures, tmp_path: Path) -> None:
    """Grey pictures without masks, saved as RGB: predicted as the grey ones are."""
    picture = next(path for path in sorted((pictures.data / "images").iterdir()) if path.stem.endswith("_012"))
    (tmp_path / "scans").mkdir()
    with Pillow.open(picture) as original:
        original.convert("RGB").save(tmp_path / "scans" / "in_colours.png")
    shutil.copy(picture, tmp_path / "scans" / "in_grey.png")
    ran = _predict(pictures.run, tmp_path / "scans", "--out", tmp_path / "out")
    assert ran.code == 0, ran.err
    masks = [np.asarray(Pillow.open(tmp_path / "out" / f"{name}_mask.png")) for name in ("in_colours", "in_grey")]
    np.testing.assert_array_equal(masks[0], masks[1])


def test_masks_below_the_pictures_are_no_masks_of_theirs(pictures: Pictures, tmp_path: Path) -> None:
    """The second time there are a mask and an overlay of each picture below them."""
    (tmp_path / "scans").mkdir()
    for picture in sorted((pictures.data / "images").iterdir())[:4]:
        shutil.copy(picture, tmp_path / "scans")
    for _ in range(2):
        ran = glioseg("predict", pictures.run, tmp_path / "scans", "--out", tmp_path / "scans" / "masks")
        assert ran.code == 0, ran.err
        assert "error" not in ran.err
        assert ran.out.count("_mask.png") == 4


def test_pictures_stored_in_colours_score_as_grey_ones_do(pictures: Pictures, tmp_path: Path) -> None:
    for name in ("grey", "colours"):
        (tmp_path / name / "images").mkdir(parents=True)
        (tmp_path / name / "masks").mkdir()
        for picture in sorted((pictures.data / "images").iterdir())[8:16]:
            mask = next((pictures.data / "masks").glob(f"{picture.stem}*"))
            shutil.copy(mask, tmp_path / name / "masks")
            with Pillow.open(picture) as original:
                mode = "RGB" if name == "colours" else original.mode
                original.convert(mode).save(tmp_path / name / "images" / picture.name)
    figures = []
    for name in ("grey", "colours"):
        places = ["--data", tmp_path / name, "--out", tmp_path / f"{name}-out", "--cache", tmp_path / "cache"]
        ran = glioseg("evaluate", pictures.run, *places, "--device", "cpu", "--json", "--quiet")
        assert ran.code == 0, ran.err
        figures.append(ran.json["regions"]["tumour"]["dice"])
    assert figures[0] == figures[1]


def test_colours_do_not_pass_for_grey(pictures: Pictures, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (16, 20, 3)).astype(np.uint8)
    Pillow.fromarray(noise).save(tmp_path / "photo.png")
    ran = _predict(pictures.run, tmp_path / "photo.png", "--out", tmp_path / "out")
    assert ran.code == 1
    assert "photo.png" in ran.err


def test_a_black_scan_is_predicted_and_warned_about(tiny: TinyRun, tmp_path: Path) -> None:
    scan = nib.load(_scan(tiny))
    flair = tmp_path / "black" / "flair.nii.gz"
    flair.parent.mkdir()
    nib.save(nib.Nifti1Image(np.zeros(scan.shape, np.int16), scan.affine), flair)
    t1c = str(_scan(tiny)).replace("t2f", "t1c")
    out = tmp_path / "out"
    files = ("--modality", f"t2f={flair}", "--modality", f"t1c={t1c}")
    ran = glioseg("predict", tiny.run, *files, "--out", out, "--write", "nifti,uncertainty")
    assert ran.code == 0, ran.err
    assert "black: t2f is black everywhere: it shows nothing" in ran.err
    facts = json.loads((out / "black.json").read_text(encoding="utf-8"))
    assert any(warning.startswith("t2f is black everywhere") for warning in facts["warnings"])
    assert facts["uncertainty"]["confidence"] is None, "nobody has scored this network without FLAIR"
    assert facts["uncertainty"]["confidence_is"].startswith("not stated: modalities were missing")


# -- interruptions -----------------------------------------------------------------------------------------------------


_MEMBERS: dict[Task, type[Members]] = {"segment": SegmentMembers, "classify": ClassifyMembers}


def _summary(out: Path) -> list[str]:
    with (out / "summary.csv").open(encoding="utf-8") as file:
        return [row["case"] for row in csv.DictReader(file)]


def _names(*numbers: int) -> list[str]:
    return [f"BraTS-GLI-{number:05d}-000" for number in numbers]


@pytest.mark.parametrize("task", ["segment", "classify"])
def test_what_is_done_is_skipped(
    task: Task, tiny_runs: Callable[[Task], TinyRun], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tiny_runs(task)
    cases = (
        sorted(path for path in run.data.iterdir() if path.is_dir())
        if task == "segment"
        else sorted((run.data / "yes").iterdir())[:3]
    )
    assert glioseg("predict", run.run, *cases, "--out", tmp_path / "whole", "--json").code == 0
    out = tmp_path / "out"
    predicted: list[str] = []
    real = _MEMBERS[task].predict

    def predict(members: Any, case: Any, *wanted: Any) -> Any:
        predicted.append(case.id)
        if len(predicted) == 3:
            raise KeyboardInterrupt
        return real(members, case, *wanted)

    with monkeypatch.context() as patch:
        patch.setattr(_MEMBERS[task], "predict", predict)
        stopped = glioseg("predict", run.run, *cases, "--out", out)
        assert stopped.code == 130
        assert _summary(out) == predicted[:2]
        half = {
            "model_id": "m",
            "case": predicted[1],
            "unfinished": True,
        }  # as if it had been killed in the second case
        (out / f"{predicted[1]}.json").write_text(json.dumps(half), encoding="utf-8")
        predicted[:] = ["", "", ""]
        ran = glioseg("predict", run.run, *cases, "--out", out, "--skip-done", "--json")
    assert ran.code == 0, ran.err
    assert f"1 of {len(cases)} cases are done already" in ran.err
    assert len(predicted) == 3 + len(cases) - 1
    assert (out / "summary.csv").read_bytes() == (tmp_path / "whole" / "summary.csv").read_bytes()
    assert {path.name for path in out.iterdir()} == {path.name for path in (tmp_path / "whole").iterdir()}
    assert [case["case"] for case in ran.json["cases"]] == _summary(out)


def test_what_is_done_by_others_or_of_other_scans_is_not_skipped(tiny: TinyRun, tmp_path: Path) -> None:
    case, out = tmp_path / "data" / _case(tiny), tmp_path / "out"
    shutil.copytree(tiny.data / _case(tiny), case)
    assert _predict(tiny.run, case, "--out", out).code == 0
    sidecar = out / f"{_case(tiny)}.json"
    assert "1 of 1 cases are done already" in glioseg("predict", tiny.run, case, "--out", out, "--skip-done").err
    os.utime(next(case.glob("*t1c*")), ns=(1, sidecar.stat().st_mtime_ns + 1))
    assert "done already" not in glioseg("predict", tiny.run, case, "--out", out, "--skip-done").err
    facts = json.loads(sidecar.read_text(encoding="utf-8"))
    sidecar.write_text(json.dumps(facts | {"model_id": "0" * 12}), encoding="utf-8")
    assert "done already" not in glioseg("predict", tiny.run, case, "--out", out, "--skip-done").err


def test_the_summary_keeps_what_the_same_network_predicted_before(tiny: TinyRun, tmp_path: Path) -> None:
    first, second, third = _names(1, 2, 3)
    for names in ((first, second), (third,), (first,)):
        assert _predict(tiny.run, *(tiny.data / name for name in names), "--out", tmp_path).code == 0
        assert set(_summary(tmp_path)) >= set(names)
    assert sorted(_summary(tmp_path)) == [first, second, third]
    record = json.loads((tmp_path / f"{second}.json").read_text(encoding="utf-8"))
    record["volumes"]["WT"] = "much"  # somebody changed it
    (tmp_path / f"{second}.json").write_text(json.dumps(record), encoding="utf-8")
    assert _predict(tiny.run, tiny.data / third, "--out", tmp_path).code == 0
    assert sorted(_summary(tmp_path)) == [first, third]


@pytest.mark.parametrize("name", ["CASE.pdf", "CASE.json", "summary.csv", "predictions.html"])
def test_nothing_is_written_over_that_no_prediction_wrote(tiny: TinyRun, tmp_path: Path, name: str) -> None:
    theirs = tmp_path / name.replace("CASE", _case(tiny))
    theirs.write_text('{"about": "something else"}', encoding="utf-8")
    ran = _predict(tiny.run, tiny.data / _case(tiny), "--out", tmp_path)
    assert ran.code == 2, ran.err
    assert [word for word in (theirs.name, "no prediction has written", "--out") if word not in ran.err] == []
    assert [path.read_text(encoding="utf-8") for path in tmp_path.iterdir()] == ['{"about": "something else"}']


def test_a_file_of_somebody_else_costs_its_case_alone(tiny: TinyRun, tmp_path: Path) -> None:
    first, second = _names(1, 2)
    (tmp_path / f"{first}.pdf").write_bytes(b"a letter")
    ran = _predict(tiny.run, tiny.data / first, tiny.data / second, "--out", tmp_path)
    assert ran.code == 1
    assert (tmp_path / f"{first}.pdf").read_bytes() == b"a letter"
    assert _summary(tmp_path) == [second]


def test_what_a_killed_prediction_left_is_its_own(tiny: TinyRun, tmp_path: Path) -> None:
    """Its JSON file stands there from the beginning, and says whose the others are."""
    case = _case(tiny)
    (tmp_path / f"{case}.json").write_text(json.dumps({"model_id": "1", "case": case, "unfinished": True}))
    (tmp_path / f"{case}.pdf").write_bytes(b"half")
    ran = glioseg("predict", tiny.run, tiny.data / case, "--out", tmp_path, "--skip-done", "--device", "cpu")
    assert (ran.code, "done already" in ran.err) == (0, False)
    assert (tmp_path / f"{case}.pdf").read_bytes().startswith(b"%PDF")
    assert "unfinished" not in json.loads((tmp_path / f"{case}.json").read_text(encoding="utf-8"))


def test_two_at_once_into_one_folder(tiny: TinyRun, tmp_path: Path) -> None:
    with locked(tmp_path):
        ran = _predict(tiny.run, tiny.data / _case(tiny), "--out", tmp_path)
    assert (ran.code, "another process is at work in this folder" in ran.err) == (1, True)


# -- refusals: said before any work is done ----------------------------------------------------------------------------


def _refused(ran: Ran, out: Path, code: int, *words: str) -> None:
    assert ran.code == code, ran.err
    assert [word for word in words if word not in ran.err] == []
    assert not out.exists()


def test_a_case_that_lacks_a_modality(tiny: TinyRun, tmp_path: Path) -> None:
    shutil.copytree(tiny.data / _case(tiny), tmp_path / "case" / _case(tiny), ignore=shutil.ignore_patterns("*t1c*"))
    ran = _predict(tiny.run, tmp_path / "case", "--out", tmp_path / "out")
    _refused(ran, tmp_path / "out", 1, _case(tiny), "lacks t1c", "expected t2f, t1c", "--modality t1c=FILE")


def test_a_case_that_lacks_a_modality_does_not_stop_the_others(tiny: TinyRun, tmp_path: Path) -> None:
    shutil.copytree(tiny.data / _case(tiny), tmp_path / "data" / _case(tiny))
    other = "BraTS-GLI-00077-000"
    (tmp_path / "data" / other).mkdir()
    shutil.copy(_scan(tiny), tmp_path / "data" / other / f"{other}-t2f.nii.gz")
    ran = _predict(tiny.run, tmp_path / "data", "--out", tmp_path / "out", "--json")
    assert ran.code == 1
    assert f"case {other} was left out: " in ran.err
    assert "lacks t1c; found t2f; expected t2f, t1c" in ran.err
    assert [case["case"] for case in ran.json["cases"]] == [_case(tiny)]
    assert list(ran.json["failed"]) == [other]


def test_a_case_that_is_given_twice_is_predicted_once(tiny: TinyRun, tmp_path: Path) -> None:
    case = tiny.data / _case(tiny)
    ran = _predict(tiny.run, case, case, "--out", tmp_path / "out", "--json")
    assert (ran.code, [one["case"] for one in ran.json["cases"]]) == (0, [_case(tiny)])


def test_a_header_that_declares_terabytes_costs_its_case_alone(tiny: TinyRun, tmp_path: Path) -> None:
    """Ninety bytes that end nobody's prediction."""
    names = [f"BraTS-GLI-{number:05d}-000" for number in (1, 2)]
    for name in names:
        shutil.copytree(tiny.data / name, tmp_path / "data" / name)
    (scan,) = (tmp_path / "data").glob(f"{names[0]}/*t1c*")
    scan.write_bytes(gzip.compress(nifti_header((32000, 32000, 3000))))
    ran = _predict(tiny.run, tmp_path / "data", "--out", tmp_path / "out", "--json")
    assert ran.code == 1
    assert "declares more voxels than are read; found 32000x32000x3000" in ran.err
    assert [case["case"] for case in ran.json["cases"]] == [names[1]]
    assert _predict(tiny.run, tmp_path / "data", "--out", tmp_path / "out", "--max-voxels", 100).code == 1


@pytest.mark.parametrize("kind", [MemoryError, ZeroDivisionError])
def test_whatever_a_case_throws_costs_it_alone(
    tiny: TinyRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type[Exception]
) -> None:
    names = [f"BraTS-GLI-{number:05d}-000" for number in (1, 2)]
    for name in names:
        shutil.copytree(tiny.data / name, tmp_path / "data" / name)
    predicted = SegmentMembers.predict

    def failing(self: SegmentMembers, case: Case, *more: Any) -> SegmentPrediction:
        if case.id == names[0]:
            raise kind("in the middle")
        return predicted(self, case, *more)

    monkeypatch.setattr(SegmentMembers, "predict", failing)
    ran = _predict(tiny.run, tmp_path / "data", "--out", tmp_path / "out", "--json")
    assert ran.code == 1
    assert f"{kind.__name__}: in the middle" in ran.json["failed"][names[0]]
    assert [case["case"] for case in ran.json["cases"]] == [names[1]]


@pytest.mark.parametrize("error", [ZeroDivisionError("in the middle"), FileError("cannot be read", path="its series")])
def test_a_form_that_cannot_be_written_costs_its_case_alone(
    tiny: TinyRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """What fails after the mask was written takes it along; what was found is no fault of the folder."""
    first, second = _names(1, 2)

    def failing(path: Path, *more: Any) -> int:
        if path.name.startswith(first):
            raise error
        return write_stl(path, *more)

    monkeypatch.setattr("glioseg.tasks.segment.forms.write_stl", failing)
    inputs = (tiny.data / first, tiny.data / second)
    ran = _predict(tiny.run, *inputs, "--out", tmp_path, "--write", "nifti,stl", "--json")
    assert ran.code == 1
    assert str(error) in ran.json["failed"][first].replace(
        "the case could not be written; found ZeroDivisionError: ", ""
    )
    assert [case["case"] for case in ran.json["cases"]] == [second]
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(first)] == []


_Given = Callable[[TinyRun, Path], list[str | Path]]
_MISUSE: dict[str, tuple[_Given, int, str]] = {
    "nothing": (lambda tiny, tmp: [], 2, "there is nothing to predict"),
    "no such file": (lambda tiny, tmp: [tmp / "no.nii.gz"], 1, "no such file or folder"),
    "not a scan": (lambda tiny, tmp: [tiny.data / "survival_info.csv"], 1, "not a file that can be predicted"),
    "one file": (lambda tiny, tmp: [_scan(tiny)], 1, "lacks t1c"),
    "channels that are not there": (
        lambda tiny, tmp: [_scan(tiny), "--modalities", "t1c,t2f"],
        2,
        "one name for each channel is needed; found t1c, t2f; expected 1",
    ),
    "a layout for a file": (lambda tiny, tmp: [_scan(tiny), "--layout", "brats"], 2, "are for folders"),
    "one modality": (lambda tiny, tmp: ["--modality", f"t2f={_scan(tiny)}"], 1, "lacks t1c"),
    "one modality by two names": (
        lambda tiny, tmp: ["--modality", f"t2f={_scan(tiny)}", "--modality", f"flair={_scan(tiny)}"],
        2,
        "a modality is given twice; found t2f, flair",
    ),
    "no name": (lambda tiny, tmp: ["--modality", "scan.nii.gz"], 2, "--modality needs NAME=FILE"),
    "no such modality file": (lambda tiny, tmp: ["--modality", "t2f=no.nii.gz"], 1, "no such file"),
    "not a folder of scans": (lambda tiny, tmp: [tiny.run / "figures"], 1, "figures"),
}


def _scan(tiny: TinyRun) -> Path:
    return tiny.data / _case(tiny) / f"{_case(tiny)}-t2f.nii.gz"


@pytest.mark.parametrize("kind", _MISUSE)
def test_what_cannot_be_predicted(tiny: TinyRun, tmp_path: Path, kind: str) -> None:
    given, code, message = _MISUSE[kind]
    _refused(_predict(tiny.run, *given(tiny, tmp_path), "--out", tmp_path / "out"), tmp_path / "out", code, message)


def test_modalities_that_are_not_of_one_grid(tiny: TinyRun, tmp_path: Path) -> None:
    scan = nib.load(_scan(tiny))
    nib.save(nib.Nifti1Image(np.asarray(scan.dataobj)[:-1], scan.affine), tmp_path / "t1c.nii.gz")
    given = ["--modality", f"t2f={_scan(tiny)}", "--modality", f"t1c={tmp_path / 't1c.nii.gz'}"]
    _refused(_predict(tiny.run, *given, "--out", tmp_path / "out"), tmp_path / "out", 1, "t1c.nii.gz")


def test_a_damaged_scan_stops_before_its_files(tiny: TinyRun, tmp_path: Path) -> None:
    shutil.copytree(tiny.data / _case(tiny), tmp_path / "case" / _case(tiny))
    scan = next((tmp_path / "case").rglob("*t1c*"))
    scan.write_bytes(scan.read_bytes()[:200])
    ran = _predict(tiny.run, tmp_path / "case", "--out", tmp_path / "out")
    _refused(ran, tmp_path / "out", 1, scan.name)


# -- damaged scans -----------------------------------------------------------------------------------------------------


def test_a_damaged_case_does_not_stop_the_others(tiny: TinyRun, tmp_path: Path) -> None:
    """The second of three cases is cut short; an earlier prediction of it must not pass for a new one."""
    names = [f"BraTS-GLI-{number:05d}-000" for number in (1, 2, 3)]
    for name in names:
        shutil.copytree(tiny.data / name, tmp_path / "data" / name)
    out = tmp_path / "out"
    assert _predict(tiny.run, tmp_path / "data", "--out", out, "--quiet").code == 0
    (scan,) = (tmp_path / "data").glob(f"{names[1]}/*t1c*")
    scan.write_bytes(scan.read_bytes()[:2000])
    ran = _predict(tiny.run, tmp_path / "data", "--out", out, "--quiet", "--json")
    assert ran.code == 1
    (line,) = ran.err.splitlines()
    assert line.startswith(f"glioseg: case {names[1]} was left out: ")
    assert scan.name in line
    assert [case["case"] for case in ran.json["cases"]] == [names[0], names[2]]
    assert list(ran.json["failed"]) == [names[1]]
    with (out / "summary.csv").open(encoding="utf-8") as file:
        assert [row["case"] for row in csv.DictReader(file)] == [names[0], names[2]]
    expected = {f"{name}{ending}" for name in (names[0], names[2]) for ending in ENDINGS}
    assert {path.name for path in out.iterdir()} == {*expected, "summary.csv", "predictions.html"}
    page = (out / "predictions.html").read_text(encoding="utf-8")
    assert f">{names[1]}</td>" in page  # among those left out, with the file that is at fault
    assert scan.name in page


def test_a_full_disk_leaves_no_case_half_written(
    tiny: TinyRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The PDF of the second case finds no room: its mask goes too, and the first case stays."""
    write, written = Path.write_bytes, 0

    def full(path: Path, data: bytes) -> int:
        nonlocal written
        written += 1
        if written > 3:
            raise OSError(28, "No space left on device", str(path))
        return write(path, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    ran = _predict(tiny.run, tiny.data, "--out", tmp_path / "out", "--quiet")
    assert ran.code == 1
    assert [word for word in ("cannot be written", "No space left", "free space") if word not in ran.err] == []
    first = "BraTS-GLI-00001-000"
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "summary.csv",
        *(f"{first}{end}" for end in ENDINGS),
    }
    assert _summary(tmp_path / "out") == [first]


def test_scans_are_never_written_over(pictures: Pictures, tmp_path: Path) -> None:
    """The overlay of ``scan.png`` is called ``scan.png`` too."""
    picture = next(iter(sorted((pictures.data / "images").iterdir())))
    scan = tmp_path / "scan.png"
    shutil.copy(picture, scan)
    ran = _predict(pictures.run, scan, "--out", tmp_path, "--quiet")
    assert (ran.code, ran.out) == (2, "")
    assert [word for word in ("scan.png", "written over the scan", "--out") if word not in ran.err] == []
    assert [path.name for path in tmp_path.iterdir()] == ["scan.png"]
    assert scan.read_bytes() == picture.read_bytes()

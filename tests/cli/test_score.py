"""``glioseg score``: masks of any origin, matched by name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import SimpleITK
from PIL import Image

import glioseg as package
from tests.cli.command import Ran, glioseg

Voxels = np.ndarray[Any, Any]
_SPACING = (1.0, 2.0, 5.0)


def block(*, x: int = 1, value: int = 1, shape: tuple[int, int, int] = (8, 6, 4)) -> Voxels:
    """Four by two by two voxels of a value, from ``x`` on."""
    mask = np.zeros(shape, np.uint8)
    mask[x : x + 4, 1:3, 1:3] = value
    return mask


def write(path: Path, mask: Voxels, *, spacing: tuple[float, float, float] = _SPACING) -> Path:
    """A mask in the format of its ending."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.name.endswith((".nii", ".nii.gz")):
        nibabel.save(nibabel.Nifti1Image(mask, np.diag([*spacing, 1.0])), path)
    elif path.suffix in (".mha", ".nrrd"):
        image = SimpleITK.GetImageFromArray(mask.transpose(2, 1, 0))
        image.SetSpacing(spacing)
        image.SetDirection((-1, 0, 0, 0, -1, 0, 0, 0, 1))  # LPS, so that it is the grid of the NIfTI
        SimpleITK.WriteImage(image, str(path))
    else:
        Image.fromarray(np.ascontiguousarray(mask[:, :, 1].T) * np.uint8(255)).save(path)
    return path


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Three cases; the prediction of each lies one voxel further along X: 12 of 16 voxels are met."""
    for case in ("p1", "p2", "p3"):
        write(tmp_path / "reference" / f"{case}.nii.gz", block())
        write(tmp_path / "ours" / f"{case}.nii.gz", block(x=2))
    return tmp_path / "reference", tmp_path / "ours"


def scored(reference: Path, prediction: Path, *options: object) -> dict[str, Any]:
    """The JSON of a run that succeeds."""
    ran = glioseg("score", "--reference", reference, "--prediction", prediction, "--json", "--quiet", *options)
    assert ran.code == 0, ran.err
    return ran.json


def refused(ran: Ran, code: int, *words: str) -> None:
    assert ran.code == code, ran.err
    assert [word for word in words if word not in ran.err] == []
    assert ran.out == ""


def test_by_hand(folders: tuple[Path, Path]) -> None:
    """Dice 2 · 12 / (16 + 16) = 0.75; 16 voxels of 10 mm³ are 0.16 ml; the far ends are 1 mm apart along X."""
    figures = scored(*folders)
    tumour = figures["regions"]["tumour"]
    assert tumour["dice"]["case_mean"] == pytest.approx(0.75)
    assert tumour["volume_reference_ml"]["case_mean"] == pytest.approx(0.16)
    assert (tumour["hd"]["case_mean"], tumour["hd"]["unit"]) == (pytest.approx(1.0), "mm")
    assert (figures["n_cases"], figures["n_patients"]) == (3, 3)
    assert figures["inputs"]["missing"] == []


def test_has_the_shape_of_evaluate(folders: tuple[Path, Path]) -> None:
    """All that ``evaluate --json`` has; what it was made of stands beside."""
    from glioseg.evaluation.protocol import Evaluation

    figures = scored(*folders)
    again = Evaluation.from_json(figures).to_json()
    assert again == {key: block for key, block in figures.items() if key != "inputs"}


@pytest.mark.parametrize(
    "name",
    [
        "{}.mha",
        "{}.nrrd",
        "{}.nii",
        "{}_seg.nii.gz",
        "{}-pred.nii.gz",
        "prediction_{}.nii.gz",
        "{}/seg.nii.gz",
        "{}/tumour.nii.gz",
        "masks/{}.nii.gz",
        "{0}/{0}_mask.nii.gz",
    ],
)
def test_whatever_masks_are_called(folders: tuple[Path, Path], tmp_path: Path, name: str) -> None:
    for case in ("p1", "p2", "p3"):
        write(tmp_path / "other" / name.format(case), block(x=2))
    (tmp_path / "other" / "summary.json").write_text("{}", encoding="utf-8")
    assert scored(folders[0], tmp_path / "other")["regions"]["tumour"]["dice"]["case_mean"] == pytest.approx(0.75)


def test_pictures(tmp_path: Path) -> None:
    """Without millimetres: volumes in voxels, no distances. Figures beside masks (``p1.png``) do not count."""
    for case in ("p1", "p2"):
        write(tmp_path / "reference" / f"{case}.png", block())
        write(tmp_path / "ours" / f"{case}_mask.png", block(x=2))
        write(tmp_path / "ours" / f"{case}.png", block(x=0))
    tumour = scored(tmp_path / "reference", tmp_path / "ours")["regions"]["tumour"]
    assert tumour["dice"]["case_mean"] == pytest.approx(0.75)
    assert tumour["volume_reference_voxels"]["case_mean"] == 8
    assert "hd95" not in tumour
    asked = scored(tmp_path / "reference", tmp_path / "ours", "--pixels")["regions"]["tumour"]
    assert asked["hd95_pixels"]["case_mean"] == 1


def test_a_missing_prediction_is_missed(folders: tuple[Path, Path], tmp_path: Path) -> None:
    """Dice (0.75 + 0.75 + 0) / 3; the reference of the third is all false negative."""
    reference, ours = folders
    (ours / "p2.nii.gz").unlink()
    figures = scored(reference, ours, "--out", tmp_path / "out")
    assert figures["regions"]["tumour"]["dice"]["case_mean"] == pytest.approx(0.5)
    assert figures["masks"]["tumour"] == {"ok": 2, "prediction_empty": 1}
    assert figures["inputs"]["missing"] == ["p2"]
    ran = glioseg("score", "--reference", reference, "--prediction", ours, "--quiet")
    assert "missing ours: p2; counted as missed" in ran.out
    assert "HD95 (mm) 1.00 (2 of 3 cases)" in ran.out
    assert "ours has no mask of 1 case (p2)" in (tmp_path / "out" / "score.html").read_text(encoding="utf-8")


def test_a_convention(folders: tuple[Path, Path]) -> None:
    """A missed mask has a distance of 374 mm in BraTS: (1 + 1 + 374) / 3."""
    reference, ours = folders
    (ours / "p2.nii.gz").unlink()
    figures = scored(reference, ours, "--convention", "brats2023")
    assert figures["protocol"]["convention"] == "brats2023"
    assert figures["regions"]["tumour"]["hd95"]["case_mean"] == pytest.approx(376 / 3)
    ran = glioseg("score", "--reference", reference, "--prediction", ours, "--convention", "brats2023", "--quiet")
    assert "empty masks: both_empty_1, convention: brats2023" in ran.out


def test_one_patient_has_no_interval(folders: tuple[Path, Path], tmp_path: Path) -> None:
    reference, ours = folders
    for folder in folders:
        for case in ("p2", "p3"):
            (folder / f"{case}.nii.gz").unlink()
    figures = scored(reference, ours, "--out", tmp_path / "out")
    assert figures["regions"]["tumour"]["dice"]["case_ci95"] is None
    assert "one patient, so there is no interval" in (tmp_path / "out" / "score.html").read_text(encoding="utf-8")


def test_patients_of_a_table(folders: tuple[Path, Path]) -> None:
    reference, ours = folders
    (reference / "facts.csv").write_text("case,patient\np1,a\np2,a\np3,b\n", encoding="utf-8")
    assert scored(reference, ours)["n_patients"] == 2


def test_subgroups_of_a_table(tmp_path: Path) -> None:
    """Six cases of two sites, of which one is drawn a voxel off: Dice 1 and 0.75."""
    lines = ["case,patient,site"]
    for number in range(6):
        write(tmp_path / "reference" / f"p{number}.nii.gz", block())
        write(tmp_path / "ours" / f"p{number}.nii.gz", block(x=1 + number % 2))
        lines.append(f"p{number},p{number},{'AB'[number % 2]}")
    (tmp_path / "reference" / "facts.csv").write_text("\n".join(lines), encoding="utf-8")
    figures = scored(tmp_path / "reference", tmp_path / "ours", "--out", tmp_path / "out")
    groups = {(each["fact"], each["group"]): each["dice_mean"] for each in figures["subgroups"]["tumour"]}
    assert (groups["site", "A"], groups["site", "B"]) == (1.0, pytest.approx(0.75))
    page = (tmp_path / "out" / "score.html").read_text(encoding="utf-8")
    words = ("Dice of tumour by subgroup", "have fewer than 10 patients", "Concordance")
    assert [each for each in words if each not in page] == []


def test_files(folders: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    figures = scored(*folders, "--out", out)
    assert json.loads((out / "score.json").read_text(encoding="utf-8")) == figures
    names = {path.name for path in out.iterdir()}
    assert names == {"score.json", "score.html", "figures", "evaluation-all.json", "cases-all.csv"}
    assert (out / "cases-all.csv").read_text(encoding="utf-8").count("\n") == 4


def _methods(folders: tuple[Path, Path], tmp_path: Path) -> tuple[object, ...]:
    for case in ("p1", "p2", "p3"):
        write(tmp_path / "theirs" / f"{case}.nii.gz", block(x=3))
    reference, ours = folders
    return ("--reference", reference, "--prediction", f"A={ours}", "--prediction", f"B={tmp_path / 'theirs'}")


def test_several_methods(folders: tuple[Path, Path], tmp_path: Path) -> None:
    """8 of 16 voxels are met by the other: Dice 0.5, a difference of 0.25 for each of three patients: p 2 / 2³."""
    out = tmp_path / "out"
    ran = glioseg("score", *_methods(folders, tmp_path), "--json", "--quiet", "--out", out)
    assert ran.code == 0, ran.err
    methods, comparison = ran.json["methods"], ran.json["comparison"]
    assert methods["B"]["regions"]["tumour"]["dice"]["case_mean"] == pytest.approx(0.5)
    results = {result["metric"]: result for result in comparison["results"]}
    (pair,) = results["dice"]["pairs"]
    assert (pair["mean_difference"], pair["p"]) == (pytest.approx(0.25), 0.25)
    assert results["hd"]["pairs"][0]["mean_difference"] == pytest.approx(-1.0)
    without = {"volume_reference_ml", "volume_prediction_ml", "n_lesions", "n_lesions_found", "f1"}
    assert set(results) == set(methods["A"]["regions"]["tumour"]) - without
    assert package.compare(out / "A", out / "B").to_json()["runs"] == ["A", "B"]
    page = (out / "score.html").read_text(encoding="utf-8")
    assert [words for words in ("Methods side by side", "HD95 (mm), tumour", "+0.250") if words not in page] == []


def test_people_read_several_methods(folders: tuple[Path, Path], tmp_path: Path) -> None:
    ran = glioseg("score", *_methods(folders, tmp_path), "--quiet")
    assert "3 cases of 3 patients, the same for all methods" in ran.out
    assert "A - B: mean difference +0.250" in ran.out


def test_several_raters(folders: tuple[Path, Path], tmp_path: Path) -> None:
    """Raters at x = 1, 2 and 3: the majority is at 2, where the method is, with Dice 1.

    The raters' pairs: 0.75, 0.75 and 0.5, mean 2/3; the method with each: 0.75, 1 and 0.75, mean 5/6.
    """
    reference, ours = folders
    raters: list[object] = ["--reference", f"A={reference}"]
    for name, x in (("B", 2), ("C", 3)):
        for case in ("p1", "p2", "p3"):
            write(tmp_path / name / f"{case}.nii.gz", block(x=x))
        raters += ["--reference", f"{name}={tmp_path / name}"]
    out = tmp_path / "out"
    ran = glioseg("score", *raters, "--prediction", ours, "--json", "--quiet", "--out", out)
    assert ran.code == 0, ran.err
    assert ran.json["regions"]["tumour"]["dice"]["case_mean"] == 1.0
    block_ = ran.json["raters"]
    assert (block_["names"], block_["consensus"]) == (["A", "B", "C"], "majority")
    dice = block_["agreement"]["tumour"]["dice"]
    assert dice["raters"]["case_mean"] == pytest.approx(2 / 3)
    assert dice["methods"]["ours"]["case_mean"] == pytest.approx(5 / 6)
    assert dice["methods"]["ours"]["minus_raters"] == pytest.approx(1 / 6)
    against = block_["methods"]["ours"]
    means = {name: figures["regions"]["tumour"]["dice"]["case_mean"] for name, figures in against.items()}
    assert means == pytest.approx({"A": 0.75, "B": 1.0, "C": 0.75, "majority": 1.0, "staple": 1.0})
    assert block_["among"]["A against C"]["regions"]["tumour"]["dice"]["case_mean"] == pytest.approx(0.5)
    assert "the raters" in (out / "score.html").read_text(encoding="utf-8")
    people = glioseg("score", *raters, "--prediction", ours, "--quiet", "--consensus", "staple")
    assert "Against the staple of A, B, C" in people.out
    assert "ours 0.833, minus raters +0.167" in people.out


def test_a_data_set_as_reference(phantom_data: Path, tmp_path: Path) -> None:
    """Its scheme, patients and regions are known; masks are found by the names of its cases."""
    for case in package.read(phantom_data).cases:
        assert case.labels is not None
        target = tmp_path / "masks" / f"{case.id}.nii.gz"
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(case.labels.paths[0].read_bytes())
    figures = scored(phantom_data, tmp_path / "masks")
    assert {region: each["dice"]["pooled"] for region, each in figures["regions"].items()} == {
        "WT": 1,
        "TC": 1,
        "ET": 1,
    }
    assert figures["inputs"]["scheme"].startswith("brats2023: ")
    assert package.score(package.read(phantom_data), tmp_path / "masks").to_json() == figures


def _labelled(folder: Path, mapping: Mapping[int, int]) -> None:
    """Two blocks, their values translated."""
    mask = block() + block(x=5, value=3, shape=(8, 6, 4)) * (block() == 0)
    moved = np.zeros_like(mask)
    for old, new in mapping.items():
        moved[mask == old] = new
    write(folder / "p1.nii.gz", moved)


@pytest.mark.parametrize("how", ["sidecar", "dataset.json", "option"])
def test_predictions_may_have_other_integers(tmp_path: Path, how: str) -> None:
    """1 and 3 in BraTS 2023 are 1 and 4 in BraTS 2021, 2 and 3 in nnU-Net's Dataset137."""
    _labelled(tmp_path / "reference", {1: 1, 3: 3})
    ours, options = tmp_path / "ours", ["--scheme", "brats2023"]
    if how == "sidecar":
        _labelled(ours, {1: 1, 3: 4})
        facts = {"mask": "p1.nii.gz", "labels": {"NCR": 1, "ED": 2, "ET": 4}, "regions": {"WT": ["NCR", "ED", "ET"]}}
        (ours / "p1.json").write_text(json.dumps(facts), encoding="utf-8")
    elif how == "dataset.json":
        _labelled(ours, {1: 2, 3: 3})
        table = {"labels": {"background": 0, "whole tumor": [1, 2, 3], "tumor core": [2, 3], "enhancing tumor": 3}}
        (ours / "dataset.json").write_text(json.dumps(table), encoding="utf-8")
    else:
        _labelled(ours, {1: 1, 3: 4})
        options += ["--prediction-scheme", "brats2021"]
    figures = scored(tmp_path / "reference", ours, *options)
    assert {region: each["dice"]["case_mean"] for region, each in figures["regions"].items()} == {
        "WT": 1,
        "TC": 1,
        "ET": 1,
    }


# -- what cannot be scored ---------------------------------------------------------------------------------------------


def test_another_grid(folders: tuple[Path, Path]) -> None:
    """Half the voxels along Z: every second slice of 10 mm; brought back by the nearest voxel, and said so."""
    reference, ours = folders
    write(ours / "p2.nii.gz", block(x=2)[:, :, ::2], spacing=(1.0, 2.0, 10.0))
    refused(
        glioseg("score", "--reference", reference, "--prediction", ours, "--quiet"),
        *(1, "p2.nii.gz", "does not lie on the grid of its reference", "--resample"),
    )
    figures = scored(reference, ours, "--resample")
    assert figures["inputs"]["resampled"] == ["p2"]
    assert "resampled ours: p2" in glioseg("score", "--reference", reference, "--prediction", ours, "--resample").out


def test_what_a_turned_mask_needs(folders: tuple[Path, Path]) -> None:
    reference, ours = folders
    tilted = np.diag([*_SPACING, 1.0])
    tilted[0, 1], tilted[1, 0] = -0.5, 0.5
    nibabel.save(nibabel.Nifti1Image(block(), tilted), ours / "p1.nii.gz")
    ran = glioseg("score", "--reference", reference, "--prediction", ours, "--resample", "--quiet")
    refused(ran, 1, "p1.nii.gz", "cannot be brought to the grid", "the program that made it")


def test_masks_without_a_reference(folders: tuple[Path, Path]) -> None:
    reference, ours = folders
    write(ours / "p7.nii.gz", block())
    ran = glioseg("score", "--reference", reference, "--prediction", ours, "--quiet")
    refused(ran, 1, "ours", "masks of cases that have no reference", "found p7", "p1, p2, p3", "named after its case")


@pytest.mark.parametrize("which", [0, 1])
def test_empty_folders(folders: tuple[Path, Path], tmp_path: Path, which: int) -> None:
    (tmp_path / "nothing").mkdir()
    pair = list(folders)
    pair[which] = tmp_path / "nothing"
    ran = glioseg("score", "--reference", pair[0], "--prediction", pair[1], "--quiet")
    refused(ran, 1, "nothing", "there are no masks in this folder", "found no files", ".nii.gz")


def test_a_folder_that_is_not_there(folders: tuple[Path, Path], tmp_path: Path) -> None:
    refused(
        glioseg("score", "--reference", tmp_path / "typo", "--prediction", folders[1], "--quiet"),
        *(1, "typo", "no such file or folder"),
    )


def test_three_regions_against_two(tmp_path: Path) -> None:
    _labelled(tmp_path / "reference", {1: 1, 3: 3})
    _labelled(tmp_path / "ours", {1: 1, 3: 2})
    table = {"labels": {"background": 0, "WT": [1, 2], "TC": 2}}
    (tmp_path / "ours" / "dataset.json").write_text(json.dumps(table), encoding="utf-8")
    pair = ("--reference", tmp_path / "reference", "--prediction", tmp_path / "ours", "--quiet")
    ran = glioseg("score", *pair, "--scheme", "brats2023")
    refused(ran, 1, "has no region ET, which the reference has", "ours", "--prediction-scheme", "--regions")
    both = scored(*(tmp_path / "reference", tmp_path / "ours", "--scheme", "brats2023", "--regions", "WT=1+2+3,TC=3"))
    assert {region: each["dice"]["case_mean"] for region, each in both["regions"].items()} == {"WT": 1, "TC": 1}


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (block().astype(np.float32) * np.float32(0.5), ("not whole numbers", "found 0.5", "threshold")),
        (block(value=9), ("outside the scheme brats2023", "found 9", "--scheme")),
    ],
)
def test_values_that_mean_nothing(folders: tuple[Path, Path], mask: Voxels, words: tuple[str, ...]) -> None:
    reference, ours = folders
    write(ours / "p2.nii.gz", mask)
    ran = glioseg("score", "--reference", reference, "--prediction", ours, "--scheme", "brats2023", "--quiet")
    refused(ran, 1, "p2.nii.gz", *words)


def test_integers_without_a_scheme(folders: tuple[Path, Path]) -> None:
    reference, ours = folders
    write(ours / "p2.nii.gz", block(value=2))
    ran = glioseg("score", "--reference", reference, "--prediction", ours, "--quiet")
    refused(ran, 1, "p2.nii.gz", "the meaning of the integers in a mask is not known", "found 2", "--scheme brats2023")


def test_all_faults_are_said_at_once(folders: tuple[Path, Path]) -> None:
    reference, ours = folders
    write(ours / "p1.nii.gz", block(value=2))
    (ours / "p3.nii.gz").write_bytes(b"no scan")
    ran = glioseg("score", "--reference", reference, "--prediction", ours, "--quiet")
    refused(ran, 1, "2 masks cannot be scored", "p1.nii.gz", "p3.nii.gz", "No figure is given")
    assert "--scheme brats2023" in ran.err, "in the words of the command line"


def test_two_masks_of_one_case(folders: tuple[Path, Path]) -> None:
    reference, ours = folders
    write(ours / "p1.mha", block())
    ran = glioseg("score", "--reference", reference, "--prediction", ours, "--quiet")
    refused(ran, 1, "a case has two masks in this folder", "p1.mha, p1.nii.gz", "another folder")


def test_raters_of_other_cases(folders: tuple[Path, Path], tmp_path: Path) -> None:
    reference, ours = folders
    write(tmp_path / "B" / "p1.nii.gz", block())
    pair = ("--reference", f"A={reference}", "--reference", f"B={tmp_path / 'B'}", "--prediction", ours, "--quiet")
    refused(glioseg("score", *pair), 1, "rater B has not drawn every case", "no mask of p2, p3")
    write(tmp_path / "B" / "p7.nii.gz", block())
    refused(glioseg("score", *pair), 1, "no reference", "p7")


def test_options_that_mean_nothing(folders: tuple[Path, Path]) -> None:
    reference, ours = folders
    pair = ("--reference", reference, "--prediction", ours, "--quiet")
    refused(glioseg("score", *pair, "--consensus", "vote"), 2, "no such consensus", "found vote", "majority, staple")
    refused(glioseg("score", *pair, "--convention", "brats"), 2, "no such convention", "found brats", "brats2023, ")
    refused(glioseg("score", *pair, "--prediction", ours), 2, "two folders of --prediction have the name ours", "A=")
    refused(glioseg("score", *pair, "--prediction-scheme", "brats1999"), 2, "no label scheme brats1999")
    refused(glioseg("score", "--reference", f"staple={reference}", *pair), 2, "staple", "name of a consensus")
    alike = ("--prediction", f"A 1={ours}", "--prediction", f"a-1={ours}", "--out", ours.parent / "figures")
    refused(
        glioseg("score", *pair, *alike), 2, "written into one folder; found A 1 and a-1. Give one of them another name"
    )
    assert not (ours.parent / "figures").exists()
    with pytest.raises(package.GliosegError, match="found a folder and a single mask"):
        package.score(reference, ours / "p1.nii.gz")
    with pytest.raises(package.GliosegError, match="the page is of folders"):
        package.score(ours / "p1.nii.gz", ours / "p1.nii.gz", out="page")

"""Blocks of known shape in scans that no two axes of which are alike: trained, evaluated and predicted in each plane.

The network learns which grey is which tissue, so that its label map must be the reference, voxel by voxel: a turn or a
mirror image on the way would be seen at once.
"""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from PIL import Image as Pillow

from glioseg.config import build_recipe, write_recipe
from tests.cli.command import Ran, glioseg

PLANES = ("axial", "coronal", "sagittal")
SHAPE = (22, 18, 14)
AFFINE = np.array([[0, 0, -1.5, 9], [-1.0, 0, 0, 7], [0, 1.2, 0, -3], [0, 0, 0, 1.0]])
"""X grows to posterior, Y to superior, Z to left."""
_RECIPE: dict[str, Any] = {
    "name": "blocks",
    "split": {"train": 0.5, "val": 0.25, "test": 0.25, "burden_levels": 1},
    "prepare": {"normalise": "none", "brain_only": False, "regions": ["csf", "gm", "wm"]},
    "model": {"width": 8, "depth": 1, "normalisation": "batch"},
    "loss": {"kind": "ce+dice", "dice": {"over": "batch"}},
    "train": {"epochs": 12, "batch_size": 8, "lr": 0.02, "schedule": "one-cycle", "precision": "fp32"},
    "predict": {"activation": "softmax"},
    "evaluate": {"n_resamples": 50},
}


def _labels(seed: int) -> np.ndarray[Any, Any]:
    """Three blocks, all sides different, in places that differ from patient to patient."""
    rng, labels = np.random.default_rng(seed), np.zeros(SHAPE, dtype=np.uint8)
    for value, x in ((1, 2), (2, 9), (3, 15)):
        y, z = rng.integers(1, 7), rng.integers(1, 6)
        labels[x : x + 3 + value, y : y + 10 - 2 * value, z : z + 4 + value] = value
    return labels


def write_blocks(folder: Path, n: int) -> None:
    """Patients in the layout of IBSR."""
    for number in range(1, n + 1):
        name, labels = f"IBSR_{number:02d}", _labels(number)
        noise = np.random.default_rng(100 + number).normal(0, 0.05, SHAPE)
        scan = (labels + 1 + noise).astype(np.float32)
        (folder / name).mkdir(parents=True)
        nib.save(nib.Nifti1Image(scan, AFFINE), folder / name / f"{name}.nii.gz")
        nib.save(nib.Nifti1Image(labels, AFFINE), folder / name / f"{name}_seg.nii.gz")


@dataclass(frozen=True)
class Blocks:
    """The data, and a run in each plane."""

    data: Path
    runs: dict[str, Path]
    said: dict[str, Any]
    patient: str


@pytest.fixture(scope="module")
def blocks(tmp_path_factory: pytest.TempPathFactory) -> Blocks:
    folder = tmp_path_factory.mktemp("blocks")
    write_blocks(folder / "data", 4)
    runs, said = {}, {}
    for plane in PLANES:
        recipe = folder / f"{plane}.toml"
        recipe.write_text(write_recipe(build_recipe(_RECIPE, [f"prepare.plane={plane}"])), encoding="utf-8")
        runs[plane] = folder / plane
        places = ["--data", folder / "data", "--out", runs[plane], "--cache", folder / "cache"]
        trained = glioseg("train", recipe, *places, "--device", "cpu", "--no-evaluate", "--quiet")
        assert trained.code == 0, trained.err
        own = ["--part", "test", "--cache", folder / "cache", "--device", "cpu", "--json", "--quiet"]
        ran = glioseg("evaluate", runs[plane], *own)
        assert ran.code == 0, ran.err
        said[plane] = ran.json
    (patient,) = json.loads((runs["axial"] / "split.json").read_text(encoding="utf-8"))["test"]
    return Blocks(folder / "data", runs, said, patient)


def _array(path: Path) -> np.ndarray[Any, Any]:
    return np.asarray(nib.load(path).dataobj)


def _predict(blocks: Blocks, out: Path, *more: object, first: str = "axial") -> Ran:
    scan = blocks.data / blocks.patient
    return glioseg("predict", blocks.runs[first], scan, "--out", out, *more, "--device", "cpu", "--quiet")


@pytest.mark.parametrize("plane", PLANES)
def test_a_label_map_lands_where_its_tissue_is(blocks: Blocks, plane: str, tmp_path: Path) -> None:
    for region in ("csf", "gm", "wm"):
        assert blocks.said[plane]["regions"][region]["dice"]["case_mean"] > 0.97
    assert _predict(blocks, tmp_path, first=plane).code == 0
    name = blocks.patient
    mask, scan = nib.load(tmp_path / f"{name}.nii.gz"), nib.load(blocks.data / name / f"{name}.nii.gz")
    np.testing.assert_array_equal(mask.affine, scan.affine)
    reference = _array(blocks.data / name / f"{name}_seg.nii.gz")
    assert mask.shape == reference.shape
    assert (np.asarray(mask.dataobj) == reference).mean() > 0.99
    facts = json.loads((tmp_path / f"{name}.json").read_text(encoding="utf-8"))
    # a voxel has 1 · 1.2 · 1.5 mm³ = 0.0018 ml; gm is 5 by 6 by 6 voxels
    assert facts["volumes"]["gm"] == pytest.approx(5 * 6 * 6 * 0.0018, rel=0.1)


def test_slices_lie_in_the_plane_that_was_asked_for(blocks: Blocks) -> None:
    """Rows and columns of the prepared slices: X is posterior (22), Y superior (18), Z left (14)."""
    expected = {"axial": (18, 22, 14), "coronal": (22, 18, 14), "sagittal": (14, 18, 22)}  # slices, rows, columns
    found = {}
    for record in (blocks.runs["axial"].parent / "cache").rglob("*.json"):
        body = json.loads(record.read_text(encoding="utf-8")).get("record", {})
        if "options" in body:
            folder = record.parent
            images = next(path for path in folder.rglob("*.npy") if "image" in path.name)
            shape = np.load(images, mmap_mode="r").shape
            found[body["options"]["plane"]] = (shape[0], *shape[2:])
    assert found == expected


# -- ensembles ---------------------------------------------------------------------------------------------------------


def _with(blocks: Blocks, *planes: str) -> list[object]:
    return [part for plane in planes for part in ("--with", blocks.runs[plane])]


def test_three_planes_together(blocks: Blocks, tmp_path: Path) -> None:
    ran = _predict(blocks, tmp_path, *_with(blocks, "coronal", "sagittal"))
    assert ran.code == 0, ran.err
    name = blocks.patient
    assert {path.name for path in tmp_path.iterdir()} == {
        *(f"{name}{ending}" for ending in (".nii.gz", ".json", ".png", ".html", ".pdf", "_members.png")),
        "summary.csv",
        "predictions.html",
    }
    assert (_array(tmp_path / f"{name}.nii.gz") == _array(blocks.data / name / f"{name}_seg.nii.gz")).mean() > 0.99
    facts = json.loads((tmp_path / f"{name}.json").read_text(encoding="utf-8"))
    ids = [json.loads((blocks.runs[plane] / "bundle/bundle.json").read_text())["model_id"] for plane in PLANES]
    assert facts["model_id"] == "+".join(ids)
    block = facts["ensemble"]
    assert [member["model_id"] for member in block["members"]] == ids
    assert [member["plane"] for member in block["members"]] == list(PLANES)
    assert block["activation"] == "softmax"
    assert "mean of the members' probabilities" in block["rule"]
    for member in block["members"]:
        assert member["dice_with_ensemble"].keys() == member["volumes"].keys() == {"csf", "gm", "wm"}
        assert min(member["dice_with_ensemble"].values()) > 0.95
    with Pillow.open(tmp_path / f"{name}_members.png") as picture:
        picture.load()
        assert min(picture.size) > 300
    with (tmp_path / "summary.csv").open(encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    assert float(row["wm"]) == facts["volumes"]["wm"]


@pytest.mark.slow
def test_planes_are_explained_together(blocks: Blocks, tmp_path: Path) -> None:
    """What one network says lies on a slice of its own plane, what three say on three that cross."""
    thickness = {}
    for others in ((), ("coronal", "sagittal")):
        assert _predict(blocks, tmp_path, *_with(blocks, *others), "--explain").code == 0
        facts = json.loads((tmp_path / f"{blocks.patient}.json").read_text(encoding="utf-8"))["explanation"]
        assert facts["figures"].keys() == facts["slices"].keys() == {"csf", "gm", "wm"}
        assert ("mean of 3 networks" in facts["of"]) == bool(others)
        gradients = _array(tmp_path / facts["maps"]["gradients"])
        thickness[len(others)] = min(len(np.unique(axis)) for axis in np.nonzero(gradients[..., 2]))
    assert thickness[0] <= 2 < thickness[2]


def test_the_figures_of_members_are_those_of_their_own_predictions(blocks: Blocks, tmp_path: Path) -> None:
    assert _predict(blocks, tmp_path / "all", *_with(blocks, "coronal", "sagittal")).code == 0
    name = blocks.patient
    facts = json.loads((tmp_path / "all" / f"{name}.json").read_text(encoding="utf-8"))["ensemble"]
    together = _array(tmp_path / "all" / f"{name}.nii.gz")
    different = np.zeros(SHAPE, dtype=bool)
    for plane, member in zip(PLANES, facts["members"], strict=True):
        shutil.copytree(tmp_path / "all", tmp_path / plane)
        assert _predict(blocks, tmp_path / plane, first=plane).code == 0
        assert not (tmp_path / plane / f"{name}_members.png").exists()  # it would be another prediction's
        alone = _array(tmp_path / plane / f"{name}.nii.gz")
        different |= alone != together
        assert member["volumes"]["wm"] == pytest.approx((alone == 3).sum() * 0.0018, abs=1e-4)
        dice = 2 * ((alone == 3) & (together == 3)).sum() / ((alone == 3).sum() + (together == 3).sum())
        assert member["dice_with_ensemble"]["wm"] == pytest.approx(dice)
    assert facts["disputed_voxels"] == different.sum()


def test_an_ensemble_is_scored_on_the_part_that_no_member_has_seen(blocks: Blocks, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(blocks.runs["axial"], run)
    others = _with(blocks, "coronal", "sagittal")
    ran = glioseg("evaluate", run, *others, "--json", "--quiet", "--device", "cpu")
    assert ran.code == 0, ran.err
    assert ran.json == json.loads((run / "evaluation-test-ensemble.json").read_text(encoding="utf-8"))
    assert ran.json["n_cases"] == 1
    assert ran.json["regions"]["wm"]["dice"]["case_mean"] > 0.97
    members = ran.json["ensemble"]["members"]
    for plane, member in zip(PLANES, members, strict=True):  # as each training found by itself
        own = blocks.said[plane]["regions"]
        assert member["dice"] == {region: pytest.approx(own[region]["dice"]["case_mean"]) for region in own}
    text = glioseg("evaluate", run, *others, "--out", tmp_path / "out", "--quiet", "--device", "cpu")
    assert text.out.startswith("test: 1 case ")
    assert text.out.count("  alone   blocks, ") == 3
    assert (tmp_path / "out" / "cases-test-ensemble.csv").exists()


def test_members_are_not_scored_on_whom_they_were_trained_on(blocks: Blocks, tmp_path: Path) -> None:
    ran = glioseg("evaluate", blocks.runs["axial"], *_with(blocks, "coronal"), "--part", "train", "--quiet")
    assert ran.code == 1
    assert "was trained on patients that would be scored; found IBSR_" in ran.err
    assert "hold out a test part" in ran.err
    same = glioseg("evaluate", blocks.runs["axial"], *_with(blocks, "coronal"), "--data", blocks.data, "--quiet")
    assert (same.code, "was trained on patients that would be scored" in same.err) == (1, True)
    shutil.copytree(blocks.data, tmp_path / "elsewhere")
    bundle = tmp_path / "bundle"
    shutil.copytree(blocks.runs["coronal"] / "bundle", bundle)
    places = ["--data", tmp_path / "elsewhere", "--out", tmp_path / "out", "--device", "cpu"]
    said = glioseg("evaluate", blocks.runs["axial"], "--with", bundle, *places)
    assert said.code == 0, said.err
    assert "was trained on patients of these names, in other data: IBSR_" in said.err
    assert f"Figures may flatter {bundle}: on whom it was trained is not known" in said.err
    assert said.out.splitlines()[-1] == f"Page: {tmp_path / 'out' / 'report-on-elsewhere-ensemble.html'}"


def test_ensembles_that_make_no_sense(blocks: Blocks, tmp_path: Path) -> None:
    twice = _predict(blocks, tmp_path / "out", *_with(blocks, "axial"))
    assert (twice.code, "hold the same weights" in twice.err, "Leave one of them out" in twice.err) == (2, True, True)
    other = tmp_path / "other"
    shutil.copytree(blocks.runs["coronal"] / "bundle", other)
    described = json.loads((other / "bundle.json").read_text(encoding="utf-8"))
    described["scheme"]["labels"]["CSF"] = 9
    described |= {"format": 1, "model_id": described["weights"][:12]}  # whose id is that of the weights
    (other / "bundle.json").write_text(json.dumps(described), encoding="utf-8")
    ran = _predict(blocks, tmp_path / "out", "--with", other)
    assert (ran.code, "the labels of network 2 mean something else" in ran.err) == (2, True)
    parted = glioseg("evaluate", blocks.runs["axial"], "--with", other, "--data", blocks.data, "--part", "test")
    assert (parted.code, "other data has no parts" in parted.err) == (2, True)
    bundle = blocks.runs["axial"] / "bundle"
    shutil.copytree(bundle, tmp_path / "alone")
    without = glioseg("evaluate", tmp_path / "alone", "--with", blocks.runs["coronal"])
    assert (without.code, "a bundle knows no data of its own" in without.err) == (2, True)
    sliced = tmp_path / "sliced"
    shutil.copytree(blocks.runs["axial"], sliced)
    text = (sliced / "recipe.toml").read_text(encoding="utf-8")
    (sliced / "recipe.toml").write_text(text.replace('protocol = "patient"', 'protocol = "slice"'), encoding="utf-8")
    by_slice = glioseg("evaluate", sliced, *_with(blocks, "coronal"))
    assert (by_slice.code, "split by slice" in by_slice.err, "--data" in by_slice.err) == (2, True, True)
    assert not (tmp_path / "out").exists()


def test_softmax_refuses_regions_that_overlap_before_anything_is_prepared(blocks: Blocks, tmp_path: Path) -> None:
    recipe = tmp_path / "overlap.toml"
    changes = ['prepare.regions=["WT", "tumour"]']
    recipe.write_text(write_recipe(build_recipe(_RECIPE, changes)), encoding="utf-8")
    places = ["--data", blocks.data, "--out", tmp_path / "run", "--scheme", "brats2023"]
    ran = glioseg("train", recipe, *places, "--quiet", "--device", "cpu")
    assert ran.code == 1
    assert "the regions WT and tumour overlap" in ran.err
    assert "predict.activation=sigmoid" in ran.err
    assert not (tmp_path / "cache").exists()

"""``glioseg calibrate``: a confidence is fitted, kept in the bundle, checked, and said by ``predict``."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from glioseg.inference.bundle import read_info
from glioseg.inference.confidence import record_of
from tests.cli.command import glioseg
from tests.runs.conftest import Task, TinyRun
from tests.store import Store


@pytest.fixture(scope="module")
def strangers(store: Store) -> Path:
    """Ten phantom patients that the tiny run has never seen."""

    def write(folder: Path) -> None:
        from glioseg.cohorts.phantom import PhantomOptions
        from glioseg.cohorts.write import write_phantom

        options = PhantomOptions(n_patients=10, spacing_mm=6.0, seed=77)
        write_phantom(options, folder / "strangers", "brats2023", n_workers=1)

    return store.get("strangers", write) / "strangers"


@pytest.fixture(scope="module")
def calibrated(tiny: TinyRun, strangers: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the tiny run's bundle with a fitted confidence."""
    bundle = tmp_path_factory.mktemp("calibrated") / "toy"
    shutil.copytree(tiny.run / "bundle", bundle)
    places = ["--data", strangers, "--cache", bundle.parent / "cache", "--device", "cpu"]
    ran = glioseg("calibrate", bundle, *places, "--risk", "0.3", "--level", "0.8", "--json", "--quiet")
    assert ran.code == 0, ran.err
    assert json.loads((bundle / "calibration.json").read_text(encoding="utf-8")) == ran.json
    return bundle


def test_the_figures_say_on_whom_and_how_well(calibrated: Path) -> None:
    figures = json.loads((calibrated / "calibration.json").read_text(encoding="utf-8"))
    assert figures["n_patients"] == 10
    (check,) = figures["checks"]
    assert "left out" in check["checked_on"]
    assert len(check["cases"]) == 10
    assert -1 <= check["rank_correlation"] <= 1
    low, high = check["rank_correlation_ci95"]
    assert low <= high
    assert check["risk_coverage_area_best"] <= check["risk_coverage_area"]
    for region in figures["regions"].values():
        assert region["risk_threshold"] is not None
        assert region["missed_over_splits"]["n_splits"] == 200
        assert region["missed_over_splits"]["mean"] <= 0.3 + 0.05
    page = (calibrated / "calibration.html").read_text(encoding="utf-8")
    assert "Risk over coverage" in page


def test_no_mask_and_no_id_changes(tiny: TinyRun, calibrated: Path) -> None:
    before, after = read_info(tiny.run / "bundle"), read_info(calibrated)
    assert before.model_id == after.model_id
    record = record_of(after)
    assert record is not None
    assert record.fitted_on.startswith("strangers")


def test_predict_says_the_fitted_confidence(calibrated: Path, strangers: Path, tmp_path: Path) -> None:
    case = next(path for path in sorted(strangers.iterdir()) if path.is_dir())
    ran = glioseg("predict", calibrated, case, "--uncertainty", "--out", tmp_path, "--device", "cpu", "--quiet")
    assert ran.code == 0, ran.err
    facts = json.loads((tmp_path / f"{case.name}.json").read_text(encoding="utf-8"))
    said = facts["uncertainty"]
    assert said["fitted"] is True
    assert "expected mean Dice" in said["confidence_is"]
    assert any(warning.startswith("Low confidence") for warning in facts["warnings"]) is said["low"]
    cautious = np.asarray(nib.load(tmp_path / said["maps"]["cautious"]).dataobj)
    mask = np.asarray(nib.load(tmp_path / facts["mask"]).dataobj)
    assert cautious.shape == (*mask.shape, 2)
    for row, (name, region) in enumerate(said["regions"].items()):
        low, high = region["volume_interval"]
        assert low <= facts["volumes"][name] <= high
        assert region["cautious_volume"] == pytest.approx(float(cautious[..., row].sum()) * 0.216)


def test_a_scan_that_was_changed_is_said_to_be_unlike(calibrated: Path, strangers: Path, tmp_path: Path) -> None:
    """The FLAIR image with a gamma of 12: all of the brain but its brightest spots is dark."""
    case = tmp_path / "changed"
    shutil.copytree(next(path for path in sorted(strangers.iterdir()) if path.is_dir()), case)
    (path,) = case.glob("*-t2f.nii.gz")
    image = nib.load(path)
    values = np.asarray(image.dataobj, dtype=np.float32)
    changed = (1000 * (values / values.max()) ** 12).astype(np.float32)
    nib.save(nib.Nifti1Image(changed, image.affine), path)
    out = tmp_path / "out"
    assert glioseg("predict", calibrated, case, "--uncertainty", "--out", out, "--device", "cpu", "--quiet").code == 0
    (sidecar,) = out.glob("*.json")
    warnings = " ".join(json.loads(sidecar.read_text(encoding="utf-8"))["warnings"])
    assert "T2-FLAIR is unlike the training's" in warnings


def test_what_cannot_be_calibrated_is_said(tiny: TinyRun, tiny_runs: Callable[[Task], TinyRun], tmp_path: Path) -> None:
    bundle = tmp_path / "toy"
    shutil.copytree(tiny.run / "bundle", bundle)
    refusals = {
        ("model:phantom",): "glioseg export model:phantom",
        (bundle,): "--data DATA",
        (tiny.run, "--data", tiny.data): "was trained on patients",
        (tiny.run, "--risk", "1.5"): "--risk is a share",
        (tiny_runs("classify").run,): "the probability of its class",
        (tiny.run, "--layout", "lgg"): "--data DATA",
    }
    for arguments, words in refusals.items():
        ran = glioseg("calibrate", *arguments, "--device", "cpu", "--quiet")
        assert ran.code in (1, 2), arguments
        assert words in ran.err, (arguments, ran.err)
    ran = glioseg("calibrate", tiny.run, "--device", "cpu", "--quiet", "--cache", tiny.cache)
    assert ran.code == 1
    assert "too few cases" in ran.err
    assert read_info(tiny.run).confidence is None

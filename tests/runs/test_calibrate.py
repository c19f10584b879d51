"""``glioseg calibrate``: a confidence is fitted, kept in the bundle, checked, and said by ``predict``."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from glioseg.cohorts.splits.split import Split
from glioseg.cohorts.splits.split_file import save_split
from glioseg.errors import OptionError
from glioseg.inference.bundle import read_info
from glioseg.inference.confidence import record_of
from glioseg.runs.calibrate import require_same
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
    assert "T2-FLAIR is unlike that of the training" in warnings


def _fold(tiny: TinyRun, strangers: Path, held: slice, folder: Path) -> Path:
    """The tiny run, as if it had held out some of the ten strangers."""
    patients = sorted(f"{path.name.rsplit('-', 1)[0]}" for path in strangers.iterdir() if path.is_dir())
    own = patients[held]
    shutil.copytree(tiny.run, folder)
    save_split(Split(tuple(name for name in patients if name not in own), tuple(own), ()), folder / "split.json")
    data = json.loads((folder / "data.json").read_text(encoding="utf-8"))
    (folder / "data.json").write_text(json.dumps(data | {"path": str(strangers)}), encoding="utf-8")
    return folder


def test_a_network_of_all_patients_gets_the_confidence_of_its_folds(
    tiny: TinyRun, calibrated: Path, strangers: Path, tmp_path: Path
) -> None:
    """Two folds of five patients each, whose networks are the network itself: what all ten together gave before.

    A second look at the same ten finds the promise kept in the mean: the intervals hold 80 % of them at least.
    """
    bundle = tmp_path / "toy"
    shutil.copytree(tiny.run / "bundle", bundle)
    (bundle / "MODEL_CARD.md").unlink()
    folds = [_fold(tiny, strangers, held, tmp_path / f"f{held.start}") for held in (slice(0, 5), slice(5, 10))]
    places = ["--cache", calibrated.parent / "cache", "--device", "cpu", "--out", tmp_path / "out", "--quiet", "--json"]
    named = [word for fold in folds for word in ("--folds", fold)]
    ran = glioseg("calibrate", bundle, *named, "--check", strangers, *places, "--risk", "0.3", "--level", "0.8")
    assert ran.code == 0, ran.err
    before, after = (record_of(read_info(path)) for path in (calibrated, bundle))
    assert before is not None
    assert after is not None
    assert after.fitted_on == "strangers, held out by 2 folds"
    assert after.dice.weights == pytest.approx(before.dice.weights, abs=1e-6)
    assert after.regions["WT"].risk_threshold == before.regions["WT"].risk_threshold
    assert [check.on for check in after.checks] == [
        "strangers",
        "strangers, held out by 2 folds, patients left out in turn",
    ]
    figures = ran.json["regions"]["WT"]
    assert figures["covered_of_checked"] >= 0.8
    assert figures["missed_of_checked"] <= 0.3
    assert not (bundle / "calibration.json").exists()
    assert (tmp_path / "out" / "calibration.html").exists()
    card = (bundle / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "## How far its masks can be trusted" in card
    assert "strangers, held out by 2 folds" in card


def test_folds_of_other_patients_and_networks_are_asked_for(tiny: TinyRun, strangers: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "toy"
    shutil.copytree(tiny.run / "bundle", bundle)
    fold = _fold(tiny, strangers, slice(0, 5), tmp_path / "fold")
    refusals = {
        ("--folds", fold, "--folds", fold): "a case was held out by more than one fold",
        ("--folds", fold, "--data", strangers): "Leave out --data or --folds",
        ("--folds", tmp_path): "glioseg train",
        (): "--folds RUN",
    }
    for arguments, words in refusals.items():
        ran = glioseg("calibrate", bundle, *arguments, "--device", "cpu", "--quiet", "--cache", tiny.cache)
        assert ran.code in (1, 2), arguments
        assert words in ran.err, (arguments, ran.err)
    own = read_info(bundle)
    predict = own.predict.model_copy(update={"threshold": 0.4})
    with pytest.raises(OptionError, match="the fold is of another network"):
        require_same(own.model_copy(update={"predict": predict}), own, fold)


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

"""Scans as nnU-Net takes them, masks as nnU-Net names them."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from glioseg.io import load_image
from glioseg.io.nifti import write_nifti
from glioseg.runs.read import Data, read
from tests.cli.command import glioseg
from tests.runs.conftest import TinyRun


@pytest.fixture(scope="module")
def images_ts(tiny: TinyRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``imagesTs`` alone, without dataset.json: CASE_0000 is FLAIR, CASE_0001 contrast-enhanced T1."""
    folder = tmp_path_factory.mktemp("nnunet") / "imagesTs"
    for number, case in enumerate(read(Data(tiny.data)).cases[:2], start=1):
        image = load_image(case, ("t2f", "t1c"))
        for channel, array in enumerate(image.array):
            write_nifti(folder / f"BRATS_{number:03d}_{channel:04d}.nii.gz", array, image.grid)
    return folder


def test_masks_are_named_as_nnunet_names_them(images_ts: Path, tiny: TinyRun, tmp_path: Path) -> None:
    ran = glioseg("predict", tiny.run, images_ts, "--modalities", "flair,t1ce", "--out", tmp_path / "out", "--quiet")
    assert ran.code == 0, ran.err
    assert {path.name for path in (tmp_path / "out").glob("*.nii.gz")} == {"BRATS_001.nii.gz", "BRATS_002.nii.gz"}
    case = read(Data(tiny.data)).cases[0]
    ran = glioseg("predict", tiny.run, Path(case.images["t2f"].paths[0]).parent, "--out", tmp_path / "own", "--quiet")
    assert ran.code == 0, ran.err
    own = np.asarray(nib.load(tmp_path / "own" / f"{case.id}.nii.gz").dataobj)
    assert np.array_equal(own, np.asarray(nib.load(tmp_path / "out" / "BRATS_001.nii.gz").dataobj))


def test_numbers_are_no_modalities(images_ts: Path, tiny: TinyRun, tmp_path: Path) -> None:
    ran = glioseg("predict", tiny.run, images_ts, "--out", tmp_path / "out", "--quiet")
    assert ran.code == 1
    said = " ".join(ran.err.split())
    assert "found 0000, 0001; expected t2f, t1c. These are numbers of channels, as nnU-Net names files" in said
    assert "such as --modalities t2f,t1c" in said

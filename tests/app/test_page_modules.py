"""The modules of the page that need no browser, in Node: drawing, files, tables."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from importlib import resources
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from glioseg.report.style import MODALITY_TITLES

HERE = Path(__file__).parent / "page"
PAGE = Path(str(resources.files("glioseg") / "app" / "page"))
NODE = shutil.which("node")

pytestmark = pytest.mark.skipif(NODE is None, reason="Node is not installed: the modules of the page are not tested")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page's modules and their tests in one folder that Node takes for modules."""
    folder = tmp_path_factory.mktemp("page")
    for file in (*PAGE.glob("*.js"), *HERE.glob("*.mjs")):
        shutil.copy(file, folder)
    (folder / "package.json").write_text('{"type": "module"}')
    return folder


def run_node(folder: Path, *arguments: str) -> str:
    assert NODE is not None
    done = subprocess.run([NODE, *arguments], cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("name", sorted(path.name for path in HERE.glob("*.test.mjs")))
def test_modules(folder: Path, name: str) -> None:
    assert "# fail 0" in run_node(folder, "--test", "--test-reporter=tap", name)


def test_modalities_are_called_as_in_reports() -> None:
    """The page has its own table, in each language: the English one says what reports say."""
    told = re.findall(r'"modality\.(\w+)": \{ en: "([^"]+)"', (PAGE / "texts.js").read_text(encoding="utf-8"))
    assert dict(told) == dict(MODALITY_TITLES)


def through(folder: Path, **order: Any) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(run_node(folder, "nifti.mjs", json.dumps(order)))
    return answer


def perm_ras(affine: np.ndarray) -> list[int]:
    """NiiVue's ``permRAS`` of an affine, by way of nibabel's orientation."""
    perm = [0, 0, 0]
    for native, (world, direction) in enumerate(nib.orientations.io_orientation(affine)):
        perm[int(world)] = int(direction) * (native + 1)
    return perm


@pytest.mark.parametrize("orientation", ["RAS", "LPS", "PIR", "SLA"])
def test_volumes_are_read_and_written_in_any_orientation(folder: Path, tmp_path: Path, orientation: str) -> None:
    codes = nib.orientations.axcodes2ornt(orientation)
    values = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    upright = nib.Nifti1Image(values, np.diag([2.0, 3.0, 4.0, 1.0]))
    turned = upright.as_reoriented(nib.orientations.ornt_transform(nib.orientations.axcodes2ornt("RAS"), codes))
    nib.save(turned, tmp_path / "scan.nii.gz")
    voxel = [0, 1, 1]
    answer = through(
        folder,
        file=str(tmp_path / "scan.nii.gz"),
        permRas=perm_ras(turned.affine),
        out=str(tmp_path / "labels.nii.gz"),
        voxel=voxel,
    )
    assert answer["dims"] == [2, 3, 4]
    assert answer["spacing"] == [2, 3, 4]
    assert answer["ras"] == values.ravel(order="F").tolist()
    world = turned.affine @ [*voxel, 1]
    assert answer["voxel"] == np.rint(np.linalg.inv(upright.affine) @ world)[:3].tolist()
    labels = nib.load(tmp_path / "labels.nii.gz")
    assert labels.get_data_dtype() == np.uint8
    np.testing.assert_array_equal(labels.affine, turned.affine)
    np.testing.assert_array_equal(np.asarray(labels.dataobj), np.asarray(turned.dataobj) % 4)


@pytest.mark.parametrize("kind", ["<i2", ">i2"])
def test_scaled_and_either_endian(folder: Path, tmp_path: Path, kind: str) -> None:
    header = nib.Nifti1Header(endianness=kind[0])
    header.set_data_dtype(np.dtype(kind))
    image = nib.Nifti1Image(np.arange(8, dtype=np.int16).reshape(2, 2, 2), np.eye(4), header)
    image.header.set_slope_inter(0.5, 10)
    nib.save(image, tmp_path / "scan.nii")
    expected = np.asarray(nib.load(tmp_path / "scan.nii").dataobj).ravel(order="F")
    answer = through(folder, file=str(tmp_path / "scan.nii"), permRas=[1, 2, 3], voxel=[0, 0, 0])
    np.testing.assert_allclose(answer["ras"], expected)


def test_one_volume_of_several(folder: Path, tmp_path: Path) -> None:
    values = np.arange(24, dtype=np.float32).reshape(2, 2, 2, 3)
    nib.save(nib.Nifti1Image(values, np.eye(4)), tmp_path / "maps.nii.gz")
    answer = through(folder, file=str(tmp_path / "maps.nii.gz"), frame=2, permRas=[1, 2, 3], voxel=[0, 0, 0])
    assert answer["ras"] == values[..., 2].ravel(order="F").tolist()


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_picture_runs_to_the_left_and_to_the_back(folder: Path, tmp_path: Path, order: str) -> None:
    """Which the radiological convention draws from left to right and from top to bottom."""
    image = nib.Nifti1Image(
        np.arange(6, dtype=np.uint8).reshape(3, 2, 1), np.eye(4), nib.Nifti1Header(endianness=order)
    )
    nib.save(image, tmp_path / "picture.nii")
    shown = tmp_path / "shown.nii"
    through(folder, file=str(tmp_path / "picture.nii"), picture=str(shown), permRas=[-1, -2, 3], voxel=[0, 0, 0])
    turned = nib.load(shown)
    assert nib.aff2axcodes(turned.affine) == ("L", "P", "S")
    np.testing.assert_array_equal(np.asarray(turned.dataobj), np.asarray(image.dataobj))

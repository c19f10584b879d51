"""``predict --backend``: the same files, computed by another library, and both faces say which."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

import glioseg as api
from glioseg.inference.backends import BACKENDS
from tests.cli.command import glioseg
from tests.runs.conftest import TinyRun

_OTHERS = [name for name in BACKENDS if name != "torch"]


@pytest.mark.parametrize("backend", _OTHERS)
def test_masks_of_a_backend(backend: str, tiny: TinyRun, tmp_path: Path) -> None:
    case = next(path for path in sorted(tiny.data.iterdir()) if path.is_dir())
    masks = {}
    for name in ("torch", backend):
        ran = glioseg("predict", tiny.run, case, "--out", tmp_path / name, "--backend", name, "--quiet")
        assert ran.code == 0, ran.err
        (mask,) = (tmp_path / name).glob("*.nii.gz")
        masks[name] = np.asarray(nib.load(mask).dataobj)
        (sidecar,) = (tmp_path / name).glob("*.json")
        (said,) = json.loads(sidecar.read_text(encoding="utf-8"))["computed_by"]
        assert said.split()[0] == name
        assert said.split()[1] in ("bf16", "fp32")
    drawn = max((masks[name] > 0).sum() for name in masks)
    assert (masks["torch"] != masks[backend]).sum() <= 0.05 * drawn


@pytest.mark.parametrize("backend", _OTHERS)
def test_classes_of_a_backend(backend: str, tiny_classifier: TinyRun) -> None:
    pictures = sorted(tiny_classifier.data.rglob("*.png")) or sorted(tiny_classifier.data.rglob("*.jpg"))
    plain = api.load(tiny_classifier.run, device="cpu").classify(pictures[0])
    other = api.load(tiny_classifier.run, device="cpu", backend=backend).classify(pictures[0])
    assert other.decided == plain.decided or abs(other.confidence - 0.5) < 0.05
    for name, probability in plain.probabilities.items():
        assert other.probabilities[name] == pytest.approx(probability, abs=0.05)


def test_a_backend_that_is_none_is_refused(tiny: TinyRun, tmp_path: Path) -> None:
    ran = glioseg("predict", tiny.run, tiny.data, "--out", tmp_path / "out", "--backend", "tensorrt")
    assert ran.code == 2
    assert "there is no such backend; found tensorrt; expected one of torch, onnx, openvino" in " ".join(
        ran.err.split()
    )
    assert not (tmp_path / "out").exists()

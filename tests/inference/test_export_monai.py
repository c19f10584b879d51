"""A MONAI bundle says what ``predict`` says: step by step in this process, and as ``monai.bundle run`` runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Hashable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch

import glioseg as api
from glioseg.cohorts.phantom import PhantomOptions, generate_patient
from glioseg.core import Image
from glioseg.errors import OptionError
from glioseg.inference.bundle import Bundle, BundleInfo, load_bundle, save_bundle
from glioseg.inference.example import painting
from glioseg.inference.export_monai import _inference, _metadata
from glioseg.inference.predictor import Predictor
from glioseg.io.nifti import write_nifti
from glioseg.preparation.slices import with_margins, with_neighbours
from glioseg.tasks.segment.predictor import predictor_of

_PHANTOM = Path("model:phantom")
_CHANGES: dict[str, dict[str, dict[str, Any]]] = {
    "as it is": {},
    "whole slices": {"prepare": {"size": None, "crop_to_brain": False}, "slices": {"n_neighbours": 0}},
    "the box of the brain": {"prepare": {"size": None}, "predict": {"black_is_background": False}},
    "all that is not black": {"prepare": {"brain_only": False, "normalise": "min-max"}},
}


def _changed(changes: Mapping[str, Mapping[str, Any]]) -> BundleInfo:
    described = load_bundle(_PHANTOM).info.model_dump(mode="json")
    return BundleInfo.model_validate(described | {name: described[name] | own for name, own in changes.items()})


def _predictor(info: BundleInfo) -> Predictor:
    network = load_bundle(_PHANTOM).model
    return replace(predictor_of(Bundle(info, network), "cpu"), bf16=False)


@pytest.fixture(scope="module")
def image() -> Image:
    """In LPS, as axial slices are shown."""
    return generate_patient(PhantomOptions(n_patients=1, spacing_mm=4.0), 0).image


@pytest.mark.parametrize("changes", _CHANGES)
def test_the_network_is_shown_what_predict_shows_it(changes: str, image: Image) -> None:
    from monai.data import MetaTensor

    from glioseg.inference.monai_steps import PaintLabelsd, ShownSlicesd

    info = _changed(_CHANGES[changes])
    least = {"WT": 0.5 if info.prepare.size else 2.0}  # ml, of a square of those below and somewhat more
    info = info.model_copy(update={"predict": info.predict.model_copy(update={"min_ml": least})})
    predictor, description = _predictor(info), _inference(info, 16)["description"]
    assert image.grid.orientation == "LPS"
    scans: dict[Hashable, Any] = {
        name: MetaTensor(torch.from_numpy(array[None].copy()), affine=torch.from_numpy(image.grid.affine.copy()))
        for name, array in zip(image.modalities, image.array, strict=True)
    }
    data = ShownSlicesd(info.modalities, description)(scans)
    arrays = predictor.prepared(image)
    wide = arrays.images if info.shape is None else with_margins(arrays.images, info.shape)
    expected = with_neighbours(wide, np.arange(len(wide)), info.slices.n_neighbours)
    np.testing.assert_allclose(data["slices"].permute(3, 0, 1, 2).numpy(), expected, atol=2e-3)

    rows, columns, n_slices = data["slices"].shape[1:]
    coarse = np.random.default_rng(0).random((3, -(-rows // 5), -(-columns // 5), n_slices), dtype=np.float32)
    specks = np.kron(coarse**8, np.ones((1, 5, 5, 1), np.float32))  # squares, some of them too small to stay
    probabilities = np.ascontiguousarray(specks[:, :rows, :columns])
    labels = PaintLabelsd("pred", json.loads(painting(info)))(data | {"pred": torch.from_numpy(probabilities)})["pred"]
    own = np.ascontiguousarray(np.moveaxis(probabilities, 3, 1)[:, :, *data["place"]["kept"]])
    own[:, ~arrays.images.any(axis=(1, 2, 3))] = 0
    if info.predict.black_is_background:
        own[:, ~arrays.images.any(axis=1)] = 0
    mask = predictor.on_native_grid(own, arrays.working, arrays.native).label_map.array
    every = replace(predictor, options=predictor.options.model_copy(update={"min_ml": {}}))
    n_with_specks = (every.on_native_grid(own, arrays.working, arrays.native).label_map.array > 0).sum()
    assert 1000 < (mask > 0).sum() < n_with_specks - 100
    assert (np.asarray(labels[0]) != mask).mean() < 1e-3


@pytest.mark.parametrize("changes", _CHANGES)
def test_a_scan_that_shows_nothing_is_shown_as_zeros(changes: str, image: Image) -> None:
    from monai.data import MetaTensor

    from glioseg.inference.monai_steps import ShownSlicesd

    info = _changed(_CHANGES[changes])
    blank = MetaTensor(torch.zeros(1, *image.grid.shape), affine=torch.from_numpy(image.grid.affine.copy()))
    shown = ShownSlicesd(info.modalities, _inference(info, 16)["description"])(dict.fromkeys(info.modalities, blank))
    assert shown["slices"].shape[-1] == image.grid.shape[2]
    assert not shown["slices"].any()


def _touched(folder: Path, *names: str) -> list[str]:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()
    return [str(folder / name) for name in names]


def test_a_folder_is_one_case(tmp_path: Path) -> None:
    """Whatever stands before the names of modalities; what lacks one is none."""
    from glioseg.inference.monai_steps import find_cases

    first = _touched(tmp_path / "a", "a-t1c.nii.gz", "a-t2f.nii.gz", "a-seg.nii.gz")
    second = _touched(tmp_path / "b" / "scans", "t1c.nii", "t2f.nii")
    _touched(tmp_path / "c", "c-t1c.nii.gz")
    found = find_cases(str(tmp_path), ["t1c", "t2f"])
    assert [[case["t1c"], case["t2f"]] for case in found] == [first[:2], second]
    with pytest.raises(FileNotFoundError, match="holds no case"):
        find_cases(str(tmp_path), ["t1c", "t2w"])


@pytest.mark.parametrize(
    "names",
    [
        ("a-t1c.nii.gz", "a-t2f.nii.gz", "b-t1c.nii.gz", "b-t2f.nii.gz"),
        ("a-t1c.nii.gz", "b-t2f.nii.gz"),
        ("t1c.nii.gz", "t2f.nii.gz", "t2f.nii"),
    ],
)
def test_cases_are_not_mixed(names: tuple[str, ...], tmp_path: Path) -> None:
    """Two patients in one folder would be one case of both."""
    from glioseg.inference.monai_steps import find_cases

    _touched(tmp_path / "all", *names)
    with pytest.raises(ValueError, match=r"all holds files of several cases .* give each case a folder of its own"):
        find_cases(str(tmp_path), ["t1c", "t2f"])


@pytest.mark.parametrize(("size", "n_views"), [((32, 48), 2), ((37, 50), 4), ((40, 33), 1)])
def test_sizes_and_views(size: tuple[int, int], n_views: int) -> None:
    from glioseg.inference.monai_steps import Views
    from glioseg.inference.slices import FLIPS, mean_over_views

    network, asked = load_bundle(_PHANTOM).model, []

    def program(images: torch.Tensor) -> torch.Tensor:
        asked.append(tuple(images.shape[2:]))
        return torch.sigmoid(network(images))

    flips = {1: "none", 2: "lr", 4: "all"}[n_views]
    images = torch.randn((2, 12, *size), generator=torch.Generator().manual_seed(3))
    with torch.inference_mode():
        found = Views(program, 16, flips)(images)
        expected = mean_over_views(network, images, FLIPS[flips], "sigmoid")
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert asked == [tuple(-(-n // 16) * 16 for n in size)] * n_views


def test_its_files_say_what_it_is() -> None:
    info = load_bundle(_PHANTOM).info
    said = json.loads(json.dumps(_metadata(info)))
    assert said["network_data_format"]["inputs"]["image"]["num_channels"] == 12
    assert said["network_data_format"]["inputs"]["image"]["channel_def"]["0"] == "t1n, slice -1"
    assert said["network_data_format"]["outputs"]["pred"]["channel_def"] == {"0": "WT", "1": "TC", "2": "ET"}
    assert "research use only" in said["intended_use"]
    assert BundleInfo.model_validate(said["glioseg"]["bundle"]) == info


def test_no_name_in_a_bundle_becomes_code() -> None:
    """MONAI evaluates each text that begins with $; modalities are named by whoever made the bundle."""
    info = load_bundle(_PHANTOM).info.model_copy(update={"modalities": ("$exit('run')", "t1c", "t2w", "t2f")})
    config = _inference(info, 16)
    assert eval(config["modalities"].removeprefix("$")) == list(info.modalities)
    assert "$exit" not in json.dumps({name: value for name, value in config.items() if name != "modalities"})


def test_what_monai_would_draw_otherwise_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="would not draw the masks of this network") as caught:
        api.export("model:tissue", tmp_path / "bundle", form="monai")
    assert "softmax" in str(caught.value)
    assert not list(tmp_path.iterdir())


_RUN = """
import sys
from monai.bundle import run
run(config_file=sys.argv[1] + "/configs/inference.json", dataset_dir=sys.argv[2], output_dir=sys.argv[3])
assert not any(name.partition(".")[0] == "glioseg" for name in sys.modules)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "codes"),
    [({}, "SPL"), ({"prepare": {"size": None}, "predict": {"flips": "lr"}}, "RAS")],
    ids=["as it is", "mirrored, native pixels"],
)
def test_monai_draws_the_mask_of_predict(changes: Any, codes: str, image: Image, tmp_path: Path) -> None:
    """As a process that never sees glioseg; another case lies beside it."""
    info, network = _changed(changes), load_bundle(_PHANTOM).model
    fields = {
        name: getattr(info, name) for name in BundleInfo.model_fields if name not in ("format", "model_id", "weights")
    }
    save_bundle(tmp_path / "own", fields, network.state_dict())
    result = api.export(tmp_path / "own", tmp_path / "monai", form="monai")
    assert result.n_bytes > 1_000_000
    turn = nib.orientations.ornt_transform(nib.io_orientation(image.grid.affine), nib.orientations.axcodes2ornt(codes))
    for name, array in zip(image.modalities, image.array, strict=True):
        turned = nib.orientations.apply_orientation(array, turn)
        write_nifti(tmp_path / "scans" / "P1" / f"P1-{name}.nii.gz", turned, image.grid.with_orientation(codes))
        write_nifti(tmp_path / "scans" / "P2" / f"{name}.nii.gz", array, image.grid)
    ran = subprocess.run(
        [sys.executable, "-c", _RUN, tmp_path / "monai", tmp_path / "scans", tmp_path / "masks"],
        capture_output=True,
        text=True,
        env={"PATH": "", "HOME": str(tmp_path)},
    )
    assert ran.returncode == 0, ran.stderr
    assert {path.name for path in (tmp_path / "masks").iterdir()} == {"P1.nii.gz", "P2.nii.gz"}
    expected = _predictor(info).predict(image).label_map.array
    assert (expected > 0).sum() > 500
    for name, back in (("P1", codes), ("P2", "LPS")):
        mask = nib.load(tmp_path / "masks" / f"{name}.nii.gz")
        np.testing.assert_allclose(mask.affine, image.grid.with_orientation(back).affine, atol=1e-4)
        home = nib.orientations.ornt_transform(nib.io_orientation(mask.affine), nib.io_orientation(image.grid.affine))
        found = nib.orientations.apply_orientation(np.asarray(mask.dataobj), home)
        assert (found != expected).sum() <= 1e-3 * (expected > 0).sum()

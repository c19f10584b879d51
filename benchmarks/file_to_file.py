"""From four files to a mask in a file: ours, by backend, beside MONAI's slice inferer with the same weights.

python benchmarks/file_to_file.py [--data CASE] [--model model:phantom] [--width N] [--rounds 3]

A case of 240 x 240 x 155 voxels (a phantom patient unless a folder is named), four modalities, at its own resolution:
the network sees every slice with its neighbours, without views, and what is not brain is background. MONAI reads with
``LoadImaged``, normalises over the brain and runs ``SliceInferer`` over whole slices, 16 at a time; its mask is
painted by the same thresholds and saved by nibabel. Imports and the making ready of networks are left out on both
sides; figures are processor seconds, medians over rounds in which the variants take turns. ``--width 32`` puts an
untrained network of that width in the place of the model's, for times alone.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import torch
from torch import Tensor, nn

from glioseg.cohorts.phantom import PhantomOptions, generate_patient
from glioseg.core import Case, Grid
from glioseg.inference.backends import on_backend
from glioseg.inference.bundle import Bundle, load_bundle
from glioseg.inference.predictor import Predictor
from glioseg.io import load_image
from glioseg.io.nifti import write_nifti
from glioseg.networks.build import build_model
from glioseg.networks.unet import UNetOptions
from glioseg.runs.read import Data, read
from glioseg.tasks.segment.predictor import predictor_of

Mask = np.ndarray[Any, np.dtype[np.uint8]]


def phantom_case(folder: Path) -> Path:
    """A phantom patient at 1 mm, as files."""
    image = generate_patient(PhantomOptions(n_patients=1, spacing_mm=1.0), 0).image
    for name, array in zip(image.modalities, image.array, strict=True):
        write_nifti(folder / "patient" / f"{name}.nii.gz", array.astype(np.int16), image.grid)
    return folder / "patient"


def at_native_resolution(model: str, width: int | None) -> Bundle:
    """The model on slices as they are; of another width it has learnt nothing, and costs what it costs."""
    bundle = load_bundle(Path(model))
    prepare = bundle.info.prepare.model_copy(update={"size": None, "crop_to_brain": False, "brain_only": True})
    predict = bundle.info.predict.model_copy(update={"flips": "none", "black_is_background": True})
    info = bundle.info.model_copy(update={"prepare": prepare, "predict": predict, "shape": None})
    network = bundle.model
    if width is not None:
        n_channels = info.slices.n_channels(len(info.modalities))
        network = build_model(UNetOptions(width=width, depth=4), n_channels, len(info.regions), seed=0).eval()
    return replace(bundle, info=info, model=network)


def ours(predictor: Predictor, case: Case, out: Path, spent: dict[str, float]) -> Mask:
    """As ``glioseg predict`` does it, to the mask; pictures and pages come after it."""

    def stage(name: str, work: Callable[[], Any]) -> Any:  # noqa: ANN401
        started = time.process_time()
        result = work()
        spent[name] = spent.get(name, 0.0) + time.process_time() - started
        return result

    image = stage("read", lambda: load_image(case, predictor.modalities))
    arrays = stage("prepare", lambda: predictor.prepared(image))
    probabilities = stage("network", lambda: predictor.probabilities(arrays.images, arrays.non_black))
    prediction = stage(
        "way back, painting", lambda: predictor.on_native_grid(probabilities, arrays.working, arrays.native)
    )
    stage("write", lambda: write_nifti(out, prediction.label_map.array.astype(np.uint8), prediction.label_map.grid))
    return np.asarray(prediction.label_map.array, dtype=np.uint8)


def monais(network: nn.Module, predictor: Predictor, case: Case, grid: Grid, out: Path, *, bf16: bool) -> Mask:
    """MONAI's transforms and inferer around the same network."""
    from monai.inferers import SliceInferer
    from monai.transforms import (
        Compose,
        ConcatItemsd,
        EnsureChannelFirstd,
        LoadImaged,
        Orientationd,
    )

    keys = list(predictor.modalities)
    steps = Compose(
        [
            LoadImaged(keys),
            EnsureChannelFirstd(keys),
            Orientationd(keys, axcodes="LPS", labels=None),
            ConcatItemsd(keys, name="image"),
        ]
    )
    sample = steps({name: case.images[name].paths[0] for name in keys})
    volume = _normalised(sample["image"].as_tensor()).permute(0, 2, 1, 3)  # (C, Y, X, Z): rows first, as in training
    around = predictor.slices.n_neighbours
    last = volume.shape[-1] - 1
    shifted = [volume[..., [min(max(z + k, 0), last) for z in range(last + 1)]] for k in range(-around, around + 1)]
    inferer = SliceInferer(roi_size=tuple(volume.shape[1:3]), spatial_dim=2, sw_batch_size=16)

    def probabilities(images: Tensor) -> Tensor:
        return torch.sigmoid(network(images.contiguous(memory_format=torch.channels_last)).float())

    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        found = inferer(torch.cat(shifted)[None], probabilities)[0]
    array = (found * (volume != 0).any(dim=0)).permute(0, 2, 1, 3).numpy()
    turn = nib.orientations.ornt_transform(
        nib.orientations.axcodes2ornt("LPS"), nib.orientations.io_orientation(sample[keys[0]].meta["original_affine"])
    )
    native = np.stack([nib.orientations.apply_orientation(region, turn) for region in array])
    mask = np.asarray(predictor.label_map(native, grid).array, dtype=np.uint8)
    nib.save(nib.Nifti1Image(mask, grid.affine), out)
    return mask


def _normalised(images: Tensor) -> Tensor:
    """Z-scores over what is not 0 in some modality; ``NormalizeIntensity(nonzero=True)`` looks at each by itself."""
    brain = (images != 0).any(dim=0)
    inside = images[:, brain]
    normal = torch.zeros_like(images)
    normal[:, brain] = (inside - inside.mean(dim=1, keepdim=True)) / inside.std(dim=1, keepdim=True, correction=0)
    return normal


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--model", default="model:phantom")
    parser.add_argument("--width", type=int)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (case, *_) = read(Data(asked.data or phantom_case(folder))).cases
        bundle = at_native_resolution(asked.model, asked.width)
        grid = load_image(case, bundle.info.modalities[:1]).grid
        print(f"{case.id}: {grid.shape}, {asked.model}, width {asked.width or 'as it is'}")
        measure(bundle, case, grid, folder, asked.rounds)


def measure(bundle: Bundle, case: Case, grid: Grid, folder: Path, rounds: int) -> None:
    """All variants in turns; times, ratios, and the share of the mask that differs from MONAI's in fp32."""
    plain = predictor_of(bundle, "cpu")
    channels_last = bundle.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    fast = {name: predictor_of(on_backend(bundle, name, n_threads=1), "cpu") for name in ("onnx", "openvino")}
    stages: dict[str, dict[str, float]] = {name: {} for name in ("torch", "onnx", "openvino")}
    variants: dict[str, Callable[[], Mask]] = {
        "MONAI fp32": lambda: monais(channels_last, plain, case, grid, folder / "a.nii.gz", bf16=False),
        "MONAI bf16": lambda: monais(channels_last, plain, case, grid, folder / "b.nii.gz", bf16=True),
        "torch": lambda: ours(plain, case, folder / "c.nii.gz", stages["torch"]),
        "onnx": lambda: ours(fast["onnx"], case, folder / "d.nii.gz", stages["onnx"]),
        "openvino": lambda: ours(fast["openvino"], case, folder / "e.nii.gz", stages["openvino"]),
    }
    times: dict[str, list[float]] = {name: [] for name in variants}
    masks: dict[str, Mask] = {}
    for _ in range(rounds):
        for name, run in variants.items():
            started = time.process_time()
            masks[name] = run()
            times[name].append(time.process_time() - started)
    medians = {name: statistics.median(values) for name, values in times.items()}
    exact = masks["MONAI fp32"]
    for name, median in medians.items():
        ratios = ", ".join(f"{medians[base] / median:.1f} x {base}" for base in ("MONAI fp32", "MONAI bf16"))
        different = int((masks[name] != exact).sum())
        print(
            f"{name:<12}{median:7.2f} s ({min(times[name]):.2f}-{max(times[name]):.2f})   {ratios}; "
            f"{different} of {int((exact > 0).sum())} voxels of its mask differ"
        )
    for name, spent in stages.items():
        print(f"  {name}: {', '.join(f'{stage} {value / rounds:.2f}' for stage, value in spent.items())}")


if __name__ == "__main__":
    main()

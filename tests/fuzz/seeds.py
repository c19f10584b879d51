"""Files of every format that is read, made from a phantom patient: what mutants are made of."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import h5py
import nibabel
import numpy as np
import numpy.typing as npt
import SimpleITK as sitk  # noqa: N813 - the name everyone uses
import tifffile
from PIL import Image as Pillow

from glioseg.cohorts.phantom import PhantomOptions, generate_patient
from glioseg.cohorts.write import write_cohort
from glioseg.config import read_recipe, shipped_recipes, write_recipe
from glioseg.core import scheme_named
from tests.fakes.cases import toy_cases
from tests.fakes.dicom import T1C, oblique, write_series, zipped


@dataclass(frozen=True)
class Seed:
    """A file that is mutated.

    Args:
        name: of the file, ending included.
        target: word of ``targets.TARGETS``.
        path: the sound file; the other files of its folder lie beside each mutant.
    """

    name: str
    target: str
    path: Path


def write_seeds(root: Path, *, networks: bool = True) -> list[Seed]:
    """Write every seed, each into a folder of its own; ``networks`` are those that need torch."""
    seeds = []
    scans = _scans()
    for name, write in _WRITERS.items():
        path = _home(root, name) / name
        write(path, scans)
        seeds.append(Seed(name, "scan", path))
    for name, (target, text) in _texts().items():
        path = _home(root, name) / name
        path.write_text(text, encoding="utf-8")
        seeds.append(Seed(name, target, path))
    seeds += _dicom_seeds(root, scans["int16"])
    write_cohort(toy_cases(2), root / "nnunet", "nnunet")
    seeds.append(Seed("dataset.json", "dataset.json", root / "nnunet" / "dataset.json"))
    return seeds + (_network_seeds(root) if networks else [])


def _home(root: Path, name: str) -> Path:
    folder = root / name.replace(".", "-")
    folder.mkdir(parents=True)
    return folder


def _scans() -> dict[str, npt.NDArray[Any]]:
    """Volumes (X, Y, Z) and slices (Y, X) of a phantom at 12 mm, in the types that files have."""
    patient = generate_patient(PhantomOptions(n_patients=1, spacing_mm=6.0), 0)
    volume = np.asarray(patient.image.array[0, ::2, ::2, ::2], dtype=np.float32)
    volume = volume / max(float(volume.max()), 1.0)
    middle = volume[:, :, volume.shape[2] // 2].T
    grey = (middle * 255).astype(np.uint8)
    return {
        "int16": (volume * 1000).astype(np.int16),
        "float32": volume,
        "float64": volume.astype(np.float64),
        "grey": grey,
        "deep": (middle * 65535).astype(np.uint16),
        "colours": np.stack([grey, grey // 2, 255 - grey], axis=-1),
        "slice64": middle.astype(np.float64),
    }


def _dicom_seeds(root: Path, volume: npt.NDArray[Any]) -> list[Seed]:
    """A series in one file for each way of compressing, one of a file a slice, and an archive of that."""
    slices, affine = np.abs(volume[:, :, 4:9]), oblique()
    seeds = []
    for syntax in ("explicit", "rle", "jpeg-ls", "jpeg-lossless", "jpeg-2000"):
        series = replace(T1C, enhanced=True, syntax=syntax, signed=False)
        (path,) = write_series(root / f"dicom-{syntax}", slices, affine, series)
        seeds.append(Seed(path.rename(path.with_name(f"{syntax}.dcm")).name, "dicom", path.with_name(f"{syntax}.dcm")))
    first, *_ = write_series(root / "dicom-slices", slices, affine, T1C)
    archive = zipped(root / "dicom-slices", _home(root, "study.zip") / "study.zip")
    return [*seeds, Seed(first.name, "dicom", first), Seed(archive.name, "dicom", archive)]


_Scans = Mapping[str, npt.NDArray[Any]]


def _nifti(path: Path, scans: _Scans, kind: str = "int16", slope: float = 1.0) -> None:
    image = nibabel.Nifti1Image(scans[kind], np.diag([-12.0, -12.0, 12.0, 1.0]))
    image.header.set_slope_inter(slope, 0.0)
    nibabel.save(image, path)


def _itk(path: Path, scans: _Scans, *, packed: bool = True, kind: str = "int16") -> None:
    image = sitk.GetImageFromArray(np.ascontiguousarray(scans[kind].T))
    image.SetSpacing((12.0, 12.0, 12.0))
    sitk.WriteImage(image, str(path), useCompression=packed)


def _picture(path: Path, scans: _Scans, kind: str = "grey", **options: Any) -> None:
    Pillow.fromarray(scans[kind]).save(path, **options)


def _palette(path: Path, scans: _Scans) -> None:
    Pillow.fromarray(scans["grey"]).quantize(16).save(path)


def _deep_colours(path: Path, scans: _Scans) -> None:
    colours = np.stack([scans["deep"]] * 3, axis=-1)
    sitk.WriteImage(sitk.GetImageFromArray(colours, isVector=True), str(path))


def _hdf5(path: Path, scans: _Scans) -> None:
    with h5py.File(path, "w") as file:
        image = np.stack([scans["slice64"]] * 4, axis=-1)
        file.create_dataset("image", data=image, compression="gzip")
        file["mask"] = (image[..., :3] > 0.5).astype(np.uint8)


_WRITERS = MappingProxyType(
    {
        "a.nii": _nifti,
        "a.nii.gz": _nifti,
        "scaled.nii.gz": lambda path, scans: _nifti(path, scans, slope=0.5),
        "float.nii.gz": lambda path, scans: _nifti(path, scans, "float32"),
        "a.mha": _itk,
        "raw.mha": lambda path, scans: _itk(path, scans, packed=False),
        "a.mhd": _itk,
        "a.nrrd": _itk,
        "raw.nrrd": lambda path, scans: _itk(path, scans, packed=False, kind="float64"),
        "a.nhdr": _itk,
        "a.png": _picture,
        "deep.png": lambda path, scans: _picture(path, scans, "deep"),
        "colours.png": lambda path, scans: _picture(path, scans, "colours"),
        "deep-colours.png": _deep_colours,
        "palette.png": _palette,
        "a.jpg": _picture,
        "colours.jpg": lambda path, scans: _picture(path, scans, "colours"),
        "progressive.jpg": lambda path, scans: _picture(path, scans, "colours", progressive=True),
        "a.tif": _picture,
        "colours.tif": lambda path, scans: _picture(path, scans, "colours", compression="tiff_lzw"),
        "deflate.tif": lambda path, scans: _picture(path, scans, "deep", compression="tiff_adobe_deflate"),
        "jpeg.tif": lambda path, scans: _picture(path, scans, "colours", compression="jpeg"),
        "double.tif": lambda path, scans: tifffile.imwrite(path, scans["slice64"]),
        "deep-colours.tif": lambda path, scans: tifffile.imwrite(
            path, np.stack([scans["deep"]] * 3, axis=-1), photometric="rgb", compression="zlib"
        ),
        "a.bmp": lambda path, scans: _picture(path, scans, "colours"),
        "a.h5": _hdf5,
    }
)
"""Name of a scan -> how it is written."""


_ROW = (
    '{"epoch": 0, "train_loss": 0.5, "learning_rate": 0.1, "images_per_s": 3.5, "val_loss": 0.4, "val_score": 0.7, '
    '"elapsed_s": 2.0}\n'
)
_CASES = (
    "case,patient,n_slices,n_voxels,pixel_accuracy,WT.status,WT.tp,WT.fp,WT.fn,WT.tn,WT.dice\n"
    "a,a,3,10,0.9,ok,3,1,1,5,0.75\n"
)
_CLASSES = "case,patient,slice,reference,predicted,right,confidence,p.no,p.yes\na,a,1,no,yes,0,0.75,0.25,0.75\n"
_STUDY = (
    'about = "two widths"\nrecipe = "demo"\n\n[[rows]]\nname = "narrow"\nset.model = { width = 8 }\n\n'
    '[[rows]]\nname = "wide"\nset.model = { width = 16 }\n'
)
_LABELS = '[labels]\noedema = 1\ncore = 2\n\n[regions]\nWT = ["oedema", "core"]\nTC = ["core"]\n'


def _texts() -> dict[str, tuple[str, str]]:
    """Name -> target and text."""
    return {
        "recipe.toml": ("recipe", write_recipe(read_recipe(next(iter(shipped_recipes()))))),
        "study.toml": ("study", _STUDY),
        "labels.toml": ("labels.toml", _LABELS),
        "split.json": ("split", json.dumps({"train": ["a"], "val": ["b"], "test": []})),
        "splits_final.json": ("split", json.dumps([{"train": ["a"], "val": ["b"]}])),
        "log.jsonl": ("log", _ROW * 2),
        "cases-test.csv": ("cases.csv", _CASES),
        "cases-val.csv": ("cases.csv", _CLASSES),
        "facts.csv": ("facts.csv", "case,patient,age\na,p1,44\nb,p2,\n"),
    }


def _network_seeds(root: Path) -> list[Seed]:
    """A checkpoint, and a bundle of the first format, which has no digest that would stop every mutant."""
    import torch

    from glioseg.inference.bundle import DESCRIPTION, WEIGHTS, save_bundle
    from glioseg.inference.options import PredictOptions
    from glioseg.networks.build import build_model
    from glioseg.networks.unet import UNetOptions
    from glioseg.preparation.options import PrepareOptions
    from glioseg.preparation.records import SchemeRecord
    from glioseg.preparation.slices import SliceOptions
    from glioseg.training.checkpoint import LATEST, save_checkpoint
    from glioseg.training.progress import Progress

    options = UNetOptions(width=2, depth=1)
    network = build_model(options, 1, 1, seed=0)
    progress = asdict(Progress(epoch=1, step=2, n_updates=5, loss_sum=0.5, n_losses=2)) | {"loss_sums": [0.5]}
    optimiser = torch.optim.AdamW(network.parameters()).state_dict()
    state = {"identity": {"recipe": {}, "split": "a", "data": "b"}, "model": network.state_dict(), "progress": progress}
    latest = _home(root, LATEST) / LATEST
    save_checkpoint(latest, state | {"optimiser": optimiser})
    scheme = SchemeRecord.of(scheme_named("binary"))
    fields = {
        **{"name": "fuzz", "modalities": ("t2f",), "regions": ("tumour",), "scheme": scheme, "model": options},
        **{"prepare": PrepareOptions(), "slices": SliceOptions(), "predict": PredictOptions(), "shape": (64, 64)},
    }
    folder = _home(root, "bundle")
    info = save_bundle(folder, fields, network.state_dict())
    described = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
    described |= {"format": 1, "model_id": str(info.weights)[:12]}
    (folder / DESCRIPTION).write_text(json.dumps(described, indent=1), encoding="utf-8")
    return [
        Seed(LATEST, "checkpoint", latest),
        Seed(DESCRIPTION, "bundle", folder / DESCRIPTION),
        Seed(WEIGHTS, "bundle", folder / WEIGHTS),
    ]

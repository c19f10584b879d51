"""A network as a bundle of MONAI's: configuration, program, and what stands around the network, without glioseg.

``python -m monai.bundle run --config_file BUNDLE/configs/inference.json --dataset_dir SCANS`` draws the masks that
``predict`` draws. Orientation, the sweep over slices and saving are MONAI's; preparation and painting, for which MONAI
has no exact counterparts, are in ``scripts`` (``monai_steps``, ``standalone``).

Source: MONAI bundle specification, https://docs.monai.io/en/stable/mb_specification.html.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from glioseg.errors import OptionError, plural
from glioseg.inference.bundle import BundleInfo
from glioseg.inference.example import beyond_the_example, painting
from glioseg.inference.export import ExportRequest, ExportResult
from glioseg.inference.export_others import export_torch
from glioseg.io.files import write_json, write_text

CONFIG, METADATA, PROGRAM, SCRIPTS, README = (
    "configs/inference.json",
    "configs/metadata.json",
    "models/model.pt2",
    "scripts",
    "docs/README.md",
)
_ORIENTED = {"axial": "LPS", "coronal": "LIP", "sagittal": "PIL"}
_REQUIRED = {"monai": "1.5.0", "numpy": "1.26.0", "pytorch": "2.6.0", "nibabel": "5.2.0"}
"""The oldest that are asked for; the tests run those of ``constraints.txt``."""
_PREPARATION = {"size", "crop_to_brain", "brain_only", "clip_percentiles", "normalise"}
_SCRIPTS = {name: name for name in ("standalone.py", "standalone_components.py")} | {"__init__.py": "monai_steps.py"}


def export_monai(request: ExportRequest, folder: Path, info: BundleInfo) -> ExportResult:
    """Write a MONAI bundle; the description of the network goes into its metadata.

    Raises:
        OptionError: a network that needs what MONAI's bundle does not do, or a file in the folder's place.
        ExportError: the network cannot be exported by torch.export.
        FileError: the folder cannot be written to.
    """
    beyond = beyond_the_example(info)
    if beyond:
        raise OptionError(
            "a MONAI bundle would not draw the masks of this network",
            found=beyond,
            remedy="Take `--format torch` or `--format onnx`, and do the rest around it",
        )
    result = export_torch(request, folder / PROGRAM)
    for name, source in _SCRIPTS.items():
        text = Path(__file__).with_name(source).read_text(encoding="utf-8")
        write_text(folder / SCRIPTS / name, text.replace(f"from {__package__}.", "from ."))
    write_json(folder / METADATA, _metadata(info))
    write_text(folder / README, _readme(info))
    write_json(folder / CONFIG, _inference(info, result.step))
    n_bytes = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return replace(
        result, path=folder, n_bytes=n_bytes, notes=(f"{folder / README} says how MONAI draws masks with it",)
    )


def _inference(info: BundleInfo, step: int) -> dict[str, Any]:
    """The configuration that ``monai.bundle run`` is given."""
    return {
        "imports": ["$import torch", "$import scripts"],
        "bundle_root": "$__import__('pathlib').Path(scripts.__file__).parents[1].as_posix()",
        "dataset_dir": "$@bundle_root + '/data'",
        "output_dir": "$@bundle_root + '/eval'",
        "modalities": f"${list(info.modalities)!r}",  # a text, whatever it is: MONAI runs what begins with $
        "description": {
            "prepare": info.prepare.model_dump(mode="json", include=_PREPARATION),
            "slices": {"n_neighbours": info.slices.n_neighbours},
            "predict": {"black_is_background": info.predict.black_is_background},
            "shape": None if info.shape is None else list(info.shape),
        },
        "cases": "$scripts.find_cases(@dataset_dir, @modalities)",
        "device": "$torch.device('cuda' if torch.cuda.is_available() else 'cpu')",
        "program": f"$torch.export.load(@bundle_root + '/{PROGRAM}').module().to(@device)",
        "network_def": {
            "_target_": "scripts.Views",
            "program": "@program",
            "step": step,
            "flips": info.predict.flips,
        },
        "network": "$@network_def.to(@device)",
        "preprocessing": _preprocessing(info),
        "inferer": {
            "_target_": "SliceInferer",
            "roi_size": [-1, -1],
            "spatial_dim": 2,
            "sw_batch_size": info.predict.batch_size,
        },
        "postprocessing": _postprocessing(info),
        "run": ["$scripts.predict(@cases, @preprocessing, @inferer, @network, @postprocessing, @device)"],
    }


def _preprocessing(info: BundleInfo) -> dict[str, Any]:
    """From the files of a case to the slices that the network is shown."""
    keys = "@modalities"
    return {
        "_target_": "Compose",
        "transforms": [
            {"_target_": "LoadImaged", "keys": keys},
            {"_target_": "EnsureChannelFirstd", "keys": keys},
            {"_target_": "EnsureTyped", "keys": keys, "dtype": "$torch.float32"},
            {
                "_target_": "Orientationd",
                "keys": keys,
                "axcodes": _ORIENTED[info.prepare.plane],
                "labels": None,
            },
            {
                "_target_": "scripts.ShownSlicesd",
                "keys": keys,
                "description": "@description",
            },
        ],
    }


def _postprocessing(info: BundleInfo) -> dict[str, Any]:
    """From probabilities to a mask in a file, on the grid of the scans."""
    return {
        "_target_": "Compose",
        "transforms": [
            {"_target_": "scripts.PaintLabelsd", "keys": "pred", "painting": json.loads(painting(info))},
            {
                "_target_": "Invertd",
                "keys": "pred",
                "transform": "@preprocessing",
                "orig_keys": "$@modalities[0]",
                "nearest_interp": True,
            },
            {
                "_target_": "SaveImaged",
                "keys": "pred",
                "output_dir": "@output_dir",
                "output_postfix": "",
                "output_ext": ".nii.gz",
                "output_dtype": "$__import__('numpy').uint8",
                "output_name_formatter": "$scripts.case_name",
                "resample": False,
                "separate_folder": False,
            },
        ],
    }


def _metadata(info: BundleInfo) -> dict[str, Any]:
    """What the bundle says of itself, in the words of MONAI's schema; glioseg's own description is beside it."""
    assert info.scheme is not None  # a classifier is refused
    card = info.card
    return {
        "version": "1.0.0",
        "changelog": {"1.0.0": f"exported from {info.name}, model {info.model_id}"},
        "monai_version": _REQUIRED["monai"],
        "pytorch_version": _REQUIRED["pytorch"],
        "numpy_version": _REQUIRED["numpy"],
        "required_packages_version": {"nibabel": _REQUIRED["nibabel"]},
        "name": info.name,
        "task": f"Segmentation of {', '.join(info.regions)} in MRI",
        "description": card.about if card is not None else f"The network {info.name} of glioseg.",
        "authors": "see the card" if card is not None else "not stated",
        "copyright": card.licence if card is not None and card.licence else "not stated",
        "data_source": "; ".join(data.name for data in card.data) if card is not None else "not stated",
        "data_type": "nibabel",
        "image_classes": f"{plural(len(info.modalities), 'channel')}: {', '.join(info.modalities)}",
        "label_classes": {str(value): name for name, value in info.scheme.labels.items()},
        "intended_use": f"{info.use} {card.intended_use if card is not None else ''}".strip(),
        "references": list(card.references) if card is not None else [],
        "network_data_format": {"inputs": {"image": _input(info)}, "outputs": {"pred": _output(info)}},
        "glioseg": {"bundle": info.model_dump(mode="json")},
    }


def _input(info: BundleInfo) -> dict[str, Any]:
    n_shown, size = info.slices.n_shown, info.recipe_size or info.shape
    names = [f"{name}, slice {k:+d}" for k in range(-(n_shown // 2), n_shown // 2 + 1) for name in info.modalities]
    return {
        "type": "image",
        "format": "magnitude",
        "modality": "MR",
        "num_channels": len(names),
        "spatial_shape": ["*", "*"] if size is None else list(size),
        "dtype": "float32",
        "value_range": [],
        "is_patch_data": True,
        "channel_def": dict(enumerate(names)),
    }


def _output(info: BundleInfo) -> dict[str, Any]:
    data = _input(info)
    return data | {
        "format": "segmentation",
        "num_channels": len(info.regions),
        "value_range": [0, 1],
        "channel_def": dict(enumerate(info.regions)),
    }


def _readme(info: BundleInfo) -> str:
    names: Mapping[str, str] = {} if info.card is None else {"Licence": info.card.licence, "About": info.card.about}
    said = "\n".join(f"- {name}: {words}" for name, words in names.items() if words)
    files = ", ".join(f"`CASE/CASE-{name}.nii.gz`" for name in info.modalities)
    return f"""# {info.name} ({info.model_id})

{info.use}

{said}

```
python -m monai.bundle run --config_file configs/inference.json --dataset_dir SCANS --output_dir MASKS
```

`SCANS` holds a folder for each case with a NIfTI file for each modality, all on one grid: {files}. The masks are
`MASKS/CASE.nii.gz`, on the grid of the scans. MONAI, PyTorch, numpy and nibabel are needed, and `fire` for the command
line. The configuration runs code in `scripts`: use bundles of people you trust, as MONAI says too.
"""

"""Scans in, masks, volumes and pictures out."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from glioseg.cohorts.layout import ReadOptions
from glioseg.cohorts.listing import natural_key
from glioseg.cohorts.naming import unique_ids
from glioseg.cohorts.recognise import read_cohort
from glioseg.console import QUIET, Reporter
from glioseg.core import Case, Image, Source
from glioseg.errors import FileError, OptionError, name_some
from glioseg.io import load_image
from glioseg.io.files import replacing, write_json, write_text
from glioseg.io.nifti import write_nifti
from glioseg.io.raster import COLOURS, PICTURE_ENDINGS, read_picture_header, write_picture
from glioseg.predict.bundle import Bundle, load_bundle
from glioseg.predict.classifier import Classifier
from glioseg.predict.device import pick_device, uses_bf16
from glioseg.predict.predictor import Prediction, Predictor, lacks
from glioseg.report.prediction import overlay_picture
from glioseg.workflows.class_predicting import Classified, classify_cases
from glioseg.workflows.classifying import classifier_of
from glioseg.workflows.material import as_colours

_NIFTI = (".nii", ".nii.gz")
_META = (".mha", ".mhd", ".nrrd")
_PICTURE_CHANNELS = {"pre": 0, "flair": 1, "post": 2, "red": 0, "green": 1, "blue": 2}


@dataclass(frozen=True)
class Predicted:
    """What was written for one case: its files, and its volumes by region in ml, or voxels where mm are unknown."""

    case: str
    mask: Path
    volumes: Mapping[str, float]
    unit: str

    @property
    def text(self) -> str:
        """One line for people."""
        volumes = ", ".join(f"{region} {volume:g} {self.unit}" for region, volume in self.volumes.items())
        return f"{self.mask}: {volumes}"

    def to_json(self) -> dict[str, Any]:
        """What ``predict --json`` prints of it."""
        return {"case": self.case, "mask": str(self.mask), "unit": self.unit, "volumes": self.volumes}


def predictor_of(bundle: Bundle, device: str = "auto") -> Predictor:
    """The bundle's network on a device."""
    chosen = pick_device(device)
    info = bundle.info
    return Predictor(
        model=bundle.model.to(chosen),
        modalities=info.modalities,
        regions=info.regions,
        scheme=bundle.scheme,
        prepare=info.prepare,
        slices=info.slices,
        options=info.predict,
        bf16=uses_bf16("auto", chosen),
    )


def predict(
    run: Path,
    inputs: Sequence[Path],
    out: Path,
    *,
    modality_files: Mapping[str, Path] | None = None,
    device: str = "auto",
    reporter: Reporter = QUIET,
) -> Sequence[Predicted | Classified]:
    """Predict every case of the inputs: masks, or classes where the network is a classifier.

    Args:
        run: a run folder or a bundle.
        inputs: folders (a case, or a whole cohort) and files (a volume or picture that shows what the network needs).
        out: where the results go.
        modality_files: modality -> file, for one case given file by file.
        device: ``auto``, ``cpu``, ``cuda:N``, ``mps``.
        reporter: shows progress.

    Raises:
        GeometryError: an input lacks a modality that the network needs; nothing has been written then.
        OptionError: no input at all.
    """
    bundle = load_bundle(run)
    predictor = classifier_of(bundle, device) if bundle.info.classes else predictor_of(bundle, device)
    in_folder = _pictures_in if bundle.info.classes else _cohort_in
    cases = list(_cases(inputs, modality_files or {}, bundle.info.modalities, in_folder))
    if not cases:
        raise OptionError("there is nothing to predict", expected="a folder, a file, or --modality NAME=FILE")
    twice = {case.id for case in cases if sum(case.id == other.id for other in cases) > 1}
    if twice:
        raise OptionError("two inputs would be written to the same files", found=name_some(sorted(twice)))
    for case in cases:
        missing = [name for name in predictor.modalities if name not in case.images]
        if missing and not predictor.can_do_without(missing, tuple(case.images)):
            raise lacks(missing, predictor.modalities, tuple(case.images), case)
    if isinstance(predictor, Classifier):
        return classify_cases(predictor, bundle.info, cases, out, reporter)
    done = []
    with reporter.progress("Predicting") as step:
        for number, case in enumerate(cases):
            done.append(_predict_case(predictor, bundle, case, out))
            step(number + 1, len(cases))
    write_text(out / "summary.csv", _summary(done))
    return done


def _predict_case(predictor: Predictor, bundle: Bundle, case: Case, out: Path) -> Predicted:
    image = load_image(case, [name for name in predictor.modalities if name in case.images])
    prediction = predictor.predict(image)
    stem = case.id.replace("/", "_")
    mask = _write_mask(prediction, case, out, stem)
    unit = "ml" if image.grid.has_mm else "voxels"
    voxel = image.grid.voxel_ml if image.grid.has_mm else 1.0
    volumes = {region: round(_n_voxels(prediction, region) * voxel, 4) for region in prediction.regions}
    write_json(
        out / f"{stem}.json",
        {
            "case": case.id,
            "mask": mask.relative_to(out).as_posix(),
            "volumes": {"unit": unit, **volumes},
            "labels": dict(prediction.label_map.scheme.labels),
            "regions": {name: list(prediction.label_map.scheme.regions[name]) for name in prediction.regions},
            "grid": {
                "shape": list(image.grid.shape),
                "spacing_mm": list(image.grid.spacing_mm) if image.grid.has_mm else None,
                "orientation": image.grid.orientation,
            },
            "filled": [name for name in predictor.modalities if name not in case.images],
            "model_id": bundle.info.model_id,
            "recipe": bundle.info.name,
            "use": bundle.info.use,
        },
    )
    _write_overlay(image, prediction, out / f"{stem}.png")
    return Predicted(case.id, mask, volumes, unit)


def _write_mask(prediction: Prediction, case: Case, out: Path, stem: str) -> Path:
    """A volume's mask in one NIfTI file, pictures' masks each in a picture (a folder of them for a stack)."""
    source = next(iter(case.images.values()))
    labels = prediction.label_map
    if source.kind != "raster":
        path = out / f"{stem}.nii.gz"
        write_nifti(path, labels.array.astype(np.uint8), labels.grid)
        return path
    scale = 255 if len(labels.scheme.labels) == 1 else 1
    pixels = (labels.array > 0).astype(np.uint8) * 255 if scale == 255 else labels.array.astype(np.uint8)
    if len(source.paths) == 1:
        path = out / f"{stem}_mask.png"
        write_picture(path, pixels[:, :, 0])
        return path
    folder = out / stem
    for z, original in enumerate(source.paths):
        write_picture(folder / f"{original.stem}_mask.png", pixels[:, :, z])
    return folder


def _write_overlay(image: Image, prediction: Prediction, path: Path) -> None:
    data = overlay_picture(image, prediction.label_map, prediction.regions)
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def _n_voxels(prediction: Prediction, region: str) -> int:
    values = prediction.label_map.scheme.values_of(region)
    return int(np.isin(prediction.label_map.array, values).sum())


def _summary(done: Sequence[Predicted]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    regions = list(done[0].volumes)
    writer.writerow(["case", "mask", "unit", *regions])
    for one in done:
        writer.writerow([one.case, one.mask.name, one.unit, *(one.volumes[region] for region in regions)])
    return text.getvalue()


def _cohort_in(folder: Path, needed: Sequence[str]) -> Iterable[Case]:
    """The cases of a cohort."""
    return read_cohort(folder, options=ReadOptions()).cases


def _pictures_in(folder: Path, needed: Sequence[str]) -> Iterable[Case]:
    """For a classifier of pictures the pictures that lie in the folder, one by one; else the cases of a cohort."""
    pictures = sorted((path for path in folder.iterdir() if _is_picture(path)), key=natural_key)
    if not pictures or tuple(needed) not in (("grey",), COLOURS):
        return as_colours(read_cohort(folder, options=ReadOptions()), needed).cases
    names = unique_ids([_stem(path) for path in pictures], pictures)
    cases = [single(path, needed) for path in pictures]
    return [replace(case, id=name, patient=name) for name, case in zip(names, cases, strict=True)]


def _is_picture(path: Path) -> bool:
    return path.is_file() and path.name.lower().endswith(PICTURE_ENDINGS) and not path.name.startswith(".")


def _cases(
    inputs: Sequence[Path],
    files: Mapping[str, Path],
    needed: Sequence[str],
    in_folder: Callable[[Path, Sequence[str]], Iterable[Case]],
) -> Iterator[Case]:
    if files:
        first = next(iter(files.values()))
        yield Case(_stem(first), _stem(first), {name: _source(path, None) for name, path in files.items()})
    for path in inputs:
        if path.is_dir():
            yield from in_folder(path, needed)
        elif path.exists():
            yield single(path, needed)
        else:
            raise FileError("there is no such file or folder", path=path, remedy="Check the path for a typing error")


def single(path: Path, needed: Sequence[str]) -> Case:
    """One file as a case: a picture's channels by name, a volume as the one modality that the network needs."""
    name = _stem(path)
    if path.name.lower().endswith(PICTURE_ENDINGS):
        _, has_colours = read_picture_header(path)
        channels = {one: _PICTURE_CHANNELS.get(one) for one in needed}
        usable = {
            one: channel for one, channel in channels.items() if has_colours or channel is None or len(needed) == 3
        }
        return Case(name, name, {one: _source(path, channel) for one, channel in usable.items()})
    if len(needed) > 1:
        raise OptionError(
            "one file shows one modality, and the network needs several",
            found=path,
            expected=", ".join(needed),
            remedy="Name the files: " + " ".join(f"--modality {one}=FILE" for one in needed),
        )
    return Case(name, name, {needed[0]: _source(path, None)})


def _source(path: Path, channel: int | None) -> Source:
    lower = path.name.lower()
    if not path.exists():
        raise FileError("there is no such file", path=path, remedy="Check the path for a typing error")
    if lower.endswith(_NIFTI):
        return Source((path,), "nifti", channel)
    if lower.endswith(_META):
        return Source((path,), "metaimage", channel)
    if lower.endswith(PICTURE_ENDINGS):
        return Source((path,), "raster", channel)
    raise FileError(
        "not a file that can be predicted",
        path=path,
        expected=", ".join((*_NIFTI, *_META, *PICTURE_ENDINGS)),
    )


def _stem(path: Path) -> str:
    name = path.name
    for ending in (".nii.gz", *_NIFTI, *_META, *PICTURE_ENDINGS):
        if name.lower().endswith(ending):
            return name[: -len(ending)]
    return path.stem

"""Scans in, masks, volumes and pictures out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from glioseg.cohorts.reading.layout import ReadOptions
from glioseg.cohorts.reading.listing import natural_key
from glioseg.cohorts.reading.naming import unique_ids
from glioseg.cohorts.recognise import read_cohort
from glioseg.console import QUIET, Reporter
from glioseg.core import Case, Image, LabelMap, Source
from glioseg.errors import FileError, GliosegError, OptionError, name_some
from glioseg.evaluation.table import Row, rows_to_csv
from glioseg.inference.bundle import Bundle, load_bundle
from glioseg.inference.ensemble import Voice
from glioseg.inference.predictor import Prediction, Predictor
from glioseg.io.files import cannot_write, replacing, write_json, write_text
from glioseg.io.nifti import write_nifti
from glioseg.io.raster import COLOURS, PICTURE_ENDINGS, read_picture_header, write_picture
from glioseg.machine.device import pick_device, uses_bf16
from glioseg.report.prediction import overlay_picture
from glioseg.runs.class_predicting import Classified, class_members, classified
from glioseg.runs.ensembling import (
    Ensembled,
    contributions,
    ensemble_of,
    load_for,
    require_modalities,
    write_members,
)
from glioseg.runs.material import as_colours

SUMMARY = "summary.csv"
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
    def row(self) -> Row:
        """Its row of ``summary.csv``."""
        return {"case": self.case, "mask": self.mask.name, "unit": self.unit, **self.volumes}

    @property
    def text(self) -> str:
        """One line for people."""
        volumes = ", ".join(f"{region} {volume:g} {self.unit}" for region, volume in self.volumes.items())
        return f"{self.mask}: {volumes}"

    def to_json(self) -> dict[str, Any]:
        """What ``predict --json`` prints of it."""
        return {"case": self.case, "mask": str(self.mask), "unit": self.unit, "volumes": self.volumes}


@dataclass(frozen=True)
class Predictions:
    """What became of the cases of the inputs: those that were predicted, and what is wrong with the others, by id."""

    done: tuple[Predicted | Classified, ...]
    failed: Mapping[str, GliosegError]


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
        patches=info.patches,
        shape=info.shape,
    )


def load_ensemble(folders: Sequence[Path], device: str = "auto") -> Ensembled:
    """The networks of runs or bundles as one; errors as ``load_bundle`` and ``ensembling.ensemble_of``."""
    return _ensembled(folders, [load_bundle(folder) for folder in folders], device)


def _ensembled(folders: Sequence[Path], bundles: Sequence[Bundle], device: str) -> Ensembled:
    for folder, bundle in zip(folders, bundles, strict=True):
        if bundle.info.classes:
            raise OptionError(
                "an ensemble averages networks that segment, and this one is a classifier",
                found=folder,
                remedy="Leave it out; glioseg predict averages classifiers with classifiers",
            )
    return ensemble_of(folders, bundles, [predictor_of(bundle, device) for bundle in bundles])


def predict(
    run: Path,
    inputs: Sequence[Path],
    out: Path,
    *,
    others: Sequence[Path] = (),
    modality_files: Mapping[str, Path] | None = None,
    device: str = "auto",
    reporter: Reporter = QUIET,
) -> Predictions:
    """Predict every case of the inputs: masks, or classes where the network is a classifier.

    A case that cannot be read is left out and does not stop the others.

    Args:
        run: a run folder or a bundle.
        inputs: folders (a case, or a whole cohort) and files (a volume or picture that shows what the network needs).
        out: where the results go.
        others: further runs or bundles, whose probabilities are averaged with the first's.
        modality_files: modality -> file, for one case given file by file.
        device: ``auto``, ``cpu``, ``cuda:N``, ``mps``.
        reporter: shows progress.

    Raises:
        GeometryError: an input lacks a modality that the network needs; nothing has been written then.
        OptionError: no input at all, results that would replace the scans, or networks that do not mean the same.
        FileError: ``out`` cannot be written to.
    """
    bundles = [load_bundle(folder) for folder in (run, *others)]
    files = modality_files or {}
    if bundles[0].info.classes:
        members = class_members((run, *others), bundles, device)
        cases = _checked(_cases(inputs, files, members.modalities, _pictures_in), out)
        for case in cases:
            require_modalities(members.classifiers, case)
        return _each(cases, partial(classified, members, out), out, "Classifying", reporter)
    ensembled = _ensembled((run, *others), bundles, device)
    cases = _checked(_cases(inputs, files, ensembled.ensemble.modalities, _cohort_in), out)
    for case in cases:
        require_modalities(ensembled.ensemble.members, case)
    return _each(cases, partial(_predicted, ensembled, out), out, "Predicting", reporter)


def _checked(cases: Iterable[Case], out: Path) -> list[Case]:
    """The cases, once it is certain that each has files of its own to be written."""
    found = list(cases)
    if not found:
        raise OptionError("there is nothing to predict", expected="a folder, a file, or --modality NAME=FILE")
    twice = {case.id for case in found if sum(case.id == other.id for other in found) > 1}
    if twice:
        raise OptionError("two inputs would be written to the same files", found=name_some(sorted(twice)))
    _spare_inputs(found, out)
    return found


def _each(
    cases: Sequence[Case],
    predicted: Callable[[Case], Callable[[], Predicted | Classified]],
    out: Path,
    title: str,
    reporter: Reporter,
) -> Predictions:
    """Predict case by case; ``predicted`` gives what writes a case's files: all of them, or none."""
    done: list[Predicted | Classified] = []
    failed: dict[str, GliosegError] = {}
    (out / SUMMARY).unlink(missing_ok=True)
    with reporter.progress(title) as step:
        for number, case in enumerate(cases):
            _clear(case, out)
            try:
                write = predicted(case)
            except GliosegError as error:
                failed[case.id] = error
            else:
                done.append(_written(write, case, out))
            step(number + 1, len(cases))
    if done:
        write_text(out / SUMMARY, rows_to_csv([one.row for one in done]))
    return Predictions(tuple(done), failed)


def _written(write: Callable[[], Predicted | Classified], case: Case, out: Path) -> Predicted | Classified:
    try:
        return write()
    except BaseException:
        _clear(case, out)
        raise


def _predicted(ensembled: Ensembled, out: Path, case: Case) -> Callable[[], Predicted]:
    image = load_for(ensembled.ensemble, case)
    prediction, voices = ensembled.ensemble.predict(image)
    return partial(_write_case, ensembled, case, image, prediction, voices, out)


def _clear(case: Case, out: Path) -> None:
    """Remove what an earlier prediction of the case has left, so that nothing stale stands beside new results."""
    for path in _files_of(case, out):
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise cannot_write(path, error) from error
    folder = out / _stem_of(case)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def _files_of(case: Case, out: Path) -> list[Path]:
    """All files that a prediction of the case may write."""
    stem = _stem_of(case)
    names = [f"{stem}.json", f"{stem}.png", f"{stem}_members.png", f"{stem}.nii.gz", f"{stem}_mask.png"]
    names += [f"{stem}/{path.stem}_mask.png" for path in next(iter(case.images.values())).paths]
    return [out / name for name in names]


def _spare_inputs(cases: Sequence[Case], out: Path) -> None:
    """Refuse to write over the scans themselves."""
    scans = {path.resolve() for case in cases for source in case.images.values() for path in source.paths}
    for case in cases:
        for path in _files_of(case, out):
            if path.resolve() in scans:
                raise OptionError(
                    "a result would be written over the scan", path=path, remedy="Name another folder with --out"
                )


def _write_case(
    ensembled: Ensembled, case: Case, image: Image, prediction: Prediction, voices: Sequence[Voice], out: Path
) -> Predicted:
    stem = _stem_of(case)
    unit = "ml" if image.grid.has_mm else "voxels"
    voxel = image.grid.voxel_ml if image.grid.has_mm else 1.0
    maps = [prediction.label_map, *(voice.label_map for voice in voices)]
    each = [_volumes(labels, prediction.regions, voxel) for labels in maps]
    mask = _write_mask(prediction, case, out, stem)
    _write_overlay(image, prediction, out / f"{stem}.png")
    facts = _facts(ensembled, case, image, prediction)
    facts |= {"mask": mask.relative_to(out).as_posix(), "volumes": {"unit": unit, **each[0]}}
    if voices:
        facts["ensemble"] = contributions(ensembled, prediction, voices, each)
        write_members(out / f"{stem}_members.png", image, prediction, voices, ensembled.names, facts["ensemble"])
    write_json(out / f"{stem}.json", facts)
    return Predicted(case.id, mask, each[0], unit)


def _facts(ensembled: Ensembled, case: Case, image: Image, prediction: Prediction) -> dict[str, Any]:
    first = ensembled.infos[0]
    return {
        "case": case.id,
        "labels": dict(prediction.label_map.scheme.labels),
        "regions": {name: list(prediction.label_map.scheme.regions[name]) for name in prediction.regions},
        "grid": {
            "shape": list(image.grid.shape),
            "spacing_mm": list(image.grid.spacing_mm) if image.grid.has_mm else None,
            "orientation": image.grid.orientation,
        },
        "filled": [name for name in ensembled.ensemble.modalities if name not in case.images],
        "model_id": ensembled.model_id,
        "recipe": first.name,
        "use": first.use,
    }


def _stem_of(case: Case) -> str:
    """The name of a case's files."""
    return case.id.replace("/", "_")


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


def _volumes(labels: LabelMap, regions: Sequence[str], voxel: float) -> dict[str, float]:
    """Region -> its volume, a voxel counting ``voxel``."""
    inside = {region: np.isin(labels.array, labels.scheme.values_of(region)) for region in regions}
    return {region: round(int(mask.sum()) * voxel, 4) for region, mask in inside.items()}


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
        has_colours = _has_colours(path)
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


def _has_colours(path: Path) -> bool:
    """Whether a picture has three channels; of a damaged one it is assumed, and said where its pixels are read."""
    try:
        return read_picture_header(path)[1]
    except FileError:
        return True


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

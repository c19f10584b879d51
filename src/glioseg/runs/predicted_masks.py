"""Predicted masks as their files tell of them: the JSON file of a case is its record, checked before it is used."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from glioseg.core import Case, Image, LabelMap, Source
from glioseg.core.case import SourceKind
from glioseg.core.schemes import predicted_scheme
from glioseg.errors import FileError, LabelError, OptionError
from glioseg.io import load_image, load_labels
from glioseg.io.endings import file_kind
from glioseg.io.files import nothing_there
from glioseg.io.text import read_json
from glioseg.report.pixels import main_modality

_ENDS_OF_MASKS = (".nii.gz", ".nii")


class _Read(BaseModel):
    """What is needed of a JSON file; it holds more."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True, allow_inf_nan=False)


class _Scan(_Read):
    """A modality that was read: its files, and which channel of them where they have several."""

    files: list[str] = Field(min_length=1)
    channel: int | None


class MaskRecord(_Read):
    """What the JSON file of a predicted mask must say.

    Args:
        case: its name,
        patient: and whose it is, where that is known.
        day: on the patient's own calendar, where that is known.
        model_id: of the networks.
        mask: the file of the mask, beside this one; None where none was asked for.
        labels: name -> integer,
        regions: and name -> labels.
        volumes: region -> its volume, and ``unit``.
        inputs: modality -> the scan; empty for arrays.
        warnings: what there was to distrust,
        terms: and the terms of the networks.
    """

    case: str
    patient: str | None = None
    day: int | None = None
    model_id: str
    mask: str | None
    labels: dict[str, int]
    regions: dict[str, list[str]] = Field(min_length=1)
    volumes: dict[str, str | float]
    inputs: dict[str, _Scan]
    warnings: list[str] = []
    terms: list[str] = []

    @model_validator(mode="after")
    def _has_volumes(self) -> MaskRecord:
        """Each region has a volume in a unit.

        Raises:
            ValueError: one has none.
        """
        if not isinstance(self.volumes.get("unit"), str):
            raise ValueError("volumes have no unit")
        for region in self.regions:
            volume = self.volumes.get(region)
            if not isinstance(volume, float | int) or volume < 0:
                raise ValueError(f"the volume of {region} is no number from 0")
        return self


_NEEDED = {name for name, field in MaskRecord.model_fields.items() if field.is_required()}


@dataclass(frozen=True, eq=False)
class PredictedMask:
    """A predicted mask.

    Args:
        record: what its JSON file says,
        path: which is this one.
    """

    record: MaskRecord
    path: Path

    @property
    def name(self) -> str:
        """Of the case."""
        return self.record.case

    @property
    def unit(self) -> str:
        """Of the volumes."""
        return str(self.record.volumes["unit"])

    @property
    def volumes(self) -> dict[str, float]:
        """Region -> its volume."""
        return {name: float(self.record.volumes[name]) for name in self.record.regions}

    def mask(self) -> LabelMap:
        """The mask with its meaning.

        Raises:
            FileError: there is none, it cannot be read, or the record gives it a meaning that there cannot be.
        """
        if self.record.mask is None:
            raise FileError(
                "the case has no mask to be compared", path=self.path, remedy="Predict it with nifti among `--write`"
            )
        try:
            scheme = predicted_scheme(self.record.labels, self.record.regions)
        except LabelError as error:
            raise _damaged(self.path, error.text.rstrip(".")) from error
        source = Source((self.path.parent / self.record.mask,), "nifti")
        return load_labels(Case(self.name, self.name, {"mask": source}, labels=source), scheme)

    def scan(self) -> Image:
        """The scan that shows tumours best, from the files that the record names.

        Raises:
            OptionError: it was an array, or DICOM, whose names are not kept.
            FileError: it is not there any more.
        """
        inputs = self.record.inputs
        if not inputs:
            raise OptionError("the scan was given as an array", found=self.name, remedy="Name the scans with `--scans`")
        (name,) = main_modality(inputs)[:1]
        return load_image(Case(self.name, self.name, {name: _source(name, inputs[name])}), [name])


def predicted_masks(path: Path) -> Iterator[PredictedMask]:
    """The predictions of a folder, or that of a file (the record or the mask).

    Raises:
        FileError: there is none, or a record is damaged.
    """
    if path.is_dir():
        there = [mask for file in sorted(path.glob("*.json")) if (mask := _predicted_mask(file)) is not None]
        if not there:
            raise _no_prediction(path)
        yield from there
        return
    ending = next((end for end in _ENDS_OF_MASKS if path.name.endswith(end)), path.suffix)
    only = _predicted_mask(path.with_name(f"{path.name.removesuffix(ending)}.json"))
    if only is None:
        raise _no_prediction(path) if path.exists() else nothing_there(path)
    yield only


def _predicted_mask(file: Path) -> PredictedMask | None:
    """What a JSON file says of a predicted mask; None where it is something else."""
    try:
        said = read_json(file)
    except (FileError, OSError):
        return None
    if not isinstance(said, dict) or not set(said) >= _NEEDED:
        return None
    try:
        return PredictedMask(MaskRecord.model_validate(said), file)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise _damaged(file, f"{place}: {first['msg']}" if place else first["msg"]) from error


def _damaged(file: Path, found: str) -> FileError:
    return FileError(
        "the record of a predicted mask was changed or damaged",
        path=file,
        found=found,
        remedy="Predict the scan again",
    )


def _no_prediction(path: Path) -> FileError:
    return FileError(
        "there is no predicted mask",
        path=path,
        expected="a folder that predict wrote, or the JSON file or mask of a case in it",
        remedy="Predict the scans first",
    )


def _source(name: str, facts: _Scan) -> Source:
    paths = tuple(Path(file) for file in facts.files)
    kind: SourceKind | None = file_kind(paths[0])
    if kind is None:
        remedy = "Name the studies with `--scans`"
        raise OptionError("names of DICOM files are not kept in the record of a case", found=name, remedy=remedy)
    if not all(path.is_file() for path in paths):
        raise FileError("the scan is not where it was", path=facts.files[0], remedy="Name the scans with `--scans`")
    return Source(paths, kind, facts.channel)

"""What networks that are averaged have in common, whatever they are asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from glioseg.cohorts.reading.case_names import case_name
from glioseg.core import Case, Source
from glioseg.core.modalities import named_among
from glioseg.errors import FileError, OptionError
from glioseg.inference.bundle import Bundle
from glioseg.inference.classifier import Classifier
from glioseg.inference.predictor import Predictor
from glioseg.io.endings import PICTURE_ENDINGS, VOLUME_ENDINGS, file_kind, file_stem
from glioseg.io.raster import read_picture_header

_PICTURE_CHANNELS = {"pre": 0, "flair": 1, "post": 2, "red": 0, "green": 1, "blue": 2}


def require_once_each(folders: Sequence[Path], bundles: Sequence[Bundle]) -> None:
    """Refuse an ensemble that holds a network twice.

    Raises:
        OptionError: two bundles with the same weights.
    """
    by_weights: dict[str | None, Path] = {}
    for folder, bundle in zip(folders, bundles, strict=True):
        first = by_weights.setdefault(bundle.info.weights, folder)
        if first is not folder:
            raise OptionError(
                "an ensemble holds each network once",
                found=f"{first} and {folder} hold the same weights",
                remedy="Leave one of them out",
            )


def require_modalities(networks: Iterable[Predictor | Classifier], case: Case) -> None:
    """Raise a GeometryError unless each network can see the case."""
    for member in networks:
        member.shown(tuple(case.images), case)


def filled_modalities(networks: Iterable[Predictor | Classifier], present: Sequence[str]) -> list[str]:
    """Modalities that some network needs and is shown something else in the place of, in the order of first mention."""
    filled = (
        name
        for member in networks
        for shown in [member.shown(present)]
        for name in member.modalities
        if name not in shown
    )
    return list(dict.fromkeys(filled))


_T = TypeVar("_T")


def called_as(named: Mapping[str, _T], known: Sequence[str]) -> dict[str, _T]:
    """What stands under names of modalities, under those that a network knows; older names resolve to these.

    Raises:
        OptionError: two names of one modality.
    """
    called = {name: named_among(name, known) for name in named}
    if len(set(called.values())) < len(called):
        raise OptionError("a modality is given twice", found=", ".join(called))
    return {called[name]: thing for name, thing in named.items()}


def case_called_as(case: Case, known: Sequence[str]) -> Case:
    """A case with its modalities called as a network calls them, where one is an alias of the other."""
    return replace(case, images=called_as(case.images, known))


def stem_of(case: Case) -> str:
    """The name of a case's files."""
    return stem_of_name(case.id)


def stem_of_name(name: str) -> str:
    """The same from what the case is called; no part of it is a folder."""
    return name.replace("/", "_").replace("\\", "_")


def single_case(path: Path, needed: Sequence[str]) -> Case:
    """One file as a case: a picture's channels by name, a volume as the one modality that the network needs."""
    name = file_stem(path)
    if file_kind(path) == "raster":
        has_colours = _has_colours(path)
        channels = {modality: _PICTURE_CHANNELS.get(modality) for modality in needed}
        images = {
            modality: source_of(path, channel)
            for modality, channel in channels.items()
            if has_colours or channel is None or len(needed) == 3
        }
        return Case(name, name, images)
    if len(needed) > 1:
        raise OptionError(
            "one file shows one modality, and the network needs several",
            found=path,
            expected=", ".join(needed),
            remedy="Name the files: " + " ".join(f"--modality {modality}=FILE" for modality in needed),
        )
    name = case_name([path])
    return Case(name, name, {needed[0]: source_of(path, None)})


def _has_colours(path: Path) -> bool:
    """Whether a picture has three channels; of a damaged one it is assumed, and said where its pixels are read."""
    try:
        return read_picture_header(path)[1]
    except FileError:
        return True


def source_of(path: Path, channel: int | None) -> Source:
    """The source in a file that a user named, by its ending."""
    if not path.exists():
        raise FileError("there is no such file", path=path, remedy="Check the path for a typing error")
    kind = file_kind(path)
    if kind is not None and kind != "hdf5":  # HDF5 slices are read as a cohort, never one by one
        return Source((path,), kind, channel)
    raise FileError(
        "not a file that can be predicted",
        path=path,
        expected=", ".join((*VOLUME_ENDINGS, *PICTURE_ENDINGS)),
    )

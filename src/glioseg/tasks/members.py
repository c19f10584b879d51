"""What networks that are averaged have in common, whatever they are asked for."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from glioseg.cohorts.layouts.lgg import MODALITIES as LGG_CHANNELS
from glioseg.cohorts.reading.case_names import case_name
from glioseg.cohorts.reading.pictures import picture_sources
from glioseg.core import Case, Cohort, Source
from glioseg.core.modalities import named_among, our_names, sequence_of, split_sequence
from glioseg.errors import FileError, OptionError
from glioseg.inference.bundle import Bundle
from glioseg.inference.classifier import Classifier
from glioseg.inference.modalities import said_by_files
from glioseg.inference.predictor import Predictor
from glioseg.io.endings import PICTURE_ENDINGS, VOLUME_ENDINGS, file_kind, file_stem
from glioseg.io.files import names_apart
from glioseg.io.load import read_n_channels
from glioseg.io.raster import COLOURS, read_picture_header

_THREE_CHANNELS = (COLOURS, LGG_CHANNELS)
"""Modalities that are the three channels of a picture."""
_IN_NO_NAME = re.compile(r'[<>:"/\\|?*\x00-\x1f]')
_ENDS_BADLY = re.compile(r"[. ]+$")
_DEVICE = re.compile(r"CON|PRN|AUX|NUL|COM\d|LPT\d", re.IGNORECASE)
"""What Windows takes for something else than a file, and what no name there may hold or end with."""


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


def called_as(by_name: Mapping[str, _T], modalities: Sequence[str]) -> dict[str, _T]:
    """What stands under names of modalities, under those that a network knows; older names resolve to these.

    Raises:
        OptionError: two names of one modality.
    """
    called = {name: named_among(name, modalities) for name in by_name}
    if len(set(called.values())) < len(called):
        raise OptionError(
            "a modality is given twice",
            found=", ".join(called),
            expected=f"each of {', '.join(modalities)} once",
            remedy=f"Say {said_by_files(modalities)}",
        )
    return {called[name]: value for name, value in by_name.items()}


def stem_of(case: Case) -> str:
    """The name of a case's files."""
    return stem_of_name(case.id)


def stem_of_name(name: str) -> str:
    """The same from what the case is called: no part of it is a folder, and every system takes it as a file's name."""
    stem = _ENDS_BADLY.sub(lambda end: "_" * len(end[0]), _IN_NO_NAME.sub("_", name))
    return f"_{stem}" if _DEVICE.fullmatch(stem.partition(".")[0]) else stem


def named_as_files(regions: Sequence[str]) -> dict[str, str]:
    """Region -> what it is called in names of files, as ``stem_of_name``, each otherwise than the others."""
    return dict(zip(regions, names_apart(regions, stem_of_name), strict=True))


def fitted(case: Case, needed: Sequence[str]) -> Case:
    """A case with its images called as a network calls what it sees, where it is certain which is meant.

    Older names mean ours; the colours of a picture are a network's three channels in their order; a picture of equal
    colours is as good as a grey one, and a grey one as three equal colours; and where a network sees one modality, an
    only image whose name says none is it.
    """
    images = {name: case.images[called] for name in needed if (called := named_among(name, case.images)) in case.images}
    if not images:
        images = _as_pictures(case, needed) or _as_the_only_one(case, needed)
    others = {name: source for name, source in case.images.items() if source not in images.values()}
    return replace(case, images={**images, **others})


def fitted_cohort(cohort: Cohort, needed: Sequence[str]) -> Cohort:
    """A cohort with each of its cases ``fitted``."""
    cases = tuple(fitted(case, needed) for case in cohort.cases)
    names = {name for case in cases for name in case.images}
    order = (*needed, *cohort.modalities)
    return replace(cohort, cases=cases, modalities=tuple(dict.fromkeys(name for name in order if name in names)))


def _as_pictures(case: Case, needed: Sequence[str]) -> dict[str, Source]:
    """The colours of a picture, or what is seen of a grey one, as what a network needs; nothing for other cases."""
    names = tuple(case.images)
    first = next(iter(case.images.values()))
    if first.kind != "raster" or names not in (COLOURS, ("grey",)):
        return {}
    if len(needed) == 1:
        return {needed[0]: replace(first, channel=None)}
    if tuple(needed) in _THREE_CHANNELS:
        return {name: replace(first, channel=channel) for channel, name in enumerate(needed)}
    return {}


def _as_the_only_one(case: Case, needed: Sequence[str]) -> dict[str, Source]:
    (name, source), *others = case.images.items()
    if others or len(needed) > 1 or sequence_of(name) is not None:
        return {}
    return {needed[0]: source}


def single_case(path: Path, needed: Sequence[str], modalities: Sequence[str] | None = None) -> Case:
    """One file as a case: the channels of a picture, of a volume in the order of ``modalities``, or the one modality
    that the name of a file says, of a network that sees several and may do with it alone.

    Raises:
        FileError: no such file, or none that is read.
        OptionError: one modality where the network needs several, or names for another number of channels.
    """
    source = source_of(path, None)
    (path,) = source.paths
    name = file_stem(path) if source.kind == "raster" else case_name([path])
    if source.kind == "raster":
        channels = picture_sources(path, COLOURS if _has_colours(path) else ("grey",))
        if len(needed) in (1, len(COLOURS)):
            return fitted(Case(name, name, channels), needed)
    elif modalities is not None:
        n_channels = read_n_channels(source)
        if n_channels != len(modalities):
            raise OptionError(
                "one name for each channel is needed",
                found=", ".join(modalities),
                expected=f"{n_channels} for {path.name}",
            )
        channels = {
            modality: replace(source, channel=channel if n_channels > 1 else None)
            for channel, modality in enumerate(our_names(modalities))
        }
        return fitted(Case(name, name, channels), needed)
    elif len(needed) == 1:
        return Case(name, name, {needed[0]: source})
    elif (said := named_among(split_sequence(file_stem(path))[1], needed)) in needed:
        return Case(name, name, {said: source})
    raise OptionError(
        "one file shows one modality, and the network needs several",
        found=path,
        expected=", ".join(needed),
        remedy=f"Name the files: {said_by_files(needed)}; "
        "or the channels of the file in their order: `--modalities NAMES`",
    )


def files_of(case: Case, modalities: Sequence[str]) -> dict[str, str]:
    """Modality -> the file that it is taken from (of a stack the folder, with how many they are)."""
    return {name: _file_words(case.images[name]) for name in modalities if name in case.images}


def _file_words(source: Source) -> str:
    if source.name is not None:
        return source.name
    first = source.paths[0]
    words = str(first) if len(source.paths) == 1 else f"{first.parent} ({len(source.paths)} files)"
    return words if source.channel is None else f"{words}, channel {source.channel + 1}"


def _has_colours(path: Path) -> bool:
    """Whether a picture has three channels; of a damaged one it is assumed, and said where its pixels are read."""
    try:
        return read_picture_header(path)[1]
    except FileError:
        return True


def source_of(path: Path, channel: int | None) -> Source:
    """The source in a file that a user named, by its ending; records name it wherever they are read."""
    if not path.exists():
        raise FileError("there is no such file", path=path, remedy="Check the path for a typing error")
    kind = file_kind(path)
    if kind is not None and kind != "hdf5":  # HDF5 slices are read as a cohort, never one by one
        whole = Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would turn the user's links into other names
        return Source((whole,), kind, channel)
    raise FileError(
        "not a file that can be predicted",
        path=path,
        expected=", ".join((*VOLUME_ENDINGS, *PICTURE_ENDINGS)),
    )

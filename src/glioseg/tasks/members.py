"""What networks that are averaged have in common, whatever they are asked for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from glioseg.core import Case, Source
from glioseg.errors import FileError, OptionError
from glioseg.inference.bundle import Bundle
from glioseg.inference.classifier import Classifier
from glioseg.inference.predictor import Predictor, missing_modality_error
from glioseg.io.endings import PICTURE_ENDINGS
from glioseg.io.raster import read_picture_header

_NIFTI = (".nii", ".nii.gz")
_META = (".mha", ".mhd", ".nrrd")
_PICTURE_CHANNELS = {"pre": 0, "flair": 1, "post": 2, "red": 0, "green": 1, "blue": 2}


def require_once_each(folders: Sequence[Path], bundles: Sequence[Bundle]) -> None:
    """Refuse an ensemble that holds a network twice.

    Raises:
        OptionError: two bundles with the same weights.
    """
    seen: dict[str, Path] = {}
    for folder, bundle in zip(folders, bundles, strict=True):
        same = seen.setdefault(bundle.info.model_id, folder)
        if same is not folder:
            raise OptionError(
                "an ensemble holds each network once",
                found=f"{same} and {folder} hold the same weights",
                remedy="Leave one of them out",
            )


def require_modalities(networks: Iterable[Predictor | Classifier], case: Case) -> None:
    """Raise a GeometryError unless each network can see the case."""
    for member in networks:
        missing = [name for name in member.modalities if name not in case.images]
        if missing and not member.can_do_without(missing, tuple(case.images)):
            raise missing_modality_error(missing, member.modalities, tuple(case.images), case)


def stem_of(case: Case) -> str:
    """The name of a case's files."""
    return case.id.replace("/", "_")


def single_case(path: Path, needed: Sequence[str]) -> Case:
    """One file as a case: a picture's channels by name, a volume as the one modality that the network needs."""
    name = stem_of_file(path)
    if path.name.lower().endswith(PICTURE_ENDINGS):
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
    return Case(name, name, {needed[0]: source_of(path, None)})


def _has_colours(path: Path) -> bool:
    """Whether a picture has three channels; of a damaged one it is assumed, and said where its pixels are read."""
    try:
        return read_picture_header(path)[1]
    except FileError:
        return True


def source_of(path: Path, channel: int | None) -> Source:
    """The source in a file that a user named, by its ending."""
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


def stem_of_file(path: Path) -> str:
    """A file's name without its ending, ``.nii.gz`` as a whole."""
    name = path.name
    for ending in (".nii.gz", *_NIFTI, *_META, *PICTURE_ENDINGS):
        if name.lower().endswith(ending):
            return name[: -len(ending)]
    return path.stem

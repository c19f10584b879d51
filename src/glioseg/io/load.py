"""The only way from a case to its pixels."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from glioseg.core import Case, Grid, Image, LabelMap, LabelScheme, Source
from glioseg.core.labels import distinct
from glioseg.core.layers import compose
from glioseg.errors import GeometryError, GliosegError, LabelError, name_some
from glioseg.io import hdf5, metaimage, nifti, raster
from glioseg.io.dicom.voxels import read_dicom, read_dicom_grid
from glioseg.io.endings import LOSSY_ENDINGS, file_kind, has_ending

_PART = 1 << 18
_ROUND_OFF = 1e-3
_ODD_VALUES_SAID = 3


class Voxels(NamedTuple):
    """The voxels of one channel, (X, Y, Z), in the file's own type, and where they lie."""

    array: npt.NDArray[Any]
    grid: Grid


def load_image(case: Case, modalities: Sequence[str] | None = None) -> Image:
    """The image of a case, with the named modalities in that order (all that the case has, unless named).

    The array keeps the files' type where all modalities share one and is float32 otherwise.

    Args:
        case: where the files are.
        modalities: names of the channels.

    Raises:
        FileError: a file is missing, truncated or damaged.
        GeometryError: the case lacks a modality, or has none; modalities lie on different grids.
    """
    names = tuple(case.images if modalities is None else modalities)
    missing = [name for name in names if name not in case.images]
    if missing or not names:
        what = ", ".join(missing) or "any image"
        raise GeometryError(f"case {case.id} lacks {what}", found=", ".join(case.images) or "none")
    sources = {name: case.images[name] for name in names}
    volumes = read_sources(sources)
    loaded: dict[str, Voxels] = {}
    for name, voxels in volumes.items():
        if isinstance(voxels, GliosegError):
            raise voxels
        _require_same_grid(case.id, sources, name, loaded, voxels)
        loaded[name] = voxels
    return stacked(loaded)


def stacked(loaded: Mapping[str, Voxels]) -> Image:
    """Modalities of one grid, at least one, as an image.

    The array keeps the type that all channels share and is float32 otherwise.
    """
    grid = next(iter(loaded.values())).grid
    kinds = {voxels.array.dtype for voxels in loaded.values()}
    dtype = kinds.pop() if len(kinds) == 1 else np.dtype(np.float32)
    slices = np.empty((len(loaded), *grid.shape[::-1]), dtype=dtype.newbyteorder("="))
    array = slices.transpose(0, 3, 2, 1)  # memory runs along X first, as in the files: copied in the order it is read
    for row, voxels in enumerate(loaded.values()):
        array[row] = voxels.array
    return Image(array, tuple(loaded), grid)


def load_labels(case: Case, scheme: LabelScheme) -> LabelMap:
    """The reference of a case in its scheme, uint8.

    Raises:
        FileError: a file is missing, truncated or damaged.
        LabelError: the case has no reference, or values that the scheme does not know or that are not whole numbers.
    """
    if case.labels is None:
        raise LabelError(f"case {case.id} has no reference")
    voxels = read_labels(case.labels, scheme)
    try:
        return LabelMap(voxels.array, scheme, voxels.grid)
    except LabelError as error:
        raise LabelError(
            error.what, path=case.labels.paths[0], found=error.found, expected=error.expected, remedy=error.remedy
        ) from error


def read_labels(source: Source, scheme: LabelScheme) -> Voxels:
    """The integers of a reference, whether or not the scheme knows them: uint8, or int32 where they are larger.

    Masks in pictures are thresholded (see ``raster.binary_mask``) where the scheme has one label, or the source says
    which one they show, else their grey values are the integers (nnU-Net's PNG); HDF5 masks (one channel per label)
    become the labels' integers, later channels over earlier ones; masks of a region each are composed
    (``core.layers``), whatever is not 0 being inside.
    """
    path = source.paths[0]
    if source.layers:
        return _composed(source, scheme)
    if source.kind == "raster":
        return _picture_labels(source, scheme)
    if source.kind == "hdf5":
        return _hdf5_labels(source, scheme)
    voxels = read_sources({"labels": source})["labels"]
    if isinstance(voxels, GliosegError):
        raise voxels
    return Voxels(whole_numbers(voxels.array, path), voxels.grid)


def read_sources(sources: Mapping[str, Source]) -> dict[str, Voxels | GliosegError]:
    """The voxels of every source, each file read once however many of its channels are asked for.

    What cannot be read is returned as its error, so that a check can go on with the rest.
    """
    groups: dict[tuple[tuple[Path, ...], str | None], list[str]] = defaultdict(list)
    for name, source in sources.items():
        groups[source.paths, source.dataset].append(name)
    voxels: dict[str, Voxels | GliosegError] = {}
    for names in groups.values():
        try:
            array, grid = _read_files(sources[names[0]])
        except GliosegError as error:
            voxels |= dict.fromkeys(names, error)
            continue
        for name in names:
            try:
                voxels[name] = _slice(Voxels(_channel(array, sources[name]), grid), sources[name])
            except GliosegError as error:
                voxels[name] = error
    return {name: voxels[name] for name in sources}


def read_grid(source: Source) -> Grid:
    """The grid of a source, from headers alone."""
    path = source.paths[0]
    if source.kind == "nifti":
        return _slice_grid(nifti.read_nifti_grid(path)[0], source)
    if source.kind == "metaimage":
        return _slice_grid(metaimage.read_metaimage_grid(path)[0], source)
    if source.kind == "hdf5":
        return hdf5.hdf5_grid(path, source.dataset or "image", len(source.paths))[0]
    if source.kind == "dicom":
        return read_dicom_grid(source.paths, int(source.dataset or 0), source.shown)
    columns, rows = raster.read_picture_header(path)[0]
    return Grid.of_pictures((columns, rows, len(source.paths)))


def read_n_channels(source: Source) -> int:
    """How many channels a file has, from its header alone."""
    path = source.paths[0]
    if source.kind == "nifti":
        return nifti.read_nifti_grid(path)[1]
    if source.kind == "metaimage":
        return metaimage.read_metaimage_grid(path)[1]
    if source.kind == "hdf5":
        return hdf5.hdf5_grid(path, source.dataset or "image", 1)[1]
    if source.kind == "dicom":
        return 1
    return 3 if raster.read_picture_header(path)[1] else 1


def oddity(source: Source) -> str | None:
    """What is odd of the files of a source that are read all the same, in words; None where nothing is."""
    if source.kind == "nifti":
        return nifti.oddity(source.paths[0])
    if source.kind == "raster" and len(source.paths) == 1 and raster.is_turned(source.paths[0]):
        return f"{source.paths[0].name} is turned as its EXIF data says, and as every viewer shows it"
    return None


def _require_same_grid(
    case_id: str, sources: Mapping[str, Source], name: str, loaded: Mapping[str, Voxels], voxels: Voxels
) -> None:
    """Every channel is compared with the first."""
    first = next(iter(loaded), None)
    difference = None if first is None else loaded[first].grid.difference(voxels.grid)
    if difference is not None:
        raise GeometryError(
            f"{name} and {first} of case {case_id} lie on different grids",
            path=sources[name].shown,
            found=difference,
            remedy="Predict with `--register`; for training and scoring bring them to one grid first",
        )


def _read_files(source: Source) -> tuple[npt.NDArray[Any], Grid]:
    """(X, Y, Z) or (X, Y, Z, C) and the grid."""
    if source.kind == "nifti":
        return nifti.read_nifti(source.paths[0], source.max_voxels)
    if source.kind == "metaimage":
        return metaimage.read_metaimage(source.paths[0], source.max_voxels)
    if source.kind == "hdf5":
        return hdf5.read_hdf5_stack(source.paths, source.dataset or "image", source.max_voxels), read_grid(source)
    if source.kind == "dicom":
        return read_dicom(source.paths, int(source.dataset or 0), source.max_voxels, source.shown)
    array = raster.read_stack(source.paths, source.max_voxels)
    return array, Grid.of_pictures(array.shape)


def _channel(array: npt.NDArray[Any], source: Source) -> npt.NDArray[Any]:
    path = source.paths[0]
    if array.ndim == 3:
        if source.channel is None or source.channel == 0 or source.kind == "raster":
            return array  # a grey picture shows the same in all three colours
        raise GeometryError("the file has one channel", path=path, expected=f"channel {source.channel}")
    if source.channel is None and source.kind == "raster":
        return raster.as_grey(array, path)
    if source.channel is None:
        raise GeometryError("the file has several channels", path=path, found=array.shape[3], expected=1)
    if source.channel >= array.shape[3]:
        raise GeometryError(
            "the file has too few channels", path=path, found=array.shape[3], expected=f"channel {source.channel}"
        )
    channel: npt.NDArray[Any] = array[..., source.channel]
    return channel


def _slice(voxels: Voxels, source: Source) -> Voxels:
    """The one slice of a volume that the source names, or all of it."""
    grid = _slice_grid(voxels.grid, source)
    if source.slice_index is None:
        return voxels
    return Voxels(voxels.array[:, :, source.slice_index : source.slice_index + 1], grid)


def _slice_grid(grid: Grid, source: Source) -> Grid:
    z = source.slice_index
    if z is None:
        return grid
    if z >= grid.shape[2]:
        raise GeometryError(
            "the volume has too few slices", path=source.paths[0], found=grid.shape[2], expected=f"slice {z}"
        )
    return grid.cropped(((0, grid.shape[0]), (0, grid.shape[1]), (z, z + 1)))


def whole_numbers(array: npt.NDArray[Any], path: Path | None = None) -> npt.NDArray[np.integer]:
    """Integers of a small type; a label map stored as float is fine as long as its values are whole but for rounding.

    Raises:
        LabelError: values further than a thousandth from a whole number, of which some are said.
    """
    odd = _fractions(array) if array.dtype.kind == "f" else []
    if odd:
        raise LabelError(
            "the label map holds values that are not whole numbers",
            path=path,
            found=", ".join(f"{value:.6g}" for value in odd),
            expected="labels such as 0, 1, 2",
            remedy="Resample label maps by the nearest voxel, and give probabilities a threshold, before they are read",
        )
    rounded = np.rint(array) if array.dtype.kind == "f" else array
    small = rounded.size == 0 or (rounded.min() >= 0 and rounded.max() < 256)
    return rounded.astype(np.uint8 if small else np.int32)


def _fractions(array: npt.NDArray[np.floating]) -> list[float]:
    """A few of the values that are no whole numbers.

    In parts: masks are stored as float64 now and then, and a few copies of such a volume fill the memory.
    """
    flat = array.ravel(order="K")
    for start in range(0, flat.size, _PART):
        part = flat[start : start + _PART]
        with np.errstate(invalid="ignore"):
            odd = part[~(np.abs(part - np.rint(part)) <= _ROUND_OFF)]
        if odd.size:
            return [float(value) for value in np.unique(odd)[:_ODD_VALUES_SAID]]
    return []


def _composed(source: Source, scheme: LabelScheme) -> Voxels:
    """One label map of masks of a region each, which must lie on one grid."""
    masks: list[npt.NDArray[np.bool_]] = []
    grid: Grid | None = None
    for path in source.paths:
        voxels = _region_mask(replace(source, paths=(path,), layers=(), kind=file_kind(path) or source.kind), scheme)
        difference = None if grid is None else grid.difference(voxels.grid)
        if difference is not None:
            raise GeometryError(
                f"the masks of the regions lie on different grids, {path.name} on another than {source.paths[0].name}",
                path=path,
                found=difference,
                remedy="Resample them to one grid first, by the nearest voxel",
            )
        grid = grid or voxels.grid
        masks.append(np.asarray(voxels.array != 0))
    try:
        return Voxels(compose(masks, source.layers, scheme), voxels.grid)
    except LabelError as error:
        raise LabelError(
            error.what, path=source.paths[0], found=error.found, expected=error.expected, remedy=error.remedy
        ) from error


def _region_mask(source: Source, scheme: LabelScheme) -> Voxels:
    """A mask of one region: a picture is thresholded, a volume holds one value beside 0."""
    if source.kind == "raster":
        return read_labels(replace(source, value=1), scheme)
    voxels = read_labels(source, scheme)
    values = [value for value in distinct(voxels.array) if value != 0]
    if len(values) > 1:
        raise LabelError(
            "the mask of one region holds several values",
            path=source.paths[0],
            found=name_some(values),
            expected="0 and another",
            remedy="If it is a label map, move the masks of single regions beside it elsewhere",
        )
    return voxels


def _picture_labels(source: Source, scheme: LabelScheme) -> Voxels:
    path = source.paths[0]
    lossy = has_ending(path, LOSSY_ENDINGS)
    if source.value == 0:
        grid = read_grid(source)
        return Voxels(np.zeros(grid.shape, dtype=np.uint8), grid)
    if source.value is not None or len(scheme.labels) == 1:
        masks = [raster.read_mask(picture, source.max_voxels)[0] for picture in source.paths]
        slices = [raster.binary_mask(mask, lossy=lossy) for mask in masks]
        value = next(iter(scheme.labels.values())) if source.value is None else source.value
        mask = raster.stack_slices(_same_size(slices, source.paths)) * np.uint8(value)
        return Voxels(mask, Grid.of_pictures(mask.shape))
    stack = raster.read_stack(source.paths, source.max_voxels)
    if lossy or stack.ndim != 3:
        raise LabelError(
            f"the labels of scheme {scheme.name} cannot be told apart in this picture",
            path=path,
            found="a JPEG, whose compression changes the values" if lossy else "colours",
            expected="a grey PNG, TIFF or BMP whose values are the labels",
            remedy="Where the mask shows one label, say `--scheme binary`",
        )
    return Voxels(whole_numbers(stack, path), Grid.of_pictures(stack.shape))


def _hdf5_labels(source: Source, scheme: LabelScheme) -> Voxels:
    channels = hdf5.read_hdf5_stack(source.paths, source.dataset or "mask", source.max_voxels)
    if source.value is not None:
        mask = (channels[..., source.channel or 0] > 0).astype(np.uint8) * np.uint8(source.value)
        return Voxels(mask, read_grid(source))
    if channels.shape[3] != len(scheme.labels):
        raise LabelError(
            f"a mask needs one channel for each label of scheme {scheme.name}",
            path=source.paths[0],
            found=f"{channels.shape[3]} channels",
            expected=", ".join(scheme.labels),
            remedy="Choose with `--scheme` the scheme that the labels were drawn with",
        )
    labels = np.zeros(channels.shape[:3], dtype=np.uint8)
    for channel, value in enumerate(scheme.labels.values()):
        labels[channels[..., channel] > 0] = value
    return Voxels(labels, read_grid(source))


def _same_size(slices: list[npt.NDArray[np.uint8]], paths: Sequence[Path]) -> list[npt.NDArray[np.uint8]]:
    for mask, path in zip(slices, paths, strict=True):
        if mask.shape != slices[0].shape:
            raise GeometryError(
                "the masks of one stack differ in size", path=path, found=mask.shape, expected=slices[0].shape
            )
    return slices

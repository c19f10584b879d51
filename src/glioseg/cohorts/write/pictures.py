"""Writers of single pictures: with masks (``pairs``), or sorted by what they show (``classes``)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from glioseg.cohorts.write.axial import as_axial, axial_spacing, to_8_bit
from glioseg.cohorts.write.case import (
    CohortPlace,
    LoadedCase,
    WriteOptions,
    Written,
    labels_in,
    require_modalities,
    safe_name,
)
from glioseg.cohorts.write.volumes import write_facts
from glioseg.core import scheme_named
from glioseg.errors import LabelError, LayoutError
from glioseg.io.raster import write_picture

_MASK_WHITE = np.uint8(255)


class _Slice(NamedTuple):
    name: str
    pixels: npt.NDArray[np.uint8]
    mask: npt.NDArray[np.uint8] | None


def write_pairs(case: LoadedCase, place: CohortPlace, out: Path, options: WriteOptions) -> Written:
    """``images/CASE_040.png`` and ``masks/CASE_040.png`` (0/255): axial slices of one modality, 8 bit, grey.

    Slices without signal are left out.

    Raises:
        GeometryError: the modality is missing.
        LabelError: labels that are no tumour.
    """
    names = []
    for picture in _slices(case, options):
        write_picture(out / "images" / f"{picture.name}.png", picture.pixels, sync=False)
        if picture.mask is not None:
            write_picture(out / "masks" / f"{picture.name}.png", picture.mask, sync=False)
        names.append(picture.name)
    return _written(case, options, names)


def write_classes(case: LoadedCase, place: CohortPlace, out: Path, options: WriteOptions) -> Written:
    """The same pictures in ``yes/`` where they show tumour and in ``no/`` where they do not.

    Raises:
        GeometryError: the modality is missing.
        LabelError: no labels, or labels that are no tumour.
    """
    names = []
    for picture in _slices(case, options):
        if picture.mask is None:
            raise LabelError(f"case {case.id} cannot be written as classes: it has no labels")
        category = "yes" if picture.mask.any() else "no"
        write_picture(out / category / f"{picture.name}.png", picture.pixels, sync=False)
        names.append(f"{category}_{picture.name}")
    return _written(case, options, names)


def write_class_tables(written: Sequence[Written], out: Path, options: WriteOptions) -> None:
    """``facts.csv``.

    Raises:
        LayoutError: all pictures are of one class, which nobody would recognise as classes.
    """
    categories = sorted({name.partition("_")[0] for case in written for name in case.pictures or ()})
    if len(categories) < 2:
        raise LayoutError(
            "classes need pictures with and without tumour",
            found=f"only {', '.join(categories)}" if categories else "no picture",
        )
    write_facts(written, out, options)


def _slices(case: LoadedCase, options: WriteOptions) -> Iterator[_Slice]:
    (volume,) = require_modalities(case, (_modality(case, options),), "pictures")
    pixels = to_8_bit(as_axial(volume, case.image.grid))
    labels = labels_in(case, scheme_named("binary"))
    masks = None if labels is None else as_axial(labels, case.image.grid).astype(np.uint8) * _MASK_WHITE
    spacing = axial_spacing(case.image.grid)
    step = 1 if spacing is None else max(1, round(options.picture_gap_mm / spacing))
    n_slices = pixels.shape[2]
    for index in range(min(step, n_slices) // 2, n_slices, step):  # of a thin stack the middle
        if pixels[:, :, index].any():
            name = f"{safe_name(case.id)}_{index:03d}"
            yield _Slice(name, pixels[:, :, index], None if masks is None else masks[:, :, index])


def _modality(case: LoadedCase, options: WriteOptions) -> str:
    if options.picture_modality is not None:
        return options.picture_modality
    return next((name for name in ("t2f", "flair") if name in case.image.modalities), case.image.modalities[0])


def _written(case: LoadedCase, options: WriteOptions, names: Sequence[str]) -> Written:
    scheme = scheme_named("binary") if case.labels is not None else None
    modalities = (_modality(case, options),)
    return Written(safe_name(case.id), case.id, case.patient, case.facts, modalities, scheme, pictures=tuple(names))

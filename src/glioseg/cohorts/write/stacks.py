"""Writers of one file per slice: BraTS 2020 as HDF5, and LGG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np

from glioseg.cohorts.reading.tables import fact_columns, write_rows
from glioseg.cohorts.write.axial import as_axial, fitted, to_8_bit
from glioseg.cohorts.write.case import CohortPlace, LoadedCase, WriteOptions, Written, labels_in, require_modalities
from glioseg.cohorts.write.volumes import write_clinical_tables
from glioseg.core import scheme_named
from glioseg.core.modalities import MODALITY_ORDER
from glioseg.errors import LabelError
from glioseg.io.hdf5 import write_hdf5_slice
from glioseg.io.raster import write_picture

_H5_LABELS = ("NCR", "ED", "ET")
_H5_COLUMNS = (
    *("slice_path", "target", "volume", "slice"),
    *("label0_pxl_cnt", "label1_pxl_cnt", "label2_pxl_cnt", "background_ratio"),
)
_H5_PLACE = "/content/data"
"""The folder in the published ``slice_path``: that of the publisher's machine."""

_LGG_SIZE = 256
_LGG_CHANNELS = (("pre", "t1n"), ("flair", "t2f"), ("post", "t1c"))
_LGG_COLUMNS = (
    *("Patient", "RNASeqCluster", "MethylationCluster", "miRNACluster", "CNCluster", "RPPACluster", "OncosignCluster"),
    *("COCCluster", "histological_type", "neoplasm_histologic_grade", "tumor_tissue_site", "laterality"),
    *("tumor_location", "gender", "age_at_initial_pathologic", "race", "ethnicity", "death01"),
)
_LGG_SEX: Mapping[object, int] = MappingProxyType({"F": 1, "M": 2})


def write_h5(case: LoadedCase, place: CohortPlace, out: Path, options: WriteOptions) -> Written:
    """``volume_1_slice_0.h5``: ``image`` (X, Y, 4) with t1n t1c t2w t2f, ``mask`` (X, Y, 3) with NCR, ED, ET.

    Raises:
        GeometryError: a modality is missing.
        LabelError: no labels, or others than these.
    """
    scheme = scheme_named("brats2021")
    array = np.moveaxis(require_modalities(case, MODALITY_ORDER, "brats-h5"), 0, -1)
    labels = labels_in(case, scheme)
    if labels is None:
        raise LabelError(f"case {case.id} cannot be written as brats-h5: it has no labels")
    masks = np.stack([(labels == scheme.labels[name]).astype(np.uint8) for name in _H5_LABELS], axis=-1)
    for index in range(array.shape[2]):
        path = out / f"volume_{place.case}_slice_{index}.h5"
        write_hdf5_slice(path, {"image": array[:, :, index], "mask": masks[:, :, index]}, case.image.grid, sync=False)
    counts = masks.sum(axis=(0, 1), dtype=np.int64)
    n_pixels = masks.shape[0] * masks.shape[1]
    slices = tuple((place.case, index, n_pixels, *map(int, row)) for index, row in enumerate(counts))
    name = f"volume_{place.case}"
    return Written(name, case.id, name, case.facts, MODALITY_ORDER, scheme, slices)


def write_h5_tables(written: Sequence[Written], out: Path, options: WriteOptions) -> None:
    """``meta_data.csv`` (one row per slice), ``survival_info.csv`` and ``name_mapping.csv``."""
    rows = []
    for volume, index, n_pixels, *counts in (row for case in written for row in case.slices):
        tumour = sum(counts)
        values = (int(tumour > 0), volume, index, *counts, round(1.0 - tumour / n_pixels, 6))
        rows.append(dict(zip(_H5_COLUMNS, (f"{_H5_PLACE}/volume_{volume}_slice_{index}.h5", *values), strict=True)))
    write_rows(out / "meta_data.csv", _H5_COLUMNS, rows)
    cases = [(f"BraTS20_Training_{case.slices[0][0]:03d}", case) for case in written]
    write_clinical_tables(cases, out, "BraTS_2020_subject_ID")


def write_lgg(case: LoadedCase, place: CohortPlace, out: Path, options: WriteOptions) -> Written:
    """``TCGA_PH_0001_20000101/TCGA_PH_0001_20000101_1.tif``: axial slices of 256 x 256 pixels, 8 bit.

    Red, green and blue are pre-contrast, FLAIR and post-contrast; FLAIR stands in for what was not acquired, as the
    publisher has it. ``..._1_mask.tif`` is 0/255. A further time point is a year later.

    Raises:
        GeometryError: FLAIR is missing.
        LabelError: labels that are no tumour.
    """
    scheme = scheme_named("lgg")
    patient = f"TCGA_PH_{place.patient:04d}"
    name = f"{patient}_{2000 + place.time_point}0101"
    labels = labels_in(case, scheme)
    channels = []
    flair = "flair" if "flair" in case.image.modalities else "t2f"
    for names in _LGG_CHANNELS:
        modality = next((modality for modality in names if modality in case.image.modalities), flair)
        (volume,) = require_modalities(case, (modality,), "lgg")
        channels.append(fitted(to_8_bit(as_axial(volume, case.image.grid)), _LGG_SIZE, linear=True))
    # Laid out as the files are, (Z, Y, X, colour): the pictures are then written without a copy each.
    pixels = np.ascontiguousarray(np.stack(channels).T)
    for index, picture in enumerate(pixels, start=1):
        write_picture(out / name / f"{name}_{index}.tif", np.swapaxes(picture, 0, 1), sync=False)
    if labels is not None:
        mask = fitted(as_axial(labels, case.image.grid).astype(np.uint8), _LGG_SIZE, linear=False)
        for index in range(mask.shape[2]):
            write_picture(out / name / f"{name}_{index + 1}_mask.tif", mask[:, :, index], sync=False)
    return Written(name, case.id, patient, case.facts, ("pre", "flair", "post"), scheme if labels is not None else None)


def write_lgg_table(written: Sequence[Written], out: Path, options: WriteOptions) -> None:
    """``data.csv`` with the published columns; facts that have none of them follow in columns of their own."""
    published = {"age", "sex", "death"}
    others = [name for name in fact_columns(case.facts for case in written) if name not in published]
    rows: dict[str, dict[str, object]] = {}
    for case in written:
        columns = {
            "Patient": case.patient,
            "gender": _LGG_SEX.get(case.facts.get("sex"), ""),
            "age_at_initial_pathologic": case.facts.get("age", ""),
            "death01": case.facts.get("death", ""),
        }
        rows.setdefault(case.patient, {**case.facts, **columns})
    write_rows(out / "data.csv", (*_LGG_COLUMNS, *others), rows.values())

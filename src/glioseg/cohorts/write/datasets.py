"""Writers of data sets with a ``dataset.json``: the Decathlon's and nnU-Net's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np

from glioseg.cohorts.layouts.dataset_json import TABLE, TEST_IMAGES, TRAINING_IMAGES, TRAINING_LABELS
from glioseg.cohorts.write.case import (
    CohortPlace,
    LoadedCase,
    WriteOptions,
    Written,
    labels_in,
    require_modalities,
    safe_name,
    write_volume,
)
from glioseg.cohorts.write.volumes import write_facts
from glioseg.core import LabelScheme, scheme_named
from glioseg.errors import LayoutError
from glioseg.io.files import write_json

_MSD_CHANNELS: Mapping[str, str] = MappingProxyType({"t2f": "FLAIR", "t1n": "T1w", "t1c": "t1gd", "t2w": "T2w"})
_MSD_LABELS: Mapping[str, str] = MappingProxyType(
    {"ED": "edema", "NET": "non-enhancing tumor", "ET": "enhancing tumour"}
)
_NNUNET_CHANNELS: Mapping[str, str] = MappingProxyType({"t1n": "T1", "t1c": "T1ce", "t2w": "T2", "t2f": "Flair"})
_NNUNET_REGIONS: Mapping[str, str] = MappingProxyType(
    {"WT": "whole tumor", "TC": "tumor core", "ET": "enhancing tumor"}
)
_THREE_LABELS = frozenset({"brats2021", "brats2023", "msd", "nnunet137"})
"""Schemes of necrosis with non-enhancing tumour, oedema and enhancing tumour, which convert without loss."""


def write_msd(case: LoadedCase, place: CohortPlace, out: Path, options: WriteOptions) -> Written:
    """``imagesTr/BRATS_001.nii.gz``, modalities on the 4th axis, and ``labelsTr/BRATS_001.nii.gz``.

    Glioma labels are written in the Decathlon's own order. Cases without labels go to ``imagesTs``.
    """
    name = f"BRATS_{place.case:03d}"
    modalities = _in_order(case, tuple(_MSD_CHANNELS))
    array = require_modalities(case, modalities, "msd")
    folder = TRAINING_IMAGES if case.labels is not None else TEST_IMAGES
    stacked = np.moveaxis(array, 0, -1) if len(modalities) > 1 else array[0]
    write_volume(out / folder / f"{name}.nii.gz", stacked, case.image.grid)
    scheme = _scheme(case, "msd")
    labels = labels_in(case, scheme) if scheme is not None else None
    if labels is not None:
        write_volume(out / TRAINING_LABELS / f"{name}.nii.gz", labels, case.image.grid)
    return Written(name, case.id, case.patient, case.facts, modalities, scheme)


def write_msd_tables(written: Sequence[Written], out: Path, options: WriteOptions) -> None:
    """``dataset.json`` as the Decathlon writes it, and ``facts.csv``."""
    modalities, scheme = _uniform(written, "msd")
    labels = (
        {} if scheme is None else {str(value): _MSD_LABELS.get(name, name) for name, value in scheme.labels.items()}
    )
    training = [case.id for case in written if case.scheme is not None]
    test = [case.id for case in written if case.scheme is None]
    content = {
        "name": options.name,
        "description": "written by glioseg",
        "tensorImageSize": "4D" if len(modalities) > 1 else "3D",
        "modality": {str(index): _MSD_CHANNELS.get(name, name) for index, name in enumerate(modalities)},
        "labels": {"0": "background", **labels},
        "numTraining": len(training),
        "numTest": len(test),
        "training": [
            {"image": f"./{TRAINING_IMAGES}/{name}.nii.gz", "label": f"./{TRAINING_LABELS}/{name}.nii.gz"}
            for name in training
        ],
        "test": [f"./{TEST_IMAGES}/{name}.nii.gz" for name in test],
    }
    write_json(out / TABLE, content)
    write_facts(written, out, options)


def write_nnunet_case(case: LoadedCase, place: CohortPlace, out: Path, options: WriteOptions) -> Written:
    """``imagesTr/CASE_0000.nii.gz`` for each channel and ``labelsTr/CASE.nii.gz``; cases keep their ids.

    nnU-Net wants labels without gaps: glioma labels are written as its Dataset137 has them, others in their order.
    Cases without labels go to ``imagesTs``.
    """
    name = safe_name(case.id)
    modalities = _in_order(case, tuple(_NNUNET_CHANNELS))
    folder = TRAINING_IMAGES if case.labels is not None else TEST_IMAGES
    for channel, volume in enumerate(require_modalities(case, modalities, "nnunet")):
        write_volume(out / folder / f"{name}_{channel:04d}{options.volume_ending}", volume, case.image.grid)
    scheme = _scheme(case, "nnunet137")
    labels = labels_in(case, scheme) if scheme is not None else None
    if labels is not None:
        write_volume(out / TRAINING_LABELS / f"{name}{options.volume_ending}", labels, case.image.grid)
    return Written(name, case.id, case.patient, case.facts, modalities, scheme)


def write_nnunet_tables(written: Sequence[Written], out: Path, options: WriteOptions) -> None:
    """``dataset.json`` of nnU-Net v2, with regions where it trains them, and ``facts.csv``."""
    modalities, scheme = _uniform(written, "nnunet")
    content: dict[str, object] = {
        "name": options.name,
        "description": "written by glioseg",
        "channel_names": {str(index): _NNUNET_CHANNELS.get(name, name) for index, name in enumerate(modalities)},
        "labels": {"background": 0},
        "numTraining": sum(case.scheme is not None for case in written),
        "file_ending": options.volume_ending,
    }
    if scheme is not None and scheme.name == "nnunet137":
        regions = {word: list(scheme.values_of(region)) for region, word in _NNUNET_REGIONS.items()}
        content["labels"] = {"background": 0, **regions}
        # Regions are painted in this order, each over the one before: oedema, core, enhancing tumour.
        content["regions_class_order"] = list(scheme.labels.values())
    elif scheme is not None:
        content["labels"] = {"background": 0, **scheme.labels}
    write_json(out / TABLE, content)
    write_facts(written, out, options)


def _in_order(case: LoadedCase, usual: Sequence[str]) -> tuple[str, ...]:
    """The layout's order of the modalities where the case has them all, else its own."""
    return tuple(usual) if set(usual) == set(case.image.modalities) else case.image.modalities


def _scheme(case: LoadedCase, glioma: str) -> LabelScheme | None:
    """The scheme to write a case's labels in: values 1, 2, 3, ... without gaps."""
    if case.labels is None:
        return None
    scheme = case.labels.scheme
    if scheme.name in _THREE_LABELS:
        return scheme_named(glioma)
    if scheme.name == "lgg":
        return scheme_named("binary")
    if list(scheme.labels.values()) == list(range(1, len(scheme.labels) + 1)):
        return scheme
    labels = {name: value for value, name in enumerate(scheme.labels, start=1)}
    return LabelScheme(scheme.name, labels, scheme.regions, scheme.default_regions, scheme.source)


def _uniform(written: Sequence[Written], layout: str) -> tuple[tuple[str, ...], LabelScheme | None]:
    """The modalities and the scheme that all cases share.

    Raises:
        LayoutError: they do not, which a ``dataset.json`` cannot say.
    """
    modalities = {case.modalities for case in written}
    schemes = {case.scheme for case in written if case.scheme is not None}
    if len(modalities) > 1 or len(schemes) > 1:
        differing = sorted(", ".join(names) for names in modalities) + sorted(scheme.name for scheme in schemes)
        raise LayoutError(
            f"the cases of a data set in layout {layout} share their modalities and their label scheme",
            found="; ".join(differing),
        )
    return next(iter(modalities)), next(iter(schemes), None)

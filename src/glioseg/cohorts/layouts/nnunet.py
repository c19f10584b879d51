"""nnU-Net's raw data sets (v2, and v1 with ``modality``) and its folds.

``imagesTr/CASE_0000.nii.gz`` holds channel 0 of a case, ``labelsTr/CASE.nii.gz`` its label map, ``imagesTs`` cases
without labels (``labelsTs``, where there is one, has theirs); ``dataset.json`` names channels, labels and regions.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from glioseg.cohorts.layouts.brats_scheme import patient_of
from glioseg.cohorts.layouts.dataset_json import (
    TEST_IMAGES,
    TEST_LABELS,
    TRAINING_IMAGES,
    TRAINING_LABELS,
    Dataset,
    channel_modalities,
    datasets,
    only_dataset,
    scheme_of,
    unreadable_tables,
    where,
)
from glioseg.cohorts.layouts.msd import is_decathlon
from glioseg.cohorts.reading.findings import NO_MASKS
from glioseg.cohorts.reading.layout import Layout, ReadOptions
from glioseg.cohorts.reading.listing import Listing, natural_key
from glioseg.cohorts.reading.tables import nearest_facts
from glioseg.core import Case, Cohort, Finding, LabelScheme, Source, SourceKind
from glioseg.core.modalities import modality_of
from glioseg.errors import FileError, LayoutError, OptionError, SplitError, name_some
from glioseg.io.endings import ENDINGS, LOSSY_ENDINGS
from glioseg.io.files import write_json
from glioseg.io.text import read_json

SPLITS = "splits_final.json"

_KINDS: Mapping[str, SourceKind] = {
    ending: kind
    for kind in ("nifti", "metaimage", "raster")
    for ending in ENDINGS[kind]
    if ending not in LOSSY_ENDINGS  # nnU-Net's label maps are integers
}
"""Ending of a data set's files -> which reader takes them."""
_CHANNEL = re.compile(r"(?P<case>.+)_(?P<channel>\d{4})")
_Scans = dict[str, dict[int, Path]]
"""Case -> channel -> file."""


def match(listing: Listing) -> str | None:
    """A ``dataset.json`` beside ``imagesTr`` whose images have one file per channel."""
    own_datasets = _own_datasets(listing)
    if own_datasets:
        names = name_some(where(dataset, listing) for dataset in own_datasets)
        return f"{names} beside imagesTr with one file per channel (CASE_0000), as nnU-Net has it"
    damaged = unreadable_tables(listing)
    return f"{where(damaged[0], listing)} beside imagesTr, though it cannot be read" if damaged else None


def read(listing: Listing, options: ReadOptions) -> Cohort:
    """One case per name in ``imagesTr`` and ``imagesTs``.

    Raises:
        FileError: ``dataset.json`` cannot be read.
        LayoutError: no or several data sets, a file ending that is none of nnU-Net's, or no images.
        OptionError: names for another number of channels than the table has.
    """
    dataset = only_dataset(_own_datasets(listing), listing)
    ending = _ending(dataset)
    training = _scans(dataset, TRAINING_IMAGES, ending)
    test = {name: files for name, files in _scans(dataset, TEST_IMAGES, ending).items() if name not in training}
    if not training and not test:
        expected = f"files like CASE_0000{ending}"
        raise LayoutError("imagesTr and imagesTs hold no images", path=dataset.folder, expected=expected)
    stated, modalities = _modalities(dataset, {**training, **test}, options)
    facts, patients, findings = nearest_facts(dataset.listing)
    cases = []
    for part, scans, labels in (("train", training, TRAINING_LABELS), ("test", test, TEST_LABELS)):
        masks = {dataset.listing.place(path).name: path for path in dataset.files_in(labels)}
        for name, files in scans.items():
            mask = masks.get(f"{name}{ending}")
            images = _images(files, modalities, ending)
            case_facts = {"part": part, **facts.get(name, {})}
            source = Source((mask,), _KINDS[ending]) if mask is not None else None
            cases.append(Case(name, patients.get(name, patient_of(name)), images, source, facts=case_facts))
            findings += _missing(name, images, modalities, mask is None and part == "train")
    scheme, scheme_findings = _scheme(dataset, options, cases)
    findings += [*scheme_findings, *_folds_nearby(dataset)]
    ordered = tuple(sorted(cases, key=lambda case: natural_key(case.id)))
    reason = f"{match(listing) or ''}; channels {', '.join(stated)}"
    return Cohort(dataset.folder.name, "nnunet", reason, ordered, modalities, scheme, findings=tuple(findings))


def read_nnunet_folds(path: Path) -> list[tuple[list[str], list[str]]]:
    """The folds of a ``splits_final.json``: for each, the ids of the training and of the validation cases.

    Raises:
        FileError: missing or not JSON.
        SplitError: not a list of folds, or a fold with a case in both parts or an empty part.
    """
    content = read_json(path)
    if not isinstance(content, list) or not content:
        raise SplitError("nnU-Net's folds are a list", path=path, expected='[{"train": [...], "val": [...]}, ...]')
    folds = []
    for number, fold in enumerate(content):
        parts = [fold.get(part) if isinstance(fold, Mapping) else None for part in ("train", "val")]
        train, val = ([str(name) for name in part] if isinstance(part, list) else [] for part in parts)
        if not train or not val:
            raise SplitError(f"fold {number} lacks a part", path=path, expected="lists of case ids in train and val")
        if both := sorted(set(train) & set(val)):
            raise SplitError(f"cases of fold {number} are in train and val", path=path, found=name_some(both))
        folds.append((train, val))
    return folds


def write_splits_final(path: Path, folds: Sequence[tuple[Sequence[str], Sequence[str]]]) -> None:
    """Write folds, (training ids, validation ids) each, as nnU-Net reads them.

    Raises:
        FileError: the file cannot be written.
    """
    write_json(path, [{"train": list(train), "val": list(val)} for train, val in folds])


def _own_datasets(listing: Listing) -> list[Dataset]:
    return [dataset for dataset in datasets(listing) if not is_decathlon(dataset)]


def _ending(dataset: Dataset) -> str:
    """Of the data set's files: as stated, else (v1) that of its training images."""
    stated = dataset.content.get("file_ending")
    if stated is None:
        names = [dataset.listing.place(path).name.lower() for path in dataset.files_in(TRAINING_IMAGES)]
        return next((ending for ending in _KINDS if any(name.endswith(ending) for name in names)), ".nii.gz")
    if not isinstance(stated, str) or stated not in _KINDS:
        raise LayoutError(
            "files of this ending cannot be read", path=dataset.table, found=stated, expected=" ".join(_KINDS)
        )
    return stated


def _scans(dataset: Dataset, folder: str, ending: str) -> _Scans:
    scans: _Scans = defaultdict(dict)
    for path in dataset.files_in(folder):
        name = dataset.listing.place(path).name
        parts = _CHANNEL.fullmatch(name.removesuffix(ending)) if name.endswith(ending) else None
        if parts is not None:
            scans[parts["case"]][int(parts["channel"])] = path
    return dict(scans)


def _modalities(dataset: Dataset, scans: _Scans, options: ReadOptions) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The channels as the table states them, and our names of them."""
    n_files = 1 + max(channel for files in scans.values() for channel in files)
    stated = dataset.channels or tuple(f"channel-{channel}" for channel in range(n_files))
    if len(stated) < n_files:
        raise LayoutError(
            "there are files for more channels than the table names",
            path=dataset.table,
            found=f"channel {n_files - 1:04d}",
            expected=f"channels {', '.join(stated)}",
        )
    if options.modalities is None:
        return stated, channel_modalities(stated)
    names = tuple(modality_of(name) or name for name in options.modalities)
    if len(names) != len(stated) or len(set(names)) != len(names):
        expected = f"{len(stated)} different names, for {', '.join(stated)}"
        raise OptionError("the names do not fit the channels", found=", ".join(names), expected=expected)
    return stated, names


def _images(files: Mapping[int, Path], modalities: Sequence[str], ending: str) -> dict[str, Source]:
    """Sources by modality. Colours of a picture are channels of one file, as nnU-Net has RGB."""
    kind = _KINDS[ending]
    if kind == "raster" and set(files) == {0} and len(modalities) > 1:
        return {name: Source((files[0],), kind, colour) for colour, name in enumerate(modalities)}
    return {
        name: Source((files[channel],), kind, 0 if kind == "raster" else None)
        for channel, name in enumerate(modalities)
        if channel in files
    }


def _missing(name: str, images: Mapping[str, Source], modalities: Sequence[str], no_mask: bool) -> list[Finding]:
    findings = []
    missing = [modality for modality in modalities if modality not in images]
    if missing:
        findings.append(Finding("warning", "missing-modality", f"{', '.join(missing)} is missing", name))
    if no_mask:
        findings.append(Finding("warning", "missing-mask", "there is no mask in labelsTr", name))
    return findings


def _scheme(dataset: Dataset, options: ReadOptions, cases: Sequence[Case]) -> tuple[LabelScheme | None, list[Finding]]:
    if options.scheme is not None:
        return options.scheme, []
    if all(case.labels is None for case in cases):
        return None, [NO_MASKS]
    scheme = scheme_of(dataset.content, dataset.folder.name)
    if scheme is None:
        message = f"{dataset.table.name} does not state what the labels mean. Say it with `--scheme` or `--labels`"
        return None, [Finding("warning", "unknown-scheme", message)]
    if "ignore" in scheme.labels:
        message = "voxels labelled ignore belong to no region: they count as background"
        return scheme, [Finding("warning", "ignore-label", message)]
    return scheme, []


def _folds_nearby(dataset: Dataset) -> list[Finding]:
    path = dataset.folder / SPLITS
    if path not in dataset.listing.files:
        return []
    try:
        folds = read_nnunet_folds(path)
    except (FileError, SplitError) as error:
        return [Finding("warning", "unreadable-folds", error.text)]
    return [Finding("note", "folds", f"{path.name} divides the cases into {len(folds)} folds (`--split` takes it)")]


LAYOUT = Layout(
    name="nnunet",
    needs="nnU-Net raw data set: dataset.json, imagesTr/CASE_0000.nii.gz, labelsTr/CASE.nii.gz",
    match=match,
    read=read,
)

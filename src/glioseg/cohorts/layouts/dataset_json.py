"""``dataset.json``, which the Medical Segmentation Decathlon and nnU-Net put beside ``imagesTr`` and ``labelsTr``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glioseg.cohorts.reading.listing import Listing, list_folder
from glioseg.core import SCHEMES, LabelScheme
from glioseg.core.modalities import modality_of
from glioseg.core.schemes import GLIOMA_LABELS, glioma_scheme, our_label_name
from glioseg.errors import FileError, LabelError, LayoutError, name_some
from glioseg.io.text import read_json

TABLE = "dataset.json"
TRAINING_IMAGES, TRAINING_LABELS, TEST_IMAGES, TEST_LABELS = "imagesTr", "labelsTr", "imagesTs", "labelsTs"
_FOLDERS = (TRAINING_IMAGES, TRAINING_LABELS, TEST_IMAGES, TEST_LABELS)

_NESTED = ("WT", "TC", "ET")
_SCHEMES_TRIED = (
    *("nnunet137", "brats2021", "brats2023", "brats2024", "brats2024-ped", "brats2015"),
    *("msd", "whole-tumour", "binary", "lgg", "ibsr"),
)
_MOST_DIGITS = 9


@dataclass(frozen=True)
class Dataset:
    """A folder with a ``dataset.json``.

    Args:
        table: the file.
        content: what it says.
        listing: the files of the data set, whatever level below it the user points to.
    """

    table: Path
    content: Mapping[str, Any]
    listing: Listing

    @property
    def folder(self) -> Path:
        """The data set's own folder."""
        return self.table.parent

    @property
    def channels(self) -> tuple[str, ...]:
        """The channels as written (``channel_names``, formerly ``modality``), in the order of their indices."""
        names = self.content.get("channel_names", self.content.get("modality"))
        if not isinstance(names, Mapping) or not all(_is_integer(key) for key in names):
            return ()
        return tuple(str(names[key]) for key in sorted(names, key=int))

    def files_in(self, folder: str) -> list[Path]:
        """The files directly in one of its folders."""
        return self.listing.by_folder.get(self.folder / folder, [])


def datasets(listing: Listing) -> list[Dataset]:
    """The data sets at, below, or just above the folder the user points to (``imagesTr`` of one).

    A ``dataset.json`` without ``imagesTr`` beside it is another's (nnU-Net keeps copies among its results); one that
    cannot be read is left aside here, see ``only_dataset``.
    """
    readable = []
    for table, files in _tables(listing):
        try:
            readable.append(_read(table, files))
        except (FileError, LayoutError):
            continue
    return readable


def only_dataset(candidates: Sequence[Dataset], listing: Listing) -> Dataset:
    """The one data set.

    Raises:
        FileError: its ``dataset.json`` cannot be read.
        LayoutError: none, or several.
    """
    if len(candidates) == 1:
        return candidates[0]
    if len(candidates) > 1:
        raise LayoutError(
            "several data sets lie here",
            path=listing.root,
            found=name_some(dataset.folder.relative_to(listing.root).as_posix() for dataset in candidates),
            remedy="Point to one of them",
        )
    for table, files in _tables(listing):
        _read(table, files)  # says why it was left aside
    raise LayoutError("there is no data set with a dataset.json", path=listing.root, expected="dataset.json, imagesTr")


def where(dataset_or_table: Dataset | Path, listing: Listing) -> str:
    """A data set's table as the user would write it."""
    table = dataset_or_table if isinstance(dataset_or_table, Path) else dataset_or_table.table
    return listing.relative(table) if table.is_relative_to(listing.root) else f"../{table.name}"


def unreadable_tables(listing: Listing) -> list[Path]:
    """The ``dataset.json`` files beside ``imagesTr`` that cannot be read."""
    readable = {dataset.table for dataset in datasets(listing)}
    return [table for table, _ in _tables(listing) if table not in readable]


def channel_modalities(channels: Sequence[str]) -> tuple[str, ...]:
    """Our names of the channels; the data set's own where they are no MR modality of ours or would fall together."""
    names = tuple(modality_of(name) or name for name in channels)
    return names if len(set(names)) == len(names) else tuple(channels)


def label_values(content: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Label or region -> its integers, background left out; empty where the table does not say.

    nnU-Net v2 writes ``{"name": 1}`` and regions as ``{"name": [1, 2]}``, MSD and nnU-Net v1 ``{"1": "name"}``.
    """
    labels = content.get("labels")
    if not isinstance(labels, Mapping):
        return {}
    values: dict[str, tuple[int, ...]] = {}
    for key, value in labels.items():
        name, integers = (value, [key]) if _is_integer(key) and isinstance(value, str) else (key, value)
        integers = integers if isinstance(integers, list) else [integers]
        if not integers or not all(_is_integer(integer) for integer in integers):
            return {}
        if name != "background" and any(int(integer) > 0 for integer in integers):
            values[str(name)] = tuple(sorted({int(integer) for integer in integers if int(integer) > 0}))
    return values


def scheme_of(content: Mapping[str, Any], name: str) -> LabelScheme | None:
    """The scheme that the table's labels and regions state: one of ours where they agree, else one of their own.

    Args:
        content: of the ``dataset.json``.
        name: for a scheme of its own.

    Returns:
        None where the table does not state its labels.
    """
    values = label_values(content)
    values_without_ignore = {key: integers for key, integers in values.items() if key != "ignore"}
    if not values_without_ignore:
        return None
    stated = {our_label_name(key): integers for key, integers in values_without_ignore.items()}
    if len(stated) == len(values):
        for scheme in _SCHEMES_TRIED:
            if _labels_equal(SCHEMES[scheme], stated):
                return SCHEMES[scheme]
        for scheme in _SCHEMES_TRIED:
            if _agrees(SCHEMES[scheme], stated):
                return SCHEMES[scheme]
        if set(stated) <= GLIOMA_LABELS and all(len(integers) == 1 for integers in stated.values()):
            return glioma_scheme(name, {key: integers[0] for key, integers in stated.items()}, TABLE)
    return _own_scheme(values, name)


def _tables(listing: Listing) -> list[tuple[Path, Listing]]:
    below = [
        (table, listing)
        for table in listing.named(TABLE)
        if any(folder.parent == table.parent and folder.name == TRAINING_IMAGES for folder in listing.by_folder)
    ]
    above = listing.root.parent / TABLE
    if below or listing.root.name not in _FOLDERS or not above.is_file():
        return below
    return [(above, list_folder(listing.root.parent))]


def _read(table: Path, files: Listing) -> Dataset:
    content = read_json(table)
    if not isinstance(content, dict):
        raise LayoutError("the table of a data set is a JSON object", path=table, found=type(content).__name__)
    return Dataset(table, content, files)


def _is_integer(value: object) -> bool:
    """Whether a key or a value is a whole number that a label or a channel can have, as JSON or as text."""
    text = str(value)
    return text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS


def _labels_equal(scheme: LabelScheme, stated: Mapping[str, tuple[int, ...]]) -> bool:
    return {name: (value,) for name, value in scheme.labels.items()} == dict(stated)


def _agrees(scheme: LabelScheme, stated: Mapping[str, tuple[int, ...]]) -> bool:
    """Whether each name is a label or region of the scheme with those integers, and all of its integers are there."""
    for name, integers in stated.items():
        label = (scheme.labels[name],) if name in scheme.labels else None
        region = tuple(sorted(scheme.values_of(name))) if name in scheme.regions else None
        if integers not in (label, region):
            return False
    return {value for integers in stated.values() for value in integers} == set(scheme.labels.values())


def _own_scheme(values: Mapping[str, tuple[int, ...]], name: str) -> LabelScheme | None:
    """A scheme made of what the table says: its regions as given, its labels named after the smallest that holds them.

    nnU-Net's ``ignore`` is a label of no region.
    """
    smallest: dict[int, str] = {}
    for key in sorted(values, key=lambda label: -len(values[label])):
        smallest |= dict.fromkeys(values[key], key)
    shared = [key for key in values if sum(owner == key for owner in smallest.values()) > 1]
    labels = {f"{key}-{value}" if key in shared else key: value for value, key in sorted(smallest.items())}
    by_value = {value: label for label, value in labels.items()}
    regions = {key: tuple(by_value[value] for value in integers) for key, integers in values.items() if key != "ignore"}
    try:
        scheme = _same_regions(regions, labels)
        if scheme is None:
            return LabelScheme(name, labels, regions, tuple(regions), TABLE)
        ours = {
            region: tuple(label for label in scheme.labels if scheme.labels[label] in values[region])
            for region in regions
        }
        source = f"{TABLE}; labels as in {scheme.name}, which has the same regions under other names"
        return LabelScheme(name, scheme.labels, {**scheme.regions, **ours}, tuple(regions), source)
    except LabelError:
        return None


def _same_regions(regions: Mapping[str, tuple[str, ...]], labels: Mapping[str, int]) -> LabelScheme | None:
    """Of ours that with the whole tumour, core and enhancing part that regions of other names are; None for none."""
    stated = {frozenset(labels[label] for label in members) for members in regions.values()}
    for name in _SCHEMES_TRIED:
        scheme = SCHEMES[name]
        if not set(_NESTED) <= set(scheme.regions) or set(labels.values()) != set(scheme.labels.values()):
            continue
        nested = {frozenset(scheme.values_of(region)) for region in _NESTED}
        if len(nested) == len(_NESTED) and nested <= stated:
            return scheme
    return None

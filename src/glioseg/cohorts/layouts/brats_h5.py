"""BraTS 2020 as HDF5 slices (Kaggle ``brats2020-training-data``): ``volume_1_slice_0.h5`` with ``image`` and ``mask``.

369 volumes of 155 slices, in ``BraTS2020_training_data/content/data`` with ``meta_data.csv`` (one row per slice),
``name_mapping.csv`` and ``survival_info.csv``. The publisher states neither the order of the four channels nor which
patient a volume is: the reader assumes t1n t1c t2w t2f, and volume V to be ``BraTS20_Training_V``, and says so.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath

from glioseg.cohorts.layouts.clinical import brats_facts
from glioseg.cohorts.reading.findings import read_once
from glioseg.cohorts.reading.layout import Layout, ReadOptions
from glioseg.cohorts.reading.listing import Listing
from glioseg.cohorts.reading.tables import read_rows
from glioseg.core import Case, Cohort, Facts, Finding, Source, scheme_named
from glioseg.core.modalities import MODALITY_ORDER, modality_of
from glioseg.errors import GliosegError, LayoutError, OptionError, name_some, plural
from glioseg.io.hdf5 import hdf5_grid

_SLICE = re.compile(r"volume_(?P<volume>\d+)_slice_(?P<slice>\d+)\.h(?:df)?5", re.IGNORECASE)
_TABLE = re.compile(r"(?:meta_?data|brats20 training metadata)\.csv", re.IGNORECASE)
_PATIENT = "BraTS20_Training_{:03d}"

_Slices = dict[int, dict[int, Path]]
"""Volume -> slice -> file."""


def match(listing: Listing) -> str | None:
    """At least one file named ``volume_V_slice_S.h5``."""
    volumes, _ = _gather(listing)
    if not volumes:
        return None
    n_slices = sum(map(len, volumes.values()))
    return f"{n_slices} files named volume_V_slice_S.h5, of {len(volumes)} volumes"


def read(listing: Listing, options: ReadOptions) -> Cohort:
    """One case per volume, its slices in order; the header of one slice is read.

    Raises:
        LayoutError: no slices.
        OptionError: names for another number of channels than the slices have, or a name given twice.
    """
    volumes, repeated = _gather(listing)
    if not volumes:
        raise LayoutError("no HDF5 slices", path=listing.root, expected=LAYOUT.needs)
    modalities, assumption = _modalities(options, volumes)
    findings = [assumption] if assumption is not None else []
    if repeated:
        names = name_some(listing.relative(path) for path in repeated)
        findings.append(read_once("warning", "slices", names))
    table, table_findings = brats_facts(listing)
    listed, slice_findings = _listed_slices(listing)
    findings += table_findings + slice_findings
    cases = [_case(volume, volumes[volume], modalities, table) for volume in sorted(volumes)]
    if any(_PATIENT.format(volume).lower() in table for volume in volumes):
        message = "volume V is taken to be BraTS20_Training_V of the tables; the publisher does not say so"
        findings.append(Finding("note", "assumed-identity", message))
    findings += _gaps(volumes, listed)
    scheme = options.scheme or scheme_named("brats2021")
    reason = match(listing) or ""
    return Cohort(listing.root.name, "brats-h5", reason, tuple(cases), modalities, scheme, findings=tuple(findings))


def _gather(listing: Listing) -> tuple[_Slices, list[Path]]:
    volumes: _Slices = defaultdict(dict)
    repeated = []
    for path in listing.files:
        parts = _SLICE.fullmatch(listing.place(path).name)
        if parts is None:
            continue
        volume, index = int(parts["volume"]), int(parts["slice"])
        if index in volumes[volume]:
            repeated.append(path)
        else:
            volumes[volume][index] = path
    return volumes, repeated


def _modalities(options: ReadOptions, volumes: _Slices) -> tuple[tuple[str, ...], Finding | None]:
    n_channels = _n_channels(path for slices in volumes.values() for path in list(slices.values())[:1])
    if options.modalities is not None:
        names = tuple(modality_of(name) or name for name in options.modalities)
        if len(set(names)) != len(names) or n_channels not in (len(names), None):
            expected = f"{n_channels or 4} different names, in the order of the channels"
            raise OptionError("the names do not fit the channels", found=", ".join(names), expected=expected)
        return names, None
    if n_channels not in (len(MODALITY_ORDER), None):
        raise LayoutError(
            "the slices have another number of channels than BraTS",
            found=n_channels,
            expected=len(MODALITY_ORDER),
            remedy="Name them in file order with `--modalities`",
        )
    message = (
        "the publisher does not state the order of the channels: image is taken as t1n, t1c, t2w, t2f (`--modalities` "
        "says otherwise) and mask as NCR, ED, ET"
    )
    return MODALITY_ORDER, Finding("note", "assumed-channels", message)


def _n_channels(paths: Iterable[Path]) -> int | None:
    """Of the first of a few files that can be read; None where none can."""
    for path, _ in zip(paths, range(3), strict=False):
        try:
            return hdf5_grid(path, "image", 1)[1]
        except GliosegError:
            continue
    return None


def _case(volume: int, slices: Mapping[int, Path], modalities: Sequence[str], table: Mapping[str, Facts]) -> Case:
    numbers = sorted(slices)
    paths = tuple(slices[number] for number in numbers)
    images = {name: Source(paths, "hdf5", channel, "image") for channel, name in enumerate(modalities)}
    extent: Facts = {"n_slices": len(numbers), "first_slice": numbers[0], "last_slice": numbers[-1]}
    facts = {**table.get(_PATIENT.format(volume).lower(), {}), **extent}
    name = f"volume_{volume}"
    return Case(name, name, images, Source(paths, "hdf5", None, "mask"), facts=facts)


def _listed_slices(listing: Listing) -> tuple[dict[int, set[int]], list[Finding]]:
    """Volume -> its slices as ``meta_data.csv`` lists them.

    Its paths are those of the publisher's machine: the file names alone count.
    """
    listed: dict[int, set[int]] = defaultdict(set)
    tables = [path for path in listing.files if _TABLE.fullmatch(path.name)]
    if not tables:
        return listed, [Finding("note", "missing-table", "no meta_data.csv: missing slices at either end go unnoticed")]
    rows, findings = read_rows(tables[0])
    for row in rows:
        parts = _SLICE.fullmatch(PurePosixPath(row.get("slice_path", "").replace("\\", "/")).name)
        if parts is not None:
            listed[int(parts["volume"])].add(int(parts["slice"]))
    if not listed and not findings:
        message = f"{tables[0].name} has no column slice_path with names volume_V_slice_S.h5"
        findings.append(Finding("warning", "unreadable-table", message))
    return listed, findings


def _gaps(volumes: _Slices, listed: Mapping[int, set[int]]) -> list[Finding]:
    """Slices that the table lists or that lie between two others, and are not there."""
    findings = []
    for volume, slices in sorted(volumes.items()):
        missing = sorted((listed.get(volume, set()) | set(range(min(slices), max(slices)))) - set(slices))
        if missing:
            slices_are = plural(len(missing), "slice is", "slices are")
            message = f"{slices_are} missing, so that the rest is stacked too close: {name_some(missing)}"
            findings.append(Finding("warning", "missing-slice", message, f"volume_{volume}"))
    absent = sorted(set(listed) - set(volumes))
    if absent:
        names = name_some(f"volume_{volume}" for volume in absent)
        findings.append(
            Finding("note", "missing-volume", f"the table lists {plural(len(absent), 'volume')} more: {names}")
        )
    return findings


LAYOUT = Layout(
    name="brats-h5",
    needs="BraTS 2020 slices volume_V_slice_S.h5 with data sets image and mask",
    match=match,
    read=read,
)

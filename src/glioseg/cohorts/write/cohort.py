"""The closed table of layouts that are written, and the writing of a cohort as a stream of cases."""

from __future__ import annotations

import shutil
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from glioseg.cohorts.write.case import CohortPlace, LoadedCase, WriteOptions, Written, safe_name
from glioseg.cohorts.write.datasets import write_msd, write_msd_tables, write_nnunet_case, write_nnunet_tables
from glioseg.cohorts.write.pictures import write_class_tables, write_classes, write_pairs
from glioseg.cohorts.write.stacks import write_h5, write_h5_tables, write_lgg, write_lgg_table
from glioseg.cohorts.write.volumes import (
    write_brats_2021,
    write_brats_2023,
    write_brats_tables,
    write_facts,
    write_volumes,
)
from glioseg.core import Cohort
from glioseg.core.modalities import MODALITY_ORDER
from glioseg.errors import FileError, GeometryError, LabelError, LayoutError, OptionError, name_some
from glioseg.io.files import TEMPORARY, cannot_write, own_entries, sync_file, take_place


@dataclass(frozen=True)
class Writer:
    """How a layout is written.

    Args:
        case: writes the files of one case; cases do not depend on each other.
        tables: writes what the layout says of all of them.
        keeps_names: whether files are called after their case.
        shares_modalities: whether all cases have the same ones.
        needs_labels: whether every case has a label map.
        needs: modalities that every case has.
    """

    case: Callable[[LoadedCase, CohortPlace, Path, WriteOptions], Written]
    tables: Callable[[Sequence[Written], Path, WriteOptions], None]
    keeps_names: bool = False
    shares_modalities: bool = False
    needs_labels: bool = False
    needs: tuple[str, ...] = ()


_WRITERS: Mapping[str, Writer] = MappingProxyType(
    {
        "brats2021": Writer(write_brats_2021, write_brats_tables),
        "brats2023": Writer(write_brats_2023, write_brats_tables),
        "brats-h5": Writer(write_h5, write_h5_tables, needs_labels=True, needs=MODALITY_ORDER),
        "lgg": Writer(write_lgg, write_lgg_table),
        "msd": Writer(write_msd, write_msd_tables, shares_modalities=True),
        "nnunet": Writer(write_nnunet_case, write_nnunet_tables, keeps_names=True, shares_modalities=True),
        "pairs": Writer(write_pairs, write_facts, keeps_names=True),
        "classes": Writer(write_classes, write_class_tables, keeps_names=True, needs_labels=True),
        "volumes": Writer(write_volumes, write_facts, keeps_names=True),
    }
)
WRITTEN_LAYOUTS = tuple(_WRITERS)
"""Names that ``write_cohort`` takes."""
_DEFAULTS = WriteOptions()
_N_SYNCED_AT_ONCE = 8


def write_cohort(cases: Iterable[LoadedCase], out: Path, layout: str, options: WriteOptions = _DEFAULTS) -> None:
    """Write a cohort as the publishers of ``layout`` would; the same cases give the same bytes.

    One case is held at a time. The files appear under ``out`` when the last one is written; see ``staged``.

    Args:
        cases: in the order in which they are numbered.
        out: the folder to write; it must not exist or be empty.
        layout: one of ``WRITTEN_LAYOUTS``.
        options: what the layout leaves open.

    Raises:
        OptionError: no layout of that name.
        FileError: the folder holds files already, or cannot be written to.
        LayoutError: no cases, or cases that the layout cannot hold together.
        GeometryError, LabelError: a case that the layout cannot hold.
    """
    writer = writer_named(layout)
    with staged(out) as folder:
        time_points: Counter[str] = Counter()
        numbers: dict[str, int] = {}
        written = []
        for index, case in enumerate(cases, start=1):
            number = numbers.setdefault(case.patient, len(numbers) + 1)
            place = CohortPlace(number, time_points[case.patient], index)
            time_points[case.patient] += 1
            written.append(writer.case(case, place, folder, options))
        write_tables(writer, written, folder, options)


def require_fit(cohort: Cohort, layout: str) -> None:
    """Refuse, before any work, what a layout cannot hold of a cohort, as far as names and modalities say it.

    Raises:
        OptionError: no layout of that name.
        LayoutError: cases whose names fall together in the files, or that differ in their modalities.
        GeometryError, LabelError: a case without a modality, or without labels, that the layout needs.
    """
    writer = writer_named(layout)
    if writer.keeps_names:
        _require_names(cohort)
    different = dict.fromkeys(", ".join(sorted(case.images)) for case in cohort.cases)
    if writer.shares_modalities and len(different) > 1:
        raise LayoutError(
            f"the cases of a data set in layout {layout} share their modalities", found="; ".join(sorted(different))
        )
    for case in cohort.cases:
        missing = [name for name in writer.needs if name not in case.images]
        if missing:
            raise GeometryError(
                f"case {case.id} cannot be written as {layout} without {', '.join(missing)}",
                found=", ".join(case.images),
                expected=", ".join(writer.needs),
            )
        if writer.needs_labels and case.labels is None:
            raise LabelError(f"case {case.id} cannot be written as {layout}: it has no labels")


def _require_names(cohort: Cohort) -> None:
    ids: dict[str, list[str]] = defaultdict(list)
    for case in cohort.cases:
        ids[safe_name(case.id)].append(case.id)
    name, twice = max(ids.items(), key=lambda item: len(item[1]))
    is_numbered = cohort.scheme is not None and cohort.scheme.name == "ibsr"  # as its publisher does
    if len(twice) > 1 and not is_numbered:
        raise LayoutError(
            "cases would have the same name in the files",
            found=f"{name_some(twice)}, as {name}",
            remedy="Rename them: names keep A to Z, digits, - and _",
        )


def writer_named(layout: str) -> Writer:
    """The writer of a layout; an OptionError lists the known ones."""
    if layout not in _WRITERS:
        raise OptionError(f"there is no layout {layout} to write", expected=f"one of {', '.join(_WRITERS)}")
    return _WRITERS[layout]


def write_tables(writer: Writer, written: Sequence[Written], folder: Path, options: WriteOptions) -> None:
    """The tables of a cohort whose cases have been written.

    Raises:
        LayoutError: no cases, two with the same name, or cases that the layout cannot hold together.
    """
    if not written:
        raise LayoutError("a cohort without cases cannot be written")
    twice = [name for name, count in Counter(case.id for case in written).items() if count > 1]
    if twice:
        raise LayoutError("two cases would have the same name in the files", found=", ".join(sorted(twice)))
    writer.tables(written, folder, options)


@contextmanager
def staged(out: Path) -> Iterator[Path]:
    """Yield a folder whose files are those of ``out`` once the block ends well, and which is removed otherwise.

    It lies beside ``out`` and takes its place. Where ``out`` is there already, it may be the folder that its user is
    in, or a mounted volume, neither of which can be replaced: then it lies within, and gives up its entries.

    Raises:
        FileError: ``out`` holds files already, or cannot be written.
    """
    is_there = out.exists()
    try:
        if out.is_dir() and own_entries(out):
            raise FileError("the folder is not empty", path=out, remedy="Name a new one, or remove its files first")
        if is_there and not out.is_dir():
            raise FileError("a folder is needed", path=out, found="a file", remedy="Name another folder")
        folder = (out if is_there else out.parent) / f"{TEMPORARY}{uuid.uuid4().hex}"
        folder.mkdir(parents=True)
    except OSError as error:
        raise cannot_write(out, error) from error
    try:
        yield folder
        # Many files at once: the disk takes them together, twenty times faster than one by one.
        with ThreadPoolExecutor(_N_SYNCED_AT_ONCE) as pool:
            list(pool.map(sync_file, (path for path in folder.rglob("*") if path.is_file())))
        take_place(folder, out, is_there=is_there)
    except OSError as error:
        raise cannot_write(out, error) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)

"""Data sets from Python: read, inspected, split, prepared, written in other layouts, or made up."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from os import PathLike
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING

from glioseg.api.addresses import takes_addresses, takes_addresses_and_writes_a_file
from glioseg.api.common import (
    AnyRecipe,
    Changes,
    Progress,
    StrPath,
    default_recipe,
    optional_path,
    reporter_of,
    require_kind,
    require_list,
    resolved,
    settings_of,
)
from glioseg.cohorts.reading.layout import Layout
from glioseg.core import MAX_VOXELS, Case, Cohort, LabelScheme
from glioseg.errors import OptionError, name_some, plural
from glioseg.faces import in_python
from glioseg.runs.read import Data, here
from glioseg.runs.read import read as read_data

if TYPE_CHECKING:
    from glioseg.cohorts.splits.split import Split
    from glioseg.preparation.store import PreparedCohort
    from glioseg.runs.inspect import InspectResult

AnyData = StrPath | Cohort | Data
"""A folder, a cohort, or a folder with what is said of it."""
_FIELDS = tuple(field.name for field in fields(Cohort))


@dataclass(frozen=True, repr=False)
class FolderCohort(Cohort):
    """A cohort that was read from a folder: paths, no pixels. See ``Cohort`` for what it holds."""

    data: Data | None = None
    cases_read: tuple[Case, ...] = ()

    def inspect(self, out: StrPath | None = None, *, progress: Progress | None = None) -> InspectResult:
        """``glioseg.inspect`` of this cohort."""
        return inspect(self, out, progress=progress)

    def _repr_html_(self) -> str:
        """A few lines, for notebooks."""
        messages = [in_python(finding.message) for finding in self.findings]
        facts = {
            "layout": f"{self.layout} ({self.reason})",
            "cases": f"{len(self.cases)} of {plural(len(self.patients), 'patient')}",
            "modalities": ", ".join(self.modalities),
            "labels": "none" if self.scheme is None else self.scheme.describe(),
            "classes": ", ".join(self.categories),
            "findings": name_some(messages, 3) if messages else "none",
        }
        rows = "".join(f"<tr><th>{name}</th><td>{html.escape(text)}</td></tr>" for name, text in facts.items() if text)
        return f"<b>{html.escape(self.name)}</b><table>{rows}</table>"


def read(
    path: StrPath,
    *,
    layout: str | Layout | None = None,
    scheme: str | LabelScheme | None = None,
    modalities: Sequence[str] | None = None,
    masks: str | None = None,
    max_voxels: int = MAX_VOXELS,
    series: Mapping[str, str | int] | None = None,
    keep_ids: bool = False,
    progress: Progress | None = None,
) -> FolderCohort:
    """Read a data set as it was downloaded: which files are whose, and what they show. No pixels are kept.

    Args:
        path: the folder, one above it, one below, or one patient's.
        layout: how it is laid out, if not recognised; a name, or a ``Layout`` of your own.
        scheme: what the integers in the masks mean, where the files do not say; a name, or a ``LabelScheme`` of your
            own.
        modalities: names of the channels in file order, where the files do not say.
        masks: which files are masks, where their names do not say: ``*_roi.nii.gz`` or ``drawn/*.png``, ``*`` being the
            name of the picture or case.
        max_voxels: files that declare more are refused before memory is taken for them; of a picture, an eighth.
        series: of DICOM, modality -> the number of the series that shows it; others are recognised.
        keep_ids: of DICOM, call cases by their patients' identifiers, and show descriptions and file names as they are.
        progress: told how many files were found.

    Raises:
        FileError, LayoutError: no such folder, or none that any layout fits.
        OptionError: no layout or scheme of that name.
    """
    names = None if modalities is None else tuple(modalities)
    require_kind("path", path, (str, PathLike), "a folder")
    require_kind("layout", layout, (str, Layout, NoneType), "a name, or a Layout")
    require_kind("scheme", scheme, (str, LabelScheme, NoneType), "a name, or a LabelScheme")
    require_list("modalities", modalities, '["t1n", "t2f"]')
    labels = {name: str(label) for name, label in (series or {}).items()}
    data = here(Data(Path(path), layout, scheme, names, masks, max_voxels, labels, keep_ids), reporter_of(progress))
    cohort = read_data(data, reporter_of(progress))
    return FolderCohort(**{name: getattr(cohort, name) for name in _FIELDS}, data=data, cases_read=cohort.cases)


@takes_addresses
def inspect(data: AnyData, out: StrPath | None = None, *, progress: Progress | None = None) -> InspectResult:
    """Look at every voxel once: what is wrong or odd, and what the data set holds.

    Args:
        data: a folder, or what ``glioseg.read`` gave.
        out: folder for ``report.html``, figures and ``inspect.json``; None writes nothing.
        progress: told how far it is.

    Returns:
        ``.findings``, ``.description`` and ``.table()``, a DataFrame with a row per case; volumes in ml.

    Raises:
        FileError: ``out`` is a file or cannot be written to; see also ``read``.
    """
    from glioseg.runs import inspect as inspecting

    return inspecting.inspect(source_of(data), optional_path(out), reporter_of(progress))


@takes_addresses_and_writes_a_file
def split(
    data: AnyData, out: StrPath | None = None, *, changes: Changes = (), progress: Progress | None = None
) -> Split:
    """Divide the patients into training, validation and test part; what shows the same stays in one part.

    Args:
        data: a folder, or what ``glioseg.read`` gave.
        out: JSON file, for ``glioseg.train(…, split=…)``; None writes nothing.
        changes: settings of ``split``, such as ``{"split.test": 0.2, "split.n_folds": 5, "split.fold": 1}``.
        progress: told how far it is; every voxel is looked at, for tumour burden and duplicates.

    Returns:
        ``.train``, ``.val`` and ``.test``, names of patients.

    Raises:
        OptionError: other settings than those of ``split``, or unfitting ones.
        SplitError: fewer patients than parts.
        FileError: the file cannot be written; see also ``read``.
    """
    from glioseg.runs import split as splitting

    options = splitting.options_of(settings_of(changes))
    return splitting.write_split(source_of(data), options, optional_path(out), reporter_of(progress))


@takes_addresses_and_writes_a_file
def split_folds(
    data: AnyData, out: StrPath | None = None, *, changes: Changes, progress: Progress | None = None
) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    """All folds of a cross-validation, as nnU-Net's ``splits_final.json`` has them.

    Args:
        data: a folder, or what ``glioseg.read`` gave.
        out: JSON file; None writes nothing.
        changes: settings of ``split``; ``split.n_folds`` must be among them.
        progress: told how far it is.

    Returns:
        For each fold the cases (not the patients) of the training and of the validation part.

    Raises:
        OptionError: the number of folds is not set; see also ``split``.
    """
    from glioseg.runs import split as splitting

    options = splitting.options_of(settings_of(changes))
    return splitting.write_nnunet_folds(source_of(data), options, optional_path(out), reporter_of(progress))


@takes_addresses
def cache(
    data: AnyData,
    out: StrPath = "cache",
    *,
    recipe: AnyRecipe | None = None,
    changes: Changes = (),
    progress: Progress | None = None,
) -> PreparedCohort:
    """Prepare a data set as networks are trained on it, on disk; ``glioseg.train(…, cache=out)`` then finds it there.

    Args:
        data: a folder, or what ``glioseg.read`` gave.
        out: where prepared data is kept; what is there already is not made again.
        recipe: prepare what this one is trained on, as it does; None prepares everything in the default way.
        changes: settings that decide it: of ``prepare``; with a recipe those of ``data`` too.
        progress: told how far it is.

    Returns:
        ``.cases``, memory-mapped arrays: images (Z, C, Y, X) and regions (Z, R, Y, X) on the working grid.

    Raises:
        OptionError: settings that decide nothing here.
        CacheError, GeometryError: it cannot be prepared; see also ``read``.
    """
    from glioseg.runs import cache as caching

    caching.require_deciding(settings_of(changes), has_recipe=recipe is not None)
    how = default_recipe(changes).prepare if recipe is None else resolved(recipe, changes)
    return caching.cache(source_of(data), how, Path(out), reporter_of(progress))


@takes_addresses
def convert(
    data: AnyData,
    out: StrPath,
    layout: str = "nnunet",
    *,
    spacing_mm: tuple[float, float, float] | None = None,
    progress: Progress | None = None,
) -> Cohort:
    """Write a data set again in another layout; labels are translated by their meaning.

    Args:
        data: a folder, or what ``glioseg.read`` gave.
        out: the folder to write; it must not exist, or be empty.
        layout: its layout, such as ``nnunet``, ``brats2023`` or ``lgg``.
        spacing_mm: of columns, rows and slices of pictures, whose files do not say it; they are then written as axial
            slices, columns to the patient's left and rows to the back.
        progress: told how many cases are written.

    Returns:
        What was read and is now there twice; ``glioseg.read(out)`` reads the new files.

    Raises:
        FileError: the folder holds files, or cannot be written to.
        OptionError, LayoutError, LabelError: no such layout, or one that has no place for these modalities or labels.
    """
    from glioseg.runs import convert as converting

    return converting.convert(source_of(data), Path(out), layout, reporter_of(progress), spacing_mm)


@takes_addresses
def phantom(
    out: StrPath,
    patients: int = 20,
    *,
    layout: str = "brats2023",
    spacing_mm: float = 2.0,
    seed: int = 0,
    tissues: StrPath | None = None,
    randomised: int = 0,
    progress: Progress | None = None,
) -> FolderCohort:
    """Write synthetic patients as the files of a data set; the same seed gives the same files.

    Args:
        out: the folder; it must not exist, or be empty.
        patients: how many.
        layout: how the files are laid out.
        spacing_mm: size of a voxel; 1 gives 240 x 240 x 155.
        seed: from which all patients follow.
        tissues: where the T1 images of the same brains go, with CSF, grey and white matter; None writes none.
        randomised: how many, the first, have contrasts, shapes and acquisition beyond what is usual, for training.
        progress: told how many patients are written.

    Raises:
        FileError: the folder holds files, or cannot be written to.
        OptionError: no layout of that name; no patients, or voxels not between 1 and 6 mm.
    """
    from glioseg.cohorts.phantom import PhantomOptions
    from glioseg.runs.phantom import phantom as write

    options = PhantomOptions(n_patients=patients, spacing_mm=spacing_mm, seed=seed, n_randomised=randomised)
    write(Path(out), options, layout, optional_path(tissues), reporter_of(progress))
    return read(out)


def source_of(data: AnyData) -> Data | Cohort:
    """What the verbs take."""
    if isinstance(data, Data | Cohort):
        return data
    require_kind("data", data, (str, PathLike), "a folder, or what glioseg.read gave")
    return Data(Path(data))


def folder_of(data: AnyData) -> Data:
    """A data set by its folder, as a run has to remember it.

    Raises:
        OptionError: a cohort that was not read from one, or of which cases were changed since.
    """
    if isinstance(data, FolderCohort) and data.data is not None:
        if data.cases != data.cases_read:
            raise OptionError(
                "a cohort is passed on by its folder, and this one is no longer what was read from it",
                found=f"{len(data.cases)} of {len(data.cases_read)} cases",
                expected="all of them as they were read",
                remedy="Copy the cases that you want into a folder of their own",
            )
        return data.data
    source = source_of(data)
    if isinstance(source, Cohort):
        raise OptionError(
            "the cohort was not read from a folder", found=source.name, remedy="Read it with glioseg.read"
        )
    return source

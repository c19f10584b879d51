"""Who goes where: what a split has to know of a cohort, and the split itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glioseg.cohorts.explore.describe import explore
from glioseg.cohorts.layouts.nnunet import write_splits_final
from glioseg.cohorts.splits.slicewise import is_by_slices
from glioseg.cohorts.splits.split import Split, SplitOptions, split, verified
from glioseg.cohorts.splits.split_file import load_split, save_split
from glioseg.config import build_recipe
from glioseg.console import QUIET, Reporter
from glioseg.core import Cohort
from glioseg.errors import CacheError, FileError, OptionError
from glioseg.frozen import Frozen
from glioseg.io.files import require_place
from glioseg.preparation.identity import plan_cohort
from glioseg.preparation.options import PrepareOptions
from glioseg.preparation.records import read_record, write_record
from glioseg.runs.read import Data, read


@dataclass(frozen=True)
class Survey:
    """What a split has to know.

    Args:
        burden: case -> tumour volume in ml, or in voxels where a case lacks millimetres.
        groups: cases that show the same.
    """

    burden: Mapping[str, float]
    groups: tuple[frozenset[str], ...]


def survey(cohort: Cohort, cache: Path | None = None, reporter: Reporter = QUIET) -> Survey:
    """Look at every voxel once; kept in ``cache``, where one is given, until the files change.

    Where slices are the unit nothing can be kept together, since neighbours are alike anyway: the survey is empty.
    """
    if is_by_slices(cohort):
        return Survey({}, ())
    path = None if cache is None else cache / f"survey-{plan_cohort(cohort, PrepareOptions(), cache).key[:20]}.json"
    stored = None if path is None else _kept_survey(path)
    if stored is not None:
        return Survey(stored.burden, tuple(frozenset(group) for group in stored.groups))
    with reporter.progress("Looking for tumour burden and duplicates") as step:
        about = explore(cohort, progress=step)
    measured = [case for case in about.cases if case.tumour_voxels is not None]
    in_ml = all(case.tumour_ml is not None for case in measured)
    burden = {case.case: float((case.tumour_ml if in_ml else case.tumour_voxels) or 0.0) for case in measured}
    groups = tuple(frozenset(group.cases) for group in about.duplicates)
    if path is not None:
        write_record(path, _SurveyRecord(burden=burden, groups=tuple(tuple(sorted(group)) for group in groups)))
    return Survey(burden, groups)


class _SurveyRecord(Frozen):
    """A ``Survey`` as it is kept, sealed: a damaged one would draw another split."""

    burden: dict[str, float]
    groups: tuple[tuple[str, ...], ...]


def _kept_survey(path: Path) -> _SurveyRecord | None:
    try:
        return read_record(path, _SurveyRecord)
    except (CacheError, FileError):
        return None


def split_cohort(
    cohort: Cohort,
    options: SplitOptions,
    *,
    file: Path | None = None,
    fold: int | None = None,
    cache: Path | None = None,
    reporter: Reporter = QUIET,
) -> Split:
    """Split a cohort, or verify the split that stands in ``file``; ``fold`` is one of a file that holds folds.

    Raises:
        SplitError: see ``cohorts.split`` and ``cohorts.split_file``.
    """
    facts = survey(cohort, cache, reporter)
    if file is not None:
        return load_split(file, cohort, groups=facts.groups, fold=fold)
    new_split = split(cohort, options, burden=facts.burden or None, groups=facts.groups)
    return verified(new_split, cohort, groups=facts.groups)


def options_of(settings: Mapping[str, Any]) -> SplitOptions:
    """How a cohort is split, from settings such as ``split.test`` -> 0.2.

    Raises:
        OptionError: unfitting settings, or others, which would act on nothing.
    """
    others = [name for name in settings if not name.startswith("split.")]
    if others:
        raise OptionError(
            "these settings have no effect on a split",
            found=", ".join(others),
            expected="settings such as split.test=0.2",
            remedy="Give them to `glioseg train`",
        )
    return build_recipe({}, settings).split


def write_split(
    data: Data | Cohort, options: SplitOptions, out: Path | None = None, reporter: Reporter = QUIET
) -> Split:
    """Read and split a folder of scans, and save the split where a file is named.

    Raises:
        FileError: the file cannot be written, which is said before any scan is looked at; see ``read`` for others.
    """
    if out is not None:
        require_place(out)
    new_split = split_cohort(read(data, reporter), options, reporter=reporter)
    if out is not None:
        save_split(new_split, out)
    return new_split


def write_nnunet_folds(
    data: Data | Cohort, options: SplitOptions, out: Path | None = None, reporter: Reporter = QUIET
) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Every fold of a cross-validation, (training cases, validation cases) each, saved as nnU-Net reads them.

    Raises:
        OptionError: the number of folds is not set.
        FileError: the file cannot be written, which is said before any scan is looked at.
    """
    if options.n_folds is None:
        raise OptionError("nnU-Net's file holds folds", remedy="Say how many: split.n_folds=5")
    if out is not None:
        require_place(out)
    cohort = read(data, reporter)
    facts = survey(cohort, None, reporter)
    folds = []
    for number in range(options.n_folds):
        fold = split(
            cohort,
            options.model_copy(update={"fold": number}),
            burden=facts.burden or None,
            groups=facts.groups,
        )
        parts = (frozenset(fold.train), frozenset(fold.val))
        train, val = (tuple(case.id for case in cohort.cases if case.patient in part) for part in parts)
        folds.append((train, val))
    if out is not None:
        write_splits_final(out, folds)
    return folds

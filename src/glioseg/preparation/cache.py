"""Preparing a whole cohort, once: in parallel, written atomically, kept under the hash of what went into it."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from glioseg.cohorts.parallel import n_processors
from glioseg.console import Step
from glioseg.core import Case, Cohort, Image, LabelMap, Source
from glioseg.errors import CacheError, FileError, GeometryError, GliosegError
from glioseg.io import load_image, load_labels
from glioseg.io.dicom.archive import file_of
from glioseg.io.files import cannot_write, sweep, sync_file, unforeseen_in
from glioseg.io.lock import locked
from glioseg.preparation.case import prepare_arrays
from glioseg.preparation.contents import digests_of
from glioseg.preparation.identity import (
    CachePlan,
    PlannedCase,
    folder_name,
    plan_cohort,
    reduced,
    unreadable_cases,
)
from glioseg.preparation.options import PrepareOptions
from glioseg.preparation.records import VERSION, IndexRecord, SchemeRecord, read_record, write_record
from glioseg.preparation.store import PreparedCohort, case_files, index_at, is_sound, open_prepared, write_case

_LOG = logging.getLogger("glioseg")
_MOST_WORKERS = 4


def prepare(
    cohort: Cohort,
    options: PrepareOptions,
    folder: Path,
    *,
    n_workers: int | None = None,
    progress: Step | None = None,
) -> PreparedCohort:
    """The cohort, prepared: opened where it is in ``folder`` already, else made.

    A complete cache is opened after a check of its records, headers and sizes; slices are compared with their checksums
    when they are first read (``PreparedCase.images``). Cases that fail either are made anew, and that is logged. What
    an interrupted preparation left is kept where every checksum is right, and so are the cases that another cohort,
    such as this one before a scan of it changed, has there.

    Args:
        cohort: what to prepare.
        options: how.
        folder: where prepared cohorts are kept, those of one name and one way to prepare in a folder of it.
        n_workers: threads; None for one per core, at most 4. Reading and arithmetic run side by side in threads, since
            both leave Python's lock; each holds one case in memory (some 0.3 GB for BraTS).
        progress: called with (cases done, cases in all).

    Raises:
        GliosegError: an error in a case names it; what is already prepared is kept for the next attempt.
    """
    return _prepare(cohort, options, folder, n_workers, progress, None)


def prepare_sound(
    cohort: Cohort,
    options: PrepareOptions,
    folder: Path,
    *,
    n_workers: int | None = None,
    progress: Step | None = None,
) -> tuple[PreparedCohort, dict[str, GliosegError]]:
    """``prepare`` without the cases that cannot be prepared, whatever is wrong with them; and case -> what that is.

    For scoring data that others must be scored on all the same. What a training learns from is prepared by ``prepare``:
    a case that was to be learnt from and silently is not would change what the recipe means.

    Raises:
        GliosegError: no case can be prepared, or the fault is not a case's: a full disk, options that do not fit.
    """
    damaged: dict[str, GliosegError] = dict(unreadable_cases(cohort, folder))
    prepared = _prepare(_rest(cohort, damaged), options, folder, n_workers, progress, damaged)
    return prepared, damaged


def _prepare(
    cohort: Cohort,
    options: PrepareOptions,
    folder: Path,
    n_workers: int | None,
    progress: Step | None,
    damaged: dict[str, GliosegError] | None,
) -> PreparedCohort:
    """Cases that cannot be prepared go into ``damaged``; where that is None, the first of them is raised."""
    plan = plan_cohort(cohort, options, folder)
    home = folder / folder_name(cohort, plan)
    mender = _Mender(plan, home, options, folder)
    complete = _is_complete(home, plan)
    if complete:
        try:
            return open_prepared(index_at(home, plan.key), mender.of)
        except (CacheError, FileError) as error:
            _LOG.warning("Damaged, and prepared anew: %s", " ".join(str(error).split()))
    with locked(home, waiting=_say_waiting):
        if complete or not _is_complete(home, plan):  # else somebody has made it while this process waited
            _drop_index(home, plan)
            jobs = _jobs(plan, home, options, thorough=not complete)
            faults = _run(jobs, n_workers or min(n_processors(), _MOST_WORKERS), progress, damaged is None)
            if damaged is not None and faults:
                damaged.update(faults)
                cohort = _rest(cohort, faults)
                plan = reduced(plan, frozenset(case.id for case in cohort.cases))
            _finish(home, cohort, options, plan)
    return open_prepared(index_at(home, plan.key), mender.of)


def _rest(cohort: Cohort, faults: Mapping[str, GliosegError]) -> Cohort:
    """The cases without faults, of which there must be some."""
    rest = tuple(case for case in cohort.cases if case.id not in faults)
    if not rest:
        raise next(iter(faults.values()))
    return replace(cohort, cases=rest)


def _say_waiting(holder: str) -> None:
    _LOG.warning("Scans are being prepared here by %s; waiting for it", holder)


@dataclass(frozen=True)
class _CacheJob:
    """Cases that share their files (slices of one volume), or one case."""

    cases: tuple[PlannedCase, ...]
    plan: CachePlan
    home: Path
    options: PrepareOptions
    thorough: bool


@dataclass(frozen=True)
class _Mender:
    """Prepares single cases anew; plain data, so that it can be sent to other processes."""

    plan: CachePlan
    home: Path
    options: PrepareOptions
    folder: Path

    def of(self, stem: str) -> Callable[[], None]:
        """What prepares the case whose files' names begin so."""
        return partial(self._mend, stem)

    def _mend(self, stem: str) -> None:
        """Write the case again, from scans that must still hold what they held.

        Raises:
            CacheError: they do not.
            GliosegError: they cannot be read.
        """
        (planned,) = (planned for planned in self.plan.cases if planned.stem == stem)
        case = planned.case
        _LOG.warning("Case %s of the prepared cache is damaged, and is prepared anew from its scans", case.id)
        paths = [file_of(path) for source in _sources(case) for path in source.paths]
        now = set(digests_of(paths, paths[0].parent, None).values())
        if not now <= set(self.plan.files.values()):
            raise CacheError(
                f"case {case.id} is damaged in the prepared cache, and its scans have changed",
                path=self.home,
                remedy="Restore the scans, or start again with those that there are",
            )
        try:
            _prepare_cases([planned], _CacheJob((planned,), self.plan, self.home, self.options, thorough=True))
        except _UnsoundError as unsound:
            raise unsound.error from unsound


def _is_complete(home: Path, plan: CachePlan) -> bool:
    try:
        index = read_record(index_at(home, plan.key), IndexRecord)
    except GliosegError:
        return False
    return index.key == plan.key and index.cases == {planned.stem: planned.key for planned in plan.cases}


def _drop_index(home: Path, plan: CachePlan) -> None:
    """Say that the cohort is not complete now, and remove what killed writers left a day ago or longer."""
    try:
        index_at(home, plan.key).unlink(missing_ok=True)
    except OSError as error:
        raise cannot_write(home, error) from error
    sweep(home)


def _jobs(plan: CachePlan, home: Path, options: PrepareOptions, *, thorough: bool) -> list[_CacheJob]:
    volumes: dict[object, list[PlannedCase]] = defaultdict(list)
    for planned in plan.cases:
        volumes[_volume(planned.case)].append(planned)
    return [_CacheJob(tuple(cases), plan, home, options, thorough) for cases in volumes.values()]


def _volume(case: Case) -> object:
    """The same for slices of one volume, different for all other cases."""
    sources = _sources(case)
    if len({source.slice_index for source in sources}) != 1 or sources[0].slice_index is None:
        return case.id
    volume = _whole(case)
    return tuple(volume.images.items()), volume.labels


def _sources(case: Case) -> list[Source]:
    return [*case.images.values(), *([] if case.labels is None else [case.labels])]


def _whole(case: Case) -> Case:
    """The volume that a case is a slice of."""

    def whole(source: Source) -> Source:
        return replace(source, slice_index=None)

    return replace(
        case,
        images={name: whole(source) for name, source in case.images.items()},
        labels=None if case.labels is None else whole(case.labels),
    )


def _run(jobs: Sequence[_CacheJob], n_workers: int, progress: Step | None, is_strict: bool) -> dict[str, GliosegError]:
    """Do all jobs; case -> why it cannot be prepared, which is raised at once where ``is_strict``."""
    faults: dict[str, GliosegError] = {}
    n_cases, done = sum(len(job.cases) for job in jobs), 0
    with ThreadPoolExecutor(n_workers, thread_name_prefix="prepare") as pool:
        try:
            for finished in as_completed([pool.submit(_work, job) for job in jobs]):
                job, fault = finished.result()
                if fault is not None and is_strict:
                    raise fault
                if fault is not None:
                    faults |= dict.fromkeys((planned.case.id for planned in job.cases), _in_words(fault, job))
                done += len(job.cases)
                if progress is not None:
                    progress(done, n_cases)
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    order = [planned.case.id for job in jobs for planned in job.cases]
    return {case: faults[case] for case in order if case in faults}


def _work(job: _CacheJob) -> tuple[_CacheJob, Exception | None]:
    """Prepare what is not there yet; with what is wrong with the scans. What is wrong with the place is raised."""
    missing = [
        planned for planned in job.cases if not is_sound(job.home, planned.stem, planned.key, thorough=job.thorough)
    ]
    try:
        if missing:
            _prepare_cases(missing, job)
    except _UnsoundError as unsound:
        error = unsound.error
        return job, _naming(missing[0].case.id, error) if isinstance(error, GliosegError) else error
    return job, None


def _in_words(error: Exception, job: _CacheJob) -> GliosegError:
    if isinstance(error, GliosegError):
        return error
    case = job.cases[0].case
    return unforeseen_in(case, f"case {case.id} could not be prepared", error)


class _UnsoundError(Exception):
    """Scans that cannot be prepared; tells them from a cache that cannot be written."""

    def __init__(self, error: Exception) -> None:
        super().__init__(error)
        self.error = error


@contextmanager
def _of_scans() -> Iterator[None]:
    """Within it whatever goes wrong is the fault of the scans."""
    try:
        yield
    except Exception as error:
        raise _UnsoundError(error) from error


def _prepare_cases(cases: Sequence[PlannedCase], job: _CacheJob) -> None:
    """Cases that share their files, read once.

    Raises:
        _UnsoundError: of their scans.
        FileError: the cache cannot be written.
    """
    single = len(cases) == 1
    source = cases[0].case if single else _whole(cases[0].case)
    with _of_scans():
        image = load_image(source)
        labels = None if source.labels is None or job.plan.scheme is None else load_labels(source, job.plan.scheme)
    for planned in cases:
        case = planned.case
        z = None if single else next(iter(case.images.values())).slice_index
        with _of_scans():
            arrays = prepare_arrays(
                image if z is None else _image_slice(image, z),
                labels if labels is None or z is None else _label_slice(labels, z),
                job.plan.modalities,
                job.plan.regions,
                job.options,
            )
        write_case(job.home, planned.stem, planned.key, case, job.plan.regions, arrays)


def _image_slice(image: Image, z: int) -> Image:
    x, y, n = image.grid.shape
    if z >= n:
        raise GeometryError("the volume has too few slices", found=n, expected=f"slice {z}")
    return Image(image.array[..., z : z + 1], image.modalities, image.grid.cropped(((0, x), (0, y), (z, z + 1))))


def _label_slice(labels: LabelMap, z: int) -> LabelMap:
    x, y, _ = labels.grid.shape
    return LabelMap(labels.array[..., z : z + 1], labels.scheme, labels.grid.cropped(((0, x), (0, y), (z, z + 1))))


def _naming(case: str, error: GliosegError) -> GliosegError:
    """The same error, saying in which case it happened."""
    if case in error.what:
        return error
    what = f"case {case}: {error.what}"
    return type(error)(what, path=error.path, found=error.found, expected=error.expected, remedy=error.remedy)


def _finish(home: Path, cohort: Cohort, options: PrepareOptions, plan: CachePlan) -> None:
    """Have everything on disk, then say that the cache is complete."""
    for planned in plan.cases:
        for path in case_files(home, planned.stem):
            try:
                sync_file(path)
            except OSError as error:
                raise cannot_write(path, error) from error
    index = IndexRecord(
        version=VERSION,
        key=plan.key,
        name=cohort.name,
        options=options,
        scheme=None if plan.scheme is None else SchemeRecord.of(plan.scheme),
        modalities=plan.modalities,
        regions=plan.regions,
        cases={planned.stem: planned.key for planned in plan.cases},
        files=dict(plan.files),
    )
    write_record(index_at(home, plan.key), index)

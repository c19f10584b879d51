"""Is a cohort sound? Every voxel is looked at once; what cannot be read becomes a finding, and the rest goes on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from glioseg.cohorts.checks import masks, measure
from glioseg.cohorts.checks.fingerprints import fingerprint
from glioseg.cohorts.dark import non_black_shares
from glioseg.cohorts.parallel import in_order, n_workers_for
from glioseg.cohorts.reading.repeats import repeated_channels
from glioseg.cohorts.summary import CaseSummary, Distribution, SliceTable
from glioseg.console import Step
from glioseg.core import (
    SCHEMES,
    Case,
    Cohort,
    Finding,
    FindingKind,
    Grid,
    LabelScheme,
    Severity,
    Source,
    scheme_named,
)
from glioseg.core.grid import EXACT
from glioseg.core.labels import distinct
from glioseg.core.schemes import tumour_labels
from glioseg.errors import GeometryError, GliosegError, LabelError, listed, name_some
from glioseg.io import Voxels, read_sources
from glioseg.io.load import oddity, read_labels
from glioseg.io.raster import COLOURS

_PICTURES_AT_ONCE = 32
_MOST_LABELS = 32
"""Values that the labels of a mask may have, and still be proposed as labels."""
_MOST_VALUES = 256
"""Values that a label map may have; with more it is an image, and its labels are not worth counting."""


@dataclass(frozen=True)
class _Task:
    """A case and what of its cohort a look at it needs.

    Args:
        case: the case.
        modalities: the cohort's.
        scheme: the cohort's.
        expects_mask: whether other cases have one.
        reported: what the reader has said of this case.
    """

    case: Case
    modalities: tuple[str, ...]
    scheme: LabelScheme | None
    expects_mask: bool
    reported: tuple[Finding, ...]

    def is_new(self, kind: FindingKind, words: str = "") -> bool:
        """Whether the reader has not yet reported that kind of finding (with those words)."""
        return not any(finding.kind == kind and words in finding.message for finding in self.reported)


@dataclass(frozen=True, eq=False)
class _Reference:
    """A label map that fits the images.

    Args:
        voxels: (Z, Y, X).
        grid: where they lie.
        values: the integers of the columns of ``names``.
        names: the scheme's labels, then values that it does not know.
        tumour: those of ``values`` that are tumour; None where the scheme has none.
    """

    voxels: npt.NDArray[np.integer]
    grid: Grid
    values: tuple[int, ...]
    names: tuple[str, ...]
    tumour: frozenset[int] | None


def check(cohort: Cohort, *, n_workers: int | None = None, progress: Step | None = None) -> Iterator[CaseSummary]:
    """Look at every case of a cohort, in its order.

    Memory does not grow with the cohort: each process holds one case, and what is yielded is small.

    Args:
        cohort: what to look at.
        n_workers: processes; None for one per processor where the cohort is worth it, 1 for none besides this one.
        progress: called with (cases done, cases in all).
    """
    reported: dict[str | None, list[Finding]] = {}
    for finding in cohort.findings:
        reported.setdefault(finding.case, []).append(finding)
    expects_mask = any(case.labels is not None for case in cohort.cases)
    tasks = [
        _Task(case, cohort.modalities, cohort.scheme, expects_mask, tuple(reported.get(case.id, ())))
        for case in cohort.cases
    ]
    done = 0
    workers = n_workers_for(cohort, n_workers)
    for summaries in in_order(_summarise_all, _bundles(tasks), n_workers=workers, lost=_lost):
        for summary in summaries:
            done += 1
            if progress is not None:
                progress(done, len(tasks))
            yield summary


def _bundles(tasks: Sequence[_Task]) -> Iterator[Sequence[_Task]]:
    """Single pictures go out by the dozen, since handing one over takes as long as looking at it."""
    waiting: list[_Task] = []
    for task in tasks:
        waiting.append(task)
        is_picture = all(source.kind == "raster" and len(source.paths) == 1 for source in task.case.images.values())
        if not is_picture or len(waiting) == _PICTURES_AT_ONCE:
            yield tuple(waiting)
            waiting = []
    if waiting:
        yield tuple(waiting)


def _summarise_all(tasks: Sequence[_Task]) -> list[CaseSummary]:
    return [_summarise(task) for task in tasks]


def _lost(tasks: Sequence[_Task]) -> list[CaseSummary]:
    """What is said of cases on which a process died; of several, each is looked at in a process of its own again."""
    if len(tasks) > 1:
        alone = in_order(_summarise_all, [(task,) for task in tasks], n_workers=2, lost=_lost)
        return [summary for summaries in alone for summary in summaries]
    (task,) = tasks
    return [_unreadable(task, "reading it ended the process: the file is damaged, or memory ran out")]


def _summarise(task: _Task) -> CaseSummary:
    """The summary; whatever a case throws that no reader answers for is a finding, and the rest goes on."""
    try:
        return _looked_at(task)
    except Exception as error:  # noqa: BLE001 - see above
        return _unreadable(task, f"it cannot be looked at: {type(error).__name__}: {error}".rstrip(": "))


def _unreadable(task: _Task, why: str) -> CaseSummary:
    """The summary of a case of which nothing is known but that."""
    path = next(iter(task.case.images.values())).shown
    finding = Finding("error", "unreadable-file", f"{path}: {why}", task.case.id)
    empty = replace(task, case=replace(task.case, images={}, labels=None))
    return replace(_looked_at(empty), findings=(finding,))


def _looked_at(task: _Task) -> CaseSummary:
    case = task.case
    findings = _missing(task)
    images, more_findings = _read_images(task)
    findings += more_findings
    grid = next((voxels.grid for voxels in images.values()), None)
    reference, more_findings = _read_reference(task, grid)
    findings += more_findings
    grid = reference.grid if grid is None and reference is not None else grid
    arrays = {
        name: measure.planes(voxels.array)
        for name, voxels in images.items()
        if grid is not None and voxels.grid.shape == grid.shape
    }
    findings += _content_findings(task.case.id, arrays)
    brain, seen = measure.tissue(arrays, grid.shape[::-1] if grid else (0, 0, 0))
    measured = {name: measure.distribution(array, brain) for name, array in arrays.items()}
    tumour = _tumour(reference)
    n_tumour = None if tumour is None else int(np.count_nonzero(tumour))
    findings += _mask_findings(task, brain, tumour)
    return CaseSummary(
        case=case.id,
        patient=case.patient,
        category=case.category,
        shape=None if grid is None else grid.shape,
        spacing=None if grid is None else grid.spacing,
        orientation=None if grid is None else grid.orientation,
        has_mm=grid is not None and grid.has_mm,
        modalities={name: values for name, values in measured.items() if isinstance(values, Distribution)},
        n_voxels=int(brain.size),
        n_brain_voxels=int(np.count_nonzero(brain)),
        labels=() if reference is None else reference.names,
        has_reference=reference is not None,
        slices=_slice_table(arrays, seen, reference, n_slices=len(brain)),
        tumour_voxels=n_tumour,
        tumour_ml=n_tumour * grid.voxel_ml if n_tumour is not None and grid is not None and grid.has_mm else None,
        tumour_centre=None if tumour is None else measure.centre_voxel(tumour),
        heat=() if tumour is None or grid is None else measure.heat_maps(tumour, brain, grid),
        mask_moves={} if tumour is None or grid is None else masks.better_moves(arrays, brain, tumour, grid),
        correlation=measure.correlation(arrays, task.modalities, brain),
        fingerprint=fingerprint(case.id, case.patient, arrays),
        findings=tuple(findings),
        facts=dict(case.facts),
    )


# --- findings ---------------------------------------------------------------------------------------------------------


def _missing(task: _Task) -> list[Finding]:
    findings = []
    names = [name for name in task.modalities if name not in task.case.images]
    if names and task.is_new("missing-modality"):
        findings.append(Finding("warning", "missing-modality", f"{', '.join(names)} is missing", task.case.id))
    if task.expects_mask and task.case.labels is None and task.is_new("missing-mask"):
        findings.append(Finding("warning", "missing-mask", "there is no mask", task.case.id))
    return findings


def _read_images(task: _Task) -> tuple[dict[str, Voxels], list[Finding]]:
    """What can be read, and findings for what cannot or does not lie on the grid of the first."""
    images: dict[str, Voxels] = {}
    findings: dict[str, Finding] = {}
    for name, voxels in read_sources(task.case.images).items():
        source = task.case.images[name]
        path = Path(source.name or source.paths[0])
        if isinstance(voxels, GliosegError):
            if task.is_new(_kind_of(voxels), str(voxels.path)):
                findings.setdefault(str(voxels), Finding("error", _kind_of(voxels), str(voxels), task.case.id))
            continue
        first = next(iter(images), None)
        difference = None if first is None else images[first].grid.difference(voxels.grid)
        if difference is not None:
            message = f"{name} ({path.name}) does not lie on the grid of {first}: {difference}"
            findings[message] = Finding("error", "modality-geometry", message, task.case.id)
        elif first is not None and images[first].grid.difference(voxels.grid, EXACT) is not None:
            message = _rounded(f"{name} ({path.name})", first, images[first].grid, voxels.grid)
            findings[message] = Finding("warning", "modality-geometry", message, task.case.id)
        if voxels.grid.other_form is not None:
            message = _two_places(name, path, voxels.grid)
            findings.setdefault("forms", Finding("warning", "forms-disagree", message, task.case.id))
        bad = _n_not_finite(voxels.array)
        if bad:
            message = f"{name} ({path.name}) is NaN or infinite in {bad} of its voxels"
            findings[message] = Finding("error", "nan-or-inf", message, task.case.id)
        said = oddity(task.case.images[name])
        if said is not None:
            findings[said] = Finding("note", "odd-file", said, task.case.id)
        images[name] = voxels
    return images, list(findings.values())


def _two_places(name: str, path: Path, grid: Grid) -> str:
    return (
        f"sform and qform of {name} ({path.name}) put the voxels up to {grid.forms_apart_mm:.3g} mm apart: programs "
        "that go by the one show what was made by the other displaced. glioseg goes by the sform and writes both"
    )


def _rounded(name: str, other: str, grid: Grid, own: Grid) -> str:
    return (
        f"the headers of {name} and of {other} put the voxels {grid.furthest_mm(own):.3g} mm apart, as rounding does: "
        "they are taken as one grid"
    )


def _kind_of(error: GliosegError) -> FindingKind:
    """A picture stack of several sizes, a file with too few channels; all else is a file that cannot be read."""
    return "file-geometry" if isinstance(error, GeometryError) else "unreadable-file"


def _n_not_finite(array: npt.NDArray[Any]) -> int:
    return 0 if array.dtype.kind != "f" else int(array.size - np.count_nonzero(measure.is_usable(array)))


def _content_findings(case: str, arrays: Mapping[str, npt.NDArray[Any]]) -> list[Finding]:
    """Constant images and channels that repeat another; ``arrays`` (Z, Y, X) of one shape."""
    constant = {name: array for name, array in arrays.items() if bool((array == array.flat[0]).all())}
    if constant and (len(constant) == len(arrays) or not set(constant) <= set(COLOURS)):
        values = sorted({f"{float(array.flat[0]):g}" for array in constant.values()})
        look = "black everywhere" if values == ["0"] else f"the same everywhere ({', '.join(values)})"
        return [Finding("warning", "constant-image", f"{listed(constant)} {_verb(constant)} {look}", case)]
    findings = []
    varied = {name: array for name, array in arrays.items() if name not in constant}
    for group in repeated_channels(list(varied.values()), tuple(varied)):
        if set(group) == set(COLOURS):
            findings.append(Finding("note", "grey-as-colour", "a grey picture, stored in three colours", case))
        else:
            message = f"{listed(group)} hold the same voxels: one of them was not acquired, or is another by mistake"
            severity: Severity = "note" if set(group) <= set(COLOURS) else "warning"  # of near-grey pictures, by chance
            findings.append(Finding(severity, "repeated-channel", message, case))
    return findings


def _verb(names: Sized) -> str:
    return "is" if len(names) == 1 else "are"


# --- the reference ----------------------------------------------------------------------------------------------------


def _read_reference(task: _Task, grid: Grid | None) -> tuple[_Reference | None, list[Finding]]:
    """The label map, where it can be read and has as many voxels as the images."""
    source, scheme = task.case.labels, task.scheme
    if source is None:
        return None, []
    path = source.paths[0]
    kind: FindingKind
    try:
        voxels = read_labels(source, scheme or _fallback(source))
    except GliosegError as error:
        kind = "unknown-labels" if isinstance(error, LabelError) else _kind_of(error)
        new = task.is_new(kind, str(error.path))
        return None, [Finding("error", kind, error.text, task.case.id)] if new else []
    said = oddity(source)
    findings = [] if said is None else [Finding("note", "odd-file", said, task.case.id)]
    if voxels.grid.other_form is not None and (grid is None or grid.other_form is None):
        message = _two_places("the mask", path, voxels.grid)
        findings.append(Finding("warning", "forms-disagree", message, task.case.id))
    difference = None if grid is None else grid.difference(voxels.grid)
    if difference is not None:
        kind = "mask-geometry" if voxels.grid.has_mm else "mask-size"
        if task.is_new(kind):
            message = f"the mask ({path.name}) does not lie on the grid of the images: {difference}"
            findings.append(Finding("error", kind, message, task.case.id))
        if grid is not None and grid.shape != voxels.grid.shape:
            return None, findings
    elif grid is not None and grid.difference(voxels.grid, EXACT) is not None and task.is_new("mask-geometry"):
        message = _rounded(f"the mask ({path.name})", "the images", grid, voxels.grid)
        findings.append(Finding("warning", "mask-geometry", message, task.case.id))
    present = distinct(voxels.array)
    if len(present) > _MOST_VALUES:
        message = f"{path.name} is no label map: {len(present)} values are an image's rather than a label map's"
        return None, [*findings, Finding("error", "unknown-labels", message, task.case.id)]
    reference = _reference(voxels, scheme)
    unknown = [value for value in reference.values if scheme is not None and value not in scheme.labels.values()]
    if scheme is not None and unknown:
        message = _unknown_labels(path.name, unknown, present, scheme)
        findings.append(Finding("error", "unknown-labels", message, task.case.id))
    return reference, findings


def _fallback(source: Source) -> LabelScheme:
    """What a mask is read with where the scheme is unknown: the integers of volumes are read as they are."""
    return scheme_named("binary" if source.kind == "raster" else "brats2021")


def _reference(voxels: Voxels, scheme: LabelScheme | None) -> _Reference:
    present = [value for value in distinct(voxels.array) if value != 0]
    if scheme is None:
        names = tuple(f"label {value}" for value in present)
        return _Reference(measure.planes(voxels.array), voxels.grid, tuple(present), names, frozenset(present))
    unknown = [value for value in present if value not in scheme.labels.values()]
    tumour = frozenset(tumour_labels(scheme))
    return _Reference(
        measure.planes(voxels.array),
        voxels.grid,
        (*scheme.labels.values(), *unknown),
        (*scheme.labels, *(f"unknown {value}" for value in unknown)),
        tumour or None,
    )


def _mask_findings(task: _Task, brain: npt.NDArray[np.bool_], tumour: npt.NDArray[np.bool_] | None) -> list[Finding]:
    """What a mask that could be read looks like: where its tumour lies, and whether its picture is one of a mask."""
    source = task.case.labels
    if tumour is None or source is None:
        return []
    findings = masks.mask_findings(task.case.id, brain, tumour)
    if source.kind == "raster" and len((task.scheme or _fallback(source)).labels) == 1:
        findings += masks.picture_findings(task.case.id, source.paths)
    return findings


def _unknown_labels(name: str, unknown: Sequence[int], present: Sequence[int], scheme: LabelScheme) -> str:
    """Names the schemes that know every value, since a wrong scheme is the usual cause."""
    fitting = [other.name for other in SCHEMES.values() if {*present} <= {0, *other.labels.values()}]
    text = (
        f"{name} holds {name_some(unknown)}, which the label scheme {scheme.name} does not know ({scheme.describe()})"
    )
    if fitting:
        return f"{text}; {' or '.join(f'`--scheme {name}`' for name in fitting)} would"
    if len(present) > _MOST_LABELS:
        return f"{text}; {len(present)} values are an image's rather than a label map's"
    return f"{text}; say what they mean with `--labels {','.join(f'{value}=NAME' for value in present if value)}`"


def _tumour(reference: _Reference | None) -> npt.NDArray[np.bool_] | None:
    """(Z, Y, X), or None where there is no reference or its scheme has no tumour."""
    if reference is None or reference.tumour is None:
        return None
    if reference.voxels.dtype != np.uint8:
        return np.isin(reference.voxels, list(reference.tumour))
    table = np.zeros(256, dtype=np.bool_)
    table[list(reference.tumour)] = True
    return np.asarray(table[reference.voxels])


def _slice_table(
    arrays: Mapping[str, npt.NDArray[Any]],
    seen: Mapping[str, npt.NDArray[np.float32]],
    reference: _Reference | None,
    *,
    n_slices: int,
) -> SliceTable:
    shares = non_black_shares(arrays.values()) if arrays else np.full(n_slices, np.nan, dtype=np.float32)
    if reference is None:
        return SliceTable(shares, seen, np.empty((0, 0), dtype=np.int32), np.empty(0, dtype=np.int32))
    voxels = np.empty((n_slices, len(reference.values)), dtype=np.int32)
    for column, value in enumerate(reference.values):
        voxels[:, column] = np.count_nonzero(reference.voxels == value, axis=(1, 2))
    if reference.tumour is None:
        return SliceTable(shares, seen, voxels, np.empty(0, dtype=np.int32))
    columns = [column for column, value in enumerate(reference.values) if value in reference.tumour]
    return SliceTable(shares, seen, voxels, voxels[:, columns].sum(axis=1, dtype=np.int32))

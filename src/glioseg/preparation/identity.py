"""The names of what is prepared are hashes of all that goes into it: contents, options, meaning of labels, version."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

from glioseg.core import Case, Cohort, LabelScheme, Source
from glioseg.core.labels import painting_order
from glioseg.core.modalities import modality_of, named_among
from glioseg.errors import FileError, OptionError
from glioseg.io.dicom.archive import file_of
from glioseg.preparation.contents import contents_of, digests_of
from glioseg.preparation.options import PrepareOptions
from glioseg.preparation.records import VERSION, SchemeRecord


@dataclass(frozen=True)
class PlannedCase:
    """A case to be prepared: how its files' names begin, and the hash of what goes into it."""

    case: Case
    stem: str
    key: str


@dataclass(frozen=True)
class CachePlan:
    """A cohort to be prepared.

    Args:
        key: hash of all cases' keys.
        way: hash of what all cases share: options, meaning of labels, channels, version.
        scheme: meaning of the labels; None where no case has a reference.
        regions: names of the regions to be made; empty without scheme.
        modalities: the channels to be made.
        cases: in the cohort's order.
        files: source file, relative to the folder that holds them all -> digest of what it holds.
    """

    key: str
    way: str
    scheme: LabelScheme | None
    regions: tuple[str, ...]
    modalities: tuple[str, ...]
    cases: tuple[PlannedCase, ...]
    files: Mapping[str, str]


def plan_cohort(cohort: Cohort, options: PrepareOptions, folder: Path | None = None) -> CachePlan:
    """What is to be prepared, and under which name.

    A source file is known by its path relative to the cohort and what it holds: whoever moves, copies or touches the
    files keeps the cache, and whoever changes one does not, whatever its time says.

    Args:
        cohort: what to prepare.
        options: how.
        folder: where it is kept what files hold (``contents.digests_of``); None reads every file.

    Raises:
        OptionError: labels without a scheme, regions without labels, or an unknown modality to fill in with.
        LabelError: regions that the scheme does not have, or that overlap without one holding the other.
        FileError: a source file is missing.
    """
    scheme, regions = _scheme_and_regions(cohort, options)
    is_complete = all(set(cohort.modalities) <= set(case.images) for case in cohort.cases)
    is_known = options.missing == "zero" or named_among(options.missing, cohort.modalities) in cohort.modalities
    if not is_known and (not is_complete or modality_of(options.missing) is None):
        raise OptionError(
            "no modality of that name can stand in for missing ones",
            found=options.missing,
            expected=f"zero or one of {', '.join(cohort.modalities)}",
            remedy="Try `--set prepare.missing=zero`",
        )
    common = {
        "version": VERSION,
        "options": options.model_dump(mode="json"),
        "scheme": None if scheme is None else SchemeRecord.of(scheme).model_dump(mode="json"),
        "modalities": cohort.modalities,
        "regions": regions,
    }
    files = _identify(cohort, folder)
    cases = []
    for case in cohort.cases:
        sources = {name: _source_identity(source, files) for name, source in case.images.items()}
        labels = None if case.labels is None else _source_identity(case.labels, files)
        key = _digest([common, case.id, case.patient, case.category, sources, labels])
        cases.append(PlannedCase(case, _named(case.id, key), key))
    key, way = _key_of(cases), _digest(common)
    return CachePlan(key, way, scheme, regions, cohort.modalities, tuple(cases), dict(files.values()))


def reduced(plan: CachePlan, ids: Collection[str]) -> CachePlan:
    """The plan of some of its cases, each as it was planned among all."""
    cases = tuple(planned for planned in plan.cases if planned.case.id in ids)
    return replace(plan, key=_key_of(cases), cases=cases)


def _key_of(cases: Sequence[PlannedCase]) -> str:
    return _digest([planned.key for planned in cases])


def folder_name(cohort: Cohort, plan: CachePlan) -> str:
    """The folder of what is prepared of a data set in one way, in which each case has files of its own.

    Some of its patients, or a scan that has changed since, therefore cost no case that is there.
    """
    return _named(cohort.name, plan.way)


def _scheme_and_regions(cohort: Cohort, options: PrepareOptions) -> tuple[LabelScheme | None, tuple[str, ...]]:
    has_labels = any(case.labels is not None for case in cohort.cases)
    if has_labels and cohort.scheme is None:
        raise OptionError(
            "the meaning of the cohort's labels is not known", remedy="Say it with `--scheme` or `--labels`"
        )
    if not has_labels or cohort.scheme is None:
        if options.regions is not None:
            raise OptionError(
                "regions are asked of a cohort without references",
                found=", ".join(options.regions),
                remedy="Leave regions out, or add the masks",
            )
        return None, ()
    regions = options.regions or cohort.scheme.default_regions
    painting_order(cohort.scheme, regions)
    return cohort.scheme, regions


def unreadable_cases(cohort: Cohort, folder: Path | None) -> dict[str, FileError]:
    """Case -> why one of its files cannot be read at all; ``folder`` as of ``plan_cohort``."""
    on_disk, root = _on_disk(cohort)
    faults = contents_of([*dict.fromkeys(on_disk.values())], root, folder).faults
    cases = {case.id: [on_disk[path] for source in _sources(case) for path in source.paths] for case in cohort.cases}
    return {name: faults[path] for name, paths in cases.items() for path in reversed(paths) if path in faults}


def _on_disk(cohort: Cohort) -> tuple[dict[Path, Path], Path]:
    """Source file -> the file on disk, which may be an archive; and the folder that holds them all."""
    kinds = {path: source.kind for case in cohort.cases for source in _sources(case) for path in source.paths}
    on_disk = {path: file_of(path) if kind == "dicom" else path for path, kind in kinds.items()}
    return on_disk, Path(os.path.commonpath([*{path.parent for path in on_disk.values()}]) if kinds else "")


def _identify(cohort: Cohort, folder: Path | None) -> Mapping[Path, tuple[str, str]]:
    """Every source file: path relative to the folder that holds them all, digest of what it holds."""
    on_disk, root = _on_disk(cohort)
    digests = digests_of([*dict.fromkeys(on_disk.values())], root, folder)
    return {path: (_below(path, root), digests[file]) for path, file in on_disk.items()}


def _below(path: Path, root: Path) -> str:
    """``os.path.relpath``, which makes both absolute and normal first, where the path does not begin with the root."""
    name, start = path.as_posix(), f"{root.as_posix().rstrip('/')}/"
    if name.startswith(start) and ".." not in path.parts:
        return name[len(start) :]
    return Path(os.path.relpath(path, root)).as_posix()


def _sources(case: Case) -> list[Source]:
    return [*case.images.values(), *([] if case.labels is None else [case.labels])]


def _source_identity(source: Source, files: Mapping[Path, tuple[str, str]]) -> dict[str, object]:
    identity = {each.name: getattr(source, each.name) for each in fields(source)}  # asdict would copy every path
    identity["paths"] = [files[path] for path in source.paths]
    for of_no_account in ("max_voxels", "name"):  # what is read is the same, whatever is refused or said of it
        identity.pop(of_no_account)
    if not source.layers:
        identity.pop("layers")  # which sources did not have always
    return identity


def _named(text: str, key: str) -> str:
    """Readable, valid and different for different keys on every file system, whatever the text holds."""
    readable = re.sub(r"[^A-Za-z0-9._-]+", "_", text).strip("._-")[:80]
    return f"{readable or 'unnamed'}-{key[:20]}"


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()

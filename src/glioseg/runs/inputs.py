"""What a user points at -> cases to be predicted or made ready."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from glioseg.cohorts.reading.case_names import case_name, distinct_names
from glioseg.console import Reporter
from glioseg.core import Case, Cohort
from glioseg.errors import OptionError
from glioseg.io.dicom.archive import file_of
from glioseg.io.files import nothing_there
from glioseg.runs.own_results import written_before
from glioseg.runs.read import Data, holds_cases, read
from glioseg.tasks.members import called_as, fitted, single_case, source_of


def _words_of_series(cohort: Cohort) -> Iterator[str]:
    """Of DICOM studies, what was taken for what and why, and what could not be used."""
    for row in cohort.series:
        if row.is_used:
            sure = f"{row.confidence:.0%} sure" if row.confidence < 1 else "sure"
            yield f"{row.case}: series {row.label} is {row.taken_for}, {sure}: {row.why}"
    if cohort.series:
        for finding in cohort.findings:
            if finding.severity == "error":
                continue  # said when it was read
            yield f"{finding.case or finding.severity}: {finding.message}"


def cases_of(
    needed: Sequence[str], inputs: Sequence[Data | Cohort], files: Mapping[str, Path], out: Path, reporter: Reporter
) -> Iterator[Case]:
    """The cases of the inputs, their images called as they are needed.

    Args:
        needed: what a network sees, in its order.
        inputs: folders, archives and files, or cohorts that were read.
        files: modality -> file, of one case more.
        out: where results go, and may lie already.
        reporter: told what series of DICOM were taken for.

    Raises:
        FileError, LayoutError, OptionError: an input that is not there, is not recognised, or shows too little.
    """
    if files:
        name = case_name(list(files.values()))
        sources = {modality: source_of(path, None) for modality, path in files.items()}
        yield Case(name, name, called_as(sources, needed))
    for data in inputs:
        if isinstance(data, Cohort) or holds_cases(data.path):
            cohort = data if isinstance(data, Cohort) else read(without_results(data, out), reporter)
            for words in _words_of_series(cohort):
                reporter.say(words)
            yield from (fitted(case, needed) for case in cohort.cases)
        elif not data.path.exists():
            raise nothing_there(data.path)
        elif data.layout is not None or data.masks is not None:
            raise OptionError(
                "`--layout` and `--mask-pattern` are for folders",
                found=data.path,
                remedy="Name the folder, or leave them out",
            )
        else:
            yield single_case(data.path, needed, data.modalities)


def without_results(data: Data, out: Path) -> Data:
    """The data without what earlier calls have written into ``out``, where that lies within: results are no scans."""
    root, place = data.path.resolve(), out.resolve()
    if not place.is_relative_to(root):
        return data
    return replace(data, left_out=frozenset(path.relative_to(root) for path in written_before(place)))


def once_each(cases: Iterable[Case]) -> list[Case]:
    """Without those that are given twice, in a folder and alone."""
    return list({(case.id, tuple(case.images.items())): case for case in cases}.values())


def named_apart(cases: list[Case]) -> list[Case]:
    """Cases of one name that lie in different files get the names of their folders in front."""
    paths = [Path(next(iter(case.images.values())).shown) for case in cases]
    names = distinct_names([case.id for case in cases], paths)
    return [replace(case, id=name) for case, name in zip(cases, names, strict=True)]


def spare_inputs(cases: Iterable[Case], written: Callable[[Case], Iterable[Path]]) -> None:
    """Refuse to write over the scans themselves.

    Args:
        cases: all that are given.
        written: the files that a case may write.

    Raises:
        OptionError: one of them is a scan of some case.
    """
    given = list(cases)
    scans = {file_of(path).resolve() for case in given for source in case.images.values() for path in source.paths}
    for case in given:
        for path in written(case):
            if path.resolve() in scans:
                raise OptionError(
                    "a result would be written over the scan", path=path, remedy="Name another folder with `--out`"
                )

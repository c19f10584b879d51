"""``glioseg predict … --prepare-only``: scans in; registered, skull-stripped scans on one grid of 1 mm out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from glioseg.console import QUIET, Reporter
from glioseg.core import Case, Cohort, allowing
from glioseg.core.modalities import MODALITY_ORDER
from glioseg.errors import GliosegError, OptionError
from glioseg.io.files import require_folder, unforeseen_in, write_json
from glioseg.io.lock import locked
from glioseg.io.nifti import write_nifti
from glioseg.preparation.ready.options import ReadyOptions
from glioseg.preparation.ready.result import ReadyScan
from glioseg.runs.inputs import cases_of, named_apart, once_each, spare_inputs
from glioseg.runs.own_results import MADE_READY, clear, require_own_files, with_own_files, written_or_why
from glioseg.runs.read import Data
from glioseg.tasks.members import stem_of
from glioseg.tasks.predicted import inputs_of
from glioseg.tasks.ready import ready_file, ready_scan, save_ready


@dataclass(frozen=True)
class ReadyCase:
    """A case that was made ready.

    Args:
        name: what it is called.
        files: modality -> its file, on the common grid.
        facts: what was done, as its JSON file says.
    """

    name: str
    files: Mapping[str, Path]
    facts: Mapping[str, Any]

    @property
    def text(self) -> str:
        """What was done, in lines."""
        folder = next(iter(self.files.values())).parent
        said = (*self.facts["words"], *(f"! {doubt}" for doubt in self.facts["doubts"]))
        return "\n".join((f"{folder}: {', '.join(self.files)}", *(f"  {words}" for words in said)))


@dataclass(frozen=True)
class ReadyResult:
    """The cases that were made ready, and what is wrong with the others, by id."""

    cases: tuple[ReadyCase, ...]
    failed: Mapping[str, GliosegError]


def make_ready(
    inputs: Sequence[Data | Cohort],
    out: Path,
    options: ReadyOptions,
    *,
    needed: Sequence[str] = MODALITY_ORDER,
    modality_files: Mapping[str, Path] | None = None,
    max_voxels: int | None = None,
    reporter: Reporter = QUIET,
) -> ReadyResult:
    """Write every case of the inputs as ``OUT/CASE/CASE-MODALITY.nii.gz``, as BraTS names files.

    A case that cannot be made ready is left out and does not stop the others. What an earlier call has written of a
    case goes; what none has written stays, and costs the case that would replace it.

    Args:
        inputs: as ``predict`` takes them.
        out: where the results go.
        options: what is done.
        needed: the modalities that are wanted, in their order; those that a case lacks are left out.
        modality_files: modality -> file, for one case given file by file.
        max_voxels: files that declare more are refused; None for what each input says itself.
        reporter: shows progress.

    Raises:
        OptionError: no input at all, or results that would replace the scans.
        FileError: ``out`` cannot be written to.
    """
    require_folder(out)
    cases = named_apart(once_each(cases_of(needed, inputs, modality_files or {}, out, reporter)))
    if not cases:
        raise OptionError("there is nothing to be made ready", expected="folders of cases, or volumes")
    if max_voxels is not None:
        cases = [allowing(case, max_voxels) for case in cases]
    spare_inputs(cases, lambda case: _files_of(case, needed, out))
    able, failed = _checked(cases, needed, out)
    done: list[ReadyCase] = []
    with locked(out), reporter.progress("Making ready") as step:
        for number, case in enumerate(able, start=1):
            ended = _made(case, needed, options, out)
            if isinstance(ended, ReadyCase):
                done.append(ended)
            else:
                failed[case.id] = ended
            step(number, len(able))
    if not done:
        raise next(iter(failed.values()))
    return ReadyResult(tuple(done), failed)


def _checked(cases: Sequence[Case], needed: Sequence[str], out: Path) -> tuple[list[Case], dict[str, GliosegError]]:
    """The cases that have files of their own to be written, and what is wrong with the others."""

    def require(case: Case) -> None:
        require_own_files(_files_of(case, needed, out), _record_of(case, out), MADE_READY, "preparation")

    return with_own_files(cases, [{stem_of(case)} for case in cases], out, require)


def _made(case: Case, needed: Sequence[str], options: ReadyOptions, out: Path) -> ReadyCase | GliosegError:
    files = _files_of(case, needed, out)
    clear(files, out)
    scan = _scan_of(case, needed, options)
    if isinstance(scan, GliosegError):
        return scan
    return written_or_why(case, partial(_saved, case, scan, out), files, out)


def _scan_of(case: Case, needed: Sequence[str], options: ReadyOptions) -> ReadyScan | GliosegError:
    try:
        return ready_scan(case, needed, options)
    except GliosegError as error:
        return error
    except Exception as error:  # noqa: BLE001 - memory that ran out, say: no case costs the others
        return unforeseen_in(case, "the case could not be made ready", error)


def _saved(case: Case, scan: ReadyScan, out: Path) -> ReadyCase:
    """Write all files of a case; its JSON comes first, to say whose the others are, and last, complete."""
    stem = stem_of(case)
    write_json(_record_of(case, out), {"case": case.id, "files": {}, "unfinished": True})
    files = {}
    for name, channel in zip(scan.image.modalities, scan.image.array, strict=True):
        files[name] = _file(out, stem, name)
        write_nifti(files[name], channel, scan.home)
    facts = {"case": case.id, **save_ready(scan, out, stem), "inputs": inputs_of(case)}
    facts["files"] = {name: path.relative_to(out).as_posix() for name, path in files.items()}
    write_json(_record_of(case, out), facts)
    return ReadyCase(case.id, files, facts)


def _file(out: Path, stem: str, modality: str) -> Path:
    return out / stem / f"{stem}-{modality}.nii.gz"


def _record_of(case: Case, out: Path) -> Path:
    return out / f"{stem_of(case)}.json"


def _files_of(case: Case, needed: Sequence[str], out: Path) -> list[Path]:
    """All files that may be written of a case, now or by an earlier call that saw more of it."""
    stem = stem_of(case)
    names = dict.fromkeys((*needed, *MODALITY_ORDER, *case.images))
    return [_record_of(case, out), out / ready_file(stem), *(_file(out, stem, name) for name in names)]

"""``glioseg predict … --prepare-only``: scans in; registered, skull-stripped scans on one grid of 1 mm out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glioseg.console import QUIET, Reporter
from glioseg.core import Case, Cohort, allowing
from glioseg.core.modalities import MODALITY_ORDER
from glioseg.errors import GliosegError, OptionError
from glioseg.io.files import unforeseen_in, write_json
from glioseg.io.lock import locked
from glioseg.io.nifti import write_nifti
from glioseg.preparation.ready.options import ReadyOptions
from glioseg.preparation.ready.result import ReadyScan
from glioseg.runs.inputs import cases_of, named_apart, once_each, spare_inputs
from glioseg.runs.read import Data
from glioseg.tasks.members import stem_of
from glioseg.tasks.predicted import inputs_of
from glioseg.tasks.ready import ready_scan, save_ready


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

    A case that cannot be made ready is left out and does not stop the others.

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
    cases = named_apart(once_each(cases_of(needed, inputs, modality_files or {}, reporter)))
    if not cases:
        raise OptionError("there is nothing to be made ready", expected="folders of cases, or volumes")
    if max_voxels is not None:
        cases = [allowing(case, max_voxels) for case in cases]
    spare_inputs(cases, lambda case: [_file(out, stem_of(case), name) for name in case.images])
    done: list[ReadyCase] = []
    failed: dict[str, GliosegError] = {}
    with locked(out), reporter.progress("Making ready") as step:
        for number, case in enumerate(cases, start=1):
            scan = _scan_of(case, needed, options)
            if isinstance(scan, GliosegError):
                failed[case.id] = scan
            else:
                done.append(_saved(case, scan, out))
            step(number, len(cases))
    if not done:
        raise next(iter(failed.values()))
    return ReadyResult(tuple(done), failed)


def _scan_of(case: Case, needed: Sequence[str], options: ReadyOptions) -> ReadyScan | GliosegError:
    try:
        return ready_scan(case, needed, options)
    except GliosegError as error:
        return error
    except Exception as error:  # noqa: BLE001 - memory that ran out, say: no case costs the others
        return unforeseen_in(case, "the case could not be made ready", error)


def _saved(case: Case, scan: ReadyScan, out: Path) -> ReadyCase:
    stem = stem_of(case)
    files = {}
    for name, channel in zip(scan.image.modalities, scan.image.array, strict=True):
        files[name] = _file(out, stem, name)
        write_nifti(files[name], channel, scan.home)
    facts = {"case": case.id, **save_ready(scan, out, stem), "inputs": inputs_of(case)}
    facts["files"] = {name: path.relative_to(out).as_posix() for name, path in files.items()}
    write_json(out / f"{stem}.json", facts)
    return ReadyCase(case.id, files, facts)


def _file(out: Path, stem: str, modality: str) -> Path:
    return out / stem / f"{stem}-{modality}.nii.gz"

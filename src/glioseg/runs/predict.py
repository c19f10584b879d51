"""``glioseg predict``: scans in; masks, volumes, classes and pictures out."""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from torch import nn

from glioseg.console import QUIET, Reporter
from glioseg.core import Case, Cohort, allowing
from glioseg.errors import FileError, GliosegError, OptionError
from glioseg.evaluation.table import Row, rows_to_csv
from glioseg.faces import on_command_line
from glioseg.inference.backends import on_backend
from glioseg.inference.bundle import load_bundle
from glioseg.io.dicom.archive import file_of
from glioseg.io.files import cannot_write, sweep, unforeseen, write_text
from glioseg.io.lock import locked
from glioseg.io.text import read_json
from glioseg.machine.device import on_free_processors
from glioseg.preparation.ready.options import ReadyOptions
from glioseg.report.predictions import PredictedCase, write_predictions
from glioseg.runs.inputs import cases_of, named_apart, once_each
from glioseg.runs.read import Data
from glioseg.tasks.choose import task_named
from glioseg.tasks.members import files_of, stem_of
from glioseg.tasks.predicted import inputs_of, terms_of
from glioseg.tasks.ready import needed_for
from glioseg.tasks.task import CasePrediction, Members, WrittenCase
from glioseg.tasks.wanted import NOTHING_MORE, Wanted

if TYPE_CHECKING:
    import pandas as pd

SUMMARY = "summary.csv"
PAGE = "predictions.html"
_CASES_SAID = 3


@dataclass(frozen=True)
class PredictResult:
    """What became of the cases of the inputs: those that were predicted, and what is wrong with the others, by id.

    ``page`` shows them all; None where no case was predicted.
    """

    cases: tuple[WrittenCase, ...]
    failed: Mapping[str, GliosegError]
    page: Path | None

    def table(self) -> pd.DataFrame:
        """What ``summary.csv`` says of the cases, a row for each; volumes in the unit that stands beside them."""
        import pandas as pd

        return pd.DataFrame([dict(case.row) for case in self.cases])

    def _repr_html_(self) -> str:
        """The table and what could not be predicted, for notebooks."""
        faults = "".join(f"<li>{html.escape(f'{case}: {error}')}</li>" for case, error in self.failed.items())
        return f"{self.table().to_html(index=False, na_rep='')}{f'<ul>{faults}</ul>' if faults else ''}"


def predict(
    run: Path,
    inputs: Sequence[Data | Cohort],
    out: Path,
    *,
    others: Sequence[Path] = (),
    modality_files: Mapping[str, Path] | None = None,
    max_voxels: int | None = None,
    skip_done: bool = False,
    wanted: Wanted = NOTHING_MORE,
    device: str = "auto",
    reporter: Reporter = QUIET,
) -> PredictResult:
    """Predict every case of the inputs: masks, or classes where the network is a classifier.

    A case that cannot be predicted, for whatever reason, is left out and does not stop the others.

    Args:
        run: a run folder or a bundle.
        inputs: folders (a case, or a whole cohort) and files (a volume or picture that shows what the network needs),
            with what is said of them where the names of their files leave it open.
        out: where the results go.
        others: further runs or bundles, whose probabilities are averaged with the first's.
        modality_files: modality -> file, for one case given file by file.
        max_voxels: files that declare more are refused; None for what each input says itself.
        skip_done: leave cases as they are that these networks have predicted into ``out`` already; see ``_done``.
        wanted: what is asked beside the answer.
        device: ``auto``, ``cpu``, ``cuda:N``, ``mps``.
        reporter: shows progress.

    Raises:
        GeometryError: every case lacks a modality that the network needs; nothing has been written then.
        OptionError: no input at all, only inputs of one name, results that would replace the scans, or networks that do
            not mean the same.
        FileError: ``out`` cannot be written to.
    """
    members = members_of((run, *others), device)
    return predict_with(members, inputs, out, modality_files, max_voxels, reporter, skip_done=skip_done, wanted=wanted)


def members_of(
    folders: Sequence[Path], device: str = "auto", network: nn.Module | None = None, backend: str = "torch"
) -> Members:
    """Runs or bundles as one; ``network`` is the module, where it was one of your own, ``backend`` what computes it."""
    bundles = [on_backend(load_bundle(folder, network), backend, device) for folder in folders]
    return task_named(bundles[0].info.task).members(folders, bundles, device)


def predict_with(
    members: Members,
    inputs: Sequence[Data | Cohort],
    out: Path,
    modality_files: Mapping[str, Path] | None = None,
    max_voxels: int | None = None,
    reporter: Reporter = QUIET,
    *,
    skip_done: bool = False,
    wanted: Wanted = NOTHING_MORE,
) -> PredictResult:
    """``predict`` with networks that are loaded."""
    for terms in terms_of(members.infos):
        reporter.say(terms)
    given = list(cases_of(members.modalities, inputs, modality_files or {}, reporter))
    if max_voxels is not None:
        given = [allowing(case, max_voxels) for case in given]
    cases, failed = _checked(members, named_apart(once_each(given)), out, wanted.ready)
    _say_files(members, cases, reporter)
    with locked(out), on_free_processors():
        done = {}
        if skip_done:
            done = {case.id: written for case in cases if (written := _done(members, case, out, wanted))}
        if done:
            reporter.say(f"{len(done)} of {len(cases)} cases are done already")
        others = _others(members, {stem_of(case) for case in cases}, out)
        return _predict_cases(members, cases, failed, _Before(done, others), wanted, out, reporter)


@dataclass(frozen=True)
class _Before:
    """What stands in the folder already: cases of this call, by id, and rows of other cases of the same networks."""

    done: Mapping[str, WrittenCase]
    others: Sequence[Row]


def _done(members: Members, case: Case, out: Path, wanted: Wanted) -> WrittenCase | None:
    """What was written for a case, if it is whole: its JSON, written last, is of the same networks and files and holds
    all that is wanted.

    Times tell whether a file was changed since.
    """
    path = out / f"{stem_of(case)}.json"
    try:
        written_ns = path.stat().st_mtime_ns
        scans = {file_of(scan) for source in case.images.values() for scan in source.paths}
        sidecar = read_json(path)
        if not isinstance(sidecar, dict) or sidecar["model_id"] != members.model_id or not wanted.is_in(sidecar):
            return None
        written = members.written(sidecar, out)
        is_whole = written.case == case.id and written.file.exists() and written.picture.exists()
        is_same = sidecar["inputs"] == inputs_of(case)
        is_newer = all(scan.stat().st_mtime_ns <= written_ns for scan in scans)
    except (FileError, OSError, LookupError, TypeError, AttributeError):
        return None
    return written if is_whole and is_same and is_newer else None


def _others(members: Members, stems: Collection[str], out: Path) -> list[Row]:
    """The rows of cases that the same networks have predicted into the folder in earlier calls, in order of name."""
    rows = []
    for path in sorted(out.glob("*.json")):
        if path.stem in stems:
            continue
        try:
            sidecar = read_json(path)
            if isinstance(sidecar, dict) and sidecar["model_id"] == members.model_id:
                rows.append(members.written(sidecar, out).row)
        except (FileError, LookupError, TypeError, AttributeError):
            continue
    return rows


def _checked(
    members: Members, cases: Sequence[Case], out: Path, options: ReadyOptions
) -> tuple[list[Case], dict[str, GliosegError]]:
    """The cases that can be predicted, each with files of its own to be written, and what is wrong with the others."""
    if not cases:
        raise OptionError("there is nothing to predict", expected="folders of cases, volumes or pictures")
    _spare_inputs(members, cases, out)
    names = Counter(stem_of(case) for case in cases)
    able: list[Case] = []
    failed: dict[str, GliosegError] = {}
    for case in cases:
        try:
            _require_own_name(case, names)
            members.require(case)
        except GliosegError as error:
            failed[case.id] = error
        else:
            able.append(needed_for(case, members.modalities, options))
    if not able:
        raise next(iter(failed.values()))
    for case in cases:
        if case.id in failed:
            _clear(members, case, out)
    return able, failed


def _require_own_name(case: Case, names: Mapping[str, int]) -> None:
    if names[stem_of(case)] > 1:
        remedy = "Predict them into different folders"
        raise OptionError("two inputs would be written to the same files", found=case.id, remedy=remedy)


def _say_files(members: Members, cases: Sequence[Case], reporter: Reporter) -> None:
    """Which file is taken for what, of the first few cases; of each it is written beside its mask."""
    for case in cases[:_CASES_SAID]:
        words = ", ".join(f"{name} = {file}" for name, file in files_of(case, members.modalities).items())
        reporter.say(f"{case.id}: {words}")
    if len(cases) > _CASES_SAID:
        reporter.say(f"… and {len(cases) - _CASES_SAID} more; the JSON file of each says it")


def _predict_cases(
    members: Members,
    cases: Sequence[Case],
    impossible: Mapping[str, GliosegError],
    before: _Before,
    wanted: Wanted,
    out: Path,
    reporter: Reporter,
) -> PredictResult:
    """Predict case by case: all files of a case, or none; ``summary.csv`` grows with each."""
    written: list[WrittenCase] = []
    failed = dict(impossible)
    sweep(out)
    (out / PAGE).unlink(missing_ok=True)
    for case in cases:
        if case.id not in before.done:
            _clear(members, case, out)
    _write_summary(out, [*before.others, *(case.row for case in before.done.values())])
    with reporter.progress("Predicting") as step:
        for number, case in enumerate(cases, start=1):
            prediction = before.done.get(case.id) or _prediction_of(members, case, wanted)
            if isinstance(prediction, GliosegError):
                failed[case.id] = prediction
            else:
                written.append(_saved(members, prediction, case, out, reporter))
                later = [before.done[each.id].row for each in cases[number:] if each.id in before.done]
                _write_summary(out, [*before.others, *(case.row for case in written), *later])
            step(number, len(cases))
    page = _write_page(members, written, failed, out) if written else None
    return PredictResult(tuple(written), failed, page)


def _prediction_of(members: Members, case: Case, wanted: Wanted) -> CasePrediction | GliosegError:
    """What the networks say of a case, or why they cannot."""
    try:
        return members.predict(case, wanted)
    except GliosegError as error:
        return error
    except Exception as error:  # noqa: BLE001 - memory that ran out, say: no case costs the others
        return unforeseen("the case could not be predicted", next(iter(case.images.values())).shown, error)


def _saved(
    members: Members, prediction: CasePrediction | WrittenCase, case: Case, out: Path, reporter: Reporter
) -> WrittenCase:
    """All files of a case, or none; a case that is done stays as it is."""
    if isinstance(prediction, WrittenCase):
        return prediction
    try:
        written = prediction.save(out)
    except BaseException:
        _clear(members, case, out)
        raise
    for warning in written.warnings:
        reporter.say(f"{case.id}: {warning}.")
    return written


def _write_summary(out: Path, rows: Sequence[Row]) -> None:
    """A row for each case that is done."""
    if rows:
        write_text(out / SUMMARY, rows_to_csv(rows))
    else:
        (out / SUMMARY).unlink(missing_ok=True)


def _write_page(
    members: Members, written: Sequence[WrittenCase], failed: Mapping[str, GliosegError], out: Path
) -> Path:
    """The page of all cases, from the files that stand in ``out``."""
    cases = [PredictedCase(case.case, case.sidecar, case.picture) for case in written]
    why = {case: on_command_line(error.text) for case, error in failed.items()}
    return write_predictions(members.page(cases), [case.name for case in cases], why, out / PAGE)


def _clear(members: Members, case: Case, out: Path) -> None:
    """Remove what an earlier prediction of the case has left, so that nothing stale stands beside new results."""
    for path in _files_of(members, case, out):
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise cannot_write(path, error) from error
    folder = out / stem_of(case)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def _files_of(members: Members, case: Case, out: Path) -> list[Path]:
    return [out / name for name in members.files(case)]


def _spare_inputs(members: Members, cases: Sequence[Case], out: Path) -> None:
    """Refuse to write over the scans themselves."""
    scans = {file_of(path).resolve() for case in cases for source in case.images.values() for path in source.paths}
    for case in cases:
        for path in _files_of(members, case, out):
            if path.resolve() in scans:
                raise OptionError(
                    "a result would be written over the scan", path=path, remedy="Name another folder with `--out`"
                )

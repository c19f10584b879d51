"""``glioseg predict``: scans in; masks, volumes, classes and pictures out."""

from __future__ import annotations

import html
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
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
from glioseg.io.files import require_folder, sweep, unforeseen_in, write_json, write_text
from glioseg.io.lock import locked
from glioseg.io.text import read_json
from glioseg.machine.device import on_free_processors
from glioseg.report.predictions import PredictedCase, write_predictions
from glioseg.runs.in_flight import in_flight
from glioseg.runs.inputs import cases_of, named_apart, once_each, spare_inputs
from glioseg.runs.own_results import (
    PREDICTED,
    clear,
    is_ours,
    not_ours,
    require_own_files,
    with_own_files,
    written_or_why,
)
from glioseg.runs.read import Data
from glioseg.tasks.choose import task_named
from glioseg.tasks.members import files_of, stem_of
from glioseg.tasks.predicted import inputs_of, terms_of
from glioseg.tasks.prediction import CasePrediction, Members, Scans, WrittenCase
from glioseg.tasks.ready import needed_for
from glioseg.tasks.wanted import NOTHING_MORE, Wanted
from glioseg.workers.where import Lost, Where, ends, require_seen

if TYPE_CHECKING:
    import pandas as pd

SUMMARY = "summary.csv"
PAGE = "predictions.html"
_CASES_SAID = 3
_PREDICTION = "prediction"
"""What writes the files of a case, and what its JSON file says from the first moment."""


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
    members = NetworkSource((run, *others), device).load()
    return predict_with(members, inputs, out, modality_files, max_voxels, reporter, skip_done=skip_done, wanted=wanted)


@dataclass(frozen=True)
class NetworkSource:
    """Runs or bundles that are to be loaded as one, wherever they are needed.

    Args:
        folders: of the runs or bundles.
        device: ``auto``, ``cpu``, ``cuda:N``, ``mps``.
        network: the module, where it was one of your own.
        backend: what computes it.
    """

    folders: tuple[Path, ...]
    device: str = "auto"
    network: nn.Module | None = None
    backend: str = "torch"

    def load(self) -> Members:
        """Load them; errors as of ``glioseg.load``."""
        loaded = (load_bundle(folder, self.network) for folder in self.folders)
        bundles = [on_backend(bundle, self.backend, self.device) for bundle in loaded]
        return task_named(bundles[0].info.task).members(self.folders, bundles, self.device)


@dataclass(frozen=True)
class PredictionWorkers:
    """Cases are predicted on the workers of another place, each of which loads the networks for itself.

    Args:
        where: the place.
        networks: to be loaded.
    """

    where: Where
    networks: NetworkSource


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
    spread: PredictionWorkers | None = None,
) -> PredictResult:
    """``predict`` with networks that are loaded; with ``spread`` on the workers of another place."""
    require_folder(out)
    for terms in terms_of(members.infos):
        reporter.say(terms)
    given = list(cases_of(members.modalities, inputs, modality_files or {}, out, reporter))
    if max_voxels is not None:
        given = [allowing(case, max_voxels) for case in given]
    cases, failed = _checked(members, named_apart(once_each(given)), wanted, out)
    _say_files(members, cases, reporter)
    with locked(out), on_free_processors():
        done = {}
        if skip_done:
            done = {case.id: written for case in cases if (written := _done(members, case, out, wanted))}
        if done:
            reporter.say(f"{len(done)} of {len(cases)} cases are done already")
        others = _others(members, {stem_of(case) for case in cases}, out)
        return _predict_cases(members, cases, failed, _Before(done, others), wanted, out, reporter, spread)


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
    path = _record_of(case, out)
    try:
        written_ns = path.stat().st_mtime_ns
        scans = {file_of(scan) for source in case.images.values() for scan in source.paths}
        sidecar = read_json(path)
        if not isinstance(sidecar, dict) or sidecar["model_id"] != members.model_id or not wanted.is_in(sidecar):
            return None
        written = members.written(sidecar, out)
        is_whole = written.case == case.id and all(file.exists() for file in written.files)
        is_same = sidecar["inputs"] == inputs_of(case)
        is_newer = all(scan.stat().st_mtime_ns <= written_ns for scan in scans)
    except (FileError, OSError, LookupError, TypeError, ValueError, AttributeError):
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
        except (FileError, LookupError, TypeError, ValueError, AttributeError):
            continue
    return rows


def _checked(
    members: Members, cases: Sequence[Case], wanted: Wanted, out: Path
) -> tuple[list[Case], dict[str, GliosegError]]:
    """The cases that can be predicted, each with files of its own to be written, and what is wrong with the others."""
    if not cases:
        raise OptionError("there is nothing to predict", expected="folders of cases, volumes or pictures")
    spare_inputs(cases, lambda case: _files_of(members, case, out))
    _require_own_table(out)

    def require(case: Case) -> None:
        members.require(case, wanted)
        require_own_files(_files_of(members, case, out), _record_of(case, out), PREDICTED, _PREDICTION)

    able, failed = with_own_files(cases, [members.claims(case, wanted) for case in cases], out, require)
    able = [needed_for(case, members.modalities, wanted.ready) for case in able]
    if not able:
        raise next(iter(failed.values()))
    for case in cases:
        if case.id in failed and is_ours(_record_of(case, out), PREDICTED):
            clear(_files_of(members, case, out), out)
    return able, failed


def _require_own_table(out: Path) -> None:
    """The same of what tells of all cases."""
    table, page = out / SUMMARY, out / PAGE
    for path, mark in ((table, "case,"), (page, "glioseg predict")):
        if path.is_file() and mark not in path.read_text(encoding="utf-8", errors="replace"):
            raise not_ours(path, _PREDICTION)


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
    spread: PredictionWorkers | None,
) -> PredictResult:
    """Predict case by case: all files of a case, or none; ``summary.csv`` grows with each."""
    written: dict[str, WrittenCase] = dict(before.done)
    failed = dict(impossible)
    sweep(out)
    (out / PAGE).unlink(missing_ok=True)
    to_do = [case for case in cases if case.id not in before.done]
    for case in to_do:
        clear(_files_of(members, case, out), out)

    def in_order() -> list[WrittenCase]:
        return [written[case.id] for case in cases if case.id in written]

    def keep(case: Case, end: WrittenCase | GliosegError) -> None:
        if isinstance(end, GliosegError):
            failed[case.id] = end
        else:
            written[case.id] = end
            _write_summary(out, [*before.others, *(each.row for each in in_order())])
        step(len(written) + len(failed) - len(impossible), len(cases))

    def write(case: Case, prediction: CasePrediction | GliosegError) -> None:
        if isinstance(prediction, GliosegError):
            keep(case, prediction)
        else:
            keep(case, _saved(members, prediction, case, out, reporter))

    _write_summary(out, [*before.others, *(case.row for case in in_order())])
    with reporter.progress("Predicting") as step:
        if spread is None:
            in_flight(to_do, partial(_read, members, wanted), partial(_predicted, members, wanted), write)
        else:
            for number, end in ends(spread.where, partial(_predictor, spread.networks, wanted, out), to_do, reporter):
                keep(to_do[number], end.error if isinstance(end, Lost) else end)
    page = _write_page(members, in_order(), failed, out) if written else None
    return PredictResult(tuple(in_order()), failed, page)


def _predictor(
    networks: NetworkSource, wanted: Wanted, out: Path, reporter: Reporter
) -> Callable[[Case], WrittenCase | GliosegError]:
    """What predicts and writes cases, in a process that must see the folder of the results."""
    require_seen(out)
    members = networks.load()

    def work(case: Case) -> WrittenCase | GliosegError:
        prediction = _predicted(members, wanted, case, _read(members, wanted, case))
        if isinstance(prediction, GliosegError):
            return prediction
        return _saved(members, prediction, case, out, reporter)

    return work


def _read(members: Members, wanted: Wanted, case: Case) -> Scans | GliosegError:
    """The scans of a case, or why they cannot be read."""
    try:
        return members.read(case, wanted)
    except GliosegError as error:
        return error
    except Exception as error:  # noqa: BLE001 - memory that ran out, say: no case costs the others
        return _unforeseen(case, error)


def _predicted(
    members: Members, wanted: Wanted, case: Case, scans: Scans | GliosegError
) -> CasePrediction | GliosegError:
    """What the networks say of a case, or why they cannot."""
    if isinstance(scans, GliosegError):
        return scans
    try:
        return members.predict(case, wanted, scans)
    except GliosegError as error:
        return error
    except Exception as error:  # noqa: BLE001 - as above
        return _unforeseen(case, error)


def _unforeseen(case: Case, error: Exception) -> FileError:
    return unforeseen_in(case, "the case could not be predicted", error)


def _saved(
    members: Members, prediction: CasePrediction, case: Case, out: Path, reporter: Reporter
) -> WrittenCase | GliosegError:
    """All files of a case, or none and why. Its JSON comes first, to say whose the others are, and last, complete.

    Raises:
        FileError: the folder cannot be written to, which is no fault of the case.
    """

    def write() -> WrittenCase:
        write_json(_record_of(case, out), {"model_id": members.model_id, "case": case.id, "unfinished": True})
        return prediction.save(out)

    written = written_or_why(case, write, _files_of(members, case, out), out)
    if isinstance(written, GliosegError):
        return written
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


def _files_of(members: Members, case: Case, out: Path) -> list[Path]:
    return [out / name for name in members.files(case)]


def _record_of(case: Case, out: Path) -> Path:
    return out / f"{stem_of(case)}.json"

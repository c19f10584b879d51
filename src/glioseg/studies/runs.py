"""The runs of a study: which there are, which have ended, and how one is trained."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import tomlkit

from glioseg.config import Recipe, without_none
from glioseg.console import Reporter
from glioseg.errors import FileError, GliosegError, OptionError, name_some, suggestion
from glioseg.inference.bundle import load_bundle
from glioseg.io.files import own_entries, require_folder, write_json, write_text
from glioseg.io.lock import locked
from glioseg.machine.device import pick_device
from glioseg.machine.memory import peak_mb, reset_peak
from glioseg.networks.summary import n_parameters
from glioseg.runs import run_folder
from glioseg.runs.options import RunOptions
from glioseg.runs.read import Data
from glioseg.runs.train import TrainResult, train
from glioseg.studies.feed import Feed, Feeds, feeds_of
from glioseg.studies.guard import guarded, one_line
from glioseg.studies.options import StudyOptions, StudyRow, run_recipe, study_rows
from glioseg.studies.table import RunPlace, RunRecord
from glioseg.training.checkpoint import LATEST, load_checkpoint
from glioseg.workers.where import Stopped

STUDY = "study.toml"
ERROR = "error.txt"


@dataclass(frozen=True)
class StudyRun:
    """A run with what decides it.

    Args:
        place: where it is.
        recipe: what is trained.
        data: on what.
        deciding: hash of what decides the weights.
    """

    place: RunPlace
    recipe: Recipe
    data: Data
    deciding: str

    @property
    def name(self) -> str:
        """Its folder's, in the study's: ``dice/fold-0-seed-1``."""
        return f"{self.place.row.folder}/{self.place.folder.name}"

    @property
    def is_finished(self) -> bool:
        """Whether it has ended well, and is what is asked for."""
        return self.place.is_finished

    @property
    def is_another(self) -> bool:
        """Whether the folder holds a training with other settings or data."""
        record = self.place.record()
        has_state = (self.place.folder / LATEST).exists()
        return record is not None and record.deciding != self.deciding and has_state


@dataclass(frozen=True)
class PlannedStudy:
    """A study with all of its runs, of which nothing has been begun yet.

    Args:
        study: what was asked for.
        rows: with their recipes.
        feeds: what each row is trained on.
        runs: in the order in which they are trained.
        out: the study's folder.
        changes: settings of the caller's, for every row.
        options: of every run, but for its folder.
    """

    study: StudyOptions
    rows: tuple[StudyRow, ...]
    feeds: Feeds
    runs: tuple[StudyRun, ...]
    out: Path
    changes: tuple[str, ...]
    options: RunOptions

    @property
    def missing(self) -> list[StudyRun]:
        """The runs that have not ended well."""
        return [run for run in self.runs if not run.is_finished]

    def named(self, name: str) -> StudyRun:
        """The run of that name; an OptionError where there is none."""
        names = [run.name for run in self.runs]
        if name not in names:
            raise OptionError(
                "the study has no run of that name",
                found=name,
                expected=name_some(names),
                remedy=suggestion(name, names),
            )
        return self.runs[names.index(name)]


def plan_study(
    options: StudyOptions,
    data: Data | Mapping[str, Data],
    out: Path,
    *,
    changes: Sequence[str],
    device: str,
    cache: Path | None,
    reporter: Reporter,
) -> PlannedStudy:
    """Find out what a study trains, and on what; arguments and errors as of ``studies.run.study``."""
    rows = study_rows(options, changes)
    _require_own(out)
    folders = {data.path.name: data} if isinstance(data, Data) else data
    kept = cache or out / "cache"
    feeds = feeds_of(rows, folders, kept, reporter)
    for row in rows:
        _say_trouble(row, feeds.skipped, reporter)
    run_options = RunOptions(out, kept, device=device, score_train="train" in options.parts)
    runs = tuple(_runs(options, rows, out, feeds.of_rows))
    return PlannedStudy(options, rows, feeds, runs, out, tuple(changes), run_options)


def begin(plan: PlannedStudy, runs: Sequence[StudyRun], *, restart: bool) -> None:
    """Say in the folder whose it is, before runs are trained there.

    Raises:
        OptionError: some of them were trained with other settings, and are not to be trained anew.
        FileError: the folder cannot be written to.
    """
    others = [run.place.folder for run in runs if run.is_another]
    if others and not restart:
        raise OptionError(
            "runs of this study were trained with other settings or data",
            found=name_some(others),
            remedy="Go on with the old settings, use another `--out`, or train these runs anew with `--restart`",
        )
    write_text(plan.out / STUDY, tomlkit.dumps(without_none(plan.study.model_dump(mode="json"))))


def _foreign(out: Path) -> list[Path]:
    """What stands in the folder but the cache, in which it is kept what scans hold before a study is begun."""
    return [path for path in own_entries(out) if path.name != "cache"]


def _require_own(out: Path) -> None:
    require_folder(out)
    if out.is_dir() and _foreign(out) and not (out / STUDY).exists():
        raise FileError(
            "the folder holds files that are not a study's", path=out, remedy="Name a new folder with `--out`"
        )


def _runs(options: StudyOptions, rows: Sequence[StudyRow], out: Path, feeds: Mapping[str, Feed]) -> list[StudyRun]:
    """Every run: all rows on one fold with one seed before the next, so that a part of a study compares all rows."""
    runs = []
    for seed in options.seeds:
        for fold in range(options.folds or 1):
            for row in rows:
                if row.name not in feeds:
                    continue
                feed = feeds[row.name]
                recipe = run_recipe(row, options, fold, seed)
                deciding = _hash([run_folder.deciding_settings(recipe), feed.key])
                everything = recipe.model_dump(mode="json", exclude={"name", "about", "after", "notes", "tune"})
                asked = _hash([everything, feed.key, "train" in options.parts])
                place = RunPlace(out, row, None if options.folds is None else fold, seed, asked)
                runs.append(StudyRun(place, recipe, feed.data, deciding))
    return runs


def _hash(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _say_trouble(row: StudyRow, skipped: Mapping[str, str], reporter: Reporter) -> None:
    if row.fault is not None:
        reporter.say(f"{row.name}: cannot be trained: {row.fault}")
    if row.name in skipped:
        reporter.say(f"{row.name}: left out, the data cannot feed it: {skipped[row.name]}")
    if row.ignored:
        reporter.say(f"{row.name}: its network has no {', '.join(row.ignored)}")


def train_run(run: StudyRun, options: RunOptions, reporter: Reporter) -> RunRecord | Stopped:
    """Train or go on with one run, and keep in its record how it went; or what interrupted it.

    Raises:
        HeldError: another process is at work in the run's folder.
        FileError: the record cannot be written.
    """
    with locked(run.place.folder):
        return _train(run, replace(options, run=run.place.folder), reporter)


def _train(run: StudyRun, options: RunOptions, reporter: Reporter) -> RunRecord | Stopped:
    """``train_run`` in a folder that is this process's own."""
    place = run.place
    before = None if run.is_another else place.record()
    record = RunRecord(state="running", deciding=run.deciding, asked=place.asked)
    if run.is_another:
        # asked for with --restart; first, so that no record speaks for another's checkpoint
        run_folder.clear(place.folder)
    write_json(place.record_file, record.model_dump(mode="json"))
    device = pick_device(options.device)
    measured = reset_peak(device)
    trace = place.folder.with_name(f"{place.folder.name}-{ERROR}")
    result, error = guarded(lambda: train(run.recipe, run.data, options, reporter, is_locked=True), trace, reporter)
    peaks = [before.peak_memory_mb if before is not None else None, peak_mb(device) if measured else None]
    peak = max((peak for peak in peaks if peak is not None), default=None)
    facts: dict[str, Any] = {"peak_memory_mb": peak, "error": error}
    if result is not None:
        facts |= _ending(run, result)
    stopped = None if result is None or result.report is not None or facts["error"] else result.outcome.reason
    state = "running" if stopped else "failed" if facts["error"] else "finished"
    record = RunRecord.model_validate(record.model_dump() | facts | {"state": state})
    write_json(place.record_file, record.model_dump(mode="json"))
    if record.error is not None:
        reporter.say(f"Failed: {record.error}")
    return record if stopped is None else Stopped(stopped)


def keep_failure(run: StudyRun, error: GliosegError) -> None:
    """Keep in the record of a run why its worker could not train it."""
    record = RunRecord(state="failed", deciding=run.deciding, asked=run.place.asked, error=one_line(error))
    write_json(run.place.record_file, record.model_dump(mode="json"))


def _ending(run: StudyRun, result: TrainResult) -> dict[str, Any]:
    """What is kept of a training that was not ended by an error."""
    folder, outcome = run.place.folder, result.outcome
    progress = load_checkpoint(folder / LATEST)["progress"]
    facts: dict[str, Any] = {
        "training_s": progress["elapsed_s"],
        "best_epoch": progress["best_epoch"] if progress["best_epoch"] >= 0 else None,
        "ended": None if outcome.finished else outcome.reason,
    }
    if result.report is not None:
        facts["n_parameters"] = n_parameters(load_bundle(folder).model)
    return facts

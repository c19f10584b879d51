"""``glioseg study``: a recipe and its variations, each an ordinary run; then one table and one page.

    OUT/study.toml                       what was asked for
    OUT/<row>/fold-K-seed-S/             a run, as glioseg train makes it
    OUT/<row>/fold-K-seed-S.json         whether it has ended, and with which settings
    OUT/cache/                           prepared data, shared by all runs
    OUT/study.json  study.csv  study.html  figures/

A run that has ended is not repeated; one that was interrupted is continued from its checkpoint; one that failed is
tried again. A run whose settings have changed since is neither mixed in nor thrown away unasked: the study is refused.
"""

from __future__ import annotations

import hashlib
import html
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomlkit
import torch

from glioseg.config import Recipe, without_none
from glioseg.console import QUIET, Reporter
from glioseg.errors import FileError, OptionError, name_some
from glioseg.inference.bundle import load_bundle
from glioseg.io.files import own_entries, write_json, write_text
from glioseg.io.lock import locked
from glioseg.machine.device import pick_device
from glioseg.machine.memory import peak_mb, reset_peak
from glioseg.networks.summary import n_parameters
from glioseg.runs import run_folder
from glioseg.runs.options import RunOptions
from glioseg.runs.read import Data
from glioseg.runs.train import TrainResult, train
from glioseg.studies.feed import Feed, feeds_of
from glioseg.studies.guard import guarded
from glioseg.studies.options import StudyOptions, StudyRow, run_recipe, study_rows
from glioseg.studies.report.facts import StudyFacts
from glioseg.studies.report.study import write_study_report
from glioseg.studies.table import RunPlace, RunRecord, study_csv, study_facts
from glioseg.training.checkpoint import LATEST, load_checkpoint

if TYPE_CHECKING:
    import pandas as pd

STUDY = "study.toml"
TABLE = "study.json"
CSV = "study.csv"
PAGE = "study.html"
ERROR = "error.txt"


@dataclass(frozen=True)
class StudyResult:
    """How far a study has come.

    Args:
        facts: its table.
        page: its page.
        interrupted: what stopped it, to be continued; None where it went to its end.
    """

    facts: StudyFacts
    page: Path
    interrupted: str | None

    def table(self) -> pd.DataFrame:
        """A row for each variation, part, region and metric, as ``study.csv`` has them; times in s, memory in MiB."""
        import pandas as pd

        return pd.read_csv(io.StringIO(study_csv(self.facts)))

    def _repr_html_(self) -> str:
        """The table, for notebooks."""
        return f"<b>{html.escape(self.facts.name)}</b>{self.table().to_html(index=False, na_rep='–')}"


@dataclass(frozen=True)
class _StudyRun:
    """A run with what decides it."""

    place: RunPlace
    recipe: Recipe
    data: Data
    deciding: str
    asked: str

    @property
    def is_finished(self) -> bool:
        record = self.place.record()
        return record is not None and record.state == "finished" and record.asked == self.asked

    @property
    def is_another(self) -> bool:
        """Whether the folder holds a training with other settings or data."""
        record = self.place.record()
        has_state = (self.place.folder / LATEST).exists()
        return record is not None and record.deciding != self.deciding and has_state


def study(
    options: StudyOptions,
    data: Data | Mapping[str, Data],
    out: Path,
    *,
    changes: Sequence[str] = (),
    device: str = "auto",
    cache: Path | None = None,
    restart: bool = False,
    reporter: Reporter = QUIET,
) -> StudyResult:
    """Train what is missing of a study, and write its table and page.

    Args:
        options: the study.
        data: the scans; several folders by name, of which each row takes the one that it asks for, or the first that
            can feed it.
        out: its folder.
        changes: ``a.b=value`` for every row, on top of its own settings.
        device: ``auto``, ``cpu``, ``cuda:N``, ``mps``.
        cache: where prepared data is kept; None for ``cache`` in the folder.
        restart: train runs anew whose settings or data have changed.
        reporter: of messages and progress.

    Raises:
        OptionError: no row can be trained, or runs in the folder have other settings.
        FileError: the folder holds other files, or cannot be written to.
    """
    torch_device = pick_device(device)
    rows = study_rows(options, changes)
    _require_own(out)
    folders = {data.path.name: data} if isinstance(data, Data) else data
    feeds = feeds_of(rows, folders, cache or out / "cache", reporter)
    runs = _runs(options, rows, out, feeds.of_rows)
    with locked(out):
        _require_same(runs, restart)
        write_text(out / STUDY, tomlkit.dumps(without_none(options.model_dump(mode="json"))))
        for row in rows:
            _say_trouble(row, feeds.skipped, reporter)
        run_options = RunOptions(out, cache or out / "cache", device=device, score_train="train" in options.parts)
        interrupted = _train_missing(runs, run_options, torch_device, reporter)
        places = [run.place for run in runs]
        facts = study_facts(options, rows, places, feeds, changes)
        return StudyResult(facts, _write(facts, out), interrupted)


def _train_missing(
    runs: Sequence[_StudyRun], options: RunOptions, device: torch.device, reporter: Reporter
) -> str | None:
    """Train what has not ended, run by run; what interrupted it."""
    missing = [run for run in runs if not run.is_finished]
    for number, run in enumerate(missing, start=1):
        label = run.place.folder.relative_to(options.run).as_posix()
        reporter.say(f"Run {number} of {len(missing)}: {label}")
        interrupted = _train(run, options, device, reporter)
        if interrupted is not None:
            reporter.say(f"Stopped ({interrupted}); the same command continues the study")
            return interrupted
    return None


def _foreign(out: Path) -> list[Path]:
    """What stands in the folder but the cache, in which it is kept what scans hold before a study is begun."""
    return [path for path in own_entries(out) if path.name != "cache"]


def _require_own(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise FileError(
            "a folder is needed for the study",
            path=out,
            found="a file",
            remedy="Name a new folder with `--out`",
        )
    if out.is_dir() and _foreign(out) and not (out / STUDY).exists():
        raise FileError(
            "the folder holds files that are not a study's", path=out, remedy="Name a new folder with `--out`"
        )


def _runs(options: StudyOptions, rows: Sequence[StudyRow], out: Path, feeds: Mapping[str, Feed]) -> list[_StudyRun]:
    """Every run: all rows on one fold with one seed before the next, so that a part of a study compares all rows."""
    runs = []
    for seed in options.seeds:
        for fold in range(options.folds or 1):
            for row in rows:
                if row.name not in feeds:
                    continue
                feed = feeds[row.name]
                recipe = run_recipe(row, options, fold, seed)
                place = RunPlace(out, row, None if options.folds is None else fold, seed)
                deciding = _hash([run_folder.deciding_settings(recipe), feed.key])
                everything = recipe.model_dump(mode="json", exclude={"name", "about", "after", "notes", "tune"})
                asked = _hash([everything, feed.key, "train" in options.parts])
                runs.append(_StudyRun(place, recipe, feed.data, deciding, asked))
    return runs


def _hash(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _require_same(runs: Sequence[_StudyRun], restart: bool) -> None:
    others = [run.place.folder for run in runs if run.is_another]
    if others and not restart:
        raise OptionError(
            "runs of this study were trained with other settings or data",
            found=name_some(others),
            remedy="Go on with the old settings, use another `--out`, or train these runs anew with `--restart`",
        )


def _say_trouble(row: StudyRow, skipped: Mapping[str, str], reporter: Reporter) -> None:
    if row.fault is not None:
        reporter.say(f"{row.name}: cannot be trained: {row.fault}")
    if row.name in skipped:
        reporter.say(f"{row.name}: left out, the data cannot feed it: {skipped[row.name]}")
    if row.ignored:
        reporter.say(f"{row.name}: its network has no {', '.join(row.ignored)}")


def _train(run: _StudyRun, options: RunOptions, device: torch.device, reporter: Reporter) -> str | None:
    """Train or go on with one run and keep how it went; what interrupted it, for the whole study to stop."""
    place = run.place
    before = None if run.is_another else place.record()
    record = RunRecord(state="running", deciding=run.deciding, asked=run.asked)
    if run.is_another:
        # asked for with --restart; first, so that no record speaks for another's checkpoint
        run_folder.clear(place.folder)
    options = replace(options, run=place.folder)
    write_json(place.record_file, record.model_dump(mode="json"))
    measured = reset_peak(device)
    trace = place.folder.with_name(f"{place.folder.name}-{ERROR}")
    result, error = guarded(lambda: train(run.recipe, run.data, options, reporter), trace, reporter)
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
    return stopped


def _ending(run: _StudyRun, result: TrainResult) -> dict[str, Any]:
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


def _write(facts: StudyFacts, out: Path) -> Path:
    write_json(out / TABLE, facts.to_json())
    write_text(out / CSV, study_csv(facts))
    return write_study_report(facts, out / PAGE)

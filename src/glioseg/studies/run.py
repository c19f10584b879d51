"""``glioseg study``: a recipe and its variations, each an ordinary run; then one table and one page.

    OUT/study.toml                       what was asked for
    OUT/<row>/fold-K-seed-S/             a run, as glioseg train makes it
    OUT/<row>/fold-K-seed-S.json         whether it has ended, and with which settings
    OUT/cache/                           prepared data, shared by all runs
    OUT/study.json  study.csv  study.html  figures/

A run that has ended is not repeated; one that was interrupted is continued from its checkpoint; one that failed is
tried again. A run whose settings have changed since is neither mixed in nor thrown away unasked: the study is refused.
None of these files depends on where runs are trained: one after the other here, by a job of a queue each, on a cluster.
"""

from __future__ import annotations

import html
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from glioseg.console import QUIET, Reporter
from glioseg.io.files import write_json, write_text
from glioseg.io.lock import HeldError, locked
from glioseg.machine.device import pick_device
from glioseg.runs.options import RunOptions
from glioseg.runs.read import Data
from glioseg.studies.options import StudyOptions
from glioseg.studies.report.facts import StudyFacts
from glioseg.studies.report.study import write_study_report
from glioseg.studies.runs import STUDY, PlannedStudy, StudyRun, begin, keep_failure, plan_study, train_run
from glioseg.studies.table import RunRecord, study_csv, study_facts
from glioseg.workers.where import HERE, Lost, Stopped, Where, require_seen

if TYPE_CHECKING:
    import pandas as pd

TABLE = "study.json"
CSV = "study.csv"
PAGE = "study.html"


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


def study(
    options: StudyOptions,
    data: Data | Mapping[str, Data],
    out: Path,
    *,
    changes: Sequence[str] = (),
    device: str = "auto",
    cache: Path | None = None,
    restart: bool = False,
    where: Where = HERE,
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
        where: the runs are trained.
        reporter: of messages and progress.

    Raises:
        OptionError: no row can be trained, or runs in the folder have other settings.
        FileError: the folder holds other files, or cannot be written to.
    """
    if where is HERE:
        pick_device(device)  # one that is not there is said before anything is read
    plan = plan_study(options, data, out, changes=changes, device=device, cache=cache, reporter=reporter)
    with locked(out):
        begin(plan, plan.runs, restart=restart)
        interrupted = _train_missing(plan, where, reporter)
        facts = study_facts(options, plan.rows, [run.place for run in plan.runs], plan.feeds, changes)
        return StudyResult(facts, _write(facts, out), interrupted)


def train_one(plan: PlannedStudy, name: str, *, restart: bool, reporter: Reporter) -> RunRecord:
    """Train one run of a study, unless it has ended; the table is left to ``study``, which finds it.

    Args:
        plan: the study.
        name: of the run.
        restart: train it anew where its settings or data have changed.
        reporter: of messages and progress.

    Returns:
        how it went; ``running`` where it was interrupted, and ``ended`` says by what.

    Raises:
        OptionError: no run of that name, or it was trained with other settings.
        HeldError: another process is training it.
        FileError: the folder cannot be written to.
    """
    run = plan.named(name)
    pick_device(plan.options.device)
    if not run.is_finished:
        begin(plan, [run], restart=restart)
        train_run(run, plan.options, reporter)
    record = run.place.record()
    assert record is not None  # whoever trains has written it
    return record


def _train_missing(plan: PlannedStudy, where: Where, reporter: Reporter) -> str | None:
    """Train what has not ended; what interrupted it."""
    missing = plan.missing
    titles = {run.name: f"Run {number} of {len(missing)}: {run.name}" for number, run in enumerate(missing, start=1)}
    make, interrupted = partial(_trainer, plan.out, plan.options, titles), None
    for number, end in where.spread(make, missing, reporter):
        if isinstance(end, Stopped):
            interrupted = end.reason
        elif isinstance(end, Lost):
            reporter.say(f"{missing[number].name}: {end.error.text}")
            if not isinstance(end.error, HeldError):
                keep_failure(missing[number], end.error)
    if interrupted is not None:
        reporter.say(f"Stopped ({interrupted}); the same command continues the study")
    return interrupted


def _trainer(
    out: Path, options: RunOptions, titles: Mapping[str, str], reporter: Reporter
) -> Callable[[StudyRun], RunRecord | Stopped]:
    """What trains runs, in a process that must see the study's folder."""
    require_seen(out / STUDY)

    def work(run: StudyRun) -> RunRecord | Stopped:
        reporter.say(titles[run.name])
        return train_run(run, options, reporter)

    return work


def _write(facts: StudyFacts, out: Path) -> Path:
    write_json(out / TABLE, facts.to_json())
    write_text(out / CSV, study_csv(facts))
    return write_study_report(facts, out / PAGE)

"""``glioseg calibrate``: the confidence of a network, fitted on cases with references and kept in its bundle."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from glioseg.cohorts.reading.layout import Layout
from glioseg.console import QUIET, Reporter
from glioseg.errors import OptionError
from glioseg.inference.bundle import annotate_bundle, load_bundle
from glioseg.inference.shipped import is_model_name
from glioseg.io.files import write_json
from glioseg.runs import run_folder
from glioseg.runs.evaluate import open_run, other_part, require_unseen
from glioseg.runs.options import RunOptions
from glioseg.runs.read import Data
from glioseg.tasks.choose import task_named
from glioseg.tasks.task import AnyTask, Calibration, CalibrationParts, Promises

FIGURES = "calibration.json"
PAGE = "calibration.html"


def calibrate(
    run: Path,
    data: Data | None = None,
    *,
    promises: Promises | None = None,
    device: str = "auto",
    cache: Path | None = None,
    reporter: Reporter = QUIET,
    network: nn.Module | None = None,
    layout: Layout | None = None,
) -> Calibration:
    """Fit a confidence and write it into the bundle, and ``calibration.json`` and ``calibration.html`` beside it.

    Of a run it is fitted on the validation part and checked on the test part; on other data, and where there is no test
    part, it is checked by leaving patients out. No mask changes, and the model id stays.

    Args:
        run: a run folder or a bundle (which needs ``data``).
        data: scans with masks that the network was not trained on; None for those of the run.
        promises: risk and level.
        device: ``auto``, ``cpu``, ``cuda:N``, ``mps``.
        cache: where prepared data is kept; None for ``cache`` beside the run.
        reporter: shows progress.
        network: the module, where it was one of your own.
        layout: by which the run's data was read, where it is one of your own.

    Raises:
        OptionError: a shipped network, a classifier, or a bundle without data.
        ScoreError: too few cases.
        SplitError: the data holds patients that the network was trained on.
    """
    _require_own(run)
    promises = promises or Promises()
    _require_shares(promises)
    bundle = load_bundle(run, network)
    task = task_named(bundle.info.task)
    task.require_confidence()
    home = run_folder.home_of(run)
    if data is not None:
        options = RunOptions(home, cache, device=device)
        cohort, part = other_part(bundle, data, options, reporter)
        require_unseen([run], cohort.patients, data.path, reporter)
        parts = CalibrationParts(part, f"{cohort.name}, all of it")
    elif (home / run_folder.RECIPE).exists():
        parts = _parts_of_run(home, device, cache, reporter, network, layout)
    else:
        raise OptionError("a bundle knows no data of its own", found=run, remedy="Name scans with masks: `--data DATA`")
    found = task.fit_confidence(bundle, parts, promises, home / PAGE, device, reporter)
    annotate_bundle(run, confidence=found.block)
    write_json(home / FIGURES, dict(found.figures))
    return found


def _parts_of_run(
    run: Path, device: str, cache: Path | None, reporter: Reporter, network: nn.Module | None, layout: Layout | None
) -> CalibrationParts:
    task: AnyTask
    task, finished = open_run(run, device, cache, reporter, network=network, layout=layout)
    task.require_confidence()
    data, split = finished.data, finished.data.split
    return CalibrationParts(
        fitted=data.part("val"),
        words=f"validation part of {data.cohort.name}",
        checked=data.part("test") if split.test else None,
        checked_words=f"test part of {data.cohort.name}",
        training=data.part("train") if split.train else None,
    )


def _require_own(run: Path) -> None:
    if is_model_name(run):
        raise OptionError(
            "a shipped network keeps the confidence that it came with",
            found=run,
            remedy=f"Copy it: `glioseg export {run} --format bundle --out mine`, then calibrate that",
        )


def _require_shares(promises: Promises) -> None:
    for name, value in (("`--risk`", promises.risk), ("`--level`", promises.level)):
        if not 0 < value < 1:
            raise OptionError(f"{name} is a share", found=value, expected="a number above 0 and below 1")

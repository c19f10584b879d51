"""``glioseg calibrate``: the confidence of a network, fitted on cases with references and kept in its bundle."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from torch import nn

from glioseg.cohorts.reading.layout import Layout
from glioseg.cohorts.splits.split import counted_in
from glioseg.console import QUIET, Reporter
from glioseg.core import Cohort
from glioseg.core.case import Counted
from glioseg.errors import OptionError, SplitError, name_some, plural
from glioseg.faces import command
from glioseg.inference.bundle import DESCRIPTION, Bundle, BundleInfo, annotate_bundle, load_bundle
from glioseg.inference.shipped import is_model_name
from glioseg.io.files import require_folder, write_json
from glioseg.runs import run_folder
from glioseg.runs.evaluate import open_run, other_part, require_unseen
from glioseg.runs.model_card import write_card
from glioseg.runs.options import RunOptions
from glioseg.runs.read import Data
from glioseg.tasks.choose import task_named
from glioseg.tasks.confidence import Calibration, CalibrationParts, HeldOut, Promises
from glioseg.tasks.data import CohortPart
from glioseg.tasks.task import AnyTask, FinishedRun

OpenRun = Callable[[Path], tuple[AnyTask, FinishedRun]]
"""Run folder -> its task, and its data in the parts that it has kept."""

FIGURES = "calibration.json"
PAGE = "calibration.html"
_SHARED = ("modalities", "regions", "scheme", "model", "prepare", "slices", "patches", "predict")
"""Fields of a bundle in which a fold must be the network that it speaks for."""


def calibrate(
    run: Path,
    data: Data | None = None,
    *,
    folds: Sequence[Path] = (),
    check: Data | None = None,
    out: Path | None = None,
    promises: Promises | None = None,
    device: str = "auto",
    cache: Path | None = None,
    reporter: Reporter = QUIET,
    network: nn.Module | None = None,
    layout: Layout | None = None,
) -> Calibration:
    """Fit a confidence and write it into the bundle, and ``calibration.json`` and ``calibration.html`` beside it.

    Of a run it is fitted on the validation part and checked on the test part; on other data, on the cases that folds
    held out, and where there is no test part, it is checked by leaving patients out. No mask changes, and the model id
    stays.

    Args:
        run: a run folder or a bundle (which needs ``data`` or ``folds``).
        data: scans with masks that the network was not trained on; None for those of the run.
        folds: runs of the same recipe, each of which held out other patients: a network that was trained on all of them
            has none left to be judged by, and gets the confidence of its folds.
        check: further scans with masks, on which alone it is checked: how far what was found holds elsewhere.
        out: where figures and page go; None for the run, or the folder of a bundle.
        promises: risk and level.
        device: ``auto``, ``cpu``, ``cuda:N``, ``mps``.
        cache: where prepared data is kept; None for ``cache`` beside the run.
        reporter: shows progress.
        network: the module, where it was one of your own.
        layout: by which the run's data was read, where it is one of your own.

    Raises:
        OptionError: a shipped network, a classifier, a bundle without data, folds of another network.
        ScoreError: too few cases.
        FileError: the bundle, or the folder of the page, cannot be written to, which is said before any work.
        SplitError: the data holds patients that the network was trained on, or two folds held out the same.
    """
    _require_own(run)
    promises = promises or Promises()
    _require_shares(promises)
    if data is not None and folds:
        raise OptionError(
            "the confidence is fitted on other data or on what folds held out",
            found="both",
            remedy="Leave out `--data` or `--folds`",
        )
    home = run_folder.home_of(run)
    place = out or home
    require_folder(place)
    bundle = load_bundle(run, network)
    require_folder(_bundle_folder(run))
    task = task_named(bundle.info.task)
    task.require_confidence()
    opened: OpenRun = partial(open_run, device=device, cache=cache, reporter=reporter, network=network, layout=layout)
    if folds:
        parts = _held_out_by([(fold, _fold_of(fold, bundle.info, network)) for fold in folds], opened)
    elif data is not None:
        cohort, part = _unseen(run, bundle, data, device, cache, reporter)
        held = (HeldOut(part, bundle),)
        parts = CalibrationParts(held, f"{cohort.name}, all of it", counted=counted_in(cohort))
    elif (home / run_folder.RECIPE).exists():
        parts = _parts_of_run(opened(home), bundle)
    else:
        raise OptionError(
            "a bundle knows no data of its own",
            found=run,
            remedy="Name scans with masks, `--data DATA`, or the runs that held some out, `--folds RUN`",
        )
    if check is not None:
        cohort, part = _unseen(run, bundle, check, device, cache, reporter)
        parts = replace(parts, checked=part, checked_words=cohort.name, checked_is_other=True)
    confidence = task.fit_confidence(bundle, parts, promises, place / PAGE, device, reporter)
    info = annotate_bundle(run, confidence=confidence.block)
    write_card(_bundle_folder(run), info)
    write_json(place / FIGURES, dict(confidence.figures))
    return confidence


def _unseen(
    run: Path, bundle: Bundle, data: Data, device: str, cache: Path | None, reporter: Reporter
) -> tuple[Cohort, CohortPart]:
    """Other data, and all its cases as a part."""
    options = RunOptions(run_folder.home_of(run), cache, device=device)
    cohort, part = other_part(bundle, data, options, reporter)
    require_unseen([run], cohort.patients, data.path, reporter)
    return cohort, part


def _bundle_folder(run: Path) -> Path:
    return run if (run / DESCRIPTION).exists() else run / run_folder.BUNDLE


def _fold_of(fold: Path, info: BundleInfo, network: nn.Module | None) -> Bundle:
    """The network of a fold; errors as ``require_same``."""
    run_folder.require_run(fold)
    bundle = load_bundle(fold, network)
    require_same(bundle.info, info, fold)
    return bundle


def _held_out_by(folds: Sequence[tuple[Path, Bundle]], opened: OpenRun) -> CalibrationParts:
    """What each fold held out, with the fold's own network.

    That is the validation part: a test part beside folds is the same for all of them. Of one run alone it is the test
    part, where it has one, on which nothing was chosen.
    """
    held: list[HeldOut] = []
    counted: Counted = "patient"
    for fold, bundle in folds:
        data = opened(fold)[1].data
        counted = counted_in(data.cohort)
        held.append(HeldOut(data.part("test" if len(folds) == 1 and data.split.test else "val"), bundle))
    cases = Counter(case.id for each in held for case in each.part.prepared.cases)
    twice = sorted(name for name, count in cases.items() if count > 1)
    if twice:
        raise SplitError(
            "a case was held out by more than one fold",
            found=name_some(twice),
            remedy="Name the folds of one split, each of them once",
        )
    names = sorted({each.part.prepared.name for each in held})
    words = f"{', '.join(names)}, held out by {plural(len(folds), 'fold')}"
    return CalibrationParts(tuple(held), words, counted=counted)


def require_same(fold: BundleInfo, info: BundleInfo, path: Path) -> None:
    """Refuse a fold that differs in what decides a mask, but for its weights.

    Raises:
        OptionError: it does.
    """
    differing = [name for name in _SHARED if getattr(fold, name) != getattr(info, name)]
    if differing:
        raise OptionError(
            "the fold is of another network than the one whose confidence is asked for",
            path=path,
            found=f"another {name_some(differing)}",
            expected=f"a fold of {info.name}",
            remedy="Train folds with the recipe of the network: `glioseg train RECIPE --fold K`",
        )


def _parts_of_run(opened: tuple[AnyTask, FinishedRun], bundle: Bundle) -> CalibrationParts:
    task, finished = opened
    task.require_confidence()
    data, split = finished.data, finished.data.split
    return CalibrationParts(
        fitted=(HeldOut(data.part("val"), bundle),),
        words=f"validation part of {data.cohort.name}",
        checked=data.part("test") if split.test else None,
        checked_words=f"the test part of {data.cohort.name}",
        training=data.part("train") if split.train else None,
        counted=counted_in(data.cohort),
    )


def _require_own(run: Path) -> None:
    if is_model_name(run):
        raise OptionError(
            "a shipped network keeps the confidence that it came with",
            found=run,
            remedy=f"Copy it: `{command('export', run, '--format', 'bundle', '--out', 'mine')}`, then calibrate that",
        )


def _require_shares(promises: Promises) -> None:
    for name, value in (("`--risk`", promises.risk), ("`--level`", promises.level)):
        if not 0 < value < 1:
            raise OptionError(f"{name} is a share", found=value, expected="a number above 0 and below 1")

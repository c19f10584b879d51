"""``glioseg evaluate``: a run on a part of its split, a bundle on other data, several networks as one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn

from glioseg.cohorts.reading.layout import Layout
from glioseg.cohorts.splits.split import Split
from glioseg.cohorts.splits.split_file import load_split
from glioseg.config import DataOptions
from glioseg.console import QUIET, Reporter
from glioseg.core import PARTS, Cohort
from glioseg.core.modalities import named_among
from glioseg.errors import GliosegError, OptionError, SplitError, name_some, suggestion
from glioseg.evaluation.metric import OwnMetrics
from glioseg.evaluation.protocol import EvaluateOptions
from glioseg.faces import on_command_line
from glioseg.inference.bundle import Bundle, BundleInfo, load_bundle
from glioseg.io.files import require_folder
from glioseg.io.text import read_json
from glioseg.preparation.cache import prepare, prepare_sound
from glioseg.runs import run_folder
from glioseg.runs.deviations import deviations
from glioseg.runs.gather import gather
from glioseg.runs.options import RunOptions
from glioseg.runs.read import Data, read
from glioseg.runs.score_at import score_at
from glioseg.runs.scored_report import scored_report
from glioseg.runs.split import survey
from glioseg.runs.under import AS_THE_RECIPE_SAYS, Under
from glioseg.tasks.choose import task_named
from glioseg.tasks.data import CohortPart, seen_by, showing_only, with_modalities, without
from glioseg.tasks.members import fitted_cohort
from glioseg.tasks.scores import Scores
from glioseg.tasks.scoring import Publication, ScoredCohort, ScoredData, ScoringPlace
from glioseg.tasks.task import AnyTask, FinishedRun
from glioseg.tasks.texts import left_out_line
from glioseg.workers.where import HERE, Where


def evaluate(
    run: Path,
    data: Data | None,
    part: str | None,
    out: Path | None,
    device: str = "auto",
    cache: Path | None = None,
    reporter: Reporter = QUIET,
    *,
    detect: bool = False,
    task: AnyTask | None = None,
    network: nn.Module | None = None,
    layout: Layout | None = None,
    metrics: OwnMetrics = (),
    only: Sequence[str] = (),
    under: Under = AS_THE_RECIPE_SAYS,
    where: Where = HERE,
) -> Scores:
    """Score a trained network; the figures are also written.

    Args:
        run: a run folder, or a bundle or ``model:NAME`` (which need ``data``).
        data: scans with references; None for those of the run.
        part: ``train``, ``val``, ``test``, ``all``; None takes the test part, or validation where there is none, of
            the run's own data and everything of other data, whose figures are named ``on-NAME`` after its folder and
            have a page of their own, ``report-on-NAME.html``.
        out: where ``evaluation-PART.json`` and ``cases-PART.csv`` go; None for the run folder, a bundle's too, and
            for the folder of a bundle that lies in none.
        device: ``auto``, ``cpu``, ``cuda:N``, ``mps``.
        cache: where prepared data is kept; None for ``cache`` beside the run.
        reporter: shows progress.
        detect: score a network that segments by whether it finds tumour, per slice and per case; the files are then
            ``evaluation-detect-PART.json`` and ``cases-detect-PART.csv``.
        task: the one that the run was trained with, where it is one of your own.
        network: the module, likewise.
        layout: by which the run's data was read, likewise.
        metrics: of your own, besides those that there are.
        only: modalities: the others are hidden, as if they had not been acquired, and the figures are named
            ``PART-only-NAMES``; none hides nothing.
        under: how figures are asked for other than the recipe says.
        where: cases are predicted and scored; each worker loads the network for itself.

    Raises:
        OptionError: ``detect`` of a network that does not segment; a bundle without data, or a part of data that was
            never split; ``only`` what the network or the scans do not have; contributions of one modality.
        GeometryError: the network cannot do with ``only`` these.
        FileError: the figures cannot be written, which is said before any work.
    """
    require_folder(out or (run if data is None else run_folder.home_of(run)))
    if data is not None:
        options = RunOptions(run_folder.home_of(run), cache, device=device)
        _require_no_part(part)
        bundle = load_bundle(run, network)
        other = _other_data(bundle, data, reporter)
        return _score_apart(
            run, bundle, other, out or options.run, options, reporter, detect, metrics, only, under, where
        )
    _require_data(run, is_run=(run / run_folder.RECIPE).exists())
    _require_part(run, part)
    if only:
        options, bundle = RunOptions(run, cache, device=device), load_bundle(run, network)
        folder = run_folder.RunFolder(run)
        scored = _part_of_run(folder, part, folder.task(task), bundle, reporter, layout)
        return _score_apart(run, bundle, scored, out or run, options, reporter, detect, metrics, only, under, where)
    own_task, finished = open_run(
        run, device, cache, reporter, task, detect=detect, metrics=metrics, network=network, layout=layout
    )
    under.require(own_task, finished.data.modalities, metrics, detect=detect)
    name = part or _default_part(finished.data.split)
    if detect:
        with reporter.progress(f"Detecting on {name}") as step:
            predictor = own_task.predictor_of_run(finished)
            scoring = under.scoring(finished.recipe.evaluate, metrics)
            scores = own_task.detect(predictor, finished.data.part(name), scoring, step)
        scores.write(out or run)
        return scores
    return evaluate_parts(own_task, finished, reporter, (name,), out=out, metrics=metrics, under=under, where=where)[
        name
    ]


def open_run(
    run: Path,
    device: str,
    cache: Path | None,
    reporter: Reporter,
    task: AnyTask | None = None,
    *,
    detect: bool = False,
    metrics: OwnMetrics = (),
    network: nn.Module | None = None,
    layout: Layout | None = None,
) -> tuple[AnyTask, FinishedRun]:
    """A run folder with its task and its data, gathered again; errors as ``evaluate``."""
    run_folder.require_run(run)
    folder = run_folder.RunFolder(run)
    task = folder.task(task)
    task.require_scores(metrics, detect=detect)
    return gathered(folder, folder.data_by(layout), device, cache, reporter, task, network)


def gathered(
    folder: run_folder.RunFolder,
    data: Data,
    device: str,
    cache: Path | None,
    reporter: Reporter,
    task: AnyTask | None = None,
    network: nn.Module | None = None,
) -> tuple[AnyTask, FinishedRun]:
    """A run with its data, wherever this lies, in the parts that the run has kept."""
    recipe, own_task = folder.recipe, task or folder.task(None)
    options = RunOptions(folder.path, cache, folder.path / run_folder.SPLIT, device=device)
    training_data = gather(own_task, recipe, data, options, reporter)
    return own_task, FinishedRun(folder.path, recipe, training_data, device, network)


def evaluate_parts(
    task: AnyTask,
    run: FinishedRun,
    reporter: Reporter,
    parts: Sequence[str] = (),
    *,
    out: Path | None = None,
    score_train: bool = False,
    metrics: OwnMetrics = (),
    under: Under = AS_THE_RECIPE_SAYS,
    where: Where = HERE,
) -> dict[str, Scores]:
    """Score what a run has trained on parts of its split and write the figures.

    Args:
        task: of the run.
        run: its training has ended.
        reporter: shows progress.
        parts: unless named, validation and test, as far as the split has them,
        out: where figures go; None for the run folder.
        score_train: and the training part, first.
        metrics: of the caller's own, besides those that there are.
        under: how figures are asked for other than the recipe says.
        where: cases are predicted and scored.
    """
    usual = PARTS if score_train else ("val", "test")
    names = parts or tuple(name for name in usual if getattr(run.data.split, name))
    predictor = task.predictor_of_run(run)
    publication = Publication(run.recipe.published, deviations(run))
    scoring = under.scoring(run.recipe.evaluate, metrics, publication)
    scores: dict[str, Scores] = {}
    for name in names:
        with reporter.progress(f"Evaluating {name}") as step:
            opened = partial(task.predictor_of_run, run)
            scores[name] = score_at(where, task, opened, predictor, run.data.part(name), scoring, step, reporter)
        scores[name].write(out or run.folder)
    return scores


def evaluate_ensemble(
    run: Path,
    others: Sequence[Path],
    data: Data | None,
    part: str | None,
    out: Path | None,
    device: str = "auto",
    cache: Path | None = None,
    reporter: Reporter = QUIET,
    metrics: OwnMetrics = (),
    under: Under = AS_THE_RECIPE_SAYS,
) -> Scores:
    """Score several trained networks as one, on a part of the first run's data or on other data.

    Args:
        run: the first run, or a bundle (which needs ``data``).
        others: further runs or bundles.
        data: scans with references; None for those of the first run.
        part: as ``evaluate``, of the first run's split.
        out: where ``evaluation-PART-ensemble.json``, ``cases-PART-ensemble.csv`` and ``report-PART-ensemble.html`` go;
            None as ``evaluate``.
        device: ``auto``, ``cpu``, ``cuda:N``, ``mps``.
        cache: where prepared data is kept; None for ``cache`` beside the run.
        reporter: shows progress.
        metrics: of the caller's own, besides those that there are.
        under: how figures are asked for other than the first run's recipe says.

    Raises:
        OptionError: a bundle without data, a part of data that was never split, a run that was split by slice, networks
            that do not mean the same.
        SplitError: a member was trained on patients that would be scored.
    """
    folders, home = [run, *others], run_folder.home_of(run)
    require_folder(out or home)
    folder = run_folder.RunFolder(home)
    is_run = (home / run_folder.RECIPE).exists()
    if data is None:
        _require_data(run, is_run=is_run)
        _require_part(home, part)
    else:
        _require_no_part(part)
    bundles = [load_bundle(folder) for folder in folders]
    task = task_named(bundles[0].info.task)
    task.require_scores(metrics)
    members = task.members(folders, bundles, device)
    if data is None:
        scored = _part_of_run(folder, part, task, bundles[0], reporter)
    else:
        scored = _other_data(bundles[0], data, reporter)
    infos = [bundle.info for bundle in bundles]
    cache_folder = RunOptions(home, cache).cache_folder
    left_out: dict[str, GliosegError] = {}
    if scored.is_other:
        able, left_out = seen_by(fitted_cohort(scored.cohort, members.modalities), infos)
        cohort, damaged = _without_damaged(able, infos, cache_folder, reporter)
        left_out |= damaged
        scored = replace(scored, cohort=cohort, patients=frozenset(cohort.patients))
    source = folder.data if data is None else data
    require_unseen(folders, scored.patients, source.path, reporter)
    options = folder.recipe.evaluate if is_run else EvaluateOptions()
    copies = survey(scored.cohort, cache_folder, reporter).groups if task.draws_copies else ()
    place = ScoringPlace(cache_folder, copies, reporter)
    scores = members.score(scored, under.scoring(options, metrics), place)
    scores = _saying(left_out, scores, is_other=scored.is_other)
    scores.write(out or home, "-ensemble")
    together = ScoredData(members.infos, scored.cohort, members.part(scored, place), scores)
    return replace(scores, page=scored_report(members, together, out or home, reporter, "-ensemble"))


def _part_of_run(
    folder: run_folder.RunFolder,
    part: str | None,
    task: AnyTask,
    bundle: Bundle,
    reporter: Reporter,
    layout: Layout | None = None,
) -> ScoredCohort:
    """A part of a run's own data, by its name or the usual one.

    Raises:
        OptionError: the run was split by slice.
    """
    recipe = folder.recipe
    if recipe.split.protocol == "slice":
        raise OptionError(
            "whole patients are scored here, and this run was split by slice",
            found=folder.path,
            remedy="Name other data with `--data`",
        )
    cohort = task.usable(
        read(folder.data_by(layout), reporter), _network_data(bundle, recipe.data.max_patients), reporter
    )
    split = load_split(folder.path / run_folder.SPLIT, cohort)
    name = part or _default_part(split)
    return ScoredCohort(cohort, name, frozenset(split.part(name)))


def _other_data(bundle: Bundle, data: Data, reporter: Reporter) -> ScoredCohort:
    """All cases with references in a folder that the network did not grow up with."""
    task = task_named(bundle.info.task)
    cohort = task.usable(read(data, reporter), _network_data(bundle, None), reporter)
    return ScoredCohort(cohort, name_of_other(cohort.name), frozenset(cohort.patients), is_other=True)


def _score_apart(
    run: Path,
    bundle: Bundle,
    scored: ScoredCohort,
    out: Path,
    options: RunOptions,
    reporter: Reporter,
    detect: bool,
    metrics: OwnMetrics,
    only: Sequence[str],
    under: Under,
    where: Where,
) -> Scores:
    """Score a bundle on cases that are prepared for it, and make the page of that."""
    task = task_named(bundle.info.task)
    under.require(task, bundle.info.modalities, metrics, detect=detect)
    cohort, part, left_out = _prepared_for(bundle, scored, options, reporter, only)
    is_run = (options.run / run_folder.RECIPE).exists()
    evaluation = run_folder.RunFolder(options.run).recipe.evaluate if is_run else EvaluateOptions()
    predictor, scoring = task.predictor(bundle, options.device), under.scoring(evaluation, metrics)
    with reporter.progress("Detecting" if detect else "Evaluating") as step:
        if detect:
            scores = task.detect(predictor, part, scoring, step)
        else:
            opened = partial(_predictor_of_bundle, task, run, options.device)
            scores = score_at(where, task, opened, predictor, part, scoring, step, reporter)
    scores = _saying(left_out, scores, is_other=scored.is_other)
    scores.write(out)
    if detect:
        return scores
    members = task.members([options.run], [bundle], options.device)
    return replace(scores, page=scored_report(members, ScoredData(members.infos, cohort, part, scores), out, reporter))


def _predictor_of_bundle(task: AnyTask, bundle: Path, device: str) -> Any:  # noqa: ANN401 - the task's own
    return task.predictor(load_bundle(bundle), device)


def other_part(bundle: Bundle, data: Data, options: RunOptions, reporter: Reporter) -> tuple[Cohort, CohortPart]:
    """All cases with references in other data, prepared for a network as one part; who is left out is said."""
    cohort, part, left_out = _prepared_for(bundle, _other_data(bundle, data, reporter), options, reporter)
    for case, error in left_out.items():
        reporter.say(f"Left out: case {case}: {on_command_line(error.text)}")
    return cohort, part


def _prepared_for(
    bundle: Bundle, scored: ScoredCohort, options: RunOptions, reporter: Reporter, only: Sequence[str] = ()
) -> tuple[Cohort, CohortPart, dict[str, GliosegError]]:
    """What a network can see of the cases, prepared for it; and what is wrong with the others."""
    task, names = task_named(bundle.info.task), bundle.info.modalities
    cohort = fitted_cohort(replace(scored.cohort, cases=scored.cases), names)
    if only:
        cohort = showing_only(cohort, only, names)
    cohort, left_out = seen_by(cohort, [bundle.info])
    cohort = with_modalities(replace(cohort, modalities=tuple(dict.fromkeys((*names, *cohort.modalities)))), names)
    if scored.is_other:
        cohort, damaged = _without_damaged(cohort, [bundle.info], options.cache_folder, reporter)
        left_out |= damaged
    name = f"{scored.part}-only-{'-'.join(named_among(name, names) for name in only)}" if only else scored.part
    with reporter.progress("Preparing") as step:
        prepared = prepare(cohort, task.prepare_options(bundle.info), options.cache_folder, progress=step)
    copies = survey(cohort, options.cache_folder, reporter).groups if task.draws_copies else ()
    return cohort, CohortPart.of(name, prepared, cohort, copies), left_out


def _without_damaged(
    cohort: Cohort, infos: Sequence[BundleInfo], cache: Path, reporter: Reporter
) -> tuple[Cohort, dict[str, GliosegError]]:
    """The cases that can be prepared for each network, which they are then; and what is wrong with the others."""
    damaged: dict[str, GliosegError] = {}
    for info in infos:
        reduced, options = with_modalities(cohort, info.modalities), task_named(info.task).prepare_options(info)
        with reporter.progress("Preparing") as step:
            damaged |= prepare_sound(reduced, options, cache, progress=step)[1]
    if len(damaged) == len(cohort.cases):
        raise next(iter(damaged.values()))
    return without(cohort, damaged), damaged


def _saying(left_out: Mapping[str, GliosegError], scores: Scores, *, is_other: bool) -> Scores:
    """Scores that say which cases are not in them: those that lack something, and damaged ones of other data."""
    if not left_out:
        return replace(scores, left_out={} if is_other else None)
    return replace(scores, left_out=left_out, text=f"{scores.text}\n{left_out_line([*left_out])}")


def _network_data(bundle: Bundle, max_patients: int | None) -> DataOptions:
    return DataOptions(modalities=bundle.info.modalities, max_patients=max_patients)


def _require_data(run: Path, *, is_run: bool) -> None:
    if not is_run:
        load_bundle(run)  # a folder that is no bundle either says so itself
        raise OptionError("a bundle knows no data of its own", found=run, remedy="Name scans with masks: `--data DATA`")


def _require_no_part(part: str | None) -> None:
    if part not in (None, "all"):
        raise OptionError("other data has no parts", found=f"`--part {part}`", remedy="Leave `--part` out")


def _require_part(run: Path, part: str | None) -> None:
    """Refuse a part that there is not, before anything is read."""
    parts = (*PARTS, "all")
    if part is not None and part not in parts:
        raise OptionError(
            "a split has no part of that name",
            found=f"`--part {part}`",
            expected=", ".join(parts),
            remedy=suggestion(part, parts, "`--part {}`"),
        )
    split = read_json(run / run_folder.SPLIT) if part in PARTS else None
    if isinstance(split, dict) and not split.get(part):
        full = [name for name in PARTS if split.get(name)]
        raise SplitError(
            f"the {part} part of the split is empty",
            path=run / run_folder.SPLIT,
            found=f"patients in {', '.join(full) or 'none'}",
            remedy="Name one of these with `--part`",
        )


def _default_part(split: Split) -> str:
    return "test" if split.test else "val"


def name_of_other(cohort: str) -> str:
    """``on-NAME`` for figures on other data, which no part of the run's own data is called."""
    return "on-" + (re.sub(r"[^\w.-]+", "-", cohort).strip("-.") or "data")


def require_unseen(folders: Iterable[Path], patients: Iterable[str], data: Path, reporter: Reporter) -> None:
    """No member may be scored on patients it was trained on.

    Members that are bundles outside of their run do not say whom they know; nor does a patient's name say it where a
    member was trained on other data: both are said on stderr.

    Raises:
        SplitError: a member was trained on some of the patients, in the same data.
    """
    scored = set(patients)
    for folder in folders:
        home = run_folder.home_of(folder)
        if not (home / run_folder.SPLIT).exists():
            reporter.say(
                f"Figures may flatter {folder}: on whom it was trained is not known, since a bundle does not say"
            )
            continue
        split = read_json(home / run_folder.SPLIT)
        seen_patients = sorted(scored & set(split.get("train", ()))) if isinstance(split, dict) else []
        if not seen_patients:
            continue
        if run_folder.RunFolder(home).data.path == data.absolute():
            raise SplitError(
                "a member of the ensemble was trained on patients that would be scored",
                path=home,
                found=name_some(seen_patients),
                remedy="Score an ensemble of folds on patients whom none of them has seen: hold out a test part with "
                "split.test, or name other data with `--data`",
            )
        reporter.say(f"{home} was trained on patients of these names, in other data: {name_some(seen_patients)}")

"""``glioseg evaluate``: a run on a part of its split, or a bundle on other data."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from glioseg.cohorts.splits.split_file import load_split
from glioseg.config import Recipe
from glioseg.console import QUIET, Reporter
from glioseg.errors import OptionError
from glioseg.evaluation.protocol import EvaluateOptions
from glioseg.inference.bundle import Bundle, load_bundle
from glioseg.preparation.cache import prepare
from glioseg.runs import run_folder
from glioseg.runs.classifying import (
    ClassEvaluated,
    classifier_of,
    classify_part,
    detected,
    unit_names,
    write_class_evaluation,
)
from glioseg.runs.ensembling import EnsembleScores, require_unseen, score_ensemble, write_ensemble_scores
from glioseg.runs.evaluating import Part, evaluate_part, write_evaluation
from glioseg.runs.material import Material, Where, as_colours, as_shown, gather, usable
from glioseg.runs.predicting import load_ensemble, predictor_of
from glioseg.runs.read import Data, read
from glioseg.runs.reporting import report
from glioseg.runs.split import survey
from glioseg.runs.train import AnyEvaluated, evaluate_run


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
) -> tuple[str, AnyEvaluated]:
    """Score a trained network; returns the part's name and its figures, which are also written.

    Args:
        run: a run folder, or a bundle (which needs ``data``).
        data: scans with references; None for those of the run.
        part: ``train``, ``val``, ``test``, ``all``; None takes the test part, or validation where there is none, of
            the run's own data and everything of other data, whose figures are named ``on-NAME`` after its folder.
        out: where ``evaluation-PART.json`` and ``cases-PART.csv`` go; None for the run folder, a bundle's too, and
            for the folder of a bundle that lies in none.
        device: ``auto``, ``cpu``, ``cuda:N``, ``mps``.
        cache: where prepared data is kept; None for ``cache`` beside the run.
        reporter: shows progress.
        detect: score a network that segments by whether it finds tumour, per slice and per case; the files are then
            ``evaluation-detect-PART.json`` and ``cases-detect-PART.csv``.

    Raises:
        OptionError: ``detect`` of a classifier; a bundle without data, or a part of data that was never split.
    """
    is_run = (run / run_folder.RECIPE).exists()
    if data is None and not is_run:
        raise OptionError("a bundle knows no data of its own", found=run, remedy="Name scans with masks: --data DATA")
    where = Where(run_folder.home_of(run), cache, device=device)
    if data is None:
        recipe, material = _own(run, where, reporter)
        _refuse_classifier(material.classes, detect=detect)
        name = part or ("test" if material.split.test else "val")
        target = where if out is None else Where(out, cache, device=device)
        if detect:
            predictor = predictor_of(load_bundle(run), device)
            return name, detected(predictor, material.part(name), name, recipe.evaluate, target.run, reporter)
        return name, evaluate_run(run, recipe, material, target, reporter, (name,))[name]
    if part not in (None, "all"):
        raise OptionError("other data has no parts", found=f"--part {part}", remedy="Leave --part out")
    return _other(run, data, out or where.run, where, reporter, detect=detect)


def _refuse_classifier(classes: tuple[str, ...], *, detect: bool) -> None:
    if detect and classes:
        raise OptionError(
            "a classifier says classes already",
            found="--detect",
            expected="a network that segments",
            remedy="Leave --detect out",
        )


def write_report(run: Path, device: str = "auto", cache: Path | None = None, reporter: Reporter = QUIET) -> Path:
    """Write the report of a run from what stands in its folder; errors as ``evaluate``."""
    where = Where(run, cache, device=device)
    recipe, material = _own(run, where, reporter)
    return report(recipe, material, where, reporter)


def evaluate_ensemble(
    run: Path,
    others: Sequence[Path],
    data: Data | None,
    part: str | None,
    out: Path | None,
    device: str = "auto",
    reporter: Reporter = QUIET,
) -> tuple[str, EnsembleScores]:
    """Score several trained networks as one, on a part of the first run's data or on other data.

    Args:
        run: the first run, or a bundle (which needs ``data``).
        others: further runs or bundles.
        data: scans with references; None for those of the first run.
        part: as ``evaluate``, of the first run's split.
        out: where ``evaluation-PART-ensemble.json`` and ``cases-PART-ensemble.csv`` go; None as ``evaluate``.
        device: ``auto``, ``cpu``, ``cuda:N``, ``mps``.
        reporter: shows progress.

    Raises:
        OptionError: a bundle without data, a part of data that was never split, a run that was split by slice, networks
            that do not mean the same.
        SplitError: a member was trained on patients that would be scored.
    """
    folders, home = [run, *others], run_folder.home_of(run)
    is_run = (home / run_folder.RECIPE).exists()
    if data is None and not is_run:
        raise OptionError("a bundle knows no data of its own", found=run, remedy="Name scans with masks: --data DATA")
    if data is not None and part not in (None, "all"):
        raise OptionError("other data has no parts", found=f"--part {part}", remedy="Leave --part out")
    ensembled = load_ensemble(folders, device)
    chosen = _data_of(home) if data is None else data
    recipe = run_folder.RunFolder(home).recipe if is_run else None
    if data is None and recipe is not None and recipe.split.protocol == "slice":
        raise OptionError(
            "an ensemble is scored on whole patients, and this run was split by slice",
            found=home,
            remedy="Name other data with --data",
        )
    most = None if data is not None or recipe is None else recipe.data.max_patients
    cohort = usable(read(chosen, reporter), most, reporter)
    patients, name = frozenset(case.patient for case in cohort.cases), name_of_other(cohort.name)
    if data is None:
        split = load_split(home / run_folder.SPLIT, cohort)
        name = part or ("test" if split.test else "val")
        patients = frozenset(split.part(name))
    require_unseen(folders, patients, chosen.path, reporter)
    options = EvaluateOptions() if recipe is None else recipe.evaluate
    found = score_ensemble(ensembled, cohort, patients, options, reporter)
    write_ensemble_scores(found, out or home, name)
    return name, found


def _data_of(run: Path) -> Data:
    kept = run_folder.RunFolder(run).data
    names = kept["modalities"]
    return Data(Path(kept["path"]), kept["layout"], kept["scheme"], None if names is None else tuple(names))


def _own(run: Path, where: Where, reporter: Reporter) -> tuple[Recipe, Material]:
    folder = run_folder.RunFolder(run)
    data = _data_of(run)
    recipe = folder.recipe
    return recipe, gather(recipe, data, Where(run, where.cache, run / run_folder.SPLIT, device=where.device), reporter)


def _other(
    run: Path, data: Data, out: Path, where: Where, reporter: Reporter, *, detect: bool
) -> tuple[str, AnyEvaluated]:
    bundle = load_bundle(run)
    info = bundle.info
    evaluation = (
        run_folder.RunFolder(where.run).recipe.evaluate
        if (where.run / run_folder.RECIPE).exists()
        else EvaluateOptions()
    )
    _refuse_classifier(info.classes, detect=detect)
    if info.classes:
        return _other_classified(bundle, data, out, where, evaluation, reporter)
    cohort = as_shown(usable(read(data, reporter), None, reporter), info.modalities)
    name = name_of_other(cohort.name)
    options = info.prepare.model_copy(update={"regions": info.regions})  # not what other data's scheme would choose
    with reporter.progress("Preparing") as step:
        prepared = prepare(cohort, options, where.cache_folder, progress=step)
    predictor, part = predictor_of(bundle, where.device), Part.of(name, prepared, cohort)
    if detect:
        return name, detected(predictor, part, name, evaluation, out, reporter)
    with reporter.progress("Evaluating") as step:
        found = evaluate_part(predictor, part, evaluation, None, (), step)
    write_evaluation(found, out, name)
    return name, found


def _other_classified(
    bundle: Bundle, data: Data, out: Path, where: Where, options: EvaluateOptions, reporter: Reporter
) -> tuple[str, ClassEvaluated]:
    info = bundle.info
    read_in = as_colours(read(data, reporter), info.modalities)
    cohort = as_shown(usable(read_in, None, reporter, by_class=True), info.modalities)
    name = name_of_other(cohort.name)
    with reporter.progress("Preparing") as step:
        prepared = prepare(cohort, info.prepare, where.cache_folder, progress=step)
    units = unit_names(cohort, survey(cohort, where.cache_folder, reporter).groups)
    with reporter.progress("Evaluating") as step:
        found = classify_part(
            classifier_of(bundle, where.device), Part.of(name, prepared, cohort), units, options, step
        )
    write_class_evaluation(found, out, name)
    return name, found


def name_of_other(cohort: str) -> str:
    """``on-NAME`` for figures on other data, which no part of the run's own data is called."""
    return "on-" + (re.sub(r"[^\w.-]+", "-", cohort).strip("-.") or "data")

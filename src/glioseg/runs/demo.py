"""``glioseg demo``: the whole way on the phantom cohort, from nothing to a report."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from glioseg.cohorts.phantom import PhantomOptions, ThresholdBaseline, threshold_baseline
from glioseg.config import read_recipe
from glioseg.console import QUIET, Reporter, Step
from glioseg.core import Case, Cohort
from glioseg.io import load_image, load_labels
from glioseg.report.run_facts import Baseline
from glioseg.runs.inspect import InspectResult, inspect
from glioseg.runs.options import RunOptions
from glioseg.runs.phantom import phantom
from glioseg.runs.predict import predict
from glioseg.runs.read import Data, read
from glioseg.runs.train import TrainResult, train
from glioseg.tasks.prediction import WrittenCase
from glioseg.tasks.segment.cohort import scheme_of

OPTIONS = PhantomOptions(n_patients=40, spacing_mm=3.0, seed=0)
ANOTHER = PhantomOptions(n_patients=1, spacing_mm=2.0, seed=1)
LAYOUT = "brats2023"
SHIPPED_MODEL = Path("model:phantom")


@dataclass(frozen=True)
class DemoResult:
    """Where everything is, and the figures to look at."""

    data: Path
    inspection: InspectResult
    run: Path
    training: TrainResult
    prediction: WrittenCase
    baseline: ThresholdBaseline
    shipped: WrittenCase


def demo(out: Path, reporter: Reporter = QUIET) -> DemoResult:
    """Write a phantom cohort, inspect it, train on it, evaluate on patients not seen, predict one of them, report.

    Last, the shipped network predicts another phantom patient, which needed no training. What an earlier call has
    written into ``out`` is used again.
    """
    data = out / "phantom"
    if not data.exists():
        phantom(data, OPTIONS, LAYOUT, reporter=reporter)
    inspection = inspect(Data(data), out / "cohort-report", reporter)
    run = out / "run"
    cohort = read(Data(data), reporter)
    with reporter.progress("Threshold baseline") as step:
        baseline = threshold_baseline(_flair_and_tumour(cohort, step))
    threshold = Baseline("best threshold on FLAIR, chosen on all patients", baseline.dice, "WT", "test")
    training = train(read_recipe("demo"), Data(data), RunOptions(run), reporter, baseline=threshold)
    split = json.loads((run / "split.json").read_text(encoding="utf-8"))
    case = next(case for case in cohort.cases if case.patient in split["test"])
    (prediction,) = predict(run, [Data(_folder_of(case))], out / "prediction", reporter=reporter).cases
    another = out / "another-patient"
    if not another.exists():
        phantom(another, ANOTHER, LAYOUT, reporter=reporter)
    (shipped,) = predict(SHIPPED_MODEL, [Data(another)], out / "shipped-network", reporter=reporter).cases
    return DemoResult(data, inspection, run, training, prediction, baseline, shipped)


def _folder_of(case: Case) -> Path:
    return next(iter(case.images.values())).paths[0].parent


def _flair_and_tumour(cohort: Cohort, step: Step) -> Iterator[tuple[npt.NDArray[np.generic], npt.NDArray[np.bool_]]]:
    scheme = scheme_of(cohort)
    for number, case in enumerate(cohort.cases, start=1):
        flair = load_image(case, ["t2f"]).array[0]
        labels = load_labels(case, scheme)
        yield flair, np.isin(labels.array, scheme.values_of("WT"))
        step(number, len(cohort.cases))

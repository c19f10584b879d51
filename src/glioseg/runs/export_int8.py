"""A run's network in 8 bits for OpenVINO, written only where it costs no accuracy and saves time: both are measured.

What flows between the layers is measured on images of training patients, the Dice on validation patients, and the time
beside bfloat16, as OpenVINO computes the network otherwise.
"""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from glioseg.console import Reporter
from glioseg.errors import OptionError, plural
from glioseg.inference.activation import logits_of, n_logits
from glioseg.inference.backends import Compiled
from glioseg.inference.bundle import Bundle
from glioseg.inference.export import ExportRequest, ExportResult
from glioseg.inference.export_others import move_graph, openvino_graph
from glioseg.inference.openvino_core import in_openvino, openvino_core, quickest_precision
from glioseg.inference.predictor import Predictor
from glioseg.inference.quantised import Recording, milliseconds, quantised, require_quantising
from glioseg.inference.scoring import probabilities_of
from glioseg.inference.tracing import Engine, ExportError, Floats
from glioseg.preparation.slices import channels_of
from glioseg.runs.evaluate import open_run
from glioseg.runs.run_folder import RECIPE, home_of
from glioseg.runs.under import AS_THE_RECIPE_SAYS
from glioseg.tasks.data import CohortPart
from glioseg.tasks.task import AnyTask, FinishedRun

MOST_LOST = 0.005
"""Of a region's mean Dice."""
_REMEDY = "Leave the network in floating point: `--format openvino`"
_N_IMAGES = 300
_N_CASES = 8
_AT_ONCE = 8

DiceOf = Mapping[str, float | None]
"""By region, the mean over cases; None where no case has any."""


@dataclass(frozen=True)
class Times:
    """What 8 bits save.

    Args:
        int8_ms: processor milliseconds for an image in 8 bits,
        other_ms: and otherwise,
        other: computed in this precision.
    """

    int8_ms: float
    other_ms: float
    other: str

    def text(self) -> str:
        """Both in a line."""
        return f"{self.int8_ms:.1f} ms an image on one processor, {self.other_ms:.1f} in {self.other}"


@dataclass(frozen=True)
class Measured:
    """What 8 bits cost and save.

    Args:
        before: Dice on the validation part as the network is,
        after: and in 8 bits.
        n_cases: that were scored.
        n_images: of training cases, on which the ranges were measured.
        times: with and without.
    """

    before: DiceOf
    after: DiceOf
    n_cases: int
    n_images: int
    times: Times

    def lost(self, region: str) -> float:
        """Dice; 0 where there is none to be lost."""
        before, after = self.before[region], self.after[region]
        return 0.0 if before is None or after is None else before - after

    def text(self) -> str:
        """Both in a line."""
        regions = ", ".join(
            f"{region} {before:.3f} → {after:.3f}"
            for region, before in self.before.items()
            if before is not None and (after := self.after[region]) is not None
        )
        return f"Dice of {plural(self.n_cases, 'validation case')}: {regions}; {self.times.text()}"

    def to_json(self) -> dict[str, object]:
        """For the file's metadata."""
        return {
            "calibration_images": self.n_images,
            "validation_cases": self.n_cases,
            "dice_before": dict(self.before),
            "dice_after": dict(self.after),
            "ms_an_image": {"int8": self.times.int8_ms, self.times.other: self.times.other_ms},
        }


def export_int8(
    run: Path, request: ExportRequest, path: Path, bundle: Bundle, network: nn.Module | None, reporter: Reporter
) -> ExportResult:
    """Write ``path`` (.xml) and the weights beside it (.bin).

    Args:
        run: a run folder, whose scans are where they were.
        request: its network.
        path: the file.
        bundle: of the run.
        network: the module, where it was one of your own.
        reporter: shows progress.

    Raises:
        OptionError: a library is missing, no run, or a network that does not segment.
        ExportError: a region's Dice falls by ``MOST_LOST`` or more, or 8 bits are no faster; nothing is written.
    """
    require_quantising()
    task, finished, predictor = _opened(run, bundle, network, reporter)
    images = _images_of(predictor, finished.data.part("train"), reporter)
    import openvino

    with tempfile.TemporaryDirectory() as folder:
        made, graph = Path(folder) / path.name, openvino_graph(request)
        with reporter.progress("Quantising") as step:
            small = quantised(graph, images)
            step(1, 1)
        precision = quickest_precision()
        engine, other = (in_openvino(each, precision, n_threads=1) for each in (small, graph))
        shown = np.concatenate([image for image in images if image.shape == images[0].shape][:_AT_ONCE])
        int8_ms, other_ms = milliseconds((engine, other), shown)
        times = Times(int8_ms, other_ms, precision)
        _require_faster(times)  # in seconds; scoring takes minutes
        compiled = Compiled(bundle.model, _logits_by(engine, predictor), "openvino", "int8").eval()
        before, after = (
            _dice(task, task.predictor(replace(bundle, model=model), "cpu"), finished, reporter, words)
            for model, words in ((bundle.model, "Scoring as it is"), (compiled, "Scoring in 8 bits"))
        )
        n_cases = len(finished.data.prepared_part("val").cases)
        measured = Measured(before, after, n_cases, len(images), times)
        _require_accurate(measured)
        small.set_rt_info(json.dumps(measured.to_json()), ["glioseg", "int8"])
        openvino.save_model(small, made, compress_to_fp16=False)
        read_back = in_openvino(openvino_core().read_model(made), precision, n_threads=1)
        difference = float(np.abs(read_back(shown) - _probabilities(request, shown)).max())
        n_bytes = move_graph(made, path)
    return ExportResult(path, n_bytes, request.only_size, difference, (), notes=(measured.text(),))


def _opened(
    run: Path, bundle: Bundle, network: nn.Module | None, reporter: Reporter
) -> tuple[AnyTask, FinishedRun, Predictor]:
    home = home_of(run)
    if not (home / RECIPE).exists():
        raise OptionError(
            "8 bits are measured on the cases of a run, and a bundle knows none",
            found=run,
            expected="a run folder",
            remedy="Name the run that made it, or leave it in floating point: `--format openvino`",
        )
    task, finished = open_run(home, "cpu", None, reporter, network=network)
    predictor = task.predictor(bundle, "cpu")
    if not isinstance(predictor, Predictor):
        raise OptionError(
            "what 8 bits cost is measured by Dice, which only networks that segment have",
            found=f"the task {task.name}",
            remedy="Leave it in floating point: `--format openvino`",
        )
    return task, finished, predictor


def _images_of(predictor: Predictor, part: CohortPart, reporter: Reporter) -> list[Floats]:
    """Some of what the network is shown of training cases, (1, C, *S) each; the cases are far apart in their order."""
    cases = part.prepared.cases[:: math.ceil(len(part.prepared.cases) / _N_CASES)]
    images: list[Floats] = []
    with reporter.progress("Looking at training cases") as step:
        for number, case in enumerate(cases, start=1):
            seen = Recording(predictor.model, n_logits(len(predictor.regions), predictor.options.activation))
            probabilities_of(replace(predictor, model=seen), case, channels_of(part.prepared, predictor.modalities))
            share = math.ceil(len(seen.images) * len(cases) / _N_IMAGES)
            images += seen.images[:: max(1, share)]
            step(number, len(cases))
    return images


def _logits_by(engine: Engine, predictor: Predictor) -> Callable[[Tensor], Tensor]:
    activation = predictor.options.activation

    def logits(images: Tensor) -> Tensor:
        return logits_of(torch.from_numpy(engine(np.ascontiguousarray(images.numpy()))), activation)

    return logits


def _probabilities(request: ExportRequest, images: Floats) -> Floats:
    with torch.inference_mode():
        probabilities: Floats = request.module(torch.from_numpy(images)).numpy()
    return probabilities


def _dice(task: AnyTask, predictor: Predictor, run: FinishedRun, reporter: Reporter, words: str) -> DiceOf:
    """Mean Dice of each region on the validation part."""
    scoring = AS_THE_RECIPE_SAYS.scoring(run.recipe.evaluate)
    with reporter.progress(words) as step:
        figures = task.score(predictor, run.data.part("val"), scoring, step).figures
    rows = [row for row in figures.summary_rows() if row["metric"] == "dice"]
    return {row["region"]: row["mean"] for row in rows}


def _require_faster(times: Times) -> None:
    if not times.int8_ms < times.other_ms:
        raise ExportError("8 bits are no faster on this machine", found=times.text(), remedy=_REMEDY)


def _require_accurate(measured: Measured) -> None:
    worst = max(measured.before, key=measured.lost)
    if not measured.lost(worst) < MOST_LOST:
        raise ExportError(
            f"8 bits cost too much accuracy: the Dice of {worst} falls",
            found=f"by {measured.lost(worst):.4f} ({measured.text()})",
            expected=f"less than {MOST_LOST:g}",
            remedy=_REMEDY,
        )

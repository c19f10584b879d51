"""Seconds of processor that one BraTS-sized case takes to be scored, on one core, and a cohort to be averaged.

python benchmarks/evaluate.py [--repeats N]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
from scipy import ndimage

from glioseg.core import Grid, LabelMap, scheme_named
from glioseg.core.labels import encode_regions
from glioseg.evaluation import (
    EvaluateOptions,
    ThresholdOptions,
    aggregate,
    count_channels,
    score_case,
    search_case,
)
from glioseg.evaluation.lesions import GLIOMA
from glioseg.evaluation.metrics import COUNTED_METRICS

SHAPE = (240, 240, 155)
REGIONS = ("WT", "TC", "ET")


def label_map(shift: int) -> LabelMap:
    """Three nested balls, moved along X."""
    x, y, z = np.ogrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    distance = np.sqrt((x - 90.0 - shift) ** 2 + (y - 110.0) ** 2 + (z - 80.0) ** 2)
    array = np.select([distance < 12, distance < 20, distance < 32], [1, 4, 2], 0).astype(np.uint8)
    return LabelMap(array, scheme_named("brats2021"), Grid(SHAPE, np.eye(4)))


def specks(labels: LabelMap, rng: np.random.Generator) -> LabelMap:
    """The same with 300 cubes of enhancing tumour all over the image: what a network does that has hardly learnt."""
    array = labels.array.copy()
    for x, y, z in rng.integers(0, np.array(SHAPE) - 3, (300, 3)):
        array[x : x + 3, y : y + 3, z : z + 3] = 4
    return LabelMap(array, labels.scheme, labels.grid)


def best_of(repeats: int, function: Callable[[], object]) -> float:
    """The shortest of several runs, in seconds of processor: the least disturbed by what else the machine does."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        function()
        times.append(time.process_time() - start)
    return min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    rng = np.random.default_rng(0)
    reference, prediction = label_map(0), label_map(3)
    with_specks = specks(prediction, rng)
    channels = encode_regions(reference.array, reference.scheme, REGIONS)
    other = encode_regions(prediction.array, prediction.scheme, REGIONS)
    blurred = np.stack([ndimage.gaussian_filter(channel.astype(np.float32), 2) for channel in other])
    logits = 12 * blurred - 6 + rng.normal(0, 1, other.shape).astype(np.float32)
    probabilities = (1 / (1 + np.exp(-logits))).astype(np.float32)
    speckled = np.maximum(probabilities, 0.95 * encode_regions(with_specks.array, with_specks.scheme, REGIONS))
    by_patient = [score_case(f"case{i}", f"patient{i}", reference, label_map(i % 7), REGIONS) for i in range(20)]
    cohort = [
        type(case)(f"{case.case}-{k}", f"{case.patient}-{k}", case.regions, case.slices, case.voxel_ml)
        for case in by_patient
        for k in range(62)
    ]
    figures = {
        "label maps, 3 regions, per slice": lambda: score_case(
            "a", "a", reference, prediction, REGIONS, metrics=COUNTED_METRICS
        ),
        "the same with surfaces and lesions": lambda: score_case("a", "a", reference, prediction, REGIONS),
        "the same, 300 specks beside it": lambda: score_case("a", "a", reference, with_specks, REGIONS),
        "the same from region channels": lambda: count_channels(channels, other),
        "surfaces, lesions and curves": lambda: score_case("a", "a", reference, prediction, REGIONS, probabilities),
        "all of that and FROC": lambda: score_case(
            "a", "a", reference, prediction, REGIONS, probabilities, detect_by=GLIOMA
        ),
        "all, 300 specks beside it": lambda: score_case(
            "a", "a", reference, with_specks, REGIONS, speckled, detect_by=GLIOMA
        ),
        "threshold search, 17 x 6 settings": lambda: search_case(
            "a", probabilities, channels, REGIONS, ThresholdOptions()
        ),
        f"aggregate {len(cohort)} cases": lambda: aggregate(cohort, EvaluateOptions()),
    }
    for name, function in figures.items():
        print(f"{name:36s} {best_of(repeats, function):7.3f} s", flush=True)


if __name__ == "__main__":
    main()

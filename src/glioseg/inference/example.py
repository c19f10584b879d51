"""The program that stands beside an ONNX file and draws the network's mask without glioseg, where it can."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from glioseg.core.labels import painting_order
from glioseg.inference.bundle import BundleInfo
from glioseg.inference.options import PredictOptions
from glioseg.inference.predictor import chooses_components

TOLERANCE = 1e-3
"""Share of the voxels of a mask that may differ from ``predict`` in fp32: what rounding moves across a threshold."""


def example_text() -> str:
    """The program, the same for every network: all that differs is in the ONNX file."""
    return Path(__file__).with_name("standalone.py").read_text(encoding="utf-8")


def beyond_the_example(info: BundleInfo) -> str:
    """What a network needs that the program does not do, in words; empty where it does all."""
    return ", ".join(_needs(info))


def painting(info: BundleInfo) -> str:
    """How probabilities become labels, as JSON: [integer, row of the region, threshold, integers it is painted over].

    From the largest region to the smallest; nothing for regions that the program cannot paint.
    """
    if info.scheme is None or beyond_the_example(info):
        return "[]"
    scheme, regions = info.scheme.scheme(), info.regions
    sets = [frozenset(scheme.values_of(region)) for region in regions]
    order = painting_order(scheme, regions)
    return json.dumps(
        [
            [value, row, info.predict.threshold_of(regions[row]), [0, *(v for _, r, v in order if sets[row] < sets[r])]]
            for _, row, value in order
        ]
    )


def _needs(info: BundleInfo) -> Iterator[str]:
    predict: PredictOptions = info.predict
    if info.scheme is None:
        yield "classes"
        return
    if info.patches is not None:
        yield "three dimensions"
    if info.prepare.spacing_mm is not None:
        yield "prepare.spacing_mm"
    if info.prepare.normalise_over == "slice":
        yield "prepare.normalise_over"
    if info.slices.dark_below is not None:
        yield "slices.dark_below"
    if predict.activation == "softmax":
        yield "softmax"
    if predict.kinds:
        yield "kinds"
    if any(chooses_components(region, predict) for region in info.regions):
        yield "components"
    depths = [depth for depth, _, _ in painting_order(info.scheme.scheme(), info.regions)]
    if len(set(depths)) < len(depths):
        yield "regions that exclude each other"
    if info.prepare.missing != "zero" and info.modality_sets:
        yield "prepare.missing"

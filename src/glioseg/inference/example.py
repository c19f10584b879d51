"""The program that stands beside an ONNX file and draws the network's mask without glioseg, where it can."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from glioseg.core.labels import painting_order
from glioseg.inference.bundle import BundleInfo
from glioseg.inference.options import PredictOptions

TOLERANCE = 1e-3
"""Share of the voxels of a mask that may differ from ``predict`` in fp32: what rounding moves across a threshold."""


def example_text() -> str:
    """The program, the same for every network: all that differs is in the ONNX file."""
    return Path(__file__).with_name("standalone.py").read_text(encoding="utf-8")


def components_text() -> str:
    """What the program takes small components out with; stands beside it."""
    return Path(__file__).with_name("standalone_components.py").read_text(encoding="utf-8")


def beyond_the_example(info: BundleInfo) -> str:
    """What a network needs that the program does not do, in words; empty where it does all."""
    return ", ".join(_needs(info))


def painting(info: BundleInfo) -> str:
    """How probabilities become labels, as JSON: a list for each region, from the largest to the smallest.

    Of each its integer, its row, the threshold (or expected-dice), the integers that it is painted over, voxels and
    millilitres that a component must have, and whether the largest is kept alone. Nothing for regions that the program
    cannot paint.
    """
    if info.scheme is None or beyond_the_example(info):
        return "[]"
    scheme, regions = info.scheme.scheme(), info.regions
    sets = [frozenset(scheme.values_of(region)) for region in regions]
    order = painting_order(scheme, regions)
    painted = []
    for _, row, value in order:
        over = [0, *(v for _, r, v in order if sets[row] < sets[r])]
        voxels, ml = (least.get(regions[row], 0) for least in (info.predict.min_voxels, info.predict.min_ml))
        alone = regions[row] in info.predict.largest_component
        painted.append([value, row, info.predict.threshold_of(regions[row]), over, voxels, ml, alone])
    return json.dumps(painted)


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
    depths = [depth for depth, _, _ in painting_order(info.scheme.scheme(), info.regions)]
    if len(set(depths)) < len(depths):
        yield "regions that exclude each other"
    if info.prepare.missing != "zero" and info.modality_sets:
        yield "prepare.missing"

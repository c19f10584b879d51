"""A metric of your own, passed as an object: how far the predicted centre lies from the true one.

python examples/own_metric.py RUN REFERENCE PREDICTION     # a run, and any two masks
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

import glioseg


def centre_distance(pair: glioseg.MaskPair) -> float | None:
    """Millimetres between the centres of mass of both masks (X, Y, Z); None where one is empty."""
    if pair.spacing_mm is None or not pair.reference.any() or not pair.prediction.any():
        return None
    centres = [np.argwhere(mask).mean(axis=0) * pair.spacing_mm for mask in (pair.reference, pair.prediction)]
    return float(np.linalg.norm(centres[0] - centres[1]))


CENTRE = glioseg.RegionMetric(
    name="centre_distance",
    words="Distance of centres",
    about="|centre of mass of the prediction − that of the reference|",
    unit="mm",
    better="lower",
    digits=1,
    of_masks=centre_distance,
    millimetres="needed",
)


def main(run: Path, reference: Path, prediction: Path) -> tuple[glioseg.Scores, glioseg.ScoreResult]:
    """The test part of a run, and any two masks, with the metric behind those that there are."""
    return (
        glioseg.evaluate(run, part="test", metrics=[CENTRE]),
        glioseg.score(reference, prediction, metrics=[CENTRE]),
    )


if __name__ == "__main__":
    of_run, of_masks = main(*map(Path, sys.argv[1:4]))
    sys.stdout.write(f"{of_run.text}\n{of_masks.text}\n")

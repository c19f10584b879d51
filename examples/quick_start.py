"""The whole way in ten lines, on synthetic patients: read, train, score, predict. Half a minute on two cores.

python examples/quick_start.py OUT
"""

from __future__ import annotations

import sys
from pathlib import Path

import glioseg


def main(out: Path) -> glioseg.Scores:
    """Everything goes into ``out``; the scores of the test part come back."""
    cohort = glioseg.phantom(out / "phantom", patients=8, spacing_mm=4.0)
    recipe = glioseg.recipe("demo", {"train.epochs": 4, "train.validate_every": 2, "evaluate.n_resamples": 200})
    run = glioseg.train(recipe, cohort, out=out / "run")
    scores = glioseg.evaluate(run, part="test")
    result = glioseg.load(run).predict(cohort.cases[0])
    result.save(out / "prediction")
    return scores


if __name__ == "__main__":
    sys.stdout.write(f"{main(Path(sys.argv[1])).table()}\n")

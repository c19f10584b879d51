"""Data of your own: one modality and three classes whose integers mean what you say.

python examples/own_data.py DATA OUT      # DATA/PATIENT/PATIENT_flair.nii.gz with PATIENT_seg.nii.gz of 0 to 3
"""

from __future__ import annotations

import sys
from pathlib import Path

import glioseg

CLASSES = ("oedema", "core", "cavity")
MEANING = glioseg.LabelScheme(
    name="mine",
    labels={"oedema": 1, "core": 2, "cavity": 3},
    regions={name: (name,) for name in CLASSES},
    default_regions=CLASSES,
)
CHANGES = {
    "data.modalities": ["flair"],
    "prepare.regions": list(CLASSES),
    "prepare.size": 48,
    "predict.activation": "softmax",  # no voxel is of two classes
    "loss.kind": "ce+dice",
    "train.epochs": 4,
    "train.validate_every": 2,
    "evaluate.n_resamples": 100,
}


def main(data: Path, out: Path) -> glioseg.CasePrediction:
    """Train on all patients, then outline the first one again."""
    cohort = glioseg.read(data, scheme=MEANING)
    run = glioseg.train("brats-2d", cohort, out / "run", changes=CHANGES)
    result = glioseg.load(run).predict(cohort.cases[0])
    result.save(out / "prediction")
    return result


if __name__ == "__main__":
    sys.stdout.write(f"{main(Path(sys.argv[1]), Path(sys.argv[2])).name}\n")

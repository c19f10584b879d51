"""Which slice of a scan a class is said of, where the network was shown some of them alone."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from glioseg.core import Grid, Image
from glioseg.inference.bundle import read_info
from glioseg.inference.classifier import Classifier
from glioseg.networks.build import build_model
from glioseg.networks.classifier import ClassifierOptions
from glioseg.preparation.options import PrepareOptions
from glioseg.preparation.slices import SliceOptions
from glioseg.tasks.classify.predict import ClassifyMembers


@pytest.fixture
def members() -> ClassifyMembers:
    network = build_model(ClassifierOptions(width=4, depth=2), 1, 2, seed=0, size=16).eval()
    prepare = PrepareOptions(size=16, crop_to_brain=True)
    classifier = Classifier(network, ("t2f",), ("no", "yes"), prepare, SliceOptions())
    info = read_info(Path("model:phantom")).model_copy(update={"classes": ("no", "yes"), "card": None, "skull": None})
    return ClassifyMembers((classifier,), (info,))


def test_slices_are_numbered_as_in_the_scan_and_not_as_they_were_cropped(
    members: ClassifyMembers, tmp_path: Path
) -> None:
    """Of twelve slices the sixth to the eighth show something: the network sees these three."""
    array = np.zeros((1, 20, 20, 12), dtype=np.float32)
    array[0, 4:16, 4:16, 5:8] = torch.rand((12, 12, 3), generator=torch.Generator().manual_seed(0)).numpy() + 1
    found = members.predict_image("a", Image(array, ("t2f",), Grid((20, 20, 12), np.eye(4))))
    found.save(tmp_path)
    facts = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    assert facts["slice_numbers"] == [6, 7, 8]
    assert facts["slice"] == 6 + found.mean.telling_slice
    assert found.picture.note == f"slice {facts['slice']}"
    assert [row[1] for row in facts["slices"]] == pytest.approx(found.mean.probabilities[:, 1], abs=1e-6)

"""What a report shows of a training, from the arrays that it worked on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from glioseg.cohorts.splits.split import Split
from glioseg.config import Recipe, build_recipe
from glioseg.core.targets import RegionTargets
from glioseg.evaluation.table import Row
from glioseg.inference.predictor import Predictor
from glioseg.io.nifti import write_nifti
from glioseg.preparation.border import border_term
from glioseg.preparation.cache import prepare
from glioseg.tasks.data import TrainingData
from glioseg.tasks.segment import report
from tests.preparation.toys import GRID, MODALITIES, SCHEME, SHAPE, cohort_of, write_case

RECIPE = {
    "prepare": {"normalise": "none", "brain_only": False, "regions": ["ET", "WT"]},
    "loss": {"kind": "weighted-bce"},
}


def _recipe(*changes: str) -> Recipe:
    return build_recipe(RECIPE, changes)


@pytest.fixture
def data(tmp_path: Path) -> TrainingData:
    """Two cases: on slice 2 two components of NCR, 2 voxels apart, and one voxel of ET on slice 3."""
    cases = [write_case(tmp_path, number) for number in range(2)]
    labels = np.zeros(SHAPE, dtype=np.uint8)
    labels[3:5, 4:7, 2] = labels[7:10, 4:7, 2] = 1
    labels[5, 5, 3] = 4
    for case in cases:
        assert case.labels is not None
        write_nifti(case.labels.paths[0], labels, GRID)
    cohort = cohort_of(*cases)
    prepared = prepare(cohort, _recipe().prepare, tmp_path / "cache", n_workers=1)
    split = Split(train=("patient-0",), val=("patient-1",), test=(), unit="patient", seed=0)
    return TrainingData(cohort, prepared, split, MODALITIES, RegionTargets(prepared.region_names, SCHEME))


@pytest.mark.parametrize("class_weights", ["equal", "balanced"])
def test_a_weight_map_shows_the_weights_of_the_loss(data: TrainingData, class_weights: str) -> None:
    """w_c + border term: w_c is 1, or N / 2n of the class of a pixel, n of N pixels on the slices of training."""
    (shown,) = report.weight_maps(_recipe(f"loss.weighted_bce.class_weights={class_weights}"), data)
    assert (shown.case, shown.z, shown.region) == ("case-0", 2, "WT")
    n_inside, n_voxels = 6 + 9 + 1, 4 * SHAPE[0] * SHAPE[1]  # four slices show something
    outside, inside = n_voxels / (2 * (n_voxels - n_inside)), n_voxels / (2 * n_inside)
    classes = np.where(shown.mask, inside, outside) if class_weights == "balanced" else np.ones(shown.mask.shape)
    border = border_term(shown.mask)
    assert border.max() > 1
    np.testing.assert_allclose(shown.weights, classes + border, rtol=2e-3)


def test_patients_are_counted_where_slices_are_cases(data: TrainingData) -> None:
    cases = tuple(replace(case, facts={"of_patient": "the same"}) for case in data.cohort.cases)
    assert report.count(data.prepared, data.cohort).n_patients == 2
    assert report.count(data.prepared, replace(data.cohort, cases=cases)).n_patients == 1


class _Everything(nn.Module):
    """Tumour of both regions in every pixel."""

    def __init__(self) -> None:
        super().__init__()
        self.logit = nn.Parameter(torch.tensor(3.0))

    def forward(self, images: Tensor) -> Tensor:
        return self.logit.expand(len(images), 2, *images.shape[2:])


def test_a_slice_without_tumour_has_none_of_any_region(data: TrainingData) -> None:
    """The first region, ET, is on slice 3 alone: of the slices without it, 2 shows most of the whole tumour."""
    rows: list[Row] = [{"case": "case-1", "ET.dice": 0.0, "WT.dice": 0.5}]
    recipe = _recipe()
    regions = data.prepared.region_names
    predictor = Predictor(_Everything(), MODALITIES, regions, SCHEME, recipe.prepare, recipe.slices, recipe.predict)
    part = data.part("val")
    items = report.gallery(report.masks_of(predictor, part), part, rows)
    shown = {item.kind: item.z for item in items}
    assert shown["worst"] == 2  # the slice with most of the tumour, not the one with ET
    assert shown["no-tumour"] in (1, 4)
    assert [item.dice for item in items] == [0.25, 0.25]  # the mean of both regions

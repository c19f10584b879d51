from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from glioseg.cohorts.recognise import read_cohort
from glioseg.cohorts.splits.split import SplitOptions, split
from glioseg.core.labels import decode_regions
from glioseg.io import load_image, load_labels
from glioseg.preparation.cache import prepare
from glioseg.preparation.options import PrepareOptions
from glioseg.preparation.resample import resample_array
from glioseg.preparation.slices import SliceOptions, index_slices

pytestmark = pytest.mark.realdata


@pytest.mark.slow
@pytest.mark.parametrize("name", ["brats2021", "brats2023", "brats2015_flair_t1c", "brats2018_flair", "ibsr"])
@pytest.mark.parametrize("plane", ["axial", "sagittal"])
def test_the_reference_comes_back_voxel_for_voxel(real_data: Path, tmp_path: Path, name: str, plane: str) -> None:
    cohort = read_cohort(real_data / name)
    crop = name != "ibsr"  # a few labelled voxels of these whole heads are as dark as the background around the box
    options = PrepareOptions.model_validate({"plane": plane, "crop_to_brain": crop})
    prepared = prepare(cohort, options, tmp_path)
    assert cohort.scheme is not None
    for case, ready in zip(cohort.cases, prepared.cases, strict=True):
        labels = load_labels(case, cohort.scheme)
        assert ready.regions is not None
        native = resample_array(np.asarray(ready.regions).transpose(1, 3, 2, 0), ready.working, labels.grid, "nearest")
        expected = labels.array
        if "NET" in cohort.scheme.labels:
            expected = np.where(expected == cohort.scheme.labels["NET"], cohort.scheme.labels["NCR"], expected)
        np.testing.assert_array_equal(decode_regions(native, cohort.scheme, prepared.region_names), expected)
        assert (np.prod(ready.working.shape) < np.prod(labels.grid.shape)) == crop
        images = np.asarray(ready.images).astype(np.float64)
        brain = images[:, 0][images[:, 0] != 0]
        assert abs(brain.mean()) < 0.01
        assert abs(brain.std() - 1) < 0.01


@pytest.mark.slow
def test_lgg_as_published(kaggle_3m: Path, tmp_path: Path) -> None:
    cohort = read_cohort(kaggle_3m)
    prepared = prepare(cohort, PrepareOptions(size=128), tmp_path)
    index = index_slices(prepared, SliceOptions())
    assert len(index) == 2268
    # of 820 slices with tumour one shows so little that no pixel of half the resolution is half full of it
    assert int(index.has_tumour.sum()) == 819
    bright = index_slices(prepared, SliceOptions(dark_below=75_000 / 196_608))
    n_tumour = int(bright.has_tumour.sum())
    assert (len(bright) - n_tumour, n_tumour) == (2268 - 819 - 34, 819 - 3)
    lacking = [case for case in prepared.cases if case.missing]
    assert lacking
    assert all(not case.images[:, prepared.modalities.index(name)].any() for case in lacking for name in case.missing)
    assert cohort.scheme is not None
    burden = {case.id: float((load_labels(case, cohort.scheme).array > 0).sum()) for case in cohort.cases}
    fold = split(cohort, SplitOptions(n_folds=5, fold=1, test=0.0, train=0.8, val=0.2), burden=burden)
    assert len(fold.val) in (13, 14)
    sites = {case.patient: str(case.facts["site"]) for case in cohort.cases}
    for site in set(sites.values()):
        ideal = sum(value == site for value in sites.values()) / 5
        assert abs(sum(sites[patient] == site for patient in fold.val) - ideal) < 1


def test_a_real_patient_is_prepared_as_a_network_expects(real_data: Path, tmp_path: Path) -> None:
    cohort = read_cohort(real_data / "brats2023")
    prepared = prepare(cohort, PrepareOptions(size=96, normalise="min-max", normalise_over="slice"), tmp_path)
    (case,) = prepared.cases
    assert case.images.shape == (155, 4, 96, 96)
    images = np.asarray(case.images)
    assert images.min() == 0
    assert images.max() <= 1
    shares = (np.asarray(load_image(cohort.cases[0]).array, dtype=np.float32) != 0).mean(axis=(0, 1, 2))
    np.testing.assert_allclose(case.non_black, shares, atol=1e-6)
    assert case.region_voxels is not None
    whole, core, enhancing = case.region_voxels.sum(axis=0)
    assert whole > core > enhancing > 0

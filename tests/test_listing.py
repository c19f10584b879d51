"""The Python face as its documentation lists it, from scans to scores, in one go and in a folder of its own.

``assert_type`` is for mypy, which reads this file as the script of a user: nothing of the face may be ``Any`` to it.
"""

from __future__ import annotations

from pathlib import Path
from typing import assert_type

import nibabel
import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

import glioseg


@pytest.mark.slow
def test_the_listing_runs_as_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, seed in (("kaggle_3m", 0), ("other", 1)):
        glioseg.phantom(name, patients=5, layout="lgg", spacing_mm=6.0, seed=seed)

    cohort = glioseg.read("kaggle_3m")
    assert cohort.inspect().table().shape[0] == len(cohort.cases) == 5
    recipe = glioseg.recipe("lgg", {"train.epochs": 2, "model.width": 4, "prepare.size": 32})
    run = glioseg.train(recipe, "kaggle_3m", out="runs/lgg")
    assert_type(recipe, glioseg.Recipe)
    assert_type(run, glioseg.Run)
    assert run.path == Path("runs/lgg")
    assert set(run.scores("test")["regions"]) == {"tumour"}
    assert run.report.exists()
    assert len(run.log) == 2
    scores = glioseg.evaluate(run, data="other", part="all")
    assert_type(scores, glioseg.Scores)
    assert_type(scores.table(), pd.DataFrame)
    assert "dice" in set(scores.table()["metric"])
    assert scores.to_json()["n_cases"] == 5

    model = glioseg.load("runs/lgg")
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    volume = np.random.default_rng(0).uniform(1, 100, (32, 32, 4)).astype(np.float32)
    nibabel.save(nibabel.Nifti1Image(volume, affine), "a.nii.gz")
    image = nibabel.Nifti1Image(volume, affine)
    result = model.predict({"pre": "a.nii.gz", "flair": image, "post": (volume, affine)})
    assert_type(result.label_map, glioseg.LabelMap)
    assert_type(result.probabilities, npt.NDArray[np.float32])
    assert_type(result.volumes_ml, dict[str, float])
    assert result.label_map.array.shape == (32, 32, 4)
    assert result.probabilities.shape == (1, 32, 32, 4)
    assert set(result.volumes_ml) == {"tumour"}
    assert result.save("out").file.exists()
    mask = (volume > 50).astype(np.uint8)
    assert glioseg.score(mask, mask).to_json()["regions"]["tumour"]["dice"]["case_mean"] == 1.0
    assert len(glioseg.phantom("ph", patients=4, spacing_mm=6.0).patients) == 4

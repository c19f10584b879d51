"""A picture, which has no millimetres: masked, shown and kept as a mask alone."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image as Pillow

from tests.app.conftest import Served


@pytest.mark.slow
def test_a_picture_becomes_a_mask_of_its_size(served: Served, tmp_path: Path) -> None:
    grey = np.random.default_rng(0).integers(0, 255, (40, 60), dtype=np.uint8)
    stream = io.BytesIO()
    Pillow.fromarray(grey).save(stream, "PNG")
    upload = served.upload({"picture.png": stream.getvalue()}).json()
    case = served.ended(served.queue(upload, upload["cases"][0]["proposed"], uncertainty=True))
    assert case["state"] == "done", case["error"]
    assert case["unit"] == "voxels"
    mask, _ = served.volume(case["mask"]["url"], tmp_path)
    assert mask.shape == (60, 40, 1)
    address = f"/api/cases/{case['id']}/export"
    assert np.array_equal(served.volume(f"{address}/nifti", tmp_path)[0], mask)
    for form in ("seg", "stl", "pdf", "probabilities"):
        refused = served.client.get(f"{address}/{form}")
        assert refused.status_code == 422, form
        assert "pictures have no" in refused.json()["error"]["what"]
    drawn = np.zeros((60, 40, 1), np.uint8)
    value = case["mask"]["labels"][0]["value"]
    drawn[10:20, 5:8] = value
    sent = gzip.compress(nib.Nifti1Image(drawn, np.eye(4)).to_bytes())
    kept = served.client.put(f"/api/cases/{case['id']}/mask", content=sent).json()
    within = {region["name"]: 30.0 * (value in region["labels"]) for region in case["regions"]}
    assert kept["volumes_ml"] == within  # voxels, not thousandths of them
    reference = {"file": ("mask.nii.gz", sent)}
    scored = served.client.post(f"/api/cases/{case['id']}/reference", files=reference).json()
    assert {scored["corrected"][name]["dice"] for name, volume in within.items() if volume} == {1.0}

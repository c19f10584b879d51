"""From files to a mask that is kept, as a program does it."""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel
import numpy as np
import pytest

from glioseg.io.nifti import read_nifti, write_nifti
from tests.app.conftest import Served


@pytest.fixture
def files(phantom_data: Path) -> dict[str, bytes | Path]:
    """The scans of a phantom patient, below a folder of its name."""
    case = next(path for path in sorted(phantom_data.iterdir()) if path.is_dir())
    return {f"{case.name}/{path.name}": path for path in sorted(case.iterdir()) if "seg" not in path.name}


def test_from_files_to_a_mask_that_is_kept(
    served: Served, network: str, files: dict[str, bytes | Path], tmp_path: Path
) -> None:
    upload = served.upload(files).json()
    (found,) = upload["cases"]
    assert {
        name: scan["series"].endswith(f"-{name}.nii.gz") for name, scan in found["modalities"].items()
    } == dict.fromkeys(("t1n", "t1c", "t2w", "t2f"), True)
    assert found["proposed"] == network
    assert found["missing"]["model:lgg"]
    case_id = served.queue(upload, network)
    done = served.ended(case_id)
    assert done["state"] == "done", done["error"]
    assert [image["name"] for image in done["modalities"]] == ["t2f", "t1c", "t1n", "t2w"]
    own = served.client.get(done["mask"]["url"])
    (tmp_path / "mask.nii.gz").write_bytes(own.content)
    array, grid = read_nifti(tmp_path / "mask.nii.gz")
    first = next(path for path in files.values() if isinstance(path, Path))
    assert grid == read_nifti(first)[1]
    by_hand = {region["name"]: np.isin(array, region["labels"]).sum() * 0.216 for region in done["regions"]}  # 6 mm
    assert {region["name"]: region["volume_ml"] for region in done["regions"]} == pytest.approx(by_hand)
    assert done["volumes_ml"] == pytest.approx(by_hand)

    drawn = np.zeros_like(array)
    drawn[3:5, 3:5, 3:5] = 3
    write_nifti(tmp_path / "drawn.nii.gz", drawn, grid)
    content = (tmp_path / "drawn.nii.gz").read_bytes()
    kept = served.client.put(f"/api/cases/{case_id}/mask?by=Ada&note=smaller", content=content).json()
    assert kept == {"n": 1, "volumes_ml": {"WT": 1.728, "ET": 1.728}}  # 8 voxels
    assert served.client.put(f"/api/cases/{case_id}/mask", content=gzip.decompress(content)).json()["n"] == 2
    after = served.client.get(f"/api/cases/{case_id}").json()
    assert [(each["n"], each["by"], each["note"]) for each in after["corrections"]] == [
        (1, "Ada", "smaller"),
        (2, "", ""),
    ]
    (tmp_path / "again.nii.gz").write_bytes(served.client.get(after["corrections"][0]["url"]).content)
    assert np.array_equal(nibabel.load(tmp_path / "again.nii.gz").dataobj, drawn)
    assert served.client.get(done["mask"]["url"]).content == own.content
    assert after["volumes_ml"] == done["volumes_ml"]
    assert served.client.delete(f"/api/cases/{case_id}").status_code == 200
    assert served.client.get(f"/api/cases/{case_id}").status_code == 404
    assert not list((served.service.places.state / "cases").iterdir())

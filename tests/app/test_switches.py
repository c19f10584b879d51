"""What is switched on reaches the functions of ``predict``, and does there what it does on the command line."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from glioseg.app.predicting import Predicting
from glioseg.app.service import job_of
from glioseg.app.studies import Found, found_in
from glioseg.core import Case
from glioseg.errors import OptionError
from glioseg.inference.uncertainty import UncertaintyOptions
from glioseg.io.load import Voxels
from glioseg.io.nifti import write_nifti
from glioseg.io.text import read_json
from glioseg.preparation.ready.options import AS_IT_IS, ReadyOptions
from glioseg.preparation.resample import resample_array
from glioseg.tasks.wanted import Wanted
from tests.app.conftest import Files, Served, scans_of
from tests.fakes.heads import acquired, patient, rigid, study, with_skull

_TURNED = rigid((2.0, 3.0, -4.0), (1.0, -3.0, 5.0), (0.0, -20.0, 15.0))
_SAMPLES = UncertaintyOptions(flips="none", dropout=3)


def _to_nobody(step: str, share: float) -> None:
    """Nobody wants to be told."""


@dataclass
class FakeMembers:
    """In the place of networks: what they are asked is kept, and not answered."""

    modalities: tuple[str, ...] = ("t2f", "t1c")
    samples: UncertaintyOptions = _SAMPLES
    asked: list[tuple[Case, Wanted]] = field(default_factory=list)

    def require(self, case: Case) -> None:
        """All cases will do."""

    def predict(self, case: Case, wanted: Wanted) -> None:
        self.asked.append((case, wanted))
        raise OptionError("enough was seen")


@pytest.mark.parametrize(
    ("switched", "ready", "uncertainty", "explain"),
    [
        ({}, AS_IT_IS, None, False),
        ({"register": True}, ReadyOptions(register=True), None, False),
        ({"brain_extract": True}, ReadyOptions(brain_extract=True), None, False),
        ({"atlas": "mni"}, ReadyOptions(atlas="mni"), None, False),
        ({"uncertainty": True, "explain": True}, AS_IT_IS, _SAMPLES, True),
    ],
)
def test_switches_reach_what_predicts(
    idle: Served,
    phantom_data: Path,
    monkeypatch: pytest.MonkeyPatch,
    switched: dict[str, Any],
    ready: ReadyOptions,
    uncertainty: UncertaintyOptions | None,
    explain: bool,
) -> None:
    case_id = idle.queue(idle.upload(scans_of(phantom_data, 0)).json(), "model:phantom", **switched)
    service = idle.service
    record = service.worklist.case(case_id)
    assert record is not None
    members = FakeMembers()
    monkeypatch.setattr("glioseg.app.predicting.load", lambda name, device: SimpleNamespace(members=members))
    with pytest.raises(OptionError, match="enough was seen"):
        Predicting().predict(job_of(record, service.options, service.worklist, service.places), _to_nobody)
    ((case, wanted),) = members.asked
    assert (wanted.ready, wanted.uncertainty, wanted.explain) == (ready, uncertainty, explain)
    assert list(case.images) == ["t2f", "t1c"]


def test_what_was_opened_is_recognised_once(idle: Served, phantom_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of thousands takes long to walk; one that is opened again may hold something else."""
    walked: list[Path] = []

    def found(folder: Path, max_voxels: int) -> Found:
        walked.append(folder)
        return found_in(folder, max_voxels)

    service, members, predicting = idle.service, FakeMembers(), Predicting()
    monkeypatch.setattr("glioseg.app.predicting.found_in", found)
    monkeypatch.setattr("glioseg.app.predicting.load", lambda name, device: SimpleNamespace(members=members))

    def predict(upload: Mapping[str, Any]) -> None:
        record = service.worklist.case(idle.queue(upload, "model:phantom"))
        assert record is not None
        with pytest.raises(OptionError, match="enough was seen"):
            predicting.predict(job_of(record, service.options, service.worklist, service.places), _to_nobody)

    shutil.copytree(phantom_data, service.options.folder / "studies")
    first, again = (idle.client.post("/api/uploads/path", json={"path": "studies"}).json() for _ in range(2))
    for upload in (first, first, again):
        predict(upload)
    assert walked == [service.options.folder / "studies"] * 2
    assert len(members.asked) == 3


def test_an_atlas_that_there_is_not_is_refused(idle: Served, phantom_data: Path) -> None:
    upload = idle.upload(scans_of(phantom_data, 0)).json()
    case = upload["cases"][0]
    chosen = {name: scan["series"] for name, scan in case["modalities"].items()}
    asked = {"upload": upload["upload"], "key": case["key"], "model": "model:phantom", "modalities": chosen}
    answer = idle.client.post("/api/cases", json={**asked, "atlas": "talairach"})
    assert answer.status_code == 422
    assert "mni" in answer.json()["error"]["found"]


def _sent(volumes: dict[str, Voxels], folder: Path) -> Files:
    for name, (array, grid) in volumes.items():
        write_nifti(folder / f"p1-{name}.nii.gz", array, grid)
    return {f"p1/p1-{name}.nii.gz": folder / f"p1-{name}.nii.gz" for name in volumes}


@pytest.mark.slow
@pytest.mark.parametrize("switched", [{"register": True}, {"atlas": "mni"}])
def test_a_study_on_several_grids_is_registered(
    served: Served, network: str, tmp_path: Path, switched: dict[str, Any]
) -> None:
    image = patient(3.0)
    scans = study(image, {"t2f": _TURNED})
    upload = served.upload(_sent(scans, tmp_path)).json()
    assert not upload["cases"][0]["on_one_grid"]
    refused = served.ended(served.queue(upload, network))
    assert refused["state"] == "failed"
    assert "register" in refused["error"]["remedy"]
    case = served.ended(served.queue(upload, network, **switched))
    assert case["state"] == "done", case["error"]
    assert _said(served, case)["ready"]["mask_on"] == "t2f"
    t2f, grid = served.volume(f"/api/cases/{case['id']}/images/t2f.nii.gz", tmp_path)
    assert np.array_equal(t2f, scans["t2f"].array)
    assert served.volume(case["mask"]["url"], tmp_path)[1] == grid
    brought, _ = served.volume(f"/api/cases/{case['id']}/images/t1c.nii.gz", tmp_path)
    as_turned = acquired(image, "t1c", "axial", (3, 3, 5), _TURNED).array  # had it been taken with the T2 FLAIR
    as_lay = resample_array(scans["t1c"].array[None], scans["t1c"].grid, grid, "linear")[0]
    inside = as_turned > np.percentile(as_turned, 85)
    registered, untouched = (np.corrcoef(each[inside], as_turned[inside])[0, 1] for each in (brought, as_lay))
    assert registered > max(0.8, untouched)


@pytest.mark.slow
def test_a_skull_is_removed(served: Served, network: str, tmp_path: Path) -> None:
    pytest.importorskip("deepbet")
    image = with_skull(patient(2.0))
    volumes = {name: Voxels(channel, image.grid) for name, channel in zip(image.modalities, image.array, strict=True)}
    upload = served.upload(_sent(volumes, tmp_path)).json()
    case = served.ended(served.queue(upload, network, brain_extract=True))
    assert case["state"] == "done", case["error"]
    assert _said(served, case)["ready"]["brain"]["by"].startswith("deepbet")


def _said(served: Served, case: dict[str, Any]) -> Any:
    """What `predict` has written of a case."""
    return read_json(served.service.places.case(case["id"]).result / f"{case['id']}.json")

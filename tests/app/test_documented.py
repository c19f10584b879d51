"""The programs of docs/app.md, as they stand there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from glioseg.io.nifti import read_nifti
from tests.app.browser import Application
from tests.app.conftest import scans_of

pytestmark = pytest.mark.slow
_PAGE = Path(__file__).parents[2] / "docs" / "app.md"


def _program(language: str) -> str:
    part = _PAGE.read_text(encoding="utf-8").partition("## For programs")[2]
    (program,) = re.findall(rf"```{language}\n(.*?)```", part, re.DOTALL)
    return str(program)


@pytest.fixture(scope="module")
def application(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    started = Application(tmp_path_factory.mktemp("documented") / "worklist")
    yield started
    started.kill()


@pytest.fixture
def patient(tmp_path: Path, phantom_data: Path) -> Path:
    """Where the programs work: a folder with the scans of a patient in it."""
    (tmp_path / "patient").mkdir()
    for path in scans_of(phantom_data, 0).values():
        assert isinstance(path, Path)
        shutil.copy(path, tmp_path / "patient")
    return tmp_path


def _token(application: Application) -> str:
    return application.address.partition("token=")[2]


def test_python(application: Application, patient: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(patient)
    names: dict[str, Any] = {"ADDRESS": application.base.rstrip("/"), "TOKEN": _token(application)}
    exec(_program("python"), names)
    names["app"].close()  # as the end of a program does
    assert read_nifti(patient / "mask.nii.gz")[0].any()


@pytest.mark.skipif(not (shutil.which("curl") and shutil.which("jq")), reason="curl and jq are not installed")
def test_curl(application: Application, patient: Path) -> None:
    own = {**os.environ, "ADDRESS": application.base.rstrip("/"), "TOKEN": _token(application)}
    subprocess.run(["bash", "-euc", _program("bash")], cwd=patient, env=own, check=True, timeout=300)
    assert read_nifti(patient / "mask.nii.gz")[0].any()

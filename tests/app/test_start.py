"""How the application starts: what cannot be offered is said first, and the first page waits for nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import pytest
from typer.testing import CliRunner

import glioseg
from glioseg.app import serve as serving
from glioseg.app.options import AppOptions
from glioseg.app.places import Places
from glioseg.cli.app import app
from glioseg.core import MAX_VOXELS
from glioseg.errors import FileError, OptionError
from glioseg.inference.shipped import SHIPPED

_CLASSIFIER = SHIPPED["tumour-or-none"]

_PROGRAM = """
import sys
import glioseg.app.application, glioseg.app.service, uvicorn
later = {"torch", "monai", "matplotlib", "SimpleITK", "pandas", "sklearn", "scipy", "nibabel", "pydicom"}
print(sorted(later & set(sys.modules)))
"""


@pytest.mark.slow
def test_the_server_answers_before_what_predicts_and_draws_is_imported() -> None:
    done = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(("options", "voxels"), [([], MAX_VOXELS), (["--max-voxels", "1000"], 1000)])
def test_options_of_the_command_reach_the_application(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], voxels: int
) -> None:
    served: list[AppOptions] = []

    def serving(given: AppOptions) -> NoReturn:
        served.append(given)
        raise OptionError("enough was seen")

    monkeypatch.setattr("glioseg.app.serve.serving", serving)
    done = CliRunner().invoke(app, ["app", str(tmp_path / "worklist"), "--no-browser", "--device", "cpu", *options])
    assert isinstance(done.exception, OptionError)
    (given,) = served
    assert (given.folder, given.device, given.limits.voxels) == (tmp_path / "worklist", "cpu", voxels)


def test_the_file_that_opens_the_browser_is_private_from_its_beginning_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It holds the token: whoever could read it for a moment could read every case."""
    monkeypatch.setattr("webbrowser.open", lambda address: True)
    monkeypatch.setattr(Path, "chmod", lambda path, mode: None)  # which would come too late
    places, before = Places(tmp_path), os.umask(0)
    places.state.mkdir()
    try:
        for token in ("first", "second"):
            serving._open(places, f"http://127.0.0.1/?token={token}")
    finally:
        os.umask(before)
    (door,) = places.state.iterdir()
    assert (door.stat().st_mode & 0o777, "?token=second" in door.read_text(encoding="utf-8")) == (0o600, True)


@pytest.mark.skipif(os.name == "nt", reason="Windows knows no such permissions")
def test_nobody_else_looks_into_the_folder_of_patients(tmp_path: Path) -> None:
    options = AppOptions(tmp_path / "studies" / "worklist", device="cpu")
    places, before = Places(options.folder), os.umask(0o022)
    try:
        with serving.serving(options):
            modes = [path.stat().st_mode & 0o777 for path in (places.folder, places.state, places.worklist)]
    finally:
        os.umask(before)
    assert modes == [0o755, 0o700, 0o600]


def test_a_network_of_ones_own_that_is_none_is_said_before_anything_is_served(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="nowhere"):
        glioseg.serve(tmp_path / "worklist", networks=[tmp_path / "nowhere"], browser=False)


@pytest.mark.skipif(not _CLASSIFIER.is_installed, reason="weights-research is not installed")
def test_a_network_that_says_classes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="this network says classes"):
        glioseg.serve(tmp_path / "worklist", networks=[_CLASSIFIER.folder], browser=False)

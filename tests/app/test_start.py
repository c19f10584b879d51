"""How the application starts: what cannot be offered is said first, and the first page waits for nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import glioseg
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


def test_a_network_of_ones_own_that_is_none_is_said_before_anything_is_served(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="nowhere"):
        glioseg.serve(tmp_path / "worklist", networks=[tmp_path / "nowhere"], browser=False)


@pytest.mark.skipif(not _CLASSIFIER.is_installed, reason="weights-research is not installed")
def test_a_network_that_says_classes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="this network says classes"):
        glioseg.serve(tmp_path / "worklist", networks=[_CLASSIFIER.folder], browser=False)

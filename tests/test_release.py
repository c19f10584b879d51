"""What the release check says of a wheel, of versions and of libraries; building and installing are slow."""

from __future__ import annotations

import runpy
import subprocess
import sys
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

_ROOT = Path(__file__).parents[1]
_CHECK = _ROOT / "release" / "check.py"
_NEEDED = ("glioseg/py.typed", "glioseg/__init__.pyi", "glioseg/weights/phantom/bundle.json")
_LICENCE = "glioseg-0.1.0.dist-info/licenses/LICENSE"


@pytest.fixture(scope="module")
def check() -> dict[str, Any]:
    return runpy.run_path(str(_CHECK))


def _wheel(folder: Path, names: Iterable[str]) -> Path:
    path = folder / "w.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, "")
    return path


def test_a_whole_wheel_lacks_nothing(check: dict[str, Any], tmp_path: Path) -> None:
    assert list(check["contents"]("glioseg", _wheel(tmp_path, (*_NEEDED, _LICENCE)))) == []


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ((*_NEEDED[1:], _LICENCE), "glioseg/py.typed is not in it"),
        (_NEEDED, "the licence is not in it"),
        (
            (*_NEEDED, _LICENCE, "glioseg/weights/brats/bundle.json"),
            "brats is on research terms, and in the Apache wheel",
        ),
    ],
)
def test_a_wheel_that_is_wrong(check: dict[str, Any], tmp_path: Path, names: tuple[str, ...], said: str) -> None:
    assert list(check["contents"]("glioseg", _wheel(tmp_path, names))) == [said]


def test_a_research_network_has_its_licence_beside_it(check: dict[str, Any], tmp_path: Path) -> None:
    lone = _wheel(tmp_path, ("glioseg_weights_research/brats/bundle.json",))
    assert list(check["contents"]("glioseg-weights-research", lone)) == ["brats has no LICENSE.md"]


def test_versions_and_libraries_of_this_repository_agree(check: dict[str, Any]) -> None:
    assert list(check["versions_agree"]()) == []
    assert list(check["libraries_are_bounded_and_pinned"]()) == []


def test_versions_are_compared_as_numbers(check: dict[str, Any]) -> None:
    assert check["_numbers"]("2.13.0+cpu") == (2, 13, 0)
    assert check["_numbers"]("2.13.0") > check["_numbers"]("2.9")


@pytest.mark.slow
def test_both_distributions_are_built_twice_the_same(tmp_path: Path) -> None:
    pytest.importorskip("build", reason="building needs the extra release")
    command = [sys.executable, str(_CHECK), "--without-install", "--out", str(tmp_path)]
    said = subprocess.run(command, capture_output=True, text=True).stdout
    for name in ("glioseg", "glioseg-weights-research"):
        assert f"ok      {name}: built, twice the same" in said
        assert f"ok      {name}: the wheel holds what it should" in said

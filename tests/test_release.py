"""What the release check says of a wheel, of versions and of libraries; building and installing are slow."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

_ROOT = Path(__file__).parents[1]
_MOST_REQUIRED = 21
_IMPORTED_AS = {"pillow": "PIL", "lightning-fabric": "lightning_fabric", "scikit-image": "skimage"}
_NOT_IMPORTED = {
    "einops": "MONAI's Swin UNETR imports it, and does not ask for it",
    "nilearn": "its wheel has the maps of the average brain and the viewer of the application, which are read as files",
}
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


def test_the_recipe_for_conda_asks_for_what_is_needed(
    check: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert list(check["conda_recipe_agrees"]()) == []
    folder = tmp_path / "packaging" / "conda"
    folder.mkdir(parents=True)
    recipe = (_ROOT / "packaging" / "conda" / "recipe.yaml").read_text(encoding="utf-8")
    older = recipe.replace("scipy >=1.14", "scipy >=1.13")
    (folder / "recipe.yaml").write_text(older, encoding="utf-8")
    (tmp_path / "pyproject.toml").write_bytes((_ROOT / "pyproject.toml").read_bytes())
    monkeypatch.setitem(check["conda_recipe_agrees"].__globals__, "ROOT", tmp_path)
    assert list(check["conda_recipe_agrees"]()) == [
        "packaging/conda/recipe.yaml does not ask for scipy >=1.14",
        "packaging/conda/recipe.yaml asks for scipy >=1.13, pyproject.toml does not",
    ]


def test_no_more_is_required_of_everybody_than_was_weighed() -> None:
    """How many libraries everybody installs: another is an extra, or moves this number with a reason."""
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert len(project["dependencies"]) <= _MOST_REQUIRED


def test_what_everybody_installs_is_used() -> None:
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = {needed.partition(">=")[0] for needed in project["dependencies"]} - set(_NOT_IMPORTED)
    source = "\n".join(path.read_text(encoding="utf-8") for path in (_ROOT / "src").rglob("*.py"))
    imported = {match[1] for match in re.finditer(r"(?m)^\s*(?:import|from) (\w+)", source)}
    assert {name for name in names if _IMPORTED_AS.get(name, name) not in imported} == set()


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

"""Say what is missing before a release: python release/check.py [--out dist].

Builds wheel and source archive of both distributions twice, compares them byte by byte, looks into them, installs the
wheels with the pinned versions into an empty environment, predicts a phantom there, and writes what that environment
holds as a bill of materials (CycloneDX). Prints a line for each requirement; the exit code is 1 where one is not met.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import tomllib
import venv
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from types import MappingProxyType
from typing import Any

ROOT = Path(__file__).parents[1]
DISTRIBUTIONS: Mapping[str, Path] = MappingProxyType(
    {"glioseg": ROOT, "glioseg-weights-research": ROOT / "weights-research"}
)
MOST_BYTES = 20_000_000
"""Of the wheel of glioseg."""
_EPOCH = "1577836800"
"""The time of all files in the archives, so that two builds are the same: 2020-01-01."""
_ON_CONDA: Mapping[str, str] = MappingProxyType({"torch": "pytorch", "matplotlib": "matplotlib-base"})
"""What conda-forge calls otherwise."""
_RESEARCH_NETWORKS = ("brats", "lgg", "tissue")


@dataclass
class Report:
    """What was asked, and what is not met."""

    missing: list[str] = field(default_factory=list)

    def say(self, requirement: str, problems: Sequence[str]) -> None:
        """Print a line, and what is wrong below it."""
        print(f"{'missing' if problems else 'ok':8}{requirement}")
        for problem in problems:
            print(f"{'':10}{problem}")
        self.missing.extend(problems)


def main() -> int:
    """All requirements; 0 where nothing is missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "dist", help="where archives and SBOM go")
    parser.add_argument("--without-install", action="store_true", help="do not install and predict, nor write the SBOM")
    given = parser.parse_args()
    report = Report()
    for requirement, problems in _REQUIREMENTS.items():
        report.say(requirement, list(problems()))
    wheels = build(given.out, report)
    if wheels and not given.without_install:
        report.say("installed into an empty environment, it predicts; SBOM", list(installed(wheels, given.out)))
    print(f"{len(report.missing)} missing" if report.missing else "Ready.")
    return 1 if report.missing else 0


# -- what is written ---------------------------------------------------------------------------------------------------


def versions_agree() -> Iterator[str]:
    """One version, wherever it stands."""
    own = _project(ROOT)["version"]
    said = {
        "weights-research/pyproject.toml": _project(DISTRIBUTIONS["glioseg-weights-research"])["version"],
        "src/glioseg/__init__.py": _first(r'__version__ = "([^"]+)"', _read("src/glioseg/__init__.py")),
        "CITATION.cff": _first(r"(?m)^version: (\S+)", _read("CITATION.cff")),
        "codemeta.json": json.loads(_read("codemeta.json")).get("version"),
        "CHANGELOG.md": _first(r"(?m)^## (\S+)", _read("CHANGELOG.md")),
        "packaging/conda/recipe.yaml": _first(r"(?m)^  version: (\d\S*)", _read("packaging/conda/recipe.yaml")),
    }
    for place, version in said.items():
        if version != own:
            yield f"{place} says {version}, pyproject.toml {own}"
    if not re.fullmatch(r"\d+\.\d+\.\d+((a|b|rc)\d+)?", own):
        yield f"{own} is no version as major.minor.patch"


def changes_are_dated() -> Iterator[str]:
    """The newest heading of the changes has a date."""
    heading = _first(r"(?m)^## (.+)$", _read("CHANGELOG.md"))
    if heading is None or re.fullmatch(r"\S+ \(\d{4}-\d\d-\d\d\)", heading) is None:
        yield f"CHANGELOG.md begins with {heading}; expected VERSION (YYYY-MM-DD)"


def libraries_are_bounded_and_pinned() -> Iterator[str]:
    """Every library has a lower bound, and a pinned version that is not below it."""
    pinned = dict(re.findall(r"(?m)^([\w.-]+)==(\S+)", _read("constraints.txt")))
    pins = {_normal(name): version for name, version in pinned.items()}
    project = _project(ROOT)
    for needed in chain(project["dependencies"], *project["optional-dependencies"].values()):
        matched = re.fullmatch(r"([\w.-]+)(\[[^]]*\])?(>=([\w.]+))?", needed)
        if matched is None:
            yield f"{needed}: expected NAME>=VERSION"
            continue
        name, bound = _normal(matched[1]), matched[4]
        if name == "glioseg":
            continue
        if name not in pins:
            yield f"{name} is not in constraints.txt"
        elif bound is not None and _numbers(pins[name]) < _numbers(bound):
            yield f"constraints.txt has {name} {pins[name]}, pyproject.toml asks for {bound}"
        if bound is None and needed in project["dependencies"]:
            yield f"{name} has no lower bound"


def conda_recipe_agrees() -> Iterator[str]:
    """The recipe for conda asks for what pyproject.toml asks for, under the names that conda-forge has."""
    listed = _read("packaging/conda/recipe.yaml").partition("\n  run:\n")[2].partition("\n\n")[0]
    said = {line.removeprefix("    - ") for line in listed.splitlines()}
    project = _project(ROOT)
    wanted = {f"python {project['requires-python']}"}
    for needed in project["dependencies"]:
        name, _, bound = needed.partition(">=")
        wanted.add(f"{_ON_CONDA.get(name, name.lower())} >={bound}")
    for missing in sorted(wanted - said):
        yield f"packaging/conda/recipe.yaml does not ask for {missing}"
    for more in sorted(said - wanted):
        yield f"packaging/conda/recipe.yaml asks for {more}, pyproject.toml does not"


def tree_is_clean() -> Iterator[str]:
    """Nothing is built that is not committed."""
    changed = _run(["git", "status", "--porcelain"]).splitlines()
    if changed:
        yield f"{len(changed)} files are not committed, such as {changed[0][3:]}"


_REQUIREMENTS: Mapping[str, Callable[[], Iterator[str]]] = MappingProxyType(
    {
        "one version everywhere": versions_agree,
        "changes have a date": changes_are_dated,
        "libraries have bounds and pinned versions": libraries_are_bounded_and_pinned,
        "the recipe for conda agrees": conda_recipe_agrees,
        "everything is committed": tree_is_clean,
    }
)

# -- what is built -----------------------------------------------------------------------------------------------------


def build(out: Path, report: Report) -> list[Path]:
    """Both distributions, twice; the wheels of the first time, or nothing where one cannot be built."""
    wheels = []
    for name, folder in DISTRIBUTIONS.items():
        with tempfile.TemporaryDirectory() as second:
            problems = [problem for place in (out, Path(second)) for problem in _built(folder, place)]
            if not problems:
                problems = list(_differences(name, out, Path(second)))
        report.say(f"{name}: built, twice the same", problems)
        wheel = max(out.glob(f"{name.replace('-', '_')}-*.whl"), default=None, key=lambda path: path.stat().st_mtime)
        if wheel is None:
            return []
        report.say(f"{name}: the wheel holds what it should", list(contents(name, wheel)))
        wheels.append(wheel)
    return wheels


def _built(folder: Path, out: Path) -> Iterator[str]:
    environment = os.environ | {"SOURCE_DATE_EPOCH": _EPOCH}
    ran = subprocess.run(
        [sys.executable, "-m", "build", "--outdir", str(out), str(folder)],
        capture_output=True,
        text=True,
        env=environment,
    )
    if ran.returncode:
        yield ran.stderr.strip().splitlines()[-1] if ran.stderr.strip() else "python -m build failed"


def _differences(name: str, first: Path, second: Path) -> Iterator[str]:
    for again in second.glob(f"{name.replace('-', '_')}-*"):
        if _digest(again) != _digest(first / again.name):
            yield f"{again.name} differs from one build to the next"


def contents(name: str, wheel: Path) -> Iterator[str]:
    """What a wheel has too much, or too little of."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    if name != "glioseg":
        for network in {path.split("/")[1] for path in names if path.endswith("/bundle.json")}:
            if f"glioseg_weights_research/{network}/LICENSE.md" not in names:
                yield f"{network} has no LICENSE.md"
        return
    if wheel.stat().st_size > MOST_BYTES:
        yield f"{wheel.name} has {wheel.stat().st_size / 1e6:.1f} MB, at most {MOST_BYTES / 1e6:.0f}"
    for needed in ("glioseg/py.typed", "glioseg/__init__.pyi", "glioseg/weights/phantom/bundle.json"):
        if needed not in names:
            yield f"{needed} is not in it"
    if not any(path.endswith("licenses/LICENSE") for path in names):
        yield "the licence is not in it"
    for network in _RESEARCH_NETWORKS:
        if any(path.startswith(f"glioseg/weights/{network}/") for path in names):
            yield f"{network} is on research terms, and in the Apache wheel"


def installed(wheels: Sequence[Path], out: Path) -> Iterator[str]:
    """The wheels in an empty environment: a prediction, and the SBOM of that environment."""
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        venv.create(here / "env", with_pip=True)
        python = here / "env" / "bin" / "python"
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        program = str(here / "env" / "bin" / "glioseg")
        steps = [
            [*pip, "-c", str(ROOT / "constraints.txt"), *map(str, wheels)],
            [program, "phantom", "patients", "--patients", "1", "--spacing", "4", "--quiet"],
            [program, "predict", "model:phantom", "patients", "--out", "masks", "--quiet"],
            [program, "predict", "model:brats", "patients", "--out", "masks-research", "--quiet"],
        ]
        for step in steps:
            ran = subprocess.run(step, cwd=here, capture_output=True, text=True)
            if ran.returncode:
                yield f"{' '.join(step[-6:])}: {(ran.stderr.strip().splitlines() or ['failed'])[-1]}"
                return
        bill = out / "glioseg.cdx.json"
        made = [sys.executable, "-m", "cyclonedx_py", "environment", "--output-reproducible", "--of", "JSON"]
        ran = subprocess.run([*made, "-o", str(bill), str(python)], capture_output=True, text=True)
        if ran.returncode:
            yield f"the SBOM could not be written: {(ran.stderr.strip().splitlines() or ['failed'])[-1]}"
        else:
            print(f"{'':8}{len(json.loads(bill.read_text(encoding='utf-8'))['components'])} components in {bill}")


# -- small things ------------------------------------------------------------------------------------------------------


def _project(folder: Path) -> dict[str, Any]:
    project: dict[str, Any] = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return project


def _read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def _first(pattern: str, text: str) -> str | None:
    matched = re.search(pattern, text)
    return None if matched is None else matched[1]


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version.partition("+")[0]))


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _run(command: Sequence[str]) -> str:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    sys.exit(main())

"""From data to figure: ``manifest.json`` of a run names all that its figures follow from, and can be verified."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import glioseg
from glioseg import __version__
from glioseg.console import QUIET, Reporter
from glioseg.core import PARTS, PartName
from glioseg.errors import FileError
from glioseg.evaluation.conventions import CONVENTIONS
from glioseg.evaluation.protocol import EvaluateOptions
from glioseg.inference.bundle import read_info
from glioseg.io.files import write_json
from glioseg.io.text import read_json
from glioseg.runs import run_folder
from glioseg.runs.changed import data_digest
from glioseg.runs.evaluate import evaluate_parts, gathered
from glioseg.runs.read import Data
from glioseg.runs.under import Under
from glioseg.tasks.task import FinishedRun

MANIFEST = "manifest.json"
FORMAT = "glioseg-manifest"
TOLERANCE = 1e-6
"""Of a figure: on one machine and version nothing differs; another processor rounds otherwise."""


@dataclass(frozen=True)
class Check:
    """One thing that a manifest names.

    Args:
        name: what it is.
        expected: what the manifest says.
        found: what is there.
        agrees: whether the two are the same.
        decides: whether a figure follows from it; the version of the code need not be the same for equal figures.
    """

    name: str
    expected: str
    found: str
    agrees: bool
    decides: bool = True

    def to_json(self) -> dict[str, object]:
        """The fields by name."""
        return {"name": self.name, "expected": self.expected, "found": self.found, "agrees": self.agrees}


@dataclass(frozen=True)
class Verification:
    """How a run compares with its manifest.

    Args:
        checks: everything that was looked at.
    """

    checks: tuple[Check, ...]

    @property
    def holds(self) -> bool:
        """Whether all that decides a figure, and each figure, is as the manifest says."""
        return all(check.agrees for check in self.checks if check.decides)

    @property
    def text(self) -> str:
        """A line for each check, and the verdict."""
        width = max(len(check.name) for check in self.checks)
        lines = [
            f"{check.name:<{width}}  "
            + (f"agrees: {check.found}" if check.agrees else f"DIFFERS: found {check.found}, expected {check.expected}")
            for check in self.checks
        ]
        verdict = "Verified: the figures are those of the manifest" if self.holds else "Not verified"
        return "\n".join([*lines, verdict])

    def to_json(self) -> dict[str, object]:
        """What ``evaluate --verify --json`` prints."""
        return {"verified": self.holds, "checks": [check.to_json() for check in self.checks]}


def write_manifest(run: FinishedRun) -> Path:
    """Write ``manifest.json`` into a run folder, once its parts are evaluated.

    Raises:
        FileError: the bundle or an evaluation is missing or damaged, or the folder cannot be written to.
    """
    evaluations = {
        name: read_json(run.folder / f"evaluation-{name}.json")
        for name in PARTS
        if (run.folder / f"evaluation-{name}.json").exists()
    }
    facts = {name: value for name, (value, _) in _facts(run).items()}
    conventions = {name: block.get("protocol") for name, block in evaluations.items() if isinstance(block, dict)}
    figures = {name: dict(_numbers(block)) for name, block in evaluations.items()}
    path = run.folder / MANIFEST
    write_json(path, {"format": FORMAT, "version": 1, **facts, "conventions": conventions, "figures": figures})
    return path


def verify(
    manifest: Path,
    data: Data | None = None,
    *,
    device: str = "auto",
    cache: Path | None = None,
    reporter: Reporter = QUIET,
) -> Verification:
    """Recompute every figure of a run and compare all that its manifest names.

    Args:
        manifest: the file, in its run folder, or that folder.
        data: the scans, where they lie elsewhere than when the run was made.
        device: ``auto``, ``cpu``, ``cuda:N``, ``mps``.
        cache: where prepared data is kept; None for ``cache`` beside the run.
        reporter: shows progress.

    Raises:
        FileError: no manifest, no run beside it, or scans that are missing.
        OptionError: a run with a network, loss, task or layout of the caller's own.
    """
    path = manifest / MANIFEST if manifest.is_dir() else manifest
    expected = _read(path)
    folder = run_folder.RunFolder(path.parent)
    run_folder.require_run(path.parent)
    source = folder.data_by(None)
    if data is not None:
        source = replace(source, path=data.path)
    task, run = gathered(folder, source, device, cache, reporter)
    checks = [
        Check(name, str(expected.get(name)), value, value == expected.get(name), decides)
        for name, (value, decides) in _facts(run).items()
    ]
    alike: dict[Under, list[PartName]] = {}
    for name in (name for name in PARTS if name in expected["figures"]):
        alike.setdefault(_under(expected, name, run.recipe.evaluate), []).append(name)
    for under, names in alike.items():
        with tempfile.TemporaryDirectory() as scratch:
            scores = evaluate_parts(task, run, reporter, names, out=Path(scratch), under=under)
        checks += [_compared(name, expected["figures"][name], dict(_numbers(scores[name].to_json()))) for name in names]
    return Verification(tuple(checks))


def _under(manifest: Mapping[str, Any], part: str, options: EvaluateOptions) -> Under:
    """How a part was scored where it was not as the recipe says: ``evaluate --convention``, ``--pixels`` or
    ``--contributions``.
    """
    protocol = (manifest.get("conventions") or {}).get(part) or {}
    name, pixels = protocol.get("convention", options.convention), bool(protocol.get("pixels", options.pixels))
    if name not in CONVENTIONS:
        raise FileError("a manifest of a convention that this version does not know", path=part, found=name)
    has_contributions = any(name.startswith("contributions.") for name in manifest["figures"][part])
    return Under(None if name == options.convention else name, pixels, has_contributions)


def _facts(run: FinishedRun) -> dict[str, tuple[str, bool]]:
    """What figures follow from: name -> value, and whether it decides them."""
    info = read_info(run.folder / run_folder.BUNDLE)
    recipe = (run.folder / run_folder.RECIPE).read_bytes()
    return {
        "data": (data_digest(run.data.prepared.files), True),
        "split": (run.data.split.sha256, True),
        "recipe": (hashlib.sha256(recipe).hexdigest(), True),
        "model": (info.model_id, True),
        "weights": (str(info.weights), True),
        "glioseg": (__version__, False),
        "code": (_code_digest(), False),
    }


def _code_digest() -> str:
    """SHA-256 of the package's modules, by name."""
    digest, root = hashlib.sha256(), Path(str(glioseg.__file__)).parent
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _compared(part: str, expected: Mapping[str, float], found: Mapping[str, float]) -> Check:
    missing = sorted(expected.keys() - found.keys())
    differences = {name: abs(found[name] - value) for name, value in expected.items() if name in found}
    worst = max(differences, key=lambda name: differences[name], default=None)
    largest = 0.0 if worst is None else differences[worst]
    agrees = not missing and largest <= TOLERANCE
    words = f"{len(expected)} figures of the {part} part, largest difference {largest:.1e}"
    if missing:
        words += f", {len(missing)} missing, such as {missing[0]}"
    elif not agrees:
        words += f", in {worst}"
    return Check(f"figures, {part}", f"differences of at most {TOLERANCE:g}", words, agrees)


def _numbers(value: object, name: str = "") -> Iterator[tuple[str, float]]:
    """The numbers of an evaluation by their place, as ``regions.WT.dice.case_mean``; how they came about is no figure.

    A figure that is undefined has none.
    """
    if isinstance(value, bool):
        return
    if isinstance(value, int | float):
        yield name, float(value)
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            if name or key not in ("protocol", "as_published"):
                yield from _numbers(inner, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from _numbers(inner, f"{name}.{place}")


def _read(path: Path) -> dict[str, Any]:
    if not path.exists():
        raise FileError(
            "there is no manifest",
            path=path,
            expected=f"the {MANIFEST} of a run folder",
            remedy="A run has one once its training has ended; write it with `glioseg report RUN`",
        )
    value = read_json(path)
    if not isinstance(value, dict) or value.get("format") != FORMAT or not isinstance(value.get("figures"), dict):
        raise FileError("not a manifest", path=path, expected=f"the {MANIFEST} of a run folder")
    if value.get("version") != 1:
        raise FileError(
            "a manifest of another version", path=path, found=value.get("version"), expected=1, remedy="Update glioseg"
        )
    return value
